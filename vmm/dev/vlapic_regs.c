/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Local APIC registers, as a page of memory and as MSRs (Intel SDM 3, tables 10-1 and 10-6). One
 * table says of each register where it exists and which bits can be written; in x2APIC mode the
 * other bits fault, in xAPIC mode they are dropped.
 */
#include "lib/string.h"
#include "vmm/dev/vlapic_impl.h"

enum { R = 1, W = 2, XR = 4, XW = 8, RW = R | W, XRW = XR | XW }; /* X: as an MSR */

struct reg_info {
    u8 access;
    u8 bits; /* into reg_bits */
};

#define BUSY 0x1000 /* delivery status */
#define ALL  0xffffffff

enum { NONE, BYTE, TOP_BYTE, DFR, SVR, ICR, TIMER, LOCAL, LINT, ERROR, COUNT, DIVISOR };
static const struct {
    u32 writable, ignored; /* ignored: read-only bits that may be written without a fault */
} reg_bits[] = {
    [NONE] = {0, 0},           [BYTE] = {0xff, 0},        [TOP_BYTE] = {0xff000000, 0},
    [DFR] = {0xf0000000, 0},   [SVR] = {0x11ff, 0},       [ICR] = {0xccfff & ~BUSY, BUSY},
    [TIMER] = {0x700ff, BUSY}, [LOCAL] = {0x107ff, BUSY}, [LINT] = {0x1a7ff, BUSY | LVT_REMOTE_IRR},
    [ERROR] = {0x100ff, BUSY}, [COUNT] = {ALL, 0},        [DIVISOR] = {0xb, 0},
};

static const struct reg_info info[APIC_REGS] = {
    [APIC_ID] = {R | XR, NONE},
    [APIC_VERSION] = {R | XR, NONE},
    [APIC_TPR] = {RW | XRW, BYTE},
    [APIC_APR] = {R, NONE},
    [APIC_PPR] = {R | XR, NONE},
    [APIC_EOI] = {RW | XW, NONE}, /* reads as zero */
    [APIC_RRD] = {R, NONE},
    [APIC_LDR] = {RW | XR, TOP_BYTE},
    [APIC_DFR] = {RW, DFR},
    [APIC_SVR] = {RW | XRW, SVR},
    [APIC_ISR... APIC_ISR + 7] = {R | XR, NONE},
    [APIC_TMR... APIC_TMR + 7] = {R | XR, NONE},
    [APIC_IRR... APIC_IRR + 7] = {R | XR, NONE},
    [APIC_ESR] = {RW | XRW, NONE},
    [APIC_ICR] = {RW | XRW, ICR},
    [APIC_ICR2] = {RW, TOP_BYTE},
    [APIC_LVT_TIMER] = {RW | XRW, TIMER},
    [APIC_LVT_THERMAL] = {RW | XRW, LOCAL},
    [APIC_LVT_PMC] = {RW | XRW, LOCAL},
    [APIC_LVT_LINT0... APIC_LVT_LINT1] = {RW | XRW, LINT},
    [APIC_LVT_ERROR] = {RW | XRW, ERROR},
    [APIC_TIMER_ICR] = {RW | XRW, COUNT},
    [APIC_TIMER_CCR] = {R | XR, NONE},
    [APIC_TIMER_DCR] = {RW | XRW, DIVISOR},
    [APIC_SELF_IPI] = {XW, BYTE},
};

/* Bits 18:17 of the timer's LVT without TSC-deadline mode: one bit. */
static u32 writable(const struct vlapic *l, unsigned reg)
{
    return reg == APIC_LVT_TIMER && !l->c.tsc_khz ? 0x300ff : reg_bits[info[reg].bits].writable;
}

/* A register that can be read, after what was posted and what a processor did has been taken up. */
static u32 read_reg(struct vlapic *l, unsigned reg, u64 now_ns)
{
    if (reg == APIC_TIMER_CCR)
        return vlapic_timer_current(l, now_ns);
    vlapic_pending(l);
    return reg == APIC_APR || reg == APIC_PPR ? vlapic_ppr(l) : *vlapic_reg(l, reg);
}

/* Writing latches what has been found since the last write, and arms the interrupt (10.5.3). */
static void write_esr(struct vlapic *l)
{
    *vlapic_reg(l, APIC_ESR) = __atomic_exchange_n(&l->errors, 0, __ATOMIC_ACQ_REL);
    l->s.esr_armed = true;
}

static void write_lvt(struct vlapic *l, unsigned reg, u32 value, u64 now_ns)
{
    if (!vlapic_enabled(l)) /* 10.4.7.2: mask bits cannot be cleared while disabled */
        value |= (u32)LVT_MASKED;
    if (reg == APIC_LVT_TIMER) {
        if (LVT_TIMER(value) == 3) /* reserved mode: keep the present one */
            value = (value & 0x100ff) | (*vlapic_reg(l, reg) & 0x60000);
        vlapic_timer_lvt(l, value, now_ns);
        return;
    }
    if (!(value & LVT_LEVEL))
        *vlapic_reg(l, reg) &= (u32)~LVT_REMOTE_IRR;
    /* Seen before the pins are looked at: whoever drives one does so before he looks at this. */
    value |= *vlapic_reg(l, reg) & (u32)LVT_REMOTE_IRR;
    __atomic_store_n(vlapic_reg(l, reg), value, __ATOMIC_SEQ_CST);
    if (reg == APIC_LVT_LINT0 || reg == APIC_LVT_LINT1)
        vlapic_lint_levels(l);
}

static void write_svr(struct vlapic *l, u32 value)
{
    __atomic_store_n(vlapic_reg(l, APIC_SVR), value, __ATOMIC_RELAXED);
    if (value & SVR_ENABLE)
        return;
    for (unsigned reg = APIC_LVT_TIMER; reg <= APIC_LVT_ERROR; reg++)
        *vlapic_reg(l, reg) |= (u32)LVT_MASKED;
}

static void self_ipi(struct vlapic *l, u8 vector)
{
    if (vector < 16)
        vlapic_error(l, ESR_SEND_VECTOR | ESR_RECEIVE_VECTOR);
    else if (vlapic_enabled(l))
        vlapic_request(l, vector, false);
}

static COLD void write_other(struct vlapic *l, unsigned reg, u32 value, u64 now_ns)
{
    switch (reg) {
    case APIC_SVR:
        write_svr(l, value);
        break;
    case APIC_ESR:
        write_esr(l);
        break;
    case APIC_LVT_TIMER ... APIC_LVT_ERROR:
        write_lvt(l, reg, value, now_ns);
        break;
    case APIC_TIMER_DCR:
        vlapic_timer_divide(l, value, now_ns);
        break;
    case APIC_SELF_IPI:
        self_ipi(l, (u8)value);
        break;
    case APIC_DFR:
        value |= 0x0fffffff;
        FALLTHROUGH;
    default: /* LDR, ICR2 */
        __atomic_store_n(vlapic_reg(l, reg), value, __ATOMIC_RELAXED);
        break;
    }
}

/* A register that can be written, its value cut to the bits that can; ICR is apart. */
static void write_reg(struct vlapic *l, unsigned reg, u32 value, u64 now_ns)
{
    if (reg == APIC_EOI)
        vlapic_eoi(l);
    else if (reg == APIC_TPR)
        vlapic_set_tpr(l, (u8)value);
    else if (reg == APIC_TIMER_ICR)
        vlapic_timer_count(l, value, now_ns);
    else
        write_other(l, reg, value, now_ns);
}

/* ---- as memory ------------------------------------------------------------------------------ */

static void mmio_read(struct vlapic *l, struct bus_access *acc, unsigned reg)
{
    unsigned at = acc->addr & 15;
    u64 value;

    acc->value = 0;
    if (reg >= APIC_REGS || !(info[reg].access & R)) {
        vlapic_error(l, ESR_REGISTER);
        return;
    }
    if (at >= 4) /* only the first doubleword of each 16 bytes is there */
        return;
    value = (u64)read_reg(l, reg, acc->now_ns) >> (8 * at);
    acc->value = value & bus_open(acc->size);
}

static void mmio_write(struct vlapic *l, struct bus_access *acc, unsigned reg)
{
    u32 value = (u32)acc->value;

    if (acc->size != 4 || (acc->addr & 15)) /* undefined (10.4.1): not done */
        return;
    if (reg == APIC_ID || (reg < APIC_REGS && info[reg].access == (R | XR))) /* cannot change */
        return;
    if (reg >= APIC_REGS || !(info[reg].access & W)) {
        vlapic_error(l, ESR_REGISTER);
        return;
    }
    value &= writable(l, reg);
    if (reg == APIC_ICR) {
        u32 dest = *vlapic_reg(l, APIC_ICR2) >> 24;

        *vlapic_reg(l, APIC_ICR) = value;
        vlapic_send(l, value, dest == 0xff ? APIC_DEST_ALL : dest);
    } else {
        write_reg(l, reg, value, acc->now_ns);
    }
}

void vlapic_mmio(struct vlapic *l, struct bus_access *acc)
{
    unsigned reg = (acc->addr >> 4) & 0xff;

    if (l->mode == VLAPIC_XAPIC && acc->write)
        mmio_write(l, acc, reg);
    else if (l->mode == VLAPIC_XAPIC)
        mmio_read(l, acc, reg);
    else if (!acc->write)
        acc->value = 0;
}

COLD void vlapic_written(struct vlapic *l, unsigned offset, u64 now_ns)
{
    unsigned reg = offset >> 4 & (APIC_REGS - 1);
    struct bus_access acc = {
        .addr = offset, .size = 4, .write = true, .value = *vlapic_reg(l, reg), .now_ns = now_ns};

    for (unsigned i = 0; i < VLAPIC_KEPT; i++)
        if (reg == vlapic_kept[i])
            *vlapic_reg(l, reg) = l->kept[i];
    if (reg == APIC_ID)
        *vlapic_reg(l, reg) = l->s.id << 24;
    else if (reg == APIC_SELF_IPI)
        write_reg(l, reg, (u32)acc.value, now_ns);
    else
        mmio_write(l, &acc, reg);
}

/* ---- as MSRs -------------------------------------------------------------------------------- */

bool vlapic_read_msr(struct vlapic *l, u32 msr, u64 now_ns, u64 *value)
{
    unsigned reg = msr - MSR_X2APIC_BASE;

    if (l->mode != VLAPIC_X2APIC || reg >= APIC_REGS || !(info[reg].access & XR))
        return false;
    *value = read_reg(l, reg, now_ns);
    if (reg == APIC_ICR)
        *value |= (u64)vlapic_reg(l, APIC_ICR)[1] << 32;
    return true;
}

/* The high half of ICR lies beside the low one, as in a virtual-APIC page (SDM 3, 29.1.1). */
static void write_icr64(struct vlapic *l, u32 low, u32 dest)
{
    vlapic_reg(l, APIC_ICR)[0] = low;
    vlapic_reg(l, APIC_ICR)[1] = dest;
    vlapic_send(l, low, dest);
}

bool vlapic_write_msr(struct vlapic *l, u32 msr, u64 now_ns, u64 value)
{
    unsigned reg = msr - MSR_X2APIC_BASE;
    u32 low = (u32)value;

    if (l->mode != VLAPIC_X2APIC || reg >= APIC_REGS || !(info[reg].access & XW))
        return false;
    if (low & ~(writable(l, reg) | reg_bits[info[reg].bits].ignored))
        return false;
    low &= writable(l, reg);
    if (reg == APIC_ICR) {
        write_icr64(l, low, (u32)(value >> 32));
        return true;
    }
    if (value >> 32)
        return false;
    write_reg(l, reg, low, now_ns);
    return true;
}
