/* SPDX-License-Identifier: BSD-2-Clause */
/* The VMX back end's table of operations: see arch/x86_64/hvm.h for the contracts. */
#include "arch/x86_64/vmx/vmx.h"

static void vmx_set_tsc_offset(struct hvm_vcpu *v, u64 offset)
{
    (void)v;
    vmwrite(VMCS_TSC_OFFSET, offset);
}

static u64 vmx_tsc_offset(struct hvm_vcpu *v)
{
    (void)v;
    return vmread(VMCS_TSC_OFFSET);
}

static void vmx_flush(struct hvm_vcpu *v)
{
    vmx_vcpu(v)->attention |= ATTEND_ALL;
}

static void vmx_flush_linear(struct hvm_vcpu *v)
{
    vmx_vcpu(v)->attention |= ATTEND_LINEAR;
}

const struct hvm_ops vmx_ops = {
    .name = "VMX",
    .probe = vmx_probe,
    .cpu_enable = vmx_cpu_enable,
    .vm_init = vmx_vm_init,
    .vm_fini = vmx_vm_fini,
    .msr_pass = vmx_msr_pass,
    .create = vmx_create,
    .destroy = vmx_destroy,
    .load = vmx_load,
    .unload = vmx_unload,
    .run = vmx_run,
    .get = vmx_get,
    .set = vmx_set,
    .get_mode = vmx_get_mode,
    .get_seg = vmx_get_seg,
    .set_seg = vmx_set_seg,
    .get_table = vmx_get_table,
    .set_table = vmx_set_table,
    .advance = vmx_advance,
    .inject = vmx_inject,
    .can_take_intr = vmx_can_take_intr,
    .can_take_nmi = vmx_can_take_nmi,
    .window = vmx_window,
    .apic_mode = vmx_apic_mode,
    .apic_update = vmx_apic_update,
    .set_tsc_offset = vmx_set_tsc_offset,
    .tsc_offset = vmx_tsc_offset,
    .intercept_exceptions = vmx_intercept_exceptions,
    .intercept_dr = vmx_intercept_dr,
    .flush = vmx_flush,
    .flush_linear = vmx_flush_linear,
    .log_writes = vmx_log_writes,
    .take_log = vmx_take_log,
    .dump = vmx_dump,
};
