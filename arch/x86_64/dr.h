/* SPDX-License-Identifier: BSD-2-Clause */
/* The breakpoint addresses DR0 to DR3, by number, and all four at once (SDM 3, 17.2.1). */
#ifndef ARCH_X86_64_DR_H
#define ARCH_X86_64_DR_H

#include "lib/types.h"

u64 dr_read(unsigned n);
void dr_write(unsigned n, u64 value);

void dr_save(u64 dr[4]);
void dr_load(const u64 dr[4]);

#endif
