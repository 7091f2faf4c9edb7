/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The board that every guest sees: where its memory lies, at which ports and addresses its devices
 * answer, and on which interrupt lines. Pure constants, written once: the device wiring, the
 * memory map and the firmware tables (ACPI, MP, DSDT) all take them from here. The DSDT source is
 * run through the C preprocessor, so this file has to stay free of anything but #define and
 * comments outside the __ASL__ guard.
 */
#ifndef VMM_PLATFORM_H
#define VMM_PLATFORM_H

#define PLAT_MAX_VCPUS 32 /* local APIC ids are 0 .. vcpus-1 */

/*
 * Guest-physical memory. RAM lies in up to three pieces:
 *   [0, PLAT_VGA_BASE), [PLAT_SHADOW_BASE, min(mem, PLAT_HOLE_BASE)),
 *   [PLAT_HIGH_BASE, PLAT_HIGH_BASE + mem - PLAT_HOLE_BASE) where mem > PLAT_HOLE_BASE.
 * The VGA window is not RAM and costs the guest those 128 KiB. What lies in the shadow area
 * [0xc0000, 1 MiB) is RAM to the guest space, but reserved in the map the guest is given: the
 * firmware tables are in it.
 */
#define PLAT_EBDA_BASE   0x9fc00 /* 1 KiB: extended BIOS data area, reserved */
#define PLAT_VGA_BASE    0xa0000
#define PLAT_SHADOW_BASE 0xc0000
#define PLAT_TABLES_BASE 0xe0000 /* RSDP and what follows it */
#define PLAT_MP_BASE     0xf0000 /* MP floating pointer, MP table, SMBIOS: scanned for from here */
#define PLAT_HIGH_RAM    0x100000
#define PLAT_HOLE_BASE   0xc0000000
#define PLAT_HIGH_BASE   0x100000000
#define PLAT_MEM_MIN     0x200000      /* 2 MiB: the least that mem= may say */
#define PLAT_MEM_MAX     0x10000000000 /* 1 TiB: the most */

#define PLAT_IOAPIC_BASE 0xfec00000
#define PLAT_IOAPIC_SIZE 0x1000
#define PLAT_IOAPIC_ID   0 /* ids of I/O APICs are a space of their own on an xAPIC bus */
#define PLAT_HPET_BASE   0xfed00000
#define PLAT_HPET_SIZE   0x400
#define PLAT_LAPIC_BASE  0xfee00000
#define PLAT_LAPIC_SIZE  0x1000
/*
 * Memory that belongs to skep inside the guest's space, where the processor cannot run unpaged
 * guest code by itself: an identity page directory (4 MiB pages), and a TSS for real mode.
 * Reserved in the guest's memory map always.
 */
#define PLAT_IDENTITY_BASE 0xfeffc000
#define PLAT_IDENTITY_SIZE 0x4000

/* Ports. */
#define PLAT_PIC1_PORT     0x20 /* 2 ports */
#define PLAT_PIT_PORT      0x40 /* 4 ports */
#define PLAT_PIT_GATE_PORT 0x61
#define PLAT_KBC_PORT      0x64 /* the reset command only */
#define PLAT_RTC_PORT      0x70 /* 2 ports */
#define PLAT_POST_PORT     0x80
#define PLAT_FAST_A20_PORT 0x92
#define PLAT_PIC2_PORT     0xa0  /* 2 ports */
#define PLAT_ELCR_PORT     0x4d0 /* 2 ports */
#define PLAT_COM1_PORT     0x3f8 /* 8 ports */
#define PLAT_COM2_PORT     0x2f8
#define PLAT_COM3_PORT     0x3e8
#define PLAT_COM4_PORT     0x2e8
#define PLAT_PM_EVT_PORT   0x600 /* PM1a event: status 0x600, enable 0x602 */
#define PLAT_PM_EVT_LEN    4
#define PLAT_PM_CNT_PORT   0x604 /* PM1a control */
#define PLAT_PM_CNT_LEN    2
#define PLAT_PM_TMR_PORT   0x608 /* 32 bits wide, 3.579545 MHz */
#define PLAT_PM_TMR_LEN    4
#define PLAT_RESET_PORT    0xcf9
#define PLAT_RESET_VALUE   6

/* SLP_TYP for S5 (soft off): 3 bits written to PM1a control with SLP_EN. */
#define PLAT_S5_SLP_TYP 5

/* Lines: ISA numbers. An ISA line is the I/O APIC pin of the same number, but for the PIT's. */
#define PLAT_IRQ_PIT  0
#define PLAT_IRQ_COM1 4 /* COM3's too */
#define PLAT_IRQ_COM2 3 /* COM4's too */
#define PLAT_IRQ_RTC  8
#define PLAT_IRQ_SCI  9 /* level, active high */
#define PLAT_GSI_PIT  2

/* What the HPET's capabilities say of itself, and the shortest period it serves, in its ticks. */
#define PLAT_HPET_ID        0x8086a201
#define PLAT_HPET_MIN_TICKS 2000

/* In CMOS RAM: century, as the FADT says. */
#define PLAT_RTC_CENTURY 0x32

#ifndef __ASL__

#include "lib/types.h"

/* How much of a guest's memory lies below the hole, and how much above 4 GiB. */
static inline u64 plat_low_mem(u64 mem)
{
    return mem < PLAT_HOLE_BASE ? mem : PLAT_HOLE_BASE;
}

static inline u64 plat_high_mem(u64 mem)
{
    return mem < PLAT_HOLE_BASE ? 0 : mem - PLAT_HOLE_BASE;
}

#endif
#endif
