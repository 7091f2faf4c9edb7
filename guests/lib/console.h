/* SPDX-License-Identifier: BSD-2-Clause */
/* The console: COM1, polled by its line status. Never print inside a timed region. */
#ifndef GUESTS_LIB_CONSOLE_H
#define GUESTS_LIB_CONSOLE_H

#include "lib/types.h"

#define COM1 0x3f8

/* Programs the UART: 115200 baud, 8N1, FIFOs on, no interrupts. */
void console_init(void);

/* Formatted output; "\n" goes out as CR LF. Safe on every CPU: one line at a time. */
void print(const char *fmt, ...) PRINTF(1, 2);

/* Waits for a byte. */
u8 console_getc(void);

/* Waits until everything has left the transmitter (LSR bit 6). */
void console_drain(void);

#endif
