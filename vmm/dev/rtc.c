/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MC146818 registers, clock and interrupts; see rtc.h. The clock is not stepped: the time bytes
 * are computed from the VM's time, flags when somebody looks.
 */
#include "lib/calendar.h"
#include "lib/string.h"
#include "vmm/dev/rtc.h"
#include "vmm/dev/ticks.h"

#define SECOND 1000000000ull
#define RATE   TICK_RATE_RTC

enum {
    SECONDS,
    SECONDS_ALARM,
    MINUTES,
    MINUTES_ALARM,
    HOURS,
    HOURS_ALARM,
    WEEKDAY,
    DAY,
    MONTH,
    YEAR,
    REG_A,
    REG_B,
    REG_C,
    REG_D,
    CENTURY = 0x32
};

#define A_UIP        BIT(7)
#define A_DIVIDER(a) (((a) >> 4) & 7)
#define A_RATE(a)    ((a)&15)
#define B_SET        BIT(7)
#define B_PIE        BIT(6)
#define B_AIE        BIT(5)
#define B_UIE        BIT(4)
#define B_BINARY     BIT(2)
#define B_24H        BIT(1)
#define C_IRQF       BIT(7)
#define C_PF         BIT(6)
#define C_AF         BIT(5)
#define C_UF         BIT(4)
#define C_FLAGS      (C_PF | C_AF | C_UF)
#define D_VRT        BIT(7)

#define UPDATE_NS 244000 /* UIP goes up this long before the second ends */
#define PM        0x80   /* in the hour, 12-hour mode */
#define ANY       0xc0   /* alarm byte: matches everything from here on */

/* ---- bytes as they are written -------------------------------------------------------------- */

static u8 encode(const struct rtc *r, unsigned v)
{
    return (u8)(r->s.cmos[REG_B] & B_BINARY ? v : v / 10 << 4 | v % 10);
}

static unsigned decode(const struct rtc *r, u8 b)
{
    return r->s.cmos[REG_B] & B_BINARY ? b : (b >> 4) * 10u + (b & 15);
}

static u8 encode_hour(const struct rtc *r, unsigned hour)
{
    if (r->s.cmos[REG_B] & B_24H)
        return encode(r, hour);
    return (u8)(encode(r, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? PM : 0));
}

/* 12-hour values: 12 AM is 0, 12 PM is 12. */
static unsigned decode_hour(const struct rtc *r, u8 b)
{
    if (r->s.cmos[REG_B] & B_24H)
        return decode(r, b);
    return decode(r, b & 0x7f) % 12 + (b & PM ? 12 : 0);
}

static bool is_time_byte(unsigned n)
{
    return n == SECONDS || n == MINUTES || n == HOURS || (n >= WEEKDAY && n <= YEAR) ||
           n == CENTURY;
}

static void put_time(struct rtc *r, const struct calendar *c)
{
    u8 *m = r->s.cmos;

    m[SECONDS] = encode(r, c->second);
    m[MINUTES] = encode(r, c->minute);
    m[HOURS] = encode_hour(r, c->hour);
    m[WEEKDAY] = encode(r, (c->weekday - 1u + r->s.weekday) % 7 + 1);
    m[DAY] = encode(r, c->day);
    m[MONTH] = encode(r, c->month);
    m[YEAR] = encode(r, (unsigned)c->year % 100);
    m[CENTURY] = encode(r, (unsigned)c->year / 100);
}

static s64 time_from_bytes(const struct rtc *r)
{
    const u8 *m = r->s.cmos;
    struct calendar c = {
        .year = (s32)(decode(r, m[CENTURY]) * 100 + decode(r, m[YEAR])),
        .month = (u8)decode(r, m[MONTH]),
        .day = (u8)decode(r, m[DAY]),
        .hour = (u8)decode_hour(r, m[HOURS]),
        .minute = (u8)decode(r, m[MINUTES]),
        .second = (u8)decode(r, m[SECONDS]),
    };

    return calendar_to_seconds(&c);
}

/* ---- the clock ------------------------------------------------------------------------------ */

static u64 second_at(const struct rtc *r, u64 now_ns)
{
    return (now_ns + r->s.phase_ns) / SECOND;
}

/* VM time at which that second begins. */
static u64 second_begin(const struct rtc *r, u64 second)
{
    return second * SECOND - r->s.phase_ns;
}

s64 rtc_time(const struct rtc *r, u64 now_ns)
{
    if (r->s.halted)
        return time_from_bytes(r);
    return r->s.epoch_s + (s64)second_at(r, now_ns);
}

static void bring_time(struct rtc *r, u64 now_ns)
{
    struct calendar c;

    calendar_from_seconds(r->s.epoch_s + (s64)second_at(r, now_ns), &c);
    put_time(r, &c);
}

static void set_time(struct rtc *r, u64 now_ns)
{
    s64 time = time_from_bytes(r);
    struct calendar c;

    r->s.seen_s = second_at(r, now_ns);
    r->s.epoch_s = time - (s64)r->s.seen_s;
    calendar_from_seconds(time, &c);
    r->s.weekday = (u8)((decode(r, r->s.cmos[WEEKDAY]) + 7 - c.weekday) % 7);
}

static bool divider_reset(const struct rtc *r)
{
    return A_DIVIDER(r->s.cmos[REG_A]) >= 6;
}

/* SET or a divider in reset freeze the time bytes; when both are off the clock takes them up. */
static void update_halt(struct rtc *r, bool was_reset, u64 now_ns)
{
    bool halt = (r->s.cmos[REG_B] & B_SET) || divider_reset(r);

    if (was_reset && !divider_reset(r)) /* the first update comes half a second later */
        r->s.phase_ns = (u32)((SECOND + SECOND / 2 - now_ns % SECOND) % SECOND);
    if (halt && !r->s.halted)
        bring_time(r, now_ns);
    else if (!halt && (r->s.halted || was_reset))
        set_time(r, now_ns);
    r->s.halted = halt;
}

/* ---- interrupts ----------------------------------------------------------------------------- */

/* Period of the periodic interrupt as a shift of 32768 Hz ticks; 0: off. */
static unsigned periodic_shift(const struct rtc *r)
{
    unsigned rate = A_RATE(r->s.cmos[REG_A]);

    if (rate == 0 || divider_reset(r))
        return 0;
    return rate < 3 ? rate + 6 : rate - 1;
}

/* The first value from `from` up, below `limit`, that an alarm byte lets through; limit if none. */
COLD static unsigned next_match(unsigned alarm, unsigned from, unsigned limit)
{
    if (alarm == ANY)
        return from;
    return alarm >= from && alarm < limit ? alarm : limit;
}

/* Second of the day, at or after `from` (of the day), at which the alarm goes off; or none: -1. */
static s32 alarm_in_day(const struct rtc *r, u32 from)
{
    const u8 *m = r->s.cmos;
    unsigned hour = m[HOURS_ALARM] >= ANY ? ANY : decode_hour(r, m[HOURS_ALARM]);
    unsigned minute = m[MINUTES_ALARM] >= ANY ? ANY : decode(r, m[MINUTES_ALARM]);
    unsigned second = m[SECONDS_ALARM] >= ANY ? ANY : decode(r, m[SECONDS_ALARM]);

    if (second != ANY && second >= 60)
        return -1;
    for (unsigned h = next_match(hour, from / 3600, 24); h < 24; h = next_match(hour, h + 1, 24)) {
        unsigned first = h == from / 3600 ? from / 60 % 60 : 0;

        for (unsigned k = next_match(minute, first, 60); k < 60;
             k = next_match(minute, k + 1, 60)) {
            bool here = h == from / 3600 && k == from / 60 % 60;
            unsigned s = next_match(second, here ? from % 60 : 0, 60);

            if (s < 60)
                return (s32)(h * 3600 + k * 60 + s);
        }
    }
    return -1;
}

/* The first second (as second_at counts) after `after` in which the alarm goes off; UINT64_MAX. */
static u64 next_alarm(const struct rtc *r, u64 after)
{
    s64 time = r->s.epoch_s + (s64)after + 1;
    u32 of_day = (u32)((time % 86400 + 86400) % 86400);
    s32 at = alarm_in_day(r, of_day);

    if (at >= 0)
        return after + 1 + ((u32)at - of_day);
    at = alarm_in_day(r, 0);
    return at < 0 ? UINT64_MAX : after + 1 + (86400 - of_day) + (u32)at;
}

/* Sets the flags for all that has happened since the last look. */
static void look(struct rtc *r, u64 now_ns)
{
    u64 second = second_at(r, now_ns), tick = ticks_at(RATE, now_ns);
    unsigned shift = periodic_shift(r);
    u8 *c = &r->s.cmos[REG_C];

    if (!r->s.halted && second > r->s.seen_s) {
        *c |= C_UF;
        if (!(*c & C_AF) && next_alarm(r, r->s.seen_s) <= second)
            *c |= C_AF;
    }
    if (shift && tick >> shift != r->s.seen_tick >> shift)
        *c |= C_PF;
    r->s.seen_s = second;
    r->s.seen_tick = tick;
}

static u64 next_deadline(const struct rtc *r)
{
    u8 wanted = r->s.cmos[REG_B] & C_FLAGS & (u8)~r->s.cmos[REG_C];
    unsigned shift = periodic_shift(r);
    u64 deadline = DEADLINE_NONE, second = UINT64_MAX;

    if (!wanted || r->s.line)
        return DEADLINE_NONE;
    if ((wanted & C_PF) && shift)
        deadline = ticks_to_ns(RATE, ((r->s.seen_tick >> shift) + 1) << shift);
    if (r->s.halted)
        return deadline;
    if (wanted & C_UF)
        second = r->s.seen_s + 1;
    else if (wanted & C_AF)
        second = next_alarm(r, r->s.seen_s);
    return second == UINT64_MAX ? deadline : MIN(deadline, second_begin(r, second));
}

/* After a look or a write: IRQF, the line, the next deadline. */
static void settle(struct rtc *r)
{
    u8 *c = &r->s.cmos[REG_C];
    bool line = *c & r->s.cmos[REG_B] & C_FLAGS;
    u64 deadline;

    *c = (u8)((*c & C_FLAGS) | (line ? C_IRQF : 0));
    if (line != r->s.line) {
        r->s.line = line;
        irq_out_set(&r->irq, line);
    }
    deadline = next_deadline(r);
    if (deadline != r->s.deadline_ns) {
        r->s.deadline_ns = deadline;
        timer_out_changed(&r->timer);
    }
}

void rtc_tick(struct rtc *r, u64 now_ns)
{
    if (now_ns < r->s.deadline_ns)
        return;
    look(r, now_ns);
    settle(r);
}

/* ---- registers ------------------------------------------------------------------------------ */

static u8 read_byte(struct rtc *r, unsigned n, u64 now_ns)
{
    u8 value;

    if (is_time_byte(n)) {
        if (!r->s.halted)
            bring_time(r, now_ns);
        return r->s.cmos[n];
    }
    switch (n) {
    case REG_A:
        value = r->s.cmos[REG_A];
        if (!r->s.halted && (now_ns + r->s.phase_ns) % SECOND >= SECOND - UPDATE_NS)
            value |= A_UIP;
        return value;
    case REG_C: /* reading ends the interrupt */
        look(r, now_ns);
        settle(r);
        value = r->s.cmos[REG_C];
        r->s.cmos[REG_C] = 0;
        settle(r);
        return value;
    case REG_D:
        return D_VRT;
    default:
        return r->s.cmos[n];
    }
}

static void write_byte(struct rtc *r, unsigned n, u8 value, u64 now_ns)
{
    bool was_reset = divider_reset(r);

    if (n == REG_C || n == REG_D)
        return;
    look(r, now_ns);
    if (is_time_byte(n)) {
        if (!r->s.halted)
            bring_time(r, now_ns);
        r->s.cmos[n] = value;
        if (!r->s.halted)
            set_time(r, now_ns);
    } else if (n == REG_A) {
        r->s.cmos[n] = value & (u8)~A_UIP;
        update_halt(r, was_reset, now_ns);
    } else if (n == REG_B) {
        if (value & B_SET) /* SET takes back the update interrupt's enable */
            value &= (u8)~B_UIE;
        r->s.cmos[n] = value;
        update_halt(r, was_reset, now_ns);
    } else {
        r->s.cmos[n] = value;
    }
    settle(r);
}

static void rtc_access(void *arg, struct bus_access *acc)
{
    struct rtc *r = arg;

    if (acc->offset == 0) {
        if (acc->write) {
            r->s.index = acc->value & 0x7f;
            r->s.nmi_masked = acc->value & 0x80;
        } else {
            acc->value = 0xff; /* write-only */
        }
    } else if (acc->write) {
        write_byte(r, r->s.index, (u8)acc->value, bus_now(acc));
    } else {
        acc->value = read_byte(r, r->s.index, bus_now(acc));
    }
}

/* ---- creation ------------------------------------------------------------------------------- */

static void put16(struct rtc *r, unsigned at, u64 value)
{
    value = MIN(value, 0xffffull);
    r->s.cmos[at] = (u8)value;
    r->s.cmos[at + 1] = (u8)(value >> 8);
}

void rtc_set_memory(struct rtc *r, u64 below_4g, u64 above_4g)
{
    u64 above_1m = below_4g > MIB ? below_4g - MIB : 0;
    u64 above_16m = below_4g > 16 * MIB ? below_4g - 16 * MIB : 0;
    u64 high = MIN(above_4g >> 16, 0xffffffull);
    u32 sum = 0;

    put16(r, 0x15, MIN(below_4g, 640 * KIB) >> 10);
    put16(r, 0x17, MIN(above_1m >> 10, 0xfc00ull)); /* up to 64 MiB */
    put16(r, 0x30, MIN(above_1m >> 10, 0xfc00ull));
    put16(r, 0x34, above_16m >> 16);
    put16(r, 0x5b, high & 0xffff);
    r->s.cmos[0x5d] = (u8)(high >> 16);
    for (unsigned i = 0x10; i < 0x2e; i++)
        sum += r->s.cmos[i];
    r->s.cmos[0x2e] = (u8)(sum >> 8);
    r->s.cmos[0x2f] = (u8)sum;
}

void rtc_init(struct rtc *r, s64 unix_s, u64 now_ns, struct irq_out irq, struct timer_out timer)
{
    *r = (struct rtc){.irq = irq, .timer = timer};
    r->s.cmos[REG_A] = 0x26; /* 32768 Hz, 1024 Hz periodic */
    r->s.cmos[REG_B] = B_24H;
    r->s.phase_ns = (u32)((SECOND - now_ns % SECOND) % SECOND);
    r->s.seen_s = second_at(r, now_ns);
    r->s.epoch_s = unix_s - (s64)r->s.seen_s;
    r->s.seen_tick = ticks_at(RATE, now_ns);
    r->s.deadline_ns = DEADLINE_NONE;
}

enum err rtc_attach(struct rtc *r, struct bus *ports)
{
    return bus_add(ports, 0x70, 2, 1, rtc_access, r, "rtc");
}
