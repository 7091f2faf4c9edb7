/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The register states in which boot protocols start a kernel, as data, and what must stand in
 * guest memory for them: a GDT, a TSS, page tables. Those lie in the reserved area below 1 MiB,
 * so no kernel that trusts its memory map overwrites them before it has its own.
 */
#ifndef VMM_LOAD_REGS_H
#define VMM_LOAD_REGS_H

#include "vmm/load/ctx.h"

#define REGS_CS 0x10 /* flat code, as Linux's protocol names it (__BOOT_CS) */
#define REGS_DS 0x18 /* flat data (__BOOT_DS) */
#define REGS_TR 0x20

/*
 * Flat 32-bit protected mode, no paging, interrupts off; GDT and a busy 32-bit TSS in memory.
 * All of c->state but rip, gpr and the description is set (gpr to 0).
 */
void regs_prot32(struct load_ctx *c);

/* 64-bit mode; the first 4 GiB mapped to themselves by 2 MiB pages, writable and executable. */
void regs_long64(struct load_ctx *c);

/*
 * 64-bit mode as FreeBSD's loader leaves it: every gigabyte of the address space maps the first
 * one of memory, by 2 MiB pages; system calls enabled.
 */
void regs_freebsd64(struct load_ctx *c);

/* Code in the reserved area that does nothing, forever: where a kernel may "return" to. */
#define REGS_HALT_GPA 0xd0200

#endif
