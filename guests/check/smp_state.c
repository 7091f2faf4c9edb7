/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What several processors share, and what each has for itself: clocks, memory, translations,
 * timers, registers (SDM 3, 4.10.5, 8.1, 17.17).
 */
#include "guests/check/irq.h"
#include "guests/check/team.h"
#include "guests/lib/paging.h"

static volatile u64 last_tsc;
static volatile u32 tsc_lock, backwards;

/* Readings of the TSC in the order of a lock never go back. */
static void read_tsc_in_turn(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 2000; i++) {
        u64 now;

        while (__sync_lock_test_and_set(&tsc_lock, 1))
            cpu_pause();
        asm volatile("mfence; lfence" : : : "memory");
        now = rdtsc();
        if (now < last_tsc)
            backwards++;
        last_tsc = now;
        __sync_lock_release(&tsc_lock);
    }
}

static void smp_tsc(void)
{
    last_tsc = 0;
    backwards = 0;
    if (!team_begin(read_tsc_in_turn))
        return;
    read_tsc_in_turn(NULL);
    team_end();
    EXPECT(backwards == 0, "%u readings went back", backwards);
}

static volatile u32 locked;

static void count_locked(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 5000; i++) {
        asm volatile("lock incl %0" : "+m"(locked) : : "cc");
        if (i % 100 == 0)
            cpuid(0, 0);
    }
}

static void smp_atomic(void)
{
    locked = 0;
    if (!team_begin(count_locked))
        return;
    count_locked(NULL);
    team_end();
    EXPECT_EQ(locked, 5000 * team_cpus);
}

static volatile u32 flushed;

static void on_flush(struct trap_frame *f)
{
    (void)f;
    cpu_invlpg((const void *)TEST_GLA);
    __sync_fetch_and_add(&flushed, 1);
    apic_eoi();
}

static volatile u32 stale;
static volatile u32 expected;

/* Reads the page; what it says must be the current generation or be about to become it. */
static void read_page(void *arg)
{
    (void)arg;
    apic_enable();
    team_ready();
    cpu_sti();
    while (!team_stop) {
        u32 before = expected;
        u32 seen = mmio_read32(TEST_GLA);

        if (seen < before)
            __sync_fetch_and_add(&stale, 1);
    }
    cpu_cli();
}

static void smp_shootdown(void)
{
    stale = 0;
    expected = 0;
    paging_map(TEST_GLA, (ulong)scratch[0], PTE_P | PTE_W);
    *(volatile u32 *)scratch[0] = 0;
    trap_set(VECTOR, on_flush);
    if (!team_begin_ready(read_page))
        return;
    for (u32 i = 1; i <= 100; i++) {
        *(volatile u32 *)scratch[i & 1] = i;
        flushed = 0;
        paging_map(TEST_GLA, (ulong)scratch[i & 1], PTE_P | PTE_W);
        apic_icr(0, ICR_OTHERS | ICR_ASSERT | VECTOR);
        if (!team_wait(&flushed, team_cpus - 1)) {
            check_fail("shootdown %u: %u of %u processors answered", i, flushed, team_cpus - 1);
            break;
        }
        expected = i;
    }
    team_end();
    EXPECT(stale == 0, "%u stale readings", stale);
}

static volatile u32 timer_ticks[MAX_GUEST_CPUS];

static void on_timer(struct trap_frame *f)
{
    (void)f;
    timer_ticks[cpu_number()]++;
    apic_eoi();
}

static u32 timer_counts; /* of the local APIC's timer in a millisecond */

/* Each processor's own timer, with the others' running. */
static void run_timer(void *arg)
{
    unsigned me = cpu_number();

    (void)arg;
    apic_enable();
    apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_1);
    apic_write(APIC_LVT_TIMER, APIC_TIMER_PERIODIC | (VECTOR + 1));
    apic_write(APIC_TIMER_INITIAL, timer_counts);
    wait_count(&timer_ticks[me], 20, TEAM_WAIT_MS);
    apic_write(APIC_TIMER_INITIAL, 0);
    apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
    asm volatile("sti\n nop\n nop\n cli" : : : "memory"); /* a last tick may have come since */
}

static void smp_timers(void)
{
    for (unsigned c = 0; c < MAX_GUEST_CPUS; c++)
        timer_ticks[c] = 0;
    trap_set(VECTOR + 1, on_timer);
    timer_counts = irq_timer_ms(1);
    if (!team_begin(run_timer))
        return;
    run_timer(NULL);
    team_end();
    for (unsigned c = 0; c < team_cpus; c++)
        EXPECT(timer_ticks[c] >= 20, "cpu %u: %u ticks", c, timer_ticks[c]);
}

static volatile u32 lost;

static void keep_registers(void *arg)
{
    u64 mark = 0x1111111111111111ull * (cpu_number() + 1);
    u64 back;

    (void)arg;
    cr0_write((cr0_read() & ~(ulong)(CR0_EM | CR0_TS)) | CR0_MP);
    cr4_write(cr4_read() | CR4_OSFXSR);
    for (unsigned i = 0; i < 2000; i++) {
        asm volatile("movq %0, %%xmm3" : : "m"(mark));
        cpuid(0, 0);
        in8(0x80);
        asm volatile("movq %%xmm3, %0" : "=m"(back));
        if (back != mark)
            __sync_fetch_and_add(&lost, 1);
    }
}

/* SSE registers are each processor's own. */
static void smp_fpu(void)
{
    lost = 0;
    if (!team_begin(keep_registers))
        return;
    keep_registers(NULL);
    team_end();
    EXPECT(lost == 0, "XMM3 was lost %u times", lost);
}

static const struct check list[] = {
    {"smp_tsc", smp_tsc, ANYWHERE},
    {"smp_atomic", smp_atomic, ANYWHERE},
    {"smp_shootdown", smp_shootdown, ANYWHERE},
    {"smp_timers", smp_timers, ANYWHERE},
    {"smp_fpu", smp_fpu, ANYWHERE},
};
CHECK_GROUP(smp_state, list);
