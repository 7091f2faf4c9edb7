/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reclaim: cold pages that hold nothing but zeroes go back to the machine. Contract in space.h.
 *
 * Two megabytes at a time, with the lock held: candidates are isolated (out of every processor's
 * and every new hold's reach, see space_fault.c), all who are in the guest are waited for, once;
 * only then is it certain that nobody writes to them, and those that are still zero and not held
 * are let go. The others are put back. A page that the guest touches in between faults, waits for
 * the lock, and is there again, or filled anew with the same zeroes.
 */
#include "mm/space_priv.h"

/* A large leaf is split for at least this many zero pages. */
#define WORTH_A_SPLIT 64

struct sweep {
    struct space *s;
    struct space_region *r;
    u64 left, freed;
    bool forgot; /* an accessed bit was cleared */
};

static bool is_zero(const struct space *s, hpa_t hpa, u64 size)
{
    const u64 *p = frame_hva(s->tables.src, hpa), *end = p + size / sizeof(*p);
    u64 sum = 0;

    /* A guest may be writing: what counts is looked at again when it cannot. */
    for (; p < end && sum == 0; p += 8)
        for (unsigned i = 0; i < 8; i++)
            sum |= __atomic_load_n(&p[i], __ATOMIC_RELAXED);
    return sum == 0;
}

/* Whether the leaf may go, its contents aside. One that was accessed gets its second chance. */
static bool is_cold(struct sweep *w, u64 *entry, gpa_t gpa)
{
    const struct nested *n = &w->s->tables;
    u64 value = nested_load(entry);

    if (!nested_valid(value) || value & NESTED_SW_FOREIGN || nested_perms(value) != w->r->perms)
        return false;
    if (nested_forget_access(n, entry)) {
        if (w->r->ages)
            w->r->ages[(gpa - w->r->base) >> PAGE_SHIFT] = 0;
        w->forgot = true;
        return false;
    }
    return !(w->r->log && value & n->fmt->dirty);
}

/* Isolates the leaf if it is worth a try. */
static bool take(struct sweep *w, u64 *entry, gpa_t gpa, unsigned level)
{
    return is_cold(w, entry, gpa) &&
           (w->s->store ||
            is_zero(w->s, nested_leaf_hpa(nested_load(entry), level), NESTED_SIZE(level))) &&
           nested_isolate(&w->s->tables, entry);
}

/* Whether the store has taken a page that is not zero. */
static bool put_away(const struct space *s, gpa_t gpa, hpa_t hpa, unsigned level)
{
    const struct space_store *st = s->store;

    return st && level == 1 && st->put(st->arg, gpa, frame_hva(s->tables.src, hpa));
}

/* Nobody is in the guest with an isolated leaf any more: lets it go, or puts it back. */
static void settle(struct sweep *w, u64 *entry, gpa_t gpa, unsigned level)
{
    const struct frame_source *src = w->s->tables.src;
    u64 size = NESTED_SIZE(level), pages = size >> PAGE_SHIFT;
    hpa_t hpa = nested_leaf_hpa(*entry, level);
    bool logged = w->r->log && *entry & w->s->tables.fmt->dirty;

    if (logged || space_is_held(w->s, gpa, size) ||
        !(is_zero(w->s, hpa, size) || put_away(w->s, gpa, hpa, level))) {
        nested_restore(&w->s->tables, entry);
        return;
    }
    nested_release(&w->s->tables, gpa, entry, level);
    src->free(src->arg, hpa, NESTED_ORDER(level));
    w->s->stats.resident_pages -= pages;
    w->s->stats.reclaimed += pages;
    w->freed += pages;
    w->left -= MIN(pages, w->left);
}

static void out_of_the_guest(struct space *s)
{
    space_invalidate_locked(s);
    space_wait_locked(s);
}

/* A 2 MiB leaf: goes whole, or is split if enough of it is zero. Whether there are small ones. */
static bool sweep_large(struct sweep *w, u64 *entry, gpa_t gpa)
{
    hpa_t hpa = nested_leaf_hpa(nested_load(entry), 2);
    unsigned zero = 0;

    if (!is_cold(w, entry, gpa))
        return false;
    for (u64 off = 0; off < NESTED_SIZE(2); off += PAGE_SIZE)
        zero += is_zero(w->s, hpa + off, PAGE_SIZE);
    if (zero == NESTED_ENTRIES) {
        if (nested_isolate(&w->s->tables, entry)) {
            out_of_the_guest(w->s);
            settle(w, entry, gpa, 2);
            space_prune_locked(w->s, gpa);
        }
        return false;
    }
    return (zero >= WORTH_A_SPLIT || w->s->store) && nested_split(&w->s->tables, gpa) == OK;
}

/* Entries [from, to) of the table of the 2 MiB at base. */
static void sweep_small(struct sweep *w, gpa_t base, u64 *table, unsigned from, unsigned to)
{
    u64 taken[NESTED_ENTRIES / 64] = {0}, count = 0;

    for (unsigned i = from; i < to && count < w->left; i++) {
        if (take(w, &table[i], base + i * PAGE_SIZE, 1)) {
            taken[i / 64] |= BIT(i % 64);
            count++;
        }
    }
    if (count == 0)
        return;
    out_of_the_guest(w->s);
    for (unsigned i = from; i < to; i++)
        if (taken[i / 64] & BIT(i % 64))
            settle(w, &table[i], base + i * PAGE_SIZE, 1);
    space_prune_locked(w->s, base);
}

/* The region's part of the 2 MiB at base. */
static void sweep_chunk(struct sweep *w, gpa_t base)
{
    const struct nested *n = &w->s->tables;
    gpa_t end = w->r->base + w->r->size, first = MAX(base, w->r->base);
    gpa_t last = MIN(base + NESTED_SIZE(2), end);
    unsigned level;
    u64 value, *entry = nested_lookup(n, first, &level, &value), *link;

    /* What is larger than 2 MiB was asked for so, and stays. */
    if (level == 2 && nested_valid(value) && !sweep_large(w, entry, base))
        return;
    link = nested_link(n, base, 2);
    if (link)
        sweep_small(w, base, nested_table(n, nested_load(link)),
                    (unsigned)((first - base) >> PAGE_SHIFT),
                    (unsigned)((last - base) >> PAGE_SHIFT));
}

/* Sweeps [from, to) of guest-physical memory, or less if enough has been found. */
static void sweep(struct sweep *w, gpa_t from, gpa_t to)
{
    for (unsigned i = 0; i < w->s->region_count && w->left > 0; i++) {
        gpa_t base, end;

        w->r = &w->s->regions[i];
        if (w->r->kind != SPACE_RAM || w->r->wired)
            continue;
        base = ALIGN_DOWN(MAX(from, w->r->base), NESTED_SIZE(2));
        end = MIN(to, w->r->base + w->r->size);
        for (; base < end && w->left > 0; base += NESTED_SIZE(2)) {
            spin_lock(&w->s->lock);
            sweep_chunk(w, base);
            spin_unlock(&w->s->lock);
            w->s->clock = base + NESTED_SIZE(2);
        }
    }
}

u64 space_reclaim(struct space *s, u64 max_pages)
{
    struct sweep w = {.s = s, .left = max_pages};
    gpa_t start = ALIGN_DOWN(s->clock, NESTED_SIZE(2));

    sweep(&w, start, space_limit(s));
    sweep(&w, 0, start);
    if (w.forgot)
        space_invalidate(s);
    return w.freed;
}
