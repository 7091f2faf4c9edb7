/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What skep wants to know from the firmware's ACPI tables (ACPI 6.5, chapter 5): processors, I/O
 * APICs, interrupt overrides, the PM timer, how to power off and reset. Pure: physical memory is
 * read through a function; every table's signature, length and checksum is checked, nothing is
 * trusted, and each thing that is wrong becomes one sentence.
 */
#ifndef ARCH_X86_64_ACPI_H
#define ARCH_X86_64_ACPI_H

#include "lib/types.h"

#define ACPI_MAX_CPUS      256
#define ACPI_MAX_IOAPICS   16
#define ACPI_MAX_OVERRIDES 24

struct acpi_ioapic {
    u32 id, gsi_base;
    u64 address;
};

/* An ISA interrupt that is not identity-mapped, edge-triggered and active-high. */
struct acpi_override {
    u8 irq;
    bool level, low;
    u32 gsi;
};

/* An address as the tables give it (ACPI 6.5, 5.2.3.2). port: I/O space, else memory. */
struct acpi_reg {
    u64 address; /* 0: absent */
    bool port;
    u8 bits;
};

/* Where tables lie: memory that must not be given away, though the firmware may call it usable. */
struct acpi_range {
    u64 base, size;
};

struct acpi_info {
    bool present; /* an RSDP with a good checksum and a root table were found */
    bool madt;    /* processors and I/O APICs are known */
    bool fadt;
    bool pic;   /* there is a pair of 8259s too */
    bool bochs; /* the RSDP is signed by Bochs' firmware, which is QEMU's too */

    u32 cpu_count;     /* usable processors */
    u32 cpus_left_out; /* usable ones that did not fit into the array */
    u32 cpu_apic[ACPI_MAX_CPUS];

    u32 ioapic_count;
    struct acpi_ioapic ioapic[ACPI_MAX_IOAPICS];
    u32 override_count;
    struct acpi_override override[ACPI_MAX_OVERRIDES];

    u16 pm_timer; /* I/O port; 0: none */
    struct acpi_reg pm1a_control, pm1b_control;
    u16 smi_command;       /* port; 0: ACPI mode is on already, or there is no other */
    u8 acpi_enable;        /* written there turns ACPI mode on */
    bool s5;               /* the two values below are known, from the DSDT's _S5_ */
    u8 s5_a, s5_b;         /* SLP_TYP */
    struct acpi_reg reset; /* address 0: none */
    u8 reset_value;
    u64 hpet;         /* base address; 0: none */
    hpa_t spcr, dbg2; /* these tables, their checksums good; 0: none */

    u32 range_count;
    struct acpi_range range[64];
};

struct acpi_reader {
    /* Copies len bytes at hpa; false where there is no memory. */
    bool (*read)(void *arg, hpa_t hpa, void *buf, size_t len);
    /* Receives each complaint: a finished sentence without newline. */
    void (*complain)(void *arg, const char *sentence);
    void *arg;
};

/*
 * Reads the tables. rsdp is the RSDP's bytes as a loader handed them over (rsdp_len of them), or
 * NULL: then the BIOS areas are searched through the reader. What could not be read keeps its zero.
 */
void acpi_parse(const struct acpi_reader *r, const void *rsdp, size_t rsdp_len,
                struct acpi_info *out);

#endif
