/* SPDX-License-Identifier: BSD-2-Clause */
/* Deeds of 64-bit code: addresses that are not canonical, descriptor tables there. */
#include "guests/hostile/hostile.h"

#define BAD 0x800000000000ul

static void wild_bases(void *arg)
{
    struct {
        u16 limit;
        u64 base;
    } PACKED p = {0xfff, (u64)arg};

    asm volatile("lgdt %0" : : "m"(p));
}

static void load_gdt(void)
{
    struct {
        u16 limit;
        u64 base;
    } PACKED old;

    asm volatile("sgdt %0" : "=m"(old));
    for (unsigned i = 0; i < 200; i++) {
        dare(wild_bases, (void *)random_u64());
        asm volatile("lgdt %0" : : "m"(old));
    }
}

SNIPPET(to_bad, "mov $1, %eax\n shl $47, %rax\n jmp *%rax");
SNIPPET(ret_bad, "mov $1, %eax\n shl $63, %rax\n push %rax\n ret");
SNIPPET(iret_bad,
        "mov $1, %eax\n shl $55, %rax\n mov %rsp, %rcx\n push $0x10\n push %rcx\n push $2\n"
        "push $8\n push %rax\n iretq");
SNIPPET(sysret_bad, "mov $1, %ecx\n shl $47, %rcx\n mov $2, %r11d\n sysretq");

static void canonical(void)
{
    dare(to_bad, NULL);
    dare(ret_bad, NULL);
    dare(iret_bad, NULL);
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE);
    wrmsr(MSR_STAR, (u64)SEL_CODE << 32 | (u64)0x10 << 48);
    dare(sysret_bad, NULL);
}

/* Out of long mode by force. */
static void leave_long_mode(void)
{
    wrmsr_try(MSR_EFER, 0);
    wrmsr_try(MSR_EFER, ~0ull);
}

static void idt_bad(void)
{
    idt_load((const void *)(BAD - 16), 0xfff);
    asm volatile("ud2");
}

static const struct deed list[] = {
    {"load_gdt", load_gdt, RETURNS},
    {"canonical", canonical, ANYTHING},
    {"leave_long_mode", leave_long_mode, RETURNS},
    {"idt_bad", idt_bad, DIES},
};
const struct deed_list deeds_mode = {list, ARRAY_SIZE(list)};
