/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What travels between interrupt sources and local APICs: the ICR's, an I/O APIC entry's and an
 * MSI's common form. Intel SDM 3, 10.6.1 (ICR), 10.11 (MSI); 82093AA, 3.2.4.
 */
#ifndef VMM_DEV_APIC_MSG_H
#define VMM_DEV_APIC_MSG_H

#include "lib/types.h"

/* Delivery modes: the encoding of ICR, LVT, redirection entry and MSI data, bits 10:8. */
enum apic_mode {
    APIC_FIXED = 0,
    APIC_LOWEST = 1,
    APIC_SMI = 2,
    APIC_NMI = 4,
    APIC_INIT = 5,
    APIC_SIPI = 6, /* ICR only */
    APIC_EXTINT = 7,
};

#define APIC_DEST_ALL 0xffffffffu /* every local APIC; an 8-bit 0xff arrives here as this */

struct apic_msg {
    u32 dest;      /* physical: an APIC ID; logical: as matched with LDR and DFR */
    u8 vector;     /* for APIC_SIPI the start page */
    u8 mode;       /* enum apic_mode */
    bool logical;  /* destination mode */
    bool level;    /* trigger mode: sets TMR, so that the EOI is broadcast */
    bool deassert; /* INIT level de-assert: changes nothing on processors since the Pentium 4 */
};

/*
 * Whether an address and data pair is an MSI (0xFEExxxxx), and its meaning. The extended
 * destination ID (address bits 11:5 as ID bits 14:8) is understood. False: not an MSI, or the end
 * of a level (de-assert), which asks for nothing.
 */
bool apic_msg_from_msi(u64 address, u32 data, struct apic_msg *msg);

#endif
