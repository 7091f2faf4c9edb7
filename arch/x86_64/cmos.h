/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine's real-time clock: MC146818 at ports 0x70 and 0x71. */
#ifndef ARCH_X86_64_CMOS_H
#define ARCH_X86_64_CMOS_H

#include "lib/types.h"

/* The time of day in seconds since 1970, UTC assumed; 0 if the clock gives nothing sensible. */
s64 cmos_read_time(void);

#endif
