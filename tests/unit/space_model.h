/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest space and a plain model of it: for each page what the guest may do with it, whether it
 * has been accessed and written, and its bytes; and their comparison. A difference asserts.
 */
#ifndef TESTS_UNIT_SPACE_MODEL_H
#define TESTS_UNIT_SPACE_MODEL_H

#include <string.h>
#include "mm/space_priv.h"
#include "tests/unit/mm_arena.h"
#include "tests/unit/mm_formats.h"

struct world_page {
    u8 perms;
    bool touched, accessed, dirty;
    bool logged; /* written since the last harvest */
};

struct world_region {
    gpa_t base;
    u64 pages;
    u8 kind;
    u64 first; /* index of its first page in world.pages */
};

/* RAM below and above a hole, ROM, a pass-through region, RAM beyond the shortcut's reach. */
static const struct world_region world_regions[] = {
    {0, 160, SPACE_RAM, 0},
    {0xf0000, 16, SPACE_ROM, 160},
    {MIB, 2048, SPACE_RAM, 176},
    {16 * MIB, 512 + 3, SPACE_PASS, 2224},
    {32 * MIB, 64, SPACE_DEVICE, 2739},
    {70 * GIB, 1024, SPACE_RAM, 2803},
};
enum { WORLD_PAGES = 3827, WORLD_PASS_ORDER = 10 };

struct world {
    struct arena a;
    struct space s;
    struct cpu cpu;
    struct space_view view;
    hpa_t pass; /* frames behind the pass-through region */
    bool may_run_out, scanned;
    bool noting;                         /* the processor logs pages that become dirty */
    bool log[ARRAY_SIZE(world_regions)]; /* a log runs */
    struct world_page pages[WORLD_PAGES];
    u8 *bytes; /* WORLD_PAGES pages */
    struct space_store store;
    u8 *shelf; /* what the store keeps, WORLD_PAGES pages; NULL: there is no store */
    bool kept[WORLD_PAGES];
    u64 (*draw)(void *arg); /* the stream */
    void *draw_arg;
};

static u64 world_draw(struct world *w, u64 bound)
{
    return w->draw(w->draw_arg) % bound;
}

static const struct world_region *world_region_at(gpa_t gpa)
{
    for (unsigned i = 0; i < ARRAY_SIZE(world_regions); i++)
        if (gpa - world_regions[i].base < world_regions[i].pages * PAGE_SIZE)
            return &world_regions[i];
    return NULL;
}

static u64 world_index(const struct world_region *r, gpa_t gpa)
{
    return r->first + ((gpa - r->base) >> PAGE_SHIFT);
}

/* A guest-physical address, mostly in a region, often near a page's end. */
static gpa_t world_gpa(struct world *w)
{
    static const u16 low[] = {0, 1, 2047, 4080, 4093, 4095};
    const struct world_region *r = &world_regions[world_draw(w, ARRAY_SIZE(world_regions))];
    u64 how = world_draw(w, 64);
    gpa_t gpa = r->base + world_draw(w, r->pages) * PAGE_SIZE + low[how % 6];

    if (how == 63)
        return world_draw(w, BIT(46)) << world_draw(w, 18);
    return how == 62 ? r->base + r->pages * PAGE_SIZE - 3 : gpa;
}

/* ---- the store ------------------------------------------------------------------------------ */

static bool world_put(void *arg, gpa_t gpa, const void *page)
{
    struct world *w = arg;
    u64 i = world_index(world_region_at(gpa), gpa);

    ASSERT(!w->kept[i] && memcmp(page, w->bytes + i * PAGE_SIZE, PAGE_SIZE) == 0);
    if (i % 5 == 0)
        return false;
    memcpy(w->shelf + i * PAGE_SIZE, page, PAGE_SIZE);
    return w->kept[i] = true;
}

static bool world_get(void *arg, gpa_t gpa, void *page)
{
    const struct world *w = arg;
    u64 i = world_index(world_region_at(gpa), gpa);

    if (w->kept[i])
        memcpy(page, w->shelf + i * PAGE_SIZE, PAGE_SIZE);
    return w->kept[i];
}

static void world_drop(void *arg, gpa_t gpa)
{
    ((struct world *)arg)->kept[world_index(world_region_at(gpa), gpa)] = false;
}

static void world_init(struct world *w, enum nested_format_id format, u64 memory, unsigned how)
{
    struct space_config cfg = {.caps = caps_of(format),
                               .src = &w->a.source,
                               .demand_leaf = how & 8 ? 1 : 2,
                               .fill_boot = how & 16};

    cfg.caps.page_2m = !(how & 1);
    cfg.caps.page_1g = !(how & 2);
    cfg.caps.exec_only &= !(how & 4);
    w->noting = how & 32;
    arena_init(&w->a, memory);
    w->bytes = calloc(WORLD_PAGES, PAGE_SIZE);
    w->pass = frames_alloc(&w->a.frames, WORLD_PASS_ORDER);
    ASSERT(w->bytes && w->pass);
    if (how & 64) {
        w->store = (struct space_store){world_put, world_get, world_drop, w};
        w->shelf = calloc(WORLD_PAGES, PAGE_SIZE);
        ASSERT(w->shelf);
        cfg.store = &w->store;
    }
    memset(frame_hva(&w->a.source, w->pass), 0, PAGE_SIZE << WORLD_PASS_ORDER);
    ASSERT(space_init(&w->s, &cfg) == OK);
    for (unsigned i = 0; i < ARRAY_SIZE(world_regions); i++) {
        const struct world_region *r = &world_regions[i];
        u64 size = r->pages * PAGE_SIZE;
        u8 perms = 0;

        if (r->kind == SPACE_RAM) {
            ASSERT(space_add_ram(&w->s, r->base, size) == OK);
            perms = NESTED_RWX;
        } else if (r->kind == SPACE_ROM) {
            ASSERT(space_add_rom(&w->s, r->base, size) == OK);
            perms = NESTED_RX;
        } else if (r->kind == SPACE_PASS) {
            ASSERT(space_add_pass(&w->s, r->base, w->pass, size, NESTED_RW, NESTED_UC) == OK);
            perms = NESTED_RW;
        } else {
            ASSERT(space_add_mmio(&w->s, r->base, size) == OK);
        }
        for (u64 k = 0; k < r->pages; k++)
            w->pages[r->first + k] = (struct world_page){
                .perms = perms, .accessed = r->kind == SPACE_PASS, .dirty = r->kind == SPACE_PASS};
    }
    ASSERT(space_attach(&w->s, &w->view) == OK);
    w->cpu = cpu_of(&cfg.caps, &w->a.source);
}

static void world_fini(struct world *w)
{
    space_detach(&w->s, &w->view);
    ASSERT(space_fini(&w->s) == 0);
    frames_free(&w->a.frames, w->pass, WORLD_PASS_ORDER);
    free(w->bytes);
    free(w->shelf);
    arena_fini(&w->a);
}

/* ---- what the model says -------------------------------------------------------------------- */

static enum space_result world_expect(const struct world *w, gpa_t gpa, unsigned access)
{
    const struct world_region *r = world_region_at(gpa);

    if (!r || r->kind == SPACE_DEVICE)
        return SPACE_MMIO;
    return access & ~w->pages[world_index(r, gpa)].perms ? SPACE_DENIED : SPACE_RESOLVED;
}

/* An access has happened. */
static void world_touch(struct world *w, gpa_t gpa, unsigned access)
{
    struct world_page *p = &w->pages[world_index(world_region_at(gpa), gpa)];

    p->touched = true;
    /* With no permission at all, no bit is left to play accessed. */
    if (p->perms || w->s.tables.fmt->hw_ad)
        p->accessed |= access != 0;
    p->dirty |= (access & SPACE_WRITE) != 0;
    p->logged |= (access & SPACE_WRITE) != 0;
}

static bool world_out_of_memory(struct world *w)
{
    /* A fill wants one page and up to three tables. */
    return w->may_run_out && frames_free_count(&w->a.frames) < 4;
}

/* ---- comparison ----------------------------------------------------------------------------- */

/* What the model knows of all pages under one leaf, together. */
static struct world_page world_leaf(const struct world *w, gpa_t base, u64 size)
{
    struct world_page sum = {0};

    for (gpa_t gpa = base; gpa < base + size; gpa += PAGE_SIZE) {
        const struct world_region *r = world_region_at(gpa);
        const struct world_page *p;

        ASSERT(r != NULL); /* no leaf sticks out of its region */
        p = &w->pages[world_index(r, gpa)];
        sum.perms |= p->perms;
        sum.accessed |= p->accessed;
        sum.dirty |= p->dirty;
    }
    return sum;
}

/* Compares the leaf that covers gpa; returns where the next begins. */
static gpa_t world_check_leaf(struct world *w, gpa_t gpa)
{
    const struct world_region *r = world_region_at(gpa);
    const struct nested *n = &w->s.tables;
    struct world_page sum;
    unsigned level, attr;
    u64 value, size;
    const u8 *memory;

    nested_lookup(n, gpa, &level, &value);
    size = NESTED_SIZE(level);
    gpa &= ~(size - 1);
    if (!nested_valid(value)) {
        gpa_t end = MIN(gpa + size, r->base + r->pages * PAGE_SIZE);

        for (gpa_t at = MAX(gpa, r->base); at < end; at += PAGE_SIZE) {
            u64 i = world_index(r, at);
            const u8 *bytes = w->bytes + i * PAGE_SIZE;

            ASSERT(!w->pages[i].touched);
            ASSERT(w->kept[i] || (bytes[0] == 0 && memcmp(bytes, bytes + 1, PAGE_SIZE - 1) == 0));
        }
        return gpa + size;
    }
    sum = world_leaf(w, gpa, size);
    attr = nested_attr(n->fmt, value);
    for (gpa_t at = gpa; at < gpa + size; at += PAGE_SIZE)
        ASSERT(!w->kept[world_index(r, at)]);
    ASSERT((attr & NESTED_RWX) == sum.perms);
    ASSERT(!!(attr & NESTED_D) == sum.dirty);
    ASSERT(!!(attr & NESTED_A) == sum.accessed);
    memory = (const u8 *)(nested_leaf_hpa(value, level) + n->hva_base);
    ASSERT(memcmp(memory, w->bytes + world_index(r, gpa) * PAGE_SIZE, size) == 0);
    return gpa + size;
}

static void world_check(struct world *w)
{
    struct space_stats st;
    u64 pages = 0, notes = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(world_regions); i++) {
        const struct world_region *r = &world_regions[i];

        if (r->kind == SPACE_DEVICE)
            continue;
        for (gpa_t gpa = r->base; gpa < r->base + r->pages * PAGE_SIZE;)
            gpa = world_check_leaf(w, gpa);
        if (r->kind == SPACE_PASS)
            pages += r->pages;
    }
    space_get_stats(&w->s, &st);
    ASSERT(st.leaves[1] + (st.leaves[2] << 9) + (st.leaves[3] << 18) == st.resident_pages + pages);
    ASSERT(st.held == 0);
    for (unsigned i = 0; i < w->s.region_count; i++)
        notes += w->s.regions[i].noted != NULL; /* a frame each */
    /* Once scanned, each of five regions has a frame of ages. */
    ASSERT(w->a.free_at_start - frames_free_count(&w->a.frames) ==
           st.resident_pages + st.tables + (1 << WORLD_PASS_ORDER) + (w->scanned ? 5 : 0) + notes);
}

#endif
