/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PC16550D: the UART a guest sees at COM1-COM4 (National PC16550D data sheet, June 1995).
 *
 * Output leaves at once: a byte written to THR is handed to tx() during the access, and THR and
 * the shift register are empty again when the guest looks; the THRE interrupt is raised anew after
 * each write as the data sheet has it. Only where tx() says that a byte takes its time is the
 * transmitter busy for as long (for a FIFO of bytes at most), so that a guest which heeds THRE
 * prints no faster than what is behind it can take. Input is not paced: the line it comes from is.
 * Else the only time that a guest can see is the character time-out (four character times at the
 * programmed rate); a loop-back byte arrives at once.
 *
 * Input never overruns by the console's doing: vuart_receive() takes what the FIFO has room for,
 * and room() is called when it has drained, so that a long paste is held outside and arrives whole.
 * Overrun occurs in loop-back, where the guest is both ends.
 */
#ifndef VMM_DEV_VUART_H
#define VMM_DEV_VUART_H

#include "vmm/dev/bus.h"
#include "vmm/dev/irq_out.h"

#define VUART_FIFO  16
#define VUART_PORTS 8
/* The modem inputs of a port with somebody at the other end: CTS, DSR, DCD. */
#define VUART_PLUGGED 0xb0

/* What the guest can observe. Names are the data sheet's. */
struct vuart_state {
    u8 ier, fcr, lcr, mcr, lsr, msr, scr;
    bool thre_pending; /* THRE interrupt latched: cleared by reading IIR for it or writing THR */
    bool timeout;      /* character time-out latched: cleared by reading RBR */
    bool line;         /* level of the interrupt line as last told */
    u8 divisor[2];     /* DLL, DLM */
    u8 head, count;    /* receive FIFO: oldest byte, bytes held */
    u8 fifo[VUART_FIFO];
    u8 errors[VUART_FIFO]; /* LSR bits PE, FE, BI that travel with each byte */
    u8 lines_in;           /* modem inputs as the outside drives them: MSR bits 7:4 */
    bool rts_used;         /* RTS has been on: from then on RTS off holds input back */
    u64 timeout_ns;        /* when the character time-out falls due; DEADLINE_NONE */
    u64 tx_done_ns;        /* when the transmitter is empty again; DEADLINE_NONE: it is */
};

/* Wiring. Every pointer but irq may be NULL. */
struct vuart_ops {
    /*
     * The guest sent a byte. Must not block; what cannot be kept is dropped there. Returns how long
     * the transmitter is to be busy with it, in nanoseconds; 0: not at all.
     */
    u32 (*tx)(void *arg, u8 byte);
    /* The receiver has drained after refusing input: offer more. May call vuart_receive(). */
    void (*room)(void *arg, u64 now_ns);
    /* DTR, RTS, OUT1, OUT2 or break changed: mcr as written (bits 3:0), break on the line. */
    void (*modem)(void *arg, u8 mcr, bool brk);
};

struct vuart {
    struct vuart_state s;
    bool starved;    /* the outside has more: call room() when drained */
    u64 deadline_ns; /* at or before both times of s: moved only when it has to be */
    struct irq_out irq;
    struct timer_out timer;
    const struct vuart_ops *ops;
    void *arg;
};

/* Power-on state (master reset), modem inputs CTS, DSR and DCD on. `ops` outlives u. */
void vuart_init(struct vuart *u, const struct vuart_ops *ops, void *arg, struct irq_out irq,
                struct timer_out timer);
/* Master reset as by the MR pin: registers as the data sheet's table II; the wiring stays. */
void vuart_reset(struct vuart *u);

/* Puts u at VUART_PORTS ports from base (0x3f8, 0x2f8, 0x3e8, 0x2e8). Errors as bus_add(). */
enum err vuart_attach(struct vuart *u, struct bus *ports, u16 base);

/*
 * Bytes from the outside. Returns how many were taken, 0..n: none in loop-back, none while the
 * FIFO is full (or RBR in 16450 mode), none while the guest holds RTS off once it has set it.
 * When fewer than n were taken, ops->room is called later, once.
 */
unsigned vuart_receive(struct vuart *u, const u8 *bytes, unsigned n, u64 now_ns);
/* A break from the outside: one zero byte with BI and FE. False: no room, try again on room(). */
bool vuart_receive_break(struct vuart *u, u64 now_ns);
/* Sets the modem inputs; `lines` uses MSR's bits (CTS 0x10, DSR 0x20, RI 0x40, DCD 0x80). */
void vuart_set_modem(struct vuart *u, u8 lines);

/* Next time for vuart_tick(), or DEADLINE_NONE. */
static inline u64 vuart_deadline(const struct vuart *u)
{
    return u->deadline_ns;
}
void vuart_tick(struct vuart *u, u64 now_ns);

/* The registers themselves, for the bus: offset 0..7, one byte. */
void vuart_access(void *arg, struct bus_access *acc);

#endif
