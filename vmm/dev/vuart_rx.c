/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The UART's receiver: FIFO, errors, character time-out, and its end towards the outside; see
 * vuart.h. Section numbers are those of the PC16550D data sheet.
 */
#include "vmm/dev/vuart_impl.h"

#define CLOCK_HZ 115200u /* 1.8432 MHz / 16: bit rate at divisor 1 */

/* Four character times (8.11): start, data, parity and stop bits at the programmed rate. */
static u64 timeout_ns(const struct vuart *u)
{
    u32 divisor = u->s.divisor[0] | (u32)u->s.divisor[1] << 8;
    u32 bits = 7 + (u->s.lcr & 3) + ((u->s.lcr >> 3) & 1) + ((u->s.lcr >> 2) & 1);

    if (divisor == 0) /* the rate generator does not run; any finite time will do */
        divisor = 1;
    return 4ull * bits * divisor * 1000000000ull / CLOCK_HZ;
}

/* The time-out starts anew with each byte in or out; it needs bytes below the trigger (8.11). */
void vuart_restart_timeout(struct vuart *u, u64 now_ns)
{
    bool waiting =
        vuart_fifo_on(u) && u->s.count > 0 && u->s.count < vuart_trigger(u) && !u->s.timeout;

    u->s.timeout_ns = waiting ? now_ns + timeout_ns(u) : DEADLINE_NONE;
    vuart_want_tick(u, u->s.timeout_ns);
}

static void oldest_errors_to_lsr(struct vuart *u)
{
    if (u->s.count > 0) {
        u->s.lsr |= LSR_DR | u->s.errors[u->s.head];
        u->s.errors[u->s.head] = 0; /* revealed once */
    }
}

/* An error anywhere in the FIFO, the revealed one included until LSR is read. */
void vuart_update_fifo_error(struct vuart *u)
{
    u8 any = u->s.lsr & LSR_PER_BYTE;

    for (unsigned i = 0; i < u->s.count; i++)
        any |= u->s.errors[(u->s.head + i) % VUART_FIFO];
    u->s.lsr &= (u8)~LSR_FIFO_ERR;
    if (vuart_fifo_on(u) && any)
        u->s.lsr |= LSR_FIFO_ERR;
}

/* A character has been assembled. A full FIFO keeps what it has, RBR takes the new one (8.4). */
void vuart_receive_byte(struct vuart *u, u8 byte, u8 errors)
{
    struct vuart_state *s = &u->s;
    unsigned at = (s->head + s->count) % VUART_FIFO;

    if (s->count == vuart_capacity(u)) {
        s->lsr |= LSR_OE;
        if (vuart_fifo_on(u))
            return;
        at = s->head;
    } else {
        s->count++;
    }
    s->fifo[at] = byte;
    s->errors[at] = errors;
    if (at == s->head)
        oldest_errors_to_lsr(u);
    if (errors)
        vuart_update_fifo_error(u);
}

/* Whether the receiver listens to the outside and RTS, once used for flow control, allows it. */
static bool open_for_input(const struct vuart *u)
{
    return !(u->s.mcr & MCR_LOOP) && (!u->s.rts_used || (u->s.mcr & MCR_RTS));
}

void vuart_offer_room(struct vuart *u, u64 now_ns)
{
    if (!u->starved || u->s.count > 0 || !open_for_input(u))
        return;
    u->starved = false;
    if (u->ops->room)
        u->ops->room(u->arg, now_ns);
}

void vuart_reset_receiver(struct vuart *u)
{
    u->s.count = 0;
    u->s.timeout = false;
    u->s.lsr &= (u8) ~(LSR_DR | LSR_PER_BYTE | LSR_FIFO_ERR);
    for (unsigned i = 0; i < VUART_FIFO; i++)
        u->s.errors[i] = 0;
    u->s.timeout_ns = DEADLINE_NONE;
}

u8 vuart_read_rbr(struct vuart *u, u64 now_ns)
{
    struct vuart_state *s = &u->s;
    u8 byte = s->fifo[s->head]; /* empty: the last one again */

    s->timeout = false;
    if (s->count > 0) {
        s->count--;
        if (s->count > 0) {
            s->head = (s->head + 1) % VUART_FIFO;
            oldest_errors_to_lsr(u);
        } else {
            s->lsr &= (u8)~LSR_DR;
        }
        vuart_restart_timeout(u, now_ns);
        vuart_update_line(u);
        vuart_offer_room(u, now_ns);
    }
    return byte;
}

/* ---- the outside ---------------------------------------------------------------------------- */

unsigned vuart_receive(struct vuart *u, const u8 *bytes, unsigned n, u64 now_ns)
{
    unsigned taken = 0;

    if (open_for_input(u)) {
        for (; taken < n && u->s.count < vuart_capacity(u); taken++)
            vuart_receive_byte(u, bytes[taken], 0);
        if (taken > 0) {
            vuart_restart_timeout(u, now_ns);
            vuart_update_line(u);
        }
    }
    u->starved = taken < n;
    return taken;
}

bool vuart_receive_break(struct vuart *u, u64 now_ns)
{
    u->starved = !open_for_input(u) || u->s.count == vuart_capacity(u);
    if (u->starved)
        return false;
    vuart_receive_byte(u, 0, LSR_BI | LSR_FE);
    vuart_restart_timeout(u, now_ns);
    vuart_update_line(u);
    return true;
}

void vuart_tick(struct vuart *u, u64 now_ns)
{
    if (now_ns < u->deadline_ns)
        return;
    if (now_ns >= u->s.timeout_ns) {
        u->s.timeout = true;
        u->s.timeout_ns = DEADLINE_NONE;
    }
    if (now_ns >= u->s.tx_done_ns)
        vuart_sent(u);
    vuart_update_line(u);
    u->deadline_ns = MIN(u->s.timeout_ns, u->s.tx_done_ns);
    timer_out_changed(&u->timer);
}
