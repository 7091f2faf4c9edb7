/* SPDX-License-Identifier: BSD-2-Clause */
/* Several processors: start-up, IPIs of every kind, clocks, TLB shootdown (SDM 3, 8.4, 10.6). */
#include "guests/check/check.h"
#include "guests/lib/acpi.h"
#include "guests/lib/paging.h"
#include "guests/lib/smp.h"

#define VECTOR      0x62
#define WAKE_VECTOR 0x64 /* gets a processor out of HLT to see that it is to stop */
#define WAIT_MS     2000

static volatile u32 count[MAX_GUEST_CPUS];
static volatile u32 ready;
static volatile bool stop;
static unsigned cpus;

static void on_ipi(struct trap_frame *f)
{
    (void)f;
    __sync_fetch_and_add(&count[cpu_number()], 1);
    apic_eoi();
}

static void on_wake(struct trap_frame *f)
{
    (void)f;
    apic_eoi();
}

static void on_nmi(struct trap_frame *f)
{
    (void)f;
    __sync_fetch_and_add(&count[cpu_number()], 1);
}

/* Takes interrupts until told to stop. */
static void listen(void *arg)
{
    (void)arg;
    apic_enable();
    apic_write(APIC_DFR, ~0u);
    apic_write(APIC_LDR, 1u << (24 + cpu_number()));
    __sync_fetch_and_add(&ready, 1);
    cpu_sti();
    while (!stop)
        cpu_pause();
    cpu_cli();
}

static void listen_halted(void *arg)
{
    (void)arg;
    apic_enable();
    __sync_fetch_and_add(&ready, 1);
    while (!stop)
        cpu_sti_hlt();
    cpu_cli();
}

static bool wait_for(const volatile u32 *p, u32 n)
{
    return wait_count(p, n, WAIT_MS);
}

/* All other processors run fn; false (and a skip) on a machine of one. */
static bool begin(void (*fn)(void *))
{
    cpus = smp_start();
    if (cpus < 2) {
        check_skip("one processor");
        return false;
    }
    for (unsigned c = 0; c < cpus; c++)
        count[c] = 0;
    ready = 0;
    stop = false;
    trap_set(VECTOR, on_ipi);
    trap_set(WAKE_VECTOR, on_wake);
    for (unsigned c = 1; c < cpus; c++)
        smp_call(c, fn, NULL);
    return true;
}

static bool listeners(void (*fn)(void *))
{
    if (!begin(fn))
        return false;
    if (!wait_for(&ready, cpus - 1)) {
        check_fail("%u of %u processors listen", ready, cpus - 1);
        return false;
    }
    apic_write(APIC_DFR, ~0u);
    apic_write(APIC_LDR, 1u << 24);
    return true;
}

static void end(void)
{
    stop = true;
    for (unsigned c = 1; c < cpus; c++) {
        u64 start = rdtsc();

        while (!smp_wait_for(c, tsc_khz * 10)) {
            apic_icr(smp_apic_id(c), ICR_FIXED | ICR_ASSERT | WAKE_VECTOR);
            if (rdtsc() - start > tsc_khz * WAIT_MS) {
                check_fail("processor %u does not come back", c);
                return;
            }
        }
    }
}

static void smp_all_start(void)
{
    struct acpi_madt madt;

    acpi_read_madt(&madt);
    EXPECT_EQ(smp_start(), MIN(madt.cpu_count, (unsigned)MAX_GUEST_CPUS));
}

struct identity {
    u32 apic_id, cpuid_id;
    u64 apic_base;
};

static struct identity identity[MAX_GUEST_CPUS];

static void identify(void *arg)
{
    struct identity *id = &identity[cpu_number()];

    (void)arg;
    id->apic_id = apic_id();
    id->cpuid_id = cpuid(1, 0).ebx >> 24;
    id->apic_base = rdmsr(MSR_APIC_BASE);
}

static void smp_identity(void)
{
    if (!begin(identify))
        return;
    end();
    for (unsigned c = 1; c < cpus; c++) {
        const struct identity *id = &identity[c];

        EXPECT(id->apic_id == smp_apic_id(c) && id->cpuid_id == id->apic_id,
               "cpu %u: APIC ID %x, by CPUID %x, by MADT %x", c, id->apic_id, id->cpuid_id,
               smp_apic_id(c));
        EXPECT(!(id->apic_base & APIC_BASE_BSP), "cpu %u thinks that it is the first", c);
        EXPECT(id->apic_base & APIC_BASE_ENABLE, "cpu %u: APIC base %jx", c, id->apic_base);
    }
}

static void smp_ipi_physical(void)
{
    if (!listeners(listen))
        return;
    for (u32 i = 1; i <= 20; i++)
        for (unsigned c = 1; c < cpus; c++) {
            apic_icr(smp_apic_id(c), ICR_FIXED | ICR_ASSERT | VECTOR);
            if (!wait_for(&count[c], i))
                check_fail("IPI %u to cpu %u never came", i, c);
        }
    for (unsigned c = 1; c < cpus; c++)
        if (count[c] != 20)
            check_fail("cpu %u had %u interrupts, not 20", c, count[c]);
    if (count[0])
        check_fail("the sender had %u interrupts", count[0]);
    end();
}

static void smp_ipi_halted(void)
{
    if (!listeners(listen_halted))
        return;
    for (u32 i = 1; i <= 200; i++)
        for (unsigned c = 1; c < cpus; c++) {
            apic_icr(smp_apic_id(c), ICR_FIXED | ICR_ASSERT | VECTOR);
            if (!wait_for(&count[c], i)) {
                check_fail("IPI %u to cpu %u, which is halted, never came", i, c);
                end();
                return;
            }
        }
    end();
}

static void expect_counts(u32 self, u32 others, const char *what)
{
    for (unsigned c = 0; c < cpus; c++) {
        u32 n = c ? others : self;

        if (!wait_for(&count[c], n) || count[c] != n)
            check_fail("%s: cpu %u had %u interrupts, not %u", what, c, count[c], n);
    }
}

static void smp_ipi_broadcast(void)
{
    if (!listeners(listen))
        return;
    apic_icr(0, ICR_OTHERS | ICR_ASSERT | VECTOR);
    expect_counts(0, 1, "all but self");
    apic_icr(0, ICR_ALL | ICR_ASSERT | VECTOR);
    expect_counts(1, 2, "all");
    apic_icr(0xff, ICR_FIXED | ICR_ASSERT | VECTOR);
    expect_counts(2, 3, "physical 0xff");
    end();
}

static void smp_ipi_logical(void)
{
    if (!listeners(listen))
        return;
    for (unsigned c = 1; c < MIN(cpus, 8u); c++) {
        apic_icr(1u << c, ICR_FIXED | ICR_LOGICAL | ICR_ASSERT | VECTOR);
        if (!wait_for(&count[c], 1))
            check_fail("logical IPI to cpu %u never came", c);
    }
    expect_counts(0, 1, "one by one");
    if (cpus <= 8) {
        apic_icr((1u << cpus) - 1, ICR_FIXED | ICR_LOGICAL | ICR_ASSERT | VECTOR);
        expect_counts(1, 2, "to the set");
    }
    end();
}

static u32 sum_of_counts(void)
{
    u32 sum = 0;

    for (unsigned c = 0; c < cpus; c++)
        sum += count[c];
    return sum;
}

/*
 * Lowest priority goes to exactly one of the set. That one may have to wait for a physical
 * processor; what any other one got it takes before it stops listening.
 */
static void smp_ipi_lowest(void)
{
    u64 start = rdtsc();

    if (!listeners(listen))
        return;
    cpu_sti();
    apic_icr(0xff, ICR_LOWEST | ICR_LOGICAL | ICR_ASSERT | VECTOR);
    while (!sum_of_counts() && rdtsc() - start < tsc_khz * WAIT_MS)
        cpu_pause();
    wait_ms(1);
    cpu_cli();
    end();
    if (sum_of_counts() != 1)
        check_fail("%u processors took it", sum_of_counts());
}

static void smp_nmi(void)
{
    if (!listeners(listen))
        return;
    trap_set(EXC_NMI, on_nmi);
    for (u32 i = 1; i <= 5; i++)
        for (unsigned c = 1; c < cpus; c++) {
            apic_icr(smp_apic_id(c), ICR_NMI | ICR_ASSERT);
            if (!wait_for(&count[c], i))
                check_fail("NMI %u to cpu %u never came", i, c);
        }
    end();
}

/* A processor in HLT with interrupts off is woken by NMI alone. */
static void halt_deaf(void *arg)
{
    (void)arg;
    apic_enable();
    __sync_fetch_and_add(&ready, 1);
    cpu_cli();
    cpu_hlt();
}

static void smp_nmi_wakes_hlt(void)
{
    if (!listeners(halt_deaf))
        return;
    trap_set(EXC_NMI, on_nmi);
    wait_ms(1);
    for (unsigned c = 1; c < cpus; c++) {
        apic_icr(smp_apic_id(c), ICR_FIXED | ICR_ASSERT | VECTOR);
        if (smp_wait_for(c, tsc_khz * 2))
            check_fail("cpu %u left HLT by an interrupt that it had off", c);
        apic_icr(smp_apic_id(c), ICR_NMI | ICR_ASSERT);
        if (!smp_wait_for(c, tsc_khz * WAIT_MS))
            check_fail("cpu %u does not leave HLT", c);
    }
}

/* INIT and SIPI of a processor that runs: it starts anew, whatever it was doing. */
static void spin_for_ever(void *arg)
{
    (void)arg;
    __sync_fetch_and_add(&ready, 1);
    for (;;)
        cpu_pause();
}

static void smp_init_running(void)
{
    if (!listeners(spin_for_ever))
        return;
    for (unsigned c = 1; c < cpus; c++)
        EXPECT(smp_restart(c), "cpu %u did not start again", c);
    if (begin(identify))
        end();
}

static void smp_init_halted(void)
{
    if (!listeners(halt_deaf))
        return;
    for (unsigned c = 1; c < cpus; c++)
        EXPECT(smp_restart(c), "cpu %u did not start again", c);
    if (begin(identify))
        end();
}

static void on_step(struct trap_frame *f)
{
    f->flags &= ~(ulong)FLAG_TF;
}

SNIPPET(init_stepping, ARG "pushf\n orl $0x100, (" REG(sp) ")\n popf\n",
        "movl $0xc500, (" REG(ax) ")"); /* INIT, assert, level */

static void init_itself(void *arg)
{
    (void)arg;
    apic_write(APIC_ICR_HIGH, apic_id() << 24);
    init_stepping((void *)(APIC_MMIO + APIC_ICR));
    for (;;)
        cpu_pause();
}

/* A single step that INIT finds pending is forgotten. One that is not would come in real mode. */
static void smp_init_stepping(void)
{
    mmio_write32(0x7000, 0xfeeb);           /* JMP to itself, */
    mmio_write32(4 * EXC_DB, 0x0700 << 16); /* at 0700:0000 */
    trap_set(EXC_DB, on_step);
    if (!begin(init_itself))
        return;
    wait_ms(5);
    for (unsigned c = 1; c < cpus; c++)
        EXPECT(smp_restart(c), "cpu %u did not start again", c);
    if (begin(identify))
        end();
}

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
    if (!begin(read_tsc_in_turn))
        return;
    read_tsc_in_turn(NULL);
    end();
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
    if (!begin(count_locked))
        return;
    count_locked(NULL);
    end();
    EXPECT_EQ(locked, 5000 * cpus);
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
    __sync_fetch_and_add(&ready, 1);
    cpu_sti();
    while (!stop) {
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
    if (!listeners(read_page))
        return;
    trap_set(VECTOR, on_flush);
    for (u32 i = 1; i <= 100; i++) {
        *(volatile u32 *)scratch[i & 1] = i;
        flushed = 0;
        paging_map(TEST_GLA, (ulong)scratch[i & 1], PTE_P | PTE_W);
        apic_icr(0, ICR_OTHERS | ICR_ASSERT | VECTOR);
        if (!wait_for(&flushed, cpus - 1)) {
            check_fail("shootdown %u: %u of %u processors answered", i, flushed, cpus - 1);
            break;
        }
        expected = i;
    }
    end();
    EXPECT(stale == 0, "%u stale readings", stale);
}

/*
 * Each processor sends to the next and waits for its own, all at once, many times. IPIs that have
 * not been taken yet merge, so each also waits for the next one's count.
 */
static void storm(void *arg)
{
    unsigned me = cpu_number();
    unsigned next = (me + 1) % cpus;

    (void)arg;
    apic_enable();
    __sync_fetch_and_add(&ready, 1);
    wait_for(&ready, cpus);
    for (u32 i = 1; i <= 300; i++) {
        apic_icr(smp_apic_id(next), ICR_FIXED | ICR_ASSERT | VECTOR);
        if (!wait_for(&count[me], i) || !wait_for(&count[next], i))
            return;
    }
}

static void smp_ipi_storm(void)
{
    if (!begin(storm))
        return;
    storm(NULL);
    expect_counts(300, 300, "storm");
    end();
}

static volatile u32 timer_ticks[MAX_GUEST_CPUS];

static void on_timer(struct trap_frame *f)
{
    (void)f;
    timer_ticks[cpu_number()]++;
    apic_eoi();
}

static u32 timer_ms; /* local APIC timer counts in a millisecond */

/* Each processor's own timer, with the others' running. */
static void run_timer(void *arg)
{
    unsigned me = cpu_number();

    (void)arg;
    apic_enable();
    apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_1);
    apic_write(APIC_LVT_TIMER, APIC_TIMER_PERIODIC | (VECTOR + 1));
    apic_write(APIC_TIMER_INITIAL, timer_ms);
    wait_count(&timer_ticks[me], 20, WAIT_MS);
    apic_write(APIC_TIMER_INITIAL, 0);
    apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
    asm volatile("sti\n nop\n nop\n cli" : : : "memory"); /* a last tick may have come since */
}

static void smp_timers(void)
{
    for (unsigned c = 0; c < MAX_GUEST_CPUS; c++)
        timer_ticks[c] = 0;
    trap_set(VECTOR + 1, on_timer);
    timer_ms = (u32)(apic_timer_per_mega_tsc() * tsc_khz / 1000000);
    if (!begin(run_timer))
        return;
    run_timer(NULL);
    end();
    for (unsigned c = 0; c < cpus; c++)
        EXPECT(timer_ticks[c] >= 20, "cpu %u: %u ticks", c, timer_ticks[c]);
}

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
            __sync_fetch_and_add(&stale, 1);
    }
}

/* SSE registers are each processor's own. */
static void smp_fpu(void)
{
    stale = 0;
    if (!begin(keep_registers))
        return;
    keep_registers(NULL);
    end();
    EXPECT(stale == 0, "XMM3 was lost %u times", stale);
}

static const struct check list[] = {
    {"smp_all_start", smp_all_start, ANYWHERE},
    {"smp_identity", smp_identity, ANYWHERE},
    {"smp_ipi_physical", smp_ipi_physical, ANYWHERE},
    {"smp_ipi_halted", smp_ipi_halted, ANYWHERE},
    {"smp_ipi_broadcast", smp_ipi_broadcast, ANYWHERE},
    {"smp_ipi_logical", smp_ipi_logical, ANYWHERE},
    {"smp_ipi_lowest", smp_ipi_lowest, ANYWHERE},
    {"smp_ipi_storm", smp_ipi_storm, ANYWHERE},
    {"smp_nmi", smp_nmi, ANYWHERE},
    {"smp_nmi_wakes_hlt", smp_nmi_wakes_hlt, ANYWHERE},
    {"smp_tsc", smp_tsc, ANYWHERE},
    {"smp_atomic", smp_atomic, ANYWHERE},
    {"smp_shootdown", smp_shootdown, ANYWHERE},
    {"smp_timers", smp_timers, ANYWHERE},
    {"smp_fpu", smp_fpu, ANYWHERE},
    {"smp_init_running", smp_init_running, ANYWHERE},
    {"smp_init_halted", smp_init_halted, ANYWHERE},
    {"smp_init_stepping", smp_init_stepping, ANYWHERE},
};
CHECK_GROUP(smp, list);
