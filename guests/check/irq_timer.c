/* SPDX-License-Identifier: BSD-2-Clause */
/* The local APIC's timer in each of its modes (SDM 3, 10.5.4). */
#include "guests/check/irq.h"

static void irq_apic_one_shot(void)
{
    u32 ms = irq_timer_ms(2);

    irq_begin();
    irq_timer_set(APIC_TIMER_ONE_SHOT, ms);
    EXPECT(wait_count(&irq_count[VECTOR], 1, 500), "never came");
    EXPECT_EQ(apic_read(APIC_TIMER_CURRENT), 0);
    wait_ms(6);
    EXPECT_EQ(irq_count[VECTOR], 1);
}

/* Milliseconds that 50 ticks of 1 ms take; 0 when they do not come. */
static u64 periodic_50(u32 ms)
{
    u64 start;

    irq_begin();
    start = rdtsc();
    irq_timer_set(APIC_TIMER_PERIODIC, ms);
    if (!wait_count(&irq_count[VECTOR], 50, 2000))
        return 0;
    return (rdtsc() - start) / tsc_khz;
}

static void irq_apic_periodic(void)
{
    u32 ms = irq_timer_ms(1);
    u64 took = 0;

    for (unsigned i = 0; i < 5 && (took < 48 || took > 55); i++)
        took = periodic_50(ms);
    EXPECT(took, "%u ticks in 2 s", irq_count[VECTOR]);
    EXPECT(took >= 48 && took <= 55, "50 ticks of 1 ms took %ju ms", took);
    apic_write(APIC_TIMER_INITIAL, 0);
    wait_ms(2);
    irq_count[VECTOR] = 0;
    wait_ms(4);
    EXPECT_EQ(irq_count[VECTOR], 0);
}

/* Counts in 2 ms at a divider, as a percentage of what base (a million ticks, by 1) promises. */
static u64 divided_percent(u8 code, unsigned shift, u64 base)
{
    u64 start;
    u64 ticks;
    u64 elapsed;

    apic_write(APIC_TIMER_DIVIDE, code);
    apic_write(APIC_TIMER_INITIAL, ~0u);
    start = rdtsc();
    while (rdtsc() - start < tsc_khz * 2)
        cpu_pause();
    ticks = ~0u - apic_read(APIC_TIMER_CURRENT);
    elapsed = rdtsc() - start;
    return (ticks << shift) * 100 / MAX(base * elapsed / 1000000, 1u);
}

static void irq_apic_divide(void)
{
    static const u8 code[] = {0xb, 0x0, 0x1, 0x2, 0x3, 0x8, 0x9, 0xa}; /* by 1, 2, 4 … 128 */

    for (unsigned i = 0; i < ARRAY_SIZE(code); i++) {
        u64 percent = 0;

        for (unsigned n = 0; n < 10 && (percent < 95 || percent > 105); n++)
            percent = divided_percent(code[i], i, apic_timer_per_mega_tsc());
        EXPECT(percent >= 95 && percent <= 105, "divided by %u: %ju%% of what it should", 1u << i,
               percent);
    }
}

static void irq_tsc_deadline(void)
{
    u64 deadline;

    REQUIRE(cpu_has_1_ecx(CPUID1_ECX_TSC_DEADLINE), "no TSC deadline");
    irq_begin();
    apic_write(APIC_LVT_TIMER, APIC_TIMER_DEADLINE | VECTOR);
    asm volatile("mfence" : : : "memory");
    deadline = rdtsc() + tsc_khz;
    wrmsr(MSR_TSC_DEADLINE, deadline);
    EXPECT_EQ(rdmsr(MSR_TSC_DEADLINE), deadline);
    EXPECT(wait_count(&irq_count[VECTOR], 1, 500), "never came");
    EXPECT(rdtsc() >= deadline, "came too early");
    if (on_skep()) /* Bochs keeps the old deadline */
        EXPECT_EQ(rdmsr(MSR_TSC_DEADLINE), 0);
    wrmsr(MSR_TSC_DEADLINE, 1); /* in the past: at once */
    EXPECT(wait_count(&irq_count[VECTOR], 2, 500), "a deadline in the past never came");
    wrmsr(MSR_TSC_DEADLINE, rdtsc() + tsc_khz);
    wrmsr(MSR_TSC_DEADLINE, 0);
    wait_ms(4);
    EXPECT_EQ(irq_count[VECTOR], 2);
}

/* A deadline is one of the TSC as it reads, wherever that was moved to. */
static void irq_deadline_moved(void)
{
    const u64 by[] = {BIT(40), 0 - BIT(40) - rdtsc() / 2};
    u64 moved = 0, deadline;

    REQUIRE(cpu_has_1_ecx(CPUID1_ECX_TSC_DEADLINE), "no TSC deadline");
    irq_begin();
    apic_write(APIC_LVT_TIMER, APIC_TIMER_DEADLINE | VECTOR);
    asm volatile("mfence" : : : "memory");
    for (unsigned i = 0; i < ARRAY_SIZE(by); i++) {
        wrmsr(MSR_TSC, rdtsc() + by[i]);
        moved += by[i];
        deadline = rdtsc() + tsc_khz;
        wrmsr(MSR_TSC_DEADLINE, deadline);
        bool came = wait_count(&irq_count[VECTOR], i + 1, 500), early = rdtsc() < deadline;
        if (!came || early)
            check_fail("moved by %jx: %s", moved, came ? "came too early" : "never came");
    }
    wrmsr(MSR_TSC, rdtsc() - moved);
}

static const struct check list[] = {
    {"irq_apic_one_shot", irq_apic_one_shot, ANYWHERE},
    {"irq_apic_periodic", irq_apic_periodic, ANYWHERE},
    {"irq_apic_divide", irq_apic_divide, ANYWHERE},
    {"irq_tsc_deadline", irq_tsc_deadline, ANYWHERE},
    {"irq_deadline_moved", irq_deadline_moved, NOT_BARE_BOCHS},
};
CHECK_GROUP(irq_timer, list);
