/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Register access of SVM vCPUs: nearly all of it is the VMCB's save area (APM 2, appendix B), with
 * the clean bits kept in step.
 */
#include "arch/x86_64/svm/svm.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/dr.h"

/* Registers that are simply a word of the VMCB, and the clean bits that go with them. */
static const struct {
    u16 offset;
    u16 clean;
} words[HVM_REG_COUNT] = {
    [HVM_ENTRY_EVENT] = {offsetof(struct vmcb, event), 0},
    [HVM_RIP] = {offsetof(struct vmcb, rip), 0},
    [HVM_RSP] = {offsetof(struct vmcb, rsp), 0},
    [HVM_RFLAGS] = {offsetof(struct vmcb, rflags), 0},
    [HVM_CR0] = {offsetof(struct vmcb, cr0), CLEAN_CR},
    [HVM_CR2] = {offsetof(struct vmcb, cr2), CLEAN_CR2},
    [HVM_CR3] = {offsetof(struct vmcb, cr3), CLEAN_CR},
    [HVM_CR4] = {offsetof(struct vmcb, cr4), CLEAN_CR},
    [HVM_PAT] = {offsetof(struct vmcb, pat), CLEAN_NESTED},
    [HVM_DR6] = {offsetof(struct vmcb, dr6), CLEAN_DR},
    [HVM_DR7] = {offsetof(struct vmcb, dr7), CLEAN_DR},
    [HVM_SYSENTER_CS] = {offsetof(struct vmcb, sysenter_cs), 0},
    [HVM_SYSENTER_ESP] = {offsetof(struct vmcb, sysenter_esp), 0},
    [HVM_SYSENTER_EIP] = {offsetof(struct vmcb, sysenter_eip), 0},
    [HVM_STAR] = {offsetof(struct vmcb, star), 0},
    [HVM_LSTAR] = {offsetof(struct vmcb, lstar), 0},
    [HVM_CSTAR] = {offsetof(struct vmcb, cstar), 0},
    [HVM_SFMASK] = {offsetof(struct vmcb, sfmask), 0},
    [HVM_KERNEL_GS_BASE] = {offsetof(struct vmcb, kernel_gs_base), 0},
};

static u64 *word_of(struct svm_vcpu *v, enum hvm_reg reg)
{
    return (u64 *)((char *)v->vmcb + words[reg].offset);
}

static COLD u64 get_other(struct svm_vcpu *v, enum hvm_reg reg)
{
    switch (reg) {
    case HVM_EFER:
        return v->vmcb->efer & ~EFER_SVME;
    case HVM_DR0 ... HVM_DR3:
        return dr_read(reg - HVM_DR0);
    case HVM_TSC_AUX:
        return svm.tsc_aux ? cpu_rdmsr(MSR_TSC_AUX) : v->tsc_aux;
    case HVM_DEBUGCTL:
        return v->vmcb->lbr & LBR_ENABLE ? v->vmcb->debugctl : v->debugctl;
    case HVM_INTR_SHADOW:
        return v->vmcb->shadow & SHADOW_INTR;
    case HVM_NMI_BLOCKED:
        return svm_nmi_blocked(v);
    default:
        return v->pdpte[reg - HVM_PDPTE0];
    }
}

u64 svm_get(struct hvm_vcpu *base, enum hvm_reg reg)
{
    struct svm_vcpu *v = svm_vcpu(base);

    return likely(words[reg].offset) ? *word_of(v, reg) : get_other(v, reg);
}

/*
 * CR0, CR3, CR4 or EFER has been written: LMA follows from the others, and the guest's
 * translations are no longer what they were.
 */
static void settle_mode(struct svm_vcpu *v)
{
    struct vmcb *cb = v->vmcb;
    bool lma = cb->cr0 & CR0_PG && cb->efer & EFER_LME;

    cb->efer = (cb->efer & ~EFER_LMA) | EFER_SVME | (lma ? EFER_LMA : 0);
    svm_touch(v, CLEAN_CR);
    svm_flush(&v->base);
}

/* DEBUGCTL is the guest's own only while branch records are virtualised; nothing else needs it. */
static void set_debugctl(struct svm_vcpu *v, u64 value)
{
    v->debugctl = value;
    v->vmcb->debugctl = value;
    v->vmcb->lbr = value && svm.lbr ? LBR_ENABLE : 0;
    svm_touch(v, CLEAN_LBR);
}

static COLD void set_other(struct svm_vcpu *v, enum hvm_reg reg, u64 value)
{
    switch (reg) {
    case HVM_EFER:
        v->vmcb->efer = value;
        settle_mode(v);
        break;
    case HVM_DR0 ... HVM_DR3:
        dr_write(reg - HVM_DR0, value);
        break;
    case HVM_TSC_AUX:
        if (!svm.tsc_aux || cpu_wrmsr_safe(MSR_TSC_AUX, value))
            v->tsc_aux = value;
        break;
    case HVM_DEBUGCTL:
        set_debugctl(v, value);
        break;
    case HVM_INTR_SHADOW:
        v->vmcb->shadow = (v->vmcb->shadow & ~SHADOW_INTR) | (value ? SHADOW_INTR : 0);
        break;
    case HVM_NMI_BLOCKED:
        svm_block_nmi(v, value);
        break;
    default:
        v->pdpte[reg - HVM_PDPTE0] = value; /* read from memory at each use (15.25.10) */
        break;
    }
}

void svm_set(struct hvm_vcpu *base, enum hvm_reg reg, u64 value)
{
    struct svm_vcpu *v = svm_vcpu(base);

    if (unlikely(!words[reg].offset)) {
        set_other(v, reg, value);
        return;
    }
    if (reg == HVM_DR6 || reg == HVM_DR7)
        value = (u32)value;
    if (reg == HVM_CR3)
        value &= ~CR3_NO_FLUSH;
    *word_of(v, reg) = value;
    svm_touch(v, words[reg].clean);
    if (reg == HVM_CR2)
        cpu_write_cr2(value); /* see svm_load */
    if (words[reg].clean == CLEAN_CR)
        settle_mode(v);
}

static struct vmcb_seg *seg_of(struct vmcb *cb, enum seg s)
{
    static const u16 offsets[SEG_COUNT] = {
        [SEG_ES] = offsetof(struct vmcb, es),     [SEG_CS] = offsetof(struct vmcb, cs),
        [SEG_SS] = offsetof(struct vmcb, ss),     [SEG_DS] = offsetof(struct vmcb, ds),
        [SEG_FS] = offsetof(struct vmcb, fs),     [SEG_GS] = offsetof(struct vmcb, gs),
        [SEG_LDTR] = offsetof(struct vmcb, ldtr), [SEG_TR] = offsetof(struct vmcb, tr),
    };

    return (struct vmcb_seg *)((char *)cb + offsets[s]);
}

/* The VMCB packs the attributes into twelve bits: 8 to 11 are AVL, L, D/B and G. */
#define LOW_ATTR  0xffu
#define HIGH_ATTR 0xf00u

void svm_get_mode(struct hvm_vcpu *base, struct x86_mode *out)
{
    const struct vmcb *cb = svm_vcpu(base)->vmcb;
    u32 attr = seg_of(svm_vcpu(base)->vmcb, SEG_CS)->attr;

    out->cr3 = cb->cr3;
    out->cr4 = cb->cr4;
    out->efer = cb->efer & ~EFER_SVME;
    out->cs_attr = (attr & LOW_ATTR) | (attr & HIGH_ATTR) << 4;
    out->cpl = cb->cpl;
}

void svm_get_seg(struct hvm_vcpu *base, enum seg s, struct x86_seg *out)
{
    struct vmcb *cb = svm_vcpu(base)->vmcb;
    const struct vmcb_seg *g = seg_of(cb, s);

    out->sel = g->sel;
    out->base = g->base;
    out->limit = g->limit;
    out->attr = (g->attr & LOW_ATTR) | (g->attr & HIGH_ATTR) << 4;
    if (s == SEG_SS)
        out->attr = (out->attr & ~SEG_DPL_MASK) | (u32)cb->cpl << SEG_DPL_SHIFT;
    /* Processors do not keep G faithfully; it is a matter of the limit anyway. */
    out->attr = (out->attr & ~SEG_G) | (out->limit > 0xfffff ? SEG_G : 0);
    if (!(out->attr & SEG_P) && s != SEG_CS && s != SEG_TR)
        out->attr |= SEG_UNUSABLE;
}

void svm_set_seg(struct hvm_vcpu *base, enum seg s, const struct x86_seg *in)
{
    struct svm_vcpu *v = svm_vcpu(base);
    struct vmcb_seg *g = seg_of(v->vmcb, s);
    u32 attr = in->attr & SEG_UNUSABLE ? in->attr & ~SEG_P : in->attr;

    if (attr & SEG_P && attr & SEG_S)
        attr |= SEG_TYPE_ACC;
    if (s == SEG_TR)
        attr |= 2;
    if (s == SEG_SS)
        v->vmcb->cpl = (in->attr & SEG_DPL_MASK) >> SEG_DPL_SHIFT;
    g->sel = in->sel;
    g->attr = (u16)((attr & LOW_ATTR) | (attr >> 4 & HIGH_ATTR));
    g->limit = in->limit;
    g->base = in->base;
    svm_touch(v, CLEAN_SEG);
}

void svm_get_table(struct hvm_vcpu *base, bool idt, struct x86_table *out)
{
    struct vmcb *cb = svm_vcpu(base)->vmcb;
    const struct vmcb_seg *g = idt ? &cb->idtr : &cb->gdtr;

    out->base = g->base;
    out->limit = (u16)g->limit;
}

void svm_set_table(struct hvm_vcpu *base, bool idt, const struct x86_table *in)
{
    struct svm_vcpu *v = svm_vcpu(base);
    struct vmcb_seg *g = idt ? &v->vmcb->idtr : &v->vmcb->gdtr;

    g->base = in->base;
    g->limit = in->limit;
    svm_touch(v, CLEAN_TABLES);
}
