/* SPDX-License-Identifier: BSD-2-Clause */
/* Deeds of 32-bit code: #AC without end, task switches to garbage, virtual-8086 mode. */
#include "guests/hostile/hostile.h"
#include "lib/string.h"

/*
 * #AC at CPL 3 through a gate to CPL 3: pushing the frame on a misaligned stack raises #AC again
 * (CVE-2015-5307).
 */
SNIPPET(misaligned, "pushf\n orl $0x40000, (%esp)\n popf\n dec %esp\n push $1\n 1: jmp 1b");

struct gate {
    u16 low, selector;
    u8 zero, type;
    u16 high;
};

static void ac_loop(void)
{
    static struct gate idt[256];
    struct {
        u16 limit;
        u32 base;
    } PACKED p;
    struct trap t;
    u32 handler = (u32)misaligned;

    watchdog();
    cr0_write(cr0_read() | CR0_AM);
    asm volatile("sidt %0" : "=m"(p));
    memcpy(idt, (const void *)p.base, sizeof(idt));
    idt[EXC_AC] = (struct gate){(u16)handler, SEL_UCODE, 0, 0xee, (u16)(handler >> 16)};
    idt_load(idt, sizeof(idt) - 1);
    trap_try_user(&t, misaligned, NULL);
}

/* A far jump to a TSS full of random words. */
static u8 bad_tss[256] ALIGNED(256);

static void switch_task(void *arg)
{
    (void)arg;
    asm volatile("ljmp %0, $0" : : "i"(SEL_SPARE) : "memory");
}

static void task(void)
{
    u64 base = (u32)bad_tss;

    for (unsigned i = 0; i < 100; i++) {
        for (unsigned b = 0; b < 104; b++)
            bad_tss[b] = (u8)random_u64();
        bad_tss[28] = bad_tss[29] = bad_tss[30] = bad_tss[31] = 0; /* CR3 */
        gdt_set(SEL_SPARE, 103 | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24) << 56);
        dare(switch_task, NULL);
    }
}

/* IRET to virtual-8086 mode, at random places, with an interrupt to come back. */
static void to_v86(void *arg)
{
    u32 cs = (u32)random_u64() & 0xffff;

    (void)arg;
    asm volatile("push $0\n push $0\n push %0\n push %0\n push $0x7000\n push $0xfff0\n"
                 "push $0x20202\n push %0\n push $0\n iretl"
                 :
                 : "r"(cs)
                 : "memory");
}

/* Only the memory of the first megabyte is in reach. */
static void fence(void)
{
    for (u32 gla = 0xa0000; gla < 0x200000; gla += 4096)
        if (gla < 0xc0000 || gla >= 0x100000)
            *paging_entry(gla, 1) &= ~PTE_U;
    for (u32 gla = 0x200000; gla; gla += 0x200000)
        if (gla < TEST_GLA || gla >= TEST_GLA + 256 * MIB)
            *paging_entry(gla, 2) &= ~PTE_U;
    cr3_write(cr3_read());
}

static void v86(void)
{
    fence();
    for (unsigned i = 0; i < 200; i++)
        dare_for(1, to_v86, NULL);
}

static const struct deed list[] = {
    {"ac_loop", ac_loop, LOOPS},
    {"task", task, ANYTHING},
    {"v86", v86, RETURNS},
};
const struct deed_list deeds_mode = {list, ARRAY_SIZE(list)};
