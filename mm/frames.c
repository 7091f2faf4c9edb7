/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Binary buddy allocator over the machine's memory; contracts in frames.h.
 *
 * State bytes: the head of a free block says so with its order; the other frames of a free block
 * are INNER; every frame of an allocated block is USED, so that a block can be given back in
 * pieces and a double free is noticed. The bookkeeping itself is RESERVED.
 */
#include "mm/frames.h"
#include "lib/assert.h"
#include "lib/string.h"

enum { STATE_INNER = 0x00, STATE_RESERVED = 0x20, STATE_USED = 0x40, STATE_FREE = 0x80 };

#define USED_WORD (0x0101010101010101ull * STATE_USED)

static struct frame_link *link_of(const struct frames *f, u64 frame)
{
    return (struct frame_link *)(uintptr_t)((frame << PAGE_SHIFT) + f->hva_base);
}

static u64 frame_of(const struct frames *f, const struct frame_link *l)
{
    return ((uintptr_t)l - f->hva_base) >> PAGE_SHIFT;
}

static bool zone_has(const struct frames_zone *z, u64 frame)
{
    return frame - z->first < z->count;
}

/* The zone that the frame belongs to, or NULL. */
static struct frames_zone *zone_of(struct frames *f, u64 frame)
{
    struct frames_zone *z = &f->zones[f->last_zone];

    if (likely(zone_has(z, frame)))
        return z;
    for (unsigned i = 0; i < f->zone_count; i++) {
        if (zone_has(&f->zones[i], frame)) {
            f->last_zone = i;
            return &f->zones[i];
        }
    }
    return NULL;
}

static void list_push(struct frames *f, struct frames_zone *z, u64 frame, unsigned order)
{
    struct frame_link *head = &f->lists[order], *l = link_of(f, frame);

    z->state[frame - z->first] = (u8)(STATE_FREE | order);
    l->next = head->next;
    l->prev = head;
    head->next->prev = l;
    head->next = l;
    f->free_blocks[order]++;
}

static void list_take(struct frames *f, struct frames_zone *z, u64 frame, unsigned order)
{
    struct frame_link *l = link_of(f, frame);

    z->state[frame - z->first] = STATE_INNER;
    l->next->prev = l->prev;
    l->prev->next = l->next;
    f->free_blocks[order]--;
}

/* Puts a block on the lists, merged with its free buddies. Its frames are INNER. */
static COLD void block_release(struct frames *f, struct frames_zone *z, u64 frame, unsigned order)
{
    while (order < FRAME_ORDER_MAX) {
        u64 buddy = frame ^ (1ull << order);

        if (!zone_has(z, buddy) || z->state[buddy - z->first] != (STATE_FREE | order))
            break;
        list_take(f, z, buddy, order);
        frame &= ~(1ull << order);
        order++;
    }
    list_push(f, z, frame, order);
}

static bool all_used(const u8 *state, u64 count)
{
    u64 word;

    for (; count >= sizeof(word); count -= sizeof(word), state += sizeof(word)) {
        memcpy(&word, state, sizeof(word));
        if (word != USED_WORD)
            return false;
    }
    while (count--)
        if (*state++ != STATE_USED)
            return false;
    return true;
}

hpa_t frames_alloc(struct frames *f, unsigned order)
{
    unsigned from = order;
    struct frames_zone *z;
    u64 frame;

    if (order > FRAME_ORDER_MAX)
        return 0;
    spin_lock(&f->lock);
    while (from <= FRAME_ORDER_MAX && f->free_blocks[from] == 0)
        from++;
    if (from > FRAME_ORDER_MAX) {
        f->failed++;
        spin_unlock(&f->lock);
        return 0;
    }
    frame = frame_of(f, f->lists[from].next);
    z = zone_of(f, frame);
    list_take(f, z, frame, from);
    while (from > order) {
        from--;
        list_push(f, z, frame + (1ull << from), from);
    }
    if (order == 0)
        z->state[frame - z->first] = STATE_USED;
    else
        memset(z->state + (frame - z->first), STATE_USED, 1ull << order);
    __atomic_store_n(&f->free, f->free - (1ull << order), __ATOMIC_RELAXED);
    if (f->total - f->free > f->used_peak)
        f->used_peak = f->total - f->free;
    spin_unlock(&f->lock);
    return frame << PAGE_SHIFT;
}

COLD void frames_free(struct frames *f, hpa_t hpa, unsigned order)
{
    u64 frame = hpa >> PAGE_SHIFT, count = 1ull << order;
    struct frames_zone *z;
    u8 *state;

    if (hpa == 0)
        return;
    ASSERT(order <= FRAME_ORDER_MAX && IS_ALIGNED(hpa, count << PAGE_SHIFT));
    spin_lock(&f->lock);
    z = zone_of(f, frame);
    ASSERT(z != NULL && zone_has(z, frame + count - 1));
    state = z->state + (frame - z->first);
    ASSERT(all_used(state, count));
    if (order == 0)
        *state = STATE_INNER;
    else
        memset(state, STATE_INNER, count);
    block_release(f, z, frame, order);
    __atomic_store_n(&f->free, f->free + count, __ATOMIC_RELAXED);
    spin_unlock(&f->lock);
}

/* ---- initialisation ------------------------------------------------------------------------- */

static void zone_remove(struct frames *f, unsigned i)
{
    memmove(&f->zones[i], &f->zones[i + 1], (f->zone_count - i - 1) * sizeof(f->zones[0]));
    f->zone_count--;
}

static unsigned zone_smallest(const struct frames *f)
{
    unsigned min = 0;

    for (unsigned i = 1; i < f->zone_count; i++)
        if (f->zones[i].count < f->zones[min].count)
            min = i;
    return min;
}

/* Adds frames [first, end) to the zones, united with what they overlap or touch. */
COLD static enum err zone_add(struct frames *f, u64 first, u64 end)
{
    enum err err = OK;
    unsigned at = 0;

    for (unsigned i = 0; i < f->zone_count;) {
        struct frames_zone *z = &f->zones[i];

        if (first > z->first + z->count || end < z->first) {
            i++;
            continue;
        }
        first = MIN(first, z->first);
        end = MAX(end, z->first + z->count);
        zone_remove(f, i);
        i = 0;
    }
    if (f->zone_count == FRAMES_MAX_RANGES) {
        unsigned min = zone_smallest(f);

        err = ERR_RANGE;
        if (f->zones[min].count >= end - first)
            return err;
        zone_remove(f, min);
    }
    while (at < f->zone_count && f->zones[at].first < first)
        at++;
    memmove(&f->zones[at + 1], &f->zones[at], (f->zone_count - at) * sizeof(f->zones[0]));
    f->zones[at] = (struct frames_zone){.first = first, .count = end - first};
    f->zone_count++;
    return err;
}

/* Lays the bookkeeping at the head of the zone and frees the rest. */
static void zone_start(struct frames *f, struct frames_zone *z)
{
    u64 own = (z->count + PAGE_SIZE - 1) >> PAGE_SHIFT, end = z->first + z->count;

    z->state = (u8 *)link_of(f, z->first);
    memset(z->state, STATE_RESERVED, own);
    memset(z->state + own, STATE_INNER, z->count - own);
    for (u64 frame = z->first + own; frame < end;) {
        unsigned order = (unsigned)__builtin_ctzll(frame);

        order = MIN(order, FRAME_ORDER_MAX);
        while (frame + (1ull << order) > end)
            order--;
        block_release(f, z, frame, order);
        frame += 1ull << order;
    }
    f->total += z->count - own;
}

COLD enum err frames_init(struct frames *f, uintptr_t hva_base, const struct frame_range *ranges,
                          size_t count)
{
    enum err err = OK;

    memset(f, 0, sizeof(*f));
    f->hva_base = hva_base;
    for (unsigned i = 0; i <= FRAME_ORDER_MAX; i++)
        f->lists[i].next = f->lists[i].prev = &f->lists[i];
    for (size_t i = 0; i < count; i++) {
        u64 base = ranges[i].base, limit = base + ranges[i].size, first, end;

        if (limit < base)
            limit = ~0ull;
        first = MAX(base / PAGE_SIZE + (base % PAGE_SIZE != 0), 1);
        end = limit / PAGE_SIZE;
        if (first < end && zone_add(f, first, end) != OK)
            err = ERR_RANGE;
    }
    for (unsigned i = 0; i < f->zone_count;) {
        if (f->zones[i].count < 2)
            zone_remove(f, i);
        else
            zone_start(f, &f->zones[i++]);
    }
    f->free = f->total;
    return f->total == 0 ? ERR_NOMEM : err;
}

/* ---- checking ------------------------------------------------------------------------------- */

/* Frames of the free block that starts at index i of the zone; 0 if none starts there. */
static u64 check_block(struct frames *f, struct frames_zone *z, u64 i)
{
    unsigned order = z->state[i] & ~STATE_FREE;
    u64 frame = z->first + i, count;

    if (!(z->state[i] & STATE_FREE))
        return 0;
    ASSERT(order <= FRAME_ORDER_MAX);
    count = 1ull << order;
    ASSERT(IS_ALIGNED(frame, count) && i + count <= z->count);
    for (u64 k = 1; k < count; k++)
        ASSERT(z->state[i + k] == STATE_INNER);
    ASSERT(link_of(f, frame)->next->prev == link_of(f, frame));
    return count;
}

COLD void frames_check(struct frames *f)
{
    u64 free = 0, used = 0, listed = 0, n;

    spin_lock(&f->lock);
    for (unsigned zi = 0; zi < f->zone_count; zi++) {
        struct frames_zone *z = &f->zones[zi];

        for (u64 i = 0; i < z->count; i += n ? n : 1) {
            n = check_block(f, z, i);
            ASSERT(n || z->state[i] == STATE_USED || z->state[i] == STATE_RESERVED);
            free += n;
            used += z->state[i] == STATE_USED;
        }
    }
    for (unsigned order = 0; order <= FRAME_ORDER_MAX; order++) {
        n = 0;
        for (struct frame_link *l = f->lists[order].next; l != &f->lists[order]; l = l->next)
            n++;
        ASSERT(n == f->free_blocks[order]);
        listed += n << order;
    }
    ASSERT(free == f->free && listed == free && used == f->total - free);
    spin_unlock(&f->lock);
}
