/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MP table, for kernels without ACPI. Intel MultiProcessor Specification 1.4, chapter 4: a
 * floating pointer at PLAT_MP_BASE, the configuration table right behind it.
 */
#include "vmm/load/firmware.h"

#define FLOATING_SIZE 16
#define TABLE_GPA     (PLAT_MP_BASE + FLOATING_SIZE)
#define HEADER_SIZE   44

/* Entry types (4.3). */
#define MP_CPU     0
#define MP_BUS     1
#define MP_IOAPIC  2
#define MP_IO_INT  3
#define MP_LOC_INT 4

/* Interrupt types and flags (table 4-10, 4-11). */
#define MP_INT            0
#define MP_NMI            1
#define MP_EXTINT         3
#define MP_CONFORMS       0
#define MP_HIGH_LEVEL     0xd
#define MP_CPU_ENABLED    1
#define MP_CPU_BOOT       2
#define MP_APIC_VERSION   0x14
#define MP_IOAPIC_VERSION 0x11
#define MP_CPU_SIGNATURE  0x600
#define MP_CPU_FEATURES   0x201 /* FPU, APIC */
#define MP_ALL            0xff

#define ISA_IRQS  16
#define TABLE_MAX (HEADER_SIZE + PLAT_MAX_VCPUS * 20 + 8 + 8 + ISA_IRQS * 8 + 2 * 8)

static u8 *put_cpu(u8 *p, unsigned id)
{
    p[0] = MP_CPU;
    p[1] = (u8)id;
    p[2] = MP_APIC_VERSION;
    p[3] = id ? MP_CPU_ENABLED : MP_CPU_ENABLED | MP_CPU_BOOT;
    put32(p + 4, MP_CPU_SIGNATURE);
    put32(p + 8, MP_CPU_FEATURES);
    return p + 20;
}

/* An I/O or a local interrupt entry: from ISA line irq to pin of the APIC with that id. */
static u8 *put_interrupt(u8 *p, u8 entry, u8 type, u16 flags, u8 irq, u8 apic, u8 pin)
{
    p[0] = entry;
    p[1] = type;
    put16(p + 2, flags);
    p[5] = irq;
    p[6] = apic;
    p[7] = pin;
    return p + 8;
}

static u8 *put_isa(u8 *p)
{
    p[0] = MP_BUS;
    firmware_put_text(p + 2, "ISA   ");
    p += 8;
    p[0] = MP_IOAPIC;
    p[1] = PLAT_IOAPIC_ID;
    p[2] = MP_IOAPIC_VERSION;
    p[3] = 1; /* usable */
    put32(p + 4, PLAT_IOAPIC_BASE);
    p = put_interrupt(p + 8, MP_IO_INT, MP_EXTINT, MP_CONFORMS, 0, PLAT_IOAPIC_ID, 0);
    for (u8 irq = 0; irq < ISA_IRQS; irq++)
        if (irq != 2) /* the cascade: its pin takes the timer */
            p = put_interrupt(p, MP_IO_INT, MP_INT,
                              irq == PLAT_IRQ_SCI ? MP_HIGH_LEVEL : MP_CONFORMS, irq,
                              PLAT_IOAPIC_ID, irq == PLAT_IRQ_PIT ? PLAT_GSI_PIT : irq);
    p = put_interrupt(p, MP_LOC_INT, MP_EXTINT, MP_CONFORMS, 0, MP_ALL, 0);
    return put_interrupt(p, MP_LOC_INT, MP_NMI, MP_CONFORMS, 0, MP_ALL, 1);
}

/* The largest frame of the room: 44 bytes, 20 a processor and 160 of interrupts. */
static void write_table(struct load_ctx *c)
{
    u8 t[TABLE_MAX] = {0}, *p = t + HEADER_SIZE;

    for (unsigned i = 0; i < c->req->vcpus; i++)
        p = put_cpu(p, i);
    p = put_isa(p);
    firmware_put_text(t, "PCMP");
    put16(t + 4, (u16)(p - t));
    t[6] = 4; /* version 1.4 */
    firmware_put_text(t + 8, "SKEP    SKEP VM     ");
    put16(t + 34, (u16)(c->req->vcpus + 2 + ISA_IRQS + 2));
    put32(t + 36, PLAT_LAPIC_BASE);
    t[7] = firmware_checksum(t, (u64)(p - t));
    ctx_write(c, TABLE_GPA, t, (u64)(p - t));
}

void mptable_write(struct load_ctx *c)
{
    u8 f[FLOATING_SIZE] = {0};

    firmware_put_text(f, "_MP_");
    put32(f + 4, TABLE_GPA);
    f[8] = 1; /* in units of 16 bytes */
    f[9] = 4;
    f[12] = 0x80; /* an IMCR is there, and says that interrupts go through the local APIC */
    f[10] = firmware_checksum(f, sizeof(f));
    ctx_write(c, PLAT_MP_BASE, f, sizeof(f));
    write_table(c);
}
