/* SPDX-License-Identifier: BSD-2-Clause */
/* The 32-bit boot protocol: CS 0x10, DS 0x18, interrupts off, EBP, EDI, EBX 0. */
#include "guests/promise/linux.h"

void check_protocol(void)
{
    check_prot32();
    want("ebp", entry_state.bp, 0);
    want("edi", entry_state.di, 0);
    want("ebx", entry_state.bx, 0);
    check_boot_params();
}
