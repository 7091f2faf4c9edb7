/* SPDX-License-Identifier: BSD-2-Clause */
/* Exceptions that skep raises in a guest. Intel SDM 3, 6.15. */
#ifndef VMM_INJECT_H
#define VMM_INJECT_H

#include "lib/types.h"

struct vcpu;

/*
 * Queues an exception for the next entry. If another one waits already (its delivery was
 * interrupted), the two become a double fault, or the VM stops with a triple fault, by SDM 3,
 * table 6-5. Loaded here.
 */
void inject_exception(struct vcpu *v, u8 vector, bool has_error, u32 error);
void inject_gp(struct vcpu *v); /* #GP(0) */
void inject_ud(struct vcpu *v);

#endif
