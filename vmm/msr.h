/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What RDMSR and WRMSR do in a guest: one table says for each MSR whether the guest reaches the
 * processor's own, a register of its virtual processor, a constant, or a function. What is not in
 * the table faults. Intel SDM 4; AMD APM 2, appendix A.
 */
#ifndef VMM_MSR_H
#define VMM_MSR_H

#include "lib/types.h"

struct vcpu;
struct vm;

/* Opens the MSRs that guests of this VM may reach directly. Once, after hvm->vm_init. */
void msr_setup_vm(struct vm *vm);
/* The values after INIT or power-on. */
void msr_reset(struct vcpu *v);

/* Read, write: false means #GP(0). */
bool msr_read(struct vcpu *v, u32 index, u64 *value);
bool msr_write(struct vcpu *v, u32 index, u64 value);

/* How an access to it is answered, in a word; NULL: by #GP. */
const char *msr_answer(const struct vm *vm, u32 index);

/* EFER as the guest sees it; false: #GP. Shared with nothing but WRMSR. */
bool msr_write_efer(struct vcpu *v, u64 value);

#endif
