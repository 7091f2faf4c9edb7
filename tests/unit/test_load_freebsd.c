/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vmm/load/freebsd: what FreeBSD's start-up code looks at, read the way it reads it. No FreeBSD
 * image is at hand: kernels and modules are generated, and the expectations come from locore.s,
 * machdep.c, subr_module.c and link_elf{,_obj}.c of FreeBSD's source.
 */
#include "tests/unit/load_bench.h"
#include "vmm/load/load.h"

static struct elf_gen img, shared, object;

/* A kernel at 4 MiB (i386) or 2 MiB (amd64) with symbols. */
static struct load_request make_kernel(bool is64, const char *cmdline)
{
    u64 base = is64 ? 0xffffffff80200000 : 0xc0400000;

    gen_elf(&img, is64, base + 0x40, 4, 4);
    img.b[7] = 9;
    gen_segment(&img, 0, 3, 0x800, base + 0x800, base + 0x800, 13, 13);
    memcpy(img.b + 0x800, "/red/herring", 13);
    gen_segment(&img, 1, 1, 0, base, base, 0x2000, 0x2000);
    gen_segment(&img, 2, 1, 0x3000, base + 0x3000, base + 0x3000, 0x800, 0x2100);
    gen_segment(&img, 3, 2, 0x3100, base + 0x3100, base + 0x3100, 0x80, 0x80);
    gen_section(&img, 1, 1, 2, base, 0, 0x2000, 16);
    gen_section(&img, 2, 2, 0, 0, 0x5001, 0x333, 8);
    gen_section(&img, 3, 3, 0, 0, 0x6000, 0x77, 1);
    gen32(&img, gen_section_at(&img, 2) + (is64 ? 40u : 24u), 3);
    return (struct load_request){.kind = LOAD_AUTO,
                                 .mem_size = 128 * MIB,
                                 .vcpus = 1,
                                 .kernel = {img.b, GEN_SIZE, "kernel", cmdline}};
}

static u64 word(gpa_t at, bool is64)
{
    return is64 ? guest_64(&mem, at) : guest_32(&mem, at);
}

/*
 * subr_module.c: records of type, size and data rounded up to a long; a file begins with its name.
 * The data of a record of the n-th file, or 0.
 */
static gpa_t record(gpa_t modulep, bool is64, unsigned file, u32 type, u32 *size)
{
    unsigned align = is64 ? 8 : 4, n = 0;
    gpa_t at = modulep;

    assert_int_equal(at % 4096, 0);
    for (;;) {
        u32 t = guest_32(&mem, at), len = guest_32(&mem, at + 4);

        if (!t && !len)
            return 0;
        if (t == 1)
            n++;
        if (n == file + 1 && t == type) {
            *size = len;
            return at + 8;
        }
        at += 8 + ((len + align - 1) & ~(align - 1));
    }
}

static gpa_t must_have(gpa_t modulep, bool is64, unsigned file, u32 type, u32 size)
{
    u32 len = 0;
    gpa_t at = record(modulep, is64, file, type, &len);

    if (!at)
        fail_msg("no record 0x%x of file %u", type, file);
    assert_int_equal(len, size);
    return at;
}

static void text_is(gpa_t modulep, bool is64, unsigned file, u32 type, const char *text)
{
    assert_string_equal(
        guest_text(&mem, must_have(modulep, is64, file, type, (u32)strlen(text) + 1)), text);
}

static const char *env(gpa_t envp, const char *name)
{
    const char *p = guest_text(&mem, envp);
    size_t n = strlen(name);

    for (; *p; p += strlen(p) + 1)
        if (!strncmp(p, name, n) && p[n] == '=')
            return p + n + 1;
    return NULL;
}

/* What both kernels find by modulep and kernend. */
static void check_metadata(gpa_t modulep, u64 kernend, bool is64, gpa_t base)
{
    unsigned w = is64 ? 8 : 4;
    gpa_t at, ssym, esym;
    u64 ram = 0;
    u32 len = 0;

    text_is(modulep, is64, 0, 1, "/boot/kernel/kernel");
    text_is(modulep, is64, 0, 2, "elf kernel");
    assert_int_equal(word(must_have(modulep, is64, 0, 3, w), is64), base);
    assert_memory_equal(guest_at(&mem, must_have(modulep, is64, 0, 0x8002, is64 ? 64 : 52), 52),
                        img.b, 52);
    ssym = word(must_have(modulep, is64, 0, 0x8003, w), is64);
    esym = word(must_have(modulep, is64, 0, 0x8004, w), is64);
    /* Symbols behind their size, then strings behind theirs. */
    assert_true(ssym >= base + 0x5100 && ssym % w == 0);
    assert_int_equal(word(ssym, is64), 0x333);
    assert_memory_equal(guest_at(&mem, ssym + w, 0x333), img.b + 0x5001, 0x333);
    at = ssym + w + ((0x333 + w - 1) & ~(w - 1));
    assert_int_equal(word(at, is64), 0x77);
    assert_memory_equal(guest_at(&mem, at + w, 0x77), img.b + 0x6000, 0x77);
    assert_true(esym >= at + w + 0x77);
    assert_int_equal(word(must_have(modulep, is64, 0, 4, w), is64), esym - base);
    assert_int_equal(word(must_have(modulep, is64, 0, 0x8008, w), is64), kernend);
    assert_int_equal(kernend % 4096, 0);
    assert_true(kernend > modulep);
    at = record(modulep, is64, 0, 0x9001, &len);
    assert_true(at && len % 20 == 0);
    for (u32 i = 0; i < len; i += 20)
        if (guest_32(&mem, at + i + 16) == 1)
            ram += guest_64(&mem, at + i + 8);
    assert_int_equal(ram, 127 * MIB + 0x9fc00);
}

static void check_environment(gpa_t envp)
{
    assert_int_equal(envp % 4096, 0);
    assert_string_equal(env(envp, "hint.acpi.0.rsdp"), "0xe0000");
    assert_string_equal(env(envp, "hint.uart.0.port"), "0x3F8");
    assert_string_equal(env(envp, "console"), "comconsole");
    assert_string_equal(env(envp, "vfs.root.mountfrom"), "ufs:md0 rw");
    assert_string_equal(env(envp, "boot_serial"), "NO"); /* the person's word comes first */
    assert_null(env(envp, "word"));
}

#define CMDLINE "-sv vfs.root.mountfrom=\"ufs:md0 rw\" word boot_serial=NO"

/* recover_bootinfo of sys/i386/i386/locore.s, instruction by instruction. */
static void i386(void **st)
{
    struct load_request r = make_kernel(false, CMDLINE);
    gpa_t sp, bi;

    (void)st;
    memset(mem.base + 0x400000, 0xaa, 0x10000);
    load_ok(&r, &mem, &state);
    assert_int_equal(state.kind, LOAD_FREEBSD);
    assert_string_equal(state.what, "FreeBSD i386 kernel, 0 modules");
    assert_flat(&mem, &state, LOAD_PROT32);
    assert_int_equal(state.rip, 0x400040);
    assert_memory_equal(guest_at(&mem, 0x400000, 0x2000), img.b, 0x2000);
    assert_memory_equal(guest_at(&mem, 0x403000, 0x800), img.b + 0x3000, 0x800);
    assert_int_equal(guest_8(&mem, 0x403800), 0);
    assert_int_equal(guest_8(&mem, 0x4050ff), 0);

    sp = state.gpr[RSP];
    assert_int_equal(sp % 4, 0);
    assert_true(guest_is_ram(&mem, sp - 0x800, 0x800)); /* room below */
    assert_int_not_equal(guest_32(&mem, sp), 0);        /* not "olddiskboot" */
    assert_memory_equal(guest_at(&mem, guest_32(&mem, sp), 4), "\xfa\xf4\xeb\xfc", 4);
    assert_int_equal(guest_32(&mem, sp + 20), 0); /* the 5th argument: not the old netboot code */
    assert_int_equal(guest_32(&mem, sp + 4), 0x80000000 | 0x1000 | 0x800 | 0x2);
    bi = guest_32(&mem, sp + 24);
    assert_int_equal(guest_32(&mem, bi), 1); /* BOOTINFO_VERSION */
    assert_string_equal(guest_text(&mem, guest_32(&mem, bi + 4)), "/boot/kernel/kernel");
    assert_int_equal(guest_32(&mem, bi + 8), 0);
    assert_int_equal(guest_32(&mem, bi + 12), 0);
    assert_int_equal(guest_32(&mem, bi + 48), 84);
    assert_int_equal(guest_8(&mem, bi + 52), 1);
    assert_int_equal(guest_32(&mem, bi + 56), 639);
    assert_int_equal(guest_32(&mem, bi + 60), 127 * 1024);
    assert_int_equal(guest_32(&mem, bi + 80), guest_32(&mem, sp + 28)); /* modulep */
    assert_int_equal(guest_32(&mem, bi + 72), guest_32(&mem, sp + 32)); /* kernend */
    check_metadata(guest_32(&mem, bi + 80), guest_32(&mem, bi + 72), false, 0x400000);
    assert_true(guest_32(&mem, bi + 64) != 0 && guest_32(&mem, bi + 68) > guest_32(&mem, bi + 64));
    check_environment(guest_32(&mem, bi + 76));
    assert_int_equal(guest_32(&mem, must_have(guest_32(&mem, bi + 80), false, 0, 0x8007, 4)),
                     guest_32(&mem, sp + 4));
}

/* btext and hammer_time of sys/amd64/amd64. */
static void amd64(void **st)
{
    struct load_request r = make_kernel(true, CMDLINE);
    gpa_t sp, modulep;

    (void)st;
    load_ok(&r, &mem, &state);
    assert_int_equal(state.kind, LOAD_FREEBSD);
    assert_true(state.rip == 0xffffffff80200040);
    assert_int_equal(state.efer, 0x501);
    assert_int_equal(state.cr4, 0x20);
    assert_true((state.cr0 & 0x80000001) == 0x80000001);
    assert_int_equal(state.seg[SEG_CS].attr & (SEG_L | SEG_DB), SEG_L);
    assert_descriptor(&mem, &state, SEG_CS);
    /* Every gigabyte is the first one. */
    assert_true(guest_translate(&mem, state.cr3, 0xffffffff80200040) == 0x200040);
    assert_true(guest_translate(&mem, state.cr3, 0x12345678) == 0x12345678);
    assert_true(guest_translate(&mem, state.cr3, 0x7fc012345678) == 0x12345678);
    for (u64 gla = 0; gla < GIB; gla += 2 * MIB)
        assert_true(guest_translate(&mem, state.cr3, 0xffffffff80000000 + gla) == gla);
    sp = state.gpr[RSP];
    assert_int_not_equal(guest_32(&mem, sp), 0);
    modulep = guest_32(&mem, sp + 4);
    assert_memory_equal(guest_at(&mem, 0x200000, 0x2000), img.b, 0x2000);
    check_metadata(modulep, guest_32(&mem, sp + 8), true, 0x200000);
    check_environment(guest_64(&mem, must_have(modulep, true, 0, 0x8006, 8)));
    assert_int_equal(guest_32(&mem, must_have(modulep, true, 0, 0x8007, 4)),
                     0x80000000 | 0x1000 | 0x800 | 0x2);
}

static void make_shared(bool is64)
{
    gen_elf(&shared, is64, 0, 3, 0);
    gen16(&shared, 16, 3);
    gen_segment(&shared, 0, 1, 0, 0, 0, 0x1800, 0x1800);
    gen_segment(&shared, 1, 1, 0x2000, 0x2000, 0x2000, 0x200, 0x900);
    gen_segment(&shared, 2, 2, 0x2080, 0x2080, 0x2080, 0x80, 0x80);
}

/* Modules of every sort; link_elf.c's link_preload finds its words. */
static void modules(void **st)
{
    static u8 disk[0x3456];
    static const bool both[] = {false, true};

    (void)st;
    memset(disk, 0xd1, sizeof(disk));
    for (unsigned k = 0; k < 2; k++) {
        bool is64 = both[k];
        unsigned w = is64 ? 8 : 4;
        struct load_module m[3] = {
            {{shared.b, GEN_SIZE, "x", "/boot/kernel/foo.ko foo.debug=1 bar"}, false},
            {{disk, sizeof(disk), "root", "-t md_image /root.img"}, false},
            {{disk, sizeof(disk), "root2", NULL}, true},
        };
        struct load_request r = make_kernel(is64, "");
        gpa_t modulep, at;
        u64 last;

        make_shared(is64);
        r.modules = m;
        r.module_count = 3;
        memset(mem.base + 0x200000, 0xaa, 0x400000);
        load_ok(&r, &mem, &state);
        modulep = guest_32(&mem, state.gpr[RSP] + (is64 ? 4 : 28));
        check_metadata(modulep, guest_32(&mem, state.gpr[RSP] + (is64 ? 8 : 32)), is64,
                       is64 ? 0x200000 : 0x400000);
        last = word(must_have(modulep, is64, 0, 3, w), is64) +
               word(must_have(modulep, is64, 0, 4, w), is64);

        text_is(modulep, is64, 1, 1, "/boot/kernel/foo.ko");
        text_is(modulep, is64, 1, 2, "elf module");
        text_is(modulep, is64, 1, 6, "foo.debug=1 bar");
        at = word(must_have(modulep, is64, 1, 3, w), is64);
        assert_int_equal(at % 4096, 0);
        assert_true(at >= last);
        assert_memory_equal(guest_at(&mem, at, 0x1800), shared.b, 0x1800);
        assert_memory_equal(guest_at(&mem, at + 0x2000, 0x200), shared.b + 0x2000, 0x200);
        assert_int_equal(guest_8(&mem, at + 0x2200), 0);
        assert_int_equal(guest_8(&mem, at + 0x28ff), 0);
        assert_int_equal(word(must_have(modulep, is64, 1, 4, w), is64), 0x2900);
        assert_int_equal(word(must_have(modulep, is64, 1, 0x8005, w), is64), 0x2080);
        must_have(modulep, is64, 1, 0x8002, is64 ? 64 : 52);
        last = at + 0x2900;

        text_is(modulep, is64, 2, 1, "/root.img");
        text_is(modulep, is64, 2, 2, "md_image");
        at = word(must_have(modulep, is64, 2, 3, w), is64);
        assert_true(at >= last && at % 4096 == 0);
        assert_int_equal(word(must_have(modulep, is64, 2, 4, w), is64), sizeof(disk));
        assert_memory_equal(guest_at(&mem, at, sizeof(disk)), disk, sizeof(disk));
        text_is(modulep, is64, 3, 1, "root2");
        text_is(modulep, is64, 3, 2, "mfs_root");
    }
}

/* .text, .bss, .rela.text, .symtab, .strtab, .shstrtab, and debug data that stays away. */
static void make_object(void)
{
    gen_elf(&object, true, 0, 0, 8);
    gen16(&object, 16, 1);
    gen_section(&object, 1, 1, 6, 0, 0x1000, 0x701, 16);
    gen_section(&object, 2, 8, 3, 0, 0, 0x1234, 64);
    gen_section(&object, 3, 4, 0, 0, 0x2000, 0x60, 8);
    gen_section(&object, 4, 2, 0, 0, 0x3000, 0x90, 8);
    gen_section(&object, 5, 3, 0, 0, 0x4000, 0x55, 1);
    gen_section(&object, 6, 1, 0, 0, 0x5000, 0x100, 1);
    gen_section(&object, 7, 3, 0, 0, 0x6000, 0x44, 1);
    gen32(&object, gen_section_at(&object, 3) + 40, 4);
    gen32(&object, gen_section_at(&object, 3) + 44, 1);
    gen32(&object, gen_section_at(&object, 4) + 40, 5);
}

/* link_elf_obj.c's link_preload: addresses from the section headers, relative to the lowest. */
static void object_module(void **st)
{
    struct load_module m = {{object.b, GEN_SIZE, "x", "/boot/kernel/bar.ko"}, false};
    struct load_request r = make_kernel(true, "");
    gpa_t modulep, sh, base, end;
    u64 lowest = UINT64_MAX;

    (void)st;
    make_object();
    r.modules = &m;
    r.module_count = 1;
    memset(mem.base + 0x200000, 0xaa, 0x400000);
    load_ok(&r, &mem, &state);
    modulep = guest_32(&mem, state.gpr[RSP] + 4);
    text_is(modulep, true, 1, 1, "/boot/kernel/bar.ko");
    text_is(modulep, true, 1, 2, "elf obj module");
    base = guest_64(&mem, must_have(modulep, true, 1, 3, 8));
    end = base + guest_64(&mem, must_have(modulep, true, 1, 4, 8));
    sh = must_have(modulep, true, 1, 0x8009, 8 * 64);
    must_have(modulep, true, 1, 0x8002, 64);
    for (unsigned i = 0; i < 8; i++) {
        const u8 *orig = object.b + gen_section_at(&object, i);
        u64 addr = guest_64(&mem, sh + i * 64 + 16), size, off, align;
        u32 type;

        memcpy(&type, orig + 4, 4);
        memcpy(&off, orig + 24, 8);
        memcpy(&size, orig + 32, 8);
        memcpy(&align, orig + 48, 8);
        assert_memory_equal(guest_at(&mem, sh + i * 64, 16), orig, 16);
        assert_memory_equal(guest_at(&mem, sh + i * 64 + 24, 40), orig + 24, 40);
        if (i == 0 || i == 6) { /* no section, and debug data: not loaded */
            assert_int_equal(addr, 0);
            continue;
        }
        assert_true(addr >= base && addr + size <= end);
        assert_int_equal(addr % align, 0);
        lowest = MIN(lowest, addr);
        if (type == 8)
            assert_int_equal(guest_8(&mem, addr) | guest_8(&mem, addr + size - 1), 0);
        else
            assert_memory_equal(guest_at(&mem, addr, size), object.b + off, size);
        for (unsigned k = 1; k < i; k++) { /* apart from one another */
            u64 other = guest_64(&mem, sh + k * 64 + 16), len = guest_64(&mem, sh + k * 64 + 32);

            assert_true(!other || addr >= other + len || other >= addr + size);
        }
    }
    assert_true(lowest == base);
}

/* A section of no type is none, whatever else its header says: its bytes are not looked for. */
static void inactive_sections(void **st)
{
    struct load_module m = {{object.b, GEN_SIZE, "bar", NULL}, false};
    struct load_request r = make_kernel(true, "");

    (void)st;
    r.modules = &m;
    r.module_count = 1;
    for (unsigned i = 5; i <= 7; i += 2) { /* the strings of symbols, the names of sections */
        gpa_t sh;

        make_object();
        gen_section(&object, i, 0, 0, 0, 2 * GEN_SIZE, 0x44, 1);
        load_ok(&r, &mem, &state);
        sh = must_have(guest_32(&mem, state.gpr[RSP] + 4), true, 1, 0x8009, 8 * 64);
        assert_int_equal(guest_64(&mem, sh + i * 64 + 16), 0);
    }
}

static void bad_modules(void **st)
{
    struct load_module m = {{object.b, GEN_SIZE, "bar", NULL}, false};
    struct load_request r = make_kernel(true, "");

    (void)st;
    r.modules = &m;
    r.module_count = 1;
    make_object();
    gen_section(&object, 1, 1, 6, 0, GEN_SIZE - 1, 2, 16);
    load_fails(&r, &mem, ERR_INVAL, "bar: section 1 (0x2 bytes at file offset 0xffff");
    make_object();
    gen_section(&object, 1, 1, 6, 0, 0x1000, 0x10, 3);
    load_fails(&r, &mem, ERR_INVAL, "alignment 0x3");
    make_object();
    gen_section(&object, 2, 8, 3, 0, 0, 0x7f000000, 64);
    load_fails(&r, &mem, ERR_RANGE, "do not fit behind");
    make_object();
    gen_section(&object, 4, 1, 0, 0, 0x3000, 0x90, 8);
    load_fails(&r, &mem, ERR_INVAL, "it has no symbol table");
    make_object();
    gen32(&object, gen_section_at(&object, 4) + 40, 99);
    load_fails(&r, &mem, ERR_INVAL, "it has no symbol table");
    make_object();
    gen16(&object, 60, 5000);
    load_fails(&r, &mem, ERR_INVAL, "0 sections (file offset"); /* the table leaves the file */
    make_shared(false);
    m.image.data = shared.b;
    load_fails(&r, &mem, ERR_INVAL, "bar: it is ELF32, but the kernel is ELF64");
    make_shared(true);
    gen_segment(&shared, 1, 1, 0x2000, ~0ull - 0x10, 0, 0x200, 0x900);
    load_fails(&r, &mem, ERR_INVAL, "segment 1 (header at file offset 0x78) wraps around");
    gen_segment(&shared, 0, 0, 0, 0, 0, 0, 0);
    gen_segment(&shared, 1, 0, 0, 0, 0, 0, 0);
    load_fails(&r, &mem, ERR_INVAL, "take no memory");
}

static void bad_kernels(void **st)
{
    struct load_request r;

    (void)st;
    for (int is64 = 0; is64 < 2; is64++) {
        u64 base = is64 ? 0xffffffff80200000 : 0xc0400000;

        r = make_kernel(is64, "");
        r.kind = LOAD_FREEBSD;
        img.b[7] = 0;
        load_fails(&r, &mem, ERR_INVAL, "type=freebsd, but it has no FreeBSD kernel's ELF header");
        r = make_kernel(is64, "");
        gen_segment(&img, 1, 1, 0, base, base, 0x2000, 0x1fff);
        load_fails(&r, &mem, ERR_INVAL, "in the file (0x2000) than in memory (0x1fff)");
        r = make_kernel(is64, "");
        gen_segment(&img, 2, 1, 0x3000, base + 0x1000, 0, 0x800, 0x2100);
        load_fails(&r, &mem, ERR_INVAL, "overlaps");
        r = make_kernel(is64, "");
        gen_segment(&img, 2, 1, 0x3000, base + 0x10000000, 0, 0x800, 0x2100);
        load_fails(&r, &mem, ERR_RANGE, "outside the guest's memory");
        r = make_kernel(is64, "");
        r.kernel.size = 0x2000;
        load_fails(&r, &mem, ERR_INVAL,
                   "it is truncated: segment 2 is 0x800 bytes at file offset 0x3000");
        for (u64 n = 1; n < 0x3800; n = n < 0x100 ? n + 1 : n + 31) {
            r = make_kernel(is64, "");
            r.kind = LOAD_FREEBSD;
            r.kernel.size = n;
            load_fails(&r, &mem, ERR_INVAL, "kernel: ");
        }
    }
}

/* amd64's start tables reach one gigabyte: nothing is put above, however much there is. */
static void first_gigabyte(void **st)
{
    struct load_module m = {{img.b, GIB - 0x100000, "big", "-t md_image x"}, false};
    struct load_request r = make_kernel(true, "");

    (void)st;
    r.mem_size = mem.size = 3 * GIB;
    r.modules = &m;
    r.module_count = 1;
    load_fails(&r, &mem, ERR_RANGE, "big: its 0x3ff00000 bytes do not fit behind 0x205");
}

#define T(f) LOAD_TEST(f, 128 * MIB)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(i386),        T(amd64),       T(modules),        T(object_module), T(inactive_sections),
        T(bad_modules), T(bad_kernels), T(first_gigabyte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
