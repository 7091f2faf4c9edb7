/* SPDX-License-Identifier: BSD-2-Clause */
/* What the UART's two files share: register bits (PC16550D, table I) and a few functions. */
#ifndef VMM_DEV_VUART_IMPL_H
#define VMM_DEV_VUART_IMPL_H

#include "vmm/dev/vuart.h"

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

static inline bool vuart_fifo_on(const struct vuart *u)
{
    return u->s.fcr & FCR_ENABLE;
}

static inline unsigned vuart_capacity(const struct vuart *u)
{
    return vuart_fifo_on(u) ? VUART_FIFO : 1;
}

static inline unsigned vuart_trigger(const struct vuart *u)
{
    static const u8 level[4] = {1, 4, 8, 14};

    return vuart_fifo_on(u) ? level[u->s.fcr >> 6] : 1;
}

/* The interrupt line follows what is pending and enabled. */
void vuart_update_line(struct vuart *u);

/* A character has been assembled, with its errors (LSR bits). The line is the caller's to update.
 */
void vuart_receive_byte(struct vuart *u, u8 byte, u8 errors);
/* u has to be ticked at that time. */
static inline void vuart_want_tick(struct vuart *u, u64 at_ns)
{
    if (at_ns < u->deadline_ns) { /* a later one is found out by the tick */
        u->deadline_ns = at_ns;
        timer_out_changed(&u->timer);
    }
}

/* The character time-out starts anew. */
void vuart_restart_timeout(struct vuart *u, u64 now_ns);
/* LSR bit 7 after errors came or went. */
void vuart_update_fifo_error(struct vuart *u);
void vuart_reset_receiver(struct vuart *u);
/* The transmitter has run empty. The line is the caller's to update. */
void vuart_sent(struct vuart *u);
u8 vuart_read_rbr(struct vuart *u, u64 now_ns);
/* Asks the outside for what it still holds, if the receiver is empty. Last act of a call. */
void vuart_offer_room(struct vuart *u, u64 now_ns);

#endif
