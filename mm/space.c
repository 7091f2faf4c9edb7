/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest spaces: set-up and teardown, regions, permissions, statistics. Contracts in space.h.
 * Faults, filling and holds are in space_fault.c, the generation protocol in space_view.c, copies
 * in space_copy.c, promotion in space_promote.c, the dirty log in space_log.c.
 */
#include "mm/space.h"
#include "mm/space_priv.h"
#include "lib/assert.h"
#include "lib/string.h"

enum err space_init(struct space *s, const struct space_config *cfg)
{
    memset(s, 0, sizeof(*s));
    if (cfg->demand_leaf > NESTED_MAX_LEAF || !cfg->src)
        return ERR_INVAL;
    s->fill_boot = cfg->fill_boot;
    s->reserve = cfg->reserve;
    s->store = cfg->store;
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

void *space_pages_alloc(struct space *s, u64 bytes)
{
    const struct frame_source *src = s->tables.src;
    u64 frames = (bytes + PAGE_MASK) >> PAGE_SHIFT;
    unsigned order = 0;
    hpa_t hpa;

    while (order < FRAME_ORDER_MAX && 1ull << order < frames)
        order++;
    hpa = 1ull << order < frames ? 0 : src->alloc(src->arg, order);
    if (hpa == 0)
        return NULL;
    for (u64 i = frames; i < 1ull << order; i++)
        src->free(src->arg, hpa + (i << PAGE_SHIFT), FRAME_ORDER_4K);
    return memset(frame_hva(src, hpa), 0, frames << PAGE_SHIFT);
}

void space_pages_free(struct space *s, void *p, u64 bytes)
{
    const struct frame_source *src = s->tables.src;

    for (u64 at = 0; p && at < bytes; at += PAGE_SIZE)
        src->free(src->arg, (hpa_t)((uintptr_t)p - src->hva_base) + at, FRAME_ORDER_4K);
}

u64 space_fini(struct space *s)
{
    u64 held = space_held(s);

    for (unsigned i = 0; i < SPACE_MAX_VIEWS; i++)
        ASSERT(s->views[i] == NULL);
    for (unsigned i = 0; i < s->region_count; i++) {
        struct space_region *r = &s->regions[i];

        space_pages_free(s, r->ages, space_ages_size(r));
        space_pages_free(s, r->noted, space_notes_size(r));
    }
    if (s->tables.root)
        nested_fini(&s->tables, leaf_give_back, s);
    s->region_count = 0;
    s->stats.resident_pages = 0;
    return held;
}

/* ---- regions -------------------------------------------------------------------------------- */

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

/* An address that lies among the devices of any PC, right below the local APIC. */
#define AMONG_DEVICES 0xfed00000ull

/*
 * Finds the hole in memory around AMONG_DEVICES. A fault in it is a device's business, as nearly
 * all faults on emulated devices are: space_fault need look no further.
 */
static void hole_find(struct space *s)
{
    gpa_t low = 0, high = space_limit(s);

    for (unsigned i = 0; i < s->region_count; i++) {
        const struct space_region *r = &s->regions[i];

        if (r->kind == SPACE_DEVICE)
            continue;
        if (r->base > AMONG_DEVICES)
            high = MIN(high, r->base);
        else
            low = MAX(low, r->base + r->size);
    }
    s->hole = low;
    s->hole_size = low <= AMONG_DEVICES ? high - low : 0;
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
    hole_find(s);
    return OK;
}

enum err space_add_ram(struct space *s, gpa_t gpa, u64 size)
{
    struct space_region r = {
        .base = gpa, .size = size, .kind = SPACE_RAM, .perms = NESTED_RWX, .type = NESTED_WB};
    enum err err = region_add(s, &r);

    return err == OK && s->fill_boot ? space_fill_region(s, &r) : err;
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

        err =
            nested_map(&s->tables, gpa, hpa, level, perms | NESTED_A | NESTED_D, type, true, NULL);
        gpa += NESTED_SIZE(level);
        hpa += NESTED_SIZE(level);
    }
    spin_unlock(&s->lock);
    return err;
}

/* ---- permissions ---------------------------------------------------------------------------- */

bool space_rights_over(const struct space *s, gpa_t base, u64 size, unsigned *perms)
{
    for (unsigned i = 0; i < s->rights_count; i++) {
        const struct space_rights *n = &s->rights[i];

        if (base >= n->end || n->base >= base + size)
            continue;
        if (base < n->base || base + size > n->end)
            return false;
        *perms = n->perms;
    }
    return true;
}

static void rights_add(struct space *s, gpa_t gpa, gpa_t end, unsigned perms)
{
    s->rights[s->rights_count] = (struct space_rights){gpa, end, perms};
    __atomic_store_n(&s->rights_count, s->rights_count + 1, __ATOMIC_RELAXED);
}

/* Forgets what was noted about [gpa, end). False, with nothing lost, for want of a note. */
static bool rights_cut(struct space *s, gpa_t gpa, gpa_t end)
{
    for (unsigned i = 0; i < s->rights_count;) {
        struct space_rights *n = &s->rights[i], was = *n;

        if (gpa >= was.end || was.base >= end) {
            i++;
            continue;
        }
        if (was.base < gpa && was.end > end && s->rights_count == SPACE_MAX_RIGHTS)
            return false;
        if (was.base < gpa) {
            n->end = gpa;
        } else {
            *n = s->rights[s->rights_count - 1];
            __atomic_store_n(&s->rights_count, s->rights_count - 1, __ATOMIC_RELAXED);
        }
        if (was.end > end)
            rights_add(s, end, was.end, was.perms);
    }
    return true;
}

/*
 * Sees to it that pages of [gpa, end) that are not filled, all in one region, get `perms` when they
 * are. *fill: that cannot be noted, and they are to be filled at once.
 */
static enum err rights_set(struct space *s, gpa_t gpa, gpa_t end, unsigned perms, bool *fill)
{
    bool ok, own = perms != space_region_at(s, gpa)->perms;

    spin_lock(&s->lock);
    ok = rights_cut(s, gpa, end);
    *fill = ok && own && s->rights_count == SPACE_MAX_RIGHTS;
    if (ok && own && !*fill)
        rights_add(s, gpa, end, perms);
    spin_unlock(&s->lock);
    return ok ? OK : ERR_NOMEM;
}

/* [gpa, end), all in one region: what becomes of pages that are not filled. */
static enum err protect_unfilled(struct space *s, gpa_t gpa, gpa_t end, unsigned perms)
{
    bool fill;
    enum err err = rights_set(s, gpa, end, perms, &fill);

    for (unsigned level; fill && err == OK && gpa < end; gpa += PAGE_SIZE)
        if (space_touch(s, gpa, &level) == SPACE_NOMEM)
            err = ERR_NOMEM;
    return err;
}

/* Where the region of gpa ends, if it has permissions; else gpa. */
static gpa_t region_end(const struct space *s, gpa_t gpa)
{
    const struct space_region *r = space_region_at(s, gpa);

    return r && r->kind != SPACE_DEVICE ? r->base + r->size : gpa;
}

enum err space_protect(struct space *s, gpa_t gpa, u64 size, unsigned perms)
{
    gpa_t end = gpa + size, at, next;
    enum err err = OK;

    if (!IS_ALIGNED(gpa | size, PAGE_SIZE) || end < gpa)
        return ERR_INVAL;
    if (!nested_perms_ok(&s->tables, perms))
        return ERR_NOSUP;
    for (at = gpa; at < end; at = next)
        if ((next = region_end(s, at)) == at)
            return ERR_RANGE;
    for (at = gpa; at < end && err == OK; at = next) {
        next = MIN(region_end(s, at), end);
        err = protect_unfilled(s, at, next, perms);
    }
    for (at = gpa; at < end && err == OK; at = next) {
        next = MIN(ALIGN_DOWN(at, NESTED_SIZE(2)) + NESTED_SIZE(2), end);
        spin_lock(&s->lock);
        err = nested_protect(&s->tables, at, next - at, perms);
        spin_unlock(&s->lock);
    }
    space_invalidate(s);
    space_wait(s);
    space_promote(s, gpa, size, false);
    return err;
}

enum err space_wire(struct space *s, gpa_t gpa)
{
    struct space_region *r = (struct space_region *)space_region_at(s, gpa);
    enum err err;

    if (!r || r->kind != SPACE_RAM)
        return ERR_NOENT;
    spin_lock(&s->lock);
    r->wired = true;
    spin_unlock(&s->lock);
    err = space_fill_region(s, r);
    if (err)
        r->wired = false;
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
