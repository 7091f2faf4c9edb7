/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's page walk. Intel SDM volume 3, sections 4.1 to 4.8; AMD APM volume 2, chapter 5.
 *
 * One walker serves both entry widths: a level is a shift, an index mask and the bits that must be
 * clear. Rights are collected on the way down as the conjunction of the entries, and accessed and
 * dirty bits are set only once the access is known to be allowed.
 */
#include "vmm/emul/walk_quick.h"

#define RESTARTS 64

/* One level's entry as the walk met it. */
struct step {
    gpa_t gpa;
    u64 entry;
};

enum walk_mode walk_mode_of(u64 cr0, u64 cr4, u64 efer)
{
    if (!(cr0 & CR0_PG))
        return WALK_FLAT;
    if (!(cr4 & CR4_PAE))
        return WALK_32BIT;
    if (!(efer & EFER_LMA))
        return WALK_PAE;
    return cr4 & CR4_LA57 ? WALK_5LEVEL : WALK_4LEVEL;
}

const char *walk_mode_name(enum walk_mode mode)
{
    static const char *const names[] = {"flat", "32-bit", "PAE", "4-level", "5-level"};

    return mode < ARRAY_SIZE(names) ? names[mode] : "?";
}

void walk_init(struct walk *w)
{
    u64 beyond = ~(BIT(w->maxphyaddr) - 1) & ADDR_MASK;

    w->mode = (u8)walk_mode_of(w->cr0, w->cr4, w->efer);
    w->reserved = beyond | (w->efer & EFER_NXE ? 0 : PTE_NX);
    switch (w->mode) {
    case WALK_32BIT:
        w->levels = 2;
        w->root = w->cr3 & 0xfffff000;
        w->reserved = 0;
        break;
    case WALK_PAE:
        w->levels = 3;
        w->root = w->cr3 & 0xffffffe0;
        w->reserved |= 0x7ff0000000000000ull; /* bits 52 to 62 too */
        break;
    case WALK_4LEVEL:
        w->levels = 4;
        w->root = w->cr3 & ADDR_MASK & ~beyond;
        break;
    case WALK_5LEVEL:
        w->levels = 5;
        w->root = w->cr3 & ADDR_MASK & ~beyond;
        break;
    }
    w->stop = w->reserved | PTE_P | PTE_PS;
}

static inline bool read_entry(const struct walk *w, struct step *s, unsigned size)
{
    void *p = w->mem->hold(w->ctx, s->gpa, size, false);

    if (unlikely(!p))
        return false;
    s->entry = size == 4 ? __atomic_load_n((u32 *)p, __ATOMIC_RELAXED)
                         : __atomic_load_n((u64 *)p, __ATOMIC_RELAXED);
    walk_release(w, p, s->gpa, false);
    return true;
}

/* Sets bits in an entry, in its own width, if it still is what the walk saw. */
static enum walk_result set_bits(const struct walk *w, struct step *s, u64 bits, unsigned size)
{
    void *p;
    bool same;

    if (!(bits & ~s->entry))
        return WALK_OK;
    p = w->mem->hold(w->ctx, s->gpa, size, true);
    if (!p)
        return WALK_OK; /* tables in ROM: nothing can be recorded there, as on hardware */
    if (size == 4) {
        u32 old = (u32)s->entry;

        same = __atomic_compare_exchange_n((u32 *)p, &old, old | (u32)bits, false, __ATOMIC_SEQ_CST,
                                           __ATOMIC_RELAXED);
    } else {
        u64 old = s->entry;

        same = __atomic_compare_exchange_n((u64 *)p, &old, old | bits, false, __ATOMIC_SEQ_CST,
                                           __ATOMIC_RELAXED);
    }
    walk_release(w, p, s->gpa, true);
    return same ? WALK_OK : WALK_RETRY;
}

/* Error code of a fault in this mode: U and W as the access was, I only where fetches are told. */
static enum walk_result fault(const struct walk *w, u32 access, u32 error, struct walk_out *out)
{
    out->error = error | (access & (PF_W | PF_U));
    if ((access & WALK_FETCH) &&
        ((w->cr4 & CR4_SMEP) || ((w->efer & EFER_NXE) && w->mode != WALK_32BIT)))
        out->error |= PF_I;
    return WALK_FAULT;
}

/* Whether a data access to a page with this protection key is denied (SDM 3, 4.6.2). */
static bool key_denies(const struct walk *w, u32 access, u64 leaf)
{
    u32 rights = w->pkru >> (2 * (leaf >> 59 & 15));

    if (rights & 1)
        return true;
    return (rights & 2) && (access & WALK_WRITE) && ((access & WALK_USER) || (w->cr0 & CR0_WP));
}

/* rights: conjunction of all entries for P, W, U; and of the complements for NX. */
static u32 denied(const struct walk *w, u32 access, u64 rights, bool nx, u64 leaf)
{
    bool user_page = rights & PTE_U;

    if (access & WALK_USER) {
        if (!user_page || ((access & WALK_WRITE) && !(rights & PTE_W)))
            return PF_P;
    } else {
        if ((access & WALK_WRITE) && !(rights & PTE_W) && (w->cr0 & CR0_WP))
            return PF_P;
        if (user_page && (access & WALK_FETCH) && (w->cr4 & CR4_SMEP))
            return PF_P;
        if (user_page && !(access & WALK_FETCH) && (w->cr4 & CR4_SMAP) &&
            ((access & WALK_SYSTEM) || !(w->rflags & FLAG_AC)))
            return PF_P;
    }
    if ((access & WALK_FETCH) && nx)
        return PF_P;
    if (user_page && (w->cr4 & CR4_PKE) && w->mode >= WALK_4LEVEL && !(access & WALK_FETCH) &&
        key_denies(w, access, leaf))
        return PF_P | PF_PK;
    return 0;
}

/* Accessed bits from the root down, the dirty bit with the leaf's (SDM 3, 4.8). */
static enum walk_result record(const struct walk *w, struct step *s, unsigned n, u32 access,
                               unsigned size)
{
    u64 leaf_bits = access & WALK_WRITE ? PTE_A | PTE_D : PTE_A;

    for (unsigned i = 0; i < n; i++) {
        enum walk_result r = set_bits(w, &s[i], i == n - 1 ? leaf_bits : PTE_A, size);

        if (r != WALK_OK)
            return r;
    }
    return WALK_OK;
}

/* The leaf is found: rights, then accessed and dirty bits, then the address. */
static inline enum walk_result finish(const struct walk *w, struct step *s, unsigned n, u32 access,
                                      u64 rights, bool nx, unsigned size, struct walk_out *out)
{
    u64 leaf = s[n - 1].entry;
    u32 why;

    if (access & WALK_PEEK)
        return WALK_OK;
    why = denied(w, access, rights, nx, leaf);
    if (unlikely(why))
        return fault(w, access, why, out);
    if (unlikely(!(rights & PTE_A) || ((access & WALK_WRITE) && !(leaf & PTE_D)))) {
        enum walk_result r = record(w, s, n, access, size);

        if (r != WALK_OK)
            return r;
    }
    return WALK_OK;
}

/* 32-bit paging (SDM 3, 4.3), 4 MiB pages with PSE-36 included. */
static enum walk_result walk_32(const struct walk *w, u32 gla, u32 access, struct walk_out *out)
{
    struct step s[2];
    u64 rights, pde;

    s[0].gpa = w->root + (gla >> 22) * 4;
    if (!read_entry(w, &s[0], 4)) {
        out->gpa = s[0].gpa;
        return WALK_NOT_RAM;
    }
    pde = s[0].entry;
    if (!(pde & PTE_P))
        return fault(w, access, 0, out);
    if ((pde & PTE_PS) && (w->cr4 & CR4_PSE)) {
        /* Bits 13 to 20 are address bits 32 to 39; 21, and those beyond MAXPHYADDR, reserved. */
        u64 high = (pde >> 13 & 0xff) << 32;

        if ((pde & BIT(21)) || (high >> MIN(w->maxphyaddr, 40)))
            return fault(w, access, PF_P | PF_RSVD, out);
        out->gpa = high | (pde & 0xffc00000) | (gla & 0x3fffff);
        out->page_size = 4 * MIB;
        return finish(w, s, 1, access, pde, false, 4, out);
    }
    s[1].gpa = (pde & 0xfffff000) + (gla >> 12 & 0x3ff) * 4;
    if (!read_entry(w, &s[1], 4)) {
        out->gpa = s[1].gpa;
        return WALK_NOT_RAM;
    }
    if (!(s[1].entry & PTE_P))
        return fault(w, access, 0, out);
    rights = pde & s[1].entry;
    out->gpa = (s[1].entry & 0xfffff000) | (gla & PAGE_MASK);
    out->page_size = PAGE_SIZE;
    return finish(w, s, 2, access, rights, false, 4, out);
}

/* Levels of 8-byte entries from the given root down (SDM 3, 4.4 and 4.5). */
static enum walk_result walk_64(const struct walk *w, gpa_t table, unsigned level, gla_t gla,
                                u32 access, struct walk_out *out)
{
    struct step s[5];
    u64 rights = ~0ull, any = 0;
    unsigned n = 0, shift = 12 + 9 * (level - 1);

    for (;; shift -= 9, level--) {
        u64 e, reserved = w->reserved;

        s[n].gpa = table + (gla >> shift & 0x1ff) * 8;
        if (unlikely(!read_entry(w, &s[n], 8))) {
            out->gpa = s[n].gpa;
            return WALK_NOT_RAM;
        }
        e = s[n++].entry;
        if (unlikely(!(e & PTE_P)))
            return fault(w, access, 0, out);
        rights &= e;
        any |= e;
        if (level == 1 || (e & PTE_PS)) {
            if (level > 1) {
                if (level > 3 || (level == 3 && !w->pages_1g))
                    reserved |= PTE_PS;
                else
                    reserved |= (BIT(shift) - 1) & ~0x1fffull; /* address bits below the page */
            }
            if (unlikely(e & reserved))
                return fault(w, access, PF_P | PF_RSVD, out);
            break;
        }
        if (unlikely(e & reserved))
            return fault(w, access, PF_P | PF_RSVD, out);
        table = e & ADDR_MASK;
    }
    out->page_size = BIT(shift);
    out->gpa = (s[n - 1].entry & ADDR_MASK & ~(BIT(shift) - 1)) | (gla & (BIT(shift) - 1));
    return finish(w, s, n, access, rights, any >> 63, 8, out);
}

/*
 * PAE: the page-directory-pointer entry has no rights, no accessed bit and its own reserved bits.
 * It comes from the registers that MOV to CR3 loaded, or from memory where there are none.
 */
static enum walk_result walk_pae(const struct walk *w, u32 gla, u32 access, struct walk_out *out)
{
    struct step s = {.gpa = w->root + (gla >> 30) * 8};
    u64 reserved = (w->reserved & ADDR_MASK) | 0xfff00000000001e6ull;

    if (w->pdpte_regs) {
        s.entry = w->pdpte[gla >> 30];
    } else if (!read_entry(w, &s, 8)) {
        out->gpa = s.gpa;
        return WALK_NOT_RAM;
    } else {
        s.entry &= ~PTE_A; /* reserved, but QEMU's TCG sets it here as in any other entry */
    }
    if (!(s.entry & PTE_P))
        return fault(w, access, 0, out);
    if (s.entry & reserved)
        return fault(w, access, PF_P | PF_RSVD, out);
    return walk_64(w, s.entry & ADDR_MASK, 2, gla, access, out);
}

/* Everything else, from the root, until no entry changes underneath. */
static __attribute__((noinline)) enum walk_result walk_fully(const struct walk *w, gla_t gla,
                                                             u32 access, struct walk_out *out)
{
    enum walk_result r = WALK_RETRY;

    for (unsigned i = 0; i < RESTARTS && r == WALK_RETRY; i++) {
        switch (w->mode) {
        case WALK_FLAT:
            out->gpa = w->efer & EFER_LMA ? gla : (u32)gla;
            out->page_size = PAGE_SIZE;
            return WALK_OK;
        case WALK_32BIT:
            r = walk_32(w, (u32)gla, access, out);
            break;
        case WALK_PAE:
            r = walk_pae(w, (u32)gla, access, out);
            break;
        default:
            r = walk_64(w, w->root, w->levels, gla, access, out);
            break;
        }
    }
    return r;
}

enum walk_result walk_gla(const struct walk *w, gla_t gla, u32 access, struct walk_out *out)
{
    return likely(walk_quick(w, gla, access, out, NULL)) ? WALK_OK
                                                         : walk_fully(w, gla, access, out);
}
