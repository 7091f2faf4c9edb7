/* SPDX-License-Identifier: BSD-2-Clause */
/* The guests' memory map, made of the constants of vmm/platform.h. */
#include "vmm/load/memmap.h"

#include "vmm/platform.h"

static void add(struct memmap_entry *e, unsigned *n, gpa_t gpa, u64 len, enum memmap_type type)
{
    e[(*n)++] = (struct memmap_entry){gpa, len, type};
}

unsigned memmap_make(u64 mem, struct memmap_entry e[MEMMAP_MAX])
{
    unsigned n = 0;

    add(e, &n, 0, PLAT_EBDA_BASE, MEMMAP_RAM);
    add(e, &n, PLAT_EBDA_BASE, PLAT_VGA_BASE - PLAT_EBDA_BASE, MEMMAP_RESERVED);
    add(e, &n, PLAT_SHADOW_BASE, PLAT_HIGH_RAM - PLAT_SHADOW_BASE, MEMMAP_RESERVED);
    add(e, &n, PLAT_HIGH_RAM, plat_low_mem(mem) - PLAT_HIGH_RAM, MEMMAP_RAM);
    add(e, &n, PLAT_IOAPIC_BASE, PLAT_IOAPIC_SIZE, MEMMAP_RESERVED);
    add(e, &n, PLAT_LAPIC_BASE, PLAT_LAPIC_SIZE, MEMMAP_RESERVED);
    add(e, &n, PLAT_IDENTITY_BASE, PLAT_IDENTITY_SIZE, MEMMAP_RESERVED);
    if (plat_high_mem(mem))
        add(e, &n, PLAT_HIGH_BASE, plat_high_mem(mem), MEMMAP_RAM);
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
