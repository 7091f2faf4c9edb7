/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The dirty log: which pages of a region have been written since the last harvest, by the guest or
 * by skep on its behalf. Contracts in space.h.
 *
 * The log is the dirty bits themselves, of small leaves: a region that is logged has no others. A
 * harvest reads and clears them, and returns only when every vCPU has dropped the translations
 * that would let it write without setting them again; so a write is in this harvest (and in memory
 * when the harvest returns) or in the next.
 *
 * Clean tables are skipped whole. The processor marks a link accessed (link_used) when it walks
 * through it, skep when it marks a leaf dirty; a harvest clears the mark before it reads the
 * leaves. But a processor may hold the link in its paging-structure cache and not mark it again
 * until the flush at the harvest's end: so a table whose mark has been cleared, or in which
 * something was found, is looked at in the next harvest too, marked or not (NESTED_LINK_AGAIN).
 *
 * A hold for writing marks its page when it begins, and may write after a harvest has cleared the
 * mark. The harvest reads the hold's counter after clearing: if it is raised the page is marked
 * again and comes up in the next harvest as well. A hold that begins later finds the page clean.
 *
 * Where processors tell which pages become dirty, each such page is noted in a bitmap, and so is
 * each that skep marks; a harvest then looks at the noted pages alone.
 */
#include "mm/space_priv.h"

struct harvest {
    struct space *s;
    const struct space_region *r;
    u64 *bitmap; /* NULL: only clear */
    u64 count;
    bool changed; /* something was cleared that processors may still hold */
};

/* Entries [from, to) of the table of the 2 MiB at base; whether one was dirty. */
static bool harvest_table(struct harvest *h, gpa_t base, u64 *table, unsigned from, unsigned to)
{
    u64 count = space_harvest_table(h->s, h->r, base, table, from, to, h->bitmap);

    h->count += count;
    return count != 0;
}

/* The region's part of the 2 MiB at base. */
static void harvest_chunk(struct harvest *h, gpa_t base)
{
    const struct nested *n = &h->s->tables;
    gpa_t end = h->r->base + h->r->size, first = MAX(base, h->r->base);
    gpa_t last = MIN(base + NESTED_SIZE(2), end);
    unsigned from = (unsigned)((first - base) >> PAGE_SHIFT);
    unsigned to = (unsigned)((last - base) >> PAGE_SHIFT);
    u64 *link = nested_link(n, base, 2), e;
    bool used, found;

    if (!link)
        return;
    e = nested_load(link);
    used = e & n->fmt->link_used;
    /* A table shared with another region is no business of this one's alone. */
    if (to - from != NESTED_ENTRIES) {
        found = harvest_table(h, base, nested_table(n, e), from, to);
        h->changed |= found;
        return;
    }
    if (!used && !(e & NESTED_LINK_AGAIN))
        return;
    if (used)
        __atomic_fetch_and(link, ~n->fmt->link_used, __ATOMIC_SEQ_CST);
    found = harvest_table(h, base, nested_table(n, e), 0, NESTED_ENTRIES);
    if (used || found)
        __atomic_fetch_or(link, NESTED_LINK_AGAIN, __ATOMIC_RELAXED);
    else
        __atomic_fetch_and(link, ~NESTED_LINK_AGAIN, __ATOMIC_RELAXED);
    h->changed |= used || found;
}

/* ---- what processors and holds have noted --------------------------------------------------- */

/* 64 pages of the region, which may lie in two tables; with the lock held if there is anything. */
static void harvest_word(struct harvest *h, u64 word)
{
    u64 *noted = &h->r->noted[word], bits;
    gpa_t gpa = h->r->base + word * 64 * PAGE_SIZE;
    u64 here = MIN(NESTED_ENTRIES - nested_index(gpa, 1), 64u); /* pages in the first table */

    if (!__atomic_load_n(noted, __ATOMIC_RELAXED))
        return;
    spin_lock(&h->s->lock);
    bits = __atomic_exchange_n(noted, 0, __ATOMIC_SEQ_CST);
    h->bitmap[word] |= bits;
    h->count += space_harvest_noted(h->s, gpa, here < 64 ? bits & (BIT(here) - 1) : bits);
    if (here < 64 && bits >> here)
        h->count += space_harvest_noted(h->s, gpa + here * PAGE_SIZE, bits >> here);
    spin_unlock(&h->s->lock);
    h->changed = true;
}

/* Takes the lock for one 2 MiB at a time: faults of running vCPUs come in between. */
static u64 harvest(struct space *s, const struct space_region *r, u64 *bitmap, bool noted)
{
    struct harvest h = {.s = s, .r = r, .bitmap = bitmap};

    for (u64 word = 0; noted && word < space_notes_size(r) / 8; word++)
        harvest_word(&h, word);
    for (gpa_t base = ALIGN_DOWN(r->base, NESTED_SIZE(2)); !noted && base < r->base + r->size;
         base += NESTED_SIZE(2)) {
        spin_lock(&s->lock);
        harvest_chunk(&h, base);
        spin_unlock(&s->lock);
    }
    if (h.changed) {
        space_invalidate(s);
        space_wait(s);
    }
    return h.count;
}

/* The RAM region at gpa, or NULL. */
static struct space_region *log_region(struct space *s, gpa_t gpa)
{
    struct space_region *r = (struct space_region *)space_region_at(s, gpa);

    return r && r->kind == SPACE_RAM ? r : NULL;
}

static void log_set(struct space *s, struct space_region *r, bool on)
{
    spin_lock(&s->lock);
    __atomic_store_n(&r->log, on, __ATOMIC_RELAXED);
    spin_unlock(&s->lock);
}

/* Splits what is mapped at gpa down to 4 KiB. Returns where to go on; *err says how it went. */
static gpa_t split_at(struct space *s, gpa_t gpa, enum err *err)
{
    unsigned level;
    u64 value;

    spin_lock(&s->lock);
    do
        nested_lookup(&s->tables, gpa, &level, &value);
    while (nested_valid(value) && level > 1 && (*err = nested_split(&s->tables, gpa)) == OK);
    spin_unlock(&s->lock);
    return ALIGN_DOWN(gpa, NESTED_SIZE(2)) + NESTED_SIZE(2);
}

/* Room for what is noted, with nothing in it, though pages may still be noted for an earlier log.
 */
static enum err notes_alloc(struct space *s, struct space_region *r)
{
    if (!r->noted)
        __atomic_store_n(&r->noted, space_pages_alloc(s, space_notes_size(r)), __ATOMIC_RELEASE);
    for (u64 i = 0; r->noted && i < space_notes_size(r) / 8; i++)
        __atomic_store_n(&r->noted[i], 0, __ATOMIC_RELAXED);
    return r->noted ? OK : ERR_NOMEM;
}

enum err space_log_start(struct space *s, gpa_t gpa, bool noting)
{
    struct space_region *r = log_region(s, gpa);
    enum err err = OK;

    if (!r)
        return ERR_NOENT;
    if (r->log)
        return ERR_BUSY;
    if (noting && notes_alloc(s, r) != OK)
        return ERR_NOMEM;
    __atomic_store_n(&s->noting, noting, __ATOMIC_SEQ_CST);
    log_set(s, r, true); /* from here on, no large leaf is made in it */
    for (gpa = r->base; gpa < r->base + r->size && err == OK;)
        gpa = split_at(s, gpa, &err);
    if (err != OK) {
        space_log_stop(s, r->base);
        return err;
    }
    harvest(s, r, NULL, false);
    /* Large leaves that were split may be cached whole, dirty: none may outlast this. */
    space_invalidate(s);
    space_wait(s);
    return OK;
}

u64 space_log_harvest(struct space *s, gpa_t gpa, u64 *bitmap)
{
    const struct space_region *r = log_region(s, gpa);

    return r && r->log ? harvest(s, r, bitmap, s->noting) : 0;
}

void space_log_stop(struct space *s, gpa_t gpa)
{
    struct space_region *r = log_region(s, gpa);

    if (!r || !r->log)
        return;
    log_set(s, r, false);
    space_promote(s, r->base, r->size, false);
}
