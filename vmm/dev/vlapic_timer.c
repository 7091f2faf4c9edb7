/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Local APIC timer: one-shot, periodic, TSC deadline (Intel SDM 3, 10.5.4). Only the next expiry
 * and the period are kept; the current count is computed from them.
 */
#include "vmm/dev/vlapic_impl.h"

static unsigned mode_of(const struct vlapic *l)
{
    return LVT_TIMER(*vlapic_reg(l, APIC_LVT_TIMER));
}

/* Divide configuration bits 3, 1, 0: 000 by 2 … 110 by 128, 111 by 1. */
static unsigned divide_shift(const struct vlapic *l)
{
    u32 v = *vlapic_reg(l, APIC_TIMER_DCR);

    return (((v >> 1 & 4) | (v & 3)) + 1) & 7;
}

static void set_deadline(struct vlapic *l, u64 ns)
{
    if (ns == l->deadline_ns)
        return;
    l->deadline_ns = ns;
    timer_out_changed(&l->c.timer);
}

/* The next time to be told: the expiry, or sooner when some are owed, or later than too soon. */
static void schedule(struct vlapic *l, u64 now_ns)
{
    u64 ns = l->s.timer_edge;

    if (!l->s.timer_on) {
        set_deadline(l, DEADLINE_NONE);
        return;
    }
    if (mode_of(l) == TIMER_PERIODIC)
        ns = ticks_again(&l->s.owed, ns, l->s.timer_period, now_ns);
    set_deadline(l, ns);
}

void vlapic_timer_stop(struct vlapic *l)
{
    l->s.timer_on = false;
    l->s.owed.count = 0;
    l->s.tsc_deadline = 0;
    set_deadline(l, DEADLINE_NONE);
}

u32 vlapic_timer_current(const struct vlapic *l, u64 now_ns)
{
    u64 left;

    if (!l->s.timer_on || mode_of(l) == TIMER_DEADLINE)
        return 0;
    if (now_ns < l->s.timer_edge)
        left = l->s.timer_edge - now_ns;
    else if (mode_of(l) == TIMER_PERIODIC)
        left = l->s.timer_period - (now_ns - l->s.timer_edge) % l->s.timer_period;
    else
        left = 0;
    return (u32)((left + BIT(divide_shift(l)) - 1) >> divide_shift(l));
}

/* Writing the initial count starts the timer; zero stops it; ignored in TSC-deadline mode. */
void vlapic_timer_count(struct vlapic *l, u32 count, u64 now_ns)
{
    if (mode_of(l) == TIMER_DEADLINE)
        return;
    *vlapic_reg(l, APIC_TIMER_ICR) = count;
    l->s.owed.count = 0;
    l->s.timer_on = count != 0;
    l->s.timer_period = (u64)count << divide_shift(l);
    l->s.timer_edge = now_ns + l->s.timer_period;
    schedule(l, now_ns);
}

/* A new divisor takes effect on what is left of the count. */
void vlapic_timer_divide(struct vlapic *l, u32 value, u64 now_ns)
{
    u32 left = vlapic_timer_current(l, now_ns);

    *vlapic_reg(l, APIC_TIMER_DCR) = value;
    if (!l->s.timer_on || mode_of(l) == TIMER_DEADLINE)
        return;
    l->s.timer_period = (u64)*vlapic_reg(l, APIC_TIMER_ICR) << divide_shift(l);
    l->s.timer_edge = now_ns + ((u64)left << divide_shift(l));
    schedule(l, now_ns);
}

/* Changing to or from TSC-deadline mode disarms the timer (10.5.4.1). */
void vlapic_timer_lvt(struct vlapic *l, u32 value, u64 now_ns)
{
    unsigned old = mode_of(l), new = LVT_TIMER(value);

    *vlapic_reg(l, APIC_LVT_TIMER) = value;
    if (old == new)
        return;
    if ((old == TIMER_DEADLINE) != (new == TIMER_DEADLINE)) {
        vlapic_timer_stop(l);
        *vlapic_reg(l, APIC_TIMER_ICR) = 0;
        return;
    }
    l->s.owed.count = 0;
    schedule(l, now_ns);
}

/* Periodic expiries that have passed; moves on to the next. */
static u64 expiries(struct vlapic *l, u64 now_ns)
{
    u64 n;

    if (now_ns < l->s.timer_edge)
        return 0;
    n = (now_ns - l->s.timer_edge) / l->s.timer_period + 1;
    l->s.timer_edge += n * l->s.timer_period;
    return n;
}

/* Whether the last interrupt is still a request. */
static bool waits(const struct vlapic *l)
{
    u32 lvt = *vlapic_reg(l, APIC_LVT_TIMER);

    return !(lvt & LVT_MASKED) && vlapic_requests(l, (u8)lvt);
}

void vlapic_tick(struct vlapic *l, u64 now_ns)
{
    if (now_ns < l->deadline_ns || !l->s.timer_on)
        return;
    if (mode_of(l) == TIMER_PERIODIC) {
        if (ticks_due(&l->s.owed, expiries(l, now_ns), waits(l)))
            vlapic_lvt_fire(l, APIC_LVT_TIMER);
    } else {
        l->s.timer_on = false;
        l->s.tsc_deadline = 0;
        vlapic_lvt_fire(l, APIC_LVT_TIMER);
    }
    schedule(l, now_ns);
}

u64 vlapic_read_tsc_deadline(const struct vlapic *l)
{
    return mode_of(l) == TIMER_DEADLINE ? l->s.tsc_deadline : 0;
}

/* The time at which the TSC will have reached the deadline; rounded up, so never early. */
static u64 tsc_to_ns(const struct vlapic *l, u64 ahead, u64 now_ns)
{
    u64 khz = l->c.tsc_khz, ms = ahead / khz, ns;

    if (ms > (UINT64_MAX - now_ns) / 1000000 - 2)
        return DEADLINE_NONE - 1;
    ns = ms * 1000000 + (ahead % khz * 1000000 + khz - 1) / khz;
    return now_ns + ns;
}

static void arm_tsc(struct vlapic *l, u64 now_tsc, u64 now_ns)
{
    u64 deadline = l->s.tsc_deadline;

    l->s.timer_on = deadline != 0;
    l->s.timer_edge = deadline > now_tsc ? tsc_to_ns(l, deadline - now_tsc, now_ns) : now_ns;
    schedule(l, now_ns);
    vlapic_tick(l, now_ns); /* a deadline in the past fires at once */
}

void vlapic_write_tsc_deadline(struct vlapic *l, u64 value, u64 now_tsc, u64 now_ns)
{
    if (mode_of(l) != TIMER_DEADLINE || l->mode == VLAPIC_OFF)
        return;
    l->s.tsc_deadline = value;
    arm_tsc(l, now_tsc, now_ns);
}

void vlapic_tsc_moved(struct vlapic *l, u64 now_tsc, u64 now_ns)
{
    if (mode_of(l) == TIMER_DEADLINE && l->s.timer_on)
        arm_tsc(l, now_tsc, now_ns);
}
