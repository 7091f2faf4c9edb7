/* SPDX-License-Identifier: BSD-2-Clause */
/* ELF64: 64-bit mode, 4 GiB mapped to themselves, a stack, RDI as docs/guests.md says. */
#include "guests/promise/promise.h"

#define GIB_PAGES 512
#define PAGE_BITS 0x83 /* present, writable, large; not user, no cache bits */

/* Every 2-MiB page of the first 4 GiB, read through the map that it describes. */
static void check_identity(void)
{
    u64 pml4 = entry_state.cr3, pdpt = at64(pml4) & ~0xfffull, wrong = 0;

    want("pml4-entry", at64(pml4) & 0xf9f, 3);
    for (u64 g = 0; g < 4; g++) {
        u64 pd = at64(pdpt + g * 8) & ~0xfffull;

        want("pdpt-entry", at64(pdpt + g * 8) & 0xf9f, 3);
        for (u64 i = 0; i < GIB_PAGES; i++) {
            u64 found = at64(pd + i * 8) & ~0x60ull; /* accessed, dirty */

            wrong += found != ((g << 30) | (i << 21) | PAGE_BITS);
        }
    }
    want("pages-wrong", wrong, 0);
    want("pml4-rest", at64(pml4 + 8) | at64(pml4 + 511 * 8), 0);
}

void check_protocol(void)
{
    check_long64(0x500);
    check_identity();
    want("eax", entry_state.ax, 0x336ec578);
    want("rbx-is-rdi", entry_state.bx, entry_state.di);
    want("stack-aligned", entry_state.sp & 15, 0);
    want("stack-in-memory", entry_state.sp > 0x5000 && entry_state.sp <= 0x9fc00, 1);
    check_start_info(entry_state.di);
}
