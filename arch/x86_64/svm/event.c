/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Events and instruction completion of SVM vCPUs: injection (APM 2, 15.20), what an exit
 * interrupted (15.7.2), virtual interrupts as interrupt windows (15.21.4), NMI blocking, and
 * single-step traps, of which the processor keeps no record.
 */
#include "arch/x86_64/svm/svm.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/ipi.h"
#include "lib/assert.h"

static const u8 type_of[] = {
    [HVM_EVENT_INTR] = EVENT_TYPE_INTR,
    [HVM_EVENT_NMI] = EVENT_TYPE_NMI,
    [HVM_EVENT_EXCEPTION] = EVENT_TYPE_EXCEPTION,
    [HVM_EVENT_SOFT_INTR] = EVENT_TYPE_SOFT_INTR,
    [HVM_EVENT_SOFT_EXCEPTION] = EVENT_TYPE_EXCEPTION,
    [HVM_EVENT_ICEBP] = EVENT_TYPE_EXCEPTION,
};

static bool is_soft(enum hvm_event_kind kind)
{
    return kind >= HVM_EVENT_SOFT_INTR;
}

static u64 wrap(const struct vmcb *cb, u64 rip)
{
    struct {
        bool l, db;
    } cs = {cb->cs.attr & BIT(9), cb->cs.attr & BIT(10)};

    if (cs.l && cb->efer & EFER_LMA)
        return rip;
    return cs.db ? (u32)rip : (u16)rip;
}

void svm_advance(struct hvm_vcpu *base, unsigned len)
{
    struct svm_vcpu *v = svm_vcpu(base);
    struct vmcb *cb = v->vmcb;
    u64 rip = cb->rip + len;

    if (unlikely((rip ^ cb->rip) >> 16))
        rip = wrap(cb, rip);
    cb->rip = rip;
    cb->shadow &= ~SHADOW_INTR;
    if (unlikely(cb->rflags & (FLAG_RF | FLAG_TF))) {
        cb->rflags &= ~FLAG_RF;
        if (cb->rflags & FLAG_TF && !(svm_get(base, HVM_DEBUGCTL) & DEBUGCTL_BTF))
            v->attention |= ATTEND_STEP;
    }
}

/* ---- NMI blocking -------------------------------------------------------------------------- */

static COLD void set_iret_intercept(struct svm_vcpu *v, bool on)
{
    v->vmcb->intercept1 &= ~(u32)INTERCEPT1_IRET;
    v->vmcb->intercept1 |= on ? (u32)INTERCEPT1_IRET : 0;
    svm_set_attention(v, ATTEND_IRET, on);
    svm_touch(v, CLEAN_INTERCEPTS);
}

COLD void svm_block_nmi(struct svm_vcpu *v, bool block)
{
    v->nmi_blocked = block;
    v->iret = false;
    set_iret_intercept(v, block);
}

bool svm_nmi_blocked(struct svm_vcpu *v)
{
    if (v->iret && v->vmcb->rip != v->iret_rip)
        svm_block_nmi(v, false);
    return v->nmi_blocked;
}

void svm_on_iret(struct svm_vcpu *v)
{
    v->iret = true;
    v->iret_rip = v->vmcb->rip;
    set_iret_intercept(v, false);
}

/*
 * Lets the guest execute one instruction. A guest that single-steps itself traps anyway. Faults
 * leave the guest too, or it would find TF in the flags that it is to return to; not those that are
 * instructions: what they push cannot be made again.
 */
static void begin_step(struct svm_vcpu *v)
{
    struct vmcb *cb = v->vmcb;

    if (cb->rflags & FLAG_TF)
        return;
    svm_set_attention(v, ATTEND_STEPPING, true);
    v->step_dr6 = cb->dr6;
    cb->rflags |= FLAG_TF;
    cb->exceptions = ~(u32)(BIT(EXC_BP) | BIT(EXC_OF));
    svm_touch(v, CLEAN_INTERCEPTS);
}

COLD bool svm_end_step(struct svm_vcpu *v)
{
    struct vmcb *cb = v->vmcb;
    u64 others = cb->dr6 & ~v->step_dr6 & (DR6_BP | DR6_BD | DR6_BT);
    bool trap = cb->exit_code == SVM_EXCEPTION + EXC_DB;

    svm_set_attention(v, ATTEND_STEPPING, false);
    cb->exceptions = v->exceptions;
    svm_touch(v, CLEAN_INTERCEPTS);
    /* An IRET that has been executed brought flags of its own. */
    if (!v->iret || cb->rip == v->iret_rip)
        cb->rflags &= ~FLAG_TF;
    if (!trap)
        return false;
    cb->dr6 = v->step_dr6 | others;
    svm_touch(v, CLEAN_DR);
    return !others; /* else the guest's own breakpoint has come with it */
}

/*
 * The caller waits for NMIs. Blocked ones: IRET is intercepted. After that, and in a shadow: one
 * step. If it is the event queued now that stands in the way: out again right behind it, by an
 * interrupt that waits for the entry.
 */
static void attend_nmi(struct svm_vcpu *v)
{
    if (svm_nmi_blocked(v) && !v->iret)
        return;
    if ((v->attention & ATTEND_EVENT) || !(v->nmi_blocked || v->vmcb->shadow & SHADOW_INTR))
        ipi_kick(this_cpu()->id);
    else
        begin_step(v);
}

COLD void svm_attend(struct svm_vcpu *v)
{
    static const struct hvm_event trap = {.kind = HVM_EVENT_EXCEPTION, .vector = EXC_DB};

    if (v->attention & ATTEND_STEP) {
        v->attention &= (u16)~ATTEND_STEP;
        if (!(v->attention & ATTEND_EVENT)) {
            v->vmcb->dr6 |= DR6_BS;
            svm_touch(v, CLEAN_DR);
            svm_inject(&v->base, &trap);
        }
    }
    if (v->attention & ATTEND_NMI)
        attend_nmi(v);
    if (v->attention & ATTEND_OUT)
        ipi_kick(this_cpu()->id);
    v->attention &= (u16)~ATTEND_OUT;
}

/* ---- in and out ---------------------------------------------------------------------------- */

/*
 * Of soft events the processor pushes RIP as it stands (or next_rip, where it has one): it is moved
 * past the instruction here, and back if the delivery is interrupted.
 */
static void prepare_soft(struct svm_vcpu *v, const struct hvm_event *e)
{
    v->soft = true;
    v->soft_vector = e->vector;
    v->soft_rip = v->vmcb->rip;
    v->soft_next = wrap(v->vmcb, v->vmcb->rip + e->insn_len);
    v->vmcb->rip = v->vmcb->next_rip = v->soft_next;
}

/*
 * QEMU 7.2 keeps the vector of an interrupt that VMRUN injects as an exception yet to come. If its
 * loop is left, for a timer of its own say, before the guest has left for any reason, it delivers
 * that as well, whether the guest's interrupts are on or not. So the guest is to leave at once: an
 * interrupt waits for the entry.
 */
void svm_inject(struct hvm_vcpu *base, const struct hvm_event *e)
{
    struct svm_vcpu *v = svm_vcpu(base);
    struct vmcb *cb = v->vmcb;
    u64 event = EVENT_VALID | (u64)type_of[e->kind] << EVENT_TYPE_SHIFT | e->vector;

    if (e->kind == HVM_EVENT_NONE) {
        if (v->attention & ATTEND_EVENT && v->soft)
            cb->rip = v->soft_rip;
        cb->event = 0;
        svm_set_attention(v, ATTEND_EVENT | ATTEND_STEP, false);
        v->soft = false;
        return;
    }
    if (CHECKED)
        ASSERT(!(v->attention & ATTEND_EVENT));
    if (e->has_error && cb->cr0 & CR0_PE)
        event |= EVENT_HAS_ERROR | (u64)e->error << EVENT_ERROR_SHIFT;
    if (is_soft(e->kind))
        prepare_soft(v, e);
    if (e->kind == HVM_EVENT_NMI)
        svm_block_nmi(v, true);
    if (svm.tcg && e->kind == HVM_EVENT_INTR)
        v->attention |= ATTEND_OUT;
    cb->event = event;
    cb->shadow &= ~SHADOW_INTR;
    svm_set_attention(v, ATTEND_EVENT, true);
}

/*
 * Soft events are not reported, but for task switches: RIP is still (or again) at the instruction,
 * which the guest will simply execute once more. One that was injected may be reported under
 * another type.
 */
COLD void svm_read_vectoring(struct svm_vcpu *v, struct hvm_exit *exit)
{
    u64 event = v->vmcb->exit_event;
    struct hvm_event *e = &exit->vectoring;
    unsigned type = EVENT_TYPE(event);
    u8 vector = event & EVENT_VECTOR;
    bool soft = type == EVENT_TYPE_SOFT_INTR ||
                (type == EVENT_TYPE_EXCEPTION && (vector == EXC_BP || vector == EXC_OF));

    if (v->soft && vector == v->soft_vector && v->vmcb->rip == v->soft_next) {
        v->vmcb->rip = v->soft_rip;
        soft = true;
    }
    if (soft && exit->reason != HVM_EXIT_TASK_SWITCH)
        return;
    e->kind = type == EVENT_TYPE_INTR  ? HVM_EVENT_INTR
              : type == EVENT_TYPE_NMI ? HVM_EVENT_NMI
                                       : HVM_EVENT_EXCEPTION;
    if (soft)
        e->kind = type == EVENT_TYPE_EXCEPTION ? HVM_EVENT_SOFT_EXCEPTION : HVM_EVENT_SOFT_INTR;
    e->vector = vector;
    e->has_error = event & EVENT_HAS_ERROR;
    e->error = e->has_error ? (u32)(event >> EVENT_ERROR_SHIFT) : 0;
    e->insn_len = 0;
}

bool svm_can_take_intr(struct hvm_vcpu *base)
{
    struct svm_vcpu *v = svm_vcpu(base);

    return !(v->attention & (ATTEND_EVENT | ATTEND_STEP)) && v->vmcb->rflags & FLAG_IF &&
           !(v->vmcb->shadow & SHADOW_INTR);
}

COLD bool svm_can_take_nmi(struct hvm_vcpu *base)
{
    struct svm_vcpu *v = svm_vcpu(base);

    return !(v->attention & (ATTEND_EVENT | ATTEND_STEP)) && !(v->vmcb->shadow & SHADOW_INTR) &&
           !svm_nmi_blocked(v);
}

/* An interrupt window is a virtual interrupt that is intercepted before it is taken. */
void svm_window(struct hvm_vcpu *base, bool intr, bool nmi)
{
    struct svm_vcpu *v = svm_vcpu(base);
    struct vmcb *cb = v->vmcb;
    const u64 request = VIRQ_PENDING | VIRQ_IGNORE_TPR | VIRQ_PRIO_MAX;

    svm_set_attention(v, ATTEND_INTR, intr);
    svm_set_attention(v, ATTEND_NMI, nmi);
    if (intr == !!(cb->intercept1 & INTERCEPT1_VINTR))
        return;
    if (intr) {
        cb->intercept1 |= INTERCEPT1_VINTR;
        cb->virq |= request;
    } else {
        cb->intercept1 &= ~(u32)INTERCEPT1_VINTR;
        cb->virq &= ~request;
    }
    svm_touch(v, CLEAN_INTERCEPTS | CLEAN_TPR);
}

void svm_intercept_dr(struct hvm_vcpu *base, bool on)
{
    struct svm_vcpu *v = svm_vcpu(base);

    v->vmcb->dr_write = on ? BIT(7) : 0;
    svm_touch(v, CLEAN_INTERCEPTS);
}

/* Machine checks are the host's, whatever the caller wants. */
void svm_intercept_exceptions(struct hvm_vcpu *base, u32 mask)
{
    struct svm_vcpu *v = svm_vcpu(base);

    v->exceptions = mask | (u32)BIT(EXC_MC);
    v->vmcb->exceptions = v->exceptions;
    svm_touch(v, CLEAN_INTERCEPTS);
}
