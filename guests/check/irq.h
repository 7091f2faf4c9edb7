/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of interrupts share: handlers that note what comes, and ways to have it come. */
#ifndef GUESTS_CHECK_IRQ_H
#define GUESTS_CHECK_IRQ_H

#include "guests/check/check.h"

/* Two vectors of different classes. */
#define VECTOR  0x60
#define VECTOR2 0x91

/* What came since irq_begin(): how many of each vector, the first of all in order, and where the
 * last came in. */
extern volatile u32 irq_count[256];
extern volatile u8 irq_sequence[16];
extern volatile ulong irq_last_ip;

/* Begins to note; VECTOR and VECTOR2 get irq_taken() as their handler. */
void irq_begin(void);

/* Handlers: one notes and leaves the interrupt in service, the other also sends the EOI. */
void irq_note(struct trap_frame *f);
void irq_taken(struct trap_frame *f);

/* Sends this processor an interrupt. */
void irq_self(u8 vector);

/* Starts the local APIC's timer, divided by 1: mode (APIC_TIMER_...) and count; it raises VECTOR.
 */
void irq_timer_set(u32 mode, u32 initial);

/* Counts of that timer in so many milliseconds; measures, so the timer is stopped. */
u32 irq_timer_ms(u32 ms);

#endif
