/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random operations on the UART against a slow model written from the PC16550D data sheet: the
 * FIFO is an array that is moved, every status is computed anew when it is read.
 */
#include "tests/unit/dev_board.h"
#include "vmm/dev/vuart.h"

#define COM 0x3f8
#define IRQ 4

struct slow {
    u8 byte[16], error[16];
    unsigned held;
    u8 ier, lcr, mcr, scr, dll, dlm;
    bool fifo, thre, overrun, timeout, rts_used;
    u8 revealed; /* PE, FE, BI of the byte that came to the top, until LSR is read */
    unsigned trigger;
    u8 inputs, seen, deltas; /* modem inputs from outside; as last compared; MSR bits 3:0 */
    u64 due;                 /* of the character time-out */
    u64 busy;                /* until then the transmitter is; 0: it is not */
};

struct bench {
    struct board b;
    struct vuart u;
    u8 sent[8];
    unsigned n_sent, rooms;
};

static struct slow s;

/* ---- the slow UART -------------------------------------------------------------------------- */

static unsigned slow_trigger(void)
{
    static const unsigned level[4] = {1, 4, 8, 14};

    return s.fifo ? level[s.trigger] : 1;
}

/* Four characters of one start, the data, a parity and the stop bits at 115200 / divisor. */
static u64 slow_timeout(void)
{
    u32 divisor = s.dll + 256u * s.dlm;
    u32 bits = 1 + 5 + (s.lcr & 3) + (s.lcr & 8 ? 1 : 0) + (s.lcr & 4 ? 2 : 1);

    return 4ull * bits * (divisor ? divisor : 1) * NS_S / 115200;
}

/* The time-out is reckoned from here, at the rate set now; it needs bytes below the trigger. */
static void slow_quiet_from(u64 now)
{
    bool waits = s.fifo && s.held && s.held < slow_trigger() && !s.timeout;

    s.due = waits ? now + slow_timeout() : DEADLINE_NONE;
}

static void slow_reveal(void)
{
    if (s.held) {
        s.revealed |= s.error[0];
        s.error[0] = 0;
    }
}

static void slow_put(u8 byte, u8 error, u64 now)
{
    unsigned room = s.fifo ? 16 : 1;

    if (s.held == room) {
        s.overrun = true;
        if (s.fifo)
            return;
        s.held = 0;
    }
    s.byte[s.held] = byte;
    s.error[s.held++] = error;
    if (s.held == 1)
        slow_reveal();
    slow_quiet_from(now);
}

static u8 slow_get(u64 now)
{
    u8 v = s.byte[0];

    s.timeout = false;
    s.held--;
    memmove(s.byte, s.byte + 1, 15);
    memmove(s.error, s.error + 1, 15);
    slow_reveal();
    slow_quiet_from(now);
    return v;
}

static void slow_clear_receiver(void)
{
    s.held = 0;
    s.timeout = false;
    s.revealed = 0;
    s.due = DEADLINE_NONE;
}

static u8 slow_lsr(void)
{
    u8 v = (u8)((s.busy ? 0 : 0x60) | (s.held ? 1 : 0) | (s.overrun ? 2 : 0) | s.revealed);
    bool any = s.revealed;

    for (unsigned i = 0; i < s.held; i++)
        any |= s.error[i] != 0;
    return v | (s.fifo && any ? 0x80 : 0);
}

static void slow_modem(void)
{
    u8 now = s.inputs, changed;

    if (s.mcr & 0x10)
        now = (u8)((s.mcr & 2 ? 0x10 : 0) | (s.mcr & 1 ? 0x20 : 0) | (s.mcr & 4 ? 0x40 : 0) |
                   (s.mcr & 8 ? 0x80 : 0));
    changed = now ^ s.seen;
    s.deltas |= (u8)((changed & 0x10 ? 1 : 0) | (changed & 0x20 ? 2 : 0) |
                     (s.seen & ~now & 0x40 ? 4 : 0) | (changed & 0x80 ? 8 : 0));
    s.seen = now;
}

static u8 slow_iir(void)
{
    if ((s.ier & 4) && (s.overrun || s.revealed))
        return 6;
    if ((s.ier & 1) && s.held >= slow_trigger())
        return 4;
    if ((s.ier & 1) && s.timeout)
        return 12;
    if ((s.ier & 2) && s.thre)
        return 2;
    if ((s.ier & 8) && s.deltas)
        return 0;
    return 1;
}

static bool slow_line(void)
{
    return (s.mcr & 8) && slow_iir() != 1;
}

static bool slow_listens(void)
{
    return !(s.mcr & 0x10) && (!s.rts_used || (s.mcr & 2));
}

static u8 slow_read(unsigned reg, u64 now)
{
    u8 v;

    switch (reg) {
    case 0:
        return s.lcr & 0x80 ? s.dll : slow_get(now);
    case 1:
        return s.lcr & 0x80 ? s.dlm : s.ier;
    case 2:
        v = slow_iir();
        if (v == 2)
            s.thre = false;
        return v | (s.fifo ? 0xc0 : 0);
    case 3:
        return s.lcr;
    case 4:
        return s.mcr;
    case 5:
        v = slow_lsr();
        s.overrun = false;
        s.revealed = 0;
        return v;
    case 6:
        v = s.seen | s.deltas;
        s.deltas = 0;
        return v;
    default:
        return s.scr;
    }
}

static void slow_fcr(u8 v, u64 now)
{
    bool on = v & 1;

    if (on != s.fifo || (on && (v & 2)))
        slow_clear_receiver();
    if (s.busy && (on != s.fifo || (on && (v & 4)))) {
        s.busy = 0;
        s.thre = true;
    }
    s.fifo = on;
    s.trigger = on ? v >> 6 : 0;
    slow_quiet_from(now);
}

/* How long a byte takes: most nothing, some a millisecond or so. */
static u32 how_long(u8 byte)
{
    return (byte & 0x11) == 0x11 ? byte * 10000u : 0;
}

static void slow_send(u8 v, u64 now, unsigned *sent)
{
    u64 ns = how_long(v);

    ++*sent;
    if (ns)
        s.busy = MIN(s.busy ? s.busy : now, now + 15 * ns) + ns;
}

static void slow_write(unsigned reg, u8 v, u64 now, unsigned *sent)
{
    u8 old;

    switch (reg) {
    case 0:
        if (s.lcr & 0x80) {
            s.dll = v;
            return;
        }
        v &= (u8)(0xff >> (3 - (s.lcr & 3)));
        if (s.mcr & 0x10)
            slow_put(v, 0, now);
        else if (!(s.lcr & 0x40))
            slow_send(v, now, sent);
        s.thre = !s.busy;
        return;
    case 1:
        if (s.lcr & 0x80) {
            s.dlm = v;
            return;
        }
        if ((v & 2) && !(s.ier & 2) && !s.busy)
            s.thre = true;
        s.ier = v & 15;
        return;
    case 2:
        slow_fcr(v, now);
        return;
    case 3:
        old = s.lcr;
        s.lcr = v;
        if ((s.mcr & 0x10) && (v & ~old & 0x40))
            slow_put(0, 0x18, now);
        return;
    case 4:
        s.mcr = v & 0x1f;
        if ((s.mcr & 0x12) == 2)
            s.rts_used = true;
        slow_modem();
        return;
    case 7:
        s.scr = v;
        return;
    }
}

/* ---- side by side
 * --------------------------------------------------------------------------------- */

static u32 on_tx(void *arg, u8 byte)
{
    struct bench *t = arg;

    t->n_sent++;
    return how_long(byte);
}

static void on_room(void *arg, u64 now_ns)
{
    struct bench *t = arg;

    (void)now_ns;
    t->rooms++;
    assert_int_equal(t->u.s.count, 0); /* it has drained, and it listens */
    assert_true(slow_listens());
}

static const struct vuart_ops ops = {on_tx, on_room, NULL};

static void setup_bench(struct bench *t)
{
    memset(t, 0, sizeof(*t));
    board_init(&t->b);
    vuart_init(&t->u, &ops, t, board_irq(&t->b, IRQ), board_timer_out(&t->b));
    assert_int_equal(vuart_attach(&t->u, &t->b.ports, COM), OK);
    s = (struct slow){.inputs = 0xb0, .seen = 0xb0, .dll = 12, .due = DEADLINE_NONE};
}

static void feed_both(struct bench *t, u64 r)
{
    u8 bytes[20];
    unsigned n = 1 + r % 20, taken = 0;

    for (unsigned i = 0; i < n; i++)
        bytes[i] = (u8)(r >> 8 >> i);
    while (slow_listens() && taken < n && s.held < (s.fifo ? 16u : 1u))
        slow_put(bytes[taken++], 0, t->b.now);
    assert_int_equal(vuart_receive(&t->u, bytes, n, t->b.now), taken);
}

static void break_both(struct bench *t)
{
    bool takes = slow_listens() && s.held < (s.fifo ? 16u : 1u);

    if (takes)
        slow_put(0, 0x18, t->b.now);
    assert_int_equal(vuart_receive_break(&t->u, t->b.now), takes);
}

/* Time passes: the time-out falls due after four characters of quiet, with bytes below the trigger.
 */
static void wait_both(struct bench *t, u64 ns)
{
    t->b.now += ns;
    if (t->b.now >= s.due) {
        s.timeout = true;
        s.due = DEADLINE_NONE;
    }
    if (s.busy && t->b.now >= s.busy) {
        s.busy = 0;
        s.thre = true;
    }
    while (vuart_deadline(&t->u) <= t->b.now)
        vuart_tick(&t->u, t->b.now);
}

static void random_operations(void **state)
{
    u64 seed = 0x16550d, interrupts = 0;

    (void)state;
    for (unsigned round = 0; round < 400; round++) {
        struct bench t;
        unsigned sent = 0;

        setup_bench(&t);
        for (unsigned n = 0; n < 1500; n++) {
            u64 r = random_u64(&seed);
            unsigned reg = r >> 8 & 7;
            u8 v = (u8)(r >> 16);

            switch (r & 15) {
            case 0 ... 5:
                if (reg == 0 && !s.held && !(s.lcr & 0x80)) { /* what an empty FIFO reads is open */
                    in8(&t.b, COM);
                    break;
                }
                assert_int_equal(in8(&t.b, (u16)(COM + reg)), slow_read(reg, t.b.now));
                break;
            case 6 ... 9:
                if (reg == 3 && r >> 40 & 7) /* mostly without DLAB and break */
                    v &= 0x3f;
                if (reg == 4 && r >> 40 & 3)
                    v = (v & 0x17) | 8;
                slow_write(reg, v, t.b.now, &sent);
                out8(&t.b, (u16)(COM + reg), v);
                break;
            case 10 ... 12:
                feed_both(&t, r >> 8);
                break;
            case 13:
                if (v & 1) {
                    break_both(&t);
                } else {
                    s.inputs = v & 0xf0;
                    slow_modem();
                    vuart_set_modem(&t.u, v);
                }
                break;
            default:
                wait_both(&t, (r >> 16 & 0xffffff) >> (r >> 60));
                break;
            }
            assert_int_equal(t.u.s.timeout_ns, s.due);
            assert_int_equal(t.u.s.tx_done_ns, s.busy ? s.busy : DEADLINE_NONE);
            assert_int_equal(t.b.level[IRQ], slow_line());
            assert_int_equal(t.u.s.count, s.held);
            assert_int_equal(t.n_sent, sent);
            interrupts += slow_line();
        }
    }
    assert_true(interrupts > 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
