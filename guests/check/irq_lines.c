/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts by the lines of the board: the pair of PICs, the I/O APIC (8259A; 82093AA). */
#include "guests/check/irq.h"
#include "guests/lib/pit.h"

#define PIC_BASE 0x20

static void on_pic(struct trap_frame *f)
{
    irq_note(f);
    if (f->vector >= PIC_BASE + 8)
        out8(0xa0, 0x20);
    out8(0x20, 0x20);
}

static void irq_pic(void)
{
    irq_begin();
    trap_set(PIC_BASE, on_pic);
    apic_write(APIC_LVT_LINT0, APIC_LVT_EXTINT);
    pit_start(PIT_RATE, PIT_HZ / 1000);
    out8(0x21, 0xfe);
    EXPECT(wait_count(&irq_count[PIC_BASE], 5, 500), "%u ticks", irq_count[PIC_BASE]);
    out8(0x21, 0xff);
    wait_ms(3);
    irq_count[PIC_BASE] = 0;
    wait_ms(3);
    EXPECT_EQ(irq_count[PIC_BASE], 0);
}

/* In-service and request registers, and that an interrupt in service holds back its own line. */
static void irq_pic_registers(void)
{
    u8 irr;
    u8 isr;

    irq_begin();
    trap_set(PIC_BASE, irq_note); /* sends no EOI */
    apic_write(APIC_LVT_LINT0, APIC_LVT_EXTINT);
    pit_start(PIT_RATE, PIT_HZ / 1000);
    out8(0x21, 0xfe);
    EXPECT(wait_count(&irq_count[PIC_BASE], 1, 500), "never came");
    wait_ms(5);
    out8(0x20, 0x0b);
    isr = in8(0x20);
    out8(0x20, 0x0a);
    irr = in8(0x20);
    out8(0x20, 0x20);
    EXPECT_EQ(irq_count[PIC_BASE], 1);
    EXPECT_EQ(isr, 1);
    EXPECT(irr & 1, "IRR %02x", irr);
    out8(0x20, 0x0b);
    EXPECT_EQ(in8(0x20), 0);
}

static void irq_ioapic(void)
{
    u32 flags;
    unsigned pin = ioapic_isa_pin(0, &flags);

    irq_begin();
    EXPECT(pin < ioapic_pins(), "pin %u of %u", pin, ioapic_pins());
    pit_start(PIT_RATE, PIT_HZ / 1000);
    ioapic_route(pin, flags | VECTOR, apic_id());
    EXPECT(wait_count(&irq_count[VECTOR], 5, 500), "%u ticks", irq_count[VECTOR]);
    ioapic_route(pin, flags | IOAPIC_MASKED | VECTOR, apic_id());
    wait_ms(3);
    irq_count[VECTOR] = 0;
    wait_ms(3);
    EXPECT_EQ(irq_count[VECTOR], 0);
}

static void irq_ioapic_registers(void)
{
    unsigned pins = ioapic_pins();

    EXPECT(pins == 24, "%u pins", pins);
    for (unsigned pin = 0; pin < pins; pin++) {
        ioapic_write(IOAPIC_REDIR + 2 * pin + 1, 0x03000000);
        ioapic_write(IOAPIC_REDIR + 2 * pin, IOAPIC_MASKED | 0x40 | pin);
        EXPECT_EQ(ioapic_read(IOAPIC_REDIR + 2 * pin), IOAPIC_MASKED | 0x40 | pin);
        EXPECT_EQ(ioapic_read(IOAPIC_REDIR + 2 * pin + 1), 0x03000000);
    }
    mmio_write32(ioapic_address(), 0x0f);
    EXPECT_EQ(mmio_read32(ioapic_address()) & 0xff, 0x0f);
}

static const struct check list[] = {
    {"irq_pic", irq_pic, ANYWHERE},
    {"irq_pic_registers", irq_pic_registers, ANYWHERE},
    {"irq_ioapic", irq_ioapic, ANYWHERE},
    {"irq_ioapic_registers", irq_ioapic_registers, ANYWHERE},
};
CHECK_GROUP(irq_lines, list);
