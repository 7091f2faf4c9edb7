/* SPDX-License-Identifier: BSD-2-Clause */
/* A vCPU's registers and last exits, for whoever has to find out what a guest does. */
#ifndef VMM_DUMP_H
#define VMM_DUMP_H

#include <stdarg.h>
#include "lib/types.h"

struct vcpu;

/* Takes one line: what it prints, no newline at its end, and what its values are called (out.h). */
typedef void (*dump_line_fn)(const char *names, const char *fmt, va_list ap);

/* Through log_error; registers only if v is loaded here. */
void dump_vcpu(struct vcpu *v);

/* General and control registers, segments, tables, and the bytes at RIP. Loaded here. */
void dump_registers(struct vcpu *v, dump_line_fn out);

/* At most `count` of the last exits. On v's home CPU, or while that does not run it. */
void dump_exits(struct vcpu *v, u32 count, dump_line_fn out);

#endif
