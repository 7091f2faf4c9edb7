/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Nested tables: each operation at each leaf size, and allocation failure at every allocation.
 */
#include <string.h>
#include "mm/nested.h"
#include "tests/unit/mm_arena.h"
#include "tests/unit/mm_formats.h"
#include "tests/unit/unit.h"

static void map_refuses_what_cannot_be(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    {
        struct nested_caps caps = caps_of(formats[f]);
        struct arena a;
        struct nested n;

        caps.page_1g = false;
        caps.exec_only = false;
        caps.phys_bits = 40;
        arena_init(&a, MIB);
        assert_int_equal(nested_init(&n, &caps, &a.source), OK);
        assert_int_equal(n.limit, BIT(40));
#define MAP(gpa, hpa, level, attr) nested_map(&n, gpa, hpa, level, attr, NESTED_WB, false, NULL)
        assert_int_equal(MAP(0, 0, 3, NESTED_RWX), ERR_INVAL);
        assert_int_equal(MAP(0, 0, 0, NESTED_RWX), ERR_INVAL);
        assert_int_equal(MAP(0, 0, 4, NESTED_RWX), ERR_INVAL);
        assert_int_equal(MAP(4096, 0, 2, NESTED_RWX), ERR_INVAL);
        assert_int_equal(MAP(0, 4096, 2, NESTED_RWX), ERR_INVAL);
        assert_int_equal(MAP(0, 1, 1, NESTED_RWX), ERR_INVAL);
        assert_int_equal(MAP(0, BIT(52), 1, NESTED_RWX), ERR_INVAL);
        assert_int_equal(MAP(0, 0, 1, NESTED_W), ERR_INVAL);
        assert_int_equal(MAP(0, 0, 1, NESTED_X), ERR_INVAL);
        assert_int_equal(MAP(0, 0, 1, NESTED_W | NESTED_X), ERR_INVAL);
        assert_int_equal(MAP(0, 0, 1, 32), ERR_INVAL);
        assert_int_equal(nested_map(&n, 0, 0, 1, NESTED_R, (enum nested_memtype)2, false, NULL),
                         ERR_INVAL);
        assert_int_equal(MAP(BIT(40), 0, 1, NESTED_RWX), ERR_RANGE);
        assert_int_equal(MAP(~PAGE_MASK, 0, 1, NESTED_RWX), ERR_RANGE);
        assert_int_equal(MAP(BIT(40) - PAGE_SIZE, 0, 1, NESTED_RWX), OK);
        assert_int_equal(MAP(BIT(40) - PAGE_SIZE, 0, 1, NESTED_RWX), ERR_EXISTS);
        assert_int_equal(MAP(BIT(40) - 2 * MIB, 0, 2, NESTED_RWX), ERR_EXISTS);
        assert_int_equal(MAP(0, 2 * MIB, 2, NESTED_RWX), OK);
        assert_int_equal(MAP(PAGE_SIZE, 0, 1, NESTED_RWX), ERR_EXISTS);
#undef MAP
        assert_int_equal(nested_protect(&n, 0, PAGE_SIZE, NESTED_X), ERR_NOSUP);
        assert_int_equal(nested_protect(&n, 1, PAGE_SIZE, NESTED_R), ERR_INVAL);
        assert_int_equal(nested_protect(&n, 0, BIT(40) + PAGE_SIZE, NESTED_R), ERR_RANGE);
        assert_int_equal(nested_split(&n, BIT(40)), ERR_NOENT);
        assert_int_equal(nested_split(&n, BIT(40) - 1), ERR_NOENT);
        assert_int_equal(nested_split(&n, 8 * GIB), ERR_NOENT);
        assert_int_equal(nested_unmap(&n, BIT(40), NULL), 0);
        assert_int_equal(nested_unmap(&n, PAGE_SIZE, NULL), 0);
        nested_fini(&n, NULL, NULL);
        arena_fini(&a);
    }
}

static void limits_follow_the_processor(void **state)
{
    (void)state;
    struct nested_caps caps = caps_of(NESTED_NPT);
    struct arena a;
    struct nested n;

    arena_init(&a, MIB);
    caps.phys_bits = 52;
    assert_int_equal(nested_init(&n, &caps, &a.source), OK);
    assert_int_equal(n.limit, BIT(48));
    nested_fini(&n, NULL, NULL);
    caps.phys_bits = 0;
    assert_int_equal(nested_init(&n, &caps, &a.source), OK);
    assert_int_equal(n.limit, BIT(48));
    nested_fini(&n, NULL, NULL);
    caps.format = (enum nested_format_id)3;
    assert_int_equal(nested_init(&n, &caps, &a.source), ERR_INVAL);
    caps = (struct nested_caps){.format = NESTED_EPT_SOFT_AD, .page_1g = true};
    assert_int_equal(nested_init(&n, &caps, &a.source), OK);
    assert_int_equal(n.max_leaf, 1); /* no 2 MiB pages: none above either */
    nested_fini(&n, NULL, NULL);
    arena_fini(&a);
}

static void split_keeps_everything(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    for (unsigned attr = 0; attr < 32; attr++) {
        struct nested_caps caps = caps_of(formats[f]);
        struct arena a;
        struct nested n;
        unsigned level, want;

        arena_init(&a, MIB);
        assert_int_equal(nested_init(&n, &caps, &a.source), OK);
        if (nested_map(&n, 5 * GIB, 9 * GIB, 3, attr, NESTED_UC, true, NULL) == OK) {
            u64 old = entry_at(&n, 5 * GIB, &level);

            want = nested_attr(n.fmt, old);
            assert_int_equal(nested_split(&n, 5 * GIB + 6 * MIB + 17), OK);
            assert_int_equal(nested_split(&n, 5 * GIB + 6 * MIB + 17), OK);
            assert_int_equal(nested_split(&n, 5 * GIB + 6 * MIB + 17), ERR_NOENT);
            for (u64 off = 0; off < GIB; off += PAGE_SIZE * 101) {
                u64 e = entry_at(&n, 5 * GIB + off, &level), mask = NESTED_SIZE(level) - 1;

                assert_int_equal(level, off / (2 * MIB) == 3 ? 1 : 2);
                assert_int_equal(nested_leaf_hpa(e, level), 9 * GIB + (off & ~mask));
                assert_int_equal(nested_attr(n.fmt, e), want);
                assert_true(e & NESTED_SW_FOREIGN);
                assert_int_equal(e & n.fmt->keep & ~NESTED_ADDR & ~NESTED_LARGE,
                                 old & n.fmt->keep & ~NESTED_ADDR & ~NESTED_LARGE);
            }
            assert_int_equal(n.leaves[3], 0);
            assert_int_equal(n.leaves[2], 511);
            assert_int_equal(n.leaves[1], 512);
            assert_int_equal(n.splits, 2);
            assert_int_equal(n.tables, 4);
        }
        nested_fini(&n, NULL, NULL);
        arena_fini(&a);
    }
}

static void near_and_far_walks_agree(void **state)
{
    (void)state;
    const gpa_t at[] = {0, (NESTED_NEAR - 1) * GIB, NESTED_NEAR * GIB, 600 * GIB, BIT(46) - GIB};
    struct nested_caps caps = caps_of(NESTED_NPT);
    struct arena a;
    struct nested n;
    unsigned level;

    arena_init(&a, MIB);
    assert_int_equal(nested_init(&n, &caps, &a.source), OK);
    for (unsigned i = 0; i < ARRAY_SIZE(at); i++) {
        assert_int_equal(
            nested_map(&n, at[i] + 4 * MIB, (i + 1) * GIB, 2, NESTED_RWX, NESTED_WB, false, NULL),
            OK);
        assert_int_equal(nested_map(&n, at[i] + 8 * MIB, (i + 1) * GIB + 4096, 1, NESTED_RWX,
                                    NESTED_WB, false, NULL),
                         OK);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(at); i++) {
        assert_int_equal(nested_leaf_hpa(entry_at(&n, at[i] + 5 * MIB, &level), 2), (i + 1) * GIB);
        assert_int_equal(level, 2);
        assert_int_equal(nested_leaf_hpa(entry_at(&n, at[i] + 8 * MIB, &level), 1),
                         (i + 1) * GIB + 4096);
        assert_int_equal(level, 1);
        assert_false(nested_valid(entry_at(&n, at[i] + 10 * MIB, &level)));
        assert_int_equal(level, 2);
    }
    nested_fini(&n, NULL, NULL);
    arena_fini(&a);
}

static void fini_reports_each_leaf_once(void *arg, u64 *entry, gpa_t gpa, unsigned level)
{
    u64 *sum = arg;

    assert_true(nested_valid(*entry));
    assert_true(IS_ALIGNED(gpa, NESTED_SIZE(level)));
    assert_int_equal(nested_leaf_hpa(*entry, level), gpa ^ GIB);
    sum[level]++;
    sum[0] += gpa;
}

static void fini_visits_all_leaves(void **state)
{
    (void)state;
    struct nested_caps caps = caps_of(NESTED_EPT_AD);
    u64 sum[4] = {0}, visited[4] = {0};
    struct arena a;
    struct nested n;

    arena_init(&a, MIB);
    assert_int_equal(nested_init(&n, &caps, &a.source), OK);
#define MAP(gpa, level)                                                                            \
    assert_int_equal(nested_map(&n, gpa, (gpa) ^ GIB, level, NESTED_R, NESTED_WB, false, NULL), OK)
    MAP(0ull, 1);
    MAP(2 * MIB - PAGE_SIZE, 1);
    MAP(GIB - 2 * MIB, 2);
    MAP(2 * GIB, 3);
    MAP(511 * GIB, 3);
    MAP(512 * GIB, 1);
    MAP(BIT(46) - PAGE_SIZE, 1);
#undef MAP
    nested_visit(&n, 0, ~0ull, fini_reports_each_leaf_once, visited);
    assert_int_equal(visited[1], 4);
    memset(visited, 0, sizeof(visited));
    nested_visit(&n, GIB - 1, GIB + 2, fini_reports_each_leaf_once, visited);
    assert_int_equal(visited[2], 1);
    assert_int_equal(visited[3], 1);
    assert_int_equal(visited[1], 0);
    nested_fini(&n, fini_reports_each_leaf_once, sum);
    assert_int_equal(sum[1], 4);
    assert_int_equal(sum[2], 1);
    assert_int_equal(sum[3], 2);
    assert_int_equal(sum[0], 0 + 2 * MIB - PAGE_SIZE + GIB - 2 * MIB + 513 * GIB + 512 * GIB +
                                 BIT(46) - PAGE_SIZE);
    assert_int_equal(n.tables, 0);
    arena_fini(&a);
}

/* A fixed sequence that allocates in every way there is. Returns the first failure. */
static enum err allocate_everywhere(struct nested *n)
{
    enum err err = nested_map(n, 0, GIB, 3, NESTED_RWX, NESTED_WB, false, NULL);

    if (err == OK)
        err = nested_map(n, 600 * GIB, GIB, 1, NESTED_RWX, NESTED_WB, false, NULL);
    if (err == OK)
        err = nested_protect(n, 4 * MIB + PAGE_SIZE, 4 * MIB, NESTED_R);
    if (err == OK)
        err = nested_split(n, 20 * MIB);
    return err;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    {
        struct nested_caps caps = caps_of(formats[f]);
        u64 needed = 0;

        for (u64 fail = 0; fail == 0 || fail <= needed; fail++) {
            struct arena a;
            struct nested n;
            enum err err;

            arena_init(&a, MIB);
            a.fail_at = fail;
            err = nested_init(&n, &caps, &a.source);
            if (err == OK) {
                err = allocate_everywhere(&n);
                /* What was left behind is consistent, and the rest succeeds later. */
                if (err != OK) {
                    nested_unmap(&n, 0, NULL);
                    nested_unmap(&n, 600 * GIB, NULL);
                }
                nested_fini(&n, NULL, NULL);
                assert_int_equal(n.tables, 0);
            }
            assert_int_equal(err, fail ? ERR_NOMEM : OK);
            if (!fail)
                needed = a.allocs;
            arena_fini(&a);
        }
        /* root; 600G: 3 tables, the first GiB: 1; the protection splits 1G and two 2M; split. */
        assert_int_equal(needed, 1 + 1 + 3 + 3 + 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(map_refuses_what_cannot_be), cmocka_unit_test(limits_follow_the_processor),
        cmocka_unit_test(split_keeps_everything),     cmocka_unit_test(near_and_far_walks_agree),
        cmocka_unit_test(fini_visits_all_leaves),     cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
