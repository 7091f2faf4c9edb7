/* SPDX-License-Identifier: BSD-2-Clause */
/* The stack and near control flow, where an operand or the stack is memory; BOUND, ARPL. */
#include "vmm/emul/internal.h"

/* The width of the stack pointer (SDM 1, 6.2.3). */
static unsigned stack_width(struct emul_cpu *c)
{
    if (c->mode == INSN_64)
        return 8;
    return emul_seg(c, SEG_SS)->attr & SEG_DB ? 4 : 2;
}

/* The stack pointer moved by delta; bits above its width stay. */
static u64 moved_sp(struct emul_cpu *c, s64 delta)
{
    u64 rsp = emul_get(c, EMUL_RSP), mask = size_mask(stack_width(c));

    return (rsp & ~mask) | ((rsp + (u64)delta) & mask);
}

static enum emul_result stack_open(struct emul_cpu *c, struct span *s, u64 sp, unsigned rw)
{
    unsigned size = c->insn.opsize;
    gla_t gla;

    TRY(emul_linear(c, SEG_SS, sp & size_mask(stack_width(c)), size, rw, &gla));
    TRY(emul_align(c, gla, size));
    return span_open(c, s, gla, size, rw, 0, NULL);
}

/* Looks up the memory operand without asking yet whether it explains the exit. */
static enum emul_result operand_open(struct emul_cpu *c, struct span *s)
{
    const struct insn *in = &c->insn;
    gla_t gla;

    TRY(emul_linear(c, in->seg, emul_ea(c), in->msize, in->access, &gla));
    TRY(emul_align(c, gla, in->msize));
    return span_open(c, s, gla, in->msize, in->access, 0, NULL);
}

/* A near branch: canonical in 64-bit mode, within the code segment elsewhere. */
static enum emul_result branch(struct emul_cpu *c, u64 target)
{
    if (c->mode == INSN_64) {
        if (!walk_canonical(target, emul_get(c, EMUL_CR4) & CR4_LA57 ? 57 : 48))
            return emul_raise_error(c, EXC_GP, 0);
    } else if ((u32)target > emul_seg(c, SEG_CS)->limit) {
        return emul_raise_error(c, EXC_GP, 0);
    }
    emul_put(c, EMUL_RIP, target);
    c->branched = true;
    return EMUL_DONE;
}

/*
 * Pushes a value, and branches if there is a target. A stack that cannot take the push faults
 * before a bad target; nothing is pushed for either.
 */
static enum emul_result push(struct emul_cpu *c, u64 value, const u64 *target)
{
    u64 sp = moved_sp(c, -(s64)c->insn.opsize);
    enum emul_result r;
    struct span s;

    TRY(stack_open(c, &s, sp, INSN_WRITE));
    r = emul_explained(c);
    if (r == EMUL_DONE && target)
        r = branch(c, *target);
    if (r == EMUL_DONE) {
        span_put(c, &s, value);
        emul_put(c, EMUL_RSP, sp);
    }
    span_close(c, &s);
    return r;
}

/*
 * The memory operand is read, and pushed; or, of a call, branched to, and `rip` pushed. Both places
 * are looked up before either is touched.
 */
static enum emul_result push_operand(struct emul_cpu *c, bool call, u64 rip)
{
    u64 value = 0, sp = moved_sp(c, -(s64)c->insn.opsize);
    enum emul_result r;
    struct span from, to;

    TRY(operand_open(c, &from));
    r = stack_open(c, &to, sp, INSN_WRITE);
    if (r != EMUL_DONE)
        goto close_from;
    r = emul_explained(c);
    if (r == EMUL_DONE)
        value = span_get(c, &from);
    if (r == EMUL_DONE && call)
        r = branch(c, value);
    if (r == EMUL_DONE) {
        span_put(c, &to, call ? rip : value);
        emul_put(c, EMUL_RSP, sp);
    }
    span_close(c, &to);
close_from:
    span_close(c, &from);
    return r;
}

enum emul_result exec_push(struct emul_cpu *c)
{
    const struct insn *in = &c->insn;

    if (in->form == F_IMM)
        return push(c, in->imm, NULL);
    if (in->form == F_RM && (in->flags & INSN_HAS_MEM))
        return push_operand(c, false, 0);
    return push(c, reg_read(c, in->rm, in->opsize), NULL);
}

/* POP: an address through RSP uses the value after the increment (SDM 2, POP). */
enum emul_result exec_pop(struct emul_cpu *c)
{
    const struct insn *in = &c->insn;
    u64 old = emul_get(c, EMUL_RSP), sp = moved_sp(c, in->opsize), v;
    bool mem = in->form == F_RM && (in->flags & INSN_HAS_MEM);
    enum emul_result r;
    struct span from, to;

    TRY(stack_open(c, &from, old, INSN_READ));
    if (mem) {
        emul_know(c, EMUL_RSP, sp);
        r = operand_open(c, &to);
        emul_know(c, EMUL_RSP, old);
        if (r != EMUL_DONE)
            goto close_from;
    }
    r = emul_explained(c);
    if (r == EMUL_DONE) {
        v = span_get(c, &from);
        emul_put(c, EMUL_RSP, sp);
        if (mem)
            span_put(c, &to, v);
        else
            reg_write(c, in->rm, in->opsize, v);
    }
    if (mem)
        span_close(c, &to);
close_from:
    span_close(c, &from);
    return r;
}

static u64 next_ip(struct emul_cpu *c)
{
    return (emul_get(c, EMUL_RIP) + c->insn.len) &
           size_mask(c->mode == INSN_64 ? 8 : c->insn.opsize);
}

enum emul_result exec_call(struct emul_cpu *c)
{
    const struct insn *in = &c->insn;
    u64 rip = next_ip(c), target;

    if (in->form != F_IMM && (in->flags & INSN_HAS_MEM))
        return push_operand(c, true, rip);
    target = in->form == F_IMM ? (rip + in->imm) & size_mask(in->opsize)
                               : reg_read(c, in->rm, in->opsize);
    return push(c, rip, &target);
}

enum emul_result exec_jmp(struct emul_cpu *c)
{
    u64 target;

    TRY(rm_read(c, &target));
    return branch(c, target);
}

enum emul_result exec_ret(struct emul_cpu *c)
{
    u64 old = emul_get(c, EMUL_RSP), sp = moved_sp(c, (s64)(c->insn.opsize + c->insn.imm)), target;
    enum emul_result r;
    struct span s;

    TRY(stack_open(c, &s, old, INSN_READ));
    r = emul_explained(c);
    if (r == EMUL_DONE)
        target = span_get(c, &s);
    span_close(c, &s);
    TRY(r);
    TRY(branch(c, target));
    emul_put(c, EMUL_RSP, sp);
    return EMUL_DONE;
}

enum emul_result mem_pair(struct emul_cpu *c, unsigned second, u64 value[2])
{
    const struct insn *in = &c->insn;
    unsigned opened = 0, size = in->opsize;
    enum emul_result r;
    u64 ea = emul_ea(c);
    struct span s[2];
    gla_t gla;

    do {
        r = emul_linear(c, in->seg, ea, size, INSN_READ, &gla);
        if (r == EMUL_DONE)
            r = emul_align(c, gla, size);
        if (r == EMUL_DONE)
            r = span_open(c, &s[opened], gla, size, INSN_READ, 0, NULL);
        ea += size;
        size = second;
    } while (r == EMUL_DONE && ++opened < 2);
    if (r == EMUL_DONE)
        r = emul_explained(c);
    for (unsigned i = 0; i < opened; i++) {
        if (r == EMUL_DONE)
            value[i] = span_get(c, &s[i]);
        span_close(c, &s[i]);
    }
    return r;
}

/* Signed index against two bounds in memory, one access each: #BR outside. */
enum emul_result exec_bound(struct emul_cpu *c)
{
    const struct insn *in = &c->insn;
    s64 index = sign_extend(reg_read(c, in->reg, in->opsize), in->opsize);
    u64 bound[2];

    TRY(mem_pair(c, in->opsize, bound));
    if (index < sign_extend(bound[0], in->opsize) || index > sign_extend(bound[1], in->opsize))
        return emul_raise(c, EXC_BR);
    return EMUL_DONE;
}

/*
 * Raises the destination's RPL to the source's; protected mode only. Memory is read, and looked up
 * for writing only if it changes.
 */
static enum emul_result arpl_memory(struct emul_cpu *c, u64 rpl, u64 *v)
{
    bool write = c->exit.write;
    enum emul_result r;
    struct span s;

    /* Whether it writes, only the operand says: an exit of either kind is explained. */
    c->insn.access = INSN_READ;
    c->exit.write = false;
    r = mem_open(c, &s);
    c->exit.write = write;
    TRY(r);
    *v = span_get(c, &s);
    span_close(c, &s);
    if ((*v & 3) >= rpl)
        return EMUL_DONE;
    c->insn.access = INSN_WRITE;
    TRY(mem_open(c, &s));
    span_put(c, &s, (*v & ~3ull) | rpl);
    span_close(c, &s);
    return EMUL_DONE;
}

enum emul_result exec_arpl(struct emul_cpu *c)
{
    const struct insn *in = &c->insn;
    u64 rpl = reg_read(c, in->reg, 2) & 3, v, flags;

    if (!c->protected_mode)
        return emul_raise(c, EXC_UD);
    if (in->flags & INSN_HAS_MEM) {
        TRY(arpl_memory(c, rpl, &v));
    } else {
        TRY(emul_explained(c));
        v = reg_read(c, in->rm, 2);
        if ((v & 3) < rpl)
            reg_write(c, in->rm, 2, (v & ~3ull) | rpl);
    }
    flags = emul_get(c, EMUL_RFLAGS);
    emul_put(c, EMUL_RFLAGS, (v & 3) < rpl ? flags | FLAG_ZF : flags & ~FLAG_ZF);
    return EMUL_DONE;
}
