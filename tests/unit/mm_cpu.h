/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A processor's nested page walk, written from the manuals alone (SDM 3, 28.3.2 and 28.3.3; APM 2,
 * 5.4 and 15.25): what the hardware would make of a table in memory. It knows nothing of skep's
 * software bits. Reserved bits are checked at every level.
 */
#ifndef TESTS_UNIT_MM_CPU_H
#define TESTS_UNIT_MM_CPU_H

#include "lib/types.h"

enum cpu_kind { CPU_EPT_AD, CPU_EPT, CPU_NPT };

struct cpu {
    enum cpu_kind kind;
    uintptr_t hva_base;
    unsigned phys_bits;
    bool page_2m, page_1g, exec_only;
};

enum cpu_result { CPU_OK, CPU_FAULT, CPU_MISCONFIGURED };

struct cpu_walk {
    hpa_t hpa;
    unsigned level; /* of the leaf: 1, 2, 3 */
    unsigned type;  /* EPT memory type; NPT: PAT index */
    bool ipat;
    bool present; /* of a fault: a right was missing, not the page */
    bool dirtied; /* the leaf's dirty bit is set now, and was not before */
};

#define CPU_R 1u
#define CPU_W 2u
#define CPU_X 4u

static u64 cpu_bits(unsigned high, unsigned low)
{
    return (~0ull >> (63 - high)) & (~0ull << low);
}

static bool cpu_ept_reserved(const struct cpu *c, u64 e, unsigned level, bool leaf)
{
    u64 reserved = cpu_bits(51, c->phys_bits);
    unsigned type = e >> 3 & 7;

    if (level == 4)
        reserved |= cpu_bits(7, 3);
    else if (!leaf)
        reserved |= cpu_bits(6, 3);
    if (leaf && level == 3)
        reserved |= cpu_bits(29, 12);
    if (leaf && level == 2)
        reserved |= cpu_bits(20, 12);
    if (leaf && ((level == 3 && !c->page_1g) || (level == 2 && !c->page_2m)))
        return true;
    if ((e & 3) == 2 || ((e & 7) == 4 && !c->exec_only))
        return true;
    if (leaf && (type == 2 || type == 3 || type == 7))
        return true;
    return e & reserved;
}

static bool cpu_npt_reserved(const struct cpu *c, u64 e, unsigned level, bool leaf)
{
    u64 reserved = cpu_bits(51, c->phys_bits);

    if (level == 4)
        reserved |= BIT(7);
    if (leaf && level == 3)
        reserved |= cpu_bits(29, 13);
    if (leaf && level == 2)
        reserved |= cpu_bits(20, 13);
    if (leaf && level == 3 && !c->page_1g)
        return true;
    return e & reserved;
}

/*
 * One access to gpa. CPU_OK sets the accessed and dirty bits that the hardware sets. CPU_FAULT is
 * an EPT violation or a nested page fault.
 */
static __attribute__((unused)) enum cpu_result
cpu_access(const struct cpu *c, hpa_t root, gpa_t gpa, unsigned access, struct cpu_walk *out)
{
    u64 *path[5], *table = (u64 *)(root + c->hva_base);
    unsigned level = 4, rights = CPU_R | CPU_W | CPU_X;
    bool npt = c->kind == CPU_NPT, leaf = false;
    u64 e = 0;

    *out = (struct cpu_walk){0};
    for (;; level--) {
        path[level] = &table[gpa >> (12 + 9 * (level - 1)) & 511];
        e = __atomic_load_n(path[level], __ATOMIC_ACQUIRE);
        if (npt ? !(e & 1) : !(e & 7))
            return CPU_FAULT;
        leaf = level == 1 || (level < 4 && e & BIT(7));
        if (npt ? cpu_npt_reserved(c, e, level, leaf) : cpu_ept_reserved(c, e, level, leaf))
            return CPU_MISCONFIGURED;
        if (npt)
            /* Every nested access is a user access. */
            rights &= e & 4 ? CPU_R | (e & 2 ? CPU_W : 0) | (e & BIT(63) ? 0 : CPU_X) : 0;
        else
            rights &= (unsigned)(e & 7);
        if (leaf)
            break;
        table = (u64 *)((e & cpu_bits(51, 12)) + c->hva_base);
    }
    out->present = true;
    if (access & ~rights)
        return CPU_FAULT;
    for (unsigned l = 4; l >= level && c->kind != CPU_EPT; l--) {
        u64 set = npt ? BIT(5) : BIT(8);

        if (l == level && access & CPU_W)
            set |= npt ? BIT(6) : BIT(9);
        out->dirtied = set & BIT(npt ? 6 : 9) & ~__atomic_fetch_or(path[l], set, __ATOMIC_SEQ_CST);
    }
    out->level = level;
    out->hpa =
        (e & cpu_bits(51, 12 + 9 * (level - 1))) | (gpa & (cpu_bits(12 + 9 * (level - 1), 0) >> 1));
    out->type = npt ? (unsigned)(e >> 3 & 3) : (unsigned)(e >> 3 & 7);
    if (npt && e & (level == 1 ? BIT(7) : BIT(12)))
        out->type |= 4;
    out->ipat = !npt && e & BIT(6);
    return CPU_OK;
}

#endif
