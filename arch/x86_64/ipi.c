/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts from CPU to CPU. SDM 3, 10.6.1. */
#include "arch/x86_64/ipi.h"
#include "arch/x86_64/lapic.h"
#include "arch/x86_64/percpu.h"

#define ICR_ASSERT     BIT(14)
#define ICR_NMI        0x400
#define ICR_ALL_OTHERS (BIT(18) | BIT(19))

void ipi_send(unsigned cpu, unsigned vector)
{
    lapic_icr((u32)(ICR_ASSERT | vector), cpu_of(cpu)->apic_id);
}

void ipi_nmi_others(void)
{
    if (cpu_count() > 1)
        lapic_icr(ICR_ASSERT | ICR_NMI | ICR_ALL_OTHERS, 0);
}
