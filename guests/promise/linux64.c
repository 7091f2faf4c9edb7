/* SPDX-License-Identifier: BSD-2-Clause */
/* The 64-bit boot protocol: entered 0x200 behind the load address, all memory mapped to itself. */
#include "guests/promise/linux.h"

void check_protocol(void)
{
    check_long64(0x500);
    check_boot_params();
}
