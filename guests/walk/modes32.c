/* SPDX-License-Identifier: BSD-2-Clause */
/* 32-bit paging with 4 MiB pages, and PAE (SDM 3, 4.3 and 4.4). */
#include "guests/walk/walk.h"
#include "lib/string.h"

#define GLA 0xd0005000ul

static u32 pd[1024] ALIGNED(4096), pt[1024] ALIGNED(4096);
static u64 pdpt[4] ALIGNED(4096), pds[4][512] ALIGNED(4096), pae_pt[512] ALIGNED(4096);
static unsigned step;

static void two_levels(struct walk_mode *m)
{
    for (u32 i = 0; i < 1024; i++)
        pd[i] = (u32)(i << 22 | PTE_P | PTE_W | PTE_PS);
    *m = (struct walk_mode){"32-bit", 2, 4, GLA, {NULL}, {0}};
    m->entry[2] = &pd[GLA >> 22];
    m->entry[1] = &pt[GLA >> 12 & 1023];
    m->table[2] = (ulong)pt;
    cr4_write(cr4_read() | CR4_PSE);
    cr3_write((ulong)pd);
    cr0_write(cr0_read() | CR0_PG | CR0_WP);
}

static void pae(struct walk_mode *m)
{
    for (u64 i = 0; i < 4; i++) {
        pdpt[i] = (ulong)pds[i] | PTE_P;
        for (u64 j = 0; j < 512; j++)
            pds[i][j] = (i * 512 + j) * 2 * MIB | PTE_P | PTE_W | PTE_PS;
    }
    *m = (struct walk_mode){"PAE", 2, 8, GLA, {NULL}, {0}};
    m->entry[2] = &pds[3][GLA >> 21 & 511];
    m->entry[1] = &pae_pt[GLA >> 12 & 511];
    m->table[2] = (ulong)pae_pt;
    cr0_write(cr0_read() & ~(ulong)CR0_PG);
    cr4_write(cr4_read() | CR4_PAE);
    cr3_write((ulong)pdpt);
    cr0_write(cr0_read() | CR0_PG | CR0_WP);
}

bool walk_next_mode(struct walk_mode *m)
{
    switch (step++) {
    case 0:
        two_levels(m);
        return true;
    case 1:
        pae(m);
        return true;
    }
    return false;
}

/* The first 8 MiB, and the device at 0xff000000. */
void walk_set_user(bool user)
{
    u32 bits = user ? (u32)PTE_U : 0;

    for (unsigned i = 0; i < 2; i++)
        pd[i] = (pd[i] & ~(u32)PTE_U) | bits;
    pd[0xff000000u >> 22] = (pd[0xff000000u >> 22] & ~(u32)PTE_U) | bits;
    for (unsigned i = 0; i < 4; i++)
        pds[0][i] = (pds[0][i] & ~(u64)PTE_U) | bits;
    pds[3][0xff000000u >> 21 & 511] = (pds[3][0xff000000u >> 21 & 511] & ~(u64)PTE_U) | bits;
    cr3_write(cr3_read());
}
