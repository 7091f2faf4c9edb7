/* SPDX-License-Identifier: BSD-2-Clause */
/* A UART on a bench: what it has sent, what is there for it to receive, its interrupt line. */
#ifndef TESTS_UNIT_UART_BENCH_H
#define TESTS_UNIT_UART_BENCH_H

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

static inline u32 on_tx(void *arg, u8 byte)
{
    struct bench *t = arg;

    assert_true(t->n_sent < sizeof(t->sent));
    t->sent[t->n_sent++] = byte;
    return t->slow_ns;
}

static inline void on_room(void *arg, u64 now_ns)
{
    struct bench *t = arg;
    unsigned n;

    t->rooms++;
    n = vuart_receive(&t->u, t->paste, t->paste_left, now_ns);
    t->paste += n;
    t->paste_left -= n;
}

static inline void on_modem(void *arg, u8 mcr, bool brk)
{
    struct bench *t = arg;

    t->modem = mcr;
    t->brk = brk;
}

static const struct vuart_ops ops = {on_tx, on_room, on_modem};

static inline int setup(void **state)
{
    struct bench *t = calloc(1, sizeof(*t));

    board_init(&t->b);
    vuart_init(&t->u, &ops, t, board_irq(&t->b, IRQ), board_timer_out(&t->b));
    assert_int_equal(vuart_attach(&t->u, &t->b.ports, COM), OK);
    *state = t;
    return 0;
}

static inline int teardown(void **state)
{
    free(*state);
    return 0;
}

static inline unsigned feed(struct bench *t, const char *s)
{
    return vuart_receive(&t->u, (const u8 *)s, (unsigned)strlen(s), t->b.now);
}

/* 8N1 at 115200, FIFO with that trigger, OUT2 and RTS and DTR. */
static inline void open_port(struct bench *t, u8 fcr)
{
    out8(&t->b, LCR, 0x80);
    out8(&t->b, DATA, 1);
    out8(&t->b, IER, 0);
    out8(&t->b, LCR, 0x03);
    out8(&t->b, FCR, fcr);
    out8(&t->b, MCR, 0x0b);
}

static inline bool irq(struct bench *t)
{
    return t->b.level[IRQ];
}

#endif
