/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VM's nanoseconds as ticks of a device's own clock and back, exactly: the rate is a fraction
 * num/den of ticks per nanosecond, so that nothing drifts however long the VM runs.
 *
 * And the account of a periodic timer's missed interrupts. While nothing is owed each interrupt is
 * sent at its time; one that its processor does not take before the next is lost, as on hardware.
 * Once the timer's owner comes late by a period or more, or finds that the processor has not been
 * there to take the last one, every interrupt is owed, and the next one sent when the one before
 * has been taken, until none is left.
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
u64 ticks_to_ns(struct tick_rate r, u64 ticks);

#define TICKS_OWED     1000    /* at most; more are dropped and counted */
#define TICKS_HURRY    32      /* what is owed comes at so many times the rate at most, */
#define TICKS_APART_NS 20000   /* and no interrupts are closer together, whatever is programmed */
#define TICKS_LATE_NS  1000000 /* while a processor is not there, it is looked for so often */

/* Whether a timer's last interrupt still waits to be taken (0: no). */
#define TICKS_WAITS 1
#define TICKS_LATE  3 /* since its processor itself waits, for a physical one */

/* Including the one that was sent and is not known to have been taken. */
struct ticks_owed {
    u32 count;
    bool late; /* as TICKS_LATE, when it was last asked */
    u64 lost;
};

/*
 * n periods have ended since this was asked last; waits: as above. Whether to send one now. While
 * count is not 0, ask again at ticks_again().
 */
bool ticks_due(struct ticks_owed *o, u64 n, unsigned waits);

/* When the owner of a periodic timer is to look at it again: next_ns, or sooner, or later. */
u64 ticks_again(const struct ticks_owed *o, u64 next_ns, u64 period_ns, u64 now_ns);

#endif
