/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device window: mappings of physical addresses that the direct map does not have. Boot CPU
 * while starting, or under the caller's own lock.
 */
#ifndef ARCH_X86_64_DEVMAP_H
#define ARCH_X86_64_DEVMAP_H

#include "lib/types.h"

/*
 * Maps size bytes at hpa for reading and writing, with MAP_UC in flags uncached; neither need be
 * page-aligned. NULL when out of room or memory. Stays for good.
 */
void *devmap_add(hpa_t hpa, size_t size, u32 flags);

/* Copies from any physical memory. False: beyond the processor's addresses, or no memory. */
bool devmap_read(hpa_t hpa, void *buf, size_t len);

#endif
