/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest page walk on random tables in every paging mode, against a second model, written from
 * the tables of Intel SDM volume 3, chapter 4.
 */
#include "tests/unit/random.h"
#include "tests/unit/walk_memory.h"
#include "vmm/emul/walk.h"

static u64 seed = 88172645463325252ull;

static u64 rnd(void)
{
    return random_u64(&seed) >> 8;
}

/* ---- the model ---- */

struct model_result {
    enum walk_result r;
    gpa_t gpa;
    u32 error;
    gpa_t used[5];
    unsigned n, width;
};

struct model_level {
    unsigned shift, bits, width;
    int large; /* 0 never, 1 always, 2 with CR4.PSE, 3 with 1 GiB pages */
    bool rights;
};

static const struct model_level levels_32[] = {{22, 10, 4, 2, true}, {12, 10, 4, 0, true}};
static const struct model_level levels_pae[] = {
    {30, 2, 8, 0, false}, {21, 9, 8, 1, true}, {12, 9, 8, 0, true}};
static const struct model_level levels_4[] = {
    {39, 9, 8, 0, true}, {30, 9, 8, 3, true}, {21, 9, 8, 1, true}, {12, 9, 8, 0, true}};
static const struct model_level levels_5[] = {{48, 9, 8, 0, true},
                                              {39, 9, 8, 0, true},
                                              {30, 9, 8, 3, true},
                                              {21, 9, 8, 1, true},
                                              {12, 9, 8, 0, true}};

static u64 range(unsigned high, unsigned low)
{
    return (high == 63 ? ~0ull : BIT(high + 1) - 1) & ~(BIT(low) - 1);
}

static bool large_allowed(const struct walk *w, int large)
{
    return large == 1 || (large == 2 && (w->cr4 & CR4_PSE)) || (large == 3 && w->pages_1g);
}

/* Bits that must be zero in an entry (SDM 3, tables 4-4 to 4-20). */
static u64 model_reserved(const struct walk *w, const struct model_level *l, bool leaf, u64 e)
{
    u64 r = 0;

    if (l->width == 4) {
        if (!leaf || l->shift == 12)
            return 0;
        r = BIT(21);
        for (unsigned bit = 13; bit <= 20; bit++) {
            if (32 + bit - 13 >= w->maxphyaddr)
                r |= BIT(bit);
        }
        return e & r;
    }
    if (w->maxphyaddr < 52)
        r |= range(51, w->maxphyaddr);
    if (!l->rights) /* PAE PDPTE */
        return e & (r | range(63, 52) | range(2, 1) | range(8, 5));
    if (!(w->efer & EFER_NXE))
        r |= BIT(63);
    if (walk_mode_of(w->cr0, w->cr4, w->efer) == WALK_PAE)
        r |= range(62, 52);
    if (leaf && l->shift > 12)
        r |= range(l->shift - 1, 13);
    if (!leaf && l->shift > 21 && !(l->large == 3 && w->pages_1g))
        r |= BIT(7);
    return e & r;
}

static bool model_denied(const struct walk *w, u32 access, bool us, bool rw, bool nx, unsigned key,
                         bool *by_key)
{
    bool user = access & WALK_USER, write = access & WALK_WRITE, fetch = access & WALK_FETCH;
    bool ia32e = w->efer & EFER_LMA, wp = w->cr0 & CR0_WP;

    *by_key = false;
    if (fetch && nx)
        return true;
    if (user && !us)
        return true;
    if (write && !rw && (user || wp))
        return true;
    if (!user && us) {
        if (fetch)
            return w->cr4 & CR4_SMEP;
        if ((w->cr4 & CR4_SMAP) && ((access & WALK_SYSTEM) || !(w->rflags & FLAG_AC)))
            return true;
    }
    if (us && !fetch && ia32e && (w->cr4 & CR4_PKE)) {
        bool ad = w->pkru >> (key * 2) & 1, wd = w->pkru >> (key * 2 + 1) & 1;

        *by_key = ad || (wd && write && (user || wp));
        return *by_key;
    }
    return false;
}

static u64 model_entry(const struct memory *m, gpa_t gpa, unsigned width)
{
    u64 e = 0;

    memcpy(&e, m->ram + gpa, width);
    return e;
}

static struct model_result model_fault(const struct walk *w, u32 access, u32 error)
{
    struct model_result res = {.r = WALK_FAULT};
    bool nx = (w->cr4 & CR4_PAE) && (w->efer & EFER_NXE);

    res.error = error | (access & WALK_WRITE ? PF_W : 0) | (access & WALK_USER ? PF_U : 0);
    if ((access & WALK_FETCH) && (nx || (w->cr4 & CR4_SMEP)))
        res.error |= PF_I;
    return res;
}

static struct model_result model(const struct walk *w, const struct memory *m, gla_t gla,
                                 u32 access)
{
    static const struct {
        const struct model_level *l;
        unsigned n;
    } modes[] = {[WALK_32BIT] = {levels_32, 2},
                 [WALK_PAE] = {levels_pae, 3},
                 [WALK_4LEVEL] = {levels_4, 4},
                 [WALK_5LEVEL] = {levels_5, 5}};
    enum walk_mode mode = walk_mode_of(w->cr0, w->cr4, w->efer);
    struct model_result res = {.r = WALK_OK};
    bool us = true, rw = true, nx = false, key_denied;
    u64 e = 0, table;

    if (mode == WALK_FLAT) {
        res.gpa = (u32)gla;
        return res;
    }
    table = mode == WALK_32BIT ? (w->cr3 & range(31, 12))
            : mode == WALK_PAE ? (w->cr3 & range(31, 5))
                               : (w->cr3 & range(w->maxphyaddr - 1, 12));
    if (mode <= WALK_PAE)
        gla = (u32)gla;
    for (unsigned i = 0; i < modes[mode].n; i++) {
        const struct model_level *l = &modes[mode].l[i];
        gpa_t at = table + (gla >> l->shift & (BIT(l->bits) - 1)) * l->width;
        bool leaf;

        if (!l->rights && w->pdpte_regs) {
            e = w->pdpte[gla >> 30];
        } else {
            if (at >= RAM) {
                res.r = WALK_NOT_RAM;
                res.gpa = at;
                return res;
            }
            e = model_entry(m, at, l->width);
        }
        if (!(e & 1))
            return model_fault(w, access, 0);
        leaf = l->shift == 12 || ((e & BIT(7)) && large_allowed(w, l->large));
        if (model_reserved(w, l, leaf, e))
            return model_fault(w, access, PF_P | PF_RSVD);
        if (l->rights) {
            us = us && (e & 4);
            rw = rw && (e & 2);
            nx = nx || (l->width == 8 && (e >> 63));
            res.used[res.n++] = at;
            res.width = l->width;
        }
        if (leaf) {
            u64 low = BIT(l->shift) - 1, page = e & range(51, 12) & ~low;

            if (l->width == 4)
                page = (e & range(31, l->shift)) | (l->shift == 22 ? (e >> 13 & 0xff) << 32 : 0);
            res.gpa = page | (gla & low);
            break;
        }
        table = e & (l->width == 4 ? range(31, 12) : range(51, 12));
    }
    if (model_denied(w, access, us, rw, nx, e >> 59 & 15, &key_denied))
        return model_fault(w, access, PF_P | (key_denied ? PF_PK : 0));
    return res;
}

/* ---- random tables ---- */

static u64 random_entry(unsigned width, bool kind)
{
    u64 e = (rnd() % PAGES) << 12;

    e |= rnd() & 0xf7f; /* rights, A, D, PAT */
    if (rnd() % 16)
        e |= 7;
    if (rnd() % (kind ? 6 : 24) == 0)
        e |= BIT(7);
    if (width == 4)
        return (rnd() % 16 == 0 ? e | (rnd() & 0xffc00000) : e) | (rnd() % 32 == 0 ? BIT(21) : 0);
    if (rnd() % 4 == 0)
        e |= (rnd() & 15) << 59;
    if (rnd() % 8 == 0)
        e |= BIT(63);
    if (rnd() % 24 == 0)
        e |= BIT(rnd() % 52);
    if (rnd() % 24 == 0)
        e |= BIT(52 + rnd() % 7);
    return e;
}

static void random_walk(struct walk *w, struct memory *m)
{
    static const u8 widths[] = {32, 36, 39, 40, 46, 52};

    memset(w, 0, sizeof(*w));
    w->mem = &mem;
    w->ctx = m;
    w->cr0 = CR0_PE | (rnd() % 32 ? CR0_PG : 0) | (rnd() & 1 ? CR0_WP : 0);
    w->cr4 = rnd() & (CR4_PSE | CR4_SMEP | CR4_SMAP | CR4_PKE | CR4_PGE);
    w->efer = rnd() & EFER_NXE;
    switch (rnd() % 4) {
    case 0:
        break;
    case 1:
        w->cr4 |= CR4_PAE;
        break;
    case 2:
        w->cr4 |= CR4_PAE;
        w->efer |= EFER_LMA | EFER_LME;
        break;
    case 3:
        w->cr4 |= CR4_PAE | CR4_LA57;
        w->efer |= EFER_LMA | EFER_LME;
        break;
    }
    if (!(w->cr0 & CR0_PG))
        w->efer &= ~EFER_LMA;
    w->rflags = rnd() & FLAG_AC;
    w->pkru = (u32)rnd();
    w->maxphyaddr = widths[rnd() % ARRAY_SIZE(widths)];
    w->pages_1g = rnd() & 1;
    w->pdpte_regs = rnd() & 1;
    w->cr3 = (rnd() % PAGES) << 12 | (rnd() & 0xfff);
    if (rnd() % 8 == 0)
        w->cr3 |= rnd() << 32; /* the upper half is ignored by 32-bit and PAE paging */
    for (unsigned i = 0; i < 4; i++)
        w->pdpte[i] = (rnd() % PAGES) << 12 | (rnd() % 8 ? 1 : rnd() & 0x1ff);
    walk_init(w);
}

static u32 random_access(void)
{
    static const u32 kinds[] = {0, WALK_WRITE, WALK_FETCH};
    u32 a = kinds[rnd() % 3] | (rnd() & WALK_USER);

    if (!(a & (WALK_USER | WALK_FETCH)) && rnd() % 4 == 0)
        a |= WALK_SYSTEM;
    return a;
}

/* Only accessed and dirty bits of the entries used may have changed, and exactly those. */
static void check_memory(struct memory *m, const struct model_result *res, u32 access)
{
    for (unsigned i = 0; i < res->n && res->r == WALK_OK; i++) {
        m->before[res->used[i]] |= 0x20;
        if (i == res->n - 1 && (access & WALK_WRITE))
            m->before[res->used[i]] |= 0x40;
    }
    assert_memory_equal(m->ram, m->before, RAM);
    assert_int_equal(m->held, 0);
}

static void test_random_tables(void **state)
{
    static struct memory m;
    static unsigned seen[5][4];

    (void)state;
    for (unsigned round = 0; round < 600; round++) {
        struct walk w;
        unsigned width;

        random_walk(&w, &m);
        width = w.mode == WALK_32BIT ? 4 : 8;
        for (unsigned i = 0; i < RAM; i += width) {
            u64 e = random_entry(width, round & 1);

            memcpy(m.ram + i, &e, width);
        }
        for (unsigned k = 0; k < 200; k++) {
            gla_t gla = rnd() << 32 ^ rnd();
            u32 access = random_access();
            struct model_result want;
            struct walk_out got = {0};
            enum walk_result r;

            memcpy(m.before, m.ram, RAM);
            want = model(&w, &m, gla, access);
            r = walk_gla(&w, gla, access, &got);
            assert_int_equal(r, want.r);
            if (r == WALK_FAULT)
                assert_int_equal(got.error, want.error);
            else
                assert_int_equal(got.gpa, want.gpa);
            check_memory(&m, &want, access);
            seen[w.mode][r]++;
        }
    }
    for (unsigned mode = WALK_32BIT; mode <= WALK_5LEVEL; mode++) {
        assert_true(seen[mode][WALK_OK] > 300);
        assert_true(seen[mode][WALK_FAULT] > 300);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_tables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
