/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest spaces: regions, demand fill, faults, holds, permissions, teardown. Contracts in space.h;
 * the generation protocol is in space_view.c, copies are in space_copy.c.
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
#include "mm/space.h"
#include "mm/space_priv.h"
#include "lib/assert.h"
#include "lib/string.h"

_Static_assert(SPACE_HOLD_SLOTS >= NESTED_ENTRIES, "a large page's small ones have a slot each");

enum err space_init(struct space *s, const struct space_config *cfg)
{
    memset(s, 0, sizeof(*s));
    if (cfg->demand_leaf > NESTED_MAX_LEAF || !cfg->src)
        return ERR_INVAL;
    s->fill_boot = cfg->fill_boot;
    s->reserve = cfg->reserve;
    s->kick = cfg->kick;
    s->kick_arg = cfg->kick_arg;
    s->generation = 1;
    s->demand_leaf = cfg->demand_leaf ? cfg->demand_leaf : 2;
    s->promote_leaf = cfg->fill_boot ? NESTED_MAX_LEAF : s->demand_leaf;
    return nested_init(&s->tables, &cfg->caps, cfg->src);
}

static void leaf_give_back(void *arg, u64 *entry, gpa_t gpa, unsigned level)
{
    struct space *s = arg;
    const struct frame_source *src = s->tables.src;

    (void)gpa;
    if (!(*entry & NESTED_SW_FOREIGN))
        src->free(src->arg, nested_leaf_hpa(*entry, level), NESTED_ORDER(level));
}

u64 space_fini(struct space *s)
{
    u64 held = space_held(s);

    for (unsigned i = 0; i < SPACE_MAX_VIEWS; i++)
        ASSERT(s->views[i] == NULL);
    if (s->tables.root)
        nested_fini(&s->tables, leaf_give_back, s);
    s->region_count = 0;
    s->stats.resident_pages = 0;
    return held;
}

/* ---- regions ----------------------------------------------------------------------------------
 */

const struct space_region *space_region_at(const struct space *s, gpa_t gpa)
{
    unsigned low = 0, high = s->region_count;

    while (low < high) {
        unsigned mid = (low + high) / 2;
        const struct space_region *r = &s->regions[mid];

        if (gpa < r->base)
            high = mid;
        else if (gpa - r->base < r->size)
            return r;
        else
            low = mid + 1;
    }
    return NULL;
}

static enum err region_add(struct space *s, const struct space_region *r)
{
    unsigned at = 0;

    if (!IS_ALIGNED(r->base | r->size | r->hpa, PAGE_SIZE) || r->size == 0)
        return ERR_INVAL;
    if (r->base >= space_limit(s) || r->size > space_limit(s) - r->base)
        return ERR_RANGE;
    while (at < s->region_count && s->regions[at].base < r->base)
        at++;
    if (at > 0 && r->base - s->regions[at - 1].base < s->regions[at - 1].size)
        return ERR_EXISTS;
    if (at < s->region_count && s->regions[at].base - r->base < r->size)
        return ERR_EXISTS;
    if (s->region_count == SPACE_MAX_REGIONS)
        return ERR_NOMEM;
    memmove(&s->regions[at + 1], &s->regions[at], (s->region_count - at) * sizeof(s->regions[0]));
    s->regions[at] = *r;
    s->region_count++;
    return OK;
}

enum err space_add_rom(struct space *s, gpa_t gpa, u64 size)
{
    struct space_region r = {
        .base = gpa, .size = size, .kind = SPACE_ROM, .perms = NESTED_RX, .type = NESTED_WB};

    return region_add(s, &r);
}

enum err space_add_mmio(struct space *s, gpa_t gpa, u64 size)
{
    struct space_region r = {.base = gpa, .size = size, .kind = SPACE_DEVICE};

    return region_add(s, &r);
}

/* The largest level at which [gpa, end) can begin with a leaf onto hpa. */
static unsigned pass_level(const struct space *s, gpa_t gpa, hpa_t hpa, gpa_t end)
{
    unsigned level = s->tables.max_leaf;

    while (level > 1 &&
           (!IS_ALIGNED(gpa | hpa, NESTED_SIZE(level)) || NESTED_SIZE(level) > end - gpa))
        level--;
    return level;
}

enum err space_add_pass(struct space *s, gpa_t gpa, hpa_t hpa, u64 size, unsigned perms,
                        enum nested_memtype type)
{
    struct space_region r = {.base = gpa,
                             .size = size,
                             .hpa = hpa,
                             .kind = SPACE_PASS,
                             .perms = (u8)perms,
                             .type = (u8)type};
    gpa_t end = gpa + size;
    enum err err;

    if (!nested_perms_ok(&s->tables, perms) || (unsigned)type > NESTED_UC)
        return ERR_INVAL;
    if (hpa & ~NESTED_ADDR & ~PAGE_MASK || size > NESTED_ADDR - hpa)
        return ERR_RANGE;
    err = region_add(s, &r);
    spin_lock(&s->lock);
    while (err == OK && gpa < end) {
        unsigned level = pass_level(s, gpa, hpa, end);

        err = nested_map(&s->tables, gpa, hpa, level, perms, type, true);
        gpa += NESTED_SIZE(level);
        hpa += NESTED_SIZE(level);
    }
    spin_unlock(&s->lock);
    return err;
}

/* ---- filling ----------------------------------------------------------------------------------
 */

/*
 * The largest leaf that may be filled around gpa: inside the region, nothing mapped in it (the
 * walk ended at `empty`), allowed by `max` and, unless at start, by what memory is left.
 */
static unsigned fill_level(const struct space *s, const struct space_region *r, gpa_t gpa,
                           unsigned empty, unsigned max, bool demand)
{
    const struct frame_source *src = s->tables.src;
    bool log = __atomic_load_n(&r->log, __ATOMIC_RELAXED);
    unsigned level = log ? 1 : MIN(MIN(empty, s->tables.max_leaf), max);

    for (; level > 1; level--) {
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

    for (;; --*level) {
        hpa_t hpa = src->alloc(src->arg, NESTED_ORDER(*level));

        if (hpa != 0) {
            memset(frame_hva(src, hpa), 0, NESTED_SIZE(*level));
            return hpa;
        }
        if (*level == 1)
            return 0;
    }
}

/*
 * Fills a leaf of at most `level` around gpa, not mapped when it was looked up. The frames are
 * allocated and zeroed before the lock is taken: two CPUs may do so for the same page, and the
 * second gives its frames back.
 */
static enum space_result fill_leaf(struct space *s, const struct space_region *r, gpa_t gpa,
                                   unsigned level, unsigned attr)
{
    const struct frame_source *src = s->tables.src;
    enum err err = ERR_NOMEM;
    hpa_t hpa;

    __atomic_fetch_add(&s->filling, 1, __ATOMIC_RELAXED);
    hpa = fill_frames(s, &level);
    spin_lock(&s->lock);
    if (hpa != 0 && level > 1 && r->log)
        err = ERR_EXISTS; /* the log has been started meanwhile: small pages only */
    else if (hpa != 0)
        err = nested_map(&s->tables, ALIGN_DOWN(gpa, NESTED_SIZE(level)), hpa, level, attr, r->type,
                         false);
    if (err == OK) {
        s->stats.resident_pages += NESTED_SIZE(level) >> PAGE_SHIFT;
        s->stats.fills[level]++;
    }
    spin_unlock(&s->lock);
    __atomic_fetch_sub(&s->filling, 1, __ATOMIC_RELEASE);
    if (err == OK)
        return SPACE_RESOLVED;
    if (hpa != 0)
        src->free(src->arg, hpa, NESTED_ORDER(level));
    return err == ERR_EXISTS ? SPACE_RESOLVED : SPACE_NOMEM;
}

/* Fills for an access; the page comes up accessed (and dirty), as the retried access would. */
static enum space_result fill(struct space *s, gpa_t gpa, unsigned access, unsigned empty)
{
    const struct space_region *r = space_region_at(s, gpa);
    unsigned attr, level;

    if (!r || r->kind == SPACE_DEVICE)
        return SPACE_MMIO;
    if (r->kind == SPACE_PASS || access & ~r->perms)
        return SPACE_DENIED;
    attr = r->perms | (access ? NESTED_A : 0) | (access & SPACE_WRITE ? NESTED_D : 0);
    level = fill_level(s, r, gpa, empty, s->demand_leaf, true);
    return fill_leaf(s, r, gpa, level, attr);
}

/*
 * No frame was to be had. But another CPU may be about to map this very page with the last one:
 * waits for the fills under way, and says whether the page is there now.
 */
static bool filled_elsewhere(struct space *s, gpa_t gpa)
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

/* ---- faults and holds -------------------------------------------------------------------------
 */

static void count(u64 *counter)
{
    __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

/* What resolve found, and what it had to do. */
struct resolved {
    unsigned level;
    u64 value; /* of the leaf, as it is now */
    bool filled, marked_accessed, marked_dirty;
};

/*
 * Makes the page of gpa fit for the access; its hold counter is raised. `dirty` marks it dirty
 * even if the access is no write.
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
        u64 *entry = nested_lookup(n, gpa, &out->level, &out->value);
        unsigned attr = nested_attr(n->fmt, out->value);

        if (!nested_valid(out->value)) {
            enum space_result r = fill(s, gpa, access, out->level);

            if (r != SPACE_RESOLVED && !(r == SPACE_NOMEM && filled_elsewhere(s, gpa)))
                return r;
            out->filled = true;
            continue;
        }
        if (access & ~attr)
            return SPACE_DENIED;
        if ((out->value & need) == need && !(want & ~attr))
            return SPACE_RESOLVED;
        if (nested_mark(n, gpa, entry, &out->value, dirty)) {
            out->marked_dirty = dirty && !(attr & NESTED_D);
            out->marked_accessed = !(attr & NESTED_A);
            return SPACE_RESOLVED;
        }
    }
}

static u32 *hold_slot(struct space *s, gpa_t gpa)
{
    return &s->holds[gpa >> PAGE_SHIFT & (SPACE_HOLD_SLOTS - 1)];
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

    if (likely(gpa < space_limit(s))) {
        u32 *slot = hold_slot(s, gpa);

        __atomic_fetch_add(slot, 1, __ATOMIC_SEQ_CST);
        r = resolve(s, gpa, access & NESTED_RWX, false, &res);
        __atomic_fetch_sub(slot, 1, __ATOMIC_RELEASE);
        if (r == SPACE_RESOLVED && res.filled && res.level == 1)
            space_filled_small(s, gpa);
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

    nested_lookup(n, gpa, &res.level, &res.value);
    if (res.value & NESTED_SW_FOREIGN)
        goto refuse;
    if (((res.value & need) != need || dirty) &&
        resolve(s, gpa, access, dirty, &res) != SPACE_RESOLVED)
        goto refuse;
    return leaf_hva(n, res.value, gpa, NESTED_SIZE(res.level) - 1);

refuse:
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
    __atomic_fetch_add(hold_slot(s, gpa), 1, __ATOMIC_SEQ_CST);
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
    __atomic_fetch_add(hold_slot(s, gpa), 1, __ATOMIC_SEQ_CST);
    return hold_slow(s, gpa, access, true);
}

enum space_result space_touch(struct space *s, gpa_t gpa, unsigned *level)
{
    u32 *slot = hold_slot(s, gpa);
    struct resolved res;
    enum space_result r;

    __atomic_fetch_add(slot, 1, __ATOMIC_SEQ_CST);
    r = resolve(s, gpa, 0, false, &res);
    __atomic_fetch_sub(slot, 1, __ATOMIC_RELEASE);
    *level = res.level;
    return r;
}

bool space_is_filled(struct space *s, gpa_t gpa, unsigned *level)
{
    u32 *slot = hold_slot(s, gpa);
    u64 value;

    __atomic_fetch_add(slot, 1, __ATOMIC_SEQ_CST);
    nested_lookup(&s->tables, gpa, level, &value);
    __atomic_fetch_sub(slot, 1, __ATOMIC_RELEASE);
    return nested_valid(value);
}

u64 space_held(const struct space *s)
{
    u64 sum = 0;

    for (unsigned i = 0; i < SPACE_HOLD_SLOTS; i++)
        sum += __atomic_load_n(&s->holds[i], __ATOMIC_RELAXED);
    return sum;
}

/* Fills what is not filled yet, with the largest pages. */
static enum err fill_range(struct space *s, const struct space_region *r)
{
    gpa_t gpa = r->base, end = r->base + r->size;

    while (gpa < end) {
        unsigned level;

        if (!space_is_filled(s, gpa, &level)) {
            level = fill_level(s, r, gpa, level, NESTED_MAX_LEAF, false);
            if (fill_leaf(s, r, gpa, level, r->perms) != SPACE_RESOLVED)
                return ERR_NOMEM;
        } else {
            gpa = ALIGN_DOWN(gpa, NESTED_SIZE(level)) + NESTED_SIZE(level);
        }
    }
    return OK;
}

enum err space_add_ram(struct space *s, gpa_t gpa, u64 size)
{
    struct space_region r = {
        .base = gpa, .size = size, .kind = SPACE_RAM, .perms = NESTED_RWX, .type = NESTED_WB};
    enum err err = region_add(s, &r);

    return err == OK && s->fill_boot ? fill_range(s, &r) : err;
}

/* ---- permissions ------------------------------------------------------------------------------
 */

/* Sets the permissions of the leaf at gpa, or of its part below end. *next: where to go on. */
static enum err protect_leaf(struct space *s, gpa_t gpa, gpa_t end, unsigned perms, gpa_t *next)
{
    enum err err = OK;
    unsigned level;
    u64 value;

    spin_lock(&s->lock);
    nested_lookup(&s->tables, gpa, &level, &value);
    *next = MIN(ALIGN_DOWN(gpa, NESTED_SIZE(level)) + NESTED_SIZE(level), end);
    if (nested_valid(value))
        err = nested_protect(&s->tables, gpa, *next - gpa, perms);
    else
        *next = gpa; /* not filled */
    spin_unlock(&s->lock);
    return err;
}

enum err space_protect(struct space *s, gpa_t gpa, u64 size, unsigned perms)
{
    gpa_t start = gpa, end = gpa + size, next = gpa;
    enum err err = OK;

    if (!IS_ALIGNED(gpa | size, PAGE_SIZE) || end < gpa)
        return ERR_INVAL;
    if (!nested_perms_ok(&s->tables, perms))
        return ERR_NOSUP;
    for (; gpa < end && err == OK; gpa = next) {
        unsigned level;
        enum space_result r = gpa < space_limit(s) ? space_touch(s, gpa, &level) : SPACE_MMIO;

        if (r == SPACE_RESOLVED)
            err = protect_leaf(s, gpa, end, perms, &next);
        else
            err = r == SPACE_NOMEM ? ERR_NOMEM : ERR_RANGE;
    }
    space_invalidate(s);
    space_wait(s);
    space_promote(s, start, size, false);
    return err;
}

void space_get_stats(struct space *s, struct space_stats *out)
{
    u64 *to = (u64 *)out;
    const u64 *from = (const u64 *)&s->stats;

    spin_lock(&s->lock);
    for (size_t i = 0; i < sizeof(*out) / sizeof(u64); i++)
        to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
    memcpy(out->leaves, s->tables.leaves, sizeof(out->leaves));
    out->tables = s->tables.tables;
    out->splits = s->tables.splits;
    out->generation = __atomic_load_n(&s->generation, __ATOMIC_RELAXED);
    out->held = space_held(s);
    spin_unlock(&s->lock);
}
