/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Segment registers: stores, and loads with the descriptor's checks. Intel SDM volume 3, 3.4.5 and
 * 5.5 to 5.6; volume 2, MOV and LDS/LES/LFS/LGS/LSS.
 */
#include "vmm/emul/internal.h"

enum emul_result exec_sreg_store(struct emul_cpu *c)
{
    const struct insn *in = &c->insn;
    u16 sel = emul_seg(c, in->reg & 7)->sel;
    struct span s;

    if (!(in->flags & INSN_HAS_MEM)) {
        TRY(emul_explained(c));
        reg_write(c, in->rm, in->opsize, sel);
        return EMUL_DONE;
    }
    TRY(mem_open(c, &s));
    span_put(c, &s, sel);
    span_close(c, &s);
    return EMUL_DONE;
}

static enum emul_result selector_fault(struct emul_cpu *c, unsigned vector, u16 sel)
{
    return emul_raise_error(c, vector, sel & ~3u);
}

/* Where the descriptor is; #GP(selector) beyond the table. */
static enum emul_result descriptor_gla(struct emul_cpu *c, u16 sel, gla_t *gla)
{
    u32 limit;
    u64 base;

    if (sel & 4) {
        const struct x86_seg *ldt = emul_seg(c, SEG_LDTR);

        if ((ldt->attr & SEG_UNUSABLE) || !(ldt->sel & ~3u))
            return selector_fault(c, EXC_GP, sel);
        base = ldt->base;
        limit = ldt->limit;
    } else {
        struct x86_table gdt;

        c->ops->get_gdt(c->ctx, &gdt);
        base = gdt.base;
        limit = gdt.limit;
    }
    if ((u32)(sel | 7) > limit)
        return selector_fault(c, EXC_GP, sel);
    *gla = base + (sel & ~7u);
    if (!(emul_get(c, EMUL_EFER) & EFER_LMA))
        *gla = (u32)*gla;
    return EMUL_DONE;
}

static void unpack_descriptor(u64 d, u16 sel, struct x86_seg *out)
{
    out->sel = sel;
    out->base = (d >> 16 & 0xffffff) | (d >> 56 & 0xff) << 24;
    out->limit = (u32)((d & 0xffff) | (d >> 32 & 0xf0000));
    out->attr = (u32)(d >> 40 & 0xf0ff);
    if (out->attr & SEG_G)
        out->limit = out->limit << 12 | 0xfff;
}

static enum emul_result check_descriptor(struct emul_cpu *c, unsigned s, const struct x86_seg *d)
{
    unsigned dpl = (d->attr & SEG_DPL_MASK) >> SEG_DPL_SHIFT, rpl = d->sel & 3, type = d->attr & 15;
    bool code = type & SEG_TYPE_CODE;

    if (!(d->attr & SEG_S))
        return selector_fault(c, EXC_GP, d->sel);
    if (s == SEG_SS) {
        if (rpl != c->cpl || dpl != c->cpl || code || !(type & SEG_TYPE_W))
            return selector_fault(c, EXC_GP, d->sel);
        return d->attr & SEG_P ? EMUL_DONE : selector_fault(c, EXC_SS, d->sel);
    }
    if (code && !(type & SEG_TYPE_W))
        return selector_fault(c, EXC_GP, d->sel);
    if (!(code && (type & SEG_TYPE_E)) && (rpl > dpl || c->cpl > dpl))
        return selector_fault(c, EXC_GP, d->sel);
    return d->attr & SEG_P ? EMUL_DONE : selector_fault(c, EXC_NP, d->sel);
}

static enum emul_result load_null(struct emul_cpu *c, unsigned s, u16 sel)
{
    struct x86_seg seg = {.sel = sel, .attr = SEG_UNUSABLE};

    TRY(emul_explained(c));
    if (s == SEG_SS) {
        if (c->mode != INSN_64 || c->cpl == 3 || (sel & 3) != c->cpl)
            return emul_raise_error(c, EXC_GP, 0);
        seg.attr |= (u32)c->cpl << SEG_DPL_SHIFT;
    }
    c->ops->set_seg(c->ctx, (enum seg)s, &seg);
    return EMUL_DONE;
}

/* The descriptor's accessed bit, set where it is clear. */
static enum emul_result mark_accessed(struct emul_cpu *c, gla_t gla, struct x86_seg *seg)
{
    u8 type = (u8)seg->attr;

    if (type & SEG_TYPE_ACC)
        return EMUL_DONE;
    type |= SEG_TYPE_ACC;
    seg->attr |= SEG_TYPE_ACC;
    return emul_write_gla(c, gla + 5, &type, 1, WALK_SYSTEM);
}

enum emul_result emul_load_seg(struct emul_cpu *c, unsigned s, u16 sel)
{
    struct x86_seg seg;
    gla_t gla = 0;
    u64 d;

    if (!c->protected_mode) {
        TRY(emul_explained(c));
        seg = *emul_seg(c, s);
        seg.sel = sel;
        seg.base = (u32)sel << 4;
        c->ops->set_seg(c->ctx, (enum seg)s, &seg);
        return EMUL_DONE;
    }
    if (!(sel & ~3u))
        return load_null(c, s, sel);
    TRY(descriptor_gla(c, sel, &gla));
    TRY(emul_read_gla(c, gla, &d, 8, WALK_SYSTEM)); /* this may be what left the guest */
    TRY(emul_explained(c));
    unpack_descriptor(d, sel, &seg);
    TRY(check_descriptor(c, s, &seg));
    TRY(mark_accessed(c, gla, &seg));
    c->ops->set_seg(c->ctx, (enum seg)s, &seg);
    return EMUL_DONE;
}

enum emul_result exec_sreg_load(struct emul_cpu *c)
{
    const struct insn *in = &c->insn;
    u64 sel = reg_read(c, in->rm, 2);

    if (in->flags & INSN_HAS_MEM) /* else the load itself asks whether it explains the exit */
        TRY(mem_read(c, 2, &sel));
    return emul_load_seg(c, in->reg & 7, (u16)sel);
}

/* Which register a far-pointer load names (SDM 2, LDS/LES/LFS/LGS/LSS). */
static unsigned far_seg(const struct insn *in)
{
    if (in->map == 0)
        return in->opcode == 0xc4 ? SEG_ES : SEG_DS;
    return in->opcode == 0xb2 ? SEG_SS : in->opcode == 0xb4 ? SEG_FS : SEG_GS;
}

enum emul_result exec_far_ptr(struct emul_cpu *c)
{
    const struct insn *in = &c->insn;
    u64 pointer[2];

    TRY(mem_pair(c, 2, pointer));
    TRY(emul_load_seg(c, far_seg(in), (u16)pointer[1]));
    reg_write(c, in->reg, in->opsize, pointer[0]);
    return EMUL_DONE;
}
