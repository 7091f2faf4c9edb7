/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The physical 16550. One ring for output; whoever writes also fills the FIFO when it is empty, so
 * that output goes on even while interrupts are off. Once an interrupt or a timer empties the ring
 * (`served`), nobody waits for the line any more.
 */
#include "drivers/uart/uart.h"
#include "arch/x86_64/cpu.h"
#include "lib/lock.h"
#include "lib/print.h"

/* Registers, from the base port (PC16550D, table II). */
#define REG_DATA    0 /* DLAB: divisor low */
#define REG_IER     1 /* DLAB: divisor high */
#define REG_IIR_FCR 2
#define REG_LCR     3
#define REG_MCR     4
#define REG_LSR     5
#define REG_MSR     6

#define IER_RX     0x01
#define IER_TX     0x02
#define IER_MODEM  0x08
#define IER_ALL    0x0f
#define IIR_NONE   0x01
#define IIR_FIFOS  0xc0 /* both set: the FIFOs are there and on */
#define FCR_ENABLE 0x87 /* FIFO on, both emptied, interrupt at eight bytes or a pause */
#define LCR_8N1    0x03
#define LCR_DLAB   0x80
#define MCR_LINES  0x09 /* DTR, and OUT2: the interrupt reaches the board */
#define MCR_RTS    0x02
#define LSR_DATA   0x01
#define LSR_OE     0x02 /* a byte came and found no room */
#define LSR_THRE   0x20
#define LSR_TEMT   0x40
#define LSR_ABSENT 0xff
#define MSR_CTS    0x10

#define FIFO_SIZE  16
#define CLOCK      115200
#define RING_SIZE  32768
#define OTHERS_MAX 1024    /* of the ring, for uart_write: the rest is for skep's own text */
#define SPIN_LIMIT 1000000 /* a port that never gets ready must not hang skep */

static struct {
    struct spinlock lock; /* all of it */
    struct uart_place at;
    bool present;
    bool awaited; /* not found yet: what is written waits in the ring */
    bool cts;     /* output waits for CTS */
    bool held;    /* input is not taken */
    u8 fifo;      /* bytes that the transmitter takes at once */
    u8 ier;       /* as last written */
    u32 byte_ns;
    bool irq;       /* the transmit interrupt empties the ring */
    bool served;    /* that, or uart_poll */
    u32 head, tail; /* free-running; head - tail bytes wait */
    u32 lost;       /* bytes of text that found no room, not told yet */
    u64 overruns;
    void (*receiver)(const u8 *buf, size_t len);
    char ring[RING_SIZE];
} uart;

static u8 reg_read(unsigned reg)
{
    volatile void *p = (volatile u8 *)uart.at.mmio + reg * uart.at.stride;

    if (!uart.at.mmio)
        return cpu_in8((u16)(uart.at.port + reg));
    switch (uart.at.stride) {
    case 4:
        return (u8) * (volatile u32 *)p;
    case 2:
        return (u8) * (volatile u16 *)p;
    default:
        return *(volatile u8 *)p;
    }
}

static void reg_write(unsigned reg, u8 value)
{
    volatile void *p = (volatile u8 *)uart.at.mmio + reg * uart.at.stride;

    if (!uart.at.mmio)
        cpu_out8((u16)(uart.at.port + reg), value);
    else if (uart.at.stride == 4)
        *(volatile u32 *)p = value;
    else if (uart.at.stride == 2)
        *(volatile u16 *)p = value;
    else
        *(volatile u8 *)p = value;
}

static void set_rate(u32 baud)
{
    u32 clock = uart.at.clock ? uart.at.clock : CLOCK, divisor;

    reg_write(REG_LCR, LCR_8N1 | LCR_DLAB);
    if (baud) {
        divisor = MIN(MAX(clock / baud, 1u), 0xffffu);
        reg_write(REG_DATA, (u8)divisor);
        reg_write(REG_IER, (u8)(divisor >> 8));
    }
    divisor = reg_read(REG_DATA) | (u32)reg_read(REG_IER) << 8;
    reg_write(REG_LCR, LCR_8N1);
    uart.byte_ns = (u32)MIN(10000000000ull * MAX(divisor, 1u) / clock, 1000000000ull);
}

bool uart_open(const struct uart_place *at, u32 baud, bool cts)
{
    uart.at = *at;
    uart.cts = cts;
    reg_write(REG_LCR, LCR_8N1);
    reg_write(REG_IER, IER_ALL);
    if (reg_read(REG_LSR) == LSR_ABSENT || (reg_read(REG_IER) & IER_ALL) != IER_ALL)
        return false;
    reg_write(REG_IER, 0);
    set_rate(baud);
    reg_write(REG_IIR_FCR, FCR_ENABLE);
    uart.fifo = (reg_read(REG_IIR_FCR) & IIR_FIFOS) == IIR_FIFOS ? FIFO_SIZE : 1;
    reg_write(REG_MCR, MCR_LINES | MCR_RTS);
    uart.present = true;
    uart.awaited = false;
    return true;
}

void uart_await(void)
{
    uart.awaited = true;
}

int uart_isa_irq(u16 port)
{
    switch (port) {
    case 0x3f8:
    case 0x3e8:
        return 4;
    case 0x2f8:
    case 0x2e8:
        return 3;
    default:
        return -1;
    }
}

/* Whether the other end wants no bytes now. */
static bool stopped(void)
{
    return uart.cts && !(reg_read(REG_MSR) & MSR_CTS);
}

/* Moves bytes from the ring to the FIFO if that has run empty, and asks for the interrupts that are
 * of use. Locked. */
static void pump(void)
{
    bool stop;
    u8 ier;

    if (!uart.present)
        return;
    stop = stopped();
    if (!stop && uart.head != uart.tail && (reg_read(REG_LSR) & LSR_THRE))
        for (unsigned n = 0; n < uart.fifo && uart.head != uart.tail; n++)
            reg_write(REG_DATA, (u8)uart.ring[uart.tail++ % RING_SIZE]);
    if (!uart.irq)
        return;
    ier = (u8)((uart.held ? 0 : IER_RX) | (uart.cts ? IER_MODEM : 0) |
               (!stop && uart.head != uart.tail ? IER_TX : 0));
    if (ier != uart.ier)
        reg_write(REG_IER, ier);
    uart.ier = ier;
}

/* Waits until the transmitter shows the bit. Bounded. */
static void wait_lsr(u8 bit)
{
    for (u32 i = 0; i < SPIN_LIMIT && !(reg_read(REG_LSR) & bit); i++)
        cpu_pause();
}

static size_t ring_room(void)
{
    return RING_SIZE - (uart.head - uart.tail);
}

size_t uart_room(void)
{
    u32 waiting = __atomic_load_n(&uart.head, __ATOMIC_RELAXED) -
                  __atomic_load_n(&uart.tail, __ATOMIC_RELAXED);

    if (!uart.present && !uart.awaited)
        return SIZE_MAX;
    return waiting < OTHERS_MAX ? OTHERS_MAX - waiting : 0;
}

u32 uart_byte_ns(void)
{
    return uart.byte_ns;
}

bool uart_busy(void)
{
    return uart.present && __atomic_load_n(&uart.head, __ATOMIC_RELAXED) !=
                               __atomic_load_n(&uart.tail, __ATOMIC_RELAXED);
}

size_t uart_write(const char *buf, size_t len)
{
    if (!uart.present && !uart.awaited)
        return len;
    spin_lock(&uart.lock);
    len = MIN(len, uart_room());
    for (size_t i = 0; i < len; i++)
        uart.ring[uart.head++ % RING_SIZE] = buf[i];
    pump();
    spin_unlock(&uart.lock);
    return len;
}

/* Locked; waits for room. */
static void put_waiting(char c)
{
    if (!ring_room() && uart.present) {
        wait_lsr(LSR_THRE);
        pump();
    }
    if (!ring_room())
        uart.tail++; /* the port is stuck: lose the oldest rather than hang */
    uart.ring[uart.head++ % RING_SIZE] = c;
}

static void drain(void)
{
    while (uart.present && uart.head != uart.tail && !stopped()) {
        u32 before = uart.tail;

        wait_lsr(LSR_THRE);
        pump();
        if (uart.tail == before)
            uart.tail = uart.head;
    }
}

/* Locked. Once the ring is served nothing is worth waiting for: what finds no room is counted. */
static void put_text(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (uart.served && ring_room() < 2) {
            uart.lost += (u32)(len - i);
            return;
        }
        if (text[i] == '\n')
            put_waiting('\r');
        put_waiting(text[i]);
    }
}

void uart_write_text(const char *text, size_t len)
{
    char mark[48];

    if (!uart.present && !uart.awaited)
        return;
    spin_lock(&uart.lock);
    if (uart.lost && ring_room() > OTHERS_MAX) {
        int n = fmt_print(mark, sizeof(mark), "\n[%u bytes lost here]\n", uart.lost);
        uart.lost = 0;
        put_text(mark, (size_t)n);
    }
    put_text(text, len);
    pump();
    if (!uart.served)
        drain();
    spin_unlock(&uart.lock);
}

static void put_polled(char c)
{
    wait_lsr(LSR_THRE);
    reg_write(REG_DATA, (u8)c);
}

void uart_write_polled(const char *text, size_t len)
{
    if (!uart.present)
        return;
    uart.irq = uart.served = false;
    while (uart.head != uart.tail) /* what was on its way comes first */
        put_polled(uart.ring[uart.tail++ % RING_SIZE]);
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\n')
            put_polled('\r');
        put_polled(text[i]);
    }
}

void uart_flush(void)
{
    spin_lock(&uart.lock);
    drain();
    if (uart.present)
        wait_lsr(LSR_TEMT);
    spin_unlock(&uart.lock);
}

void uart_set_receiver(void (*fn)(const u8 *buf, size_t len))
{
    __atomic_store_n(&uart.receiver, fn, __ATOMIC_RELEASE);
}

void uart_irq_on(void)
{
    if (!uart.present)
        return;
    spin_lock(&uart.lock);
    uart.irq = uart.served = true;
    pump();
    spin_unlock(&uart.lock);
}

/* Takes what has come in, at most two FIFOs of it. Locked. */
static size_t take_input(u8 *buf, size_t max)
{
    size_t n = 0;
    u8 lsr;

    while (n < max && !uart.held && ((lsr = reg_read(REG_LSR)) & LSR_DATA)) {
        uart.overruns += (lsr & LSR_OE) != 0;
        buf[n++] = reg_read(REG_DATA);
    }
    return n;
}

void uart_want_input(bool want)
{
    if (!uart.present)
        return;
    spin_lock(&uart.lock);
    reg_write(REG_MCR, want ? MCR_LINES | MCR_RTS : MCR_LINES);
    uart.held = !want;
    pump();
    spin_unlock(&uart.lock);
}

u64 uart_overruns(void)
{
    return uart.overruns;
}

/* Serves both directions; the receiver runs unlocked, for it may write. */
static void serve(void)
{
    void (*receiver)(const u8 *, size_t) = __atomic_load_n(&uart.receiver, __ATOMIC_ACQUIRE);
    u8 buf[2 * FIFO_SIZE];
    size_t n;

    spin_lock(&uart.lock);
    n = take_input(buf, sizeof(buf));
    pump();
    spin_unlock(&uart.lock);
    if (n && receiver)
        receiver(buf, n);
}

/* An edge-triggered line: serve until the chip has no reason left. */
bool uart_interrupt(void)
{
    unsigned i;
    u8 iir;

    for (i = 0; i < 8 && !((iir = reg_read(REG_IIR_FCR)) & IIR_NONE); i++) {
        if ((iir & 0x0e) == 0)
            reg_read(REG_MSR);
        serve();
    }
    return i > 0;
}

/* The transmitter is empty, which is a reason. */
void uart_assert(bool on)
{
    reg_write(REG_IER, on ? IER_TX : 0);
}

void uart_poll(void)
{
    uart.served = true;
    if (uart.present)
        serve();
}
