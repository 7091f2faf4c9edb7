/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Nested tables: the entry formats bit by bit, each operation at each leaf size, allocation failure
 * at every allocation, and long random sequences against a plain map from page to state. A
 * processor written from the manuals (mm_cpu.h) reads the same tables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "mm/nested.h"
#include "tests/unit/mm_arena.h"
#include "tests/unit/mm_cpu.h"

static const enum nested_format_id formats[] = {NESTED_EPT_AD, NESTED_EPT_SOFT_AD, NESTED_NPT};
#define FOR_FORMATS(f) for (unsigned f = 0; f < ARRAY_SIZE(formats); f++)

static struct nested_caps caps_of(enum nested_format_id format)
{
    return (struct nested_caps){.format = format,
                                .page_2m = true,
                                .page_1g = true,
                                .exec_only = format != NESTED_NPT,
                                .phys_bits = 46};
}

static struct cpu cpu_of(const struct nested_caps *caps, const struct arena *a)
{
    return (struct cpu){.kind = caps->format == NESTED_NPT      ? CPU_NPT
                                : caps->format == NESTED_EPT_AD ? CPU_EPT_AD
                                                                : CPU_EPT,
                        .hva_base = (uintptr_t)a->memory - ARENA_HPA,
                        .phys_bits = 46,
                        .page_2m = caps->page_2m,
                        .page_1g = caps->page_1g,
                        .exec_only = caps->exec_only};
}

static u64 entry_at(const struct nested *n, gpa_t gpa, unsigned *level)
{
    u64 value;

    nested_lookup(n, gpa, level, &value);
    return value;
}

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
            cpu = cpu_of(&caps, &a);
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
        cpu = cpu_of(&caps, &a);
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

/* ---- operations ----------------------------------------------------------------------------- */

static void map_refuses_what_cannot_be(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    {
        struct nested_caps caps = caps_of(formats[f]);
        struct arena a;
        struct nested n;

        caps.page_1g = false;
        caps.exec_only = false;
        caps.phys_bits = 40;
        arena_init(&a, MIB);
        assert_int_equal(nested_init(&n, &caps, &a.source), OK);
        assert_int_equal(n.limit, BIT(40));
#define MAP(gpa, hpa, level, attr) nested_map(&n, gpa, hpa, level, attr, NESTED_WB, false, NULL)
        assert_int_equal(MAP(0, 0, 3, NESTED_RWX), ERR_INVAL);
        assert_int_equal(MAP(0, 0, 0, NESTED_RWX), ERR_INVAL);
        assert_int_equal(MAP(0, 0, 4, NESTED_RWX), ERR_INVAL);
        assert_int_equal(MAP(4096, 0, 2, NESTED_RWX), ERR_INVAL);
        assert_int_equal(MAP(0, 4096, 2, NESTED_RWX), ERR_INVAL);
        assert_int_equal(MAP(0, 1, 1, NESTED_RWX), ERR_INVAL);
        assert_int_equal(MAP(0, BIT(52), 1, NESTED_RWX), ERR_INVAL);
        assert_int_equal(MAP(0, 0, 1, NESTED_W), ERR_INVAL);
        assert_int_equal(MAP(0, 0, 1, NESTED_X), ERR_INVAL);
        assert_int_equal(MAP(0, 0, 1, NESTED_W | NESTED_X), ERR_INVAL);
        assert_int_equal(MAP(0, 0, 1, 32), ERR_INVAL);
        assert_int_equal(nested_map(&n, 0, 0, 1, NESTED_R, (enum nested_memtype)2, false, NULL),
                         ERR_INVAL);
        assert_int_equal(MAP(BIT(40), 0, 1, NESTED_RWX), ERR_RANGE);
        assert_int_equal(MAP(~PAGE_MASK, 0, 1, NESTED_RWX), ERR_RANGE);
        assert_int_equal(MAP(BIT(40) - PAGE_SIZE, 0, 1, NESTED_RWX), OK);
        assert_int_equal(MAP(BIT(40) - PAGE_SIZE, 0, 1, NESTED_RWX), ERR_EXISTS);
        assert_int_equal(MAP(BIT(40) - 2 * MIB, 0, 2, NESTED_RWX), ERR_EXISTS);
        assert_int_equal(MAP(0, 2 * MIB, 2, NESTED_RWX), OK);
        assert_int_equal(MAP(PAGE_SIZE, 0, 1, NESTED_RWX), ERR_EXISTS);
#undef MAP
        assert_int_equal(nested_protect(&n, 0, PAGE_SIZE, NESTED_X), ERR_NOSUP);
        assert_int_equal(nested_protect(&n, 1, PAGE_SIZE, NESTED_R), ERR_INVAL);
        assert_int_equal(nested_protect(&n, 0, BIT(40) + PAGE_SIZE, NESTED_R), ERR_RANGE);
        assert_int_equal(nested_split(&n, BIT(40)), ERR_NOENT);
        assert_int_equal(nested_split(&n, BIT(40) - 1), ERR_NOENT);
        assert_int_equal(nested_split(&n, 8 * GIB), ERR_NOENT);
        assert_int_equal(nested_unmap(&n, BIT(40), NULL), 0);
        assert_int_equal(nested_unmap(&n, PAGE_SIZE, NULL), 0);
        nested_fini(&n, NULL, NULL);
        arena_fini(&a);
    }
}

static void limits_follow_the_processor(void **state)
{
    (void)state;
    struct nested_caps caps = caps_of(NESTED_NPT);
    struct arena a;
    struct nested n;

    arena_init(&a, MIB);
    caps.phys_bits = 52;
    assert_int_equal(nested_init(&n, &caps, &a.source), OK);
    assert_int_equal(n.limit, BIT(48));
    nested_fini(&n, NULL, NULL);
    caps.phys_bits = 0;
    assert_int_equal(nested_init(&n, &caps, &a.source), OK);
    assert_int_equal(n.limit, BIT(48));
    nested_fini(&n, NULL, NULL);
    caps.format = (enum nested_format_id)3;
    assert_int_equal(nested_init(&n, &caps, &a.source), ERR_INVAL);
    caps = (struct nested_caps){.format = NESTED_EPT_SOFT_AD, .page_1g = true};
    assert_int_equal(nested_init(&n, &caps, &a.source), OK);
    assert_int_equal(n.max_leaf, 1); /* no 2 MiB pages: none above either */
    nested_fini(&n, NULL, NULL);
    arena_fini(&a);
}

static void split_keeps_everything(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    for (unsigned attr = 0; attr < 32; attr++) {
        struct nested_caps caps = caps_of(formats[f]);
        struct arena a;
        struct nested n;
        unsigned level, want;

        arena_init(&a, MIB);
        assert_int_equal(nested_init(&n, &caps, &a.source), OK);
        if (nested_map(&n, 5 * GIB, 9 * GIB, 3, attr, NESTED_UC, true, NULL) == OK) {
            u64 old = entry_at(&n, 5 * GIB, &level);

            want = nested_attr(n.fmt, old);
            assert_int_equal(nested_split(&n, 5 * GIB + 6 * MIB + 17), OK);
            assert_int_equal(nested_split(&n, 5 * GIB + 6 * MIB + 17), OK);
            assert_int_equal(nested_split(&n, 5 * GIB + 6 * MIB + 17), ERR_NOENT);
            for (u64 off = 0; off < GIB; off += PAGE_SIZE * 101) {
                u64 e = entry_at(&n, 5 * GIB + off, &level), mask = NESTED_SIZE(level) - 1;

                assert_int_equal(level, off / (2 * MIB) == 3 ? 1 : 2);
                assert_int_equal(nested_leaf_hpa(e, level), 9 * GIB + (off & ~mask));
                assert_int_equal(nested_attr(n.fmt, e), want);
                assert_true(e & NESTED_SW_FOREIGN);
                assert_int_equal(e & n.fmt->keep & ~NESTED_ADDR & ~NESTED_LARGE,
                                 old & n.fmt->keep & ~NESTED_ADDR & ~NESTED_LARGE);
            }
            assert_int_equal(n.leaves[3], 0);
            assert_int_equal(n.leaves[2], 511);
            assert_int_equal(n.leaves[1], 512);
            assert_int_equal(n.splits, 2);
            assert_int_equal(n.tables, 4);
        }
        nested_fini(&n, NULL, NULL);
        arena_fini(&a);
    }
}

static void near_and_far_walks_agree(void **state)
{
    (void)state;
    const gpa_t at[] = {0, (NESTED_NEAR - 1) * GIB, NESTED_NEAR * GIB, 600 * GIB, BIT(46) - GIB};
    struct nested_caps caps = caps_of(NESTED_NPT);
    struct arena a;
    struct nested n;
    unsigned level;

    arena_init(&a, MIB);
    assert_int_equal(nested_init(&n, &caps, &a.source), OK);
    for (unsigned i = 0; i < ARRAY_SIZE(at); i++) {
        assert_int_equal(
            nested_map(&n, at[i] + 4 * MIB, (i + 1) * GIB, 2, NESTED_RWX, NESTED_WB, false, NULL),
            OK);
        assert_int_equal(nested_map(&n, at[i] + 8 * MIB, (i + 1) * GIB + 4096, 1, NESTED_RWX,
                                    NESTED_WB, false, NULL),
                         OK);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(at); i++) {
        assert_int_equal(nested_leaf_hpa(entry_at(&n, at[i] + 5 * MIB, &level), 2), (i + 1) * GIB);
        assert_int_equal(level, 2);
        assert_int_equal(nested_leaf_hpa(entry_at(&n, at[i] + 8 * MIB, &level), 1),
                         (i + 1) * GIB + 4096);
        assert_int_equal(level, 1);
        assert_false(nested_valid(entry_at(&n, at[i] + 10 * MIB, &level)));
        assert_int_equal(level, 2);
    }
    nested_fini(&n, NULL, NULL);
    arena_fini(&a);
}

static void fini_reports_each_leaf_once(void *arg, u64 *entry, gpa_t gpa, unsigned level)
{
    u64 *sum = arg;

    assert_true(nested_valid(*entry));
    assert_true(IS_ALIGNED(gpa, NESTED_SIZE(level)));
    assert_int_equal(nested_leaf_hpa(*entry, level), gpa ^ GIB);
    sum[level]++;
    sum[0] += gpa;
}

static void fini_visits_all_leaves(void **state)
{
    (void)state;
    struct nested_caps caps = caps_of(NESTED_EPT_AD);
    u64 sum[4] = {0}, visited[4] = {0};
    struct arena a;
    struct nested n;

    arena_init(&a, MIB);
    assert_int_equal(nested_init(&n, &caps, &a.source), OK);
#define MAP(gpa, level)                                                                            \
    assert_int_equal(nested_map(&n, gpa, (gpa) ^ GIB, level, NESTED_R, NESTED_WB, false, NULL), OK)
    MAP(0ull, 1);
    MAP(2 * MIB - PAGE_SIZE, 1);
    MAP(GIB - 2 * MIB, 2);
    MAP(2 * GIB, 3);
    MAP(511 * GIB, 3);
    MAP(512 * GIB, 1);
    MAP(BIT(46) - PAGE_SIZE, 1);
#undef MAP
    nested_visit(&n, 0, ~0ull, fini_reports_each_leaf_once, visited);
    assert_int_equal(visited[1], 4);
    memset(visited, 0, sizeof(visited));
    nested_visit(&n, GIB - 1, GIB + 2, fini_reports_each_leaf_once, visited);
    assert_int_equal(visited[2], 1);
    assert_int_equal(visited[3], 1);
    assert_int_equal(visited[1], 0);
    nested_fini(&n, fini_reports_each_leaf_once, sum);
    assert_int_equal(sum[1], 4);
    assert_int_equal(sum[2], 1);
    assert_int_equal(sum[3], 2);
    assert_int_equal(sum[0], 0 + 2 * MIB - PAGE_SIZE + GIB - 2 * MIB + 513 * GIB + 512 * GIB +
                                 BIT(46) - PAGE_SIZE);
    assert_int_equal(n.tables, 0);
    arena_fini(&a);
}

/* A fixed sequence that allocates in every way there is. Returns the first failure. */
static enum err allocate_everywhere(struct nested *n)
{
    enum err err = nested_map(n, 0, GIB, 3, NESTED_RWX, NESTED_WB, false, NULL);

    if (err == OK)
        err = nested_map(n, 600 * GIB, GIB, 1, NESTED_RWX, NESTED_WB, false, NULL);
    if (err == OK)
        err = nested_protect(n, 4 * MIB + PAGE_SIZE, 4 * MIB, NESTED_R);
    if (err == OK)
        err = nested_split(n, 20 * MIB);
    return err;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    {
        struct nested_caps caps = caps_of(formats[f]);
        u64 needed = 0;

        for (u64 fail = 0; fail == 0 || fail <= needed; fail++) {
            struct arena a;
            struct nested n;
            enum err err;

            arena_init(&a, MIB);
            a.fail_at = fail;
            err = nested_init(&n, &caps, &a.source);
            if (err == OK) {
                err = allocate_everywhere(&n);
                /* What was left behind is consistent, and the rest succeeds later. */
                if (err != OK) {
                    nested_unmap(&n, 0, NULL);
                    nested_unmap(&n, 600 * GIB, NULL);
                }
                nested_fini(&n, NULL, NULL);
                assert_int_equal(n.tables, 0);
            }
            assert_int_equal(err, fail ? ERR_NOMEM : OK);
            if (!fail)
                needed = a.allocs;
            arena_fini(&a);
        }
        /* root; 600G: 3 tables, the first GiB: 1; the protection splits 1G and two 2M; split. */
        assert_int_equal(needed, 1 + 1 + 3 + 3 + 1);
    }
}

/* ---- random sequences ----------------------------------------------------------------------- */

/* The model: what each 4 KiB page of two GiBs is. */
enum { MODEL_GIBS = 2, PAGES_PER_GIB = GIB / PAGE_SIZE };
static const gpa_t model_base[MODEL_GIBS] = {3 * GIB, 700 * GIB};

struct page {
    u32 frame;      /* hpa >> PAGE_SHIFT */
    u8 attr, level; /* level 0: not mapped */
    bool foreign;
};

struct model {
    struct page *pages; /* MODEL_GIBS * PAGES_PER_GIB */
    struct nested n;
    struct arena a;
    struct cpu cpu;
    u64 seed;
};

static gpa_t model_gpa(u64 page)
{
    return model_base[page / PAGES_PER_GIB] + (page % PAGES_PER_GIB) * PAGE_SIZE;
}

/* A page, mostly out of a few 2 MiB pieces so that operations meet. */
static u64 some_page(struct model *m)
{
    static const u16 pieces[] = {0, 1, 7, 511};
    u64 r = rnd(&m->seed);
    u64 piece = r % 16 ? pieces[r >> 8 & 3] : (r >> 8) % 512;

    return (r >> 40 & 1) * PAGES_PER_GIB + piece * 512 + (r >> 20) % 512;
}

static unsigned some_level(struct model *m)
{
    u64 r = rnd(&m->seed) % 4096;

    return r == 0 ? 3 : r < 300 ? 2 : 1;
}

static unsigned some_perms(struct model *m)
{
    static const u8 perms[] = {0, NESTED_R, NESTED_RW, NESTED_RX, NESTED_RWX};

    return perms[rnd(&m->seed) % ARRAY_SIZE(perms)];
}

static void check_page(struct model *m, u64 i)
{
    const struct page *p = &m->pages[i];
    unsigned level;
    u64 e = entry_at(&m->n, model_gpa(i), &level);
    gpa_t off = model_gpa(i) & (NESTED_SIZE(level) - 1);

    assert_int_equal(nested_valid(e), p->level != 0);
    if (!p->level)
        return;
    assert_int_equal(level, p->level);
    assert_int_equal((nested_leaf_hpa(e, level) + off) >> PAGE_SHIFT, p->frame);
    assert_int_equal(nested_attr(m->n.fmt, e), p->attr);
    assert_int_equal(!!(e & NESTED_SW_FOREIGN), p->foreign);
}

static u64 leaf_first(u64 page, unsigned level)
{
    return page & ~((1ull << 9 * (level - 1)) - 1);
}

static void model_split(struct model *m, u64 page)
{
    unsigned level = m->pages[page].level;
    u64 first = leaf_first(page, level);

    for (u64 i = 0; i < 1ull << 9 * (level - 1); i++)
        m->pages[first + i].level--;
}

static void op_map(struct model *m)
{
    unsigned level = some_level(m), perms = some_perms(m);
    unsigned attr = perms | (unsigned)(rnd(&m->seed) & (NESTED_A | NESTED_D));
    u64 page = leaf_first(some_page(m), level), count = 1ull << 9 * (level - 1);
    u64 frame = (rnd(&m->seed) % 512) << 18 | (level < 3 ? (rnd(&m->seed) % 512) << 9 : 0);
    bool foreign = rnd(&m->seed) & 1, in_use = false;
    enum err err;

    if (perms == 0 && !m->n.fmt->hw_ad)
        attr &= ~NESTED_A;
    for (u64 i = 0; i < count; i++)
        in_use |= m->pages[page + i].level != 0;
    err = nested_map(&m->n, model_gpa(page), frame << PAGE_SHIFT, level, attr, NESTED_WB, foreign,
                     NULL);
    if (in_use) {
        assert_int_equal(err, ERR_EXISTS);
        return;
    }
    if (err != OK) {
        /* A table that has been emptied may still hang there. */
        assert_int_equal(err, ERR_EXISTS);
        assert_true(level > 1);
        return;
    }
    for (u64 i = 0; i < count; i++)
        m->pages[page + i] = (struct page){(u32)(frame + i), (u8)attr, (u8)level, foreign};
}

static void op_unmap(struct model *m)
{
    u64 page = some_page(m);
    unsigned level = m->pages[page].level, at = 0;
    u64 first = leaf_first(page, level ? level : 1), e;

    /* Large leaves go more rarely than they would at random. */
    if (level > 1 && rnd(&m->seed) % 8)
        return;
    e = nested_unmap(&m->n, model_gpa(first), &at);
    assert_int_equal(nested_valid(e), level != 0);
    if (!level)
        return;
    assert_int_equal(at, level);
    assert_int_equal(nested_attr(m->n.fmt, e), m->pages[page].attr);
    for (u64 i = 0; i < 1ull << 9 * (level - 1); i++)
        m->pages[first + i].level = 0;
}

static void op_split(struct model *m)
{
    u64 page = some_page(m);

    if (m->pages[page].level > 1) {
        assert_int_equal(nested_split(&m->n, model_gpa(page)), OK);
        model_split(m, page);
    } else {
        assert_int_equal(nested_split(&m->n, model_gpa(page)), ERR_NOENT);
    }
}

static void op_protect(struct model *m)
{
    unsigned perms = some_perms(m);
    u64 page = some_page(m), left = PAGES_PER_GIB - page % PAGES_PER_GIB;
    u64 count = 1 + rnd(&m->seed) % (rnd(&m->seed) % 64 ? 8 : 2048);

    count = MIN(count, left);
    assert_int_equal(nested_protect(&m->n, model_gpa(page), count * PAGE_SIZE, perms), OK);
    for (u64 i = page; i < page + count; i++) {
        struct page *p = &m->pages[i];

        if (!p->level || (p->attr & NESTED_RWX) == perms)
            continue;
        while (p->level > 1 &&
               (leaf_first(i, p->level) < page ||
                leaf_first(i, p->level) + (1ull << 9 * (p->level - 1)) > page + count))
            model_split(m, i);
        p->attr = (u8)((p->attr & ~NESTED_RWX) | perms);
        if (perms == 0 && !m->n.fmt->hw_ad)
            p->attr &= (u8)~NESTED_A;
    }
}

/* The processor touches a page; a fault that only wants marking is settled and tried again. */
static void op_access(struct model *m)
{
    u64 page = some_page(m), first;
    struct page *p = &m->pages[page];
    unsigned access = 1 + rnd(&m->seed) % 7, want = p->attr;
    bool may = p->level && !(access & ~p->attr);
    struct cpu_walk walk;
    enum cpu_result r = cpu_access(&m->cpu, m->n.root, model_gpa(page) + 9, access, &walk);

    if (may && r == CPU_FAULT && !m->n.fmt->hw_ad) {
        unsigned level;
        u64 value, *entry = nested_lookup(&m->n, model_gpa(page), &level, &value);

        assert_true(nested_mark(&m->n, model_gpa(page), entry, &value, access & CPU_W));
        r = cpu_access(&m->cpu, m->n.root, model_gpa(page) + 9, access, &walk);
    }
    assert_int_equal(r, may ? CPU_OK : CPU_FAULT);
    if (!may)
        return;
    assert_int_equal(walk.hpa, ((u64)p->frame << PAGE_SHIFT) + 9);
    want |= NESTED_A | (access & CPU_W ? NESTED_D : 0);
    if (p->attr == want)
        return;
    first = leaf_first(page, p->level);
    for (u64 i = 0; i < 1ull << 9 * (p->level - 1); i++)
        m->pages[first + i].attr = (u8)want;
}

static void check_all(struct model *m)
{
    u64 leaves[4] = {0};

    for (u64 i = 0; i < MODEL_GIBS * PAGES_PER_GIB; i++) {
        check_page(m, i);
        if (m->pages[i].level && leaf_first(i, m->pages[i].level) == i)
            leaves[m->pages[i].level]++;
    }
    for (unsigned level = 1; level <= 3; level++)
        assert_int_equal(m->n.leaves[level], leaves[level]);
}

static void random_sequence(enum nested_format_id format, u64 seed, unsigned ops)
{
    struct model m = {.seed = seed};
    struct nested_caps caps = caps_of(format);

    m.pages = calloc(MODEL_GIBS * PAGES_PER_GIB, sizeof(*m.pages));
    assert_non_null(m.pages);
    arena_init(&m.a, 16 * MIB);
    assert_int_equal(nested_init(&m.n, &caps, &m.a.source), OK);
    m.cpu = cpu_of(&caps, &m.a);
    for (unsigned i = 0; i < ops; i++) {
        static void (*const op[])(struct model *) = {op_map,     op_map,   op_map,    op_unmap,
                                                     op_protect, op_split, op_access, op_access};
        unsigned which = rnd(&m.seed) % ARRAY_SIZE(op);

        if (op[which] != op_split || rnd(&m.seed) % 16 == 0)
            op[which](&m);
        check_page(&m, some_page(&m));
        if (i % (ops / 4) == 0)
            check_all(&m);
    }
    check_all(&m);
    nested_fini(&m.n, NULL, NULL);
    arena_fini(&m.a);
    free(m.pages);
}

static void random_sequences_match_the_model(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    random_sequence(formats[f], 0x1234567 + f, 1000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_have_the_documented_bits),
        cmocka_unit_test(attributes_round_trip),
        cmocka_unit_test(processor_agrees_with_permissions),
        cmocka_unit_test(accessed_and_dirty_come_by_marking),
        cmocka_unit_test(map_refuses_what_cannot_be),
        cmocka_unit_test(limits_follow_the_processor),
        cmocka_unit_test(split_keeps_everything),
        cmocka_unit_test(near_and_far_walks_agree),
        cmocka_unit_test(fini_visits_all_leaves),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(random_sequences_match_the_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
