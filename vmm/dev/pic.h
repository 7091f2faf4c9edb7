/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pair of 8259A interrupt controllers, cascaded at IR2, with the ELCR (Intel 8259A data sheet,
 * 231468; ELCR as in the 82371 PIIX, 4.5.4). Ports 0x20-21, 0xa0-a1, 0x4d0-4d1. And what says
 * where their output goes, the IMCR (MP Specification 1.4, 3.6.2.1), ports 0x22-23.
 *
 * Lines are numbered 0..15; 2 is the cascade and cannot be driven. The output INTR goes out by an
 * irq_out (to LINT0, and straight to the processor where its local APIC is off, or in PIC mode).
 */
#ifndef VMM_DEV_PIC_H
#define VMM_DEV_PIC_H

#include "vmm/dev/bus.h"
#include "vmm/dev/irq_out.h"

/* One chip, as the guest can observe it. Bit n is input n. */
struct pic_chip {
    u8 irr; /* requests: latched edges, and levels of level inputs, while the pin stays up */
    u8 isr, imr;
    u8 pins;   /* as driven now */
    u8 elcr;   /* 1: level-triggered */
    u8 lowest; /* input with the lowest priority: 7 unless rotated */
    u8 base;   /* ICW2: vector of input 0 */
    u8 icw1, icw3, icw4;
    u8 init; /* ICW awaited: 2, 3, 4; 0 when ready */
    bool read_isr, special_mask, rotate_aeoi, poll;
};

struct pic_state {
    struct pic_chip chip[2]; /* 0 master, 1 slave */
    bool intr;               /* INTR as last told */
    u8 selected, imcr;       /* ports 0x22 and 0x23 as written */
};

struct pic {
    struct pic_state s;
    struct irq_out intr;
};

#define IMCR_APIC BIT(0) /* INTR goes through local APICs; else to the boot processor: PIC mode */

/* As a PC's firmware leaves it: vectors 0x08 and 0x70, everything masked, no PIC mode. */
void pic_init(struct pic *p, struct irq_out intr);
/* Ports as above. Errors as bus_add(). */
enum err pic_attach(struct pic *p, struct bus *ports);

/* Drives input `irq` (0..15; 2 and larger than 15 are ignored). Calls intr when the output changes.
 */
void pic_set_line(struct pic *p, unsigned irq, bool level);

/* Whether input `irq`, 0..15, asks and is not masked. */
static inline bool pic_requests(const struct pic *p, unsigned irq)
{
    const struct pic_chip *c = &p->s.chip[irq >> 3];

    return c->irr & ~c->imr & BIT(irq & 7);
}

/* Whether INTR goes straight to the boot processor, past its local APIC. */
static inline bool pic_mode(const struct pic *p)
{
    return !(p->s.imcr & IMCR_APIC);
}

/* Whether INTR is asserted. */
static inline bool pic_output(const struct pic *p)
{
    return p->s.intr;
}

/*
 * The processor's acknowledge cycle: the vector, with IRR and ISR updated. If the request has gone
 * meanwhile, the spurious vector of input 7 (of the chip that was asked), with no ISR bit set.
 */
u8 pic_ack(struct pic *p);

#endif
