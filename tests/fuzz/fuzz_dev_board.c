/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A board of devices, driven by the fuzzer's bytes: any access to any port and to the HPET, time
 * that jumps, console input, acknowledges, interrupts that wait. What must hold whatever the guest
 * does is checked after each step.
 */
#include <stdlib.h>
#include <string.h>
#include "vmm/dev/acpipm.h"
#include "vmm/dev/hpet.h"
#include "vmm/dev/pcihost.h"
#include "vmm/dev/pic.h"
#include "vmm/dev/pit.h"
#include "vmm/dev/post.h"
#include "vmm/dev/reset.h"
#include "vmm/dev/rtc.h"
#include "vmm/dev/testdev.h"
#include "vmm/dev/vuart.h"

#define CHECK(e) ((e) ? (void)0 : abort())

struct world {
    struct bus ports, mmio;
    struct pic pic;
    struct pit pit;
    struct rtc rtc;
    struct acpipm pm;
    struct vuart uart;
    struct reset reset;
    struct pcihost pci;
    struct post post;
    struct testdev testdev;
    struct hpet hpet;
    bool legacy;
    unsigned waits; /* how interrupts wait to be taken: ticks.h */
    u8 memory[TESTDEV_SIZE];
    u64 now, out_bytes;
    bool intr, level[24], feeding;
    unsigned changes;
};

static void set_line(void *arg, unsigned line, bool level)
{
    struct world *w = arg;

    CHECK(line < 24);
    w->level[line] = level;
    pic_set_line(&w->pic, line, level);
}

static void set_intr(void *arg, unsigned line, bool level)
{
    struct world *w = arg;

    (void)line;
    CHECK(w->intr != level); /* only changes are told */
    w->intr = level;
}

static void set_legacy(void *arg, bool taken)
{
    struct world *w = arg;

    CHECK(w->legacy != taken);
    w->legacy = taken;
}

static void on_send(void *arg, const struct apic_msg *msg)
{
    (void)arg;
    CHECK(msg->mode < 8 && !msg->deassert);
}

static unsigned line_waits(void *arg, unsigned line)
{
    CHECK(line < 24);
    return ((struct world *)arg)->waits;
}

static unsigned message_waits(void *arg, const struct apic_msg *msg)
{
    (void)msg;
    return ((struct world *)arg)->waits;
}

static const struct hpet_ops hpet_ops = {.line = set_line,
                                         .legacy = set_legacy,
                                         .send = on_send,
                                         .line_waits = line_waits,
                                         .message_waits = message_waits};

static void changed(void *arg)
{
    ((struct world *)arg)->changes++;
}

static u32 on_tx(void *arg, u8 byte)
{
    ((struct world *)arg)->out_bytes++;
    return byte & 0x80 ? byte * 1000u : 0;
}

static void on_room(void *arg, u64 now_ns)
{
    struct world *w = arg;

    if (w->feeding)
        vuart_receive(&w->uart, (const u8 *)"0123456789abcdefghij", 20, now_ns);
}

static const struct vuart_ops uart_ops = {on_tx, on_room, NULL};

static void on_exit_status(void *arg, u32 status)
{
    (void)arg, (void)status;
}

static void on_putc(void *arg, u8 byte)
{
    on_tx(arg, byte);
}

static const struct testdev_ops test_ops = {on_exit_status, on_putc, set_line};

static void on_sleep(void *arg, unsigned type)
{
    (void)arg;
    CHECK(type < 8);
}

static void on_reset(void *arg, enum reset_source source)
{
    (void)arg;
    CHECK(source <= RESET_8042);
}

static void build(struct world *w)
{
    struct timer_out timer = {changed, w};

    memset(w, 0, sizeof(*w));
    w->now = 1000000000;
    bus_init(&w->ports);
    bus_init(&w->mmio);
    pic_init(&w->pic, (struct irq_out){set_intr, w, 0});
    pit_init(&w->pit, w->now, (struct irq_out){set_line, w, 0}, timer);
    w->pit.waits = line_waits;
    hpet_init(&w->hpet, &hpet_ops, w, timer);
    rtc_init(&w->rtc, 1709164790, w->now, (struct irq_out){set_line, w, 8}, timer);
    acpipm_init(&w->pm, true, (struct irq_out){set_line, w, ACPIPM_SCI}, timer, on_sleep, w);
    vuart_init(&w->uart, &uart_ops, w, (struct irq_out){set_line, w, 4}, timer);
    reset_init(&w->reset, on_reset, w);
    pcihost_init(&w->pci);
    post_init(&w->post);
    testdev_init(&w->testdev, w->memory, &test_ops, w);
    CHECK(!pic_attach(&w->pic, &w->ports) && !pit_attach(&w->pit, &w->ports) &&
          !rtc_attach(&w->rtc, &w->ports) && !acpipm_attach(&w->pm, &w->ports) &&
          !vuart_attach(&w->uart, &w->ports, 0x3f8) && !reset_attach(&w->reset, &w->ports) &&
          !pcihost_attach(&w->pci, &w->ports) && !post_attach(&w->post, &w->ports));
    testdev_attach(&w->testdev, &w->ports, &w->mmio);
    hpet_attach(&w->hpet, &w->mmio);
    CHECK(!w->ports.err && !w->mmio.err);
}

static void tick_all(struct world *w)
{
    pit_tick(&w->pit, w->now);
    rtc_tick(&w->rtc, w->now);
    acpipm_tick(&w->pm, w->now);
    vuart_tick(&w->uart, w->now);
    hpet_tick(&w->hpet, w->now);
    /* A tick leaves no deadline behind it. */
    CHECK(pit_deadline(&w->pit) > w->now);
    CHECK(rtc_deadline(&w->rtc) > w->now);
    CHECK(acpipm_deadline(&w->pm) > w->now);
    CHECK(vuart_deadline(&w->uart) > w->now);
    CHECK(hpet_deadline(&w->hpet) > w->now);
}

static void access_bus(struct world *w, struct bus *bus, u64 addr, u8 size, bool write, u64 value)
{
    struct bus_access acc = {
        .addr = addr, .size = size, .write = write, .value = value, .now_ns = w->now};

    if (bus_access(bus, &acc) && !write)
        CHECK(!(acc.value & ~bus_open(size)));
}

/* Ports that the models claim, so that the fuzzer need not find them. */
static const u16 port_base[16] = {0x20,  0xa0,  0x40,  0x60,  0x70,  0x80,  0x3f8, 0x3fc,
                                  0x600, 0x604, 0x608, 0xcf8, 0xcfc, 0x4d0, 0xe0,  0x2000};

static void step(struct world *w, const u8 *b)
{
    u16 port = (u16)(port_base[b[0] & 15] + (b[1] & 7));
    u8 size = (u8)(1 << (b[1] >> 3 & 3));
    u64 value = (u64)b[2] | (u64)b[3] << 8 | (u64)b[2] << 16 | (u64)b[3] << 24;

    switch (b[0] >> 4) {
    case 0 ... 5:
        access_bus(w, &w->ports, port, size > 4 ? 1 : size, true, value & bus_open(size));
        break;
    case 6 ... 8:
        access_bus(w, &w->ports, port, size > 4 ? 1 : size, false, 0);
        break;
    case 9:
        access_bus(w, &w->mmio, HPET_GPA + 4 * (u64)b[1], size, b[2] & 1, value);
        break;
    case 10:
        access_bus(w, &w->mmio, TESTDEV_GPA + (u64)b[1] * 257, size, b[2] & 1, value);
        break;
    case 11:
        w->now += (value & 0xffff) << (b[1] & 31);
        tick_all(w);
        break;
    case 12:
        CHECK(vuart_receive(&w->uart, (const u8 *)"pasted text, more than fits", b[1] & 15,
                            w->now) <= 16);
        w->feeding = b[1] & 0x80;
        w->waits = b[1] & 0x20 ? TICKS_LATE : b[1] >> 4 & TICKS_WAITS;
        break;
    case 13:
        if (w->intr)
            pic_ack(&w->pic);
        break;
    case 14:
        vuart_set_modem(&w->uart, b[1]);
        acpipm_power_button(&w->pm, w->now);
        break;
    default:
        w->now += b[1];
        break;
    }
    CHECK(w->intr == pic_output(&w->pic));
    CHECK(w->legacy == hpet_legacy(&w->hpet));
    for (unsigned i = 0; i < HPET_TIMERS; i++)
        CHECK(w->hpet.s.t[i].owed.count <= TICKS_OWED);
    CHECK(w->uart.s.count <= VUART_FIFO && w->uart.s.head < VUART_FIFO);
    for (unsigned i = 0; i < 3; i++)
        CHECK(w->pit.s.c[i].count >= 1 && w->pit.s.c[i].count <= 65536);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static struct world w;

    build(&w);
    for (size_t i = 0; i + 4 <= size && i < 4096; i += 4)
        step(&w, data + i);
    return 0;
}
