/* SPDX-License-Identifier: BSD-2-Clause */
/* The other processors: started by INIT-SIPI-SIPI (SDM 3, 8.4.4), then given functions to run. */
#ifndef GUESTS_LIB_SMP_H
#define GUESTS_LIB_SMP_H

#include "guests/lib/cpu.h"

/*
 * Starts all processors that the MADT names, once. Returns how many run, this one included.
 * Needs the local APIC enabled.
 */
unsigned smp_start(void);

/* Local APIC ID of a CPU. */
u32 smp_apic_id(unsigned cpu);

/* Has a CPU run fn(arg) with interrupts off; returns at once. One at a time a CPU. */
void smp_call(unsigned cpu, void (*fn)(void *), void *arg);

/* Waits until what smp_call() began has ended. */
void smp_wait(unsigned cpu);

/* Waits at most that many TSC ticks; whether it has ended. */
bool smp_wait_for(unsigned cpu, u64 ticks);

/* Sends INIT and SIPI to a CPU again and waits for it to come up; false if it did not. */
bool smp_restart(unsigned cpu);

/* CR0 as the processor that started last had it first. */
extern volatile u32 smp_ap_cr0;

/* Entry from the trampoline. */
NORETURN void smp_ap_start(ulong cpu);

#endif
