/* SPDX-License-Identifier: BSD-2-Clause */
/* The interval timer against the 8254 data sheet. */
#include "tests/unit/pit_bench.h"
#include "vmm/dev/pit.h"

/* The clock itself: whole ticks and back, exact and monotonic to the end. */
static void tick_arithmetic(void **state)
{
    static const struct tick_rate rates[] = {TICK_RATE_PIT, TICK_RATE_PM, TICK_RATE_RTC};
    u64 seed = 8254;

    (void)state;
    assert_int_equal(ticks_at(TICK_RATE_PIT, 88000000000ull), 105000000);
    assert_int_equal(ticks_at(TICK_RATE_RTC, NS_S), 32768);
    for (unsigned r = 0; r < 3; r++)
        for (unsigned i = 0; i < 20000; i++) {
            u64 n = random_u64(&seed) >> (random_u64(&seed) % 50 + 14);
            u64 ns = ticks_to_ns(rates[r], n);

            if (ns == UINT64_MAX) /* out of reach */
                continue;
            assert_int_equal(ticks_at(rates[r], ns), n);
            if (ns)
                assert_int_equal(ticks_at(rates[r], ns - 1), n - 1);
        }
    assert_int_equal(ticks_to_ns(TICK_RATE_PIT, UINT64_MAX), UINT64_MAX);
}

static void firmware_state(void **state)
{
    struct bench t;
    u64 first;

    (void)state;
    start(&t);
    first = t.b.now;
    for (unsigned i = 1; i <= 182; i++)
        run_to_deadline(&t);
    assert_int_equal(t.b.rises[IRQ0], 183); /* ten seconds of 18.2 Hz, the line having gone up */
    assert_true(t.b.now - first > 9990 * NS_MS && t.b.now - first < 10010 * NS_MS);
    assert_int_equal(in8(&t.b, 0x61) & 0xcf, 0);
    assert_int_equal(in8(&t.b, 0x43), 0xff);
}

/* ---- reading -------------------------------------------------------------------------------- */

static void latch_holds(void **state)
{
    struct bench t;

    (void)state;
    start(&t);
    program(&t, 0, 0x34, 1000);
    advance(&t, 101);
    out8(&t.b, 0x43, 0x00);
    advance(&t, 300);
    out8(&t.b, 0x43, 0x00); /* a second latch changes nothing */
    assert_int_equal(in8(&t.b, 0x40), 900 & 0xff);
    advance(&t, 50);
    assert_int_equal(in8(&t.b, 0x40), 900 >> 8);
    assert_int_equal(in8(&t.b, 0x40), 550 & 0xff); /* live again */
    assert_int_equal(in8(&t.b, 0x40), 550 >> 8);
    /* Programming anew drops what is latched. */
    out8(&t.b, 0x43, 0x00);
    program(&t, 0, 0x34, 5000);
    advance(&t, 1);
    assert_int_equal(in8(&t.b, 0x40), 5000 & 0xff);
}

static void read_back(void **state)
{
    struct bench t;

    (void)state;
    start(&t);
    program(&t, 0, 0x34, 1000);
    program(&t, 2, 0x18, 77); /* mode 4, low byte */
    out8(&t.b, 0x61, 1);
    advance(&t, 11);
    out8(&t.b, 0x43, 0xca); /* count and status of counters 0 and 2 */
    advance(&t, 5);
    assert_int_equal(in8(&t.b, 0x40), 0xb4); /* status first: OUT high, loaded */
    assert_int_equal(in8(&t.b, 0x40), 990 & 0xff);
    assert_int_equal(in8(&t.b, 0x40), 990 >> 8);
    assert_int_equal(in8(&t.b, 0x42), 0x98);
    assert_int_equal(in8(&t.b, 0x42), 77 - 11);
    /* NULL COUNT from the control word to the load. */
    out8(&t.b, 0x43, 0x30);
    assert_int_equal(read_status(&t, 0), 0x70);
    out8(&t.b, 0x40, 10);
    out8(&t.b, 0x40, 0);
    assert_int_equal(read_status(&t, 0), 0x70);
    advance(&t, 1);
    assert_int_equal(read_status(&t, 0), 0x30);
    advance(&t, 10);
    assert_int_equal(read_status(&t, 0), 0xb0);
    /* A read-back of no counter, or of nothing, latches nothing. */
    out8(&t.b, 0x43, 0xc0);
    out8(&t.b, 0x43, 0xfe);
    assert_int_equal(in8(&t.b, 0x40), 0);
    assert_int_equal(in8(&t.b, 0x40), 0);
    advance(&t, 1);
    assert_int_equal(in8(&t.b, 0x40), 0xff); /* past its end mode 0 goes on through 0xffff */
}

static void byte_order_modes(void **state)
{
    struct bench t;

    (void)state;
    start(&t);
    program(&t, 0, 0x24, 0x1200); /* high byte only */
    advance(&t, 1);
    assert_int_equal(in8(&t.b, 0x40), 0x12);
    assert_int_equal(in8(&t.b, 0x40), 0x12);
    advance(&t, 1);
    assert_int_equal(in8(&t.b, 0x40), 0x11);
    program(&t, 0, 0x14, 0x34); /* low byte only */
    advance(&t, 1);
    assert_int_equal(in8(&t.b, 0x40), 0x34);
    assert_int_equal(in8(&t.b, 0x40), 0x34);
    out8(&t.b, 0x43, 0);
    assert_int_equal(in8(&t.b, 0x40), 0x34);
}

static void bcd(void **state)
{
    struct bench t;

    (void)state;
    start(&t);
    program(&t, 0, 0x35, 0x1000);
    advance(&t, 1);
    assert_int_equal(read_count(&t, 0), 0x1000);
    advance(&t, 1);
    assert_int_equal(read_count(&t, 0), 0x0999);
    program(&t, 0, 0x35, 0); /* 10000 */
    advance(&t, 2);
    assert_int_equal(read_count(&t, 0), 0x9999);
    program(&t, 0, 0x31, 0xffff); /* digits that are none */
    advance(&t, 100000);
    read_count(&t, 0);
}

/* ---- the interrupt -------------------------------------------------------------------------- */

static void pit_mode_0(void **state)
{
    struct bench t;
    unsigned rises;

    (void)state;
    start(&t);
    program(&t, 0, 0x30, 1000);
    assert_false(t.b.level[IRQ0]);
    rises = t.b.rises[IRQ0];
    advance(&t, 1000);
    assert_false(t.b.level[IRQ0]);
    advance(&t, 1);
    assert_true(t.b.level[IRQ0]);
    assert_int_equal(t.b.rises[IRQ0], rises + 1);
    assert_int_equal(pit_deadline(&t.p), DEADLINE_NONE);
    advance(&t, 200000);
    assert_int_equal(t.b.rises[IRQ0], rises + 1);
    out8(&t.b, 0x40, 10); /* the first byte stops it and takes the output down */
    assert_false(t.b.level[IRQ0]);
    advance(&t, 1000);
    assert_false(t.b.level[IRQ0]);
    out8(&t.b, 0x40, 0);
    advance(&t, 11);
    assert_true(t.b.level[IRQ0]);
}

static void pit_mode_4(void **state)
{
    struct bench t;
    unsigned rises;

    (void)state;
    start(&t);
    program(&t, 0, 0x38, 500);
    rises = t.b.rises[IRQ0];
    advance(&t, 501);
    assert_int_equal(t.b.rises[IRQ0], rises);
    advance(&t, 1); /* the strobe's end */
    assert_int_equal(t.b.rises[IRQ0], rises + 1);
    advance(&t, 100000);
    assert_int_equal(t.b.rises[IRQ0], rises + 1);
    out8(&t.b, 0x40, 100);
    out8(&t.b, 0x40, 0);
    run_to_deadline(&t);
    assert_int_equal(t.b.rises[IRQ0], rises + 2);
}

/* Modes 2 and 3 over 60 seconds: right to a tick, though the owner is late each time. */
static void pit_modes_2_and_3_do_not_drift(void **state)
{
    (void)state;
    for (unsigned mode = 2; mode <= 3; mode++) {
        struct bench t;
        u64 first, seed = mode, rises;

        start(&t);
        program(&t, 0, (u8)(0x30 | mode << 1), 1193);
        first = t.tick + 1;
        rises = t.b.rises[IRQ0];
        while (t.tick < first + 60 * 1193182ull) {
            t.b.now = pit_deadline(&t.p) + random_u64(&seed) % 400000;
            t.tick = ticks_at(RATE, t.b.now);
            pit_tick(&t.p, t.b.now);
        }
        assert_int_equal(t.b.rises[IRQ0] - rises, (t.tick - first) / 1193);
        assert_int_equal(t.p.s.owed.lost, 0);
    }
}

static void missed_ticks_are_caught_up(void **state)
{
    struct bench t;
    u64 first;
    unsigned rises;

    (void)state;
    start(&t);
    program(&t, 0, 0x34, 11932);
    first = t.tick + 1;
    rises = t.b.rises[IRQ0];
    advance(&t, 11932 * 10 + 1);
    assert_int_equal(t.b.rises[IRQ0], rises + 1);
    while (t.p.s.owed.count)
        assert_true(run_to_deadline(&t) <= 10001 * NS_US / TICKS_HURRY);
    assert_int_equal(t.b.rises[IRQ0] - rises, (t.tick - first) / 11932);
    advance(&t, 11932ull * 3000);
    assert_int_equal(t.p.s.owed.count, TICKS_OWED);
    assert_true(t.p.s.owed.lost > 1900);
    program(&t, 0, 0x34, 11932);
    assert_int_equal(t.p.s.owed.count, 0);
}

static unsigned waiting; /* as ticks.h has it */

static unsigned line_waits(void *arg, unsigned line)
{
    (void)arg;
    assert_int_equal(line, IRQ0);
    return waiting;
}

/* What is owed is not sent before the last one was taken; what is not owed comes at its time. */
static void owed_ticks_wait_to_be_taken(void **state)
{
    struct bench t;
    u64 first;
    unsigned rises;

    (void)state;
    start(&t);
    t.p.waits = line_waits;
    program(&t, 0, 0x34, 11932);
    first = t.tick + 1;
    rises = t.b.rises[IRQ0];
    waiting = TICKS_WAITS;
    run_to_deadline(&t);
    run_to_deadline(&t);
    assert_int_equal(t.b.rises[IRQ0], rises + 2);
    advance(&t, 11932 * 5);
    for (unsigned i = 0; i < 100; i++)
        run_to_deadline(&t);
    assert_int_equal(t.b.rises[IRQ0], rises + 2);
    waiting = 0;
    while (t.p.s.owed.count)
        run_to_deadline(&t);
    assert_int_equal(t.b.rises[IRQ0] - rises, (t.tick - first) / 11932);
}

/* One that is late to take them, for it has no processor: none is lost, told in time as they are.
 */
static void ticks_for_who_is_not_there(void **state)
{
    struct bench t;
    u64 first;
    unsigned rises;

    (void)state;
    start(&t);
    t.p.waits = line_waits;
    program(&t, 0, 0x34, 11932);
    first = t.tick + 1;
    rises = t.b.rises[IRQ0];
    run_to_deadline(&t);
    assert_int_equal(t.b.rises[IRQ0], rises + 1);
    waiting = TICKS_LATE;
    while (t.tick < first + 11932 * 10)
        run_to_deadline(&t);
    assert_int_equal(t.b.rises[IRQ0], rises + 1);
    assert_true(t.p.s.owed.count >= 10);
    waiting = 0;
    while (t.p.s.owed.count)
        run_to_deadline(&t);
    assert_int_equal(t.b.rises[IRQ0] - rises, (t.tick - first) / 11932);
    run_to_deadline(&t);
    assert_int_equal(t.b.rises[IRQ0] - rises, (t.tick - first) / 11932);
}

/* A new count of a running square wave or rate generator takes over at the end of the (half) cycle.
 */
static void new_count_while_running(void **state)
{
    struct bench t;
    u64 first;
    unsigned rises;

    (void)state;
    start(&t);
    program(&t, 0, 0x34, 10000);
    first = t.tick + 1;
    rises = t.b.rises[IRQ0];
    advance(&t, 3000);
    out8(&t.b, 0x40, 5000 & 0xff);
    out8(&t.b, 0x40, 5000 >> 8);
    run_to_deadline(&t);
    assert_int_equal(t.tick, first + 10000);
    run_to_deadline(&t);
    assert_int_equal(t.tick, first + 15000);
    assert_int_equal(t.b.rises[IRQ0], rises + 2);
    program(&t, 0, 0x36, 10000);
    first = t.tick + 1;
    advance(&t, 3000); /* in the high half: the low one is of the new count */
    out8(&t.b, 0x40, 4000 & 0xff);
    out8(&t.b, 0x40, 4000 >> 8);
    run_to_deadline(&t);
    assert_int_equal(t.tick, first + 7000);
    run_to_deadline(&t);
    assert_int_equal(t.tick, first + 11000);
}

/* CVE-2013-6367, CVE-2016-8669: any count, any mode, whenever looked at. */
static void division_by_zero_from_counts(void **state)
{
    static const u16 counts[] = {0, 1, 2, 3, 0xffff};

    (void)state;
    for (unsigned control = 0; control < 64; control++)
        for (unsigned k = 0; k < ARRAY_SIZE(counts); k++) {
            struct bench t;
            u64 last;

            start(&t);
            for (unsigned c = 0; c < 3; c++)
                program(&t, c, (u8)control, counts[k]);
            out8(&t.b, 0x61, 1);
            for (unsigned i = 0; i < 50; i++) {
                advance(&t, i * i);
                for (unsigned c = 0; c < 3; c++) {
                    read_count(&t, c);
                    read_status(&t, c);
                    pit_output(&t.p, c, t.b.now);
                }
            }
            for (unsigned i = 0; i < 50 && pit_deadline(&t.p) != DEADLINE_NONE; i++) {
                last = t.b.now;
                run_to_deadline(&t);
                assert_true(i == 0 || t.b.now >= last + TICKS_APART_NS / 2);
            }
        }
}

/* Counter 2 as Linux calibrates with it: mode 0, gate by port 0x61, output in bit 5. */
static void port_61(void **state)
{
    struct bench t;
    unsigned toggles = 0;

    (void)state;
    start(&t);
    out8(&t.b, 0x61, 0x01);
    program(&t, 2, 0x30, 11932);
    assert_int_equal(in8(&t.b, 0x61) & 0x2f, 0x01);
    advance(&t, 11932);
    assert_int_equal(in8(&t.b, 0x61) & 0x20, 0);
    advance(&t, 1);
    assert_int_equal(in8(&t.b, 0x61) & 0x20, 0x20);
    out8(&t.b, 0x61, 0xff);
    assert_int_equal(in8(&t.b, 0x61) & 0xcf, 0x0f);
    /* The refresh toggle: a change each 15 us. */
    for (u64 end = t.tick + 11932; t.tick < end;) {
        bool was = in8(&t.b, 0x61) & 0x10;

        advance(&t, 1);
        toggles += was != !!(in8(&t.b, 0x61) & 0x10);
    }
    assert_in_range(toggles, 660, 666);
    /* Gate down: the count stands. */
    program(&t, 2, 0x30, 1000);
    advance(&t, 101);
    out8(&t.b, 0x61, 0);
    advance(&t, 5000);
    assert_int_equal(read_count(&t, 2), 900);
    out8(&t.b, 0x61, 1);
    advance(&t, 50);
    assert_int_equal(read_count(&t, 2), 850);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tick_arithmetic),
        cmocka_unit_test(firmware_state),
        cmocka_unit_test(latch_holds),
        cmocka_unit_test(read_back),
        cmocka_unit_test(byte_order_modes),
        cmocka_unit_test(bcd),
        cmocka_unit_test(pit_mode_0),
        cmocka_unit_test(pit_mode_4),
        cmocka_unit_test(pit_modes_2_and_3_do_not_drift),
        cmocka_unit_test(missed_ticks_are_caught_up),
        cmocka_unit_test(owed_ticks_wait_to_be_taken),
        cmocka_unit_test(ticks_for_who_is_not_there),
        cmocka_unit_test(new_count_while_running),
        cmocka_unit_test(division_by_zero_from_counts),
        cmocka_unit_test(port_61),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
