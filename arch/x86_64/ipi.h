/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts from CPU to CPU. SDM 3, 10.6. Vectors: enum irq_vector in trap.h. */
#ifndef ARCH_X86_64_IPI_H
#define ARCH_X86_64_IPI_H

#include "lib/types.h"
#include "arch/x86_64/trap.h"

/* Interrupts CPU cpu (may be the calling one). Returns once the local APIC has accepted it. */
void ipi_send(unsigned cpu, unsigned vector);

/* Makes CPU cpu leave its guest or its HLT. */
static inline void ipi_kick(unsigned cpu)
{
    ipi_send(cpu, VEC_KICK);
}

/* An NMI to every CPU but this one. */
void ipi_nmi_others(void);

#endif
