/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver of the physical UART, on registers in memory, against the model of the PC16550D: each
 * access faults, is carried out on the model, and goes on. Both directions by interrupt, flow
 * control by CTS and RTS.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include "drivers/uart/uart.h"
#include "vmm/dev/vuart.h"
#include "tests/unit/unit.h"

#define SIZE    3000u
#define BYTE_NS 86806u
#define TRAP    0x100 /* EFLAGS.TF */
#define PF_W    2     /* error code */

static struct vuart model;
static u8 *page; /* nobody's, but for the one instruction that is being carried out */
static unsigned stride;
static struct bus_access access_now;
static u64 now_ns;
static bool line, rts;
static u8 sent[SIZE], got[SIZE];
static u32 sent_len, got_len;

static u8 pattern(u32 i)
{
    return (u8)(i * 167 + (i >> 8) * 13 + 5);
}

/* ---- the trapped access ---- */

static void on_fault(int sig, siginfo_t *info, void *context)
{
    greg_t *reg = ((ucontext_t *)context)->uc_mcontext.gregs;
    u64 offset = (u64)((u8 *)info->si_addr - page);
    u32 value = 0;

    if (offset >= 8 * stride || offset % stride)
        signal(sig, SIG_DFL);
    access_now = (struct bus_access){.offset = offset / stride,
                                     .now_ns = now_ns,
                                     .size = 1,
                                     .write = (reg[REG_ERR] & PF_W) != 0};
    mprotect(page, PAGE_SIZE, PROT_READ | PROT_WRITE);
    if (!access_now.write) {
        vuart_access(&model, &access_now);
        value = (u32)access_now.value;
        memcpy(page + offset, &value, stride);
    }
    reg[REG_EFL] |= TRAP;
}

static void on_trap(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)info;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~TRAP;
    if (access_now.write) {
        access_now.value = page[access_now.offset * stride];
        vuart_access(&model, &access_now);
    }
    mprotect(page, PAGE_SIZE, PROT_NONE);
}

/* ---- the other end ---- */

static u32 transmitted(void *arg, u8 byte)
{
    (void)arg;
    assert_true(sent_len < SIZE);
    sent[sent_len++] = byte;
    return BYTE_NS;
}

static void modem(void *arg, u8 mcr, bool brk)
{
    (void)arg;
    (void)brk;
    rts = mcr & 2;
}

static void set_line(void *arg, unsigned number, bool level)
{
    (void)arg;
    (void)number;
    line = level;
}

static void receiver(const u8 *buf, size_t len)
{
    assert_true(got_len + len <= SIZE);
    memcpy(got + got_len, buf, len);
    got_len += (u32)len;
}

/* ---- a machine of one UART ---- */

static void make_model(unsigned bytes)
{
    static const struct vuart_ops ops = {.tx = transmitted, .modem = modem};
    const struct sigaction fault = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    const struct sigaction trap = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};

    page = mmap(NULL, PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(page != MAP_FAILED);
    sigaction(SIGSEGV, &fault, NULL);
    sigaction(SIGTRAP, &trap, NULL);
    stride = bytes;
    sent_len = got_len = 0;
    vuart_init(&model, &ops, NULL, (struct irq_out){set_line, NULL, 0}, (struct timer_out){0});
}

static void open_made(bool cts)
{
    uart_set_receiver(receiver);
    assert_true(uart_open(&(struct uart_place){.mmio = page, .stride = (u8)stride}, 115200, cts));
    assert_true(rts);
    uart_irq_on();
    uart_want_input(false); /* what an earlier one was told does not count */
    assert_false(rts);
    uart_want_input(true);
    assert_true(rts);
}

static void open_model(unsigned bytes, bool cts)
{
    make_model(bytes);
    open_made(cts);
}

static void close_model(void)
{
    munmap(page, PAGE_SIZE);
}

/* A tenth of a millisecond passes. */
static void step(void)
{
    now_ns += 100000;
    if (vuart_deadline(&model) <= now_ns)
        vuart_tick(&model, now_ns);
    while (line)
        assert_true(uart_interrupt());
    assert_false(uart_interrupt());
}

/* ---- tests ---- */

static void both_ways(unsigned bytes)
{
    u32 given = 0, offered = 0;
    u64 end;

    open_model(bytes, false);
    end = now_ns + 3ull * SIZE * BYTE_NS;
    while ((sent_len < SIZE || got_len < SIZE) && now_ns < end) {
        u8 out[64], in[8];
        u32 n = MIN((u32)sizeof(out), SIZE - given), m = MIN((u32)sizeof(in), SIZE - offered);
        for (u32 i = 0; i < n; i++)
            out[i] = pattern(given + i);
        for (u32 i = 0; i < m; i++)
            in[i] = pattern(~(offered + i));
        given += (u32)uart_write((const char *)out, n);
        offered += vuart_receive(&model, in, m, now_ns);
        step();
    }
    assert_int_equal(sent_len, SIZE);
    assert_int_equal(got_len, SIZE);
    for (u32 i = 0; i < SIZE; i++) {
        assert_int_equal(sent[i], pattern(i));
        assert_int_equal(got[i], pattern(~i));
    }
    assert_false(uart_busy());
    close_model();
}

static void every_width(void **state)
{
    (void)state;
    for (unsigned bytes = 1; bytes <= 4; bytes *= 2)
        both_ways(bytes);
}

/* What is in the FIFO when CTS goes leaves; nothing more, until it is back. */
static void clear_to_send(void **state)
{
    static const char text[] = "a text that is longer than a FIFO and is sent in two parts";

    (void)state;
    open_model(4, true);
    uart_write(text, sizeof(text));
    step();
    vuart_set_modem(&model, 0);
    for (unsigned i = 0; i < 100; i++)
        step();
    u32 before = sent_len;
    assert_in_range(before, 1, 32);
    for (unsigned i = 0; i < 100; i++)
        step();
    assert_int_equal(sent_len, before);
    assert_true(uart_busy());
    vuart_set_modem(&model, VUART_PLUGGED);
    for (unsigned i = 0; i < 100; i++)
        step();
    assert_int_equal(sent_len, sizeof(text));
    assert_memory_equal(sent, text, sizeof(text));
    close_model();
}

/* Held input stays in the FIFO, RTS off, with no interrupt for it; and is taken later. */
static void request_to_send(void **state)
{
    (void)state;
    open_model(2, false);
    assert_int_equal(vuart_receive(&model, (const u8 *)"abcd", 4, now_ns), 4);
    for (unsigned i = 0; i < 10; i++)
        step();
    assert_int_equal(got_len, 4);
    uart_want_input(false);
    assert_int_equal(vuart_receive(&model, (const u8 *)"efgh", 4, now_ns), 0); /* RTS is off */
    uart_want_input(true);
    assert_int_equal(vuart_receive(&model, (const u8 *)"efgh", 4, now_ns), 4);
    for (unsigned i = 0; i < 10; i++)
        step();
    assert_memory_equal(got, "abcdefgh", 8);
    close_model();
}

/* Whatever was left: a rate, a break, loopback, interrupts that wait, received bytes. */
static void left_behind(void **state)
{
    static const u8 left[][4] = {
        /* IER, FCR, LCR, MCR */
        {0x00, 0x00, 0x00, 0x00}, {0x0f, 0x00, 0x83, 0x08}, {0x02, 0x01, 0x03, 0x0b},
        {0x0f, 0x01, 0x5f, 0x1f}, {0x0f, 0xc1, 0x03, 0x0b},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(left); i++)
        for (unsigned received = 0; received <= 17; received += 17) {
            make_model(1);
            for (u8 reg = 1; reg <= 4; reg++) {
                struct bus_access a = {
                    .offset = reg, .size = 1, .write = true, .value = left[i][reg - 1]};
                vuart_access(&model, &a);
            }
            for (unsigned n = 0; n < received; n++)
                vuart_receive(&model, (const u8 *)"old", 3, now_ns);
            open_made(false);
            uart_write("out", 3);
            assert_int_equal(vuart_receive(&model, (const u8 *)"in", 2, now_ns), 2);
            for (unsigned n = 0; n < 100; n++)
                step();
            assert_int_equal(sent_len, 3);
            assert_memory_equal(sent, "out", 3);
            assert_int_equal(got_len, 2);
            assert_memory_equal(got, "in", 2);
            close_model();
        }
}

/* As a test of the interrupt's line. */
static void asserted(void **state)
{
    (void)state;
    open_model(1, false);
    for (unsigned i = 0; i < 3; i++) {
        uart_assert(true);
        assert_true(line);
        uart_assert(false);
        assert_false(line);
    }
    close_model();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_width),     cmocka_unit_test(clear_to_send),
        cmocka_unit_test(request_to_send), cmocka_unit_test(asserted),
        cmocka_unit_test(left_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
