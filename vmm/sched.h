/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which vCPU runs where. Each physical CPU has a list of the vCPUs at home on it, runs the one that
 * has work and has had least time, by its VM's weight, a slice at most while others wait, and halts
 * when none has work. One that slept is not owed more than a slice.
 *
 * A home gives a vCPU away, to a CPU that its VM may use, when it may not have it itself (any
 * more), and, if there is still somebody who waits a slice after somebody did, when that CPU is
 * halted, or those at home there have had more: so shares are fair over all CPUs.
 */
#ifndef VMM_SCHED_H
#define VMM_SCHED_H

#include "lib/types.h"

struct vcpu;

#define SCHED_SLICE_NS 10000000ull /* what a vCPU may run while another one waits */

/*
 * Prepares this CPU; each CPU once, before sched_loop or any other call that concerns it.
 * runs_guests: its virtualisation extension is on, so it may be given vCPUs.
 */
void sched_init_cpu(bool runs_guests);

/* The CPU's life: never returns. Interrupts off. */
NORETURN void sched_loop(void);

/*
 * fn is called from the boot CPU's loop, no lock held, soon after sched_poke: for work that an
 * interrupt found but cannot do itself (console input).
 */
void sched_set_hook(void (*fn)(void));
/* Any CPU, any context but an NMI. */
void sched_poke(void);

/* The vCPU that runs here waits for another one: others go first. From an exit handler. */
void sched_yield(void);

/*
 * v, loaded here, has nothing to do: halts the CPU until an interrupt, unless v has a request by
 * now. False: others have to be seen to first. Interrupts off.
 */
bool sched_wait(struct vcpu *v);

/* TSC cycles that a CPU has been halted for, about. Any CPU. */
u64 sched_halted_tsc(u32 cpu);

/* Puts the state of whichever vCPU is on this CPU away, so that another can be loaded by hand. */
void sched_put_away(void);
/* Has v, which is at home here, loaded. From this CPU's loop. */
void sched_load(struct vcpu *v);

/*
 * The allowed CPU (a bit each) with the fewest vCPUs, counting the new one from now on. If none of
 * those allowed can run guests, any that can.
 */
u32 sched_place(u64 allowed);
/* Takes such a choice back, for a vCPU that will not be added. */
void sched_unplace(u32 cpu);
/* Gives v, which is at home nowhere, to that CPU, which starts to run it. Any CPU. */
void sched_add(struct vcpu *v, u32 cpu);
/* A VM may use other CPUs from now on: each CPU gives away what it may not have. Any CPU. */
void sched_look_around(void);

#endif
