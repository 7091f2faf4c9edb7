/* SPDX-License-Identifier: BSD-2-Clause */
/* What each exit means: a table of handlers indexed by reason, and what they share. */
#ifndef VMM_EXITS_H
#define VMM_EXITS_H

#include "arch/x86_64/hvm.h"
#include "vmm/emul/insn.h"
#include "vmm/vcpu.h"

/*
 * By enum hvm_exit_reason: handles one exit of v, which is loaded here, interrupts off. What a
 * handler changes that matters to the next entry (v->state, events, the local APIC) it follows by
 * vcpu_look.
 */
typedef void (*exit_fn)(struct vcpu *v, struct hvm_exit *e);
extern const exit_fn exit_handlers[HVM_EXIT_COUNT];

/*
 * Completes the intercepted instruction: RIP moves by its length, which is found in the guest's
 * memory where the hardware did not give it. op says what instruction it must be.
 */
/* skip.c */
void exit_skip_decoding(struct vcpu *v, const struct hvm_exit *e, enum insn_op op);

static inline void exit_skip(struct vcpu *v, const struct hvm_exit *e, enum insn_op op)
{
    if (likely(e->insn_len))
        hvm->advance(v->hv, e->insn_len);
    else
        exit_skip_decoding(v, e, op);
}

/*
 * Nested faults (emulate.c): moves between a register and a device that were executed before are
 * executed again at once; the others go on to exit_nested_fault_any (exits.c).
 */
void exit_nested_fault(struct vcpu *v, struct hvm_exit *e);
void exit_nested_fault_any(struct vcpu *v, struct hvm_exit *e);

/* What is left to do of a virtualised access to the local APIC (apic.c). */
void exit_apic(struct vcpu *v, struct hvm_exit *e);

/* Control-register and XSETBV exits (exits_cr.c). */
void exit_cr(struct vcpu *v, struct hvm_exit *e);
void exit_xsetbv(struct vcpu *v, struct hvm_exit *e);

#endif
