/* SPDX-License-Identifier: BSD-2-Clause */
/* PVH (Xen, docs/misc/pvh.pandoc): 32-bit protected mode, EBX leads to the start information. */
#include "guests/promise/promise.h"

__asm__(".pushsection .note.protocol, \"a\", @note\n"
        ".balign 4\n"
        ".long 4, 4, 18, 0x006e6558, entry\n"
        ".popsection");

void check_protocol(void)
{
    check_prot32();
    check_start_info(entry_state.bx);
}
