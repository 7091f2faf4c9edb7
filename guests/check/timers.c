/* SPDX-License-Identifier: BSD-2-Clause */
/* Clocks agree with each other and go forward (8254, MC146818, ACPI 6.4, 4.8.3.3). */
#include "guests/check/check.h"
#include "guests/lib/acpi.h"
#include "guests/lib/cmos.h"
#include "guests/lib/pit.h"

#define PM_HZ 3579545u

/* A delay of whatever runs below spoils a measurement; each gets as many tries. */
#define ATTEMPTS 10

static bool within(u64 a, u64 b, unsigned percent)
{
    return a * 100 >= b * (100 - percent) && a * 100 <= b * (100 + percent);
}

static void tsc_forward(void)
{
    u64 last = rdtsc();

    for (unsigned i = 0; i < 10000; i++) {
        u64 now = rdtsc();

        EXPECT(now >= last, "back from %jx to %jx", last, now);
        if (i % 100 == 0)
            cpuid(0, 0);
        last = now;
    }
}

static void pit_against_tsc(void)
{
    u64 khz = pit_tsc_khz();

    EXPECT(within(khz, tsc_khz, 10), "%ju kHz, %ju before", khz, tsc_khz);
}

static void pit_counts_down(void)
{
    u16 last;
    u32 wraps = 0;

    pit_start(PIT_RATE, 10000);
    last = pit_read();
    for (unsigned i = 0; i < 1000; i++) {
        u16 now = pit_read();

        EXPECT(now <= 10000, "count %u above the reload value", now);
        if (now > last)
            wraps++;
        last = now;
    }
    EXPECT(wraps < 900, "%u wraps in 1000 readings", wraps);
}

/* Read-back latches count and status: output pin, null count, mode. */
static void pit_read_back(void)
{
    u8 status;
    u16 count;

    pit_start(PIT_RATE, 20000);
    wait_ms(1);
    out8(0x43, 0xc2);
    status = in8(0x40);
    count = in8(0x40);
    count |= (u16)(in8(0x40) << 8);
    EXPECT_EQ(status & 0x3f, 0x34);
    EXPECT(count <= 20000 && count > 1, "count %u", count);
}

/* PM timer ticks in 20 ms by the TSC. */
static u64 pm_ticks(u16 port, u32 mask)
{
    u64 start = rdtsc();
    u32 first = in32(port);
    u32 last;

    do
        last = in32(port);
    while (rdtsc() - start < tsc_khz * 20);
    return (u64)((last - first) & mask) * tsc_khz * 20 / (rdtsc() - start);
}

static void pm_timer(void)
{
    bool wide;
    u16 port = acpi_pm_timer(&wide);
    u32 mask = wide ? ~0u : 0xffffffu;
    u32 last;
    u64 ticks = 0;

    REQUIRE(port, "no PM timer");
    last = in32(port) & mask;
    for (unsigned i = 0; i < 1000; i++) {
        u32 now = in32(port) & mask;

        EXPECT(((now - last) & mask) < mask / 2, "back from %x to %x", last, now);
        last = now;
    }
    for (unsigned i = 0; i < ATTEMPTS; i++) {
        ticks = pm_ticks(port, mask);
        if (within(ticks, PM_HZ / 50, 5))
            return;
    }
    check_fail("%ju ticks in 20 ms, not %u", ticks, PM_HZ / 50);
}

static void rtc_valid(void)
{
    EXPECT(cmos_read(0x0d) & 0x80, "register D says that the time is not valid");
    EXPECT_EQ(cmos_read(0x0a) & 0x70, 0x20);
    EXPECT((cmos_read(0x00) & 0x0f) <= 9, "seconds %02x", cmos_read(0x00));
}

/* Milliseconds that 51 periodic ticks take at 1,024 Hz. */
static u64 rtc_51_ticks(void)
{
    u64 start = rdtsc();
    unsigned ticks = 0;

    while (ticks < 51 && rdtsc() - start < tsc_khz * 1000)
        if (cmos_read(0x0c) & 0x40)
            ticks++;
    return (rdtsc() - start) / tsc_khz;
}

static void rtc_periodic(void)
{
    u8 a = cmos_read(0x0a);
    u8 b = cmos_read(0x0b);
    u64 ms = 0;

    cmos_write(0x0a, (a & 0x70) | 6);
    cmos_write(0x0b, b | 0x40);
    for (unsigned i = 0; i < ATTEMPTS && !within(ms, 50, 10); i++) {
        cmos_read(0x0c);
        ms = rtc_51_ticks();
    }
    cmos_write(0x0b, b);
    cmos_write(0x0a, a);
    EXPECT(within(ms, 50, 10), "51 ticks of 1/1024 s took %ju ms", ms);
}

static volatile u32 rtc_count;

static void on_rtc(struct trap_frame *f)
{
    (void)f;
    rtc_count++;
    cmos_read(0x0c);
    apic_eoi();
}

/* IRQ 8 by the I/O APIC; register C must be read for the next one. */
static void rtc_interrupt(void)
{
    u8 a = cmos_read(0x0a);
    u8 b = cmos_read(0x0b);
    u32 flags;
    unsigned pin = ioapic_isa_pin(8, &flags);
    bool came;

    rtc_count = 0;
    trap_set(0x58, on_rtc);
    ioapic_route(pin, flags | 0x58, apic_id());
    cmos_write(0x0a, (a & 0x70) | 6);
    cmos_write(0x0b, b | 0x40);
    cmos_read(0x0c);
    came = wait_count(&rtc_count, 10, 1000);
    cmos_write(0x0b, b);
    cmos_write(0x0a, a);
    cmos_read(0x0c);
    EXPECT(came, "%u interrupts in a second", rtc_count);
}

/* Seconds go on, and update-in-progress is not stuck. */
static void rtc_seconds(void)
{
    u8 first = cmos_read(0x00);
    u64 start = rdtsc();

    while (cmos_read(0x00) == first && rdtsc() - start < tsc_khz * 1500)
        cpu_pause();
    EXPECT(cmos_read(0x00) != first, "the same second for 1.5 s");
}

static void cmos_memory(void)
{
    u8 old = cmos_read(0x40);

    cmos_write(0x40, 0x5a);
    EXPECT_EQ(cmos_read(0x40), 0x5a);
    cmos_write(0x40, old);
}

static void port_61_refresh(void)
{
    u8 first = in8(0x61) & 0x10;
    u64 start = rdtsc();

    while ((in8(0x61) & 0x10) == first && rdtsc() - start < tsc_khz * 10)
        cpu_pause();
    EXPECT((in8(0x61) & 0x10) != first || rdtsc() - start < tsc_khz * 10, "bit 4 stands still");
}

static const struct check list[] = {
    {"tsc_forward", tsc_forward, ANYWHERE},
    {"pit_against_tsc", pit_against_tsc, ANYWHERE},
    {"pit_counts_down", pit_counts_down, ANYWHERE},
    {"pit_read_back", pit_read_back, ANYWHERE},
    {"pm_timer", pm_timer, ANYWHERE},
    {"rtc_valid", rtc_valid, ANYWHERE},
    {"rtc_periodic", rtc_periodic, ANYWHERE},
    {"rtc_interrupt", rtc_interrupt, ANYWHERE},
    {"rtc_seconds", rtc_seconds, ANYWHERE},
    {"cmos_memory", cmos_memory, ANYWHERE},
    {"port_61_refresh", port_61_refresh, ANYWHERE},
};
CHECK_GROUP(timers, list);
