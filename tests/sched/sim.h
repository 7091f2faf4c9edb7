/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPUs and guests in simulated time, scheduled by vmm/sched.c: each CPU is a context in which
 * sched_loop() runs, time passes only in guests and in halted CPUs, and nothing depends on chance.
 * One machine a process.
 */
#ifndef TESTS_SCHED_SIM_H
#define TESTS_SCHED_SIM_H

#include "vmm/vcpu.h"
#include "vmm/vm.h"

enum { SIM_CPUS = 8, SIM_GUESTS = 16 };

#define MS      1000000ull
#define ALL     UINT64_MAX
#define FOREVER 1000000000000000ull /* too long to come to its end */

/* A VM of one vCPU that runs whenever it may, or runs and sleeps by turns. */
struct guest {
    struct vcpu v;
    struct vm vm;
    struct config_vm config;
    u64 run_ns, sleep_ns; /* it runs so long and then sleeps so long; 0: it never sleeps */
    u64 left_ns;          /* until it sleeps */
    u64 wake_ns;          /* asleep until then; 0: it is awake */
    u64 had_ns;           /* what it was given since sim_measure(), */
    u64 last_ns, wait_ns; /* when that was last, and the longest time without while awake */
    unsigned moves;
    const void *home;
};

extern struct guest guests[SIM_GUESTS];
extern unsigned ncpus, nguests;

/* A machine of so many CPUs. */
void sim_machine(unsigned cpus);
/* A guest more: it never sleeps. */
struct guest *sim_add(u32 weight, u64 cpus);
void sim_run(u64 ms);
/* sched_look_around(), after a change of a guest's words. */
void sim_look_around(void);
/* Counts had_ns, wait_ns and moves over so long. */
void sim_measure(u64 ms);
/*
 * What share of a CPU would be fair for each guest: all shares are raised together, in proportion
 * to weight, each until the guest has what it asks for, or none of the CPUs that it may use has
 * time left for it.
 */
void sim_fair_shares(double *share);

#endif
