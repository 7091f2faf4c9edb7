/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interval timer against the 8254 data sheet. The reference is a counter that is clocked tick
 * by tick, written from "Mode Definitions".
 */
#include "tests/unit/dev_board.h"
#include "vmm/dev/pit.h"
#include "vmm/dev/ticks.h"

#define IRQ0 0
#define RATE TICK_RATE_PIT

struct bench {
    struct board b;
    struct pit p;
    u64 tick; /* PIT ticks that have passed */
};

static void start(struct bench *t)
{
    board_init(&t->b);
    t->tick = 1193182;
    t->b.now = ticks_to_ns(RATE, t->tick);
    pit_init(&t->p, t->b.now, board_irq(&t->b, IRQ0), board_timer_out(&t->b));
    assert_int_equal(pit_attach(&t->p, &t->b.ports), OK);
}

static void advance(struct bench *t, u64 ticks)
{
    t->tick += ticks;
    t->b.now = ticks_to_ns(RATE, t->tick);
    pit_tick(&t->p, t->b.now);
}

static u64 run_to_deadline(struct bench *t)
{
    u64 then = t->b.now;

    assert_true(pit_deadline(&t->p) != DEADLINE_NONE);
    t->b.now = MAX(t->b.now, pit_deadline(&t->p));
    t->tick = ticks_at(RATE, t->b.now);
    pit_tick(&t->p, t->b.now);
    return t->b.now - then;
}

static void program(struct bench *t, unsigned counter, u8 control, u16 count)
{
    out8(&t->b, 0x43, (u8)(counter << 6 | control));
    if (control & 0x10)
        out8(&t->b, (u16)(0x40 + counter), (u8)count);
    if (control & 0x20)
        out8(&t->b, (u16)(0x40 + counter), (u8)(count >> 8));
}

static u16 read_count(struct bench *t, unsigned counter)
{
    u8 low;

    out8(&t->b, 0x43, (u8)(counter << 6));
    low = in8(&t->b, (u16)(0x40 + counter));
    return (u16)(low | in8(&t->b, (u16)(0x40 + counter)) << 8);
}

static u8 read_status(struct bench *t, unsigned counter)
{
    out8(&t->b, 0x43, (u8)(0xe0 | 2 << counter));
    return in8(&t->b, (u16)(0x40 + counter));
}

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
            u64 n = board_random(&seed) >> (board_random(&seed) % 50 + 14);
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

/* ---- every mode, clock by clock ---------------------------------------------------------------
 */

struct slow {
    unsigned mode;
    u32 count, element, fresh; /* loaded, counting, written and to be loaded (0: none) */
    bool out, gate, counting, strobe, trigger, load_next;
};

static void slow_write(struct slow *s, u32 count)
{
    bool first = s->count == 0 && s->fresh == 0;

    s->fresh = count;
    if (s->mode == 0)
        s->out = false;
    if (s->mode == 0 || s->mode == 4 || ((s->mode == 2 || s->mode == 3) && (first || !s->gate)))
        s->load_next = true;
}

static void slow_gate(struct slow *s, bool gate)
{
    if (gate && !s->gate && s->mode != 0 && s->mode != 4)
        s->trigger = true;
    if (!gate && (s->mode == 2 || s->mode == 3))
        s->out = true;
    s->gate = gate;
}

static void slow_load(struct slow *s)
{
    if (s->fresh)
        s->count = s->fresh;
    s->fresh = 0;
    s->element = s->mode == 3 ? s->count & ~1u : s->count;
    s->load_next = s->trigger = false;
    s->counting = true;
}

/* Mode 3: by two; an odd count holds its high part one clock longer. */
static void slow_square(struct slow *s)
{
    if (s->element > 2 || (s->element == 2 && s->out && (s->count & 1))) {
        s->element -= 2;
        return;
    }
    s->out = !s->out;
    if (s->fresh)
        s->count = s->fresh;
    s->fresh = 0;
    s->element = s->count & ~1u;
}

static void slow_clock(struct slow *s)
{
    if (s->mode == 4 || s->mode == 5)
        s->out = true;
    if (s->load_next || (s->trigger && (s->count || s->fresh))) {
        bool triggered = s->trigger;

        slow_load(s);
        s->strobe = true;
        if (s->mode == 1 && triggered)
            s->out = false;
        return;
    }
    if (!s->counting || (!s->gate && s->mode != 1 && s->mode != 5))
        return;
    if (s->mode == 3) {
        slow_square(s);
        return;
    }
    s->element = (s->element - 1) & 0xffff;
    if (s->mode == 2) {
        if (s->element == 1)
            s->out = false;
        if (s->element == 0) {
            s->out = true;
            slow_load(s);
        }
    } else if (s->element == 0) {
        if (s->mode == 0 || s->mode == 1)
            s->out = true;
        else if (s->strobe)
            s->out = s->strobe = false;
    }
}

/* Counter 2, whose gate is ours: output and count agree with the clocked counter at every tick. */
static void modes_clock_by_clock(void **state)
{
    static const u32 counts[] = {2, 3, 4, 5, 6, 7, 10, 11, 33};
    u64 seed = 0x8254;

    (void)state;
    for (unsigned mode = 0; mode < 6; mode++)
        for (unsigned k = 0; k < ARRAY_SIZE(counts); k++) {
            struct bench t;
            struct slow s = {.mode = mode, .out = mode != 0};

            start(&t);
            out8(&t.b, 0x61, 0);
            if (mode != 1 && mode != 5) {
                out8(&t.b, 0x61, 1);
                s.gate = true;
            }
            program(&t, 2, (u8)(0x30 | mode << 1), (u16)counts[k]);
            slow_write(&s, counts[k]);
            for (unsigned n = 0; n < 400; n++) {
                u64 r = board_random(&seed);

                advance(&t, 1);
                slow_clock(&s);
                assert_int_equal(in8(&t.b, 0x61) >> 5 & 1, s.out);
                /* In mode 3 a reading shows even values; it is the output that guests go by. */
                if (s.counting && mode != 3)
                    assert_int_equal(read_count(&t, 2), s.element);
                if (s.counting && mode == 3)
                    assert_int_equal(read_count(&t, 2), s.element);
                if (r % 16 == 0) {
                    out8(&t.b, 0x61, !s.gate);
                    slow_gate(&s, !s.gate);
                } else if (r % 64 == 1 && !s.fresh && !s.load_next) {
                    u32 fresh = counts[r >> 8 & 7];

                    out8(&t.b, 0x42, (u8)fresh);
                    out8(&t.b, 0x42, 0);
                    slow_write(&s, fresh);
                }
            }
        }
}

/* ---- reading ----------------------------------------------------------------------------------
 */

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

/* ---- the interrupt ----------------------------------------------------------------------------
 */

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
            t.b.now = pit_deadline(&t.p) + board_random(&seed) % 400000;
            t.tick = ticks_at(RATE, t.b.now);
            pit_tick(&t.p, t.b.now);
        }
        assert_int_equal(t.b.rises[IRQ0] - rises, (t.tick - first) / 1193);
        assert_int_equal(t.p.s.lost, 0);
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
    assert_int_equal(t.p.s.arrears, 9);
    while (t.p.s.arrears)
        assert_true(run_to_deadline(&t) <= 5001 * NS_US);
    assert_int_equal(t.b.rises[IRQ0] - rises, (t.tick - first) / 11932);
    advance(&t, 11932ull * 3000);
    assert_int_equal(t.p.s.arrears, PIT_ARREARS);
    assert_true(t.p.s.lost > 1900);
    program(&t, 0, 0x34, 11932);
    assert_int_equal(t.p.s.arrears, 0);
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
                assert_true(i == 0 || t.b.now >= last + PIT_MIN_NS / 2);
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
        cmocka_unit_test(modes_clock_by_clock),
        cmocka_unit_test(latch_holds),
        cmocka_unit_test(read_back),
        cmocka_unit_test(byte_order_modes),
        cmocka_unit_test(bcd),
        cmocka_unit_test(pit_mode_0),
        cmocka_unit_test(pit_mode_4),
        cmocka_unit_test(pit_modes_2_and_3_do_not_drift),
        cmocka_unit_test(missed_ticks_are_caught_up),
        cmocka_unit_test(new_count_while_running),
        cmocka_unit_test(division_by_zero_from_counts),
        cmocka_unit_test(port_61),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
