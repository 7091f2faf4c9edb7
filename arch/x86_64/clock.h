/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one clock: the time-stamp counter, calibrated once against CPUID, the ACPI PM timer or the
 * PIT, and scaled to nanoseconds since start. Monotonic on a CPU.
 */
#ifndef ARCH_X86_64_CLOCK_H
#define ARCH_X86_64_CLOCK_H

#include "arch/x86_64/cpu.h"
#include "lib/types.h"

/* Fixed-point factors, for who converts often. Constant after clock_init(). */
struct clock_scale {
    u64 tsc_base;  /* the TSC at clock_ns() == 0 */
    u64 ns_mult;   /* ns = ticks * ns_mult >> 32 */
    u64 tick_mult; /* ticks = ns * tick_mult >> 32 */
    u32 khz;
};
extern struct clock_scale clock_scale;

/*
 * Calibrates the TSC and the local APIC timer; some 10 ms. pm_port is the ACPI PM timer's I/O port
 * or 0. *how names the reference, for the log. Before this clock_ns() is 0 and there is no delay.
 */
void clock_init(u16 pm_port, const char **how);

u32 clock_tsc_khz(void);
u64 clock_lapic_hz(void);    /* of the local APIC timer, divider 1 */
u64 clock_ns_to_tsc(u64 ns); /* a duration: nanoseconds to TSC ticks */
u64 clock_tsc_at(u64 ns);    /* the TSC's value when clock_ns() is ns */

/* A duration: TSC ticks to nanoseconds. */
static inline u64 clock_tsc_to_ns(u64 ticks)
{
    u64 high;

    __asm__("mulq %2\n\tshrd $32, %1, %0"
            : "+a"(ticks), "=&d"(high)
            : "m"(clock_scale.ns_mult)
            : "cc");
    return ticks;
}

/* Nanoseconds since clock_init(). */
static inline u64 clock_ns(void)
{
    return clock_tsc_to_ns(cpu_rdtsc() - clock_scale.tsc_base);
}

/* Spins; for start-up code only. */
void clock_delay_us(u32 us);

#endif
