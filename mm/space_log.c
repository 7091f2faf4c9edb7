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
 */
#include "mm/space_priv.h"

_Static_assert(SPACE_HOLD_SLOTS % NESTED_ENTRIES == 0, "the slots of a table are in a row");

struct harvest {
    struct space *s;
    const struct space_region *r;
    u64 *bitmap; /* NULL: only clear */
    u64 count;
    bool changed; /* something was cleared that processors may still hold */
};

/*
 * Whether one of sixteen entries has one of the bits. Plain loads, for these become one
 * instruction with the OR: the answer only says where to look properly, and an entry that is
 * marked this moment is found by the next harvest.
 */
static __attribute__((noinline, no_sanitize("thread"))) bool any_of_16(const u64 *e, u64 bits)
{
    u64 sum = e[0] | e[1] | e[2] | e[3] | e[4] | e[5] | e[6] | e[7];

    sum |= e[8] | e[9] | e[10] | e[11] | e[12] | e[13] | e[14] | e[15];
    return sum & bits;
}

/* Marks a page dirty again that is held. */
static __attribute__((noinline)) void mark_again(const struct nested *n, gpa_t gpa, u64 *entry)
{
    u64 value = nested_load(entry);

    while (!nested_mark(n, gpa, entry, &value, true))
        ;
}

/* Entries [from, to) of the table of the 2 MiB at base; whether one was dirty. */
static bool harvest_table(struct harvest *h, gpa_t base, u64 *table, unsigned from, unsigned to)
{
    const struct nested *n = &h->s->tables;
    const u64 dirty = n->fmt->dirty;
    const u32 *holds = space_hold_slot(h->s, base); /* 512 in a row */
    u64 page = (base >> PAGE_SHIFT) - (h->r->base >> PAGE_SHIFT), count = 0;
    u64 *bitmap = h->bitmap;

    for (unsigned i = from, end; i < to;) {
        if (i % 16 == 0 && i + 16 <= to && !any_of_16(&table[i], dirty)) {
            i += 16;
            continue;
        }
        for (end = MIN(ALIGN_DOWN(i, 16u) + 16, to); i < end; i++) {
            if (!(nested_load(&table[i]) & dirty))
                continue;
            __atomic_fetch_and(&table[i], ~dirty, __ATOMIC_SEQ_CST);
            if (bitmap)
                bitmap[(page + i) / 64] |= BIT((page + i) % 64);
            count++;
            if (unlikely(__atomic_load_n(&holds[i], __ATOMIC_SEQ_CST)))
                mark_again(n, base + i * PAGE_SIZE, &table[i]);
        }
    }
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
        h->changed |= harvest_table(h, base, nested_table(n, e), from, to);
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

/* Takes the lock for one 2 MiB at a time: faults of running vCPUs come in between. */
static u64 harvest(struct space *s, const struct space_region *r, u64 *bitmap)
{
    struct harvest h = {.s = s, .r = r, .bitmap = bitmap};

    for (gpa_t base = ALIGN_DOWN(r->base, NESTED_SIZE(2)); base < r->base + r->size;
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

enum err space_log_start(struct space *s, gpa_t gpa)
{
    struct space_region *r = log_region(s, gpa);
    enum err err = OK;

    if (!r)
        return ERR_NOENT;
    if (r->log)
        return ERR_BUSY;
    log_set(s, r, true); /* from here on, no large leaf is made in it */
    for (gpa = r->base; gpa < r->base + r->size && err == OK;)
        gpa = split_at(s, gpa, &err);
    if (err != OK) {
        space_log_stop(s, r->base);
        return err;
    }
    harvest(s, r, NULL);
    /* Large leaves that were split may be cached whole, dirty: none may outlast this. */
    space_invalidate(s);
    space_wait(s);
    return OK;
}

u64 space_log_harvest(struct space *s, gpa_t gpa, u64 *bitmap)
{
    const struct space_region *r = log_region(s, gpa);

    return r && r->log ? harvest(s, r, bitmap) : 0;
}

void space_log_stop(struct space *s, gpa_t gpa)
{
    struct space_region *r = log_region(s, gpa);

    if (!r || !r->log)
        return;
    log_set(s, r, false);
    space_promote(s, r->base, r->size, false);
}
