/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Register access of VMX vCPUs. Control registers are kept in three parts: bits that the guest
 * owns live in the VMCS, bits that it does not own in the vCPU (and in the read shadows, so that
 * the guest sees what it wrote), and the real ones of the latter are skep's. SDM 3, 24.6.6, 25.3.
 */
#include "arch/x86_64/vmx/vmx.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/dr.h"

#define EFER_KNOWN (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)
/* Bits that change what an identity page table means, and must be off under one. */
#define CR4_NOT_IDENTITY                                                                           \
    (CR4_PAE | CR4_LA57 | CR4_PCIDE | CR4_SMEP | CR4_SMAP | CR4_PKE | CR4_CET | CR4_PKS)

/* Registers that are simply a field. */
static const u16 fields[HVM_REG_COUNT] = {
    [HVM_RIP] = VMCS_GUEST_RIP,
    [HVM_RSP] = VMCS_GUEST_RSP,
    [HVM_RFLAGS] = VMCS_GUEST_RFLAGS,
    [HVM_PAT] = VMCS_GUEST_PAT,
    [HVM_DR7] = VMCS_GUEST_DR7,
    [HVM_SYSENTER_CS] = VMCS_GUEST_SYSENTER_CS,
    [HVM_SYSENTER_ESP] = VMCS_GUEST_SYSENTER_ESP,
    [HVM_SYSENTER_EIP] = VMCS_GUEST_SYSENTER_EIP,
    [HVM_PDPTE0] = VMCS_GUEST_PDPTE0,
    [HVM_PDPTE1] = VMCS_GUEST_PDPTE1,
    [HVM_PDPTE2] = VMCS_GUEST_PDPTE2,
    [HVM_PDPTE3] = VMCS_GUEST_PDPTE3,
    [HVM_DEBUGCTL] = VMCS_GUEST_DEBUGCTL,
    [HVM_ENTRY_EVENT] = VMCS_ENTRY_INTR_INFO,
};

u32 vmx_switched_msr(enum hvm_reg reg)
{
    static const u32 msrs[VMX_SWITCHED] = {MSR_STAR,   MSR_LSTAR,          MSR_CSTAR,
                                           MSR_SFMASK, MSR_KERNEL_GS_BASE, MSR_TSC_AUX};
    u32 msr = msrs[reg - HVM_STAR];

    return msr == MSR_TSC_AUX && !vmx.tsc_aux ? 0 : msr;
}

static u64 get_cr0(struct vmx_vcpu *v)
{
    return (vmread(VMCS_GUEST_CR0) & vmx.cr0_owned) | (v->cr0 & ~vmx.cr0_owned);
}

static u64 get_cr4(struct vmx_vcpu *v)
{
    return (vmread(VMCS_GUEST_CR4) & vmx.cr4_owned) | (v->cr4 & ~vmx.cr4_owned);
}

static u64 get_cr3(struct vmx_vcpu *v)
{
    return v->identity ? v->cr3 : vmread(VMCS_GUEST_CR3);
}

/* With an unrestricted guest the processor itself switches EFER.LMA as the guest turns paging on.
 */
static u64 get_efer(struct vmx_vcpu *v)
{
    return vmx.unrestricted ? vmread(VMCS_GUEST_EFER) : v->efer;
}

static void set_proc(struct vmx_vcpu *v, u32 proc)
{
    if (proc != v->proc)
        vmwrite(VMCS_PROC_CTLS, proc);
    v->proc = proc;
}

/* Into and out of the identity page table that stands in for no paging. */
static COLD void set_identity(struct vmx_vcpu *v, bool identity)
{
    const u32 cr3_exits = PROC_CR3_LOAD | PROC_CR3_STORE;

    if (identity == v->identity)
        return;
    if (identity) {
        v->cr3 = vmread(VMCS_GUEST_CR3);
        vmwrite(VMCS_GUEST_CR3, HVM_IDENTITY_PD);
        set_proc(v, v->proc | cr3_exits);
    } else {
        vmwrite(VMCS_GUEST_CR3, v->cr3);
        set_proc(v, (v->proc & ~cr3_exits) | (vmx.proc & cr3_exits));
    }
    v->identity = identity;
}

static u64 real_cr4(u64 cr4, bool identity)
{
    u64 host = cpu_read_cr4() & CR4_MCE;

    if (identity)
        cr4 = (cr4 & ~CR4_NOT_IDENTITY) | CR4_PSE;
    return (cr4 & vmx.cr4_may & ~(CR4_MCE | CR4_VMXE)) | vmx.cr4_must | host;
}

COLD void vmx_set_mode(struct vmx_vcpu *v, u64 cr0, u64 cr4, u64 efer)
{
    bool paging = cr0 & CR0_PG;
    bool lma = paging && efer & EFER_LME;
    u32 entry = lma ? v->entry | ENTRY_IA32E : v->entry & ~ENTRY_IA32E;

    v->cr0 = cr0;
    v->cr4 = cr4;
    v->efer = (efer & EFER_KNOWN & ~EFER_LMA) | (lma ? EFER_LMA : 0);
    set_identity(v, !vmx.unrestricted && !paging);
    vmwrite(VMCS_GUEST_CR0, (cr0 & vmx.cr0_owned) | vmx.cr0_must);
    vmwrite(VMCS_CR0_SHADOW, cr0);
    vmwrite(VMCS_GUEST_CR4, real_cr4(cr4, v->identity));
    vmwrite(VMCS_CR4_SHADOW, cr4);
    vmwrite(VMCS_GUEST_EFER, v->identity ? v->efer & ~(EFER_LME | EFER_LMA) : v->efer);
    v->entry = entry;
    vmwrite(VMCS_ENTRY_CTLS, entry); /* exits change it too, as the guest turns paging on */
    v->attention = (u8)((v->attention & ~ATTEND_REAL_MODE) | ATTEND_LINEAR);
    if (!vmx.unrestricted && !(cr0 & CR0_PE))
        v->attention |= ATTEND_REAL_MODE;
}

static void set_cr3(struct vmx_vcpu *v, u64 value)
{
    value &= ~CR3_NO_FLUSH;
    if (v->identity)
        v->cr3 = value;
    else
        vmwrite(VMCS_GUEST_CR3, value);
    v->attention |= ATTEND_LINEAR;
}

static COLD u64 get_other(struct vmx_vcpu *v, enum hvm_reg reg)
{
    u32 msr;

    switch (reg) {
    case HVM_CR2:
        return cpu_read_cr2();
    case HVM_EFER:
        return get_efer(v);
    case HVM_DR0 ... HVM_DR3:
        return dr_read(reg - HVM_DR0);
    case HVM_DR6:
        return cpu_read_dr6();
    case HVM_INTR_SHADOW:
        return vmread(VMCS_GUEST_INTERRUPTIBILITY) & BLOCKED_SHADOW;
    case HVM_NMI_BLOCKED:
        return !!(vmread(VMCS_GUEST_INTERRUPTIBILITY) & BLOCKED_NMI);
    default:
        msr = vmx_switched_msr(reg);
        return msr ? cpu_rdmsr(msr) : v->msr[reg - HVM_STAR];
    }
}

u64 vmx_get(struct hvm_vcpu *base, enum hvm_reg reg)
{
    struct vmx_vcpu *v = vmx_vcpu(base);

    if (fields[reg])
        return vmread(fields[reg]);
    if (reg == HVM_CR0)
        return get_cr0(v);
    if (reg == HVM_CR3)
        return get_cr3(v);
    return reg == HVM_CR4 ? get_cr4(v) : get_other(v, reg);
}

static void set_switched(struct vmx_vcpu *v, enum hvm_reg reg, u64 value)
{
    u32 msr = vmx_switched_msr(reg);

    if (!msr || cpu_wrmsr_safe(msr, value))
        v->msr[reg - HVM_STAR] = value;
}

/*
 * An instruction that sets a shadow while TF is set leaves its single-step trap pending behind the
 * shadow: entries insist on it (SDM 3, 26.3.1.5).
 */
static COLD void set_shadow(u64 shadow)
{
    u64 old = vmread(VMCS_GUEST_INTERRUPTIBILITY);

    vmwrite(VMCS_GUEST_INTERRUPTIBILITY, (old & ~BLOCKED_SHADOW) | (shadow & BLOCKED_SHADOW));
    if (shadow && vmread(VMCS_GUEST_RFLAGS) & FLAG_TF)
        vmwrite(VMCS_GUEST_PENDING_DEBUG, vmread(VMCS_GUEST_PENDING_DEBUG) | PENDING_DEBUG_BS);
}

static COLD void set_other(struct vmx_vcpu *v, enum hvm_reg reg, u64 value)
{
    u64 old;

    switch (reg) {
    case HVM_CR0:
        vmx_set_mode(v, value, get_cr4(v), get_efer(v));
        break;
    case HVM_CR2:
        cpu_write_cr2(value);
        break;
    case HVM_CR3:
        set_cr3(v, value);
        break;
    case HVM_CR4:
        vmx_set_mode(v, get_cr0(v), value, get_efer(v));
        break;
    case HVM_EFER:
        vmx_set_mode(v, get_cr0(v), get_cr4(v), value);
        break;
    case HVM_DR0 ... HVM_DR3:
        dr_write(reg - HVM_DR0, value);
        break;
    case HVM_DR6:
        cpu_write_dr6((u32)value);
        break;
    case HVM_INTR_SHADOW:
        set_shadow(value);
        break;
    case HVM_NMI_BLOCKED:
        old = vmread(VMCS_GUEST_INTERRUPTIBILITY) & ~BLOCKED_NMI;
        vmwrite(VMCS_GUEST_INTERRUPTIBILITY, old | (value ? BLOCKED_NMI : 0));
        break;
    default:
        set_switched(v, reg, value);
        break;
    }
}

void vmx_set(struct hvm_vcpu *base, enum hvm_reg reg, u64 value)
{
    if (fields[reg])
        vmwrite(fields[reg], reg == HVM_DR7 ? (u32)value : value);
    else
        set_other(vmx_vcpu(base), reg, value);
}

#define RIGHTS_MASK 0x1f0ffu

void vmx_get_mode(struct hvm_vcpu *base, struct x86_mode *out)
{
    struct vmx_vcpu *v = vmx_vcpu(base);

    out->cr3 = get_cr3(v);
    out->cr4 = get_cr4(v);
    out->efer = get_efer(v);
    out->cs_attr = (u32)vmread(VMCS_GUEST_RIGHTS + VMCS_SEG_STEP * SEG_CS) & RIGHTS_MASK;
    out->cpl =
        (u32)(vmread(VMCS_GUEST_RIGHTS + VMCS_SEG_STEP * SEG_SS) & SEG_DPL_MASK) >> SEG_DPL_SHIFT;
}

void vmx_get_seg(struct hvm_vcpu *v, enum seg s, struct x86_seg *out)
{
    unsigned at = VMCS_SEG_STEP * s;

    (void)v;
    out->sel = (u16)vmread(VMCS_GUEST_SEL + at);
    out->attr = (u32)vmread(VMCS_GUEST_RIGHTS + at) & RIGHTS_MASK;
    out->limit = (u32)vmread(VMCS_GUEST_LIMIT + at);
    out->base = vmread(VMCS_GUEST_BASE + at);
}

/* Entries insist on accessed data and code segments and on a busy TSS, as loads would have left. */
void vmx_set_seg(struct hvm_vcpu *v, enum seg s, const struct x86_seg *in)
{
    unsigned at = VMCS_SEG_STEP * s;
    u32 attr = in->attr & RIGHTS_MASK;

    (void)v;
    if (!(attr & SEG_UNUSABLE) && attr & SEG_S)
        attr |= SEG_TYPE_ACC;
    if (s == SEG_TR)
        attr |= 2;
    vmwrite(VMCS_GUEST_SEL + at, in->sel);
    vmwrite(VMCS_GUEST_RIGHTS + at, attr);
    vmwrite(VMCS_GUEST_LIMIT + at, in->limit);
    vmwrite(VMCS_GUEST_BASE + at, in->base);
}

void vmx_get_table(struct hvm_vcpu *v, bool idt, struct x86_table *out)
{
    (void)v;
    out->base = vmread(idt ? VMCS_GUEST_IDTR_BASE : VMCS_GUEST_GDTR_BASE);
    out->limit = (u16)vmread(idt ? VMCS_GUEST_IDTR_LIMIT : VMCS_GUEST_GDTR_LIMIT);
}

void vmx_set_table(struct hvm_vcpu *v, bool idt, const struct x86_table *in)
{
    (void)v;
    vmwrite(idt ? VMCS_GUEST_IDTR_BASE : VMCS_GUEST_GDTR_BASE, in->base);
    vmwrite(idt ? VMCS_GUEST_IDTR_LIMIT : VMCS_GUEST_GDTR_LIMIT, in->limit);
}
