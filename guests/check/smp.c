/* SPDX-License-Identifier: BSD-2-Clause */
/* Several processors: start-up, INIT, IPIs of every kind (SDM 3, 8.4, 10.6). */
#include "guests/check/team.h"
#include "guests/lib/acpi.h"

#define VECTOR 0x62

static volatile u32 count[MAX_GUEST_CPUS];

static void on_ipi(struct trap_frame *f)
{
    (void)f;
    __sync_fetch_and_add(&count[cpu_number()], 1);
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
    team_ready();
    cpu_sti();
    while (!team_stop)
        cpu_pause();
    cpu_cli();
}

static void listen_halted(void *arg)
{
    (void)arg;
    apic_enable();
    team_ready();
    while (!team_stop)
        cpu_sti_hlt();
    cpu_cli();
}

/* Counts the IPIs that each processor takes. */
static void count_ipis(void)
{
    for (unsigned c = 0; c < MAX_GUEST_CPUS; c++)
        count[c] = 0;
    trap_set(VECTOR, on_ipi);
}

/* All other processors run fn and are ready for IPIs, by logical destination too. */
static bool listeners(void (*fn)(void *))
{
    count_ipis();
    if (!team_begin_ready(fn))
        return false;
    apic_write(APIC_DFR, ~0u);
    apic_write(APIC_LDR, 1u << 24);
    return true;
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
    if (!team_begin(identify))
        return;
    team_end();
    for (unsigned c = 1; c < team_cpus; c++) {
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
        for (unsigned c = 1; c < team_cpus; c++) {
            apic_icr(smp_apic_id(c), ICR_FIXED | ICR_ASSERT | VECTOR);
            if (!team_wait(&count[c], i))
                check_fail("IPI %u to cpu %u never came", i, c);
        }
    for (unsigned c = 1; c < team_cpus; c++)
        if (count[c] != 20)
            check_fail("cpu %u had %u interrupts, not 20", c, count[c]);
    if (count[0])
        check_fail("the sender had %u interrupts", count[0]);
    team_end();
}

static void smp_ipi_halted(void)
{
    if (!listeners(listen_halted))
        return;
    for (u32 i = 1; i <= 200; i++)
        for (unsigned c = 1; c < team_cpus; c++) {
            apic_icr(smp_apic_id(c), ICR_FIXED | ICR_ASSERT | VECTOR);
            if (!team_wait(&count[c], i)) {
                check_fail("IPI %u to cpu %u, which is halted, never came", i, c);
                team_end();
                return;
            }
        }
    team_end();
}

static void expect_counts(u32 self, u32 others, const char *what)
{
    for (unsigned c = 0; c < team_cpus; c++) {
        u32 n = c ? others : self;

        if (!team_wait(&count[c], n) || count[c] != n)
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
    team_end();
}

static void smp_ipi_logical(void)
{
    if (!listeners(listen))
        return;
    for (unsigned c = 1; c < MIN(team_cpus, 8u); c++) {
        apic_icr(1u << c, ICR_FIXED | ICR_LOGICAL | ICR_ASSERT | VECTOR);
        if (!team_wait(&count[c], 1))
            check_fail("logical IPI to cpu %u never came", c);
    }
    expect_counts(0, 1, "one by one");
    if (team_cpus <= 8) {
        apic_icr((1u << team_cpus) - 1, ICR_FIXED | ICR_LOGICAL | ICR_ASSERT | VECTOR);
        expect_counts(1, 2, "to the set");
    }
    team_end();
}

static u32 sum_of_counts(void)
{
    u32 sum = 0;

    for (unsigned c = 0; c < team_cpus; c++)
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
    while (!sum_of_counts() && rdtsc() - start < tsc_khz * TEAM_WAIT_MS)
        cpu_pause();
    wait_ms(1);
    cpu_cli();
    team_end();
    if (sum_of_counts() != 1)
        check_fail("%u processors took it", sum_of_counts());
}

static void smp_nmi(void)
{
    if (!listeners(listen))
        return;
    trap_set(EXC_NMI, on_nmi);
    for (u32 i = 1; i <= 5; i++)
        for (unsigned c = 1; c < team_cpus; c++) {
            apic_icr(smp_apic_id(c), ICR_NMI | ICR_ASSERT);
            if (!team_wait(&count[c], i))
                check_fail("NMI %u to cpu %u never came", i, c);
        }
    team_end();
}

/* A processor in HLT with interrupts off is woken by NMI alone. */
static void halt_deaf(void *arg)
{
    (void)arg;
    apic_enable();
    team_ready();
    cpu_cli();
    cpu_hlt();
}

static void smp_nmi_wakes_hlt(void)
{
    if (!listeners(halt_deaf))
        return;
    trap_set(EXC_NMI, on_nmi);
    wait_ms(1);
    for (unsigned c = 1; c < team_cpus; c++) {
        apic_icr(smp_apic_id(c), ICR_FIXED | ICR_ASSERT | VECTOR);
        if (smp_wait_for(c, tsc_khz * 2))
            check_fail("cpu %u left HLT by an interrupt that it had off", c);
        apic_icr(smp_apic_id(c), ICR_NMI | ICR_ASSERT);
        if (!smp_wait_for(c, tsc_khz * TEAM_WAIT_MS))
            check_fail("cpu %u does not leave HLT", c);
    }
}

/* INIT and SIPI: each starts anew, whatever it was doing, and does as it is told. */
static void restart_all(void)
{
    for (unsigned c = 1; c < team_cpus; c++)
        EXPECT(smp_restart(c), "cpu %u did not start again", c);
    if (team_begin(identify))
        team_end();
}

static void spin_for_ever(void *arg)
{
    (void)arg;
    team_ready();
    for (;;)
        cpu_pause();
}

static void smp_init_running(void)
{
    if (listeners(spin_for_ever))
        restart_all();
}

static void smp_init_halted(void)
{
    if (listeners(halt_deaf))
        restart_all();
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
    if (!team_begin(init_itself))
        return;
    wait_ms(5);
    restart_all();
}

/*
 * Each processor sends to the next and waits for its own, all at once, many times. IPIs that have
 * not been taken yet merge, so each also waits for the next one's count.
 */
static void storm(void *arg)
{
    unsigned me = cpu_number();
    unsigned next = (me + 1) % team_cpus;

    (void)arg;
    apic_enable();
    team_ready();
    team_wait_ready(team_cpus);
    for (u32 i = 1; i <= 300; i++) {
        apic_icr(smp_apic_id(next), ICR_FIXED | ICR_ASSERT | VECTOR);
        if (!team_wait(&count[me], i) || !team_wait(&count[next], i))
            return;
    }
}

static void smp_ipi_storm(void)
{
    count_ipis();
    if (!team_begin(storm))
        return;
    storm(NULL);
    expect_counts(300, 300, "storm");
    team_end();
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
    {"smp_init_running", smp_init_running, ANYWHERE},
    {"smp_init_halted", smp_init_halted, ANYWHERE},
    {"smp_init_stepping", smp_init_stepping, ANYWHERE},
};
CHECK_GROUP(smp, list);
