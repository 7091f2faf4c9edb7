/* SPDX-License-Identifier: BSD-2-Clause */
/* PVH start information. Xen, "x86/HVM direct boot ABI" (docs/misc/pvh, start_info.h). */
#ifndef VMM_LOAD_PVH_H
#define VMM_LOAD_PVH_H

#include "vmm/load/ctx.h"

#define PVH_MAGIC 0x336ec578

/*
 * Puts the modules into memory (all initrds as one, first) and writes a start information of
 * version 1; *info is where.
 */
enum err pvh_write_info(struct load_ctx *c, gpa_t *info);

#endif
