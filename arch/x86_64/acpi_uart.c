/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SPCR (Microsoft, Serial Port Console Redirection Table, revision 4) and DBG2 (Microsoft Debug
 * Port Table 2).
 */
#include "arch/x86_64/acpi_uart.h"
#include "lib/string.h"

/* Both tables are little-endian and packed, as the processor has them. */
struct gas {
    u8 space, bits, offset, access;
    u64 address;
} __attribute__((packed));

struct header {
    u8 signature[4];
    u32 length;
    u8 revision, rest[27];
} __attribute__((packed));

struct spcr {
    struct header header;
    u8 type, reserved[3];
    struct gas base;
    u8 interrupt_type, irq;
    u32 gsi;
    u8 baud, parity, stop, flow, terminal, language;
    u8 pci[12];
    u32 clock; /* revision 3 */
} __attribute__((packed));

struct dbg2 {
    struct header header;
    u32 first, count;
} __attribute__((packed));

struct dbg2_device {
    u8 revision;
    u16 length;
    u8 registers;
    u16 name_len, name_at, oem_len, oem_at;
    u16 type, subtype, reserved;
    u16 base_at, size_at;
} __attribute__((packed));

_Static_assert(sizeof(struct gas) == 12 && sizeof(struct dbg2_device) == 22, "packed");
_Static_assert(__builtin_offsetof(struct spcr, gsi) == 54 &&
                   __builtin_offsetof(struct spcr, clock) == 76,
               "SPCR");

#define GAS_IO         1
#define HAS_IRQ        BIT(0) /* SPCR.interrupt_type */
#define HAS_GSI        BIT(1)
#define DBG2_SERIAL    0x8000
#define DBG2_MAX_COUNT 16

/* 16550, its subset without FIFO control, and 16550 by its generic address. */
static bool is_16550(unsigned type)
{
    return type <= 1 || type == 0x12;
}

/* Register width and distance: the access size where it is given, else the register's width. */
static bool place(const struct gas *g, struct acpi_uart *out)
{
    unsigned bits = g->access >= 1 && g->access <= 3 ? 4u << g->access : g->bits;

    out->reg = (struct acpi_reg){g->address, g->space == GAS_IO, 8};
    out->stride = bits == 32 ? 4 : bits == 16 ? 2 : 1;
    if (out->reg.port)
        out->stride = 1;
    return g->address && (out->reg.port ? g->address <= 0xfff8 : g->space == 0);
}

static bool from_spcr(const struct acpi_reader *r, hpa_t hpa, struct acpi_uart *out)
{
    static const u8 hundreds[] = {[3] = 96 / 12, [4] = 192 / 12, [6] = 576 / 12, [7] = 1152 / 12};
    struct spcr t;

    if (!r->read(r->arg, hpa, &t, sizeof(t)) || !is_16550(t.type) || !place(&t.base, out))
        return false;
    if (t.interrupt_type & HAS_GSI)
        out->gsi = t.gsi;
    else if ((t.interrupt_type & HAS_IRQ) && t.irq < 16)
        out->irq = t.irq;
    if (t.baud < sizeof(hundreds))
        out->baud = hundreds[t.baud] * 1200u;
    if (t.header.revision >= 3 && t.header.length >= sizeof(t))
        out->clock = t.clock / 16;
    return true;
}

static bool from_dbg2(const struct acpi_reader *r, hpa_t hpa, struct acpi_uart *out)
{
    struct dbg2_device d;
    struct dbg2 t;
    struct gas g;

    if (!r->read(r->arg, hpa, &t, sizeof(t)))
        return false;
    hpa += t.first;
    for (u32 i = 0; i < MIN(t.count, (u32)DBG2_MAX_COUNT); i++) {
        if (!r->read(r->arg, hpa, &d, sizeof(d)))
            return false;
        if (d.type == DBG2_SERIAL && is_16550(d.subtype) && d.registers &&
            r->read(r->arg, hpa + d.base_at, &g, sizeof(g)) && place(&g, out))
            return true;
        hpa += d.length;
    }
    return false;
}

bool acpi_find_uart(const struct acpi_reader *r, const struct acpi_info *info,
                    struct acpi_uart *out)
{
    memset(out, 0, sizeof(*out));
    out->irq = -1;
    out->gsi = -1;
    return (info->spcr && from_spcr(r, info->spcr, out)) ||
           (info->dbg2 && from_dbg2(r, info->dbg2, out));
}
