/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest spaces, case by case: configuration, regions, faults; in the three entry formats. */
#include "mm/space.h"
#include "tests/unit/space_box.h"

/* ---- configuration and regions -------------------------------------------------------------- */

static void configuration_is_checked(void **state)
{
    (void)state;
    struct box b;

    box_arena(&b, NESTED_NPT, MIB);
    b.cfg.demand_leaf = 4;
    assert_int_equal(space_init(&b.s, &b.cfg), ERR_INVAL);
    b.cfg.demand_leaf = 0;
    b.cfg.caps.format = (enum nested_format_id)7;
    assert_int_equal(space_init(&b.s, &b.cfg), ERR_INVAL);
    b.cfg.caps.format = NESTED_NPT;
    b.a.fail_at = b.a.allocs + 1;
    assert_int_equal(space_init(&b.s, &b.cfg), ERR_NOMEM);
    box_fini(&b);
}

static void regions_are_checked(void **state)
{
    (void)state;
    struct box b;

    box_init(&b, NESTED_EPT_AD, MIB);
    assert_int_equal(space_add_ram(&b.s, MIB + 1, MIB), ERR_INVAL);
    assert_int_equal(space_add_ram(&b.s, MIB, 1), ERR_INVAL);
    assert_int_equal(space_add_ram(&b.s, MIB, 0), ERR_INVAL);
    assert_int_equal(space_add_ram(&b.s, BIT(46), MIB), ERR_RANGE);
    assert_int_equal(space_add_ram(&b.s, BIT(46) - MIB, MIB + PAGE_SIZE), ERR_RANGE);
    assert_int_equal(space_add_ram(&b.s, MIB, ~PAGE_MASK), ERR_RANGE);
    assert_int_equal(space_add_ram(&b.s, MIB, MIB), OK);
    assert_int_equal(space_add_rom(&b.s, MIB, PAGE_SIZE), ERR_EXISTS);
    assert_int_equal(space_add_rom(&b.s, 2 * MIB - PAGE_SIZE, 2 * PAGE_SIZE), ERR_EXISTS);
    assert_int_equal(space_add_rom(&b.s, 0, MIB + PAGE_SIZE), ERR_EXISTS);
    assert_int_equal(space_add_rom(&b.s, 0, 8 * MIB), ERR_EXISTS);
    assert_int_equal(space_add_rom(&b.s, 2 * MIB, MIB), OK);
    assert_int_equal(space_add_mmio(&b.s, 0, MIB), OK);
    assert_int_equal(space_add_pass(&b.s, 8 * MIB, 0, MIB, NESTED_W, NESTED_UC), ERR_INVAL);
    assert_int_equal(space_add_pass(&b.s, 8 * MIB, 1, MIB, NESTED_RW, NESTED_UC), ERR_INVAL);
    assert_int_equal(space_add_pass(&b.s, 8 * MIB, BIT(52), MIB, NESTED_RW, NESTED_UC), ERR_RANGE);
    assert_ptr_equal(space_region_at(&b.s, 0), &b.s.regions[0]);
    assert_ptr_equal(space_region_at(&b.s, MIB - 1), &b.s.regions[0]);
    assert_ptr_equal(space_region_at(&b.s, MIB), &b.s.regions[1]);
    assert_ptr_equal(space_region_at(&b.s, 3 * MIB - 1), &b.s.regions[2]);
    assert_null(space_region_at(&b.s, 3 * MIB));
    assert_null(space_region_at(&b.s, ~0ull));
    for (unsigned i = 3; i < SPACE_MAX_REGIONS; i++)
        assert_int_equal(space_add_mmio(&b.s, i * 16 * MIB, PAGE_SIZE), OK);
    assert_int_equal(space_add_mmio(&b.s, GIB, PAGE_SIZE), ERR_NOMEM);
    box_fini(&b);
}

/* ---- faults --------------------------------------------------------------------------------- */

static void faults_say_what_is_there(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    {
        struct box b;

        box_init(&b, formats[f], 8 * MIB);
        assert_int_equal(space_add_ram(&b.s, 0, MIB), OK);
        assert_int_equal(space_add_rom(&b.s, 2 * MIB, MIB), OK);
        assert_int_equal(space_add_mmio(&b.s, 4 * MIB, MIB), OK);
        assert_int_equal(space_add_pass(&b.s, 6 * MIB, 3 * GIB, MIB, NESTED_R, NESTED_UC), OK);
        assert_int_equal(space_fault(&b.s, 0, SPACE_READ), SPACE_RESOLVED);
        assert_int_equal(space_fault(&b.s, PAGE_SIZE, SPACE_WRITE), SPACE_RESOLVED);
        assert_int_equal(space_fault(&b.s, 2 * PAGE_SIZE, SPACE_EXEC), SPACE_RESOLVED);
        assert_int_equal(space_fault(&b.s, 2 * MIB, SPACE_WRITE), SPACE_DENIED);
        assert_int_equal(space_fault(&b.s, 2 * MIB, SPACE_READ | SPACE_EXEC), SPACE_RESOLVED);
        assert_int_equal(space_fault(&b.s, 2 * MIB, SPACE_WRITE), SPACE_DENIED);
        assert_int_equal(space_fault(&b.s, 4 * MIB, SPACE_READ), SPACE_MMIO);
        assert_int_equal(space_fault(&b.s, 5 * MIB, SPACE_READ), SPACE_MMIO);
        assert_int_equal(space_fault(&b.s, 6 * MIB, SPACE_READ), SPACE_RESOLVED);
        assert_int_equal(space_fault(&b.s, 6 * MIB, SPACE_WRITE), SPACE_DENIED);
        assert_int_equal(space_fault(&b.s, BIT(46), SPACE_READ), SPACE_MMIO);
        assert_int_equal(space_fault(&b.s, ~0ull, SPACE_WRITE), SPACE_MMIO);
        box_fini(&b);
    }
}

/* Wherever memory is, beside or across the usual place of devices, it is found. */
static void memory_is_found_around_the_devices(void **state)
{
    (void)state;
    const struct {
        gpa_t ram, rom;
    } layouts[] = {
        {0, 4 * GIB},       {0xfee00000, 0}, {0xfedff000, 0xfee01000}, {0xfee01000, 0xfedff000},
        {5 * GIB, 4 * GIB}, {0, PAGE_SIZE},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(layouts); i++) {
        struct box b;

        box_init(&b, NESTED_NPT, 4 * MIB);
        assert_int_equal(space_fault(&b.s, 0xfee00020, SPACE_READ), SPACE_MMIO);
        assert_int_equal(space_add_ram(&b.s, layouts[i].ram, PAGE_SIZE), OK);
        assert_int_equal(space_add_mmio(&b.s, 0xfec00000, PAGE_SIZE), OK);
        assert_int_equal(space_add_rom(&b.s, layouts[i].rom, PAGE_SIZE), OK);
        for (gpa_t gpa = 0; gpa < 6 * GIB; gpa += gpa < 0xfe000000 ? 0x1000000 : PAGE_SIZE) {
            bool memory = gpa == layouts[i].ram || gpa == layouts[i].rom;

            assert_int_equal(space_fault(&b.s, gpa + 5, SPACE_READ),
                             memory ? SPACE_RESOLVED : SPACE_MMIO);
            if (gpa == 0x100000000)
                break;
        }
        assert_int_equal(space_fault(&b.s, layouts[i].ram, SPACE_WRITE), SPACE_RESOLVED);
        assert_int_equal(space_fault(&b.s, layouts[i].rom, SPACE_WRITE), SPACE_DENIED);
        box_fini(&b);
    }
}

/* What a guest's own accesses and faults leave behind equals what the hardware bits would be. */
static void faults_are_counted_by_what_settles_them(void **state)
{
    (void)state;
    struct space_stats st;
    struct box b;
    unsigned level;
    u64 v;

    box_init(&b, NESTED_EPT_SOFT_AD, 8 * MIB);
    b.s.demand_leaf = 1;
    assert_int_equal(space_add_ram(&b.s, 0, MIB), OK);
    assert_int_equal(space_fault(&b.s, 0, SPACE_READ), SPACE_RESOLVED);  /* filled, accessed */
    assert_int_equal(space_fault(&b.s, 0, SPACE_WRITE), SPACE_RESOLVED); /* dirty */
    assert_int_equal(space_fault(&b.s, 0, SPACE_WRITE), SPACE_RESOLVED); /* spurious */
    assert_int_equal(space_load(&b.s, PAGE_SIZE, &st, 1), OK);           /* fills */
    assert_int_equal(space_protect(&b.s, PAGE_SIZE, PAGE_SIZE, NESTED_RW), OK);
    assert_true(
        nested_forget_access(&b.s.tables, nested_lookup(&b.s.tables, PAGE_SIZE, &level, &v)));
    assert_int_equal(space_fault(&b.s, PAGE_SIZE, SPACE_READ), SPACE_RESOLVED); /* accessed */
    assert_int_equal(space_fault(&b.s, PAGE_SIZE, SPACE_EXEC), SPACE_DENIED);
    assert_int_equal(space_fault(&b.s, GIB, SPACE_EXEC), SPACE_MMIO);
    b.a.fail_at = b.a.allocs + 1;
    b.a.fail_after = true;
    assert_int_equal(space_fault(&b.s, 2 * PAGE_SIZE, SPACE_READ), SPACE_NOMEM);
    space_get_stats(&b.s, &st);
    assert_int_equal(st.faults, 7);
    assert_int_equal(st.faults_accessed, 1);
    assert_int_equal(st.faults_dirty, 1);
    assert_int_equal(st.faults_spurious, 1);
    assert_int_equal(st.faults_mmio, 1);
    assert_int_equal(st.faults_denied, 1);
    assert_int_equal(st.faults_nomem, 1);
    assert_int_equal(st.fills[1], 2);
    assert_int_equal(st.resident_pages, 2);
    assert_int_equal(st.leaves[1], 2);
    assert_int_equal(st.tables, 4);
    assert_int_equal(st.held, 0);
    box_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configuration_is_checked),
        cmocka_unit_test(regions_are_checked),
        cmocka_unit_test(faults_say_what_is_there),
        cmocka_unit_test(memory_is_found_around_the_devices),
        cmocka_unit_test(faults_are_counted_by_what_settles_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
