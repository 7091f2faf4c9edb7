/* SPDX-License-Identifier: BSD-2-Clause */
/* The local APIC by MSRs (SDM 3, 10.12). Last of all: there is no way back from x2APIC mode. */
#include "guests/check/check.h"

#define VECTOR  0x63
#define X2(reg) (MSR_X2APIC_BASE + (reg) / 16)

static volatile u32 count;

static void on_irq(struct trap_frame *f)
{
    (void)f;
    count++;
    apic_eoi();
}

static bool begin(void)
{
    if (!cpu_has_1_ecx(CPUID1_ECX_X2APIC)) {
        check_skip("no x2APIC");
        return false;
    }
    if (!apic_is_x2())
        apic_x2_mode_on();
    count = 0;
    trap_set(VECTOR, on_irq);
    return true;
}

static void x2apic_id(void)
{
    u32 before = apic_id();

    if (!begin())
        return;
    EXPECT_EQ(apic_id(), before);
    EXPECT_EQ(rdmsr(MSR_APIC_BASE) & (APIC_BASE_ENABLE | APIC_BASE_X2APIC),
              APIC_BASE_ENABLE | APIC_BASE_X2APIC);
}

/* The logical ID follows from the ID. */
static void x2apic_logical_id(void)
{
    u32 id = apic_id();

    if (!begin())
        return;
    EXPECT_EQ(rdmsr(X2(APIC_LDR)), (id >> 4) << 16 | 1u << (id & 15));
    EXPECT_EQ(wrmsr_try(X2(APIC_LDR), 1), EXC_GP);
    apic_icr(1u << (id & 15) | (id >> 4) << 16, ICR_FIXED | ICR_LOGICAL | ICR_ASSERT | VECTOR);
    EXPECT(wait_count(&count, 1, 100), "a logical IPI never came");
}

static void x2apic_self_ipi(void)
{
    if (!begin())
        return;
    wrmsr(X2(APIC_SELF_IPI), VECTOR);
    EXPECT(apic_vector_bit(APIC_IRR, VECTOR), "not in the IRR");
    EXPECT(wait_count(&count, 1, 100), "never came");
    apic_icr(apic_id(), ICR_FIXED | ICR_ASSERT | VECTOR);
    EXPECT(wait_count(&count, 2, 100), "by the ICR: never came");
    apic_icr(0, ICR_SELF | ICR_ASSERT | VECTOR);
    EXPECT(wait_count(&count, 3, 100), "by the shorthand: never came");
}

static void x2apic_tpr(void)
{
    if (!begin())
        return;
    wrmsr(X2(APIC_TPR), VECTOR & 0xf0);
    EXPECT_EQ(rdmsr(X2(APIC_TPR)), VECTOR & 0xf0);
    wrmsr(X2(APIC_SELF_IPI), VECTOR);
    wait_ms(1);
    EXPECT_EQ(count, 0);
    wrmsr(X2(APIC_TPR), 0);
    EXPECT(wait_count(&count, 1, 100), "never came");
}

static void x2apic_timer(void)
{
    if (!begin())
        return;
    apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_1);
    apic_write(APIC_LVT_TIMER, APIC_TIMER_PERIODIC | VECTOR);
    apic_write(APIC_TIMER_INITIAL, 100000);
    EXPECT(wait_count(&count, 3, 500), "%u ticks", count);
    apic_write(APIC_TIMER_INITIAL, 0);
}

/* Registers that are not there, and bits that are reserved, fault (CVE-2014-7188). */
static void x2apic_illegal(void)
{
    static const u32 absent[] = {0x800, 0x804, 0x80c, 0x80e, 0x831, 0x840, 0x8ff};
    static const u32 read_only[] = {0x802, 0x803, 0x80a, 0x80d, 0x810, 0x820, 0x839};
    u64 value;

    if (!begin())
        return;
    for (unsigned i = 0; i < ARRAY_SIZE(absent); i++)
        EXPECT(rdmsr_try(absent[i], &value) == EXC_GP, "rdmsr %x worked", absent[i]);
    for (unsigned i = 0; i < ARRAY_SIZE(read_only); i++)
        EXPECT(wrmsr_try(read_only[i], 0) == EXC_GP, "wrmsr %x worked", read_only[i]);
    EXPECT_EQ(rdmsr_try(X2(APIC_EOI), &value), EXC_GP);
    EXPECT_EQ(rdmsr_try(X2(APIC_SELF_IPI), &value), EXC_GP);
    EXPECT_EQ(wrmsr_try(X2(APIC_EOI), 1), EXC_GP);
    EXPECT_EQ(wrmsr_try(X2(APIC_ESR), 1), EXC_GP);
    EXPECT_EQ(wrmsr_try(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) & ~APIC_BASE_X2APIC), EXC_GP);
}

static void x2apic_reserved_bits(void)
{
    if (!begin())
        return;
    EXPECT_EQ(wrmsr_try(X2(APIC_TPR), 0x100), EXC_GP);
    EXPECT_EQ(wrmsr_try(X2(APIC_SELF_IPI), 0x100), EXC_GP);
    EXPECT_EQ(wrmsr_try(X2(APIC_SVR), BIT(32)), EXC_GP);
    EXPECT_EQ(wrmsr_try(X2(APIC_LVT_TIMER), BIT(32)), EXC_GP);
}

/* Where the page of registers was, there is nothing now. */
static void x2apic_no_page(void)
{
    if (!begin())
        return;
    EXPECT_EQ(mmio_read32(APIC_MMIO + APIC_VERSION), 0xffffffff);
    mmio_write32(APIC_MMIO + APIC_TPR, 0xf0);
    EXPECT_EQ(mmio_read32(APIC_MMIO + APIC_TPR), 0xffffffff);
    EXPECT_EQ(rdmsr(X2(APIC_TPR)), 0);
}

static const struct check list[] = {
    {"x2apic_id", x2apic_id, ANYWHERE},
    {"x2apic_logical_id", x2apic_logical_id, SKEP_ONLY},
    {"x2apic_self_ipi", x2apic_self_ipi, ANYWHERE},
    {"x2apic_tpr", x2apic_tpr, ANYWHERE},
    {"x2apic_timer", x2apic_timer, ANYWHERE},
    {"x2apic_illegal", x2apic_illegal, ANYWHERE},
    {"x2apic_reserved_bits", x2apic_reserved_bits, SKEP_ONLY},
    {"x2apic_no_page", x2apic_no_page, ANYWHERE},
};
CHECK_GROUP(x2apic, list);
