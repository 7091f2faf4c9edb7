/* SPDX-License-Identifier: BSD-2-Clause */
/* Moves: MOV and its relatives, XCHG, CMOVcc, SETcc, LEA, XLAT, cache hints. */
#include "vmm/emul/internal.h"

enum emul_result exec_mov(struct emul_cpu *c)
{
    const struct insn *in = &c->insn;
    u64 v;

    switch (in->form) {
    case F_R_RM:
        TRY(rm_read(c, &v));
        reg_write(c, in->reg, in->opsize, v);
        return EMUL_DONE;
    case F_RM_R:
        return rm_write(c, reg_read(c, in->reg, in->opsize));
    case F_RM_IMM:
        return rm_write(c, in->imm);
    case F_ACC_MEM:
        TRY(rm_read(c, &v));
        reg_write(c, RAX, in->opsize, v);
        return EMUL_DONE;
    case F_MEM_ACC:
        return rm_write(c, reg_read(c, RAX, in->opsize));
    default: /* F_OPREG */
        TRY(emul_explained(c));
        reg_write(c, in->rm, in->opsize, in->imm);
        return EMUL_DONE;
    }
}

/* MOVZX, MOVSX, MOVSXD: the source is narrower than the operand size, or as wide. */
enum emul_result exec_movx(struct emul_cpu *c)
{
    const struct insn *in = &c->insn;
    unsigned from = MIN(in->msize, in->opsize);
    u64 v;

    TRY(mem_read(c, from, &v));
    if (in->op == OP_MOVSX)
        v = (u64)sign_extend(v, from);
    reg_write(c, in->reg, in->opsize, v);
    return EMUL_DONE;
}

enum emul_result exec_movbe(struct emul_cpu *c)
{
    const struct insn *in = &c->insn;
    unsigned shift = 64 - 8 * in->opsize;
    u64 v;

    if (in->form == F_RM_R)
        return rm_write(c, __builtin_bswap64(reg_read(c, in->reg, in->opsize)) >> shift);
    TRY(rm_read(c, &v));
    reg_write(c, in->reg, in->opsize, __builtin_bswap64(v) >> shift);
    return EMUL_DONE;
}

static u64 replace(struct emul_cpu *c, u64 old, u64 src, u64 *flags)
{
    (void)c, (void)old, (void)flags;
    return src;
}

/* Locked with or without the prefix (SDM 3, 8.1.2.1). */
enum emul_result exec_xchg(struct emul_cpu *c)
{
    struct insn *in = &c->insn;
    u64 mine = reg_read(c, in->reg, in->opsize), theirs, flags = 0;
    enum emul_result r;
    struct span s;

    if (!(in->flags & INSN_HAS_MEM)) {
        theirs = reg_read(c, in->rm, in->opsize);
        TRY(emul_explained(c));
        reg_write(c, in->rm, in->opsize, mine);
        reg_write(c, in->reg, in->opsize, theirs);
        return EMUL_DONE;
    }
    TRY(mem_open(c, &s));
    in->flags |= INSN_LOCK;
    r = span_update(c, &s, replace, mine, &flags, &theirs);
    span_close(c, &s);
    if (r == EMUL_DONE)
        reg_write(c, in->reg, in->opsize, theirs);
    return r;
}

enum emul_result exec_lea(struct emul_cpu *c)
{
    TRY(emul_explained(c));
    reg_write(c, c->insn.reg, c->insn.opsize, emul_ea(c));
    return EMUL_DONE;
}

/* Condition of Jcc, SETcc, CMOVcc by the opcode's low four bits (SDM 1, appendix B). */
static bool condition(u64 f, unsigned cc)
{
    bool sf_of = !(f & FLAG_SF) != !(f & FLAG_OF), r;

    switch (cc >> 1 & 7) {
    case 0:
        r = f & FLAG_OF;
        break;
    case 1:
        r = f & FLAG_CF;
        break;
    case 2:
        r = f & FLAG_ZF;
        break;
    case 3:
        r = f & (FLAG_CF | FLAG_ZF);
        break;
    case 4:
        r = f & FLAG_SF;
        break;
    case 5:
        r = f & FLAG_PF;
        break;
    case 6:
        r = sf_of;
        break;
    default:
        r = sf_of || (f & FLAG_ZF);
        break;
    }
    return r != (cc & 1);
}

/* The source is read whatever the condition; a 32-bit destination is zero-extended either way. */
enum emul_result exec_cmov(struct emul_cpu *c)
{
    const struct insn *in = &c->insn;
    u64 v;

    TRY(rm_read(c, &v));
    if (!condition(emul_get(c, EMUL_RFLAGS), in->opcode))
        v = reg_read(c, in->reg, in->opsize);
    reg_write(c, in->reg, in->opsize, v);
    return EMUL_DONE;
}

enum emul_result exec_setcc(struct emul_cpu *c)
{
    return rm_write(c, condition(emul_get(c, EMUL_RFLAGS), c->insn.opcode));
}

enum emul_result exec_xlat(struct emul_cpu *c)
{
    u64 ea = gpr_get(c, RBX) + (gpr_get(c, RAX) & 0xff);
    enum emul_result r;
    struct span s;
    gla_t gla;

    ea &= size_mask(c->insn.asize);
    TRY(emul_linear(c, c->insn.seg, ea, 1, INSN_READ, &gla));
    TRY(span_open(c, &s, gla, 1, INSN_READ, 0, NULL));
    r = emul_explained(c);
    if (r == EMUL_DONE)
        reg_write(c, RAX, 1, span_get(c, &s));
    span_close(c, &s);
    return r;
}

/* Flushing a line of a device does nothing, once the address is found good as for a read. */
enum emul_result exec_clflush(struct emul_cpu *c)
{
    struct span s;

    TRY(mem_open(c, &s));
    span_close(c, &s);
    return EMUL_DONE;
}

enum emul_result exec_nop(struct emul_cpu *c)
{
    return emul_explained(c);
}
