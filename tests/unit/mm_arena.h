/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Physical memory for host programs: an arena of host memory, managed by the frame allocator, and
 * a frame source over it that can be told to fail. Physical addresses start at ARENA_HPA.
 */
#ifndef TESTS_UNIT_MM_ARENA_H
#define TESTS_UNIT_MM_ARENA_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "lib/assert.h"
#include "mm/frames.h"

#define ARENA_HPA (1 * GIB)

struct arena {
    struct frames frames;
    struct frame_source source;
    void *memory;
    u64 size;
    u64 free_at_start;
    u64 allocs;         /* allocations asked for so far */
    u64 fail_at;        /* the allocation with this number fails (counting from 1); 0: none */
    bool fail_after;    /* and so do all that follow */
    unsigned max_order; /* no block above this order is to be had */
};

static hpa_t arena_alloc(void *arg, unsigned order)
{
    struct arena *a = arg;
    u64 number = __atomic_add_fetch(&a->allocs, 1, __ATOMIC_RELAXED);

    if (a->fail_at && (number == a->fail_at || (a->fail_after && number > a->fail_at)))
        return 0;
    return order > a->max_order ? 0 : frames_alloc(&a->frames, order);
}

static void arena_free(void *arg, hpa_t hpa, unsigned order)
{
    struct arena *a = arg;

    frames_free(&a->frames, hpa, order);
}

static u64 arena_available(void *arg)
{
    struct arena *a = arg;

    return frames_free_count(&a->frames);
}

/* size bytes, rounded to nothing: frames_init takes what it needs for itself. */
static __attribute__((unused)) void arena_init(struct arena *a, u64 size)
{
    struct frame_range range = {.base = ARENA_HPA, .size = size};

    *a = (struct arena){.size = size, .max_order = FRAME_ORDER_MAX};
    a->memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (a->memory == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    ASSERT(frames_init(&a->frames, (uintptr_t)a->memory - ARENA_HPA, &range, 1) == OK);
    a->free_at_start = a->frames.free;
    a->source = (struct frame_source){.alloc = arena_alloc,
                                      .free = arena_free,
                                      .available = arena_available,
                                      .arg = a,
                                      .hva_base = (uintptr_t)a->memory - ARENA_HPA};
}

/* Asserts that every frame has come back. */
static __attribute__((unused)) void arena_fini(struct arena *a)
{
    frames_check(&a->frames);
    ASSERT(a->frames.free == a->free_at_start);
    munmap(a->memory, a->size);
}

#endif
