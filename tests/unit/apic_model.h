/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Slow local APICs and a slow I/O APIC, written from the manuals' text (SDM 3, 10; 82093AA): a bool
 * for every vector, priorities found by searching, destinations by looping.
 */
#ifndef TESTS_UNIT_APIC_MODEL_H
#define TESTS_UNIT_APIC_MODEL_H

#include "tests/unit/dev_board.h"
#include "vmm/dev/vioapic.h"
#include "vmm/dev/vlapic.h"

#define CPUS 6

struct slow_cpu {
    bool irr[256], isr[256], tmr[256];
    u8 tpr;
    u32 svr, ldr, dfr, lvt_error, esr_found, esr_shown;
    unsigned mode;
    bool armed;
    u32 events;
};

struct slow_pin {
    u64 entry;
    bool up, remote;
};

/*
 * The model: local APICs and an I/O APIC. Which of several takes a message of lowest priority is
 * not laid down: `winners` holds those that the real ones chose, in the order of the messages.
 */
struct apic_model {
    struct slow_cpu cpu[CPUS];
    struct slow_pin pin[IOAPIC_PINS];
    int winners[64];
    unsigned winners_made, winners_used;
};

static inline int highest(const bool *set)
{
    for (int v = 255; v >= 0; v--)
        if (set[v])
            return v;
    return -1;
}

static inline unsigned slow_ppr(const struct slow_cpu *c)
{
    int in_service = highest(c->isr);
    unsigned isr_class = in_service < 0 ? 0 : (unsigned)in_service / 16;

    return c->tpr / 16u >= isr_class ? c->tpr : isr_class * 16;
}

static inline int slow_pending(const struct slow_cpu *c)
{
    int v = highest(c->irr);

    return v >= 0 && (unsigned)v / 16 > slow_ppr(c) / 16 ? v : -1;
}

static inline void slow_reset(struct slow_cpu *c, bool keep_ldr)
{
    u32 ldr = c->ldr, events = c->events;
    unsigned mode = c->mode;

    memset(c, 0, sizeof(*c));
    c->mode = mode;
    c->events = events;
    c->svr = 0xff;
    c->dfr = 0xffffffff;
    c->lvt_error = 0x10000;
    c->armed = true;
    if (keep_ldr)
        c->ldr = ldr;
}

static inline void slow_error(struct slow_cpu *c, u32 bits)
{
    c->esr_found |= bits;
    if (!c->armed)
        return;
    c->armed = false;
    if (c->lvt_error & 0x10000)
        return;
    if ((c->lvt_error & 0xff) < 16)
        c->esr_found |= 0x40;
    else {
        c->irr[c->lvt_error & 0xff] = true;
        c->tmr[c->lvt_error & 0xff] = false;
    }
}

static inline bool slow_accept(struct slow_cpu *c, const struct apic_msg *m)
{
    if (c->mode == VLAPIC_OFF)
        return false;
    switch (m->mode) {
    case APIC_FIXED:
    case APIC_LOWEST:
        if (!(c->svr & 0x100))
            return false;
        if (m->vector < 16) {
            slow_error(c, 0x40);
            return false;
        }
        c->irr[m->vector] = true;
        c->tmr[m->vector] = m->level;
        return true;
    case APIC_NMI:
        c->events |= VLAPIC_EV_NMI;
        return true;
    case APIC_SMI:
        c->events |= VLAPIC_EV_SMI;
        return true;
    case APIC_INIT:
        if (m->deassert)
            return false;
        c->events &= ~(u32)(VLAPIC_EV_SIPI | 0xff00);
        c->events |= VLAPIC_EV_INIT;
        return true;
    case APIC_SIPI:
        if (!(c->events & VLAPIC_EV_SIPI))
            c->events |= (u32)(VLAPIC_EV_SIPI | (u32)m->vector << 8);
        return true;
    case APIC_EXTINT:
        if (!(c->svr & 0x100))
            return false;
        c->events |= VLAPIC_EV_EXTINT;
        return true;
    default:
        return false;
    }
}

static inline bool slow_match(struct apic_model *a, unsigned i, u32 dest, bool logical)
{
    const struct slow_cpu *c = &a->cpu[i];

    if (dest == APIC_DEST_ALL)
        return true;
    if (!logical)
        return dest == i;
    if (c->mode == VLAPIC_X2APIC)
        return dest >> 16 == i / 16 && (dest & 0xffff & 1u << i % 16);
    if (dest > 255)
        return false;
    if (c->dfr >> 28 == 15)
        return (dest & c->ldr >> 24) != 0;
    if (c->dfr >> 28 == 0)
        return dest / 16 == c->ldr >> 28 && (dest & 15 & c->ldr >> 24);
    return false;
}

/* The one that the real local APICs chose must be among the least busy that can take it. */
static inline bool slow_lowest(struct apic_model *a, const struct apic_msg *m, int except,
                               int winner)
{
    unsigned least = 99;
    bool any = false;

    for (int i = 0; i < CPUS; i++)
        if (i != except && a->cpu[i].mode != VLAPIC_OFF && (a->cpu[i].svr & 0x100) &&
            slow_match(a, (unsigned)i, m->dest, m->logical)) {
            any = true;
            least = MIN(least, slow_ppr(&a->cpu[i]) / 16);
        }
    if (!any) {
        assert_int_equal(winner, -1);
        return false;
    }
    assert_true(winner >= 0 && winner != except);
    assert_true(slow_match(a, (unsigned)winner, m->dest, m->logical));
    assert_int_equal(slow_ppr(&a->cpu[winner]) / 16, least);
    return slow_accept(&a->cpu[winner], m);
}

static inline bool slow_deliver(struct apic_model *a, const struct apic_msg *m, int except,
                                int winner)
{
    bool taken = false;

    if (m->mode == APIC_LOWEST)
        return slow_lowest(a, m, except, winner);
    for (int i = 0; i < CPUS; i++)
        if (i != except && slow_match(a, (unsigned)i, m->dest, m->logical))
            taken |= slow_accept(&a->cpu[i], m);
    return taken;
}

static inline int next_winner(struct apic_model *a)
{
    return a->winners_used < a->winners_made ? a->winners[a->winners_used++] : -1;
}

static inline bool slow_is_level(u64 e)
{
    return (e & 0x8000) && (e >> 8 & 7) <= 1;
}

static inline void slow_pin_send(struct apic_model *a, struct slow_pin *p)
{
    struct apic_msg m = {
        .dest = (u32)(p->entry >> 56) == 0xff ? APIC_DEST_ALL : (u32)(p->entry >> 56),
        .vector = (u8)p->entry,
        .mode = p->entry >> 8 & 7,
        .logical = p->entry >> 11 & 1,
        .level = slow_is_level(p->entry),
    };
    bool taken = m.mode != APIC_SIPI && /* reserved */
                 slow_deliver(a, &m, -1, m.mode == APIC_LOWEST ? next_winner(a) : -1);

    if (taken && m.level)
        p->remote = true;
}

static inline void slow_pin_look(struct apic_model *a, struct slow_pin *p)
{
    if (p->up && slow_is_level(p->entry) && !p->remote && !(p->entry & 0x10000))
        slow_pin_send(a, p);
}

static inline void slow_pin_set(struct apic_model *a, struct slow_pin *p, bool up)
{
    bool rising = up && !p->up;

    p->up = up;
    if (slow_is_level(p->entry))
        slow_pin_look(a, p);
    else if (rising && !(p->entry & 0x10000))
        slow_pin_send(a, p);
}

static inline void slow_broadcast(struct apic_model *a, u8 vector)
{
    for (unsigned i = 0; i < IOAPIC_PINS; i++)
        if (a->pin[i].remote && (u8)a->pin[i].entry == vector) {
            a->pin[i].remote = false;
            slow_pin_look(a, &a->pin[i]);
        }
}

static inline void slow_eoi(struct apic_model *a, struct slow_cpu *c)
{
    int v = highest(c->isr);

    if (v < 0)
        return;
    c->isr[v] = false;
    if (c->tmr[v] && !(c->svr & 0x1000))
        slow_broadcast(a, (u8)v);
}

#endif
