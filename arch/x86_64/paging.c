/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hypervisor's own page tables. SDM 3, 4.5: four levels of 512 entries, leaves of 4 KiB, 2 MiB
 * and, where the processor has them, 1 GiB.
 */
#include "arch/x86_64/paging.h"
#include "arch/x86_64/cpu.h"
#include "lib/string.h"

#define PTE_P    BIT(0)
#define PTE_W    BIT(1)
#define PTE_PWT  BIT(3)
#define PTE_PCD  BIT(4)
#define PTE_A    BIT(5)
#define PTE_D    BIT(6)
#define PTE_PS   BIT(7)
#define PTE_G    BIT(8)
#define PTE_NX   BIT(63)
#define PTE_ADDR 0x000ffffffffff000ull

#define LEVELS 4

struct page_tables host_pt;

static unsigned level_shift(unsigned level)
{
    return PAGE_SHIFT + 9 * (level - 1);
}

static u64 *entry_of(struct page_tables *pt, hpa_t table, u64 va, unsigned level)
{
    return (u64 *)pt->ptr(table) + (va >> level_shift(level) & 511);
}

static bool has_1g_pages(void)
{
    return cpu_cpuid_max(0x80000000) >= 0x80000001 && (cpu_cpuid(0x80000001, 0).edx & BIT(26));
}

hpa_t paging_max_hpa(void)
{
    unsigned bits = 36;

    if (cpu_cpuid_max(0x80000000) >= 0x80000008)
        bits = cpu_cpuid(0x80000008, 0).eax & 0xff;
    return BIT(MIN(bits, 52u)) - 1;
}

static u64 leaf_bits(u32 flags, unsigned level)
{
    u64 e = PTE_P | PTE_A | PTE_G;

    if (flags & MAP_W)
        e |= PTE_W | PTE_D;
    if (!(flags & MAP_X))
        e |= PTE_NX;
    if (flags & MAP_UC)
        e |= PTE_PCD | PTE_PWT;
    return level > 1 ? e | PTE_PS : e;
}

/* The entry for va at a level, tables above it made as needed; NULL when out of memory. */
static u64 *make_entry(struct page_tables *pt, u64 va, unsigned level, enum err *err)
{
    hpa_t table = pt->root;

    for (unsigned l = LEVELS; l > level; l--) {
        u64 *e = entry_of(pt, table, va, l);

        if (!(*e & PTE_P)) {
            hpa_t page = pt->alloc();

            if (!page) {
                *err = ERR_NOMEM;
                return NULL;
            }
            memset(pt->ptr(page), 0, PAGE_SIZE);
            *e = page | PTE_P | PTE_W | PTE_A;
        } else if (l > 1 && (*e & PTE_PS)) {
            *err = ERR_EXISTS;
            return NULL;
        }
        table = *e & PTE_ADDR;
    }
    return entry_of(pt, table, va, level);
}

/* The level of the largest leaf that starts here and fits. */
static unsigned leaf_level(u64 va, hpa_t hpa, u64 size, unsigned max)
{
    unsigned level = max;

    while (level > 1 &&
           (((va | hpa) & (BIT(level_shift(level)) - 1)) || size < BIT(level_shift(level))))
        level--;
    return level;
}

enum err paging_map(struct page_tables *pt, u64 va, hpa_t hpa, u64 size, u32 flags)
{
    unsigned max = has_1g_pages() ? 3 : 2;

    while (size) {
        unsigned level = leaf_level(va, hpa, size, max);
        enum err err = OK;
        u64 *e = make_entry(pt, va, level, &err), step = BIT(level_shift(level));

        if (!e)
            return err;
        if (*e & PTE_P)
            return ERR_EXISTS;
        *e = hpa | leaf_bits(flags, level);
        va += step;
        hpa += step;
        size -= step;
    }
    return OK;
}

/* The lowest entry on va's way that is a leaf or absent, and its level. */
static u64 *find_entry(struct page_tables *pt, u64 va, unsigned *level)
{
    hpa_t table = pt->root;
    u64 *e;

    for (*level = LEVELS;; --*level) {
        e = entry_of(pt, table, va, *level);
        if (*level == 1 || !(*e & PTE_P) || (*e & PTE_PS))
            return e;
        table = *e & PTE_ADDR;
    }
}

void paging_unmap(struct page_tables *pt, u64 va, u64 size)
{
    for (u64 end = va + size; va != end; va += PAGE_SIZE) {
        unsigned level;
        u64 *e = find_entry(pt, va, &level);

        if (level != 1 || !(*e & PTE_P))
            continue;
        *e = 0;
        cpu_invlpg((void *)va);
    }
}

bool paging_lookup(struct page_tables *pt, u64 va, hpa_t *hpa, u32 *flags)
{
    unsigned level;
    u64 e, offset_mask;

    if (!pt->root)
        return false;
    e = *find_entry(pt, va, &level);
    if (!(e & PTE_P))
        return false;
    offset_mask = BIT(level_shift(level)) - 1;
    *hpa = (e & PTE_ADDR & ~offset_mask) | (va & offset_mask);
    *flags =
        MAP_R | (e & PTE_W ? MAP_W : 0) | (e & PTE_NX ? 0 : MAP_X) | (e & PTE_PCD ? MAP_UC : 0);
    return true;
}

/* CR4 whole, not ORed into what the firmware left: its choices are not ours. */
static u64 cr4_value(void)
{
    u64 cr4 = CR4_PAE | CR4_PGE | CR4_MCE | CR4_DE | CR4_OSFXSR | CR4_OSXMMEXCPT;
    struct cpuid_regs f7 = {0};

    if (cpu_cpuid_max(0) >= 7)
        f7 = cpu_cpuid(7, 0);
    if (f7.ebx & BIT(7))
        cr4 |= CR4_SMEP;
    if (f7.ebx & BIT(20))
        cr4 |= CR4_SMAP;
    if (f7.ecx & BIT(2))
        cr4 |= CR4_UMIP;
    if (cpu_cpuid(1, 0).ecx & BIT(26))
        cr4 |= CR4_OSXSAVE;
    return cr4;
}

void paging_enable(const struct page_tables *pt)
{
    cpu_wrmsr(MSR_EFER, EFER_LME | EFER_LMA | EFER_NXE);
    cpu_write_cr0(CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG);
    /* The tables first: SMEP and PGE must not meet the loader's identity map. */
    cpu_write_cr3(pt->root);
    cpu_write_cr4(cr4_value());
    cpu_wrmsr(MSR_PAT, PAT_RESET);
}
