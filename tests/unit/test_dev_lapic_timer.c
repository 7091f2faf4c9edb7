/* SPDX-License-Identifier: BSD-2-Clause */
/* The local APIC's timer (SDM 3, 10.5.4): modes, divisors, drift, missed ticks, the extremes. */
#include "tests/unit/lapic_bench.h"
#include "vmm/dev/vlapic.h"

#define ONE_SHOT 0x00031
#define PERIODIC 0x20031
#define DEADLINE 0x40031

static int setup(void **state)
{
    *state = bench_new(1);
    enable_all(*state);
    return 0;
}

static struct vlapic *lapic(struct lapic_bench *t)
{
    return &t->cpu[0].l;
}

/* Starts it with a count of nanoseconds: divided by 1. */
static void start_timer(struct lapic_bench *t, u32 lvt, u32 count)
{
    wr(t, 0, APIC_TIMER_DCR, 0xb);
    wr(t, 0, APIC_LVT_TIMER, lvt);
    wr(t, 0, APIC_TIMER_ICR, count);
}

/* Runs the clock to the next deadline and lets the owner tick; the time that passed. */
static u64 run_to_deadline(struct lapic_bench *t)
{
    u64 then = t->now, deadline = vlapic_deadline(lapic(t));

    assert_true(deadline != DEADLINE_NONE);
    t->now = MAX(t->now, deadline);
    tick(t, 0);
    return t->now - then;
}

static bool took(struct lapic_bench *t)
{
    int v = take(t, 0);

    if (v < 0)
        return false;
    assert_int_equal(v, 0x31);
    wr(t, 0, APIC_EOI, 0);
    return true;
}

/* Table of the divide configuration register: bits 3, 1 and 0. */
static void all_divisors(void **state)
{
    static const struct {
        u32 dcr, divisor;
    } table[] = {{0, 2}, {1, 4}, {2, 8}, {3, 16}, {8, 32}, {9, 64}, {10, 128}, {11, 1}};
    struct lapic_bench *t = *state;

    wr(t, 0, APIC_LVT_TIMER, ONE_SHOT);
    for (unsigned i = 0; i < 8; i++) {
        wr(t, 0, APIC_TIMER_DCR, table[i].dcr);
        wr(t, 0, APIC_TIMER_ICR, 1000);
        assert_int_equal(rd(t, 0, APIC_TIMER_CCR), 1000);
        t->now += 250 * table[i].divisor;
        assert_int_equal(rd(t, 0, APIC_TIMER_CCR), 750);
        t->now += table[i].divisor;
        assert_int_equal(rd(t, 0, APIC_TIMER_CCR), 749);
        assert_int_equal(run_to_deadline(t), 749 * table[i].divisor);
        assert_true(took(t));
        assert_int_equal(rd(t, 0, APIC_TIMER_CCR), 0);
    }
}

static void one_shot(void **state)
{
    struct lapic_bench *t = *state;

    wr(t, 0, APIC_TIMER_DCR, 0xb);
    wr(t, 0, APIC_LVT_TIMER, ONE_SHOT);
    assert_int_equal(vlapic_deadline(lapic(t)), DEADLINE_NONE);
    wr(t, 0, APIC_TIMER_ICR, 5000);
    assert_int_equal(vlapic_deadline(lapic(t)), t->now + 5000);
    t->now += 4999;
    tick(t, 0);
    assert_false(took(t));
    t->now += 1;
    tick(t, 0);
    assert_true(took(t));
    assert_int_equal(vlapic_deadline(lapic(t)), DEADLINE_NONE);
    assert_int_equal(rd(t, 0, APIC_TIMER_ICR), 5000);
    t->now += NS_S;
    tick(t, 0);
    assert_false(took(t));
    wr(t, 0, APIC_TIMER_ICR, 5000); /* written again, it starts again */
    wr(t, 0, APIC_TIMER_ICR, 0);    /* and zero stops it */
    assert_int_equal(vlapic_deadline(lapic(t)), DEADLINE_NONE);
    assert_int_equal(rd(t, 0, APIC_TIMER_CCR), 0);
}

static void masked_timer_counts_silently(void **state)
{
    struct lapic_bench *t = *state;

    start_timer(t, 0x10000 | PERIODIC, 100000);
    t->now += 30000;
    assert_int_equal(rd(t, 0, APIC_TIMER_CCR), 70000);
    run_to_deadline(t);
    assert_false(took(t));
    wr(t, 0, APIC_LVT_TIMER, PERIODIC);
    run_to_deadline(t);
    assert_true(took(t));
}

/* A periodic timer over 60 s is right to a tick, however late each tick is looked at. */
static void periodic_does_not_drift(void **state)
{
    struct lapic_bench *t = *state;
    u64 start = t->now, ticks = 0, seed = 60;

    start_timer(t, PERIODIC, 999983);
    while (t->now < start + 60 * NS_S) {
        t->now = vlapic_deadline(lapic(t)) + random_u64(&seed) % 400000; /* the host is late */
        tick(t, 0);
        ticks += took(t);
    }
    assert_int_equal(ticks, (t->now - start) / 999983);
    assert_int_equal(lapic(t)->s.owed.lost, 0);
}

/* What was missed comes one by one as it is taken, nothing of it lost. */
static void missed_ticks_are_caught_up(void **state)
{
    struct lapic_bench *t = *state;
    struct ticks_owed *owed = &lapic(t)->s.owed;
    u64 start = t->now;
    unsigned ticks = 1;

    start_timer(t, PERIODIC, 1000000);
    t->now += 10 * NS_MS + 1; /* not looked at for ten periods */
    tick(t, 0);
    assert_true(took(t));
    assert_false(took(t));
    for (; owed->count > 0; ticks += took(t))
        assert_true(run_to_deadline(t) <= 1000000 / TICKS_HURRY);
    assert_true(t->now < start + 11 * NS_MS);
    assert_int_equal(ticks, 10);
    run_to_deadline(t);
    assert_int_equal((t->now - start) % NS_MS, 0); /* and the phase is what it was */
    /* Beyond the limit they are dropped, and counted. */
    assert_true(took(t));
    t->now += 5000 * NS_MS;
    tick(t, 0);
    assert_int_equal(owed->count, TICKS_OWED);
    assert_int_equal(owed->lost, 5000 - TICKS_OWED);
    wr(t, 0, APIC_TIMER_ICR, 1000000); /* programmed anew: nothing is owed */
    assert_int_equal(owed->count, 0);
}

/*
 * Once one is late none is lost, however long each waits to be taken; in time, and they merge as on
 * hardware.
 */
static void owed_ticks_wait_for_each_other(void **state)
{
    struct lapic_bench *t = *state;
    struct ticks_owed *owed = &lapic(t)->s.owed;
    u64 start = t->now, seed = 4, next = 0;
    unsigned ticks = 0;

    start_timer(t, PERIODIC, 1000000);
    for (unsigned i = 0; i < 5; i++)
        run_to_deadline(t);
    assert_true(took(t));
    assert_false(took(t));
    start += 5 * NS_MS;
    t->now += 20 * NS_MS;
    tick(t, 0);
    while (t->now < start + 2000 * NS_MS || owed->count) {
        run_to_deadline(t);
        if (t->now < next)
            continue;
        ticks += took(t);
        next = t->now + random_u64(&seed) % (t->now < start + 1000 * NS_MS ? 1900000 : 300000);
    }
    ticks += took(t);
    assert_int_equal(ticks, (t->now - start) / NS_MS);
    assert_int_equal(owed->lost, 0);
}

/* A masked timer owes nobody anything, though the vector that it names is in use. */
static void masked_timer_owes_nothing(void **state)
{
    struct lapic_bench *t = *state;

    start_timer(t, PERIODIC, 1000000);
    run_to_deadline(t);
    wr(t, 0, APIC_LVT_TIMER, 0x10000 | PERIODIC);
    t->now += 300 * NS_MS;
    for (unsigned i = 0; i < 400; i++)
        run_to_deadline(t);
    assert_int_equal(lapic(t)->s.owed.count, 0);
    assert_true(took(t));
    assert_false(took(t));
}

static void timer_counts_of_0_and_1(void **state)
{
    struct lapic_bench *t = *state;

    wr(t, 0, APIC_TIMER_DCR, 0xb);
    for (unsigned mode = 0; mode < 2; mode++) {
        wr(t, 0, APIC_LVT_TIMER, mode ? PERIODIC : ONE_SHOT);
        wr(t, 0, APIC_TIMER_ICR, 0);
        assert_int_equal(vlapic_deadline(lapic(t)), DEADLINE_NONE);
        rd(t, 0, APIC_TIMER_CCR);
        wr(t, 0, APIC_TIMER_ICR, 1);
        assert_true(vlapic_deadline(lapic(t)) > t->now);
        t->now += 12345;
        assert_true(rd(t, 0, APIC_TIMER_CCR) <= 1);
    }
    /* A period of a nanosecond: deadlines stay apart, each tick is bounded work. */
    for (unsigned i = 0; i < 1000; i++) {
        u64 before = t->now;

        run_to_deadline(t);
        assert_true(i == 0 || t->now - before >= TICKS_APART_NS);
        took(t);
    }
    t->now += 1000000 * NS_S;
    tick(t, 0);
    assert_true(vlapic_deadline(lapic(t)) > t->now);
    /* The longest: 2^32-1 counts by 128. */
    wr(t, 0, APIC_LVT_TIMER, ONE_SHOT);
    wr(t, 0, APIC_TIMER_DCR, 0xa);
    wr(t, 0, APIC_TIMER_ICR, 0xffffffff);
    assert_int_equal(vlapic_deadline(lapic(t)), t->now + 0xffffffffull * 128);
    assert_int_equal(rd(t, 0, APIC_TIMER_CCR), 0xffffffff);
}

/* The divisor may change under way: what is left of the count goes on at the new rate. */
static void divisor_changes_while_counting(void **state)
{
    struct lapic_bench *t = *state;

    start_timer(t, PERIODIC, 100000);
    t->now += 60000;
    wr(t, 0, APIC_TIMER_DCR, 0);
    assert_int_equal(rd(t, 0, APIC_TIMER_CCR), 40000);
    assert_int_equal(run_to_deadline(t), 80000);
    assert_true(took(t));
    assert_int_equal(run_to_deadline(t), 200000);
}

static void mode_changes_while_counting(void **state)
{
    struct lapic_bench *t = *state;

    start_timer(t, PERIODIC, 100000);
    run_to_deadline(t);
    took(t);
    t->now += 50000;
    wr(t, 0, APIC_LVT_TIMER, ONE_SHOT);
    assert_int_equal(rd(t, 0, APIC_TIMER_CCR), 50000);
    assert_int_equal(run_to_deadline(t), 50000);
    assert_true(took(t));
    assert_int_equal(vlapic_deadline(lapic(t)), DEADLINE_NONE);
    /* To TSC-deadline mode and back: disarmed. */
    wr(t, 0, APIC_TIMER_ICR, 100000);
    wr(t, 0, APIC_LVT_TIMER, DEADLINE);
    assert_int_equal(vlapic_deadline(lapic(t)), DEADLINE_NONE);
    assert_int_equal(rd(t, 0, APIC_TIMER_CCR), 0);
    wr(t, 0, APIC_TIMER_ICR, 100000); /* ignored here */
    assert_int_equal(vlapic_deadline(lapic(t)), DEADLINE_NONE);
    vlapic_write_tsc_deadline(lapic(t), 10000, 0, t->now);
    wr(t, 0, APIC_LVT_TIMER, PERIODIC);
    assert_int_equal(vlapic_deadline(lapic(t)), DEADLINE_NONE);
    assert_int_equal(vlapic_read_tsc_deadline(lapic(t)), 0);
    /* The reserved mode leaves the present one. */
    wr(t, 0, APIC_LVT_TIMER, 0x60031);
    assert_int_equal(rd(t, 0, APIC_LVT_TIMER), PERIODIC);
}

static void tsc_deadline(void **state)
{
    struct lapic_bench *t = *state;
    struct vlapic *l = lapic(t);
    u64 tsc = 1000000;

    vlapic_write_tsc_deadline(l, tsc + 5, tsc, t->now); /* not in that mode: ignored */
    assert_int_equal(vlapic_read_tsc_deadline(l), 0);
    assert_int_equal(vlapic_deadline(l), DEADLINE_NONE);
    wr(t, 0, APIC_LVT_TIMER, DEADLINE);
    vlapic_write_tsc_deadline(l, tsc + 2500, tsc, t->now);
    assert_int_equal(vlapic_read_tsc_deadline(l), tsc + 2500);
    assert_int_equal(run_to_deadline(t), 1000);
    assert_true(took(t));
    assert_int_equal(vlapic_read_tsc_deadline(l), 0); /* fired: disarmed */
    assert_int_equal(vlapic_deadline(l), DEADLINE_NONE);
    /* Never early: 2501 ticks are 1000.4 ns. */
    vlapic_write_tsc_deadline(l, tsc + 2501, tsc, t->now);
    assert_int_equal(run_to_deadline(t), 1001);
    assert_true(took(t));
    /* In the past, and now: at once. */
    vlapic_write_tsc_deadline(l, tsc - 1, tsc, t->now);
    assert_true(took(t));
    vlapic_write_tsc_deadline(l, tsc, tsc, t->now);
    assert_true(took(t));
    /* Zero disarms. */
    vlapic_write_tsc_deadline(l, tsc + 2500, tsc, t->now);
    vlapic_write_tsc_deadline(l, 0, tsc, t->now);
    assert_int_equal(vlapic_deadline(l), DEADLINE_NONE);
    /* The end of time neither wraps nor fires. */
    vlapic_write_tsc_deadline(l, UINT64_MAX, 0, t->now);
    assert_true(vlapic_deadline(l) > t->now + 100ull * 365 * 86400 * NS_S);
    vlapic_write_tsc_deadline(l, UINT64_MAX, UINT64_MAX - 2500, t->now);
    assert_int_equal(run_to_deadline(t), 1000);
    assert_true(took(t));
    /* The guest sets its TSC forward, past the deadline. */
    vlapic_write_tsc_deadline(l, tsc + 250000, tsc, t->now);
    vlapic_tsc_moved(l, tsc + 125000, t->now);
    assert_int_equal(vlapic_deadline(l), t->now + 50000);
    vlapic_tsc_moved(l, tsc + 250001, t->now);
    assert_true(took(t));
}

/* Without it in CPUID its mode bit cannot be set. */
static void no_tsc_deadline(void **state)
{
    struct lapic_bench *t = *state;

    lapic(t)->c.tsc_khz = 0;
    wr(t, 0, APIC_LVT_TIMER, DEADLINE);
    assert_int_equal(rd(t, 0, APIC_LVT_TIMER), ONE_SHOT);
    assert_true(x2apic_on(t, 0));
    assert_false(wrmsr(t, 0, APIC_LVT_TIMER, DEADLINE));
}

/* The owner is told of each new deadline, and only of new ones. */
static void deadline_changes_are_told(void **state)
{
    struct lapic_bench *t = *state;
    unsigned n = t->cpu[0].timer_changes;

    wr(t, 0, APIC_LVT_TIMER, ONE_SHOT);
    wr(t, 0, APIC_EOI, 0);
    wr(t, 0, APIC_TPR, 0);
    assert_int_equal(t->cpu[0].timer_changes, n);
    wr(t, 0, APIC_TIMER_ICR, 1000);
    assert_int_equal(t->cpu[0].timer_changes, n + 1);
    wr(t, 0, APIC_TIMER_ICR, 1000); /* the same deadline */
    assert_int_equal(t->cpu[0].timer_changes, n + 1);
    run_to_deadline(t);
    assert_int_equal(t->cpu[0].timer_changes, n + 2);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, bench_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_divisors),
        TEST(one_shot),
        TEST(masked_timer_counts_silently),
        TEST(periodic_does_not_drift),
        TEST(missed_ticks_are_caught_up),
        TEST(owed_ticks_wait_for_each_other),
        TEST(masked_timer_owes_nothing),
        TEST(timer_counts_of_0_and_1),
        TEST(divisor_changes_while_counting),
        TEST(mode_changes_while_counting),
        TEST(tsc_deadline),
        TEST(no_tsc_deadline),
        TEST(deadline_changes_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
