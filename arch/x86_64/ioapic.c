/* SPDX-License-Identifier: BSD-2-Clause */
/* The physical I/O APICs (Intel 82093AA) and the 8259 pair they replace. */
#include "arch/x86_64/ioapic.h"
#include "arch/x86_64/acpi.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/devmap.h"
#include "arch/x86_64/paging.h"
#include "arch/x86_64/percpu.h"
#include "lib/log.h"

#define DEFAULT_ADDRESS 0xfec00000

#define REG_SELECT 0x00
#define REG_WINDOW 0x10
#define IOAPIC_VER 0x01
#define IOAPIC_RED 0x10 /* two registers an input */
#define RED_LOW    BIT(13)
#define RED_LEVEL  BIT(15)
#define RED_MASKED BIT(16)
#define MAX_INPUTS 240

#define PIC1_COMMAND 0x20
#define PIC1_DATA    0x21
#define PIC2_COMMAND 0xa0
#define PIC2_DATA    0xa1

static struct {
    volatile u32 *regs;
    u32 gsi_base, inputs;
} chips[ACPI_MAX_IOAPICS];
static unsigned chip_count;
static const struct acpi_info *tables; /* for the overrides */

static u32 chip_read(unsigned chip, u32 reg)
{
    chips[chip].regs[REG_SELECT / 4] = reg;
    return chips[chip].regs[REG_WINDOW / 4];
}

static void chip_write(unsigned chip, u32 reg, u32 value)
{
    chips[chip].regs[REG_SELECT / 4] = reg;
    chips[chip].regs[REG_WINDOW / 4] = value;
}

static void add_chip(u64 address, u32 gsi_base)
{
    volatile u32 *regs = devmap_add(address, 0x20, MAP_UC);
    u32 version, inputs;

    if (!regs)
        return;
    chips[chip_count].regs = regs;
    version = chip_read(chip_count, IOAPIC_VER);
    inputs = (version >> 16 & 0xff) + 1;
    if (version == UINT32_MAX || !(version & 0xff) || inputs > MAX_INPUTS) {
        log_warn("no I/O APIC answers at %#lx", address);
        return;
    }
    chips[chip_count].gsi_base = gsi_base;
    chips[chip_count].inputs = inputs;
    for (u32 i = 0; i < inputs; i++)
        chip_write(chip_count, IOAPIC_RED + 2 * i, RED_MASKED);
    chip_count++;
}

/* Vectors away from the exceptions, for spurious interrupts that no mask stops; then all masked. */
static void quiet_pics(void)
{
    cpu_out8(PIC1_COMMAND, 0x11);
    cpu_out8(PIC2_COMMAND, 0x11);
    cpu_out8(PIC1_DATA, 0x20);
    cpu_out8(PIC2_DATA, 0x28);
    cpu_out8(PIC1_DATA, 4);
    cpu_out8(PIC2_DATA, 2);
    cpu_out8(PIC1_DATA, 1);
    cpu_out8(PIC2_DATA, 1);
    cpu_out8(PIC1_DATA, 0xff);
    cpu_out8(PIC2_DATA, 0xff);
}

void ioapic_init(const struct acpi_info *acpi)
{
    tables = acpi;
    quiet_pics();
    for (u32 i = 0; i < acpi->ioapic_count; i++)
        add_chip(acpi->ioapic[i].address, acpi->ioapic[i].gsi_base);
    if (!acpi->madt)
        add_chip(DEFAULT_ADDRESS, 0);
}

static bool find_input(u32 gsi, unsigned *chip, u32 *input)
{
    for (*chip = 0; *chip < chip_count; ++*chip) {
        *input = gsi - chips[*chip].gsi_base;
        if (*input < chips[*chip].inputs)
            return true;
    }
    return false;
}

bool ioapic_route(u32 gsi, unsigned vector, u32 apic_id, bool level, bool low)
{
    u64 mode = (level ? RED_LEVEL : 0) | (low ? RED_LOW : 0);
    unsigned chip;
    u32 input;

    if (apic_id > 0xff || !find_input(gsi, &chip, &input))
        return false;
    chip_write(chip, IOAPIC_RED + 2 * input, RED_MASKED);
    chip_write(chip, IOAPIC_RED + 2 * input + 1, apic_id << 24);
    chip_write(chip, IOAPIC_RED + 2 * input, (u32)mode | vector);
    return true;
}

void ioapic_mask(u32 gsi)
{
    unsigned chip;
    u32 input;

    if (find_input(gsi, &chip, &input))
        chip_write(chip, IOAPIC_RED + 2 * input, RED_MASKED);
}

bool ioapic_route_isa(unsigned irq, unsigned vector)
{
    for (u32 i = 0; i < tables->override_count; i++) {
        const struct acpi_override *o = &tables->override[i];

        if (o->irq == irq)
            return ioapic_route(o->gsi, vector, cpu_of(0)->apic_id, o->level, o->low);
    }
    return ioapic_route(irq, vector, cpu_of(0)->apic_id, false, false);
}
