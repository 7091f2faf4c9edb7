/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page-modification logging: the processor writes the guest-physical address of each page whose
 * dirty bit it sets into a page of 512 entries, from the last down to the first, and leaves the
 * guest when there is no room for another. SDM 3, 28.3.6.
 */
#include "arch/x86_64/vmx/vmx.h"
#include "arch/x86_64/layout.h"
#include "mm/kmem.h"

#define LOG_ENTRIES 512u

bool vmx_log_writes(struct hvm_vcpu *base, bool on)
{
    struct vmx_vcpu *v = vmx_vcpu(base);
    u64 controls = vmread(VMCS_PROC2_CTLS) & ~PROC2_PML;

    if (on && !v->log)
        v->log = kmem_alloc(PAGE_SIZE);
    if (on && !v->log)
        return false;
    if (on) {
        vmwrite(VMCS_PML_ADDRESS, direct_hpa(v->log));
        vmwrite(VMCS_GUEST_PML_INDEX, LOG_ENTRIES - 1);
        controls |= PROC2_PML;
    }
    vmwrite(VMCS_PROC2_CTLS, controls);
    return true;
}

const u64 *vmx_take_log(struct hvm_vcpu *base, unsigned *count)
{
    struct vmx_vcpu *v = vmx_vcpu(base);
    u16 first = LOG_ENTRIES;

    if (v->log) {
        /* The index is that of the next entry; below 0 when all are used. */
        first = MIN((u16)(vmread(VMCS_GUEST_PML_INDEX) + 1), (u16)LOG_ENTRIES);
        vmwrite(VMCS_GUEST_PML_INDEX, LOG_ENTRIES - 1);
    }
    *count = LOG_ENTRIES - first;
    return &v->log[first];
}
