/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's ACPI tables: RSDP, RSDT, XSDT, FADT, FACS, MADT, HPET, and the DSDT made from
 * dsdt.asl. ACPI 6.4, 5.2. Laid out from PLAT_TABLES_BASE on, each at a multiple of 64.
 */
#include "vmm/load/firmware.h"

#include "lib/string.h"

#define RSDP_GPA   PLAT_TABLES_BASE
#define RSDT_GPA   (PLAT_TABLES_BASE + 0x40)
#define XSDT_GPA   (PLAT_TABLES_BASE + 0x80)
#define FACS_GPA   (PLAT_TABLES_BASE + 0xc0)
#define FADT_GPA   (PLAT_TABLES_BASE + 0x100)
#define MADT_GPA   (PLAT_TABLES_BASE + 0x240)
#define HPET_TABLE (PLAT_TABLES_BASE + 0x3c0)
#define DSDT_GPA   (PLAT_TABLES_BASE + 0x1000)

#define HEADER_SIZE 36
#define FADT_SIZE   276 /* revision 6 */
#define FACS_SIZE   64
#define HPET_SIZE   56 /* IA-PC HPET 1.0a, 3.2.4 */

/* FADT offsets (5.2.9). */
#define FADT_FACS        36
#define FADT_DSDT        40
#define FADT_SCI_INT     46
#define FADT_PM1A_EVT    56
#define FADT_PM1A_CNT    64
#define FADT_PM_TMR      76
#define FADT_PM1_EVT_LEN 88
#define FADT_PM1_CNT_LEN 89
#define FADT_PM_TMR_LEN  91
#define FADT_P_LVL2_LAT  96
#define FADT_P_LVL3_LAT  98
#define FADT_CENTURY     108
#define FADT_BOOT_ARCH   109
#define FADT_FLAGS       112
#define FADT_RESET_REG   116
#define FADT_RESET_VALUE 128
#define FADT_MINOR       131
#define FADT_X_DSDT      140
#define FADT_X_PM1A_EVT  148
#define FADT_X_PM1A_CNT  172
#define FADT_X_PM_TMR    208
#define FADT_HYPERVISOR  268

/* FADT flags (table 5.10) and IA-PC boot architecture flags (table 5.11). */
#define FLAG_WBINVD        BIT(0)
#define FLAG_PROC_C1       BIT(2)
#define FLAG_SLP_BUTTON    BIT(5) /* none, or not a fixed feature */
#define FLAG_FIX_RTC       BIT(6) /* RTC wake status is not in the fixed registers */
#define FLAG_TMR_VAL_EXT   BIT(8) /* the timer has 32 bits */
#define FLAG_RESET_REG_SUP BIT(10)
#define FLAG_HEADLESS      BIT(12)
#define ARCH_LEGACY        BIT(0) /* has devices on an ISA bus (no 8042: bit 1 clear) */
#define ARCH_NO_VGA        BIT(2)
#define ARCH_NO_MSI        BIT(3)

#define GAS_IO    1
#define GAS_BYTE  1
#define GAS_WORD  2
#define GAS_DWORD 3

/* MADT structures (5.2.12). */
#define MADT_LAPIC       0
#define MADT_IOAPIC      1
#define MADT_OVERRIDE    2
#define MADT_LAPIC_NMI   4
#define MADT_PCAT_COMPAT 1
#define MPS_CONFORMS     0
#define MPS_HIGH_EDGE    0x5
#define MPS_HIGH_LEVEL   0xd
#define MADT_MAX         (HEADER_SIZE + 8 + PLAT_MAX_VCPUS * 8 + 12 + 2 * 10 + 6)

_Static_assert(FADT_GPA + FADT_SIZE <= MADT_GPA, "FADT runs into the MADT");
_Static_assert(MADT_GPA + MADT_MAX <= HPET_TABLE, "MADT runs into the HPET's table");

u8 firmware_checksum(const u8 *p, u64 n)
{
    u8 sum = 0;

    while (n--)
        sum = (u8)(sum + *p++);
    return (u8)-sum;
}

/* The header common to all tables but RSDP and FACS; size bytes at p are zero or the body. */
static void put_header(u8 *p, const char *signature, u32 size, u8 revision)
{
    firmware_put_text(p, signature);
    put32(p + 4, size);
    p[8] = revision;
    firmware_put_text(p + 10, "SKEP  ");
    firmware_put_text(p + 16, "SKEPHV  ");
    put32(p + 24, 1);
    firmware_put_text(p + 28, "SKEP");
    put32(p + 32, 1);
    p[9] = firmware_checksum(p, size);
}

static void put_io(u8 *p, u16 port, u8 bytes)
{
    p[0] = GAS_IO;
    p[1] = (u8)(bytes * 8);
    p[3] = bytes == 1 ? GAS_BYTE : bytes == 2 ? GAS_WORD : GAS_DWORD;
    put64(p + 4, port);
}

void acpi_make_rsdp(u8 r[ACPI_RSDP_SIZE])
{
    memset(r, 0, ACPI_RSDP_SIZE);
    firmware_put_text(r, "RSD PTR ");
    firmware_put_text(r + 9, "SKEP  ");
    r[15] = 2;
    put32(r + 16, RSDT_GPA);
    r[8] = firmware_checksum(r, 20);
    put32(r + 20, ACPI_RSDP_SIZE);
    put64(r + 24, XSDT_GPA);
    r[32] = firmware_checksum(r, ACPI_RSDP_SIZE);
}

static void write_roots(struct load_ctx *c)
{
    u8 rsdp[ACPI_RSDP_SIZE], rsdt[HEADER_SIZE + 3 * 4] = {0}, xsdt[HEADER_SIZE + 3 * 8] = {0};

    acpi_make_rsdp(rsdp);
    put32(rsdt + HEADER_SIZE, FADT_GPA);
    put32(rsdt + HEADER_SIZE + 4, MADT_GPA);
    put32(rsdt + HEADER_SIZE + 8, HPET_TABLE);
    put_header(rsdt, "RSDT", sizeof(rsdt), 1);
    put64(xsdt + HEADER_SIZE, FADT_GPA);
    put64(xsdt + HEADER_SIZE + 8, MADT_GPA);
    put64(xsdt + HEADER_SIZE + 16, HPET_TABLE);
    put_header(xsdt, "XSDT", sizeof(xsdt), 1);
    ctx_write(c, RSDP_GPA, rsdp, sizeof(rsdp));
    ctx_write(c, RSDT_GPA, rsdt, sizeof(rsdt));
    ctx_write(c, XSDT_GPA, xsdt, sizeof(xsdt));
}

/*
 * No SMI command port: the machine is in ACPI mode from the start. No general-purpose events. The
 * power button is the fixed one (flag 4 clear).
 */
static void write_fadt(struct load_ctx *c)
{
    u8 f[FADT_SIZE] = {0};

    put32(f + FADT_FACS, FACS_GPA);
    put32(f + FADT_DSDT, DSDT_GPA);
    put64(f + FADT_X_DSDT, DSDT_GPA);
    put16(f + FADT_SCI_INT, PLAT_IRQ_SCI);
    put32(f + FADT_PM1A_EVT, PLAT_PM_EVT_PORT);
    put32(f + FADT_PM1A_CNT, PLAT_PM_CNT_PORT);
    put32(f + FADT_PM_TMR, PLAT_PM_TMR_PORT);
    f[FADT_PM1_EVT_LEN] = PLAT_PM_EVT_LEN;
    f[FADT_PM1_CNT_LEN] = PLAT_PM_CNT_LEN;
    f[FADT_PM_TMR_LEN] = PLAT_PM_TMR_LEN;
    put_io(f + FADT_X_PM1A_EVT, PLAT_PM_EVT_PORT, PLAT_PM_EVT_LEN);
    put_io(f + FADT_X_PM1A_CNT, PLAT_PM_CNT_PORT, PLAT_PM_CNT_LEN);
    put_io(f + FADT_X_PM_TMR, PLAT_PM_TMR_PORT, PLAT_PM_TMR_LEN);
    put16(f + FADT_P_LVL2_LAT, 0xfff); /* no C2, no C3 */
    put16(f + FADT_P_LVL3_LAT, 0xfff);
    f[FADT_CENTURY] = PLAT_RTC_CENTURY;
    put16(f + FADT_BOOT_ARCH, ARCH_LEGACY | ARCH_NO_VGA | ARCH_NO_MSI);
    put32(f + FADT_FLAGS, FLAG_WBINVD | FLAG_PROC_C1 | FLAG_SLP_BUTTON | FLAG_FIX_RTC |
                              FLAG_TMR_VAL_EXT | FLAG_RESET_REG_SUP | FLAG_HEADLESS);
    put_io(f + FADT_RESET_REG, PLAT_RESET_PORT, 1);
    f[FADT_RESET_VALUE] = PLAT_RESET_VALUE;
    f[FADT_MINOR] = 4;
    firmware_put_text(f + FADT_HYPERVISOR, "skep");
    put_header(f, "FACP", sizeof(f), 6);
    ctx_write(c, FADT_GPA, f, sizeof(f));
}

static void write_facs(struct load_ctx *c)
{
    u8 f[FACS_SIZE] = {0};

    firmware_put_text(f, "FACS");
    put32(f + 4, sizeof(f));
    f[32] = 2;
    ctx_write(c, FACS_GPA, f, sizeof(f));
}

/* An interrupt source override: an ISA line and the I/O APIC pin it leads to. */
static u8 *put_override(u8 *p, u8 irq, u32 gsi, u16 flags)
{
    p[0] = MADT_OVERRIDE;
    p[1] = 10;
    p[3] = irq;
    put32(p + 4, gsi);
    put16(p + 8, flags);
    return p + 10;
}

static void write_madt(struct load_ctx *c)
{
    u8 m[MADT_MAX] = {0}, *p = m + HEADER_SIZE;

    put32(p, PLAT_LAPIC_BASE);
    put32(p + 4, MADT_PCAT_COMPAT);
    p += 8;
    for (unsigned i = 0; i < c->req->vcpus; i++, p += 8) {
        p[0] = MADT_LAPIC;
        p[1] = 8;
        p[2] = (u8)i; /* processor UID */
        p[3] = (u8)i; /* local APIC id */
        p[4] = 1;     /* enabled */
    }
    p[0] = MADT_IOAPIC;
    p[1] = 12;
    p[2] = PLAT_IOAPIC_ID;
    put32(p + 4, PLAT_IOAPIC_BASE);
    p = put_override(p + 12, PLAT_IRQ_PIT, PLAT_GSI_PIT, MPS_CONFORMS);
    p = put_override(p, PLAT_IRQ_SCI, PLAT_IRQ_SCI, MPS_HIGH_LEVEL);
    p[0] = MADT_LAPIC_NMI;
    p[1] = 6;
    p[2] = 0xff; /* every processor */
    put16(p + 3, MPS_HIGH_EDGE);
    p[5] = 1; /* LINT1 */
    p += 6;
    put_header(m, "APIC", (u32)(p - m), 4);
    ctx_write(c, MADT_GPA, m, (u64)(p - m));
}

static void write_hpet(struct load_ctx *c)
{
    u8 h[HPET_SIZE] = {0};

    put32(h + HEADER_SIZE, PLAT_HPET_ID);
    h[41] = 64; /* address: memory, 64 bits wide */
    put64(h + 44, PLAT_HPET_BASE);
    put16(h + 53, PLAT_HPET_MIN_TICKS);
    put_header(h, "HPET", sizeof(h), 1);
    ctx_write(c, HPET_TABLE, h, sizeof(h));
}

void acpi_write(struct load_ctx *c)
{
    write_roots(c);
    write_fadt(c);
    write_facs(c);
    write_madt(c);
    write_hpet(c);
    ctx_write(c, DSDT_GPA, acpi_dsdt, acpi_dsdt_size);
}
