/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading the real-time clock (Motorola MC146818 data sheet). */
#include "arch/x86_64/cmos.h"
#include "arch/x86_64/cpu.h"

#define CMOS_INDEX 0x70
#define CMOS_DATA  0x71

enum {
    SECONDS = 0,
    MINUTES = 2,
    HOURS = 4,
    DAY = 7,
    MONTH = 8,
    YEAR = 9,
    STATUS_A = 10,
    STATUS_B = 11
};
#define A_UPDATING 0x80
#define B_BINARY   0x04
#define B_24_HOURS 0x02
#define HOUR_PM    0x80

struct clock_regs {
    u8 second, minute, hour, day, month, year;
};

static u8 reg(u8 index)
{
    cpu_out8(CMOS_INDEX, index);
    return cpu_in8(CMOS_DATA);
}

static struct clock_regs read_regs(void)
{
    return (struct clock_regs){reg(SECONDS), reg(MINUTES), reg(HOURS),
                               reg(DAY),     reg(MONTH),   reg(YEAR)};
}

static bool same(struct clock_regs a, struct clock_regs b)
{
    return a.second == b.second && a.minute == b.minute && a.hour == b.hour && a.day == b.day &&
           a.month == b.month && a.year == b.year;
}

static u8 decimal(u8 v, bool binary)
{
    return binary ? v : (u8)((v >> 4) * 10 + (v & 15));
}

/* Days from 1970-01-01 to a date of the proleptic Gregorian calendar; March begins the year. */
static s64 days_from_civil(s64 year, u32 month, u32 day)
{
    year -= month <= 2;
    s64 era = year / 400, yoe = year % 400;
    s64 doy = (153 * (s64)(month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

s64 cmos_read_time(void)
{
    struct clock_regs a, b = {0};

    /* Two equal readings outside an update; a clock that never settles is taken as it is. */
    for (unsigned tries = 0; tries < 1000; tries++) {
        if (reg(STATUS_A) & A_UPDATING)
            continue;
        a = read_regs();
        b = read_regs();
        if (same(a, b))
            break;
    }
    u8 status = reg(STATUS_B);
    bool binary = status & B_BINARY, pm = b.hour & HOUR_PM;
    u32 hour = decimal(b.hour & ~HOUR_PM, binary);
    if (!(status & B_24_HOURS))
        hour = hour % 12 + (pm ? 12 : 0);
    u32 month = decimal(b.month, binary), day = decimal(b.day, binary);
    if (month < 1 || month > 12 || day < 1 || day > 31)
        return 0;
    s64 days = days_from_civil(2000 + decimal(b.year, binary), month, day);
    return days * 86400 + hour * 3600 + decimal(b.minute, binary) * 60 + decimal(b.second, binary);
}
