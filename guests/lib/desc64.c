/* SPDX-License-Identifier: BSD-2-Clause */
/* Gates and TSS of long mode (SDM 3, 6.14.1 and 7.7). */
#include "guests/lib/desc.h"
#include "lib/string.h"

#define GATE_INTERRUPT 0x8e00u
#define IST_DF         1
#define IST_NMI        2
#define STACK_SIZE     8192

struct gate {
    u16 offset_low;
    u16 selector;
    u8 ist;
    u8 type;
    u16 offset_mid;
    u32 offset_high;
    u32 reserved;
} PACKED;
ASSERT_SIZE(struct gate, 16);

struct tss {
    u32 reserved0;
    u64 rsp[3];
    u64 reserved1;
    u64 ist[7];
    u64 reserved2;
    u16 reserved3;
    u16 iomap;
} PACKED;
ASSERT_SIZE(struct tss, 104);

const u64 desc_kernel_code = 0x00af9b000000ffff;
const u64 desc_user_code = 0x00affb000000ffff;

static struct gate idt[256] ALIGNED(16);
static struct tss tss[MAX_GUEST_CPUS] ALIGNED(128);
static u8 trap_stack[MAX_GUEST_CPUS][STACK_SIZE] ALIGNED(16);
static u8 ist_stack[MAX_GUEST_CPUS][2][STACK_SIZE] ALIGNED(16);

/* Stack faults too get a stack that is known to be good. */
static u8 ist_of(u8 vector)
{
    if (vector == EXC_NMI)
        return IST_NMI;
    return vector == EXC_DF || vector == EXC_SS ? IST_DF : 0;
}

void desc_gate(u8 vector, void (*entry)(void))
{
    u64 offset = (u64)entry;

    idt[vector] = (struct gate){
        .offset_low = (u16)offset,
        .selector = SEL_CODE,
        .ist = ist_of(vector),
        .type = GATE_INTERRUPT >> 8,
        .offset_mid = (u16)(offset >> 16),
        .offset_high = (u32)(offset >> 32),
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
    u64 base = (u64)t;
    u64 *d = &gdt[SEL_TSS / 8 + 2 * cpu];

    memset(t, 0, sizeof(*t));
    t->rsp[0] = (u64)trap_stack[cpu] + STACK_SIZE;
    t->ist[IST_DF - 1] = (u64)ist_stack[cpu][0] + STACK_SIZE;
    t->ist[IST_NMI - 1] = (u64)ist_stack[cpu][1] + STACK_SIZE;
    t->iomap = sizeof(*t);
    d[0] = (sizeof(*t) - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
    d[1] = base >> 32;
}
