/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The physical 16550 that is skep's console (National Semiconductor PC16550D), at ports or in
 * memory. Polled until uart_irq_on(); from then on output goes through a ring that the transmit
 * interrupt empties, and input through a callback. Every function may be called on any CPU, with
 * interrupts off.
 */
#ifndef DRIVERS_UART_UART_H
#define DRIVERS_UART_UART_H

#include "lib/types.h"

/* Where one is. */
struct uart_place {
    u16 port;            /* the first of its eight, if mmio is NULL */
    volatile void *mmio; /* its first register, mapped uncached */
    u8 stride;           /* bytes between registers there, which is how wide each is: 1, 2, 4 */
    u32 clock;           /* bits a second at divisor 1; 0: 115200 */
};

/*
 * 8N1 at that rate (0: as it is set already), FIFO on, interrupts off. cts: output waits while the
 * other end holds CTS off. False: nothing answers there.
 */
bool uart_open(const struct uart_place *at, u32 baud, bool cts);
/* There will be one, once it has been found: until then what is written is kept. */
void uart_await(void);

/*
 * The PCI serial card (class 07h, 00h, 16550-compatible) that is the n-th in the order of bus,
 * device and function, n from 1, its first BAR set by the firmware: turns its decoding on. hpa: of
 * its registers if they are in memory, else 0, and *port is set; line: the ISA interrupt that the
 * firmware wrote down. False: there are not so many.
 */
bool uart_find_pci(unsigned n, u16 *port, hpa_t *hpa, u8 *line);

/*
 * Queues bytes as they are and returns how many were taken; never waits. For the consoles of
 * guests, which keep the rest and try again: no more than about 1 KiB of theirs (90 ms at 115200
 * baud) stands before what skep has to say.
 */
size_t uart_write(const char *buf, size_t len);

/* How long the line takes for a byte, in nanoseconds. */
u32 uart_byte_ns(void);

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
/* False: the chip had no reason to interrupt. */
bool uart_interrupt(void);
/* Until then, and flushed: whether the chip asserts its interrupt, as a test of that line. */
void uart_assert(bool on);

/*
 * Does what the interrupt would: for machines without one, every few milliseconds; and for an
 * interrupt that was lost. On the boot CPU.
 */
void uart_poll(void);

/*
 * Whether input is taken. While it is not, the other end is asked to stop (RTS), and what it sends
 * all the same waits in the FIFO, or is lost if that is full.
 */
void uart_want_input(bool want);

/* Bytes that came before the last ones were read, and were lost. */
u64 uart_overruns(void);

/* The ISA interrupt of a port: 4 for COM1 and COM3, 3 for COM2 and COM4, -1 for others. */
int uart_isa_irq(u16 port);

#endif
