/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hypervisor's own address space, the same on every CPU. Nothing is mapped low; every window
 * but the image's text is non-executable.
 *
 *   0xffff800000000000  direct map of RAM, of the firmware's tables and of the first MiB, without
 *                       the image: physical address p is at DIRECT_BASE + p
 *   0xffffffff80000000  the image, text r-x, constants r--, data rw-
 *   0xffffffffc0000000  per-CPU areas: stacks between guard pages, struct percpu
 *   0xffffffffd0000000  devices (uncached) and short-lived mappings
 */
#ifndef ARCH_X86_64_LAYOUT_H
#define ARCH_X86_64_LAYOUT_H

#define DIRECT_BASE   0xffff800000000000
#define DIRECT_SIZE   0x0000400000000000 /* 64 TiB: physical memory above is not used */
#define IMAGE_BASE    0xffffffff80000000 /* link address minus link-time physical address */
#define IMAGE_PADDR   0x200000           /* where the image lies if nobody relocates it */
#define IMAGE_ALIGN   0x200000           /* a relocating loader keeps this alignment */
#define PERCPU_BASE   0xffffffffc0000000
#define PERCPU_STRIDE 0x10000
#define DEVICE_BASE   0xffffffffd0000000
#define DEVICE_SIZE   0x10000000

#define STACK_SIZE     0x4000 /* a CPU's one stack */
#define IST_STACK_SIZE 0x1000 /* each of NMI, double fault, machine check */

#ifndef __ASSEMBLER__

#include "lib/types.h"

/* Physical address minus link-time physical address of the image; 0 unless it was relocated. */
extern u64 image_delta;

/* The direct map. hpa must be mapped there: see above. */
static inline void *direct_ptr(hpa_t hpa)
{
    return (void *)(DIRECT_BASE + hpa);
}

/* The physical address of an object in the image or in the direct map. */
static inline hpa_t direct_hpa(const void *p)
{
    u64 va = (u64)p;

    return va >= IMAGE_BASE ? va - IMAGE_BASE + image_delta : va - DIRECT_BASE;
}

#endif
#endif
