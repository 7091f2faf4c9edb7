/* SPDX-License-Identifier: BSD-2-Clause */
/* The emulator at work on a vCPU: its interface to registers, memory, devices, and its verdicts. */
#ifndef VMM_EMULATE_H
#define VMM_EMULATE_H

#include "arch/x86_64/hvm.h"
#include "vmm/emul/emul.h"

struct vcpu;
struct cpuid_table;

/*
 * Fills a VM's interface table; what the emulator knows of the guest's processor is from cpuid.
 * generation: the guest space's, which is raised before a page that was taken away is used again.
 */
void emulate_init_ops(struct emul_ops *ops, const struct cpuid_table *cpuid, const u64 *generation);

/* Starts v->emul on the instruction at CS:RIP (rip as the exit gave it). Loaded here. */
struct emul_cpu *emulate_begin(struct vcpu *v, const struct hvm_exit *e);

/*
 * Executes that instruction, the cause of a memory exit (gpa, what it did) or a string port
 * exit, and does what its result asks for: faults are injected, what is not supported is reported
 * and becomes #UD.
 */
void emulate_memory(struct vcpu *v, const struct hvm_exit *e);
void emulate_port(struct vcpu *v, const struct hvm_exit *e);

/* Acts on a result of a part of the emulator; true if it was EMUL_DONE. */
bool emulate_settle(struct vcpu *v, struct emul_cpu *c, enum emul_result r);

#endif
