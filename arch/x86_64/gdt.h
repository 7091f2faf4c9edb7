/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Segments of the hypervisor: flat 64-bit code and data, one TSS a CPU for its IST stacks. SDM 3,
 * 3.4 and 7.7.
 */
#ifndef ARCH_X86_64_GDT_H
#define ARCH_X86_64_GDT_H

#include "lib/types.h"

/* Selectors. DS, ES, FS and SS hold 0 or SEL_DATA: none of their contents matter in long mode. */
#define SEL_CODE 0x08
#define SEL_DATA 0x10
#define SEL_TSS  0x18

/* Interrupt stack table slots. */
#define IST_NMI 1
#define IST_DF  2
#define IST_MC  3

struct tss {
    u32 reserved0;
    u64 rsp[3];
    u64 reserved1;
    u64 ist[7]; /* ist[n - 1] is slot n */
    u64 reserved2;
    u16 reserved3;
    u16 iomap;
} PACKED;
ASSERT_SIZE(struct tss, 104);
ASSERT_OFFSET(struct tss, ist, 36);

struct gdt {
    u64 entry[5]; /* null, code, data, TSS (two) */
};

struct percpu;

/* Loads this CPU's GDT and TSS, which lie in its struct percpu, and all segment registers. */
void gdt_load(struct percpu *cpu);

#endif
