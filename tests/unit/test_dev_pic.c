/* SPDX-License-Identifier: BSD-2-Clause */
/* The interrupt-controller pair against the 8259A data sheet. */
#include "tests/unit/pic_bench.h"
#include "vmm/dev/pic.h"

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

/* INTR falls with INTA and rises anew: what only looks at edges gets each request. */
static void an_edge_for_each(void **state)
{
    struct bench t;

    (void)state;
    start(&t);
    program(&t, 0x03); /* automatic EOI: nothing holds the second one back */
    pic_set_line(&t.p, 3, true);
    pic_set_line(&t.p, 5, true);
    assert_int_equal(t.b.rises[INTR], 1);
    assert_int_equal(pic_ack(&t.p), 0x23);
    assert_int_equal(t.b.rises[INTR], 2);
    assert_int_equal(pic_ack(&t.p), 0x25);
    assert_int_equal(t.b.rises[INTR], 2);
    assert_false(pic_output(&t.p));
}

/* MP Specification 1.4, 3.6.2.1: register 0x70, bit 0 clear in PIC mode. */
static void imcr(void **state)
{
    struct bench t;

    (void)state;
    start(&t);
    assert_false(pic_mode(&t.p)); /* firmware has gone to virtual-wire mode */
    out8(&t.b, 0x23, 0);          /* nothing selected */
    assert_false(pic_mode(&t.p));
    out8(&t.b, 0x22, 0x71);
    out8(&t.b, 0x23, 0);
    assert_false(pic_mode(&t.p));
    out8(&t.b, 0x22, 0x70);
    out8(&t.b, 0x23, 0);
    assert_true(pic_mode(&t.p));
    assert_int_equal(in8(&t.b, 0x22), 0xff);
    assert_int_equal(in8(&t.b, 0x23), 0xff);
    /* Whoever is asked now hears of a request that is there already. */
    pic_set_line(&t.p, 3, true);
    assert_int_equal(t.b.rises[INTR], 1);
    out16(&t.b, 0x22, 0x0170);
    assert_false(pic_mode(&t.p));
    assert_int_equal(t.b.rises[INTR], 2);
    assert_int_equal(pic_ack(&t.p), 0x23);
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
        cmocka_unit_test(an_edge_for_each),      cmocka_unit_test(imcr),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
