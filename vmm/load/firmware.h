/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest finds below 1 MiB as if a BIOS had left it there: the BIOS data area, ACPI tables,
 * the MP table and SMBIOS, all describing the board of vmm/platform.h.
 */
#ifndef VMM_LOAD_FIRMWARE_H
#define VMM_LOAD_FIRMWARE_H

#include "vmm/load/ctx.h"

/* Where the ACPI root pointer is, always. */
static inline gpa_t firmware_rsdp(void)
{
    return PLAT_TABLES_BASE;
}

/* A copy of the root pointer's bytes (ACPI 6.4, 5.2.5), for protocols that pass it by value. */
#define ACPI_RSDP_SIZE     36
#define ACPI_RSDP_OLD_SIZE 20 /* what ACPI 1.0 had of it */
void acpi_make_rsdp(u8 rsdp[ACPI_RSDP_SIZE]);

/* Write all of it for c->req. Fail only as ctx_write does. */
void firmware_write(struct load_ctx *c);

/* Its parts. */
void acpi_write(struct load_ctx *c);
void mptable_write(struct load_ctx *c);
void smbios_write(struct load_ctx *c);

/* The byte that makes the n bytes at p sum up to 0 when it replaces a 0 among them. */
u8 firmware_checksum(const u8 *p, u64 n);

/* A fixed-width text field of a table: the text without its NUL. */
static inline void firmware_put_text(u8 *p, const char *text)
{
    while (*text)
        *p++ = (u8)*text++;
}

/* The DSDT, compiled from dsdt.asl; never changed. */
extern const u8 acpi_dsdt[];
extern const u32 acpi_dsdt_size;

#endif
