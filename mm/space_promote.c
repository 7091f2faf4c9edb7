/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Promotion: 512 leaves become one of the next size, in place or by moving their contents together;
 * and the freeing of tables that have become empty. Contracts in space.h and space_priv.h.
 *
 * How a table is taken away. Its link is exchanged for nothing; the generation is raised, and all
 * who are in the guest are waited for: from then on no processor sees, or marks, an entry of the
 * table. Then the hold counters of all its pages are read: if one is raised, its holder may be in
 * the table, and the link is put back. If none is, no holder can get there: it would walk after
 * raising its counter, and find no link (see space.c). So the accessed and dirty bits read after
 * that are final, and pages may be moved. All of it happens with the lock held; a vCPU that
 * faults on the gap wants to fill it, waits for the lock, and finds the page there.
 */
#include "mm/space_priv.h"
#include "lib/string.h"

/* Contents are moved by and by for a large leaf if this many of the 512 pages are in use. */
#define WORTH_A_MOVE 64

bool space_is_held(const struct space *s, gpa_t gpa, u64 size)
{
    u64 first = gpa >> PAGE_SHIFT, count = MIN(size >> PAGE_SHIFT, SPACE_HOLD_SLOTS);

    for (u64 i = first; i < first + count; i++)
        if (__atomic_load_n(&s->holds[i & (SPACE_HOLD_SLOTS - 1)], __ATOMIC_SEQ_CST))
            return true;
    return false;
}

/*
 * Takes the table below `level` at gpa out of everybody's reach. Returns its link, or 0 if a page
 * below is held: then all is as before.
 */
static u64 table_isolate(struct space *s, gpa_t gpa, unsigned level)
{
    u64 link = nested_detach(&s->tables, gpa, level);

    space_invalidate_locked(s);
    space_wait_locked(s);
    if (!space_is_held(s, gpa, NESTED_SIZE(level)))
        return link;
    nested_attach(&s->tables, gpa, level, link);
    return 0;
}

/* A block for the contents of 512 small pages, if memory is plentiful; else 0. */
static hpa_t block_alloc(const struct space *s)
{
    const struct frame_source *src = s->tables.src;

    if (src->available(src->arg) < s->reserve + NESTED_ENTRIES)
        return 0;
    return src->alloc(src->arg, FRAME_ORDER_2M);
}

/* Copies the 512 small pages of an isolated table to `to`, and frees them. */
static void contents_move(struct space *s, u64 link, hpa_t to)
{
    const struct frame_source *src = s->tables.src;
    const u64 *table = nested_table(&s->tables, link);

    for (unsigned i = 0; i < NESTED_ENTRIES; i++) {
        hpa_t from = nested_leaf_hpa(table[i], 1);

        memcpy(frame_hva(src, to + i * PAGE_SIZE), frame_hva(src, from), PAGE_SIZE);
        src->free(src->arg, from, FRAME_ORDER_4K);
    }
}

enum err space_promote_locked(struct space *s, gpa_t gpa, unsigned level, unsigned in_use)
{
    const struct frame_source *src = s->tables.src;
    u64 *entry = nested_link(&s->tables, gpa, level), link;
    struct nested_uniform u;
    hpa_t block = 0;

    gpa = ALIGN_DOWN(gpa, NESTED_SIZE(level));
    if (!entry || !nested_uniform(&s->tables, nested_load(entry), level, &u))
        return ERR_INVAL;
    if (!u.contiguous) {
        if (u.accessed < in_use || level != 2 || u.leaf & NESTED_SW_FOREIGN ||
            space_region_at(s, gpa)->wired)
            return ERR_INVAL;
        block = block_alloc(s);
        if (!block)
            return ERR_NOMEM;
    }
    link = table_isolate(s, gpa, level);
    if (!link) {
        if (block)
            src->free(src->arg, block, FRAME_ORDER_2M);
        s->stats.promotions_held++;
        return ERR_BUSY;
    }
    nested_uniform(&s->tables, link, level, &u); /* once more: accessed and dirty are final now */
    if (block) {
        contents_move(s, link, block);
        u.leaf = (u.leaf & ~NESTED_ADDR) | block;
        s->stats.moves++;
    } else {
        s->stats.promotions++;
    }
    nested_replace(&s->tables, gpa, level, link, u.leaf);
    return OK;
}

/* Whether a leaf of `level` may be made at gpa: policy allows, and one region holds all of it. */
static bool may_promote(const struct space *s, gpa_t gpa, unsigned level)
{
    const struct space_region *r = space_region_at(s, gpa);
    u64 size = NESTED_SIZE(level);
    gpa_t base = ALIGN_DOWN(gpa, size);

    return level <= MIN(s->promote_leaf, s->tables.max_leaf) && r && !r->log && base >= r->base &&
           size <= r->size && base - r->base <= r->size - size;
}

void space_table_full(struct space *s, gpa_t gpa)
{
    spin_lock(&s->lock);
    if (may_promote(s, gpa, 2))
        space_promote_locked(s, gpa, 2, 0);
    spin_unlock(&s->lock);
}

u64 space_promote(struct space *s, gpa_t gpa, u64 size, bool move)
{
    u64 made = 0;

    if (gpa >= space_limit(s) || size == 0)
        return 0;
    size = MIN(size, space_limit(s) - gpa);
    for (unsigned level = 2; level <= NESTED_MAX_LEAF; level++) {
        gpa_t at = ALIGN_DOWN(gpa, NESTED_SIZE(level)), end = gpa + size;

        for (; at < end; at += NESTED_SIZE(level)) {
            spin_lock(&s->lock);
            if (may_promote(s, at, level))
                made += space_promote_locked(s, at, level, move ? 0 : SPACE_NO_MOVE) == OK;
            spin_unlock(&s->lock);
        }
    }
    return made;
}

bool space_tidy(struct space *s, unsigned chunks)
{
    bool made = false;

    for (; chunks > 0 && !made; chunks--) {
        const struct space_region *r = &s->regions[s->tidy_region];
        gpa_t at = ALIGN_UP(r->base, NESTED_SIZE(2)) + s->tidy_offset;

        s->tidy_offset += NESTED_SIZE(2);
        if (at + NESTED_SIZE(2) > r->base + r->size) {
            s->tidy_region = (s->tidy_region + 1) % MAX(s->region_count, 1u);
            s->tidy_offset = 0;
            continue;
        }
        spin_lock(&s->lock);
        made = may_promote(s, at, 2) && space_promote_locked(s, at, 2, WORTH_A_MOVE) == OK;
        if (made && may_promote(s, at, 3))
            space_promote_locked(s, at, 3, SPACE_NO_MOVE);
        spin_unlock(&s->lock);
    }
    return made;
}

void space_prune_locked(struct space *s, gpa_t gpa)
{
    for (unsigned level = 2; level <= NESTED_LEVELS; level++) {
        u64 *entry = nested_link(&s->tables, gpa, level), link;
        gpa_t base = ALIGN_DOWN(gpa, NESTED_SIZE(level));

        if (!entry || nested_count(nested_load(entry)) != 0)
            return;
        link = table_isolate(s, base, level);
        if (!link)
            return;
        nested_drop(&s->tables, base, level, link);
    }
}
