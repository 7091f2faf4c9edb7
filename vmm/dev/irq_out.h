/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device's two ways out besides its registers: an interrupt line, and word that its next
 * deadline has moved. Both are wiring, set once at creation by whoever builds the VM.
 *
 * Calls into device models (everything under vmm/dev but what lapic.h names as callable from any
 * CPU) are serialised by the caller: one lock a VM around bus accesses, ticks, lines and console
 * input is enough. A model calls out from inside such a call, so a callback runs under that lock;
 * it must not call the same device again unless the header says that it may.
 *
 * Times are nanoseconds of the VM's monotonic clock, which starts near zero at creation, never
 * goes back, and stands still while the VM is paused.
 */
#ifndef VMM_DEV_IRQ_OUT_H
#define VMM_DEV_IRQ_OUT_H

#include "lib/types.h"

#define DEADLINE_NONE UINT64_MAX

/*
 * An interrupt line. set() hears levels, once per change for a level-triggered source; an
 * edge source that pulses calls it with false and then true. A NULL set is an unconnected pin.
 */
struct irq_out {
    void (*set)(void *arg, unsigned line, bool level);
    void *arg;
    unsigned line;
};

static inline void irq_out_set(const struct irq_out *o, bool level)
{
    if (o->set)
        o->set(o->arg, o->line, level);
}

/*
 * changed() is called when the value of the device's X_deadline() has become another; the owner
 * re-reads it before the vCPU runs again or the CPU sleeps. NULL: the owner polls X_deadline().
 */
struct timer_out {
    void (*changed)(void *arg);
    void *arg;
};

static inline void timer_out_changed(const struct timer_out *t)
{
    if (t->changed)
        t->changed(t->arg);
}

#endif
