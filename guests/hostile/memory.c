/* SPDX-License-Identifier: BSD-2-Clause */
/* Device memory used as what it is not: code, stack, tables, operands of rare instructions. */
#include "guests/hostile/hostile.h"

#define HOLE 0xfd800000ul /* neither memory nor a device */

static const ulong places[] = {APIC_MMIO, 0xfec00000ul, HOLE, TESTDEV_MMIO, 0xfed00000ul};

SNIPPET(jump, ARG "sti\n jmp *" REG(ax));
SNIPPET(fld, ARG "fldt (" REG(ax) ")");
SNIPPET(fst, ARG "fld1\n fstpt (" REG(ax) ")");
SNIPPET(fxsave, ARG "fxsave (" REG(ax) ")");
SNIPPET(fxrstor, ARG "fxrstor (" REG(ax) ")");
SNIPPET(fnstenv, ARG "fnstenv (" REG(ax) ")");
SNIPPET(xsave, ARG "xor %edx, %edx\n mov %eax, %ecx\n mov " REG(ax) ", " REG(
                   cx) "\n mov $7, %eax\n xsave (" REG(cx) ")");
SNIPPET(maskmov, ARG "push " REG(di) "\n mov " REG(ax) ", " REG(
                     di) "\n pcmpeqb %xmm1, %xmm1\n maskmovdqu %xmm1, %xmm0\n pop " REG(di));
SNIPPET(cmpxchg8b, ARG "push " REG(bx) "\n mov " REG(ax) ", " REG(cx) "\n lock cmpxchg8b (" REG(
                       cx) ")\n pop " REG(bx));
SNIPPET(sgdt, ARG "sgdt (" REG(ax) ")");
SNIPPET(lmsw, ARG "lmsw (" REG(ax) ")");
SNIPPET(verr, ARG "verr (" REG(ax) ")");
SNIPPET(lldt, ARG "lldt (" REG(ax) ")");
SNIPPET(ltr, ARG "ltr (" REG(ax) ")");
SNIPPET(far_call, ARG "lcall *(" REG(ax) ")");
SNIPPET(far_load, ARG "lfs (" REG(ax) "), %ecx");
SNIPPET(pop_seg, ARG "mov (" REG(ax) "), %fs");
SNIPPET(invlpg, ARG "invlpg (" REG(ax) ")");
SNIPPET(divide, ARG "mov $1, %edx\n divl (" REG(ax) ")");
SNIPPET(locked, ARG "lock btsl %edx, (" REG(ax) ")");
SNIPPET(ymm, ARG "vmovdqu (" REG(ax) "), %ymm0\n vmovdqu %ymm0, (" REG(ax) ")");
SNIPPET(zmm, ARG ".byte 0x62, 0xf1, 0xfe, 0x48, 0x6f, 0x00"); /* vmovdqu64 (rax), zmm0 */
SNIPPET(movdir64b, ARG "mov " REG(ax) ", " REG(cx) "\n .byte 0x66, 0x0f, 0x38, 0xf8, 0x08");
SNIPPET(enqcmd, ARG ".byte 0xf2, 0x0f, 0x38, 0xf8, 0x08");
SNIPPET(many_prefixes,
        ARG ".byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x2e\n"
            "mov (" REG(ax) "), %cx");
SNIPPET(too_long,
        ARG ".byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66\n"
            ".byte 0x2e, 0x2e, 0x2e\n mov (" REG(ax) "), %ecx");

static void (*const odd_insns[])(void *) = {
    fld,  fst,       fxsave, fxrstor,       fnstenv,  xsave,  maskmov,  cmpxchg8b, sgdt,
    lmsw, verr,      lldt,   far_load,      pop_seg,  invlpg, divide,   locked,    ymm,
    zmm,  movdir64b, enqcmd, many_prefixes, too_long, ltr,    far_call,
};

static void mmio_odd(void)
{
    cr4_write(cr4_read() | CR4_OSXSAVE * cpu_has_1_ecx(CPUID1_ECX_XSAVE));
    for (unsigned p = 0; p < ARRAY_SIZE(places); p++)
        for (unsigned i = 0; i < ARRAY_SIZE(odd_insns); i++)
            for (ulong offset = 0; offset < 4096; offset += 0x7fd) {
                dare(odd_insns[i], (void *)(places[p] + offset));
                cpu_cli();
            }
}

/* Physical addresses all over, those of memory left out, by every width and across pages. */
static bool is_memory(u64 gpa)
{
    for (unsigned i = 0; boot_range(i); i++) {
        const struct mb_range *r = boot_range(i);

        if (r->type == 1 && gpa + 2 * PAGE_SIZE > r->base && gpa < r->base + r->length)
            return true;
    }
    return false;
}

SNIPPET(touch, ARG "mov (" REG(ax) "), " REG(cx) "\n mov " REG(cx) ", (" REG(
                   ax) ")\n"
                       "lock incb 1(" REG(ax) ")\n movups (" REG(
                           ax) "), %xmm0\n movups %xmm0, (" REG(ax) ")");

static void physical(void)
{
    u64 bits = cpu_has_leaf(0x80000008) ? cpuid(0x80000008, 0).eax & 0xff : 36;

    for (unsigned i = 0; i < 5000; i++) {
        u64 gpa = random_u64() >> (64 - bits) >> (random_u64() % 20) & ~PAGE_MASK;

        if (is_memory(gpa) || gpa >> bits)
            continue;
        paging_map(TEST_GLA, gpa, PTE_P | PTE_W);
        paging_map(TEST_GLA + 4096, gpa + 4096, PTE_P | PTE_W);
        dare(touch, (void *)(TEST_GLA + (ulong)(random_u64() % 4096)));
    }
}

#define JUMP(name, place)                                                                          \
    static void name(void)                                                                         \
    {                                                                                              \
        watchdog();                                                                                \
        dare_for(20, jump, (void *)(place));                                                       \
    }
JUMP(jump_lapic, APIC_MMIO)
JUMP(jump_ioapic, 0xfec00000ul)
JUMP(jump_hole, HOLE)
JUMP(jump_top, 0xfffffff0ul)

/* RET and a MOV to itself, written into device memory and run there. */
static void jump_testdev(void)
{
    watchdog();
    mmio_write32(TESTDEV_MMIO, 0xc3c08948);
    dare_for(20, jump, (void *)TESTDEV_MMIO);
}

/* The stack in a device: pushes, then an exception and an interrupt on it. */
SNIPPET(
    stack_in,
    ARG "mov " REG(sp) ", " REG(cx) "\n mov " REG(ax) ", " REG(sp) "\n push " REG(
        cx) "\n push $1\n pop " REG(dx) "\n call 1f\n 1: pop " REG(dx) "\n mov " REG(cx) ", " REG(sp));
SNIPPET(fault_on, ARG "mov " REG(sp) ", " REG(cx) "\n mov " REG(ax) ", " REG(sp) "\n ud2");
SNIPPET(wait_on, ARG
        "mov " REG(sp) ", " REG(cx) "\n mov " REG(ax) ", " REG(sp) "\n sti\n 1: pause\n jmp 1b");

static void stack_mmio(void)
{
    for (unsigned p = 0; p < ARRAY_SIZE(places); p++)
        dare(stack_in, (void *)(places[p] + 0x800));
}

#define ON_STACK(name, place, how)                                                                 \
    static void name(void)                                                                         \
    {                                                                                              \
        watchdog();                                                                                \
        dare_for(10, how, (void *)((place) + 0x800));                                              \
    }
ON_STACK(fault_stack_lapic, APIC_MMIO, fault_on)
ON_STACK(fault_stack_hole, HOLE, fault_on)
ON_STACK(fault_stack_testdev, TESTDEV_MMIO, fault_on)
ON_STACK(irq_stack_lapic, APIC_MMIO, wait_on)
ON_STACK(irq_stack_testdev, TESTDEV_MMIO, wait_on)

static void ud(void *arg)
{
    (void)arg;
    asm volatile("ud2");
}

static void idt_mmio(void)
{
    idt_load((const void *)APIC_MMIO, 0xfff);
    dare(ud, NULL);
}

static void idt_hole(void)
{
    idt_load((const void *)HOLE, 0xfff);
    dare(ud, NULL);
}

static void gdt_mmio(void)
{
    struct {
        u16 limit;
        ulong base;
    } PACKED p = {0xfff, APIC_MMIO};

    cpu_lgdt(&p);
    asm volatile("mov %0, %%fs" : : "r"(0x18));
}

static void cr3_mmio(void)
{
    cr3_write(0xfec00000ul);
}

/* In 32-bit code it runs in circles in Bochs, which calls the load of PAE's four from the
 * APIC-access page an access of the instruction's operand (SDM 3, table 27-6). */
static void cr3_apic(void)
{
    cr3_write(APIC_MMIO);
}

static void cr3_hole(void)
{
    cr3_write(HOLE);
}

/* One table entry points to a device as the next table. */
static void table_mmio(void)
{
    u64 *pde = paging_entry(TEST_GLA + (ulong)(8 * MIB), 2);

    for (unsigned p = 0; p < ARRAY_SIZE(places); p++) {
        *pde = (u64)places[p] | PTE_P | PTE_W | PTE_U;
        cpu_invlpg((const void *)(TEST_GLA + (ulong)(8 * MIB)));
        dare(touch, (void *)(TEST_GLA + (ulong)(8 * MIB + p * PAGE_SIZE)));
    }
    *pde = 0;
}

static const struct deed list[] = {
    {"mmio_odd", mmio_odd, ANYTHING},
    {"physical", physical, RETURNS},
    {"jump_lapic", jump_lapic, ANYTHING},
    {"jump_ioapic", jump_ioapic, ANYTHING},
    {"jump_hole", jump_hole, ANYTHING},
    {"jump_top", jump_top, ANYTHING},
    {"jump_testdev", jump_testdev, ANYTHING},
    {"stack_mmio", stack_mmio, ANYTHING},
    {"fault_stack_lapic", fault_stack_lapic, ANYTHING},
    {"fault_stack_hole", fault_stack_hole, ANYTHING},
    {"fault_stack_testdev", fault_stack_testdev, ANYTHING},
    {"irq_stack_lapic", irq_stack_lapic, ANYTHING},
    {"irq_stack_testdev", irq_stack_testdev, ANYTHING},
    {"idt_mmio", idt_mmio, DIES},
    {"idt_hole", idt_hole, DIES},
    {"gdt_mmio", gdt_mmio, DIES},
    {"cr3_mmio", cr3_mmio, DIES},
    {"cr3_apic", cr3_apic, ANYTHING},
    {"cr3_hole", cr3_hole, DIES},
    {"table_mmio", table_mmio, ANYTHING},
};
const struct deed_list deeds_memory = {list, ARRAY_SIZE(list)};
