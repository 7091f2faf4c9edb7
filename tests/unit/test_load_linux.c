/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vmm/load/linux: generated bzImages, valid and broken, and Debian's own where they have been
 * fetched. Offsets are those of Documentation/arch/x86/{boot,zero-page}.rst.
 */
#include "tests/unit/load_bench.h"
#include "vmm/load/load.h"

#define SETUP_SECTS 3
#define CODE_OFF    ((SETUP_SECTS + 1) * 512)

/* A bzImage of protocol 2.15 with a 64-bit entry, 64 KiB of code that counts. */
static u8 image[CODE_OFF + 0x10000];

static void set16(unsigned off, u16 v)
{
    memcpy(image + off, &v, 2);
}

static void set32(unsigned off, u32 v)
{
    memcpy(image + off, &v, 4);
}

static void set64(unsigned off, u64 v)
{
    memcpy(image + off, &v, 8);
}

static struct load_request make(void)
{
    struct load_request r = {.kind = LOAD_AUTO, .mem_size = 256 * MIB, .vcpus = 2};

    memset(image, 0, CODE_OFF);
    for (unsigned i = CODE_OFF; i < sizeof(image); i++)
        image[i] = (u8)(i ^ i >> 8);
    image[0x1f1] = SETUP_SECTS;
    set32(0x1f4, 0x10000 / 16);
    set16(0x1fe, 0xaa55);
    image[0x200] = 0xeb;
    image[0x201] = 0x26c - 0x202;
    memcpy(image + 0x202, "HdrS", 4);
    set16(0x206, 0x20f);
    set16(0x20e, 0x300);
    strcpy((char *)image + 0x500, "6.1.0-test (build) #1");
    image[0x211] = 1;
    set32(0x214, 0x100000);
    set32(0x22c, 0x7fffffff);
    set32(0x230, 0x200000);
    image[0x234] = 1;
    image[0x235] = 21;
    set16(0x236, 0x7f);
    set32(0x238, 2047);
    set64(0x258, 0x1000000);
    set32(0x260, 0x800000);
    r.kernel = (struct load_image){image, sizeof(image), "vmlinuz", "console=ttyS0  x "};
    return r;
}

#define PARAMS (state.gpr[RSI])

static void check_e820(u64 size)
{
    u64 ram = 0, last = 0;
    unsigned n = guest_8(&mem, PARAMS + 0x1e8);

    assert_in_range(n, 2, 128);
    for (unsigned i = 0; i < n; i++) {
        u64 e = PARAMS + 0x2d0 + i * 20, at = guest_64(&mem, e), len = guest_64(&mem, e + 8);
        u32 type = guest_32(&mem, e + 16);

        assert_true(at >= last);
        assert_true(len > 0);
        assert_true(type == 1 || type == 2);
        last = at + len;
        if (type == 1) {
            assert_true(guest_is_ram(&mem, at, len));
            ram += len;
        }
    }
    /* All of it but what lies between 0x9fc00 and 1 MiB. */
    assert_true(ram == size - (0x100000 - 0x9fc00));
}

static void entry_64(void **st)
{
    struct load_request r = make();

    (void)st;
    load_ok(&r, &mem, &state);
    assert_int_equal(state.kind, LOAD_LINUX);
    assert_flat(&mem, &state, LOAD_LONG64);
    assert_int_equal(state.seg[SEG_CS].sel, 0x10);
    assert_int_equal(state.seg[SEG_DS].sel, 0x18);
    assert_int_equal(state.seg[SEG_SS].sel, 0x18);
    assert_identity_4g(&mem, state.cr3);
    assert_int_equal(state.rip, 0x1000200);
    assert_memory_equal(guest_at(&mem, 0x1000000, 0x10000), image + CODE_OFF, 0x10000);
    assert_string_equal(state.what, "Linux 6.1.0-test, 64-bit entry");
}

static void zero_page(void **st)
{
    struct load_request r = make();

    (void)st;
    memset(mem.base + 0x10000, 0xaa, 0x1000); /* what was there before must not shine through */
    load_ok(&r, &mem, &state);
    assert_true(PARAMS >= 0x1000 && PARAMS + 4096 <= 0x9fc00);
    /* The setup header, byte for byte but for the loader's fields. */
    assert_int_equal(guest_8(&mem, PARAMS + 0x1f1), SETUP_SECTS);
    assert_memory_equal(guest_at(&mem, PARAMS + 0x200, 0x10), image + 0x200, 0x10);
    assert_memory_equal(guest_at(&mem, PARAMS + 0x22c, 0x40), image + 0x22c, 0x40);
    assert_int_equal(guest_8(&mem, PARAMS + 0x210), 0xff);
    assert_int_equal(guest_32(&mem, PARAMS + 0x214), 0x1000000);
    assert_int_equal(guest_16(&mem, PARAMS + 0x1fa), 0xffff);
    assert_int_equal(guest_8(&mem, PARAMS + 0x1ef), 0); /* the sentinel */
    assert_int_equal(guest_32(&mem, PARAMS + 0x218), 0);
    assert_int_equal(guest_32(&mem, PARAMS + 0x21c), 0);
    assert_int_equal(guest_32(&mem, PARAMS + 0x290), 0);
    assert_string_equal(guest_text(&mem, guest_32(&mem, PARAMS + 0x228)), "console=ttyS0  x ");
    assert_int_equal(guest_64(&mem, PARAMS + 0x70), 0xe0000);
    assert_int_equal(guest_32(&mem, PARAMS + 0x1e0), 255 * 1024);
    assert_int_equal(guest_16(&mem, PARAMS + 2), 63 * 1024);
    check_e820(256 * MIB);
}

static void entry_32(void **st)
{
    struct load_request r = make();

    (void)st;
    set16(0x236, 0);
    load_ok(&r, &mem, &state);
    assert_flat(&mem, &state, LOAD_PROT32);
    assert_int_equal(state.rip, 0x1000000);
    assert_int_equal(state.gpr[RBP] | state.gpr[RDI] | state.gpr[RBX], 0);
    assert_true(PARAMS < 0x9fc00);
    assert_string_equal(state.what, "Linux 6.1.0-test, 32-bit entry");
}

/* 2.06 and 2.09 have neither preferred address, init_size nor xloadflags: offsets are code then. */
static void old_protocols(void **st)
{
    static const u16 versions[] = {0x206, 0x207, 0x208, 0x209};

    (void)st;
    for (unsigned i = 0; i < ARRAY_SIZE(versions); i++) {
        struct load_request r = make();

        set16(0x206, versions[i]);
        image[0x201] = (versions[i] < 0x208 ? 0x248 : 0x258) - 0x202;
        set64(0x258, ~0ull);
        set32(0x260, ~0u);
        load_ok(&r, &mem, &state);
        assert_flat(&mem, &state, LOAD_PROT32);
        assert_int_equal(state.rip, 0x200000); /* the first multiple of the alignment from 1 MiB */
        image[0x234] = 0;
        load_ok(&r, &mem, &state);
        assert_int_equal(state.rip, 0x100000);
        assert_memory_equal(guest_at(&mem, 0x100000, 0x10000), image + CODE_OFF, 0x10000);
    }
}

/* One that cannot be relocated goes to 1 MiB, and its room at pref stays free of the initrd. */
static void not_relocatable(void **st)
{
    static u8 rd[0x100000];
    struct load_module m = {.image = {.data = rd, .size = sizeof(rd)}, .initrd = true};
    struct load_request r = make();

    (void)st;
    image[0x234] = 0;
    r.modules = &m;
    r.module_count = 1;
    r.mem_size = mem.size = 26 * MIB;
    load_ok(&r, &mem, &state);
    assert_int_equal(state.rip, 0x100200);
    assert_int_equal(guest_32(&mem, PARAMS + 0x218), 25 * MIB);
    r.mem_size = mem.size = 24 * MIB;
    load_fails(&r, &mem, ERR_RANGE, "the initrd of 1024K does not fit beside the kernel");
    r.mem_size = mem.size = 23 * MIB;
    load_fails(&r, &mem, ERR_RANGE, "it needs 0x800000 bytes at 0x1000000 to start, mem=23M");
    set64(0x258, 0x100000);
    load_ok(&r, &mem, &state);
    assert_int_equal(state.rip, 0x100200);
}

static void initrds(void **st)
{
    static u8 one[0x1235], two[0x20001], three[3] = {'x', 'y', 'z'};
    struct load_module m[3] = {
        {.image = {.data = one, .size = sizeof(one)}, .initrd = true},
        {.image = {.data = two, .size = sizeof(two)}, .initrd = true},
        {.image = {.data = three, .size = sizeof(three)}, .initrd = true},
    };
    struct load_request r = make();
    u64 total = 0x1238 + 0x20004 + 3, at;

    (void)st;
    memset(one, 1, sizeof(one));
    memset(two, 2, sizeof(two));
    r.modules = m;
    r.module_count = 3;
    load_ok(&r, &mem, &state);
    at = guest_32(&mem, PARAMS + 0x218);
    assert_int_equal(guest_32(&mem, PARAMS + 0x21c), total);
    assert_int_equal(at, (256 * MIB - total) & ~0xfffull);
    assert_memory_equal(guest_at(&mem, at, sizeof(one)), one, sizeof(one));
    assert_memory_equal(guest_at(&mem, at + 0x1235, 3), "\0\0", 3);
    assert_memory_equal(guest_at(&mem, at + 0x1238, sizeof(two)), two, sizeof(two));
    assert_memory_equal(guest_at(&mem, at + 0x1238 + 0x20004, 3), three, 3);

    set32(0x22c, 0x5ffffff); /* 96 MiB - 1 */
    load_ok(&r, &mem, &state);
    assert_int_equal(guest_32(&mem, PARAMS + 0x218), (96 * MIB - total) & ~0xfffull);
    set32(0x22c, 0x1000000); /* within the kernel: below it is room */
    load_ok(&r, &mem, &state);
    assert_int_equal(guest_32(&mem, PARAMS + 0x218), (16 * MIB - total) & ~0xfffull);
    set32(0x22c, 0x10ffff);
    load_fails(&r, &mem, ERR_RANGE, "does not fit beside the kernel (0x1000000-0x1800000)");
    m[1].initrd = false;
    m[1].image.name = "second";
    load_fails(&r, &mem, ERR_INVAL, "second: a Linux kernel takes no modules");
    m[1].initrd = true;
    m[1].image.size = 0;
    load_fails(&r, &mem, ERR_INVAL, "second: the initrd is empty");
    m[1].image.size = sizeof(two);
    m[2].image.size = 300 * MIB; /* checked against memory before a byte of it is read */
    load_fails(&r, &mem, ERR_RANGE, "does not fit");
}

/* Above 3 GiB memory goes on at 4 GiB, and the initrd stays below the hole. */
static void much_memory(void **st)
{
    static u8 rd[4096];
    struct load_module m = {.image = {.data = rd, .size = sizeof(rd)}, .initrd = true};
    struct load_request r = make();

    (void)st;
    set32(0x22c, 0xffffffff);
    r.modules = &m;
    r.module_count = 1;
    r.mem_size = mem.size = 5 * GIB;
    load_ok(&r, &mem, &state);
    check_e820(5 * GIB);
    assert_int_equal(guest_32(&mem, PARAMS + 0x218), 0xc0000000 - 4096);
    assert_int_equal(guest_32(&mem, PARAMS + 0x1e0), (0xc0000000 - 0x100000) / 1024);
}

static void command_line_limit(void **st)
{
    static char line[4000];
    struct load_request r = make();

    (void)st;
    memset(line, 'a', 2047);
    r.kernel.cmdline = line;
    load_ok(&r, &mem, &state);
    assert_string_equal(guest_text(&mem, guest_32(&mem, PARAMS + 0x228)), line);
    line[2047] = 'a';
    load_fails(&r, &mem, ERR_RANGE,
               "vmlinuz: the command line has 2048 bytes, this kernel takes 2047 at most");
    r.kernel.cmdline = NULL;
    load_ok(&r, &mem, &state);
    assert_string_equal(guest_text(&mem, guest_32(&mem, PARAMS + 0x228)), "");
}

/* Every truncation is refused, in words; only where no byte is lost is it accepted. */
static void truncated(void **st)
{
    struct load_request r = make();

    (void)st;
    for (u64 n = 0; n < sizeof(image); n = n < 0x800 ? n + 1 : n + 4093) {
        r.kernel.size = n;
        load_fails(&r, &mem, ERR_INVAL, "vmlinuz: ");
    }
    r.kernel.size = 0;
    load_fails(&r, &mem, ERR_INVAL, "the file is empty");
    r.kernel.size = 0x250;
    load_fails(&r, &mem, ERR_INVAL, "it ends at file offset 0x250, within the Linux setup header");
    r.kernel.size = sizeof(image) - 16;
    load_fails(&r, &mem, ERR_INVAL,
               "it ends at file offset 0x107f0, its setup header says 0x10800");
    r.kernel.size = sizeof(image) - 15; /* old kernels are not padded to 16 */
    load_ok(&r, &mem, &state);
}

static void corrupt_header(void **st)
{
    struct load_request r = make();

    (void)st;
    set16(0x206, 0x205);
    load_fails(&r, &mem, ERR_NOSUP, "its boot protocol (file offset 0x206) is 2.05; 2.06");
    r = make();
    image[0x211] = 0;
    load_fails(&r, &mem, ERR_NOSUP, "zImage");
    r = make();
    image[0x201] = 0;
    load_fails(&r, &mem, ERR_INVAL, "the setup header ends at 0x202 as file offset 0x201 says");
    image[0x201] = 0xff;
    load_fails(&r, &mem, ERR_INVAL, "the setup header ends at 0x301");
    r = make();
    set32(0x1f4, 0);
    load_fails(&r, &mem, ERR_INVAL, "gives no kernel");
    set32(0x1f4, 0xffffffff);
    load_fails(&r, &mem, ERR_INVAL, "its setup header says 0x10000007f0");
    r = make();
    image[0x1f1] = 0xff;
    load_fails(&r, &mem, ERR_INVAL, "truncated");
    r = make();
    set32(0x230, 0x300000);
    load_fails(&r, &mem, ERR_INVAL, "kernel_alignment (file offset 0x230) is 0x300000");
    r = make();
    set32(0x230, 0x80000000);
    load_fails(&r, &mem, ERR_RANGE, "mem=256M gives too little");
    r = make();
    set64(0x258, ~0ull);
    load_fails(&r, &mem, ERR_RANGE, "mem=256M gives too little");
    image[0x234] = 0;
    load_fails(&r, &mem, ERR_RANGE, "mem=256M gives too little");
    r = make();
    set32(0x260, 0xffffffff);
    load_fails(&r, &mem, ERR_RANGE, "it needs 0xffffffff bytes at 0x1000000 or above");
    r = make();
    set32(0x1f4, 0x200 / 16); /* the 64-bit entry is at 0x200 */
    load_fails(&r, &mem, ERR_INVAL, "64-bit entry");
}

static void little_memory(void **st)
{
    struct load_request r = make();

    (void)st;
    r.mem_size = mem.size = 24 * MIB;
    load_ok(&r, &mem, &state);
    r.mem_size = mem.size = 24 * MIB - 4096;
    load_fails(&r, &mem, ERR_RANGE, "it needs 0x800000 bytes at 0x1000000 or above to start");
    r.mem_size = 0;
    load_fails(&r, &mem, ERR_RANGE, "cannot have 0x0 bytes of memory");
    r = make();
    r.mem_size = mem.size = 2 * MIB;
    r.kernel.size = 3 * MIB; /* never read */
    load_fails(&r, &mem, ERR_RANGE, "vmlinuz: it has 3072K, more than the guest's memory of 2048K");
}

/* Whenever the host runs out of memory, the load ends with its error. */
static void host_out_of_memory(void **st)
{
    struct load_request r = make();
    u64 all;

    (void)st;
    load_ok(&r, &mem, &state);
    all = mem.written;
    for (u64 n = 1; n < all; n += 997) {
        mem.written = 0;
        mem.fail_from = n;
        load_fails(&r, &mem, ERR_NOMEM, "no memory for 0x");
    }
}

static void real_kernel(const char *path, enum load_mode mode, const char *what)
{
    struct load_request r = {.mem_size = 256 * MIB, .vcpus = 1, .kernel = {.cmdline = "quiet"}};
    u8 *file = read_file(path, &r.kernel.size);
    u64 off;

    if (!file) {
        print_message("%s is not there\n", path);
        skip();
    }
    r.kernel.data = file;
    load_ok(&r, &mem, &state);
    assert_flat(&mem, &state, mode);
    assert_has(state.what, what);
    off = (file[0x1f1] + 1u) * 512;
    assert_memory_equal(guest_at(&mem, state.rip & ~0xfffull, 0x10000), file + off, 0x10000);
    r.kernel.size /= 2;
    load_fails(&r, &mem, ERR_INVAL, "truncated");
    free(file);
}

static void debian_amd64(void **st)
{
    (void)st;
    real_kernel("build/cache/amd64/vmlinuz", LOAD_LONG64, "amd64, 64-bit entry");
}

static void debian_i386(void **st)
{
    (void)st;
    real_kernel("build/cache/i386/vmlinuz", LOAD_PROT32, "686-pae, 32-bit entry");
}

#define T(f) LOAD_TEST(f, 256 * MIB)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(entry_64),        T(zero_page),      T(entry_32),      T(old_protocols),
        T(not_relocatable), T(initrds),        T(much_memory),   T(command_line_limit),
        T(truncated),       T(corrupt_header), T(little_memory), T(host_out_of_memory),
        T(debian_amd64),    T(debian_i386),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
