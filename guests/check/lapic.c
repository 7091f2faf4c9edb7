/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC's registers, and where a hypervisor's help for it has to stop, start, or hand
 * over: they keep what they had, and requests and services go on (SDM 3, 10.4 to 10.8).
 */
#include "guests/check/irq.h"
#include "guests/lib/exit.h"

#define LOW    0x52
#define HIGH   0x93
#define LINE   10 /* of testdev, and the I/O APIC's pin */
#define MOVED  0xfee40000ul
#define ALL_US 0xffffffffu

static volatile unsigned lower_at;

static void on_irq(struct trap_frame *f)
{
    irq_note(f);
    if (irq_count[f->vector] == lower_at)
        out8((u16)(0x2000 + LINE), 0);
    apic_eoi();
}

static void begin(void)
{
    irq_begin();
    lower_at = 0;
    trap_set(LOW, on_irq);
    trap_set(HIGH, on_irq);
}

/* Software-disabled with one interrupt in service and one requested: both are kept. */
static void lapic_held_while_disabled(void)
{
    begin();
    trap_set(HIGH, irq_note); /* leaves it in service */
    irq_self(HIGH);
    EXPECT(wait_count(&irq_count[HIGH], 1, 100), "never came");
    irq_self(LOW);
    apic_write(APIC_SVR, APIC_SPURIOUS_VECTOR);
    EXPECT(apic_vector_bit(APIC_ISR, HIGH), "not in service while disabled");
    EXPECT(apic_vector_bit(APIC_IRR, LOW), "not requested while disabled");
    apic_write(APIC_SVR, APIC_SVR_ENABLE | APIC_SPURIOUS_VECTOR);
    EXPECT(apic_vector_bit(APIC_ISR, HIGH), "not in service");
    EXPECT(apic_vector_bit(APIC_IRR, LOW), "not requested");
    EXPECT_EQ(apic_read(APIC_PPR) & 0xf0, HIGH & 0xf0);
    apic_eoi();
    EXPECT(!apic_vector_bit(APIC_ISR, HIGH), "still in service");
    EXPECT(wait_count(&irq_count[LOW], 1, 100), "the other never came");
    EXPECT_EQ(irq_count[HIGH], 1);
}

/* Elsewhere all of it works, and nothing answers at the old place. */
static void lapic_moved(void)
{
    u64 base = rdmsr(MSR_APIC_BASE);
    u32 version = apic_read(APIC_VERSION), tpr, there, nothing;

    begin();
    apic_write(APIC_TPR, 0x20);
    wrmsr(MSR_APIC_BASE, (base & 0xfff) | MOVED);
    there = mmio_read32(MOVED + APIC_VERSION);
    tpr = mmio_read32(MOVED + APIC_TPR);
    mmio_write32(APIC_MMIO + APIC_TPR, 0x70);
    nothing = mmio_read32(APIC_MMIO + APIC_VERSION);
    mmio_write32(MOVED + APIC_TPR, 0x30);
    wrmsr(MSR_APIC_BASE, base);
    EXPECT_EQ(there, version);
    EXPECT_EQ(tpr, 0x20);
    EXPECT_EQ(nothing, ALL_US);
    EXPECT_EQ(apic_read(APIC_TPR), 0x30);
    apic_write(APIC_TPR, 0);
    irq_self(LOW);
    EXPECT(wait_count(&irq_count[LOW], 1, 100), "never came");
}

/* A level-triggered interrupt comes again after each EOI until its line is low. */
static void lapic_level_ends(void)
{
    REQUIRE(have_testdev(), "no testdev");
    begin();
    for (unsigned round = 1; round <= 3; round++) {
        irq_count[LOW] = 0;
        lower_at = 2 * round;
        ioapic_route(LINE, IOAPIC_LEVEL | LOW, apic_id());
        out8((u16)(0x2000 + LINE), 1);
        EXPECT(wait_count(&irq_count[LOW], 2 * round, 200), "%u of %u", irq_count[LOW], 2 * round);
        wait_ms(1);
        EXPECT_EQ(irq_count[LOW], 2 * round);
        EXPECT(apic_vector_bit(APIC_TMR, LOW), "not marked as level-triggered");
        EXPECT_EQ(ioapic_read(IOAPIC_REDIR + 2 * LINE) & BIT(14), 0);
        ioapic_route(LINE, IOAPIC_MASKED | LOW, apic_id());
        irq_self(LOW); /* the same vector by an edge */
        EXPECT(wait_count(&irq_count[LOW], 2 * round + 1, 100), "the edge never came");
    }
}

/* What a write does depends on what was there before. */
static void lapic_timer_rewritten(void)
{
    u32 left;

    begin();
    apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_1);
    apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED | LOW);
    apic_write(APIC_TIMER_INITIAL, ALL_US);
    wait_ms(1);
    apic_write(APIC_TIMER_DIVIDE, 0xa); /* by 128; the count goes on */
    left = apic_read(APIC_TIMER_CURRENT);
    EXPECT(left < ALL_US && left > ALL_US / 2, "%x left", left);
    EXPECT_EQ(apic_read(APIC_TIMER_INITIAL), ALL_US);
    EXPECT_EQ(apic_read(APIC_TIMER_DIVIDE), 0xa);
    apic_write(APIC_TIMER_INITIAL, 0);
    EXPECT_EQ(apic_read(APIC_TIMER_CURRENT), 0);
    if (!cpu_has_1_ecx(24))
        return;
    apic_write(APIC_TIMER_INITIAL, ALL_US);
    apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED | APIC_TIMER_DEADLINE | LOW);
    EXPECT_EQ(apic_read(APIC_TIMER_CURRENT), 0);
    apic_write(APIC_TIMER_INITIAL, 1000000);
    EXPECT_EQ(apic_read(APIC_TIMER_CURRENT), 0);
    apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED | LOW);
}

/* Registers that cannot change, and bits that do not stay, whoever writes them. */
static void lapic_fixed_bits(void)
{
    u32 id = apic_read(APIC_ID), version = apic_read(APIC_VERSION);

    apic_write(APIC_ID, ~id);
    EXPECT_EQ(apic_read(APIC_ID), id);
    apic_write(APIC_VERSION, 0);
    EXPECT_EQ(apic_read(APIC_VERSION), version);
    apic_write(APIC_ICR_HIGH, ALL_US);
    EXPECT_EQ(apic_read(APIC_ICR_HIGH), 0xff000000);
    apic_write(APIC_LDR, ALL_US);
    EXPECT_EQ(apic_read(APIC_LDR), 0xff000000);
    apic_write(APIC_DFR, 0);
    EXPECT_EQ(apic_read(APIC_DFR), 0x0fffffff);
    apic_write(APIC_DFR, ALL_US);
    apic_write(APIC_LVT_LINT1, ALL_US);
    EXPECT_EQ(apic_read(APIC_LVT_LINT1), 0x1a7ff);
    apic_write(APIC_SVR, ALL_US);
    EXPECT_EQ(apic_read(APIC_SVR), 0x11ff);
    apic_write(APIC_SVR, APIC_SVR_ENABLE | APIC_SPURIOUS_VECTOR);
    EXPECT_EQ(apic_read(APIC_EOI), 0);
}

/* An IPI with an illegal vector is not sent, and the ESR says so. */
static void apic_illegal_vector(void)
{
    irq_begin();
    apic_write(APIC_ESR, 0);
    apic_icr(0, ICR_SELF | ICR_ASSERT | 5);
    apic_write(APIC_ESR, 0);
    EXPECT(apic_read(APIC_ESR) & 0x60, "ESR %x", apic_read(APIC_ESR)); /* sent, received */
}

static void apic_registers(void)
{
    u32 version = apic_read(APIC_VERSION);

    EXPECT((version & 0xff) >= 0x10 && (version & 0xff) <= 0x1f, "version %x", version);
    EXPECT_EQ(apic_read(APIC_SVR) & 0x1ff, 0x1ff);
    apic_write(APIC_LDR, 0xff000000);
    EXPECT_EQ(apic_read(APIC_LDR), 0xff000000);
    apic_write(APIC_DFR, 0x0fffffff);
    EXPECT_EQ(apic_read(APIC_DFR), 0x0fffffff);
    apic_write(APIC_DFR, 0xffffffff);
}

/* Reserved and read-only bits do not stay. */
static void apic_reserved_bits(void)
{
    apic_write(APIC_LVT_TIMER, 0xffffffff);
    EXPECT_EQ(apic_read(APIC_LVT_TIMER) & ~0x700ffu, 0);
    apic_write(APIC_TPR, 0xffffff12);
    EXPECT_EQ(apic_read(APIC_TPR), 0x12);
}

/* While software-disabled, every LVT entry is masked and cannot be unmasked. */
static void apic_software_disable(void)
{
    apic_write(APIC_LVT_TIMER, VECTOR);
    apic_write(APIC_SVR, APIC_SPURIOUS_VECTOR);
    EXPECT(apic_read(APIC_LVT_TIMER) & APIC_LVT_MASKED, "not masked");
    apic_write(APIC_LVT_TIMER, VECTOR);
    EXPECT(apic_read(APIC_LVT_TIMER) & APIC_LVT_MASKED, "can be unmasked");
}

static const struct check list[] = {
    {"lapic_held_while_disabled", lapic_held_while_disabled, ANYWHERE},
    {"lapic_moved", lapic_moved, NOT_BARE_TCG},
    {"lapic_level_ends", lapic_level_ends, ANYWHERE},
    {"lapic_timer_rewritten", lapic_timer_rewritten, ANYWHERE},
    {"lapic_fixed_bits", lapic_fixed_bits, SKEP_ONLY},
    {"apic_illegal_vector", apic_illegal_vector, NOT_BARE_TCG},
    {"apic_registers", apic_registers, ANYWHERE},
    {"apic_reserved_bits", apic_reserved_bits, SKEP_ONLY},
    {"apic_software_disable", apic_software_disable, NOT_BARE_TCG},
};
CHECK_GROUP(lapic, list);
