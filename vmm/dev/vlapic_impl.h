/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the local APIC share among themselves. Contracts as in vlapic.h. */
#ifndef VMM_DEV_VLAPIC_IMPL_H
#define VMM_DEV_VLAPIC_IMPL_H

#include "vmm/dev/vlapic.h"

#define LVT_MASKED       BIT(16)
#define LVT_REMOTE_IRR   BIT(14)
#define LVT_LEVEL        BIT(15)
#define LVT_MODE(v)      (((v) >> 8) & 7)
#define LVT_TIMER(v)     (((v) >> 17) & 3)
#define TIMER_ONE_SHOT   0
#define TIMER_PERIODIC   1
#define TIMER_DEADLINE   2
#define SVR_ENABLE       BIT(8)
#define SVR_NO_BROADCAST BIT(12)

/* Error status (SDM 3, 10.5.3). */
#define ESR_SEND_VECTOR    BIT(5)
#define ESR_RECEIVE_VECTOR BIT(6)
#define ESR_REGISTER       BIT(7)

static inline u32 *vlapic_reg(const struct vlapic *l, unsigned reg)
{
    return &l->page[4 * reg];
}

static inline bool vlapic_enabled(const struct vlapic *l)
{
    return __atomic_load_n(vlapic_reg(l, APIC_SVR), __ATOMIC_RELAXED) & SVR_ENABLE;
}

/* Whether it has such a request, in IRR. */
static inline bool vlapic_requests(const struct vlapic *l, u8 vector)
{
    u32 word = __atomic_load_n(vlapic_reg(l, APIC_IRR + (vector >> 5)), __ATOMIC_RELAXED);

    return word >> (vector & 31) & 1;
}

/* The highest bit of the 256 that begin at register `reg`; words: which are not zero. -1: none. */
static inline s16 vlapic_top(const struct vlapic *l, unsigned reg, u8 words)
{
    unsigned w;

    if (!words)
        return -1;
    w = 31u - (unsigned)__builtin_clz(words);
    return (s16)(32 * w + 31 - (unsigned)__builtin_clz(*vlapic_reg(l, reg + w)));
}

/* Registers kept in vlapic.kept. */
static const u8 vlapic_kept[VLAPIC_KEPT] = {APIC_LVT_TIMER, APIC_LVT_LINT0, APIC_LVT_LINT1,
                                            APIC_TIMER_ICR, APIC_TIMER_DCR};

/* Works out what is requested and in service again from a page that a processor has changed. */
void vlapic_refresh(struct vlapic *l);
/* Sets a request of the owner's own: timer, self-IPI, error. vector 16..255. */
void vlapic_request(struct vlapic *l, u8 vector, bool level);
/* An error was found: ESR bits, and the error interrupt if that is armed. */
void vlapic_error(struct vlapic *l, u32 bits);
/* A local source fires: what its LVT entry says. */
void vlapic_lvt_fire(struct vlapic *l, unsigned reg);
/* Sets event bits, without a kick. [any] */
void vlapic_event(struct vlapic *l, u32 bits);
/* Looks at level-triggered LINT pins again, after an LVT write or an EOI. */
void vlapic_lint_levels(struct vlapic *l);
/* Makes the owner call vlapic_sync(), and kicks it if that is news. [any] */
void vlapic_tell(struct vlapic *l);

/* Sends what was written to ICR: low half, destination as the mode has it. */
void vlapic_send(struct vlapic *l, u32 low, u32 dest);

/* Timer registers. */
void vlapic_timer_count(struct vlapic *l, u32 count, u64 now_ns);
void vlapic_timer_divide(struct vlapic *l, u32 value, u64 now_ns);
void vlapic_timer_lvt(struct vlapic *l, u32 value, u64 now_ns);
u32 vlapic_timer_current(const struct vlapic *l, u64 now_ns);
void vlapic_timer_stop(struct vlapic *l);

#endif
