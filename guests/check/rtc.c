/* SPDX-License-Identifier: BSD-2-Clause */
/* The MC146818's interrupts, its formats and its memory of sizes (Motorola MC146818 data sheet). */
#include "guests/check/irq.h"

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

static u8 get(u8 index)
{
    out8(0x70, index);
    return in8(0x71);
}

static void put(u8 index, u8 value)
{
    out8(0x70, index);
    out8(0x71, value);
}

static void on_rtc(struct trap_frame *f)
{
    (void)f;
    why = get(REG_C);
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
    put(REG_A, 0x20); /* no periodic flag */
    put(REG_B, HOURS_24);
    get(REG_C);
    count = 0;
    trap_set(VECTOR_RTC, on_rtc);
    ioapic_route(pin, flags | VECTOR_RTC, apic_id());
}

static void end(void)
{
    put(REG_B, HOURS_24);
    put(REG_A, 0x26);
    get(REG_C);
    ioapic_route(pin, IOAPIC_MASKED, 0);
}

/* Once a second, when the bytes have just changed: they stand until the next time. */
static void rtc_update(void)
{
    u8 before, after;

    begin();
    put(REG_B, HOURS_24 | UIE);
    EXPECT(wait_halted(1, 150), "never came");
    before = get(SECONDS);
    EXPECT_EQ(why & 0xd0, 0x90);
    EXPECT_EQ(get(REG_A) & UIP, 0);
    EXPECT(wait_halted(2, 150), "came once");
    after = get(SECONDS);
    EXPECT(after == before + 1 || (after & 0x0f) == 0, "%02x, and then %02x", before, after);
    put(REG_B, HOURS_24);
    end();
}

/* An alarm at any second, and one that is never. */
static void rtc_alarm(void)
{
    begin();
    put(SECONDS_ALARM, 0xff);
    put(MINUTES_ALARM, 0xff);
    put(HOURS_ALARM, 0xff);
    put(REG_B, HOURS_24 | AIE);
    EXPECT(wait_halted(1, 150), "never came");
    EXPECT_EQ(why & 0xe0, 0xa0);
    put(HOURS_ALARM, (get(HOURS) + 1) % 10); /* another hour */
    get(REG_C);
    count = 0;
    EXPECT(!wait_halted(1, 110), "another hour's");
    EXPECT_EQ(get(REG_C) & 0x20, 0);
    end();
}

/* While SET is on the bytes are the guest's, and no update enters into them. */
static void rtc_set(void)
{
    begin();
    put(REG_B, HOURS_24 | UIE | SET);
    EXPECT_EQ(get(REG_B) & UIE, 0);
    put(SECONDS, 0x30);
    wait_halted(1, 110);
    EXPECT_EQ(get(SECONDS), 0x30);
    EXPECT_EQ(get(REG_A) & UIP, 0);
    put(REG_B, HOURS_24);
    EXPECT(get(SECONDS) == 0x30 || get(SECONDS) == 0x31, "seconds %02x", get(SECONDS));
    put(REG_B, HOURS_24 | SET);
    put(HOURS, 0x15);
    put(REG_B, HOURS_24);
    EXPECT_EQ(get(HOURS), 0x15);
    end();
}

/* The same hour in each format. Bochs goes by way of a time zone. */
static void rtc_formats(void)
{
    begin();
    put(REG_B, HOURS_24 | SET);
    put(HOURS, 0x15);
    put(REG_B, HOURS_24);
    put(REG_B, HOURS_24 | BINARY);
    EXPECT_EQ(get(HOURS), 15);
    put(REG_B, BINARY);
    EXPECT_EQ(get(HOURS), 0x83);
    put(REG_B, 0);
    EXPECT_EQ(get(HOURS), 0x83);
    put(REG_B, HOURS_24);
    EXPECT_EQ(get(HOURS), 0x15);
    end();
}

/* Update-in-progress is seen before the seconds change. */
static void rtc_uip(void)
{
    u64 start;
    u8 before;

    begin();
    put(REG_B, HOURS_24 | UIE);
    EXPECT(wait_halted(1, 150), "no update");
    put(REG_B, HOURS_24);
    wait_halted(2, 98);
    start = rdtsc();
    do {
        before = get(SECONDS);
        if (rdtsc() - start > tsc_khz * 3000) {
            check_fail("never in 3 s");
            return;
        }
    } while (!(get(REG_A) & UIP));
    start = rdtsc();
    while (get(REG_A) & UIP)
        EXPECT(rdtsc() - start < tsc_khz * 100, "for 100 ms");
    EXPECT(get(SECONDS) != before, "the seconds have not changed");
    end();
}

/* What firmware leaves there of the memory's size, against the map that the loader gave. */
static void cmos_sizes(void)
{
    u32 base = get(0x15) | (u32)get(0x16) << 8, low = get(0x17) | (u32)get(0x18) << 8;
    u32 extended = get(0x30) | (u32)get(0x31) << 8, above_16m = get(0x34) | (u32)get(0x35) << 8;
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
        sum += get(i);
    if (on_skep()) /* other firmware has no sum any more */
        EXPECT_EQ(get(0x2e) << 8 | get(0x2f), sum & 0xffff);
}

static const struct check list[] = {
    {"rtc_update", rtc_update, ANYWHERE}, {"rtc_alarm", rtc_alarm, ANYWHERE},
    {"rtc_set", rtc_set, ANYWHERE},       {"rtc_formats", rtc_formats, NOT_BARE_BOCHS},
    {"rtc_uip", rtc_uip, ANYWHERE},       {"cmos_sizes", cmos_sizes, ANYWHERE},
};
CHECK_GROUP(rtc, list);
