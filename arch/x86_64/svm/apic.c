/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Help for local APICs: CR8 (APM 2, 15.21.2). The processor lets the guest read and write the class
 * of its task priority in the VMCB (V_TPR). The register itself is in the page that the caller
 * keeps: it goes to V_TPR before each entry, and what the guest has made of that comes back after
 * each exit. Guests that leave CR8 alone shall not pay for this: an intercepted move begins it, for
 * a number of entries.
 */
#include "arch/x86_64/svm/svm.h"

#define TPR     0x20 /* in apic_page */
#define ENTRIES 256

static void intercept(struct svm_vcpu *v, bool read, bool write)
{
    v->vmcb->cr_read = read ? CR8 : 0;
    v->vmcb->cr_write = (u16)(CR4 | (write ? CR8 : 0));
    svm_touch(v, CLEAN_INTERCEPTS);
}

COLD void svm_lend_tpr(struct svm_vcpu *v)
{
    if (!hvm_caps.apic)
        return;
    v->base.apic_help = true;
    v->tpr_held = true; /* until it is told otherwise */
    v->tpr_entries = ENTRIES;
    svm_set_attention(v, ATTEND_TPR, true);
}

void svm_apic_mode(struct hvm_vcpu *base, enum hvm_apic_mode mode)
{
    svm_vcpu(base)->tpr_held = mode == HVM_APIC_OFF; /* then it is not told */
}

void svm_apic_update(struct hvm_vcpu *base, int request, int service, unsigned threshold)
{
    (void)request;
    (void)service;
    svm_vcpu(base)->tpr_held = threshold;
}

/* Writes leave the guest while a request waits for them, and where a subclass is to go by them. */
COLD void svm_put_tpr(struct svm_vcpu *v)
{
    u32 tpr = v->base.apic_page[TPR];

    if (!--v->tpr_entries) {
        v->base.apic_help = false;
        svm_set_attention(v, ATTEND_TPR, false);
        intercept(v, true, true);
        return;
    }
    v->vmcb->virq = (v->vmcb->virq & ~VIRQ_TPR) | tpr >> 4;
    svm_touch(v, CLEAN_TPR);
    intercept(v, false, v->tpr_held || tpr & 15);
}

COLD void svm_take_tpr(struct svm_vcpu *v)
{
    u32 class = v->vmcb->virq & VIRQ_TPR, *tpr = &v->base.apic_page[TPR];

    if (class != *tpr >> 4)
        *tpr = class << 4;
}
