/* SPDX-License-Identifier: BSD-2-Clause */
/* The BIOS data area, and the order in which the firmware's areas are written. */
#include "vmm/load/firmware.h"

#include "vmm/load/memmap.h"

/* BIOS data area: segment 0x40 (IBM PC/AT Technical Reference, section 5). */
#define BDA_GPA       0x400
#define BDA_SIZE      0x100
#define BDA_COM1      0x00 /* u16: port */
#define BDA_EBDA      0x0e /* u16: segment of the extended area */
#define BDA_EQUIPMENT 0x10 /* u16: bits 9-11 count the serial ports; bit 1, a coprocessor */
#define BDA_BASEMEM   0x13 /* u16: KiB below 640 KiB */

static void bda_write(struct load_ctx *c)
{
    u8 bda[BDA_SIZE] = {0}, ebda_kib = (PLAT_VGA_BASE - PLAT_EBDA_BASE) >> 10;

    put16(bda + BDA_COM1, PLAT_COM1_PORT);
    put16(bda + BDA_EBDA, PLAT_EBDA_BASE >> 4);
    put16(bda + BDA_EQUIPMENT, 1 << 9 | BIT(1));
    put16(bda + BDA_BASEMEM, (u16)memmap_lower_kib());
    ctx_write(c, BDA_GPA, bda, sizeof(bda));
    ctx_write(c, PLAT_EBDA_BASE, &ebda_kib, 1);
}

void firmware_write(struct load_ctx *c)
{
    bda_write(c);
    acpi_write(c);
    mptable_write(c);
    smbios_write(c);
}
