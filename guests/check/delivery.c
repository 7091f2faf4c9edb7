/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Delivery of interrupts while something else happens in the machine below: they stay out where
 * interrupts are off, and arrive once and whole where memory has to be found for them (SDM 3,
 * 6.8.1, 6.14; with help of the processor for local APICs, 29.2). Bochs 2.7 fails both by itself
 * where skep has it deliver interrupts (apic=virtual): docs/interrupts.md.
 */
#include "guests/check/irq.h"

#define ROUNDS 50

SNIPPET(raise_ud, "", "ud2");
/* Lets interrupts in with the stack that the argument points behind. */
SNIPPET(let_in_on,
        ARG "push " REG(bx) "\n mov " REG(sp) ", " REG(bx) "\n mov " REG(ax) ", " REG(sp),
        "sti\n nop\n cli\n mov " REG(bx) ", " REG(sp) "\n pop " REG(bx));

static volatile u32 count;

static void on_vector(struct trap_frame *f)
{
    (void)f;
    count++;
    apic_eoi();
}

/* With the processor's help for local APICs this leaves no guest, nor does what follows it. */
static void request(void)
{
    count = 0;
    mmio_write32(APIC_MMIO + APIC_ICR, ICR_SELF | ICR_ASSERT | VECTOR);
}

/* A timer that interrupts nobody but, where there is one, the hypervisor: every 50 us. */
static void disturb(void)
{
    u32 counts = irq_timer_ms(1) / 20;

    irq_timer_set(APIC_TIMER_PERIODIC | APIC_LVT_MASKED, counts);
}

static void irq_stays_out(void)
{
    trap_set(VECTOR, on_vector);
    disturb();
    for (unsigned i = 0; i < ROUNDS; i++) {
        u64 start;

        asm volatile("sti\n nop\n cli" : : : "memory");
        request();
        for (start = rdtsc(); rdtsc() - start < tsc_khz / 10;) /* without PAUSE: no exits */
            barrier();
        EXPECT(count == 0, "interrupts were off, and %u came in round %u", count, i);
        EXPECT(wait_count(&count, 1, 100), "never came");
        EXPECT_EQ(count, 1);
    }
}

static void on_vector_slowly(struct trap_frame *f)
{
    for (volatile unsigned i = 0; i < 2000; i++)
        ;
    on_vector(f);
}

/*
 * One request is one run of its handler, however long that takes. QEMU 7.2 delivers an interrupt
 * that VMRUN injects a second time, whether interrupts are on or not, if its own loop is left by
 * anything but an exit of the guest before the first one is.
 */
static void irq_once(void)
{
    trap_set(VECTOR, on_vector_slowly);
    disturb();
    for (unsigned i = 0; i < 20 * ROUNDS; i++) {
        request();
        asm volatile("sti\n nop\n cli" : : : "memory");
        EXPECT(count == 1, "%u times in round %u", count, i);
    }
}

/* The frame goes to a page never touched before; the event before it was another. */
static void irq_to_new_memory(void)
{
    ulong stack = boot_take_memory(ROUNDS * 4096, 4096);

    REQUIRE(stack, "no memory left");
    trap_set(VECTOR, on_vector);
    for (unsigned i = 0; i < ROUNDS; i++) {
        EXPECT_TRAP(raise_ud, NULL, EXC_UD, 0, raise_ud_at);
        stack += 4096;
        request();
        EXPECT_TRAP(let_in_on, (void *)stack, -1, 0, NULL);
        EXPECT_EQ(count, 1);
    }
}

static const struct check list[] = {
    {"irq_stays_out", irq_stays_out, ANYWHERE},
    {"irq_once", irq_once, ANYWHERE},
    {"irq_to_new_memory", irq_to_new_memory, ANYWHERE},
};
CHECK_GROUP(delivery, list);
