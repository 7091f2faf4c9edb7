/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random operations on the interrupt-controller pair, against a slow model written from the 8259A
 * data sheet: priority is resolved by walking the inputs one by one.
 */
#include "tests/unit/pic_bench.h"
#include "vmm/dev/pic.h"

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
            u64 r = random_u64(&seed);
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
        cmocka_unit_test(random_operations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
