/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SMBIOS 2.8: who made this machine. System Management BIOS Reference Specification 5.2.1 (entry
 * point), 7.1 (BIOS), 7.2 (system), 7.45 (end of table).
 */
#include "vmm/load/firmware.h"

#include "lib/string.h"

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

/* The entry point, its two checksums left out. */
static const struct PACKED {
    char anchor[4];
    u8 checksum, length, major, minor;
    u16 largest;
    u8 revision, formatted[5];
    char dmi_anchor[5];
    u8 dmi_checksum;
    u16 table_size;
    u32 table;
    u16 structures;
    u8 bcd_revision;
} entry = {
    .anchor = {'_', 'S', 'M', '_'},
    .length = ENTRY_SIZE,
    .major = 2,
    .minor = 8,
    .largest = LARGEST,
    .dmi_anchor = {'_', 'D', 'M', 'I', '_'},
    .table_size = sizeof(table),
    .table = TABLE_GPA,
    .structures = STRUCTURE_NUM,
    .bcd_revision = 0x28,
};
_Static_assert(sizeof(entry) == ENTRY_SIZE, "SMBIOS entry point");

void smbios_write(struct load_ctx *c)
{
    u8 p[ENTRY_SIZE];

    memcpy(p, &entry, sizeof(p));
    p[21] = firmware_checksum(p + 16, 15);
    p[4] = firmware_checksum(p, sizeof(p));
    ctx_write(c, ENTRY_GPA, p, sizeof(p));
    ctx_write(c, TABLE_GPA, table, sizeof(table));
}
