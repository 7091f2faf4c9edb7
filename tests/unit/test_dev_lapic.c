/* SPDX-License-Identifier: BSD-2-Clause */
/* The local APIC against Intel SDM 3, chapter 10: registers, priorities, IPIs, errors, modes. */
#include "tests/unit/lapic_bench.h"
#include "vmm/dev/vlapic.h"

static int setup(void **state)
{
    *state = bench_new(4);
    enable_all(*state);
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

/* 10.4.7.1, and the boot processor as firmware leaves it. */
static void reset_state(void **state)
{
    struct lapic_bench *t = bench_new(3);

    (void)state;
    assert_int_equal(rd(t, 2, APIC_ID), 2u << 24);
    assert_int_equal(rd(t, 2, APIC_VERSION), VLAPIC_VERSION);
    assert_int_equal(rd(t, 2, APIC_VERSION) >> 16 & 0xff, 5);
    assert_int_equal(rd(t, 2, APIC_TPR), 0);
    assert_int_equal(rd(t, 2, APIC_LDR), 0);
    assert_int_equal(rd(t, 2, APIC_DFR), 0xffffffff);
    assert_int_equal(rd(t, 2, APIC_SVR), 0xff);
    for (unsigned r = APIC_LVT_TIMER; r <= APIC_LVT_ERROR; r++)
        assert_int_equal(rd(t, 2, r), 0x10000);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(rd(t, 2, APIC_IRR + i) | rd(t, 2, APIC_ISR + i) | rd(t, 2, APIC_TMR + i),
                         0);
    assert_int_equal(rd(t, 2, APIC_TIMER_ICR) | rd(t, 2, APIC_TIMER_CCR), 0);
    assert_int_equal(vlapic_read_base(&t->cpu[2].l), 0xfee00800);
    assert_int_equal(vlapic_read_base(&t->cpu[0].l), 0xfee00900);
    assert_int_equal(rd(t, 0, APIC_LVT_LINT0), 0x700);
    assert_int_equal(rd(t, 0, APIC_LVT_LINT1), 0x400);
    assert_true(vlapic_takes_extint(&t->cpu[0].l));
    assert_false(vlapic_takes_extint(&t->cpu[2].l));
    assert_int_equal(vlapic_pending(&t->cpu[2].l), -1);
    free(t);
}

static void init_refuses(void **state)
{
    struct lapic_bench *t = bench_new(1);
    struct vlapic l;
    struct vlapic_config c = t->cpu[0].l.c;

    (void)state;
    assert_int_equal(vlapic_init(&l, &c), ERR_EXISTS);
    c.id = VLAPIC_MAX;
    assert_int_equal(vlapic_init(&l, &c), ERR_INVAL);
    c.id = 1;
    c.phys_bits = 64;
    assert_int_equal(vlapic_init(&l, &c), ERR_INVAL);
    free(t);
}

/* Table 10-1 and the bits of each register: what can be written, and what reads back. */
static void registers_hold_their_bits(void **state)
{
    static const struct {
        unsigned reg;
        u32 ones, zeros;
    } expect[] = {
        {APIC_TPR, 0xff, 0},
        {APIC_LDR, 0xff000000, 0},
        {APIC_DFR, 0xffffffff, 0x0fffffff},
        {APIC_ICR2, 0xff000000, 0},
        {APIC_LVT_TIMER, 0x100ff, 0}, /* mode 3 is reserved: mode bits stay */
        {APIC_LVT_THERMAL, 0x107ff, 0},
        {APIC_LVT_PMC, 0x107ff, 0},
        {APIC_LVT_LINT0, 0x1a7ff, 0},
        {APIC_LVT_LINT1, 0x1a7ff, 0},
        {APIC_LVT_ERROR, 0x100ff, 0},
        {APIC_TIMER_ICR, 0xffffffff, 0},
        {APIC_TIMER_DCR, 0x0b, 0},
        {APIC_SVR, 0x11ff, 0},
        {APIC_ID, 0x01000000, 0x01000000},
        {APIC_VERSION, VLAPIC_VERSION, VLAPIC_VERSION},
        {APIC_PPR, 0, 0},
        {APIC_ISR, 0, 0},
        {APIC_IRR + 7, 0, 0},
        {APIC_TIMER_CCR, 0, 0},
    };
    struct lapic_bench *t = *state;

    for (unsigned i = 0; i < ARRAY_SIZE(expect); i++) {
        wr(t, 1, expect[i].reg, 0);
        assert_int_equal(rd(t, 1, expect[i].reg), expect[i].zeros);
        wr(t, 1, expect[i].reg, 0xffffffff);
        assert_int_equal(rd(t, 1, expect[i].reg), expect[i].ones);
        wr(t, 1, expect[i].reg, 0);
        wr(t, 1, APIC_SVR, 0x1ff);
    }
    assert_int_equal(rd(t, 1, APIC_ESR), 0);
    wr(t, 1, APIC_ESR, 0);
    assert_int_equal(rd(t, 1, APIC_ESR), 0);
}

/* 10.8.3.1: a request is offered if its class is above the processor priority's. */
static void priorities(void **state)
{
    struct lapic_bench *t = *state;
    struct vlapic *l = &t->cpu[0].l;

    vlapic_post(l, 0x31, false);
    vlapic_post(l, 0x52, false);
    vlapic_post(l, 0x51, false);
    assert_int_equal(rd(t, 0, APIC_IRR + 2), 0x60000);
    assert_int_equal(take(t, 0), 0x52);
    assert_int_equal(rd(t, 0, APIC_PPR), 0x50);
    assert_int_equal(rd(t, 0, APIC_ISR + 2), 0x40000);
    assert_int_equal(take(t, 0), -1); /* 0x51 is of the same class */
    vlapic_post(l, 0x60, false);
    assert_int_equal(take(t, 0), 0x60);
    wr(t, 0, APIC_EOI, 0);
    assert_int_equal(rd(t, 0, APIC_PPR), 0x50);
    wr(t, 0, APIC_EOI, 0);
    assert_int_equal(take(t, 0), 0x51);
    wr(t, 0, APIC_TPR, 0x3f);
    wr(t, 0, APIC_EOI, 0);
    assert_int_equal(rd(t, 0, APIC_PPR), 0x3f);
    assert_int_equal(take(t, 0), -1);
    assert_int_equal(vlapic_tpr_threshold(l), 3);
    wr(t, 0, APIC_TPR, 0x2f);
    assert_int_equal(vlapic_tpr_threshold(l), 0);
    assert_int_equal(take(t, 0), 0x31);
    wr(t, 0, APIC_EOI, 0);
    wr(t, 0, APIC_EOI, 0); /* nothing in service: nothing happens */
    assert_int_equal(rd(t, 0, APIC_PPR), 0x2f);
}

static void tpr_and_cr8(void **state)
{
    struct lapic_bench *t = *state;
    struct vlapic *l = &t->cpu[0].l;

    for (unsigned v = 0; v < 16; v++) {
        vlapic_set_cr8(l, (u8)v);
        assert_int_equal(rd(t, 0, APIC_TPR), v << 4);
        wr(t, 0, APIC_TPR, v << 4 | 5);
        assert_int_equal(vlapic_cr8(l), v);
    }
    /* Class 15 holds everything back. */
    for (unsigned v = 16; v < 256; v++)
        vlapic_post(l, (u8)v, false);
    assert_int_equal(take(t, 0), -1);
    assert_int_equal(vlapic_tpr_threshold(l), 15);
}

static void tpr_threshold_refreshed_after_eoi(void **state)
{
    struct lapic_bench *t = *state;
    struct vlapic *l = &t->cpu[0].l;

    vlapic_post(l, 0x71, false);
    assert_int_equal(take(t, 0), 0x71);
    vlapic_post(l, 0x61, false);
    wr(t, 0, APIC_TPR, 0x60);
    assert_int_equal(vlapic_tpr_threshold(l), 0); /* what is in service holds it, TPR or not */
    wr(t, 0, APIC_EOI, 0);
    assert_int_equal(vlapic_pending(l), -1);
    assert_int_equal(vlapic_tpr_threshold(l), 6);
    wr(t, 0, APIC_TPR, 0x5f);
    assert_int_equal(vlapic_pending(l), 0x61);
}

/* Every vector, up and down: each bit in its word, each EOI ends the highest. */
static void every_vector(void **state)
{
    struct lapic_bench *t = *state;

    for (unsigned v = 16; v < 256; v++) {
        vlapic_post(&t->cpu[3].l, (u8)v, false);
        assert_int_equal(rd(t, 3, APIC_IRR + v / 32), 1u << v % 32);
        assert_int_equal(take(t, 3), v);
        assert_int_equal(rd(t, 3, APIC_IRR + v / 32), 0);
        assert_int_equal(rd(t, 3, APIC_ISR + v / 32), 1u << v % 32);
        wr(t, 3, APIC_EOI, 0);
        assert_int_equal(rd(t, 3, APIC_ISR + v / 32), 0);
    }
    assert_int_equal(t->cpu[3].eois, 0);
}

static void level_triggered_eoi_broadcast(void **state)
{
    struct lapic_bench *t = *state;

    vlapic_post(&t->cpu[0].l, 0x41, true);
    assert_int_equal(rd(t, 0, APIC_TMR + 2), 2);
    assert_int_equal(take(t, 0), 0x41);
    wr(t, 0, APIC_EOI, 0);
    assert_int_equal(t->cpu[0].eois, 1);
    assert_int_equal(t->cpu[0].eoi_vector, 0x41);
    /* The same vector as an edge clears TMR again. */
    vlapic_post(&t->cpu[0].l, 0x41, false);
    assert_int_equal(take(t, 0), 0x41);
    assert_int_equal(rd(t, 0, APIC_TMR + 2), 0);
    wr(t, 0, APIC_EOI, 0);
    assert_int_equal(t->cpu[0].eois, 1);
    /* Suppression (10.8.5). */
    wr(t, 0, APIC_SVR, 0x11ff);
    vlapic_post(&t->cpu[0].l, 0x41, true);
    take(t, 0);
    wr(t, 0, APIC_EOI, 0);
    assert_int_equal(t->cpu[0].eois, 1);
}

/* 10.4.7.2 */
static void software_disabled(void **state)
{
    struct lapic_bench *t = *state;

    wr(t, 0, APIC_LVT_TIMER, 0x30);
    wr(t, 0, APIC_LVT_ERROR, 0xfe);
    vlapic_post(&t->cpu[0].l, 0x55, false);
    wr(t, 0, APIC_SVR, 0x0ff);
    assert_int_equal(rd(t, 0, APIC_LVT_TIMER), 0x10030);
    assert_int_equal(rd(t, 0, APIC_LVT_ERROR), 0x100fe);
    wr(t, 0, APIC_LVT_TIMER, 0x30); /* masks cannot be cleared */
    assert_int_equal(rd(t, 0, APIC_LVT_TIMER), 0x10030);
    assert_int_equal(take(t, 0), 0x55); /* what was pending is held */
    assert_int_equal(vlapic_deliver(&t->group, NULL, &(struct apic_msg){.dest = 0, .vector = 0x56}),
                     0);
    assert_int_equal(
        vlapic_deliver(&t->group, NULL, &(struct apic_msg){.dest = 0, .mode = APIC_NMI}), 1);
    assert_int_equal(vlapic_take_events(&t->cpu[0].l), VLAPIC_EV_NMI);
}

/* ---- IPIs ---------------------------------------------------------------------------------------
 */

static u32 who_got(struct lapic_bench *t, u8 vector)
{
    u32 set = 0;

    for (unsigned i = 0; i < t->count; i++) {
        int v = take(t, i);

        if (v < 0)
            continue;
        assert_int_equal(v, vector);
        set |= 1u << i;
        wr(t, i, APIC_EOI, 0);
    }
    return set;
}

static u32 ipi(struct lapic_bench *t, u32 high, u32 low)
{
    wr(t, 1, APIC_ICR2, high);
    wr(t, 1, APIC_ICR, low);
    assert_int_equal(rd(t, 1, APIC_ICR), low & 0xccfff & ~0x1000u);
    return who_got(t, (u8)low);
}

static void ipi_to_nobody_to_self_to_all(void **state)
{
    struct lapic_bench *t = *state;

    assert_int_equal(ipi(t, 0, 0x40), 1);
    assert_int_equal(ipi(t, 3u << 24, 0x40), 8);
    assert_int_equal(ipi(t, 4u << 24, 0x40), 0);   /* nobody */
    assert_int_equal(ipi(t, 200u << 24, 0x40), 0); /* nobody, beyond any table */
    assert_int_equal(ipi(t, 1u << 24, 0x40), 2);   /* self by ID */
    assert_int_equal(ipi(t, 0, 0x40040), 2);       /* self by shorthand */
    assert_int_equal(ipi(t, 0, 0x80040), 15);      /* all */
    assert_int_equal(ipi(t, 0, 0xc0040), 13);      /* all others */
    assert_int_equal(ipi(t, 0xff000000, 0x40), 15);
    assert_int_equal(ipi(t, 0xff000000, 0x840), 15);
    assert_int_equal(t->cpu[1].kicks, 0); /* the sender need not be woken */
    assert_int_equal(t->cpu[0].kicks, 5);
    assert_int_equal(ipi(t, 0, 0x1f040), 1); /* level, BUSY: as an edge */
    assert_int_equal(t->cpu[0].eois, 0);
}

static void ipi_logical_flat_and_cluster(void **state)
{
    struct lapic_bench *t = *state;

    assert_int_equal(ipi(t, 0x05000000, 0x841), 5);
    assert_int_equal(ipi(t, 0xf0000000, 0x841), 0);
    for (unsigned i = 0; i < 4; i++) { /* clusters 0 and 1 of two each */
        wr(t, i, APIC_DFR, 0);
        wr(t, i, APIC_LDR, (i / 2) << 28 | 0x01000000u << (i % 2));
    }
    assert_int_equal(ipi(t, 0x03000000, 0x841), 3);
    assert_int_equal(ipi(t, 0x13000000, 0x841), 12);
    assert_int_equal(ipi(t, 0x12000000, 0x841), 8);
    assert_int_equal(ipi(t, 0x23000000, 0x841), 0);
    assert_int_equal(ipi(t, 0xff000000, 0x841), 15);
}

static void ipi_lowest_priority(void **state)
{
    struct lapic_bench *t = *state;
    unsigned got[4] = {0};

    wr(t, 0, APIC_TPR, 0x50);
    wr(t, 1, APIC_TPR, 0x20);
    wr(t, 2, APIC_TPR, 0x30);
    wr(t, 3, APIC_TPR, 0x20);
    for (unsigned i = 0; i < 100; i++) { /* exactly one, among the least busy */
        u32 set = ipi(t, 0xff000000, 0x941);

        assert_true(set == 2 || set == 8);
        got[set == 2 ? 1 : 3]++;
    }
    assert_true(got[1] >= 40 && got[3] >= 40); /* equals take turns */
    assert_int_equal(ipi(t, 0x05000000, 0x961), 4);
    wr(t, 1, APIC_SVR, 0xff); /* who is disabled takes no part */
    wr(t, 3, APIC_SVR, 0xff);
    assert_int_equal(ipi(t, 0xff000000, 0x971), 4);
    assert_int_equal(ipi(t, 0x80000000, 0x971), 0);
}

static u32 events(struct lapic_bench *t, unsigned cpu)
{
    return vlapic_take_events(&t->cpu[cpu].l);
}

static void init_and_startup(void **state)
{
    struct lapic_bench *t = *state;

    wr(t, 0, APIC_ICR2, 2u << 24);
    wr(t, 0, APIC_ICR, 0xc500); /* INIT, level, assert */
    assert_int_equal(t->cpu[2].kicks, 1);
    assert_true(vlapic_has_events(&t->cpu[2].l));
    wr(t, 0, APIC_ICR, 0x8500); /* de-assert: nothing */
    assert_int_equal(events(t, 2), VLAPIC_EV_INIT);
    assert_false(vlapic_has_events(&t->cpu[2].l));
    wr(t, 0, APIC_ICR, 0x4500); /* INIT as an edge */
    wr(t, 0, APIC_ICR, 0x46a5);
    wr(t, 0, APIC_ICR, 0x4611); /* the second start-up changes nothing */
    {
        u32 ev = events(t, 2);

        assert_int_equal(ev & 0xff, VLAPIC_EV_INIT | VLAPIC_EV_SIPI);
        assert_int_equal(VLAPIC_EV_PAGE(ev), 0xa5);
    }
    /* An INIT after a start-up voids that. */
    wr(t, 0, APIC_ICR, 0x46a5);
    wr(t, 0, APIC_ICR, 0x4500);
    assert_int_equal(events(t, 2), VLAPIC_EV_INIT);
    /* NMI, SMI, all but self. */
    wr(t, 0, APIC_ICR, 0xc4400);
    wr(t, 0, APIC_ICR, 0xc4200);
    assert_int_equal(events(t, 0), 0);
    for (unsigned i = 1; i < 4; i++)
        assert_int_equal(events(t, i), VLAPIC_EV_NMI | VLAPIC_EV_SMI);
    /* Table 10-3: INIT and start-up to oneself do not exist. */
    wr(t, 0, APIC_ICR, 0x44500);
    wr(t, 0, APIC_ICR, 0x84500);
    wr(t, 0, APIC_ICR, 0x446a5);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(events(t, i), 0);
    /* Reserved delivery modes. */
    wr(t, 0, APIC_ICR, 0xc4341);
    wr(t, 0, APIC_ICR, 0xc4741);
    assert_int_equal(events(t, 1), 0);
    assert_int_equal(take(t, 1), -1);
}

static void init_resets(void **state)
{
    struct lapic_bench *t = *state;
    struct vlapic *l = &t->cpu[2].l;

    wr(t, 2, APIC_LVT_TIMER, 0x20031);
    wr(t, 2, APIC_TIMER_ICR, 1000);
    vlapic_post(l, 0x41, false);
    take(t, 2);
    vlapic_post(l, 0x61, false);
    wr(t, 2, APIC_TPR, 0x10);
    vlapic_reset(l, true);
    assert_int_equal(vlapic_pending(l), -1);
    assert_int_equal(rd(t, 2, APIC_ID), 2u << 24);
    assert_int_equal(rd(t, 2, APIC_SVR), 0xff);
    assert_int_equal(rd(t, 2, APIC_TPR) | rd(t, 2, APIC_ISR + 2) | rd(t, 2, APIC_PPR), 0);
    assert_int_equal(vlapic_deadline(l), DEADLINE_NONE);
}

static void timer_still_queued_after_reset(void **state)
{
    struct lapic_bench *t = *state;

    wr(t, 2, APIC_LVT_TIMER, 0x20031);
    wr(t, 2, APIC_TIMER_ICR, 100000);
    assert_true(vlapic_deadline(&t->cpu[2].l) != DEADLINE_NONE);
    vlapic_reset(&t->cpu[2].l, false);
    assert_int_equal(vlapic_deadline(&t->cpu[2].l), DEADLINE_NONE);
    t->now += NS_S;
    tick(t, 2);
    wr(t, 2, APIC_SVR, 0x1ff);
    assert_int_equal(take(t, 2), -1);
    assert_true(t->cpu[2].timer_changes >= 2);
}

/* ---- errors -------------------------------------------------------------------------------------
 */

static u32 esr(struct lapic_bench *t, unsigned cpu)
{
    wr(t, cpu, APIC_ESR, 0);
    return rd(t, cpu, APIC_ESR);
}

static void error_status(void **state)
{
    struct lapic_bench *t = *state;

    wr(t, 0, APIC_LVT_ERROR, 0xfe);
    wr(t, 0, APIC_ICR, 0x4405); /* NMI has no vector: no error */
    assert_int_equal(esr(t, 0), 0);
    events(t, 0);
    wr(t, 0, APIC_ICR, 0x4005);
    assert_int_equal(rd(t, 0, APIC_ESR), 0); /* latched by a write only */
    assert_int_equal(take(t, 0), 0xfe);
    wr(t, 0, APIC_EOI, 0);
    wr(t, 0, APIC_ICR, 0x4005); /* not armed again: no second interrupt */
    assert_int_equal(take(t, 0), -1);
    assert_int_equal(esr(t, 0), 0x20);
    assert_int_equal(esr(t, 0), 0);
    wr(t, 0, APIC_ICR, 0x400f);
    assert_int_equal(take(t, 0), 0xfe);
    wr(t, 0, APIC_EOI, 0);
    esr(t, 0);
    rd(t, 0, 0x05); /* no such register */
    assert_int_equal(take(t, 0), 0xfe);
    assert_int_equal(esr(t, 0), 0x80);
    /* From outside: the receiver finds out, and is woken for it. */
    wr(t, 0, APIC_EOI, 0);
    assert_int_equal(vlapic_deliver(&t->group, NULL, &(struct apic_msg){.dest = 0, .vector = 3}),
                     0);
    assert_int_equal(t->cpu[0].kicks, 1);
    assert_int_equal(take(t, 0), 0xfe);
    assert_int_equal(esr(t, 0), 0x40);
}

/* CVE-2024-45817: an illegal vector in the error entry must not raise the error interrupt again. */
static void illegal_vector_in_error_lvt(void **state)
{
    struct lapic_bench *t = *state;

    for (unsigned v = 0; v < 16; v++) {
        wr(t, 0, APIC_LVT_ERROR, v);
        wr(t, 0, APIC_ICR, 0x4000 | v);
        assert_int_equal(esr(t, 0), 0x60);
        assert_int_equal(take(t, 0), -1);
        vlapic_deliver(&t->group, NULL, &(struct apic_msg){.dest = 0, .vector = (u8)v});
        assert_int_equal(take(t, 0), -1);
        assert_int_equal(esr(t, 0), 0x40);
    }
    /* The timer's entry likewise, each time it fires. */
    wr(t, 0, APIC_LVT_ERROR, 0x05);
    wr(t, 0, APIC_LVT_TIMER, 0x07);
    wr(t, 0, APIC_TIMER_ICR, 10);
    t->now += 1000;
    tick(t, 0);
    assert_int_equal(esr(t, 0), 0x40);
}

/* ---- access -------------------------------------------------------------------------------------
 */

static void mmio_sizes_and_alignment(void **state)
{
    struct lapic_bench *t = *state;
    struct vlapic *l = &t->cpu[1].l;

    for (unsigned offset = 0; offset < 0x1000; offset++)
        for (unsigned size = 1; size <= 8; size *= 2) {
            struct bus_access acc = {.addr = VLAPIC_GPA + offset, .size = (u8)size};

            vlapic_mmio(l, &acc);
            assert_int_equal(acc.value & ~bus_open((u8)size), 0);
            if (offset == 0x21 && size == 1)
                assert_int_equal(acc.value, 0);
            if (offset == 0x23 && size == 1)
                assert_int_equal(acc.value, 1);
            if (offset == 0x20 && size == 8)
                assert_int_equal(acc.value, 0x01000000);
        }
    /* A write that is not an aligned doubleword is dropped. */
    for (unsigned offset = 0x80; offset < 0x90; offset++)
        for (unsigned size = 1; size <= 8; size *= 2) {
            struct bus_access acc = {
                .addr = VLAPIC_GPA + offset, .size = (u8)size, .write = true, .value = 0x40};

            vlapic_mmio(l, &acc);
            assert_int_equal(rd(t, 1, APIC_TPR), offset == 0x80 && size == 4 ? 0x40 : 0);
            wr(t, 1, APIC_TPR, 0);
        }
}

static void base_transitions(void **state)
{
    struct lapic_bench *t = *state;
    struct vlapic *l = &t->cpu[1].l;
    u64 base = vlapic_read_base(l);

    assert_int_equal(vlapic_gpa(l), VLAPIC_GPA);
    assert_false(vlapic_write_base(l, base | 1)); /* reserved bits */
    assert_false(vlapic_write_base(l, base | BIT(9)));
    assert_false(vlapic_write_base(l, base | BIT(40))); /* beyond the physical address width */
    assert_false(vlapic_write_base(l, VLAPIC_GPA | APIC_BASE_X2APIC));
    assert_true(vlapic_write_base(l, 0x12345000 | APIC_BASE_ENABLE));
    assert_int_equal(vlapic_gpa(l), 0x12345000);
    assert_true(vlapic_write_base(l, base | APIC_BASE_X2APIC));
    assert_int_equal(l->mode, VLAPIC_X2APIC);
    assert_int_equal(vlapic_gpa(l), UINT64_MAX);
    assert_false(vlapic_write_base(l, base)); /* not back to xAPIC directly */
    assert_int_equal(l->mode, VLAPIC_X2APIC);
    assert_true(vlapic_write_base(l, VLAPIC_GPA));
    assert_int_equal(l->mode, VLAPIC_OFF);
    assert_true(vlapic_takes_extint(l));
    assert_int_equal(vlapic_gpa(l), UINT64_MAX);
    assert_int_equal(vlapic_deliver(&t->group, NULL, &(struct apic_msg){.dest = 1, .vector = 0x41}),
                     0);
    assert_int_equal(
        vlapic_deliver(&t->group, NULL, &(struct apic_msg){.dest = 1, .mode = APIC_NMI}), 0);
    assert_false(vlapic_write_base(l, base | APIC_BASE_X2APIC));
    assert_true(vlapic_write_base(l, base));
    assert_int_equal(rd(t, 1, APIC_SVR), 0xff); /* as after reset */
    /* Without x2APIC in CPUID its bit is reserved. */
    l->c.x2apic = false;
    assert_false(vlapic_write_base(l, base | APIC_BASE_X2APIC));
}

/* CVE-2014-7188: only 0x800-0x83f are registers, and of those not all. */
static void x2apic_msr_range_too_wide(void **state)
{
    struct lapic_bench *t = *state;
    u64 v;

    for (unsigned reg = 0; reg < 0x100; reg++) { /* xAPIC mode: none */
        assert_false(rdmsr(t, 1, reg, &v));
        assert_false(wrmsr(t, 1, reg, 0));
    }
    assert_true(x2apic_on(t, 1));
    for (unsigned reg = 0; reg < 0x400; reg++) {
        bool r = reg == APIC_ID || reg == APIC_VERSION || reg == APIC_TPR || reg == APIC_PPR ||
                 reg == APIC_LDR || reg == APIC_SVR || (reg >= 0x10 && reg <= 0x28) ||
                 reg == APIC_ICR || (reg >= 0x32 && reg <= 0x39) || reg == APIC_TIMER_DCR;
        bool w = reg == APIC_TPR || reg == APIC_EOI || reg == APIC_SVR || reg == APIC_ESR ||
                 reg == APIC_ICR || (reg >= 0x32 && reg <= 0x38) || reg == APIC_TIMER_DCR ||
                 reg == APIC_SELF_IPI;

        assert_int_equal(rdmsr(t, 1, reg, &v), r);
        assert_int_equal(wrmsr(t, 1, reg, 0), w);
    }
}

static void x2apic_registers(void **state)
{
    struct lapic_bench *t = *state;
    u64 v;

    for (unsigned i = 0; i < 4; i++) {
        assert_true(x2apic_on(t, i));
        assert_true(rdmsr(t, i, APIC_ID, &v));
        assert_int_equal(v, i);
        assert_true(rdmsr(t, i, APIC_LDR, &v));
        assert_int_equal(v, 1u << i);
        assert_true(wrmsr(t, i, APIC_SVR, 0x1ff));
    }
    /* Reserved bits fault, and change nothing. */
    assert_false(wrmsr(t, 1, APIC_TPR, 0x100));
    assert_false(wrmsr(t, 1, APIC_TPR, 1ull << 32));
    assert_false(wrmsr(t, 1, APIC_EOI, 1));
    assert_false(wrmsr(t, 1, APIC_ESR, 1));
    assert_false(wrmsr(t, 1, APIC_SVR, 0x20ff));
    assert_false(wrmsr(t, 1, APIC_LVT_TIMER, 0x80031));
    assert_false(wrmsr(t, 1, APIC_TIMER_DCR, 4));
    assert_false(wrmsr(t, 1, APIC_ICR, 0x2041));
    assert_false(wrmsr(t, 1, APIC_SELF_IPI, 0x141));
    assert_true(rdmsr(t, 1, APIC_TPR, &v));
    assert_int_equal(v, 0);
    /* ICR: 64 bits, 32-bit destinations. */
    assert_true(wrmsr(t, 1, APIC_ICR, 3ull << 32 | 0x4041));
    assert_true(rdmsr(t, 1, APIC_ICR, &v));
    assert_int_equal(v, 3ull << 32 | 0x4041);
    assert_int_equal(take(t, 3), 0x41);
    assert_true(wrmsr(t, 3, APIC_EOI, 0));
    assert_true(wrmsr(t, 1, APIC_ICR, 0xffull << 32 | 0x4041)); /* an ID, no broadcast */
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(take(t, i), -1);
    assert_true(wrmsr(t, 1, APIC_ICR, 0xffffffffull << 32 | 0x4041));
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(take(t, i), 0x41);
        wrmsr(t, i, APIC_EOI, 0);
    }
    assert_true(wrmsr(t, 1, APIC_ICR, 0x0000000aull << 32 | 0x4842)); /* logical, cluster 0 */
    assert_int_equal(take(t, 0), -1);
    assert_int_equal(take(t, 1), 0x42);
    assert_int_equal(take(t, 3), 0x42);
    assert_true(wrmsr(t, 1, APIC_ICR, 0x0001000aull << 32 | 0x4852)); /* cluster 1: nobody */
    assert_int_equal(take(t, 1), -1);
    assert_true(wrmsr(t, 0, APIC_SELF_IPI, 0x77));
    assert_int_equal(take(t, 0), 0x77);
    /* Page accesses find nothing now. */
    assert_int_equal(rd(t, 1, APIC_VERSION), 0);
    wr(t, 1, APIC_TPR, 0x50);
    assert_true(rdmsr(t, 1, APIC_TPR, &v));
    assert_int_equal(v, 0);
}

/* IDs beyond the first cluster have the LDR that their ID makes (10.12.10.2). */
static void x2apic_clusters(void **state)
{
    struct lapic_bench *t = bench_new(40);
    u64 v;

    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        wr(t, i, APIC_SVR, 0x1ff);
        assert_true(x2apic_on(t, i));
        assert_true(rdmsr(t, i, APIC_LDR, &v));
        assert_int_equal(v, (i >> 4) << 16 | 1u << (i & 15));
    }
    assert_true(wrmsr(t, 0, APIC_ICR, 0x00020081ull << 32 | 0x4866));
    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(take(t, i), i == 32 || i == 39 ? 0x66 : -1);
    free(t);
}

static void lint_pins(void **state)
{
    struct lapic_bench *t = *state;
    struct vlapic *l = &t->cpu[0].l;

    wr(t, 0, APIC_LVT_LINT1, 0x400);
    vlapic_set_lint(l, 1, true);
    assert_int_equal(t->cpu[0].kicks, 1);
    vlapic_sync(l);
    assert_int_equal(events(t, 0), VLAPIC_EV_NMI);
    vlapic_set_lint(l, 1, true); /* no edge */
    vlapic_sync(l);
    assert_int_equal(events(t, 0), 0);
    /* LINT0 as a fixed edge ("virtual wire" of Linux' timer check). */
    wr(t, 0, APIC_LVT_LINT0, 0x31);
    vlapic_set_lint(l, 0, true);
    assert_int_equal(take(t, 0), 0x31);
    wr(t, 0, APIC_EOI, 0);
    assert_int_equal(take(t, 0), -1);
    vlapic_set_lint(l, 0, false);
    vlapic_set_lint(l, 0, true);
    assert_int_equal(take(t, 0), 0x31);
    wr(t, 0, APIC_EOI, 0);
    /* As a level: remote IRR until EOI, again while it is up. */
    wr(t, 0, APIC_LVT_LINT0, 0x8031);
    assert_int_equal(take(t, 0), 0x31);
    assert_int_equal(rd(t, 0, APIC_LVT_LINT0), 0xc031);
    wr(t, 0, APIC_EOI, 0);
    assert_int_equal(take(t, 0), 0x31);
    vlapic_set_lint(l, 0, false);
    wr(t, 0, APIC_EOI, 0);
    assert_int_equal(rd(t, 0, APIC_LVT_LINT0), 0x8031);
    assert_int_equal(take(t, 0), -1);
    /* ExtINT is the PIC's own way. */
    wr(t, 0, APIC_LVT_LINT0, 0x700);
    assert_true(vlapic_takes_extint(l));
    vlapic_set_lint(l, 0, true);
    assert_int_equal(take(t, 0), -1);
    wr(t, 0, APIC_LVT_LINT0, 0x10700);
    assert_false(vlapic_takes_extint(l));
    vlapic_set_lint(l, 77, true); /* no such pin */
    assert_int_equal(l->lint, 3);
}

/* Nothing that arrives between the flag and the scan is lost: the flag is set again. */
static void posting_is_never_lost(void **state)
{
    struct lapic_bench *t = *state;
    struct vlapic *l = &t->cpu[2].l;

    vlapic_post(l, 0x41, false);
    vlapic_post(l, 0x42, false);
    assert_int_equal(t->cpu[2].kicks, 1); /* one kick until the owner has looked */
    assert_int_equal(vlapic_pending(l), 0x42);
    assert_int_equal(l->post.control, 0);
    vlapic_post(l, 0x51, false);
    assert_int_equal(t->cpu[2].kicks, 2);
    assert_int_equal(vlapic_pending(l), 0x51);
    vlapic_ack(l, 0x51);
    assert_int_equal(vlapic_pending(l), -1);
    vlapic_post(l, 0x51, false); /* once in service, once requested */
    assert_int_equal(rd(t, 2, APIC_IRR + 2) & 0x20000, 0x20000);
    assert_int_equal(rd(t, 2, APIC_ISR + 2) & 0x20000, 0x20000);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reset_state),
        cmocka_unit_test(init_refuses),
        TEST(registers_hold_their_bits),
        TEST(priorities),
        TEST(tpr_and_cr8),
        TEST(tpr_threshold_refreshed_after_eoi),
        TEST(every_vector),
        TEST(level_triggered_eoi_broadcast),
        TEST(software_disabled),
        TEST(ipi_to_nobody_to_self_to_all),
        TEST(ipi_logical_flat_and_cluster),
        TEST(ipi_lowest_priority),
        TEST(init_and_startup),
        TEST(init_resets),
        TEST(timer_still_queued_after_reset),
        TEST(error_status),
        TEST(illegal_vector_in_error_lvt),
        TEST(mmio_sizes_and_alignment),
        TEST(base_transitions),
        TEST(x2apic_msr_range_too_wide),
        TEST(x2apic_registers),
        cmocka_unit_test(x2apic_clusters),
        TEST(lint_pins),
        TEST(posting_is_never_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
