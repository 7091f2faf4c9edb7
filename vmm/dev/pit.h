/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * 8254 programmable interval timer, ports 0x40-0x43 (Intel 8254 data sheet, 231164), and the PC's
 * port 0x61 (gate and output of counter 2, speaker data, refresh toggle).
 *
 * The clock is exactly 105/88 MHz. Every output edge is computed from the tick at which the count
 * was loaded, so nothing drifts. Counter 0 raises its line at each rising edge of its output: the
 * line idles at the output's level, and a pulse is told as low, then high.
 *
 * Missed ticks: when the owner comes late by several periods, the edges in arrears are delivered
 * one at a time at twice the programmed rate, until caught up; arrears beyond PIT_ARREARS are
 * dropped and counted. Host deadlines are never closer together than PIT_MIN_NS, whatever count is
 * programmed; what a guest reads back is exact all the same.
 */
#ifndef VMM_DEV_PIT_H
#define VMM_DEV_PIT_H

#include "vmm/dev/bus.h"
#include "vmm/dev/irq_out.h"

#define PIT_HZ      1193182 /* 105/88 MHz rounded: for messages and tests */
#define PIT_ARREARS 1000
#define PIT_MIN_NS  20000

struct pit_counter {
    u64 start;  /* PIT tick at which the present count began to run */
    u64 edge;   /* tick of the output edge that is next to be told (counter 0) */
    u32 count;  /* 1..65536 loaded count, BCD already taken out */
    u32 next;   /* count that a periodic mode takes at its next reload; 0 none */
    u32 frozen; /* what the counting element holds while the gate is low or nothing runs */
    u16 latch;  /* count held by a latch command */
    u8 status;  /* status held by a read-back */
    u8 control; /* control word: bits 5:0 as programmed */
    u8 low;     /* low byte of a two-byte write */
    u8 latched; /* bytes of `latch` still to be read: 0..2 */
    bool status_latched;
    bool write_high; /* second byte of a two-byte write comes next */
    bool read_high;
    bool null_count; /* written and not yet loaded */
    bool loaded;     /* a count has been written since the control word */
    bool running;    /* counting since `start` */
    bool gate;
};

struct pit_state {
    struct pit_counter c[3];
    u8 port61;   /* bits 3:0 as written */
    u32 arrears; /* edges of counter 0 owed */
    u64 lost;    /* edges dropped */
    u64 deadline_ns;
};

struct pit {
    struct pit_state s;
    struct irq_out irq; /* counter 0's output: IRQ 0 */
    struct timer_out timer;
};

/* Counters undefined after power-up, here: mode 3, count 65536 not running; gates 0 and 1 high. */
void pit_init(struct pit *p, struct irq_out irq, struct timer_out timer);
/* Ports 0x40-0x43 and 0x61. Errors as bus_add(). */
enum err pit_attach(struct pit *p, struct bus *ports);

static inline u64 pit_deadline(const struct pit *p)
{
    return p->s.deadline_ns;
}
void pit_tick(struct pit *p, u64 now_ns);

/* Level of a counter's OUT pin at that time (counter 0..2). */
bool pit_output(const struct pit *p, unsigned counter, u64 now_ns);

#endif
