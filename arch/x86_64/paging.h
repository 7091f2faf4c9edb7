/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hypervisor's own page tables: 4-level, shared by all CPUs (SDM 3, 4.5). Table pages come from
 * a function that is handed in, so that the same code serves before and after the frame allocator.
 */
#ifndef ARCH_X86_64_PAGING_H
#define ARCH_X86_64_PAGING_H

#include "lib/types.h"

/* How a page is mapped. */
#define MAP_R  0u
#define MAP_W  BIT(1)
#define MAP_X  BIT(2) /* never together with MAP_W */
#define MAP_UC BIT(3) /* uncached, for device registers; write-back otherwise */

struct page_tables {
    hpa_t root;
    hpa_t (*alloc)(void);      /* a page, not zeroed; 0: none left */
    void *(*ptr)(hpa_t table); /* how to reach a table page now */
};

extern struct page_tables host_pt;

/*
 * Maps size bytes (multiples of 4 KiB) with the largest pages that fit. ERR_NOMEM; ERR_EXISTS if
 * something is mapped there already. Callers serialise.
 */
enum err paging_map(struct page_tables *pt, u64 va, hpa_t hpa, u64 size, u32 flags);

/* Removes 4 KiB mappings and invalidates them on this CPU; absent ones are skipped. */
void paging_unmap(struct page_tables *pt, u64 va, u64 size);

/* The physical address and the flags behind va; false if not mapped. */
bool paging_lookup(struct page_tables *pt, u64 va, hpa_t *hpa, u32 *flags);

/* The highest physical address the processor has. */
hpa_t paging_max_hpa(void);

/* This CPU: NXE, WP, PGE, SMEP, SMAP, UMIP and machine checks on, PAT at reset value, CR3 = root.
 */
void paging_enable(const struct page_tables *pt);

#endif
