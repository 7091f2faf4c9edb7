/* SPDX-License-Identifier: BSD-2-Clause */
/* The real-time clock against the MC146818 data sheet; the calendar against the C library's. */
#include "tests/unit/dev_board.h"
#include <time.h>
#include "lib/calendar.h"
#include "vmm/dev/rtc.h"

#define IRQ8 8

struct bench {
    struct board b;
    struct rtc r;
};

/* 2024-02-28 23:59:50, a Wednesday. */
#define LEAP_EVE 1709164790

static void start_at(struct bench *t, s64 unix_s)
{
    board_init(&t->b);
    t->b.now = 123456789;
    rtc_init(&t->r, unix_s, t->b.now, board_irq(&t->b, IRQ8), board_timer_out(&t->b));
    assert_int_equal(rtc_attach(&t->r, &t->b.ports), OK);
}

static u8 cmos(struct bench *t, u8 n)
{
    out8(&t->b, 0x70, n);
    return in8(&t->b, 0x71);
}

static void set(struct bench *t, u8 n, u8 value)
{
    out8(&t->b, 0x70, n);
    out8(&t->b, 0x71, value);
}

static void advance(struct bench *t, u64 ns)
{
    t->b.now += ns;
    rtc_tick(&t->r, t->b.now);
}

static u64 run_to_deadline(struct bench *t)
{
    u64 then = t->b.now;

    assert_true(rtc_deadline(&t->r) != DEADLINE_NONE);
    t->b.now = MAX(t->b.now, rtc_deadline(&t->r));
    rtc_tick(&t->r, t->b.now);
    return t->b.now - then;
}

static void expect_time(struct bench *t, unsigned year, unsigned month, unsigned day, unsigned hour,
                        unsigned minute, unsigned second, unsigned weekday)
{
    assert_int_equal(cmos(t, 0x32), year / 100 / 10 * 16 + year / 100 % 10);
    assert_int_equal(cmos(t, 9), year % 100 / 10 * 16 + year % 10);
    assert_int_equal(cmos(t, 8), month / 10 * 16 + month % 10);
    assert_int_equal(cmos(t, 7), day / 10 * 16 + day % 10);
    assert_int_equal(cmos(t, 6), weekday);
    assert_int_equal(cmos(t, 4), hour / 10 * 16 + hour % 10);
    assert_int_equal(cmos(t, 2), minute / 10 * 16 + minute % 10);
    assert_int_equal(cmos(t, 0), second / 10 * 16 + second % 10);
}

static void calendar_agrees_with_the_c_library(void **state)
{
    u64 seed = 1970;

    (void)state;
    for (unsigned i = 0; i < 200000; i++) {
        s64 s = (s64)(random_u64(&seed) % 315537897600ull) - 62135596800ll; /* years 1 to 9999 */
        time_t time = (time_t)s;
        struct calendar c;
        struct tm tm;

        if (i < 2000) /* each day around the end of February, and of the year */
            time = (time_t)(s = 951700000 + (s64)i * 43200);
        assert_non_null(gmtime_r(&time, &tm));
        calendar_from_seconds(s, &c);
        assert_int_equal(c.year, tm.tm_year + 1900);
        assert_int_equal(c.month, tm.tm_mon + 1);
        assert_int_equal(c.day, tm.tm_mday);
        assert_int_equal(c.hour, tm.tm_hour);
        assert_int_equal(c.minute, tm.tm_min);
        assert_int_equal(c.second, tm.tm_sec);
        assert_int_equal(c.weekday, tm.tm_wday + 1);
        assert_int_equal(calendar_to_seconds(&c), s);
    }
}

static void calendar_cuts_nonsense(void **state)
{
    struct calendar c = {2023, 13, 40, 99, 99, 99, 0}, back;

    (void)state;
    calendar_from_seconds(calendar_to_seconds(&c), &back);
    assert_int_equal(back.month, 12);
    assert_int_equal(back.day, 31);
    assert_int_equal(back.second, 59);
    c = (struct calendar){2023, 2, 29, 0, 0, 0, 0};
    calendar_from_seconds(calendar_to_seconds(&c), &back);
    assert_int_equal(back.month * 100 + back.day, 228);
    calendar_from_seconds(INT64_MAX, &back);
    assert_int_equal(back.year, 9999);
    calendar_from_seconds(INT64_MIN, &back);
    assert_int_equal(back.year, 0);
}

static void time_passes(void **state)
{
    struct bench t;

    (void)state;
    start_at(&t, LEAP_EVE);
    expect_time(&t, 2024, 2, 28, 23, 59, 50, 4);
    advance(&t, 9 * NS_S + NS_S / 2);
    expect_time(&t, 2024, 2, 28, 23, 59, 59, 4);
    advance(&t, NS_S / 2);
    expect_time(&t, 2024, 2, 29, 0, 0, 0, 5);
    advance(&t, 86400 * NS_S);
    expect_time(&t, 2024, 3, 1, 0, 0, 0, 6);
    assert_int_equal(rtc_time(&t.r, t.b.now), LEAP_EVE + 10 + 86400);
}

/* The day of the week counts from what was written, whatever the date says. */
static void weekday_is_a_counter(void **state)
{
    struct bench t;

    (void)state;
    start_at(&t, LEAP_EVE);
    set(&t, 6, 7);
    expect_time(&t, 2024, 2, 28, 23, 59, 50, 7);
    advance(&t, 10 * NS_S);
    expect_time(&t, 2024, 2, 29, 0, 0, 0, 1);
    set(&t, 11, 0x82); /* a date alone is set */
    set(&t, 7, 0x15);
    set(&t, 11, 0x02);
    expect_time(&t, 2024, 2, 15, 0, 0, 0, 1);
    advance(&t, 6 * 86400 * NS_S);
    expect_time(&t, 2024, 2, 21, 0, 0, 0, 7);
    set(&t, 11, 0x82);
    set(&t, 6, 5);
    set(&t, 11, 0x02);
    advance(&t, 86400 * NS_S);
    expect_time(&t, 2024, 2, 22, 0, 0, 0, 6);
}

/* Binary or BCD, 24 or 12 hours, in all four combinations, over a whole day. */
static void formats(void **state)
{
    struct bench t;

    (void)state;
    start_at(&t, 1704067200); /* 2024-01-01 00:00 */
    for (unsigned h = 0; h < 24; h++) {
        unsigned twelve = h % 12 ? h % 12 : 12, pm = h >= 12 ? 0x80 : 0;

        set(&t, 11, 0x02);
        assert_int_equal(cmos(&t, 4), h / 10 * 16 + h % 10);
        set(&t, 11, 0x06);
        assert_int_equal(cmos(&t, 4), h);
        set(&t, 11, 0x00);
        assert_int_equal(cmos(&t, 4), (twelve / 10 * 16 + twelve % 10) | pm);
        set(&t, 11, 0x04);
        assert_int_equal(cmos(&t, 4), twelve | pm);
        advance(&t, 3600 * NS_S);
    }
    for (unsigned h = 0; h < 24; h++) { /* and set */
        unsigned twelve = h % 12 ? h % 12 : 12;

        set(&t, 11, 0x00);
        set(&t, 4, (u8)((twelve / 10 * 16 + twelve % 10) | (h >= 12 ? 0x80 : 0)));
        set(&t, 11, 0x06);
        assert_int_equal(cmos(&t, 4), h);
    }
}

/* As an operating system sets it: SET, the bytes, the divider through reset, SET off. */
static void setting_the_clock(void **state)
{
    struct bench t;

    (void)state;
    start_at(&t, LEAP_EVE);
    set(&t, 11, 0x82);
    advance(&t, 5 * NS_S);
    expect_time(&t, 2024, 2, 28, 23, 59, 50, 4); /* frozen */
    set(&t, 10, 0x76);
    set(&t, 0x32, 0x19), set(&t, 9, 0x99), set(&t, 8, 0x12), set(&t, 7, 0x31);
    set(&t, 6, 6); /* a Friday */
    set(&t, 4, 0x23), set(&t, 2, 0x59), set(&t, 0, 0x59);
    set(&t, 11, 0x02);
    advance(&t, 5 * NS_S);
    assert_int_equal(cmos(&t, 0), 0x59); /* the divider is still held */
    set(&t, 10, 0x26);
    advance(&t, 499 * NS_MS);
    assert_int_equal(cmos(&t, 0), 0x59);
    advance(&t, 2 * NS_MS); /* the first update comes after half a second */
    expect_time(&t, 2000, 1, 1, 0, 0, 0, 7);
    /* With SET alone the second's phase goes on. */
    set(&t, 11, 0x82);
    set(&t, 0, 0x30);
    advance(&t, 200 * NS_MS);
    set(&t, 11, 0x02);
    advance(&t, 798 * NS_MS);
    assert_int_equal(cmos(&t, 0), 0x30);
    advance(&t, 2 * NS_MS);
    assert_int_equal(cmos(&t, 0), 0x31);
    /* A byte written while it runs counts at once. */
    set(&t, 2, 0x42);
    assert_int_equal(cmos(&t, 2), 0x42);
    assert_int_equal(cmos(&t, 0), 0x31);
}

static void update_in_progress(void **state)
{
    struct bench t;

    (void)state;
    start_at(&t, LEAP_EVE);
    assert_int_equal(cmos(&t, 10), 0x26);
    advance(&t, NS_S - 244001);
    assert_int_equal(cmos(&t, 10), 0x26);
    advance(&t, 2);
    assert_int_equal(cmos(&t, 10), 0xa6);
    advance(&t, 243998);
    assert_int_equal(cmos(&t, 10), 0xa6);
    advance(&t, 1);
    assert_int_equal(cmos(&t, 10), 0x26);
    assert_int_equal(cmos(&t, 0), 0x51);
    advance(&t, NS_S - 1000);
    set(&t, 11, 0x82); /* SET ends an update */
    assert_int_equal(cmos(&t, 10), 0x26);
    set(&t, 10, 0xff); /* UIP cannot be written */
    assert_int_equal(cmos(&t, 10), 0x7f);
}

static void update_interrupt(void **state)
{
    struct bench t;

    (void)state;
    start_at(&t, LEAP_EVE);
    assert_int_equal(rtc_deadline(&t.r), DEADLINE_NONE);
    set(&t, 10, 0x20); /* no periodic flag */
    set(&t, 11, 0x12);
    assert_int_equal(run_to_deadline(&t), NS_S);
    assert_true(t.b.level[IRQ8]);
    assert_int_equal(rtc_deadline(&t.r), DEADLINE_NONE); /* nothing more until C is read */
    assert_int_equal(cmos(&t, 12), 0x90);
    assert_false(t.b.level[IRQ8]);
    assert_int_equal(cmos(&t, 12), 0);
    assert_int_equal(run_to_deadline(&t), NS_S);
    set(&t, 11, 0x92); /* SET takes the enable back */
    assert_int_equal(cmos(&t, 11), 0x82);
    assert_false(t.b.level[IRQ8]);
    set(&t, 11, 0x02);
    cmos(&t, 12);
    advance(&t, 3 * NS_S); /* the flag comes without the interrupt; the enable then raises it */
    assert_false(t.b.level[IRQ8]);
    set(&t, 11, 0x12);
    assert_true(t.b.level[IRQ8]);
    assert_int_equal(cmos(&t, 12), 0x90);
}

static void alarm_interrupt(void **state)
{
    struct bench t;

    (void)state;
    start_at(&t, LEAP_EVE);
    set(&t, 10, 0x20);
    set(&t, 1, 0x05), set(&t, 3, 0x01), set(&t, 5, 0x00);
    set(&t, 11, 0x22);
    assert_int_equal(run_to_deadline(&t), 75 * NS_S);
    assert_int_equal(cmos(&t, 12), 0xb0);
    assert_int_equal(run_to_deadline(&t), 86400 * NS_S); /* once a day */
    cmos(&t, 12);
    set(&t, 3, 0xff); /* any minute */
    set(&t, 5, 0xc0); /* any hour */
    assert_int_equal(run_to_deadline(&t), 60 * NS_S);
    cmos(&t, 12);
    set(&t, 1, 0xc0); /* any second */
    assert_int_equal(run_to_deadline(&t), NS_S);
    cmos(&t, 12);
    set(&t, 1, 0x7f); /* no such second */
    assert_int_equal(rtc_deadline(&t.r), DEADLINE_NONE);
    set(&t, 1, 0x00), set(&t, 5, 0x24), set(&t, 3, 0xff); /* no such hour */
    assert_int_equal(rtc_deadline(&t.r), DEADLINE_NONE);
    set(&t, 5, 0xff), set(&t, 3, 0x60);
    assert_int_equal(rtc_deadline(&t.r), DEADLINE_NONE);
    advance(&t, 86400ull * 400 * NS_S); /* not looked at for a year */
    assert_int_equal(cmos(&t, 12), 0x10);
    /* 12-hour mode. */
    start_at(&t, LEAP_EVE - 12 * 3600); /* 11:59:50 */
    set(&t, 11, 0x20);
    set(&t, 1, 0), set(&t, 3, 0), set(&t, 5, 0x92); /* 12 PM */
    assert_int_equal(run_to_deadline(&t), 10 * NS_S);
}

/* Every rate of register A, counted over a second; and no drift over a minute. */
static void periodic_interrupt(void **state)
{
    static const unsigned hz[16] = {0,   256, 128, 8192, 4096, 2048, 1024, 512,
                                    256, 128, 64,  32,   16,   8,    4,    2};

    (void)state;
    for (unsigned rate = 0; rate < 16; rate++) {
        struct bench t;
        u64 end;
        unsigned n = 0;

        start_at(&t, LEAP_EVE);
        set(&t, 10, (u8)(0x20 | rate));
        cmos(&t, 12);
        set(&t, 11, 0x42);
        if (!hz[rate]) {
            assert_int_equal(rtc_deadline(&t.r), DEADLINE_NONE);
            continue;
        }
        end = t.b.now + (rate == 6 ? 60 : 1) * NS_S;
        while (rtc_deadline(&t.r) <= end) {
            run_to_deadline(&t);
            assert_true(t.b.level[IRQ8]);
            assert_int_equal(cmos(&t, 12) & 0xc0, 0xc0);
            n++;
        }
        assert_int_equal(n, hz[rate] * (rate == 6 ? 60 : 1));
    }
}

static void memory_bytes(void **state)
{
    struct bench t;
    unsigned sum = 0;

    (void)state;
    start_at(&t, LEAP_EVE);
    rtc_set_memory(&t.r, 0xc0000000, 5 * GIB + MIB);
    assert_int_equal(cmos(&t, 0x15) | cmos(&t, 0x16) << 8, 640);
    assert_int_equal(cmos(&t, 0x17) | cmos(&t, 0x18) << 8, 0xfc00);
    assert_int_equal(cmos(&t, 0x30) | cmos(&t, 0x31) << 8, 0xfc00);
    assert_int_equal(cmos(&t, 0x34) | cmos(&t, 0x35) << 8, 0xbf00);
    assert_int_equal(cmos(&t, 0x5b) | cmos(&t, 0x5c) << 8 | cmos(&t, 0x5d) << 16,
                     (5 * GIB + MIB) >> 16);
    for (unsigned i = 0x10; i < 0x2e; i++)
        sum += cmos(&t, (u8)i);
    assert_int_equal(cmos(&t, 0x2e) << 8 | cmos(&t, 0x2f), sum);
    rtc_set_memory(&t.r, 2 * MIB, 0);
    assert_int_equal(cmos(&t, 0x30) | cmos(&t, 0x31) << 8, 1024);
    assert_int_equal(cmos(&t, 0x34) | cmos(&t, 0x35) << 8, 0);
}

static void registers_and_ram(void **state)
{
    struct bench t;

    (void)state;
    start_at(&t, LEAP_EVE);
    assert_int_equal(in8(&t.b, 0x70), 0xff);
    for (unsigned n = 14; n < 128; n++) {
        if (n == 0x32)
            continue;
        set(&t, (u8)(0x80 | n), (u8)(n * 3)); /* bit 7 masks NMI and is no part of the index */
        assert_int_equal(cmos(&t, (u8)n), (u8)(n * 3));
    }
    assert_int_equal(cmos(&t, 13), 0x80); /* battery good; C and D cannot be written */
    set(&t, 13, 0);
    set(&t, 12, 0xff);
    assert_int_equal(cmos(&t, 13), 0x80);
    assert_int_equal(cmos(&t, 12), 0);
    /* Anything at all in any register, and then time goes on. */
    for (unsigned v = 0; v < 256; v++)
        for (unsigned n = 0; n < 14; n++) {
            set(&t, (u8)n, (u8)(v * 7 + n * 11));
            advance(&t, 77 * NS_MS);
            cmos(&t, (u8)n);
            cmos(&t, 12);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calendar_agrees_with_the_c_library),
        cmocka_unit_test(calendar_cuts_nonsense),
        cmocka_unit_test(time_passes),
        cmocka_unit_test(weekday_is_a_counter),
        cmocka_unit_test(formats),
        cmocka_unit_test(setting_the_clock),
        cmocka_unit_test(update_in_progress),
        cmocka_unit_test(update_interrupt),
        cmocka_unit_test(alarm_interrupt),
        cmocka_unit_test(periodic_interrupt),
        cmocka_unit_test(memory_bytes),
        cmocka_unit_test(registers_and_ram),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
