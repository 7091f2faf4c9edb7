/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inner loops of the dirty log's harvest: a table of leaves, and 64 pages that were noted. What
 * they are for is in space_log.c.
 */
#include "mm/space_priv.h"

_Static_assert(SPACE_HOLD_SLOTS % NESTED_ENTRIES == 0, "the slots of a table are in a row");

/*
 * Marks those pages dirty again that have a bit each, bit 0 gpa's, and are held. A noted page may
 * be gone by now; one that is there stays, with the lock held, and then this hold takes no lock.
 */
COLD static void mark_held(struct space *s, gpa_t gpa, u64 bits)
{
    unsigned level;

    for (; bits; bits >>= 1, gpa += PAGE_SIZE)
        if (bits & 1 && space_is_held(s, gpa, PAGE_SIZE) && space_is_filled(s, gpa, &level) &&
            space_hold_page(s, gpa, 0, true))
            space_release(s, gpa);
}

/*
 * Makes the pages clean that have a bit each, bit 0 that of `entry`; and dirty again those that are
 * held, for the hold may write yet. Returns how many.
 */
static u64 clean(struct space *s, gpa_t gpa, u64 *entry, u64 bits)
{
    const u64 keep = ~s->tables.fmt->dirty;
    const u32 *holds = space_hold_slot(s, gpa);
    u64 count = 0;
    u32 held = 0;

    for (u64 left = bits, i; left; left &= left - 1, count++) {
        __asm__("bsf %1, %0" : "=r"(i) : "r"(left) : "cc");
        __atomic_fetch_and(&entry[i], keep, __ATOMIC_SEQ_CST);
        held |= __atomic_load_n(&holds[i], __ATOMIC_SEQ_CST);
    }
    if (unlikely(held))
        mark_held(s, gpa, bits);
    return count;
}

/* `bit`, below 8, set in *bits if the entry is dirty: by a jump, for most are not. */
static ALWAYS_INLINE void pick(const u64 *entry, u64 dirty, u64 bit, u64 *bits)
{
    __asm__("test %2, %1\n\tjz 1f\n\tor %3, %b0\n1:"
            : "+q"(*bits)
            : "m"(*entry), "r"(dirty), "i"(1 << bit)
            : "cc");
}

/*
 * A bit for each of 64 entries that is dirty, bit 0 for the first. Plain loads, for these become
 * one instruction with the OR: the answer only says where to look properly, and an entry that is
 * marked this moment is found by the next harvest.
 */
static __attribute__((noinline, no_sanitize("thread"))) u64 dirty_of_64(const u64 *first, u64 dirty)
{
    u64 bits = 0;

    for (const u64 *e = first + 64; e > first;) {
        e -= 8;
        bits <<= 8;
        if (!((e[0] | e[1] | e[2] | e[3] | e[4] | e[5] | e[6] | e[7]) & dirty))
            continue;
        pick(&e[0], dirty, 0, &bits);
        pick(&e[1], dirty, 1, &bits);
        pick(&e[2], dirty, 2, &bits);
        pick(&e[3], dirty, 3, &bits);
        pick(&e[4], dirty, 4, &bits);
        pick(&e[5], dirty, 5, &bits);
        pick(&e[6], dirty, 6, &bits);
        pick(&e[7], dirty, 7, &bits);
    }
    return bits;
}

u64 space_harvest_table(struct space *s, const struct space_region *r, gpa_t base, u64 *table,
                        unsigned from, unsigned to, u64 *bitmap)
{
    const u64 dirty = s->tables.fmt->dirty;
    u64 page = (base >> PAGE_SHIFT) - (r->base >> PAGE_SHIFT), count = 0; /* of entry 0 */

    for (unsigned i = ALIGN_DOWN(from, 64u); i < to; i += 64) {
        u64 bits = dirty_of_64(&table[i], dirty), at = page + i;

        if (likely(!bits))
            continue;
        if (i < from)
            bits &= ~0ull << (from - i);
        if (to - i < 64)
            bits &= BIT(to - i) - 1;
        if (bitmap && bits) {
            bitmap[at / 64] |= bits << at % 64;
            if (at % 64 && bits >> (64 - at % 64))
                bitmap[at / 64 + 1] |= bits >> (64 - at % 64);
        }
        count += clean(s, base + i * PAGE_SIZE, &table[i], bits);
    }
    return count;
}

u64 space_harvest_noted(struct space *s, gpa_t gpa, u64 bits)
{
    u64 *link = nested_link(&s->tables, gpa, 2);

    if (!link)
        return 0;
    return clean(s, gpa, &nested_table(&s->tables, nested_load(link))[nested_index(gpa, 1)], bits);
}

/*
 * The mark in the leaf comes before its note. A page that is marked and not yet noted is found by
 * the next harvest, as if it had been written after this one: whoever writes it lets nobody know
 * of that before the note is there.
 */
void space_log_notes(struct space *s, const gpa_t *gpa, unsigned count)
{
    const struct space_region *r = NULL;
    u64 *noted = NULL;

    for (; count > 0; count--, gpa++) {
        u64 page;

        if (unlikely(!r || *gpa - r->base >= r->size)) {
            r = space_region_at(s, *gpa);
            if (!r)
                continue;
            noted = __atomic_load_n(&r->noted, __ATOMIC_ACQUIRE);
        }
        page = (*gpa - r->base) >> PAGE_SHIFT;
        if (noted)
            __atomic_fetch_or(&noted[page / 64], BIT(page % 64), __ATOMIC_SEQ_CST);
    }
}
