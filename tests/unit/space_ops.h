/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Operations on a guest space and its model, side by side, drawn from a stream of numbers, random
 * or a fuzzer's. The processor of mm_cpu.h makes the guest's accesses. A difference asserts.
 */
#ifndef TESTS_UNIT_SPACE_OPS_H
#define TESTS_UNIT_SPACE_OPS_H

#include "tests/unit/space_model.h"

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
