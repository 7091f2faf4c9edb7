/* SPDX-License-Identifier: BSD-2-Clause */
/* Included before vmm/sched.c: race.c and fair.c say what a CPU is and does. */
#ifndef TESTS_SCHED_CPU_H
#define TESTS_SCHED_CPU_H

#include <pthread.h>
#include <sched.h>

/* Who waits lets the others on. The name is skep's from here on. */
void race_pause(void);
#define __builtin_ia32_pause() race_pause()
static inline void let_others(void)
{
    sched_yield();
}
#define sched_yield skep_sched_yield

#define this_cpu  this_real_cpu
#define cpu_idle  real_cpu_idle
#define cpu_rdtsc real_cpu_rdtsc
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/percpu.h"
#undef this_cpu
#undef cpu_idle
#undef cpu_rdtsc

struct percpu *this_cpu(void);
void cpu_idle(void);
u64 cpu_rdtsc(void);

#endif
