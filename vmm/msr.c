/* SPDX-License-Identifier: BSD-2-Clause */
/* The MSR policy: see msr.h. */
#include "vmm/msr.h"
#include "arch/x86_64/cpu.h"
#include "lib/string.h"
#include "lib/x86.h"
#include "vmm/board.h"
#include "vmm/cpuid.h"
#include "vmm/vcpu.h"
#include "vmm/vm.h"

#define MTRR_VAR_COUNT    8
#define MTRR_CAP          (MTRR_VAR_COUNT | BIT(8) | BIT(10)) /* fixed ranges, write-combining */
#define MTRR_DEF_INIT     (BIT(11) | BIT(10) | 6)             /* enabled, fixed too, write-back */
#define MISC_ENABLE_INIT  (BIT(0) | BIT(11) | BIT(12))        /* fast strings; no BTS, no PEBS */
#define HWCR_TSC_FREQ_SEL BIT(24) /* the TSC counts at the P0 frequency */
#define VM_CR_LOCKED_OFF  (BIT(3) | BIT(4))
#define DE_CFG_LFENCE     BIT(1) /* LFENCE serialises */

enum msr_kind {
    MSR_DIRECT,   /* the hardware's own, exchanged when vCPUs change */
    MSR_CONSTANT, /* reads `value`; writes fault */
    MSR_IGNORE,   /* reads `value`; writes do nothing */
    MSR_FUNCTION,
};

enum msr_who { ANY, INTEL, AMD };

struct msr_rule {
    u32 first, last;
    u32 value;
    u8 kind; /* enum msr_kind */
    u8 who;  /* enum msr_who: the processors that have it */
    bool (*read)(struct vcpu *v, u32 index, u64 *value);
    bool (*write)(struct vcpu *v, u32 index, u64 value);
};

static bool tsc_read(struct vcpu *v, u32 index, u64 *value)
{
    (void)index;
    *value = vcpu_tsc(v);
    return true;
}

/* The TSC and what it has been moved by keep step (SDM 3, 17.17.3). */
static void tsc_move(struct vcpu *v, u64 ticks)
{
    v->msr.tsc_adjust += ticks;
    vcpu_move_tsc(v, ticks);
}

static bool tsc_write(struct vcpu *v, u32 index, u64 value)
{
    u64 now;

    tsc_read(v, index, &now);
    tsc_move(v, value - now);
    return true;
}

static bool has_tsc_adjust(struct vcpu *v)
{
    return cpuid_has(&v->vm->cpuid, 7, 0, CPUID_EBX, 1);
}

COLD static bool tsc_adjust_read(struct vcpu *v, u32 index, u64 *value)
{
    (void)index;
    *value = v->msr.tsc_adjust;
    return has_tsc_adjust(v);
}

COLD static bool tsc_adjust_write(struct vcpu *v, u32 index, u64 value)
{
    (void)index;
    if (!has_tsc_adjust(v))
        return false;
    tsc_move(v, value - v->msr.tsc_adjust);
    return true;
}

static bool apic_base_read(struct vcpu *v, u32 index, u64 *value)
{
    (void)index;
    *value = vlapic_read_base(&v->apic);
    return true;
}

static bool apic_base_write(struct vcpu *v, u32 index, u64 value)
{
    (void)index;
    return vcpu_set_apic_base(v, value);
}

static bool deadline_read(struct vcpu *v, u32 index, u64 *value)
{
    (void)index;
    *value = vlapic_read_tsc_deadline(&v->apic);
    return true;
}

static bool deadline_write(struct vcpu *v, u32 index, u64 value)
{
    (void)index;
    vcpu_set_tsc_deadline(v, value);
    return true;
}

static bool x2apic_read(struct vcpu *v, u32 index, u64 *value)
{
    return vlapic_read_msr(&v->apic, index, vm_now(v->vm), value);
}

static bool x2apic_write(struct vcpu *v, u32 index, u64 value)
{
    return vcpu_write_x2apic(v, index, value);
}

static bool misc_enable_read(struct vcpu *v, u32 index, u64 *value)
{
    (void)index;
    *value = v->msr.misc_enable;
    return true;
}

static bool misc_enable_write(struct vcpu *v, u32 index, u64 value)
{
    (void)index;
    v->msr.misc_enable = value | MISC_ENABLE_INIT;
    return true;
}

static bool mcg_status_read(struct vcpu *v, u32 index, u64 *value)
{
    (void)index;
    *value = v->msr.mcg_status;
    return true;
}

static bool mcg_status_write(struct vcpu *v, u32 index, u64 value)
{
    (void)index;
    if (value) /* software may only clear it (SDM 3, 16.3.1.2) */
        return false;
    v->msr.mcg_status = 0;
    return true;
}

static bool debugctl_read(struct vcpu *v, u32 index, u64 *value)
{
    (void)index;
    *value = hvm->get(v->hv, HVM_DEBUGCTL);
    return true;
}

static bool debugctl_write(struct vcpu *v, u32 index, u64 value)
{
    (void)index;
    if (value & ~DEBUGCTL_BTF)
        return false;
    hvm->set(v->hv, HVM_DEBUGCTL, value);
    return true;
}

/* Memory types that PAT and MTRR fields may hold: UC WC WT WP WB, and UC- in the PAT alone. */
static bool memory_type_ok(u8 type, bool pat)
{
    return type == 0 || type == 1 || type == 4 || type == 5 || type == 6 || (pat && type == 7);
}

static bool types_ok(u64 value, bool pat)
{
    for (unsigned i = 0; i < 8; i++)
        if (!memory_type_ok((u8)(value >> (8 * i)), pat))
            return false;
    return true;
}

static bool pat_read(struct vcpu *v, u32 index, u64 *value)
{
    (void)index;
    *value = hvm->get(v->hv, HVM_PAT);
    return true;
}

COLD static bool pat_write(struct vcpu *v, u32 index, u64 value)
{
    (void)index;
    if (!types_ok(value, true))
        return false;
    hvm->set(v->hv, HVM_PAT, value);
    return true;
}

/* Where an MTRR is kept; NULL if there is none of that number. */
static u64 *mtrr_slot(struct vcpu *v, u32 index)
{
    if (index == MSR_MTRR_DEF_TYPE)
        return &v->msr.mtrr_def_type;
    if (index >= MSR_MTRR_PHYSBASE0 && index < MSR_MTRR_PHYSBASE0 + 2 * MTRR_VAR_COUNT)
        return &v->msr.mtrr_var[index - MSR_MTRR_PHYSBASE0];
    if (index == MSR_MTRR_FIX64K)
        return &v->msr.mtrr_fixed[0];
    if (index == MSR_MTRR_FIX16K_80 || index == MSR_MTRR_FIX16K_A0)
        return &v->msr.mtrr_fixed[1 + index - MSR_MTRR_FIX16K_80];
    if (index >= MSR_MTRR_FIX4K_C0 && index < MSR_MTRR_FIX4K_C0 + 8)
        return &v->msr.mtrr_fixed[3 + index - MSR_MTRR_FIX4K_C0];
    return NULL;
}

COLD static bool mtrr_read(struct vcpu *v, u32 index, u64 *value)
{
    const u64 *slot = mtrr_slot(v, index);

    if (slot)
        *value = *slot;
    return slot != NULL;
}

/* Nested paging gives the memory types; the guest's MTRRs are kept for it to read back. */
COLD static bool mtrr_write(struct vcpu *v, u32 index, u64 value)
{
    u64 *slot = mtrr_slot(v, index);
    u64 phys = BIT(v->vm->cpuid.phys_bits) - 1;

    if (!slot)
        return false;
    if (index == MSR_MTRR_DEF_TYPE) {
        if ((value & ~0xcffull) || !memory_type_ok((u8)value, false))
            return false;
    } else if (index >= MSR_MTRR_FIX64K) {
        if (!types_ok(value, false))
            return false;
    } else if (index & 1) {
        if (value & ~(phys & ~0x7ffull))
            return false;
    } else if ((value & ~((phys & ~PAGE_MASK) | 0xff)) || !memory_type_ok((u8)value, false)) {
        return false;
    }
    *slot = value;
    return true;
}

static bool efer_read(struct vcpu *v, u32 index, u64 *value)
{
    (void)index;
    *value = hvm->get(v->hv, HVM_EFER);
    return true;
}

COLD bool msr_write_efer(struct vcpu *v, u64 value)
{
    const struct cpuid_table *t = &v->vm->cpuid;
    u64 old = hvm->get(v->hv, HVM_EFER);
    u64 allowed = EFER_LMA;

    if (cpuid_has(t, 0x80000001, 0, CPUID_EDX, 11))
        allowed |= EFER_SCE;
    if (cpuid_has(t, 0x80000001, 0, CPUID_EDX, 29))
        allowed |= EFER_LME;
    if (cpuid_has(t, 0x80000001, 0, CPUID_EDX, 20))
        allowed |= EFER_NXE;
    if (cpuid_has(t, 0x80000001, 0, CPUID_EDX, 25))
        allowed |= EFER_FFXSR;
    if (value & ~allowed)
        return false;
    if (((value ^ old) & EFER_LME) && (hvm->get(v->hv, HVM_CR0) & CR0_PG))
        return false;
    hvm->set(v->hv, HVM_EFER, (value & ~EFER_LMA) | (old & EFER_LMA));
    return true;
}

static bool efer_write(struct vcpu *v, u32 index, u64 value)
{
    (void)index;
    return msr_write_efer(v, value);
}

COLD static bool tsc_aux_read(struct vcpu *v, u32 index, u64 *value)
{
    (void)index;
    *value = hvm->get(v->hv, HVM_TSC_AUX);
    return cpuid_has(&v->vm->cpuid, 0x80000001, 0, CPUID_EDX, 27);
}

COLD static bool tsc_aux_write(struct vcpu *v, u32 index, u64 value)
{
    (void)index;
    if (value >> 32 || !cpuid_has(&v->vm->cpuid, 0x80000001, 0, CPUID_EDX, 27))
        return false;
    hvm->set(v->hv, HVM_TSC_AUX, value);
    return true;
}

#define ONE(n)      n, n
#define FN(rd, wr)  0, MSR_FUNCTION, ANY, rd, wr
#define DIRECT      0, MSR_DIRECT, ANY, NULL, NULL
#define CONST(w, x) x, MSR_CONSTANT, w, NULL, NULL
#define IGN(w, x)   x, MSR_IGNORE, w, NULL, NULL

/* Sorted by number; ranges do not overlap (asserted in tests). */
static const struct msr_rule rules[] = {
    {0x0, 0x1, IGN(INTEL, 0)}, /* P5 machine check */
    {ONE(MSR_TSC), FN(tsc_read, tsc_write)},
    {ONE(MSR_PLATFORM_ID), CONST(INTEL, 0)},
    {ONE(MSR_APIC_BASE), FN(apic_base_read, apic_base_write)},
    {ONE(MSR_FEATURE_CONTROL), CONST(INTEL, 1)}, /* locked, VMX off */
    {ONE(MSR_TSC_ADJUST), FN(tsc_adjust_read, tsc_adjust_write)},
    {ONE(MSR_BIOS_SIGN_ID), IGN(ANY, 0)}, /* microcode revision */
    {ONE(0xcd), CONST(INTEL, 3)},         /* FSB_FREQ: 100 MHz */
    {ONE(0xce), CONST(INTEL, 0)},         /* PLATFORM_INFO: nothing adjustable */
    {ONE(MSR_MTRRCAP), CONST(ANY, MTRR_CAP)},
    {MSR_SYSENTER_CS, MSR_SYSENTER_EIP, DIRECT},
    {ONE(MSR_MCG_CAP), CONST(ANY, 0)}, /* no banks */
    {ONE(MSR_MCG_STATUS), FN(mcg_status_read, mcg_status_write)},
    {0x198, 0x19c, IGN(INTEL, 0)}, /* performance, clock modulation, thermal */
    {ONE(MSR_MISC_ENABLE), FN(misc_enable_read, misc_enable_write)},
    {ONE(MSR_DEBUGCTL), FN(debugctl_read, debugctl_write)},
    {MSR_MTRR_PHYSBASE0, MSR_MTRR_PHYSBASE0 + 2 * MTRR_VAR_COUNT - 1, FN(mtrr_read, mtrr_write)},
    {MSR_MTRR_FIX64K, 0x26f, FN(mtrr_read, mtrr_write)},
    {ONE(MSR_PAT), FN(pat_read, pat_write)},
    {ONE(MSR_MTRR_DEF_TYPE), FN(mtrr_read, mtrr_write)},
    {ONE(MSR_TSC_DEADLINE), FN(deadline_read, deadline_write)},
    {MSR_X2APIC_BASE, MSR_X2APIC_BASE + 0xff, FN(x2apic_read, x2apic_write)},
    {ONE(MSR_EFER), FN(efer_read, efer_write)},
    {MSR_STAR, MSR_SFMASK, DIRECT},
    {MSR_FS_BASE, MSR_KERNEL_GS_BASE, DIRECT},
    {ONE(MSR_TSC_AUX), FN(tsc_aux_read, tsc_aux_write)},
    {0xc0010000, 0xc0010007, IGN(AMD, 0)}, /* K7 performance counters: never count */
    {ONE(MSR_AMD_SYSCFG), IGN(AMD, 0)},
    {ONE(MSR_AMD_HWCR), IGN(AMD, HWCR_TSC_FREQ_SEL)},
    {0xc001001a, 0xc001001d, IGN(AMD, 0)}, /* top of memory */
    {ONE(0xc001001f), IGN(AMD, 0)},        /* NB_CFG */
    {ONE(0xc0010055), IGN(AMD, 0)},        /* interrupt pending and C1E */
    {ONE(0xc0010058), IGN(AMD, 0)},        /* MMIO configuration base: off */
    {0xc0010061, 0xc0010063, IGN(AMD, 0)}, /* P-states: one */
    {ONE(0xc0010112), CONST(AMD, 0)},      /* TSEG base */
    {ONE(MSR_AMD_VM_CR), CONST(AMD, VM_CR_LOCKED_OFF)},
    {0xc0011020, 0xc0011023, IGN(AMD, 0)}, /* LS_CFG, IC_CFG, DC_CFG, BU_CFG */
    {ONE(0xc0011029), IGN(AMD, DE_CFG_LFENCE)},
    {0xc001102a, 0xc001102d, IGN(AMD, 0)}, /* BU_CFG2 and neighbours */
};

static const struct msr_rule *find(const struct vm *vm, u32 index)
{
    u32 low = 0, high = ARRAY_SIZE(rules);

    while (low < high) {
        u32 mid = (low + high) / 2;
        const struct msr_rule *r = &rules[mid];
        if (index < r->first)
            high = mid;
        else if (index > r->last)
            low = mid + 1;
        else
            return r->who == ANY || (r->who == AMD) == vm->cpuid.amd ? r : NULL;
    }
    return NULL;
}

COLD const char *msr_answer(const struct vm *vm, u32 index)
{
    static const char *const answers[] = {"processor", "constant", "ignored", "emulated"};
    const struct msr_rule *r = find(vm, index);

    return r ? answers[r->kind] : NULL;
}

COLD static void report_unknown(struct vcpu *v, u32 index, const char *what, u64 value)
{
    u32 dropped;

    if (!log_limit_ok(&v->vm->msr_log, clock_ns(), 8, 1000000000, &dropped))
        return;
    log_debug("vm %s: %s of unknown MSR 0x%x (0x%llx) at rip 0x%llx: #GP%s", v->vm->name, what,
              index, (unsigned long long)value, (unsigned long long)hvm->get(v->hv, HVM_RIP),
              dropped ? " (others not shown)" : "");
}

bool msr_read(struct vcpu *v, u32 index, u64 *value)
{
    const struct msr_rule *r = find(v->vm, index);

    if (r && r->kind == MSR_FUNCTION)
        return r->read(v, index, value);
    if (r && (r->kind == MSR_CONSTANT || r->kind == MSR_IGNORE)) {
        *value = r->value;
        return true;
    }
    report_unknown(v, index, "read", 0);
    return false;
}

bool msr_write(struct vcpu *v, u32 index, u64 value)
{
    const struct msr_rule *r = find(v->vm, index);

    if (r && r->kind == MSR_FUNCTION)
        return r->write(v, index, value);
    if (r && r->kind == MSR_IGNORE)
        return true;
    if (r && r->kind == MSR_CONSTANT)
        return false;
    report_unknown(v, index, "write", value);
    return false;
}

COLD void msr_setup_vm(struct vm *vm)
{
    for (u32 i = 0; i < ARRAY_SIZE(rules); i++)
        if (rules[i].kind == MSR_DIRECT)
            for (u32 n = rules[i].first; n <= rules[i].last; n++)
                hvm->msr_pass(&vm->hvm, n, true, true);
}

COLD void msr_reset(struct vcpu *v)
{
    memset(&v->msr, 0, sizeof(v->msr));
    v->msr.misc_enable = MISC_ENABLE_INIT;
    v->msr.mtrr_def_type = MTRR_DEF_INIT;
    for (unsigned i = 0; i < ARRAY_SIZE(v->msr.mtrr_fixed); i++)
        v->msr.mtrr_fixed[i] = i == 2 ? 0 : 0x0606060606060606ull; /* the VGA window: uncached */
}
