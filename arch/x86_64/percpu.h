/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What each CPU has to itself: found through GS base, which never changes once a CPU runs. Numbers
 * run from 0 (the boot CPU) to cpu_count() - 1 without gaps.
 */
#ifndef ARCH_X86_64_PERCPU_H
#define ARCH_X86_64_PERCPU_H

#include "lib/types.h"
#include "arch/x86_64/gdt.h"
#include "arch/x86_64/layout.h"

#define MAX_CPUS 64

struct timer;

struct percpu {
    struct percpu *self; /* at GS:0 */
    u32 id;
    u32 apic_id;
    u64 stack_top;        /* of the one stack; 16-byte aligned */
    void *sched;          /* owned by vmm */
    void *hvm;            /* owned by the back end */
    struct timer *timers; /* armed timers, earliest first (timer.c) */
    u64 timer_hw_ns;      /* what the local APIC timer is set to; 0: off (timer.c) */
    u32 irq_depth;        /* interrupt handlers running on this CPU, NMIs not counted */
    u32 nmis;             /* NMIs that nobody claimed */
    struct gdt gdt;
    struct tss tss;
};

/* The calling CPU's own. Valid from the first C function on. */
static inline struct percpu *this_cpu(void)
{
    struct percpu *p;

    __asm__("mov %%gs:0, %0" : "=r"(p));
    return p;
}

/* CPUs that run; grows during smp_start() only. */
unsigned cpu_count(void);

/* CPU id's area; id < cpu_count(). */
struct percpu *cpu_of(unsigned id);

#endif
