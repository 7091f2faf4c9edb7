/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Nested tables: long random sequences against a plain map from page to state, with the processor
 * of mm_cpu.h beside it.
 */
#include <string.h>
#include "mm/nested.h"
#include "tests/unit/mm_arena.h"
#include "tests/unit/mm_formats.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

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
    u64 r = random_u64(&m->seed);
    u64 piece = r % 16 ? pieces[r >> 8 & 3] : (r >> 8) % 512;

    return (r >> 40 & 1) * PAGES_PER_GIB + piece * 512 + (r >> 20) % 512;
}

static unsigned some_level(struct model *m)
{
    u64 r = random_u64(&m->seed) % 4096;

    return r == 0 ? 3 : r < 300 ? 2 : 1;
}

static unsigned some_perms(struct model *m)
{
    static const u8 perms[] = {0, NESTED_R, NESTED_RW, NESTED_RX, NESTED_RWX};

    return perms[random_u64(&m->seed) % ARRAY_SIZE(perms)];
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
    unsigned attr = perms | (unsigned)(random_u64(&m->seed) & (NESTED_A | NESTED_D));
    u64 page = leaf_first(some_page(m), level), count = 1ull << 9 * (level - 1);
    u64 frame =
        (random_u64(&m->seed) % 512) << 18 | (level < 3 ? (random_u64(&m->seed) % 512) << 9 : 0);
    bool foreign = random_u64(&m->seed) & 1, in_use = false;
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
    if (level > 1 && random_u64(&m->seed) % 8)
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
    u64 count = 1 + random_u64(&m->seed) % (random_u64(&m->seed) % 64 ? 8 : 2048);

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
    unsigned access = 1 + random_u64(&m->seed) % 7, want = p->attr;
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
    m.cpu = cpu_of(&caps, &m.a.source);
    for (unsigned i = 0; i < ops; i++) {
        static void (*const op[])(struct model *) = {op_map,     op_map,   op_map,    op_unmap,
                                                     op_protect, op_split, op_access, op_access};
        unsigned which = random_u64(&m.seed) % ARRAY_SIZE(op);

        if (op[which] != op_split || random_u64(&m.seed) % 16 == 0)
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
        cmocka_unit_test(random_sequences_match_the_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
