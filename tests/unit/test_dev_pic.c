/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interrupt-controller pair against the 8259A data sheet, and random operations against a slow
 * model of it written from the same text (priority resolved by walking the inputs one by one).
 */
#include "tests/unit/dev_board.h"
#include "vmm/dev/pic.h"

#define INTR 0

struct bench {
    struct board b;
    struct pic p;
};

static void setup_bench(struct bench *t)
{
    board_init(&t->b);
    pic_init(&t->p, board_irq(&t->b, INTR));
    assert_int_equal(pic_attach(&t->p, &t->b.ports), OK);
}

/* What every PC operating system writes: vectors 0x20 and 0x28, the ICW4 given, all unmasked. */
static void program(struct bench *t, u8 icw4)
{
    struct board *b = &t->b;

    out8(b, 0x20, 0x11), out8(b, 0x21, 0x20), out8(b, 0x21, 0x04), out8(b, 0x21, icw4);
    out8(b, 0xa0, 0x11), out8(b, 0xa1, 0x28), out8(b, 0xa1, 0x02), out8(b, 0xa1, icw4);
    out8(b, 0x21, 0);
    out8(b, 0xa1, 0);
}

static void start(struct bench *t)
{
    setup_bench(t);
    program(t, 0x01);
}

static u8 isr(struct bench *t, u16 port)
{
    out8(&t->b, port, 0x0b);
    return in8(&t->b, port);
}

static u8 irr(struct bench *t, u16 port)
{
    out8(&t->b, port, 0x0a);
    return in8(&t->b, port);
}

static void firmware_state(void **state)
{
    struct bench t;

    (void)state;
    setup_bench(&t);
    for (unsigned i = 0; i < 16; i++)
        pic_set_line(&t.p, i, true);
    assert_false(pic_output(&t.p));
    assert_int_equal(in8(&t.b, 0x21), 0xff);
    assert_int_equal(in8(&t.b, 0xa1), 0xff);
    out8(&t.b, 0x21, 0xfd);
    assert_true(pic_output(&t.p));
    assert_int_equal(pic_ack(&t.p), 0x09);
}

static void init_sequence(void **state)
{
    struct bench t;

    (void)state;
    start(&t);
    out8(&t.b, 0x21, 0x5a);
    assert_int_equal(in8(&t.b, 0x21), 0x5a);
    pic_set_line(&t.p, 0, true);
    pic_ack(&t.p);
    out8(&t.b, 0x20, 0x11); /* ICW1 clears IMR, ISR, edges, and selects IRR */
    out8(&t.b, 0x21, 0x40);
    assert_false(pic_output(&t.p));
    out8(&t.b, 0x21, 0x04);
    out8(&t.b, 0x21, 0x01);
    assert_int_equal(in8(&t.b, 0x21), 0);
    assert_int_equal(in8(&t.b, 0x20), 0);
    assert_int_equal(isr(&t, 0x20), 0);
    assert_false(pic_output(&t.p)); /* the line is still up: no edge */
    pic_set_line(&t.p, 0, false);
    pic_set_line(&t.p, 0, true);
    assert_int_equal(pic_ack(&t.p), 0x40);
    /* Without ICW4, and single: two words. */
    out8(&t.b, 0x20, 0x12);
    out8(&t.b, 0x21, 0x57); /* bits 2:0 are not part of the vector */
    out8(&t.b, 0x21, 0xa5);
    assert_int_equal(in8(&t.b, 0x21), 0xa5);
    out8(&t.b, 0x21, 0);
    pic_set_line(&t.p, 3, true);
    assert_int_equal(pic_ack(&t.p), 0x53);
}

static void fully_nested(void **state)
{
    struct bench t;

    (void)state;
    start(&t);
    pic_set_line(&t.p, 5, true);
    pic_set_line(&t.p, 3, true);
    assert_true(t.b.level[INTR]);
    assert_int_equal(irr(&t, 0x20), 0x28);
    assert_int_equal(pic_ack(&t.p), 0x23);
    assert_false(pic_output(&t.p)); /* 5 waits for 3 */
    pic_set_line(&t.p, 1, true);
    assert_true(pic_output(&t.p)); /* 1 interrupts 3 */
    assert_int_equal(pic_ack(&t.p), 0x21);
    assert_int_equal(isr(&t, 0x20), 0x0a);
    out8(&t.b, 0x20, 0x20);
    assert_int_equal(isr(&t, 0x20), 0x08);
    assert_false(pic_output(&t.p));
    out8(&t.b, 0x20, 0x20);
    assert_true(pic_output(&t.p));
    assert_int_equal(pic_ack(&t.p), 0x25);
    out8(&t.b, 0x20, 0x65); /* specific */
    assert_int_equal(isr(&t, 0x20), 0);
}

/* A class of slip: the slave's number where its bit is meant, the wrong chip's mask. */
static void pic_lines_against_bits(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        struct bench t;

        start(&t);
        pic_set_line(&t.p, i, true);
        if (i == 2) {
            assert_false(pic_output(&t.p));
            continue;
        }
        assert_int_equal(irr(&t, i < 8 ? 0x20 : 0xa0), 1 << (i & 7));
        assert_int_equal(irr(&t, 0x20), i < 8 ? 1 << i : 4);
        out8(&t.b, i < 8 ? 0x21 : 0xa1, (u8)(1 << (i & 7)));
        assert_false(pic_output(&t.p));
        out8(&t.b, i < 8 ? 0x21 : 0xa1, (u8) ~(1 << (i & 7)));
        assert_true(pic_output(&t.p));
        assert_int_equal(pic_ack(&t.p), 0x20 + i);
        assert_int_equal(isr(&t, i < 8 ? 0x20 : 0xa0), 1 << (i & 7));
        assert_int_equal(isr(&t, 0x20), i < 8 ? 1 << i : 4);
    }
    for (unsigned i = 16; i < 100; i++) {
        struct bench t;

        start(&t);
        pic_set_line(&t.p, i, true);
        assert_false(pic_output(&t.p));
    }
}

static void slave_cascade(void **state)
{
    struct bench t;

    (void)state;
    start(&t);
    pic_set_line(&t.p, 14, true);
    assert_int_equal(pic_ack(&t.p), 0x2e);
    assert_false(pic_output(&t.p));
    pic_set_line(&t.p, 8, true); /* higher on the slave, but the master holds input 2 in service */
    assert_false(pic_output(&t.p));
    out8(&t.b, 0x20, 0x20);
    assert_true(pic_output(&t.p));
    assert_int_equal(pic_ack(&t.p), 0x28);
    out8(&t.b, 0xa0, 0x20);
    out8(&t.b, 0x20, 0x20);
    assert_int_equal(isr(&t, 0xa0), 0x40);
    pic_set_line(&t.p, 15, true); /* lower than 14, which is still in service */
    assert_false(pic_output(&t.p));
    out8(&t.b, 0xa0, 0x20);
    assert_true(pic_output(&t.p));
    assert_int_equal(pic_ack(&t.p), 0x2f);
    /* Two at once on the slave: the second comes after the first one's EOIs. */
    out8(&t.b, 0xa0, 0x20);
    out8(&t.b, 0x20, 0x20);
    pic_set_line(&t.p, 9, true);
    pic_set_line(&t.p, 10, true);
    assert_int_equal(pic_ack(&t.p), 0x29);
    out8(&t.b, 0xa0, 0x20);
    out8(&t.b, 0x20, 0x20);
    assert_int_equal(pic_ack(&t.p), 0x2a);
}

/* Special fully nested mode: a slave's higher request passes its lower one on the master. */
static void special_fully_nested(void **state)
{
    struct bench t;

    (void)state;
    start(&t);
    program(&t, 0x11);
    pic_set_line(&t.p, 14, true);
    assert_int_equal(pic_ack(&t.p), 0x2e);
    pic_set_line(&t.p, 8, true);
    assert_true(pic_output(&t.p));
    assert_int_equal(pic_ack(&t.p), 0x28);
}

static void spurious_irq_7_and_15(void **state)
{
    struct bench t;

    (void)state;
    start(&t);
    pic_set_line(&t.p, 4, true);
    assert_true(pic_output(&t.p));
    pic_set_line(&t.p, 4, false); /* taken back before the acknowledge */
    assert_false(pic_output(&t.p));
    assert_int_equal(pic_ack(&t.p), 0x27);
    assert_int_equal(isr(&t, 0x20), 0); /* no service bit: that is how software tells */
    /* The slave's: the master was asked for the cascade, the slave has nothing left. */
    pic_set_line(&t.p, 12, true);
    t.p.s.chip[1].irr = 0; /* gone between the two acknowledge pulses */
    t.p.s.chip[1].pins = 0;
    assert_int_equal(pic_ack(&t.p), 0x2f);
    assert_int_equal(isr(&t, 0xa0), 0);
    assert_int_equal(isr(&t, 0x20), 0x04);
    out8(&t.b, 0x20, 0x20);
    assert_int_equal(isr(&t, 0x20), 0);
}

static void special_mask_mode(void **state)
{
    struct bench t;

    (void)state;
    start(&t);
    pic_set_line(&t.p, 3, true);
    assert_int_equal(pic_ack(&t.p), 0x23);
    pic_set_line(&t.p, 6, true);
    assert_false(pic_output(&t.p));
    out8(&t.b, 0x21, 0x08); /* mask what is in service ... */
    assert_false(pic_output(&t.p));
    out8(&t.b, 0x20, 0x68); /* ... and set special mask mode: lower ones get through */
    assert_true(pic_output(&t.p));
    assert_int_equal(pic_ack(&t.p), 0x26);
    assert_int_equal(isr(&t, 0x20), 0x48);
    out8(&t.b, 0x20, 0x20); /* unspecific EOI: not the masked one */
    assert_int_equal(isr(&t, 0x20), 0x08);
    out8(&t.b, 0x20, 0x20);
    assert_int_equal(isr(&t, 0x20), 0x08);
    out8(&t.b, 0x20, 0x48); /* off */
    out8(&t.b, 0x20, 0x20);
    assert_int_equal(isr(&t, 0x20), 0);
}

static void auto_eoi_and_rotation(void **state)
{
    struct bench t;

    (void)state;
    start(&t);
    program(&t, 0x03);
    pic_set_line(&t.p, 4, true);
    assert_int_equal(pic_ack(&t.p), 0x24);
    assert_int_equal(isr(&t, 0x20), 0);
    out8(&t.b, 0x20, 0x80); /* rotate in automatic EOI mode */
    pic_set_line(&t.p, 4, false);
    pic_set_line(&t.p, 4, true);
    pic_set_line(&t.p, 5, true);
    assert_int_equal(pic_ack(&t.p), 0x24); /* now 4 is the lowest */
    pic_set_line(&t.p, 4, false);
    pic_set_line(&t.p, 4, true);
    assert_int_equal(pic_ack(&t.p), 0x25);
    out8(&t.b, 0x20, 0x00);
    assert_int_equal(pic_ack(&t.p), 0x24); /* 5 is the lowest, 4 the next to it */
    assert_int_equal(t.p.s.chip[0].lowest, 5);
}

static void rotation_on_eoi(void **state)
{
    struct bench t;

    (void)state;
    start(&t);
    pic_set_line(&t.p, 1, true);
    pic_set_line(&t.p, 6, true);
    assert_int_equal(pic_ack(&t.p), 0x21);
    out8(&t.b, 0x20, 0xa0); /* rotate on unspecific EOI: 1 becomes the lowest */
    pic_set_line(&t.p, 1, false);
    pic_set_line(&t.p, 1, true);
    assert_int_equal(pic_ack(&t.p), 0x26);
    out8(&t.b, 0x20, 0xe6); /* rotate on specific EOI */
    assert_int_equal(pic_ack(&t.p), 0x21);
    out8(&t.b, 0x20, 0x61);
    out8(&t.b, 0x20, 0xc3); /* set priority: 3 lowest, 4 highest */
    pic_set_line(&t.p, 3, true);
    pic_set_line(&t.p, 4, true);
    assert_int_equal(pic_ack(&t.p), 0x24);
    out8(&t.b, 0x20, 0x20);
    assert_int_equal(pic_ack(&t.p), 0x23);
}

static void poll_command(void **state)
{
    struct bench t;

    (void)state;
    start(&t);
    out8(&t.b, 0x20, 0x0c);
    assert_int_equal(in8(&t.b, 0x20) & 0x80, 0);
    pic_set_line(&t.p, 6, true);
    out8(&t.b, 0x20, 0x0c);
    assert_int_equal(in8(&t.b, 0x20), 0x86);
    assert_false(pic_output(&t.p));
    assert_int_equal(isr(&t, 0x20), 0x40); /* the poll was the acknowledge */
    out8(&t.b, 0x20, 0x20);
    pic_set_line(&t.p, 9, true);
    out8(&t.b, 0xa0, 0x0c);
    assert_int_equal(in8(&t.b, 0xa0), 0x81);
    assert_int_equal(isr(&t, 0xa0), 0x02);
    assert_false(pic_output(&t.p));
}

static void elcr_and_level(void **state)
{
    struct bench t;

    (void)state;
    start(&t);
    out8(&t.b, 0x4d0, 0xff);
    out8(&t.b, 0x4d1, 0xff);
    assert_int_equal(in8(&t.b, 0x4d0), 0xf8);
    assert_int_equal(in8(&t.b, 0x4d1), 0xde);
    pic_set_line(&t.p, 11, true);
    assert_int_equal(pic_ack(&t.p), 0x2b);
    out8(&t.b, 0xa0, 0x20);
    out8(&t.b, 0x20, 0x20);
    assert_true(pic_output(&t.p)); /* still up: again */
    assert_int_equal(pic_ack(&t.p), 0x2b);
    pic_set_line(&t.p, 11, false);
    out8(&t.b, 0xa0, 0x20);
    out8(&t.b, 0x20, 0x20);
    assert_false(pic_output(&t.p));
    /* An input turned to level follows its pin; turned back it needs an edge. */
    out8(&t.b, 0x4d1, 0);
    pic_set_line(&t.p, 10, true);
    pic_ack(&t.p);
    out8(&t.b, 0xa0, 0x20);
    out8(&t.b, 0x20, 0x20);
    assert_false(pic_output(&t.p));
    out8(&t.b, 0x4d1, 0x04);
    assert_true(pic_output(&t.p));
    out8(&t.b, 0x4d1, 0);
    assert_false(pic_output(&t.p));
}

/* ---- random operations against a model --------------------------------------------------------
 */

struct slow_chip {
    bool pin[8], edge[8], level[8], busy[8], masked[8];
    unsigned lowest, base, step;
    bool aeoi, sfnm, special, rotate, poll, show_busy, need4, single;
};

struct slow {
    struct slow_chip c[2];
};

static bool slow_requested(const struct slow_chip *c, unsigned i)
{
    return c->level[i] ? c->pin[i] : c->edge[i] && c->pin[i];
}

/* Walks the inputs from the highest priority down; what is in service stops the walk. */
static int slow_best(const struct slow_chip *c, bool master)
{
    if (c->step)
        return -1;
    for (unsigned k = 1; k <= 8; k++) {
        unsigned i = (c->lowest + k) % 8;

        if (c->busy[i] && !(c->special && c->masked[i]) && !(master && c->sfnm && i == 2))
            return -1;
        if (slow_requested(c, i) && !c->masked[i])
            return (int)i;
    }
    return -1;
}

static void slow_pin(struct slow_chip *c, unsigned i, bool level)
{
    if (level && !c->pin[i])
        c->edge[i] = true;
    if (!level)
        c->edge[i] = false;
    c->pin[i] = level;
}

static bool slow_settle(struct slow *s)
{
    slow_pin(&s->c[0], 2, slow_best(&s->c[1], false) >= 0);
    return slow_best(&s->c[0], true) >= 0;
}

static void slow_take(struct slow_chip *c, unsigned i)
{
    c->edge[i] = false;
    if (!c->aeoi)
        c->busy[i] = true;
    else if (c->rotate)
        c->lowest = i;
}

static u8 slow_ack(struct slow *s)
{
    int i = slow_best(&s->c[0], true), k;

    if (i < 0)
        return (u8)(s->c[0].base + 7);
    slow_take(&s->c[0], (unsigned)i);
    if (i != 2 || s->c[0].single)
        return (u8)(s->c[0].base + (unsigned)i);
    k = slow_best(&s->c[1], false);
    slow_pin(&s->c[0], 2, false);
    if (k < 0)
        return (u8)(s->c[1].base + 7);
    slow_take(&s->c[1], (unsigned)k);
    return (u8)(s->c[1].base + (unsigned)k);
}

static void slow_eoi(struct slow_chip *c, unsigned i, bool rotate)
{
    c->busy[i] = false;
    if (rotate)
        c->lowest = i;
}

static void slow_command(struct slow_chip *c, u8 v)
{
    if (v & 0x10) {
        for (unsigned i = 0; i < 8; i++)
            c->edge[i] = c->busy[i] = c->masked[i] = false;
        c->lowest = 7;
        c->special = c->rotate = c->poll = c->show_busy = false;
        c->need4 = v & 1;
        c->single = v & 2;
        if (!c->need4)
            c->aeoi = c->sfnm = false;
        c->step = 2;
    } else if (v & 0x08) {
        c->poll = c->poll || (v & 4);
        if (v & 2)
            c->show_busy = v & 1;
        if (v & 0x40)
            c->special = v & 0x20;
    } else if ((v >> 5) == 1 || (v >> 5) == 5) {
        for (unsigned k = 1; k <= 8; k++) {
            unsigned i = (c->lowest + k) % 8;

            if (c->busy[i] && !(c->special && c->masked[i])) {
                slow_eoi(c, i, v & 0x80);
                break;
            }
        }
    } else if ((v >> 5) == 3 || (v >> 5) == 7) {
        slow_eoi(c, v & 7, v & 0x80);
    } else if ((v >> 5) == 6) {
        c->lowest = v & 7;
    } else if ((v >> 5) == 0 || (v >> 5) == 4) {
        c->rotate = v & 0x80;
    }
}

static void slow_data(struct slow_chip *c, u8 v)
{
    switch (c->step) {
    case 0:
        for (unsigned i = 0; i < 8; i++)
            c->masked[i] = v >> i & 1;
        break;
    case 2:
        c->base = v & 0xf8;
        c->step = c->single ? (c->need4 ? 4 : 0) : 3;
        break;
    case 3:
        c->step = c->need4 ? 4 : 0;
        break;
    case 4:
        c->aeoi = v & 2;
        c->sfnm = v & 0x10;
        c->step = 0;
        break;
    }
}

static u8 slow_read(struct slow *s, unsigned which, bool a0)
{
    struct slow_chip *c = &s->c[which];
    u8 v = 0;

    if (c->poll) {
        int i = slow_best(c, which == 0);

        c->poll = false;
        if (i < 0)
            return 7;
        slow_take(c, (unsigned)i);
        if (which)
            slow_pin(&s->c[0], 2, false);
        return (u8)(0x80 | i);
    }
    for (unsigned i = 0; i < 8; i++)
        v |= (u8)((a0 ? c->masked[i] : c->show_busy ? c->busy[i] : slow_requested(c, i)) << i);
    return v;
}

static void slow_level(struct slow_chip *c, u8 v, u8 allowed)
{
    for (unsigned i = 0; i < 8; i++) {
        bool level = (v & allowed) >> i & 1;

        if (c->level[i] && !level)
            c->edge[i] = false;
        c->level[i] = level;
    }
}

static void random_operations(void **state)
{
    u64 seed = 0x8259a;

    (void)state;
    for (unsigned round = 0; round < 300; round++) {
        struct bench t;
        struct slow s = {0};

        setup_bench(&t);
        for (unsigned which = 0; which < 2; which++) {
            s.c[which].lowest = 7;
            s.c[which].base = which ? 0x70 : 0x08;
            s.c[which].need4 = true;
            for (unsigned i = 0; i < 8; i++)
                s.c[which].masked[i] = true;
        }
        for (unsigned n = 0; n < 2000; n++) {
            u64 r = board_random(&seed);
            unsigned which = r >> 8 & 1, line = r >> 9 & 15;
            u8 v = (u8)(r >> 16);

            switch (r % 16) {
            case 0 ... 5:
                if (line != 2)
                    slow_pin(&s.c[line >> 3], line & 7, v & 1);
                pic_set_line(&t.p, line, v & 1);
                break;
            case 6 ... 8:
                assert_int_equal(pic_ack(&t.p), slow_ack(&s));
                break;
            case 9 ... 11: /* mostly EOIs */
                if (v & 0xc0)
                    v = v & 1 ? 0x20 : 0x60 | (v >> 1 & 7);
                if (v & 0x10 && r >> 40 & 3)
                    v &= 0xef;
                slow_command(&s.c[which], v);
                out8(&t.b, which ? 0xa0 : 0x20, v);
                break;
            case 12:
                slow_data(&s.c[which], v);
                out8(&t.b, which ? 0xa1 : 0x21, v);
                break;
            case 13:
                slow_level(&s.c[which], v, which ? 0xde : 0xf8);
                out8(&t.b, (u16)(0x4d0 + which), v);
                break;
            default:
                assert_int_equal(in8(&t.b, (u16)((which ? 0xa0 : 0x20) + (v & 1))),
                                 slow_read(&s, which, v & 1));
                break;
            }
            assert_int_equal(pic_output(&t.p), slow_settle(&s));
            assert_int_equal(t.b.level[INTR], pic_output(&t.p));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(firmware_state),        cmocka_unit_test(init_sequence),
        cmocka_unit_test(fully_nested),          cmocka_unit_test(pic_lines_against_bits),
        cmocka_unit_test(slave_cascade),         cmocka_unit_test(special_fully_nested),
        cmocka_unit_test(spurious_irq_7_and_15), cmocka_unit_test(special_mask_mode),
        cmocka_unit_test(auto_eoi_and_rotation), cmocka_unit_test(rotation_on_eoi),
        cmocka_unit_test(poll_command),          cmocka_unit_test(elcr_and_level),
        cmocka_unit_test(random_operations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
