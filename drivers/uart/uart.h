/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The physical 16550 that is skep's console. Polled until uart_irq_on(); from then on output goes
 * through a ring that the transmit interrupt empties, and input through a callback.
 */
#ifndef DRIVERS_UART_UART_H
#define DRIVERS_UART_UART_H

#include "lib/types.h"

/* 8N1 at that rate, FIFO on, interrupts off. False: nothing answers at the port. */
bool uart_init(u16 port, u32 baud);

/*
 * Queues text as it is ("\n" alone becomes "\r\n"). Any CPU. Never waits longer than one FIFO takes
 * to drain: what a full ring cannot take is thrown away and counted. Before uart_irq_on() it waits.
 */
void uart_write(const char *buf, size_t len);

/* How much uart_write could take now without losing any. */
size_t uart_room(void);

/* Writes at once, polled, taking no lock: for panics. */
void uart_write_polled(const char *buf, size_t len);

/* Waits until all that was written has left the transmitter. */
void uart_flush(void);

/* fn receives bytes as they come, from the interrupt on the boot CPU (or uart_poll). */
void uart_set_receiver(void (*fn)(const u8 *buf, size_t len));

/* From here on the interrupt works: the line is routed to uart_interrupt. */
void uart_irq_on(void);
void uart_interrupt(void);

/* Does what the interrupt would, for machines without one: call it now and then. */
void uart_poll(void);

/* The ISA interrupt of a port: 4 for COM1 and COM3, 3 for COM2 and COM4, -1 for others. */
int uart_isa_irq(u16 port);

#endif
