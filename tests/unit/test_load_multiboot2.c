/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vmm/load/multiboot2: header tags (addresses, entry, relocatable, requests), the information's
 * tags, and broken headers. GRUB's grub-file is asked too whether the images are what they claim.
 */
#include "tests/unit/load_bench.h"
#include "vmm/load/load.h"

#define HEADER 0x1000 /* in the file */

static struct elf_gen img;
static u32 header_len;

static void header_begin(void)
{
    memset(img.b + HEADER, 0, 0x200);
    header_len = 16;
}

static void tag(u16 type, u16 flags, u32 size, const u32 *body)
{
    u64 at = HEADER + header_len;

    gen16(&img, at, type);
    gen16(&img, at + 2, flags);
    gen32(&img, at + 4, size);
    for (u32 i = 0; 8 + i * 4 < size; i++)
        gen32(&img, at + 8 + i * 4, body[i]);
    header_len += (size + 7) & ~7u;
}

#define TAG(type, flags, ...)                                                                      \
    do {                                                                                           \
        const u32 body_[] = {__VA_ARGS__};                                                         \
        tag(type, flags, 8 + (u32)sizeof(body_), body_);                                           \
    } while (0)

static void header_end(void)
{
    tag(0, 0, 8, NULL);
    gen32(&img, HEADER, 0xe85250d6);
    gen32(&img, HEADER + 8, header_len);
    gen32(&img, HEADER + 12, 0 - 0xe85250d6 - header_len);
}

static void make_elf(bool is64)
{
    u64 half = is64 ? 0xffffffff80000000 : 0xc0000000;

    gen_elf(&img, is64, half + 0x200010, 2, 0);
    gen_segment(&img, 0, 1, 0x1000, half + 0x200000, 0x200000, 0x2000, 0x2000);
    gen_segment(&img, 1, 1, 0x3000, half + 0x300000, 0x300000, 0x123, 0x3000);
    header_begin();
}

#define INFO (state.gpr[RBX])

/* The n-th information tag of a type, or 0. */
static gpa_t info(u32 type, unsigned n)
{
    gpa_t at = INFO + 8, end = INFO + guest_32(&mem, INFO);

    while (at < end) {
        u32 t = guest_32(&mem, at), size = guest_32(&mem, at + 4);

        assert_true(size >= 8);
        if (t == type && !n--)
            return at;
        if (t == 0) {
            assert_int_equal(size, 8);
            assert_true(at + 8 == end);
            return 0;
        }
        at += (size + 7) & ~7u;
    }
    fail_msg("no end tag");
    return 0;
}

static void check_common(void)
{
    gpa_t map, rsdp;
    u64 ram = 0;
    u8 sum = 0;

    assert_int_equal(state.kind, LOAD_MULTIBOOT2);
    assert_flat(&mem, &state, LOAD_PROT32);
    assert_int_equal(state.gpr[RAX], 0x36d76289);
    assert_int_equal(INFO % 8, 0);
    assert_int_equal(guest_32(&mem, INFO + 4), 0);
    assert_string_equal(guest_text(&mem, info(1, 0) + 8), "one  two ");
    assert_int_equal(guest_32(&mem, info(1, 0) + 4), 8 + 10);
    assert_string_equal(guest_text(&mem, info(2, 0) + 8), "skep");
    assert_int_equal(guest_32(&mem, info(4, 0) + 8), 639);
    assert_int_equal(guest_32(&mem, info(4, 0) + 12), 63 * 1024);
    map = info(6, 0);
    assert_int_equal(guest_32(&mem, map + 8), 24);
    assert_int_equal(guest_32(&mem, map + 12), 0);
    for (u32 i = 16; i < guest_32(&mem, map + 4); i += 24)
        if (guest_32(&mem, map + i + 16) == 1)
            ram += guest_64(&mem, map + i + 8);
    assert_int_equal(ram, 63 * MIB + 0x9fc00);
    rsdp = info(15, 0) + 8;
    assert_memory_equal(guest_at(&mem, rsdp, 8), "RSD PTR ", 8);
    for (unsigned i = 0; i < 36; i++)
        sum = (u8)(sum + guest_8(&mem, rsdp + i));
    assert_int_equal(sum, 0);
    assert_memory_equal(guest_at(&mem, rsdp, 36), guest_at(&mem, 0xe0000, 36), 36);
    assert_int_equal(guest_32(&mem, info(14, 0) + 4), 8 + 20); /* as ACPI 1.0 had it */
    assert_memory_equal(guest_at(&mem, info(14, 0) + 8, 20), guest_at(&mem, 0xe0000, 20), 20);
    assert_int_equal(info(8, 0), 0); /* no framebuffer, no EFI */
    assert_int_equal(info(12, 0), 0);
}

static void elf(void **st)
{
    (void)st;
    for (int is64 = 0; is64 < 2; is64++) {
        struct load_request r = load_request_of(&img);

        make_elf(is64);
        TAG(1, 0, 1, 3, 4, 6, 9, 14, 15); /* what it must be told */
        TAG(1, 1, 8, 17);                 /* what would be nice */
        TAG(5, 0, 1024, 768, 32);         /* a framebuffer: declined */
        tag(6, 0, 8, NULL);               /* modules page-aligned */
        TAG(4, 0, 2);                     /* text mode would be understood */
        TAG(99, 1, 1, 2, 3);              /* optional, unknown */
        tag(7, 0, 8, NULL);               /* EFI's boot services: there are none */
        header_end();
        memset(mem.base + 0x300000, 0xaa, 0x4000);
        load_ok(&r, &mem, &state);
        check_common();
        assert_int_equal(state.rip, 0x200010);
        assert_memory_equal(guest_at(&mem, 0x200000, 0x2000), img.b + 0x1000, 0x2000);
        assert_memory_equal(guest_at(&mem, 0x300000, 0x123), img.b + 0x3000, 0x123);
        assert_int_equal(guest_8(&mem, 0x302fff), 0);
        assert_int_equal(guest_8(&mem, 0x303000), 0xaa);
        assert_int_equal(info(21, 0), 0); /* not relocatable: no base */
        assert_int_equal(info(3, 0), 0);
    }
}

static void entry_tag(void **st)
{
    struct load_request r = load_request_of(&img);

    (void)st;
    make_elf(true);
    TAG(3, 0, 0x200100);
    TAG(8, 0, 0x1);
    TAG(9, 0, 0x2);
    header_end();
    gen64(&img, 24, 0xdead000); /* the tag counts, wherever the ELF header points */
    load_ok(&r, &mem, &state);
    assert_int_equal(state.rip, 0x200100);
}

static void modules(void **st)
{
    static u8 a[5000], b[100];
    struct load_module m[2] = {{{a, sizeof(a), "a", "first  one"}, false},
                               {{b, sizeof(b), "b", NULL}, true}};
    static const char *const text[] = {"first  one", ""};
    struct load_request r = load_request_of(&img);
    u64 last = 0x303000;

    (void)st;
    memset(a, 0xa1, sizeof(a));
    memset(b, 0xb2, sizeof(b));
    make_elf(false);
    header_end();
    r.modules = m;
    r.module_count = 2;
    load_ok(&r, &mem, &state);
    check_common();
    for (unsigned i = 0; i < 2; i++) {
        gpa_t t = info(3, i);
        u32 start = guest_32(&mem, t + 8), end = guest_32(&mem, t + 12);

        assert_true(t != 0 && start >= last);
        assert_int_equal(start % 4096, 0);
        assert_int_equal(end - start, m[i].image.size);
        assert_memory_equal(guest_at(&mem, start, end - start), m[i].image.data, end - start);
        assert_string_equal(guest_text(&mem, t + 16), text[i]);
        assert_int_equal(guest_32(&mem, t + 4), 16 + strlen(text[i]) + 1);
        last = end;
    }
    assert_int_equal(info(3, 2), 0);
}

static void sections(void **st)
{
    (void)st;
    for (int is64 = 0; is64 < 2; is64++) {
        struct load_request r = load_request_of(&img);
        unsigned size = is64 ? 64 : 40, at = is64 ? 16 : 12;
        gpa_t t;

        make_elf(is64);
        header_end();
        gen16(&img, is64 ? 60 : 48, 3);
        gen16(&img, is64 ? 62 : 50, 2);
        if (is64)
            gen64(&img, 40, GEN_SH);
        else
            gen32(&img, 32, GEN_SH);
        gen_section(&img, 1, 1, 6, 0x200000, 0x1000, 0x2000, 16);
        gen_section(&img, 2, 3, 0, 0, 0x6000, 0x77, 1);
        load_ok(&r, &mem, &state);
        check_common();
        t = info(9, 0);
        assert_int_equal(guest_32(&mem, t + 8), 3);
        assert_int_equal(guest_32(&mem, t + 12), size);
        assert_int_equal(guest_32(&mem, t + 16), 2);
        assert_int_equal(guest_32(&mem, t + 4), 20 + 3 * size);
        assert_int_equal(guest_32(&mem, t + 20 + size + at), 0x200000);
        assert_memory_equal(guest_at(&mem, guest_32(&mem, t + 20 + 2 * size + at), 0x77),
                            img.b + 0x6000, 0x77);
    }
}

/* The whole image moves, and its base is told; the entry moves with it. */
static void relocatable(void **st)
{
    static const struct {
        u32 min, max, align, preference, base;
    } want[] = {
        {0x200000, 0x3ffffff, 0x1000, 0, 0x200000},         /* where it is linked */
        {0x100000, 0x3ffffff, 0x200000, 1, 0x200000},       /* the lowest that is aligned */
        {0x100000, 0x3ffffff, 0x1000, 1, 0x100000},         /* the lowest */
        {0x100000, 0x3ffffff, 0x100000, 2, 0x3e00000},      /* the highest that is aligned */
        {0x100000, 0xffffffff, 1, 2, 0x4000000 - 0x103000}, /* the highest */
        {0x1000000, 0x3ffffff, 0x1000, 0, 0x1000000},       /* not where it is linked */
    };

    (void)st;
    for (unsigned i = 0; i < ARRAY_SIZE(want); i++) {
        struct load_request r = load_request_of(&img);

        make_elf(i & 1);
        TAG(10, 0, want[i].min, want[i].max, want[i].align, want[i].preference);
        header_end();
        load_ok(&r, &mem, &state);
        check_common();
        assert_int_equal(state.rip, want[i].base + 0x10);
        assert_int_equal(guest_32(&mem, info(21, 0) + 8), want[i].base);
        assert_memory_equal(guest_at(&mem, want[i].base, 0x2000), img.b + 0x1000, 0x2000);
        assert_memory_equal(guest_at(&mem, want[i].base + 0x100000, 0x123), img.b + 0x3000, 0x123);
    }
    make_elf(true);
    TAG(10, 0, 0x100000, 0x1fffff, 0x1000, 0);
    header_end();
    struct load_request r = load_request_of(&img);
    load_fails(&r, &mem, ERR_RANGE, "its 0x103000 bytes fit nowhere between 0x100000 and 0x200000");
    make_elf(true);
    TAG(10, 0, 0x100000, 0x1fffff, 0x1001, 0);
    header_end();
    load_fails(&r, &mem, ERR_NOSUP, "tag 10 at file offset 0x1010 has an alignment that is no");
}

static void addresses(void **st)
{
    struct load_request r = load_request_of(&img);

    (void)st;
    for (unsigned i = 0; i < GEN_SIZE; i++)
        img.b[i] = (u8)(i * 11 ^ i >> 8);
    header_begin();
    TAG(2, 0, 0x400000 + HEADER, 0x400000, 0x404000, 0x406000);
    TAG(3, 0, 0x400abc);
    header_end();
    memset(mem.base + 0x404000, 0xaa, 0x3000);
    load_ok(&r, &mem, &state);
    check_common();
    assert_int_equal(state.rip, 0x400abc);
    assert_memory_equal(guest_at(&mem, 0x400000, 0x4000), img.b, 0x4000);
    assert_int_equal(guest_8(&mem, 0x404000), 0);
    assert_int_equal(guest_8(&mem, 0x405fff), 0);
    assert_int_equal(guest_8(&mem, 0x406000), 0xaa);
    /* A load address of -1: from the file's beginning. */
    header_begin();
    TAG(2, 0, 0x400000 + HEADER, 0xffffffff, 0x404000, 0x406000);
    TAG(3, 0, 0x400abc);
    header_end();
    load_ok(&r, &mem, &state);
    assert_int_equal(state.rip, 0x400abc);
    assert_memory_equal(guest_at(&mem, 0x400000, 0x4000), img.b, 0x4000);
    /* The same, relocated. */
    header_begin();
    TAG(2, 0, 0x400000 + HEADER, 0x400000, 0x404000, 0x406000);
    TAG(3, 0, 0x400abc);
    TAG(10, 0, 0x800000, 0x3ffffff, 0x1000, 1);
    header_end();
    load_ok(&r, &mem, &state);
    assert_int_equal(state.rip, 0x800abc);
    assert_memory_equal(guest_at(&mem, 0x800000, 0x4000), img.b, 0x4000);
    /* No entry tag: there is nowhere to start. */
    header_begin();
    TAG(2, 0, 0x400000 + HEADER, 0x400000, 0x404000, 0x406000);
    header_end();
    load_fails(&r, &mem, ERR_INVAL, "has an address tag, but no entry tag");
    header_begin();
    TAG(2, 0, 0x400000 + HEADER, 0x400000, 0x500000, 0);
    TAG(3, 0, 0x400abc);
    header_end();
    load_fails(&r, &mem, ERR_INVAL, "truncated: load_end_addr 0x500000 asks for 0x100000 bytes");
    header_begin();
    TAG(2, 0, 0x400000 + HEADER, 0x400000, 0x3ffff0, 0);
    TAG(3, 0, 0x400abc);
    TAG(10, 0, 0, 0x3ffffff, 0x1000, 1);
    header_end();
    load_fails(&r, &mem, ERR_INVAL, "ends the image at 0x3ffff0, below load_addr");
    /* No tag at all and no ELF. */
    header_begin();
    header_end();
    load_fails(&r, &mem, ERR_INVAL,
               "neither ELF nor has its Multiboot2 header (file offset 0x1000)");
}

static void refusals(void **st)
{
    struct load_request r = load_request_of(&img);

    (void)st;
    make_elf(true);
    TAG(1, 0, 1, 8);
    header_end();
    load_fails(&r, &mem, ERR_NOSUP, "requires boot information of type 8 (file offset 0x101c)");
    make_elf(true);
    TAG(4, 0, 1);
    header_end();
    load_fails(&r, &mem, ERR_NOSUP, "tag 4 at file offset 0x1010 requires a text or graphics");
    make_elf(true);
    TAG(77, 0, 1);
    header_end();
    load_fails(&r, &mem, ERR_NOSUP, "tag 77 at file offset 0x1010 is required and not known");
    make_elf(true);
    TAG(2, 0, 1);
    header_end();
    load_fails(&r, &mem, ERR_NOSUP, "tag 2 at file offset 0x1010 is too short");
    make_elf(true);
    tag(6, 0, 4, NULL);
    header_end();
    load_fails(&r, &mem, ERR_NOSUP, "tag 6 at file offset 0x1010 runs out of the header");
    make_elf(true);
    tag(6, 0, 8, NULL);
    header_end();
    gen32(&img, HEADER + 20, 0x1000);
    load_fails(&r, &mem, ERR_NOSUP, "runs out of the header");
    make_elf(true);
    header_end();
    gen32(&img, HEADER + 4, 4);
    gen32(&img, HEADER + 12, 0 - 0xe85250d6 - header_len - 4);
    load_fails(&r, &mem, ERR_NOSUP, "is for architecture 4, not i386");
    make_elf(true);
    header_end();
    header_len = 0x20000;
    gen32(&img, HEADER + 8, header_len);
    gen32(&img, HEADER + 12, 0 - 0xe85250d6 - header_len);
    load_fails(&r, &mem, ERR_INVAL, "at file offset 0x1000 has 0x20000 bytes, the file ends");
    r.kind = LOAD_MULTIBOOT2;
    img.b[HEADER]++;
    load_fails(&r, &mem, ERR_INVAL, "type=multiboot2, but it has no Multiboot2 header");
}

static void truncated(void **st)
{
    (void)st;
    for (u64 n = 1; n < 0x3123; n = n < 0x100 ? n + 1 : n + 31) {
        struct load_request r = load_request_of(&img);

        make_elf(n & 1);
        tag(6, 0, 8, NULL);
        header_end();
        r.kernel.size = n;
        load_fails(&r, &mem, ERR_INVAL, "k.elf: ");
    }
}

/* An independent opinion on the generated images, and on the loader's probe. */
static void grub_file(void **st)
{
    FILE *f;

    (void)st;
    if (system("grub-file --help > /dev/null 2>&1")) {
        print_message("grub-file is not there\n");
        skip();
    }
    make_elf(false);
    header_end();
    f = fopen("build/host/guest-multiboot2.elf", "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(img.b, 1, GEN_SIZE, f), GEN_SIZE);
    fclose(f);
    assert_int_equal(system("grub-file --is-x86-multiboot2 build/host/guest-multiboot2.elf"), 0);
    assert_int_not_equal(system("grub-file --is-x86-multiboot build/host/guest-multiboot2.elf"), 0);
}

#define T(f) LOAD_TEST(f, 64 * MIB)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(elf),       T(entry_tag), T(modules),   T(sections),  T(relocatable),
        T(addresses), T(refusals),  T(truncated), T(grub_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
