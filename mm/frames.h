/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Physical page frames: a binary buddy allocator over the machine's usable memory. A block of
 * order n is 2^n frames of 4 KiB, aligned to its own size; order 9 is 2 MiB, order 18 is 1 GiB.
 *
 * Bookkeeping costs one byte a frame, placed at the head of each range; the links of the free
 * lists live in the free frames themselves. Blocks have no identity beyond their frames: a block
 * may be given back whole or in any smaller aligned pieces.
 *
 * Pure: the memory is reached at hpa + hva_base, both given at initialisation. Every function may
 * be called from any CPU at any time; the lock inside is held for a bounded time.
 */
#ifndef MM_FRAMES_H
#define MM_FRAMES_H

#include "lib/lock.h"
#include "lib/types.h"

#define FRAME_ORDER_4K  0
#define FRAME_ORDER_2M  9
#define FRAME_ORDER_1G  18
#define FRAME_ORDER_MAX FRAME_ORDER_1G

#define FRAMES_MAX_RANGES 64

/* Bytes of physical memory, any alignment: [base, base + size). */
struct frame_range {
    hpa_t base;
    u64 size;
};

struct frames_zone {
    u64 first, count; /* frame numbers */
    u8 *state;        /* one byte a frame, see frames.c */
};

struct frame_link {
    struct frame_link *next, *prev;
};

struct frames {
    struct spinlock lock;
    unsigned zone_count, last_zone; /* last_zone: where the last lookup ended */
    uintptr_t hva_base;
    u64 total; /* frames under management, bookkeeping not counted; constant after init */
    u64 free;  /* of these, free now */
    u64 used_peak;
    u64 failed; /* allocations that could not be served */
    u64 free_blocks[FRAME_ORDER_MAX + 1];
    struct frame_link lists[FRAME_ORDER_MAX + 1];
    struct frames_zone zones[FRAMES_MAX_RANGES];
};

/*
 * Takes over the given usable ranges: they may be unsorted, overlapping or adjacent; partial
 * frames, frame 0 and ranges too small to carry their bookkeeping are left out. All of it must be
 * readable and writable at hpa + hva_base. The contents of the ranges are overwritten as needed.
 * Returns OK; ERR_NOMEM if nothing usable remains; ERR_RANGE if there are more separate ranges
 * than FRAMES_MAX_RANGES (the largest ones are kept and usable nevertheless).
 */
enum err frames_init(struct frames *f, uintptr_t hva_base, const struct frame_range *ranges,
                     size_t count);

/*
 * A block of 2^order frames, contents undefined. Its address, or 0 when there is none (or order
 * is out of range).
 */
hpa_t frames_alloc(struct frames *f, unsigned order);

/*
 * Gives back 2^order frames. They must have been allocated (as this block, or as part or union of
 * others): anything else is a broken invariant and asserts. hpa 0 is allowed and ignored.
 */
void frames_free(struct frames *f, hpa_t hpa, unsigned order);

/* Free frames now; a snapshot without the lock. */
static inline u64 frames_free_count(const struct frames *f)
{
    return __atomic_load_n(&f->free, __ATOMIC_RELAXED);
}

/* Walks all bookkeeping and asserts that it is consistent. For tests and checked builds. */
void frames_check(struct frames *f);

/*
 * Where nested tables and guest spaces get their frames: the machine's allocator in skep, an
 * arena (which can be told to fail) in a host program.
 */
struct frame_source {
    hpa_t (*alloc)(void *arg, unsigned order); /* as frames_alloc */
    void (*free)(void *arg, hpa_t hpa, unsigned order);
    u64 (*available)(void *arg); /* free frames now, for policy only */
    void *arg;
    uintptr_t hva_base; /* frames are reached at hpa + hva_base */
};

static inline void *frame_hva(const struct frame_source *src, hpa_t hpa)
{
    return (void *)(uintptr_t)(hpa + src->hva_base);
}

/*
 * The machine's own allocator, and the source over it (defined in mm/kmem.c, which is not part of
 * host programs).
 */
extern struct frames frames_machine;
extern struct frame_source frames_source;

/* One call for the machine's allocator: physical address of 2^order frames, 0 when out. */
static inline hpa_t frame_alloc(unsigned order)
{
    return frames_alloc(&frames_machine, order);
}

static inline void frame_free(hpa_t hpa, unsigned order)
{
    frames_free(&frames_machine, hpa, order);
}

#endif
