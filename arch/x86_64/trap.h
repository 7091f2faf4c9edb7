/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exceptions and interrupts of the hypervisor itself. An exception that no exception-table entry
 * covers is a panic; an interrupt goes to its vector's handler, which runs with interrupts off on
 * the interrupted stack and is followed by the EOI.
 */
#ifndef ARCH_X86_64_TRAP_H
#define ARCH_X86_64_TRAP_H

#include "lib/types.h"

/* Vectors, highest priority last (SDM 3, 10.8.3). */
enum irq_vector {
    VEC_UART = 0x40,     /* console */
    VEC_TIMER = 0xe0,    /* local APIC timer */
    VEC_KICK = 0xf0,     /* ipi_kick: does nothing but interrupt */
    VEC_SPURIOUS = 0xff, /* no EOI */
};

/* What the exceptions' stubs push; also what a panic prints. */
struct trap_frame {
    u64 r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    u64 vector, error;
    u64 rip, cs, rflags, rsp, ss;
};
ASSERT_SIZE(struct trap_frame, 22 * 8);

/* Fills the one IDT. Once, on the boot CPU, before anything can fault. */
void trap_init(void);

/* Loads the IDT on this CPU. */
void trap_load(void);

/*
 * fn runs for each interrupt with this vector (32 or above), on whichever CPU takes it; NULL takes
 * it away. A vector without a handler is logged and acknowledged.
 */
void irq_set_handler(unsigned vector, void (*fn)(void));

/* As if an NMI had come: for those that a world switch consumed. */
static inline void trap_raise_nmi(void)
{
    __asm__ volatile("int $2" : : : "memory");
}

/* Likewise a machine check. */
static inline void trap_raise_machine_check(void)
{
    __asm__ volatile("int $18" : : : "memory");
}

/* "#GP" for 13, "?" where there is none. */
const char *trap_name(unsigned vector);

#endif
