/* SPDX-License-Identifier: BSD-2-Clause */
/* boot/mbi: Multiboot2 and PVH reports, whole, truncated and absurd. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "boot/mbi.h"
#include "tests/unit/boot_memory.h"
#include "tests/unit/unit.h"

static struct boot_info info;
static u8 buf[4096];
static u64 len;

/* The bytes in a block of their own, so that the sanitizer sees every step outside. */
static const char *parse(enum boot_kind kind, hpa_t at, u64 size)
{
    u8 *copy = malloc(size ? size : 1);
    struct boot_memory m = {copy, size};
    const char *why;

    memcpy(copy, buf, size);
    memset(&info, 0xa5, sizeof(info));
    why = mbi_parse(kind, at, boot_memory_view, &m, &info);
    /* Strings must outlive the block here: touch them now. */
    for (u32 i = 0; i < info.module_count; i++)
        assert_true(strlen(info.module[i].cmdline) < sizeof(buf));
    assert_true(strlen(info.cmdline) < sizeof(buf) && strlen(info.loader) < sizeof(buf));
    free(copy);
    return why;
}

static void put(const void *p, size_t n)
{
    memcpy(buf + len, p, n);
    len += n;
}

static void put32(u32 v)
{
    put(&v, 4);
}

static void put64(u64 v)
{
    put(&v, 8);
}

static void tag(u32 type, const void *data, u32 size)
{
    put32(type);
    put32(size + 8);
    put(data, size);
    len = ALIGN_UP(len, 8);
}

static void begin(void)
{
    memset(buf, 0, sizeof(buf));
    len = 8;
}

static void memory_tag(void)
{
    u64 map[] = {24, 0, 0x9fc00, 1, 0x100000, 0x7f00000, 1, 0xf0000, 0x10000, 77};

    tag(6, map, sizeof(map));
}

static void end(void)
{
    tag(0, "", 0);
    memcpy(buf, &len, 4);
}

static void reads_multiboot2(void **st)
{
    u8 module[] = "\x00\x00\x40\x00\x00\x10\x40\x00vm=web kernel";
    u8 *copy;
    struct boot_memory m;

    (void)st;
    begin();
    tag(1, "log=debug", 10);
    tag(2, "GRUB", 5);
    tag(3, module, sizeof(module));
    memory_tag();
    tag(14, "old rsdp............", 20);
    tag(15, "new rsdp............................", 36);
    tag(99, "whatever", 8);
    end();
    copy = malloc(len);
    memcpy(copy, buf, len);
    m = (struct boot_memory){copy, len};
    assert_null(mbi_parse(BOOT_MULTIBOOT2, BOOT_MEMORY_BASE, boot_memory_view, &m, &info));
    assert_string_equal(info.cmdline, "log=debug");
    assert_string_equal(info.loader, "GRUB");
    assert_int_equal(info.module_count, 1);
    assert_true(info.module[0].start == 0x400000 && info.module[0].size == 0x1000);
    assert_string_equal(info.module[0].cmdline, "vm=web kernel");
    assert_int_equal(info.rsdp_len, 36);
    assert_memory_equal(info.rsdp, "new rsdp", 8);
    /* The report itself, the module, and three ranges of which one type is unknown. */
    assert_int_equal(info.map.count, 5);
    assert_int_equal(info.map.r[4].type, MEM_RESERVED);
    assert_int_equal(info.map.r[0].type, MEM_BOOT);
    assert_int_equal(info.map.r[1].type, MEM_BOOT);
    free(copy);
}

static void old_rsdp_serves_alone(void **st)
{
    (void)st;
    begin();
    memory_tag();
    tag(15, "new rsdp............................", 36);
    tag(14, "old rsdp............", 20);
    end();
    assert_null(parse(BOOT_MULTIBOOT2, BOOT_MEMORY_BASE, len));
    assert_int_equal(info.rsdp_len, 36);
    begin();
    memory_tag();
    tag(14, "old rsdp............", 20);
    end();
    assert_null(parse(BOOT_MULTIBOOT2, BOOT_MEMORY_BASE, len));
    assert_int_equal(info.rsdp_len, 20);
}

static void refuses_without_memory(void **st)
{
    (void)st;
    begin();
    end();
    assert_string_equal(parse(BOOT_MULTIBOOT2, BOOT_MEMORY_BASE, len),
                        "the loader gave no memory map");
    assert_non_null(parse(BOOT_MULTIBOOT2, 0, len));
    assert_non_null(parse(BOOT_MULTIBOOT2, UINT64_MAX - 3, len));
}

static void bad_tags_stop_it(void **st)
{
    u32 sizes[] = {0, 1, 7, 0x1000, 0xfffffff0, UINT32_MAX};

    (void)st;
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        begin();
        memory_tag();
        put32(1);
        put32(sizes[i]);
        put("abcdefg", 8);
        end();
        assert_non_null(parse(BOOT_MULTIBOOT2, BOOT_MEMORY_BASE, len));
        assert_int_equal(info.map.count, 4);
    }
}

static void strings_without_end_are_none(void **st)
{
    (void)st;
    begin();
    memory_tag();
    tag(1, "abcdefgh", 8);
    tag(2, "", 0);
    tag(3, "\0\0\1\0\0\0\2\0xyz", 11);
    tag(3, "\0\0\2\0\0\0\1\0", 9); /* ends before it begins */
    tag(3, "\0\0", 2);
    end();
    assert_null(parse(BOOT_MULTIBOOT2, BOOT_MEMORY_BASE, len));
    assert_int_equal(info.module_count, 2);
    assert_true(info.module[0].size == 0x10000 && info.module[1].size == 0);
}

static void odd_memory_entries(void **st)
{
    u64 wide[] = {32, 0x100000, 0x100000, 1, 0, 0x400000, 0x1000, 3, 0};
    u64 narrow[] = {16, 0x100000, 0x100000, 1};
    u64 cut[] = {24, 0x100000, 0x100000, 1, 0x400000, 0x1000};

    (void)st;
    begin();
    tag(6, wide, sizeof(wide));
    end();
    assert_null(parse(BOOT_MULTIBOOT2, BOOT_MEMORY_BASE, len));
    assert_int_equal(info.map.count, 3);
    assert_true(info.map.r[2].base == 0x400000 && info.map.r[2].type == MEM_ACPI);
    begin();
    tag(6, narrow, sizeof(narrow));
    end();
    assert_non_null(parse(BOOT_MULTIBOOT2, BOOT_MEMORY_BASE, len));
    begin();
    tag(6, cut, sizeof(cut));
    end();
    assert_null(parse(BOOT_MULTIBOOT2, BOOT_MEMORY_BASE, len));
    assert_int_equal(info.map.count, 2);
    begin();
    tag(6, "abc", 3);
    end();
    assert_non_null(parse(BOOT_MULTIBOOT2, BOOT_MEMORY_BASE, len));
}

static void many_modules(void **st)
{
    (void)st;
    begin();
    memory_tag();
    for (int i = 0; i < BOOT_MAX_MODULES + 3; i++)
        tag(3, "\0\0\1\0\0\0\2\0m", 10);
    end();
    assert_null(parse(BOOT_MULTIBOOT2, BOOT_MEMORY_BASE, len));
    assert_int_equal(info.module_count, BOOT_MAX_MODULES);
    assert_int_equal(info.modules_left_out, 3);
}

static void every_truncation(void **st)
{
    (void)st;
    begin();
    tag(1, "log=debug", 10);
    memory_tag();
    tag(3, "\0\0\1\0\0\0\2\0m", 10);
    end();
    for (u64 n = 0; n < len; n++) {
        /* Memory ends there, then the report says that it does. */
        assert_non_null(parse(BOOT_MULTIBOOT2, BOOT_MEMORY_BASE, n));
        if (n >= 4) {
            u64 whole = len;

            memcpy(buf, &n, 4);
            assert_non_null(parse(BOOT_MULTIBOOT2, BOOT_MEMORY_BASE, n));
            memcpy(buf, &whole, 4);
        }
    }
}

/* Start info, a command line, one module with words, two ranges. */
static void make_pvh(u32 version, u32 ranges)
{
    memset(buf, 0, sizeof(buf));
    len = 0;
    put32(0x336ec578);
    put32(version);
    put32(0);
    put32(1);
    put64(BOOT_MEMORY_BASE + 0x100);
    put64(BOOT_MEMORY_BASE + 0x200);
    put64(0xabc0);
    put64(BOOT_MEMORY_BASE + 0x300);
    put32(ranges);
    len = 0x100;
    put64(0x800000);
    put64(0x2000);
    put64(BOOT_MEMORY_BASE + 0x280);
    len = 0x200;
    put("console=com2", 13);
    len = 0x280;
    put("vm=x", 5);
    len = 0x300;
    put64(0);
    put64(0x9f000);
    put64(1);
    put64(0x100000);
    put64(0x100000);
    put64(2);
}

static void reads_pvh(void **st)
{
    struct boot_memory m = {buf, 0x330};

    (void)st;
    make_pvh(1, 2);
    assert_null(mbi_parse(BOOT_PVH, BOOT_MEMORY_BASE, boot_memory_view, &m, &info));
    assert_string_equal(info.cmdline, "console=com2");
    assert_true(info.rsdp_hpa == 0xabc0);
    assert_int_equal(info.module_count, 1);
    assert_true(info.module[0].start == 0x800000 && info.module[0].size == 0x2000);
    assert_string_equal(info.module[0].cmdline, "vm=x");
    /* Two ranges; kept: start info, list, two strings, the module. */
    assert_int_equal(info.map.count, 7);
}

static void refuses_bad_pvh(void **st)
{
    (void)st;
    make_pvh(0, 2);
    assert_non_null(parse(BOOT_PVH, BOOT_MEMORY_BASE, 0x330));
    make_pvh(1, 0);
    assert_non_null(parse(BOOT_PVH, BOOT_MEMORY_BASE, 0x330));
    make_pvh(1, UINT32_MAX);
    assert_non_null(parse(BOOT_PVH, BOOT_MEMORY_BASE, 0x330));
    make_pvh(1, 2);
    buf[0] ^= 1;
    assert_non_null(parse(BOOT_PVH, BOOT_MEMORY_BASE, 0x330));
    make_pvh(1, 2);
    memset(buf + 12, 0xff, 4); /* modules */
    assert_non_null(parse(BOOT_PVH, BOOT_MEMORY_BASE, 0x330));
    make_pvh(1, 2);
    memset(buf + 16, 0xff, 16); /* module list and command line */
    assert_non_null(parse(BOOT_PVH, BOOT_MEMORY_BASE, 0x330));
    for (u64 n = 0; n < 0x330; n++) {
        make_pvh(1, 2);
        assert_non_null(parse(BOOT_PVH, BOOT_MEMORY_BASE, n));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_multiboot2),
        cmocka_unit_test(old_rsdp_serves_alone),
        cmocka_unit_test(refuses_without_memory),
        cmocka_unit_test(bad_tags_stop_it),
        cmocka_unit_test(strings_without_end_are_none),
        cmocka_unit_test(odd_memory_entries),
        cmocka_unit_test(many_modules),
        cmocka_unit_test(every_truncation),
        cmocka_unit_test(reads_pvh),
        cmocka_unit_test(refuses_bad_pvh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
