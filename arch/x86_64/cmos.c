/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading the real-time clock (Motorola MC146818 data sheet). */
#include "arch/x86_64/cmos.h"
#include "arch/x86_64/cpu.h"
#include "lib/calendar.h"
#include "lib/string.h"

#define CMOS_INDEX 0x70
#define CMOS_DATA  0x71

#define STATUS_A   10
#define STATUS_B   11
#define A_UPDATING 0x80
#define B_BINARY   0x04
#define B_24_HOURS 0x02
#define HOUR_PM    0x80

/* What is read of the clock, and from which registers. */
enum { SECOND, MINUTE, HOUR, DAY, MONTH, YEAR, FIELDS };
static const u8 registers[FIELDS] = {0, 2, 4, 7, 8, 9};

static u8 reg(u8 index)
{
    cpu_out8(CMOS_INDEX, index);
    return cpu_in8(CMOS_DATA);
}

static void read_fields(u8 *fields)
{
    for (unsigned i = 0; i < FIELDS; i++)
        fields[i] = reg(registers[i]);
}

static u8 decimal(u8 v, bool binary)
{
    return binary ? v : (u8)((v >> 4) * 10 + (v & 15));
}

s64 cmos_read_time(void)
{
    u8 a[FIELDS], b[FIELDS] = {0}, status;
    bool binary, pm;

    /* Two equal readings outside an update; a clock that never settles is taken as it is. */
    for (unsigned tries = 0; tries < 1000; tries++) {
        if (reg(STATUS_A) & A_UPDATING)
            continue;
        read_fields(a);
        read_fields(b);
        if (!memcmp(a, b, FIELDS))
            break;
    }
    status = reg(STATUS_B);
    binary = status & B_BINARY;
    pm = b[HOUR] & HOUR_PM;
    b[HOUR] &= (u8)~HOUR_PM;
    for (unsigned i = 0; i < FIELDS; i++)
        b[i] = decimal(b[i], binary);
    if (!(status & B_24_HOURS))
        b[HOUR] = (u8)(b[HOUR] % 12 + (pm ? 12 : 0));
    if (b[MONTH] < 1 || b[MONTH] > 12 || b[DAY] < 1 || b[DAY] > 31)
        return 0;
    return calendar_to_seconds(&(struct calendar){.year = 2000 + b[YEAR],
                                                  .month = b[MONTH],
                                                  .day = b[DAY],
                                                  .hour = b[HOUR],
                                                  .minute = b[MINUTE],
                                                  .second = b[SECOND]});
}
