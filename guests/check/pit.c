/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The 8254's modes, seen at counter 2, whose gate and output are bits of port 0x61 (Intel 8254 data
 * sheet, 231164). QEMU's counters do not stop with their gate, and have no null count: its time
 * goes on from the last count written.
 */
#include "guests/check/check.h"

#define CONTROL 0x43
#define COUNTER 0x42
#define PORT_B  0x61
#define GATE    0x01
#define OUT     0x20

#define MODE(n)   (0xb0 | (n) << 1) /* counter 2, low byte, then high */
#define LATCH     0x80
#define STATUS    0xe8 /* read-back, of counter 2 alone */
#define COUNT_TOO 0xc8

static void gate(bool on)
{
    out8(PORT_B, (u8)((in8(PORT_B) & 0x0c) | (on ? GATE : 0)));
}

static void program(unsigned mode, u16 count)
{
    out8(CONTROL, (u8)MODE(mode));
    out8(COUNTER, (u8)count);
    out8(COUNTER, (u8)(count >> 8));
}

static bool out(void)
{
    return in8(PORT_B) & OUT;
}

static u16 value(void)
{
    u8 low = in8(COUNTER);

    return (u16)(low | in8(COUNTER) << 8);
}

static u16 latched(void)
{
    out8(CONTROL, LATCH);
    return value();
}

static u8 status(void)
{
    out8(CONTROL, STATUS);
    return in8(COUNTER);
}

/* Waits for the output to be so, a second at most. */
static bool wait_out(bool high)
{
    u64 start = rdtsc();

    while (out() != high)
        if (rdtsc() - start > tsc_khz * 1000)
            return false;
    return true;
}

/* Low from the control word on until the count has run out; the gate stops the count. */
static void pit_mode_0(void)
{
    u16 stopped;

    gate(true);
    program(0, 12000); /* 10 ms */
    EXPECT(!out(), "high before the end");
    gate(false);
    stopped = latched();
    EXPECT(stopped <= 12000 && stopped > 1, "count %u", stopped);
    wait_ms(15);
    EXPECT_EQ(latched(), stopped);
    EXPECT(!out(), "high without its gate");
    gate(true);
    EXPECT(wait_out(true), "never high");
    wait_ms(1);
    EXPECT(out(), "low again");
    out8(CONTROL, MODE(0));
    EXPECT(!out(), "high behind the control word");
}

/* The gate's rise starts the one shot, and starts it again. */
static void pit_mode_1(void)
{
    gate(false);
    program(1, 12000);
    wait_ms(1);
    EXPECT(out(), "low without a trigger");
    gate(true);
    EXPECT(wait_out(false), "no shot");
    gate(false);
    EXPECT(!out(), "the gate's fall ends it");
    EXPECT(wait_out(true), "no end");
    gate(true);
    EXPECT(wait_out(false), "no second shot");
    EXPECT(wait_out(true), "no end of it");
}

/* The rate generator and the square wave are high without their gate, and go round with it. */
static void pit_modes_2_3(void)
{
    gate(true);
    program(3, 6000);
    for (unsigned i = 0; i < 4; i++)
        EXPECT(wait_out(i & 1), "half %u does not end", i);
    gate(false);
    EXPECT(wait_out(true), "low without its gate");
    wait_ms(4);
    EXPECT(out(), "the gate does not stop it");
    gate(true);
    EXPECT(wait_out(false), "it does not go on");
    program(2, 6000);
    for (unsigned i = 0; i < 200; i++) {
        u16 now = latched();

        EXPECT(now >= 1 && now <= 6000, "count %u", now);
    }
}

static void pit_status(void)
{
    gate(true);
    out8(CONTROL, MODE(3));
    EXPECT_EQ(status() & 0x7f, 0x40 | 0x36); /* null count: none is there yet */
    out8(COUNTER, 0x00);
    EXPECT_EQ(status() & 0x40, 0x40);
    out8(COUNTER, 0x80);
    wait_ms(1);
    EXPECT_EQ(status() & 0x7f, 0x36);
    program(0, 0);
    wait_ms(1);
    EXPECT_EQ(status(), 0x30);
    out8(CONTROL, MODE(5));
    EXPECT_EQ(status() & 0xbf, 0x80 | 0x3a);
    program(0, 60);
    wait_ms(1);
    EXPECT_EQ(status(), 0x80 | 0x30);
}

/* A latched count stays until it is read, whatever is latched meanwhile; both with the status. */
static void pit_latches(void)
{
    u16 first, second;
    u8 how;

    gate(true);
    program(2, 0);
    out8(CONTROL, LATCH);
    wait_ms(2);
    out8(CONTROL, LATCH); /* ignored */
    first = value();
    second = latched();
    EXPECT((u16)(first - second) > 1000, "%u, and 2 ms later %u", first, second);
    out8(CONTROL, COUNT_TOO);
    wait_ms(2);
    out8(CONTROL, COUNT_TOO);
    how = in8(COUNTER);
    first = value();
    second = latched();
    EXPECT_EQ(how & 0x3f, 0x34);
    EXPECT((u16)(first - second) > 1000, "%u, and 2 ms later %u", first, second);
}

/* One byte alone, either; and decimal digits. */
static void pit_formats(void)
{
    gate(false);         /* it stands at what was written */
    out8(CONTROL, 0x90); /* mode 0, low */
    out8(COUNTER, 0x5a);
    wait_ms(1);
    EXPECT_EQ(in8(COUNTER), 0x5a);
    EXPECT_EQ(in8(COUNTER), 0x5a);
    out8(CONTROL, 0xa0); /* high */
    out8(COUNTER, 0x12);
    wait_ms(1);
    EXPECT_EQ(in8(COUNTER), 0x12);
    gate(true);
    out8(CONTROL, MODE(0) | 1);
    out8(COUNTER, 0x00);
    out8(COUNTER, 0x80); /* 8000 */
    for (unsigned i = 0; i < 100; i++) {
        u16 now = latched();

        for (unsigned digit = 0; digit < 16; digit += 4)
            EXPECT((now >> digit & 15) <= 9, "count %x", now);
        if (!out())
            EXPECT(now <= 0x8000, "count %x", now);
    }
}

/* The enables of parity and channel checks stay too; QEMU and Bochs have the low two bits alone. */
static void port_61(void)
{
    u8 bits = on_skep() ? 0x0d : 0x01;

    for (unsigned v = 0; v < 16; v++) {
        out8(PORT_B, (u8)(v & ~2u)); /* no sound */
        EXPECT_EQ(in8(PORT_B) & bits, v & bits);
    }
    out8(PORT_B, 0);
}

static const struct check list[] = {
    {"pit_mode_0", pit_mode_0, NOT_BARE_TCG},
    {"pit_mode_1", pit_mode_1, NOT_BARE_TCG},
    {"pit_modes_2_3", pit_modes_2_3, NOT_BARE_TCG},
    {"pit_status", pit_status, NOT_BARE_TCG},
    {"pit_latches", pit_latches, ANYWHERE},
    {"pit_formats", pit_formats, NOT_BARE_TCG},
    {"port_61", port_61, ANYWHERE},
};
CHECK_GROUP(pit, list);
