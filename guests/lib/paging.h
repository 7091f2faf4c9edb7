/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's page tables: an identity map of 4 GiB in 2 MiB user pages, 4 levels in 64-bit code,
 * PAE in 32-bit code (SDM 3, 4.4 and 4.5), with single pages changed by tests.
 */
#ifndef GUESTS_LIB_PAGING_H
#define GUESTS_LIB_PAGING_H

#include "guests/lib/cpu.h"

#define PTE_P       BIT(0)
#define PTE_W       BIT(1)
#define PTE_U       BIT(2)
#define PTE_PWT     BIT(3)
#define PTE_PCD     BIT(4)
#define PTE_A       BIT(5)
#define PTE_D       BIT(6)
#define PTE_PS      BIT(7)
#define PTE_G       BIT(8)
#define PTE_NX      BIT(63)
#define PTE_ADDRESS 0x000ffffffffff000ull

/* A linear address where nothing is mapped at first: 1 GiB of it in 64-bit code, 256 MiB in 32. */
#define TEST_GLA ((ulong)(GUEST_BITS == 64 ? 0x8000000000ull : 0xd0000000ull))

/* Turns paging on in 32-bit code; sets EFER.NXE and CR0.WP where they exist. */
void paging_init(void);

/*
 * The entry of a linear address at a level (1: 4 KiB page, 2: 2 MiB page), tables made and large
 * pages split on the way. Change it and call cpu_invlpg().
 */
u64 *paging_entry(ulong gla, unsigned level);

/* Maps one 4 KiB page (flags 0: unmaps it) and invalidates. */
void paging_map(ulong gla, u64 gpa, u64 flags);

#endif
