/* SPDX-License-Identifier: BSD-2-Clause */
/* The boot information of Multiboot 2. Multiboot2 Specification 2.0, 3.6. */
#ifndef VMM_LOAD_MULTIBOOT2_H
#define VMM_LOAD_MULTIBOOT2_H

#include "vmm/load/mbcommon.h"

/* Whether information tags of this type can be had. */
bool mb2_has_info(u32 type);

/* Places and writes the information; returns where. relocatable: with the load base address. */
gpa_t mb2_write_info(struct load_ctx *c, const struct mb_kernel *k, const struct mb_module *m,
                     bool relocatable);

#endif
