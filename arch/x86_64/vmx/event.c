/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Events and instruction completion of VMX vCPUs: injection at entries (SDM 3, 26.6), what an exit
 * interrupted (27.2.4), interrupt and NMI windows (25.2), blocking and pending debug exceptions
 * (24.4.2).
 */
#include "arch/x86_64/vmx/vmx.h"
#include "arch/x86_64/cpu.h"

/* Interruption types and kinds of event are the same things in other words. */
static const u8 type_of[] = {
    [HVM_EVENT_INTR] = INTR_TYPE_EXTERNAL,
    [HVM_EVENT_NMI] = INTR_TYPE_NMI,
    [HVM_EVENT_EXCEPTION] = INTR_TYPE_EXCEPTION,
    [HVM_EVENT_SOFT_INTR] = INTR_TYPE_SOFT_INTR,
    [HVM_EVENT_SOFT_EXCEPTION] = INTR_TYPE_SOFT_EXCEPTION,
    [HVM_EVENT_ICEBP] = INTR_TYPE_ICEBP,
};

static const u8 kind_of[8] = {
    [INTR_TYPE_EXTERNAL] = HVM_EVENT_INTR,
    [INTR_TYPE_NMI] = HVM_EVENT_NMI,
    [INTR_TYPE_EXCEPTION] = HVM_EVENT_EXCEPTION,
    [INTR_TYPE_SOFT_INTR] = HVM_EVENT_SOFT_INTR,
    [INTR_TYPE_SOFT_EXCEPTION] = HVM_EVENT_SOFT_EXCEPTION,
    [INTR_TYPE_ICEBP] = HVM_EVENT_ICEBP,
};

static bool is_soft(enum hvm_event_kind kind)
{
    return kind >= HVM_EVENT_SOFT_INTR;
}

/* RIP has moved out of the low 64 KiB or 4 GiB, or around in them: the code segment decides. */
COLD static void wrap(struct vmx_vcpu *v, u64 rip)
{
    u32 cs = (u32)vmread(VMCS_GUEST_RIGHTS + VMCS_SEG_STEP * SEG_CS);

    if (!(cs & SEG_L && vmx_get(&v->base, HVM_EFER) & EFER_LMA))
        vmwrite(VMCS_GUEST_RIP, cs & SEG_DB ? (u32)rip : (u16)rip);
}

COLD static void end_shadow(void)
{
    u64 blocked = vmread(VMCS_GUEST_INTERRUPTIBILITY);

    vmwrite(VMCS_GUEST_INTERRUPTIBILITY, blocked & ~BLOCKED_SHADOW);
}

/* RF and TF after an instruction. */
COLD static void settle_flags(struct vmx_vcpu *v)
{
    u64 flags = vmread(VMCS_GUEST_RFLAGS);

    if (flags & FLAG_RF)
        vmwrite(VMCS_GUEST_RFLAGS, flags & ~FLAG_RF);
    if (!(flags & FLAG_TF) || vmread(VMCS_GUEST_DEBUGCTL) & DEBUGCTL_BTF)
        return;
    vmwrite(VMCS_GUEST_PENDING_DEBUG, vmread(VMCS_GUEST_PENDING_DEBUG) | PENDING_DEBUG_BS);
    v->state |= STATE_STEPPING;
}

void vmx_advance(struct hvm_vcpu *base, unsigned len)
{
    struct vmx_vcpu *v = vmx_vcpu(base);
    u64 old = vmread(VMCS_GUEST_RIP);
    u64 rip = old + len;

    vmwrite(VMCS_GUEST_RIP, rip);
    if (unlikely((rip ^ old) >> 16))
        wrap(v, rip);
    if (unlikely(vmread(VMCS_GUEST_INTERRUPTIBILITY) & BLOCKED_SHADOW))
        end_shadow();
    if (unlikely(vmread(VMCS_GUEST_RFLAGS) & (FLAG_RF | FLAG_TF)))
        settle_flags(v);
}

void vmx_inject(struct hvm_vcpu *base, const struct hvm_event *e)
{
    struct vmx_vcpu *v = vmx_vcpu(base);
    u32 info = (u32)INTR_VALID | (u32)type_of[e->kind] << INTR_TYPE_SHIFT | e->vector;
    u64 blocked;

    if (e->kind == HVM_EVENT_NONE) {
        vmwrite(VMCS_ENTRY_INTR_INFO, 0);
        vmwrite(VMCS_GUEST_PENDING_DEBUG, 0);
        v->state &= (u8) ~(STATE_QUEUED | STATE_STEPPING);
        return;
    }
    if (CHECKED)
        ASSERT(!(v->state & STATE_QUEUED));
    /* Real mode has no error codes, and entries refuse them there. */
    if (e->has_error && vmread(VMCS_GUEST_CR0) & CR0_PE) {
        info |= INTR_ERROR;
        vmwrite(VMCS_ENTRY_ERROR, e->error);
    }
    if (is_soft(e->kind))
        vmwrite(VMCS_ENTRY_INSN_LEN, e->insn_len);
    /*
     * An exception ends the shadow that it comes in, as the #DB of a step over STI does. With TF
     * set the entry would want the step to be pending still (26.3.1.5), which has been taken.
     */
    if (e->kind >= HVM_EVENT_EXCEPTION && vmread(VMCS_GUEST_INTERRUPTIBILITY) & BLOCKED_SHADOW)
        end_shadow();
    if (e->kind == HVM_EVENT_NMI) {
        /* One whose delivery was interrupted has set the blocking already. */
        blocked = vmread(VMCS_GUEST_INTERRUPTIBILITY);
        vmwrite(VMCS_GUEST_INTERRUPTIBILITY, blocked & ~BLOCKED_NMI);
    }
    vmwrite(VMCS_ENTRY_INTR_INFO, info);
    v->state |= STATE_QUEUED;
}

/* info: a valid IDT-vectoring field. */
void vmx_read_vectoring(u32 info, struct hvm_event *e)
{
    e->kind = kind_of[INTR_TYPE(info)];
    e->vector = info & INTR_VECTOR;
    e->has_error = info & INTR_ERROR;
    e->error = e->has_error ? (u32)vmread(VMCS_VECTORING_ERROR) : 0;
    e->insn_len = is_soft(e->kind) ? (u8)vmread(VMCS_EXIT_INSN_LEN) : 0;
}

bool vmx_can_take_intr(struct hvm_vcpu *base)
{
    struct vmx_vcpu *v = vmx_vcpu(base);

    return !(v->state & (STATE_QUEUED | STATE_STEPPING)) && vmread(VMCS_GUEST_RFLAGS) & FLAG_IF &&
           !(vmread(VMCS_GUEST_INTERRUPTIBILITY) & BLOCKED_SHADOW);
}

bool vmx_can_take_nmi(struct hvm_vcpu *base)
{
    struct vmx_vcpu *v = vmx_vcpu(base);

    return !(v->state & (STATE_QUEUED | STATE_STEPPING)) &&
           !(vmread(VMCS_GUEST_INTERRUPTIBILITY) & (BLOCKED_SHADOW | BLOCKED_NMI));
}

void vmx_window(struct hvm_vcpu *base, bool intr, bool nmi)
{
    struct vmx_vcpu *v = vmx_vcpu(base);
    u32 proc = v->proc & ~(u32)(PROC_INTR_WINDOW | PROC_NMI_WINDOW);

    proc |= (intr ? PROC_INTR_WINDOW : 0) | (nmi ? PROC_NMI_WINDOW : 0);
    if (proc != v->proc) {
        v->proc = proc;
        vmwrite(VMCS_PROC_CTLS, proc);
    }
}

void vmx_intercept_dr(struct hvm_vcpu *base, bool on)
{
    struct vmx_vcpu *v = vmx_vcpu(base);

    v->proc = on ? v->proc | PROC_MOV_DR : v->proc & ~(u32)PROC_MOV_DR;
    vmwrite(VMCS_PROC_CTLS, v->proc);
}

/* Machine checks are the host's, whatever the caller wants. */
void vmx_intercept_exceptions(struct hvm_vcpu *v, u32 mask)
{
    (void)v;
    vmwrite(VMCS_EXCEPTION_BITMAP, mask | BIT(EXC_MC));
}
