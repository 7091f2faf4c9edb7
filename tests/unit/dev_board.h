/* SPDX-License-Identifier: BSD-2-Clause */
/* What the device tests share: two buses, a clock, recorded interrupt lines, port access. */
#ifndef TESTS_UNIT_DEV_BOARD_H
#define TESTS_UNIT_DEV_BOARD_H

#include <stdlib.h>
#include <string.h>
#include "vmm/dev/bus.h"
#include "vmm/dev/irq_out.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#define NS_US 1000ull
#define NS_MS 1000000ull
#define NS_S  1000000000ull

struct board {
    struct bus ports, mmio;
    u64 now;
    bool level[32];
    unsigned rises[32], falls[32];
    unsigned timer_changes;
};

static inline void board_init(struct board *b)
{
    memset(b, 0, sizeof(*b));
    bus_init(&b->ports);
    bus_init(&b->mmio);
    b->now = NS_S;
}

static inline void board_line(void *arg, unsigned line, bool level)
{
    struct board *b = arg;

    assert_true(line < 32);
    if (level && !b->level[line])
        b->rises[line]++;
    if (!level && b->level[line])
        b->falls[line]++;
    b->level[line] = level;
}

static inline void board_timer(void *arg)
{
    ((struct board *)arg)->timer_changes++;
}

static inline struct irq_out board_irq(struct board *b, unsigned line)
{
    return (struct irq_out){board_line, b, line};
}

static inline struct timer_out board_timer_out(struct board *b)
{
    return (struct timer_out){board_timer, b};
}

/* An access of `size` bytes; open bus where nobody is. */
static inline u64 board_access(struct board *b, struct bus *bus, u64 addr, u8 size, bool write,
                               u64 value)
{
    struct bus_access acc = {
        .addr = addr, .size = size, .write = write, .value = value, .now_ns = b->now};

    if (!bus_access(bus, &acc) && !write)
        return bus_open(size);
    return acc.value;
}

static inline u8 in8(struct board *b, u16 port)
{
    return (u8)board_access(b, &b->ports, port, 1, false, 0);
}

static inline u32 in32(struct board *b, u16 port)
{
    return (u32)board_access(b, &b->ports, port, 4, false, 0);
}

static inline void out8(struct board *b, u16 port, u8 value)
{
    board_access(b, &b->ports, port, 1, true, value);
}

static inline void out16(struct board *b, u16 port, u16 value)
{
    board_access(b, &b->ports, port, 2, true, value);
}

static inline void out32(struct board *b, u16 port, u32 value)
{
    board_access(b, &b->ports, port, 4, true, value);
}

#endif
