/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Help for local APICs. SDM 3, chapter 29. The page of registers that the caller keeps is the
 * virtual-APIC page; a page at HVM_APIC_GPA, which holds nothing, is the APIC-access page.
 *
 * APIC_SHADOW: TPR is read and written in the page (as a register, as CR8, as an MSR), with an exit
 * when it goes below the threshold. APIC_VIRTUAL: registers are read from the page; writes go there
 * and leave the guest afterwards, but for TPR, EOI and self-IPIs; requests in the page are
 * delivered.
 */
#include "arch/x86_64/vmx/vmx.h"
#include "arch/x86_64/layout.h"
#include "lib/string.h"
#include "mm/kmem.h"

#define X2APIC_MSR 0x800u
#define X2_TPR     0x08u
#define X2_EOI     0x0bu
#define X2_SELF    0x3fu
#define REG_TMR    0x18u

/* Read from the page without an exit: ID, version, TPR, PPR, LDR, SVR; ISR, TMR, IRR, ESR; ICR,
 * LVT, initial count, divisor. The others are not there, or show time. */
#define X2_READS                                                                                   \
    (BIT(0x02) | BIT(0x03) | BIT(X2_TPR) | BIT(0x0a) | BIT(0x0d) | BIT(0x0f) |                     \
     0x000001ffffff0000ull | BIT(0x30) | 0x01fc000000000000ull | BIT(0x3e))

#define PROC_CR8      (PROC_CR8_LOAD | PROC_CR8_STORE)
#define PROC2_VIRTUAL (PROC2_APIC_REGS | PROC2_INTR_DELIVER)

bool vmx_apic_vm_init(struct hvm_vm *vm)
{
    bool virtual = hvm_caps.apic == APIC_VIRTUAL;

    vm->msr_map_x2 = NULL;
    if (!hvm_caps.apic || !vmx.apic_x2)
        return true;
    vm->msr_map_x2 = kmem_alloc(PAGE_SIZE);
    if (!vm->msr_map_x2)
        return false;
    memset(vm->msr_map_x2, 0xff, PAGE_SIZE);
    for (u32 reg = 0; reg < 64 && virtual; reg++)
        vmx_map_pass(vm->msr_map_x2, X2APIC_MSR + reg, X2_READS >> reg & 1,
                     reg == X2_EOI || reg == X2_SELF);
    vmx_map_pass(vm->msr_map_x2, X2APIC_MSR + X2_TPR, true, true);
    return true;
}

void vmx_apic_mode(struct hvm_vcpu *base, enum hvm_apic_mode mode)
{
    struct vmx_vcpu *v = vmx_vcpu(base);
    bool x2 = mode == HVM_APIC_MSR && vmx.apic_x2;
    u64 proc2 = vmread(VMCS_PROC2_CTLS) & ~(PROC2_APIC_ACCESS | PROC2_X2APIC | PROC2_VIRTUAL);

    v->proc = (v->proc | PROC_CR8) & ~(u32)PROC_TPR_SHADOW;
    if (mode != HVM_APIC_OFF) {
        v->proc = (v->proc & ~(u32)PROC_CR8) | PROC_TPR_SHADOW;
        if (hvm_caps.apic == APIC_VIRTUAL)
            proc2 |= PROC2_VIRTUAL;
    }
    vmwrite(VMCS_PROC_CTLS, v->proc);
    vmwrite(VMCS_PROC2_CTLS, proc2 | (x2 ? PROC2_X2APIC : PROC2_APIC_ACCESS));
    vmwrite(VMCS_MSR_BITMAP, direct_hpa(x2 ? base->vm->msr_map_x2 : base->vm->msr_map));
    vmwrite(VMCS_TPR_THRESHOLD, 0);
}

void vmx_apic_init(struct vmx_vcpu *v)
{
    if (!hvm_caps.apic)
        return;
    v->base.apic_help = true;
    vmwrite(VMCS_APIC_PAGE, direct_hpa(v->base.apic_page));
    vmwrite(VMCS_APIC_ACCESS, v->base.vm->apic_access);
    for (unsigned i = 0; i < 4 && hvm_caps.apic == APIC_VIRTUAL; i++)
        vmwrite(VMCS_EOI_EXIT_BITMAP + 2 * i, 0);
    vmx_apic_mode(&v->base, HVM_APIC_OFF);
}

void vmx_apic_update(struct hvm_vcpu *base, int request, int service, unsigned threshold)
{
    struct vmx_vcpu *v = vmx_vcpu(base);

    if (hvm_caps.apic != APIC_VIRTUAL) {
        vmwrite(VMCS_TPR_THRESHOLD, threshold);
        return;
    }
    vmwrite(VMCS_GUEST_INTR_STATUS, (u64)MAX(service, 0) << 8 | (u64)MAX(request, 0));
    /* Ends of level-triggered interrupts are told. */
    for (unsigned i = 0; i < 4; i++) {
        const u32 *tmr = &base->apic_page[4 * (REG_TMR + 2 * i)];
        u64 exits = tmr[0] | (u64)tmr[4] << 32;

        if (exits != v->eoi_exits[i])
            vmwrite(VMCS_EOI_EXIT_BITMAP + 2 * i, exits);
        v->eoi_exits[i] = exits;
    }
}
