/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest spaces: holds of a page and copies, and what they leave behind. */
#include "mm/space.h"
#include "tests/unit/space_box.h"

/* ---- holds ---------------------------------------------------------------------------------- */

static void holds_give_the_bytes_and_mark_the_page(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    for (unsigned leaf = 1; leaf <= 2; leaf++) {
        const gpa_t bases[] = {0, 80 * GIB}; /* near and far */

        for (unsigned i = 0; i < ARRAY_SIZE(bases); i++) {
            struct box b;
            unsigned level;
            gpa_t gpa = bases[i] + 2 * MIB + 0x1234;
            u8 *p, *q;

            box_arena(&b, formats[f], 16 * MIB);
            b.cfg.demand_leaf = (u8)leaf;
            assert_int_equal(space_init(&b.s, &b.cfg), OK);
            assert_int_equal(space_add_ram(&b.s, bases[i], 8 * MIB), OK);
            p = space_hold(&b.s, gpa, 8, false);
            assert_non_null(p);
            assert_int_equal(*p, 0);
            assert_int_equal(attr_at(&b.s, gpa, &level), NESTED_RWX | NESTED_A);
            assert_int_equal(level, leaf);
            q = space_hold(&b.s, gpa + 1, 8, true);
            assert_ptr_equal(q, p + 1);
            assert_int_equal(attr_at(&b.s, gpa, &level), NESTED_RWX | NESTED_A | NESTED_D);
            assert_ptr_equal(space_hold_for(&b.s, gpa, 15, SPACE_EXEC), p);
            assert_int_equal(space_fini(&b.s), 3); /* a leak is found */
            arena_fini(&b.a);
        }
    }
}

static void holds_are_refused_where_they_must_be(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    {
        struct box b;

        box_init(&b, formats[f], 8 * MIB);
        assert_int_equal(space_add_ram(&b.s, 0, MIB), OK);
        assert_int_equal(space_add_rom(&b.s, MIB, MIB), OK);
        assert_int_equal(space_add_mmio(&b.s, 2 * MIB, MIB), OK);
        assert_int_equal(space_add_pass(&b.s, 3 * MIB, 3 * GIB, MIB, NESTED_RW, NESTED_UC), OK);
        assert_null(space_hold(&b.s, PAGE_SIZE - 1, 2, false)); /* crosses a page */
        assert_null(space_hold(&b.s, 0, PAGE_SIZE + 1, false));
        assert_null(space_hold(&b.s, 1, ~(size_t)0, false));
        assert_non_null(space_hold(&b.s, 0, PAGE_SIZE, false));
        space_release(&b.s, 0);
        assert_null(space_hold(&b.s, MIB, 1, true)); /* ROM, not filled and filled */
        assert_non_null(space_hold(&b.s, MIB, 1, false));
        space_release(&b.s, MIB);
        assert_null(space_hold(&b.s, MIB, 1, true));
        assert_null(space_hold(&b.s, 2 * MIB, 1, false));
        assert_null(space_hold(&b.s, 3 * MIB, 1, false));
        assert_null(space_hold(&b.s, 4 * MIB, 1, false));
        assert_null(space_hold(&b.s, 70 * GIB, 1, false));
        assert_null(space_hold(&b.s, BIT(46), 1, false));
        assert_null(space_hold(&b.s, ~0ull, 1, false));
        b.a.fail_at = b.a.allocs + 1;
        b.a.fail_after = true;
        assert_null(space_hold(&b.s, 16 * PAGE_SIZE, 1, false)); /* out of memory */
        box_fini(&b);
    }
}

static void a_filled_page_is_held_without_the_lock(void **state)
{
    (void)state;
    struct box b;

    box_init(&b, NESTED_EPT_AD, 8 * MIB);
    assert_int_equal(space_add_ram(&b.s, 0, MIB), OK);
    assert_non_null(space_hold(&b.s, 0, 1, false));
    spin_lock(&b.s.lock);
    assert_non_null(space_hold(&b.s, 0, 1, true)); /* would hang */
    assert_int_equal(space_fault(&b.s, 0, SPACE_WRITE), SPACE_RESOLVED);
    space_release(&b.s, 0);
    space_release(&b.s, 0);
    spin_unlock(&b.s.lock);
    box_fini(&b);
}

/* ---- copies --------------------------------------------------------------------------------- */

static void copies_cross_pages_and_regions(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    {
        static u8 out[3 * PAGE_SIZE], in[3 * PAGE_SIZE];
        struct box b;

        for (unsigned i = 0; i < sizeof(out); i++)
            out[i] = (u8)(i * 7 + 1);
        box_init(&b, formats[f], 8 * MIB);
        assert_int_equal(space_add_ram(&b.s, 0, MIB), OK);
        assert_int_equal(space_add_ram(&b.s, MIB, MIB), OK);
        assert_int_equal(space_write(&b.s, MIB - PAGE_SIZE - 9, out, sizeof(out)), OK);
        assert_int_equal(space_read(&b.s, MIB - PAGE_SIZE - 9, in, sizeof(in)), OK);
        assert_memory_equal(in, out, sizeof(in));
        assert_int_equal(space_zero(&b.s, MIB - 5, 11), OK);
        memset(out + PAGE_SIZE + 9 - 5, 0, 11);
        assert_int_equal(space_read(&b.s, MIB - PAGE_SIZE - 9, in, sizeof(in)), OK);
        assert_memory_equal(in, out, sizeof(in));
        assert_int_equal(space_read(&b.s, 0, NULL, 0), OK);
        box_fini(&b);
    }
}

static void reading_and_zeroing_fill_nothing(void **state)
{
    (void)state;
    struct box b;
    u8 buf[100];

    box_init(&b, NESTED_NPT, 8 * MIB);
    assert_int_equal(space_add_ram(&b.s, 0, 4 * MIB), OK);
    assert_int_equal(space_add_rom(&b.s, 4 * MIB, PAGE_SIZE), OK);
    memset(buf, 1, sizeof(buf));
    assert_int_equal(space_read(&b.s, PAGE_SIZE - 50, buf, 100), OK);
    for (unsigned i = 0; i < sizeof(buf); i++)
        assert_int_equal(buf[i], 0);
    assert_int_equal(space_read(&b.s, 4 * MIB, buf, 100), OK);
    assert_int_equal(space_zero(&b.s, 0, 4 * MIB), OK);
    assert_int_equal(b.s.stats.resident_pages, 0);
    box_fini(&b);
}

static void copies_fail_where_there_is_no_memory(void **state)
{
    (void)state;
    struct box b;
    u8 buf[PAGE_SIZE] = {0}, back[4];

    box_init(&b, NESTED_EPT_SOFT_AD, 8 * MIB);
    assert_int_equal(space_add_ram(&b.s, 0, MIB), OK);
    assert_int_equal(space_add_rom(&b.s, 2 * MIB, PAGE_SIZE), OK);
    memcpy(buf, "abcd", 4);
    assert_int_equal(space_write(&b.s, MIB - 4, buf, 5), ERR_RANGE);
    assert_int_equal(space_read(&b.s, MIB - 4, back, 4), OK); /* what came before is written */
    assert_memory_equal(back, "abcd", 4);
    assert_int_equal(space_read(&b.s, MIB - 4, buf, 5), ERR_RANGE);
    assert_int_equal(space_zero(&b.s, MIB - 4, 5), ERR_RANGE);
    assert_int_equal(space_read(&b.s, BIT(46) - 1, buf, 1), ERR_RANGE);
    assert_int_equal(space_read(&b.s, BIT(46) - 1, buf, 2), ERR_RANGE);
    assert_int_equal(space_read(&b.s, ~0ull, buf, 2), ERR_RANGE);
    assert_int_equal(space_write(&b.s, ~0ull - 1, buf, PAGE_SIZE), ERR_RANGE);
    assert_int_equal(space_zero(&b.s, 0, ~0ull), ERR_RANGE);
    /* ROM: not by write, but by load, and then it counts as written. */
    assert_int_equal(space_write(&b.s, 2 * MIB, buf, 4), ERR_RANGE);
    assert_int_equal(space_zero(&b.s, 2 * MIB, 4), OK); /* it is zero */
    assert_int_equal(space_load(&b.s, 2 * MIB, "rom", 4), OK);
    assert_int_equal(space_zero(&b.s, 2 * MIB, 4), ERR_RANGE);
    assert_int_equal(space_read(&b.s, 2 * MIB, back, 4), OK);
    assert_memory_equal(back, "rom", 4);
    assert_int_equal(attr_at(&b.s, 2 * MIB, &(unsigned){0}), NESTED_RX | NESTED_A | NESTED_D);
    b.a.fail_at = b.a.allocs + 1;
    b.a.fail_after = true;
    assert_int_equal(space_write(&b.s, 5 * PAGE_SIZE, buf, 1), ERR_NOMEM);
    assert_int_equal(space_load(&b.s, 5 * PAGE_SIZE, buf, 1), ERR_NOMEM);
    assert_int_equal(space_read(&b.s, 5 * PAGE_SIZE, buf, 1), OK);
    box_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_give_the_bytes_and_mark_the_page),
        cmocka_unit_test(holds_are_refused_where_they_must_be),
        cmocka_unit_test(a_filled_page_is_held_without_the_lock),
        cmocka_unit_test(copies_cross_pages_and_regions),
        cmocka_unit_test(reading_and_zeroing_fill_nothing),
        cmocka_unit_test(copies_fail_where_there_is_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
