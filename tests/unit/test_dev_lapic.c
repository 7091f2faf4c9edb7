/* SPDX-License-Identifier: BSD-2-Clause */
/* The local APIC against Intel SDM 3, chapter 10: registers, priorities, errors, local pins. */
#include "tests/unit/lapic_bench.h"
#include "vmm/dev/vlapic.h"

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
    assert_int_equal(vlapic_tpr_threshold(l, vlapic_top_request(l)), 3);
    wr(t, 0, APIC_TPR, 0x2f);
    assert_int_equal(vlapic_tpr_threshold(l, vlapic_top_request(l)), 0);
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
    assert_int_equal(vlapic_tpr_threshold(l, vlapic_top_request(l)), 15);
}

static void tpr_threshold_refreshed_after_eoi(void **state)
{
    struct lapic_bench *t = *state;
    struct vlapic *l = &t->cpu[0].l;

    vlapic_post(l, 0x71, false);
    assert_int_equal(take(t, 0), 0x71);
    vlapic_post(l, 0x61, false);
    wr(t, 0, APIC_TPR, 0x60);
    assert_int_equal(vlapic_tpr_threshold(l, vlapic_top_request(l)),
                     0); /* what is in service holds it, TPR or not */
    wr(t, 0, APIC_EOI, 0);
    assert_int_equal(vlapic_pending(l), -1);
    assert_int_equal(vlapic_tpr_threshold(l, vlapic_top_request(l)), 6);
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

/* ---- errors --------------------------------------------------------------------------------- */

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
    /* To oneself by the shorthand: sent, and received. */
    wr(t, 0, APIC_EOI, 0);
    wr(t, 0, APIC_ICR, 0x44003);
    assert_int_equal(take(t, 0), 0xfe);
    assert_int_equal(esr(t, 0), 0x60);
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

static void lint_pins(void **state)
{
    struct lapic_bench *t = *state;
    unsigned kicks;
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
    assert_int_equal(l->lint, 3);
    /* An edge while masked is lost and wakes nobody; a level is there when the mask falls. */
    vlapic_set_lint(l, 0, false);
    kicks = t->cpu[0].kicks;
    wr(t, 0, APIC_LVT_LINT0, 0x18031);
    vlapic_set_lint(l, 0, true);
    assert_int_equal(t->cpu[0].kicks, kicks);
    assert_int_equal(take(t, 0), -1);
    wr(t, 0, APIC_LVT_LINT0, 0x8031);
    assert_int_equal(take(t, 0), 0x31);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, bench_of_4, bench_free)

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
        TEST(error_status),
        TEST(illegal_vector_in_error_lvt),
        TEST(lint_pins),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
