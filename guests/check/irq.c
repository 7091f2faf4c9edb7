/* SPDX-License-Identifier: BSD-2-Clause */
/* Notes of the interrupts that come. */
#include "guests/check/irq.h"

volatile u32 irq_count[256];
volatile u8 irq_sequence[16];
volatile ulong irq_last_ip;

static u32 sequence_length;

void irq_note(struct trap_frame *f)
{
    irq_count[f->vector]++;
    irq_last_ip = f->ip;
    if (sequence_length < sizeof(irq_sequence))
        irq_sequence[sequence_length++] = (u8)f->vector;
}

void irq_taken(struct trap_frame *f)
{
    irq_note(f);
    apic_eoi();
}

void irq_begin(void)
{
    for (unsigned i = 0; i < 256; i++)
        irq_count[i] = 0;
    sequence_length = 0;
    trap_set(VECTOR, irq_taken);
    trap_set(VECTOR2, irq_taken);
}

void irq_self(u8 vector)
{
    apic_icr(0, ICR_SELF | ICR_ASSERT | vector);
}

void irq_timer_set(u32 mode, u32 initial)
{
    apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_1);
    apic_write(APIC_LVT_TIMER, mode | VECTOR);
    apic_write(APIC_TIMER_INITIAL, initial);
}

u32 irq_timer_ms(u32 ms)
{
    return (u32)(apic_timer_per_mega_tsc() * tsc_khz / 1000000 * ms);
}
