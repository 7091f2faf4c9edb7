/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The clock. The TSC and the local APIC timer are measured together over some 10 ms of the ACPI PM
 * timer (ACPI 6.5, 4.8.3.3: 3.579545 MHz, 24 bits) or of PIT channel 2 (82C54); CPUID 0x15 (SDM 3,
 * 18.7.3) is believed only if the measurement agrees.
 */
#include "arch/x86_64/clock.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/lapic.h"
#include "lib/log.h"

#define NS_PER_S   1000000000ull
#define PM_HZ      3579545u
#define PM_MASK    0xffffffu
#define PM_TICKS   (PM_HZ / 100)
#define PIT_HZ     1193182u
#define PIT_TICKS  (PIT_HZ / 100)
#define PIT_CH2    0x42
#define PIT_CMD    0x43
#define PORT_B     0x61
#define POLL_LIMIT 10000000
#define TSC_GUESS  1000000000ull /* where there is nothing to measure against */

struct clock_scale clock_scale;
static u64 lapic_hz;

struct sample {
    u64 tsc;
    u32 lapic; /* counts down */
};

static struct sample take_sample(void)
{
    return (struct sample){.tsc = cpu_rdtsc(), .lapic = lapic_timer_count()};
}

/* 64 x 64 / 64 without overflow between. */
static u64 mul_div(u64 a, u64 b, u64 d)
{
    u64 hi, lo, q, r;

    __asm__("mulq %3" : "=a"(lo), "=d"(hi) : "a"(a), "r"(b));
    __asm__("divq %4" : "=a"(q), "=d"(r) : "a"(lo), "d"(hi), "r"(d));
    return q;
}

static u64 mul_shift32(u64 a, u64 b)
{
    u64 hi, lo;

    __asm__("mulq %3" : "=a"(lo), "=d"(hi) : "a"(a), "r"(b));
    return hi << 32 | lo >> 32;
}

/* Waits for the PM timer to change, so that both ends of the measurement lie on an edge. */
static bool pm_edge(u16 port, u32 *value)
{
    u32 before = cpu_in32(port) & PM_MASK;

    for (u32 i = 0; i < POLL_LIMIT; i++) {
        *value = cpu_in32(port) & PM_MASK;
        if (*value != before)
            return true;
    }
    return false;
}

/* Sets tsc_hz from the PM timer; false if it stands still. */
static bool measure_pm(u16 port, u64 *tsc_hz)
{
    struct sample a, b;
    u32 start, now, ticks = 0;

    if (!port || !pm_edge(port, &start))
        return false;
    a = take_sample();
    for (u32 i = 0; i < POLL_LIMIT && ticks < PM_TICKS; i++)
        ticks = ((cpu_in32(port) & PM_MASK) - start) & PM_MASK;
    if (ticks < PM_TICKS || !pm_edge(port, &now))
        return false;
    b = take_sample();
    ticks = (now - start) & PM_MASK;
    *tsc_hz = mul_div(b.tsc - a.tsc, PM_HZ, ticks);
    lapic_hz = mul_div(a.lapic - b.lapic, PM_HZ, ticks);
    return true;
}

/* Likewise from PIT channel 2 in mode 0, its gate and output in port 0x61. */
static bool measure_pit(u64 *tsc_hz)
{
    u8 port_b = cpu_in8(PORT_B);
    struct sample a, b;
    u32 polls = 0;

    cpu_out8(PORT_B, (u8)((port_b & ~0x02) | 0x01));
    cpu_out8(PIT_CMD, 0xb0);
    cpu_out8(PIT_CH2, PIT_TICKS & 0xff);
    cpu_out8(PIT_CH2, PIT_TICKS >> 8);
    a = take_sample();
    while (!(cpu_in8(PORT_B) & 0x20) && polls < POLL_LIMIT)
        polls++;
    b = take_sample();
    cpu_out8(PORT_B, port_b);
    if (polls < 2 || polls >= POLL_LIMIT)
        return false;
    *tsc_hz = mul_div(b.tsc - a.tsc, PIT_HZ, PIT_TICKS);
    lapic_hz = mul_div(a.lapic - b.lapic, PIT_HZ, PIT_TICKS);
    return true;
}

/* What CPUID says; 0 if it does not. */
static u64 cpuid_tsc_hz(void)
{
    struct cpuid_regs r;

    if (cpu_cpuid_max(0) < 0x15)
        return 0;
    r = cpu_cpuid(0x15, 0);
    return r.eax && r.ebx && r.ecx ? mul_div(r.ecx, r.ebx, r.eax) : 0;
}

static bool within_percent(u64 a, u64 b)
{
    return (a > b ? a - b : b - a) < b / 100;
}

static void set_scale(u64 tsc_hz)
{
    tsc_hz -= tsc_hz % 1000; /* guests are told kilohertz, and shall find exactly them */
    clock_scale.khz = (u32)(tsc_hz / 1000);
    clock_scale.ns_mult = mul_div(NS_PER_S, 1ull << 32, tsc_hz);
    clock_scale.tick_mult = mul_div(tsc_hz, 1ull << 32, NS_PER_S);
    clock_scale.tsc_base = cpu_rdtsc();
}

COLD void clock_init(u16 pm_port, const char **how)
{
    u64 hz = 0, said = cpuid_tsc_hz();

    lapic_timer_set(UINT32_MAX);
    *how = "the ACPI PM timer";
    if (!measure_pm(pm_port, &hz) || !hz) {
        *how = "the PIT";
        if (!measure_pit(&hz) || !hz) {
            *how = said ? "CPUID" : "nothing";
            hz = said ? said : TSC_GUESS;
            lapic_hz = hz;
            log_warn("neither the ACPI PM timer nor the PIT runs: times rest on %s", *how);
        }
    }
    if (said && within_percent(said, hz)) {
        *how = "CPUID";
        hz = said;
    }
    lapic_timer_set(0);
    set_scale(hz);
}

u64 clock_ns_to_tsc(u64 ns)
{
    return mul_shift32(ns, clock_scale.tick_mult);
}

u64 clock_tsc_at(u64 ns)
{
    return clock_scale.tsc_base + clock_ns_to_tsc(ns);
}

u32 clock_tsc_khz(void)
{
    return clock_scale.khz;
}

u64 clock_lapic_hz(void)
{
    return lapic_hz;
}

void clock_delay_us(u32 us)
{
    u64 end = cpu_rdtsc() + clock_ns_to_tsc((u64)us * 1000);

    while (cpu_rdtsc() < end)
        cpu_pause();
}
