/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Nested tables: the entry formats bit by bit. A processor written from the manuals (mm_cpu.h)
 * reads the same tables.
 */
#include <string.h>
#include "mm/nested.h"
#include "tests/unit/mm_arena.h"
#include "tests/unit/mm_formats.h"
#include "tests/unit/unit.h"

/* ---- formats, as the manuals have them ------------------------------------------------------ */

static void entries_have_the_documented_bits(void **state)
{
    (void)state;
    const u64 v = BIT(52), w = BIT(53), x = BIT(54), r = BIT(55), d_saved = BIT(56);
    const u64 nx = BIT(63);
    const struct {
        enum nested_format_id format;
        unsigned level, attr;
        enum nested_memtype type;
        bool foreign;
        u64 bits;
    } cases[] = {
        /* EPT with A/D: R 0, W 1, X 2, type 5:3, IPAT 6, large 7, A 8, D 9. */
        {NESTED_EPT_AD, 1, NESTED_RWX, NESTED_WB, false, v | w | x | r | 0x77},
        {NESTED_EPT_AD, 1, NESTED_RX, NESTED_WB, false, v | x | r | 0x75},
        {NESTED_EPT_AD, 1, NESTED_X, NESTED_WB, false, v | x | 0x74},
        {NESTED_EPT_AD, 1, 0, NESTED_WB, false, v | 0x70},
        {NESTED_EPT_AD, 2, NESTED_RW | NESTED_A, NESTED_WB, false, v | w | r | 0x1f3},
        {NESTED_EPT_AD, 3, NESTED_RWX | NESTED_A | NESTED_D, NESTED_WB, false,
         v | w | x | r | 0x3f7},
        {NESTED_EPT_AD, 1, NESTED_RW, NESTED_UC, true, v | w | r | 0x803},
        /* EPT without: bit 0 (or 2) is accessed, bit 1 is dirty, 56 remembers dirty. */
        {NESTED_EPT_SOFT_AD, 1, NESTED_RWX, NESTED_WB, false, v | w | x | r | 0x70},
        {NESTED_EPT_SOFT_AD, 1, NESTED_RWX | NESTED_A, NESTED_WB, false, v | w | x | r | 0x75},
        {NESTED_EPT_SOFT_AD, 1, NESTED_RWX | NESTED_A | NESTED_D, NESTED_WB, false,
         v | w | x | r | 0x77},
        {NESTED_EPT_SOFT_AD, 1, NESTED_RWX | NESTED_D, NESTED_WB, false,
         v | w | x | r | d_saved | 0x70},
        {NESTED_EPT_SOFT_AD, 2, NESTED_RX | NESTED_A | NESTED_D, NESTED_WB, false,
         v | x | r | d_saved | 0xf5},
        {NESTED_EPT_SOFT_AD, 1, NESTED_X | NESTED_A, NESTED_WB, false, v | x | 0x74},
        /* NPT: P 0, W 1, U 2, PWT 3, PCD 4, A 5, D 6, large 7, NX 63. */
        {NESTED_NPT, 1, NESTED_RWX, NESTED_WB, false, v | w | x | r | 0x7},
        {NESTED_NPT, 1, NESTED_R, NESTED_WB, false, v | r | nx | 0x5},
        {NESTED_NPT, 2, NESTED_RW | NESTED_A | NESTED_D, NESTED_WB, false, v | w | r | nx | 0xe7},
        {NESTED_NPT, 3, NESTED_RX | NESTED_A, NESTED_UC, true, v | x | r | 0x8bd},
        {NESTED_NPT, 1, 0, NESTED_WB, false, v | nx | 0x4},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct nested_caps caps = caps_of(cases[i].format);
        hpa_t hpa = 7 * GIB;
        struct arena a;
        struct nested n;
        unsigned level;

        arena_init(&a, MIB);
        assert_int_equal(nested_init(&n, &caps, &a.source), OK);
        assert_int_equal(nested_map(&n, GIB, hpa, cases[i].level, cases[i].attr, cases[i].type,
                                    cases[i].foreign, NULL),
                         OK);
        assert_int_equal(entry_at(&n, GIB, &level), hpa | cases[i].bits);
        assert_int_equal(level, cases[i].level);
        assert_int_equal(nested_attr(n.fmt, hpa | cases[i].bits), cases[i].attr);
        nested_fini(&n, NULL, NULL);
        arena_fini(&a);
    }
}

/* Every attribute combination that can be expressed survives the trip through an entry. */
static void attributes_round_trip(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    {
        const struct nested_format *fmt = &nested_formats[formats[f]];

        for (unsigned attr = 0; attr < 32; attr++) {
            unsigned perms = attr & NESTED_RWX, got = nested_attr(fmt, fmt->leaf[attr]);

            if (perms & NESTED_W && !(perms & NESTED_R))
                continue;
            /* With no permission at all there is no bit left to play accessed. */
            if (perms == 0 && !fmt->hw_ad)
                assert_int_equal(got, attr & ~NESTED_A);
            else
                assert_int_equal(got, attr);
            /* What is settled agrees with what the attributes say. */
            for (unsigned access = 1; access < 8; access++) {
                bool done = !(access & ~attr) && attr & NESTED_A &&
                            (!(access & NESTED_W) || attr & NESTED_D);

                assert_int_equal((fmt->leaf[attr] & fmt->settled[access]) == fmt->settled[access],
                                 done);
            }
        }
    }
}

/* ---- the processor's view ------------------------------------------------------------------- */

static void processor_agrees_with_permissions(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    for (unsigned level = 1; level <= 3; level++)
        for (unsigned attr = 0; attr < 32; attr++) {
            struct nested_caps caps = caps_of(formats[f]);
            hpa_t hpa = 7 * GIB;
            struct arena a;
            struct nested n;
            struct cpu cpu;
            bool ok;

            arena_init(&a, MIB);
            cpu = cpu_of(&caps, &a.source);
            assert_int_equal(nested_init(&n, &caps, &a.source), OK);
            ok = nested_map(&n, 3 * GIB, hpa, level, attr, NESTED_WB, false, NULL) == OK;
            assert_int_equal(ok, nested_perms_ok(&n, attr & NESTED_RWX));
            for (unsigned access = 1; ok && access < 8; access++) {
                gpa_t gpa = 3 * GIB + NESTED_SIZE(level) - 5;
                bool may = !(access & ~attr);
                struct cpu_walk walk;
                unsigned now;

                if (caps.format == NESTED_EPT_SOFT_AD)
                    may = may && attr & NESTED_A && (!(access & CPU_W) || attr & NESTED_D);
                assert_int_equal(cpu_access(&cpu, n.root, gpa, access, &walk),
                                 may ? CPU_OK : CPU_FAULT);
                if (!may)
                    continue;
                assert_int_equal(walk.hpa, hpa + NESTED_SIZE(level) - 5);
                assert_int_equal(walk.level, level);
                assert_int_equal(walk.type, caps.format == NESTED_NPT ? 0 : 6);
                /* The accessed and dirty bits that the processor sets are those we read. */
                now = nested_attr(n.fmt, entry_at(&n, gpa, &(unsigned){0}));
                assert_true(now & NESTED_A);
                assert_true(!(access & CPU_W) || now & NESTED_D);
            }
            nested_fini(&n, NULL, NULL);
            arena_fini(&a);
        }
}

static void accessed_and_dirty_come_by_marking(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    for (unsigned level = 1; level <= 3; level++) {
        struct nested_caps caps = caps_of(formats[f]);
        struct arena a;
        struct nested n;
        struct cpu cpu;
        struct cpu_walk walk;
        unsigned at;
        u64 value, stale, *entry;

        arena_init(&a, MIB);
        cpu = cpu_of(&caps, &a.source);
        assert_int_equal(nested_init(&n, &caps, &a.source), OK);
        assert_int_equal(nested_map(&n, 0, GIB, level, NESTED_RWX, NESTED_WB, false, NULL), OK);
        entry = nested_lookup(&n, 0, &at, &value);
        stale = value;
        assert_true(nested_mark(&n, 0, entry, &value, false));
        assert_int_equal(nested_attr(n.fmt, value), NESTED_RWX | NESTED_A);
        assert_int_equal(*entry, value);
        assert_int_equal(cpu_access(&cpu, n.root, 0, CPU_R | CPU_X, &walk), CPU_OK);
        assert_false(nested_mark(&n, 0, entry, &stale, true)); /* someone was faster */
        value = *entry;
        assert_true(nested_mark(&n, 0, entry, &value, true));
        assert_int_equal(nested_attr(n.fmt, value), NESTED_RWX | NESTED_A | NESTED_D);
        assert_int_equal(cpu_access(&cpu, n.root, 0, CPU_W, &walk), CPU_OK);
        nested_fini(&n, NULL, NULL);
        arena_fini(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_have_the_documented_bits),
        cmocka_unit_test(attributes_round_trip),
        cmocka_unit_test(processor_agrees_with_permissions),
        cmocka_unit_test(accessed_and_dirty_come_by_marking),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
