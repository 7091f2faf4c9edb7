/* SPDX-License-Identifier: BSD-2-Clause */
/* vmm/load/{pvh,pvh_info,elf,flat}: kernels started by PVH, by ELF's entry, and flat binaries. */
#include "tests/unit/load_bench.h"
#include "vmm/load/load.h"

static struct elf_gen img;

static u64 note(u64 at, const char *owner, u32 type, u32 descsz, u64 value)
{
    u64 len = strlen(owner) + 1;

    gen32(&img, at, len);
    gen32(&img, at + 4, descsz);
    gen32(&img, at + 8, type);
    memcpy(img.b + at + 12, owner, len);
    at += 12 + ((len + 3) & ~3ull);
    memcpy(img.b + at, &value, MIN(descsz, 8u));
    return at + ((descsz + 3) & ~3u);
}

/* Code at 16 MiB, notes of others before the one that counts. */
static void make_pvh(bool is64)
{
    u64 end;

    gen_elf(&img, is64, 0x1000000, 2, 0);
    gen_segment(&img, 0, 1, 0x1000, is64 ? 0xffffffff81000000 : 0xc1000000, 0x1000000, 0x2000,
                0x4000);
    end = note(0x4000, "GNU", 18, 8, 0xbad);
    end = note(end, "Xen", 5, 6, 0xbad);
    end = note(end, "Xen", 18, is64 ? 8 : 4, 0x1000123);
    gen_segment(&img, 1, 4, 0x4000, 0, 0, end - 0x4000, end - 0x4000);
}

static void check_info(gpa_t info)
{
    gpa_t map = guest_64(&mem, info + 40);
    u64 ram = 0;

    assert_int_equal(guest_32(&mem, info), 0x336ec578);
    assert_int_equal(guest_32(&mem, info + 4), 1);
    assert_int_equal(guest_32(&mem, info + 8), 0);
    assert_string_equal(guest_text(&mem, guest_64(&mem, info + 24)), "one  two ");
    assert_int_equal(guest_64(&mem, info + 32), 0xe0000);
    for (u32 i = 0; i < guest_32(&mem, info + 48); i++) {
        if (guest_32(&mem, map + i * 24 + 16) == 1)
            ram += guest_64(&mem, map + i * 24 + 8);
        assert_int_equal(guest_32(&mem, map + i * 24 + 20), 0);
    }
    assert_int_equal(ram, 63 * MIB + 0x9fc00);
}

static void pvh(void **st)
{
    (void)st;
    for (int is64 = 0; is64 < 2; is64++) {
        struct load_request r = load_request_of(&img);

        make_pvh(is64);
        memset(mem.base + 0x1002000, 0xaa, 0x3000);
        load_ok(&r, &mem, &state);
        assert_int_equal(state.kind, LOAD_PVH);
        assert_flat(&mem, &state, LOAD_PROT32);
        assert_int_equal(state.rip, 0x1000123);
        assert_memory_equal(guest_at(&mem, 0x1000000, 0x2000), img.b + 0x1000, 0x2000);
        assert_int_equal(guest_8(&mem, 0x1002000), 0);
        assert_int_equal(guest_8(&mem, 0x1003fff), 0);
        assert_int_equal(guest_8(&mem, 0x1004000), 0xaa);
        check_info(state.gpr[RBX]);
        assert_int_equal(guest_32(&mem, state.gpr[RBX] + 12), 0);
        assert_int_equal(guest_64(&mem, state.gpr[RBX] + 16), 0);
    }
}

/* All initrds are the first module; the others follow. */
static void pvh_modules(void **st)
{
    static u8 a[0x1235], b[0x777], m1[0x2000];
    struct load_module m[3] = {{{m1, sizeof(m1), "m1", "mod one"}, false},
                               {{a, sizeof(a), "a", NULL}, true},
                               {{b, sizeof(b), "b", NULL}, true}};
    struct load_request r = load_request_of(&img);
    gpa_t list, at;

    (void)st;
    memset(a, 1, sizeof(a));
    memset(b, 2, sizeof(b));
    memset(m1, 3, sizeof(m1));
    make_pvh(true);
    r.modules = m;
    r.module_count = 3;
    load_ok(&r, &mem, &state);
    check_info(state.gpr[RBX]);
    assert_int_equal(guest_32(&mem, state.gpr[RBX] + 12), 2);
    list = guest_64(&mem, state.gpr[RBX] + 16);
    at = guest_64(&mem, list);
    assert_int_equal(at % 4096, 0);
    assert_int_equal(guest_64(&mem, list + 8), 0x1238 + 0x777);
    assert_memory_equal(guest_at(&mem, at, sizeof(a)), a, sizeof(a));
    assert_memory_equal(guest_at(&mem, at + 0x1238, sizeof(b)), b, sizeof(b));
    assert_string_equal(guest_text(&mem, guest_64(&mem, list + 16)), "");
    assert_int_equal(guest_64(&mem, list + 24), 0);
    at = guest_64(&mem, list + 32);
    assert_int_equal(guest_64(&mem, list + 40), sizeof(m1));
    assert_memory_equal(guest_at(&mem, at, sizeof(m1)), m1, sizeof(m1));
    assert_string_equal(guest_text(&mem, guest_64(&mem, list + 48)), "mod one");
    m[0].image.size = 64 * MIB;
    load_fails(&r, &mem, ERR_RANGE, "m1: its 0x4000000 bytes do not fit into memory beside");
}

static void pvh_notes(void **st)
{
    struct load_request r = load_request_of(&img);

    (void)st;
    /* In a section only. */
    make_pvh(true);
    gen_segment(&img, 1, 0, 0, 0, 0, 0, 0);
    gen64(&img, 40, GEN_SH);
    gen16(&img, 60, 2);
    gen_section(&img, 1, 7, 0, 0, 0x4000, 0x60, 4);
    load_ok(&r, &mem, &state);
    assert_int_equal(state.kind, LOAD_PVH);
    assert_int_equal(state.rip, 0x1000123);
    /* Sizes that lead out of the segment: the notes end there. */
    make_pvh(true);
    gen32(&img, 0x4000, 0xffffffff);
    r.kind = LOAD_PVH;
    load_fails(&r, &mem, ERR_INVAL, "type=pvh, but it has no Xen note of type 18");
    make_pvh(true);
    gen32(&img, 0x4004, 0xfffffff0);
    load_fails(&r, &mem, ERR_INVAL, "it has no Xen note");
    make_pvh(true);
    gen_segment(&img, 1, 4, GEN_SIZE - 8, 0, 0, 0x100, 0x100);
    load_fails(&r, &mem, ERR_INVAL, "it has no Xen note");
    /* Behind the first 16 KiB of notes nothing is looked for. */
    make_pvh(true);
    gen_segment(&img, 1, 4, 0x4000, 0, 0, 0x6000, 0x6000);
    note(note(0x4000, "GNU", 3, 0x4000, 0), "Xen", 18, 8, 0x1000123);
    load_fails(&r, &mem, ERR_INVAL, "it has no Xen note");
    /* An entry outside the image. */
    make_pvh(false);
    note(note(note(0x4000, "GNU", 18, 8, 0), "Xen", 5, 6, 0), "Xen", 18, 4, 0x1004000);
    load_fails(&r, &mem, ERR_INVAL, "k.elf: its entry point 0x1004000 (file offset 0x4");
}

static void plain_elf(void **st)
{
    (void)st;
    for (int is64 = 0; is64 < 2; is64++) {
        struct load_request r = load_request_of(&img);

        gen_elf(&img, is64, 0x100040, 1, 0);
        gen_segment(&img, 0, 1, 0x1000, 0x100000, 0x100000, 0x2000, 0x4000);
        load_ok(&r, &mem, &state);
        assert_int_equal(state.kind, LOAD_ELF);
        assert_flat(&mem, &state, is64 ? LOAD_LONG64 : LOAD_PROT32);
        if (is64)
            assert_identity_4g(&mem, state.cr3);
        assert_int_equal(state.rip, 0x100040);
        assert_int_equal(state.gpr[RAX], 0x336ec578);
        assert_int_equal(state.gpr[RDI], state.gpr[RBX]);
        check_info(state.gpr[RBX]);
        assert_int_equal(state.gpr[RSP] % 16, 0);
        assert_true(guest_is_ram(&mem, state.gpr[RSP] - 0x4000, 0x4000));
        r.has_entry = true;
        r.entry = 0x101000;
        load_ok(&r, &mem, &state);
        assert_int_equal(state.rip, 0x101000);
        r.entry = 0x104000;
        load_fails(&r, &mem, ERR_INVAL, "entry=0x104000 lies outside");
        r.has_entry = false;
        gen16(&img, 16, 1);
        load_fails(&r, &mem, ERR_NOSUP, "ELF type 1 (file offset 16) is not an executable");
    }
}

static void above_4g(void **st)
{
    struct load_request r = load_request_of(&img);

    (void)st;
    gen_elf(&img, true, 0x100000000, 1, 0);
    gen_segment(&img, 0, 1, 0x1000, 0x100000000, 0x100000000, 0x2000, 0x4000);
    r.mem_size = mem.size = 4 * GIB;
    load_fails(&r, &mem, ERR_NOSUP, "its entry point 0x100000000 lies above 4 GiB");
    gen_elf(&img, true, 0x200000, 2, 0);
    gen_segment(&img, 0, 1, 0x1000, 0x100000000, 0x100000000, 0x2000, 0x4000);
    gen_segment(&img, 1, 1, 0x1000, 0x200000, 0x200000, 0x2000, 0x4000);
    load_ok(&r, &mem, &state);
    assert_memory_equal(guest_at(&mem, 0x100000000, 0x2000), img.b + 0x1000, 0x2000);
}

static void flat(void **st)
{
    struct load_request r = load_request_of(&img);

    (void)st;
    for (unsigned i = 0; i < GEN_SIZE; i++)
        img.b[i] = (u8)(i * 3 ^ i >> 8);
    load_fails(&r, &mem, ERR_INVAL, "k.elf: it is no kernel: neither Linux");
    r.kind = LOAD_FLAT;
    load_ok(&r, &mem, &state);
    assert_flat(&mem, &state, LOAD_PROT32);
    assert_int_equal(state.rip, 0x100000);
    assert_memory_equal(guest_at(&mem, 0x100000, GEN_SIZE), img.b, GEN_SIZE);
    check_info(state.gpr[RBX]);
    r.has_base = r.has_entry = true;
    r.base = 0x8000;
    r.entry = 0x8123;
    load_ok(&r, &mem, &state);
    assert_int_equal(state.rip, 0x8123);
    assert_memory_equal(guest_at(&mem, 0x8000, GEN_SIZE), img.b, GEN_SIZE);
    r.entry = 0x7fff;
    load_fails(&r, &mem, ERR_INVAL, "entry=0x7fff lies outside the file's 0x10000 bytes at 0x8000");
    r.base = r.entry = 0x98000;
    load_fails(&r, &mem, ERR_RANGE, "the file goes to 0x98000-0xa8000, where firmware has");
    r.base = r.entry = 64 * MIB - 1;
    load_fails(&r, &mem, ERR_RANGE, "outside the guest's memory");
    r.base = r.entry = ~0ull;
    load_fails(&r, &mem, ERR_INVAL, "wraps");
}

/* What is no kernel is told apart. */
static void no_kernels(void **st)
{
    static const struct {
        const char *magic, *says;
        unsigned len;
    } known[] = {
        {"\x1f\x8b\x08", "it is a gzip file", 3},
        {"\xfd"
         "7zXZ",
         "an xz file", 6},
        {"\x28\xb5\x2f\xfd", "a zstd file", 4},
        {"070701", "a cpio archive, an initrd", 6},
        {"MZ", "a PE (EFI) program", 2},
        {"#!/bin/sh", "a script", 9},
    };
    struct load_request r = load_request_of(&img);

    (void)st;
    for (unsigned i = 0; i < ARRAY_SIZE(known); i++) {
        memset(img.b, 0, GEN_SIZE);
        memcpy(img.b, known[i].magic, known[i].len);
        load_fails(&r, &mem, ERR_INVAL, known[i].says);
    }
    memset(img.b, 0, GEN_SIZE);
    memcpy(img.b + 510, "\x55\xaa", 2);
    r.kernel.size = 512;
    load_fails(&r, &mem, ERR_INVAL, "a boot sector, which needs a BIOS");
    r.kind = LOAD_LINUX;
    load_fails(&r, &mem, ERR_INVAL,
               "type=linux, but it has no 'HdrS' at file offset 0x202; it is a boot");
}

/* The hypervisor itself is a Multiboot 2 kernel with a PVH note: either way it loads. */
static void skep_itself(void **st)
{
    struct load_request r = {.mem_size = 64 * MIB, .vcpus = 1};
    u8 *file = read_file("build/skep.elf", &r.kernel.size);

    (void)st;
    if (!file) {
        print_message("build/skep.elf is not there\n");
        skip();
    }
    r.kernel.data = file;
    load_ok(&r, &mem, &state);
    assert_int_equal(state.kind, LOAD_MULTIBOOT2);
    r.kind = LOAD_PVH;
    load_ok(&r, &mem, &state);
    assert_int_equal(state.kind, LOAD_PVH);
    free(file);
}

#define T(f) LOAD_TEST(f, 64 * MIB)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(pvh),      T(pvh_modules), T(pvh_notes),  T(plain_elf),
        T(above_4g), T(flat),        T(no_kernels), T(skep_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
