/* SPDX-License-Identifier: BSD-2-Clause */
/* Hypervisor mappings beyond the fixed ones, on the device window of arch/x86_64. */
#include "mm/kmap.h"
#include "arch/x86_64/devmap.h"
#include "arch/x86_64/paging.h"

void *kmap_device(hpa_t hpa, size_t size, enum kmap_cache cache)
{
    return devmap_add(hpa, size, cache == KMAP_UC ? MAP_UC : 0);
}

bool kmap_read(hpa_t hpa, void *buf, size_t len)
{
    return devmap_read(hpa, buf, len);
}
