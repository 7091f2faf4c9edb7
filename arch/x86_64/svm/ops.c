/* SPDX-License-Identifier: BSD-2-Clause */
/* The SVM back end's table of operations: see arch/x86_64/hvm.h for the contracts. */
#include "arch/x86_64/svm/svm.h"

static void svm_set_tsc_offset(struct hvm_vcpu *base, u64 offset)
{
    struct svm_vcpu *v = svm_vcpu(base);

    v->vmcb->tsc_offset = offset;
    svm_touch(v, CLEAN_INTERCEPTS);
}

static u64 svm_tsc_offset(struct hvm_vcpu *v)
{
    return svm_vcpu(v)->vmcb->tsc_offset;
}

const struct hvm_ops svm_ops = {
    .name = "SVM",
    .probe = svm_probe,
    .cpu_enable = svm_cpu_enable,
    .vm_init = svm_vm_init,
    .vm_fini = svm_vm_fini,
    .msr_pass = svm_msr_pass,
    .create = svm_create,
    .destroy = svm_destroy,
    .load = svm_load,
    .unload = svm_unload,
    .run = svm_run,
    .get = svm_get,
    .set = svm_set,
    .get_mode = svm_get_mode,
    .get_seg = svm_get_seg,
    .set_seg = svm_set_seg,
    .get_table = svm_get_table,
    .set_table = svm_set_table,
    .advance = svm_advance,
    .inject = svm_inject,
    .can_take_intr = svm_can_take_intr,
    .can_take_nmi = svm_can_take_nmi,
    .window = svm_window,
    .apic_mode = svm_apic_mode,
    .apic_update = svm_apic_update,
    .set_tsc_offset = svm_set_tsc_offset,
    .tsc_offset = svm_tsc_offset,
    .intercept_exceptions = svm_intercept_exceptions,
    .intercept_dr = svm_intercept_dr,
    .flush = svm_flush,
    .flush_linear = svm_flush,
    .dump = svm_dump,
};
