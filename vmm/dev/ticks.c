/* SPDX-License-Identifier: BSD-2-Clause */
/* When ticks are due, and interrupts of periodic timers that are owed: see ticks.h. */
#include "vmm/dev/ticks.h"

COLD u64 ticks_to_ns(struct tick_rate r, u64 ticks)
{
    if (ticks / r.num >= UINT64_MAX / r.den)
        return UINT64_MAX;
    return ticks / r.num * r.den + (ticks % r.num * r.den + r.num - 1) / r.num;
}

COLD bool ticks_due(struct ticks_owed *o, u64 n, unsigned waits)
{
    u64 owed = o->count ? o->count : waits != 0; /* the one on its way counts */

    if (!o->count && n + (waits == TICKS_LATE) <= 1)
        return n;
    owed += n - (o->count && !waits);
    o->count = (u32)MIN(owed, (u64)TICKS_OWED);
    o->lost += owed - o->count;
    o->late = waits == TICKS_LATE;
    return o->count && !waits;
}

COLD u64 ticks_again(const struct ticks_owed *o, u64 next_ns, u64 period_ns, u64 now_ns)
{
    if (o->count && o->late)
        return now_ns + TICKS_LATE_NS;
    if (o->count)
        next_ns = MIN(next_ns, now_ns + period_ns / TICKS_HURRY);
    if (o->count || period_ns < TICKS_APART_NS)
        next_ns = MAX(next_ns, now_ns + TICKS_APART_NS);
    return next_ns;
}
