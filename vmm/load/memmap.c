/* SPDX-License-Identifier: BSD-2-Clause */
/* The guests' memory map, made of the constants of vmm/platform.h. */
#include "vmm/load/memmap.h"

#include "vmm/load/ctx.h"

enum { RAM = 1, RESERVED = 2 };

unsigned memmap_make(u64 mem, u8 *raw, unsigned stride)
{
    const struct {
        gpa_t gpa;
        u64 len;
        u32 type;
    } map[MEMMAP_MAX] = {
        {0, PLAT_EBDA_BASE, RAM},
        {PLAT_EBDA_BASE, PLAT_VGA_BASE - PLAT_EBDA_BASE, RESERVED},
        {PLAT_SHADOW_BASE, PLAT_HIGH_RAM - PLAT_SHADOW_BASE, RESERVED},
        {PLAT_HIGH_RAM, plat_low_mem(mem) - PLAT_HIGH_RAM, RAM},
        {PLAT_IOAPIC_BASE, PLAT_IOAPIC_SIZE, RESERVED},
        {PLAT_LAPIC_BASE, PLAT_LAPIC_SIZE, RESERVED},
        {PLAT_IDENTITY_BASE, PLAT_IDENTITY_SIZE, RESERVED},
        {PLAT_HIGH_BASE, plat_high_mem(mem), RAM},
    };
    unsigned n = plat_high_mem(mem) ? MEMMAP_MAX : MEMMAP_MAX - 1;

    for (unsigned i = 0; i < n; i++, raw += stride) {
        put64(raw, map[i].gpa);
        put64(raw + 8, map[i].len);
        put32(raw + 16, map[i].type);
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
