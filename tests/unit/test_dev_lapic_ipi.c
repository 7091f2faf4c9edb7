/* SPDX-License-Identifier: BSD-2-Clause */
/* The local APIC's interprocessor messages: Intel SDM 3, 10.6; INIT and start-up, 10.4.7. */
#include "tests/unit/lapic_bench.h"
#include "vmm/dev/vlapic.h"

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

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, bench_of_4, bench_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ipi_to_nobody_to_self_to_all),
        TEST(ipi_logical_flat_and_cluster),
        TEST(ipi_lowest_priority),
        TEST(init_and_startup),
        TEST(init_resets),
        TEST(timer_still_queued_after_reset),
        TEST(posting_is_never_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
