/* SPDX-License-Identifier: BSD-2-Clause */
/* The 16550 at COM1, polled (National Semiconductor PC16550D data sheet). */
#include "guests/lib/console.h"
#include "guests/lib/cpu.h"
#include "lib/print.h"

enum {
    REG_DATA = 0,
    REG_IER = 1,
    REG_FCR = 2,
    REG_LCR = 3,
    REG_MCR = 4,
    REG_LSR = 5,
};

#define LSR_DATA_READY 0x01
#define LSR_THR_EMPTY  0x20
#define LSR_IDLE       0x40

static volatile u32 lock;

void console_init(void)
{
    out8(COM1 + REG_IER, 0);
    out8(COM1 + REG_LCR, 0x80);
    out8(COM1 + REG_DATA, 1);
    out8(COM1 + REG_IER, 0);
    out8(COM1 + REG_LCR, 0x03);
    out8(COM1 + REG_FCR, 0x07);
    out8(COM1 + REG_MCR, 0x03);
}

static void put(u8 byte)
{
    while (!(in8(COM1 + REG_LSR) & LSR_THR_EMPTY))
        cpu_pause();
    out8(COM1 + REG_DATA, byte);
}

void print(const char *fmt, ...)
{
    char text[512];
    va_list ap;
    ulong flags = flags_read();

    va_start(ap, fmt);
    fmt_vprint(text, sizeof(text), fmt, ap);
    va_end(ap);
    cpu_cli();
    while (__sync_lock_test_and_set(&lock, 1))
        cpu_pause();
    for (const char *p = text; *p; p++) {
        if (*p == '\n')
            put('\r');
        put((u8)*p);
    }
    __sync_lock_release(&lock);
    if (flags & FLAG_IF)
        cpu_sti();
}

u8 console_getc(void)
{
    while (!(in8(COM1 + REG_LSR) & LSR_DATA_READY))
        cpu_pause();
    return in8(COM1 + REG_DATA);
}

void console_drain(void)
{
    while (!(in8(COM1 + REG_LSR) & LSR_IDLE))
        cpu_pause();
}
