/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A local APIC with a processor's help against one without: the same random accesses to both, one
 * by the model alone, the other by a slow processor written from the manual (SDM 3, 29.1 to 29.4)
 * that works on the page. After each, every register reads the same, and the same is delivered.
 */
#include "tests/unit/lapic_bench.h"
#include "vmm/dev/vlapic.h"

#define STEPS 200000

static u64 seed;

static u32 rnd(u32 n)
{
    return (u32)(random_u64(&seed) >> 33) % n;
}

/* ---- the processor ---- */

static struct {
    u32 *page;
    struct vlapic *l;
    enum apic_help help;
    int rvi, svi;
    u32 eoi_exit[8];
} p;

static u32 *reg(unsigned r)
{
    return &p.page[4 * r];
}

static int top(unsigned r)
{
    for (int v = 255; v >= 0; v--)
        if (*reg(r + (unsigned)v / 32) >> (v % 32) & 1)
            return v;
    return 0;
}

static void ppr_virtualisation(void)
{
    u32 tpr = *reg(APIC_TPR) & 0xff;

    *reg(APIC_PPR) = tpr >> 4 >= (u32)p.svi >> 4 ? tpr : (u32)p.svi & 0xf0;
}

/* What skep does before an entry, and the entry. */
static void enter(void)
{
    vlapic_take_back(p.l);
    vlapic_pending(p.l);
    if (p.help == APIC_VIRTUAL) {
        p.rvi = MAX(p.l->irr_top, 0);
        p.svi = MAX(p.l->isr_top, 0);
        for (unsigned i = 0; i < 8; i++)
            p.eoi_exit[i] = *reg(APIC_TMR + i);
        assert_int_equal(p.rvi, top(APIC_IRR)); /* the manual's meaning of the two */
        assert_int_equal(p.svi, top(APIC_ISR));
        ppr_virtualisation();
    }
    vlapic_lend(p.l);
}

/* The vector that is delivered now, or -1. */
static int deliver(void)
{
    int v = p.rvi;

    if (p.help == APIC_SHADOW) {
        v = vlapic_pending(p.l);
        if (v >= 0)
            vlapic_ack(p.l, (u8)v);
        return v;
    }
    if ((u32)v >> 4 <= *reg(APIC_PPR) >> 4)
        return -1;
    *reg(APIC_ISR + (unsigned)v / 32) |= 1u << (v % 32);
    p.svi = v;
    *reg(APIC_PPR) = (u32)v & 0xf0;
    *reg(APIC_IRR + (unsigned)v / 32) &= ~(1u << (v % 32));
    p.rvi = top(APIC_IRR);
    return v;
}

static void eoi_virtualisation(void)
{
    int v = p.svi;

    *reg(APIC_EOI) = 0;
    *reg(APIC_ISR + (unsigned)v / 32) &= ~(1u << (v % 32));
    p.svi = top(APIC_ISR);
    ppr_virtualisation();
    if (p.eoi_exit[v / 32] >> (v % 32) & 1) {
        vlapic_ended(p.l, (u8)v);
        enter();
    }
}

/* A write by the guest: what the processor does, and skep after the exit if there is one. */
static void guest_writes(struct lapic_bench *t, unsigned r, u32 value)
{
    bool self = (value & 0xfff3b700) == 0 && (value >> 18 & 3) == 1 && (u8)value >= 16;

    if (r == APIC_TPR) {
        *reg(r) = value & 0xff;
        if (p.help == APIC_VIRTUAL)
            ppr_virtualisation();
    } else if (p.help == APIC_SHADOW) {
        wr(t, 1, r, value);
        enter();
    } else if (r == APIC_EOI) {
        eoi_virtualisation();
    } else if (r == APIC_ICR && self) {
        *reg(r) = value;
        *reg(APIC_IRR + (u8)value / 32) |= 1u << (value % 32);
        p.rvi = MAX(p.rvi, (int)(u8)value);
    } else if (r == APIC_ICR2) {
        *reg(r) = value & 0xff000000;
    } else {
        *reg(r) = value;
        vlapic_written(p.l, 16 * r, t->now);
        enter();
    }
}

/* ---- both ---- */

static void same(struct lapic_bench *t)
{
    for (unsigned r = APIC_ID; r < APIC_SELF_IPI; r++) {
        u32 a = rd(t, 0, r), b = rd(t, 1, r);

        if (r == APIC_ID)
            b ^= 1u << 24; /* there are two of them */
        if (a != b)
            fail_msg("register %x0: %x, with help %x", r, a, b);
    }
    assert_int_equal(t->cpu[0].eois, t->cpu[1].eois);
    assert_int_equal(t->cpu[0].eoi_vector, t->cpu[1].eoi_vector);
    assert_int_equal(vlapic_deadline(&t->cpu[0].l), vlapic_deadline(&t->cpu[1].l));
    enter(); /* reading what is not there raises an error */
}

/* Even vectors are edges, odd ones levels: TMR of a self-IPI is the known difference. */
static void step(struct lapic_bench *t)
{
    static const u8 regs[] = {APIC_ID,        APIC_LDR,       APIC_DFR,       APIC_SVR,
                              APIC_ESR,       APIC_ICR2,      APIC_LVT_TIMER, APIC_LVT_THERMAL,
                              APIC_LVT_PMC,   APIC_LVT_LINT0, APIC_LVT_LINT1, APIC_LVT_ERROR,
                              APIC_TIMER_ICR, APIC_TIMER_DCR, APIC_TPR,       APIC_TPR};
    u32 what = rnd(8), value = rnd(0x10000) | rnd(0x10000) << 16, r;
    u8 vector = (u8)(16 + rnd(240));

    t->now += rnd(1000);
    if (what < 2) {
        r = regs[rnd(ARRAY_SIZE(regs))];
        if (r == APIC_SVR)
            value |= BIT(8);
        if (r == APIC_LVT_LINT0 || r == APIC_LVT_LINT1)
            value |= 1; /* may be level-triggered */
        wr(t, 0, r, value);
        guest_writes(t, r, value);
    } else if (what == 2) {
        value = 0x44000u | (vector & 0xfeu);
        wr(t, 0, APIC_ICR, value);
        guest_writes(t, APIC_ICR, value);
    } else if (what == 3) {
        for (unsigned i = 0; i < 2; i++)
            vlapic_post(&t->cpu[i].l, vector, vector & 1);
        vlapic_pending(&t->cpu[0].l); /* takes it up when the other one does */
        enter();
    } else if (what == 4) {
        for (unsigned i = 0; i < 2; i++)
            vlapic_set_lint(&t->cpu[i].l, value & 1, value & 2);
        vlapic_pending(&t->cpu[0].l);
        enter();
    } else if (what == 5) {
        wr(t, 0, APIC_EOI, 0);
        guest_writes(t, APIC_EOI, 0);
    } else {
        int a = vlapic_pending(&t->cpu[0].l);

        if (a >= 0)
            vlapic_ack(&t->cpu[0].l, (u8)a);
        assert_int_equal(a, deliver());
    }
}

static void run(enum apic_help help)
{
    struct lapic_bench *t = bench_new(2);

    seed = 20;
    for (unsigned i = 0; i < 2; i++) {
        wr(t, i, APIC_SVR, 0x1ff);
        wr(t, i, APIC_LVT_LINT0, 0x10000);
        wr(t, i, APIC_LVT_LINT1, 0x10000);
        wr(t, i, APIC_LDR, 0);
    }
    p.page = t->cpu[1].page;
    p.l = &t->cpu[1].l;
    p.help = help;
    vlapic_set_help(p.l, help);
    enter();
    for (unsigned i = 0; i < STEPS; i++) {
        step(t);
        if (i % 4 == 0)
            same(t);
        if (i % 1000 == 999) { /* help ends, and begins again */
            vlapic_take_back(p.l);
            vlapic_set_help(p.l, APIC_EMULATE);
            same(t);
            vlapic_set_help(p.l, help);
            enter();
        }
    }
    free(t);
}

static void test_shadow(void **state)
{
    (void)state;
    run(APIC_SHADOW);
}

static void test_virtual(void **state)
{
    (void)state;
    run(APIC_VIRTUAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shadow),
        cmocka_unit_test(test_virtual),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
