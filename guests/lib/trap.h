/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptor tables, exceptions and interrupts of a guest (SDM 3, chapters 3, 6, 7).
 *
 * An exception that nobody expects prints a report and ends the guest with status 254. A test
 * expects one by trap_try(); an interrupt handler is set by trap_set() or, for timed paths, as a
 * bare entry point by trap_set_raw().
 */
#ifndef GUESTS_LIB_TRAP_H
#define GUESTS_LIB_TRAP_H

#include "guests/lib/cpu.h"

#define SEL_CODE   0x08
#define SEL_DATA   0x10
#define SEL_UCODE  0x1b /* CPL 3 */
#define SEL_UDATA  0x23
#define SEL_CODE32 0x28 /* 32-bit code at CPL 0 in both flavours */
#define SEL_SPARE  0x30 /* free for a test: gdt_set() */
#define SEL_TSS    0x40 /* of CPU 0; 16 bytes a CPU */

#define MAX_GUEST_CPUS         16
#define VECTOR_USER_EXIT       0x7f /* INT that ends trap_try_user()'s function */
#define STATUS_UNEXPECTED_TRAP 254

/* General registers in a frame, by their ModRM number: 8 in 32-bit code. */
#define FRAME_GPRS (sizeof(ulong) == 8 ? 16 : 8)

/* What the entry stubs leave on the stack. sp and ss are absent in 32-bit frames from CPL 0. */
struct trap_frame {
#ifdef __x86_64__
    ulong gpr[16]; /* in enum gpr's order; RSP's slot is unused */
#else
    ulong es, ds;
    ulong gpr[8];
#endif
    ulong vector;
    ulong error;
    ulong ip;
    ulong cs;
    ulong flags;
    ulong sp;
    ulong ss;
};

typedef void (*trap_fn)(struct trap_frame *frame);

/* How a function ended that trap_try() ran. */
struct trap {
    int vector; /* -1: it returned */
    ulong error;
    ulong ip;
    ulong flags;
    ulong cr2;
    u16 cs;
};

/* Loads GDT, TSS and IDT of this CPU. CPU 0 first; each other CPU for itself. */
void trap_init(unsigned cpu);

/* This CPU's number (from its TSS selector). */
unsigned cpu_number(void);

/* Sets the handler of a vector on all CPUs; NULL: none (unexpected). */
void trap_set(u8 vector, trap_fn fn);

/* Points a vector straight at an entry point of the caller's own, which ends in IRET. */
void trap_set_raw(u8 vector, void (*entry)(void));

/* Undoes trap_set_raw(). */
void trap_set_stub(u8 vector);

/*
 * Runs fn(arg) and returns whether it ended in an exception (or in INT of a vector that has no
 * handler), described in *t. Whatever it pushed is dropped; flags are restored.
 */
bool trap_try(struct trap *t, void (*fn)(void *), void *arg);

/* The same at CPL 3 with IOPL 0; fn returning counts as no trap. */
bool trap_try_user(struct trap *t, void (*fn)(void *), void *arg);

/* Each returns the vector that it ended in, or -1 when it worked. */
int rdmsr_try(u32 msr, u64 *value);
int wrmsr_try(u32 msr, u64 value);
int xsetbv_try(u32 reg, u64 value);

/* Writes a raw descriptor into the GDT (SEL_SPARE). */
void gdt_set(u16 sel, u64 descriptor);

/* Sets DPL of a vector's gate (INT n from CPL 3). */
void idt_set_dpl(u8 vector, unsigned dpl);

/* Makes a vector's gate not present; trap_set_stub() repairs it. */
void idt_break(u8 vector);

/* Ends the IDT behind a vector, until idt_reload(). */
void idt_limit(u8 last_vector);

/* For a null IDT and other nasty things. */
void idt_load(const void *base, u16 limit);
void idt_reload(void);

/* Called by the entry stubs. */
void trap_dispatch(struct trap_frame *frame);

#endif
