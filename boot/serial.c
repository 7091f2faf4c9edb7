/* SPDX-License-Identifier: BSD-2-Clause */
/* Where skep's serial line is, and how it is served: see serial.h. */
#include "boot/serial.h"
#include "arch/x86_64/acpi_uart.h"
#include "arch/x86_64/clock.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/devmap.h"
#include "arch/x86_64/ioapic.h"
#include "arch/x86_64/paging.h"
#include "arch/x86_64/panic.h"
#include "arch/x86_64/percpu.h"
#include "arch/x86_64/timer.h"
#include "arch/x86_64/trap.h"
#include "drivers/uart/uart.h"
#include "lib/log.h"

#define POLL_PERIOD_NS 1000000 /* a FIFO is full after 1.4 ms at 115200 baud */
#define COM1           0x3f8
#define REGISTERS      8
#define ISA_GSIS       16
#define ARRIVAL_US     20 /* more than an interrupt takes from the chip to the processor */
#define IDLE_MAX       200

static const struct config_console *wanted;
static struct acpi_uart found; /* its interrupt: irq, or gsi */
static struct timer poll_timer;
static bool card;    /* it is a card on PCI */
static u8 card_line; /* whose ISA interrupt this may be */
static u32 tried;    /* the input looked at now */
static bool arrived;

static bool open_port(u16 port, u32 baud)
{
    const struct uart_place at = {.port = port, .clock = found.clock};

    found.irq = uart_isa_irq(port);
    return uart_open(&at, baud, wanted->rtscts);
}

static bool open_memory(hpa_t hpa, u8 stride, u32 baud)
{
    const struct uart_place at = {.mmio = devmap_add(hpa, (size_t)(REGISTERS * stride), MAP_UC),
                                  .stride = stride,
                                  .clock = found.clock};

    return at.mmio && uart_open(&at, baud, wanted->rtscts);
}

void serial_open(const struct config *c)
{
    wanted = &c->console;
    found.irq = -1;
    found.gsi = -1;
    if (wanted->kind != CONFIG_CONSOLE_PORT)
        uart_await();
    else if (!open_port(wanted->port, wanted->baud))
        return;
    log_set_level(c->log);
    log_set_sink(uart_write_text);
    panic_set_sink(uart_write_polled);
}

static bool open_described(const struct acpi_reader *r, const struct acpi_info *acpi)
{
    if (!acpi_find_uart(r, acpi, &found))
        return false;
    u32 baud = wanted->baud ? wanted->baud : found.baud;
    if (!found.reg.port)
        return open_memory(found.reg.address, found.stride, baud);
    int irq = found.irq;
    bool open = open_port((u16)found.reg.address, baud);
    if (irq >= 0 || found.gsi >= 0)
        found.irq = irq;
    return open;
}

static bool open_card(void)
{
    hpa_t hpa;
    u16 port;

    if (!uart_find_pci(wanted->nth, &port, &hpa, &card_line))
        return false;
    card = port ? open_port(port, wanted->baud) : open_memory(hpa, 1, wanted->baud);
    return card;
}

void serial_find(const struct acpi_reader *r, const struct acpi_info *acpi)
{
    if (wanted->kind == CONFIG_CONSOLE_PORT)
        return;
    if (wanted->kind == CONFIG_CONSOLE_SPCR ? open_described(r, acpi) : open_card())
        return;
    found = (struct acpi_uart){.gsi = -1};
    open_port(COM1, CONFIG_CONSOLE_BAUD);
    log_warn("console=: there is no 16550 %s; the console is COM1",
             wanted->kind == CONFIG_CONSOLE_PCI ? "of that number on PCI"
                                                : "in the firmware's tables (SPCR, DBG2)");
}

static void poll(struct timer *t)
{
    uart_poll();
    timer_arm(t, clock_ns() + POLL_PERIOD_NS);
}

static void start_polling(void)
{
    log_warn("no interrupt of the console's is found: it is polled");
    poll_timer.fn = poll;
    poll(&poll_timer);
}

/*
 * A line that others share may be asserted for ever by one that nobody serves. The chip itself has
 * had its reason taken away now and then by who wrote meanwhile, but not so often in a row.
 */
static void interrupt(void)
{
    static u32 idle;

    idle = uart_interrupt() ? 0 : idle + 1;
    if (idle == IDLE_MAX && (card || found.gsi >= ISA_GSIS)) {
        ioapic_mask((u32)found.gsi);
        start_polling();
    }
}

/* ---- which input a card's interrupt comes to: only AML would tell ---- */

/* In this order: QEMU's I/O APIC sees a level end only at an input that is set for levels. */
static void be_quiet(void)
{
    uart_assert(false);
    ioapic_mask(tried);
}

static void note_arrival(void)
{
    be_quiet();
    arrived = true;
}

static bool arrives(u32 gsi, bool low, bool asserted)
{
    tried = gsi;
    arrived = false;
    if (!ioapic_route(gsi, VEC_UART, cpu_of(0)->apic_id, true, low))
        return false;
    uart_assert(asserted); /* and begin only there */
    clock_delay_us(ARRIVAL_US);
    cpu_take_interrupts();
    be_quiet();
    return arrived;
}

/* Whether the input follows the chip. */
static bool is_ours(u32 gsi, bool low)
{
    for (unsigned i = 0; i < 2; i++)
        if (arrives(gsi, low, false) || !arrives(gsi, low, true))
            return false;
    found.gsi = gsi;
    return ioapic_route(gsi, VEC_UART, cpu_of(0)->apic_id, true, low);
}

static bool find_input(void)
{
    irq_set_handler(VEC_UART, note_arrival);
    uart_flush();
    for (u32 gsi = ISA_GSIS; gsi < 2 * ISA_GSIS; gsi++)
        if (is_ours(gsi, true))
            return true;
    return is_ours(card_line, true) || is_ours(card_line, false);
}

COLD static bool route(void)
{
    if (card)
        return find_input();
    if (found.gsi >= ISA_GSIS) /* as PCI has it */
        return ioapic_route((u32)found.gsi, VEC_UART, cpu_of(0)->apic_id, true, true);
    if (found.gsi >= 0)
        return ioapic_route((u32)found.gsi, VEC_UART, cpu_of(0)->apic_id, false, false);
    return found.irq >= 0 && ioapic_route_isa((unsigned)found.irq, VEC_UART);
}

void serial_connect(void)
{
    bool routed = route();

    irq_set_handler(VEC_UART, interrupt);
    if (routed)
        uart_irq_on();
    else
        start_polling();
}
