/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CR8, the class of the task priority. SDM 3, 10.8.6.1. What a processor may do of it without an
 * exit comes and goes with what else the guest does: so some are done often.
 */
#include "guests/check/irq.h"

static ulong cr8_read(void)
{
    ulong value;

    asm volatile("mov %%cr8, %0" : "=r"(value));
    return value;
}

static void cr8_write(ulong value)
{
    asm volatile("mov %0, %%cr8" : : "r"(value) : "memory");
}

static void cr8_holds_back(void)
{
    irq_begin();
    apic_write(APIC_TPR, 0x50);
    EXPECT_EQ(cr8_read(), 5);
    cr8_write(VECTOR >> 4);
    EXPECT_EQ(apic_read(APIC_TPR), VECTOR & 0xf0);
    irq_self(VECTOR);
    wait_ms(1);
    EXPECT_EQ(irq_count[VECTOR], 0);
    cpu_sti();
    cr8_write(0);
    EXPECT(wait_count(&irq_count[VECTOR], 1, 100), "does not come when CR8 falls");
}

/* One register in two places: each shows what was written to the other, the subclass too. */
static void cr8_is_tpr(void)
{
    for (u32 i = 0; i < 256; i++) {
        apic_write(APIC_TPR, i);
        EXPECT_EQ(cr8_read(), i >> 4);
        EXPECT_EQ(apic_read(APIC_TPR), i);
        cr8_write(i >> 4);
        EXPECT_EQ(apic_read(APIC_TPR), i & 0xf0);
        cr8_write(15 - (i >> 4));
        EXPECT_EQ(cr8_read(), 15 - (i >> 4));
        EXPECT_EQ(apic_read(APIC_TPR), 0xf0 - (i & 0xf0));
    }
    apic_write(APIC_TPR, 0);
}

/* Raised and lowered around each of many interrupts, with other exits between. */
static void cr8_often(void)
{
    irq_begin();
    cpu_sti();
    for (u32 i = 0; i < 1000; i++) {
        cr8_write(VECTOR >> 4);
        irq_self(VECTOR);
        cr8_write(15);
        EXPECT_EQ(cr8_read(), 15);
        for (u32 more = i % 5; more; more--)
            cpuid(0, 0);
        cr8_write(VECTOR >> 4);
        EXPECT_EQ(irq_count[VECTOR], i);
        cr8_write((VECTOR >> 4) - 1);
        asm volatile("nop\n nop");
        EXPECT_EQ(irq_count[VECTOR], i + 1);
    }
    cr8_write(0);
}

/* The interrupt comes from the timer while nothing leaves the guest but for that. */
static void cr8_timer(void)
{
    u32 count = irq_timer_ms(1);

    irq_begin();
    cpu_sti();
    for (u32 i = 0; i < 20; i++) {
        cr8_write(15);
        irq_timer_set(APIC_TIMER_ONE_SHOT, count);
        wait_ms(2);
        EXPECT_EQ(irq_count[VECTOR], i);
        cr8_write(0);
        EXPECT(wait_count(&irq_count[VECTOR], i + 1, 100), "does not come when CR8 falls");
    }
}

/* One that waited for CR8 wakes from HLT when CR8 has fallen right before. */
static void cr8_hlt(void)
{
    irq_begin();
    for (u32 i = 0; i < 600; i++) {
        cr8_write(15);
        irq_self(VECTOR);
        cr8_write(0);
        cpu_sti_hlt();
        cpu_cli();
        EXPECT_EQ(irq_count[VECTOR], i + 1);
    }
}

SNIPPET(set_cr8, ARG, "mov %rax, %cr8");

static void cr8_illegal(void)
{
    EXPECT_TRAP(set_cr8, (void *)16, EXC_GP, 0, set_cr8_at);
    EXPECT_EQ(cr8_read(), 0);
    cr8_write(3); /* from now on perhaps the processor's own matter */
    EXPECT_TRAP(set_cr8, (void *)16, EXC_GP, 0, set_cr8_at);
    EXPECT_EQ(cr8_read(), 3);
    cr8_write(0);
}

static const struct check list[] = {
    {"cr8_holds_back", cr8_holds_back, ANYWHERE},
    {"cr8_is_tpr", cr8_is_tpr, ANYWHERE},
    {"cr8_often", cr8_often, ANYWHERE},
    {"cr8_timer", cr8_timer, ANYWHERE},
    {"cr8_hlt", cr8_hlt, ANYWHERE},
    {"cr8_illegal", cr8_illegal, NOT_TCG},
};
CHECK_GROUP(cr8, list);
