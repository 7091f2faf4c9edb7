/* SPDX-License-Identifier: BSD-2-Clause */
/* Turning the machine off, and starting it again. */
#ifndef ARCH_X86_64_POWER_H
#define ARCH_X86_64_POWER_H

#include "lib/types.h"

struct acpi_info;

/* Remembers what the tables say. */
void power_init(const struct acpi_info *acpi);

/*
 * ACPI S5, and the exit ports of the emulators that are found. Halts with a log line where nothing
 * of it works. The console must have been flushed. Any CPU.
 */
NORETURN void machine_poweroff(void);

/* ACPI reset register, port 0xcf9, keyboard controller, triple fault. Likewise. */
NORETURN void machine_reboot(void);

/* Stops this CPU for good. */
NORETURN void machine_halt(void);

#endif
