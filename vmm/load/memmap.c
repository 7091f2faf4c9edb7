/* SPDX-License-Identifier: BSD-2-Clause */
/* The guests' memory map, made of the constants of vmm/platform.h. */
#include "vmm/load/memmap.h"

#include "vmm/load/ctx.h"

enum { RAM = 1, RESERVED = 2 };

#define KIB_OF(bytes) (u32)((bytes) / KIB)

unsigned memmap_make(u64 mem, u8 *raw, unsigned stride)
{
    static const struct {
        u32 gpa_kib, kib; /* 0: as much as the guest has there */
    } map[MEMMAP_MAX] = {
        {0, KIB_OF(PLAT_EBDA_BASE)},
        {KIB_OF(PLAT_EBDA_BASE), KIB_OF(PLAT_VGA_BASE - PLAT_EBDA_BASE)},
        {KIB_OF(PLAT_SHADOW_BASE), KIB_OF(PLAT_HIGH_RAM - PLAT_SHADOW_BASE)},
        {KIB_OF(PLAT_HIGH_RAM), 0},
        {KIB_OF(PLAT_IOAPIC_BASE), KIB_OF(PLAT_IOAPIC_SIZE)},
        {KIB_OF(PLAT_LAPIC_BASE), KIB_OF(PLAT_LAPIC_SIZE)},
        {KIB_OF(PLAT_IDENTITY_BASE), KIB_OF(PLAT_IDENTITY_SIZE)},
        {KIB_OF(PLAT_HIGH_BASE), 0},
    };
    unsigned n = plat_high_mem(mem) ? MEMMAP_MAX : MEMMAP_MAX - 1;

    for (unsigned i = 0; i < n; i++, raw += stride) {
        u64 kib = map[i].kib;

        if (!kib)
            kib = i == MEMMAP_MAX - 1 ? plat_high_mem(mem) / KIB : memmap_upper_kib(mem);
        put64(raw, map[i].gpa_kib * KIB);
        put64(raw + 8, kib * KIB);
        put32(raw + 16, !i || !map[i].kib ? RAM : RESERVED);
    }
    return n;
}

u32 memmap_lower_kib(void)
{
    return PLAT_EBDA_BASE >> 10;
}

u32 memmap_upper_kib(u64 mem)
{
    return (u32)((plat_low_mem(mem) - PLAT_HIGH_RAM) >> 10);
}
