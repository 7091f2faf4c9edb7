/* SPDX-License-Identifier: BSD-2-Clause */
/* How a guest ends. */
#ifndef GUESTS_LIB_EXIT_H
#define GUESTS_LIB_EXIT_H

#include "lib/types.h"

#define TESTDEV_EXIT      0xf4
#define TESTDEV_CONSOLE   0xe9
#define TESTDEV_BYTES     0xe0
#define TESTDEV_LINES     0x2000
#define TESTDEV_MMIO      0xff000000ul
#define TESTDEV_MMIO_SIZE 0x10000ul

/*
 * Ends with a status. Prints "exit N", then: with the word "testdev" on the command line through
 * port 0xf4 (skep's testdev, QEMU's isa-debug-exit); else, or if that did nothing, ACPI soft-off,
 * the emulators' own exit ports, and as a last resort a halt for ever.
 */
NORETURN void guest_exit(u32 status);

/* Ends by ACPI soft-off and the emulators' ports, whatever the command line says. */
NORETURN void guest_poweroff(void);

/* Ends by a reset through port 0xcf9. */
NORETURN void guest_reset(void);

#endif
