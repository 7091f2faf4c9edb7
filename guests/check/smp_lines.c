/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The board's interrupts for another processor than the first, and processors that are sent to
 * where they start (SDM 3, 8.4, 10.4.7, table 9-1; MP Specification 1.4, 3.6.2).
 */
#include "guests/check/team.h"
#include "guests/lib/acpi.h"
#include "guests/lib/pit.h"

#define VECTOR   0x66
#define PIC_BASE 0x20
#define PIT_LOAD 1193u /* 1 ms and a bit */
#define PM_HZ    3579545u

static volatile u32 count[MAX_GUEST_CPUS];

static void on_irq(struct trap_frame *f)
{
    (void)f;
    __sync_fetch_and_add(&count[cpu_number()], 1);
    apic_eoi();
}

static void on_pic(struct trap_frame *f)
{
    (void)f;
    __sync_fetch_and_add(&count[cpu_number()], 1);
    out8(0x20, 0x20);
}

static void forget(void)
{
    for (unsigned c = 0; c < MAX_GUEST_CPUS; c++)
        count[c] = 0;
}

/* Takes interrupts until told to stop, the second processor those of the PICs, too. */
static void listen(void *arg)
{
    (void)arg;
    apic_enable();
    if (cpu_number() == 1)
        apic_write(APIC_LVT_LINT0, APIC_LVT_EXTINT);
    team_ready();
    cpu_sti();
    while (!team_stop)
        cpu_pause();
    cpu_cli();
    apic_write(APIC_LVT_LINT0, APIC_LVT_MASKED);
}

/* LINT0 of each processor is INTR. Bochs has one for the first alone. */
static void smp_pic(void)
{
    forget();
    trap_set(PIC_BASE, on_pic);
    if (!team_begin_ready(listen))
        return;
    pit_start(PIT_RATE, PIT_LOAD);
    out8(0x21, 0xfe);
    if (!team_wait(&count[1], 10))
        check_fail("%u interrupts", count[1]);
    out8(0x21, 0xff);
    team_end();
    for (unsigned c = 0; c < team_cpus; c++)
        if (c != 1 && count[c])
            check_fail("%u interrupts at processor %u", count[c], c);
}

/*
 * The PIT's ticks, a thousand a second, go to the second processor, and are as many as there should
 * be by the PM timer: at no time more than one too many, and in the end none too few, wherever that
 * processor has been meanwhile.
 */
static void smp_ticks(void)
{
    bool wide;
    u16 port = acpi_pm_timer(&wide);
    u32 flags, start, now, due, mask = wide ? ~0u : 0xffffffu;
    unsigned pin = ioapic_isa_pin(0, &flags);

    REQUIRE(port, "no PM timer");
    REQUIRE(!cpu_is_tcg() || boot_word("counted"), "QEMU's own timers come too late");
    forget();
    trap_set(VECTOR, on_irq);
    if (!team_begin_ready(listen))
        return;
    ioapic_route(pin, flags | VECTOR, smp_apic_id(1));
    pit_start(PIT_RATE, PIT_LOAD);
    start = in32(port);
    do {
        u32 seen = count[1];

        cpu_pause();
        now = (in32(port) - start) & mask;
        due = now / (3 * PIT_LOAD); /* both clocks come from one crystal of 14.31818 MHz */
        if (seen > due + 1)
            check_fail("%u ticks, when %u are due", seen, due);
    } while (now < PM_HZ / 2 || (count[1] + 1 < due && now < 2 * PM_HZ));
    ioapic_route(pin, IOAPIC_MASKED, 0);
    team_end();
    EXPECT(count[1] + 2 >= due, "%u ticks, when %u are due", count[1], due);
    EXPECT_EQ(count[0], 0);
}

/* Start-up IPIs to a processor that runs, or halts, are not heeded. */
static void listen_halted(void *arg)
{
    (void)arg;
    apic_enable();
    team_ready();
    while (!team_stop)
        cpu_sti_hlt();
    cpu_cli();
}

static void sipi_all(void)
{
    for (unsigned c = 1; c < team_cpus; c++)
        apic_icr(smp_apic_id(c), ICR_STARTUP | ICR_ASSERT | 0x9f); /* nothing is there to run */
}

static void smp_sipi_unheeded(void)
{
    static void (*const states[])(void *) = {listen, listen_halted};

    trap_set(VECTOR, on_irq);
    for (unsigned i = 0; i < ARRAY_SIZE(states); i++) {
        forget();
        if (!team_begin_ready(states[i]))
            return;
        sipi_all();
        wait_ms(1);
        sipi_all();
        apic_icr(0, ICR_OTHERS | ICR_ASSERT | VECTOR);
        for (unsigned c = 1; c < team_cpus; c++)
            if (!team_wait(&count[c], 1))
                check_fail("processor %u is not where it was", c);
        team_end();
    }
}

/* What INIT leaves of a processor's local APIC, and what it takes. */
static volatile u32 left[MAX_GUEST_CPUS][4];

static void disorder(void *arg)
{
    (void)arg;
    apic_enable();
    apic_write(APIC_TPR, 0x50);
    apic_write(APIC_DFR, 0x0fffffff);
    apic_write(APIC_LDR, 0x12000000);
    apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_1);
    apic_write(APIC_LVT_TIMER, APIC_TIMER_PERIODIC | VECTOR);
    apic_write(APIC_TIMER_INITIAL, 10000);
    apic_icr(0, ICR_SELF | ICR_ASSERT | VECTOR);
    team_ready();
    for (;;)
        cpu_pause();
}

static void look(void *arg)
{
    volatile u32 *r = left[cpu_number()];
    u32 vectors = 0;

    (void)arg;
    for (unsigned v = 0; v < 256; v += 32)
        vectors |=
            apic_read(APIC_IRR + v / 2) | apic_read(APIC_ISR + v / 2) | apic_read(APIC_TMR + v / 2);
    r[0] = apic_read(APIC_SVR);
    r[1] = apic_read(APIC_TPR) | apic_read(APIC_LDR) | vectors;
    r[2] = apic_read(APIC_LVT_TIMER);
    r[3] = apic_read(APIC_TIMER_INITIAL) | apic_read(APIC_TIMER_CURRENT) | ~apic_read(APIC_DFR);
}

static void smp_init_lapic(void)
{
    trap_set(VECTOR, on_irq);
    if (!team_begin_ready(disorder))
        return;
    for (unsigned c = 1; c < team_cpus; c++)
        EXPECT(smp_restart(c), "cpu %u did not start again", c);
    if (!team_begin(look))
        return;
    team_end();
    for (unsigned c = 1; c < team_cpus; c++) {
        EXPECT_EQ(left[c][0], 0xff);
        EXPECT_EQ(left[c][1], 0);
        EXPECT_EQ(left[c][2], APIC_LVT_MASKED);
        EXPECT_EQ(left[c][3], 0);
    }
}

static void clear_cr0(void *arg)
{
    (void)arg;
    cr0_write(cr0_read() & ~(ulong)(CR0_CD | CR0_NW));
    team_ready();
    for (;;)
        cpu_pause();
}

/* INIT leaves CR0's cache bits as they are, and of all others ET alone; QEMU and Bochs set them. */
static void smp_init_cr0(void)
{
    if (!team_begin_ready(clear_cr0))
        return;
    for (unsigned c = 1; c < team_cpus; c++) {
        EXPECT(smp_restart(c), "cpu %u did not start again", c);
        EXPECT_EQ(smp_ap_cr0, CR0_ET);
    }
}

static const struct check list[] = {
    {"smp_pic", smp_pic, NOT_BARE_BOCHS},
    {"smp_ticks", smp_ticks, ANYWHERE},
    {"smp_sipi_unheeded", smp_sipi_unheeded, ANYWHERE},
    {"smp_init_cr0", smp_init_cr0, SKEP_ONLY},
    {"smp_init_lapic", smp_init_lapic, ANYWHERE},
};
CHECK_GROUP(smp_lines, list);
