/* SPDX-License-Identifier: BSD-2-Clause */
/* Control registers and XCR0: what they take and what they refuse (SDM 3, 2.5 and 2.6). */
#include "guests/check/check.h"
#include "guests/lib/paging.h"

SNIPPET(set_cr0, ARG, "mov " REG(ax) ", %cr0");
SNIPPET(set_cr3, ARG, "mov " REG(ax) ", %cr3");
SNIPPET(set_cr4, ARG, "mov " REG(ax) ", %cr4");
SNIPPET(set_cr1, "", ".byte 0x0f, 0x22, 0xc8");
SNIPPET(get_cr5, "", ".byte 0x0f, 0x20, 0xe8");
SNIPPET(do_xgetbv, "xor %ecx, %ecx", "xgetbv");
SNIPPET(do_xgetbv5, "mov $5, %ecx", "xgetbv");
SNIPPET(do_user_xsetbv, "xor %ecx, %ecx\n xor %edx, %edx\n mov $3, %eax", "xsetbv");
SNIPPET(do_rdtsc, "", "rdtsc");
SNIPPET(do_rdpmc, "mov $0x12345, %ecx", "rdpmc");
SNIPPET(do_smsw, "", "smsw %ax");
SNIPPET(do_clflush, ARG, "clflush (" REG(ax) ")");

static bool refuses(void (*set)(void *), ulong value)
{
    return trap_try(&check_last, set, (void *)value) && check_last.vector == EXC_GP &&
           check_last.error == 0;
}

static void cr0_illegal(void)
{
    ulong cr0 = cr0_read();

    EXPECT(refuses(set_cr0, cr0 & ~(ulong)CR0_PE), "PG without PE");
    EXPECT(refuses(set_cr0, (cr0 & ~(ulong)CR0_CD) | CR0_NW), "NW without CD");
    if (GUEST_BITS == 64) {
        EXPECT(refuses(set_cr0, cr0 & ~(ulong)CR0_PG), "PG cleared in 64-bit mode");
    }
    EXPECT_EQ(cr0_read(), cr0);
}

static void cr0_upper_bits(void)
{
    REQUIRE(GUEST_BITS == 64, "64-bit code only");
    EXPECT(refuses(set_cr0, cr0_read() | (ulong)(1ull << 32)), "bit 32");
    EXPECT(refuses(set_cr0, cr0_read() | (ulong)(1ull << 63)), "bit 63");
}

static void cr0_bits_kept(void)
{
    static const u64 bits[] = {CR0_TS, CR0_EM, CR0_MP, CR0_AM, CR0_WP, CR0_NE};
    ulong cr0 = cr0_read();

    for (unsigned i = 0; i < ARRAY_SIZE(bits); i++) {
        ulong value = cr0 ^ (ulong)bits[i];

        cr0_write(value);
        cpuid(0, 0);
        EXPECT(cr0_read() == value, "CR0 reads %lx, %lx was written", cr0_read(), value);
        cr0_write(cr0);
    }
    EXPECT(cr0 & CR0_ET, "ET is clear");
}

static void cr0_cache_disable(void)
{
    ulong cr0 = cr0_read();

    cr0_write(cr0 | CR0_CD);
    scratch[0][0] = 0x5a;
    asm volatile("wbinvd" : : : "memory");
    EXPECT(cr0_read() & CR0_CD, "CD does not stay");
    EXPECT_EQ(scratch[0][0], 0x5a);
    cr0_write(cr0);
}

static void lmsw_smsw(void)
{
    ulong cr0 = cr0_read();
    ulong msw;

    asm volatile("lmsw %w0" : : "r"((cr0 & 0xfffeul) | CR0_TS) : "memory"); /* cannot clear PE */
    EXPECT_EQ(cr0_read(), cr0 | CR0_TS);
    asm volatile("smsw %0" : "=r"(msw));
    EXPECT_EQ(msw & 0xffff, (cr0 | CR0_TS) & 0xffff);
    asm volatile("clts");
    EXPECT_EQ(cr0_read(), cr0 & ~(ulong)CR0_TS);
}

/* A CR4 bit can be set exactly if CPUID offers what it turns on. */
static void cr4_follows_cpuid(void)
{
    static const u8 always[] = {2, 3, 4, 5, 6, 7, 8, 9, 10}; /* TSD DE PSE PAE MCE PGE PCE OS… */
    const struct {
        u64 bit;
        bool there;
    } features[] = {
        {CR4_UMIP, cpu_has_7_ecx(2)},
        {CR4_VMXE, cpu_has_1_ecx(CPUID1_ECX_VMX)},
        {CR4_SMXE, cpu_has_1_ecx(CPUID1_ECX_SMX)},
        {CR4_FSGSBASE, cpu_has_7_ebx(0)},
        {CR4_OSXSAVE, cpu_has_1_ecx(CPUID1_ECX_XSAVE)},
        {CR4_SMEP, cpu_has_7_ebx(7)},
        {CR4_SMAP, cpu_has_7_ebx(20)},
        {CR4_PKE, cpu_has_7_ecx(3)},
    };
    ulong cr4 = cr4_read();

    for (unsigned i = 0; i < ARRAY_SIZE(always); i++)
        EXPECT(!refuses(set_cr4, cr4 | 1ul << always[i]), "CR4 bit %u is refused", always[i]);
    cr4_write(cr4);
    for (unsigned i = 0; i < ARRAY_SIZE(features); i++) {
        ulong value = cr4 | (ulong)features[i].bit;

        if (features[i].bit == CR4_SMEP || features[i].bit == CR4_SMAP)
            continue; /* this code lives in user pages: see the paging tests */
        EXPECT(refuses(set_cr4, value) == !features[i].there, "CR4 %lx is %s", value,
               features[i].there ? "refused" : "taken");
        EXPECT_EQ(cr4_read(), features[i].there ? value : cr4);
        cr4_write(cr4);
    }
}

static void cr4_illegal(void)
{
    ulong cr4 = cr4_read();

    EXPECT(refuses(set_cr4, cr4 | 1ul << 15), "bit 15");
    EXPECT(refuses(set_cr4, cr4 | 1ul << 19), "bit 19");
    EXPECT(refuses(set_cr4, cr4 | 1ul << 30), "bit 30");
    if (GUEST_BITS == 64) {
        EXPECT(refuses(set_cr4, cr4 & ~(ulong)CR4_PAE), "PAE cleared in long mode");
        EXPECT(refuses(set_cr4, cr4 | (ulong)(1ull << 40)), "bit 40");
        EXPECT(refuses(set_cr4, cr4 ^ (ulong)CR4_LA57), "LA57 changed in long mode");
    }
    EXPECT_EQ(cr4_read(), cr4);
}

static void cr3_illegal(void)
{
    ulong cr3 = cr3_read();

    REQUIRE(GUEST_BITS == 64, "64-bit code only");
    EXPECT(refuses(set_cr3, cr3 | (ulong)(1ull << 62)), "bit 62");
    EXPECT(refuses(set_cr3, cr3 | (ulong)(1ull << 52)), "bit 52");
    EXPECT_EQ(cr3_read(), cr3);
}

static void cr_absent(void)
{
    EXPECT_TRAP(set_cr1, NULL, EXC_UD, 0, set_cr1_at);
    EXPECT_TRAP(get_cr5, NULL, EXC_UD, 0, get_cr5_at);
}

static void xcr0_legal(void)
{
    REQUIRE(cpu_has_1_ecx(CPUID1_ECX_XSAVE), "no XSAVE");
    cr4_write(cr4_read() | CR4_OSXSAVE);
    EXPECT_EQ(xsetbv_try(0, XCR0_X87), -1);
    EXPECT_EQ(xgetbv(0), XCR0_X87);
    EXPECT_EQ(xsetbv_try(0, XCR0_X87 | XCR0_SSE), -1);
    EXPECT_EQ(xgetbv(0), XCR0_X87 | XCR0_SSE);
    if (cpuid(0xd, 0).eax & XCR0_AVX) {
        EXPECT_EQ(xsetbv_try(0, XCR0_X87 | XCR0_SSE | XCR0_AVX), -1);
        EXPECT_EQ(xgetbv(0), XCR0_X87 | XCR0_SSE | XCR0_AVX);
        EXPECT_EQ(xsetbv_try(0, XCR0_X87 | XCR0_SSE), -1);
    }
}

static void xcr0_illegal(void)
{
    u64 old;

    REQUIRE(cpu_has_1_ecx(CPUID1_ECX_XSAVE), "no XSAVE");
    cr4_write(cr4_read() | CR4_OSXSAVE);
    old = xgetbv(0);
    EXPECT_EQ(xsetbv_try(0, 0), EXC_GP);
    EXPECT_EQ(xsetbv_try(0, XCR0_SSE), EXC_GP);
    EXPECT_EQ(xsetbv_try(0, XCR0_X87 | XCR0_AVX), EXC_GP);
    EXPECT_EQ(xsetbv_try(0, XCR0_X87 | BIT(63)), EXC_GP);
    EXPECT_EQ(xsetbv_try(1, XCR0_X87), EXC_GP);
    EXPECT_EQ(xgetbv(0), old);
    EXPECT(check_trap_user(do_user_xsetbv, NULL, EXC_GP, 0, do_user_xsetbv_at), "at CPL 3");
    EXPECT_TRAP(do_xgetbv5, NULL, EXC_GP, 0, do_xgetbv5_at);
    cr4_write(cr4_read() & ~(ulong)CR4_OSXSAVE);
    EXPECT_TRAP(do_xgetbv, NULL, EXC_UD, 0, do_xgetbv_at);
    EXPECT_EQ(xsetbv_try(0, 3), EXC_UD);
}

/* No state component that CPUID does not offer (QEMU 7.2 has no exit for XSETBV). */
static void xcr0_follows_cpuid(void)
{
    u64 all;

    REQUIRE(cpu_has_1_ecx(CPUID1_ECX_XSAVE), "no XSAVE");
    cr4_write(cr4_read() | CR4_OSXSAVE);
    all = (u64)cpuid(0xd, 0).edx << 32 | cpuid(0xd, 0).eax;
    for (unsigned bit = 2; bit < 63; bit++)
        if (!(all >> bit & 1))
            EXPECT(xsetbv_try(0, (all & 7) | BIT(bit)) == EXC_GP, "bit %u is taken", bit);
}

static void cr4_tsd(void)
{
    EXPECT(check_trap_user(do_rdtsc, NULL, -1, 0, NULL), "at CPL 3");
    cr4_write(cr4_read() | CR4_TSD);
    check_trap_user(do_rdtsc, NULL, EXC_GP, 0, do_rdtsc_at);
    EXPECT_TRAP(do_rdtsc, NULL, -1, 0, NULL);
}

static void umip(void)
{
    EXPECT(check_trap_user(do_smsw, NULL, -1, 0, NULL), "SMSW at CPL 3");
    REQUIRE(cpu_has_7_ecx(2), "no UMIP");
    cr4_write(cr4_read() | CR4_UMIP);
    check_trap_user(do_smsw, NULL, EXC_GP, 0, do_smsw_at);
    EXPECT_TRAP(do_smsw, NULL, -1, 0, NULL);
}

static void rdpmc_illegal(void)
{
    EXPECT_TRAP(do_rdpmc, NULL, EXC_GP, 0, do_rdpmc_at);
}

static void cache_instructions(void)
{
    scratch[0][0] = 0x77;
    asm volatile("wbinvd" : : : "memory");
    EXPECT_TRAP(do_clflush, scratch[0], -1, 0, NULL);
    EXPECT_EQ(scratch[0][0], 0x77);
    asm volatile("wbinvd; invd" : : : "memory");
    EXPECT_EQ(scratch[0][0], 0x77);
}

static const struct check list[] = {
    {"cr0_illegal", cr0_illegal, NOT_BARE_TCG},
    {"cr0_upper_bits", cr0_upper_bits, NOT_TCG},
    {"cr0_bits_kept", cr0_bits_kept, ANYWHERE},
    {"cr0_cache_disable", cr0_cache_disable, ANYWHERE},
    {"lmsw_smsw", lmsw_smsw, ANYWHERE},
    {"cr4_follows_cpuid", cr4_follows_cpuid, NOT_BARE_TCG},
    {"cr4_illegal", cr4_illegal, NOT_BARE_TCG},
    {"cr3_illegal", cr3_illegal, NOT_TCG},
    {"cr_absent", cr_absent, ANYWHERE},
    {"xcr0_legal", xcr0_legal, ANYWHERE},
    {"xcr0_illegal", xcr0_illegal, ANYWHERE},
    {"xcr0_follows_cpuid", xcr0_follows_cpuid, NOT_TCG},
    {"cr4_tsd", cr4_tsd, ANYWHERE},
    {"umip", umip, ANYWHERE},
    {"rdpmc_illegal", rdpmc_illegal, NOT_BARE_TCG},
    {"cache_instructions", cache_instructions, ANYWHERE},
};
CHECK_GROUP(control, list);
