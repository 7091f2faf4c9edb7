/* SPDX-License-Identifier: BSD-2-Clause */
/* Finding and checking ACPI tables (ACPI 6.4, 5.2.5 to 5.2.12). */
#include "guests/lib/acpi.h"
#include "lib/string.h"

struct rsdp {
    char signature[8];
    u8 checksum;
    char oem_id[6];
    u8 revision;
    u32 rsdt;
    u32 length;
    u64 xsdt;
    u8 extended_checksum;
    u8 reserved[3];
} PACKED;
ASSERT_SIZE(struct rsdp, 36);

#define RSDP_V1_SIZE 20

#define FADT_DSDT        40
#define FADT_PM1A_CNT    64
#define FADT_PM_TMR      76
#define FADT_FLAGS       112
#define FADT_TMR_VAL_EXT BIT(8)

static bool sum_is_zero(const void *p, size_t size)
{
    u8 sum = 0;

    for (size_t i = 0; i < size; i++)
        sum = (u8)(sum + ((const u8 *)p)[i]);
    return sum == 0;
}

static const struct rsdp *scan(ulong from, ulong to)
{
    for (ulong at = from; at < to; at += 16) {
        const struct rsdp *r = (const struct rsdp *)at;

        if (memcmp(r->signature, "RSD PTR ", 8) == 0 && sum_is_zero(r, RSDP_V1_SIZE))
            return r;
    }
    return NULL;
}

const void *acpi_rsdp(void)
{
    volatile const u16 *segment = (volatile const u16 *)0x40e;
    ulong ebda;
    const struct rsdp *r = NULL;

    asm("" : "+r"(segment)); /* low memory: keep compilers from reasoning about it */
    ebda = (ulong)*segment << 4;
    if (ebda >= 0x80000 && ebda < 0xa0000)
        r = scan(ebda, ebda + 1024);
    return r ? r : scan(0xe0000, 0x100000);
}

static bool table_ok(const struct acpi_header *t)
{
    return t->length >= sizeof(*t) && t->length < MIB && sum_is_zero(t, t->length);
}

/* The root table and the size of its entries; NULL without one that is whole. */
static const struct acpi_header *root_table(size_t *entry_size)
{
    const struct rsdp *r = acpi_rsdp();
    const struct acpi_header *root;

    if (!r)
        return NULL;
    if (r->revision >= 2 && r->xsdt && r->xsdt < 4 * GIB && sum_is_zero(r, r->length)) {
        *entry_size = 8;
        root = (const struct acpi_header *)(ulong)r->xsdt;
    } else {
        *entry_size = 4;
        root = (const struct acpi_header *)(ulong)r->rsdt;
    }
    return root && table_ok(root) ? root : NULL;
}

/* Table n of the root table; NULL behind the last. Addresses above 4 GiB count as 0. */
static const struct acpi_header *nth_table(unsigned n)
{
    size_t size;
    const struct acpi_header *root = root_table(&size);
    u64 address = 0;

    if (!root || (n + 1) * size > root->length - sizeof(*root))
        return NULL;
    memcpy(&address, (const u8 *)(root + 1) + n * size, size);
    return (const struct acpi_header *)(ulong)(address < 4 * GIB ? address : 0);
}

const struct acpi_header *acpi_find(const char *signature)
{
    const struct acpi_header *t;

    for (unsigned n = 0; (t = nth_table(n)); n++)
        if (memcmp(t->signature, signature, 4) == 0 && table_ok(t))
            return t;
    return NULL;
}

unsigned acpi_bad_tables(unsigned *total)
{
    const struct acpi_header *t;
    unsigned bad = 0;

    *total = 0;
    for (unsigned n = 0; (t = nth_table(n)); n++) {
        (*total)++;
        if (!table_ok(t))
            bad++;
    }
    return bad;
}

static u32 read32(const void *p, size_t offset)
{
    u32 value;

    memcpy(&value, (const u8 *)p + offset, sizeof(value));
    return value;
}

static u16 read16(const void *p, size_t offset)
{
    u16 value;

    memcpy(&value, (const u8 *)p + offset, sizeof(value));
    return value;
}

static void madt_entry(struct acpi_madt *madt, const u8 *e)
{
    switch (e[0]) {
    case 0: /* processor local APIC */
        if ((read32(e, 4) & 1) && madt->cpu_count < ACPI_MAX_CPUS)
            madt->apic_id[madt->cpu_count++] = e[3];
        break;
    case 1: /* I/O APIC */
        if (madt->ioapic_count < ARRAY_SIZE(madt->ioapic))
            madt->ioapic[madt->ioapic_count++] =
                (struct acpi_ioapic){.id = e[2], .address = read32(e, 4), .gsi_base = read32(e, 8)};
        break;
    case 2: /* interrupt source override */
        if (e[3] < 16) {
            madt->isa_gsi[e[3]] = read32(e, 4);
            madt->isa_flags[e[3]] = read16(e, 8);
        }
        break;
    case 9: /* processor local x2APIC */
        if ((read32(e, 8) & 1) && madt->cpu_count < ACPI_MAX_CPUS)
            madt->apic_id[madt->cpu_count++] = read32(e, 4);
        break;
    }
}

bool acpi_read_madt(struct acpi_madt *madt)
{
    const struct acpi_header *t = acpi_find("APIC");
    const u8 *p = (const u8 *)t;

    memset(madt, 0, sizeof(*madt));
    for (unsigned i = 0; i < 16; i++)
        madt->isa_gsi[i] = i;
    madt->lapic_address = 0xfee00000;
    if (!t || t->length < 44) {
        madt->cpu_count = 1;
        madt->apic_id[0] = cpuid(1, 0).ebx >> 24;
        madt->ioapic_count = 1;
        madt->ioapic[0].address = 0xfec00000;
        madt->isa_gsi[0] = 2;
        madt->has_8259 = true;
        return false;
    }
    madt->lapic_address = read32(p, 36);
    madt->has_8259 = read32(p, 40) & 1;
    for (size_t at = 44; at + 2 <= t->length && p[at + 1] >= 2; at += p[at + 1])
        if (at + p[at + 1] <= t->length)
            madt_entry(madt, p + at);
    return true;
}

/* SLP_TYP of \_S5 by its encoding in the DSDT: NameOp "_S5_" PackageOp length count value. */
static bool find_s5(const struct acpi_header *dsdt, u8 *type)
{
    const u8 *p = (const u8 *)dsdt;

    for (size_t i = sizeof(*dsdt); i + 12 < dsdt->length; i++) {
        if (memcmp(p + i, "_S5_\x12", 5) != 0)
            continue;
        i += 5;
        i += (size_t)(p[i] >> 6) + 1; /* PkgLength */
        i++;                          /* count */
        if (p[i] == 0x0a)             /* BytePrefix */
            i++;
        *type = p[i] & 7;
        return true;
    }
    return false;
}

bool acpi_find_soft_off(struct acpi_soft_off *off)
{
    const struct acpi_header *fadt = acpi_find("FACP");
    const struct acpi_header *dsdt;

    if (!fadt || fadt->length < FADT_PM_TMR)
        return false;
    off->pm1a_control = (u16)read32(fadt, FADT_PM1A_CNT);
    dsdt = (const struct acpi_header *)(ulong)read32(fadt, FADT_DSDT);
    return off->pm1a_control && dsdt && table_ok(dsdt) && find_s5(dsdt, &off->sleep_type);
}

u16 acpi_pm_timer(bool *wide)
{
    const struct acpi_header *fadt = acpi_find("FACP");

    if (!fadt || fadt->length < FADT_FLAGS + 4)
        return 0;
    *wide = read32(fadt, FADT_FLAGS) & FADT_TMR_VAL_EXT;
    return (u16)read32(fadt, FADT_PM_TMR);
}
