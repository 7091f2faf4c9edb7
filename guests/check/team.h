/* SPDX-License-Identifier: BSD-2-Clause */
/* All other processors at one function each, for the tests of several processors. */
#ifndef GUESTS_CHECK_TEAM_H
#define GUESTS_CHECK_TEAM_H

#include "guests/check/check.h"
#include "guests/lib/smp.h"

#define TEAM_WAIT_MS 2000

/* How many processors there are, this one, number 0, included. */
extern unsigned team_cpus;

/* The functions that run until they are told to stop look here. */
extern volatile bool team_stop;

/*
 * All other processors run fn, with interrupts off; false (and a skip) on a machine of one. _ready:
 * fn says team_ready() once; waits for that, and fails the test if it does not come.
 */
bool team_begin(void (*fn)(void *));
bool team_begin_ready(void (*fn)(void *));

/* Says that this processor is ready; waits until n have said so since team_begin(). */
void team_ready(void);
bool team_wait_ready(u32 n);

/* Waits with interrupts on until *p is at least n; false: not within TEAM_WAIT_MS. */
bool team_wait(const volatile u32 *p, u32 n);

/* Stops them, also in HLT, and waits until all have come back; fails the test otherwise. */
void team_end(void);

#endif
