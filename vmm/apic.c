/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Local APICs with a processor's help: when it is on, what it is told, and what it leaves to do.
 * It is on for a local APIC that is enabled and where all systems have it; in all other states the
 * model does everything, so that these need no second truth.
 */
#include "vmm/exits.h"
#include "vmm/vcpu.h"
#include "vmm/vm.h"

static enum hvm_apic_mode wanted(const struct vcpu *v)
{
    const struct vlapic *l = &v->apic;

    if (!vlapic_is_enabled(l))
        return HVM_APIC_OFF;
    if (l->mode == VLAPIC_X2APIC)
        return HVM_APIC_MSR;
    return vlapic_gpa(l) == HVM_APIC_GPA ? HVM_APIC_MMIO : HVM_APIC_OFF;
}

COLD void vcpu_settle_apic(struct vcpu *v)
{
    struct vlapic *l = &v->apic;
    enum hvm_apic_mode mode = wanted(v);

    if (mode != v->apic_mode) {
        /* The page is not to be memory: from now on nothing is there. */
        if (mode == HVM_APIC_MSR && v->vm->apic_access)
            space_protect(v->space, HVM_APIC_GPA, PAGE_SIZE, 0);
        vlapic_set_help(l, mode == HVM_APIC_OFF ? APIC_EMULATE : hvm_caps.apic);
        hvm->apic_mode(v->hv, mode);
        v->apic_mode = mode;
    }
    if (mode != HVM_APIC_OFF) {
        int top = vlapic_top_request(l);

        hvm->apic_update(v->hv, top, l->isr_top, vlapic_tpr_threshold(l, top));
    }
}

COLD void exit_apic(struct vcpu *v, struct hvm_exit *e)
{
    if (e->apic.end)
        vlapic_ended(&v->apic, (u8)e->apic.what);
    else
        vlapic_written(&v->apic, e->apic.what, vm_now(v->vm));
    vcpu_look(v);
}
