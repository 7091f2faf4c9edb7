/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The page walk when nothing is the matter, inline: fetches take it at every emulated instruction.
 * walk.c has all the rest of it.
 */
#ifndef VMM_EMUL_WALK_QUICK_H
#define VMM_EMUL_WALK_QUICK_H

#include "vmm/emul/walk.h"

#define PTE_P  BIT(0)
#define PTE_W  BIT(1)
#define PTE_U  BIT(2)
#define PTE_A  BIT(5)
#define PTE_D  BIT(6)
#define PTE_PS BIT(7)
#define PTE_NX BIT(63)

#define ADDR_MASK 0x000ffffffffff000ull /* bits 12 to 51 */

static inline void walk_release(const struct walk *w, void *p, gpa_t gpa, bool write)
{
    if (w->mem->release)
        w->mem->release(w->ctx, p, gpa, write);
}

/* The entry at gpa; 0, which is not present, if there is no memory. */
static ALWAYS_INLINE u64 walk_entry(const struct walk *w, gpa_t gpa, struct walk_trace *trace)
{
    const u64 *p = w->mem->hold(w->ctx, gpa, 8, false);
    u64 e;

    if (unlikely(!p))
        return 0;
    e = __atomic_load_n(p, __ATOMIC_RELAXED);
    walk_release(w, (void *)(uintptr_t)p, gpa, false);
    if (trace) {
        trace->at[trace->levels] = p;
        trace->value[trace->levels++] = e;
    }
    return e;
}

/*
 * The walk that nearly every access takes: 4 or 5 levels, everything present, allowed, and accessed
 * or dirty already. False: walk_64 finds out what is the matter, from the root.
 */
static ALWAYS_INLINE bool walk_quick(const struct walk *w, gla_t gla, u32 access,
                                     struct walk_out *out, struct walk_trace *trace)
{
    u64 e, acc = ~0ull, stop, need; /* acc: conjunction of the entries, with NX inverted */
    unsigned shift = 9 * w->levels; /* of the index, times 8 */
    gpa_t table = w->root;

    if (unlikely(w->mode < WALK_4LEVEL))
        return false;
    for (;;) {
        e = walk_entry(w, table + (gla >> shift & 0xff8), trace);
        acc &= e ^ PTE_NX;
        if (shift == 9 || unlikely((e & w->stop) != PTE_P))
            break;
        table = e & ADDR_MASK;
        shift -= 9;
    }
    stop = w->stop & ~PTE_PS;
    if (shift != 9) {
        if (shift > 27 || (shift == 27 && !w->pages_1g))
            return false;
        stop |= (8ull << shift) - 0x2000; /* address bits below the page, but PAT's */
    }
    if (unlikely((e & stop) != PTE_P))
        return false;

    need = PTE_A | (access & (WALK_WRITE | WALK_USER));
    if (access & WALK_FETCH)
        need |= PTE_NX;
    if ((acc & need) != need || ((access & WALK_WRITE) && !(e & PTE_D)))
        return false;
    if (unlikely(w->cr4 & (CR4_SMEP | CR4_SMAP | CR4_PKE)) &&
        (access & WALK_USER ? w->cr4 & CR4_PKE : acc & PTE_U))
        return false;
    out->page_size = 8ull << shift;
    out->gpa = (e & ADDR_MASK & ~(out->page_size - 1)) | (gla & (out->page_size - 1));
    return true;
}

#endif
