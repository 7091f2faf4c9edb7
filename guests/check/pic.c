/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pair of 8259As in all its modes (Intel 8259A data sheet, 231468), on three lines that a guest
 * can drive as it likes: 0 by the PIT's output, 4 by COM1's transmitter, 8 (the slave's first) by
 * the RTC. In order of priority they are 0, 8, 4.
 */
#include "guests/check/check.h"
#include "guests/lib/cmos.h"
#include "guests/lib/console.h"
#include "guests/lib/pit.h"

#define MASTER 0x20
#define SLAVE  0xa0
#define BASE   0x20 /* vector of line 0; the slave's first is BASE + 8 */

#define ICW4     0x01
#define AUTO_EOI 0x02
#define EOI      0x20
#define ISR      0x0b
#define IRR      0x0a
#define POLL     0x0c
#define ELCR     0x4d0

static u8 pic_read(u16 port, u8 what)
{
    out8(port, what);
    return in8(port);
}

static void lower(unsigned line)
{
    switch (line) {
    case 0:
        pit_start(PIT_ONE_SHOT, 0); /* its output is low until the count has run out: 55 ms */
        break;
    case 4:
        out8(COM1 + 1, 0);
        out8(COM1 + 4, 0x03);
        break;
    default:
        cmos_write(0x0b, 0x02);
        cmos_read(0x0c);
    }
}

/* Raises it, and waits for the edge to be latched; it stays up. */
static void raise(unsigned line)
{
    u64 start = rdtsc();

    lower(line);
    switch (line) {
    case 0:
        pit_start(PIT_ONE_SHOT, 2);
        break;
    case 4:
        console_drain();
        out8(COM1 + 4, 0x0b);
        out8(COM1 + 1, 0x02);
        break;
    default:
        cmos_write(0x0a, 0x23); /* 8192 Hz */
        cmos_write(0x0b, 0x42);
    }
    while (!(pic_read(line < 8 ? MASTER : SLAVE, IRR) >> (line & 7) & 1))
        if (rdtsc() - start > tsc_khz * 1000) {
            check_fail("line %u is not requested", line);
            return;
        }
}

static void program(u8 icw4)
{
    static const u8 words[][2] = {{MASTER, 0x11},    {SLAVE, 0x11},   {MASTER + 1, BASE},
                                  {SLAVE + 1, 0x28}, {MASTER + 1, 4}, {SLAVE + 1, 2}};

    for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
        out8(words[i][0], words[i][1]);
    out8(MASTER + 1, icw4);
    out8(SLAVE + 1, icw4);
    out8(MASTER + 1, 0xea);
    out8(SLAVE + 1, 0xfe);
}

/* The lines that came, an octet each, the last one lowest; nothing: 0xff. */
static volatile u32 order;

static void note(const struct trap_frame *f)
{
    order = order << 8 | (u8)(f->vector - BASE);
}

/* Leaves it in service. */
static void on_line(struct trap_frame *f)
{
    note(f);
}

static void set_handlers(trap_fn fn)
{
    for (unsigned i = 0; i < 16; i++)
        trap_set((u8)(BASE + i), fn);
}

/* All three unmasked, nothing requested, INTR to this processor. */
static void begin(u8 icw4)
{
    order = 0xff;
    set_handlers(on_line);
    lower(0);
    lower(4);
    lower(8);
    program(icw4);
    apic_write(APIC_LVT_LINT0, APIC_LVT_EXTINT);
}

static void end(void)
{
    apic_write(APIC_LVT_LINT0, APIC_LVT_MASKED);
    lower(0);
    lower(4);
    lower(8);
    out8(ELCR, 0);
    program(ICW4);
    out8(MASTER + 1, 0xff);
    out8(SLAVE + 1, 0xff);
    cmos_write(0x0a, 0x26);
}

/* What comes if interrupts are let in now, in order. */
static u32 let_in(void)
{
    order = 0xff;
    asm volatile("sti\n nop\n nop\n cli" : : : "memory");
    return order;
}

/* Nothing comes, or what the data sheet has for a request that is no more: number 7. */
static bool none(void)
{
    return let_in() == 0xff || order == 0xff07;
}

static void eoi(unsigned line)
{
    if (line >= 8)
        out8(SLAVE, EOI);
    out8(MASTER, EOI);
}

/* Each is interrupted by the next one up; the topmost raises the lowest again, which waits. */
static volatile u8 in_service[2];

static void on_nested(struct trap_frame *f)
{
    unsigned line = (unsigned)f->vector - BASE;

    note(f);
    if (line == 4 && order == 0xff04) {
        raise(8);
    } else if (line == 8) {
        raise(0);
    } else if (line == 0) {
        raise(4);
        in_service[0] = pic_read(MASTER, ISR);
        in_service[1] = pic_read(SLAVE, ISR);
    }
    asm volatile("sti\n nop\n nop\n cli" : : : "memory");
    eoi(line);
}

static void pic_cascade(void)
{
    begin(ICW4);
    set_handlers(on_nested);
    raise(4);
    in_service[0] = in_service[1] = 0;
    cpu_sti();
    wait_ms(1);
    cpu_cli();
    end();
    EXPECT_EQ(in_service[0], 0x15);
    EXPECT_EQ(in_service[1], 0x01);
    EXPECT_EQ(order, 0x04080004);
}

/*
 * Lower ones wait for the end of a higher one, the slave's for two ends. The highest is raised
 * first: Bochs delivers what it was asked for first, whatever comes before the acknowledge.
 */
static void pic_priority(void)
{
    begin(ICW4);
    raise(0);
    raise(4);
    raise(8);
    EXPECT_EQ(let_in(), 0xff00);
    EXPECT_EQ(let_in(), 0xff);
    out8(MASTER, EOI);
    EXPECT_EQ(let_in(), 0xff08);
    EXPECT_EQ(pic_read(MASTER, ISR), 0x04);
    out8(SLAVE, EOI);
    EXPECT_EQ(let_in(), 0xff);
    out8(MASTER, EOI);
    EXPECT_EQ(let_in(), 0xff04);
    out8(MASTER, 0x64); /* specific */
    EXPECT_EQ(pic_read(MASTER, ISR), 0);
    end();
}

/* A mask holds a request back and forgets none, on either chip and on the cascade. */
static void pic_masks(void)
{
    begin(ICW4);
    out8(SLAVE + 1, 0xff);
    raise(8);
    EXPECT_EQ(let_in(), 0xff);
    out8(MASTER + 1, 0xee); /* the cascade */
    out8(SLAVE + 1, 0xfe);
    EXPECT_EQ(let_in(), 0xff);
    out8(MASTER + 1, 0xea);
    EXPECT_EQ(let_in(), 0xff08);
    eoi(8);
    out8(MASTER + 1, 0xfb);
    raise(4);
    EXPECT_EQ(let_in(), 0xff);
    EXPECT_EQ(in8(MASTER + 1), 0xfb);
    out8(MASTER + 1, 0xea);
    EXPECT_EQ(let_in(), 0xff04);
    eoi(4);
    end();
}

/* A request that ends before anybody has looked is none; QEMU keeps edges for good. */
static void pic_taken_back(void)
{
    begin(ICW4);
    raise(0);
    lower(0);
    EXPECT_EQ(pic_read(MASTER, IRR) & 1, 0);
    EXPECT(none(), "line %x, which was taken back", order);
    end();
}

/* QEMU and Bochs end what is masked too, and QEMU looks at nothing when the mode is set. */
static void pic_special_mask(void)
{
    begin(ICW4);
    raise(0);
    EXPECT_EQ(let_in(), 0xff00);
    raise(4);
    EXPECT_EQ(let_in(), 0xff);
    lower(4);
    out8(MASTER + 1, 0xeb); /* masks what is in service ... */
    EXPECT(none(), "line %x", order);
    out8(MASTER, 0x68); /* ... which then holds back nothing */
    raise(4);
    EXPECT_EQ(let_in(), 0xff04);
    EXPECT_EQ(pic_read(MASTER, ISR), 0x11);
    out8(MASTER, on_skep() ? EOI : 0x64);
    EXPECT_EQ(pic_read(MASTER, ISR), 0x01);
    out8(MASTER, 0x48); /* off */
    out8(MASTER, EOI);
    EXPECT_EQ(pic_read(MASTER, ISR), 0);
    end();
}

static void pic_auto_eoi(void)
{
    begin(ICW4 | AUTO_EOI);
    raise(0);
    EXPECT_EQ(let_in(), 0xff00);
    EXPECT_EQ(pic_read(MASTER, ISR), 0);
    raise(8);
    EXPECT_EQ(let_in(), 0xff08);
    EXPECT_EQ(pic_read(SLAVE, ISR), 0);
    raise(0);
    raise(4);
    raise(8);
    EXPECT_EQ(let_in(), 0xff000804);
    end();
}

static void pic_rotation(void)
{
    begin(ICW4);
    out8(MASTER, 0xc3); /* 3 is lowest, so 4 highest */
    raise(4);
    raise(0);
    EXPECT_EQ(let_in(), 0xff04);
    EXPECT_EQ(let_in(), 0xff);
    out8(MASTER, 0xa0); /* its end, and it is lowest: 0 is above it */
    EXPECT_EQ(let_in(), 0xff00);
    raise(4);
    EXPECT_EQ(let_in(), 0xff);
    out8(MASTER, 0xe0); /* specific, and 0 is lowest */
    EXPECT_EQ(let_in(), 0xff04);
    raise(0);
    EXPECT_EQ(let_in(), 0xff);
    out8(MASTER, EOI);
    EXPECT_EQ(let_in(), 0xff00);
    out8(MASTER, 0x60);
    out8(MASTER, 0xc7); /* as at the beginning */
    end();
}

/* A read behind the poll command is an acknowledge. Bochs ends what it should begin. */
static void pic_poll(void)
{
    begin(ICW4);
    EXPECT_EQ(pic_read(MASTER, POLL) & 0x80, 0);
    raise(4);
    EXPECT_EQ(pic_read(MASTER, POLL) & 0x87, 0x84);
    EXPECT_EQ(pic_read(MASTER, ISR), 0x10);
    EXPECT_EQ(let_in(), 0xff);
    out8(MASTER, EOI);
    raise(8);
    EXPECT_EQ(pic_read(MASTER, POLL) & 0x87, 0x82);
    EXPECT_EQ(pic_read(SLAVE, POLL) & 0x87, 0x80);
    EXPECT_EQ(pic_read(SLAVE, ISR), 1);
    eoi(8);
    EXPECT_EQ(pic_read(MASTER, ISR) | pic_read(SLAVE, ISR), 0);
    EXPECT_EQ(let_in(), 0xff);
    end();
}

/* A level asks again after each end, as long as it is there. */
static void pic_level(void)
{
    begin(ICW4);
    out8(ELCR, 0x10);
    EXPECT_EQ(in8(ELCR), 0x10);
    raise(4);
    for (unsigned i = 0; i < 3; i++) {
        EXPECT_EQ(let_in(), 0xff04);
        EXPECT_EQ(let_in(), 0xff);
        out8(MASTER, EOI);
    }
    lower(4);
    EXPECT(none(), "line %x", order);
    out8(MASTER, EOI);
    out8(ELCR, 0);
    raise(4);
    EXPECT_EQ(let_in(), 0xff04);
    out8(MASTER, EOI);
    EXPECT_EQ(let_in(), 0xff); /* an edge does not */
    end();
}

/* Initialisation forgets masks, service and latched edges. */
static void pic_initialisation(void)
{
    begin(ICW4);
    raise(0);
    EXPECT_EQ(let_in(), 0xff00);
    raise(4);
    out8(MASTER + 1, 0x5a);
    program(ICW4);
    EXPECT_EQ(in8(MASTER), 0); /* IRR is what is read now */
    EXPECT_EQ(pic_read(MASTER, ISR), 0);
    EXPECT_EQ(let_in(), 0xff);
    raise(4); /* its line was up: down and up again */
    EXPECT_EQ(let_in(), 0xff04);
    end();
}

static void imcr_write(u8 value)
{
    out8(0x22, 0x70);
    out8(0x23, value);
}

/* A kernel that sets the IMCR has its interrupts by LINT0, whether there is one or not. */
static void pic_imcr(void)
{
    begin(ICW4);
    imcr_write(1);
    raise(0);
    EXPECT_EQ(let_in(), 0xff00);
    out8(MASTER, EOI);
    end();
}

/* Bochs' processor has no LINT0. */
static void pic_lint0_masked(void)
{
    begin(ICW4);
    apic_write(APIC_LVT_LINT0, APIC_LVT_MASKED | APIC_LVT_EXTINT);
    raise(4);
    EXPECT_EQ(let_in(), 0xff);
    apic_write(APIC_LVT_LINT0, APIC_LVT_EXTINT);
    EXPECT_EQ(let_in(), 0xff04);
    end();
}

/* In PIC mode the local APIC has no say (MP Specification 1.4, 3.6.2.1). */
static void pic_mode(void)
{
    begin(ICW4);
    apic_write(APIC_LVT_LINT0, APIC_LVT_MASKED);
    raise(0);
    EXPECT_EQ(let_in(), 0xff);
    imcr_write(0);
    EXPECT_EQ(let_in(), 0xff00);
    out8(MASTER, EOI);
    raise(8);
    apic_write(APIC_TPR, 0xf0);
    EXPECT_EQ(let_in(), 0xff08);
    eoi(8);
    imcr_write(1);
    raise(4);
    EXPECT_EQ(let_in(), 0xff);
    apic_write(APIC_TPR, 0);
    end();
}

/* Through pin 0 of the I/O APIC, where the MP table has INTR too: one message for each request. */
static void pic_through_ioapic(void)
{
    begin(ICW4 | AUTO_EOI);
    apic_write(APIC_LVT_LINT0, APIC_LVT_MASKED);
    ioapic_route(0, 0x700, apic_id());
    raise(8);
    EXPECT_EQ(let_in(), 0xff08);
    raise(4);
    raise(0);
    EXPECT_EQ(let_in(), 0xff0004);
    ioapic_route(0, IOAPIC_MASKED, 0);
    end();
}

static void on_fixed(struct trap_frame *f)
{
    (void)f;
    order = order << 8 | 0xf0;
    apic_eoi();
}

/*
 * LINT0 as a plain interrupt: one for each rise of INTR, which nobody acknowledges. QEMU does so
 * besides, by itself.
 */
static void pic_lint0_fixed(void)
{
    begin(ICW4);
    trap_set(0x60, on_fixed);
    apic_write(APIC_LVT_LINT0, 0x60);
    raise(4);
    EXPECT_EQ(let_in(), 0xfff0);
    EXPECT_EQ(let_in(), 0xff);
    EXPECT_EQ(pic_read(MASTER, POLL) & 0x87, 0x84);
    out8(MASTER, EOI);
    raise(0);
    EXPECT_EQ(let_in(), 0xfff0);
    end();
}

static const struct check list[] = {
    {"pic_cascade", pic_cascade, ANYWHERE},
    {"pic_priority", pic_priority, ANYWHERE},
    {"pic_masks", pic_masks, ANYWHERE},
    {"pic_taken_back", pic_taken_back, NOT_BARE_TCG},
    {"pic_special_mask", pic_special_mask, ANYWHERE},
    {"pic_auto_eoi", pic_auto_eoi, ANYWHERE},
    {"pic_rotation", pic_rotation, ANYWHERE},
    {"pic_poll", pic_poll, NOT_BARE_BOCHS},
    {"pic_level", pic_level, ANYWHERE},
    {"pic_initialisation", pic_initialisation, ANYWHERE},
    {"pic_imcr", pic_imcr, ANYWHERE},
    {"pic_lint0_masked", pic_lint0_masked, NOT_BARE_BOCHS},
    {"pic_mode", pic_mode, SKEP_ONLY},
    {"pic_through_ioapic", pic_through_ioapic, SKEP_ONLY},
    {"pic_lint0_fixed", pic_lint0_fixed, SKEP_ONLY},
};
CHECK_GROUP(pic, list);
