/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory map that guests are told, in the terms of INT 15h E820, which all the boot protocols
 * share. ACPI 6.4, 15 (System Address Map Interfaces).
 */
#ifndef VMM_LOAD_MEMMAP_H
#define VMM_LOAD_MEMMAP_H

#include "lib/types.h"

enum memmap_type { MEMMAP_RAM = 1, MEMMAP_RESERVED = 2 };

struct memmap_entry {
    gpa_t gpa;
    u64 len;
    enum memmap_type type;
};

#define MEMMAP_MAX 8

/* Fills e, sorted and disjoint, for a guest with mem bytes; returns how many. */
unsigned memmap_make(u64 mem, struct memmap_entry e[MEMMAP_MAX]);

/* KiB of RAM below 640 KiB, and from 1 MiB to the first hole: what old protocols tell. */
u32 memmap_lower_kib(void);
u32 memmap_upper_kib(u64 mem);

#endif
