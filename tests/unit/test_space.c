/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest spaces, case by case: regions, faults, fill sizes, holds, copies, permissions, views,
 * exhaustion, teardown; in the three entry formats.
 */
#include "mm/space.h"
#include "tests/unit/space_box.h"

/* ---- configuration and regions ----------------------------------------------------------------
 */

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

/* ---- faults -----------------------------------------------------------------------------------
 */

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

/* ---- filling ----------------------------------------------------------------------------------
 */

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

/* ---- holds ------------------------------------------------------------------------------------
 */

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

/* ---- copies -----------------------------------------------------------------------------------
 */

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

/* ---- permissions ------------------------------------------------------------------------------
 */

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

/* ---- views ------------------------------------------------------------------------------------
 */

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

/* ---- the end of memory, and of spaces ---------------------------------------------------------
 */

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
            assert_int_equal(space_fault(&s, rnd(&seed) % (8 * MIB), 1 + rnd(&seed) % 7),
                             SPACE_RESOLVED);
            assert_int_equal(space_load(&s, GIB + rnd(&seed) % MIB, "r", 1), OK);
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
        cmocka_unit_test(configuration_is_checked),
        cmocka_unit_test(regions_are_checked),
        cmocka_unit_test(faults_say_what_is_there),
        cmocka_unit_test(memory_is_found_around_the_devices),
        cmocka_unit_test(faults_are_counted_by_what_settles_them),
        cmocka_unit_test(demand_fill_takes_the_largest_page_that_fits),
        cmocka_unit_test(demand_fill_minds_processor_policy_and_memory),
        cmocka_unit_test(a_small_page_keeps_its_neighbours_small),
        cmocka_unit_test(a_1g_page_is_filled_where_wanted),
        cmocka_unit_test(boot_fill_fills_all),
        cmocka_unit_test(holds_give_the_bytes_and_mark_the_page),
        cmocka_unit_test(holds_are_refused_where_they_must_be),
        cmocka_unit_test(a_filled_page_is_held_without_the_lock),
        cmocka_unit_test(copies_cross_pages_and_regions),
        cmocka_unit_test(reading_and_zeroing_fill_nothing),
        cmocka_unit_test(copies_fail_where_there_is_no_memory),
        cmocka_unit_test(permissions_reach_the_processor),
        cmocka_unit_test(memory_types_reach_the_processor),
        cmocka_unit_test(permissions_wait_for_the_page),
        cmocka_unit_test(permissions_beyond_the_notes),
        cmocka_unit_test(wired_memory_stays_put),
        cmocka_unit_test(a_change_reaches_each_view_once),
        cmocka_unit_test(taking_rights_away_waits_for_those_in_the_guest),
        cmocka_unit_test(views_are_limited),
        cmocka_unit_test(exhaustion_hits_only_who_asks),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(a_thousand_lives_leave_no_trace),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
