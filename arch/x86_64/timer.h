/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One queue of one-shot timers a CPU, served by its local APIC timer (TSC deadline where there is
 * one). A timer belongs to the CPU that armed it: arm and cancel on that CPU, interrupts off.
 */
#ifndef ARCH_X86_64_TIMER_H
#define ARCH_X86_64_TIMER_H

#include "lib/types.h"

struct timer {
    void (*fn)(struct timer *t); /* set by the owner; called disarmed, may arm t again */
    u64 deadline_ns;             /* set by timer_arm() */
    struct timer *next;
    struct timer **link; /* NULL: not armed */
};

/* Calls t->fn from VEC_TIMER at clock_ns() >= deadline_ns; arming again moves the deadline. */
void timer_arm(struct timer *t, u64 deadline_ns);

/* Nothing happens if it is not armed. */
void timer_cancel(struct timer *t);

/* Sets this CPU's local APIC timer up. Each CPU once, after lapic_init() and clock_init(). */
void timer_init(void);

#endif
