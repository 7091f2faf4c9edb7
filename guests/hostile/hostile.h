/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hostile32, hostile64: what a guest must never get away with. One word of the command line picks
 * one deed. A deed that returns has been survived: status 0. Some cannot end but by the guest's
 * own death; a few never end at all, unless a second processor ends them (status 42).
 */
#ifndef GUESTS_HOSTILE_HOSTILE_H
#define GUESTS_HOSTILE_HOSTILE_H

#include "guests/lib/apic.h"
#include "guests/lib/boot.h"
#include "guests/lib/console.h"
#include "guests/lib/exit.h"
#include "guests/lib/paging.h"
#include "guests/lib/pit.h"
#include "guests/lib/smp.h"
#include "guests/lib/snippet.h"
#include "guests/lib/trap.h"

#define STATUS_WATCHDOG 42

/* What ends a deed. */
enum ending {
    RETURNS,  /* status 0 */
    DIES,     /* a triple fault: the VM ends as reset or is stopped */
    LOOPS,    /* for ever, or until the watchdog's status 42 with two processors or more */
    ANYTHING, /* one of these: nothing but this guest may suffer */
};

struct deed {
    const char *word;
    void (*fn)(void);
    enum ending ending;
};

struct deed_list {
    const struct deed *deeds;
    unsigned count;
};

/* A number that depends on seed=N of the command line alone. */
u64 random_u64(void);

/* Runs fn(arg), whatever exception it ends in; the vector, or -1. */
int dare(void (*fn)(void *), void *arg);

/* The same with an interrupt in so many milliseconds that ends it; vector 0x40 then. */
int dare_for(u32 ms, void (*fn)(void *), void *arg);

#define DARE_VECTOR 0x40

/* Starts the watchdog on the second processor, if there is one. */
void watchdog(void);

extern u8 scratch[4][4096];
extern u64 tsc_khz;

extern const struct deed_list deeds_registers, deeds_memory, deeds_loops, deeds_fuzz, deeds_mode;

#define SNIPPET(name, code)                                                                        \
    void name(void *arg);                                                                          \
    asm(".pushsection .text\n" #name ":\n" code "\nret\n.popsection\n")

#endif
