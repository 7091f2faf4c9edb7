/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random operations on local APICs and an I/O APIC, against slow models written from the manuals'
 * text: a bool for every vector, priorities found by searching, destinations by looping. After each
 * operation everything that a guest can see is compared.
 */
#include "tests/unit/lapic_bench.h"
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

static struct lapic_bench *real;
static struct vioapic io;
static struct slow_cpu cpu[CPUS];
static struct slow_pin pin[IOAPIC_PINS];

/* ---- the slow local APIC ------------------------------------------------------------------------
 */

static int highest(const bool *set)
{
    for (int v = 255; v >= 0; v--)
        if (set[v])
            return v;
    return -1;
}

static unsigned slow_ppr(const struct slow_cpu *c)
{
    int in_service = highest(c->isr);
    unsigned isr_class = in_service < 0 ? 0 : (unsigned)in_service / 16;

    return c->tpr / 16u >= isr_class ? c->tpr : isr_class * 16;
}

static int slow_pending(const struct slow_cpu *c)
{
    int v = highest(c->irr);

    return v >= 0 && (unsigned)v / 16 > slow_ppr(c) / 16 ? v : -1;
}

static void slow_reset(struct slow_cpu *c, bool keep_ldr)
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

static void slow_error(struct slow_cpu *c, u32 bits)
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

static bool slow_accept(struct slow_cpu *c, const struct apic_msg *m)
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

static bool slow_match(unsigned i, u32 dest, bool logical)
{
    const struct slow_cpu *c = &cpu[i];

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
static bool slow_lowest(const struct apic_msg *m, int except, int winner)
{
    unsigned least = 99;
    bool any = false;

    for (int i = 0; i < CPUS; i++)
        if (i != except && cpu[i].mode != VLAPIC_OFF && (cpu[i].svr & 0x100) &&
            slow_match((unsigned)i, m->dest, m->logical)) {
            any = true;
            least = MIN(least, slow_ppr(&cpu[i]) / 16);
        }
    if (!any) {
        assert_int_equal(winner, -1);
        return false;
    }
    assert_true(winner >= 0 && winner != except);
    assert_true(slow_match((unsigned)winner, m->dest, m->logical));
    assert_int_equal(slow_ppr(&cpu[winner]) / 16, least);
    return slow_accept(&cpu[winner], m);
}

static bool slow_deliver(const struct apic_msg *m, int except, int winner)
{
    bool taken = false;

    if (m->mode == APIC_LOWEST)
        return slow_lowest(m, except, winner);
    for (int i = 0; i < CPUS; i++)
        if (i != except && slow_match((unsigned)i, m->dest, m->logical))
            taken |= slow_accept(&cpu[i], m);
    return taken;
}

/* ---- the slow I/O APIC -------------------------------------------------------------------------
 */

static int winner_of_lowest(void);

static bool slow_is_level(u64 e)
{
    return (e & 0x8000) && (e >> 8 & 7) <= 1;
}

static void slow_pin_send(struct slow_pin *p)
{
    struct apic_msg m = {
        .dest = (u32)(p->entry >> 56) == 0xff ? APIC_DEST_ALL : (u32)(p->entry >> 56),
        .vector = (u8)p->entry,
        .mode = p->entry >> 8 & 7,
        .logical = p->entry >> 11 & 1,
        .level = slow_is_level(p->entry),
    };
    bool taken = slow_deliver(&m, -1, m.mode == APIC_LOWEST ? winner_of_lowest() : -1);

    if (taken && m.level)
        p->remote = true;
}

static void slow_pin_look(struct slow_pin *p)
{
    if (p->up && slow_is_level(p->entry) && !p->remote && !(p->entry & 0x10000))
        slow_pin_send(p);
}

static void slow_pin_set(struct slow_pin *p, bool up)
{
    bool rising = up && !p->up;

    p->up = up;
    if (slow_is_level(p->entry))
        slow_pin_look(p);
    else if (rising && !(p->entry & 0x10000))
        slow_pin_send(p);
}

static void slow_broadcast(u8 vector)
{
    for (unsigned i = 0; i < IOAPIC_PINS; i++)
        if (pin[i].remote && (u8)pin[i].entry == vector) {
            pin[i].remote = false;
            slow_pin_look(&pin[i]);
        }
}

static void slow_eoi(struct slow_cpu *c)
{
    int v = highest(c->isr);

    if (v < 0)
        return;
    c->isr[v] = false;
    if (c->tmr[v] && !(c->svr & 0x1000))
        slow_broadcast((u8)v);
}

/* ---- both side by side --------------------------------------------------------------------------
 */

/*
 * Lowest-priority choices of the real ones, in the order in which they were made: the slow side
 * makes the same calls in the same order.
 */
static int winners[64];
static unsigned winners_made, winners_used;

static int winner_of_lowest(void)
{
    return winners_used < winners_made ? winners[winners_used++] : -1;
}

/* The real I/O APIC's way out; remembers who took a lowest-priority message. */
static bool record_deliver(void *arg, const struct apic_msg *m)
{
    unsigned n;
    int who = -1;
    u32 before[CPUS];

    (void)arg;
    for (unsigned i = 0; i < CPUS; i++) {
        vlapic_pending(&real->cpu[i].l);
        before[i] = real->cpu[i].kicks;
    }
    n = vlapic_deliver(&real->group, NULL, m);
    for (int i = 0; i < CPUS && m->mode == APIC_LOWEST; i++)
        if (real->cpu[i].kicks != before[i])
            who = i;
    if (m->mode == APIC_LOWEST && winners_made < ARRAY_SIZE(winners))
        winners[winners_made++] = who;
    return n > 0;
}

static void on_eoi(void *arg, u8 vector)
{
    (void)arg;
    vioapic_eoi(&io, vector);
}

static const struct vlapic_ops both_ops = {bench_kick, on_eoi};

static void compare_cpu(unsigned i)
{
    struct vlapic *l = &real->cpu[i].l;

    assert_int_equal(vlapic_pending(l), slow_pending(&cpu[i]));
    assert_int_equal(vlapic_ppr(l), slow_ppr(&cpu[i]));
    for (unsigned w = 0; w < 8; w++) {
        u32 irr = 0, isr = 0, tmr = 0;

        for (unsigned b = 0; b < 32; b++) {
            irr |= (u32)cpu[i].irr[32 * w + b] << b;
            isr |= (u32)cpu[i].isr[32 * w + b] << b;
            tmr |= (u32)cpu[i].tmr[32 * w + b] << b;
        }
        assert_int_equal(l->page[4 * (APIC_IRR + w)], irr);
        assert_int_equal(l->page[4 * (APIC_ISR + w)], isr);
        assert_int_equal(l->page[4 * (APIC_TMR + w)], tmr);
    }
    assert_int_equal(l->mode, cpu[i].mode);
    assert_int_equal(l->events, cpu[i].events);
    assert_int_equal(l->page[4 * APIC_ESR], cpu[i].esr_shown);
    assert_int_equal(l->errors, cpu[i].esr_found);
}

static void compare(void)
{
    for (unsigned i = 0; i < CPUS; i++)
        compare_cpu(i);
    for (unsigned i = 0; i < IOAPIC_PINS; i++)
        assert_int_equal(io.s.entry[i], pin[i].entry | (pin[i].remote ? 0x4000 : 0));
}

static void write_both(unsigned i, unsigned reg, u32 value)
{
    if (cpu[i].mode == VLAPIC_X2APIC)
        assert_true(wrmsr(real, i, reg, value));
    else
        wr(real, i, reg, value);
}

/* An IPI by ICR, with the reserved and invalid combinations left in. */
static void ipi_both(unsigned i, u32 low, u32 dest)
{
    unsigned shorthand = low >> 18 & 3, mode = low >> 8 & 7;
    u32 kicks[CPUS];
    struct apic_msg m = {
        .vector = (u8)low,
        .mode = (u8)mode,
        .logical = !shorthand && (low & 0x800),
        .deassert = (low & 0xc000) == 0x8000,
    };
    int except = shorthand == 3 ? (int)i : -1, who = -1;

    if (cpu[i].mode == VLAPIC_OFF)
        return;
    for (unsigned k = 0; k < CPUS; k++)
        kicks[k] = real->cpu[k].kicks;
    if (cpu[i].mode == VLAPIC_X2APIC) {
        assert_true(wrmsr(real, i, APIC_ICR, (u64)dest << 32 | low));
        m.dest = shorthand ? APIC_DEST_ALL : dest;
    } else {
        wr(real, i, APIC_ICR2, dest << 24);
        wr(real, i, APIC_ICR, low);
        m.dest = shorthand || (u8)dest == 0xff ? APIC_DEST_ALL : (u8)dest;
    }
    if ((shorthand == 1 || shorthand == 2) && mode != APIC_FIXED && mode != APIC_LOWEST &&
        mode != APIC_NMI)
        return;
    if (mode == APIC_EXTINT)
        return;
    if (mode <= APIC_LOWEST && m.vector < 16) {
        slow_error(&cpu[i], shorthand == 1 ? 0x60 : 0x20); /* to oneself: received too */
        return;
    }
    if (shorthand == 1) {
        slow_accept(&cpu[i], &m);
        return;
    }
    if (mode == APIC_LOWEST) { /* who was it? whoever was kicked, else the sender itself */
        for (int k = 0; k < CPUS; k++)
            if (real->cpu[k].kicks != kicks[k])
                who = k;
        if (who < 0 && except < 0 &&
            real->cpu[i].l.page[4 * (APIC_IRR + m.vector / 32)] >> m.vector % 32 & 1 &&
            slow_match(i, m.dest, m.logical) && (cpu[i].svr & 0x100))
            who = (int)i;
    }
    slow_deliver(&m, except, who);
}

static void base_both(unsigned i, u64 r)
{
    static const u64 bits[4] = {0, APIC_BASE_ENABLE, APIC_BASE_ENABLE | APIC_BASE_X2APIC,
                                APIC_BASE_X2APIC};
    unsigned to = r & 3, from = cpu[i].mode;
    bool legal = to != 3 && !(from == VLAPIC_X2APIC && to == VLAPIC_XAPIC) &&
                 !(from == VLAPIC_OFF && to == VLAPIC_X2APIC);

    assert_int_equal(vlapic_write_base(&real->cpu[i].l, VLAPIC_GPA | bits[to]), legal);
    if (!legal)
        return;
    cpu[i].mode = to;
    if (to == VLAPIC_OFF && from != VLAPIC_OFF)
        slow_reset(&cpu[i], false);
}

static void pin_both(u64 r)
{
    unsigned n = r % IOAPIC_PINS;
    struct bus_access acc = {.size = 4, .write = true};

    winners_made = winners_used = 0;
    if (r >> 8 & 3) {
        vioapic_set_line(&io, n, r >> 10 & 1);
        slow_pin_set(&pin[n], r >> 10 & 1);
        return;
    }
    acc.value = 0x10 + 2 * n;
    vioapic_access(&io, &acc);
    acc.offset = 0x10;
    acc.value = (u32)(r >> 16) & 0x1ffff;
    if (r >> 40 & 3)
        acc.value |= 0x40;
    if (r >> 42 & 1)
        acc.value &= ~0x700u;
    pin[n].entry = (pin[n].entry & ~0xffffffffull) | (acc.value & 0x1afff);
    vioapic_access(&io, &acc);
    if (!slow_is_level(pin[n].entry))
        pin[n].remote = false;
    slow_pin_look(&pin[n]);
}

/* The high half of an entry says where to; it cannot make a message by itself, or only a level's.
 */
static void pin_dest_both(u64 r)
{
    unsigned n = r % IOAPIC_PINS;
    u32 dest = (u32)(r >> 8 & 3 ? r >> 16 & 7 : r >> 16 & 0xff);
    struct bus_access acc = {.size = 4, .write = true, .value = 0x11 + 2 * n};

    winners_made = winners_used = 0;
    vioapic_access(&io, &acc);
    acc.offset = 0x10;
    acc.value = dest << 24;
    pin[n].entry = (pin[n].entry & 0xffffffff) | (u64)dest << 56;
    vioapic_access(&io, &acc);
    slow_pin_look(&pin[n]);
}

/* Base, errors, events, INIT. */
static void rarely(unsigned i, u32 v)
{
    if (cpu[i].mode == VLAPIC_OFF || (v & 7) == 1) {
        base_both(i, v >> 3);
    } else if ((v & 7) == 2) {
        write_both(i, APIC_ESR, 0);
        cpu[i].esr_shown = cpu[i].esr_found;
        cpu[i].esr_found = 0;
        cpu[i].armed = true;
    } else if ((v & 7) == 3) {
        cpu[i].lvt_error = (v >> 8 & 0xff) | (v >> 16 & 1 ? 0x10000 : 0);
        if (!(cpu[i].svr & 0x100))
            cpu[i].lvt_error |= 0x10000;
        write_both(i, APIC_LVT_ERROR, cpu[i].lvt_error);
    } else if ((v & 7) == 4) {
        assert_int_equal(vlapic_take_events(&real->cpu[i].l), cpu[i].events);
        cpu[i].events = 0;
    } else if ((v & 7) == 5) {
        vlapic_reset(&real->cpu[i].l, true);
        slow_reset(&cpu[i], false);
    }
}

/* Spurious vector and logical destination. */
static void set_up_both(unsigned i, u32 v)
{
    if (v & 3) { /* back to a state in which interrupts flow */
        u32 svr = 0x1ff | (v >> 4 & 1 ? 0x1000 : 0);

        if ((v >> 8 & 15) == 0)
            svr &= ~0x100u;
        write_both(i, APIC_SVR, svr);
        cpu[i].svr = svr;
        if (!(svr & 0x100))
            cpu[i].lvt_error |= 0x10000;
    } else if (cpu[i].mode == VLAPIC_XAPIC) {
        cpu[i].ldr = v & (v >> 4 & 1 ? 0xff000000 : 0x13000000);
        cpu[i].dfr = (v >> 5 & 1 ? 0xf0000000 : v >> 6 & 3 ? 0 : v << 4 & 0xf0000000) | 0x0fffffff;
        write_both(i, APIC_LDR, cpu[i].ldr);
        write_both(i, APIC_DFR, cpu[i].dfr);
    }
}

static void one_operation(u64 r)
{
    unsigned i = (r >> 8) % CPUS;
    u32 v = (u32)(r >> 32);
    int vector;

    winners_made = winners_used = 0;
    switch (r % 16) {
    case 0 ... 3:
        vector = take(real, i);
        assert_int_equal(vector, slow_pending(&cpu[i]));
        if (vector >= 0) {
            cpu[i].irr[vector] = false;
            cpu[i].isr[vector] = true;
        }
        break;
    case 4 ... 6:
        if (cpu[i].mode != VLAPIC_OFF) {
            write_both(i, APIC_EOI, 0);
            slow_eoi(&cpu[i]);
        }
        break;
    case 7:
        if (cpu[i].mode != VLAPIC_OFF) {
            write_both(i, APIC_TPR, v & 0xff & (v >> 8));
            cpu[i].tpr = (u8)(v & (v >> 8));
        }
        break;
    case 8 ... 10:
        if (v & 3) /* mostly fixed, mostly sensible vectors */
            v &= ~0x700u;
        if (v & 0x30000)
            v |= 0x40;
        ipi_both(i, v & 0xccfff & ~0x1000u,
                 (u32)(r >> 16) & (r >> 12 & 1   ? 7
                                   : r >> 13 & 1 ? 0x1f
                                                 : 0xff));
        break;
    case 11:
        pin_dest_both(r >> 8);
        break;
    case 12:
    case 13:
        pin_both(r >> 8);
        break;
    case 14:
        rarely(i, v);
        break;
    case 15:
        if (cpu[i].mode != VLAPIC_OFF)
            set_up_both(i, v);
        break;
    }
}

static void random_operations(void **state)
{
    u64 seed = 0x82093aa, offered = 0;

    (void)state;
    for (unsigned round = 0; round < 60; round++) {
        real = bench_new(CPUS);
        memset(cpu, 0, sizeof(cpu));
        memset(pin, 0, sizeof(pin));
        vioapic_init(&io, record_deliver, NULL);
        for (unsigned i = 0; i < CPUS; i++) {
            real->cpu[i].l.c.ops = &both_ops;
            cpu[i].mode = VLAPIC_XAPIC;
            slow_reset(&cpu[i], false);
            wr(real, i, APIC_SVR, 0x1ff);
            cpu[i].svr = 0x1ff;
            if (i == 0) /* firmware's LINT settings are not part of the comparison */
                wr(real, i, APIC_LVT_LINT0, 0x10000);
        }
        for (unsigned i = 0; i < IOAPIC_PINS; i++)
            pin[i].entry = 0x10000;
        for (unsigned n = 0; n < 3000; n++) {
            one_operation(board_random(&seed));
            compare();
            for (unsigned i = 0; i < CPUS; i++)
                offered += slow_pending(&cpu[i]) >= 0;
        }
        free(real);
    }
    assert_true(offered > 10000); /* interrupts did flow */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
