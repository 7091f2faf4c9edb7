/* SPDX-License-Identifier: BSD-2-Clause */
/* Gates and TSS of 32-bit protected mode (SDM 3, 6.11 and 7.2.1). */
#include "guests/lib/desc.h"
#include "lib/string.h"

#define STACK_SIZE 8192

struct gate {
    u16 offset_low;
    u16 selector;
    u8 zero;
    u8 type;
    u16 offset_high;
} PACKED;
ASSERT_SIZE(struct gate, 8);

struct tss {
    u32 link;
    u32 esp0;
    u32 ss0;
    u32 unused[22];
    u16 trap;
    u16 iomap;
} PACKED;
ASSERT_SIZE(struct tss, 104);

const u64 desc_kernel_code = 0x00cf9b000000ffff;
const u64 desc_user_code = 0x00cffb000000ffff;

static struct gate idt[256] ALIGNED(16);
static struct tss tss[MAX_GUEST_CPUS] ALIGNED(128);
static u8 trap_stack[MAX_GUEST_CPUS][STACK_SIZE] ALIGNED(16);

void desc_gate(u8 vector, void (*entry)(void))
{
    u32 offset = (u32)entry;

    idt[vector] = (struct gate){
        .offset_low = (u16)offset,
        .selector = SEL_CODE,
        .type = 0x8e,
        .offset_high = (u16)(offset >> 16),
    };
}

void desc_gate_dpl(u8 vector, unsigned dpl)
{
    idt[vector].type = (u8)((idt[vector].type & ~0x60u) | dpl << 5);
}

void desc_gate_absent(u8 vector)
{
    idt[vector].type &= 0x7f;
}

struct desc_pointer desc_idt(void)
{
    return (struct desc_pointer){sizeof(idt) - 1, (ulong)idt};
}

void desc_tss(unsigned cpu)
{
    struct tss *t = &tss[cpu];
    u64 base = (u32)t;

    memset(t, 0, sizeof(*t));
    t->esp0 = (u32)trap_stack[cpu] + STACK_SIZE;
    t->ss0 = SEL_DATA;
    t->iomap = sizeof(*t);
    gdt[SEL_TSS / 8 + 2 * cpu] =
        (sizeof(*t) - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
}
