/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inner loops of the dirty log's harvest: a table of leaves, and 64 pages that were noted. What
 * they are for is in space_log.c.
 */
#include "mm/space_priv.h"

_Static_assert(SPACE_HOLD_SLOTS % NESTED_ENTRIES == 0, "the slots of a table are in a row");

/* Marks a page dirty again that is held. */
COLD static void mark_again(struct space *s, gpa_t gpa, u64 *entry)
{
    u64 value = nested_load(entry);

    while (nested_valid(value) && !nested_mark(&s->tables, gpa, entry, &value, true))
        ;
    space_log_notes(s, &gpa, 1);
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

    for (; bits; bits &= bits - 1, count++) {
        u64 i = (u64)__builtin_ctzll(bits);

        __atomic_fetch_and(&entry[i], keep, __ATOMIC_SEQ_CST);
        if (unlikely(__atomic_load_n(&holds[i], __ATOMIC_SEQ_CST)))
            mark_again(s, gpa + i * PAGE_SIZE, &entry[i]);
    }
    return count;
}

/*
 * Plain loads, for these become one instruction with the OR: the answer only says where to look
 * properly, and an entry that is marked this moment is found by the next harvest.
 */
static ALWAYS_INLINE __attribute__((no_sanitize("thread"))) u64 any_of_4(const u64 *e)
{
    return e[0] | e[1] | e[2] | e[3];
}

/* `bit`, set in *bits if the entry is dirty: by a jump, for most are not. */
static ALWAYS_INLINE void pick(const u64 *entry, u64 dirty, u64 bit, u64 *bits)
{
    if (nested_load(entry) & dirty) {
        *bits |= bit;
        __asm__("" : "+r"(*bits));
    }
}

/* A bit for each of 16 entries that is dirty. */
static __attribute__((noinline, no_sanitize("thread"))) u64 dirty_of_16(const u64 *e, u64 dirty)
{
    u64 bits = 0;

    for (unsigned i = 0; i < 16; i += 4) {
        bits >>= 4;
        if (!(any_of_4(&e[i]) & dirty))
            continue;
        pick(&e[i], dirty, BIT(12), &bits);
        pick(&e[i + 1], dirty, BIT(13), &bits);
        pick(&e[i + 2], dirty, BIT(14), &bits);
        pick(&e[i + 3], dirty, BIT(15), &bits);
    }
    return bits;
}

/* A bit for each of 64. */
static __attribute__((noinline, no_sanitize("thread"))) u64 dirty_of_64(const u64 *e, u64 dirty)
{
    u64 bits = 0;

    for (unsigned i = 0; i < 64; i += 16, e += 16)
        if ((any_of_4(e) | any_of_4(e + 4) | any_of_4(e + 8) | any_of_4(e + 12)) & dirty)
            bits |= dirty_of_16(e, dirty) << i;
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
        bits &= ~0ull << (i < from ? from - i : 0) & ~0ull >> (to < i + 64 ? i + 64 - to : 0);
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
