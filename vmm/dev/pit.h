/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * 8254 programmable interval timer, ports 0x40-0x43 (Intel 8254 data sheet, 231164), and the PC's
 * port 0x61 (gate and output of counter 2, speaker data, refresh toggle).
 *
 * The clock is exactly 105/88 MHz. Every output edge is computed from the tick at which the count
 * was loaded, so nothing drifts. Counter 0 raises its line at each rising edge of its output: the
 * line idles at the output's level, and a pulse is told as low, then high.
 *
 * Missed interrupts are made up for (ticks.h). Periodic ones are never closer together than
 * TICKS_APART_NS, whatever count is programmed; what a guest reads back is exact all the same.
 */
#ifndef VMM_DEV_PIT_H
#define VMM_DEV_PIT_H

#include "vmm/dev/bus.h"
#include "vmm/dev/irq_out.h"
#include "vmm/dev/ticks.h"

#define PIT_HZ 1193182 /* 105/88 MHz rounded: for messages and tests */

struct pit_counter {
    u64 start;   /* PIT tick at which the present count was loaded (while running) */
    u64 elapsed; /* ticks counted since then, while not running */
    u32 count;   /* 1..65536 (BCD: 1..16665, from what digits were written) */
    u32 next;    /* count that a periodic mode takes at tick `switch_at`; 0 none */
    u64 switch_at;
    bool switch_half; /* ... and that is the middle of mode 3's cycle: its low part follows */
    u16 latch;        /* count held by a latch command */
    u8 status;        /* status held by a read-back */
    u8 control;       /* control word, bits 5:0 as programmed */
    u8 low;           /* first byte of a two-byte write */
    u8 latched;       /* bytes of `latch` still to be read: 0..2 */
    bool status_latched;
    bool write_high; /* second byte of a two-byte access comes next */
    bool read_high;
    bool loaded;  /* a count has been written since the control word; modes 1, 5: and triggered */
    bool armed;   /* modes 1, 5: a count waits for the gate */
    bool running; /* counts; else stands at `elapsed` */
    bool gate;
};

struct pit_state {
    u8 port61; /* bits 3:0 as written */
    bool line; /* counter 0's interrupt line as last told */
    u64 edge;  /* PIT tick of counter 0's next rising edge, or DEADLINE_NONE */
    struct ticks_owed owed;
    u64 deadline_ns;
    struct pit_counter c[3];
};

struct pit {
    struct irq_out irq; /* counter 0's output: IRQ 0 */
    struct timer_out timer;
    /* How the last interrupt of irq's line waits for a processor to take it (ticks.h); NULL: not
     * known. Set after pit_init. */
    unsigned (*waits)(void *arg, unsigned line);
    struct pit_state s;
};

/* As a PC's firmware leaves it at now_ns: counter 0 in mode 3 with 65536 (18.2 Hz), counter 1 in
 * mode 2 with 18, counter 2 off. */
void pit_init(struct pit *p, u64 now_ns, struct irq_out irq, struct timer_out timer);
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
