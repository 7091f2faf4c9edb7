/* SPDX-License-Identifier: BSD-2-Clause */
/* 8254 data sheet; port 0x61 as in the PC/AT. */
#include "guests/lib/pit.h"

#define PIT_CHANNEL0 0x40
#define PIT_CHANNEL2 0x42
#define PIT_COMMAND  0x43
#define PORT_B       0x61
#define PORT_B_GATE2 0x01
#define PORT_B_SPKR  0x02
#define PORT_B_OUT2  0x20

static void program(u16 port, u8 command, u16 count)
{
    out8(PIT_COMMAND, command);
    out8(port, (u8)count);
    out8(port, (u8)(count >> 8));
}

void pit_start(unsigned mode, u16 count)
{
    program(PIT_CHANNEL0, (u8)(0x30 | mode << 1), count);
}

u16 pit_read(void)
{
    u8 lo;

    out8(PIT_COMMAND, 0x00);
    lo = in8(PIT_CHANNEL0);
    return (u16)(lo | in8(PIT_CHANNEL0) << 8);
}

void pit_wait_us(u32 us)
{
    u8 port_b = in8(PORT_B) & (u8) ~(PORT_B_GATE2 | PORT_B_SPKR);

    out8(PORT_B, port_b);
    program(PIT_CHANNEL2, 0xb0, (u16)((u64)us * PIT_HZ / 1000000));
    out8(PORT_B, port_b | PORT_B_GATE2);
    while (!(in8(PORT_B) & PORT_B_OUT2))
        cpu_pause();
    out8(PORT_B, port_b);
}

/* A delay of whatever runs below only lengthens a measurement: the shortest of several is right. */
u64 pit_tsc_khz(void)
{
    u64 best = UINT64_MAX;

    for (unsigned i = 0; i < 5; i++) {
        u64 start = rdtsc();
        u64 ticks;

        pit_wait_us(10000);
        ticks = rdtsc() - start;
        best = MIN(best, ticks);
    }
    return best / 10;
}
