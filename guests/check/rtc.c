/* SPDX-License-Identifier: BSD-2-Clause */
/* The MC146818's interrupts, its formats and its memory of sizes (Motorola MC146818 data sheet). */
#include "guests/check/irq.h"
#include "guests/lib/cmos.h"

#define VECTOR_RTC 0x58

#define SECONDS       0x00
#define SECONDS_ALARM 0x01
#define MINUTES_ALARM 0x03
#define HOURS         0x04
#define HOURS_ALARM   0x05
#define REG_A         0x0a
#define REG_B         0x0b
#define REG_C         0x0c
#define UIP           0x80
#define SET           0x80
#define PIE           0x40
#define AIE           0x20
#define UIE           0x10
#define BINARY        0x04
#define HOURS_24      0x02

static volatile u32 count;
static volatile u8 why;

static void on_rtc(struct trap_frame *f)
{
    (void)f;
    why = cmos_read(REG_C);
    count++;
    apic_eoi();
}

/*
 * Waits in HLT, which emulators skip, for n interrupts or so many hundredths of a second; whether
 * they came.
 */
static bool wait_halted(u32 n, u32 hundredths)
{
    u32 interval = irq_timer_ms(10);

    irq_begin();
    irq_timer_set(APIC_TIMER_PERIODIC, interval);
    while (count < n && irq_count[VECTOR] < hundredths) {
        cpu_sti_hlt();
        cpu_cli();
    }
    apic_write(APIC_TIMER_INITIAL, 0);
    asm volatile("sti\n nop\n cli" : : : "memory"); /* a last one may have come */
    return count >= n;
}

static unsigned pin;

static void begin(void)
{
    u32 flags;

    pin = ioapic_isa_pin(8, &flags);
    cmos_write(REG_A, 0x20); /* no periodic flag */
    cmos_write(REG_B, HOURS_24);
    cmos_read(REG_C);
    count = 0;
    trap_set(VECTOR_RTC, on_rtc);
    ioapic_route(pin, flags | VECTOR_RTC, apic_id());
}

static void end(void)
{
    cmos_write(REG_B, HOURS_24);
    cmos_write(REG_A, 0x26);
    cmos_read(REG_C);
    ioapic_route(pin, IOAPIC_MASKED, 0);
}

/* Once a second, when the bytes have just changed: they stand until the next time. */
static void rtc_update(void)
{
    u8 before, after;

    begin();
    cmos_write(REG_B, HOURS_24 | UIE);
    EXPECT(wait_halted(1, 150), "never came");
    before = cmos_read(SECONDS);
    EXPECT_EQ(why & 0xd0, 0x90);
    EXPECT_EQ(cmos_read(REG_A) & UIP, 0);
    EXPECT(wait_halted(2, 150), "came once");
    after = cmos_read(SECONDS);
    EXPECT(after == before + 1 || (after & 0x0f) == 0, "%02x, and then %02x", before, after);
    cmos_write(REG_B, HOURS_24);
    end();
}

/* An alarm at any second, and one that is never. */
static void rtc_alarm(void)
{
    begin();
    cmos_write(SECONDS_ALARM, 0xff);
    cmos_write(MINUTES_ALARM, 0xff);
    cmos_write(HOURS_ALARM, 0xff);
    cmos_write(REG_B, HOURS_24 | AIE);
    EXPECT(wait_halted(1, 150), "never came");
    EXPECT_EQ(why & 0xe0, 0xa0);
    cmos_write(HOURS_ALARM, (cmos_read(HOURS) + 1) % 10); /* another hour */
    cmos_read(REG_C);
    count = 0;
    EXPECT(!wait_halted(1, 110), "another hour's");
    EXPECT_EQ(cmos_read(REG_C) & 0x20, 0);
    end();
}

/* While SET is on the bytes are the guest's, and no update enters into them. */
static void rtc_set(void)
{
    begin();
    cmos_write(REG_B, HOURS_24 | UIE | SET);
    EXPECT_EQ(cmos_read(REG_B) & UIE, 0);
    cmos_write(SECONDS, 0x30);
    wait_halted(1, 110);
    EXPECT_EQ(cmos_read(SECONDS), 0x30);
    EXPECT_EQ(cmos_read(REG_A) & UIP, 0);
    cmos_write(REG_B, HOURS_24);
    EXPECT(cmos_read(SECONDS) == 0x30 || cmos_read(SECONDS) == 0x31, "seconds %02x",
           cmos_read(SECONDS));
    cmos_write(REG_B, HOURS_24 | SET);
    cmos_write(HOURS, 0x15);
    cmos_write(REG_B, HOURS_24);
    EXPECT_EQ(cmos_read(HOURS), 0x15);
    end();
}

/* The same hour in each format. Bochs goes by way of a time zone. */
static void rtc_formats(void)
{
    begin();
    cmos_write(REG_B, HOURS_24 | SET);
    cmos_write(HOURS, 0x15);
    cmos_write(REG_B, HOURS_24);
    cmos_write(REG_B, HOURS_24 | BINARY);
    EXPECT_EQ(cmos_read(HOURS), 15);
    cmos_write(REG_B, BINARY);
    EXPECT_EQ(cmos_read(HOURS), 0x83);
    cmos_write(REG_B, 0);
    EXPECT_EQ(cmos_read(HOURS), 0x83);
    cmos_write(REG_B, HOURS_24);
    EXPECT_EQ(cmos_read(HOURS), 0x15);
    end();
}

/* Update-in-progress is seen before the seconds change. */
static void rtc_uip(void)
{
    u64 start;
    u8 before;

    begin();
    cmos_write(REG_B, HOURS_24 | UIE);
    EXPECT(wait_halted(1, 150), "no update");
    cmos_write(REG_B, HOURS_24);
    wait_halted(2, 98);
    start = rdtsc();
    do {
        before = cmos_read(SECONDS);
        if (rdtsc() - start > tsc_khz * 3000) {
            check_fail("never in 3 s");
            return;
        }
    } while (!(cmos_read(REG_A) & UIP));
    start = rdtsc();
    while (cmos_read(REG_A) & UIP)
        EXPECT(rdtsc() - start < tsc_khz * 100, "for 100 ms");
    EXPECT(cmos_read(SECONDS) != before, "the seconds have not changed");
    end();
}

/* What firmware leaves there of the memory's size, against the map that the loader gave. */
static void cmos_sizes(void)
{
    u32 base = cmos_read(0x15) | (u32)cmos_read(0x16) << 8,
        low = cmos_read(0x17) | (u32)cmos_read(0x18) << 8;
    u32 extended = cmos_read(0x30) | (u32)cmos_read(0x31) << 8,
        above_16m = cmos_read(0x34) | (u32)cmos_read(0x35) << 8;
    u64 told = 16 * MIB + ((u64)above_16m << 16), top = 0;
    u32 sum = 0;

    for (unsigned i = 0; boot_range(i); i++) {
        const struct mb_range *r = boot_range(i);

        if (r->type == 1 && r->base >= MIB && r->base < 4096 * MIB)
            top = r->base + r->length;
    }
    REQUIRE(top > 16 * MIB, "little memory");
    EXPECT_EQ(base, 640);
    EXPECT(extended >= 0xfc00 || extended == (top - MIB) >> 10, "%x KiB", extended);
    EXPECT_EQ(low, extended);
    EXPECT(told >= top && told - top < MIB, "%jx, and the map ends at %jx", told, top); /* tables */
    for (u8 i = 0x10; i < 0x2e; i++)
        sum += cmos_read(i);
    if (on_skep()) /* other firmware has no sum any more */
        EXPECT_EQ(cmos_read(0x2e) << 8 | cmos_read(0x2f), sum & 0xffff);
}

static const struct check list[] = {
    {"rtc_update", rtc_update, ANYWHERE}, {"rtc_alarm", rtc_alarm, ANYWHERE},
    {"rtc_set", rtc_set, ANYWHERE},       {"rtc_formats", rtc_formats, NOT_BARE_BOCHS},
    {"rtc_uip", rtc_uip, ANYWHERE},       {"cmos_sizes", cmos_sizes, ANYWHERE},
};
CHECK_GROUP(rtc, list);
