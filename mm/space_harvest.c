/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inner loops of the dirty log's harvest: a table of leaves, and 64 pages that were noted. What
 * they are for is in space_log.c.
 */
#include "mm/space_priv.h"

_Static_assert(SPACE_HOLD_SLOTS % NESTED_ENTRIES == 0, "the slots of a table are in a row");

/* Marks a page dirty again that is held. */
static __attribute__((noinline)) void mark_again(struct space *s, gpa_t gpa, u64 *entry)
{
    u64 value = nested_load(entry);

    while (!nested_mark(&s->tables, gpa, entry, &value, true))
        ;
    space_log_note(s, gpa);
}

/* Makes a page that was written clean again, and dirty if it is held: the hold may write yet. */
static ALWAYS_INLINE void clean(struct space *s, gpa_t gpa, u64 *entry, u64 dirty, const u32 *hold)
{
    __atomic_fetch_and(entry, ~dirty, __ATOMIC_SEQ_CST);
    if (unlikely(__atomic_load_n(hold, __ATOMIC_SEQ_CST)))
        mark_again(s, gpa, entry);
}

/* A table on its way through space_harvest_table. */
struct sheaf {
    struct space *s;
    gpa_t base;
    u64 *table, *bitmap;
    const u32 *holds;
    u64 first; /* the bit of entry 0 */
    u64 dirty;
};

/* Entries [i, to). Returns how many were dirty. */
static ALWAYS_INLINE u64 take(const struct sheaf *h, unsigned i, unsigned to)
{
    u64 *const table = h->table, *const bitmap = h->bitmap;
    const u64 dirty = h->dirty, first = h->first;
    u64 count = 0;

    for (; i < to; i++) {
        if (likely(!(nested_load(&table[i]) & dirty)))
            continue;
        if (bitmap)
            bitmap[(first + i) / 64] |= BIT((first + i) % 64);
        clean(h->s, h->base + i * PAGE_SIZE, &table[i], dirty, &h->holds[i]);
        count++;
    }
    return count;
}

static __attribute__((noinline)) u64 take_part(const struct sheaf *h, unsigned i, unsigned to)
{
    return take(h, i, to);
}

static ALWAYS_INLINE u64 any_of_4(const u64 *e)
{
    return e[0] | e[1] | e[2] | e[3];
}

/*
 * Sixteen entries. Plain loads first, for these become one instruction with the OR: the answer only
 * says where to look properly, and an entry that is marked this moment is found by the next
 * harvest.
 */
static __attribute__((noinline, no_sanitize("thread"))) u64 take_16(const struct sheaf *h,
                                                                    unsigned i)
{
    const u64 *e = &h->table[i];
    const u64 any[4] = {any_of_4(e), any_of_4(e + 4), any_of_4(e + 8), any_of_4(e + 12)};
    u64 count = 0;

    if (likely(!(any_of_4(any) & h->dirty)))
        return 0;
    for (unsigned k = 0; k < 4; k++, i += 4)
        if (any[k] & h->dirty)
            count += take(h, i, i + 4);
    return count;
}

u64 space_harvest_table(struct space *s, const struct space_region *r, gpa_t base, u64 *table,
                        unsigned from, unsigned to, u64 *bitmap)
{
    const struct sheaf h = {.s = s,
                            .base = base,
                            .table = table,
                            .bitmap = bitmap,
                            .holds = space_hold_slot(s, base),
                            .first = (base >> PAGE_SHIFT) - (r->base >> PAGE_SHIFT),
                            .dirty = s->tables.fmt->dirty};
    unsigned whole = MIN(ALIGN_UP(from, 16u), to);
    u64 count = take_part(&h, from, whole);

    for (; whole + 16 <= to; whole += 16)
        count += take_16(&h, whole);
    return count + take_part(&h, whole, to);
}

u64 space_harvest_noted(struct space *s, gpa_t gpa, u64 bits)
{
    u64 dirty = s->tables.fmt->dirty, count = 0;
    gpa_t known = ~0ull; /* the 2 MiB that `table` is of */
    u64 *table = NULL;

    for (; bits; bits &= bits - 1, count++) {
        gpa_t at = gpa + ((u64)__builtin_ctzll(bits) << PAGE_SHIFT);
        u64 *link, *entry;

        if (unlikely(at >> NESTED_SHIFT(2) != known)) {
            known = at >> NESTED_SHIFT(2);
            link = nested_link(&s->tables, at, 2);
            table = link ? nested_table(&s->tables, nested_load(link)) : NULL;
        }
        if (unlikely(!table))
            continue;
        entry = &table[nested_index(at, 1)];
        if (likely(nested_valid(nested_load(entry))))
            clean(s, at, entry, dirty, space_hold_slot(s, at));
    }
    return count;
}
