/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vmm/load/multiboot: images in every shape the specification has (ELF32, ELF64, placed by the
 * header's addresses), what the kernel is told, and broken images.
 */
#include "tests/unit/load_bench.h"
#include "vmm/load/load.h"

#define HEADER 0x1000 /* the Multiboot header, in the file */

static struct elf_gen img;

static void header(u64 off, u32 flags)
{
    gen32(&img, off, 0x1badb002);
    gen32(&img, off + 4, flags);
    gen32(&img, off + 8, 0 - 0x1badb002 - flags);
}

/* Text at 1 MiB, data and bss at 2 MiB; a higher half's virtual addresses. */
static struct load_request make_elf(bool is64)
{
    u64 half = is64 ? 0xffffffff80000000 : 0xc0000000;

    gen_elf(&img, is64, half + 0x100010, 2, 0);
    gen_segment(&img, 0, 1, 0x1000, half + 0x100000, 0x100000, 0x2000, 0x2000);
    gen_segment(&img, 1, 1, 0x3000, half + 0x200000, 0x200000, 0x123, 0x3000);
    header(HEADER, 3);
    return load_request_of(&img);
}

#define INFO  (state.gpr[RBX])
#define FLAGS guest_32(&mem, INFO)

static void check_common(void)
{
    gpa_t map = guest_32(&mem, INFO + 48), end = map + guest_32(&mem, INFO + 44);
    u64 ram = 0;

    assert_int_equal(state.kind, LOAD_MULTIBOOT);
    assert_flat(&mem, &state, LOAD_PROT32);
    assert_int_equal(state.gpr[RAX], 0x2badb002);
    assert_true(INFO % 4 == 0);
    assert_int_equal(FLAGS & 0x24d, 0x24d);
    assert_int_equal(FLAGS & ~0x26du, 0); /* no boot device, a.out symbols, drives, VBE, … */
    assert_int_equal(guest_32(&mem, INFO + 4), 639);
    assert_int_equal(guest_32(&mem, INFO + 8), 63 * 1024);
    assert_string_equal(guest_text(&mem, guest_32(&mem, INFO + 16)), "one  two ");
    assert_string_equal(guest_text(&mem, guest_32(&mem, INFO + 64)), "skep");
    assert_true(map < end);
    while (map < end) {
        assert_int_equal(guest_32(&mem, map), 20);
        if (guest_32(&mem, map + 20) == 1)
            ram += guest_64(&mem, map + 12);
        map += guest_32(&mem, map) + 4;
    }
    assert_true(map == end);
    assert_int_equal(ram, 63 * MIB + 0x9fc00);
}

static void elf(void **st)
{
    (void)st;
    for (int is64 = 0; is64 < 2; is64++) {
        struct load_request r = make_elf(is64);

        memset(mem.base + 0x200000, 0xaa, 0x4000);
        load_ok(&r, &mem, &state);
        check_common();
        assert_int_equal(state.rip, 0x100010);
        assert_memory_equal(guest_at(&mem, 0x100000, 0x2000), img.b + 0x1000, 0x2000);
        assert_memory_equal(guest_at(&mem, 0x200000, 0x123), img.b + 0x3000, 0x123);
        for (unsigned i = 0x123; i < 0x3000; i++)
            assert_int_equal(guest_8(&mem, 0x200000 + i), 0);
        assert_int_equal(guest_8(&mem, 0x203000), 0xaa);
        assert_int_equal(guest_32(&mem, INFO + 20), 0);
        assert_string_equal(state.what,
                            is64 ? "Multiboot kernel, ELF64" : "Multiboot kernel, ELF32");
    }
}

/* An entry that is physical already, in a segment whose virtual addresses lie elsewhere. */
static void physical_entry(void **st)
{
    struct load_request r = make_elf(false);

    (void)st;
    gen32(&img, 24, 0x100020);
    load_ok(&r, &mem, &state);
    assert_int_equal(state.rip, 0x100020);
    gen32(&img, 24, 0x300000);
    load_fails(&r, &mem, ERR_INVAL,
               "k.elf: its entry point 0x300000 (file offset 0x18) lies outside");
}

static void modules(void **st)
{
    static u8 a[5000], b[1], c[4096];
    struct load_module m[4] = {
        {{a, sizeof(a), "a", "first module"}, false},
        {{b, sizeof(b), "b", NULL}, false},
        {{c, 0, "empty", "nothing in it"}, false},
        {{c, sizeof(c), "c", "x=\"y z\""}, true},
    };
    static const char *const text[] = {"first module", "", "nothing in it", "x=\"y z\""};
    struct load_request r = make_elf(true);
    u64 last = 0x203000;
    gpa_t list;

    (void)st;
    memset(a, 0xa1, sizeof(a));
    memset(b, 0xb2, sizeof(b));
    memset(c, 0xc3, sizeof(c));
    r.modules = m;
    r.module_count = 4;
    load_ok(&r, &mem, &state);
    check_common();
    assert_int_equal(guest_32(&mem, INFO + 20), 4);
    list = guest_32(&mem, INFO + 24);
    for (unsigned i = 0; i < 4; i++, list += 16) {
        u32 start = guest_32(&mem, list), end = guest_32(&mem, list + 4);

        assert_int_equal(start % 4096, 0);
        assert_true(start >= last); /* behind the kernel, in order, apart */
        assert_int_equal(end - start, m[i].image.size);
        if (end > start)
            assert_memory_equal(guest_at(&mem, start, end - start), m[i].image.data, end - start);
        assert_string_equal(guest_text(&mem, guest_32(&mem, list + 8)), text[i]);
        assert_int_equal(guest_32(&mem, list + 12), 0);
        last = end;
    }
    m[0].image.size = 70 * MIB; /* refused before it is read */
    load_fails(&r, &mem, ERR_RANGE, "a: 0x4600000 bytes do not fit into memory behind the kernel");
    r.module_count = 17;
    load_fails(&r, &mem, ERR_RANGE, "17 modules are too many");
}

static void sections(void **st)
{
    (void)st;
    for (int is64 = 0; is64 < 2; is64++) {
        struct load_request r = make_elf(is64);
        unsigned size = is64 ? 64 : 40, at = is64 ? 16 : 12;
        gpa_t table;
        u64 sym, str;

        gen16(&img, is64 ? 60 : 48, 5);
        gen16(&img, is64 ? 62 : 50, 4);
        if (is64)
            gen64(&img, 40, GEN_SH);
        else
            gen32(&img, 32, GEN_SH);
        gen_section(&img, 1, 1, 2 | 4, 0x100000, 0x1000, 0x2000, 16); /* .text */
        gen_section(&img, 2, 8, 2 | 1, 0x201000, 0, 0x2000, 16);      /* .bss */
        gen_section(&img, 3, 2, 0, 0, 0x5001, 0x333, 16);             /* .symtab */
        gen_section(&img, 4, 3, 0, 0, 0x6000, 0x77, 1);               /* .strtab */
        load_ok(&r, &mem, &state);
        check_common();
        assert_true(FLAGS & 1 << 5);
        assert_int_equal(guest_32(&mem, INFO + 28), 5);
        assert_int_equal(guest_32(&mem, INFO + 32), size);
        assert_int_equal(guest_32(&mem, INFO + 40), 4);
        table = guest_32(&mem, INFO + 36);
        assert_int_equal(guest_32(&mem, table + size + at), 0x100000);
        assert_int_equal(guest_32(&mem, table + 2 * size + at), 0x201000);
        sym = guest_32(&mem, table + 3 * size + at);
        str = guest_32(&mem, table + 4 * size + at);
        assert_true(sym >= 0x203000 && str >= sym + 0x333);
        assert_int_equal(sym % 16, 0);
        assert_memory_equal(guest_at(&mem, sym, 0x333), img.b + 0x5001, 0x333);
        assert_memory_equal(guest_at(&mem, str, 0x77), img.b + 0x6000, 0x77);
        /* The rest of each header is the file's. */
        assert_memory_equal(guest_at(&mem, table + 3 * size, 8), img.b + gen_section_at(&img, 3),
                            8);
        /* A section that is not in the file, or too much of it, is not passed and not read. */
        gen_section(&img, 3, 2, 0, 0, GEN_SIZE - 4, 0x333, 16);
        load_ok(&r, &mem, &state);
        table = guest_32(&mem, INFO + 36);
        assert_int_equal(guest_32(&mem, table + 3 * size + at), 0);
        gen16(&img, is64 ? 60 : 48, 0xffff);
        load_ok(&r, &mem, &state);
        assert_false(FLAGS & 1 << 5);
    }
}

/* The a.out kludge: file offset = header's offset - (header_addr - load_addr). */
static struct load_request make_flat(u32 load_end, u32 bss_end)
{
    memset(&img, 0, sizeof(img));
    for (unsigned i = 0; i < GEN_SIZE; i++)
        img.b[i] = (u8)(i * 5 ^ i >> 7);
    header(0x800, 0x10000);
    gen32(&img, 0x80c, 0x200100); /* header_addr */
    gen32(&img, 0x810, 0x200000); /* load_addr: file offset 0x700 */
    gen32(&img, 0x814, load_end);
    gen32(&img, 0x818, bss_end);
    gen32(&img, 0x81c, 0x200abc);
    return load_request_of(&img);
}

static void addresses(void **st)
{
    struct load_request r = make_flat(0x203000, 0x205000);

    (void)st;
    memset(mem.base + 0x200000, 0xaa, 0x20000);
    load_ok(&r, &mem, &state);
    check_common();
    assert_int_equal(state.rip, 0x200abc);
    assert_memory_equal(guest_at(&mem, 0x200000, 0x3000), img.b + 0x700, 0x3000);
    assert_int_equal(guest_64(&mem, 0x203000), 0);
    assert_int_equal(guest_64(&mem, 0x204ff8), 0);
    assert_int_equal(guest_8(&mem, 0x205000), 0xaa);
    /* No ends given: the whole rest of the file, and no bss. */
    r = make_flat(0, 0);
    load_ok(&r, &mem, &state);
    assert_memory_equal(guest_at(&mem, 0x200000, GEN_SIZE - 0x700), img.b + 0x700,
                        GEN_SIZE - 0x700);
    assert_int_equal(guest_8(&mem, 0x200000 + GEN_SIZE - 0x700), 0xaa);
    /* The addresses count even where the file is ELF. */
    memcpy(img.b, "\177ELF", 4);
    load_ok(&r, &mem, &state);
    assert_int_equal(state.rip, 0x200abc);
}

static void bad_addresses(void **st)
{
    struct load_request r = make_flat(0x200000 + GEN_SIZE, 0);

    (void)st;
    load_fails(&r, &mem, ERR_INVAL, "truncated: load_end_addr 0x210000 asks for 0x10000 bytes");
    r = make_flat(0x1fffff, 0);
    load_fails(&r, &mem, ERR_INVAL, "load_end_addr 0x1fffff");
    r = make_flat(0x203000, 0x202fff);
    load_fails(&r, &mem, ERR_INVAL, "bss_end_addr 0x202fff (header at file offset 0x800) is below");
    r = make_flat(0x203000, 0xfffffff0);
    load_fails(&r, &mem, ERR_RANGE, "its image goes to 0x200000-0xfffffff0, outside");
    r = make_flat(0, 0);
    gen32(&img, 0x80c, 0x1fffff);
    load_fails(&r, &mem, ERR_INVAL, "begins before the file");
    gen32(&img, 0x80c, 0x200801);
    load_fails(&r, &mem, ERR_INVAL, "begins before the file");
    r = make_flat(0, 0);
    gen32(&img, 0x80c, 0x9f100);
    gen32(&img, 0x810, 0x9f000);
    load_fails(&r, &mem, ERR_RANGE, "where firmware has 0x9fc00-0x100000");
    r = make_flat(0, 0);
    r.kernel.size = 0x810;
    load_fails(&r, &mem, ERR_INVAL, "truncated: its Multiboot header at file offset 0x800");
}

static void headers(void **st)
{
    struct load_request r = make_elf(false);

    (void)st;
    gen32(&img, HEADER + 8, 1);
    r.kind = LOAD_MULTIBOOT;
    load_fails(&r, &mem, ERR_INVAL, "type=multiboot, but it has no Multiboot header");
    r = make_elf(false);
    header(HEADER, 0x8); /* a bit that must be understood */
    load_fails(&r, &mem, ERR_NOSUP, "at file offset 0x1000 requires flags 0x8");
    header(HEADER, 0x4); /* a video mode: asked for, and declined */
    load_ok(&r, &mem, &state);
    check_common();
    header(HEADER, 0x00020000); /* optional bits may be anything */
    load_ok(&r, &mem, &state);
    r = make_elf(false);
    memset(img.b + HEADER, 0, 12);
    header(8192 - 12, 3); /* the last place */
    load_ok(&r, &mem, &state);
    memset(img.b + 8192 - 12, 0, 12);
    header(8192 - 8, 3);
    load_ok(&r, &mem, &state); /* one place too far: then it is plain ELF */
    assert_int_equal(state.kind, LOAD_ELF);
    memset(&img, 0, sizeof(img));
    header(0, 3);
    load_fails(&r, &mem, ERR_INVAL, "neither ELF nor has its Multiboot header (file offset 0x0)");
}

static void bad_elf(void **st)
{
    struct load_request r = make_elf(true);

    (void)st;
    gen_segment(&img, 1, 1, 0x3000, 0, 0x101000, 0x100, 0x100);
    load_fails(&r, &mem, ERR_INVAL, "its segments (headers at file offset 0x40) overlap");
    gen_segment(&img, 1, 1, 0x3000, 0, 0x200000, 0x101, 0x100);
    load_fails(&r, &mem, ERR_INVAL, "more bytes in the file (0x101) than in memory (0x100)");
    gen_segment(&img, 1, 1, GEN_SIZE - 0xff, 0, 0x200000, 0x100, 0x100);
    load_fails(&r, &mem, ERR_INVAL, "truncated: segment 1 is 0x100 bytes at file offset 0xff01");
    gen_segment(&img, 1, 1, ~0ull - 8, 0, 0x200000, 0x100, 0x100);
    load_fails(&r, &mem, ERR_INVAL, "truncated: segment 1");
    gen_segment(&img, 1, 1, 0x3000, 0, ~0ull - 8, 0x100, 0x100);
    load_fails(&r, &mem, ERR_INVAL, "segment 1 (header at file offset 0x78) wraps around");
    gen_segment(&img, 1, 1, 0x3000, 0, 64 * MIB - 0xff, 0x100, 0x100);
    load_fails(&r, &mem, ERR_RANGE, "outside the guest's memory (mem=65536K)");
    gen_segment(&img, 1, 1, 0x3000, 0, 0x400, 0x100, 0x100);
    load_fails(&r, &mem, ERR_RANGE, "where firmware has 0x0-0x500");
    gen_segment(&img, 1, 1, 0x3000, 0, 0xb8000, 0x100, 0x100);
    load_fails(&r, &mem, ERR_RANGE, "where firmware has 0x9fc00-0x100000");
    gen_segment(&img, 1, 1, 0x3000, 0, 0xfee00000, 0x100, 0x100);
    load_fails(&r, &mem, ERR_RANGE, "outside the guest's memory");
    gen_segment(&img, 1, 1, 0x3000, 0, 64 * MIB - 0x100, 0x100, 0x100);
    load_ok(&r, &mem, &state);
    gen_segment(&img, 0, 4, 0, 0, 0, 0, 0);
    gen_segment(&img, 1, 1, 0, 0, 0, 0, 0);
    load_fails(&r, &mem, ERR_INVAL, "take no memory");
    r = make_elf(true);
    gen16(&img, 54, 55);
    load_fails(&r, &mem, ERR_INVAL, "its 2 program headers of 55 bytes");
    gen16(&img, 54, 56);
    gen16(&img, 56, 0xffff);
    load_fails(&r, &mem, ERR_INVAL, "its 65535 program headers of 56 bytes at file offset 0x40");
    r = make_elf(true);
    gen64(&img, 32, ~0ull);
    load_fails(&r, &mem, ERR_INVAL, "at file offset 0xffffffffffffffff");
    r = make_elf(true);
    gen16(&img, 18, 40);
    load_fails(&r, &mem, ERR_INVAL, "ELF machine 40 (file offset 18)");
    r = make_elf(true);
    img.b[4] = 3;
    load_fails(&r, &mem, ERR_INVAL, "ELF class 3");
    r = make_elf(true);
    img.b[5] = 2;
    load_fails(&r, &mem, ERR_INVAL, "not little-endian");
}

static void many_segments(void **st)
{
    struct load_request r;

    (void)st;
    gen_elf(&img, true, 0x100000, 60, 0);
    for (unsigned i = 0; i < 60; i++)
        gen_segment(&img, i, 1, 0x1000, 0x100000 + i * 0x2000, 0x100000 + i * 0x2000, 16, 16);
    header(HEADER + 0x100, 0);
    r = load_request_of(&img);
    load_fails(&r, &mem, ERR_INVAL, "it has more than 40 separate pieces");
    gen16(&img, 56, 32);
    load_ok(&r, &mem, &state);
}

/* The information has to find room where a kernel takes all of low memory. */
static void low_memory_taken(void **st)
{
    struct load_request r = make_elf(false);

    (void)st;
    gen_segment(&img, 1, 1, 0x3000, 0, 0x500, 0x100, 0x9fc00 - 0x500);
    load_ok(&r, &mem, &state);
    check_common();
    assert_true(INFO >= 0x102000);
}

static void truncated(void **st)
{
    struct load_request r = make_elf(false);

    (void)st;
    for (u64 n = 1; n < 0x3123; n = n < 0x100 ? n + 1 : n + 31) {
        r = make_elf(n & 1);
        r.kernel.size = n;
        load_fails(&r, &mem, ERR_INVAL, "k.elf: ");
    }
    r.kernel.size = 0x3123;
    load_ok(&r, &mem, &state);
}

#define T(f) LOAD_TEST(f, 64 * MIB)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(elf),           T(physical_entry),   T(modules),   T(sections),
        T(addresses),     T(bad_addresses),    T(headers),   T(bad_elf),
        T(many_segments), T(low_memory_taken), T(truncated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
