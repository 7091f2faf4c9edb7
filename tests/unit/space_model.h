/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest space beside a plain model of it: for each page what the guest may do with it, whether
 * it has been accessed and written, and its bytes. Operations are drawn from a stream of numbers,
 * random or a fuzzer's; each is done to both and the two are compared. The processor of mm_cpu.h
 * makes the guest's accesses. A difference asserts.
 */
#ifndef TESTS_UNIT_SPACE_MODEL_H
#define TESTS_UNIT_SPACE_MODEL_H

#include <string.h>
#include "mm/space_priv.h"
#include "tests/unit/mm_arena.h"
#include "tests/unit/mm_cpu.h"

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

/* ---- the store --------------------------------------------------------------------------------
 */

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
    struct space_config cfg = {.caps = {.format = format,
                                        .page_2m = !(how & 1),
                                        .page_1g = !(how & 2),
                                        .exec_only = format != NESTED_NPT && !(how & 4),
                                        .phys_bits = 46},
                               .src = &w->a.source,
                               .demand_leaf = how & 8 ? 1 : 2,
                               .fill_boot = how & 16};

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
    w->cpu = (struct cpu){.kind = format == NESTED_NPT      ? CPU_NPT
                                  : format == NESTED_EPT_AD ? CPU_EPT_AD
                                                            : CPU_EPT,
                          .hva_base = w->a.source.hva_base,
                          .phys_bits = 46,
                          .page_2m = cfg.caps.page_2m,
                          .page_1g = cfg.caps.page_1g,
                          .exec_only = cfg.caps.exec_only};
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

/* ---- what the model says ----------------------------------------------------------------------
 */

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

/* ---- comparison -------------------------------------------------------------------------------
 */

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

/* ---- operations -------------------------------------------------------------------------------
 */

static void world_op_fault(struct world *w)
{
    gpa_t gpa = world_gpa(w);
    unsigned access = (unsigned)world_draw(w, 7) + 1;
    enum space_result want = world_expect(w, gpa, access), got = space_fault(&w->s, gpa, access);

    if (want == SPACE_RESOLVED && got == SPACE_NOMEM)
        ASSERT(world_out_of_memory(w));
    else
        ASSERT(got == want);
    if (got == SPACE_RESOLVED)
        world_touch(w, gpa, access);
}

static bool world_is_clean(struct world *w, gpa_t gpa)
{
    unsigned level;
    u64 value;

    nested_lookup(&w->s.tables, gpa, &level, &value);
    return !(value & w->s.tables.fmt->dirty);
}

/* The guest runs one access to its end: hardware walk, fault, again. */
static void world_op_guest(struct world *w)
{
    gpa_t gpa = world_gpa(w);
    unsigned access = (unsigned)world_draw(w, 7) + 1, tries = 0;
    enum space_result want = world_expect(w, gpa, access);
    u8 byte = (u8)world_draw(w, 256), *at;
    struct cpu_walk walk;
    bool was_clean;
    u64 index;

    if (gpa >= BIT(46))
        return; /* never leaves the processor */
    if (space_enter(&w->s, &w->view, 0))
        space_flushed(&w->view);
    while (was_clean = world_is_clean(w, gpa),
           cpu_access(&w->cpu, w->s.tables.root, gpa, access, &walk) != CPU_OK) {
        enum space_result got;

        space_leave(&w->view);
        got = space_fault(&w->s, gpa, access);
        if (want == SPACE_RESOLVED && got == SPACE_NOMEM) {
            ASSERT(world_out_of_memory(w));
            return;
        }
        ASSERT(got == want);
        if (got != SPACE_RESOLVED)
            return;
        ASSERT(++tries < 3);
        if (space_enter(&w->s, &w->view, 0))
            space_flushed(&w->view);
    }
    space_leave(&w->view);
    if (w->noting && was_clean && access & CPU_W)
        space_log_notes(&w->s, &gpa, 1);
    ASSERT(want == SPACE_RESOLVED);
    world_touch(w, gpa, access);
    index = world_index(world_region_at(gpa), gpa) * PAGE_SIZE + (gpa & PAGE_MASK);
    at = frame_hva(&w->a.source, walk.hpa);
    ASSERT(*at == w->bytes[index]);
    if (access & CPU_W)
        *at = w->bytes[index] = byte;
}

static void world_op_hold(struct world *w)
{
    gpa_t gpa = world_gpa(w);
    size_t len = (size_t)world_draw(w, 20);
    unsigned access = (unsigned)world_draw(w, 8);
    u8 byte = (u8)world_draw(w, 256);
    bool pass = world_region_at(gpa) && world_region_at(gpa)->kind == SPACE_PASS;
    bool want = world_expect(w, gpa, access) == SPACE_RESOLVED;
    u8 *p = space_hold_for(&w->s, gpa, len, access), *model;

    if ((gpa & PAGE_MASK) + len > PAGE_SIZE) {
        ASSERT(!p);
        return;
    }
    if (!p) {
        ASSERT(!want || pass || world_out_of_memory(w));
        return;
    }
    ASSERT(want && !pass);
    world_touch(w, gpa, access);
    model = w->bytes + world_index(world_region_at(gpa), gpa) * PAGE_SIZE + (gpa & PAGE_MASK);
    ASSERT(memcmp(p, model, len) == 0);
    if (access & SPACE_WRITE && len)
        p[len - 1] = model[len - 1] = byte;
    space_release(&w->s, gpa);
}

enum world_copy { WORLD_READ, WORLD_WRITE, WORLD_ZERO, WORLD_LOAD };

/* One page's part of a copy on the model; false where it cannot be done. */
static bool world_copy_part(struct world *w, enum world_copy op, gpa_t gpa, u8 *buf, size_t part)
{
    static const u8 needs[] = {SPACE_READ, SPACE_WRITE, SPACE_WRITE, 0};
    const struct world_region *r = world_region_at(gpa);
    unsigned level;
    u64 value;
    bool mapped;
    u8 *model;

    if (!r || r->kind == SPACE_DEVICE || r->kind == SPACE_PASS)
        return false;
    model = w->bytes + world_index(r, gpa) * PAGE_SIZE + (gpa & PAGE_MASK);
    nested_lookup(&w->s.tables, gpa, &level, &value);
    mapped = nested_valid(value) || w->shelf; /* with a store, a page is filled to be looked at */
    if (w->pages[world_index(r, gpa)].perms != (r->kind == SPACE_ROM ? NESTED_RX : NESTED_RWX) &&
        needs[op] & ~w->pages[world_index(r, gpa)].perms)
        return false;
    if ((op == WORLD_READ || op == WORLD_ZERO) && !mapped) {
        if (op == WORLD_READ)
            memset(buf, 0, part);
        return true;
    }
    if (needs[op] & ~w->pages[world_index(r, gpa)].perms)
        return false;
    world_touch(w, gpa, op == WORLD_READ ? SPACE_READ : SPACE_WRITE);
    if (op == WORLD_READ)
        memcpy(buf, model, part);
    else if (op == WORLD_ZERO)
        memset(model, 0, part);
    else
        memcpy(model, buf, part);
    return true;
}

static void world_op_copy(struct world *w)
{
    static u8 buf[3 * PAGE_SIZE], want[3 * PAGE_SIZE];
    enum world_copy op = (enum world_copy)world_draw(w, 4);
    size_t len = (size_t)world_draw(w, world_draw(w, 4) ? 24 : sizeof(buf)), done = 0;
    gpa_t gpa = world_gpa(w);
    u64 fill = world_draw(w, 256);
    enum err got = OK;
    bool fits = gpa <= BIT(46) && len <= BIT(46) - gpa;

    /* The model goes first, for what is not mapped yet decides. With little memory left, neither.
     */
    if (w->may_run_out && frames_free_count(&w->a.frames) < 1100)
        return;
    for (size_t i = 0; i < len; i++)
        buf[i] = want[i] = (u8)(fill + i);
    while (fits && done < len) {
        size_t part = MIN(len - done, PAGE_SIZE - ((gpa + done) & PAGE_MASK));

        if (!world_copy_part(w, op, gpa + done, want + done, part))
            break;
        done += part;
    }
    if (op == WORLD_READ)
        got = space_read(&w->s, gpa, buf, len);
    else if (op == WORLD_WRITE)
        got = space_write(&w->s, gpa, buf, len);
    else if (op == WORLD_ZERO)
        got = space_zero(&w->s, gpa, len);
    else
        got = space_load(&w->s, gpa, buf, len);
    ASSERT(got == (fits && done == len ? OK : ERR_RANGE));
    ASSERT(memcmp(buf, want, op == WORLD_READ ? done : 0) == 0);
}

/* Leaves that a permission change splits: each part inherits what the whole had. */
static void world_spread(struct world *w, gpa_t base)
{
    struct world_page sum = world_leaf(w, base, NESTED_SIZE(2));

    for (gpa_t gpa = base; gpa < base + NESTED_SIZE(2); gpa += PAGE_SIZE) {
        struct world_page *p = &w->pages[world_index(world_region_at(gpa), gpa)];

        p->accessed = sum.accessed;
        p->dirty = sum.dirty;
    }
}

static bool world_is_large(struct world *w, gpa_t gpa)
{
    unsigned level;
    u64 value;

    nested_lookup(&w->s.tables, gpa, &level, &value);
    return nested_valid(value) && level == 2;
}

static void world_op_protect(struct world *w)
{
    static const u8 some[] = {0, NESTED_R, NESTED_RW, NESTED_RX, NESTED_RWX, NESTED_X, NESTED_W};
    gpa_t gpa = world_gpa(w) & ~PAGE_MASK;
    u64 pages = 1 + world_draw(w, world_draw(w, 4) ? 4 : 1100);
    unsigned perms = some[world_draw(w, ARRAY_SIZE(some))];
    const struct world_region *r = world_region_at(gpa);
    bool soft = !w->s.tables.fmt->hw_ad;
    enum err got;

    if (w->may_run_out && frames_free_count(&w->a.frames) < 1100)
        return;
    if (r)
        pages = MIN(pages, r->pages - (world_index(r, gpa) - r->first));
    else
        pages = 1;
    /* Large pages that only part of the range covers, or that stay as they are. */
    for (gpa_t at = gpa & ~(2 * MIB - 1); r && at < gpa + pages * PAGE_SIZE; at += 2 * MIB) {
        bool part = at < gpa || at + 2 * MIB > gpa + pages * PAGE_SIZE;

        if (at >= r->base && r->kind != SPACE_DEVICE && part && world_is_large(w, at) &&
            w->pages[world_index(r, at)].perms != perms && nested_perms_ok(&w->s.tables, perms))
            world_spread(w, at);
    }
    got = space_protect(&w->s, gpa, pages * PAGE_SIZE, perms);
    if (!nested_perms_ok(&w->s.tables, perms)) {
        ASSERT(got == ERR_NOSUP);
        return;
    }
    if (got == ERR_NOMEM) { /* nothing has changed */
        ASSERT(w->s.rights_count == SPACE_MAX_RIGHTS);
        return;
    }
    ASSERT(got == (r && r->kind != SPACE_DEVICE ? OK : ERR_RANGE));
    for (u64 i = 0; got == OK && i < pages; i++) {
        struct world_page *p = &w->pages[world_index(r, gpa) + i];

        p->perms = (u8)perms;
        if (perms == 0 && soft) /* no bit is left to play accessed */
            p->accessed = false;
    }
}

/* Starts, harvests or stops the log of a region. */
static void world_op_log(struct world *w)
{
    unsigned which = (unsigned)world_draw(w, ARRAY_SIZE(world_regions));
    const struct world_region *r = &world_regions[which];
    u64 bitmap[(2048 + 63) / 64] = {0}, count = 0;
    gpa_t gpa = r->base + world_draw(w, r->pages) * PAGE_SIZE;
    bool was = w->log[which], stop = world_draw(w, 4) == 0;

    if (r->kind != SPACE_RAM) {
        ASSERT(space_log_start(&w->s, gpa, w->noting) == ERR_NOENT);
        ASSERT(space_log_harvest(&w->s, gpa, bitmap) == 0);
        return;
    }
    if (was && stop) {
        space_log_stop(&w->s, gpa);
        w->log[which] = false;
        return;
    }
    if (!was) {
        enum err err;

        ASSERT(space_log_harvest(&w->s, gpa, bitmap) == 0);
        /* Large pages are split, each part as the whole was. */
        for (gpa_t at = ALIGN_UP(r->base, 2 * MIB); at < r->base + r->pages * PAGE_SIZE;
             at += 2 * MIB)
            if (world_is_large(w, at))
                world_spread(w, at);
        err = space_log_start(&w->s, gpa, w->noting);
        ASSERT(err == OK || (err == ERR_NOMEM && world_out_of_memory(w)));
        if (err != OK)
            return;
        ASSERT(space_log_start(&w->s, gpa, w->noting) == ERR_BUSY);
        w->log[which] = true;
    } else {
        count = space_log_harvest(&w->s, gpa, bitmap);
    }
    for (u64 i = 0; i < r->pages; i++) {
        struct world_page *p = &w->pages[r->first + i];

        if (was) {
            ASSERT(!!(bitmap[i / 64] & BIT(i % 64)) == p->logged);
            count -= p->logged;
        }
        p->dirty = p->logged = false;
    }
    ASSERT(count == 0);
}

/* Large pages come and go; what is in memory does not change. */
static void world_op_promote(struct world *w)
{
    gpa_t gpa = world_gpa(w) & ~PAGE_MASK;

    if (world_draw(w, 4) == 0) /* now and then only small blocks are to be had */
        w->a.max_order = world_draw(w, 2) ? 8 : FRAME_ORDER_MAX;
    else
        space_promote(&w->s, gpa, world_draw(w, 6 * MIB), world_draw(w, 2));
}

/* Each large page's parts get what the whole has, where it may be about to be split. */
static void world_spread_all(struct world *w)
{
    for (unsigned i = 0; i < ARRAY_SIZE(world_regions); i++) {
        const struct world_region *r = &world_regions[i];
        gpa_t end = r->base + r->pages * PAGE_SIZE;

        for (gpa_t at = ALIGN_UP(r->base, 2 * MIB); at < end; at += 2 * MIB)
            if (r->kind != SPACE_DEVICE && world_is_large(w, at))
                world_spread(w, at);
    }
}

/* Scans for the working set: all accessed bits are clear afterwards. */
static void world_op_scan(struct world *w)
{
    struct space_heat heat;
    u64 hot = 0, there = 0;
    enum err err;

    world_spread_all(w);
    err = space_scan(&w->s, &heat);
    ASSERT(err == OK || (err == ERR_NOMEM && w->may_run_out));
    if (err != OK)
        return;
    w->scanned = true;
    for (unsigned i = 0; i < ARRAY_SIZE(world_regions); i++) {
        const struct world_region *r = &world_regions[i];

        for (u64 k = 0; k < r->pages; k++) {
            struct world_page *p = &w->pages[r->first + k];
            u8 age = space_age(&w->s, r->base + k * PAGE_SIZE);

            ASSERT(!p->accessed || age == 0);
            ASSERT(p->accessed || age != 0);
            hot += p->accessed;
            there += age != SPACE_AGE_NONE;
            p->accessed = false;
        }
    }
    ASSERT(heat.hot == hot && heat.hot + heat.warm + heat.cold == there);
    ASSERT(there + heat.empty == WORLD_PAGES - 64); /* all but the device's */
}

/* Takes cold pages back, all there are that are zero or that the store takes. */
static void world_op_reclaim(struct world *w)
{
    u64 freed = 0, got;

    world_spread_all(w);
    got = space_reclaim(&w->s, ~0ull);
    for (unsigned i = 0; i < ARRAY_SIZE(world_regions); i++) {
        const struct world_region *r = &world_regions[i];

        for (u64 k = 0; r->kind == SPACE_RAM && k < r->pages; k++) {
            struct world_page *p = &w->pages[r->first + k];
            const u8 *bytes = w->bytes + (r->first + k) * PAGE_SIZE;
            bool was_accessed = p->accessed;
            unsigned level;

            if (p->perms == NESTED_RWX)
                p->accessed = false; /* looked at: a second chance */
            if (space_is_filled(&w->s, r->base + k * PAGE_SIZE, &level))
                continue;
            p->dirty &= p->touched; /* else it had it from a large page that it was part of */
            if (!p->touched)
                continue;
            ASSERT(p->perms == NESTED_RWX && !was_accessed && !(w->log[i] && p->dirty));
            ASSERT(w->kept[r->first + k] ||
                   (bytes[0] == 0 && memcmp(bytes, bytes + 1, PAGE_SIZE - 1) == 0));
            p->touched = p->dirty = false;
            freed++;
        }
    }
    ASSERT(got >= freed); /* pages beside those touched come free as well */
}

static void world_step(struct world *w)
{
    static void (*const ops[])(struct world *) = {
        world_op_fault, world_op_guest, world_op_guest,   world_op_guest,  world_op_hold,
        world_op_hold,  world_op_copy,  world_op_protect, world_op_promote};
    /* These look at every page, in the space and in the model. */
    static void (*const rare[])(struct world *) = {world_op_log, world_op_log, world_op_scan,
                                                   world_op_reclaim};

    if (world_draw(w, 64) == 0)
        rare[world_draw(w, ARRAY_SIZE(rare))](w);
    else
        ops[world_draw(w, ARRAY_SIZE(ops))](w);
}

#endif
