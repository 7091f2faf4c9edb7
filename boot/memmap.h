/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Maps of physical memory as a list of ranges: the firmware's, with holes, unsorted and overlapping
 * entries, and what becomes of it once what is in use has been taken out. Pure.
 */
#ifndef BOOT_MEMMAP_H
#define BOOT_MEMMAP_H

#include "lib/types.h"

#define MEMMAP_MAX 192

/* As in the ACPI specification (6.5, table 15.6), then skep's own. */
enum mem_type {
    MEM_NONE = 0,
    MEM_USABLE = 1,
    MEM_RESERVED = 2,
    MEM_ACPI = 3, /* reclaimable tables */
    MEM_NVS = 4,
    MEM_BAD = 5,
    MEM_IMAGE, /* skep itself */
    MEM_BOOT,  /* loader's structures and modules */
};

struct mem_range {
    u64 base, size;
    u32 type; /* enum mem_type */
};

struct memmap {
    u32 count;
    bool overflow; /* entries did not fit */
    struct mem_range r[MEMMAP_MAX];
};

/* Appends a range; empty ones are dropped, the end is cut off at 2^64. */
void memmap_add(struct memmap *m, u64 base, u64 size, u32 type);

/*
 * Makes a map that is sorted, free of overlaps and page-aligned: where ranges overlap the
 * higher-numbered type wins, so that usable memory is what nobody else claims; usable ranges shrink
 * to whole pages, others grow. Neighbours of one type become one. The last page below 2^64 is left
 * out. A map that overflows lacks usable memory, never the other kinds' claims on it.
 */
void memmap_normalise(const struct memmap *given, struct memmap *out);

/*
 * Gives the pages of a range another type, if that is higher, in a normalised map, which stays
 * normalised.
 */
void memmap_mark(struct memmap *m, u64 base, u64 size, u32 type);

/* Bytes of that type; the end of the last range of that type. */
u64 memmap_total(const struct memmap *m, u32 type);
u64 memmap_end(const struct memmap *m, u32 type);

/*
 * The highest page-aligned room of size bytes (page multiple) within one usable range, inside
 * min..max; 0 if there is none.
 */
u64 memmap_find(const struct memmap *m, u64 size, u64 min, u64 max);

#endif
