/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Gregorian calendar arithmetic on years that begin in March, so that the leap day comes last;
 * see calendar.h.
 */
#include "lib/calendar.h"

#define DAY_S        86400
#define DAYS_400Y    146097
#define DAYS_TO_1970 719468           /* from 0000-03-01 */
#define FIRST_S      (-62167219200ll) /* 0000-01-01 */
#define LAST_S       253402300799ll   /* 9999-12-31 23:59:59 */

COLD static s64 clamp(s64 v, s64 low, s64 high)
{
    return v < low ? low : v > high ? high : v;
}

/* Days from 1970-01-01. */
static s64 days_from_date(s32 year, u32 month, u32 day)
{
    s64 y = (s64)year - (month <= 2) + 400; /* no negative years below */
    u32 m = month > 2 ? month - 3 : month + 9;
    s64 days = y * 365 + y / 4 - y / 100 + y / 400;

    return days + (153 * m + 2) / 5 + day - 1 - DAYS_TO_1970 - DAYS_400Y;
}

static bool is_leap(s32 year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static u8 month_days(s32 year, u32 month)
{
    static const u8 days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return (u8)(days[month - 1] + (month == 2 && is_leap(year)));
}

void calendar_from_seconds(s64 seconds, struct calendar *c)
{
    s64 s = clamp(seconds, FIRST_S, LAST_S) - FIRST_S, days = s / DAY_S;
    u32 rest = (u32)(s % DAY_S), year_days;
    s32 year = (s32)(days / DAYS_400Y) * 400;
    u32 month = 1;

    c->weekday = (u8)((days + 6) % 7 + 1); /* 0000-01-01 was a Saturday */
    days %= DAYS_400Y;
    /* Each step at most a century, four years, a year: a handful of rounds. */
    for (s64 n; days >= (n = is_leap(year) ? 36525 : 36524); year += 100)
        days -= n;
    for (s64 n; days >= (n = is_leap(year) ? 1461 : 1460); year += 4)
        days -= n;
    for (; days >= (year_days = is_leap(year) ? 366 : 365); year++)
        days -= year_days;
    for (; days >= month_days(year, month); month++)
        days -= month_days(year, month);
    *c = (struct calendar){year,
                           (u8)month,
                           (u8)(days + 1),
                           (u8)(rest / 3600),
                           (u8)(rest / 60 % 60),
                           (u8)(rest % 60),
                           c->weekday};
}

s64 calendar_to_seconds(const struct calendar *c)
{
    s32 year = (s32)clamp(c->year, 0, 9999);
    u32 month = (u32)clamp(c->month, 1, 12);
    u32 day = (u32)clamp(c->day, 1, month_days(year, month));
    u32 in_day = (u32)(clamp(c->hour, 0, 23) * 3600 + clamp(c->minute, 0, 59) * 60 +
                       clamp(c->second, 0, 59));

    return days_from_date(year, month, day) * DAY_S + in_day;
}
