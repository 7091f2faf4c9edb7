/* SPDX-License-Identifier: BSD-2-Clause */
/* Raising exceptions: see inject.h. */
#include "vmm/inject.h"
#include "lib/x86.h"
#include "vmm/vcpu.h"
#include "vmm/vm.h"

static bool contributory(u8 vector)
{
    return vector == EXC_DE || (vector >= EXC_TS && vector <= EXC_GP) || vector == EXC_CP;
}

/* SDM 3, table 6-5. */
static bool makes_double_fault(u8 first, u8 second)
{
    if (first == EXC_PF)
        return second == EXC_PF || contributory(second);
    return contributory(first) && contributory(second);
}

void inject_exception(struct vcpu *v, u8 vector, bool has_error, u32 error)
{
    struct hvm_event *e = &v->event;

    if (e->kind == HVM_EVENT_EXCEPTION) {
        if (e->vector == EXC_DF && (contributory(vector) || vector == EXC_PF)) {
            vm_stop(v, "triple fault");
            return;
        }
        if (makes_double_fault(e->vector, vector)) {
            vector = EXC_DF;
            has_error = true;
            error = 0;
        }
    } else if (e->kind == HVM_EVENT_INTR) {
        v->deferred = *e;
    } else if (e->kind == HVM_EVENT_NMI) {
        v->nmi_pending = true;
        vcpu_set(v, HVM_NMI_BLOCKED, 0);
    } /* software interrupts happen again by themselves: RIP is still at them */
    *e = (struct hvm_event){
        .kind = HVM_EVENT_EXCEPTION, .vector = vector, .has_error = has_error, .error = error};
    vcpu_look(v);
}

void inject_gp(struct vcpu *v)
{
    inject_exception(v, EXC_GP, true, 0);
}

void inject_ud(struct vcpu *v)
{
    inject_exception(v, EXC_UD, false, 0);
}
