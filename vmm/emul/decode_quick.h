/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The decoder's quick lane, and what it shares with the long way round in decode.c: ModRM, SIB and
 * operand sizes. Included by decode.c only.
 */
#ifndef VMM_EMUL_DECODE_QUICK_H
#define VMM_EMUL_DECODE_QUICK_H

#include "vmm/emul/insn.h"
#include "vmm/emul/table.h"

ASSERT_OFFSET(struct insn, row_flags, 6);
ASSERT_OFFSET(struct insn, seg, 16);

/*
 * What ModRM.mod and ModRM.rm say with 32- and 64-bit addresses and no REX (SDM 2, table 2-2): the
 * third group of struct insn's bytes, and what follows in place of the opcode.
 */
struct modrm_info {
    u8 seg, base, index, scale, reg, rm, modrm, follow;
};
ASSERT_SIZE(struct modrm_info, 8);
ASSERT_OFFSET(struct insn, opcode, 16 + offsetof(struct modrm_info, follow));

/* Displacement bytes; a SIB byte comes first; no base register, or RIP. */
#define FOLLOW_SIB  0x10
#define FOLLOW_DISP 0x20

#define ANY(seg, base, rm, follow)                                                                 \
    {                                                                                              \
        seg, base, INSN_NO_REG, 0, 0, rm, 0, follow                                                \
    }
#define REG(rm)    ANY(SEG_DS, INSN_NO_REG, rm, 0)
#define MEM(rm, n) ANY(SEG_DS, rm, rm, n)
#define SIB(n)     ANY(SEG_DS, INSN_NO_REG, 4, FOLLOW_SIB | (n))
#define MOD(n, bp)                                                                                 \
    {                                                                                              \
        MEM(0, n), MEM(1, n), MEM(2, n), MEM(3, n), SIB(n), bp, MEM(6, n), MEM(7, n)               \
    }

static const struct modrm_info modrm_info[4][8] = {
    MOD(0, ANY(SEG_DS, INSN_NO_REG, 5, FOLLOW_DISP | 4)),
    MOD(1, ANY(SEG_SS, RBP, 5, 1)),
    MOD(4, ANY(SEG_SS, RBP, 5, 4)),
    {REG(0), REG(1), REG(2), REG(3), REG(4), REG(5), REG(6), REG(7)},
};

/* Returns what follows; *in's opcode is still to be set. */
static ALWAYS_INLINE u8 take_modrm(struct insn *in, u8 modrm)
{
    const struct modrm_info *info = &modrm_info[modrm >> 6][modrm & 7];

    __builtin_memcpy(&in->seg, info, sizeof(*info));
    in->reg = modrm >> 3 & 7;
    in->modrm = modrm;
    return info->follow;
}

/* Operand size by rule and operand-size attribute: see attributes in decode.c. */
static const u8 size_bytes[S_RULES][8] = {
    [S_NONE] = {4, 4, 4, 0, 4, 4, 4},     [S_B] = {1, 1, 1, 0, 1, 1, 1},
    [S_W] = {2, 2, 2, 0, 2, 2, 2},        [S_D] = {4, 4, 4, 0, 4, 4, 4},
    [S_Q] = {8, 8, 8, 0, 8, 8, 8},        [S_X] = {16, 16, 16, 0, 16, 16, 16},
    [S_V] = {2, 4, 8, 0, 2, 4, 8},        [S_Z] = {2, 4, 4, 0, 2, 4, 4},
    [S_Y] = {4, 4, 8, 0, 4, 4, 8},        [S_64] = {2, 4, 4, 0, 2, 8, 8},
    [S_F64] = {2, 4, 4, 0, 8, 8, 8},      [S_N] = {4, 4, 4, 0, 8, 8, 8},
    [S_VL] = {16, 16, 16, 0, 16, 16, 16},
};

/* 0, 1, 2 or 4 bytes, sign-extended. */
static ALWAYS_INLINE u64 read_signed(const u8 *p, unsigned n)
{
    s32 v4;
    s16 v2;

    if (n == 4) {
        __builtin_memcpy(&v4, p, 4);
        return (u64)(s64)v4;
    }
    if (n == 1)
        return (u64)(s64)(s8)p[0];
    if (n == 0)
        return 0;
    __builtin_memcpy(&v2, p, 2);
    return (u64)(s64)v2;
}

/* Base, index and scale of a SIB byte; returns the displacement's size. */
static ALWAYS_INLINE unsigned parse_sib(struct insn *in, unsigned mod, u8 rex, u8 sib)
{
    unsigned base = sib & 7, index = (sib >> 3 & 7) | (rex & 2u) << 2;

    in->scale = sib >> 6;
    in->index = index == 4 ? INSN_NO_REG : (u8)index;
    if (base == 5 && mod == 0) {
        in->base = INSN_NO_REG;
        in->seg = SEG_DS;
        return 4;
    }
    base |= (rex & 1u) << 3;
    in->base = (u8)base;
    in->seg = base == RSP || base == RBP ? SEG_SS : SEG_DS;
    return mod == 2 ? 4 : mod;
}

static inline unsigned mem_bytes(unsigned rule, unsigned opsize, unsigned mode)
{
    switch (rule) {
    case M_SAME:
        return opsize;
    case M_TWICE:
    case M_PAIR:
        return opsize * 2;
    case M_PLUS2:
        return opsize + 2;
    case M_TABLE:
        return mode == INSN_64 ? 10 : 6;
    case M_NONE:
        return 0;
    }
    return 1u << (rule - M_1);
}

/*
 * The instructions that MMIO exits are made of: 64-bit mode, perhaps REX, one opcode of the first
 * two maps that needs nothing but ModRM. All INSN_MAX bytes are there, so nothing is checked.
 * False: not one of these, and nothing is decided.
 */
static ALWAYS_INLINE bool decode_quick(const u8 *b, struct insn *in)
{
    const u8 *start = b;
    const struct insn_shape *shape;
    const struct insn_row *row;
    u8 op = *b++, rex = 0, map = 0, modrm, follow;

    if ((op & 0xf0) == 0x40) {
        rex = op;
        op = *b++;
    }
    row = &insn_map1[op];
    if (op == 0x0f) {
        map = 1;
        op = *b++;
        row = &insn_map2[op];
    }
    shape = &insn_shapes[row->shape];
    if ((shape->flags & ~T_LOCK) != T_MODRM || shape->imm)
        return false;
    __builtin_memcpy(in, shape, sizeof(*shape));
    in->op = row->op;
    modrm = *b++;
    follow = take_modrm(in, modrm);
    in->opcode = op;
    in->flags = modrm < 0xc0 ? INSN_HAS_MEM : 0;
    if (rex) {
        in->reg |= (rex & 4u) << 1;
        in->rm |= (rex & 1u) << 3;
        in->base |= (rex & 1u) << 3;
        in->flags |= INSN_REX;
        if (rex & 1)
            in->seg = SEG_DS;
    }
    if (follow & FOLLOW_SIB)
        follow = (u8)parse_sib(in, modrm >> 6, rex, *b++);
    else if (follow & FOLLOW_DISP)
        in->flags |= INSN_RIP_REL;
    in->mode = INSN_64;
    in->asize = 8;
    in->vvvv = in->vexl = 0;
    in->map = map;
    in->rexw = rex >> 3 & 1;
    in->opsize = size_bytes[shape->size][5 + in->rexw];
    in->msize = shape->mem == M_SAME ? in->opsize : (u8)mem_bytes(shape->mem, in->opsize, INSN_64);
    follow &= 7;
    in->disp = read_signed(b, follow);
    in->imm = 0;
    in->len = (u8)(b - start + follow);
    return true;
}

#endif
