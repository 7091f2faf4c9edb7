/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * 8254 counters; see pit.h. A counter is never stepped: what it shows is computed from the tick at
 * which its count was loaded. Section names are those of the data sheet (231164).
 */
#include "vmm/dev/pit.h"

#define RATE TICK_RATE_PIT

#define CONTROL_BCD     BIT(0)
#define CONTROL_MODE(c) (((c) >> 1) & 7)
#define CONTROL_RW(c)   (((c) >> 4) & 3)
#define RW_LOW          1
#define RW_HIGH         2
#define RW_BOTH         3

#define STATUS_OUT  BIT(7)
#define STATUS_NULL BIT(6)

/* Port 0x61. */
#define P61_GATE2   BIT(0)
#define P61_REFRESH BIT(4)
#define P61_OUT2    BIT(5)
#define P61_WRITTEN 0x0f

/* ---- one counter at a tick ------------------------------------------------------------------ */

/* Modes 6 and 7 are 2 and 3. */
static unsigned mode_of(const struct pit_counter *c)
{
    unsigned m = CONTROL_MODE(c->control);

    return m > 5 ? m - 4 : m;
}

static bool periodic(const struct pit_counter *c)
{
    return mode_of(c) == 2 || mode_of(c) == 3;
}

/* Modes whose gate triggers instead of enabling. */
static bool triggered(const struct pit_counter *c)
{
    return mode_of(c) == 1 || mode_of(c) == 5;
}

/* Ticks of mode 3's high part; the low one is the rest. */
static u32 high_part(u32 count)
{
    return (count + 1) / 2;
}

/* Ticks counted since the load; none until the load itself, one clock after the write. */
static u64 elapsed(const struct pit_counter *c, u64 tick)
{
    if (!c->running)
        return c->elapsed;
    return (s64)(tick - c->start) > 0 ? tick - c->start : 0;
}

/* Lets a new count of modes 2 and 3 take over if its time has come. */
static void settle(struct pit_counter *c, u64 tick)
{
    if (c->next == 0 || !periodic(c) || !c->running || (s64)(tick - c->switch_at) < 0)
        return;
    c->start = c->switch_at - (c->switch_half ? high_part(c->next) : 0);
    c->count = c->next;
    c->next = 0;
}

static bool out_level(const struct pit_counter *c, u64 tick)
{
    u64 e = elapsed(c, tick);

    if (!c->loaded)
        return mode_of(c) != 0;
    switch (mode_of(c)) {
    case 0:
    case 1:
        return e >= c->count;
    case 2:
        return !c->running || e % c->count != c->count - 1;
    case 3:
        return !c->running || e % c->count < high_part(c->count);
    default: /* the strobe: one clock, even if the gate stops the count there */
        return !c->running || e != c->count;
    }
}

/* Mode 3 counts down by two, an odd count from one less (Mode Definitions, mode 3). */
static u64 square_value(const struct pit_counter *c, u64 e)
{
    u32 high = high_part(c->count);
    u64 at = e % c->count;

    return (c->count & ~1u) - 2 * (at < high ? at : at - high);
}

/* The counting element, in the form in which it is read. */
static u16 value_at(const struct pit_counter *c, u64 tick)
{
    u64 e = elapsed(c, tick), wrap = c->control & CONTROL_BCD ? 10000 : 65536, v;

    if (mode_of(c) == 3)
        v = square_value(c, e) % wrap;
    else if (periodic(c))
        v = (c->count - e % c->count) % wrap;
    else
        v = (c->count % wrap + wrap - e % wrap) % wrap;
    if (!(c->control & CONTROL_BCD))
        return (u16)v;
    return (u16)(v / 1000 << 12 | v / 100 % 10 << 8 | v / 10 % 10 << 4 | v % 10);
}

static bool null_count(const struct pit_counter *c, u64 tick)
{
    return !c->loaded || c->armed || c->next || (c->running && (s64)(tick - c->start) < 0);
}

/* ---- counter 0's interrupt ------------------------------------------------------------------ */

static void set_deadline(struct pit *p, u64 now_ns)
{
    u64 ns = p->s.edge == DEADLINE_NONE ? DEADLINE_NONE : ticks_to_ns(RATE, p->s.edge);

    if (periodic(&p->s.c[0]))
        ns = ticks_again(&p->s.owed, ns, ticks_to_ns(RATE, p->s.c[0].count), now_ns);
    if (ns == p->s.deadline_ns)
        return;
    p->s.deadline_ns = ns;
    timer_out_changed(&p->timer);
}

static void set_line(struct pit *p, bool level)
{
    if (level == p->s.line)
        return;
    p->s.line = level;
    irq_out_set(&p->irq, level);
}

static void pulse(struct pit *p)
{
    set_line(p, false);
    set_line(p, true);
}

static unsigned waits(const struct pit *p)
{
    return p->waits ? p->waits(p->irq.arg, p->irq.line) : 0;
}

/* The tick of the next rising edge after `tick`, by what is programmed now. */
static u64 next_edge(const struct pit_counter *c, u64 tick)
{
    u64 at;

    if (!c->loaded || !c->running)
        return DEADLINE_NONE;
    if (periodic(c) && c->next)
        return c->switch_at + (c->switch_half ? c->next - high_part(c->next) : 0);
    if (periodic(c))
        return c->start + (elapsed(c, tick) / c->count + 1) * c->count;
    at = c->start + c->count + (mode_of(c) >= 4 ? 1 : 0);
    return (s64)(at - tick) > 0 ? at : DEADLINE_NONE;
}

/* After counter 0 was written: its line takes the output's level, and what was owed is forgotten.
 */
static void rearm(struct pit *p, u64 tick, u64 now_ns)
{
    p->s.owed.count = 0;
    p->s.edge = next_edge(&p->s.c[0], tick);
    set_line(p, mode_of(&p->s.c[0]) == 0 ? out_level(&p->s.c[0], tick) : true);
    set_deadline(p, now_ns);
}

/* Rising edges of counter 0 that have passed at `tick`; moves on to the next. */
static u64 edges_passed(struct pit *p, u64 tick)
{
    struct pit_counter *c = &p->s.c[0];
    u64 edge = p->s.edge, n = 1;

    if (edge == DEADLINE_NONE || (s64)(tick - edge) < 0)
        return 0;
    settle(c, tick);
    if (periodic(c))
        n += (tick - edge) / c->count;
    p->s.edge = next_edge(c, tick);
    return n;
}

void pit_tick(struct pit *p, u64 now_ns)
{
    if (now_ns < p->s.deadline_ns)
        return;
    if (ticks_due(&p->s.owed, edges_passed(p, ticks_at(RATE, now_ns)), waits(p)))
        pulse(p);
    set_deadline(p, now_ns);
}

bool pit_output(const struct pit *p, unsigned counter, u64 now_ns)
{
    struct pit_counter c = p->s.c[counter < 3 ? counter : 2];
    u64 tick = ticks_at(RATE, now_ns);

    settle(&c, tick);
    return out_level(&c, tick);
}

/* ---- programming ---------------------------------------------------------------------------- */

static u32 from_written(const struct pit_counter *c, u16 v)
{
    u32 n = v;

    if (c->control & CONTROL_BCD) {
        n = (v >> 12) * 1000u + ((v >> 8) & 15) * 100u + ((v >> 4) & 15) * 10u + (v & 15);
        return n ? n : 10000;
    }
    return n ? n : 65536;
}

static void start(struct pit_counter *c, u64 tick)
{
    c->loaded = true;
    c->start = tick + 1;
    c->elapsed = 0;
    c->next = 0;
    c->running = c->gate || triggered(c);
}

/* When a new count of a running periodic counter takes over: the end of the cycle, or half of it.
 */
static void schedule_switch(struct pit_counter *c, u32 count, u64 tick)
{
    u64 e = elapsed(c, tick), cycle = e - e % c->count;
    u32 high = high_part(c->count);

    c->switch_half = mode_of(c) == 3 && e % c->count < high;
    c->switch_at = c->start + cycle + (c->switch_half ? high : c->count);
    c->next = count;
}

static void write_count(struct pit_counter *c, u16 value, u64 tick)
{
    u32 count = from_written(c, value);

    if (triggered(c)) {
        c->armed = true; /* waits for the gate; a shot under way is not disturbed */
        c->next = count;
        return;
    }
    if (periodic(c) && c->loaded && c->running) {
        schedule_switch(c, count, tick);
        return;
    }
    c->count = count;
    start(c, tick);
}

static void write_counter(struct pit *p, unsigned n, u8 value, u64 now_ns)
{
    struct pit_counter *c = &p->s.c[n];
    u64 tick = ticks_at(RATE, now_ns);

    if (n == 0)
        pit_tick(p, now_ns);
    settle(c, tick);
    switch (CONTROL_RW(c->control)) {
    case RW_LOW:
        write_count(c, value, tick);
        break;
    case RW_HIGH:
        write_count(c, (u16)(value << 8), tick);
        break;
    case RW_BOTH:
        c->write_high = !c->write_high;
        if (c->write_high) {
            c->low = value;
            if (mode_of(c) == 0) { /* the first byte stops the count (mode 0) */
                c->elapsed = elapsed(c, tick);
                c->loaded = c->running = false;
            }
        } else {
            write_count(c, (u16)(value << 8 | c->low), tick);
        }
        break;
    default: /* never programmed */
        return;
    }
    if (n == 0)
        rearm(p, tick, now_ns);
}

static void latch_count(struct pit_counter *c, u64 tick)
{
    if (c->latched)
        return;
    c->latch = value_at(c, tick);
    c->latched = CONTROL_RW(c->control) == RW_BOTH ? 2 : 1;
}

static void latch_status(struct pit_counter *c, u64 tick)
{
    if (c->status_latched)
        return;
    c->status = (u8)(c->control | (out_level(c, tick) ? STATUS_OUT : 0) |
                     (null_count(c, tick) ? STATUS_NULL : 0));
    c->status_latched = true;
}

/* Read-Back Command: bits 5 and 4 low mean count and status, bits 3:1 the counters. */
static void read_back(struct pit *p, u8 value, u64 tick)
{
    for (unsigned n = 0; n < 3; n++) {
        struct pit_counter *c = &p->s.c[n];

        if (!(value & (2u << n)))
            continue;
        settle(c, tick);
        if (!(value & BIT(5)))
            latch_count(c, tick);
        if (!(value & BIT(4)))
            latch_status(c, tick);
    }
}

static void write_control(struct pit *p, u8 value, u64 now_ns)
{
    u64 tick = ticks_at(RATE, now_ns);
    unsigned n = value >> 6;
    struct pit_counter *c;

    if (n == 3) {
        read_back(p, value, tick);
        return;
    }
    c = &p->s.c[n];
    if (n == 0)
        pit_tick(p, now_ns);
    settle(c, tick);
    if (CONTROL_RW(value) == 0) {
        latch_count(c, tick);
        return;
    }
    c->elapsed = elapsed(c, tick);
    c->control = value & 0x3f;
    c->running = c->loaded = c->armed = false;
    c->write_high = c->read_high = c->status_latched = false;
    c->latched = 0;
    c->next = 0;
    if (n == 0)
        rearm(p, tick, now_ns);
}

static u8 read_counter(struct pit_counter *c, u64 tick)
{
    u16 v;

    if (c->status_latched) {
        c->status_latched = false;
        return c->status;
    }
    if (c->latched) {
        bool high = c->latched == 1 && CONTROL_RW(c->control) != RW_LOW;

        c->latched--;
        return (u8)(high ? c->latch >> 8 : c->latch);
    }
    settle(c, tick);
    v = value_at(c, tick);
    if (CONTROL_RW(c->control) == RW_BOTH) {
        c->read_high = !c->read_high;
        return (u8)(c->read_high ? v : v >> 8);
    }
    return (u8)(CONTROL_RW(c->control) == RW_HIGH ? v >> 8 : v);
}

/* Gate Pin Operations: table of the data sheet, "Gate Pin Operations Summary". */
static void set_gate(struct pit_counter *c, bool gate, u64 tick)
{
    if (gate == c->gate)
        return;
    settle(c, tick);
    c->gate = gate;
    if (triggered(c)) {
        if (!gate || !(c->armed || c->loaded))
            return;
        if (c->armed)
            c->count = c->next;
        c->armed = false;
        start(c, tick);
    } else if (!gate) {
        c->elapsed = elapsed(c, tick);
        c->running = false;
    } else if (c->loaded && periodic(c)) { /* rising: reload, a new count at once */
        if (c->next)
            c->count = c->next;
        start(c, tick);
    } else if (c->loaded) {
        c->start = tick - c->elapsed;
        c->running = true;
    }
}

static void pit_access(void *arg, struct bus_access *acc)
{
    struct pit *p = arg;

    if (acc->write && acc->offset == 3)
        write_control(p, (u8)acc->value, bus_now(acc));
    else if (acc->write)
        write_counter(p, (unsigned)acc->offset, (u8)acc->value, bus_now(acc));
    else if (acc->offset < 3)
        acc->value = read_counter(&p->s.c[acc->offset], ticks_at(RATE, bus_now(acc)));
    else
        acc->value = 0xff; /* the control register cannot be read */
}

/* The refresh toggle changes with each output pulse of counter 1: every 18 ticks, 15 us. */
static void port61_access(void *arg, struct bus_access *acc)
{
    struct pit *p = arg;
    u64 tick = ticks_at(RATE, bus_now(acc));
    struct pit_counter *c2 = &p->s.c[2];

    if (acc->write) {
        p->s.port61 = (u8)acc->value & P61_WRITTEN;
        set_gate(c2, p->s.port61 & P61_GATE2, tick);
        return;
    }
    settle(c2, tick);
    acc->value = p->s.port61;
    acc->value |= (tick / 18) & 1 ? P61_REFRESH : 0;
    acc->value |= out_level(c2, tick) ? P61_OUT2 : 0;
}

void pit_init(struct pit *p, u64 now_ns, struct irq_out irq, struct timer_out timer)
{
    *p = (struct pit){.irq = irq, .timer = timer};
    for (unsigned n = 0; n < 3; n++) {
        p->s.c[n].count = 65536;
        p->s.c[n].gate = n < 2;
    }
    p->s.edge = p->s.deadline_ns = DEADLINE_NONE;
    write_control(p, 0x36, now_ns);
    write_counter(p, 0, 0, now_ns);
    write_counter(p, 0, 0, now_ns);
    write_control(p, 0x54, now_ns);
    write_counter(p, 1, 18, now_ns);
    write_control(p, 0xb6, now_ns);
}

enum err pit_attach(struct pit *p, struct bus *ports)
{
    bus_add(ports, 0x40, 4, 1, pit_access, p, "pit");
    return bus_add(ports, 0x61, 1, 1, port61_access, p, "port 61");
}
