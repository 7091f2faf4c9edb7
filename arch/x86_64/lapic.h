/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The physical local APIC, in x2APIC mode where the processor has it, else through its page. SDM 3,
 * chapter 10. Every function acts on the calling CPU's.
 */
#ifndef ARCH_X86_64_LAPIC_H
#define ARCH_X86_64_LAPIC_H

#include "lib/types.h"

/* Finds the mode and maps the page; boot CPU, before lapic_init(). False: there is no local APIC.
 */
bool lapic_setup(void);

/* Enables this CPU's local APIC: spurious vector, all local interrupts masked but NMI. */
void lapic_init(void);

bool lapic_x2apic(void);
u32 lapic_id(void);
void lapic_eoi(void);

/* Sends an interrupt command (SDM 3, 10.6.1): low is the low half of ICR, dest an APIC ID. */
void lapic_icr(u32 low, u32 dest);

/* One-shot timer: fires VEC_TIMER after count ticks of clock_lapic_hz(); 0 stops it. */
void lapic_timer_set(u32 count);
/* TSC-deadline mode: fires at that TSC value; 0 stops it. */
void lapic_timer_deadline(u64 tsc);
/* Chooses between the two, and unmasks the timer. */
void lapic_timer_mode(bool deadline);
bool lapic_has_deadline(void);
/* Whether the timer has fired and its interrupt waits to be taken. */
bool lapic_timer_pending(void);
/* The current count of the one-shot timer. */
u32 lapic_timer_count(void);

#endif
