/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * amd64: locore.S finds modulep and kernend as 32-bit words behind a 32-bit return address, and
 * page tables through which every gigabyte shows the first one of memory.
 */
#include "guests/promise/freebsd.h"

#define ENTRIES 512

/* Wrong entries of a table that should all lead to the same place. */
static u64 differ(u64 table, u64 first, u64 stride, u64 bits)
{
    u64 wrong = 0;

    for (u64 i = 0; i < ENTRIES; i++)
        wrong += (at64(table + i * 8) & ~0x60ull) != ((first + i * stride) | bits);
    return wrong;
}

static void check_tables(void)
{
    u64 pml4 = entry_state.cr3, pdpt = at64(pml4) & ~0xfffull, pd = at64(pdpt) & ~0xfffull;

    want("pml4-wrong", differ(pml4, pdpt, 0, 3), 0);
    want("pdpt-wrong", differ(pdpt, pd, 0, 3), 0);
    want("pd-wrong", differ(pd, 0, 2 * MIB, 0x83), 0);
}

void check_protocol(void)
{
    const u32 *frame = at(entry_state.sp);

    check_long64(0x501);
    check_tables();
    want("stack-low", entry_state.sp < 0xa0000 || entry_state.sp >= 0xd0000, 1);
    want("return-address", frame[0] != 0, 1);
    check_metadata(frame[1], frame[2], 0x200000);
}
