/* SPDX-License-Identifier: BSD-2-Clause */
/* The high-precision event timers (IA-PC HPET Specification 1.0a, 2.3). */
#include "guests/check/check.h"

#define VECTOR  0x5b
#define VECTOR2 0x5c

#define BASE     0xfed00000ul
#define PERIOD   0x004
#define CONFIG   0x010
#define STATUS   0x020
#define COUNT    0x0f0
#define TIMER(n) (0x100 + 0x20 * (n))
#define ROUTES   0x04 /* in a timer's registers */
#define MATCH    0x08
#define MESSAGE  0x10

#define RUN          1u
#define LEGACY       2u
#define CAN_LEGACY   0x8000u /* in the capabilities */
#define LEVEL        0x0002u
#define ENABLE       0x0004u
#define PERIODIC     0x0008u
#define CAN_PERIODIC 0x0010u
#define SET          0x0040u
#define FSB          0x4000u
#define CAN_FSB      0x8000u

static volatile u32 count[2];
static bool lower; /* a level ends in its handler */

static u32 rd(u32 reg)
{
    return mmio_read32(BASE + reg);
}

static void wr(u32 reg, u32 value)
{
    mmio_write32(BASE + reg, value);
}

static void on_timer(struct trap_frame *f)
{
    count[f->vector - VECTOR]++;
    if (lower && count[f->vector - VECTOR] == 3)
        wr(STATUS, 1);
    apic_eoi();
}

/* Halted at 0, all timers off; *ms: ticks in a millisecond. */
static bool begin(u32 *ms)
{
    u32 fs = rd(PERIOD);

    if (!fs || fs > 100000000) {
        check_skip("no HPET");
        return false;
    }
    *ms = (u32)(1000000000000ull / fs);
    wr(CONFIG, 0);
    for (unsigned n = 0; n < 3; n++)
        wr(TIMER(n), 0);
    wr(STATUS, ~0u);
    wr(COUNT, 0);
    wr(COUNT + 4, 0);
    trap_set(VECTOR, on_timer);
    trap_set(VECTOR2, on_timer);
    asm volatile("sti\n nop\n cli" : : : "memory"); /* what waits still from before */
    count[0] = count[1] = 0;
    lower = false;
    return true;
}

static void end(unsigned pin)
{
    wr(CONFIG, 0);
    wr(TIMER(0), 0);
    wr(TIMER(1), 0);
    wr(STATUS, ~0u);
    ioapic_route(pin, IOAPIC_MASKED, 0);
}

/* The last I/O APIC pin that timer 0 offers: those of ISA lines may be wired elsewhere. */
static unsigned last_pin(void)
{
    return 31 - (unsigned)__builtin_clz(rd(TIMER(0) + ROUTES) | 1);
}

static void match(unsigned n, u32 at)
{
    wr(TIMER(n) + MATCH, at);
    wr(TIMER(n) + MATCH + 4, 0);
}

static void hpet_counter(void)
{
    u32 ms, stopped;

    if (!begin(&ms))
        return;
    EXPECT_EQ(rd(COUNT) | rd(COUNT + 4), 0);
    wr(CONFIG, RUN);
    wait_ms(2);
    wr(CONFIG, 0);
    stopped = rd(COUNT);
    EXPECT(stopped >= ms, "%u ticks in 2 ms, %u in one", stopped, ms);
    wait_ms(2);
    EXPECT_EQ(rd(COUNT), stopped);
    wr(COUNT, 0xffffff00);
    wr(COUNT + 4, 7);
    wr(CONFIG, RUN);
    wait_ms(2);
    EXPECT_EQ(rd(COUNT + 4), 8); /* it carries */
    end(last_pin());
}

/* A level stays until its status is cleared, and comes again after each EOI; once in Bochs. */
static void hpet_level(void)
{
    unsigned pin = last_pin();
    u32 ms;

    if (!begin(&ms))
        return;
    lower = true;
    ioapic_route(pin, IOAPIC_LEVEL | VECTOR, apic_id());
    wr(TIMER(0), ENABLE | LEVEL | pin << 9);
    match(0, ms);
    wr(CONFIG, RUN);
    EXPECT(wait_count(&count[0], 3, 500), "%u of 3", count[0]);
    wait_ms(3);
    EXPECT_EQ(count[0], 3);
    EXPECT_EQ(rd(STATUS) & 1, 0);
    end(pin);
}

/*
 * As a 32-bit kernel does: a 64-bit comparator by halves, first the match and then the period.
 * Bochs 2.7 takes one half.
 */
static void hpet_halves(void)
{
    unsigned pin = last_pin();
    u32 ms;

    if (!begin(&ms))
        return;
    REQUIRE(rd(TIMER(0)) & CAN_PERIODIC, "it is not periodic");
    ioapic_route(pin, VECTOR, apic_id());
    wr(TIMER(0), ENABLE | PERIODIC | SET | pin << 9);
    match(0, ms);
    match(0, ms);
    wr(CONFIG, RUN);
    EXPECT(wait_count(&count[0], 3, 500), "%u of 3", count[0]);
    end(pin);
}

/* Timers 0 and 1 take the places of PIT and RTC. */
static void hpet_legacy(void)
{
    u32 ms, flags0, flags8;
    unsigned pin0 = ioapic_isa_pin(0, &flags0), pin8 = ioapic_isa_pin(8, &flags8);

    if (!begin(&ms))
        return;
    REQUIRE(rd(0) & CAN_LEGACY, "no legacy replacement");
    ioapic_route(pin0, VECTOR, apic_id());
    ioapic_route(pin8, VECTOR2, apic_id());
    wr(TIMER(0), ENABLE);
    wr(TIMER(1), ENABLE);
    match(0, ms);
    match(1, 2 * ms);
    wr(CONFIG, RUN | LEGACY);
    wait_ms(1);
    count[0] = rd(COUNT) > ms ? count[0] : 0; /* what the PIT had sent before */
    EXPECT(wait_count(&count[0], 1, 500), "line 0 never");
    EXPECT(wait_count(&count[1], 1, 500), "line 8 never");
    end(pin0);
    ioapic_route(pin8, IOAPIC_MASKED, 0);
}

/* By message, past the I/O APIC; to one of a set with the redirection hint (SDM 3, 10.11). */
static void hpet_message(void)
{
    u32 ms, self = apic_id() << 12;

    if (!begin(&ms))
        return;
    REQUIRE(rd(TIMER(0)) & CAN_FSB, "it sends no messages");
    wr(TIMER(0) + MESSAGE, VECTOR);
    wr(TIMER(0) + MESSAGE + 4, 0xfee00000u | self);
    wr(TIMER(0), ENABLE | FSB);
    match(0, ms);
    wr(CONFIG, RUN);
    EXPECT(wait_count(&count[0], 1, 500), "never came");
    apic_write(APIC_DFR, ~0u);
    apic_write(APIC_LDR, 0x40000000);
    wr(TIMER(0) + MESSAGE + 4, 0xfee4000cu);
    match(0, rd(COUNT) + ms);
    EXPECT(wait_count(&count[0], 2, 500), "never came by logical destination");
    wr(TIMER(0) + MESSAGE, 0x8000 | VECTOR); /* the end of a level: nothing */
    match(0, rd(COUNT) + ms);
    wait_ms(3);
    EXPECT_EQ(count[0], 2);
    end(last_pin());
}

/* Routes that a timer does not offer are not taken. Others store anything. */
static void hpet_routes(void)
{
    u32 ms, offered = rd(TIMER(0) + ROUTES);

    if (!begin(&ms))
        return;
    for (u32 route = 0; route < 32; route++) {
        wr(TIMER(0), last_pin() << 9);
        wr(TIMER(0), route << 9);
        EXPECT((rd(TIMER(0)) >> 9 & 31) == (offered >> route & 1 ? route : last_pin()),
               "route %u: %x", route, rd(TIMER(0)));
    }
    end(last_pin());
}

static const struct check list[] = {
    {"hpet_counter", hpet_counter, ANYWHERE},     {"hpet_level", hpet_level, NOT_BARE_BOCHS},
    {"hpet_halves", hpet_halves, NOT_BARE_BOCHS}, {"hpet_legacy", hpet_legacy, ANYWHERE},
    {"hpet_message", hpet_message, ANYWHERE},     {"hpet_routes", hpet_routes, SKEP_ONLY},
};
CHECK_GROUP(hpet, list);
