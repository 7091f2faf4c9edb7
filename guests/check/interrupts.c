/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts that a processor sends itself: which of those that wait comes first, which have to
 * wait (SDM 3, 6.7, 10.6, 10.8).
 */
#include "guests/check/irq.h"

static void irq_self_ipi(void)
{
    irq_begin();
    irq_self(VECTOR);
    EXPECT(apic_vector_bit(APIC_IRR, VECTOR), "not in the IRR while interrupts are off");
    EXPECT_EQ(irq_count[VECTOR], 0);
    EXPECT(wait_count(&irq_count[VECTOR], 1, 100), "never came");
    EXPECT(!apic_vector_bit(APIC_IRR, VECTOR), "stays in the IRR");
    EXPECT(!apic_vector_bit(APIC_ISR, VECTOR), "stays in the ISR");
    EXPECT_EQ(irq_count[VECTOR], 1);
}

static void irq_self_ipi_physical(void)
{
    irq_begin();
    apic_icr(apic_id(), ICR_FIXED | ICR_ASSERT | VECTOR);
    EXPECT(wait_count(&irq_count[VECTOR], 1, 100), "never came");
}

static void irq_self_ipi_logical(void)
{
    irq_begin();
    apic_write(APIC_DFR, ~0u);
    apic_write(APIC_LDR, 0x04000000);
    apic_icr(0x04, ICR_FIXED | ICR_LOGICAL | ICR_ASSERT | VECTOR);
    EXPECT(wait_count(&irq_count[VECTOR], 1, 100), "never came");
    apic_icr(0x02, ICR_FIXED | ICR_LOGICAL | ICR_ASSERT | VECTOR);
    wait_ms(2);
    EXPECT_EQ(irq_count[VECTOR], 1);
}

/* Of two that wait, the higher vector goes first. */
static void irq_priority(void)
{
    irq_begin();
    irq_self(VECTOR);
    irq_self(VECTOR2);
    EXPECT(wait_count(&irq_count[VECTOR], 1, 100), "never came");
    EXPECT_EQ(irq_count[VECTOR2], 1);
    EXPECT_EQ(irq_sequence[0], VECTOR2);
    EXPECT_EQ(irq_sequence[1], VECTOR);
}

static void irq_tpr(void)
{
    irq_begin();
    apic_write(APIC_TPR, VECTOR & 0xf0);
    EXPECT_EQ(apic_read(APIC_TPR), VECTOR & 0xf0);
    EXPECT_EQ(apic_read(APIC_PPR), VECTOR & 0xf0);
    irq_self(VECTOR);
    wait_ms(1);
    EXPECT_EQ(irq_count[VECTOR], 0);
    irq_self(VECTOR2);
    EXPECT(wait_count(&irq_count[VECTOR2], 1, 100), "a higher class is held back");
    EXPECT_EQ(irq_count[VECTOR], 0);
    cpu_sti();
    apic_write(APIC_TPR, 0);
    EXPECT(wait_count(&irq_count[VECTOR], 1, 100), "does not come when TPR falls");
}

/* Until EOI, an interrupt of the same class waits. */
static volatile bool saw_inside;

static void on_nested(struct trap_frame *f)
{
    irq_note(f);
    irq_self(VECTOR);
    cpu_sti();
    for (unsigned i = 0; i < 1000; i++)
        cpu_pause();
    cpu_cli();
    saw_inside = irq_count[VECTOR] != 0;
    apic_eoi();
}

static void irq_until_eoi(void)
{
    irq_begin();
    trap_set(VECTOR + 4, on_nested);
    irq_self(VECTOR + 4);
    EXPECT(wait_count(&irq_count[VECTOR], 1, 100), "never came");
    EXPECT(!saw_inside, "came before the EOI of its class");
    EXPECT_EQ(irq_count[VECTOR + 4], 1);
}

static void irq_nmi(void)
{
    irq_begin();
    trap_set(EXC_NMI, irq_note);
    apic_icr(apic_id(), ICR_NMI | ICR_ASSERT);
    for (unsigned i = 0; i < 100000 && !irq_count[EXC_NMI]; i++)
        cpu_pause();
    EXPECT_EQ(irq_count[EXC_NMI], 1);
}

/* A second NMI waits for the handler's IRET. */
static volatile u32 nmi_depth, nmi_max_depth;

static void on_nmi_twice(struct trap_frame *f)
{
    nmi_depth++;
    nmi_max_depth = MAX(nmi_max_depth, nmi_depth);
    irq_note(f);
    if (irq_count[EXC_NMI] == 1) {
        apic_icr(apic_id(), ICR_NMI | ICR_ASSERT);
        for (unsigned i = 0; i < 1000; i++)
            cpu_pause();
    }
    nmi_depth--;
}

static void irq_nmi_blocked(void)
{
    irq_begin();
    nmi_depth = nmi_max_depth = 0;
    trap_set(EXC_NMI, on_nmi_twice);
    apic_icr(apic_id(), ICR_NMI | ICR_ASSERT);
    for (unsigned i = 0; i < 100000 && irq_count[EXC_NMI] < 2; i++)
        cpu_pause();
    EXPECT_EQ(irq_count[EXC_NMI], 2);
    EXPECT_EQ(nmi_max_depth, 1);
}

static const struct check list[] = {
    {"irq_self_ipi", irq_self_ipi, ANYWHERE},
    {"irq_self_ipi_physical", irq_self_ipi_physical, ANYWHERE},
    {"irq_self_ipi_logical", irq_self_ipi_logical, ANYWHERE},
    {"irq_priority", irq_priority, ANYWHERE},
    {"irq_tpr", irq_tpr, ANYWHERE},
    {"irq_until_eoi", irq_until_eoi, ANYWHERE},
    {"irq_nmi", irq_nmi, ANYWHERE},
    {"irq_nmi_blocked", irq_nmi_blocked, ANYWHERE},
};
CHECK_GROUP(interrupts, list);
