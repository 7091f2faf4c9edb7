/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VM's nanoseconds as ticks of a device's own clock and back, exactly: the rate is a fraction
 * num/den of ticks per nanosecond, so that nothing drifts however long the VM runs.
 */
#ifndef VMM_DEV_TICKS_H
#define VMM_DEV_TICKS_H

#include "lib/types.h"

struct tick_rate {
    u32 num, den;
};

#define TICK_RATE_PIT ((struct tick_rate){105, 88000})  /* 105/88 MHz */
#define TICK_RATE_PM  ((struct tick_rate){315, 88000})  /* 315/88 MHz */
#define TICK_RATE_RTC ((struct tick_rate){64, 1953125}) /* 32768 Hz */

/* Whole ticks that have passed at ns. */
static inline u64 ticks_at(struct tick_rate r, u64 ns)
{
    return ns / r.den * r.num + ns % r.den * r.num / r.den;
}

/* The first ns at which that many ticks have passed; DEADLINE_NONE (all ones) if out of reach. */
static inline u64 ticks_to_ns(struct tick_rate r, u64 ticks)
{
    if (ticks / r.num >= UINT64_MAX / r.den)
        return UINT64_MAX;
    return ticks / r.num * r.den + (ticks % r.num * r.den + r.num - 1) / r.num;
}

#endif
