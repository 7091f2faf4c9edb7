/* SPDX-License-Identifier: BSD-2-Clause */
/* An interval timer on a bench. */
#ifndef TESTS_UNIT_PIT_BENCH_H
#define TESTS_UNIT_PIT_BENCH_H

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

static inline void start(struct bench *t)
{
    board_init(&t->b);
    t->tick = 1193182;
    t->b.now = ticks_to_ns(RATE, t->tick);
    pit_init(&t->p, t->b.now, board_irq(&t->b, IRQ0), board_timer_out(&t->b));
    assert_int_equal(pit_attach(&t->p, &t->b.ports), OK);
}

static inline void advance(struct bench *t, u64 ticks)
{
    t->tick += ticks;
    t->b.now = ticks_to_ns(RATE, t->tick);
    pit_tick(&t->p, t->b.now);
}

static inline u64 run_to_deadline(struct bench *t)
{
    u64 then = t->b.now;

    assert_true(pit_deadline(&t->p) != DEADLINE_NONE);
    t->b.now = MAX(t->b.now, pit_deadline(&t->p));
    t->tick = ticks_at(RATE, t->b.now);
    pit_tick(&t->p, t->b.now);
    return t->b.now - then;
}

static inline void program(struct bench *t, unsigned counter, u8 control, u16 count)
{
    out8(&t->b, 0x43, (u8)(counter << 6 | control));
    if (control & 0x10)
        out8(&t->b, (u16)(0x40 + counter), (u8)count);
    if (control & 0x20)
        out8(&t->b, (u16)(0x40 + counter), (u8)(count >> 8));
}

static inline u16 read_count(struct bench *t, unsigned counter)
{
    u8 low;

    out8(&t->b, 0x43, (u8)(counter << 6));
    low = in8(&t->b, (u16)(0x40 + counter));
    return (u16)(low | in8(&t->b, (u16)(0x40 + counter)) << 8);
}

static inline u8 read_status(struct bench *t, unsigned counter)
{
    out8(&t->b, 0x43, (u8)(0xe0 | 2 << counter));
    return in8(&t->b, (u16)(0x40 + counter));
}

#endif
