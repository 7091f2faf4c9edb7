/* SPDX-License-Identifier: BSD-2-Clause */
/* Seconds since 1970 as date and time of the proleptic Gregorian calendar, and back. UTC. */
#ifndef LIB_CALENDAR_H
#define LIB_CALENDAR_H

#include "lib/types.h"

struct calendar {
    s32 year;
    u8 month, day; /* from 1 */
    u8 hour, minute, second;
    u8 weekday; /* 1 Sunday … 7 */
};

/* Years 0 to 9999; times outside are cut to the nearest of them. */
void calendar_from_seconds(s64 seconds, struct calendar *c);

/* Fields out of range are cut to the nearest valid value; weekday is ignored. */
s64 calendar_to_seconds(const struct calendar *c);

#endif
