/* SPDX-License-Identifier: BSD-2-Clause */
/* boot/memmap against a model that keeps a type for each page of a small address space. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "boot/memmap.h"
#include "tests/unit/unit.h"

#define PAGES 64

static struct memmap given, out;

static void normalise(void)
{
    memset(&out, 0xa5, sizeof(out));
    memmap_normalise(&given, &out);
}

static void assert_range(u32 i, u64 base, u64 size, u32 type)
{
    assert_true(i < out.count);
    assert_true(out.r[i].base == base && out.r[i].size == size && out.r[i].type == type);
}

/* Sorted, page-aligned, no overlaps, no neighbours that should be one. */
static void assert_normal(const struct memmap *m)
{
    for (u32 i = 0; i < m->count; i++) {
        u64 end = m->r[i].base + m->r[i].size;

        assert_true(m->r[i].size && IS_ALIGNED(m->r[i].base | m->r[i].size, PAGE_SIZE));
        assert_true(end > m->r[i].base);
        if (i + 1 < m->count) {
            assert_true(end <= m->r[i + 1].base);
            assert_true(end < m->r[i + 1].base || m->r[i].type != m->r[i + 1].type);
        }
    }
}

static void sorts_and_merges(void **st)
{
    (void)st;
    memset(&given, 0, sizeof(given));
    memmap_add(&given, 0x100000, 0x100000, MEM_USABLE);
    memmap_add(&given, 0, 0x9f000, MEM_USABLE);
    memmap_add(&given, 0x200000, 0x1000, MEM_USABLE);
    memmap_add(&given, 0xf0000, 0x10000, MEM_RESERVED);
    normalise();
    assert_int_equal(out.count, 3);
    assert_range(0, 0, 0x9f000, MEM_USABLE);
    assert_range(1, 0xf0000, 0x10000, MEM_RESERVED);
    assert_range(2, 0x100000, 0x101000, MEM_USABLE);
}

static void shrinks_usable_and_grows_the_rest(void **st)
{
    (void)st;
    memset(&given, 0, sizeof(given));
    memmap_add(&given, 0x1001, 0x3ffe, MEM_USABLE);
    memmap_add(&given, 0x9fc00, 0x10, MEM_RESERVED);
    memmap_add(&given, 0x20800, 0x900, MEM_USABLE);
    normalise();
    assert_int_equal(out.count, 2);
    assert_range(0, 0x2000, 0x2000, MEM_USABLE);
    assert_range(1, 0x9f000, 0x1000, MEM_RESERVED);
}

static void takes_the_end_of_the_address_space(void **st)
{
    (void)st;
    memset(&given, 0, sizeof(given));
    memmap_add(&given, 0xfffffffffffff000, 0x1000, MEM_RESERVED);
    memmap_add(&given, 0xfffffffffff00000, UINT64_MAX, MEM_USABLE);
    memmap_add(&given, 0, 0, MEM_USABLE);
    memmap_add(&given, 0x5000, 0x1000, MEM_NONE);
    memmap_add(&given, UINT64_MAX, 1, MEM_USABLE);
    normalise();
    assert_normal(&out);
    assert_int_equal(out.count, 1);
    assert_range(0, 0xfffffffffff00000, 0xff000, MEM_USABLE);
}

static void agrees_with_the_model(void **st)
{
    (void)st;
    srand(7);
    for (int round = 0; round < 3000; round++) {
        u32 model[PAGES] = {0};
        u32 marks = (u32)rand() % 4;

        memset(&given, 0, sizeof(given));
        for (int n = rand() % 24; n; n--) {
            u32 from = (u32)rand() % PAGES, len = 1 + (u32)rand() % (PAGES - from);
            u32 type = 1 + (u32)rand() % 5;

            memmap_add(&given, from * PAGE_SIZE, len * PAGE_SIZE, type);
            for (u32 p = from; p < from + len; p++)
                model[p] = MAX(model[p], type);
        }
        normalise();
        for (; marks; marks--) {
            u32 from = (u32)rand() % PAGES, len = 1 + (u32)rand() % (PAGES - from);

            memmap_mark(&out, from * PAGE_SIZE + 5, len * PAGE_SIZE - 5, MEM_IMAGE);
            for (u32 p = from; p < from + len; p++)
                model[p] = MEM_IMAGE;
        }
        assert_false(out.overflow);
        assert_normal(&out);
        for (u32 i = 0, p = 0; p < PAGES; p++) {
            while (i < out.count && out.r[i].base + out.r[i].size <= p * PAGE_SIZE)
                i++;
            assert_int_equal(model[p],
                             i < out.count && out.r[i].base <= p * PAGE_SIZE ? out.r[i].type : 0);
        }
    }
}

/* More ranges than there is room for: what is usable in the result was usable in truth. */
static void overflows_to_the_safe_side(void **st)
{
    (void)st;
    srand(11);
    for (int round = 0; round < 200; round++) {
        memset(&given, 0, sizeof(given));
        memmap_add(&given, 0, 4096 * PAGE_SIZE, MEM_USABLE);
        while (!given.overflow)
            memmap_add(&given, (u64)(rand() % 4096) * PAGE_SIZE, PAGE_SIZE, 2 + (u32)rand() % 3);
        normalise();
        assert_true(out.count <= MEMMAP_MAX && out.overflow);
        assert_normal(&out);
        for (u32 i = 0; i < out.count; i++)
            for (u32 j = 0; out.r[i].type == MEM_USABLE && j < given.count; j++)
                assert_true(given.r[j].type == MEM_USABLE ||
                            given.r[j].base + given.r[j].size <= out.r[i].base ||
                            given.r[j].base >= out.r[i].base + out.r[i].size);
    }
}

static void finds_room(void **st)
{
    (void)st;
    memset(&given, 0, sizeof(given));
    memmap_add(&given, 0x1000, 0x9000, MEM_USABLE);
    memmap_add(&given, 0x100000, 0x100000, MEM_USABLE);
    memmap_add(&given, 0x300000, 0x2000, MEM_USABLE);
    normalise();
    assert_true(memmap_find(&out, 0x1000, 0, UINT64_MAX) == 0x301000);
    assert_true(memmap_find(&out, 0x3000, 0, UINT64_MAX) == 0x1fd000);
    assert_true(memmap_find(&out, 0x1000, 0x1000, 0xa0000) == 0x9000);
    assert_true(memmap_find(&out, 0x1000, 0, 0x8fff) == 0x7000);
    assert_true(memmap_find(&out, 0x1000, 0x9001, 0xa0000) == 0);
    assert_true(memmap_find(&out, 0x200000, 0, UINT64_MAX) == 0);
    assert_true(memmap_total(&out, MEM_USABLE) == 0x10b000);
    assert_true(memmap_end(&out, MEM_USABLE) == 0x302000);
    assert_true(memmap_end(&out, MEM_NVS) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sorts_and_merges),
        cmocka_unit_test(shrinks_usable_and_grows_the_rest),
        cmocka_unit_test(takes_the_end_of_the_address_space),
        cmocka_unit_test(agrees_with_the_model),
        cmocka_unit_test(overflows_to_the_safe_side),
        cmocka_unit_test(finds_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
