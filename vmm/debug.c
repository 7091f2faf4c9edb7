/* SPDX-License-Identifier: BSD-2-Clause */
/* Debug registers: see debug.h. */
#include "vmm/debug.h"
#include "vmm/emulate.h"
#include "vmm/inject.h"
#include "vmm/vm.h"
#include "vmm/watch.h"

#define DR6_CAUSES (DR6_BP | DR6_BD | DR6_BS | DR6_BT)

/* As the processor does it at a #DB that is not intercepted (SDM 3, 17.2.3, 17.2.4, 17.4.3). */
void debug_note(struct vcpu *v, u64 causes)
{
    u64 dr6 = vcpu_get(v, HVM_DR6), dr7 = vcpu_get(v, HVM_DR7);

    vcpu_set(v, HVM_DR6, (dr6 & ~DR6_BP) | (causes & DR6_CAUSES));
    if (dr7 & DR7_GD)
        vcpu_set(v, HVM_DR7, dr7 & ~DR7_GD);
    vcpu_set(v, HVM_DEBUGCTL, vcpu_get(v, HVM_DEBUGCTL) & ~DEBUGCTL_BTF);
}

/* Breakpoints that the instruction behind this exit is about to meet. */
static void look_ahead(struct vcpu *v, const struct hvm_exit *e, u64 dr7)
{
    struct emul_cpu *c = emulate_begin(v, e);
    u64 dr[4];

    if (emul_decode(c) != EMUL_DONE)
        return;
    for (unsigned i = 0; i < 4; i++)
        dr[i] = vcpu_get(v, HVM_DR0 + i);
    v->debug_hits = emul_breakpoints(c, dr, dr7);
    if (!v->debug_hits)
        return;
    v->debug_rip = e->rip;
    v->debug_rcx = v->hv->gpr[RCX];
    __atomic_fetch_or(&v->requests, VCPU_REQ_DEBUG, __ATOMIC_RELAXED);
}

static struct hvm_exit *next_watched(void *arg, struct hvm_exit *e);

/* on: no access to debug registers leaves the guest, but DR7 is looked at. A string instruction
 * stops after each element then: between two of them is where its breakpoints belong. */
static void watch(struct vcpu *v, bool on)
{
    hvm->intercept_dr(v->hv, !on);
    watch_set_next(v, on ? next_watched : vcpu_next);
    v->emul.max_iterations = on;
}

/* In place of vcpu_next. */
static struct hvm_exit *next_watched(void *arg, struct hvm_exit *e)
{
    struct vcpu *v = arg;

    if (e->reason == HVM_EXIT_IO || e->reason == HVM_EXIT_NESTED_FAULT) {
        u64 dr7 = vcpu_get(v, HVM_DR7);

        if (dr7 & DR7_ENABLED)
            look_ahead(v, e, dr7);
        else
            watch(v, false);
    }
    return vcpu_next(v, e);
}

void exit_dr(struct vcpu *v, struct hvm_exit *e)
{
    (void)e;
    watch(v, true);
}

/* A single step that is due as well is the same #DB. */
void debug_trap(struct vcpu *v)
{
    bool done = vcpu_get(v, HVM_RIP) != v->debug_rip || v->hv->gpr[RCX] != v->debug_rcx;

    if (!done || v->event.kind)
        return;
    debug_note(v, v->debug_hits | (vcpu_get(v, HVM_RFLAGS) & FLAG_TF ? DR6_BS : 0));
    inject_exception(v, EXC_DB, false, 0);
}
