/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random operations on local APICs and an I/O APIC, real ones and slow ones (apic_model.h) side by
 * side. After each operation everything that a guest can see is compared.
 */
#include "tests/unit/apic_model.h"
#include "tests/unit/lapic_bench.h"
#include "vmm/dev/vioapic.h"
#include "vmm/dev/vlapic.h"

static struct lapic_bench *real;
static struct vioapic io;
static struct apic_model model;

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
    if (m->mode == APIC_LOWEST && model.winners_made < ARRAY_SIZE(model.winners))
        model.winners[model.winners_made++] = who;
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
    struct slow_cpu *c = &model.cpu[i];
    struct vlapic *l = &real->cpu[i].l;

    assert_int_equal(vlapic_pending(l), slow_pending(c));
    assert_int_equal(vlapic_ppr(l), slow_ppr(c));
    for (unsigned w = 0; w < 8; w++) {
        u32 irr = 0, isr = 0, tmr = 0;

        for (unsigned b = 0; b < 32; b++) {
            irr |= (u32)c->irr[32 * w + b] << b;
            isr |= (u32)c->isr[32 * w + b] << b;
            tmr |= (u32)c->tmr[32 * w + b] << b;
        }
        assert_int_equal(l->page[4 * (APIC_IRR + w)], irr);
        assert_int_equal(l->page[4 * (APIC_ISR + w)], isr);
        assert_int_equal(l->page[4 * (APIC_TMR + w)], tmr);
    }
    assert_int_equal(l->mode, c->mode);
    assert_int_equal(l->events, c->events);
    assert_int_equal(l->page[4 * APIC_ESR], c->esr_shown);
    assert_int_equal(l->errors, c->esr_found);
}

static void compare(void)
{
    for (unsigned i = 0; i < CPUS; i++)
        compare_cpu(i);
    for (unsigned i = 0; i < IOAPIC_PINS; i++)
        assert_int_equal(io.s.entry[i], model.pin[i].entry | (model.pin[i].remote ? 0x4000 : 0));
}

static void write_both(unsigned i, unsigned reg, u32 value)
{
    if (model.cpu[i].mode == VLAPIC_X2APIC)
        assert_true(wrmsr(real, i, reg, value));
    else
        wr(real, i, reg, value);
}

/* An IPI by ICR, with the reserved and invalid combinations left in. */
static void ipi_both(unsigned i, u32 low, u32 dest)
{
    struct slow_cpu *c = &model.cpu[i];
    unsigned shorthand = low >> 18 & 3, mode = low >> 8 & 7;
    u32 kicks[CPUS];
    struct apic_msg m = {
        .vector = (u8)low,
        .mode = (u8)mode,
        .logical = !shorthand && (low & 0x800),
        .deassert = (low & 0xc000) == 0x8000,
    };
    int except = shorthand == 3 ? (int)i : -1, who = -1;

    if (c->mode == VLAPIC_OFF)
        return;
    for (unsigned k = 0; k < CPUS; k++)
        kicks[k] = real->cpu[k].kicks;
    if (c->mode == VLAPIC_X2APIC) {
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
        slow_error(c, shorthand == 1 ? 0x60 : 0x20); /* to oneself: received too */
        return;
    }
    if (shorthand == 1) {
        slow_accept(c, &m);
        return;
    }
    if (mode == APIC_LOWEST) { /* who was it? whoever was kicked, else the sender itself */
        for (int k = 0; k < CPUS; k++)
            if (real->cpu[k].kicks != kicks[k])
                who = k;
        if (who < 0 && except < 0 &&
            real->cpu[i].l.page[4 * (APIC_IRR + m.vector / 32)] >> m.vector % 32 & 1 &&
            slow_match(&model, i, m.dest, m.logical) && (c->svr & 0x100))
            who = (int)i;
    }
    slow_deliver(&model, &m, except, who);
}

static void base_both(unsigned i, u64 r)
{
    static const u64 bits[4] = {0, APIC_BASE_ENABLE, APIC_BASE_ENABLE | APIC_BASE_X2APIC,
                                APIC_BASE_X2APIC};
    struct slow_cpu *c = &model.cpu[i];
    unsigned to = r & 3, from = c->mode;
    bool legal = to != 3 && !(from == VLAPIC_X2APIC && to == VLAPIC_XAPIC) &&
                 !(from == VLAPIC_OFF && to == VLAPIC_X2APIC);

    assert_int_equal(vlapic_write_base(&real->cpu[i].l, VLAPIC_GPA | bits[to]), legal);
    if (!legal)
        return;
    c->mode = to;
    if (to == VLAPIC_OFF && from != VLAPIC_OFF)
        slow_reset(c, false);
}

static void pin_both(u64 r)
{
    unsigned n = r % IOAPIC_PINS;
    struct bus_access acc = {.size = 4, .write = true};

    if (r >> 8 & 3) {
        vioapic_set_line(&io, n, r >> 10 & 1);
        slow_pin_set(&model, &model.pin[n], r >> 10 & 1);
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
    model.pin[n].entry = (model.pin[n].entry & ~0xffffffffull) | (acc.value & 0x1afff);
    vioapic_access(&io, &acc);
    if (!slow_is_level(model.pin[n].entry))
        model.pin[n].remote = false;
    slow_pin_look(&model, &model.pin[n]);
}

/* The high half of an entry says where to: it makes a message only where a level waits. */
static void pin_dest_both(u64 r)
{
    unsigned n = r % IOAPIC_PINS;
    u32 dest = (u32)(r >> 8 & 3 ? r >> 16 & 7 : r >> 16 & 0xff);
    struct bus_access acc = {.size = 4, .write = true, .value = 0x11 + 2 * n};

    vioapic_access(&io, &acc);
    acc.offset = 0x10;
    acc.value = dest << 24;
    model.pin[n].entry = (model.pin[n].entry & 0xffffffff) | (u64)dest << 56;
    vioapic_access(&io, &acc);
    slow_pin_look(&model, &model.pin[n]);
}

/* Base, errors, events, INIT. */
static void rarely(unsigned i, u32 v)
{
    struct slow_cpu *c = &model.cpu[i];

    if (c->mode == VLAPIC_OFF || (v & 7) == 1) {
        base_both(i, v >> 3);
    } else if ((v & 7) == 2) {
        write_both(i, APIC_ESR, 0);
        c->esr_shown = c->esr_found;
        c->esr_found = 0;
        c->armed = true;
    } else if ((v & 7) == 3) {
        c->lvt_error = (v >> 8 & 0xff) | (v >> 16 & 1 ? 0x10000 : 0);
        if (!(c->svr & 0x100))
            c->lvt_error |= 0x10000;
        write_both(i, APIC_LVT_ERROR, c->lvt_error);
    } else if ((v & 7) == 4) {
        assert_int_equal(vlapic_take_events(&real->cpu[i].l), c->events);
        c->events = 0;
    } else if ((v & 7) == 5) {
        vlapic_reset(&real->cpu[i].l, true);
        slow_reset(c, false);
    }
}

/* Spurious vector and logical destination. */
static void set_up_both(unsigned i, u32 v)
{
    struct slow_cpu *c = &model.cpu[i];

    if (v & 3) { /* back to a state in which interrupts flow */
        u32 svr = 0x1ff | (v >> 4 & 1 ? 0x1000 : 0);

        if ((v >> 8 & 15) == 0)
            svr &= ~0x100u;
        write_both(i, APIC_SVR, svr);
        c->svr = svr;
        if (!(svr & 0x100))
            c->lvt_error |= 0x10000;
    } else if (c->mode == VLAPIC_XAPIC) {
        c->ldr = v & (v >> 4 & 1 ? 0xff000000 : 0x13000000);
        c->dfr = (v >> 5 & 1 ? 0xf0000000 : v >> 6 & 3 ? 0 : v << 4 & 0xf0000000) | 0x0fffffff;
        write_both(i, APIC_LDR, c->ldr);
        write_both(i, APIC_DFR, c->dfr);
    }
}

static void one_operation(u64 r)
{
    unsigned i = (r >> 8) % CPUS;
    struct slow_cpu *c = &model.cpu[i];
    u32 v = (u32)(r >> 32);
    int vector;

    model.winners_made = model.winners_used = 0;
    switch (r % 16) {
    case 0 ... 3:
        vector = take(real, i);
        assert_int_equal(vector, slow_pending(c));
        if (vector >= 0) {
            c->irr[vector] = false;
            c->isr[vector] = true;
        }
        break;
    case 4 ... 6:
        if (c->mode != VLAPIC_OFF) {
            write_both(i, APIC_EOI, 0);
            slow_eoi(&model, c);
        }
        break;
    case 7:
        if (c->mode != VLAPIC_OFF) {
            write_both(i, APIC_TPR, v & 0xff & (v >> 8));
            c->tpr = (u8)(v & (v >> 8));
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
        if (c->mode != VLAPIC_OFF)
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
        memset(&model, 0, sizeof(model));
        vioapic_init(&io, record_deliver, NULL);
        for (unsigned i = 0; i < CPUS; i++) {
            real->cpu[i].l.c.ops = &both_ops;
            model.cpu[i].mode = VLAPIC_XAPIC;
            slow_reset(&model.cpu[i], false);
            wr(real, i, APIC_SVR, 0x1ff);
            model.cpu[i].svr = 0x1ff;
            if (i == 0) /* firmware's LINT settings are not part of the comparison */
                wr(real, i, APIC_LVT_LINT0, 0x10000);
        }
        for (unsigned i = 0; i < IOAPIC_PINS; i++)
            model.pin[i].entry = 0x10000;
        for (unsigned n = 0; n < 3000; n++) {
            one_operation(random_u64(&seed));
            compare();
            for (unsigned i = 0; i < CPUS; i++)
                offered += slow_pending(&model.cpu[i]) >= 0;
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
