/* SPDX-License-Identifier: BSD-2-Clause */
/* The working set: scans of the accessed bits, and how long ago each page was used. See space.h. */
#include "mm/space_priv.h"
#include "lib/string.h"

static enum err ages_alloc(struct space *s, struct space_region *r)
{
    if (!r->ages)
        r->ages = space_pages_alloc(s, space_ages_size(r));
    return r->ages ? OK : ERR_NOMEM;
}

struct scan {
    struct space *s;
    struct space_region *r;
    struct space_heat heat;
    bool changed;
};

/* One leaf, or the part of it that lies in the region: pages [first, first + count) of it. */
static void scan_leaf(struct scan *sc, u64 *entry, u64 first, u64 count)
{
    u8 *ages = &sc->r->ages[first], age = *ages;

    if (nested_forget_access(&sc->s->tables, entry)) {
        age = 0;
        sc->changed = true;
    } else if (age < SPACE_AGE_MAX) {
        age++;
    }
    if (count == 1)
        *ages = age;
    else
        memset(ages, age, count);
    if (age == 0)
        sc->heat.hot += count;
    else if (age <= SPACE_AGE_WARM)
        sc->heat.warm += count;
    else
        sc->heat.cold += count;
}

/* The part of the region between gpa and end, all within 2 MiB. Returns where to go on. */
static gpa_t scan_part(struct scan *sc, gpa_t gpa, gpa_t end)
{
    const struct nested *n = &sc->s->tables;

    while (gpa < end) {
        u64 value, first = (gpa - sc->r->base) >> PAGE_SHIFT;
        unsigned level;
        u64 *entry = nested_lookup(n, gpa, &level, &value);
        gpa_t next = ALIGN_DOWN(gpa, NESTED_SIZE(level)) + NESTED_SIZE(level);

        next = MIN(next, sc->r->base + sc->r->size);
        if (nested_valid(value))
            scan_leaf(sc, entry, first, (next - gpa) >> PAGE_SHIFT);
        else if (sc->r->kind != SPACE_PASS)
            sc->heat.empty += (next - gpa) >> PAGE_SHIFT;
        gpa = next;
    }
    return gpa;
}

/* Takes the lock for one 2 MiB at a time. */
static void scan_region(struct scan *sc)
{
    gpa_t gpa = sc->r->base, end = gpa + sc->r->size;

    while (gpa < end) {
        gpa_t chunk = MIN(ALIGN_DOWN(gpa, NESTED_SIZE(2)) + NESTED_SIZE(2), end);

        spin_lock(&sc->s->lock);
        gpa = scan_part(sc, gpa, chunk);
        spin_unlock(&sc->s->lock);
    }
}

enum err space_scan(struct space *s, struct space_heat *out)
{
    struct scan sc = {.s = s};
    enum err err = OK;

    for (unsigned i = 0; i < s->region_count && err == OK; i++)
        if (s->regions[i].kind != SPACE_DEVICE)
            err = ages_alloc(s, &s->regions[i]);
    for (unsigned i = 0; i < s->region_count && err == OK; i++) {
        sc.r = &s->regions[i];
        if (sc.r->kind != SPACE_DEVICE)
            scan_region(&sc);
    }
    /* Processors that still hold a page accessed would not mark it again. No need to wait. */
    if (sc.changed)
        space_invalidate(s);
    *out = sc.heat;
    return err;
}

u8 space_age(struct space *s, gpa_t gpa)
{
    const struct space_region *r = space_region_at(s, gpa);
    unsigned level;

    if (!r || !r->ages || !space_is_filled(s, gpa, &level))
        return SPACE_AGE_NONE;
    return r->ages[(gpa - r->base) >> PAGE_SHIFT];
}

/* The first address after gpa, which no region covers, where one begins; or the limit. */
static gpa_t next_region(const struct space *s, gpa_t gpa)
{
    for (unsigned i = 0; i < s->region_count; i++)
        if (s->regions[i].base > gpa)
            return s->regions[i].base;
    return space_limit(s);
}

/* How warm what begins at gpa is, 0 (no memory) to 4 (hot), and where it ends. */
static unsigned warmth(struct space *s, gpa_t gpa, gpa_t *end)
{
    const struct space_region *r = space_region_at(s, gpa);
    unsigned level;
    u8 age;

    if (!r) {
        *end = next_region(s, gpa);
        return 0;
    }
    *end = r->base + r->size;
    if (r->kind == SPACE_DEVICE)
        return 0;
    age = space_age(s, gpa);
    space_is_filled(s, gpa, &level);
    *end = MIN(*end, ALIGN_DOWN(gpa, NESTED_SIZE(level)) + NESTED_SIZE(level));
    if (age == SPACE_AGE_NONE)
        return 1;
    return age == 0 ? 4 : age <= SPACE_AGE_WARM ? 3 : 2;
}

void space_map(struct space *s, gpa_t gpa, u64 chunk, char *cells, size_t n)
{
    static const char shades[] = {' ', '.', '-', '+', '#'};
    gpa_t limit = space_limit(s), end = gpa, known = 0;
    unsigned now = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned most = 0;

        end = gpa >= limit || chunk > limit - gpa ? limit : gpa + chunk;
        while (gpa < end) {
            if (gpa >= known)
                now = warmth(s, gpa, &known);
            most = MAX(most, now);
            gpa = MIN(known, end);
        }
        cells[i] = shades[most];
    }
}
