/* SPDX-License-Identifier: BSD-2-Clause */
/* The device window: handed out once, from its start; the first page is for short looks. */
#include "arch/x86_64/devmap.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/paging.h"
#include "lib/string.h"

static u64 devmap_next = DEVICE_BASE + PAGE_SIZE;

void *devmap_add(hpa_t hpa, size_t size, u32 flags)
{
    u64 skip = hpa & PAGE_MASK, va = devmap_next, span;

    if (!size || size > DEVICE_SIZE || hpa + size < hpa)
        return NULL;
    span = ALIGN_UP(skip + size, PAGE_SIZE);
    if (va + span > DEVICE_BASE + DEVICE_SIZE)
        return NULL;
    if (paging_map(&host_pt, va, hpa - skip, span, MAP_W | (flags & MAP_UC)) != OK)
        return NULL;
    devmap_next = va + span;
    return (void *)(va + skip);
}

/* At most up to the end of hpa's page. */
static bool read_page(hpa_t hpa, void *buf, size_t len)
{
    hpa_t page = ALIGN_DOWN(hpa, PAGE_SIZE);
    hpa_t behind;
    u32 flags;

    if (hpa < DIRECT_SIZE && paging_lookup(&host_pt, DIRECT_BASE + hpa, &behind, &flags)) {
        memcpy(buf, direct_ptr(hpa), len);
        return true;
    }
    if (paging_map(&host_pt, DEVICE_BASE, page, PAGE_SIZE, MAP_R) != OK)
        return false;
    memcpy(buf, (const u8 *)DEVICE_BASE + (hpa - page), len);
    paging_unmap(&host_pt, DEVICE_BASE, PAGE_SIZE);
    return true;
}

bool devmap_read(hpa_t hpa, void *buf, size_t len)
{
    u8 *to = buf;

    while (len) {
        size_t n = MIN(len, PAGE_SIZE - (hpa & PAGE_MASK));

        if (hpa > paging_max_hpa() || !read_page(hpa, to, n))
            return false;
        hpa += n;
        to += n;
        len -= n;
    }
    return true;
}
