/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hypervisor mappings beyond the fixed ones: device registers, and short looks at any physical
 * memory. Boot CPU while starting, or under the caller's own lock.
 */
#ifndef MM_KMAP_H
#define MM_KMAP_H

#include "lib/types.h"
#include "arch/x86_64/layout.h"

enum kmap_cache { KMAP_UC, KMAP_WB };

/*
 * Maps size bytes of device memory at hpa (neither need be page-aligned), never executable; NULL
 * when out of room or memory. Mappings stay for good.
 */
void *kmap_device(hpa_t hpa, size_t size, enum kmap_cache cache);

/* Copies from physical memory that need not be in the direct map. False: beyond the processor. */
bool kmap_read(hpa_t hpa, void *buf, size_t len);

/* The direct map, both ways. hva_of: RAM only. hpa_of: direct map or image. */
static inline void *hva_of(hpa_t hpa)
{
    return direct_ptr(hpa);
}

static inline hpa_t hpa_of(const void *hva)
{
    return direct_hpa(hva);
}

#endif
