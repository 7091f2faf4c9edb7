/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * High-precision event timers (IA-PC HPET Specification 1.0a): a 64-bit counter of 100 MHz and
 * three comparators, each one-shot or periodic, 64 or 32 bits wide, edge or level, by a line, by
 * the legacy lines 0 and 8, or by message. 1 KiB of registers at HPET_GPA.
 *
 * Missed interrupts of a periodic comparator are made up for (ticks.h); they are never closer
 * together than TICKS_APART_NS. The counter and the comparators read exact whatever was missed.
 */
#ifndef VMM_DEV_HPET_H
#define VMM_DEV_HPET_H

#include "vmm/dev/apic_msg.h"
#include "vmm/dev/bus.h"
#include "vmm/dev/irq_out.h"
#include "vmm/dev/ticks.h"

#define HPET_GPA       0xfed00000ull
#define HPET_SIZE      0x400
#define HPET_PERIOD_FS 10000000u   /* femtoseconds a tick */
#define HPET_ID        0x8086a201u /* low half of the capabilities: what the ACPI table says */
#define HPET_TIMERS    3
#define HPET_ROUTES    0x00f00000u /* I/O APIC pins that a comparator may use: 20-23 */

struct hpet_timer {
    u32 config; /* writable bits only */
    bool armed;
    u64 comparator;
    u64 period;  /* last value written while periodic */
    u64 set;     /* bits of the comparator that the next write of it sets even while periodic */
    u64 message; /* FSB route: data 31:0, address 63:32 */
    u64 match;   /* ticks of running time at the next match, if armed */
    u64 tell_ns; /* VM time at which tick() has to look at it */
    struct ticks_owed owed;
};

struct hpet_state {
    u64 config;  /* bit 0 running, bit 1 legacy replacement */
    u64 status;  /* level-triggered interrupts that are active */
    u64 counter; /* value at start_ns, or while halted */
    u64 start_ns;
    u32 lines; /* lines as last told, a bit each */
    u64 deadline_ns;
    struct hpet_timer t[HPET_TIMERS];
};

struct hpet_ops {
    /* Drives a line: 0 and 8 as ISA lines, while they are the HPET's; 20-23 as I/O APIC pins. */
    void (*line)(void *arg, unsigned line, bool level);
    /*
     * ISA lines 0 and 8 are the HPET's from now on, and low; or again the PIT's and the RTC's, and
     * as those drive them (2.3.5, LEG_RT_CNF).
     */
    void (*legacy)(void *arg, bool taken);
    /* Sends a message-signalled interrupt. */
    void (*send)(void *arg, const struct apic_msg *msg);
    /* How the last interrupt by that line, or message, waits to be taken: ticks.h. */
    unsigned (*line_waits)(void *arg, unsigned line);
    unsigned (*message_waits)(void *arg, const struct apic_msg *msg);
};

struct hpet {
    const struct hpet_ops *ops;
    void *arg;
    struct timer_out timer;
    struct hpet_state s;
};

/* Halted at zero. ops: all set, outlives h. */
void hpet_init(struct hpet *h, const struct hpet_ops *ops, void *arg, struct timer_out timer);
/* Registers at HPET_GPA of the memory bus. Errors as bus_add(). */
enum err hpet_attach(struct hpet *h, struct bus *mmio);

/* Whether comparators 0 and 1 have taken over lines 0 and 8: the PIT's and the RTC's go nowhere. */
static inline bool hpet_legacy(const struct hpet *h)
{
    return (h->s.config & 3) == 3;
}

static inline u64 hpet_deadline(const struct hpet *h)
{
    return h->s.deadline_ns;
}
void hpet_tick(struct hpet *h, u64 now_ns);

#endif
