/* SPDX-License-Identifier: BSD-2-Clause */
/* Model-specific registers: which are there, and which values they take (SDM 4; APM 2, A). */
#include "guests/check/check.h"

enum need { ALWAYS, NEED_MTRR, NEED_PAT, NEED_LM, NEED_SEP, NEED_RDTSCP };

struct known {
    u32 msr;
    enum need need;
};

static const struct known known[] = {
    {MSR_TSC, ALWAYS},
    {MSR_APIC_BASE, ALWAYS},
    {MSR_SYSENTER_CS, NEED_SEP},
    {MSR_SYSENTER_ESP, NEED_SEP},
    {MSR_SYSENTER_EIP, NEED_SEP},
    {MSR_MCG_CAP, ALWAYS},
    {MSR_MCG_STATUS, ALWAYS},
    {MSR_MTRRCAP, NEED_MTRR},
    {MSR_MTRR_DEF_TYPE, NEED_MTRR},
    {MSR_MTRR_FIX64K, NEED_MTRR},
    {MSR_MTRR_PHYSBASE0, NEED_MTRR},
    {MSR_PAT, NEED_PAT},
    {MSR_EFER, NEED_LM},
    {MSR_STAR, NEED_LM},
    {MSR_LSTAR, NEED_LM},
    {MSR_CSTAR, NEED_LM},
    {MSR_SFMASK, NEED_LM},
    {MSR_FS_BASE, NEED_LM},
    {MSR_GS_BASE, NEED_LM},
    {MSR_KERNEL_GS_BASE, NEED_LM},
    {MSR_TSC_AUX, NEED_RDTSCP},
    {MSR_BIOS_SIGN_ID, ALWAYS},
};

static bool has(enum need need)
{
    switch (need) {
    case NEED_MTRR:
        return cpu_has_1_edx(CPUID1_EDX_MTRR);
    case NEED_PAT:
        return cpu_has_1_edx(CPUID1_EDX_PAT);
    case NEED_LM:
        return cpu_has_ext_edx(CPUIDX_EDX_LM);
    case NEED_SEP:
        return cpu_has_1_edx(11);
    case NEED_RDTSCP:
        return cpu_has_ext_edx(27);
    default:
        return true;
    }
}

static void msr_known_readable(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(known); i++) {
        u64 value;
        int vector = has(known[i].need) ? rdmsr_try(known[i].msr, &value) : -1;

        EXPECT(vector == -1, "rdmsr %x: vector %d", known[i].msr, vector);
    }
}

/* Numbers that no processor has; the ends of each bitmap range and outside. */
static const u32 unknown[] = {0x00001fff, 0x00002000, 0x00001500, 0x40000fff, 0x80000000,
                              0xbfffffff, 0xc0001fff, 0xc0002000, 0xc0011fff, 0xc0012000,
                              0xffffffff, 0x0000c001, 0x00000900, 0x000008ff};

static void msr_unknown_read(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(unknown); i++) {
        u64 value;

        EXPECT(rdmsr_try(unknown[i], &value) == EXC_GP, "rdmsr %x worked: %jx", unknown[i], value);
    }
}

static void msr_unknown_write(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(unknown); i++)
        EXPECT(wrmsr_try(unknown[i], 0) == EXC_GP, "wrmsr %x worked", unknown[i]);
}

/* A guest that is not offered virtualisation has none of its registers. */
static void msr_virtualisation(void)
{
    u64 value;

    for (u32 msr = MSR_VMX_BASIC; msr <= 0x491; msr++)
        EXPECT(rdmsr_try(msr, &value) == EXC_GP, "rdmsr %x worked", msr);
    EXPECT(wrmsr_try(MSR_AMD_HSAVE_PA, 0x1000) == EXC_GP, "wrmsr VM_HSAVE_PA worked");
    EXPECT(wrmsr_try(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME) == EXC_GP, "EFER.SVME can be set");
    if (!cpu_is_amd())
        EXPECT(wrmsr_try(MSR_FEATURE_CONTROL, 5) == EXC_GP, "FEATURE_CONTROL can be written");
}

static bool efer_toggles(u64 bit)
{
    u64 old = rdmsr(MSR_EFER);
    bool ok = wrmsr_try(MSR_EFER, old ^ bit) == -1 && rdmsr(MSR_EFER) == (old ^ bit);

    wrmsr(MSR_EFER, old);
    return ok && rdmsr(MSR_EFER) == old;
}

static void msr_efer(void)
{
    u64 old;

    REQUIRE(cpu_has_ext_edx(CPUIDX_EDX_LM), "no EFER");
    old = rdmsr(MSR_EFER);
    EXPECT(efer_toggles(EFER_SCE), "SCE cannot be changed");
    if (cpu_has_ext_edx(CPUIDX_EDX_NX))
        EXPECT(efer_toggles(EFER_NXE), "NXE cannot be changed");
    if (GUEST_BITS == 64)
        EXPECT(old & EFER_LMA, "LMA clear in long mode: %jx", old);
}

static void msr_efer_illegal(void)
{
    u64 old;

    REQUIRE(cpu_has_ext_edx(CPUIDX_EDX_LM), "no EFER");
    old = rdmsr(MSR_EFER);
    EXPECT_EQ(wrmsr_try(MSR_EFER, old | BIT(1)), EXC_GP);
    EXPECT_EQ(wrmsr_try(MSR_EFER, old | BIT(9)), EXC_GP);
    EXPECT_EQ(wrmsr_try(MSR_EFER, old | BIT(63)), EXC_GP);
    EXPECT_EQ(wrmsr_try(MSR_EFER, old ^ EFER_LME), EXC_GP); /* paging is on */
    EXPECT_EQ(rdmsr(MSR_EFER), old);
}

static void msr_pat(void)
{
    u64 old;

    REQUIRE(cpu_has_1_edx(CPUID1_EDX_PAT), "no PAT");
    old = rdmsr(MSR_PAT);
    EXPECT_EQ(wrmsr_try(MSR_PAT, 0x0007040600070406), -1);
    EXPECT_EQ(rdmsr(MSR_PAT), 0x0007040600070406);
    wrmsr(MSR_PAT, old);
}

static void msr_pat_illegal(void)
{
    u64 old;

    REQUIRE(cpu_has_1_edx(CPUID1_EDX_PAT), "no PAT");
    old = rdmsr(MSR_PAT);
    EXPECT_EQ(wrmsr_try(MSR_PAT, (old & ~0xffull) | 2), EXC_GP);
    EXPECT_EQ(wrmsr_try(MSR_PAT, (old & ~BIT(63)) | BIT(63)), EXC_GP);
    EXPECT_EQ(rdmsr(MSR_PAT), old);
}

static void msr_apic_base(void)
{
    u64 base = rdmsr(MSR_APIC_BASE);

    EXPECT(base & APIC_BASE_BSP, "not the bootstrap processor: %jx", base);
    EXPECT(base & APIC_BASE_ENABLE, "disabled: %jx", base);
    EXPECT_EQ(base & ~PAGE_MASK, APIC_MMIO);
}

static void msr_apic_base_illegal(void)
{
    u64 base = rdmsr(MSR_APIC_BASE);

    EXPECT_EQ(wrmsr_try(MSR_APIC_BASE, base | 1), EXC_GP);
    EXPECT_EQ(wrmsr_try(MSR_APIC_BASE, base | BIT(62)), EXC_GP);
    if (cpu_has_1_ecx(CPUID1_ECX_X2APIC)) /* x2APIC without the enable bit: invalid */
        EXPECT_EQ(wrmsr_try(MSR_APIC_BASE, (base & ~APIC_BASE_ENABLE) | APIC_BASE_X2APIC), EXC_GP);
    EXPECT_EQ(rdmsr(MSR_APIC_BASE), base);
}

static void msr_tsc_write(void)
{
    u64 t = rdtsc();
    u64 now;

    wrmsr(MSR_TSC, t + (1ull << 40));
    now = rdtsc();
    EXPECT(now >= t + (1ull << 40) && now < t + (1ull << 40) + (1ull << 36), "from %jx to %jx", t,
           now);
    EXPECT(rdmsr(MSR_TSC) >= now, "RDMSR is behind RDTSC");
    wrmsr(MSR_TSC, rdtsc() - (1ull << 40));
}

/* Each register of the 64-bit kind keeps what is written to it, across other exits too. */
static void msr_kept(void)
{
    static const u32 msrs[] = {MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP,  MSR_STAR,
                               MSR_LSTAR,       MSR_SFMASK,       MSR_KERNEL_GS_BASE};

    for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++) {
        u64 old;
        u64 value = 0x1230 + 8 * i; /* SYSENTER_CS may be 16 bits wide */

        if (rdmsr_try(msrs[i], &old) >= 0)
            continue;
        wrmsr(msrs[i], value);
        cpuid(0, 0);
        EXPECT(rdmsr(msrs[i]) == value, "msr %x holds %jx, not %jx", msrs[i], rdmsr(msrs[i]),
               value);
        wrmsr(msrs[i], old);
    }
}

static void msr_noncanonical(void)
{
    static const u32 msrs[] = {MSR_LSTAR, MSR_KERNEL_GS_BASE, MSR_FS_BASE, MSR_GS_BASE};

    REQUIRE(cpu_has_ext_edx(CPUIDX_EDX_LM), "no long mode");
    for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++)
        EXPECT(wrmsr_try(msrs[i], BIT(60)) == EXC_GP, "msr %x takes a non-canonical address",
               msrs[i]);
}

static void msr_user(void)
{
    extern void do_user_rdmsr(void *), do_user_wrmsr(void *);

    check_trap_user(do_user_rdmsr, NULL, EXC_GP, 0, NULL);
    check_trap_user(do_user_wrmsr, NULL, EXC_GP, 0, NULL);
}
SNIPPET(do_user_rdmsr, "mov $0x10, %ecx", "rdmsr");
SNIPPET(do_user_wrmsr, "mov $0x10, %ecx", "wrmsr");

static void msr_tsc_aux(void)
{
    u32 aux;

    REQUIRE(cpu_has_ext_edx(27), "no RDTSCP");
    wrmsr(MSR_TSC_AUX, 0x1234);
    asm volatile("rdtscp" : "=c"(aux) : : "eax", "edx");
    EXPECT_EQ(aux, 0x1234);
    if (cpu_has_7_ecx(22)) {
        ulong id;

        asm volatile(".byte 0xf3, 0x0f, 0xc7, 0xf8" : "=a"(id)); /* rdpid %eax */
        EXPECT_EQ(id, 0x1234);
    }
    wrmsr(MSR_TSC_AUX, 0);
}

static void msr_mtrr(void)
{
    u64 cap;
    u64 def;

    REQUIRE(cpu_has_1_edx(CPUID1_EDX_MTRR), "no MTRRs");
    cap = rdmsr(MSR_MTRRCAP);
    def = rdmsr(MSR_MTRR_DEF_TYPE);
    EXPECT((cap & 0xff) <= 16, "%ju variable ranges", cap & 0xff);
    EXPECT_EQ(wrmsr_try(MSR_MTRRCAP, cap), EXC_GP);
    EXPECT_EQ(wrmsr_try(MSR_MTRR_DEF_TYPE, def | BIT(20)), EXC_GP);
    EXPECT_EQ(rdmsr(MSR_MTRR_DEF_TYPE), def);
}

/* Where a guest may set the memory types (SDM 3, 12.11.2), it finds what it has set. */
static void msr_mtrr_kept(void)
{
    static const u32 index[] = {MSR_MTRR_PHYSBASE0, MSR_MTRR_PHYSBASE0 + 1, MSR_MTRR_FIX64K};
    static const u64 good[] = {0x80000000 | 1, 0xfc000000, 0x0606040501000606};
    static const u64 bad[] = {0x80000000 | 2, 0xfc000001, 0x0606020606060606};

    REQUIRE(cpu_has_1_edx(CPUID1_EDX_MTRR) && rdmsr(MSR_MTRRCAP) & 0xff, "no variable MTRRs");
    for (unsigned i = 0; i < 3; i++) {
        u64 old = rdmsr(index[i]);

        EXPECT_EQ(wrmsr_try(index[i], good[i]), -1);
        EXPECT_EQ(rdmsr(index[i]), good[i]);
        EXPECT_EQ(wrmsr_try(index[i], bad[i]), EXC_GP);
        EXPECT_EQ(rdmsr(index[i]), good[i]);
        wrmsr(index[i], old);
    }
}

/* IA32_TSC_ADJUST moves the TSC, and a write of the TSC moves it (SDM 3, 17.17.3). */
static void msr_tsc_adjust(void)
{
    const u64 far = BIT(40);
    u64 old, before, moved;

    REQUIRE(cpu_has_7_ebx(1), "no TSC_ADJUST");
    old = rdmsr(MSR_TSC_ADJUST);
    before = rdtsc();
    wrmsr(MSR_TSC_ADJUST, old + far);
    moved = rdtsc() - before;
    EXPECT(moved >= far && moved < far + far / 2, "moved by %jx, not %jx", moved, far);
    EXPECT_EQ(rdmsr(MSR_TSC_ADJUST), old + far);
    wrmsr(MSR_TSC, rdtsc() + far);
    moved = rdmsr(MSR_TSC_ADJUST) - old;
    EXPECT(moved <= 2 * far && moved > 2 * far - far / 2, "TSC_ADJUST moved by %jx", moved);
    wrmsr(MSR_TSC_ADJUST, old);
    moved = rdtsc() - before;
    EXPECT(moved < far / 2, "still %jx ahead", moved);
}

static const struct check list[] = {
    {"msr_tsc_adjust", msr_tsc_adjust, ANYWHERE},
    {"msr_known_readable", msr_known_readable, ANYWHERE},
    {"msr_unknown_read", msr_unknown_read, SKEP_ONLY},
    {"msr_unknown_write", msr_unknown_write, SKEP_ONLY},
    {"msr_virtualisation", msr_virtualisation, SKEP_ONLY},
    {"msr_efer", msr_efer, ANYWHERE},
    {"msr_efer_illegal", msr_efer_illegal, NOT_BARE_TCG},
    {"msr_pat", msr_pat, ANYWHERE},
    {"msr_pat_illegal", msr_pat_illegal, NOT_BARE_TCG},
    {"msr_apic_base", msr_apic_base, ANYWHERE},
    {"msr_apic_base_illegal", msr_apic_base_illegal, NOT_BARE_TCG},
    {"msr_tsc_write", msr_tsc_write, NOT_BARE_TCG},
    {"msr_kept", msr_kept, ANYWHERE},
    {"msr_noncanonical", msr_noncanonical, NOT_TCG},
    {"msr_user", msr_user, ANYWHERE},
    {"msr_tsc_aux", msr_tsc_aux, ANYWHERE},
    {"msr_mtrr", msr_mtrr, NOT_BARE_TCG},
    {"msr_mtrr_kept", msr_mtrr_kept, NOT_BARE_TCG},
};
CHECK_GROUP(msr_group, list);
