/* SPDX-License-Identifier: BSD-2-Clause */
/* For threads that stand for CPUs but are more than these: a spin gives the processor away. */
#ifndef TESTS_MM_YIELD_H
#define TESTS_MM_YIELD_H

#include <sched.h>

#define __builtin_ia32_pause() ((void)sched_yield())

#endif
