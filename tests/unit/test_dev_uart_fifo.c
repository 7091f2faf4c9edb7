/* SPDX-License-Identifier: BSD-2-Clause */
/* The UART model against the PC16550D data sheet: how characters come and go. */
#include "tests/unit/uart_bench.h"
#include "vmm/dev/vuart.h"

/* 16450 mode: one byte, DR, interrupt until read. */
static void receive_without_fifo(void **state)
{
    struct bench *t = *state;

    out8(&t->b, LCR, 3);
    out8(&t->b, MCR, 0x0b);
    out8(&t->b, IER, 0x01);
    assert_int_equal(feed(t, "ab"), 1);
    assert_true(irq(t));
    assert_int_equal(in8(&t->b, IIR), 0x04);
    assert_int_equal(in8(&t->b, LSR), 0x61);
    t->paste = (const u8 *)"b";
    t->paste_left = 1;
    assert_int_equal(in8(&t->b, DATA), 'a');
    assert_int_equal(t->rooms, 1); /* asked for more, and "b" came */
    assert_true(irq(t));
    assert_int_equal(in8(&t->b, DATA), 'b');
    assert_false(irq(t));
    assert_int_equal(in8(&t->b, LSR), 0x60);
}

static void trigger_levels(void **state)
{
    static const unsigned level[4] = {1, 4, 8, 14};
    struct bench *t = *state;

    for (unsigned i = 0; i < 4; i++) {
        open_port(t, (u8)(i << 6 | 0x07));
        out8(&t->b, IER, 0x01);
        for (unsigned n = 1; n <= 16; n++) {
            assert_int_equal(feed(t, "z"), 1);
            assert_int_equal(irq(t), n >= level[i]);
            assert_int_equal(in8(&t->b, IIR), n >= level[i] ? 0xc4 : 0xc1);
        }
        assert_int_equal(feed(t, "z"), 0); /* full */
        for (unsigned n = 15;; n--) { /* the interrupt ends as the count falls below the trigger */
            in8(&t->b, DATA);
            assert_int_equal(irq(t), n >= level[i]);
            if (n == 0)
                break;
        }
        assert_int_equal(in8(&t->b, LSR), 0x60);
    }
}

/* 8.11: four character times without a byte in or out, with bytes below the trigger. */
static void character_timeout(void **state)
{
    struct bench *t = *state;
    u64 four = 4 * 10 * NS_S / 115200;

    open_port(t, 0xc1);
    out8(&t->b, IER, 0x01);
    feed(t, "ab");
    assert_false(irq(t));
    assert_true(vuart_deadline(&t->u) <= t->b.now + four + 1);
    t->b.now += four / 2;
    feed(t, "c"); /* starts the time anew */
    t->b.now += four / 2 + 2;
    vuart_tick(&t->u, t->b.now);
    assert_false(irq(t));
    assert_true(vuart_deadline(&t->u) > t->b.now);
    t->b.now += four;
    vuart_tick(&t->u, t->b.now);
    assert_true(irq(t));
    assert_int_equal(in8(&t->b, IIR), 0xcc);
    assert_int_equal(in8(&t->b, IIR), 0xcc); /* reading IIR does not end it, reading a byte does */
    assert_int_equal(in8(&t->b, DATA), 'a');
    assert_int_equal(in8(&t->b, IIR), 0xc1);
    assert_false(irq(t));
    t->b.now += four + 2;
    vuart_tick(&t->u, t->b.now);
    assert_int_equal(in8(&t->b, IIR), 0xcc);
    in8(&t->b, DATA);
    in8(&t->b, DATA);
    assert_false(irq(t));
    t->b.now += 10 * four;
    vuart_tick(&t->u, t->b.now);
    assert_false(irq(t));
    assert_int_equal(vuart_deadline(&t->u), DEADLINE_NONE);
}

static void divisor_0_and_65535(void **state)
{
    static const u16 divisor[] = {0, 1, 65535};
    struct bench *t = *state;

    for (unsigned i = 0; i < 3; i++) {
        open_port(t, 0xc7);
        out8(&t->b, LCR, 0x9f);
        out8(&t->b, DATA, (u8)divisor[i]);
        out8(&t->b, IER, (u8)(divisor[i] >> 8));
        out8(&t->b, LCR, 0x1f);
        out8(&t->b, IER, 1);
        feed(t, "q");
        assert_true(vuart_deadline(&t->u) > t->b.now);
        assert_true(vuart_deadline(&t->u) < t->b.now + 40 * NS_S);
        t->b.now = vuart_deadline(&t->u);
        vuart_tick(&t->u, t->b.now);
        assert_int_equal(in8(&t->b, IIR), 0xcc);
    }
}

/* 8.5: bits 1 and 2 clear themselves; a change of bit 0 clears both FIFOs; others need bit 0. */
static void fifo_reset(void **state)
{
    struct bench *t = *state;

    open_port(t, 0x01);
    feed(t, "abc");
    out8(&t->b, FCR, 0x05); /* transmitter only */
    assert_int_equal(in8(&t->b, LSR) & 1, 1);
    out8(&t->b, FCR, 0x03);
    assert_int_equal(in8(&t->b, LSR), 0x60);
    feed(t, "abc");
    out8(&t->b, FCR, 0x02); /* turns the FIFO off */
    assert_int_equal(in8(&t->b, LSR), 0x60);
    assert_int_equal(in8(&t->b, IIR), 0x01);
    feed(t, "d");
    out8(&t->b, FCR, 0xc2); /* bit 0 clear: nothing programmed, nothing reset */
    assert_int_equal(in8(&t->b, LSR), 0x61);
    out8(&t->b, FCR, 0x01); /* turned on: cleared */
    assert_int_equal(in8(&t->b, LSR), 0x60);
    out8(&t->b, IER, 1);
    feed(t, "e"); /* trigger 1, not the 14 that was refused above */
    assert_true(irq(t));
}

/* Loop-back is where the guest can overrun its own receiver. */
static void overrun(void **state)
{
    struct bench *t = *state;

    open_port(t, 0x01);
    out8(&t->b, MCR, 0x1b);
    for (unsigned i = 0; i < 17; i++)
        out8(&t->b, DATA, (u8)('A' + i));
    assert_int_equal(t->n_sent, 0);
    assert_int_equal(in8(&t->b, LSR), 0x63);
    assert_int_equal(in8(&t->b, LSR), 0x61); /* reading clears it */
    for (unsigned i = 0; i < 16; i++)        /* the FIFO keeps what it had */
        assert_int_equal(in8(&t->b, DATA), 'A' + i);
    assert_int_equal(in8(&t->b, LSR), 0x60);
    /* 16450: the new character replaces the old. */
    out8(&t->b, FCR, 0);
    out8(&t->b, DATA, '1');
    out8(&t->b, DATA, '2');
    assert_int_equal(in8(&t->b, LSR), 0x63);
    assert_int_equal(in8(&t->b, DATA), '2');
    assert_int_equal(in8(&t->b, LSR), 0x60);
}

/* An error is revealed when its character comes to the top of the FIFO (8.4). */
static void errors_travel_with_their_byte(void **state)
{
    struct bench *t = *state;

    open_port(t, 0x01);
    out8(&t->b, IER, 0x04);
    feed(t, "a");
    assert_true(vuart_receive_break(&t->u, t->b.now));
    feed(t, "b");
    assert_false(irq(t));
    assert_int_equal(in8(&t->b, LSR), 0xe1); /* bit 7: somewhere in the FIFO */
    assert_int_equal(in8(&t->b, DATA), 'a');
    assert_true(irq(t));
    assert_int_equal(in8(&t->b, LSR), 0xf9);
    assert_false(irq(t));
    assert_int_equal(in8(&t->b, LSR), 0x61);
    assert_int_equal(in8(&t->b, DATA), 0);
    assert_int_equal(in8(&t->b, DATA), 'b');
    assert_int_equal(in8(&t->b, LSR), 0x60);
}

/* The console keeps what the FIFO cannot take; nothing of a long paste is lost or doubled. */
static void paste_arrives_whole(void **state)
{
    struct bench *t = *state;
    unsigned size = 100000, got = 0;
    u8 *text = malloc(size);

    for (unsigned i = 0; i < size; i++)
        text[i] = (u8)(i * 31 + i / 256);
    open_port(t, 0x81);
    out8(&t->b, IER, 0x01);
    t->paste = text;
    t->paste_left = size;
    on_room(t, t->b.now);
    while (got < size) {
        unsigned burst = 0;

        if (!irq(t)) { /* the guest sleeps until its interrupt */
            assert_true(vuart_deadline(&t->u) != DEADLINE_NONE);
            t->b.now = vuart_deadline(&t->u);
            vuart_tick(&t->u, t->b.now);
            continue;
        }
        while ((in8(&t->b, LSR) & 1) && burst++ < 256) {
            assert_int_equal(in8(&t->b, LSR) & 0x1e, 0);
            assert_int_equal(in8(&t->b, DATA), text[got]);
            got++;
        }
        if (got % 7 == 0) { /* now and then it stops the line for a while */
            out8(&t->b, MCR, 0x09);
            assert_int_equal(vuart_receive(&t->u, text, 1, t->b.now), 0);
            out8(&t->b, MCR, 0x0b);
        }
    }
    assert_int_equal(t->paste_left, 0);
    assert_false(irq(t));
    free(text);
}

/* RTS holds input back only for a guest that has used it. */
static void rts_flow_control(void **state)
{
    struct bench *t = *state;

    assert_int_equal(feed(t, "a"), 1);
    in8(&t->b, DATA);
    out8(&t->b, MCR, 0x02);
    out8(&t->b, MCR, 0x00);
    assert_int_equal(feed(t, "b"), 0);
    t->paste = (const u8 *)"b";
    t->paste_left = 1;
    out8(&t->b, MCR, 0x02);
    assert_int_equal(t->paste_left, 0);
    assert_int_equal(in8(&t->b, DATA), 'b');
}

/* Nothing is buffered on the way out: 300,000 bytes in a row leave as they are written. */
static void unbounded_transmit_buffer(void **state)
{
    struct bench *t = *state;

    open_port(t, 0x01);
    for (unsigned i = 0; i < sizeof(t->sent); i++)
        out8(&t->b, DATA, (u8)(i * 7));
    assert_int_equal(t->n_sent, sizeof(t->sent));
    for (unsigned i = 0; i < sizeof(t->sent); i++)
        assert_int_equal(t->sent[i], (u8)(i * 7));
}

/* Where the outside says how long a byte takes, THRE and TEMT show it, and the interrupt comes
 * then.
 */
static void transmitter_takes_its_time(void **state)
{
    struct bench *t = *state;
    u64 start = t->b.now;

    open_port(t, 0x01);
    out8(&t->b, IER, 0x02);
    assert_int_equal(in8(&t->b, IIR), 0xc2);
    t->slow_ns = 1000;
    for (unsigned i = 0; i < 16; i++)
        out8(&t->b, DATA, (u8)i);
    assert_int_equal(t->n_sent, 16);
    assert_int_equal(in8(&t->b, LSR), 0x00);
    assert_int_equal(in8(&t->b, IIR), 0xc1);
    out8(&t->b, IER, 0); /* nor by enabling it anew */
    out8(&t->b, IER, 0x02);
    assert_false(irq(t));
    t->b.now = start + 15999;
    while (vuart_deadline(&t->u) <= t->b.now)
        vuart_tick(&t->u, t->b.now);
    assert_int_equal(in8(&t->b, LSR), 0x00);
    t->b.now = start + 16000;
    assert_true(vuart_deadline(&t->u) <= t->b.now);
    vuart_tick(&t->u, t->b.now);
    assert_int_equal(in8(&t->b, LSR), 0x60);
    assert_true(irq(t));
    assert_int_equal(in8(&t->b, IIR), 0xc2);
    assert_int_equal(vuart_deadline(&t->u), DEADLINE_NONE);
    /* Who does not look at THRE loses nothing, and waits for a FIFO of bytes at most. */
    for (unsigned i = 0; i < 5000; i++)
        out8(&t->b, DATA, (u8)i);
    assert_int_equal(t->n_sent, 5016);
    t->b.now += 16000;
    vuart_tick(&t->u, t->b.now);
    assert_int_equal(in8(&t->b, LSR), 0x60);
    /* Resetting the transmitter ends it. */
    out8(&t->b, DATA, 'x');
    assert_int_equal(in8(&t->b, LSR), 0x00);
    out8(&t->b, FCR, 0x05);
    assert_int_equal(in8(&t->b, LSR), 0x60);
    assert_true(irq(t));
}

/* REP OUTSB and INSB are nothing but one access after the other. */
static void string_io_to_the_fifo(void **state)
{
    struct bench *t = *state;
    char back[17] = "";

    open_port(t, 0xc1);
    out8(&t->b, MCR, 0x1b);
    for (const char *p = "sixteen bytes ok"; *p; p++)
        out8(&t->b, DATA, (u8)*p);
    assert_int_equal(in8(&t->b, LSR), 0x61);
    for (unsigned i = 0; i < 16; i++)
        back[i] = (char)in8(&t->b, DATA);
    assert_string_equal(back, "sixteen bytes ok");
    assert_int_equal(in8(&t->b, LSR), 0x60);
}

/* A break that is looped back has a time-out like any other character. */
static void looped_break_times_out(void **state)
{
    struct bench *t = *state;

    open_port(t, 0xc1);
    out8(&t->b, MCR, 0x1b);
    out8(&t->b, LCR, 0x43);
    assert_true(vuart_deadline(&t->u) != DEADLINE_NONE);
    t->b.now = vuart_deadline(&t->u);
    vuart_tick(&t->u, t->b.now);
    out8(&t->b, IER, 0x01);
    assert_int_equal(in8(&t->b, IIR), 0xcc);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(receive_without_fifo),
        TEST(trigger_levels),
        TEST(character_timeout),
        TEST(divisor_0_and_65535),
        TEST(fifo_reset),
        TEST(overrun),
        TEST(errors_travel_with_their_byte),
        TEST(paste_arrives_whole),
        TEST(rts_flow_control),
        TEST(unbounded_transmit_buffer),
        TEST(transmitter_takes_its_time),
        TEST(string_io_to_the_fifo),
        TEST(looped_break_times_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
