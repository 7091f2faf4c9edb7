/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages between I/O APIC, local APIC and processor, on one processor: destinations, delivery
 * modes, ends of levels, errors (SDM 3, 10.5 to 10.8; 82093AA data sheet).
 */
#include "guests/check/irq.h"
#include "guests/lib/console.h"
#include "guests/lib/pit.h"

#define ERROR_VECTOR 0xa3
#define UART_PIN     4

#define NO_BROADCAST BIT(12) /* of SVR, if bit 24 of the version is set */
#define REMOTE_IRR   BIT(14)

#define IOAPIC_LOGICAL 0x0800u
#define IOAPIC_LOWEST  0x0100u
#define IOAPIC_NMI     0x0400u
#define IOAPIC_EOI     0x40 /* register of version 0x20 */

/* COM1's transmitter holds its line up, or not. */
static void uart_line(bool up)
{
    if (up)
        console_drain();
    out8(COM1 + 4, up ? 0x0b : 0x03);
    out8(COM1 + 1, up ? 0x02 : 0x00);
}

static void on_uart(struct trap_frame *f)
{
    irq_note(f);
    uart_line(false);
    apic_eoi();
}

/* One edge of the PIT's line, some microseconds from now. */
static void pit_edge(void)
{
    pit_start(PIT_ONE_SHOT, 10);
}

static void send(u32 dest, u32 low)
{
    apic_icr(dest, ICR_ASSERT | VECTOR | low);
}

/* An IPI to one logical destination: whether it came. */
static bool reaches(u32 dest, u32 mode)
{
    irq_begin();
    send(dest, ICR_LOGICAL | mode);
    asm volatile("sti\n nop\n nop\n cli" : : : "memory");
    wait_ms(1);
    return irq_count[VECTOR] == 1;
}

static void apic_flat(void)
{
    apic_write(APIC_DFR, ~0u);
    apic_write(APIC_LDR, 0x24000000);
    for (unsigned bit = 0; bit < 8; bit++)
        EXPECT(reaches(1u << bit, ICR_FIXED) == !!(0x24 >> bit & 1), "bit %u", bit);
    EXPECT(reaches(0xff, ICR_FIXED), "not by all bits");
    EXPECT(reaches(0x0c, ICR_LOWEST), "not by lowest priority");
    EXPECT(!reaches(0x03, ICR_LOWEST), "somebody else's, by lowest priority");
}

static void apic_cluster(void)
{
    apic_write(APIC_DFR, 0x0fffffff);
    apic_write(APIC_LDR, 0x32000000); /* cluster 3, bit 1 */
    for (unsigned dest = 0; dest < 0xff; dest++) {
        bool mine = dest >> 4 == 3 && (dest & 2);

        if ((dest & 3) == 3 && !mine) /* some will do */
            continue;
        if (mine || dest % 5 == 0)
            EXPECT(reaches(dest, ICR_FIXED) == mine, "destination %x", dest);
    }
    EXPECT(reaches(0x36, ICR_LOWEST), "not by lowest priority");
    if (on_skep() || !cpu_is_tcg()) /* which takes it for all of cluster 15 */
        EXPECT(reaches(0xff, ICR_FIXED), "not by the broadcast");
    apic_write(APIC_DFR, ~0u);
}

/*
 * An error raises the error interrupt once, until the status register is written. QEMU has no
 * errors, Bochs no interrupt of them.
 */
static void apic_errors(void)
{
    irq_begin();
    trap_set(ERROR_VECTOR, irq_taken);
    apic_write(APIC_ESR, 0);
    apic_write(APIC_LVT_ERROR, ERROR_VECTOR);
    for (unsigned round = 1; round <= 2; round++) {
        apic_icr(0, ICR_SELF | ICR_ASSERT | 3);
        apic_icr(0, ICR_SELF | ICR_ASSERT | 4);
        EXPECT(wait_count(&irq_count[ERROR_VECTOR], round, 10), "round %u: never", round);
        wait_ms(1);
        EXPECT_EQ(irq_count[ERROR_VECTOR], round);
        apic_write(APIC_ESR, 0);
        EXPECT_EQ(apic_read(APIC_ESR), 0x60);
        apic_write(APIC_ESR, 0);
        EXPECT_EQ(apic_read(APIC_ESR), 0);
    }
    mmio_read32(APIC_MMIO + 0x040); /* reserved */
    EXPECT(wait_count(&irq_count[ERROR_VECTOR], 3, 10), "a reserved register is no error");
    apic_write(APIC_ESR, 0);
    EXPECT_EQ(apic_read(APIC_ESR), 0x80);
    apic_write(APIC_LVT_ERROR, APIC_LVT_MASKED);
}

/* The PIT's pin with its line low, and nothing of it on its way. */
static unsigned quiet_pin(void)
{
    u32 flags;
    unsigned pin = ioapic_isa_pin(0, &flags);

    irq_begin();
    pit_start(PIT_ONE_SHOT, 0);
    ioapic_route(pin, VECTOR2, apic_id()); /* Bochs keeps edges of a masked pin */
    wait_ms(1);
    ioapic_route(pin, IOAPIC_MASKED, 0);
    irq_begin();
    return pin;
}

/* Whether an edge arrives; it is waited for, for some time. */
static bool edge_reaches(unsigned pin, u32 low, u32 dest, u32 ms)
{
    u32 before = irq_count[VECTOR];

    ioapic_route(pin, VECTOR | low, dest);
    pit_edge();
    wait_count(&irq_count[VECTOR], before + 1, ms);
    wait_ms(1);
    return irq_count[VECTOR] == before + 1;
}

/* An edge by each destination and mode of a vector. */
static void ioapic_modes(void)
{
    unsigned pin = quiet_pin();

    apic_write(APIC_DFR, ~0u);
    apic_write(APIC_LDR, 0x08000000);
    EXPECT(edge_reaches(pin, 0, apic_id(), 100), "not by its ID");
    EXPECT(edge_reaches(pin, 0, 0xff, 100), "not by the broadcast");
    EXPECT(edge_reaches(pin, IOAPIC_LOGICAL, 0x09, 100), "not by its logical ID");
    EXPECT(edge_reaches(pin, IOAPIC_LOGICAL | IOAPIC_LOWEST, 0x0f, 100), "not by lowest priority");
    EXPECT(!edge_reaches(pin, IOAPIC_LOGICAL, 0x06, 2), "by another one's logical ID");
    EXPECT(!edge_reaches(pin, IOAPIC_LOGICAL | IOAPIC_LOWEST, 0x70, 2), "by another set's");
    ioapic_route(pin, IOAPIC_MASKED, 0);
}

/* HLT with interrupts off is ended by an NMI, here from the I/O APIC. */
static void ioapic_nmi_halted(void)
{
    unsigned pin = quiet_pin();

    trap_set(EXC_NMI, irq_note);
    ioapic_route(pin, IOAPIC_NMI, apic_id());
    irq_self(VECTOR);           /* which does not end it */
    pit_start(PIT_RATE, 12000); /* again and again: one may come before HLT */
    cpu_hlt();
    ioapic_route(pin, IOAPIC_MASKED, 0);
    EXPECT(irq_count[EXC_NMI] >= 1, "HLT ended without");
    EXPECT_EQ(irq_count[VECTOR], 0);
    EXPECT(wait_count(&irq_count[VECTOR], 1, 100), "the interrupt is lost");
}

static u32 entry(void)
{
    return ioapic_read(IOAPIC_REDIR + 2 * UART_PIN);
}

/* Remote IRR from the acceptance of a level to its end, and no second one meanwhile; not in Bochs.
 */
static void ioapic_remote_irr(void)
{
    irq_begin();
    trap_set(VECTOR, on_uart);
    uart_line(false);
    ioapic_route(UART_PIN, IOAPIC_LEVEL | VECTOR, apic_id());
    EXPECT_EQ(entry() & REMOTE_IRR, 0);
    uart_line(true);
    EXPECT(entry() & REMOTE_IRR, "clear, with a request in IRR");
    EXPECT(apic_vector_bit(APIC_IRR, VECTOR), "no request");
    EXPECT(wait_count(&irq_count[VECTOR], 1, 100), "never came");
    wait_ms(1);
    EXPECT_EQ(irq_count[VECTOR], 1);
    EXPECT_EQ(entry() & REMOTE_IRR, 0);
    ioapic_route(UART_PIN, IOAPIC_MASKED | IOAPIC_LEVEL | VECTOR, apic_id());
    uart_line(true);
    wait_ms(1);
    EXPECT_EQ(irq_count[VECTOR], 1);
    ioapic_route(UART_PIN, IOAPIC_LEVEL | VECTOR, apic_id()); /* it is still there */
    EXPECT(wait_count(&irq_count[VECTOR], 2, 100), "not when the mask falls");
    ioapic_route(UART_PIN, IOAPIC_MASKED, 0);
}

/* With the broadcast suppressed a level ends when the I/O APIC is told so. */
static void apic_directed_eoi(void)
{
    REQUIRE(apic_read(APIC_VERSION) & BIT(24), "the broadcast cannot be suppressed");
    REQUIRE((ioapic_read(IOAPIC_VERSION) & 0xff) >= 0x20, "no EOI register");
    irq_begin();
    trap_set(VECTOR, on_uart);
    uart_line(false);
    apic_write(APIC_SVR, (u32)NO_BROADCAST | APIC_SVR_ENABLE | APIC_SPURIOUS_VECTOR);
    ioapic_route(UART_PIN, IOAPIC_LEVEL | VECTOR, apic_id());
    uart_line(true);
    EXPECT(wait_count(&irq_count[VECTOR], 1, 100), "never came");
    EXPECT(entry() & REMOTE_IRR, "the end was broadcast");
    uart_line(true);
    wait_ms(1);
    EXPECT_EQ(irq_count[VECTOR], 1);
    mmio_write32(ioapic_address() + IOAPIC_EOI, VECTOR + 1); /* another one's */
    wait_ms(1);
    EXPECT_EQ(irq_count[VECTOR], 1);
    mmio_write32(ioapic_address() + IOAPIC_EOI, VECTOR);
    EXPECT(wait_count(&irq_count[VECTOR], 2, 100), "not when the I/O APIC is told");
    mmio_write32(ioapic_address() + IOAPIC_EOI, VECTOR);
    EXPECT_EQ(entry() & REMOTE_IRR, 0);
    apic_write(APIC_SVR, APIC_SVR_ENABLE | APIC_SPURIOUS_VECTOR);
    ioapic_route(UART_PIN, IOAPIC_MASKED, 0);
}

/* Each vector has its bits; those of one class come from the highest down, and none nests. */
static void apic_every_vector(void)
{
    irq_begin();
    for (unsigned v = 0x30; v < 0xff; v++) {
        if (v == VECTOR_USER_EXIT)
            continue;
        trap_set((u8)v, irq_taken);
        irq_self((u8)v);
        EXPECT(apic_vector_bit(APIC_IRR, (u8)v), "vector %x is not in IRR", v);
        EXPECT(!apic_vector_bit(APIC_TMR, (u8)v), "vector %x is a level", v);
    }
    cpu_sti();
    wait_ms(1);
    cpu_cli();
    for (unsigned v = 0x30; v < 0xff; v++)
        EXPECT(v == VECTOR_USER_EXIT || irq_count[v] == 1, "vector %x came %u times", v,
               irq_count[v]);
    for (unsigned i = 0; i < sizeof(irq_sequence); i++)
        EXPECT_EQ(irq_sequence[i], 0xfe - i);
}

static const struct check list[] = {
    {"apic_flat", apic_flat, ANYWHERE},
    {"apic_cluster", apic_cluster, ANYWHERE},
    {"apic_errors", apic_errors, SKEP_ONLY},
    {"apic_every_vector", apic_every_vector, ANYWHERE},
    {"apic_directed_eoi", apic_directed_eoi, ANYWHERE},
    {"ioapic_modes", ioapic_modes, ANYWHERE},
    {"ioapic_nmi_halted", ioapic_nmi_halted, ANYWHERE},
    {"ioapic_remote_irr", ioapic_remote_irr, NOT_BARE_BOCHS},
};
CHECK_GROUP(apic_msg, list);
