/* SPDX-License-Identifier: BSD-2-Clause */
/* Arithmetic and logic on a register or memory, locked or not. */
#include "vmm/emul/alu.h"
#include "vmm/emul/internal.h"

/* Read, compute, write back; the old value in *old. */
static enum emul_result rm_update(struct emul_cpu *c, emul_compute fn, u64 src, u64 *old)
{
    const struct insn *in = &c->insn;
    u64 flags = emul_get(c, EMUL_RFLAGS);
    enum emul_result r;
    struct span s;

    if (!(in->flags & INSN_HAS_MEM)) {
        TRY(emul_explained(c));
        *old = reg_read(c, in->rm, in->opsize);
        reg_write(c, in->rm, in->opsize, fn(c, *old, src, &flags));
    } else {
        TRY(mem_open(c, &s));
        r = span_update(c, &s, fn, src, &flags, old);
        span_close(c, &s);
        TRY(r);
    }
    emul_put(c, EMUL_RFLAGS, flags);
    return EMUL_DONE;
}

static u64 compute(struct emul_cpu *c, u64 old, u64 src, u64 *flags)
{
    return alu_compute(c->insn.op, c->insn.opsize, old, src, flags);
}

/* The first operand is a register: ModRM.reg or the accumulator. */
static enum emul_result alu_to_register(struct emul_cpu *c, unsigned reg, u64 src)
{
    const struct insn *in = &c->insn;
    u64 flags = emul_get(c, EMUL_RFLAGS);
    u64 v = alu_compute(in->op, in->opsize, reg_read(c, reg, in->opsize), src, &flags);

    if (in->op != OP_CMP && in->op != OP_TEST)
        reg_write(c, reg, in->opsize, v);
    emul_put(c, EMUL_RFLAGS, flags);
    return EMUL_DONE;
}

enum emul_result exec_alu(struct emul_cpu *c)
{
    const struct insn *in = &c->insn;
    u64 v, src, flags;

    switch (in->form) {
    case F_R_RM:
        TRY(rm_read(c, &v));
        return alu_to_register(c, in->reg, v);
    case F_ACC_IMM:
        TRY(emul_explained(c));
        return alu_to_register(c, RAX, in->imm);
    }
    src = in->form == F_RM_R ? reg_read(c, in->reg, in->opsize) : in->imm;
    if (in->op != OP_CMP && in->op != OP_TEST)
        return rm_update(c, compute, src, &v);
    TRY(rm_read(c, &v));
    flags = emul_get(c, EMUL_RFLAGS);
    alu_compute(in->op, in->opsize, v, src, &flags);
    emul_put(c, EMUL_RFLAGS, flags);
    return EMUL_DONE;
}

enum emul_result exec_unary(struct emul_cpu *c)
{
    u64 old;

    return rm_update(c, compute, 0, &old);
}

enum emul_result exec_shift(struct emul_cpu *c)
{
    u64 old, count = c->insn.form == F_RM_IMM  ? c->insn.imm
                     : c->insn.form == F_RM_CL ? reg_read(c, RCX, 1)
                                               : 1;

    return rm_update(c, compute, count, &old);
}

static u64 do_shift_double(struct emul_cpu *c, u64 old, u64 src, u64 *flags)
{
    const struct insn *in = &c->insn;
    u64 count = in->form == F_RM_R_IMM ? in->imm : gpr_get(c, RCX);

    return alu_shift_double(in->op, in->opsize, old, src, (u8)count, flags);
}

enum emul_result exec_shift_double(struct emul_cpu *c)
{
    u64 old;

    return rm_update(c, do_shift_double, reg_read(c, c->insn.reg, c->insn.opsize), &old);
}

/* MUL, IMUL, DIV, IDIV of the accumulator; for bytes AX is all of it. */
enum emul_result exec_mul(struct emul_cpu *c)
{
    const struct insn *in = &c->insn;
    unsigned size = in->opsize;
    u64 src, flags, lo = gpr_get(c, RAX), hi = gpr_get(c, RDX);

    TRY(rm_read(c, &src));
    flags = emul_get(c, EMUL_RFLAGS);
    if (!alu_muldiv(in->op, size, &lo, &hi, src, &flags))
        return emul_raise(c, EXC_DE);
    reg_write(c, RAX, size == 1 ? 2 : size, lo);
    if (size > 1)
        reg_write(c, RDX, size, hi);
    emul_put(c, EMUL_RFLAGS, flags);
    return EMUL_DONE;
}

enum emul_result exec_imul_reg(struct emul_cpu *c)
{
    const struct insn *in = &c->insn;
    u64 flags, a, b;

    TRY(rm_read(c, &a));
    b = in->form == F_R_RM_IMM ? in->imm : reg_read(c, in->reg, in->opsize);
    flags = emul_get(c, EMUL_RFLAGS);
    reg_write(c, in->reg, in->opsize, alu_compute(in->op, in->opsize, a, b, &flags));
    emul_put(c, EMUL_RFLAGS, flags);
    return EMUL_DONE;
}

enum emul_result exec_xadd(struct emul_cpu *c)
{
    const struct insn *in = &c->insn;
    u64 old, src = reg_read(c, in->reg, in->opsize), flags = emul_get(c, EMUL_RFLAGS);

    if (!(in->flags & INSN_HAS_MEM)) { /* the sum wins if both are one register */
        TRY(emul_explained(c));
        old = reg_read(c, in->rm, in->opsize);
        reg_write(c, in->reg, in->opsize, old);
        reg_write(c, in->rm, in->opsize, compute(c, old, src, &flags));
        emul_put(c, EMUL_RFLAGS, flags);
        return EMUL_DONE;
    }
    TRY(rm_update(c, compute, src, &old));
    reg_write(c, in->reg, in->opsize, old);
    return EMUL_DONE;
}

/* The destination is written in either case, with its old value if unequal (SDM 2, CMPXCHG). */
static u64 do_cmpxchg(struct emul_cpu *c, u64 old, u64 src, u64 *flags)
{
    u64 acc = reg_read(c, RAX, c->insn.opsize);

    alu_compute(OP_CMP, c->insn.opsize, acc, old, flags);
    return acc == old ? src : old;
}

/* A register that is not equal is not written: its upper half stays. */
static enum emul_result cmpxchg_reg(struct emul_cpu *c)
{
    const struct insn *in = &c->insn;
    u64 flags = emul_get(c, EMUL_RFLAGS), old = reg_read(c, in->rm, in->opsize);
    u64 acc = reg_read(c, RAX, in->opsize);

    TRY(emul_explained(c));
    alu_compute(OP_CMP, in->opsize, acc, old, &flags);
    emul_put(c, EMUL_RFLAGS, flags);
    if (old == acc)
        reg_write(c, in->rm, in->opsize, reg_read(c, in->reg, in->opsize));
    else
        reg_write(c, RAX, in->opsize, old);
    return EMUL_DONE;
}

enum emul_result exec_cmpxchg(struct emul_cpu *c)
{
    const struct insn *in = &c->insn;
    u64 old, acc = reg_read(c, RAX, in->opsize);

    if (!(in->flags & INSN_HAS_MEM))
        return cmpxchg_reg(c);
    TRY(rm_update(c, do_cmpxchg, reg_read(c, in->reg, in->opsize), &old));
    if (old != acc)
        reg_write(c, RAX, in->opsize, old);
    return EMUL_DONE;
}

/* Two halves, of 4 or 8 bytes each, in the order of memory. */
static u64 half(const u8 *buf, unsigned size)
{
    u64 v = 0;

    __builtin_memcpy(&v, buf, size);
    return v;
}

static bool exchange_pair(void *p, u64 old[2], const u64 new[2], unsigned size)
{
    u64 expected, value;
    bool same;

    if (size == 4) {
        expected = old[0] | old[1] << 32;
        value = new[0] | new[1] << 32;
        __asm__ volatile("lock cmpxchgq %[v], %[m]"
                         : "=@ccz"(same), [m] "+m"(*(u64 *)p), "+a"(expected)
                         : [v] "r"(value)
                         : "memory");
    } else {
        __asm__ volatile("lock cmpxchg16b %[m]"
                         : "=@ccz"(same), [m] "+m"(*(u8(*)[16])p), "+a"(old[0]), "+d"(old[1])
                         : "b"(new[0]), "c"(new[1])
                         : "memory");
    }
    return same;
}

enum emul_result exec_cmpxchg8b(struct emul_cpu *c)
{
    const struct insn *in = &c->insn;
    unsigned size = in->opsize;
    u64 mask = size_mask(size), flags = emul_get(c, EMUL_RFLAGS), old[2], want[2], new[2];
    enum emul_result r = EMUL_DONE;
    struct span s;
    bool equal;
    gla_t gla;
    u8 buf[16];

    TRY(emul_linear(c, in->seg, emul_ea(c), in->msize, in->access, &gla));
    if (size == 8 && (gla & 15))
        return emul_raise_error(c, EXC_GP, 0);
    TRY(mem_open(c, &s));
    span_read(c, &s, buf);
    old[0] = half(buf, size);
    old[1] = half(buf + size, size);
    want[0] = gpr_get(c, RAX) & mask;
    want[1] = gpr_get(c, RDX) & mask;
    equal = old[0] == want[0] && old[1] == want[1];
    new[0] = equal ? gpr_get(c, RBX) & mask : old[0];
    new[1] = equal ? gpr_get(c, RCX) & mask : old[1];
    if (s.p[0] && s.writable[0] && s.first == s.len) {
        if (!exchange_pair(s.p[0], old, new, size))
            r = emul_retry(c, "a locked update lost");
    } else {
        __builtin_memcpy(buf, &new[0], size);
        __builtin_memcpy(buf + size, &new[1], size);
        span_write(c, &s, buf);
    }
    span_close(c, &s);
    TRY(r);
    if (!equal) {
        reg_write(c, RAX, size, old[0]);
        reg_write(c, RDX, size, old[1]);
    }
    emul_put(c, EMUL_RFLAGS, equal ? flags | FLAG_ZF : flags & ~FLAG_ZF);
    return EMUL_DONE;
}
