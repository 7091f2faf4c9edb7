/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a message to the local APICs that take it (Intel SDM 3, 10.6.2 destinations, 10.6.2.4
 * lowest priority, 10.12.10 x2APIC). All of it may run on any CPU: see the table in vlapic.h.
 */
#include "vmm/dev/vlapic_impl.h"

static u32 peek(const struct vlapic *l, unsigned reg)
{
    return __atomic_load_n(vlapic_reg(l, reg), __ATOMIC_RELAXED);
}

static u8 mode_of(const struct vlapic *l)
{
    return __atomic_load_n(&l->mode, __ATOMIC_RELAXED);
}

static bool match_logical(const struct vlapic *l, u32 dest)
{
    u32 ldr = peek(l, APIC_LDR);

    if (mode_of(l) == VLAPIC_X2APIC)
        return dest >> 16 == ldr >> 16 && (dest & ldr & 0xffff);
    if (dest > 0xff)
        return false;
    ldr >>= 24;
    switch (peek(l, APIC_DFR) >> 28) {
    case 0xf: /* flat */
        return dest & ldr;
    case 0: /* cluster */
        return dest >> 4 == ldr >> 4 && (dest & ldr & 0xf);
    default:
        return false;
    }
}

bool vlapic_match(const struct vlapic *l, u32 dest, bool logical)
{
    if (dest == APIC_DEST_ALL)
        return true;
    return logical ? match_logical(l, dest) : dest == l->s.id;
}

void vlapic_post(struct vlapic *l, u8 vector, bool level)
{
    unsigned i = vector >> 6;
    u64 bit = BIT(vector & 63);

    if (level != !!(__atomic_load_n(&l->post.level[i], __ATOMIC_RELAXED) & bit)) {
        if (level)
            __atomic_fetch_or(&l->post.level[i], bit, __ATOMIC_RELAXED);
        else
            __atomic_fetch_and(&l->post.level[i], ~bit, __ATOMIC_RELAXED);
    }
    __atomic_fetch_or(&l->post.vectors[i], bit, __ATOMIC_SEQ_CST);
    vlapic_tell(l);
}

/* A vectored interrupt arrives; below 16 it is an error of the receiver's (10.5.3). */
static bool accept_vector(struct vlapic *l, struct vlapic *from, const struct apic_msg *msg)
{
    if (!vlapic_enabled(l))
        return false;
    if (msg->vector >= 16) {
        if (l == from)
            vlapic_request(l, msg->vector, msg->level);
        else
            vlapic_post(l, msg->vector, msg->level);
        return true;
    }
    if (l == from) {
        vlapic_error(l, ESR_RECEIVE_VECTOR);
        return false;
    }
    __atomic_fetch_or(&l->errors, (u32)ESR_RECEIVE_VECTOR, __ATOMIC_RELAXED);
    vlapic_tell(l);
    return false;
}

/* icr: from another local APIC, not from an I/O APIC or a device. */
static u32 event_of(const struct apic_msg *msg, bool icr)
{
    switch (msg->mode) {
    case APIC_SMI:
        return VLAPIC_EV_SMI;
    case APIC_NMI:
        return VLAPIC_EV_NMI;
    case APIC_INIT:
        return msg->deassert ? 0 : VLAPIC_EV_INIT;
    case APIC_SIPI:
        return icr ? (u32)(VLAPIC_EV_SIPI | (u32)msg->vector << 8) : 0; /* else reserved */
    case APIC_EXTINT:
        return VLAPIC_EV_EXTINT;
    default: /* reserved */
        return 0;
    }
}

static bool accept(struct vlapic *l, struct vlapic *from, const struct apic_msg *msg)
{
    u32 event;

    if (mode_of(l) == VLAPIC_OFF)
        return false;
    if (msg->mode == APIC_FIXED || msg->mode == APIC_LOWEST)
        return accept_vector(l, from, msg);
    event = event_of(msg, from);
    if (!event || (event == VLAPIC_EV_EXTINT && !vlapic_enabled(l)))
        return false;
    vlapic_event(l, event);
    if (l != from)
        l->c.ops->kick(l->c.arg);
    return true;
}

/* The class of what its processor does: the page may be in that processor's hands. */
static u32 priority(const struct vlapic *l)
{
    int isr = __atomic_load_n(&l->isr_top, __ATOMIC_RELAXED);

    if (__atomic_load_n(&l->help, __ATOMIC_RELAXED) == APIC_VIRTUAL)
        return peek(l, APIC_PPR) >> 4;
    return MAX(peek(l, APIC_TPR), isr < 0 ? 0u : (u32)isr) >> 4;
}

/* Of the targets, the one whose processor does the least important thing; equals take turns. */
static struct vlapic *lowest(struct vlapic_group *g, struct vlapic *except, u32 dest, bool logical)
{
    u32 first = __atomic_fetch_add(&g->next, 1, __ATOMIC_RELAXED) % g->count;
    struct vlapic *best = NULL;

    for (u32 i = 0; i < g->count; i++) {
        u32 at = first + i < g->count ? first + i : first + i - g->count;
        struct vlapic *l = g->l[at];

        if (!l || l == except || mode_of(l) == VLAPIC_OFF || !vlapic_enabled(l) ||
            !vlapic_match(l, dest, logical))
            continue;
        if (!best || priority(l) < priority(best))
            best = l;
    }
    return best;
}

/* To all that match, but one (or none: NULL). */
static unsigned deliver(struct vlapic_group *g, struct vlapic *from, struct vlapic *except,
                        const struct apic_msg *msg)
{
    unsigned n = 0;

    if (!g->count)
        return 0;
    if (msg->mode == APIC_LOWEST) {
        struct vlapic *l = lowest(g, except, msg->dest, msg->logical);

        return l ? accept(l, from, msg) : 0;
    }
    if (!msg->logical && msg->dest != APIC_DEST_ALL) {
        struct vlapic *l = msg->dest < g->count ? g->l[msg->dest] : NULL;

        return l && l != except ? accept(l, from, msg) : 0;
    }
    for (u32 i = 0; i < g->count; i++) {
        struct vlapic *l = g->l[i];

        if (l && l != except && vlapic_match(l, msg->dest, msg->logical))
            n += accept(l, from, msg);
    }
    return n;
}

unsigned vlapic_deliver(struct vlapic_group *g, struct vlapic *from, const struct apic_msg *msg)
{
    return deliver(g, from, NULL, msg);
}

COLD bool vlapic_waits(const struct vlapic *l, const struct apic_msg *msg)
{
    u8 vector = msg->vector;
    const u32 *isr = vlapic_reg(l, APIC_ISR + (vector >> 5));
    u64 posted = __atomic_load_n(&l->post.vectors[vector >> 6], __ATOMIC_RELAXED);

    return vlapic_match(l, msg->dest, msg->logical) &&
           (vlapic_requests(l, vector) || (posted >> (vector & 63) & 1) ||
            (msg->level && (__atomic_load_n(isr, __ATOMIC_RELAXED) >> (vector & 31) & 1)));
}

enum shorthand { SHORT_NONE, SHORT_SELF, SHORT_ALL, SHORT_OTHERS };

/* Table 10-3: what may be sent by which shorthand. */
static bool shorthand_valid(enum shorthand s, u8 mode)
{
    return s == SHORT_NONE || s == SHORT_OTHERS || mode == APIC_FIXED || mode == APIC_LOWEST ||
           mode == APIC_NMI;
}

void vlapic_send(struct vlapic *l, u32 low, u32 dest)
{
    enum shorthand s = (enum shorthand)((low >> 18) & 3);
    struct apic_msg msg = {
        .dest = s == SHORT_NONE ? dest : APIC_DEST_ALL,
        .vector = (u8)low,
        .mode = (low >> 8) & 7,
        .logical = s == SHORT_NONE && (low & BIT(11)),
        .deassert = (low & (BIT(14) | BIT(15))) == BIT(15),
    };

    if (!shorthand_valid(s, msg.mode))
        return;
    if (msg.mode == APIC_EXTINT) /* reserved in ICR */
        return;
    if ((msg.mode == APIC_FIXED || msg.mode == APIC_LOWEST) && msg.vector < 16) {
        vlapic_error(l, s == SHORT_SELF ? ESR_SEND_VECTOR | ESR_RECEIVE_VECTOR : ESR_SEND_VECTOR);
        return;
    }
    if (s == SHORT_SELF)
        accept(l, l, &msg);
    else
        deliver(l->c.group, l, s == SHORT_OTHERS ? l : NULL, &msg);
}
