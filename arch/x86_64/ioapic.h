/* SPDX-License-Identifier: BSD-2-Clause */
/* The physical I/O APICs and the pair of PICs they replace. Boot CPU only, while starting. */
#ifndef ARCH_X86_64_IOAPIC_H
#define ARCH_X86_64_IOAPIC_H

#include "lib/types.h"

struct acpi_info;

/*
 * Masks both PICs and every input of every I/O APIC that acpi lists. Where the tables list none,
 * looks for one at the usual address (0xfec00000).
 */
void ioapic_init(const struct acpi_info *acpi);

/*
 * Sends an ISA interrupt, by the tables' overrides, to the boot CPU as vector. False: there is no
 * I/O APIC that serves it, and the device must be polled.
 */
bool ioapic_route_isa(unsigned irq, unsigned vector);

/* Likewise a global system interrupt, with its trigger and polarity, to the CPU with that APIC ID.
 */
bool ioapic_route(u32 gsi, unsigned vector, u32 apic_id, bool level, bool low);

void ioapic_mask(u32 gsi);

#endif
