/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's debug registers where the processor does not act on them by itself: #DB that goes
 * through here, and data and I/O breakpoints on what is emulated.
 *
 * The second costs nothing until the guest touches its debug registers: that leaves the guest once.
 * From then on each exit looks at DR7 first, until one of an emulated instruction finds nothing
 * enabled there.
 */
#ifndef VMM_DEBUG_H
#define VMM_DEBUG_H

#include "arch/x86_64/hvm.h"
#include "vmm/vcpu.h"

/* HVM_EXIT_DR: the guest executes the instruction itself, at the next entry. */
void exit_dr(struct vcpu *v, struct hvm_exit *e);

/* VCPU_REQ_DEBUG: raises #DB if the instruction that met breakpoints has completed. Loaded here. */
void debug_trap(struct vcpu *v);

/* What the processor does to DR6 and DR7 when it delivers #DB (SDM 3, 17.2.3, 17.2.4). */
void debug_note(struct vcpu *v, u64 causes);

#endif
