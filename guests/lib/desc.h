/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Gates and TSS, whose layout depends on the mode: desc32.c and desc64.c, of which a guest links
 * one (SDM 3, 6.11, 6.14.1, 7.2).
 */
#ifndef GUESTS_LIB_DESC_H
#define GUESTS_LIB_DESC_H

#include "guests/lib/trap.h"

struct desc_pointer {
    u16 limit;
    ulong base;
} PACKED;

#define GDT_ENTRIES (SEL_TSS / 8 + 2 * MAX_GUEST_CPUS)

extern u64 gdt[GDT_ENTRIES];

/* Descriptor values of the flavour: 64-bit or 32-bit code. */
extern const u64 desc_kernel_code, desc_user_code;

/* Writes gate `vector` of the IDT: interrupt gate, DPL 0. */
void desc_gate(u8 vector, void (*entry)(void));
void desc_gate_dpl(u8 vector, unsigned dpl);
void desc_gate_absent(u8 vector);

/* The IDT's base and limit. */
struct desc_pointer desc_idt(void);

/* Sets up the TSS of a CPU and its GDT descriptor. */
void desc_tss(unsigned cpu);

/* Context of trap_try(): callee-saved registers, stack, flags, return address. */
struct trap_context {
    ulong regs[10];
};

/* Like setjmp and longjmp, flags and data segments included. */
int trap_save(struct trap_context *c) __attribute__((returns_twice));
NORETURN void trap_restore(const struct trap_context *c);

/* IRET to CPL 3: calls fn(arg) on the stack, behind it INT VECTOR_USER_EXIT. */
NORETURN void trap_to_user(void (*fn)(void *), void *arg, void *stack_top);

/* The 256 entry stubs, 16 bytes each. */
extern u8 trap_stubs[];

#endif
