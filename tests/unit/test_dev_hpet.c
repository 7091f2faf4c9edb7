/* SPDX-License-Identifier: BSD-2-Clause */
/* The HPET against IA-PC HPET Specification 1.0a. */
#include "tests/unit/dev_board.h"
#include "vmm/dev/hpet.h"

#define TICK 10 /* ns */

#define ENABLE   0x004
#define LEVEL    0x002
#define PERIODIC 0x008
#define SET      0x040
#define WIDE32   0x100
#define ROUTE(n) ((n) << 9)
#define FSB      0x4000

struct bench {
    struct board b;
    struct hpet h;
    unsigned messages;
    int legacy; /* as last told; -1: never */
    struct apic_msg last;
    unsigned waits; /* how what was sent last has not been taken */
};

static void on_line(void *arg, unsigned line, bool level)
{
    board_line(&((struct bench *)arg)->b, line, level);
}

static void on_send(void *arg, const struct apic_msg *msg)
{
    ((struct bench *)arg)->messages++;
    ((struct bench *)arg)->last = *msg;
}

static void on_legacy(void *arg, bool taken)
{
    struct bench *t = arg;

    /* Nobody drives the two lines while they change hands. */
    assert_false(t->b.level[0] || t->b.level[8]);
    t->legacy = taken;
}

static unsigned line_waits(void *arg, unsigned line)
{
    assert_true(line < 24);
    return ((struct bench *)arg)->waits;
}

static unsigned message_waits(void *arg, const struct apic_msg *msg)
{
    (void)msg;
    return ((struct bench *)arg)->waits;
}

static const struct hpet_ops ops = {.line = on_line,
                                    .legacy = on_legacy,
                                    .send = on_send,
                                    .line_waits = line_waits,
                                    .message_waits = message_waits};

static void start(struct bench *t)
{
    memset(t, 0, sizeof(*t));
    board_init(&t->b);
    t->legacy = -1;
    hpet_init(&t->h, &ops, t, board_timer_out(&t->b));
    assert_int_equal(hpet_attach(&t->h, &t->b.mmio), OK);
}

static u64 get(struct bench *t, unsigned reg)
{
    return board_access(&t->b, &t->b.mmio, HPET_GPA + reg, 8, false, 0);
}

static u32 get32(struct bench *t, unsigned reg)
{
    return (u32)board_access(&t->b, &t->b.mmio, HPET_GPA + reg, 4, false, 0);
}

static void put(struct bench *t, unsigned reg, u64 value)
{
    board_access(&t->b, &t->b.mmio, HPET_GPA + reg, 8, true, value);
}

static void put32(struct bench *t, unsigned reg, u32 value)
{
    board_access(&t->b, &t->b.mmio, HPET_GPA + reg, 4, true, value);
}

static void advance(struct bench *t, u64 ticks)
{
    t->b.now += ticks * TICK;
    hpet_tick(&t->h, t->b.now);
}

static u64 run_to_deadline(struct bench *t)
{
    u64 then = t->b.now;

    assert_true(hpet_deadline(&t->h) != DEADLINE_NONE);
    t->b.now = MAX(t->b.now, hpet_deadline(&t->h));
    hpet_tick(&t->h, t->b.now);
    return (t->b.now - then) / TICK;
}

static void capabilities(void **state)
{
    struct bench t;

    (void)state;
    start(&t);
    assert_int_equal(get(&t, 0), 0x009896808086a201);
    put(&t, 0, 0);
    assert_int_equal(get32(&t, 4), HPET_PERIOD_FS);
    assert_int_equal(get32(&t, 0) >> 8 & 31, HPET_TIMERS - 1);
    assert_int_equal(get(&t, 0x10), 0);
    put(&t, 0x10, ~2ull);
    assert_int_equal(get(&t, 0x10), 1);
    for (unsigned n = 0; n < HPET_TIMERS; n++) {
        assert_int_equal(get(&t, 0x100 + 0x20 * n), (u64)HPET_ROUTES << 32 | 0x8030);
        put(&t, 0x100 + 0x20 * n, UINT64_MAX); /* with a route that is not offered: not taken */
        assert_int_equal(get32(&t, 0x100 + 0x20 * n), 0xc17e | 0x8030);
        for (unsigned r = 0; r < 32; r++) { /* 2.3.8, Tn_INT_ROUTE_CNF */
            put32(&t, 0x100 + 0x20 * n, ROUTE(23));
            put32(&t, 0x100 + 0x20 * n, ROUTE(r));
            assert_int_equal(get32(&t, 0x100 + 0x20 * n) & 0x3e00,
                             BIT(r) & HPET_ROUTES ? ROUTE(r) : ROUTE(23));
        }
        put(&t, 0x110 + 0x20 * n, 0xfee0100000000031);
        assert_int_equal(get(&t, 0x110 + 0x20 * n), 0xfee0100000000031);
    }
    assert_int_equal(get(&t, 0x160), 0);
    assert_int_equal(get(&t, 0x3f8), 0);
}

static void counter_runs_and_halts(void **state)
{
    struct bench t;
    u64 a;

    (void)state;
    start(&t);
    advance(&t, 1000);
    assert_int_equal(get(&t, 0xf0), 0);
    put(&t, 0x10, 1);
    advance(&t, 1000);
    assert_int_equal(get(&t, 0xf0), 1000);
    put(&t, 0x10, 0);
    advance(&t, 500);
    assert_int_equal(get(&t, 0xf0), 1000);
    put(&t, 0xf0, 0xfffffffff0);
    assert_int_equal(get32(&t, 0xf4), 0xff);
    put32(&t, 0xf0, 0xffffffff);
    put(&t, 0x10, 1);
    advance(&t, 1);
    assert_int_equal(get(&t, 0xf0), 0x10000000000);
    a = get(&t, 0xf0);
    t.b.now += 60 * NS_S; /* exact over a minute */
    assert_int_equal(get(&t, 0xf0) - a, 6000000000ull);
    put(&t, 0xf0, UINT64_MAX); /* wraps */
    advance(&t, 6);
    assert_int_equal(get(&t, 0xf0), 5);
}

static void one_shot_edge_and_level(void **state)
{
    struct bench t;

    (void)state;
    start(&t);
    put(&t, 0x10, 1);
    put(&t, 0x120, ENABLE | ROUTE(21));
    put(&t, 0x128, get(&t, 0xf0) + 5000);
    assert_int_equal(run_to_deadline(&t), 5000);
    assert_int_equal(t.b.rises[21], 1);
    assert_int_equal(get(&t, 0x20), 0); /* an edge leaves no status */
    assert_int_equal(hpet_deadline(&t.h), DEADLINE_NONE);
    put(&t, 0x128, get(&t, 0xf0) + 100);
    run_to_deadline(&t);
    assert_int_equal(t.b.rises[21], 2);
    put(&t, 0x140, ENABLE | LEVEL | ROUTE(22));
    put(&t, 0x148, get(&t, 0xf0) + 100);
    run_to_deadline(&t);
    assert_true(t.b.level[22]);
    assert_int_equal(get(&t, 0x20), 4);
    put(&t, 0x20, 3); /* other bits */
    assert_true(t.b.level[22]);
    put(&t, 0x20, 4);
    assert_false(t.b.level[22]);
    assert_int_equal(get(&t, 0x20), 0);
    /* Not enabled: the status alone, and the line when it is enabled. */
    put(&t, 0x140, LEVEL | ROUTE(22));
    put(&t, 0x148, get(&t, 0xf0) + 100);
    run_to_deadline(&t);
    assert_int_equal(get(&t, 0x20), 4);
    assert_false(t.b.level[22]);
    put(&t, 0x140, ENABLE | LEVEL | ROUTE(22));
    assert_true(t.b.level[22]);
    put(&t, 0x10, 0); /* halted: no interrupts */
    assert_false(t.b.level[22]);
    /* A route that is not offered is not taken. */
    put(&t, 0x10, 1);
    put(&t, 0x20, 4);
    put(&t, 0x140, ENABLE | ROUTE(5));
    put(&t, 0x148, get(&t, 0xf0) + 100);
    run_to_deadline(&t);
    assert_int_equal(t.b.rises[5], 0);
    /* In the past: not for 5,800 years. */
    put(&t, 0x128, get(&t, 0xf0) - 1);
    assert_int_equal(hpet_deadline(&t.h), DEADLINE_NONE);
}

/* As Linux does: 32 bits, periodic, the accumulator first, the period next. */
static void periodic_does_not_drift(void **state)
{
    struct bench t;
    u64 first, seed = 3, n = 0;

    (void)state;
    start(&t);
    put(&t, 0x10, 1);
    put32(&t, 0x100, ENABLE | PERIODIC | SET | WIDE32 | ROUTE(20));
    first = get32(&t, 0xf0) + 100000;
    put32(&t, 0x108, (u32)first);
    put32(&t, 0x108, 100000);
    assert_int_equal(get32(&t, 0x100) & SET, 0);
    assert_int_equal(run_to_deadline(&t), 100000);
    assert_int_equal(get32(&t, 0x108), (u32)first + 100000);
    while (get(&t, 0xf0) < 6000000000ull) {
        t.b.now = hpet_deadline(&t.h) + random_u64(&seed) % 300000;
        hpet_tick(&t.h, t.b.now);
    }
    n = (get(&t, 0xf0) - first) / 100000 + 1;
    assert_int_equal(t.b.rises[20], n);
    assert_int_equal(t.h.s.t[0].owed.lost, 0);
}

static void missed_ticks_are_caught_up(void **state)
{
    struct bench t;

    (void)state;
    start(&t);
    put(&t, 0x10, 1);
    put(&t, 0x100, ENABLE | PERIODIC | SET | ROUTE(20));
    put(&t, 0x108, 100000);
    advance(&t, 1000000);
    assert_int_equal(t.b.rises[20], 1);
    t.waits = TICKS_WAITS;
    advance(&t, 300000);
    assert_int_equal(t.b.rises[20], 1);
    t.waits = 0;
    while (t.h.s.t[0].owed.count)
        assert_true(run_to_deadline(&t) <= 100000 / TICKS_HURRY);
    assert_int_equal(t.b.rises[20], get(&t, 0xf0) / 100000);
    advance(&t, 100000ull * 5000);
    assert_int_equal(t.h.s.t[0].owed.count, TICKS_OWED);
    assert_true(t.h.s.t[0].owed.lost > 3900);
}

static void legacy_replacement(void **state)
{
    struct bench t;

    (void)state;
    start(&t);
    assert_false(hpet_legacy(&t.h));
    put(&t, 0x10, 2); /* not while it is halted */
    assert_int_equal(t.legacy, -1);
    put(&t, 0x10, 3);
    assert_true(hpet_legacy(&t.h));
    assert_int_equal(t.legacy, true);
    put(&t, 0x100, ENABLE | ROUTE(20));
    put(&t, 0x120, ENABLE | ROUTE(20));
    put(&t, 0x140, ENABLE | ROUTE(20));
    for (unsigned n = 0; n < 3; n++)
        put(&t, 0x108 + 0x20 * n, 1000);
    advance(&t, 1000);
    assert_int_equal(t.b.rises[0], 1);
    assert_int_equal(t.b.rises[8], 1);
    assert_int_equal(t.b.rises[20], 1);
    put(&t, 0x10, 1);
    assert_false(t.b.level[0]);
    assert_false(t.b.level[8]);
    assert_false(hpet_legacy(&t.h));
    assert_int_equal(t.legacy, false);
}

static void message(void **state)
{
    struct bench t;

    (void)state;
    start(&t);
    put(&t, 0x10, 1);
    put(&t, 0x110, 0xfee0200000000061);
    put(&t, 0x100, ENABLE | FSB | ROUTE(20));
    put(&t, 0x108, 500);
    advance(&t, 500);
    assert_int_equal(t.messages, 1);
    assert_int_equal(t.last.vector, 0x61);
    assert_int_equal(t.last.dest, 2);
    assert_int_equal(t.b.rises[20], 0);
    put(&t, 0x110, 0x1234567800000061); /* not an address of an interrupt */
    put(&t, 0x108, get(&t, 0xf0) + 500);
    advance(&t, 500);
    assert_int_equal(t.messages, 1);
}

/*
 * A 32-bit kernel writes a 64-bit comparator by halves, in either order: first the accumulator, for
 * which it has set the bit, then the period. The bit clears itself at the first half (2.3.8).
 */
static void periodic_by_halves(void **state)
{
    (void)state;
    for (unsigned high_first = 0; high_first < 2; high_first++) {
        unsigned a = high_first ? 0x10c : 0x108, b = high_first ? 0x108 : 0x10c;
        struct bench t;

        start(&t);
        put(&t, 0xf0, 0x5ffffff00); /* the first match is behind a carry into the high half */
        put32(&t, 0x100, ENABLE | PERIODIC | SET | ROUTE(20));
        put32(&t, a, high_first ? 6 : 0x40);
        assert_int_equal(get32(&t, 0x100) & SET, 0);
        put32(&t, b, high_first ? 0x40 : 6);
        assert_int_equal(get(&t, 0x108), 0x600000040);
        put32(&t, a, high_first ? 0 : 5000);
        put32(&t, b, high_first ? 5000 : 0);
        assert_int_equal(get(&t, 0x108), 0x600000040);
        put(&t, 0x10, 1);
        assert_int_equal(run_to_deadline(&t), 0x140);
        assert_int_equal(t.b.rises[20], 1);
        assert_int_equal(get(&t, 0x108), 0x600000040 + 5000);
        assert_int_equal(run_to_deadline(&t), 5000);
    }
}

/* 32-bit mode: the low half alone is compared, and matches again after a wrap. */
static void narrow_mode(void **state)
{
    struct bench t;

    (void)state;
    start(&t);
    put(&t, 0xf0, 0x5fffffff0);
    put(&t, 0x10, 1);
    put(&t, 0x120, ENABLE | WIDE32 | ROUTE(21));
    put(&t, 0x128, 0x7700000010);
    assert_int_equal(get(&t, 0x128), 0x10);
    assert_int_equal(run_to_deadline(&t), 0x20);
    assert_int_equal(t.b.rises[21], 1);
    assert_int_equal(run_to_deadline(&t), 1ull << 32);
    assert_int_equal(t.b.rises[21], 2);
}

static void counts_of_0_and_1(void **state)
{
    struct bench t;

    (void)state;
    start(&t);
    put(&t, 0x10, 1);
    put(&t, 0x100, ENABLE | PERIODIC | SET | ROUTE(20));
    put(&t, 0x108, 0); /* a period of zero: no division, no storm */
    advance(&t, 1000);
    assert_true(hpet_deadline(&t.h) > t.b.now);
    put(&t, 0x100, ENABLE | PERIODIC | SET | ROUTE(20));
    put(&t, 0x108, get(&t, 0xf0) + 1);
    put(&t, 0x108, 1);
    run_to_deadline(&t);
    for (unsigned i = 0; i < 1000; i++)
        assert_true(run_to_deadline(&t) >= TICKS_APART_NS / TICK);
    put(&t, 0x108, UINT64_MAX);
    advance(&t, 1ull << 50);
    assert_true(hpet_deadline(&t.h) > t.b.now);
}

/* Any register, any size, any value, and time that jumps. */
static void anything(void **state)
{
    struct bench t;
    u64 seed = 0xfed00000;

    (void)state;
    start(&t);
    for (unsigned i = 0; i < 300000; i++) {
        u64 r = random_u64(&seed), v = random_u64(&seed) >> (r >> 40 & 63);
        u64 reg = r >> 20 & 1 ? 0x100 + (r & 0x7f) : r & 0x3ff;

        if (r >> 30 & 1)
            reg &= ~7ull;
        board_access(&t.b, &t.b.mmio, HPET_GPA + reg, (u8)(1 << (r >> 12 & 3)), r >> 14 & 1, v);
        if ((r >> 16 & 7) == 0)
            put(&t, 0x10, 1 | (r >> 15 & 2));
        if ((r >> 22 & 3) == 0)
            advance(&t, v >> 24);
        if (hpet_deadline(&t.h) != DEADLINE_NONE && (r >> 24 & 3) == 0 &&
            hpet_deadline(&t.h) < t.b.now + 1000 * NS_S)
            run_to_deadline(&t);
        hpet_tick(&t.h, t.b.now);
        assert_true(hpet_deadline(&t.h) > t.b.now);
        if (t.b.now > 1ull << 60)
            start(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(capabilities),
        cmocka_unit_test(counter_runs_and_halts),
        cmocka_unit_test(one_shot_edge_and_level),
        cmocka_unit_test(periodic_does_not_drift),
        cmocka_unit_test(periodic_by_halves),
        cmocka_unit_test(missed_ticks_are_caught_up),
        cmocka_unit_test(legacy_replacement),
        cmocka_unit_test(message),
        cmocka_unit_test(narrow_mode),
        cmocka_unit_test(counts_of_0_and_1),
        cmocka_unit_test(anything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
