/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine's frame allocator and whole-page allocations from it; contracts in kmem.h. */
#include "mm/kmem.h"
#include "lib/string.h"

struct frames frames_machine;

static u64 used_bytes;

static hpa_t source_alloc(void *arg, unsigned order)
{
    return frames_alloc(arg, order);
}

static void source_free(void *arg, hpa_t hpa, unsigned order)
{
    frames_free(arg, hpa, order);
}

static u64 source_available(void *arg)
{
    return frames_free_count(arg);
}

struct frame_source frames_source = {
    .alloc = source_alloc,
    .free = source_free,
    .available = source_available,
    .arg = &frames_machine,
};

enum err kmem_init(uintptr_t hva_base, const struct frame_range *ranges, size_t count)
{
    frames_source.hva_base = hva_base;
    return frames_init(&frames_machine, hva_base, ranges, count);
}

/* Gives back frames [from, to), in the largest aligned blocks. */
static void free_run(u64 from, u64 to)
{
    while (from < to) {
        unsigned order = MIN((unsigned)__builtin_ctzll(from), FRAME_ORDER_MAX);

        while (from + (1ull << order) > to)
            order--;
        frame_free(from << PAGE_SHIFT, order);
        from += 1ull << order;
    }
}

void *kmem_alloc(size_t size)
{
    u64 pages = (u64)(size >> PAGE_SHIFT) + ((size & PAGE_MASK) != 0);
    unsigned order = 0;
    hpa_t hpa;
    void *p;

    if (pages == 0 || pages > 1ull << FRAME_ORDER_MAX)
        return NULL;
    while (1ull << order < pages)
        order++;
    hpa = frame_alloc(order);
    if (hpa == 0)
        return NULL;
    free_run((hpa >> PAGE_SHIFT) + pages, (hpa >> PAGE_SHIFT) + (1ull << order));
    p = frame_hva(&frames_source, hpa);
    memset(p, 0, pages << PAGE_SHIFT);
    __atomic_fetch_add(&used_bytes, pages << PAGE_SHIFT, __ATOMIC_RELAXED);
    return p;
}

void kmem_free(void *p, size_t size)
{
    u64 pages = (u64)(size >> PAGE_SHIFT) + ((size & PAGE_MASK) != 0);
    u64 first = ((uintptr_t)p - frames_source.hva_base) >> PAGE_SHIFT;

    if (p == NULL || pages == 0)
        return;
    free_run(first, first + pages);
    __atomic_fetch_sub(&used_bytes, pages << PAGE_SHIFT, __ATOMIC_RELAXED);
}

u64 kmem_used(void)
{
    return __atomic_load_n(&used_bytes, __ATOMIC_RELAXED);
}
