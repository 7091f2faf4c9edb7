/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end: for broken invariants of skep's own, never for anything a guest, an image or a person
 * can cause. Prints the reason, registers and a symbolised backtrace on the console (polled), stops
 * all other CPUs, and halts.
 */
#ifndef ARCH_X86_64_PANIC_H
#define ARCH_X86_64_PANIC_H

#include <stdarg.h>
#include "lib/types.h"

struct trap_frame;

NORETURN void panic(const char *fmt, ...) PRINTF(1, 2);

/* With the registers of an exception. */
NORETURN void panic_trap(const struct trap_frame *f, const char *fmt, ...) PRINTF(2, 3);

/* Logs the chain of return addresses that starts at frame pointer rbp, with symbols. Any context.
 */
void backtrace(u64 rip, u64 rbp);

/* "name+0x12" of a text address into buf; "?" where it is none of skep's. */
void symbol_format(u64 addr, char *buf, size_t size);

/* Receives panic's text: must work with interrupts off, locks broken, on any stack. Set by boot. */
void panic_set_sink(void (*sink)(const char *text, size_t len));

/* Whether a CPU has panicked: whoever waits for another CPU gives up. */
bool panic_begun(void);

#endif
