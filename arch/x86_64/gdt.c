/* SPDX-License-Identifier: BSD-2-Clause */
/* GDT and TSS of a CPU. SDM 3, 3.4.5 and 7.2.3. */
#include "arch/x86_64/gdt.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/percpu.h"

#define DESC_CODE64 0x00af9b000000ffffull
#define DESC_DATA   0x00cf93000000ffffull
#define DESC_TSS    0x0000890000000000ull /* available 64-bit TSS, present */
#define TSS_ENTRY   (SEL_TSS / 8)

static void load_segments(void)
{
    __asm__ volatile("pushq %0\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1:\tmovl %1, %%ds\n\t"
                     "movl %1, %%es\n\t"
                     "movl %1, %%ss\n\t"
                     "movl %2, %%fs\n\t"
                     "movl %2, %%gs\n\t"
                     "xorl %%eax, %%eax\n\t"
                     "lldt %%ax"
                     :
                     : "i"(SEL_CODE), "r"(SEL_DATA), "r"(0)
                     : "rax", "memory");
}

void gdt_load(struct percpu *cpu)
{
    u64 base = (u64)&cpu->tss, limit = sizeof(struct tss) - 1;

    cpu->gdt.entry[0] = 0;
    cpu->gdt.entry[SEL_CODE / 8] = DESC_CODE64;
    cpu->gdt.entry[SEL_DATA / 8] = DESC_DATA;
    cpu->tss.iomap = sizeof(struct tss); /* none */
    cpu->gdt.entry[TSS_ENTRY] =
        DESC_TSS | limit | (base & 0xffffff) << 16 | (base >> 24 & 0xff) << 56;
    cpu->gdt.entry[TSS_ENTRY + 1] = base >> 32;
    cpu_lgdt((u64)&cpu->gdt, sizeof(struct gdt) - 1);
    load_segments();
    cpu_ltr(SEL_TSS);
}
