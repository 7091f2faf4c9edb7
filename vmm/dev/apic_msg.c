/* SPDX-License-Identifier: BSD-2-Clause */
/* Message-signalled interrupts as messages to local APICs. Intel SDM 3, 10.11. */
#include "vmm/dev/apic_msg.h"

bool apic_msg_from_msi(u64 address, u32 data, struct apic_msg *msg)
{
    u32 dest = (address >> 12) & 0xff, high = address & 0xfe0;
    u8 mode = (data >> 8) & 7;

    if (address >> 20 != 0xfee)
        return false;
    /* Address bits 11:5 extend the ID; all zero on a guest that knows nothing of it. */
    dest = dest == 0xff && !high ? APIC_DEST_ALL : dest | high << 3;
    if (mode == APIC_FIXED && (address & BIT(3))) /* redirection hint: to one of them */
        mode = APIC_LOWEST;
    *msg = (struct apic_msg){
        .dest = dest,
        .vector = (u8)data,
        .mode = mode,
        .logical = address & BIT(2),
        .level = data & BIT(15),
    };
    return (data & (BIT(14) | BIT(15))) != BIT(15);
}
