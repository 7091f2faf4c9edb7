/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PC16550D registers, interrupts and receiver; see vuart.h. Section numbers are the data sheet's
 * (PC16550D, June 1995).
 */
#include "vmm/dev/vuart.h"

enum {
    R_DATA,
    R_IER,
    R_IIR,
    R_LCR,
    R_MCR,
    R_LSR,
    R_MSR,
    R_SCR
}; /* table I; IIR reads, FCR writes */

/* Interrupt enable (8.7). */
#define IER_RX   BIT(0)
#define IER_THRE BIT(1)
#define IER_LINE BIT(2)
#define IER_MSR  BIT(3)
#define IER_BITS 0x0f

/* Interrupt identification (8.6), in order of priority. */
#define IIR_NONE    0x01
#define IIR_LINE    0x06
#define IIR_RX      0x04
#define IIR_TIMEOUT 0x0c
#define IIR_THRE    0x02
#define IIR_MSR     0x00
#define IIR_FIFO    0xc0

/* FIFO control (8.5). */
#define FCR_ENABLE   BIT(0)
#define FCR_RX_RESET BIT(1)
#define FCR_TX_RESET BIT(2)
#define FCR_KEPT     0xc9 /* trigger, DMA mode, enable */

#define LCR_BREAK BIT(6)
#define LCR_DLAB  BIT(7)

/* Modem control (8.8). */
#define MCR_DTR  BIT(0)
#define MCR_RTS  BIT(1)
#define MCR_OUT1 BIT(2)
#define MCR_OUT2 BIT(3) /* on a PC it connects the interrupt line */
#define MCR_LOOP BIT(4)
#define MCR_BITS 0x1f

/* Line status (8.4). */
#define LSR_DR       BIT(0)
#define LSR_OE       BIT(1)
#define LSR_PE       BIT(2)
#define LSR_FE       BIT(3)
#define LSR_BI       BIT(4)
#define LSR_THRE     BIT(5)
#define LSR_TEMT     BIT(6)
#define LSR_FIFO_ERR BIT(7)
#define LSR_ERRORS   (LSR_OE | LSR_PE | LSR_FE | LSR_BI)
#define LSR_PER_BYTE (LSR_PE | LSR_FE | LSR_BI)

/* Modem status (8.9): deltas below, levels above. */
#define MSR_DCTS  BIT(0)
#define MSR_DDSR  BIT(1)
#define MSR_TERI  BIT(2)
#define MSR_DDCD  BIT(3)
#define MSR_CTS   BIT(4)
#define MSR_DSR   BIT(5)
#define MSR_RI    BIT(6)
#define MSR_DCD   BIT(7)
#define MSR_DELTA 0x0f

#define CLOCK_HZ 115200u /* 1.8432 MHz / 16: bit rate at divisor 1 */

static bool fifo_on(const struct vuart *u)
{
    return u->s.fcr & FCR_ENABLE;
}

static unsigned capacity(const struct vuart *u)
{
    return fifo_on(u) ? VUART_FIFO : 1;
}

static unsigned trigger(const struct vuart *u)
{
    static const u8 level[4] = {1, 4, 8, 14};

    return fifo_on(u) ? level[u->s.fcr >> 6] : 1;
}

/* The highest-priority interrupt, enabled ones only (8.6, table III). */
static u8 pending_id(const struct vuart *u)
{
    const struct vuart_state *s = &u->s;

    if ((s->ier & IER_LINE) && (s->lsr & LSR_ERRORS))
        return IIR_LINE;
    if ((s->ier & IER_RX) && s->count >= trigger(u))
        return IIR_RX;
    if ((s->ier & IER_RX) && s->timeout)
        return IIR_TIMEOUT;
    if ((s->ier & IER_THRE) && s->thre_pending)
        return IIR_THRE;
    if ((s->ier & IER_MSR) && (s->msr & MSR_DELTA))
        return IIR_MSR;
    return IIR_NONE;
}

static void update_line(struct vuart *u)
{
    /* In loop-back OUT2 is cut off from its pin, and with it the PC's interrupt (8.8). */
    bool level = (u->s.mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2 && pending_id(u) != IIR_NONE;

    if (level == u->s.line)
        return;
    u->s.line = level;
    irq_out_set(&u->irq, level);
}

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
static void restart_timeout(struct vuart *u, u64 now_ns)
{
    bool waiting = fifo_on(u) && u->s.count > 0 && u->s.count < trigger(u) && !u->s.timeout;

    u->s.timeout_ns = waiting ? now_ns + timeout_ns(u) : DEADLINE_NONE;
    if (u->s.timeout_ns < u->deadline_ns) { /* a later one is found out by the tick */
        u->deadline_ns = u->s.timeout_ns;
        timer_out_changed(&u->timer);
    }
}

static void oldest_errors_to_lsr(struct vuart *u)
{
    if (u->s.count > 0) {
        u->s.lsr |= LSR_DR | u->s.errors[u->s.head];
        u->s.errors[u->s.head] = 0; /* revealed once */
    }
}

/* LSR bit 7: an error anywhere in the FIFO, the revealed one included until LSR is read. */
static void update_fifo_error(struct vuart *u)
{
    u8 any = u->s.lsr & LSR_PER_BYTE;

    for (unsigned i = 0; i < u->s.count; i++)
        any |= u->s.errors[(u->s.head + i) % VUART_FIFO];
    u->s.lsr &= (u8)~LSR_FIFO_ERR;
    if (fifo_on(u) && any)
        u->s.lsr |= LSR_FIFO_ERR;
}

/* A character has been assembled. A full FIFO keeps what it has, RBR takes the new one (8.4). */
static void receive_byte(struct vuart *u, u8 byte, u8 errors)
{
    struct vuart_state *s = &u->s;
    unsigned at = (s->head + s->count) % VUART_FIFO;

    if (s->count == capacity(u)) {
        s->lsr |= LSR_OE;
        if (fifo_on(u))
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
        update_fifo_error(u);
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

/* Whether the receiver listens to the outside and RTS, once used for flow control, allows it. */
static bool open_for_input(const struct vuart *u)
{
    return !(u->s.mcr & MCR_LOOP) && (!u->s.rts_used || (u->s.mcr & MCR_RTS));
}

/* Asks the outside for what it still holds, once the receiver is empty. Last act of a call. */
static void offer_room(struct vuart *u, u64 now_ns)
{
    if (!u->starved || u->s.count > 0 || !open_for_input(u))
        return;
    u->starved = false;
    if (u->ops->room)
        u->ops->room(u->arg, now_ns);
}

static void reset_receiver(struct vuart *u)
{
    u->s.count = 0;
    u->s.timeout = false;
    u->s.lsr &= (u8) ~(LSR_DR | LSR_PER_BYTE | LSR_FIFO_ERR);
    for (unsigned i = 0; i < VUART_FIFO; i++)
        u->s.errors[i] = 0;
    u->s.timeout_ns = DEADLINE_NONE;
}

static u8 read_rbr(struct vuart *u, u64 now_ns)
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
        restart_timeout(u, now_ns);
        update_line(u);
        offer_room(u, now_ns);
    }
    return byte;
}

static void write_thr(struct vuart *u, u8 byte, u64 now_ns)
{
    static const u8 mask[4] = {0x1f, 0x3f, 0x7f, 0xff};

    byte &= mask[u->s.lcr & 3];
    u->s.thre_pending = true; /* cleared by the write, and set again as the byte has left */
    if (u->s.mcr & MCR_LOOP) {
        receive_byte(u, byte, 0);
        restart_timeout(u, now_ns);
    } else if (!(u->s.lcr & LCR_BREAK) && u->ops->tx) {
        u->ops->tx(u->arg, &byte, 1);
    }
    update_line(u);
}

static void write_ier(struct vuart *u, u8 value)
{
    u8 rising = value & ~u->s.ier;

    u->s.ier = value & IER_BITS;
    if (rising & IER_THRE) /* enabling it with THR empty interrupts at once */
        u->s.thre_pending = true;
    update_line(u);
}

/* Reading IIR for a THRE interrupt ends that (8.6, table III). */
static u8 read_iir(struct vuart *u)
{
    u8 id = pending_id(u);

    if (id == IIR_THRE) {
        u->s.thre_pending = false;
        update_line(u);
    }
    return id | (fifo_on(u) ? IIR_FIFO : 0);
}

/* The other bits count only when bit 0 is written as one; a change of it clears both FIFOs (8.5).
 */
static void write_fcr(struct vuart *u, u8 value, u64 now_ns)
{
    bool toggled = (value ^ u->s.fcr) & FCR_ENABLE;

    u->s.fcr = value & FCR_ENABLE ? value & FCR_KEPT : 0;
    if (toggled || ((value & FCR_ENABLE) && (value & FCR_RX_RESET)))
        reset_receiver(u);
    /* The transmitter is always empty: resetting it changes nothing. */
    restart_timeout(u, now_ns);
    update_line(u);
    offer_room(u, now_ns);
}

static void tell_modem(struct vuart *u)
{
    if (u->ops->modem)
        u->ops->modem(u->arg, u->s.mcr & 0x0f, u->s.lcr & LCR_BREAK);
}

static void write_lcr(struct vuart *u, u8 value)
{
    bool changed = (u->s.lcr ^ value) & LCR_BREAK;

    u->s.lcr = value;
    if (!changed)
        return;
    if (u->s.mcr & MCR_LOOP) {
        if (value & LCR_BREAK) /* the looped line goes to spacing: the receiver sees a break */
            receive_byte(u, 0, LSR_BI | LSR_FE);
        update_line(u);
    } else {
        tell_modem(u);
    }
}

static void write_mcr(struct vuart *u, u8 value, u64 now_ns)
{
    u8 changed = u->s.mcr ^ (value & MCR_BITS);

    u->s.mcr = value & MCR_BITS;
    if (!(u->s.mcr & MCR_LOOP) && (u->s.mcr & MCR_RTS))
        u->s.rts_used = true;
    update_modem_status(u);
    update_line(u);
    if (changed && !(u->s.mcr & MCR_LOOP))
        tell_modem(u);
    offer_room(u, now_ns);
}

static u8 read_lsr(struct vuart *u)
{
    u8 value = u->s.lsr;

    if (value & LSR_ERRORS) {
        u->s.lsr &= (u8)~LSR_ERRORS;
        update_fifo_error(u);
        update_line(u);
    }
    return value;
}

static u8 read_msr(struct vuart *u)
{
    u8 value = u->s.msr;

    if (value & MSR_DELTA) {
        u->s.msr &= (u8)~MSR_DELTA;
        update_line(u);
    }
    return value;
}

static u8 read_register(struct vuart *u, unsigned reg, u64 now_ns)
{
    bool dlab = u->s.lcr & LCR_DLAB;

    switch (reg) {
    case R_DATA:
        return dlab ? u->s.divisor[0] : read_rbr(u, now_ns);
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
        write_lcr(u, value);
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

void vuart_access(void *arg, struct bus_access *acc)
{
    struct vuart *u = arg;

    if (!acc->write && acc->offset == R_LSR) /* what a polling guest reads most */
        acc->value = read_lsr(u);
    else if (acc->write)
        write_register(u, acc->offset & 7, (u8)acc->value, acc->now_ns);
    else
        acc->value = read_register(u, acc->offset & 7, acc->now_ns);
}

/* ---- the outside ------------------------------------------------------------------------------
 */

unsigned vuart_receive(struct vuart *u, const u8 *bytes, unsigned n, u64 now_ns)
{
    unsigned taken = 0;

    if (open_for_input(u)) {
        for (; taken < n && u->s.count < capacity(u); taken++)
            receive_byte(u, bytes[taken], 0);
        if (taken > 0) {
            restart_timeout(u, now_ns);
            update_line(u);
        }
    }
    u->starved = taken < n;
    return taken;
}

bool vuart_receive_break(struct vuart *u, u64 now_ns)
{
    u->starved = !open_for_input(u) || u->s.count == capacity(u);
    if (u->starved)
        return false;
    receive_byte(u, 0, LSR_BI | LSR_FE);
    restart_timeout(u, now_ns);
    update_line(u);
    return true;
}

void vuart_set_modem(struct vuart *u, u8 lines)
{
    u->s.lines_in = lines & 0xf0;
    update_modem_status(u);
    update_line(u);
}

void vuart_tick(struct vuart *u, u64 now_ns)
{
    if (now_ns < u->deadline_ns)
        return;
    if (now_ns >= u->s.timeout_ns) {
        u->s.timeout = true;
        u->s.timeout_ns = DEADLINE_NONE;
        update_line(u);
    }
    u->deadline_ns = u->s.timeout_ns;
    timer_out_changed(&u->timer);
}

/* ---- creation ---------------------------------------------------------------------------------
 */

void vuart_reset(struct vuart *u)
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
    };
    u->deadline_ns = DEADLINE_NONE;
    timer_out_changed(&u->timer);
    update_line(u);
}

void vuart_init(struct vuart *u, const struct vuart_ops *ops, void *arg, struct irq_out irq,
                struct timer_out timer)
{
    *u = (struct vuart){.ops = ops, .arg = arg, .irq = irq, .timer = timer};
    u->s.lines_in = MSR_CTS | MSR_DSR | MSR_DCD;
    vuart_reset(u);
}

enum err vuart_attach(struct vuart *u, struct bus *ports, u16 base)
{
    return bus_add(ports, base, VUART_PORTS, 1, vuart_access, u, "uart");
}
