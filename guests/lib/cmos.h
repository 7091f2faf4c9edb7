/* SPDX-License-Identifier: BSD-2-Clause */
/* The registers of the clock, and the memory beside it (MC146818; NMIs stay unmasked). */
#ifndef GUESTS_LIB_CMOS_H
#define GUESTS_LIB_CMOS_H

#include "guests/lib/cpu.h"

static inline u8 cmos_read(u8 index)
{
    out8(0x70, index);
    return in8(0x71);
}

static inline void cmos_write(u8 index, u8 value)
{
    out8(0x70, index);
    out8(0x71, value);
}

#endif
