/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * String instructions with their repeat prefixes, and ports. Intel SDM volume 1, 7.3.9 (strings)
 * and chapter 19 (I/O); volume 2, REP.
 *
 * One call does at most max_iterations elements. Each element commits its registers, so that a
 * fault or an interrupt finds the state that the processor would show.
 */
#include "vmm/emul/alu.h"
#include "vmm/emul/internal.h"

struct string_op {
    struct page_cache src, dst;
    s64 step;
    bool counted; /* REP or REPNE */
    bool uses_src, uses_dst;
};

enum emul_result emul_check_port(struct emul_cpu *c, u16 port, unsigned size)
{
    const struct x86_seg *tr;
    u16 base, bits;
    u32 offset;

    if (c->cpl == 0 && !c->vm86)
        return EMUL_DONE;
    if (!(emul_get(c, EMUL_CR0) & CR0_PE))
        return EMUL_DONE;
    if (!c->vm86 && c->cpl <= (emul_get(c, EMUL_RFLAGS) & FLAG_IOPL) >> 12)
        return EMUL_DONE;
    tr = emul_seg(c, SEG_TR);
    /* Types 9 and 11: a 32-bit or 64-bit TSS, the only ones with a bitmap. */
    if ((tr->attr & SEG_UNUSABLE) || (tr->attr & 0xd) != 9 || tr->limit < 103)
        return emul_raise_error(c, EXC_GP, 0);
    TRY(emul_read_gla(c, tr->base + 102, &base, 2, WALK_SYSTEM));
    offset = (u32)base + port / 8;
    if (offset + 1 > tr->limit)
        return emul_raise_error(c, EXC_GP, 0);
    TRY(emul_read_gla(c, tr->base + offset, &bits, 2, WALK_SYSTEM));
    if (bits >> (port & 7) & ((1u << size) - 1))
        return emul_raise_error(c, EXC_GP, 0);
    return EMUL_DONE;
}

static void match_port(struct emul_cpu *c, u16 port, unsigned size, bool in)
{
    const struct emul_exit *e = &c->exit;

    if (e->kind == EMUL_EXIT_PORT && e->port == port && e->size == size && e->in == in)
        c->explained = true;
}

static u64 port_in(struct emul_cpu *c, u16 port, unsigned size)
{
    return c->ops->port_in(c->ctx, port, size) & (u32)size_mask(size);
}

static void port_out(struct emul_cpu *c, u16 port, unsigned size, u64 value)
{
    c->ops->port_out(c->ctx, port, size, (u32)(value & size_mask(size)));
}

/* IN and OUT. */
enum emul_result exec_port(struct emul_cpu *c)
{
    const struct insn *in = &c->insn;
    u16 port = in->form == F_ACC_IMM ? (u16)in->imm : (u16)gpr_get(c, RDX);

    TRY(emul_check_port(c, port, in->opsize));
    match_port(c, port, in->opsize, in->op == OP_IN);
    TRY(emul_explained(c));
    if (in->op == OP_OUT)
        port_out(c, port, in->opsize, reg_read(c, RAX, in->opsize));
    else
        reg_write(c, RAX, in->opsize, port_in(c, port, in->opsize));
    return EMUL_DONE;
}

/* ---- strings ---- */

static u64 counter(struct emul_cpu *c, unsigned r)
{
    return gpr_get(c, r) & size_mask(c->insn.asize);
}

/* Writes RCX, RSI or RDI in the width of the address size. */
static void set_counter(struct emul_cpu *c, unsigned r, u64 v)
{
    unsigned size = c->insn.asize;

    if (size == 2)
        v = (gpr_get(c, r) & ~0xffffull) | (v & 0xffff);
    else if (size == 4)
        v = (u32)v;
    gpr_set(c, r, v);
}

static enum emul_result element_open(struct emul_cpu *c, struct span *s, unsigned seg, unsigned reg,
                                     unsigned rw, struct page_cache *pc)
{
    unsigned size = c->insn.msize;
    gla_t gla;

    TRY(emul_linear(c, seg, counter(c, reg), size, rw, &gla));
    TRY(emul_align(c, gla, size));
    return span_open(c, s, gla, size, rw, 0, pc);
}

static void compare(struct emul_cpu *c, u64 a, u64 b)
{
    u64 flags = emul_get(c, EMUL_RFLAGS);

    alu_compute(OP_CMP, c->insn.opsize, a, b, &flags);
    emul_put(c, EMUL_RFLAGS, flags);
}

/* The data of one element, once both its places are found good. */
static __attribute__((noinline)) void move_element(struct emul_cpu *c, const struct span *src,
                                                   const struct span *dst)
{
    const struct insn *in = &c->insn;
    unsigned size = in->opsize;
    u64 a;

    switch (in->op) {
    case OP_MOVS:
        span_put(c, dst, span_get(c, src));
        break;
    case OP_STOS:
        span_put(c, dst, reg_read(c, RAX, size));
        break;
    case OP_LODS:
        reg_write(c, RAX, size, span_get(c, src));
        break;
    case OP_CMPS:
        a = span_get(c, src);
        compare(c, a, span_get(c, dst));
        break;
    case OP_SCAS:
        compare(c, reg_read(c, RAX, size), span_get(c, dst));
        break;
    case OP_INS:
        span_put(c, dst, port_in(c, (u16)gpr_get(c, RDX), size));
        break;
    default: /* OP_OUTS */
        port_out(c, (u16)gpr_get(c, RDX), size, span_get(c, src));
    }
}

static enum emul_result do_element(struct emul_cpu *c, struct string_op *op)
{
    const struct insn *in = &c->insn;
    unsigned dst_rw = in->op == OP_CMPS || in->op == OP_SCAS ? INSN_READ : INSN_WRITE;
    enum emul_result r = EMUL_DONE;
    struct span src, dst;

    if (op->uses_src)
        TRY(element_open(c, &src, in->seg, RSI, INSN_READ, &op->src));
    if (op->uses_dst)
        r = element_open(c, &dst, SEG_ES, RDI, dst_rw, &op->dst);
    if (r == EMUL_DONE) {
        r = emul_explained(c);
        if (r == EMUL_DONE)
            move_element(c, &src, &dst);
        if (op->uses_dst)
            span_close(c, &dst);
    }
    if (op->uses_src)
        span_close(c, &src);
    TRY(r);
    if (op->uses_src)
        set_counter(c, RSI, gpr_get(c, RSI) + (u64)op->step);
    if (op->uses_dst)
        set_counter(c, RDI, gpr_get(c, RDI) + (u64)op->step);
    return EMUL_DONE;
}

/* After an element of CMPS or SCAS: REPE goes on while equal, REPNE while not. */
static bool ended_early(struct emul_cpu *c)
{
    bool zf;

    if (c->insn.op != OP_CMPS && c->insn.op != OP_SCAS)
        return false;
    zf = emul_get(c, EMUL_RFLAGS) & FLAG_ZF;
    return c->insn.flags & INSN_REP ? !zf : zf;
}

static enum emul_result repeat(struct emul_cpu *c, struct string_op *op)
{
    bool trap = emul_get(c, EMUL_RFLAGS) & FLAG_TF;
    u32 most = c->max_iterations ? c->max_iterations : 1024;

    for (u32 done = 0; done < most; done++) {
        if (!counter(c, RCX))
            return EMUL_DONE;
        TRY(do_element(c, op));
        set_counter(c, RCX, gpr_get(c, RCX) - 1);
        if (!counter(c, RCX) || ended_early(c))
            return EMUL_DONE;
        if (trap) {
            c->ops->retire(c->ctx, 0);
            return EMUL_PARTIAL;
        }
    }
    return EMUL_PARTIAL;
}

enum emul_result exec_string(struct emul_cpu *c)
{
    const struct insn *in = &c->insn;
    bool down = emul_get(c, EMUL_RFLAGS) & FLAG_DF;
    struct string_op op = {
        .step = down ? -(s64)in->opsize : in->opsize,
        .counted = in->flags & (INSN_REP | INSN_REPNE),
        .uses_src =
            in->op == OP_MOVS || in->op == OP_CMPS || in->op == OP_LODS || in->op == OP_OUTS,
        .uses_dst = in->op != OP_LODS && in->op != OP_OUTS,
    };
    enum emul_result r;

    if (in->op == OP_INS || in->op == OP_OUTS) {
        TRY(emul_check_port(c, (u16)gpr_get(c, RDX), in->opsize));
        match_port(c, (u16)gpr_get(c, RDX), in->opsize, in->op == OP_INS);
    }
    if (op.counted && !counter(c, RCX))
        return emul_explained(c);
    r = op.counted ? repeat(c, &op) : do_element(c, &op);
    page_cache_drop(c, &op.src);
    page_cache_drop(c, &op.dst);
    return r;
}
