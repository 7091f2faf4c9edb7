/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * 8259A pair: command words, priority, cascade; see pic.h. LTIM in ICW1 is ignored, as in every
 * PC with an ELCR, and so is the MCS-80 mode of ICW4.
 */
#include "vmm/dev/pic.h"

#define MASTER  0
#define SLAVE   1
#define CASCADE 2
#define NONE    8

#define ICW1_IC4    BIT(0)
#define ICW1_SINGLE BIT(1)
#define ICW1_INIT   BIT(4)
#define ICW4_AEOI   BIT(1)
#define ICW4_SFNM   BIT(4)
#define OCW3        BIT(3)

#define IMCR 0x70 /* as it is selected */

/* Inputs whose trigger mode can be set: not 0, 1, 2, 8 and 13. */
static const u8 elcr_mask[2] = {0xf8, 0xde};

/* ---- one chip ------------------------------------------------------------------------------- */

/* The input of highest priority in the set, or NONE. */
static unsigned highest(const struct pic_chip *c, u8 set)
{
    unsigned first = (c->lowest + 1u) & 7, turned, n;

    if (!set)
        return NONE;
    turned = ((unsigned)set | (unsigned)set << 8) >> first & 0xff;
    n = (unsigned)__builtin_ctz(turned);
    return (n + first) & 7;
}

/* How far down the priority order an input stands: 0 the highest, 8 for NONE. */
static unsigned rank(const struct pic_chip *c, unsigned input)
{
    return input == NONE ? NONE : (input - c->lowest - 1u) & 7;
}

/* The input that the chip asks for, or NONE: requested, unmasked, above what is in service. */
static unsigned request(const struct pic_chip *c, bool master)
{
    u8 busy = c->isr;
    unsigned input = highest(c, c->irr & (u8)~c->imr);

    if (c->special_mask)
        busy &= (u8)~c->imr;
    if (master && (c->icw4 & ICW4_SFNM)) /* the slave may nest within itself */
        busy &= (u8) ~(1u << CASCADE);
    if (c->init)
        return NONE;
    return rank(c, input) < rank(c, highest(c, busy)) ? input : NONE;
}

static void drive(struct pic_chip *c, unsigned input, bool level)
{
    u8 bit = (u8)(1u << input);

    if (!level) {
        c->irr &= (u8)~bit;
        c->pins &= (u8)~bit;
    } else {
        if ((c->elcr & bit) || !(c->pins & bit))
            c->irr |= bit;
        c->pins |= bit;
    }
}

/* First INTA: the request moves into service, or ends at once with automatic EOI. */
static void take(struct pic_chip *c, unsigned input)
{
    u8 bit = (u8)(1u << input);

    if (!(c->elcr & bit))
        c->irr &= (u8)~bit;
    if (!(c->icw4 & ICW4_AEOI))
        c->isr |= bit;
    else if (c->rotate_aeoi)
        c->lowest = (u8)input;
}

/* ---- the pair ------------------------------------------------------------------------------- */

COLD static void set_intr(struct pic *p, bool level)
{
    if (level == p->s.intr)
        return;
    p->s.intr = level;
    irq_out_set(&p->intr, level);
}

/* The slave's output is the master's input 2, the master's output the processor's INTR. */
static void update(struct pic *p)
{
    struct pic_chip *m = &p->s.chip[MASTER], *s = &p->s.chip[SLAVE];

    drive(m, CASCADE, request(s, false) != NONE);
    set_intr(p, request(m, true) != NONE);
}

/* INTR falls with INTA, whatever else asks. */
static void ask_again(struct pic *p)
{
    set_intr(p, false);
    update(p);
}

void pic_set_line(struct pic *p, unsigned irq, bool level)
{
    if (irq > 15 || irq == CASCADE)
        return;
    drive(&p->s.chip[irq >> 3], irq & 7, level);
    update(p);
}

u8 pic_ack(struct pic *p)
{
    struct pic_chip *m = &p->s.chip[MASTER], *s = &p->s.chip[SLAVE];
    unsigned input = request(m, true);
    u8 vector;

    if (input == NONE) {
        vector = (u8)(m->base + 7);
    } else if (input == CASCADE && !(m->icw1 & ICW1_SINGLE)) {
        unsigned second = request(s, false);

        take(m, CASCADE);
        if (second == NONE) {
            vector = (u8)(s->base + 7);
        } else {
            take(s, second);
            vector = (u8)(s->base + second);
        }
        drive(m, CASCADE, false); /* INT of the slave falls with INTA */
    } else {
        take(m, input);
        vector = (u8)(m->base + input);
    }
    ask_again(p);
    return vector;
}

/* ---- command words -------------------------------------------------------------------------- */

static void write_icw1(struct pic_chip *c, u8 value)
{
    c->icw1 = value;
    if (!(value & ICW1_IC4))
        c->icw4 = 0;
    c->irr &= c->elcr; /* the edge sense is reset */
    c->isr = 0;
    c->imr = 0;
    c->lowest = 7;
    c->special_mask = false;
    c->rotate_aeoi = false;
    c->read_isr = false;
    c->poll = false;
    c->init = 2;
}

/* ICW2 to ICW4 follow at the other port, as ICW1 said. */
static void write_icw(struct pic_chip *c, u8 value)
{
    switch (c->init) {
    case 2:
        c->base = value & 0xf8;
        c->init = c->icw1 & ICW1_SINGLE ? (c->icw1 & ICW1_IC4 ? 4 : 0) : 3;
        break;
    case 3:
        c->icw3 = value;
        c->init = c->icw1 & ICW1_IC4 ? 4 : 0;
        break;
    default:
        c->icw4 = value & 0x1f;
        c->init = 0;
        break;
    }
}

/* Input that an unspecific EOI ends; masked ones stay in service in special mask mode. */
static unsigned unspecific(const struct pic_chip *c)
{
    return highest(c, c->special_mask ? c->isr & (u8)~c->imr : c->isr);
}

static void write_ocw2(struct pic_chip *c, u8 value)
{
    unsigned input = value & 7;

    switch (value >> 5) {
    case 0: /* rotate in automatic EOI mode: clear, set */
        c->rotate_aeoi = false;
        return;
    case 4:
        c->rotate_aeoi = true;
        return;
    case 1: /* unspecific EOI; with rotation */
    case 5:
        input = unspecific(c);
        if (input == NONE)
            return;
        c->isr &= (u8) ~(1u << input);
        break;
    case 3: /* specific EOI; with rotation */
    case 7:
        c->isr &= (u8) ~(1u << input);
        break;
    case 6: /* set priority */
        break;
    default:
        return;
    }
    if (value & 0x80)
        c->lowest = (u8)input;
}

COLD static void write_ocw3(struct pic_chip *c, u8 value)
{
    if (value & 0x04)
        c->poll = true;
    if (value & 0x02)
        c->read_isr = value & 0x01;
    if (value & 0x40)
        c->special_mask = value & 0x20;
}

/* The read after a poll command is an acknowledge cycle of this chip alone. */
static u8 read_poll(struct pic *p, unsigned which)
{
    struct pic_chip *c = &p->s.chip[which];
    unsigned input = request(c, which == MASTER);

    c->poll = false;
    if (input == NONE)
        return 7; /* as for a spurious request, without the flag in bit 7 */
    take(c, input);
    if (which == SLAVE)
        drive(&p->s.chip[MASTER], CASCADE, false);
    return (u8)(0x80 | input);
}

static void pic_write(struct pic_chip *c, bool a0, u8 value)
{
    if (!a0 && (value & ICW1_INIT))
        write_icw1(c, value);
    else if (!a0 && (value & OCW3))
        write_ocw3(c, value);
    else if (!a0)
        write_ocw2(c, value);
    else if (c->init)
        write_icw(c, value);
    else
        c->imr = value;
}

static void pic_access(void *arg, struct bus_access *acc)
{
    struct pic *p = arg;
    unsigned which = acc->addr >= 0xa0 ? SLAVE : MASTER;
    struct pic_chip *c = &p->s.chip[which];

    if (acc->write) {
        pic_write(c, acc->offset, (u8)acc->value);
        update(p);
    } else if (c->poll) {
        acc->value = read_poll(p, which);
        update(p);
    } else if (acc->offset) {
        acc->value = c->imr;
    } else {
        acc->value = c->read_isr ? c->isr : c->irr;
    }
}

/* An input that becomes level-triggered follows its pin from now on; the reverse needs an edge. */
static void elcr_access(void *arg, struct bus_access *acc)
{
    struct pic *p = arg;
    struct pic_chip *c = &p->s.chip[acc->offset & 1];
    u8 old = c->elcr;

    if (!acc->write) {
        acc->value = old;
        return;
    }
    c->elcr = (u8)acc->value & elcr_mask[acc->offset & 1];
    c->irr = (c->irr & (u8) ~(old & ~c->elcr)) | (c->elcr & c->pins);
    update(p);
}

/* Write-only: 0x22 selects a register for 0x23, of which there is one (MP 1.4, 3.6.2.1). */
static void imcr_access(void *arg, struct bus_access *acc)
{
    struct pic *p = arg;
    u8 value = (u8)acc->value;

    if (!acc->write) {
        acc->value = 0xff;
    } else if (!acc->offset) {
        p->s.selected = value;
    } else if (p->s.selected == IMCR) {
        p->s.imcr = value;
        ask_again(p); /* somebody else */
    }
}

void pic_init(struct pic *p, struct irq_out intr)
{
    *p = (struct pic){.intr = intr, .s.imcr = IMCR_APIC};
    p->s.chip[MASTER] = (struct pic_chip){
        .imr = 0xff, .lowest = 7, .base = 0x08, .icw1 = 0x11, .icw3 = 1 << CASCADE, .icw4 = 1};
    p->s.chip[SLAVE] = (struct pic_chip){
        .imr = 0xff, .lowest = 7, .base = 0x70, .icw1 = 0x11, .icw3 = CASCADE, .icw4 = 1};
}

enum err pic_attach(struct pic *p, struct bus *ports)
{
    bus_add(ports, 0x20, 2, 1, pic_access, p, "pic master");
    bus_add(ports, 0xa0, 2, 1, pic_access, p, "pic slave");
    bus_add(ports, 0x22, 2, 1, imcr_access, p, "imcr");
    return bus_add(ports, 0x4d0, 2, 1, elcr_access, p, "elcr");
}
