/* SPDX-License-Identifier: BSD-2-Clause */
/* From console= to a serial line that works, in three steps as the machine comes up. Boot CPU. */
#ifndef BOOT_SERIAL_H
#define BOOT_SERIAL_H

#include "arch/x86_64/acpi.h"
#include "vmm/config.h"

/* At once: opens a port; or has what is logged wait until the line is found. c stays. */
void serial_open(const struct config *c);
/* With the tables read: finds what the word names; with a sentence, COM1 if it is not there. */
void serial_find(const struct acpi_reader *r, const struct acpi_info *acpi);
/* With the interrupt controllers ready: its interrupt, else a timer that looks. */
void serial_connect(void);

#endif
