/* SPDX-License-Identifier: BSD-2-Clause */
/* CPUID, and what it must agree with (SDM 2, CPUID; SDM 1, 13.2 and 13.3). */
#include "guests/check/check.h"

static void cpuid_leaves(void)
{
    struct cpuid c = cpuid(0, 0);
    bool intel = c.ebx == 0x756e6547 && c.edx == 0x49656e69 && c.ecx == 0x6c65746e;
    bool amd = c.ebx == 0x68747541 && c.edx == 0x69746e65 && c.ecx == 0x444d4163;

    EXPECT(intel || amd, "vendor %08x %08x %08x", c.ebx, c.edx, c.ecx);
    EXPECT(c.eax >= 1, "no leaf 1");
    EXPECT(cpuid(0x80000000, 0).eax >= 0x80000008, "no leaf 0x80000008");
    for (unsigned bit = 0; bit < 32; bit++) {
        /* what every 64-bit processor has: FPU VME.. TSC MSR PAE CX8 APIC SEP PGE CMOV PAT FXSR */
        if ((0x0700a379u >> bit & 1) && !cpu_has_1_edx(bit))
            check_fail("leaf 1 EDX bit %u is clear", bit);
    }
    c = cpuid(0x80000008, 0);
    EXPECT((c.eax & 0xff) >= 32 && (c.eax & 0xff) <= 52, "%u physical bits", c.eax & 0xff);
    EXPECT((c.eax >> 8 & 0xff) == 48 || (c.eax >> 8 & 0xff) == 57, "%u linear bits",
           c.eax >> 8 & 0xff);
}

static void cpuid_hypervisor_leaf(void)
{
    struct cpuid c = cpuid(0x40000000, 0);
    u64 khz;

    EXPECT(cpu_has_1_ecx(CPUID1_ECX_HYPERVISOR), "hypervisor bit clear");
    EXPECT(c.eax >= 0x40000010, "last hypervisor leaf %x", c.eax);
    khz = cpuid(0x40000010, 0).eax;
    EXPECT(khz > tsc_khz * 95 / 100 && khz < tsc_khz * 105 / 100, "%ju kHz told, %ju measured", khz,
           tsc_khz);
}

static bool near_to(u64 told, u64 measured)
{
    return told > measured * 95 / 100 && told < measured * 105 / 100;
}

/* The TSC's and the local APIC timer's rates, wherever they are told. */
static void cpuid_frequencies(void)
{
    u32 apic_khz = cpuid(0x40000010, 0).ebx;
    u64 measured = apic_timer_per_mega_tsc() * tsc_khz / 1000000;
    struct cpuid ratio = cpuid(0x15, 0), mhz = cpuid(0x16, 0);

    EXPECT(near_to(apic_khz, measured), "local APIC timer: %u kHz, %ju measured", apic_khz,
           measured);
    REQUIRE(!cpu_is_amd(), "AMD's processors have no more leaves for it");
    EXPECT(near_to(mhz.eax, tsc_khz / 1000), "leaf 0x16: %u MHz", mhz.eax);
    if (!ratio.eax) /* no ratio is near enough */
        return;
    EXPECT_EQ(ratio.ecx / 1000, apic_khz);
    EXPECT(near_to((u64)ratio.ecx * ratio.ebx / ratio.eax / 1000, tsc_khz), "%u * %u / %u Hz",
           ratio.ecx, ratio.ebx, ratio.eax);
}

static void cpuid_offers_no_virtualisation(void)
{
    EXPECT(!cpu_has_1_ecx(CPUID1_ECX_VMX), "VMX is offered");
    EXPECT(!cpu_has_1_ecx(CPUID1_ECX_SMX), "SMX is offered");
    EXPECT(!cpu_has_ext_ecx(CPUIDX_ECX_SVM), "SVM is offered");
}

static void cpuid_apic_id(void)
{
    u32 id = apic_id();

    EXPECT_EQ(cpuid(1, 0).ebx >> 24, id);
    if (cpu_has_leaf(0xb) && cpuid(0xb, 0).ebx)
        EXPECT_EQ(cpuid(0xb, 0).edx, id);
}

static void cpuid_apic_bit(void)
{
    EXPECT(cpu_has_1_edx(CPUID1_EDX_APIC), "enabled, and not told");
}

static void cpuid_osxsave(void)
{
    REQUIRE(cpu_has_1_ecx(CPUID1_ECX_XSAVE), "no XSAVE");
    cr4_write(cr4_read() & ~(ulong)CR4_OSXSAVE);
    EXPECT(!cpu_has_1_ecx(CPUID1_ECX_OSXSAVE), "set while CR4.OSXSAVE is clear");
    cr4_write(cr4_read() | CR4_OSXSAVE);
    EXPECT(cpu_has_1_ecx(CPUID1_ECX_OSXSAVE), "clear while CR4.OSXSAVE is set");
}

/* Size of the standard-form XSAVE area with these components. */
static u32 xsave_size(u64 mask)
{
    u32 size = 576;

    for (u32 i = 2; i < 63; i++) {
        struct cpuid c = cpuid(0xd, i);

        if (mask >> i & 1)
            size = MAX(size, c.ebx + c.eax);
    }
    return size;
}

static void cpuid_xsave_size(void)
{
    struct cpuid c;
    u64 all;

    REQUIRE(cpu_has_1_ecx(CPUID1_ECX_XSAVE) && cpu_has_leaf(0xd), "no XSAVE");
    cr4_write(cr4_read() | CR4_OSXSAVE);
    c = cpuid(0xd, 0);
    all = (u64)c.edx << 32 | c.eax;
    EXPECT((all & 3) == 3, "x87 and SSE state not offered: %jx", all);
    REQUIRE(on_skep() || !(all >> 9 & 1) || cpuid(0xd, 9).eax, "PKRU without a place, as in Bochs");
    EXPECT_EQ(c.ecx, xsave_size(all));
    EXPECT_EQ(xsetbv_try(0, XCR0_X87), -1);
    EXPECT_EQ(cpuid(0xd, 0).ebx, 576);
    EXPECT_EQ(xsetbv_try(0, all), -1);
    EXPECT_EQ(xgetbv(0), all);
    EXPECT_EQ(cpuid(0xd, 0).ebx, xsave_size(all));
    EXPECT_EQ(xsetbv_try(0, XCR0_X87 | XCR0_SSE), -1);
    EXPECT_EQ(cpuid(0xd, 0).ebx, 576);
}

SNIPPET(do_xsaves, "lea scratch, " REG(cx) "\n xor %eax, %eax\n xor %edx, %edx\n",
        ".byte 0x0f, 0xc7, 0x29"); /* XSAVES (RCX) */

/* What is not offered is not there (SVM alone cannot withhold it). */
static void cpuid_xsaves(void)
{
    REQUIRE(cpu_has_1_ecx(CPUID1_ECX_XSAVE), "no XSAVE");
    REQUIRE(!cpu_is_amd(), "an AMD processor");
    cr4_write(cr4_read() | CR4_OSXSAVE);
    EXPECT_TRAP(do_xsaves, NULL, cpuid(0xd, 1).eax >> 3 & 1 ? -1 : EXC_UD, 0, do_xsaves_at);
}

/* Leaves behind the last one: Intel's answer like the last basic one, AMD's zeros. */
static void cpuid_beyond(void)
{
    struct cpuid c = cpuid(0x7000000, 0);
    struct cpuid last = cpuid(cpuid(0, 0).eax, 0);

    if (cpu_is_amd())
        EXPECT((c.eax | c.ebx | c.ecx | c.edx) == 0, "%x %x %x %x", c.eax, c.ebx, c.ecx, c.edx);
    else
        EXPECT(c.eax == last.eax && c.ebx == last.ebx, "%x %x %x %x", c.eax, c.ebx, c.ecx, c.edx);
}

#ifdef __x86_64__
/* CPUID clears the upper halves; so does RDMSR with RAX and RDX. */
static void cpuid_upper_halves(void)
{
    u64 a = ~0ull;
    u64 b = ~0ull;
    u64 c = ~0ull << 32;
    u64 d = ~0ull;

    asm volatile("movl $1, %%eax; orq %4, %%rax; cpuid"
                 : "=&a"(a), "+b"(b), "+c"(c), "+d"(d)
                 : "r"(~0ull << 32));
    EXPECT(!(a >> 32) && !(b >> 32) && !(c >> 32) && !(d >> 32), "%jx %jx %jx %jx", a, b, c, d);
    a = d = ~0ull;
    asm volatile("rdmsr" : "+a"(a), "+d"(d) : "c"((u64)MSR_APIC_BASE));
    EXPECT(!(a >> 32) && !(d >> 32), "rdmsr %jx %jx", a, d);
    a = d = ~0ull;
    asm volatile("rdtsc" : "+a"(a), "+d"(d));
    EXPECT(!(a >> 32) && !(d >> 32), "rdtsc %jx %jx", a, d);
    a = ~0ull;
    asm volatile("inl $0x80, %%eax" : "+a"(a));
    EXPECT(!(a >> 32), "inl %jx", a);
    a = 0x1122334455667788;
    asm volatile("inw $0x80, %%ax" : "+a"(a));
    EXPECT(a >> 16 == 0x112233445566, "inw %jx", a);
    a = 0x1122334455667788;
    asm volatile("inb $0x80, %%al" : "+a"(a));
    EXPECT(a >> 8 == 0x11223344556677, "inb %jx", a);
}
#else
static void cpuid_upper_halves(void)
{
    check_skip("64-bit code only");
}
#endif

static const struct check list[] = {
    {"cpuid_leaves", cpuid_leaves, ANYWHERE},
    {"cpuid_hypervisor_leaf", cpuid_hypervisor_leaf, SKEP_ONLY},
    {"cpuid_frequencies", cpuid_frequencies, SKEP_ONLY},
    {"cpuid_offers_no_virtualisation", cpuid_offers_no_virtualisation, SKEP_ONLY},
    {"cpuid_apic_id", cpuid_apic_id, ANYWHERE},
    {"cpuid_apic_bit", cpuid_apic_bit, ANYWHERE},
    {"cpuid_osxsave", cpuid_osxsave, ANYWHERE},
    {"cpuid_xsave_size", cpuid_xsave_size, ANYWHERE},
    {"cpuid_xsaves", cpuid_xsaves, NOT_BARE_BOCHS},
    {"cpuid_beyond", cpuid_beyond, NOT_BARE_TCG},
    {"cpuid_upper_halves", cpuid_upper_halves, ANYWHERE},
};
CHECK_GROUP(cpuid_group, list);
