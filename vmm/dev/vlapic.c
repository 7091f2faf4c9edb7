/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Local APIC: requests, priorities, acknowledge and EOI, local sources, errors, modes; see
 * vlapic.h. Intel SDM 3: 10.4 (modes and reset), 10.5 (LVT, errors), 10.8 (handling of interrupts).
 */
#include "lib/string.h"
#include "vmm/dev/vlapic_impl.h"

/* ---- requests and priorities ---------------------------------------------------------------- */

/* 10.8.3.1; where both classes are equal, as virtualised by hardware (SDM 3, 29.1.3). */
u8 vlapic_ppr(const struct vlapic *l)
{
    u8 tpr = vlapic_tpr(l);

    return tpr >> 4 >= l->isr_top >> 4 ? tpr : (u8)(l->isr_top & 0xf0);
}

void vlapic_request(struct vlapic *l, u8 vector, bool level)
{
    u32 bit = 1u << (vector & 31);
    unsigned word = vector >> 5;

    *vlapic_reg(l, APIC_IRR + word) |= bit;
    l->irr_words |= (u8)(1u << word);
    if (level)
        *vlapic_reg(l, APIC_TMR + word) |= bit;
    else
        *vlapic_reg(l, APIC_TMR + word) &= ~bit;
    if (vector > l->irr_top)
        l->irr_top = vector;
}

/* One quarter of what was posted, with its trigger modes. */
static void sync_quarter(struct vlapic *l, unsigned i)
{
    u64 new, level;

    if (!__atomic_load_n(&l->post.vectors[i], __ATOMIC_RELAXED))
        return;
    new = __atomic_exchange_n(&l->post.vectors[i], 0, __ATOMIC_ACQ_REL);
    level = __atomic_load_n(&l->post.level[i], __ATOMIC_RELAXED);
    for (unsigned half = 0; half < 2; half++) {
        u32 bits = (u32)(new >> (32 * half)), lv = (u32)(level >> (32 * half));
        u32 *tmr = vlapic_reg(l, APIC_TMR + 2 * i + half);

        if (!bits)
            continue;
        *vlapic_reg(l, APIC_IRR + 2 * i + half) |= bits;
        l->irr_words |= (u8)(1u << (2 * i + half));
        *tmr = (*tmr & ~bits) | (lv & bits);
    }
}

static COLD u8 words_set(const struct vlapic *l, unsigned reg)
{
    u8 words = 0;

    for (unsigned i = 0; i < 8; i++)
        words |= (u8)((*vlapic_reg(l, reg + i) != 0) << i);
    return words;
}

void vlapic_refresh(struct vlapic *l)
{
    l->irr_words = words_set(l, APIC_IRR);
    l->isr_words = words_set(l, APIC_ISR);
    l->irr_top = vlapic_top(l, APIC_IRR, l->irr_words);
    l->isr_top = vlapic_top(l, APIC_ISR, l->isr_words);
}

COLD void vlapic_lend_page(struct vlapic *l)
{
    for (unsigned i = 0; i < VLAPIC_KEPT; i++)
        l->kept[i] = *vlapic_reg(l, vlapic_kept[i]);
    *vlapic_reg(l, APIC_PPR) = vlapic_ppr(l);
    l->lent = true;
}

COLD void vlapic_set_help(struct vlapic *l, enum apic_help help)
{
    l->help = (u8)help;
}

void vlapic_sync(struct vlapic *l)
{
    u8 edges;

    if (l->lent)
        vlapic_refresh(l);
    if (!(__atomic_load_n(&l->post.control, __ATOMIC_RELAXED) & 1))
        return;
    /* The flag goes first: whoever posts after this sets it again. */
    __atomic_fetch_and(&l->post.control, ~1ull, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < 4; i++)
        sync_quarter(l, i);
    l->irr_top = vlapic_top(l, APIC_IRR, l->irr_words);
    edges = __atomic_exchange_n(&l->lint_edges, 0, __ATOMIC_ACQ_REL);
    for (unsigned pin = 0; pin < 2; pin++)
        if ((edges & (1u << pin)) && !(*vlapic_reg(l, APIC_LVT_LINT0 + pin) & LVT_LEVEL))
            vlapic_lvt_fire(l, APIC_LVT_LINT0 + pin);
    vlapic_lint_levels(l);
    if (l->s.esr_armed && __atomic_load_n(&l->errors, __ATOMIC_RELAXED))
        vlapic_error(l, 0);
}

void vlapic_ack(struct vlapic *l, u8 vector)
{
    unsigned word = vector >> 5;
    u32 bit = 1u << (vector & 31);
    u32 *irr = vlapic_reg(l, APIC_IRR + word);

    *irr &= ~bit;
    if (!*irr)
        l->irr_words &= (u8) ~(1u << word);
    l->irr_top = vlapic_top(l, APIC_IRR, l->irr_words);
    *vlapic_reg(l, APIC_ISR + word) |= bit;
    l->isr_words |= (u8)(1u << word);
    l->isr_top = vector > l->isr_top ? vector : l->isr_top;
}

/* A level-triggered interrupt has ended: local pins first, then the broadcast (10.8.5). */
static __attribute__((noinline)) void end_level(struct vlapic *l, u8 vector)
{
    for (unsigned pin = 0; pin < 2; pin++) {
        u32 *lvt = vlapic_reg(l, APIC_LVT_LINT0 + pin);

        if ((*lvt & LVT_REMOTE_IRR) && (u8)*lvt == vector)
            *lvt &= (u32)~LVT_REMOTE_IRR;
    }
    vlapic_lint_levels(l);
    if (!(*vlapic_reg(l, APIC_SVR) & SVR_NO_BROADCAST) && l->c.ops->eoi)
        l->c.ops->eoi(l->c.arg, vector);
}

COLD void vlapic_ended(struct vlapic *l, u8 vector)
{
    if (*vlapic_reg(l, APIC_TMR + (vector >> 5)) & 1u << (vector & 31))
        end_level(l, vector);
}

void vlapic_eoi(struct vlapic *l)
{
    int vector;
    unsigned word;
    u32 bit, *isr;

    if (unlikely(l->lent))
        vlapic_refresh(l);
    vector = l->isr_top;
    if (vector < 0)
        return;
    word = (unsigned)vector >> 5;
    bit = 1u << (vector & 31);
    isr = vlapic_reg(l, APIC_ISR + word);
    *isr &= ~bit;
    if (!*isr)
        l->isr_words &= (u8) ~(1u << word);
    l->isr_top = vlapic_top(l, APIC_ISR, l->isr_words);
    if (unlikely(*vlapic_reg(l, APIC_TMR + word) & bit))
        end_level(l, (u8)vector);
}

/* ---- events and local sources --------------------------------------------------------------- */

void vlapic_tell(struct vlapic *l)
{
    if (!(__atomic_fetch_or(&l->post.control, 1, __ATOMIC_SEQ_CST) & 1))
        l->c.ops->kick(l->c.arg);
}

void vlapic_event(struct vlapic *l, u32 bits)
{
    u32 old = __atomic_load_n(&l->events, __ATOMIC_RELAXED), new;

    do {
        new = old;
        if (bits & VLAPIC_EV_INIT) /* whatever start-up came before it is void */
            new &= ~(u32)(VLAPIC_EV_SIPI | 0xff00);
        if ((bits & VLAPIC_EV_SIPI) && (old & VLAPIC_EV_SIPI))
            new |= bits & 0xff; /* the first one's page counts */
        else
            new |= bits;
    } while (!__atomic_compare_exchange_n(&l->events, &old, new, true, __ATOMIC_SEQ_CST,
                                          __ATOMIC_RELAXED));
}

u32 vlapic_take_events(struct vlapic *l)
{
    return __atomic_exchange_n(&l->events, 0, __ATOMIC_SEQ_CST);
}

void vlapic_lvt_fire(struct vlapic *l, unsigned reg)
{
    u32 lvt = *vlapic_reg(l, reg);

    if (lvt & LVT_MASKED)
        return;
    switch (LVT_MODE(lvt)) {
    case APIC_FIXED:
        if ((lvt & 0xff) >= 16)
            vlapic_request(l, (u8)lvt, false);
        else if (reg == APIC_LVT_ERROR) /* the error interrupt cannot raise itself */
            __atomic_fetch_or(&l->errors, (u32)ESR_RECEIVE_VECTOR, __ATOMIC_RELAXED);
        else
            vlapic_error(l, ESR_RECEIVE_VECTOR);
        break;
    case APIC_SMI:
        vlapic_event(l, VLAPIC_EV_SMI);
        break;
    case APIC_NMI:
        vlapic_event(l, VLAPIC_EV_NMI);
        break;
    case APIC_INIT:
        vlapic_event(l, VLAPIC_EV_INIT);
        break;
    default: /* ExtINT asks the PIC, by vlapic_takes_extint(); the others are reserved */
        break;
    }
}

void vlapic_error(struct vlapic *l, u32 bits)
{
    __atomic_fetch_or(&l->errors, bits, __ATOMIC_RELAXED);
    if (!l->s.esr_armed)
        return;
    l->s.esr_armed = false;
    vlapic_lvt_fire(l, APIC_LVT_ERROR);
}

void vlapic_lint_levels(struct vlapic *l)
{
    u8 pins = __atomic_load_n(&l->lint, __ATOMIC_RELAXED);

    for (unsigned pin = 0; pin < 2 && pins; pin++) {
        u32 *lvt = vlapic_reg(l, APIC_LVT_LINT0 + pin);

        if (!(pins & (1u << pin)) || LVT_MODE(*lvt) != APIC_FIXED || !(*lvt & LVT_LEVEL) ||
            (*lvt & (LVT_MASKED | LVT_REMOTE_IRR)) || (*lvt & 0xff) < 16)
            continue;
        *lvt |= (u32)LVT_REMOTE_IRR;
        vlapic_request(l, (u8)*lvt, true);
    }
}

COLD void vlapic_set_lint(struct vlapic *l, unsigned pin, bool level)
{
    u8 bit = pin < 2 ? (u8)(1u << pin) : 0;

    if (!(__atomic_load_n(&l->lint, __ATOMIC_RELAXED) & bit) == !level)
        return;
    __atomic_fetch_xor(&l->lint, bit, __ATOMIC_SEQ_CST);
    if (!level || (*vlapic_reg(l, APIC_LVT_LINT0 + pin) & LVT_MASKED))
        return;
    __atomic_fetch_or(&l->lint_edges, bit, __ATOMIC_SEQ_CST);
    vlapic_tell(l);
}

/* ---- modes and reset ------------------------------------------------------------------------ */

static u8 mode_of_base(u64 base)
{
    if (!(base & APIC_BASE_ENABLE))
        return VLAPIC_OFF;
    return base & APIC_BASE_X2APIC ? VLAPIC_X2APIC : VLAPIC_XAPIC;
}

/* ID and LDR look different in x2APIC mode (10.12.1, 10.12.10.2). */
static void set_identity(struct vlapic *l)
{
    u32 id = l->s.id;

    *vlapic_reg(l, APIC_ID) = l->mode == VLAPIC_X2APIC ? id : id << 24;
    if (l->mode != VLAPIC_X2APIC)
        return;
    *vlapic_reg(l, APIC_LDR) = (id >> 4) << 16 | 1u << (id & 15);
    *vlapic_reg(l, APIC_ICR2) = 0;
}

/* 10.4.7.1; INIT leaves the same, but for the ID and, in x2APIC mode, what belongs to that. */
static COLD void clear_registers(struct vlapic *l)
{
    memset(l->page, 0, PAGE_SIZE);
    *vlapic_reg(l, APIC_VERSION) = VLAPIC_VERSION;
    *vlapic_reg(l, APIC_DFR) = 0xffffffff;
    *vlapic_reg(l, APIC_SVR) = 0xff;
    for (unsigned reg = APIC_LVT_TIMER; reg <= APIC_LVT_ERROR; reg++)
        *vlapic_reg(l, reg) = LVT_MASKED;
    set_identity(l);
    l->irr_top = l->isr_top = -1;
    l->irr_words = l->isr_words = 0;
    l->s.esr_armed = true;
    __atomic_store_n(&l->errors, 0, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < 4; i++)
        __atomic_store_n(&l->post.vectors[i], 0, __ATOMIC_RELAXED);
    __atomic_store_n(&l->lint_edges, 0, __ATOMIC_RELAXED);
    vlapic_timer_stop(l);
}

COLD void vlapic_reset(struct vlapic *l, bool init)
{
    if (!init) {
        l->s.base = VLAPIC_GPA | APIC_BASE_ENABLE | (l->c.bsp ? APIC_BASE_BSP : 0);
        l->mode = VLAPIC_XAPIC;
        __atomic_store_n(&l->events, 0, __ATOMIC_RELAXED);
    }
    clear_registers(l);
    if (!init && l->c.bsp) { /* firmware's virtual-wire mode (MP Specification 1.4, 3.6.2.2) */
        *vlapic_reg(l, APIC_SVR) = 0xff | SVR_ENABLE;
        *vlapic_reg(l, APIC_LVT_LINT0) = APIC_EXTINT << 8;
        *vlapic_reg(l, APIC_LVT_LINT1) = APIC_NMI << 8;
    }
}

COLD enum err vlapic_init(struct vlapic *l, const struct vlapic_config *c)
{
    if (c->id >= VLAPIC_MAX || c->phys_bits < 36 || c->phys_bits > 52)
        return ERR_INVAL;
    if (c->group->l[c->id])
        return ERR_EXISTS;
    *l = (struct vlapic){.page = c->page, .c = *c};
    l->s.id = c->id;
    l->deadline_ns = DEADLINE_NONE;
    vlapic_reset(l, false);
    c->group->l[c->id] = l;
    c->group->count = MAX(c->group->count, c->id + 1);
    return OK;
}

u64 vlapic_read_base(const struct vlapic *l)
{
    return l->s.base;
}

/* 10.12.5: off to xAPIC to x2APIC and from either to off; every other change faults. */
COLD bool vlapic_write_base(struct vlapic *l, u64 value)
{
    u64 known = APIC_BASE_BSP | APIC_BASE_ENABLE | (l->c.x2apic ? APIC_BASE_X2APIC : 0);
    u64 address = (BIT(l->c.phys_bits) - 1) & ~PAGE_MASK;
    u8 old = l->mode, new = mode_of_base(value);

    if (value & ~(known | address))
        return false;
    if (new == VLAPIC_OFF && (value & APIC_BASE_X2APIC))
        return false;
    if ((new == VLAPIC_XAPIC &&old == VLAPIC_X2APIC) || (new == VLAPIC_X2APIC &&old == VLAPIC_OFF))
        return false;
    l->s.base = value;
    __atomic_store_n(&l->mode, new, __ATOMIC_RELAXED);
    if (new == VLAPIC_OFF && old != VLAPIC_OFF)
        clear_registers(l);
    else if (new != old)
        set_identity(l);
    return true;
}
