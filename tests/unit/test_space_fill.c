/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest spaces: with pages of which size memory is filled, on demand and at start. */
#include "mm/space.h"
#include "tests/unit/space_box.h"

static void all_zero(struct space *s, gpa_t gpa, u64 size)
{
    u64 level_size;

    for (gpa_t at = gpa; at < gpa + size; at += level_size) {
        unsigned level;
        u64 value;
        const u8 *p;

        nested_lookup(&s->tables, at, &level, &value);
        level_size = NESTED_SIZE(level);
        if (!nested_valid(value))
            continue;
        p = (const u8 *)(nested_leaf_hpa(value, level) + s->tables.hva_base);
        assert_true(p[0] == 0 && memcmp(p, p + 1, level_size - 1) == 0);
    }
}

static void demand_fill_takes_the_largest_page_that_fits(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    {
        const struct {
            gpa_t gpa;
            unsigned level;
        } touch[] = {
            {640 * KIB, 0}, /* no memory */
            {639 * KIB, 1}, /* the region ends inside these 2 MiB */
            {MIB, 1},       /* it begins inside */
            {2 * MIB + 12345, 2},
            {4 * MIB - 1, 2}, /* the same page */
            {8 * MIB, 2},
            {12 * MIB + PAGE_SIZE, 1}, /* it ends inside */
        };
        struct box b;
        unsigned level;

        box_init(&b, formats[f], 32 * MIB);
        assert_int_equal(space_add_ram(&b.s, 0, 640 * KIB), OK);
        assert_int_equal(space_add_ram(&b.s, MIB, 12 * MIB), OK);
        for (unsigned i = 0; i < ARRAY_SIZE(touch); i++) {
            enum space_result r = space_fault(&b.s, touch[i].gpa, SPACE_WRITE);

            assert_int_equal(r, touch[i].level ? SPACE_RESOLVED : SPACE_MMIO);
            if (!touch[i].level)
                continue;
            assert_int_equal(attr_at(&b.s, touch[i].gpa, &level), NESTED_RWX | NESTED_A | NESTED_D);
            assert_int_equal(level, touch[i].level);
        }
        all_zero(&b.s, 0, 13 * MIB);
        assert_int_equal(b.s.stats.resident_pages, 3 + 2 * 512);
        assert_int_equal(b.s.stats.fills[2], 2);
        box_fini(&b);
    }
}

/* The level that a first touch of 2 MiB + 5 pages in 8 MiB of RAM gives. */
static unsigned level_filled(struct box *b)
{
    unsigned level;

    assert_int_equal(space_add_ram(&b->s, 0, 8 * MIB), OK);
    assert_int_equal(space_fault(&b->s, 2 * MIB + 5 * PAGE_SIZE, SPACE_READ), SPACE_RESOLVED);
    assert_int_equal(attr_at(&b->s, 2 * MIB + 5 * PAGE_SIZE, &level), NESTED_RWX | NESTED_A);
    all_zero(&b->s, 0, 8 * MIB);
    return level;
}

static void demand_fill_minds_processor_policy_and_memory(void **state)
{
    (void)state;
    struct box b;

    box_arena(&b, NESTED_EPT_SOFT_AD, 16 * MIB); /* a processor with small pages only */
    b.cfg.caps.page_2m = false;
    assert_int_equal(space_init(&b.s, &b.cfg), OK);
    assert_int_equal(level_filled(&b), 1);
    box_fini(&b);

    box_arena(&b, NESTED_NPT, 16 * MIB); /* the configuration asks for small pages */
    b.cfg.demand_leaf = 1;
    assert_int_equal(space_init(&b.s, &b.cfg), OK);
    assert_int_equal(level_filled(&b), 1);
    box_fini(&b);

    box_init(&b, NESTED_NPT, 16 * MIB); /* memory is there, but scattered */
    b.a.max_order = 8;
    assert_int_equal(level_filled(&b), 1);
    box_fini(&b);

    box_arena(&b, NESTED_NPT, 16 * MIB); /* memory is short: less than the reserve would stay */
    b.cfg.reserve = b.a.free_at_start - 512;
    assert_int_equal(space_init(&b.s, &b.cfg), OK);
    assert_int_equal(level_filled(&b), 1);
    box_fini(&b);

    box_arena(&b, NESTED_NPT, 16 * MIB); /* just enough, the root table counted */
    b.cfg.reserve = b.a.free_at_start - 513;
    assert_int_equal(space_init(&b.s, &b.cfg), OK);
    assert_int_equal(level_filled(&b), 2);
    box_fini(&b);
}

static void a_small_page_keeps_its_neighbours_small(void **state)
{
    (void)state;
    struct box b;
    unsigned level;

    box_init(&b, NESTED_NPT, 16 * MIB);
    assert_int_equal(space_add_ram(&b.s, 0, 8 * MIB), OK);
    b.a.max_order = 8;
    assert_int_equal(space_fault(&b.s, 2 * MIB, SPACE_READ), SPACE_RESOLVED);
    b.a.max_order = FRAME_ORDER_MAX;
    assert_int_equal(space_fault(&b.s, 2 * MIB + PAGE_SIZE, SPACE_READ), SPACE_RESOLVED);
    attr_at(&b.s, 2 * MIB + PAGE_SIZE, &level);
    assert_int_equal(level, 1);
    box_fini(&b);
}

static void a_1g_page_is_filled_where_wanted(void **state)
{
    (void)state;
    struct box b;
    unsigned level;

    /* Not through box_arena, which would touch all of the memory. */
    memset(&b, 0, sizeof(b));
    arena_init(&b.a, 2 * GIB + 16 * MIB);
    b.cfg =
        (struct space_config){.caps = {.format = NESTED_EPT_AD, .page_2m = true, .page_1g = true},
                              .src = &b.a.source,
                              .demand_leaf = 3};
    assert_int_equal(space_init(&b.s, &b.cfg), OK);
    assert_int_equal(space_add_ram(&b.s, 0, 3 * GIB), OK);
    assert_int_equal(space_fault(&b.s, 2 * GIB + 77, SPACE_WRITE), SPACE_RESOLVED);
    assert_int_equal(attr_at(&b.s, 2 * GIB, &level), NESTED_RWX | NESTED_A | NESTED_D);
    assert_int_equal(level, 3);
    /* Holds find their way through it. */
    *(u8 *)space_hold(&b.s, 2 * GIB + 5 * MIB + 3, 1, true) = 0x5a;
    space_release(&b.s, 2 * GIB + 5 * MIB);
    assert_int_equal(*(u8 *)space_hold(&b.s, 2 * GIB + 5 * MIB + 3, 1, false), 0x5a);
    space_release(&b.s, 2 * GIB + 5 * MIB);
    assert_int_equal(space_protect(&b.s, 2 * GIB + 5 * MIB, PAGE_SIZE, NESTED_R), OK);
    assert_null(space_hold(&b.s, 2 * GIB + 5 * MIB + 3, 1, true));
    assert_int_equal(*(u8 *)space_hold(&b.s, 2 * GIB + 5 * MIB + 3, 1, false), 0x5a);
    space_release(&b.s, 2 * GIB + 5 * MIB);
    assert_int_equal(b.s.stats.resident_pages, GIB >> PAGE_SHIFT);
    box_fini(&b);
}

static void boot_fill_fills_all(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    {
        struct box b;
        unsigned level;

        box_arena(&b, formats[f], 16 * MIB);
        b.cfg.fill_boot = true;
        b.cfg.demand_leaf = 1;
        assert_int_equal(space_init(&b.s, &b.cfg), OK);
        assert_int_equal(space_add_ram(&b.s, MIB, 5 * MIB), OK);
        assert_int_equal(b.s.stats.resident_pages, 5 * 256);
        assert_int_equal(b.s.tables.leaves[2], 2);
        assert_int_equal(b.s.tables.leaves[1], 256);
        assert_int_equal(attr_at(&b.s, 2 * MIB, &level), NESTED_RWX); /* not accessed, not dirty */
        all_zero(&b.s, MIB, 5 * MIB);
        assert_int_equal(space_add_ram(&b.s, 16 * MIB, 16 * MIB), ERR_NOMEM);
        box_fini(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(demand_fill_takes_the_largest_page_that_fits),
        cmocka_unit_test(demand_fill_minds_processor_policy_and_memory),
        cmocka_unit_test(a_small_page_keeps_its_neighbours_small),
        cmocka_unit_test(a_1g_page_is_filled_where_wanted),
        cmocka_unit_test(boot_fill_fills_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
