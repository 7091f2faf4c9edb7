/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The serial port that the firmware's tables describe: SPCR (Serial Port Console Redirection
 * Table) or, without one, the first serial port of DBG2 (Debug Port Table 2). Pure.
 */
#ifndef ARCH_X86_64_ACPI_UART_H
#define ARCH_X86_64_ACPI_UART_H

#include "arch/x86_64/acpi.h"

struct acpi_uart {
    struct acpi_reg reg; /* the first register */
    u8 stride; /* bytes from one register to the next, which is how wide each is: 1, 2, 4 */
    u32 baud;  /* 0: as the firmware has set it */
    u32 clock; /* the rate at divisor 1; 0: the table does not say */
    int irq;   /* ISA interrupt; -1 */
    s64 gsi;   /* or global system interrupt; -1 */
};

/* False: there is none, or none that is a 16550 at an address that can be used. */
bool acpi_find_uart(const struct acpi_reader *r, const struct acpi_info *info,
                    struct acpi_uart *out);

#endif
