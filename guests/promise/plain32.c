/* SPDX-License-Identifier: BSD-2-Clause */
/* ELF32 and flat: 32-bit protected mode, a stack, EAX and EBX as docs/guests.md says. */
#include "guests/promise/promise.h"

void check_protocol(void)
{
    check_prot32();
    want("eax", entry_state.ax, 0x336ec578);
    want("stack-aligned", entry_state.sp & 15, 0);
    want("stack-in-memory", entry_state.sp > 0x5000 && entry_state.sp <= 0x9fc00, 1);
    check_start_info(entry_state.bx);
}
