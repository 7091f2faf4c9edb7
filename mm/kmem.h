/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hypervisor's own memory: whole pages of the direct map, zeroed. Owns the machine's frame
 * allocator. Callable from any CPU once kmem_init has returned.
 */
#ifndef MM_KMEM_H
#define MM_KMEM_H

#include "lib/types.h"
#include "mm/frames.h"

/*
 * Starts the machine's frame allocator on the usable ranges (see frames_init), which must already
 * be in the direct map; hva_base is where physical address 0 would be. Once, on the boot CPU.
 */
enum err kmem_init(uintptr_t hva_base, const struct frame_range *ranges, size_t count);

/*
 * size bytes, rounded up to whole 4 KiB pages, zeroed, page-aligned, physically contiguous.
 * NULL when out of memory or size is 0. Freed by kmem_free with the same size.
 */
void *kmem_alloc(size_t size);

/* Gives back what kmem_alloc returned; p may be NULL. */
void kmem_free(void *p, size_t size);

/* Bytes handed out by kmem_alloc now. */
u64 kmem_used(void);

#endif
