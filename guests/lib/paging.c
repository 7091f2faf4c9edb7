/* SPDX-License-Identifier: BSD-2-Clause */
/* Page tables with 64-bit entries: 4 levels, or PAE's 3 (SDM 3, 4.4 and 4.5). */
#include "guests/lib/paging.h"
#include "guests/lib/trap.h"
#include "lib/string.h"

#define POOL_PAGES        64
#define INDEX(gla, level) ((gla) >> (12 + 9 * ((level)-1)) & 511)

static u64 pool[POOL_PAGES][512] ALIGNED(4096);
static unsigned pool_used;

static u64 *table_new(void)
{
    return pool_used < POOL_PAGES ? pool[pool_used++] : NULL;
}

static bool has_nx(void)
{
    return cpu_has_ext_edx(CPUIDX_EDX_NX);
}

static void nx_on(void)
{
    if (has_nx())
        wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
}

/* 32-bit code starts without paging. */
static void pae_on(void)
{
    u64 *pdpt = table_new();

    for (u64 i = 0; i < 4; i++) {
        u64 *pd = table_new();

        pdpt[i] = (ulong)pd | PTE_P;
        for (u64 j = 0; j < 512; j++)
            pd[j] = (i * 512 + j) * 2 * MIB | PTE_P | PTE_W | PTE_U | PTE_PS;
    }
    for (unsigned j = INDEX(TEST_GLA, 2); j < INDEX(TEST_GLA, 2) + 128; j++)
        ((u64 *)(ulong)(pdpt[3] & PTE_ADDRESS))[j] = 0;
    cr3_write((ulong)pdpt);
    cr4_write(cr4_read() | CR4_PAE);
    cr0_write(cr0_read() | CR0_PG | CR0_WP);
}

void paging_init(void)
{
    nx_on();
    if (GUEST_BITS == 32)
        pae_on();
}

/* The table below an entry: made if absent, and from a large page if that is what is there. */
static u64 *table_below(u64 *entry, unsigned level)
{
    u64 *table;
    u64 old = *entry;

    if ((old & PTE_P) && !(old & PTE_PS))
        return (u64 *)(ulong)(old & PTE_ADDRESS);
    table = table_new();
    memset(table, 0, 4096);
    if (old & PTE_P)
        for (u64 i = 0; i < 512; i++)
            table[i] = (old & ~(level == 2 ? PTE_PS : 0)) + (i << (12 + 9 * (level - 2)));
    *entry = (ulong)table | PTE_P | PTE_W | PTE_U;
    return table;
}

u64 *paging_entry(ulong gla, unsigned level)
{
    unsigned top = GUEST_BITS == 64 ? 4 : 3;
    u64 *table = (u64 *)(cr3_read() & ~(ulong)PAGE_MASK);

    for (unsigned l = top; l > level; l--)
        table = table_below(&table[INDEX(gla, l)], l);
    return &table[INDEX(gla, level)];
}

void paging_map(ulong gla, u64 gpa, u64 flags)
{
    *(volatile u64 *)paging_entry(gla, 1) = flags ? gpa | flags : 0;
    cpu_invlpg((const void *)gla);
}
