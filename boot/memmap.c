/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Maps of physical memory. Normalising lays the ranges one after the other into a map that is kept
 * sorted and free of overlaps; where two meet, the higher type wins.
 */
#include "boot/memmap.h"
#include "lib/string.h"

void memmap_add(struct memmap *m, u64 base, u64 size, u32 type)
{
    if (base + size < base)
        size = 0 - base;
    if (!size || type == MEM_NONE)
        return;
    if (m->count == MEMMAP_MAX) {
        m->overflow = true;
        return;
    }
    m->r[m->count++] = (struct mem_range){base, size, type};
}

static u64 last_of(const struct mem_range *r)
{
    return r->base + r->size - 1;
}

static void insert_at(struct memmap *m, u32 at, u64 first, u64 last, u32 type)
{
    if (m->count == MEMMAP_MAX) {
        m->overflow = true;
        return;
    }
    memmove(&m->r[at + 1], &m->r[at], (m->count - at) * sizeof(m->r[0]));
    m->r[at] = (struct mem_range){first, last - first + 1, type};
    m->count++;
}

static void remove_at(struct memmap *m, u32 at)
{
    m->count--;
    memmove(&m->r[at], &m->r[at + 1], (m->count - at) * sizeof(m->r[0]));
}

/* Cuts the range at index so that one begins at addr. False if there is no room. */
static bool split_at(struct memmap *m, u32 at, u64 addr)
{
    u64 last = last_of(&m->r[at]);

    if (m->count == MEMMAP_MAX) {
        m->overflow = true;
        return false;
    }
    m->r[at].size = addr - m->r[at].base;
    insert_at(m, at + 1, addr, last, m->r[at].type);
    return true;
}

static void merge_around(struct memmap *m)
{
    for (u32 i = 0; i + 1 < m->count;) {
        struct mem_range *r = &m->r[i];

        if (r->type == r[1].type && last_of(r) + 1 == r[1].base) {
            r->size += r[1].size;
            remove_at(m, i + 1);
        } else {
            i++;
        }
    }
}

/*
 * Gives first..last a type where nothing is, and where something lower is. A map that is full loses
 * usable memory rather than calling memory usable that is not.
 */
static void overlay(struct memmap *m, u64 first, u64 last, u32 type)
{
    u32 i = 0;

    while (i < m->count && last_of(&m->r[i]) < first)
        i++;
    for (;; i++) {
        struct mem_range *r = &m->r[i];

        if (i == m->count || r->base > last) {
            insert_at(m, i, first, last, type);
            return;
        }
        if (r->base > first) {
            insert_at(m, i, first, r->base - 1, type);
            if (m->overflow)
                return;
            first = m->r[++i].base;
            r = &m->r[i];
        }
        if (r->type < type) {
            if (r->base < first && split_at(m, i, first))
                i++;
            r = &m->r[i];
            if (last_of(r) > last && !split_at(m, i, last + 1))
                m->r[i].type = type;
            m->r[i].type = type;
        }
        if (last_of(&m->r[i]) >= last)
            return;
        first = last_of(&m->r[i]) + 1;
    }
}

/* Whole pages: usable ones shrink, all others grow. False if nothing is left. */
static bool to_pages(const struct mem_range *r, u64 *first, u64 *last)
{
    u64 end = last_of(r);

    if (r->type != MEM_USABLE) {
        *first = ALIGN_DOWN(r->base, PAGE_SIZE);
        *last = end | PAGE_MASK;
        return true;
    }
    if (r->base > UINT64_MAX - PAGE_MASK || end < PAGE_MASK)
        return false;
    *first = ALIGN_UP(r->base, PAGE_SIZE);
    *last = (end & PAGE_MASK) == PAGE_MASK ? end : ALIGN_DOWN(end, PAGE_SIZE) - 1;
    return *first < *last;
}

/* The whole last page below 2^64 would give a size of 2^64 - base: kept out so that ends fit. */
static u64 clip(u64 last)
{
    return MIN(last, ALIGN_DOWN(UINT64_MAX, PAGE_SIZE) - 1);
}

void memmap_normalise(const struct memmap *given, struct memmap *out)
{
    u64 first, last;

    out->count = 0;
    out->overflow = given->overflow;
    for (u32 i = 0; i < given->count; i++)
        if (to_pages(&given->r[i], &first, &last) && first < clip(last))
            overlay(out, first, clip(last), given->r[i].type);
    merge_around(out);
}

void memmap_mark(struct memmap *m, u64 base, u64 size, u32 type)
{
    struct mem_range r = {base, size, MAX(type, (u32)MEM_RESERVED)};
    u64 first, last;

    if (base + size < base)
        r.size = 0 - base;
    if (!r.size)
        return;
    to_pages(&r, &first, &last);
    overlay(m, first, clip(last), type);
    merge_around(m);
}

u64 memmap_total(const struct memmap *m, u32 type)
{
    u64 total = 0;

    for (u32 i = 0; i < m->count; i++)
        if (m->r[i].type == type)
            total += m->r[i].size;
    return total;
}

u64 memmap_end(const struct memmap *m, u32 type)
{
    u64 end = 0;

    for (u32 i = 0; i < m->count; i++)
        if (m->r[i].type == type)
            end = MAX(end, m->r[i].base + m->r[i].size);
    return end;
}

u64 memmap_find(const struct memmap *m, u64 size, u64 min, u64 max)
{
    u64 best = 0;

    for (u32 i = 0; i < m->count; i++) {
        u64 base = MAX(m->r[i].base, ALIGN_UP(min, PAGE_SIZE));
        u64 end = MIN(m->r[i].base + m->r[i].size, ALIGN_DOWN(max, PAGE_SIZE));

        if (m->r[i].type == MEM_USABLE && end > base && end - base >= size)
            best = MAX(best, end - size);
    }
    return best;
}
