/* SPDX-License-Identifier: BSD-2-Clause */
/* A vCPU's registers and last exits, for whoever has to find out why a guest stopped. */
#ifndef VMM_DUMP_H
#define VMM_DUMP_H

struct vcpu;

/* Through log_error; registers only if v is loaded here. */
void dump_vcpu(struct vcpu *v);

#endif
