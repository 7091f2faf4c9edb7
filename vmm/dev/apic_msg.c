/* SPDX-License-Identifier: BSD-2-Clause */
/* Message-signalled interrupts as messages to local APICs. Intel SDM 3, 10.11. */
#include "vmm/dev/apic_msg.h"

bool apic_msg_from_msi(u64 address, u32 data, struct apic_msg *msg)
{
    u32 dest = (address >> 12) & 0xff;

    if ((address & ~0xfffffull) != 0xfee00000)
        return false;
    /* Address bits 11:5 extend the ID; all zero on a guest that knows nothing of it. */
    if (dest == 0xff && !(address & 0xfe0))
        dest = APIC_DEST_ALL;
    else
        dest |= (u32)(address & 0xfe0) << 3;
    *msg = (struct apic_msg){
        .dest = dest,
        .vector = (u8)data,
        .mode = (data >> 8) & 7,
        .logical = address & BIT(2),
        .level = data & BIT(15),
        .deassert = (data & BIT(15)) && !(data & BIT(14)),
    };
    /* Redirection hint with physical destination still names one processor (10.11.1). */
    return true;
}
