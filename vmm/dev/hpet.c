/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HPET registers, matches and interrupts; see hpet.h. Sections are those of the specification,
 * 1.0a. Running time is counted in ticks since the counter was started or set, so that a match is
 * a plain number, whatever value the guest gave the counter.
 */
#include "vmm/dev/hpet.h"

#define TICK_NS (HPET_PERIOD_FS / 1000000)

/* Registers (2.3.1). */
#define REG_CAPABILITIES 0x000
#define REG_CONFIG       0x010
#define REG_STATUS       0x020
#define REG_COUNTER      0x0f0
#define REG_TIMERS       0x100 /* 0x20 bytes each: configuration, comparator, FSB route */

#define CONFIG_ENABLE BIT(0)
#define CONFIG_LEGACY BIT(1)

/* Comparator configuration (2.3.8). */
#define T_LEVEL    BIT(1)
#define T_ENABLE   BIT(2)
#define T_PERIODIC BIT(3)
#define T_SET      BIT(6) /* the next comparator write sets the accumulator; clears itself */
#define T_32       BIT(8)
#define T_ROUTES   0x3e00ull
#define T_ROUTE(c) (((c)&T_ROUTES) >> 9)
#define T_FSB      BIT(14)
#define T_WRITABLE (T_LEVEL | T_ENABLE | T_PERIODIC | T_SET | T_32 | T_ROUTES | T_FSB)
#define T_CAPABLE                                                                                  \
    ((u64)HPET_ROUTES << 32 | BIT(15) | BIT(5) | BIT(4)) /* FSB, 64 bits, periodic                 \
                                                          */

static bool running(const struct hpet *h)
{
    return h->s.config & CONFIG_ENABLE;
}

/* Ticks since the counter was started or set. */
COLD static u64 run_ticks(const struct hpet *h, u64 now_ns)
{
    return running(h) ? (now_ns - h->s.start_ns) / TICK_NS : 0;
}

static u64 counter(const struct hpet *h, u64 now_ns)
{
    return h->s.counter + run_ticks(h, now_ns);
}

static bool periodic(const struct hpet_timer *t)
{
    return (t->config & T_PERIODIC) && t->period;
}

static u64 width_mask(const struct hpet_timer *t)
{
    return t->config & T_32 ? 0xffffffff : UINT64_MAX;
}

/* ---- interrupts ----------------------------------------------------------------------------- */

/* The line a comparator drives, or -1: none, or it sends messages (2.4.5). */
static int line_of(const struct hpet *h, unsigned n)
{
    const struct hpet_timer *t = &h->s.t[n];

    if (hpet_legacy(h) && n < 2)
        return n == 0 ? 0 : 8;
    if (t->config & T_FSB)
        return -1;
    return t->config & T_ROUTES ? (int)T_ROUTE(t->config) : -1;
}

static void drive(struct hpet *h, unsigned line, bool level)
{
    u32 bit = (u32)BIT(line);

    if (!!(h->s.lines & bit) == level)
        return;
    h->s.lines ^= bit;
    h->ops->line(h->arg, line, level);
}

/* Lines follow the active level interrupts; one that nobody drives any more goes down. */
static void update_lines(struct hpet *h)
{
    u32 up = 0, used = 0;

    for (unsigned n = 0; n < HPET_TIMERS; n++) {
        const struct hpet_timer *t = &h->s.t[n];
        int line = line_of(h, n);

        if (line < 0 || !running(h) || !(t->config & T_ENABLE))
            continue;
        used |= (u32)BIT(line);
        if (t->config & T_LEVEL ? h->s.status & BIT(n) : h->s.lines & BIT(line))
            up |= (u32)BIT(line);
    }
    for (unsigned line = 0; line < 32; line++)
        if ((h->s.lines | used) & BIT(line))
            drive(h, line, up & BIT(line));
}

static void send_message(struct hpet *h, const struct hpet_timer *t)
{
    struct apic_msg msg;

    if (apic_msg_from_msi(t->message >> 32, (u32)t->message, &msg))
        h->ops->send(h->arg, &msg);
}

/* How its last interrupt waits to be taken (ticks.h). */
static unsigned waits(const struct hpet *h, unsigned n)
{
    const struct hpet_timer *t = &h->s.t[n];
    int line = line_of(h, n);
    unsigned how = t->config & T_LEVEL && h->s.status & BIT(n) ? TICKS_WAITS : 0;
    struct apic_msg msg;

    if (!(t->config & T_ENABLE))
        return how;
    if (line >= 0)
        return how | h->ops->line_waits(h->arg, (unsigned)line);
    if (!(t->config & T_FSB) || !apic_msg_from_msi(t->message >> 32, (u32)t->message, &msg))
        return how;
    return h->ops->message_waits(h->arg, &msg);
}

static void interrupt(struct hpet *h, unsigned n)
{
    struct hpet_timer *t = &h->s.t[n];
    int line = line_of(h, n);

    if (t->config & T_LEVEL) { /* the status shows it even where no interrupt goes out */
        h->s.status |= BIT(n);
        update_lines(h);
    } else if (t->config & T_ENABLE) {
        if (line >= 0) {
            drive(h, (unsigned)line, false);
            drive(h, (unsigned)line, true);
        } else if (t->config & T_FSB) {
            send_message(h, t);
        }
    }
}

/* ---- matches -------------------------------------------------------------------------------- */

static u64 match_ns(const struct hpet *h, const struct hpet_timer *t)
{
    if (t->match >= (DEADLINE_NONE - h->s.start_ns) / TICK_NS)
        return DEADLINE_NONE;
    return h->s.start_ns + t->match * TICK_NS;
}

/* When the owner has to look at t next: at the match, sooner if some are owed, or later. */
static u64 tell_time(const struct hpet *h, const struct hpet_timer *t, u64 now_ns)
{
    u64 ns = t->armed && running(h) ? match_ns(h, t) : DEADLINE_NONE;

    if (ns == DEADLINE_NONE || !periodic(t))
        return ns;
    return ticks_again(&t->owed, ns, t->period * TICK_NS, now_ns);
}

static void set_deadline(struct hpet *h)
{
    u64 ns = DEADLINE_NONE;

    for (unsigned n = 0; n < HPET_TIMERS; n++)
        ns = MIN(ns, h->s.t[n].tell_ns);
    if (ns == h->s.deadline_ns)
        return;
    h->s.deadline_ns = ns;
    timer_out_changed(&h->timer);
}

/* Finds the next match from here; a comparator that equals the counter matches now. */
static void arm(struct hpet *h, unsigned n, u64 now_ns)
{
    struct hpet_timer *t = &h->s.t[n];
    u64 ticks = run_ticks(h, now_ns);
    u64 ahead = (t->comparator - counter(h, now_ns)) & width_mask(t);

    t->owed.count = 0;
    t->match = ticks + ahead;
    t->armed = t->match >= ticks; /* else beyond the end of time */
    t->tell_ns = tell_time(h, t, now_ns);
    set_deadline(h);
}

static void arm_all(struct hpet *h, u64 now_ns)
{
    for (unsigned n = 0; n < HPET_TIMERS; n++)
        arm(h, n, now_ns);
}

/* Matches that have passed; moves on to the next. A 32-bit one-shot matches again as it wraps. */
static u64 matches(struct hpet_timer *t, u64 ticks)
{
    u64 step = periodic(t) ? t->period : t->config & T_32 ? BIT(32) : 0, passed = 1;

    if (!t->armed || ticks < t->match)
        return 0;
    if (step && step <= UINT64_MAX - ticks) { /* else the next one is beyond the end of time */
        passed = (ticks - t->match) / step + 1;
        t->match += passed * step;
    } else {
        t->armed = false;
    }
    if (periodic(t))
        t->comparator = (t->comparator + passed * step) & width_mask(t);
    return periodic(t) ? passed : 1;
}

static void tick_one(struct hpet *h, unsigned n, u64 now_ns)
{
    struct hpet_timer *t = &h->s.t[n];

    if (ticks_due(&t->owed, matches(t, run_ticks(h, now_ns)), waits(h, n)))
        interrupt(h, n);
    t->tell_ns = tell_time(h, t, now_ns);
}

void hpet_tick(struct hpet *h, u64 now_ns)
{
    if (now_ns < h->s.deadline_ns)
        return;
    for (unsigned n = 0; n < HPET_TIMERS; n++)
        if (now_ns >= h->s.t[n].tell_ns)
            tick_one(h, n, now_ns);
    set_deadline(h);
}

/* ---- registers ------------------------------------------------------------------------------ */

/* The comparator as it stands now, matches that were not yet told included. */
static u64 read_comparator(const struct hpet *h, const struct hpet_timer *t, u64 now_ns)
{
    struct hpet_timer copy = *t;

    if (running(h))
        matches(&copy, run_ticks(h, now_ns));
    return copy.comparator & width_mask(t);
}

static u64 read_register(const struct hpet *h, unsigned reg, u64 now_ns)
{
    const struct hpet_timer *t = &h->s.t[((reg - REG_TIMERS) / 0x20) % HPET_TIMERS];

    if (reg >= REG_TIMERS && reg < REG_TIMERS + 0x20 * HPET_TIMERS)
        switch (reg & 0x18) {
        case 0x00:
            return T_CAPABLE | t->config;
        case 0x08:
            return read_comparator(h, t, now_ns);
        case 0x10:
            return t->message;
        default:
            return 0;
        }
    switch (reg) {
    case REG_CAPABILITIES:
        return (u64)HPET_PERIOD_FS << 32 | HPET_ID;
    case REG_CONFIG:
        return h->s.config;
    case REG_STATUS:
        return h->s.status;
    case REG_COUNTER:
        return counter(h, now_ns);
    default:
        return 0;
    }
}

static void write_config(struct hpet *h, u64 value, u64 now_ns)
{
    u64 now = counter(h, now_ns), old = h->s.config;
    bool had = hpet_legacy(h);

    h->s.config = value & (CONFIG_ENABLE | CONFIG_LEGACY);
    if (!had && hpet_legacy(h))
        h->ops->legacy(h->arg, true);
    if ((old ^ h->s.config) & CONFIG_ENABLE) {
        h->s.counter = now;
        h->s.start_ns = now_ns;
        arm_all(h, now_ns);
    }
    update_lines(h);
    if (had && !hpet_legacy(h))
        h->ops->legacy(h->arg, false);
}

static void write_counter(struct hpet *h, u64 value, u64 now_ns)
{
    h->s.counter = value;
    h->s.start_ns = now_ns;
    arm_all(h, now_ns);
}

static u64 merge(u64 old, u64 value, u64 mask)
{
    return (old & ~mask) | (value & mask);
}

/*
 * A 32-bit comparator is the low half; turning the mode on cuts what is there. A route that is not
 * offered is not taken (2.3.8).
 */
static void write_timer_config(struct hpet *h, unsigned n, u64 value, u64 now_ns)
{
    struct hpet_timer *t = &h->s.t[n];
    u64 old = t->config, offered = HPET_ROUTES & BIT(T_ROUTE(value));

    t->config = merge(old, value, offered ? T_WRITABLE : T_WRITABLE & ~T_ROUTES);
    if (!(t->config & T_LEVEL))
        h->s.status &= ~BIT(n);
    t->comparator &= width_mask(t);
    t->period &= width_mask(t);
    if ((old ^ t->config) & (T_PERIODIC | T_32))
        arm(h, n, now_ns);
    update_lines(h);
}

/*
 * In periodic mode a write gives the period; with T_SET, or in one-shot mode, the next match. T_SET
 * is for a whole write, or for one of either half: the second one may come behind its end.
 */
static void write_comparator(struct hpet *h, unsigned n, u64 value, u64 mask, u64 now_ns)
{
    struct hpet_timer *t = &h->s.t[n];
    u64 set = t->set;

    t->set = 0;
    if (t->config & T_SET) {
        set = UINT64_MAX;
        t->set = ~mask;
    }
    mask &= width_mask(t);
    if (t->config & T_PERIODIC)
        t->period = merge(t->period, value, mask);
    else
        set = UINT64_MAX;
    t->comparator = merge(read_comparator(h, t, now_ns), value, mask & set);
    t->config &= ~T_SET;
    arm(h, n, now_ns);
}

/* mask: the bytes that are written. */
static void write_register(struct hpet *h, unsigned reg, u64 value, u64 mask, u64 now_ns)
{
    unsigned n = (reg - REG_TIMERS) / 0x20;

    if (reg >= REG_TIMERS && n < HPET_TIMERS) {
        struct hpet_timer *t = &h->s.t[n];

        if ((reg & 0x18) == 0x00)
            write_timer_config(h, n, merge(t->config, value, mask), now_ns);
        else if ((reg & 0x18) == 0x08)
            write_comparator(h, n, value, mask, now_ns);
        else if ((reg & 0x18) == 0x10)
            t->message = merge(t->message, value, mask);
    } else if (reg == REG_CONFIG) {
        write_config(h, merge(h->s.config, value, mask), now_ns);
    } else if (reg == REG_STATUS) {
        h->s.status &= ~(value & mask); /* ones clear */
        update_lines(h);
    } else if (reg == REG_COUNTER) {
        write_counter(h, merge(counter(h, now_ns), value, mask), now_ns);
    }
}

/* Registers are of 64 bits, accessed whole or by halves (2.3.2); nothing narrower writes. */
static void hpet_access(void *arg, struct bus_access *acc)
{
    struct hpet *h = arg;
    unsigned reg = acc->offset & 0x3f8, shift = 8 * (acc->offset & 7);
    u64 now = bus_now(acc);

    hpet_tick(h, now); /* matches that have passed count before anything is changed */
    if (!acc->write) {
        acc->value = read_register(h, reg, now) >> shift;
        return;
    }
    if (acc->size < 4 || (acc->offset & (acc->size - 1u)))
        return;
    write_register(h, reg, acc->value << shift, bus_open(acc->size) << shift, now);
}

void hpet_init(struct hpet *h, const struct hpet_ops *ops, void *arg, struct timer_out timer)
{
    *h = (struct hpet){.ops = ops, .arg = arg, .timer = timer};
    h->s.deadline_ns = DEADLINE_NONE;
    for (unsigned n = 0; n < HPET_TIMERS; n++) {
        h->s.t[n].comparator = UINT64_MAX;
        h->s.t[n].tell_ns = DEADLINE_NONE;
    }
}

enum err hpet_attach(struct hpet *h, struct bus *mmio)
{
    return bus_add(mmio, HPET_GPA, HPET_SIZE, 8, hpet_access, h, "hpet");
}
