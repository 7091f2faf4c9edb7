/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PC16550D registers and interrupts; see vuart.h, and vuart_rx.c for the receiver. Section numbers
 * are the data sheet's (PC16550D, June 1995).
 */
#include "vmm/dev/vuart_impl.h"

/* Offsets (table I). IIR is read, FCR written at the same one. */
enum { R_DATA, R_IER, R_IIR, R_LCR, R_MCR, R_LSR, R_MSR, R_SCR };

/* The highest-priority interrupt, enabled ones only (8.6, table III). */
static u8 pending_id(const struct vuart *u)
{
    const struct vuart_state *s = &u->s;

    if ((s->ier & IER_LINE) && (s->lsr & LSR_ERRORS))
        return IIR_LINE;
    if ((s->ier & IER_RX) && s->count >= vuart_trigger(u))
        return IIR_RX;
    if ((s->ier & IER_RX) && s->timeout)
        return IIR_TIMEOUT;
    if ((s->ier & IER_THRE) && s->thre_pending)
        return IIR_THRE;
    if ((s->ier & IER_MSR) && (s->msr & MSR_DELTA))
        return IIR_MSR;
    return IIR_NONE;
}

void vuart_update_line(struct vuart *u)
{
    /*
     * OUT2 is the PC's gate of the line. In loop-back its pin is off (8.8); chips that have the
     * gate inside heed the bit there too, and self-tests by interrupt (TIOCM_LOOP) are made for
     * those.
     */
    bool level = (u->s.mcr & MCR_OUT2) && pending_id(u) != IIR_NONE;

    if (level == u->s.line)
        return;
    u->s.line = level;
    irq_out_set(&u->irq, level);
}

/* What the receiver sees of the modem inputs: the pins, or in loop-back the outputs (8.8). */
static u8 modem_inputs(const struct vuart *u)
{
    u8 mcr = u->s.mcr;

    if (!(mcr & MCR_LOOP))
        return u->s.lines_in;
    return (u8)((mcr & MCR_RTS ? MSR_CTS : 0) | (mcr & MCR_DTR ? MSR_DSR : 0) |
                (mcr & MCR_OUT1 ? MSR_RI : 0) | (mcr & MCR_OUT2 ? MSR_DCD : 0));
}

/* Modem status follows its inputs; RI tells only its end (8.9). */
static void update_modem_status(struct vuart *u)
{
    u8 now = modem_inputs(u), was = u->s.msr & 0xf0, changed = now ^ was;

    u->s.msr = (u8)(now | (u->s.msr & MSR_DELTA));
    if (changed & MSR_CTS)
        u->s.msr |= MSR_DCTS;
    if (changed & MSR_DSR)
        u->s.msr |= MSR_DDSR;
    if (was & ~now & MSR_RI)
        u->s.msr |= MSR_TERI;
    if (changed & MSR_DCD)
        u->s.msr |= MSR_DDCD;
}

void vuart_sent(struct vuart *u)
{
    u->s.tx_done_ns = DEADLINE_NONE;
    u->s.lsr |= LSR_THRE | LSR_TEMT;
    u->s.thre_pending = true;
}

/* A byte more is on its way. Who writes without looking at THRE never waits for more than a FIFO.
 */
static COLD void busy_for(struct vuart *u, u32 ns, u64 now_ns)
{
    u64 since = u->s.tx_done_ns == DEADLINE_NONE ? now_ns : u->s.tx_done_ns;

    u->s.tx_done_ns = MIN(since, now_ns + (VUART_FIFO - 1) * (u64)ns) + ns;
    u->s.lsr &= (u8) ~(LSR_THRE | LSR_TEMT);
    vuart_want_tick(u, u->s.tx_done_ns);
}

static void write_thr(struct vuart *u, u8 byte, u64 now_ns)
{
    static const u8 mask[4] = {0x1f, 0x3f, 0x7f, 0xff};
    u32 ns = 0;

    byte &= mask[u->s.lcr & 3];
    if (u->s.mcr & MCR_LOOP) {
        vuart_receive_byte(u, byte, 0);
        vuart_restart_timeout(u, now_ns);
    } else if (!(u->s.lcr & LCR_BREAK) && u->ops->tx) {
        ns = u->ops->tx(u->arg, byte);
    }
    if (unlikely(ns))
        busy_for(u, ns, now_ns);
    /* Cleared by the write, and set again as the byte has left. */
    u->s.thre_pending = (u->s.lsr & LSR_THRE) != 0;
    vuart_update_line(u);
}

static COLD void write_ier(struct vuart *u, u8 value)
{
    u8 rising = value & ~u->s.ier;

    u->s.ier = value & IER_BITS;
    if ((rising & IER_THRE) && (u->s.lsr & LSR_THRE)) /* THR empty: it interrupts at once */
        u->s.thre_pending = true;
    vuart_update_line(u);
}

/* Reading IIR for a THRE interrupt ends that (8.6, table III). */
static u8 read_iir(struct vuart *u)
{
    u8 id = pending_id(u);

    if (id == IIR_THRE) {
        u->s.thre_pending = false;
        vuart_update_line(u);
    }
    return id | (vuart_fifo_on(u) ? IIR_FIFO : 0);
}

/* The other bits count only when bit 0 is written as one; a change of it clears both FIFOs (8.5).
 */
static COLD void write_fcr(struct vuart *u, u8 value, u64 now_ns)
{
    bool toggled = (value ^ u->s.fcr) & FCR_ENABLE;

    u->s.fcr = value & FCR_ENABLE ? value & FCR_KEPT : 0;
    if (toggled || ((value & FCR_ENABLE) && (value & FCR_RX_RESET)))
        vuart_reset_receiver(u);
    if (u->s.tx_done_ns != DEADLINE_NONE &&
        (toggled || ((value & FCR_ENABLE) && (value & FCR_TX_RESET))))
        vuart_sent(u);
    vuart_restart_timeout(u, now_ns);
    vuart_update_line(u);
    vuart_offer_room(u, now_ns);
}

static void tell_modem(struct vuart *u)
{
    if (u->ops->modem)
        u->ops->modem(u->arg, u->s.mcr & 0x0f, u->s.lcr & LCR_BREAK);
}

static COLD void write_lcr(struct vuart *u, u8 value, u64 now_ns)
{
    bool changed = (u->s.lcr ^ value) & LCR_BREAK;

    u->s.lcr = value;
    if (!changed)
        return;
    if (!(u->s.mcr & MCR_LOOP)) {
        tell_modem(u);
    } else if (value & LCR_BREAK) { /* the looped line goes to spacing: the receiver sees a break */
        vuart_receive_byte(u, 0, LSR_BI | LSR_FE);
        vuart_restart_timeout(u, now_ns);
        vuart_update_line(u);
    }
}

static COLD void write_mcr(struct vuart *u, u8 value, u64 now_ns)
{
    u8 changed = u->s.mcr ^ (value & MCR_BITS);

    u->s.mcr = value & MCR_BITS;
    if (!(u->s.mcr & MCR_LOOP) && (u->s.mcr & MCR_RTS))
        u->s.rts_used = true;
    update_modem_status(u);
    vuart_update_line(u);
    if (changed && !(u->s.mcr & MCR_LOOP))
        tell_modem(u);
    vuart_offer_room(u, now_ns);
}

static u8 read_lsr(struct vuart *u)
{
    u8 value = u->s.lsr;

    if (value & LSR_ERRORS) {
        u->s.lsr &= (u8)~LSR_ERRORS;
        vuart_update_fifo_error(u);
        vuart_update_line(u);
    }
    return value;
}

static u8 read_msr(struct vuart *u)
{
    u8 value = u->s.msr;

    if (value & MSR_DELTA) {
        u->s.msr &= (u8)~MSR_DELTA;
        vuart_update_line(u);
    }
    return value;
}

static u8 read_register(struct vuart *u, unsigned reg, u64 now_ns)
{
    bool dlab = u->s.lcr & LCR_DLAB;

    switch (reg) {
    case R_DATA:
        return dlab ? u->s.divisor[0] : vuart_read_rbr(u, now_ns);
    case R_IER:
        return dlab ? u->s.divisor[1] : u->s.ier;
    case R_IIR:
        return read_iir(u);
    case R_LCR:
        return u->s.lcr;
    case R_MCR:
        return u->s.mcr;
    case R_LSR:
        return read_lsr(u);
    case R_MSR:
        return read_msr(u);
    default:
        return u->s.scr;
    }
}

static void write_register(struct vuart *u, unsigned reg, u8 value, u64 now_ns)
{
    bool dlab = u->s.lcr & LCR_DLAB;

    if (dlab && reg <= R_IER) {
        u->s.divisor[reg] = value;
        return;
    }
    switch (reg) {
    case R_DATA:
        write_thr(u, value, now_ns);
        break;
    case R_IER:
        write_ier(u, value);
        break;
    case R_IIR:
        write_fcr(u, value, now_ns);
        break;
    case R_LCR:
        write_lcr(u, value, now_ns);
        break;
    case R_MCR:
        write_mcr(u, value, now_ns);
        break;
    case R_SCR:
        u->s.scr = value;
        break;
    default: /* LSR is for factory testing only; MSR cannot be written */
        break;
    }
}

static __attribute__((noinline)) void access_any(struct vuart *u, struct bus_access *acc)
{
    if (acc->write)
        write_register(u, acc->offset & 7, (u8)acc->value, bus_now(acc));
    else
        acc->value = read_register(u, acc->offset & 7, bus_now(acc));
}

/* What a polling guest reads most, LSR without errors, goes by nothing else. */
void vuart_access(void *arg, struct bus_access *acc)
{
    struct vuart *u = arg;

    if (likely(!acc->write && acc->offset == R_LSR && !(u->s.lsr & LSR_ERRORS)))
        acc->value = u->s.lsr;
    else
        access_any(u, acc);
}

/* ---- the outside ---------------------------------------------------------------------------- */

void vuart_set_modem(struct vuart *u, u8 lines)
{
    u->s.lines_in = lines & 0xf0;
    update_modem_status(u);
    vuart_update_line(u);
}

/* ---- creation ------------------------------------------------------------------------------- */

COLD void vuart_reset(struct vuart *u)
{
    u8 lines_in = u->s.lines_in;
    bool line = u->s.line;

    u->s = (struct vuart_state){
        .lsr = LSR_THRE | LSR_TEMT,
        .msr = lines_in,
        .lines_in = lines_in,
        .divisor = {12, 0}, /* not reset by the chip; firmware leaves 9600 */
        .line = line,
        .timeout_ns = DEADLINE_NONE,
        .tx_done_ns = DEADLINE_NONE,
    };
    u->deadline_ns = DEADLINE_NONE;
    timer_out_changed(&u->timer);
    vuart_update_line(u);
}

void vuart_init(struct vuart *u, const struct vuart_ops *ops, void *arg, struct irq_out irq,
                struct timer_out timer)
{
    *u = (struct vuart){.ops = ops, .arg = arg, .irq = irq, .timer = timer};
    u->s.lines_in = VUART_PLUGGED;
    vuart_reset(u);
}

enum err vuart_attach(struct vuart *u, struct bus *ports, u16 base)
{
    return bus_add(ports, base, VUART_PORTS, 1, vuart_access, u, "uart");
}
