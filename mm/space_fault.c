/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Faults, filling and holds of a guest space. Contracts in space.h.
 *
 * Why holds need no lock. A hold first raises its page's counter (a full barrier), then walks the
 * tables. Whoever takes a page away, or a table, first replaces the entry by an exchange (a full
 * barrier too), then reads the counters of all the pages concerned. Of the two, one comes first in
 * memory: either the remover sees the counter raised, and puts the entry back or keeps the frame
 * until the counter is zero; or the hold sees the changed entry. So a pointer from space_hold
 * stays good, and a walk never strays into a freed table. Pages share counters (a page's is its
 * number modulo SPACE_HOLD_SLOTS), which can only make a remover more careful. Nobody waits for a
 * counter with the space's lock held, since a holder may want the lock for another page.
 */
#include "mm/space_priv.h"
#include "lib/string.h"

_Static_assert(SPACE_HOLD_SLOTS >= NESTED_ENTRIES, "a large page's small ones have a slot each");

/* ---- filling -------------------------------------------------------------------------------- */

/* What resolve found, and what it had to do. */
struct resolved {
    unsigned level;
    u64 value; /* of the leaf, as it is now */
    bool filled, marked_accessed, marked_dirty;
    bool table_full; /* filling completed a table of small leaves */
};

/*
 * The largest leaf that may be filled around gpa: inside the region, nothing mapped in it (the
 * walk ended at `empty`), allowed by `max` and, unless at start, by what memory is left.
 */
static unsigned fill_level(const struct space *s, const struct space_region *r, gpa_t gpa,
                           unsigned empty, unsigned max, bool demand)
{
    const struct frame_source *src = s->tables.src;
    unsigned level = MIN(empty, max);

    if (level == 1 || __atomic_load_n(&r->log, __ATOMIC_RELAXED))
        return 1;
    for (level = MIN(level, s->tables.max_leaf); level > 1; level--) {
        gpa_t base = ALIGN_DOWN(gpa, NESTED_SIZE(level));

        if (base < r->base || base - r->base > r->size - NESTED_SIZE(level) ||
            NESTED_SIZE(level) > r->size)
            continue;
        if (!demand || src->available(src->arg) >= s->reserve + (NESTED_SIZE(level) >> PAGE_SHIFT))
            break;
    }
    return level;
}

/* Zeroed frames for one leaf: of *level, or of a lower one where the memory is too scattered. */
static hpa_t fill_frames(const struct space *s, unsigned *level)
{
    const struct frame_source *src = s->tables.src;

    for (; *level > 0; --*level) {
        hpa_t hpa = src->alloc(src->arg, NESTED_ORDER(*level));

        if (hpa != 0) {
            memset(frame_hva(src, hpa), 0, NESTED_SIZE(*level));
            return hpa;
        }
    }
    return 0;
}

/* Frames about to be filled in at gpa: what the store keeps of them comes back. */
COLD static void store_get(const struct space *s, gpa_t gpa, hpa_t hpa, u64 size)
{
    const struct space_store *st = s->store;

    for (u64 off = 0; off < size; off += PAGE_SIZE)
        st->get(st->arg, gpa + off, frame_hva(s->tables.src, hpa + off));
}

/* They have been. */
COLD static void store_drop(const struct space *s, gpa_t gpa, u64 size)
{
    for (u64 off = 0; off < size; off += PAGE_SIZE)
        s->store->drop(s->store->arg, gpa + off);
}

/* Maps what has been filled; the lock is held. slot: as for fill_leaf. */
static enum err map_filled(struct space *s, const struct space_region *r, gpa_t gpa, hpa_t hpa,
                           unsigned level, unsigned attr, u64 *slot, struct nested_mapped *mapped)
{
    unsigned perms = r->perms;

    if (unlikely(s->rights_count) &&
        !space_rights_over(s, ALIGN_DOWN(gpa, NESTED_SIZE(level)), NESTED_SIZE(level), &perms))
        return ERR_EXISTS; /* permissions have been changed meanwhile */
    attr = (attr & ~NESTED_RWX) | perms;
    if (unlikely(s->store))
        store_get(s, ALIGN_DOWN(gpa, NESTED_SIZE(level)), hpa, NESTED_SIZE(level));
    if (likely(level == 1 && slot)) {
        enum err err = nested_map_slot(&s->tables, gpa, slot, hpa, attr, r->type, mapped);

        if (likely(err != ERR_NOENT))
            return err;
    }
    if (level > 1 && r->log)
        return ERR_EXISTS; /* the log has been started meanwhile: small pages only */
    return nested_map(&s->tables, ALIGN_DOWN(gpa, NESTED_SIZE(level)), hpa, level, attr, r->type,
                      false, mapped);
}

/*
 * Fills a leaf of at most `level` around gpa, not mapped when it was looked up. The frames are
 * allocated and zeroed before the lock is taken: two CPUs may do so for the same page, and the
 * second gives its frames back. out->filled says whether it was us; else, if the result is
 * SPACE_RESOLVED, look again. slot is the empty slot of level 1 that was found, if one was; else
 * NULL.
 */
static enum space_result fill_leaf(struct space *s, const struct space_region *r, gpa_t gpa,
                                   unsigned level, unsigned attr, u64 *slot, struct resolved *out)
{
    const struct frame_source *src = s->tables.src;
    struct nested_mapped mapped = {0};
    enum err err = ERR_NOMEM;
    hpa_t hpa;

    __atomic_fetch_add(&s->filling, 1, __ATOMIC_RELAXED);
    hpa = fill_frames(s, &level);
    spin_lock(&s->lock);
    if (likely(hpa != 0))
        err = map_filled(s, r, gpa, hpa, level, attr, slot, &mapped);
    if (unlikely(s->store) && err == OK)
        store_drop(s, ALIGN_DOWN(gpa, NESTED_SIZE(level)), NESTED_SIZE(level));
    if (likely(err == OK)) {
        s->stats.resident_pages += NESTED_SIZE(level) >> PAGE_SHIFT;
        s->stats.fills[level]++;
    }
    spin_unlock(&s->lock);
    __atomic_fetch_sub(&s->filling, 1, __ATOMIC_RELEASE);
    if (likely(err == OK)) {
        out->level = level;
        out->value = mapped.value;
        out->filled = true;
        out->table_full = level == 1 && mapped.count == NESTED_ENTRIES;
        return SPACE_RESOLVED;
    }
    if (hpa != 0)
        src->free(src->arg, hpa, NESTED_ORDER(level));
    return err == ERR_EXISTS ? SPACE_RESOLVED : SPACE_NOMEM;
}

/* The largest leaf at gpa, up to `level`, that all has the same permissions; which: in *perms. */
COLD static unsigned rights_level(struct space *s, gpa_t gpa, unsigned level, unsigned *perms)
{
    spin_lock(&s->lock);
    while (!space_rights_over(s, ALIGN_DOWN(gpa, NESTED_SIZE(level)), NESTED_SIZE(level), perms) &&
           level > 1)
        level--;
    spin_unlock(&s->lock);
    return level;
}

/*
 * Fills for an access; the page comes up accessed (and dirty), as the retried access would make
 * it. The walk ended at `slot`, of out->level. The page's hold counter is lowered meanwhile: a
 * fault on a page that is being promoted, which waits for the lock here, must not look like a
 * hold that forbids it.
 */
static enum space_result fill(struct space *s, gpa_t gpa, unsigned access, bool dirty, u64 *slot,
                              struct resolved *out)
{
    const struct space_region *r = space_region_at(s, gpa);
    enum space_result result;
    unsigned attr, level, perms;

    if (!r || r->kind == SPACE_DEVICE)
        return SPACE_MMIO;
    level = out->level == 1 ? 1 : fill_level(s, r, gpa, out->level, s->demand_leaf, true);
    perms = r->perms;
    if (unlikely(__atomic_load_n(&s->rights_count, __ATOMIC_RELAXED)))
        level = rights_level(s, gpa, level, &perms);
    if (r->kind == SPACE_PASS || access & ~perms)
        return SPACE_DENIED;
    attr = (access || dirty ? NESTED_A : 0) | (dirty ? NESTED_D : 0);
    space_release(s, gpa);
    result = fill_leaf(s, r, gpa, level, attr, out->level == 1 ? slot : NULL, out);
    __atomic_fetch_add(space_hold_slot(s, gpa), 1, __ATOMIC_SEQ_CST);
    return result;
}

/*
 * No frame was to be had. But another CPU may be about to map this very page with the last one:
 * waits for the fills under way, and says whether the page is there now.
 */
COLD static bool filled_elsewhere(struct space *s, gpa_t gpa)
{
    unsigned level;
    u64 value;

    while (__atomic_load_n(&s->filling, __ATOMIC_ACQUIRE) != 0)
        __builtin_ia32_pause();
    spin_lock(&s->lock);
    nested_lookup(&s->tables, gpa, &level, &value);
    spin_unlock(&s->lock);
    return nested_valid(value);
}

/* ---- faults and holds ----------------------------------------------------------------------- */

static void count(u64 *counter)
{
    __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

/* The page has been marked dirty: a log may have to be told. */
static inline void note(struct space *s, gpa_t gpa, bool dirty)
{
    if (unlikely(__atomic_load_n(&s->noting, __ATOMIC_SEQ_CST)) && dirty)
        space_log_notes(s, &gpa, 1);
}

/*
 * Makes the page of gpa fit for the access; its hold counter is raised. `dirty` marks it dirty
 * even if the access is no write. If out->filled, the leaf may have changed again already.
 */
static enum space_result resolve(struct space *s, gpa_t gpa, unsigned access, bool dirty,
                                 struct resolved *out)
{
    struct nested *n = &s->tables;
    u64 need = n->fmt->settled[access];
    unsigned want;

    *out = (struct resolved){0};
    dirty |= (access & SPACE_WRITE) != 0;
    want = dirty ? NESTED_A | NESTED_D : 0;
    for (;;) {
        u64 *entry = nested_lookup_inline(n, gpa, &out->level, &out->value);
        unsigned attr;

        if (!nested_valid(out->value)) {
            enum space_result r = fill(s, gpa, access, dirty, entry, out);

            if (out->filled) {
                note(s, gpa, dirty);
                return r;
            }
            if (r != SPACE_RESOLVED && !(r == SPACE_NOMEM && filled_elsewhere(s, gpa)))
                return r;
            continue;
        }
        attr = nested_attr(n->fmt, out->value);
        if (access & ~attr)
            return SPACE_DENIED;
        if ((out->value & need) == need && !(want & ~attr))
            return SPACE_RESOLVED;
        if (nested_mark(n, gpa, entry, &out->value, dirty)) {
            out->marked_dirty = dirty && !(attr & NESTED_D);
            out->marked_accessed = !(attr & NESTED_A);
            note(s, gpa, out->marked_dirty);
            return SPACE_RESOLVED;
        }
    }
}

static void count_fault(struct space_stats *st, enum space_result r, const struct resolved *res)
{
    count(&st->faults);
    if (r == SPACE_MMIO)
        count(&st->faults_mmio);
    else if (r == SPACE_DENIED)
        count(&st->faults_denied);
    else if (r == SPACE_NOMEM)
        count(&st->faults_nomem);
    else if (res->marked_dirty)
        count(&st->faults_dirty);
    else if (res->marked_accessed)
        count(&st->faults_accessed);
    else if (!res->filled)
        count(&st->faults_spurious);
}

enum space_result space_fault(struct space *s, gpa_t gpa, unsigned access)
{
    enum space_result r = SPACE_MMIO;
    struct resolved res;

    if (space_fault_in_hole(s, gpa))
        return SPACE_MMIO;
    if (likely(gpa < space_limit(s))) {
        u32 *slot = space_hold_slot(s, gpa);

        __atomic_fetch_add(slot, 1, __ATOMIC_SEQ_CST);
        r = resolve(s, gpa, access & NESTED_RWX, false, &res);
        __atomic_fetch_sub(slot, 1, __ATOMIC_RELEASE);
        if (unlikely(r == SPACE_RESOLVED && res.table_full))
            space_table_full(s, gpa);
    }
    count_fault(&s->stats, r, &res);
    return r;
}

/* Where gpa is in the hypervisor's own mapping, given its leaf. */
static void *leaf_hva(const struct nested *n, u64 value, gpa_t gpa, u64 leaf_mask)
{
    return (void *)(uintptr_t)((value & NESTED_ADDR & ~leaf_mask) + (gpa & leaf_mask) +
                               n->hva_base);
}

/* A hold that the short walk could not settle; the counter is raised, and stays so on success. */
static __attribute__((noinline)) void *hold_slow(struct space *s, gpa_t gpa, unsigned access,
                                                 bool dirty)
{
    const struct nested *n = &s->tables;
    u64 need = n->fmt->settled[access];
    struct resolved res;

    do {
        nested_lookup(n, gpa, &res.level, &res.value);
        if (res.value & NESTED_SW_FOREIGN)
            break;
        if ((res.value & need) == need && !dirty)
            return leaf_hva(n, res.value, gpa, NESTED_SIZE(res.level) - 1);
        if (resolve(s, gpa, access, dirty, &res) != SPACE_RESOLVED)
            break;
        if (!res.filled)
            return leaf_hva(n, res.value, gpa, NESTED_SIZE(res.level) - 1);
        /* The counter was lowered while it was filled: the page may have moved since. */
    } while (true);
    space_release(s, gpa);
    return NULL;
}

/*
 * The path of every emulated access: straight from the level-2 table, no loop, no call. What it
 * does not know (no such table, a 1 GiB page, something to fill or mark) it leaves to hold_slow.
 */
void *space_hold_for(struct space *s, gpa_t gpa, size_t len, unsigned access)
{
    const struct nested *n = &s->tables;
    u64 e, mask = NESTED_SIZE(2) - 1, need = n->fmt->settled[access & NESTED_RWX];
    const u64 *table;

    if (unlikely(gpa >= n->limit || len > PAGE_SIZE - (gpa & PAGE_MASK)))
        return NULL;
    __atomic_fetch_add(space_hold_slot(s, gpa), 1, __ATOMIC_SEQ_CST);
    if (unlikely(gpa >= NESTED_NEAR * GIB))
        return hold_slow(s, gpa, access & NESTED_RWX, false);
    table = __atomic_load_n(&n->near[gpa / GIB], __ATOMIC_ACQUIRE);
    if (unlikely(!table))
        return hold_slow(s, gpa, access & NESTED_RWX, false);
    e = nested_load(&table[nested_index(gpa, 2)]);
    if ((e & (NESTED_SW_VALID | NESTED_LARGE)) == NESTED_SW_VALID) {
        table = (const u64 *)(uintptr_t)((e & NESTED_ADDR) + n->hva_base);
        e = nested_load(&table[nested_index(gpa, 1)]);
        mask = PAGE_MASK;
    }
    if (unlikely((e & (need | NESTED_SW_FOREIGN)) != need))
        return hold_slow(s, gpa, access & NESTED_RWX, false);
    return leaf_hva(n, e, gpa, mask);
}

void *space_hold_page(struct space *s, gpa_t gpa, unsigned access, bool dirty)
{
    if (!dirty)
        return space_hold_for(s, gpa, 0, access);
    __atomic_fetch_add(space_hold_slot(s, gpa), 1, __ATOMIC_SEQ_CST);
    return hold_slow(s, gpa, access, true);
}

COLD enum space_result space_touch(struct space *s, gpa_t gpa, unsigned *level)
{
    u32 *slot = space_hold_slot(s, gpa);
    struct resolved res;
    enum space_result r;

    __atomic_fetch_add(slot, 1, __ATOMIC_SEQ_CST);
    r = resolve(s, gpa, 0, false, &res);
    __atomic_fetch_sub(slot, 1, __ATOMIC_RELEASE);
    *level = res.level;
    return r;
}

COLD bool space_is_filled(struct space *s, gpa_t gpa, unsigned *level)
{
    u32 *slot = space_hold_slot(s, gpa);
    u64 value;

    __atomic_fetch_add(slot, 1, __ATOMIC_SEQ_CST);
    nested_lookup(&s->tables, gpa, level, &value);
    __atomic_fetch_sub(slot, 1, __ATOMIC_RELEASE);
    return nested_valid(value);
}

COLD u64 space_held(const struct space *s)
{
    u64 sum = 0;

    for (unsigned i = 0; i < SPACE_HOLD_SLOTS; i++)
        sum += __atomic_load_n(&s->holds[i], __ATOMIC_RELAXED);
    return sum;
}

/* Fills what is not filled yet, with the largest pages. */
COLD enum err space_fill_region(struct space *s, const struct space_region *r)
{
    gpa_t gpa = r->base, end = r->base + r->size;

    while (gpa < end) {
        struct resolved done;
        unsigned level;

        if (!space_is_filled(s, gpa, &level)) {
            level = fill_level(s, r, gpa, level, NESTED_MAX_LEAF, false);
            if (s->rights_count) {
                unsigned unused;

                level = rights_level(s, gpa, level, &unused);
            }
            if (fill_leaf(s, r, gpa, level, 0, NULL, &done) != SPACE_RESOLVED)
                return ERR_NOMEM;
        } else {
            gpa = ALIGN_DOWN(gpa, NESTED_SIZE(level)) + NESTED_SIZE(level);
        }
    }
    return OK;
}
