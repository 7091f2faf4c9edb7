/* SPDX-License-Identifier: BSD-2-Clause */
/* Port I/O: open bus, PCI, the UART, INS and OUTS (SDM 1, chapter 19; PC16550D). */
#include "guests/check/check.h"
#include "guests/lib/paging.h"
#include "lib/string.h"

#define UART_SCRATCH (COM1 + 7)

static void ports_open_bus(void)
{
    static const u16 ports[] = {0x5f0, 0x6f0, 0x9000, 0xeff0};

    for (unsigned i = 0; i < ARRAY_SIZE(ports); i++) {
        u16 p = ports[i];

        EXPECT(in8(p) == 0xff && in16(p) == 0xffff && in32(p) == 0xffffffff,
               "port %x: %02x %04x %08x", p, in8(p), in16(p), in32(p));
        out8(p, 0);
        out16(p, 0);
        out32(p, 0);
    }
    EXPECT_EQ(in8(0xffff), 0xff);
}

static void ports_no_pci(void)
{
    out32(0xcf8, 0x80000000);
    EXPECT_EQ(in32(0xcf8), 0x80000000);
    for (u32 device = 0; device < 32; device++) {
        out32(0xcf8, 0x80000000 | device << 11);
        EXPECT(in32(0xcfc) == 0xffffffff, "device %u: %08x", device, in32(0xcfc));
        EXPECT(in16(0xcfe) == 0xffff && in8(0xcfd) == 0xff, "device %u", device);
    }
}

static void ports_post(void)
{
    out8(0x80, 0x55);
    out16(0x80, 0x1234);
    out8(0xed, 0);
}

static void uart_scratch(void)
{
    for (unsigned i = 0; i < 256; i++) {
        out8(UART_SCRATCH, (u8)i);
        EXPECT_EQ(in8(UART_SCRATCH), i);
    }
}

static void uart_loopback(void)
{
    console_drain();
    out8(COM1 + 4, 0x1b);                  /* loop, OUT2, RTS, DTR */
    EXPECT_EQ(in8(COM1 + 6) & 0xf0, 0xb0); /* DCD DSR CTS follow OUT2 DTR RTS */
    out8(COM1 + 4, 0x10);
    EXPECT_EQ(in8(COM1 + 6) & 0xf0, 0x00);
    out8(COM1, 0xa5);
    for (unsigned i = 0; i < 100000 && !(in8(COM1 + 5) & 1); i++)
        cpu_pause();
    EXPECT_EQ(in8(COM1 + 5) & 1, 1);
    EXPECT_EQ(in8(COM1), 0xa5);
    EXPECT_EQ(in8(COM1 + 5) & 1, 0);
    out8(COM1 + 4, 0x03);
}

static volatile u32 uart_count;
static volatile u8 uart_iir;

static void on_uart(struct trap_frame *f)
{
    (void)f;
    uart_iir = in8(COM1 + 2);
    uart_count++;
    apic_eoi();
}

/* The transmitter is empty: enabling its interrupt raises it, again and again. */
static void uart_thre_interrupt(void)
{
    u32 flags;
    unsigned pin = ioapic_isa_pin(4, &flags);

    console_drain();
    trap_set(0x59, on_uart);
    ioapic_route(pin, flags | 0x59, apic_id());
    out8(COM1 + 4, 0x0b);
    for (u32 i = 1; i <= 3; i++) {
        uart_count = 0;
        out8(COM1 + 1, 0x02);
        EXPECT(wait_count(&uart_count, 1, 200), "round %u: no interrupt", i);
        EXPECT_EQ(uart_iir & 0x0f, 0x02);
        EXPECT_EQ(in8(COM1 + 2) & 0x0f, 0x01);
        out8(COM1 + 1, 0x00);
    }
    out8(COM1 + 4, 0x03);
}

static void uart_divisor(void)
{
    u8 lcr = in8(COM1 + 3);

    console_drain();
    out8(COM1 + 3, 0x80 | lcr);
    out8(COM1, 0x34);
    out8(COM1 + 1, 0x12);
    EXPECT_EQ(in8(COM1), 0x34);
    EXPECT_EQ(in8(COM1 + 1), 0x12);
    out8(COM1, 0);
    out8(COM1 + 1, 0); /* divisor 0 */
    EXPECT_EQ(in8(COM1), 0);
    out8(COM1, 1);
    out8(COM1 + 3, lcr);
    EXPECT_EQ(in8(COM1 + 3), lcr);
}

/* A string instruction with its registers before and after. */
struct string_io {
    ulong address; /* RSI or RDI */
    ulong count;
};

static void outs(struct string_io *s, u16 port, unsigned width)
{
    if (width == 1)
        asm volatile("rep outsb" : "+S"(s->address), "+c"(s->count) : "d"(port) : "memory");
    else if (width == 2)
        asm volatile("rep outsw" : "+S"(s->address), "+c"(s->count) : "d"(port) : "memory");
    else
        asm volatile("rep outsl" : "+S"(s->address), "+c"(s->count) : "d"(port) : "memory");
}

static void ins(struct string_io *s, u16 port, unsigned width)
{
    if (width == 1)
        asm volatile("rep insb" : "+D"(s->address), "+c"(s->count) : "d"(port) : "memory");
    else if (width == 2)
        asm volatile("rep insw" : "+D"(s->address), "+c"(s->count) : "d"(port) : "memory");
    else
        asm volatile("rep insl" : "+D"(s->address), "+c"(s->count) : "d"(port) : "memory");
}

static void string_outsb(void)
{
    struct string_io s = {(ulong)scratch[0], 7};

    memcpy(scratch[0], "abcdefgh", 8);
    outs(&s, UART_SCRATCH, 1);
    EXPECT_EQ(s.count, 0);
    EXPECT_EQ(s.address, (ulong)scratch[0] + 7);
    EXPECT_EQ(in8(UART_SCRATCH), 'g');
}

static void string_insb(void)
{
    struct string_io s = {(ulong)scratch[0] + 1, 5};

    memset(scratch[0], 0, 16);
    out8(UART_SCRATCH, 0x3c);
    ins(&s, UART_SCRATCH, 1);
    EXPECT_EQ(s.count, 0);
    EXPECT_EQ(s.address, (ulong)scratch[0] + 6);
    EXPECT(memcmp(scratch[0], "\0\x3c\x3c\x3c\x3c\x3c\0", 7) == 0, "memory is wrong");
}

static void string_widths(void)
{
    for (unsigned width = 1; width <= 4; width *= 2) {
        struct string_io s = {(ulong)scratch[0], 3};

        memset(scratch[0], 0, 16);
        ins(&s, 0x5f0, width);
        EXPECT_EQ(s.address, (ulong)scratch[0] + 3 * width);
        for (unsigned i = 0; i < 16; i++)
            EXPECT_EQ(scratch[0][i], i < 3 * width ? 0xff : 0);
    }
}

static void string_backwards(void)
{
    ulong di = (ulong)scratch[0] + 8;
    ulong n = 3;

    memset(scratch[0], 0, 16);
    out8(UART_SCRATCH, 0x77);
    asm volatile("std\n rep insb\n cld" : "+D"(di), "+c"(n) : "d"((u16)UART_SCRATCH) : "memory");
    EXPECT_EQ(di, (ulong)scratch[0] + 5);
    EXPECT_EQ(n, 0);
    EXPECT(memcmp(scratch[0] + 5, "\0\x77\x77\x77\0", 5) == 0, "memory is wrong");
}

static void string_count_zero(void)
{
    struct string_io s = {(ulong)scratch[0], 0};

    scratch[0][0] = 0x12;
    ins(&s, UART_SCRATCH, 1);
    EXPECT_EQ(s.address, (ulong)scratch[0]);
    EXPECT_EQ(scratch[0][0], 0x12);
    s.address = TEST_GLA; /* not even looked at */
    paging_map(TEST_GLA, 0, 0);
    ins(&s, UART_SCRATCH, 1);
    outs(&s, UART_SCRATCH, 1);
    EXPECT_EQ(s.address, TEST_GLA);
}

/* REP OUTSB fills the transmitter's FIFO, REP INSB empties the receiver's. */
static void uart_string_io(void)
{
    struct string_io s = {(ulong)scratch[0], 16};

    console_drain();
    out8(COM1 + 4, 0x13); /* loop */
    out8(COM1 + 2, 0x07); /* FIFOs on and empty */
    memcpy(scratch[0], "sixteen bytes ok", 16);
    outs(&s, COM1, 1);
    EXPECT_EQ(s.count, 0);
    EXPECT_EQ(s.address, (ulong)scratch[0] + 16);
    for (unsigned i = 0; i < 10000000 && !(in8(COM1 + 5) & 0x40); i++)
        cpu_pause();
    EXPECT_EQ(in8(COM1 + 5), 0x61); /* data, transmitter empty, nothing lost */
    s = (struct string_io){(ulong)scratch[1], 16};
    ins(&s, COM1, 1);
    EXPECT(memcmp(scratch[1], "sixteen bytes ok", 16) == 0, "other bytes came back");
    EXPECT_EQ(in8(COM1 + 5), 0x60);
    out8(COM1 + 4, 0x03);
}

static void string_once(void)
{
    ulong di = (ulong)scratch[0];

    out8(UART_SCRATCH, 0x42);
    asm volatile("insb" : "+D"(di) : "d"((u16)UART_SCRATCH) : "memory");
    EXPECT_EQ(di, (ulong)scratch[0] + 1);
    EXPECT_EQ(scratch[0][0], 0x42);
}

/* Many: more than any hypervisor would do in one go. */
static void string_many(void)
{
    struct string_io s = {(ulong)scratch[0], sizeof(scratch)};

    memset(scratch, 0, sizeof(scratch));
    out8(UART_SCRATCH, 0x6b);
    ins(&s, UART_SCRATCH, 1);
    EXPECT_EQ(s.count, 0);
    EXPECT_EQ(s.address, (ulong)scratch + sizeof(scratch));
    for (unsigned i = 0; i < sizeof(scratch); i++)
        EXPECT_EQ(scratch[i / 4096][i % 4096], 0x6b);
}

static ulong fault_regs[2];
SNIPPET(ins_fault,
        ARG "push " REG(di) "\n mov " REG(ax) ", " REG(di) "\n mov $0x3ff, %edx\n mov $8, %ecx\n",
        "rep insb\n pop " REG(di));

static void on_string_fault(struct trap_frame *f)
{
    fault_regs[0] = f->gpr[RDI];
    fault_regs[1] = f->gpr[RCX];
    paging_map(TEST_GLA + 4096, (ulong)scratch[1], PTE_P | PTE_W);
}

/* The second page is absent: the fault shows what was done; mapped, the rest follows. */
static void string_fault_in_the_middle(void)
{
    memset(scratch, 0, sizeof(scratch));
    out8(UART_SCRATCH, 0x2d);
    paging_map(TEST_GLA, (ulong)scratch[0], PTE_P | PTE_W);
    paging_map(TEST_GLA + 4096, 0, 0);
    trap_set(EXC_PF, on_string_fault);
    ins_fault((void *)(TEST_GLA + 4093));
    trap_set(EXC_PF, NULL);
    EXPECT_EQ(fault_regs[1], 5);
    EXPECT_EQ(fault_regs[0], TEST_GLA + 4096);
    EXPECT(memcmp(scratch[0] + 4092, "\0\x2d\x2d\x2d\x2d\x2d\x2d\x2d\x2d\0", 10) == 0,
           "memory is wrong");
}

static void string_read_only(void)
{
    paging_map(TEST_GLA, (ulong)scratch[0], PTE_P);
    scratch[0][0] = 9;
    EXPECT_TRAP(ins_fault, (void *)TEST_GLA, EXC_PF, PF_P | PF_W, ins_fault_at);
    EXPECT_EQ(check_last.cr2, TEST_GLA);
    EXPECT_EQ(scratch[0][0], 9);
}

static void string_privilege(void)
{
    check_trap_user(ins_fault, scratch[0], EXC_GP, 0, ins_fault_at);
}

static void testdev_bytes(void)
{
    REQUIRE(have_testdev(), "no testdev");
    for (unsigned width = 1; width <= 4; width *= 2) {
        out32(TESTDEV_BYTES, 0x44332211);
        if (width == 1)
            out8(TESTDEV_BYTES, 0xaa);
        else if (width == 2)
            out16(TESTDEV_BYTES, 0xbbaa);
        else
            out32(TESTDEV_BYTES, 0xddccbbaa);
        EXPECT_EQ(in8(TESTDEV_BYTES), 0xaa);
        EXPECT_EQ(in16(TESTDEV_BYTES) & 0xff, 0xaa);
    }
    out32(TESTDEV_BYTES, 0x04030201);
    EXPECT_EQ(in32(TESTDEV_BYTES), 0x04030201);
}

static volatile u32 line_count;

static void on_line(struct trap_frame *f)
{
    (void)f;
    line_count++;
    out8(TESTDEV_LINES + 5, 0);
    apic_eoi();
}

static void testdev_lines(void)
{
    REQUIRE(have_testdev(), "no testdev");
    line_count = 0;
    trap_set(0x5a, on_line);
    ioapic_route(5, 0x5a, apic_id());
    for (u32 i = 1; i <= 3; i++) {
        out8(TESTDEV_LINES + 5, 1);
        EXPECT(wait_count(&line_count, i, 200), "edge %u: no interrupt", i);
    }
    ioapic_route(5, IOAPIC_LEVEL | 0x5a, apic_id());
    out8(TESTDEV_LINES + 5, 1);
    EXPECT(wait_count(&line_count, 4, 200), "level: no interrupt");
    wait_ms(1);
    EXPECT_EQ(line_count, 4);
}

static const struct check list[] = {
    {"ports_open_bus", ports_open_bus, ANYWHERE},
    {"ports_no_pci", ports_no_pci, SKEP_ONLY},
    {"ports_post", ports_post, ANYWHERE},
    {"uart_scratch", uart_scratch, ANYWHERE},
    {"uart_loopback", uart_loopback, ANYWHERE},
    {"uart_thre_interrupt", uart_thre_interrupt, ANYWHERE},
    {"uart_divisor", uart_divisor, ANYWHERE},
    {"string_outsb", string_outsb, ANYWHERE},
    {"string_insb", string_insb, ANYWHERE},
    {"string_widths", string_widths, ANYWHERE},
    {"string_backwards", string_backwards, ANYWHERE},
    {"string_count_zero", string_count_zero, ANYWHERE},
    {"string_once", string_once, ANYWHERE},
    {"uart_string_io", uart_string_io, ANYWHERE},
    {"string_many", string_many, ANYWHERE},
    {"string_fault_in_the_middle", string_fault_in_the_middle, ANYWHERE},
    {"string_read_only", string_read_only, ANYWHERE},
    {"string_privilege", string_privilege, ANYWHERE},
    {"testdev_bytes", testdev_bytes, ANYWHERE},
    {"testdev_lines", testdev_lines, ANYWHERE},
};
CHECK_GROUP(ports, list);
