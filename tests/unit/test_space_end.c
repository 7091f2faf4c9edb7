/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest spaces: when memory runs out, in every place; and the end of a space. */
#include "mm/space.h"
#include "tests/unit/space_box.h"
#include "tests/unit/random.h"

static void exhaustion_hits_only_who_asks(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    {
        struct space other;
        struct box b;
        gpa_t gpa = 0;
        u64 pages;

        box_init(&b, formats[f], 8 * MIB);
        assert_int_equal(space_init(&other, &b.cfg), OK);
        assert_int_equal(space_add_ram(&other, 0, MIB), OK);
        assert_int_equal(space_write(&other, 0, "still here", 11), OK);
        assert_int_equal(space_add_ram(&b.s, 0, GIB), OK);
        while (space_fault(&b.s, gpa, SPACE_WRITE) == SPACE_RESOLVED)
            gpa += PAGE_SIZE;
        assert_int_equal(space_fault(&b.s, gpa, SPACE_WRITE), SPACE_NOMEM);
        pages = b.s.stats.resident_pages;
        assert_int_equal(gpa, pages * PAGE_SIZE);
        /* All memory is in use, but for what a table for the next page would have taken. */
        assert_true(frames_free_count(&b.a.frames) <= 1);
        assert_null(space_hold(&b.s, gpa, 1, false));
        assert_non_null(space_hold(&b.s, 0, 1, true)); /* what it has still works */
        space_release(&b.s, 0);
        assert_non_null(space_hold(&other, 5, 1, true));
        space_release(&other, 5);
        assert_int_equal(space_fini(&b.s), 0);
        assert_int_equal(space_fault(&other, PAGE_SIZE, SPACE_WRITE), SPACE_RESOLVED);
        assert_int_equal(space_fini(&other), 0);
        arena_fini(&b.a);
    }
}

/* Every function that allocates. What fails, fails cleanly; the rest goes on. */
static unsigned use_everything(struct space *s)
{
    unsigned failed = 0;

    failed += space_add_ram(s, 0, 4 * MIB) == ERR_NOMEM;
    failed +=
        space_add_pass(s, 70 * GIB, 0, 4 * MIB + PAGE_SIZE, NESTED_RW, NESTED_UC) == ERR_NOMEM;
    failed += space_fault(s, MIB, SPACE_READ) == SPACE_NOMEM;
    failed += space_write(s, 2 * MIB - 1, "xy", 2) == ERR_NOMEM;
    failed += space_protect(s, 2 * MIB + PAGE_SIZE, PAGE_SIZE, NESTED_R) == ERR_NOMEM;
    failed += space_load(s, 4 * MIB - 1, "z", 1) == ERR_NOMEM;
    return failed;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    for (unsigned boot = 0; boot < 2; boot++)
        for (unsigned after = 0; after < 2; after++) {
            u64 needed = 0;

            for (u64 fail = 0; fail <= needed; fail++) {
                struct arena a;
                struct space s;
                struct space_config cfg = {
                    .caps = {.format = formats[f], .page_2m = true, .phys_bits = 46},
                    .src = &a.source,
                    .fill_boot = boot};
                unsigned failed = 1;
                char x;

                arena_init(&a, 8 * MIB);
                a.fail_at = fail;
                a.fail_after = after;
                if (space_init(&s, &cfg) == OK) {
                    failed = use_everything(&s);
                    /* Once memory is there again, everything works. */
                    a.fail_at = 0;
                    if (space_region_at(&s, 0))
                        assert_int_equal(space_read(&s, 2 * MIB, &x, 1), OK);
                    assert_int_equal(space_fini(&s), 0);
                }
                if (fail == 0) {
                    assert_int_equal(failed, 0);
                    needed = a.allocs;
                    assert_true(needed > 6);
                } else if (after) {
                    /* A large page may be replaced by small ones, but not when nothing is left. */
                    assert_true(failed > 0 || fail > needed - 2);
                }
                arena_fini(&a);
            }
        }
}

static void a_thousand_lives_leave_no_trace(void **state)
{
    (void)state;
    static struct arena a;
    static struct space s;
    u64 seed = 99;

    arena_init(&a, 32 * MIB);
    for (unsigned i = 0; i < 1000; i++) {
        struct space_config cfg = {
            .caps = {.format = formats[i % 3], .page_2m = i & 1, .phys_bits = 46},
            .src = &a.source};
        struct space_view v;

        assert_int_equal(space_init(&s, &cfg), OK);
        assert_int_equal(space_add_ram(&s, 0, 8 * MIB), OK);
        assert_int_equal(space_add_rom(&s, GIB, MIB), OK);
        assert_int_equal(space_add_pass(&s, 2 * GIB, 0, 3 * MIB, NESTED_RWX, NESTED_WB), OK);
        assert_int_equal(space_attach(&s, &v), OK);
        for (unsigned k = 0; k < 20; k++) {
            assert_int_equal(
                space_fault(&s, random_u64(&seed) % (8 * MIB), 1 + random_u64(&seed) % 7),
                SPACE_RESOLVED);
            assert_int_equal(space_load(&s, GIB + random_u64(&seed) % MIB, "r", 1), OK);
        }
        assert_int_equal(space_protect(&s, 3 * MIB, 2 * MIB, NESTED_R), OK);
        space_detach(&s, &v);
        assert_int_equal(space_fini(&s), 0);
        assert_int_equal(frames_free_count(&a.frames), a.free_at_start);
    }
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exhaustion_hits_only_who_asks),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(a_thousand_lives_leave_no_trace),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
