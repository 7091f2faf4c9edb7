/* SPDX-License-Identifier: BSD-2-Clause */
/* PVH start information. Xen, "x86/HVM direct boot ABI" (docs/misc/pvh, start_info.h). */
#ifndef VMM_LOAD_PVH_H
#define VMM_LOAD_PVH_H

#include "vmm/load/ctx.h"

#define PVH_MAGIC 0x336ec578

/*
 * Puts the modules into memory (all initrds as one, first) and writes a start information of
 * version 1. Returns where.
 */
gpa_t pvh_write_info(struct load_ctx *c);

/*
 * Starts what has no protocol of its own at rip, in 64-bit mode or in flat 32-bit mode: with a
 * start information at EBX (RDI), its magic in EAX and 16 KiB of stack.
 */
void pvh_start(struct load_ctx *c, gpa_t rip, bool is64);

#endif
