/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a guest of the board has RAM, said here a second time on purpose. */
#ifndef TESTS_UNIT_GUEST_RAM_H
#define TESTS_UNIT_GUEST_RAM_H

#include "lib/types.h"

/* Whether all of [gpa, gpa + len) is RAM of a guest with so much memory. */
static inline bool guest_ram_has(u64 mem_size, gpa_t gpa, u64 len)
{
    u64 low = MIN(mem_size, 0xc0000000ull), high = mem_size - low;
    gpa_t end = gpa + len;

    if (end < gpa)
        return false;
    return end <= 0xa0000 || (gpa >= 0xc0000 && end <= low) ||
           (high && gpa >= 0x100000000 && end <= 0x100000000 + high);
}

#endif
