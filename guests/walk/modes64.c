/* SPDX-License-Identifier: BSD-2-Clause */
/* Four levels (SDM 3, 4.5). */
#include "guests/walk/walk.h"

#define GLA (0x8000000000ul + TARGET)

static u64 tables[4][512] ALIGNED(4096);
static u64 *pml4;
static unsigned step;

/* The entry of an address in a table of a level, and the table below it. */
static void hang(struct walk_mode *m, unsigned level, u64 *table)
{
    m->entry[level] = &table[m->gla >> (12 + 9 * (level - 1)) & 511];
    if (level > 1)
        m->table[level] = (ulong)tables[level - 1];
}

bool walk_next_mode(struct walk_mode *m)
{
    if (step++)
        return false;
    *m = (struct walk_mode){"4-level", 4, 8, GLA, {NULL}, {0}};
    pml4 = (u64 *)cr3_read();
    hang(m, 4, pml4);
    for (unsigned l = 1; l < 4; l++)
        hang(m, l, tables[l]);
    return true;
}

/* The first 8 MiB, and the device at 0xff000000. */
void walk_set_user(bool user)
{
    static const ulong places[] = {0, 2 * MIB, 4 * MIB, 6 * MIB, 0xff000000};
    u64 *pdpt = (u64 *)(pml4[0] & PTE_ADDRESS);

    for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
        u64 *e = (u64 *)(pdpt[places[i] >> 30] & PTE_ADDRESS) + (places[i] >> 21 & 511);

        *e = user ? *e | PTE_U : *e & ~(u64)PTE_U;
    }
    cr3_write(cr3_read());
}
