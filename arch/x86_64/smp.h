/* SPDX-License-Identifier: BSD-2-Clause */
/* Starting the other processors. SDM 3, 8.4 (INIT-SIPI-SIPI). */
#ifndef ARCH_X86_64_SMP_H
#define ARCH_X86_64_SMP_H

#include "lib/types.h"

struct acpi_info;

/*
 * Starts every processor that acpi lists and this is not, one after the other, and returns once
 * each runs or has been given up with a log line. tramp is a free page below 1 MiB. Each new CPU,
 * with its own percpu, stack, GDT, IDT, local APIC, timer and FPU set up and interrupts off, calls
 * entry, which does not return. cpu_count() counts those that run. Boot CPU, once.
 */
void smp_start(const struct acpi_info *acpi, hpa_t tramp, void (*entry)(void));

#endif
