/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SMBIOS 2.8: who made this machine. System Management BIOS Reference Specification 5.2.1 (entry
 * point), 7.1 (BIOS), 7.2 (system), 7.45 (end of table).
 */
#include "vmm/load/firmware.h"

#define ENTRY_GPA  (PLAT_MP_BASE + 0x1000)
#define TABLE_GPA  (ENTRY_GPA + 0x20)
#define ENTRY_SIZE 31

/*
 * Type 0: vendor, version, no ROM segment, 64 KiB, release date; then its strings. Type 1:
 * manufacturer, product, version; a UUID of zeroes (not present), wake-up by the switch. The end.
 */
#define BIOS                                                                                       \
    "\x00\x18\x00\x00\x01\x02\x00\x00\x03\x00\x08\x00\x00\x00\x00\x00\x00\x00\x01\x10\x01\x00\xff" \
    "\xff"                                                                                         \
    "skep\0"                                                                                       \
    "1.0\0"                                                                                        \
    "01/01/2024\0\0"
#define MACHINE                                                                                    \
    "\x01\x1b\x01\x00\x01\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" \
    "\x00\x06\x00\x00"                                                                             \
    "skep\0"                                                                                       \
    "skep virtual machine\0\0"
static const char table[] = BIOS MACHINE "\x7f\x04\x02\x00\0";

#define LARGEST       (sizeof(MACHINE) - 1) /* without the literal's own NUL */
#define STRUCTURE_NUM 3

void smbios_write(struct load_ctx *c)
{
    u8 p[ENTRY_SIZE] = {0};

    firmware_put_text(p, "_SM_");
    p[5] = ENTRY_SIZE;
    p[6] = 2;
    p[7] = 8;
    put16(p + 8, LARGEST);
    firmware_put_text(p + 16, "_DMI_");
    put16(p + 22, sizeof(table));
    put32(p + 24, TABLE_GPA);
    put16(p + 28, STRUCTURE_NUM);
    p[30] = 0x28;
    p[21] = firmware_checksum(p + 16, 15);
    p[4] = firmware_checksum(p, sizeof(p));
    ctx_write(c, ENTRY_GPA, p, sizeof(p));
    ctx_write(c, TABLE_GPA, table, sizeof(table));
}
