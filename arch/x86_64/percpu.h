/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What each CPU has to itself: found through GS base, which never changes once a CPU runs. Numbers
 * run from 0 (the boot CPU) to cpu_count() - 1 without gaps.
 *
 * A CPU's area at PERCPU_BASE + n * PERCPU_STRIDE has its one stack, with struct percpu above the
 * stack's start, and the stacks of NMI, double fault and machine check. Below each is a page that
 * is not mapped.
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
    u32 timer_count;      /* how many those are */
    u64 timer_hw_ns;      /* when the local APIC timer is set to fire; 0: it is off (timer.c) */
    bool timer_deadline;  /* it takes TSC values (timer.c) */
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

/* Points GS base at an area of the image, for the boot CPU until it has one of its own. */
void percpu_early(void);

/*
 * Makes the area of CPU id out of fresh frames (host_pt.alloc): stacks mapped, struct percpu filled
 * in. NULL when out of memory.
 */
struct percpu *percpu_make(unsigned id, u32 apic_id);

/* Takes the calling CPU over to its area: GS base, GDT, TSS. Its stack is the caller's affair. */
void percpu_enter(struct percpu *cpu);

/* CPU id, made before, runs: from now on cpu_of() and cpu_count() know it. */
void percpu_online(unsigned id);

#endif
