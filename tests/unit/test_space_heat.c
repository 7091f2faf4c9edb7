/* SPDX-License-Identifier: BSD-2-Clause */
/* The working set and reclaim: which pages grow old, which go back, and which must not. */
#include "mm/space.h"
#include "tests/unit/space_box.h"
#include "tests/unit/random.h"

#define RAM 8 * MIB

static void small_box(struct box *b, enum nested_format_id format)
{
    box_arena(b, format, 24 * MIB);
    b->cfg.demand_leaf = 1;
    assert_int_equal(space_init(&b->s, &b->cfg), OK);
    assert_int_equal(space_add_ram(&b->s, 0, RAM), OK);
}

static void large_box(struct box *b, enum nested_format_id format)
{
    box_init(b, format, 24 * MIB);
    assert_int_equal(space_add_ram(&b->s, 0, RAM), OK);
}

static u64 scan_hot(struct box *b)
{
    struct space_heat heat;

    assert_int_equal(space_scan(&b->s, &heat), OK);
    return heat.hot;
}

/* Nothing is accessed any more, as far as reclaim can see. */
static void cool(struct box *b)
{
    struct space_heat heat;

    assert_int_equal(space_scan(&b->s, &heat), OK);
}

/* ---- the working set ------------------------------------------------------------------------ */

static void pages_grow_old_until_they_are_used(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    {
        struct space_heat heat;
        struct box b;

        small_box(&b, formats[f]);
        assert_int_equal(space_add_rom(&b.s, 16 * MIB, MIB), OK);
        assert_int_equal(space_add_mmio(&b.s, 32 * MIB, MIB), OK);
        assert_int_equal(space_age(&b.s, 0), SPACE_AGE_NONE); /* no scan yet */
        for (unsigned i = 0; i < 10; i++)
            assert_true(box_guest(&b, i * PAGE_SIZE, i & 1 ? CPU_W : CPU_R));
        assert_true(box_guest(&b, 16 * MIB, CPU_X));
        for (unsigned round = 0; round < 300; round++) {
            assert_true(box_guest(&b, 3 * PAGE_SIZE, CPU_R)); /* in use all the time */
            if (round == 299)
                assert_non_null(space_hold(&b.s, 5 * PAGE_SIZE, 1, false)); /* by skep, too */
            assert_int_equal(space_scan(&b.s, &heat), OK);
            assert_int_equal(space_age(&b.s, 3 * PAGE_SIZE), 0);
            assert_int_equal(space_age(&b.s, 16 * MIB), MIN(round, SPACE_AGE_MAX));
            assert_int_equal(space_age(&b.s, 10 * PAGE_SIZE), SPACE_AGE_NONE);
            assert_int_equal(heat.hot, round == 0 ? 11 : round == 299 ? 2 : 1);
            assert_int_equal(heat.warm, round > 0 && round <= SPACE_AGE_WARM ? 10 : 0);
            assert_int_equal(heat.hot + heat.warm + heat.cold, 11);
            assert_int_equal(heat.empty, (RAM + MIB) / PAGE_SIZE - 11);
        }
        space_release(&b.s, 5 * PAGE_SIZE);
        assert_int_equal(space_age(&b.s, 5 * PAGE_SIZE), 0);
        box_fini(&b);
    }
}

static void a_large_page_counts_whole(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    {
        struct space_heat heat;
        struct box b;

        large_box(&b, formats[f]);
        assert_true(box_guest(&b, 2 * MIB + 5, CPU_R));
        assert_int_equal(scan_hot(&b), 512);
        assert_int_equal(space_scan(&b.s, &heat), OK);
        assert_int_equal(heat.warm, 512);
        assert_int_equal(space_age(&b.s, 4 * MIB - 1), 1);
        box_fini(&b);
    }
}

static void accessed_and_dirty_are_apart(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    {
        struct box b;

        small_box(&b, formats[f]);
        assert_true(box_guest(&b, 0, CPU_W));
        assert_int_equal(scan_hot(&b), 1);
        assert_int_equal(attr_at(&b.s, 0, &(unsigned){0}), NESTED_RWX | NESTED_D); /* still dirty */
        assert_true(box_guest(&b, 0, CPU_R));
        assert_int_equal(attr_at(&b.s, 0, &(unsigned){0}), NESTED_RWX | NESTED_A | NESTED_D);
        assert_int_equal(scan_hot(&b), 1);
        box_fini(&b);
    }
}

static void who_is_in_the_guest_is_flushed_if_anything_was_cleared(void **state)
{
    (void)state;
    struct space_view v = {0};
    struct box b;

    small_box(&b, NESTED_EPT_AD);
    assert_int_equal(space_attach(&b.s, &v), OK);
    assert_true(box_guest(&b, 0, CPU_W));
    assert_true(space_enter(&b.s, &v, 4));
    space_flushed(&v);
    assert_int_equal(scan_hot(&b), 1);
    assert_int_equal(b.kicked.count, 1); /* told, not waited for */
    space_leave(&v);
    assert_true(space_enter(&b.s, &v, 4));
    space_flushed(&v);
    assert_int_equal(scan_hot(&b), 0);
    assert_int_equal(b.kicked.count, 1);
    space_leave(&v);
    space_detach(&b.s, &v);
    box_fini(&b);
}

/* The same guest work gives the same heat, whether hardware keeps the bits or skep does. */
static void the_formats_agree_on_the_working_set(void **state)
{
    (void)state;
    static u8 ages[ARRAY_SIZE(formats)][RAM / PAGE_SIZE];

    FOR_FORMATS(f)
    {
        struct box b;
        u64 seed = 77;

        small_box(&b, formats[f]);
        for (unsigned round = 0; round < 6; round++) {
            for (unsigned i = 0; i < 400; i++)
                assert_true(box_guest(&b, random_u64(&seed) % (RAM), 1 + random_u64(&seed) % 7));
            cool(&b);
        }
        for (u64 i = 0; i < RAM / PAGE_SIZE; i++)
            ages[f][i] = space_age(&b.s, i * PAGE_SIZE);
        box_fini(&b);
    }
    assert_memory_equal(ages[0], ages[1], sizeof(ages[0]));
    assert_memory_equal(ages[0], ages[2], sizeof(ages[0]));
}

static void the_map_shows_the_hottest_of_each_chunk(void **state)
{
    (void)state;
    struct box b;
    char cells[17] = {0};

    /* RAM to 8 MiB, a hole, ROM from 16 to 17 MiB, a device, RAM from 24 to 32 MiB. */
    box_init(&b, NESTED_EPT_SOFT_AD, 32 * MIB);
    assert_int_equal(space_add_ram(&b.s, 0, RAM), OK);
    assert_int_equal(space_add_rom(&b.s, 16 * MIB, MIB), OK);
    assert_int_equal(space_add_mmio(&b.s, 20 * MIB, MIB), OK);
    assert_int_equal(space_add_ram(&b.s, 24 * MIB, RAM), OK);
    space_map(&b.s, 0, 2 * MIB, cells, 16);
    assert_string_equal(cells, "....    .   ....");
    assert_true(box_guest(&b, 2 * MIB, CPU_R));
    assert_true(box_guest(&b, 4 * MIB, CPU_W));
    assert_true(box_guest(&b, 16 * MIB, CPU_R));
    assert_true(box_guest(&b, 26 * MIB, CPU_R));
    for (unsigned i = 0; i < 5; i++)
        cool(&b);
    assert_true(box_guest(&b, 26 * MIB, CPU_R));
    cool(&b);
    assert_true(box_guest(&b, 2 * MIB, CPU_R));
    cool(&b);
    space_map(&b.s, 0, 2 * MIB, cells, 16);
    assert_string_equal(cells, ".#-.    -   .+..");
    space_map(&b.s, 0, 32 * MIB, cells, 16); /* to 512 MiB */
    assert_string_equal(cells, "#               ");
    space_map(&b.s, 16 * MIB - 8 * PAGE_SIZE, 4 * PAGE_SIZE, cells, 16);
    assert_string_equal(cells, "  -.............");
    space_map(&b.s, BIT(46) - PAGE_SIZE, PAGE_SIZE, cells, 16);
    assert_string_equal(cells, "                ");
    box_fini(&b);
}

static void a_scan_may_lack_memory(void **state)
{
    (void)state;
    struct space_heat heat;
    struct box b;

    small_box(&b, NESTED_NPT);
    b.a.fail_at = b.a.allocs + 1;
    assert_int_equal(space_scan(&b.s, &heat), ERR_NOMEM);
    assert_int_equal(space_scan(&b.s, &heat), OK);
    box_fini(&b);
}

/* ---- reclaim -------------------------------------------------------------------------------- */

static void cold_zero_pages_go_back(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    {
        struct box b;
        u64 empty;
        u8 byte;

        small_box(&b, formats[f]);
        empty = frames_free_count(&b.a.frames);
        for (unsigned i = 0; i < 100; i++)
            assert_true(box_guest(&b, i * 17 * PAGE_SIZE, CPU_W));
        assert_int_equal(space_reclaim(&b.s, ~0ull), 0); /* just used: a second chance */
        assert_int_equal(space_reclaim(&b.s, ~0ull), 100);
        assert_int_equal(b.s.stats.resident_pages, 0);
        assert_int_equal(b.s.stats.reclaimed, 100);
        assert_int_equal(frames_free_count(&b.a.frames), empty); /* the tables as well */
        assert_int_equal(b.s.tables.tables, 1);
        assert_int_equal(space_read(&b.s, 0, &byte, 1), OK);
        assert_int_equal(byte, 0);
        assert_true(box_guest(&b, 0, CPU_W));
        box_fini(&b);
    }
}

static void what_must_stay_stays(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    {
        struct box b;
        u64 bitmap[RAM / PAGE_SIZE / 64] = {0};

        small_box(&b, formats[f]);
        assert_int_equal(space_add_rom(&b.s, 16 * MIB, MIB), OK);
        assert_int_equal(space_add_pass(&b.s, 20 * MIB, 0, MIB, NESTED_RW, NESTED_UC), OK);
        for (unsigned i = 0; i < 6; i++)
            assert_true(box_guest(&b, i * PAGE_SIZE, CPU_W));
        assert_true(box_guest(&b, 16 * MIB, CPU_R));
        assert_int_equal(space_write(&b.s, 2 * PAGE_SIZE - 1, "x", 1), OK); /* 1: not zero */
        assert_int_equal(space_protect(&b.s, 2 * PAGE_SIZE, PAGE_SIZE, NESTED_R), OK);
        cool(&b);
        assert_non_null(space_hold(&b.s, 3 * PAGE_SIZE, 1, false)); /* 3: held */
        cool(&b);
        assert_true(box_guest(&b, 4 * PAGE_SIZE, CPU_R)); /* 4: in use */
        assert_int_equal(space_reclaim(&b.s, ~0ull), 2);  /* 0 and 5 */
        for (unsigned i = 0; i < 6; i++)
            assert_int_equal(level_at(&b.s, i * PAGE_SIZE), i % 5 ? 1 : 0);
        assert_int_equal(level_at(&b.s, 16 * MIB), 1);
        assert_int_equal(level_at(&b.s, 20 * MIB), 1);
        space_release(&b.s, 3 * PAGE_SIZE);

        /* While the log runs, what is dirty must come up in it first. */
        assert_int_equal(space_log_start(&b.s, 0, false), OK);
        assert_true(box_guest(&b, 6 * PAGE_SIZE, CPU_W));
        cool(&b);
        assert_int_equal(space_reclaim(&b.s, ~0ull), 2); /* 3 and 4, clean since the start */
        assert_int_equal(level_at(&b.s, 6 * PAGE_SIZE), 1);
        assert_int_equal(space_log_harvest(&b.s, 0, bitmap), 1);
        assert_int_equal(bitmap[0], BIT(6));
        assert_int_equal(space_reclaim(&b.s, ~0ull), 1);
        box_fini(&b);
    }
}

/* A store for 64 pages from 0 on, by page number. */
struct shelf {
    u8 page[64][PAGE_SIZE];
    u64 there;
    bool full;
};

static bool shelf_put(void *arg, gpa_t gpa, const void *page)
{
    struct shelf *s = arg;
    u64 i = gpa >> PAGE_SHIFT;

    if (s->full || i >= 64)
        return false;
    assert_false(s->there & BIT(i));
    memcpy(s->page[i], page, PAGE_SIZE);
    s->there |= BIT(i);
    return true;
}

static bool shelf_get(void *arg, gpa_t gpa, void *page)
{
    struct shelf *s = arg;
    u64 i = gpa >> PAGE_SHIFT;

    if (i >= 64 || !(s->there & BIT(i)))
        return false;
    memcpy(page, s->page[i], PAGE_SIZE);
    return true;
}

static void shelf_drop(void *arg, gpa_t gpa)
{
    if (gpa >> PAGE_SHIFT < 64)
        ((struct shelf *)arg)->there &= ~BIT(gpa >> PAGE_SHIFT);
}

/* Pages that are not zero go to the store and come back, one by one or under a large page. */
static void a_store_takes_what_is_not_zero(void **state)
{
    static struct shelf shelf;
    const struct space_store store = {shelf_put, shelf_get, shelf_drop, &shelf};

    (void)state;
    FOR_FORMATS(f)
    for (unsigned large = 0; large < 2; large++) {
        struct box b;
        u8 byte;

        memset(&shelf, 0, sizeof(shelf));
        if (large)
            large_box(&b, formats[f]);
        else
            small_box(&b, formats[f]);
        b.s.store = &store;
        for (u8 i = 0; i < 60; i += 2)
            assert_int_equal(space_write(&b.s, i * PAGE_SIZE + i, (u8[]){i + 1}, 1), OK);
        shelf.full = true;
        for (unsigned i = 0; i < 3; i++) {
            cool(&b);
            space_reclaim(&b.s, ~0ull);
        }
        assert_int_equal(shelf.there, 0);
        assert_int_equal(b.s.stats.resident_pages, 30); /* zero pages are gone */
        assert_int_equal(space_hold(&b.s, 0, 1, false) != NULL, 1);
        shelf.full = false;
        cool(&b);
        assert_int_equal(space_reclaim(&b.s, ~0ull), 29);
        assert_int_equal(shelf.there, 0x555555555555554ull);
        space_release(&b.s, 0);
        for (u8 i = 0; i < 64; i++) {
            assert_int_equal(space_read(&b.s, i * PAGE_SIZE + i, &byte, 1), OK);
            assert_int_equal(byte, i < 60 && !(i & 1) ? i + 1 : 0);
            assert_false(shelf.there & BIT(i));
        }
        /* What has come back as zero and goes again is not what was once kept. */
        assert_int_equal(space_zero(&b.s, 2 * PAGE_SIZE, PAGE_SIZE), OK);
        cool(&b);
        cool(&b);
        space_reclaim(&b.s, ~0ull);
        assert_int_equal(level_at(&b.s, 2 * PAGE_SIZE), 0);
        assert_int_equal(space_read(&b.s, 2 * PAGE_SIZE + 2, &byte, 1), OK);
        assert_int_equal(byte, 0);
        box_fini(&b);
    }
}

static void large_pages_go_whole_or_are_split(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    {
        struct box b;
        u8 byte;

        large_box(&b, formats[f]);
        for (gpa_t gpa = 0; gpa < RAM; gpa += 2 * MIB)
            assert_true(box_guest(&b, gpa, CPU_W));
        /* The second is used in part, the third nearly everywhere; the fourth is held. */
        for (unsigned i = 0; i < 100; i++)
            assert_int_equal(space_write(&b.s, 2 * MIB + i * 3 * PAGE_SIZE, "u", 1), OK);
        for (unsigned i = 10; i < 512; i++)
            assert_int_equal(space_write(&b.s, 4 * MIB + i * PAGE_SIZE, "u", 1), OK);
        assert_non_null(space_hold(&b.s, 6 * MIB, 1, false));
        cool(&b);
        assert_int_equal(space_reclaim(&b.s, ~0ull), 512 + 412);
        assert_int_equal(level_at(&b.s, 0), 0);
        assert_int_equal(level_at(&b.s, 2 * MIB), 1);
        assert_int_equal(level_at(&b.s, 2 * MIB + PAGE_SIZE), 0);
        assert_int_equal(level_at(&b.s, 4 * MIB), 2);
        assert_int_equal(level_at(&b.s, 6 * MIB), 2);
        assert_int_equal(b.s.tables.splits, 1);
        for (unsigned i = 0; i < 100; i++) {
            assert_int_equal(space_read(&b.s, 2 * MIB + i * 3 * PAGE_SIZE, &byte, 1), OK);
            assert_int_equal(byte, 'u');
        }
        space_release(&b.s, 6 * MIB);
        box_fini(&b);
    }
}

static void reclaim_takes_no_more_than_asked_and_goes_on(void **state)
{
    (void)state;
    struct box b;

    small_box(&b, NESTED_EPT_SOFT_AD);
    for (unsigned i = 0; i < 2048; i++)
        assert_true(box_guest(&b, i * PAGE_SIZE, CPU_R));
    cool(&b);
    assert_int_equal(space_reclaim(&b.s, 100), 100);
    assert_int_equal(level_at(&b.s, 99 * PAGE_SIZE), 0);
    assert_int_equal(level_at(&b.s, 100 * PAGE_SIZE), 1);
    assert_int_equal(space_reclaim(&b.s, 100), 100); /* in the next 2 MiB */
    assert_int_equal(level_at(&b.s, 100 * PAGE_SIZE), 1);
    assert_int_equal(level_at(&b.s, 2 * MIB + 99 * PAGE_SIZE), 0);
    assert_int_equal(space_reclaim(&b.s, 0), 0);
    assert_int_equal(space_reclaim(&b.s, ~0ull), 1848);
    box_fini(&b);
}

/* A processor that still has the page in its TLB writes until it is kicked out. */
struct late {
    struct box b;
    struct space_view v;
    u8 *page;
};

static void late_kick(void *arg, unsigned cpu)
{
    struct late *l = arg;

    (void)cpu;
    if (l->page)
        l->page[123] = 0x42;
    l->page = NULL;
    space_leave(&l->v);
}

static void a_write_before_the_last_has_left_saves_the_page(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    for (unsigned large = 0; large < 2; large++) {
        struct late l = {0};
        u8 byte;

        box_arena(&l.b, formats[f], 24 * MIB);
        l.b.cfg.kick = late_kick;
        l.b.cfg.kick_arg = &l;
        l.b.cfg.demand_leaf = large ? 2 : 1;
        assert_int_equal(space_init(&l.b.s, &l.b.cfg), OK);
        assert_int_equal(space_add_ram(&l.b.s, 0, RAM), OK);
        assert_int_equal(space_attach(&l.b.s, &l.v), OK);
        assert_true(box_guest(&l.b, 7 * PAGE_SIZE, CPU_W));
        if (!large)
            assert_true(box_guest(&l.b, 8 * PAGE_SIZE, CPU_W));
        cool(&l.b);
        l.page = space_hold(&l.b.s, 7 * PAGE_SIZE, 1, false);
        space_release(&l.b.s, 7 * PAGE_SIZE);
        cool(&l.b);
        assert_true(space_enter(&l.b.s, &l.v, 0));
        space_flushed(&l.v);
        assert_int_equal(space_reclaim(&l.b.s, ~0ull), large ? 0 : 1);
        assert_null(l.page);
        assert_int_equal(space_read(&l.b.s, 7 * PAGE_SIZE + 123, &byte, 1), OK);
        assert_int_equal(byte, 0x42);
        assert_true(box_guest(&l.b, 7 * PAGE_SIZE, CPU_W));
        space_detach(&l.b.s, &l.v);
        box_fini(&l.b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_grow_old_until_they_are_used),
        cmocka_unit_test(a_large_page_counts_whole),
        cmocka_unit_test(accessed_and_dirty_are_apart),
        cmocka_unit_test(who_is_in_the_guest_is_flushed_if_anything_was_cleared),
        cmocka_unit_test(the_formats_agree_on_the_working_set),
        cmocka_unit_test(the_map_shows_the_hottest_of_each_chunk),
        cmocka_unit_test(a_scan_may_lack_memory),
        cmocka_unit_test(cold_zero_pages_go_back),
        cmocka_unit_test(what_must_stay_stays),
        cmocka_unit_test(a_store_takes_what_is_not_zero),
        cmocka_unit_test(large_pages_go_whole_or_are_split),
        cmocka_unit_test(reclaim_takes_no_more_than_asked_and_goes_on),
        cmocka_unit_test(a_write_before_the_last_has_left_saves_the_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
