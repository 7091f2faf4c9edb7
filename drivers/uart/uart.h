/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The physical 16550 that is skep's console (National Semiconductor PC16550D). Polled until
 * uart_irq_on(); from then on output goes through a ring that the transmit interrupt empties, and
 * input through a callback. Every function may be called on any CPU, with interrupts off.
 */
#ifndef DRIVERS_UART_UART_H
#define DRIVERS_UART_UART_H

#include "lib/types.h"

/* 8N1 at that rate, FIFO on, interrupts off. False: nothing answers at the port. */
bool uart_init(u16 port, u32 baud);

/*
 * Queues bytes as they are and returns how many were taken; never waits. For the consoles of
 * guests, which keep the rest and try again: no more than about 1 KiB of theirs (90 ms at 115200
 * baud) stands before what skep has to say.
 */
size_t uart_write(const char *buf, size_t len);

/* Whether anything waits in the ring. */
bool uart_busy(void);

/* How many bytes uart_write would take now. */
size_t uart_room(void);

/*
 * Writes a text of skep's own, "\n" as "\r\n". Before uart_irq_on() or uart_poll() it returns with
 * everything sent; afterwards it never waits: 31 KiB are kept until the line has taken them, and a
 * mark tells what was lost beyond that.
 */
void uart_write_text(const char *text, size_t len);

/* Writes at once, polled, taking no lock, "\n" as "\r\n": for panics. */
void uart_write_polled(const char *text, size_t len);

/* Waits until all that was written has left the transmitter. */
void uart_flush(void);

/* fn receives bytes as they come, from the interrupt on the boot CPU (or uart_poll). */
void uart_set_receiver(void (*fn)(const u8 *buf, size_t len));

/* From here on the interrupt works: its line has been routed to uart_interrupt. */
void uart_irq_on(void);
void uart_interrupt(void);

/*
 * Does what the interrupt would: for machines without one, every few milliseconds; and for an
 * interrupt that was lost. On the boot CPU.
 */
void uart_poll(void);

/* Asks the other end to send on, or to stop (RTS), for as far as it heeds that. */
void uart_want_input(bool want);

/* Bytes that came before the last ones were read, and were lost. */
u64 uart_overruns(void);

/* The ISA interrupt of a port: 4 for COM1 and COM3, 3 for COM2 and COM4, -1 for others. */
int uart_isa_irq(u16 port);

#endif
