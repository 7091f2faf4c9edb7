/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Periodic timers tick as often as their rate says, counted against the ACPI PM timer. A timer
 * whose interrupts came late catches up; none ever runs ahead. On the command line: `seconds=N`,
 * how long each is counted, in HLT then; 1 unless said, in a loop. `counted`: QEMU's clocks count
 * instructions.
 */
#include "guests/check/check.h"
#include "guests/lib/acpi.h"
#include "guests/lib/cmos.h"
#include "guests/lib/pit.h"

#define PM_HZ    3579545ull
#define VECTOR   0x59
#define PIT_LOAD 1193u /* 1 ms and a bit */

/* Registers of the HPET (IA-PC HPET 1.0a, 2.3) at its usual place. */
#define HPET        0xfed00000ul
#define HPET_PERIOD 0x004
#define HPET_CONFIG 0x010
#define HPET_COUNT  0x0f0
#define HPET_TIMER0 0x100
#define HPET_ROUTES (HPET_TIMER0 + 4)
#define HPET_MATCH0 (HPET_TIMER0 + 8)

#define HPET_INT_ENABLE   0x04u
#define HPET_PERIODIC     0x08u
#define HPET_SET          0x40u
#define HPET_CAN_PERIODIC 0x10u
#define HPET_32_BITS      0x100u

static volatile u32 ticks;
static bool read_c; /* the RTC wants its register C read */
static u64 step;    /* from one TSC deadline to the next; 0: there are none */
static u64 deadline;

static u16 pm_port;
static u32 pm_mask, pm_last;
static u64 pm_sum;

static void on_tick(struct trap_frame *f)
{
    (void)f;
    ticks++;
    if (read_c)
        cmos_read(0x0c);
    if (step)
        wrmsr(MSR_TSC_DEADLINE, deadline += step);
    apic_eoi();
}

/* PM timer ticks since the first call after pm_port was set; called more often than it wraps. */
static u64 pm_now(void)
{
    u32 now = in32(pm_port) & pm_mask;

    pm_sum += (now - pm_last) & pm_mask;
    pm_last = now;
    return pm_sum;
}

static bool begin(void)
{
    bool wide;

    if (cpu_is_tcg() && !boot_word("counted")) {
        check_skip("QEMU's own timers come too late on a busy machine");
        return false;
    }
    pm_port = acpi_pm_timer(&wide);
    if (!pm_port) {
        check_skip("no PM timer");
        return false;
    }
    pm_mask = wide ? ~0u : 0xffffffu;
    pm_last = in32(pm_port) & pm_mask;
    pm_sum = 0;
    ticks = 0;
    trap_set(VECTOR, on_tick);
    return true;
}

/*
 * The timer that was started just now ticks num / den times in a PM timer tick. At no time are
 * there more ticks than that, but one; and at the end there are as many, but one, after at most as
 * much time again to catch up.
 */
static void count_against_pm(u64 num, u64 den)
{
    const u64 time = boot_number("seconds=", 1) * PM_HZ;
    const bool halt = time > PM_HZ;
    u64 now, due;

    cpu_sti();
    do {
        u32 seen = ticks;

        now = pm_now();
        due = now * num / den;
        if (seen > due + 1) {
            check_fail("%u ticks, when %ju are due", seen, due);
            break;
        }
        if (now >= time && seen + 1 >= due)
            break;
        if (halt)
            cpu_hlt();
        else
            cpu_pause();
    } while (now < 2 * time);
    cpu_cli();
    if (ticks + 2 < due)
        check_fail("%u ticks, when %ju are due", ticks, due);
}

static void ticks_pit(void)
{
    u32 flags;
    unsigned pin = ioapic_isa_pin(0, &flags);

    if (!begin())
        return;
    ioapic_route(pin, flags | VECTOR, apic_id());
    pit_start(PIT_RATE, PIT_LOAD);
    pm_sum = 0;
    count_against_pm(1, 3 * PIT_LOAD); /* both clocks come from one crystal of 14.31818 MHz */
    ioapic_route(pin, IOAPIC_MASKED, 0);
}

static void ticks_rtc(void)
{
    u32 flags;
    unsigned pin = ioapic_isa_pin(8, &flags);
    u8 a, b;

    if (!begin())
        return;
    a = cmos_read(0x0a);
    b = cmos_read(0x0b);
    ioapic_route(pin, flags | VECTOR, apic_id());
    read_c = true;
    cmos_write(0x0a, (a & 0x70) | 14); /* 4 Hz: a flag that is not read in time is lost */
    cmos_read(0x0c);                   /* a flag from before is no tick */
    cmos_write(0x0b, b | 0x40);
    pm_now();
    pm_sum = 0;
    count_against_pm(4, PM_HZ);
    cmos_write(0x0b, b);
    cmos_write(0x0a, a);
    read_c = false;
    ioapic_route(pin, IOAPIC_MASKED, 0);
}

static void ticks_hpet(void)
{
    u32 period = mmio_read32(HPET + HPET_PERIOD), routes = mmio_read32(HPET + HPET_ROUTES), pin = 0;
    u32 match;

    REQUIRE(period && period <= 100000000, "no HPET");
    REQUIRE(mmio_read32(HPET + HPET_TIMER0) & HPET_CAN_PERIODIC, "its first timer is not periodic");
    REQUIRE(routes & ((1u << ioapic_pins()) - 1), "no I/O APIC pin for it");
    while (!(routes & 1u << pin))
        pin++;
    if (!begin())
        return;
    match = (u32)(1000000000000ull / period); /* 1 ms */
    ioapic_route(pin, VECTOR, apic_id());
    mmio_write32(HPET + HPET_CONFIG, 0);
    mmio_write32(HPET + HPET_COUNT, 0);
    mmio_write32(HPET + HPET_COUNT + 4, 0);
    mmio_write32(HPET + HPET_TIMER0,
                 HPET_INT_ENABLE | HPET_PERIODIC | HPET_SET | HPET_32_BITS | pin << 9);
    mmio_write32(HPET + HPET_MATCH0, match);
    mmio_write32(HPET + HPET_MATCH0, match);
    mmio_write32(HPET + HPET_CONFIG, 1);
    pm_now();
    pm_sum = 0;
    count_against_pm(1000000000000000ull / PM_HZ, (u64)match * period);
    mmio_write32(HPET + HPET_TIMER0, 0);
    mmio_write32(HPET + HPET_CONFIG, 0);
    ioapic_route(pin, IOAPIC_MASKED, 0);
}

/* The local APIC timer's rate is told under skep alone. */
static void ticks_apic(void)
{
    u32 khz = cpuid(0x40000010, 0).ebx;

    if (!begin())
        return;
    apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_1);
    apic_write(APIC_LVT_TIMER, APIC_TIMER_PERIODIC | VECTOR);
    apic_write(APIC_TIMER_INITIAL, khz);
    pm_now();
    pm_sum = 0;
    count_against_pm(1000, PM_HZ);
    apic_write(APIC_TIMER_INITIAL, 0);
    apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
}

/* Each deadline one step behind the last, however late its interrupt came. */
static void ticks_deadline(void)
{
    u32 khz = cpuid(0x40000010, 0).eax;

    REQUIRE(cpu_has_1_ecx(CPUID1_ECX_TSC_DEADLINE), "no TSC deadline");
    if (!begin())
        return;
    apic_write(APIC_LVT_TIMER, APIC_TIMER_DEADLINE | VECTOR);
    step = khz; /* 1 ms */
    deadline = rdtsc() + step;
    wrmsr(MSR_TSC_DEADLINE, deadline);
    pm_now();
    pm_sum = 0;
    count_against_pm(1000, PM_HZ);
    step = 0;
    wrmsr(MSR_TSC_DEADLINE, 0);
    apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
}

static const struct check list[] = {
    {"ticks_pit", ticks_pit, ANYWHERE},         {"ticks_rtc", ticks_rtc, ANYWHERE},
    {"ticks_hpet", ticks_hpet, NOT_BARE_BOCHS}, /* whose HPET ticks once */
    {"ticks_apic", ticks_apic, SKEP_ONLY},      {"ticks_deadline", ticks_deadline, SKEP_ONLY},
};
CHECK_GROUP(ticks_group, list);
