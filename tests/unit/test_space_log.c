/* SPDX-License-Identifier: BSD-2-Clause */
/* The dirty log: what is written is in the next harvest, whoever wrote it; nothing else is. */
#include "mm/space.h"
#include "tests/unit/space_box.h"
#include "tests/unit/random.h"

#define PAGES 2048

static u64 bitmap[PAGES / 64];

static u64 harvest(struct box *b)
{
    memset(bitmap, 0, sizeof(bitmap));
    return space_log_harvest(&b->s, 0, bitmap);
}

static bool logged(u64 page)
{
    return bitmap[page / 64] & BIT(page % 64);
}

static void log_box(struct box *b, enum nested_format_id format)
{
    box_init(b, format, 24 * MIB);
    assert_int_equal(space_add_ram(&b->s, 0, PAGES * PAGE_SIZE), OK);
}

static void writes_of_every_kind_are_logged_once(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    {
        const u64 written[] = {0, 1, 63, 64, 511, 512, 700, 1500, 2047};
        struct box b;

        log_box(&b, formats[f]);
        assert_true(box_guest(&b, 0, CPU_W)); /* before the start: not in the log */
        assert_int_equal(space_log_start(&b.s, MIB, false), OK);
        assert_int_equal(harvest(&b), 0);
        for (unsigned round = 0; round < 4; round++) {
            for (unsigned i = 0; i < ARRAY_SIZE(written); i++) {
                gpa_t gpa = written[i] * PAGE_SIZE + 16 * i;

                if ((i + round) % 3 == 0)
                    assert_true(box_guest(&b, gpa, CPU_W));
                else if ((i + round) % 3 == 1)
                    assert_int_equal(space_write(&b.s, gpa, "x", 1), OK);
                else if (space_hold(&b.s, gpa, 1, true))
                    space_release(&b.s, gpa);
                /* Reading is not writing. */
                assert_true(box_guest(&b, (written[i] ^ 5) * PAGE_SIZE, CPU_R | CPU_X));
                assert_non_null(space_hold(&b.s, (written[i] ^ 9) * PAGE_SIZE, 1, false));
                space_release(&b.s, (written[i] ^ 9) * PAGE_SIZE);
            }
            assert_int_equal(harvest(&b), ARRAY_SIZE(written));
            for (unsigned i = 0; i < ARRAY_SIZE(written); i++)
                assert_true(logged(written[i]));
            assert_int_equal(harvest(&b), 0);
            assert_int_equal(harvest(&b), 0);
        }
        space_log_stop(&b.s, 0);
        assert_int_equal(harvest(&b), 0);
        box_fini(&b);
    }
}

static void only_ram_is_logged(void **state)
{
    (void)state;
    struct box b;

    log_box(&b, NESTED_NPT);
    assert_int_equal(space_add_rom(&b.s, 16 * MIB, MIB), OK);
    assert_int_equal(space_log_start(&b.s, 16 * MIB, false), ERR_NOENT);
    assert_int_equal(space_log_start(&b.s, GIB, false), ERR_NOENT);
    assert_int_equal(space_log_start(&b.s, 0, false), OK);
    assert_int_equal(space_log_start(&b.s, 0, false), ERR_BUSY);
    space_log_stop(&b.s, GIB);
    space_log_stop(&b.s, 0);
    space_log_stop(&b.s, 0);
    assert_int_equal(space_log_start(&b.s, 0, false), OK);
    box_fini(&b); /* with the log running */
}

static void large_pages_come_back_when_the_log_ends(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    {
        struct box b;

        log_box(&b, formats[f]);
        assert_true(box_guest(&b, 2 * MIB, CPU_W));
        assert_true(box_guest(&b, 4 * MIB, CPU_R));
        assert_int_equal(level_at(&b.s, 2 * MIB), 2);
        assert_int_equal(space_log_start(&b.s, 0, false), OK);
        assert_int_equal(level_at(&b.s, 2 * MIB), 1);
        assert_true(box_guest(&b, 6 * MIB + PAGE_SIZE, CPU_W)); /* filled small meanwhile */
        assert_int_equal(level_at(&b.s, 6 * MIB + PAGE_SIZE), 1);
        assert_int_equal(level_at(&b.s, 6 * MIB), 0);
        assert_int_equal(space_promote(&b.s, 0, 8 * MIB, true), 0);
        assert_int_equal(harvest(&b), 1);
        assert_true(logged(3 * 512 + 1));
        space_log_stop(&b.s, 0);
        assert_int_equal(level_at(&b.s, 2 * MIB), 2);
        assert_int_equal(level_at(&b.s, 4 * MIB), 2);
        assert_int_equal(b.s.tables.splits, 2);
        assert_int_equal(b.s.stats.promotions, 2);
        box_fini(&b);
    }
}

static void a_page_held_through_a_harvest_is_logged_again(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    {
        struct box b;
        u8 *p;

        log_box(&b, formats[f]);
        assert_int_equal(space_log_start(&b.s, 0, false), OK);
        p = space_hold(&b.s, 5 * PAGE_SIZE, 1, true);
        assert_int_equal(harvest(&b), 1);
        *p = 1; /* after the harvest, before the release */
        space_release(&b.s, 5 * PAGE_SIZE);
        assert_int_equal(harvest(&b), 1);
        assert_true(logged(5));
        assert_int_equal(harvest(&b), 0);
        box_fini(&b);
    }
}

/*
 * A processor in the guest with the link to the table in its paging-structure cache and a page
 * known clean: until it is kicked out, its writes set the page's dirty bit and nothing else.
 */
struct stale {
    struct box b;
    struct space_view v;
    u64 *write; /* the leaf to be written at the next kick */
};

static void stale_kick(void *arg, unsigned cpu)
{
    struct stale *st = arg;

    (void)cpu;
    if (st->write) {
        u64 value = *st->write;

        /* With emulated bits, a processor writes to what it thinks dirty, or faults. */
        if (st->b.s.tables.fmt->hw_ad)
            __atomic_fetch_or(st->write, st->b.s.tables.fmt->dirty, __ATOMIC_SEQ_CST);
        else
            nested_mark(&st->b.s.tables, 7 * PAGE_SIZE, st->write, &value, true);
    }
    st->write = NULL;
    space_leave(&st->v);
}

/* PAGES pages that are logged. */
static void stale_init(struct stale *st, enum nested_format_id format)
{
    box_arena(&st->b, format, 24 * MIB);
    st->b.cfg.kick = stale_kick;
    st->b.cfg.kick_arg = st;
    assert_int_equal(space_init(&st->b.s, &st->b.cfg), OK);
    assert_int_equal(space_add_ram(&st->b.s, 0, PAGES * PAGE_SIZE), OK);
    assert_int_equal(space_attach(&st->b.s, &st->v), OK);
    assert_int_equal(space_log_start(&st->b.s, 0, false), OK);
}

static void stale_enter(struct stale *st)
{
    if (space_enter(&st->b.s, &st->v, 0))
        space_flushed(&st->v);
}

static void a_write_through_a_cached_link_is_not_lost(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    for (unsigned between = 0; between < 3; between++) {
        struct stale st = {0};
        unsigned level;
        u64 value;

        stale_init(&st, formats[f]);
        assert_true(box_guest(&st.b, 7 * PAGE_SIZE, CPU_R));
        assert_true(box_guest(&st.b, 8 * PAGE_SIZE, CPU_W));
        stale_enter(&st);
        /* The write comes after page 7 has been looked at, before the processor is out. */
        st.write = nested_lookup(&st.b.s.tables, 7 * PAGE_SIZE, &level, &value);
        assert_int_equal(harvest(&st.b), 1);
        assert_true(logged(8));
        assert_null(st.write); /* it did come */
        assert_int_equal(harvest(&st.b), 1);
        assert_true(logged(7));
        /* And so in each round after that. */
        for (unsigned i = 0; i < between; i++)
            assert_int_equal(harvest(&st.b), 0);
        stale_enter(&st);
        assert_true(box_guest(&st.b, 8 * PAGE_SIZE, CPU_W));
        st.write = nested_lookup(&st.b.s.tables, 7 * PAGE_SIZE, &level, &value);
        assert_int_equal(harvest(&st.b), 1);
        assert_null(st.write);
        assert_int_equal(harvest(&st.b), 1);
        assert_true(logged(7));
        assert_int_equal(harvest(&st.b), 0);
        space_detach(&st.b.s, &st.v);
        box_fini(&st.b);
    }
}

static void who_is_in_the_guest_has_left_before_a_harvest_returns(void **state)
{
    (void)state;
    struct stale st = {0};

    stale_init(&st, NESTED_EPT_AD);
    assert_true(box_guest(&st.b, 0, CPU_W));
    stale_enter(&st);
    assert_int_equal(harvest(&st.b), 1);
    assert_true(space_enter(&st.b.s, &st.v, 0)); /* must flush: its dirty bit was taken */
    space_flushed(&st.v);
    space_leave(&st.v);
    assert_int_equal(harvest(&st.b), 0);          /* looks once more */
    assert_false(space_enter(&st.b.s, &st.v, 0)); /* nothing was taken: nobody is disturbed */
    assert_int_equal(harvest(&st.b), 0);
    space_leave(&st.v);
    space_detach(&st.b.s, &st.v);
    box_fini(&st.b);
}

static void a_log_that_cannot_start_leaves_all_as_it_was(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    for (u64 fail = 1; fail <= 3; fail++) {
        struct box b;

        log_box(&b, formats[f]);
        for (gpa_t gpa = 0; gpa < 6 * MIB; gpa += 2 * MIB)
            assert_true(box_guest(&b, gpa, CPU_W));
        b.a.fail_at = b.a.allocs + fail;
        assert_int_equal(space_log_start(&b.s, 0, false), ERR_NOMEM);
        for (gpa_t gpa = 0; gpa < 6 * MIB; gpa += 2 * MIB)
            assert_int_equal(level_at(&b.s, gpa), 2);
        assert_int_equal(space_log_start(&b.s, 0, false), OK);
        assert_int_equal(harvest(&b), 0);
        box_fini(&b);
    }
}

/* Where nothing has been used a harvest does not look: what no processor would do goes unseen. */
static void clean_tables_are_skipped_whole(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    {
        struct box b;
        unsigned level;
        u64 value, *leaf, *link;

        log_box(&b, formats[f]);
        assert_int_equal(space_log_start(&b.s, 0, false), OK);
        assert_true(box_guest(&b, 3 * MIB, CPU_W));
        assert_int_equal(harvest(&b), 1);
        assert_int_equal(harvest(&b), 0); /* looks once more */
        leaf = nested_lookup(&b.s.tables, 3 * MIB, &level, &value);
        *leaf |= b.s.tables.fmt->dirty; /* but the link is not marked used */
        assert_int_equal(harvest(&b), 0);
        link = nested_link(&b.s.tables, 3 * MIB, 2);
        *link |= b.s.tables.fmt->link_used;
        assert_int_equal(harvest(&b), 1);
        assert_true(logged(3 * MIB / PAGE_SIZE));
        box_fini(&b);
    }
}

/* The three formats see the same work, and give the same logs. */
static void the_formats_give_identical_logs(void **state)
{
    (void)state;
    static u64 log[ARRAY_SIZE(formats)][8][PAGES / 64];

    FOR_FORMATS(f)
    {
        struct box b;
        u64 seed = 4242;

        log_box(&b, formats[f]);
        assert_int_equal(space_log_start(&b.s, 0, false), OK);
        for (unsigned round = 0; round < 8; round++) {
            for (unsigned i = 0; i < 300; i++) {
                gpa_t gpa = random_u64(&seed) % (PAGES * PAGE_SIZE);
                unsigned access = 1 + random_u64(&seed) % 7;

                assert_true(box_guest(&b, gpa, access));
            }
            harvest(&b);
            memcpy(log[f][round], bitmap, sizeof(bitmap));
        }
        box_fini(&b);
    }
    assert_memory_equal(log[0], log[1], sizeof(log[0]));
    assert_memory_equal(log[0], log[2], sizeof(log[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_of_every_kind_are_logged_once),
        cmocka_unit_test(only_ram_is_logged),
        cmocka_unit_test(large_pages_come_back_when_the_log_ends),
        cmocka_unit_test(a_page_held_through_a_harvest_is_logged_again),
        cmocka_unit_test(a_write_through_a_cached_link_is_not_lost),
        cmocka_unit_test(who_is_in_the_guest_has_left_before_a_harvest_returns),
        cmocka_unit_test(a_log_that_cannot_start_leaves_all_as_it_was),
        cmocka_unit_test(clean_tables_are_skipped_whole),
        cmocka_unit_test(the_formats_give_identical_logs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
