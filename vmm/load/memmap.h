/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory map that guests are told, in the terms of INT 15h E820, which all the boot protocols
 * share. ACPI 6.4, 15 (System Address Map Interfaces).
 */
#ifndef VMM_LOAD_MEMMAP_H
#define VMM_LOAD_MEMMAP_H

#include "lib/types.h"

#define MEMMAP_MAX 8

/*
 * The entries for a guest with mem bytes, sorted and disjoint, every `stride` bytes of raw: address
 * (8 bytes), length (8), type (4: 1 is RAM, 2 reserved). What lies between is left as it is.
 * Returns how many there are.
 */
unsigned memmap_make(u64 mem, u8 *raw, unsigned stride);

/* KiB of RAM below 640 KiB, and from 1 MiB to the first hole: what old protocols tell. */
u32 memmap_lower_kib(void);
u32 memmap_upper_kib(u64 mem);

#endif
