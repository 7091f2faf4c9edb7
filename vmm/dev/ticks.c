/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts of periodic timers that are owed: see ticks.h. */
#include "vmm/dev/ticks.h"

COLD bool ticks_due(struct ticks_owed *o, u64 n, bool waits)
{
    u64 owed = o->count ? o->count : waits; /* the one on its way counts */

    if (!o->count && n <= 1)
        return n;
    owed += n - (o->count && !waits);
    o->count = (u32)MIN(owed, (u64)TICKS_OWED);
    o->lost += owed - o->count;
    return o->count && !waits;
}
