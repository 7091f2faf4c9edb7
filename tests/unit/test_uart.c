/* SPDX-License-Identifier: BSD-2-Clause */
/* The driver of the physical UART, on registers in memory that nobody else changes. */
#include "drivers/uart/uart.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/unit/unit.h"

/* As many bytes apart as the test says; plain memory, so that what is written is what is read. */
static union {
    u8 b[8];
    u16 w[8];
    u32 d[8];
} regs;
static unsigned stride;

static u32 reg(unsigned n)
{
    return stride == 4 ? regs.d[n] : stride == 2 ? regs.w[n] : regs.b[n];
}

static void set(unsigned n, u8 value)
{
    if (stride == 4)
        regs.d[n] = value;
    else if (stride == 2)
        regs.w[n] = value;
    else
        regs.b[n] = value;
}

enum { DATA, IER, FCR, LCR, MCR, LSR, MSR };

/* Opens it; 1.8432 MHz, no FIFO. */
static void open_at(unsigned bytes, u32 baud, bool cts)
{
    const struct uart_place at = {.mmio = &regs, .stride = (u8)bytes};

    stride = bytes;
    memset(&regs, 0, sizeof(regs));
    set(LSR, 0x60);
    set(MSR, 0x10);
    assert_true(uart_open(&at, baud, cts));
}

static u8 got[64];
static size_t got_len;

static void receiver(const u8 *buf, size_t len)
{
    assert_true(got_len + len <= sizeof(got));
    memcpy(got + got_len, buf, len);
    got_len += len;
    set(LSR, 0x60); /* that was all */
}

static void opened(void **state)
{
    static const unsigned strides[] = {1, 2, 4};
    const struct uart_place at = {.mmio = &regs, .stride = 1};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(strides); i++) {
        open_at(strides[i], 9600, false);
        assert_int_equal(reg(LCR), 3);
        assert_int_equal(reg(DATA), 12);
        assert_int_equal(reg(IER), 0); /* the divisor's high byte lies under it in this memory */
        assert_int_equal(reg(MCR), 0x0b);
        assert_int_equal(uart_byte_ns(), 1041666);
    }
    stride = 1;
    memset(&regs, 0xff, sizeof(regs));
    assert_false(uart_open(&at, 9600, false));
    /* Without a rate the divisor stays. */
    memset(&regs, 0, sizeof(regs));
    set(LSR, 0x60);
    assert_true(uart_open(&at, 0, false));
}

static void output(void **state)
{
    (void)state;
    open_at(4, 115200, false);
    uart_irq_on();
    assert_int_equal(reg(IER), 1);
    set(LSR, 0x40); /* the transmitter is full */
    assert_int_equal(uart_write("abc", 3), 3);
    assert_true(uart_busy());
    assert_int_equal(reg(IER), 3); /* tell when it is empty */
    set(LSR, 0x60);
    for (unsigned i = 0; i < 3; i++) { /* this memory shows no FIFO: one byte at a time */
        assert_true(uart_busy());
        uart_poll();
        assert_int_equal(reg(DATA), "abc"[i]);
    }
    assert_false(uart_busy());
    assert_int_equal(reg(IER), 1);
    /* No more than 1 KiB of a guest's is taken before the line is. */
    set(LSR, 0x40);
    static char much[4096];
    size_t taken = uart_write(much, sizeof(much));
    assert_int_equal(taken, 1024);
    assert_int_equal(uart_room(), 0);
    set(LSR, 0x60);
    while (uart_busy())
        uart_poll();
}

static void input(void **state)
{
    (void)state;
    open_at(4, 115200, false);
    uart_irq_on();
    uart_set_receiver(receiver);
    got_len = 0;
    u64 before = uart_overruns();
    set(DATA, 'x');
    set(LSR, 0x63); /* a byte, and one that came too fast */
    uart_poll();
    assert_true(got_len >= 1 && got[0] == 'x');
    assert_true(uart_overruns() > before);
    /* Held: RTS off, no interrupt for it, the byte stays where it is. */
    uart_want_input(false);
    assert_int_equal(reg(MCR), 0x09);
    assert_int_equal(reg(IER), 0);
    got_len = 0;
    set(LSR, 0x61);
    uart_poll();
    assert_int_equal(got_len, 0);
    uart_want_input(true);
    assert_int_equal(reg(MCR), 0x0b);
    assert_int_equal(reg(IER), 1);
    uart_poll();
    assert_true(got_len > 0);
    uart_set_receiver(NULL);
}

static void clear_to_send(void **state)
{
    (void)state;
    open_at(2, 115200, true);
    uart_irq_on();
    set(MSR, 0);
    set(DATA, 0);
    assert_int_equal(uart_write("z", 1), 1);
    assert_true(uart_busy());
    assert_int_equal(reg(DATA), 0);
    assert_int_equal(reg(IER), 0x09); /* modem status tells when it comes; THRE would for ever */
    set(MSR, 0x10);
    uart_poll();
    assert_false(uart_busy());
    assert_int_equal(reg(DATA), 'z');
}

static void awaited(void **state)
{
    static const char text[] = "before there was a line\n";

    (void)state;
    uart_await();
    uart_write_text(text, sizeof(text) - 1);
    open_at(1, 115200, false);
    uart_flush();
    assert_false(uart_busy());
    assert_int_equal(reg(DATA), '\n');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(awaited), /* first: nothing is open yet */
        cmocka_unit_test(opened),  cmocka_unit_test(output),
        cmocka_unit_test(input),   cmocka_unit_test(clear_to_send),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
