/* SPDX-License-Identifier: BSD-2-Clause */
/* Promotion and demotion: when small pages become large ones, when not, and what is kept. */
#include "mm/space.h"
#include "tests/unit/space_box.h"

/* Fills the 2 MiB at gpa with small pages, all but the last, each with a word of its own. */
static void fill_small(struct box *b, gpa_t gpa)
{
    b->a.max_order = 8;
    for (u32 i = 0; i < 511; i++)
        assert_int_equal(space_write(&b->s, gpa + i * PAGE_SIZE + 8, &i, sizeof(i)), OK);
    b->a.max_order = FRAME_ORDER_MAX;
}

static void check_words(struct box *b, gpa_t gpa)
{
    for (u32 i = 0; i < 511; i++) {
        u32 word;

        assert_int_equal(space_read(&b->s, gpa + i * PAGE_SIZE + 8, &word, sizeof(word)), OK);
        assert_int_equal(word, i);
    }
}

static void the_last_small_page_completes_a_large_one(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    {
        struct box b;
        unsigned level;
        u64 pages;

        box_init(&b, formats[f], 16 * MIB);
        assert_int_equal(space_add_ram(&b.s, 0, 8 * MIB), OK);
        fill_small(&b, 2 * MIB);
        pages = b.s.tables.tables;
        assert_int_equal(level_at(&b.s, 2 * MIB), 1);
        assert_int_equal(space_fault(&b.s, 4 * MIB - 1, SPACE_READ), SPACE_RESOLVED);
        assert_int_equal(attr_at(&b.s, 2 * MIB, &level), NESTED_RWX | NESTED_A | NESTED_D);
        assert_int_equal(level, 2);
        assert_int_equal(b.s.stats.moves, 1);
        assert_int_equal(b.s.stats.resident_pages, 512);
        assert_int_equal(b.s.tables.tables, pages - 1);
        assert_int_equal(b.s.tables.leaves[1], 0);
        assert_int_equal(b.s.tables.leaves[2], 1);
        assert_int_equal(b.a.free_at_start - frames_free_count(&b.a.frames), 512 + pages - 1);
        check_words(&b, 2 * MIB);
        assert_true(box_guest(&b, 3 * MIB, CPU_W));
        box_fini(&b);
    }
}

static void accessed_and_dirty_are_united(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    for (unsigned which = 0; which < 3; which++) {
        struct box b;
        unsigned level;

        box_init(&b, formats[f], 16 * MIB);
        assert_int_equal(space_add_ram(&b.s, 0, 8 * MIB), OK);
        b.a.max_order = 8;
        for (gpa_t gpa = 2 * MIB; gpa < 4 * MIB; gpa += PAGE_SIZE)
            assert_int_equal(space_fault(&b.s, gpa, 0), SPACE_RESOLVED);
        assert_int_equal(attr_at(&b.s, 2 * MIB, &level), NESTED_RWX);
        assert_int_equal(level, 1);
        if (which > 0)
            assert_true(box_guest(&b, 2 * MIB + 77 * PAGE_SIZE, which == 1 ? CPU_R : CPU_W));
        b.a.max_order = FRAME_ORDER_MAX;
        assert_int_equal(space_promote(&b.s, 2 * MIB, 2 * MIB, true), 1);
        assert_int_equal(attr_at(&b.s, 2 * MIB, &level),
                         NESTED_RWX | (which > 0 ? NESTED_A : 0) | (which > 1 ? NESTED_D : 0));
        assert_int_equal(level, 2);
        box_fini(&b);
    }
}

static void restored_permissions_give_the_large_page_back(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    {
        struct box b;
        u64 before, after;
        unsigned level;

        box_init(&b, formats[f], 16 * MIB);
        assert_int_equal(space_add_ram(&b.s, 0, 8 * MIB), OK);
        assert_true(box_guest(&b, 2 * MIB, CPU_W));
        nested_lookup(&b.s.tables, 2 * MIB, &level, &before);
        assert_int_equal(space_protect(&b.s, 3 * MIB, PAGE_SIZE, NESTED_R), OK);
        assert_int_equal(level_at(&b.s, 2 * MIB), 1);
        assert_int_equal(space_promote(&b.s, 0, 8 * MIB, true), 0); /* not uniform */
        assert_int_equal(space_protect(&b.s, 3 * MIB, PAGE_SIZE, NESTED_RWX), OK);
        nested_lookup(&b.s.tables, 2 * MIB, &level, &after);
        assert_int_equal(level, 2);
        assert_int_equal(after, before); /* the very same frames */
        assert_int_equal(b.s.tables.splits, 1);
        assert_int_equal(b.s.stats.promotions, 1);
        box_fini(&b);
    }
}

static void a_gigabyte_comes_together_again(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    {
        struct box b;

        box_arena(&b, formats[f], 8 * MIB);
        b.cfg.demand_leaf = 3;
        assert_int_equal(space_init(&b.s, &b.cfg), OK);
        assert_int_equal(space_add_pass(&b.s, GIB, 4 * GIB, 2 * GIB, NESTED_RW, NESTED_WB), OK);
        assert_int_equal(level_at(&b.s, GIB), 3);
        assert_int_equal(space_protect(&b.s, GIB + 5 * PAGE_SIZE, PAGE_SIZE, NESTED_R), OK);
        assert_int_equal(level_at(&b.s, GIB), 1);
        assert_int_equal(level_at(&b.s, GIB + 2 * MIB), 2);
        assert_int_equal(b.s.tables.tables, 4);
        assert_int_equal(space_protect(&b.s, GIB + 5 * PAGE_SIZE, PAGE_SIZE, NESTED_RW), OK);
        assert_int_equal(level_at(&b.s, GIB), 3);
        assert_int_equal(b.s.tables.tables, 2);
        assert_int_equal(b.s.tables.leaves[3], 2);
        assert_int_equal(b.s.stats.promotions, 2);
        box_fini(&b);
    }
}

static void a_held_page_is_not_promoted(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    for (unsigned move = 0; move < 2; move++) {
        struct box b;
        u8 *p;

        box_init(&b, formats[f], 16 * MIB);
        assert_int_equal(space_add_ram(&b.s, 0, 8 * MIB), OK);
        if (move) {
            fill_small(&b, 2 * MIB);
        } else {
            assert_true(box_guest(&b, 2 * MIB, CPU_W));
            assert_int_equal(space_protect(&b.s, 4 * MIB - PAGE_SIZE, PAGE_SIZE, NESTED_R), OK);
        }
        p = space_hold(&b.s, 3 * MIB, 1, true);
        if (move)
            assert_int_equal(space_fault(&b.s, 4 * MIB - 1, SPACE_WRITE), SPACE_RESOLVED);
        else
            assert_int_equal(space_protect(&b.s, 4 * MIB - PAGE_SIZE, PAGE_SIZE, NESTED_RWX), OK);
        assert_int_equal(level_at(&b.s, 3 * MIB), 1);
        assert_int_equal(b.s.stats.promotions_held, 1);
        assert_int_equal(b.s.stats.promotions + b.s.stats.moves, 0);
        *p = 0x77; /* it is still the page */
        assert_int_equal(*(u8 *)space_hold(&b.s, 3 * MIB, 1, false), 0x77);
        space_release(&b.s, 3 * MIB);
        space_release(&b.s, 3 * MIB);
        assert_true(box_guest(&b, 3 * MIB, CPU_W));
        assert_int_equal(space_promote(&b.s, 0, 8 * MIB, true), 1);
        assert_int_equal(level_at(&b.s, 3 * MIB), 2);
        assert_int_equal(*(u8 *)space_hold(&b.s, 3 * MIB, 1, false), 0x77);
        space_release(&b.s, 3 * MIB);
        box_fini(&b);
    }
}

static void promotion_stays_within_its_limits(void **state)
{
    (void)state;
    struct box b;

    /* Two regions share 2 MiB. */
    box_init(&b, NESTED_NPT, 16 * MIB);
    assert_int_equal(space_add_ram(&b.s, 2 * MIB, MIB), OK);
    assert_int_equal(space_add_ram(&b.s, 3 * MIB, MIB), OK);
    fill_small(&b, 2 * MIB);
    assert_int_equal(space_fault(&b.s, 4 * MIB - 1, SPACE_WRITE), SPACE_RESOLVED);
    assert_int_equal(space_promote(&b.s, 0, ~0ull, true), 0);
    assert_int_equal(level_at(&b.s, 2 * MIB), 1);
    box_fini(&b);

    /* Small pages are wanted. */
    box_arena(&b, NESTED_NPT, 16 * MIB);
    b.cfg.demand_leaf = 1;
    assert_int_equal(space_init(&b.s, &b.cfg), OK);
    assert_int_equal(space_add_ram(&b.s, 0, 8 * MIB), OK);
    fill_small(&b, 2 * MIB);
    assert_int_equal(space_fault(&b.s, 4 * MIB - 1, SPACE_WRITE), SPACE_RESOLVED);
    assert_int_equal(space_promote(&b.s, 0, 8 * MIB, true), 0);
    assert_int_equal(level_at(&b.s, 2 * MIB), 1);
    box_fini(&b);

    /* Memory is short, or scattered. */
    box_init(&b, NESTED_NPT, 16 * MIB);
    assert_int_equal(space_add_ram(&b.s, 0, 8 * MIB), OK);
    fill_small(&b, 2 * MIB);
    b.s.reserve = frames_free_count(&b.a.frames) - 511;
    assert_int_equal(space_fault(&b.s, 4 * MIB - 1, SPACE_WRITE), SPACE_RESOLVED);
    assert_int_equal(level_at(&b.s, 2 * MIB), 1);
    b.s.reserve = 0;
    b.a.max_order = 8;
    assert_int_equal(space_promote(&b.s, 0, 8 * MIB, true), 0);
    b.a.max_order = 9;
    assert_int_equal(space_promote(&b.s, 0, 8 * MIB, false), 0); /* not contiguous */
    assert_int_equal(space_promote(&b.s, BIT(46), 8 * MIB, true), 0);
    assert_int_equal(space_promote(&b.s, 0, 8 * MIB, true), 1);
    check_words(&b, 2 * MIB);
    box_fini(&b);
}

static void who_is_in_the_guest_is_waited_for(void **state)
{
    (void)state;
    struct space_view v = {0};
    struct box b;

    box_init(&b, NESTED_EPT_AD, 16 * MIB);
    assert_int_equal(space_add_ram(&b.s, 0, 8 * MIB), OK);
    assert_int_equal(space_attach(&b.s, &v), OK);
    fill_small(&b, 2 * MIB);
    assert_true(space_enter(&b.s, &v, 9));
    space_flushed(&v);
    b.kicked.leaves = &v;
    assert_int_equal(space_fault(&b.s, 4 * MIB - 1, SPACE_WRITE), SPACE_RESOLVED);
    assert_int_equal(b.s.stats.moves, 1);
    assert_int_equal(b.kicked.count, 1);
    assert_int_equal(b.kicked.last, 9);
    assert_true(space_enter(&b.s, &v, 9));
    space_leave(&v);
    space_detach(&b.s, &v);
    box_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_small_page_completes_a_large_one),
        cmocka_unit_test(accessed_and_dirty_are_united),
        cmocka_unit_test(restored_permissions_give_the_large_page_back),
        cmocka_unit_test(a_gigabyte_comes_together_again),
        cmocka_unit_test(a_held_page_is_not_promoted),
        cmocka_unit_test(promotion_stays_within_its_limits),
        cmocka_unit_test(who_is_in_the_guest_is_waited_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
