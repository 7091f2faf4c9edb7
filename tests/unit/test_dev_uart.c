/* SPDX-License-Identifier: BSD-2-Clause */
/* The UART model against the PC16550D data sheet: registers, interrupts, modem, loopback. */
#include "tests/unit/uart_bench.h"
#include "vmm/dev/vuart.h"

/* Table II: reset state. */
static void reset_state(void **state)
{
    struct bench *t = *state;

    assert_int_equal(in8(&t->b, IER), 0);
    assert_int_equal(in8(&t->b, IIR), 0x01);
    assert_int_equal(in8(&t->b, LCR), 0);
    assert_int_equal(in8(&t->b, MCR), 0);
    assert_int_equal(in8(&t->b, LSR), 0x60);
    assert_int_equal(in8(&t->b, MSR), 0xb0);
    assert_false(irq(t));
    open_port(t, 0xc1);
    out8(&t->b, IER, 0x0f);
    feed(t, "abc");
    vuart_reset(&t->u);
    assert_int_equal(in8(&t->b, LSR), 0x60);
    assert_int_equal(in8(&t->b, IIR), 0x01);
    assert_false(irq(t));
    assert_int_equal(vuart_deadline(&t->u), DEADLINE_NONE);
}

static void registers_hold(void **state)
{
    struct bench *t = *state;

    for (unsigned v = 0; v < 256; v++) {
        out8(&t->b, SCR, (u8)v);
        assert_int_equal(in8(&t->b, SCR), v);
        out8(&t->b, LCR, (u8)(v & 0xbf));
        assert_int_equal(in8(&t->b, LCR), v & 0xbf);
        out8(&t->b, LCR, 0);
        out8(&t->b, IER, (u8)v); /* upper bits are always zero */
        assert_int_equal(in8(&t->b, IER), v & 0x0f);
        out8(&t->b, MCR, (u8)(v & 0xef));
        assert_int_equal(in8(&t->b, MCR), v & 0x0f);
        out8(&t->b, LSR, (u8)v); /* writing LSR and MSR does nothing */
        out8(&t->b, MSR, (u8)v);
        assert_int_equal(in8(&t->b, LSR), 0x60);
        assert_int_equal(in8(&t->b, MSR), 0xb0);
    }
}

static void divisor_latch(void **state)
{
    struct bench *t = *state;

    out8(&t->b, IER, 0x05);
    out8(&t->b, LCR, 0x83);
    out8(&t->b, DATA, 0x34);
    out8(&t->b, IER, 0x12);
    assert_int_equal(in8(&t->b, DATA), 0x34);
    assert_int_equal(in8(&t->b, IER), 0x12);
    assert_int_equal(t->n_sent, 0);
    out8(&t->b, LCR, 0x03);
    assert_int_equal(in8(&t->b, IER), 0x05);
    out8(&t->b, DATA, 'x');
    assert_int_equal(t->n_sent, 1);
}

/* Word length cuts what is sent (8.3). */
static void word_length(void **state)
{
    struct bench *t = *state;
    static const u8 expect[4] = {0x1f, 0x3f, 0x7f, 0xff};

    for (unsigned i = 0; i < 4; i++) {
        out8(&t->b, LCR, (u8)i);
        out8(&t->b, DATA, 0xff);
        assert_int_equal(t->sent[i], expect[i]);
    }
}

/* 8.6: THRE is cleared by reading IIR when it is what IIR tells, and by writing THR. */
static void thre_interrupt(void **state)
{
    struct bench *t = *state;

    open_port(t, 0x01);
    out8(&t->b, IER, 0x02);
    assert_true(irq(t)); /* enabled with THR empty */
    assert_int_equal(in8(&t->b, IIR), 0xc2);
    assert_false(irq(t));
    assert_int_equal(in8(&t->b, IIR), 0xc1);
    out8(&t->b, DATA, 'a');
    assert_true(irq(t));
    assert_int_equal(in8(&t->b, LSR) & 0x60, 0x60);
    assert_int_equal(in8(&t->b, IIR), 0xc2);
    assert_int_equal(in8(&t->b, IIR), 0xc1);
    out8(&t->b, IER, 0);
    out8(&t->b, DATA, 'b');
    assert_false(irq(t));
    assert_int_equal(t->n_sent, 2);
}

static void thre_not_raised_again(void **state)
{
    struct bench *t = *state;

    open_port(t, 0x01);
    out8(&t->b, IER, 0x02);
    for (unsigned i = 0; i < 5000; i++) { /* each byte gives its interrupt, none is lost */
        assert_int_equal(in8(&t->b, IIR), 0xc2);
        assert_false(irq(t));
        out8(&t->b, DATA, (u8)i);
        assert_true(irq(t));
    }
    assert_int_equal(t->n_sent, 5000);
}

static void lost_wakeup_when_ier_is_rewritten(void **state)
{
    struct bench *t = *state;

    open_port(t, 0x01);
    out8(&t->b, IER, 0x02);
    assert_int_equal(in8(&t->b, IIR), 0xc2);
    /* Off and on again with THR empty: the interrupt comes again. */
    out8(&t->b, IER, 0);
    out8(&t->b, IER, 0x02);
    assert_true(irq(t));
    /* Rewritten while pending: still pending. */
    out8(&t->b, IER, 0x02);
    assert_true(irq(t));
    out8(&t->b, IER, 0x03);
    assert_true(irq(t));
    /* Off while pending hides it; a received byte must not be lost by any of it. */
    out8(&t->b, IER, 0x01);
    assert_false(irq(t));
    feed(t, "x");
    assert_true(irq(t));
    out8(&t->b, IER, 0);
    assert_false(irq(t));
    out8(&t->b, IER, 0x01);
    assert_true(irq(t));
    assert_int_equal(in8(&t->b, IIR), 0xc4);
}

/* 8.6, table III: line status before data, before time-out, before THRE, before modem status. */
static void interrupt_priorities(void **state)
{
    struct bench *t = *state;

    open_port(t, 0x01);
    out8(&t->b, IER, 0x0f);
    in8(&t->b, MSR);
    vuart_set_modem(&t->u, 0x00);
    assert_true(vuart_receive_break(&t->u, t->b.now));
    assert_int_equal(in8(&t->b, IIR), 0xc6);
    assert_int_equal(in8(&t->b, LSR), 0xf9); /* DR, FE, BI, THRE, TEMT, error in FIFO */
    assert_int_equal(in8(&t->b, IIR), 0xc4);
    assert_int_equal(in8(&t->b, DATA), 0);
    assert_int_equal(in8(&t->b, IIR), 0xc2);
    assert_int_equal(in8(&t->b, IIR), 0xc0);
    assert_int_equal(in8(&t->b, MSR), 0x0b);
    assert_int_equal(in8(&t->b, IIR), 0xc1);
    assert_false(irq(t));
}

/* 8.9: deltas, and RI that tells only its trailing edge. */
static void modem_status(void **state)
{
    struct bench *t = *state;

    open_port(t, 0x01);
    out8(&t->b, IER, 0x08);
    assert_false(irq(t));
    vuart_set_modem(&t->u, 0x40); /* CTS, DSR, DCD off; RI on */
    assert_true(irq(t));
    assert_int_equal(in8(&t->b, MSR), 0x4b);
    assert_false(irq(t));
    assert_int_equal(in8(&t->b, MSR), 0x40);
    vuart_set_modem(&t->u, 0x00);
    assert_int_equal(in8(&t->b, MSR), 0x04);
    vuart_set_modem(&t->u, 0x10);
    assert_int_equal(in8(&t->b, MSR), 0x11);
    vuart_set_modem(&t->u, 0x10);
    assert_int_equal(in8(&t->b, MSR), 0x10);
}

/* 8.8: the outputs come back as inputs, crossed; pins idle; interrupts still work inside. */
static void loopback_modem_status(void **state)
{
    struct bench *t = *state;

    for (unsigned m = 0; m < 16; m++) {
        u8 expect =
            (u8)((m & 2 ? 0x10 : 0) | (m & 1 ? 0x20 : 0) | (m & 4 ? 0x40 : 0) | (m & 8 ? 0x80 : 0));

        out8(&t->b, MCR, (u8)(0x10 | m));
        assert_int_equal(in8(&t->b, MSR) & 0xf0, expect);
    }
    out8(&t->b, MCR, 0);
    assert_int_equal(in8(&t->b, MSR) & 0xf0, 0xb0);
}

static void loopback_data(void **state)
{
    struct bench *t = *state;

    open_port(t, 0xc1);
    out8(&t->b, MCR, 0x1b);
    out8(&t->b, IER, 0x01);
    assert_int_equal(feed(t, "outside"), 0); /* the outside is cut off */
    for (unsigned v = 0; v < 256; v++) {
        out8(&t->b, DATA, (u8)v);
        assert_int_equal(in8(&t->b, LSR), 0x61);
        assert_int_equal(in8(&t->b, DATA), v);
    }
    assert_int_equal(t->n_sent, 0);
    /* Break in loop-back is received as a break. */
    out8(&t->b, LCR, 0x43);
    assert_int_equal(in8(&t->b, LSR) & 0x19, 0x19);
    out8(&t->b, LCR, 0x03);
    in8(&t->b, DATA);
    t->paste = (const u8 *)"outside";
    t->paste_left = 7;
    out8(&t->b, MCR, 0x0b);
    assert_int_equal(t->rooms, 1);
    assert_int_equal(in8(&t->b, DATA), 'o');
}

/* On a PC, OUT2 connects the interrupt to the bus; in loop-back too, as self-tests want it. */
static void out2_gates_the_line(void **state)
{
    struct bench *t = *state;

    open_port(t, 0x01);
    out8(&t->b, MCR, 0x03);
    out8(&t->b, IER, 0x01);
    feed(t, "a");
    assert_false(irq(t));
    assert_int_equal(in8(&t->b, IIR), 0xc4);
    out8(&t->b, MCR, 0x0b);
    assert_true(irq(t));
    out8(&t->b, MCR, 0x13);
    assert_false(irq(t));
    out8(&t->b, MCR, 0x1b);
    assert_true(irq(t));
}

static void break_and_modem_outputs(void **state)
{
    struct bench *t = *state;

    open_port(t, 0x01);
    assert_int_equal(t->modem, 0x0b);
    out8(&t->b, LCR, 0x43);
    assert_true(t->brk);
    out8(&t->b, DATA, 'x'); /* the line is held at spacing: nothing gets out */
    assert_int_equal(t->n_sent, 0);
    out8(&t->b, LCR, 0x03);
    assert_false(t->brk);
    out8(&t->b, DATA, 'y');
    assert_int_equal(t->n_sent, 1);
}

/* A doubleword to the data port is four byte accesses to four registers, as on ISA. */
static void wide_access_is_split(void **state)
{
    struct bench *t = *state;

    out32(&t->b, COM + 4, 0x5a000003);
    assert_int_equal(in8(&t->b, MCR), 0x03);
    assert_int_equal(in8(&t->b, SCR), 0x5a);
    assert_int_equal(in32(&t->b, COM + 4), 0x5ab06003);
}

/* The steps by which Linux' 8250 driver tells a 16550A (its autoconfiguration), then opens it. */
static void linux_probe_finds_16550a(void **state)
{
    struct bench *t = *state;
    u8 a, c;

    out8(&t->b, IER, 0);
    assert_int_equal(in8(&t->b, IER) & 0x0f, 0);
    out8(&t->b, IER, 0x0f);
    assert_int_equal(in8(&t->b, IER) & 0x0f, 0x0f);
    out8(&t->b, IER, 0);
    out8(&t->b, MCR, 0x1a);
    assert_int_equal(in8(&t->b, MSR) & 0xf0, 0x90);
    out8(&t->b, MCR, 0);
    out8(&t->b, LCR, 0xbf);
    out8(&t->b, FCR, 0); /* an EFR would be here */
    out8(&t->b, LCR, 0);
    out8(&t->b, FCR, 0x01);
    assert_int_equal(in8(&t->b, IIR) >> 6, 3);
    /* Not a 16650, 16850, 16750, XScale or NS SuperIO. */
    out8(&t->b, LCR, 0xbf);
    assert_int_not_equal(in8(&t->b, IIR), 0);
    out8(&t->b, LCR, 0);
    out8(&t->b, FCR, 0x21);
    assert_int_equal(in8(&t->b, IIR) >> 5, 6);
    out8(&t->b, FCR, 0x01);
    out8(&t->b, IER, 0x40);
    assert_int_equal(in8(&t->b, IER) & 0x40, 0);
    out8(&t->b, IER, 0);
    a = in8(&t->b, MCR);
    out8(&t->b, LCR, 0xe0);
    c = in8(&t->b, IIR);
    assert_int_equal((a ^ c) & 0x10, 0);
    out8(&t->b, LCR, 0);
    out8(&t->b, MCR, a ^ 0x10);
    a = in8(&t->b, MCR);
    out8(&t->b, LCR, 0xe0);
    assert_true((in8(&t->b, IIR) ^ a) & 0x10); /* no second register shadows MCR */
    out8(&t->b, LCR, 0);
    out8(&t->b, MCR, 0x08);
    /* The check for chips that do not raise THRE again. */
    out8(&t->b, IER, 0x02);
    assert_int_equal(in8(&t->b, IIR) & 1, 0);
    out8(&t->b, IER, 0);
    out8(&t->b, IER, 0x02);
    assert_int_equal(in8(&t->b, IIR) & 1, 0);
    out8(&t->b, IER, 0);
    /* FIFO size by loop-back. */
    out8(&t->b, FCR, 0x07);
    out8(&t->b, MCR, 0x10);
    for (unsigned i = 0; i < 256; i++)
        out8(&t->b, DATA, (u8)i);
    for (c = 0; in8(&t->b, LSR) & 1; c++)
        in8(&t->b, DATA);
    assert_int_equal(c, 16);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reset_state),
        TEST(registers_hold),
        TEST(divisor_latch),
        TEST(word_length),
        TEST(thre_interrupt),
        TEST(thre_not_raised_again),
        TEST(lost_wakeup_when_ier_is_rewritten),
        TEST(interrupt_priorities),
        TEST(modem_status),
        TEST(loopback_modem_status),
        TEST(loopback_data),
        TEST(out2_gates_the_line),
        TEST(break_and_modem_outputs),
        TEST(wide_access_is_split),
        TEST(linux_probe_finds_16550a),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
