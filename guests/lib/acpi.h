/* SPDX-License-Identifier: BSD-2-Clause */
/* ACPI tables, found and checked by the guest itself (ACPI 6.4, 5.2). */
#ifndef GUESTS_LIB_ACPI_H
#define GUESTS_LIB_ACPI_H

#include "guests/lib/cpu.h"

#define ACPI_MAX_CPUS 64

struct acpi_header {
    char signature[4];
    u32 length;
    u8 revision;
    u8 checksum;
    char oem_id[6];
    char oem_table_id[8];
    u32 oem_revision;
    u32 creator_id;
    u32 creator_revision;
} PACKED;
ASSERT_SIZE(struct acpi_header, 36);

struct acpi_soft_off {
    u16 pm1a_control; /* port */
    u8 sleep_type;    /* of S5 */
};

struct acpi_ioapic {
    u8 id;
    u32 address;
    u32 gsi_base;
};

/* What the MADT says. */
struct acpi_madt {
    u32 lapic_address;
    unsigned cpu_count;
    u32 apic_id[ACPI_MAX_CPUS]; /* enabled processors */
    unsigned ioapic_count;
    struct acpi_ioapic ioapic[4];
    u32 isa_gsi[16];   /* GSI of an ISA interrupt */
    u16 isa_flags[16]; /* MPS INTI flags of an ISA interrupt */
    bool has_8259;
};

/* The RSDP, checksum checked, or NULL. */
const void *acpi_rsdp(void);

/* A table by signature, its checksum checked; NULL if there is none that is whole. */
const struct acpi_header *acpi_find(const char *signature);

/* Number of tables in RSDT/XSDT with a wrong checksum; table count in *total. */
unsigned acpi_bad_tables(unsigned *total);

/* false when there is no MADT; *madt then describes a PC with one CPU. */
bool acpi_read_madt(struct acpi_madt *madt);

/* How to switch the machine off; false when the tables do not say. */
bool acpi_find_soft_off(struct acpi_soft_off *off);

/* The port of the ACPI PM timer and whether it is 32 bits wide; 0 when there is none. */
u16 acpi_pm_timer(bool *wide);

#endif
