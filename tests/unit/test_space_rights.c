/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest spaces: permissions and memory types, and the views that a change has to reach. */
#include "mm/space.h"
#include "tests/unit/space_box.h"

/* ---- permissions ---------------------------------------------------------------------------- */

static void permissions_reach_the_processor(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    {
        struct box b;
        struct cpu_walk walk;

        box_init(&b, formats[f], 16 * MIB);
        assert_int_equal(space_add_ram(&b.s, 0, 8 * MIB), OK);
        assert_int_equal(space_fault(&b.s, 2 * MIB, SPACE_READ), SPACE_RESOLVED);
        for (unsigned perms = 0; perms < 8; perms++) {
            gpa_t gpa = 2 * MIB + perms * PAGE_SIZE;
            enum err err = space_protect(&b.s, gpa, PAGE_SIZE, perms);

            if (perms == 2 || perms == 6 || (perms == 4 && formats[f] == NESTED_NPT)) {
                assert_int_equal(err, ERR_NOSUP);
                continue;
            }
            assert_int_equal(err, OK);
            for (unsigned access = 1; access < 8; access++) {
                bool may = !(access & ~perms);

                assert_int_equal(space_fault(&b.s, gpa, access),
                                 may ? SPACE_RESOLVED : SPACE_DENIED);
                assert_int_equal(cpu_access(&b.cpu, b.s.tables.root, gpa, access, &walk),
                                 may ? CPU_OK : CPU_FAULT);
                assert_int_equal(!!space_hold_for(&b.s, gpa, 1, access), may);
                if (may)
                    space_release(&b.s, gpa);
            }
        }
        assert_int_equal(b.s.tables.splits, 1); /* of the 2 MiB page they stand in */
        assert_int_equal(space_protect(&b.s, 1, PAGE_SIZE, NESTED_R), ERR_INVAL);
        assert_int_equal(space_protect(&b.s, 8 * MIB - PAGE_SIZE, 2 * PAGE_SIZE, NESTED_R),
                         ERR_RANGE);
        assert_int_equal(space_fault(&b.s, 8 * MIB - PAGE_SIZE, SPACE_WRITE), SPACE_RESOLVED);
        assert_int_equal(space_protect(&b.s, BIT(46), PAGE_SIZE, NESTED_R), ERR_RANGE);
        assert_int_equal(space_protect(&b.s, ~PAGE_MASK, 2 * PAGE_SIZE, NESTED_R), ERR_INVAL);
        box_fini(&b);
    }
}

/* RAM and ROM are write-back whatever a guest's PAT says; device memory passed through is not. */
static void memory_types_reach_the_processor(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    for (unsigned level = 1; level <= 3; level++) {
        const bool npt = formats[f] == NESTED_NPT;
        const u64 pass = 4 * GIB + NESTED_SIZE(level);
        struct cpu_walk walk;
        struct box b;

        box_arena(&b, formats[f], 16 * MIB);
        b.cfg.demand_leaf = (u8)level;
        assert_int_equal(space_init(&b.s, &b.cfg), OK);
        assert_int_equal(space_add_ram(&b.s, 0, 4 * MIB), OK);
        assert_int_equal(space_add_rom(&b.s, 4 * MIB, 2 * MIB), OK);
        assert_int_equal(space_add_pass(&b.s, pass, pass, GIB, NESTED_RW, NESTED_UC), OK);
        for (unsigned changed = 0; changed < 2; changed++) {
            for (gpa_t gpa = 0; gpa < 6 * MIB; gpa += MIB) {
                assert_true(box_guest(&b, gpa, CPU_R));
                assert_int_equal(cpu_access(&b.cpu, b.s.tables.root, gpa, CPU_R, &walk), CPU_OK);
                assert_int_equal(walk.type, npt ? 0 : 6); /* entry 0 of the PAT; write-back */
                assert_int_equal(walk.ipat, !npt);
            }
            assert_int_equal(cpu_access(&b.cpu, b.s.tables.root, pass, CPU_R, &walk), CPU_OK);
            assert_int_equal(walk.type, npt ? 3 : 0); /* uncached */
            assert_false(walk.ipat);
            /* The types stay when pages are split and change their permissions. */
            assert_int_equal(space_protect(&b.s, PAGE_SIZE, 3 * PAGE_SIZE, NESTED_R), OK);
            assert_int_equal(space_protect(&b.s, 3 * MIB, PAGE_SIZE, NESTED_R), OK);
            assert_int_equal(space_protect(&b.s, pass, PAGE_SIZE, NESTED_R), OK);
        }
        box_fini(&b);
    }
}

/* Nothing is filled for a permission; what is filled later has it, in leaves as large as may be. */
static void permissions_wait_for_the_page(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    {
        struct box b;
        u8 byte = 1;

        box_init(&b, formats[f], 16 * MIB);
        assert_int_equal(space_add_ram(&b.s, 0, 8 * MIB), OK);
        assert_int_equal(space_protect(&b.s, 0, 4 * MIB, NESTED_R), OK);
        assert_int_equal(space_protect(&b.s, 6 * MIB + PAGE_SIZE, PAGE_SIZE, NESTED_RX), OK);
        assert_int_equal(space_protect(&b.s, 5 * MIB, PAGE_SIZE, 0), OK);
        assert_int_equal(b.s.stats.resident_pages, 0);
        assert_int_equal(space_write(&b.s, MIB, &byte, 1), ERR_RANGE);
        assert_int_equal(space_zero(&b.s, MIB, 1), ERR_RANGE);
        assert_int_equal(space_read(&b.s, MIB, &byte, 1), OK);
        assert_int_equal(byte, 0);
        assert_int_equal(space_read(&b.s, 5 * MIB, &byte, 1), ERR_RANGE);
        assert_int_equal(b.s.stats.resident_pages, 0);
        assert_false(box_guest(&b, MIB, CPU_W));
        assert_false(box_guest(&b, MIB, CPU_X));
        assert_true(box_guest(&b, MIB, CPU_R));
        assert_int_equal(level_at(&b.s, MIB), 2);
        assert_false(box_guest(&b, MIB, CPU_W));
        assert_true(box_guest(&b, 6 * MIB, CPU_W)); /* beside a page that differs */
        assert_int_equal(level_at(&b.s, 6 * MIB), 1);
        assert_false(box_guest(&b, 6 * MIB + PAGE_SIZE, CPU_W));
        assert_true(box_guest(&b, 6 * MIB + PAGE_SIZE, CPU_X));
        assert_false(box_guest(&b, 5 * MIB, CPU_R));
        /* Parts of a note are overruled, and all of it is forgotten. */
        assert_int_equal(space_protect(&b.s, 2 * MIB + PAGE_SIZE, PAGE_SIZE, NESTED_RWX), OK);
        assert_true(box_guest(&b, 2 * MIB + PAGE_SIZE, CPU_W));
        assert_false(box_guest(&b, 2 * MIB + 2 * PAGE_SIZE, CPU_W));
        assert_false(box_guest(&b, 2 * MIB, CPU_W));
        assert_int_equal(b.s.rights_count, 4);
        assert_int_equal(space_protect(&b.s, 0, 8 * MIB, NESTED_RWX), OK);
        assert_int_equal(b.s.rights_count, 0);
        for (gpa_t gpa = 0; gpa < 8 * MIB; gpa += PAGE_SIZE)
            assert_true(box_guest(&b, gpa, CPU_R | CPU_W | CPU_X));
        box_fini(&b);
    }
}

/* More ranges than there are notes: then pages are filled; and what cannot be done changes nothing.
 */
static void permissions_beyond_the_notes(void **state)
{
    (void)state;
    struct box b;

    box_init(&b, NESTED_NPT, 16 * MIB);
    assert_int_equal(space_add_ram(&b.s, 0, 8 * MIB), OK);
    assert_int_equal(space_protect(&b.s, 2 * MIB, 2 * MIB, NESTED_R), OK);
    for (unsigned i = 1; i < SPACE_MAX_RIGHTS; i++)
        assert_int_equal(space_protect(&b.s, 4 * MIB + 2 * i * PAGE_SIZE, PAGE_SIZE, NESTED_R), OK);
    assert_int_equal(b.s.rights_count, SPACE_MAX_RIGHTS);
    assert_int_equal(b.s.stats.resident_pages, 0);
    assert_int_equal(space_protect(&b.s, 0, 3 * PAGE_SIZE, NESTED_R), OK);
    assert_int_equal(b.s.stats.resident_pages, 512);
    assert_false(box_guest(&b, 2 * PAGE_SIZE, CPU_W));
    assert_true(box_guest(&b, 3 * PAGE_SIZE, CPU_W));
    assert_int_equal(space_protect(&b.s, 3 * MIB, PAGE_SIZE, NESTED_RWX), ERR_NOMEM);
    assert_false(box_guest(&b, 3 * MIB, CPU_W));
    assert_int_equal(space_protect(&b.s, 3 * MIB, MIB, NESTED_RWX), OK);
    assert_true(box_guest(&b, 3 * MIB, CPU_W));
    assert_false(box_guest(&b, 3 * MIB - PAGE_SIZE, CPU_W));
    box_fini(&b);
}

/* Wired memory is there, and its frames stay where they are. */
static void wired_memory_stays_put(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    {
        struct box b;
        unsigned level;
        u64 before, after;

        box_init(&b, formats[f], 16 * MIB);
        assert_int_equal(space_add_ram(&b.s, 0, 4 * MIB), OK);
        assert_int_equal(space_wire(&b.s, 8 * MIB), ERR_NOENT);
        b.a.max_order = 5; /* small pages, in no order */
        assert_true(box_guest(&b, 2 * MIB, CPU_W));
        assert_int_equal(space_wire(&b.s, 0), OK);
        assert_int_equal(b.s.stats.resident_pages, 1024);
        b.a.max_order = FRAME_ORDER_MAX;
        nested_lookup(&b.s.tables, 3 * MIB, &level, &before);
        assert_int_equal(space_promote(&b.s, 0, 4 * MIB, true), 0);
        assert_false(space_tidy(&b.s, 64));
        assert_int_equal(space_reclaim(&b.s, ~0ull), 0);
        assert_int_equal(space_reclaim(&b.s, ~0ull), 0);
        nested_lookup(&b.s.tables, 3 * MIB, &level, &after);
        assert_int_equal(before & NESTED_ADDR, after & NESTED_ADDR);
        box_fini(&b);
    }
}

/* ---- views ---------------------------------------------------------------------------------- */

static void a_change_reaches_each_view_once(void **state)
{
    (void)state;
    struct space_view v = {0}, w = {0};
    struct box b;

    box_init(&b, NESTED_NPT, 8 * MIB);
    assert_int_equal(space_add_ram(&b.s, 0, MIB), OK);
    assert_int_equal(space_attach(&b.s, &v), OK);
    assert_int_equal(space_attach(&b.s, &w), OK);

    assert_true(space_enter(&b.s, &v, 3)); /* the first entry always flushes */
    assert_false(space_current(&v));
    space_flushed(&v);
    assert_true(space_current(&v));
    space_leave(&v);
    assert_false(space_current(&v));
    assert_false(space_enter(&b.s, &v, 3));

    /* v is in the guest, w is not: v alone is kicked. */
    space_invalidate(&b.s);
    assert_int_equal(b.kicked.count, 1);
    assert_int_equal(b.kicked.last, 3);
    space_leave(&v);
    space_wait(&b.s);
    assert_true(space_enter(&b.s, &v, 3));
    space_flushed(&v);
    space_leave(&v);
    assert_true(space_enter(&b.s, &w, 3)); /* flushes for itself, even on the same CPU */
    space_flushed(&w);
    space_leave(&w);
    assert_false(space_enter(&b.s, &w, 3));
    space_leave(&w);

    space_moved(&w);
    assert_true(space_enter(&b.s, &w, 5));
    space_flushed(&w);

    /* A change between entry and flush is not lost: the flush covers what the entry saw. */
    space_leave(&w);
    space_invalidate(&b.s);
    assert_true(space_enter(&b.s, &w, 5));
    space_invalidate(&b.s);
    space_flushed(&w);
    space_leave(&w);
    assert_true(space_enter(&b.s, &w, 5));
    space_flushed(&w);
    space_leave(&w);

    space_detach(&b.s, &v);
    space_detach(&b.s, &w);
    box_fini(&b);
}

static void taking_rights_away_waits_for_those_in_the_guest(void **state)
{
    (void)state;
    struct space_view v = {0};
    struct box b;

    box_init(&b, NESTED_EPT_AD, 8 * MIB);
    assert_int_equal(space_add_ram(&b.s, 0, MIB), OK);
    assert_int_equal(space_attach(&b.s, &v), OK);
    assert_true(space_enter(&b.s, &v, 1));
    space_flushed(&v);
    b.kicked.leaves = &v; /* as the interrupt would do; else space_protect would not return */
    assert_int_equal(space_protect(&b.s, 0, PAGE_SIZE, NESTED_R), OK);
    assert_int_equal(b.kicked.count, 1);
    assert_true(space_enter(&b.s, &v, 1));
    space_leave(&v);
    space_detach(&b.s, &v);
    box_fini(&b);
}

static void views_are_limited(void **state)
{
    (void)state;
    static struct space_view v[SPACE_MAX_VIEWS + 1];
    struct box b;

    box_init(&b, NESTED_NPT, MIB);
    for (unsigned i = 0; i < SPACE_MAX_VIEWS; i++)
        assert_int_equal(space_attach(&b.s, &v[i]), OK);
    assert_int_equal(space_attach(&b.s, &v[SPACE_MAX_VIEWS]), ERR_NOMEM);
    space_detach(&b.s, &v[7]);
    assert_int_equal(space_attach(&b.s, &v[SPACE_MAX_VIEWS]), OK);
    space_detach(&b.s, &v[SPACE_MAX_VIEWS]);
    for (unsigned i = 0; i < SPACE_MAX_VIEWS; i++)
        if (i != 7)
            space_detach(&b.s, &v[i]);
    box_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(permissions_reach_the_processor),
        cmocka_unit_test(memory_types_reach_the_processor),
        cmocka_unit_test(permissions_wait_for_the_page),
        cmocka_unit_test(permissions_beyond_the_notes),
        cmocka_unit_test(wired_memory_stays_put),
        cmocka_unit_test(a_change_reaches_each_view_once),
        cmocka_unit_test(taking_rights_away_waits_for_those_in_the_guest),
        cmocka_unit_test(views_are_limited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
