/* SPDX-License-Identifier: BSD-2-Clause */
/* The UART model against the PC16550D data sheet, register by register and state by state. */
#include "tests/unit/dev_board.h"
#include "vmm/dev/vuart.h"

#define COM  0x3f8
#define DATA (COM + 0)
#define IER  (COM + 1)
#define IIR  (COM + 2)
#define FCR  (COM + 2)
#define LCR  (COM + 3)
#define MCR  (COM + 4)
#define LSR  (COM + 5)
#define MSR  (COM + 6)
#define SCR  (COM + 7)
#define IRQ  4

struct bench {
    struct board b;
    struct vuart u;
    u8 sent[300000];
    unsigned n_sent, rooms;
    u32 slow_ns; /* how long each byte is to take */
    u8 modem;
    bool brk;
    const u8 *paste; /* what the outside still has */
    unsigned paste_left;
};

static u32 on_tx(void *arg, u8 byte)
{
    struct bench *t = arg;

    assert_true(t->n_sent < sizeof(t->sent));
    t->sent[t->n_sent++] = byte;
    return t->slow_ns;
}

static void on_room(void *arg, u64 now_ns)
{
    struct bench *t = arg;
    unsigned n;

    t->rooms++;
    n = vuart_receive(&t->u, t->paste, t->paste_left, now_ns);
    t->paste += n;
    t->paste_left -= n;
}

static void on_modem(void *arg, u8 mcr, bool brk)
{
    struct bench *t = arg;

    t->modem = mcr;
    t->brk = brk;
}

static const struct vuart_ops ops = {on_tx, on_room, on_modem};

static int setup(void **state)
{
    struct bench *t = calloc(1, sizeof(*t));

    board_init(&t->b);
    vuart_init(&t->u, &ops, t, board_irq(&t->b, IRQ), board_timer_out(&t->b));
    assert_int_equal(vuart_attach(&t->u, &t->b.ports, COM), OK);
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static unsigned feed(struct bench *t, const char *s)
{
    return vuart_receive(&t->u, (const u8 *)s, (unsigned)strlen(s), t->b.now);
}

/* 8N1 at 115200, FIFO with that trigger, OUT2 and RTS and DTR. */
static void open_port(struct bench *t, u8 fcr)
{
    out8(&t->b, LCR, 0x80);
    out8(&t->b, DATA, 1);
    out8(&t->b, IER, 0);
    out8(&t->b, LCR, 0x03);
    out8(&t->b, FCR, fcr);
    out8(&t->b, MCR, 0x0b);
}

static bool irq(struct bench *t)
{
    return t->b.level[IRQ];
}

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

/* Nothing is buffered on the way out: a megabyte leaves as it is written. */
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
        TEST(receive_without_fifo),
        TEST(trigger_levels),
        TEST(character_timeout),
        TEST(divisor_0_and_65535),
        TEST(fifo_reset),
        TEST(overrun),
        TEST(interrupt_priorities),
        TEST(errors_travel_with_their_byte),
        TEST(modem_status),
        TEST(loopback_modem_status),
        TEST(loopback_data),
        TEST(out2_gates_the_line),
        TEST(break_and_modem_outputs),
        TEST(paste_arrives_whole),
        TEST(rts_flow_control),
        TEST(unbounded_transmit_buffer),
        TEST(transmitter_takes_its_time),
        TEST(string_io_to_the_fifo),
        TEST(looped_break_times_out),
        TEST(wide_access_is_split),
        TEST(linux_probe_finds_16550a),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
