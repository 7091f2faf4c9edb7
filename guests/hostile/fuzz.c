/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random instructions at CPL 3 with registers that point to devices. Everything but a page of code,
 * a page of stack, a page of data and the devices is out of their reach.
 */
#include "guests/hostile/hostile.h"
#include "lib/string.h"

#define CODE   (TEST_GLA + 0x1000)
#define STACK  (TEST_GLA + 0x3000)
#define DATA   (TEST_GLA + 0x5000)
#define LAPIC  (TEST_GLA + 0x7000)
#define DEV    (TEST_GLA + 0x9000)
#define HOLE   (TEST_GLA + 0xb000)
#define ROUNDS 5000

static const ulong windows[] = {DATA, LAPIC, DEV, HOLE, DATA + 0xffe, DEV + 0xffd, STACK + 0x800};

/* Supervisor pages everywhere but where the random code may go. */
static void fence(void)
{
    const u64 device = PTE_P | PTE_W | PTE_U | PTE_NX; /* code there would end the VM */

    for (ulong p = 0; p < 2048; p++) {
        ulong gla = p * 2 * MIB;
        u64 *pde;

        if (GUEST_BITS == 32 && gla >= TEST_GLA && gla < TEST_GLA + 256 * MIB)
            continue;
        pde = paging_entry(gla, 2);
        if (*pde & PTE_PS)
            *pde &= ~PTE_U;
        else
            *pde &= ~PTE_U;
    }
    cr3_write(cr3_read());
    paging_map(CODE, (ulong)scratch[0], PTE_P | PTE_W | PTE_U);
    paging_map(STACK, (ulong)scratch[1], PTE_P | PTE_W | PTE_U);
    paging_map(DATA, (ulong)scratch[2], PTE_P | PTE_W | PTE_U);
    paging_map(LAPIC, 0xfec00000, device);
    paging_map(DEV, TESTDEV_MMIO, device);
    paging_map(HOLE, 0xfd800000, device);
}

/* Bytes that are more often an instruction with a memory operand than chance would have it. */
static void write_code(u8 *p)
{
    static const u8 openings[] = {0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x48, 0x44, 0x0f,
                                  0xc4, 0xc5, 0x62, 0x64, 0x65, 0x36, 0x26, 0x41};

    for (unsigned i = 0; i < 64; i += 8) {
        u64 r = random_u64();

        memcpy(p + i, &r, 8);
    }
    for (unsigned i = 0; i < 3; i++) {
        u64 r = random_u64();

        if (r & 1)
            p[i] = openings[r >> 8 & 15];
    }
    p[64] = 0xcd;
    p[65] = VECTOR_USER_EXIT;
}

struct user_regs {
    ulong r[16];
};

/* To CPL 3 with every register loaded. */
NORETURN void fuzz_enter(const struct user_regs *regs, ulong ip, ulong sp);

static struct user_regs regs;

static void enter(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 16; i++) {
        u64 r = random_u64();

        regs.r[i] = windows[r % ARRAY_SIZE(windows)] + (ulong)(r & 0x8000 ? r >> 16 & 0xff : 0);
        if ((r >> 40 & 7) == 0)
            regs.r[i] = (ulong)random_u64();
    }
    regs.r[RCX] = random_u64() & 0x1f;
    fuzz_enter(&regs, CODE, STACK + 0x800);
}

static void fuzz(void)
{
    u64 count = boot_number("count=", ROUNDS);
    u32 seen[33] = {0};

    fence();
    for (u64 i = 0; i < count; i++) {
        int vector;

        write_code(scratch[0]);
        vector = dare_for(1, enter, NULL);
        seen[vector == DARE_VECTOR ? 32 : vector >= 0 && vector < 32 ? vector : 31]++;
    }
    for (unsigned v = 0; v < ARRAY_SIZE(seen); v++)
        if (seen[v])
            print("%u times vector %u\n", seen[v], v);
}

static const struct deed list[] = {{"fuzz", fuzz, RETURNS}};
const struct deed_list deeds_fuzz = {list, ARRAY_SIZE(list)};
