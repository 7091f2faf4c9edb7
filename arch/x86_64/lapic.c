/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The physical local APIC. SDM 3, chapter 10. A register is named by its offset in the xAPIC page;
 * in x2APIC mode it is the MSR 0x800 + offset / 16.
 */
#include "arch/x86_64/lapic.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/devmap.h"
#include "arch/x86_64/paging.h"
#include "arch/x86_64/trap.h"

#define REG_ID          0x020
#define REG_VERSION     0x030
#define REG_TPR         0x080
#define REG_EOI         0x0b0
#define REG_SPURIOUS    0x0f0
#define REG_IRR         0x200
#define REG_ESR         0x280
#define REG_LVT_CMCI    0x2f0
#define REG_ICR         0x300
#define REG_ICR_HIGH    0x310
#define REG_LVT_TIMER   0x320
#define REG_LVT_THERMAL 0x330
#define REG_LVT_PMC     0x340
#define REG_LVT_LINT0   0x350
#define REG_LVT_LINT1   0x360
#define REG_LVT_ERROR   0x370
#define REG_INIT_COUNT  0x380
#define REG_COUNT       0x390
#define REG_DIVIDE      0x3e0

#define LVT_MASKED   BIT(16)
#define LVT_DEADLINE BIT(18)
#define LVT_NMI      0x400
#define SPURIOUS_ON  BIT(8)
#define ICR_PENDING  BIT(12)
#define DIVIDE_BY_1  0xb
#define PAGE_BITS    0x000ffffffffff000ull /* of IA32_APIC_BASE */
#define SPIN_LIMIT   1000000

static struct {
    bool x2apic;
    volatile u8 *page; /* xAPIC mode only */
} lapic;

static u32 reg_read(u32 reg)
{
    if (lapic.x2apic)
        return (u32)cpu_rdmsr(MSR_X2APIC_BASE + reg / 16);
    return *(volatile u32 *)(lapic.page + reg);
}

static void reg_write(u32 reg, u32 value)
{
    if (lapic.x2apic)
        cpu_wrmsr(MSR_X2APIC_BASE + reg / 16, value);
    else
        *(volatile u32 *)(lapic.page + reg) = value;
}

bool lapic_setup(void)
{
    struct cpuid_regs f = cpu_cpuid(1, 0);
    u64 base;

    if (!(f.edx & BIT(9)) || !cpu_rdmsr_safe(MSR_APIC_BASE, &base))
        return false;
    lapic.x2apic = f.ecx & BIT(21);
    if (!lapic.x2apic)
        lapic.page = devmap_add(base & PAGE_BITS, PAGE_SIZE, MAP_UC);
    return lapic.x2apic || lapic.page;
}

bool lapic_x2apic(void)
{
    return lapic.x2apic;
}

static void mask_local(void)
{
    unsigned lvts = reg_read(REG_VERSION) >> 16 & 0xff; /* the highest one's number */

    reg_write(REG_LVT_TIMER, LVT_MASKED | VEC_TIMER);
    reg_write(REG_LVT_LINT0, LVT_MASKED);
    reg_write(REG_LVT_LINT1, LVT_NMI);
    reg_write(REG_LVT_ERROR, LVT_MASKED);
    if (lvts >= 4)
        reg_write(REG_LVT_PMC, LVT_MASKED);
    if (lvts >= 5)
        reg_write(REG_LVT_THERMAL, LVT_MASKED);
    if (lvts >= 6)
        reg_write(REG_LVT_CMCI, LVT_MASKED);
}

void lapic_init(void)
{
    u64 base = cpu_rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE;

    cpu_wrmsr(MSR_APIC_BASE, base); /* xAPIC first: x2APIC is entered from there (10.12.5) */
    if (lapic.x2apic)
        cpu_wrmsr(MSR_APIC_BASE, base | APIC_BASE_X2APIC);
    reg_write(REG_SPURIOUS, SPURIOUS_ON | VEC_SPURIOUS);
    reg_write(REG_TPR, 0);
    mask_local();
    reg_write(REG_ESR, 0);
    reg_write(REG_INIT_COUNT, 0);
    reg_write(REG_DIVIDE, DIVIDE_BY_1);
    /* What the firmware left in service would block everything below it. */
    for (unsigned i = 0; i < 256; i++)
        reg_write(REG_EOI, 0);
}

u32 lapic_id(void)
{
    return lapic.x2apic ? reg_read(REG_ID) : reg_read(REG_ID) >> 24;
}

void lapic_eoi(void)
{
    reg_write(REG_EOI, 0);
}

void lapic_icr(u32 low, u32 dest)
{
    if (lapic.x2apic) {
        /* Unlike a store to the page, WRMSR to x2APIC registers is not ordered (10.12.3). */
        __asm__ volatile("mfence; lfence" : : : "memory");
        cpu_wrmsr(MSR_X2APIC_BASE + REG_ICR / 16, (u64)dest << 32 | low);
        return;
    }
    reg_write(REG_ICR_HIGH, dest << 24);
    reg_write(REG_ICR, low);
    for (u32 i = 0; i < SPIN_LIMIT && (reg_read(REG_ICR) & ICR_PENDING); i++)
        cpu_pause();
}

bool lapic_has_deadline(void)
{
    return cpu_cpuid(1, 0).ecx & BIT(24);
}

void lapic_timer_mode(bool deadline)
{
    reg_write(REG_LVT_TIMER, VEC_TIMER | (deadline ? LVT_DEADLINE : 0));
    /* The mode is in force before the first deadline is written (10.5.4.1). */
    __asm__ volatile("mfence" : : : "memory");
}

void lapic_timer_set(u32 count)
{
    reg_write(REG_INIT_COUNT, count);
}

void lapic_timer_deadline(u64 tsc)
{
    cpu_wrmsr(MSR_TSC_DEADLINE, tsc);
}

bool lapic_timer_pending(void)
{
    return reg_read(REG_IRR + VEC_TIMER / 32 * 16) & BIT(VEC_TIMER % 32);
}

u32 lapic_timer_count(void)
{
    return reg_read(REG_COUNT);
}
