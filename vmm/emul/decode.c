/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The decoder: prefixes, opcode maps, ModRM, SIB, displacement, immediate. Intel SDM volume 2,
 * chapter 2. The bytes are read once, each after a check that it is there.
 */
#include "vmm/emul/insn.h"
#include "vmm/emul/table.h"

#define NO_SEG 0xff

/* Everything that prefixes say. */
struct prefixes {
    u8 rex, seg, rep; /* rep: 0, 2 (F3) or 3 (F2), the last one: the row index of insn_pfx */
    bool opsize, asize, lock;
    bool vex;
    u8 vvvv, vexl, pp;
};

static enum insn_status out_of_bytes(unsigned n)
{
    return n >= INSN_MAX ? INSN_TOO_LONG : INSN_SHORT;
}

/* Operand size in bytes by rule, operand-size attribute (16, 32, 64 bits), and 64-bit mode. */
static const u8 size_bytes[S_RULES][2][4] = {
    [S_NONE] = {{4, 4, 4}, {4, 4, 4}}, [S_B] = {{1, 1, 1}, {1, 1, 1}},
    [S_W] = {{2, 2, 2}, {2, 2, 2}},    [S_D] = {{4, 4, 4}, {4, 4, 4}},
    [S_Q] = {{8, 8, 8}, {8, 8, 8}},    [S_X] = {{16, 16, 16}, {16, 16, 16}},
    [S_V] = {{2, 4, 8}, {2, 4, 8}},    [S_Z] = {{2, 4, 4}, {2, 4, 4}},
    [S_Y] = {{4, 4, 8}, {4, 4, 8}},    [S_64] = {{2, 4, 4}, {2, 8, 8}},
    [S_F64] = {{2, 4, 4}, {8, 8, 8}},  [S_N] = {{4, 4, 4}, {8, 8, 8}},
    [S_VL] = {{16, 16, 16}, {16, 16, 16}},
};

static const u8 imm_bytes[I_RULES][2][4] = {
    [I_NONE] = {{0, 0, 0}, {0, 0, 0}}, [I_B] = {{1, 1, 1}, {1, 1, 1}},
    [I_UB] = {{1, 1, 1}, {1, 1, 1}},   [I_W] = {{2, 2, 2}, {2, 2, 2}},
    [I_Z] = {{2, 4, 4}, {2, 4, 4}},    [I_V] = {{2, 4, 8}, {2, 4, 8}},
    [I_J] = {{2, 4, 4}, {4, 4, 4}},    [I_WB] = {{3, 3, 3}, {3, 3, 3}},
    [I_FAR] = {{4, 6, 6}, {4, 6, 6}},  [I_BB] = {{2, 2, 2}, {2, 2, 2}},
};

static u64 read_le(const u8 *p, unsigned n)
{
    u64 v = 0;

    for (unsigned i = 0; i < n; i++)
        v |= (u64)p[i] << (8 * i);
    return v;
}

static inline u64 read_disp(const u8 *p, unsigned n)
{
    switch (n) {
    case 0:
        return 0;
    case 1:
        return (u64)(s64)(s8)p[0];
    case 2:
        return (u64)(s64)(s16)(p[0] | p[1] << 8);
    }
    return (u64)(s64)(s32)(p[0] | p[1] << 8 | p[2] << 16 | (u32)p[3] << 24);
}

static u64 read_imm(const u8 *p, unsigned n, unsigned rule)
{
    switch (rule) {
    case I_B:
        return (u64)(s64)(s8)p[0];
    case I_UB:
        return p[0];
    case I_Z:
    case I_J:
        return read_disp(p, n);
    }
    return read_le(p, n);
}

/* Base and index of the 16-bit forms (SDM 2, table 2-1). */
static const u8 base16[8] = {RBX, RBX, RBP, RBP, RSI, RDI, RBP, RBX};
static const u8 index16[8] = {RSI,        RDI,        RSI,        RDI,
                              INSN_NO_REG, INSN_NO_REG, INSN_NO_REG, INSN_NO_REG};

/* Registers of a 16-bit memory operand; returns the displacement's size. */
static unsigned parse_mem16(struct insn *in, unsigned mod, unsigned rm)
{
    in->base = base16[rm];
    in->index = index16[rm];
    if (mod == 0 && rm == 6) {
        in->base = INSN_NO_REG;
        return 2;
    }
    in->seg = in->base == RBP ? SEG_SS : SEG_DS;
    return mod; /* 0, 1 or 2 bytes */
}

/* Likewise for 32 and 64 bits; sib is the byte after ModRM, used if rm is 4. */
static inline unsigned parse_mem(struct insn *in, unsigned mod, unsigned rm, u8 rex, u8 sib)
{
    unsigned base = rm;

    if (rm == 4) {
        unsigned index = (sib >> 3 & 7) | (rex & 2u) << 2;

        base = sib & 7;
        in->scale = sib >> 6;
        in->index = index == 4 ? INSN_NO_REG : (u8)index;
    }
    if (mod == 0 && base == 5) {
        if (rm == 5 && in->mode == INSN_64)
            in->flags |= INSN_RIP_REL;
        return 4;
    }
    base |= (rex & 1u) << 3;
    in->base = (u8)base;
    if (base == RSP || base == RBP)
        in->seg = SEG_SS;
    return mod == 2 ? 4 : mod;
}

/* ModRM.reg values that name no register (SDM 2, table 2-4 and each instruction). */
static bool reg_undefined(const struct insn_row *row, unsigned reg)
{
    switch (row->op) {
    case OP_MOV_SREG_STORE:
        return (reg & 7) > SEG_GS;
    case OP_MOV_SREG_LOAD:
        return (reg & 7) > SEG_GS || (reg & 7) == SEG_CS;
    case OP_MOV_FROM_CR:
    case OP_MOV_TO_CR:
        return !(0x11d >> reg & 1); /* CR0, CR2, CR3, CR4, CR8 */
    }
    return reg > 7; /* DR8-DR15 */
}

static unsigned mem_bytes(unsigned rule, unsigned opsize, const struct insn *in)
{
    switch (rule) {
    case M_SAME:
        return opsize;
    case M_TWICE:
        return opsize * 2;
    case M_PLUS2:
        return opsize + 2;
    case M_TABLE:
        return in->mode == INSN_64 ? 10 : 6;
    case M_PAIR:
        return opsize * 2;
    case M_NONE:
        return 0;
    }
    return 1u << (rule - M_1);
}

/*
 * A VEX prefix whose first byte (C4 or C5) has been read; at least its own bytes are there.
 * Returns the row, and moves *pos behind the opcode.
 */
static const struct insn_row *parse_vex(const u8 *b, unsigned *pos, struct prefixes *pf,
                                        struct insn *in)
{
    bool three = b[*pos - 1] == 0xc4;
    u8 b1 = b[(*pos)++], b2 = three ? b[(*pos)++] : b1;

    /* R, X, B are stored inverted, as bits 7, 6, 5; REX wants them in bits 2, 1, 0. */
    pf->rex = three ? (~b1 >> 5 & 7) : (~b1 >> 5 & 4);
    if (three && (b2 & 0x80))
        pf->rex |= 8;
    in->map = three ? b1 & 0x1f : 1;
    pf->vvvv = ~b2 >> 3 & 15;
    if (in->mode != INSN_64) {
        pf->rex = 0;
        pf->vvvv &= 7;
    }
    pf->vexl = b2 >> 2 & 1;
    pf->pp = b2 & 3;
    pf->vex = true;
    in->opcode = b[(*pos)++];
    return insn_row_vex(in->map, in->opcode, pf->pp);
}

/*
 * Opcode bytes that are not in the first two maps' plain rows. *pos is behind the first byte, or
 * behind 0F xx. *st tells why there is no row.
 */
static const struct insn_row *parse_special(const u8 *b, unsigned n, unsigned *pos,
                                            struct prefixes *pf, struct insn *in,
                                            enum insn_status *st)
{
    unsigned limit = MIN(n, (unsigned)INSN_MAX), pp = pf->rep ? pf->rep : pf->opsize;
    u8 op = in->opcode;

    *st = out_of_bytes(n);
    if (in->map == 1) { /* 0F 38, 0F 3A */
        if (*pos >= limit)
            return NULL;
        in->opcode = b[(*pos)++];
        in->map = op == 0x38 ? 2 : 3;
        return op == 0x38 ? insn_row_38(in->opcode, pp) : insn_row_3a(in->opcode, pp);
    }
    if (op == 0x63)
        return in->mode == INSN_64 ? &insn_row_movsxd : &insn_row_arpl;
    if (*pos >= limit)
        return NULL;
    if (in->mode != INSN_64 && b[*pos] < 0xc0)
        return op == 0x62 ? &insn_row_bound : &insn_row_les_lds;
    *st = INSN_UNSUPPORTED; /* EVEX */
    if (op == 0x62)
        return NULL;
    *st = INSN_UNDEFINED;
    if (pf->opsize || pf->rep || pf->lock || pf->rex)
        return NULL;
    *st = out_of_bytes(n);
    if (*pos + (op == 0xc4 ? 2u : 1u) >= limit)
        return NULL;
    return parse_vex(b, pos, pf, in);
}

/* Follows rows that depend on prefix, ModRM.reg or ModRM.mod to the one that counts. */
static const struct insn_row *resolve(const struct insn_row *row, u8 modrm,
                                      const struct prefixes *pf, u32 *flags)
{
    while (row->flags & T_INDIRECT) {
        if (row->flags & T_GROUP)
            row = &insn_group[row->op][modrm >> 3 & 7];
        else if (row->flags & T_PFX)
            row = &insn_pfx[row->op][pf->vex ? pf->pp : pf->rep ? pf->rep : pf->opsize];
        else if (row->flags & T_MOD3)
            row = &insn_mod3[row->op][modrm >= 0xc0];
        else
            row = &insn_group[row->op][modrm & 7];
        *flags |= row->flags;
    }
    return row;
}

/* What makes a known row undefined or unsupported in this place. */
static enum insn_status check_row(const struct insn_row *row, u32 flags, const struct insn *in)
{
    bool mem = in->flags & INSN_HAS_MEM;

    if (flags & T_SPECIAL)
        return INSN_UNSUPPORTED; /* XOP */
    if ((flags & T_UD) || ((flags & T_NO64) && in->mode == INSN_64))
        return INSN_UNDEFINED;
    if (((row->flags & T_MEM) && !mem) || ((row->flags & T_REG) && mem))
        return INSN_UNDEFINED;
    if ((row->flags & T_CHECK_REG) && reg_undefined(row, in->reg))
        return INSN_UNDEFINED;
    return INSN_OK;
}

static enum insn_status check_vex(const struct insn_row *row, struct insn *in)
{
    bool three = row->form == F_R_V_RM || row->form == F_R_RM_V || row->form == F_V_RM;

    in->flags |= INSN_VEX;
    if (row->op == OP_NONE)
        return INSN_OK;
    if ((row->flags & T_VEX_L0) && in->vexl)
        return INSN_UNDEFINED;
    if (!three && (in->flags & INSN_HAS_MEM) && in->vvvv)
        return INSN_UNDEFINED;
    if (row->size == S_VL && in->vexl)
        in->opsize = 32;
    return INSN_OK;
}

enum insn_status insn_decode(const u8 *b, unsigned n, enum insn_mode mode, struct insn *in)
{
    unsigned limit = MIN(n, (unsigned)INSN_MAX), pos = 0, osz, disp_len = 0, imm_len, is64;
    struct prefixes pf = {.seg = NO_SEG};
    const struct insn_row *row, *first;
    u8 op, modrm = 0;
    u32 flags;

    is64 = mode == INSN_64;
    for (;;) {
        if (unlikely(pos >= limit))
            return out_of_bytes(n);
        op = b[pos++];
        row = &insn_map1[op];
        if (likely(!(row->flags & T_PREFIX)))
            break;
        if ((op & 0xf0) == 0x40) {
            if (!is64) {
                row = &insn_row_plain;
                break;
            }
            pf.rex = op;
            continue;
        }
        pf.rex = 0; /* REX counts only right before the opcode */
        switch (op) {
        case 0x66:
            pf.opsize = true;
            break;
        case 0x67:
            pf.asize = true;
            break;
        case 0xf0:
            pf.lock = true;
            break;
        case 0xf2:
            pf.rep = 3;
            break;
        case 0xf3:
            pf.rep = 2;
            break;
        case 0x64:
        case 0x65:
            pf.seg = op - 0x64 + SEG_FS;
            break;
        default: /* 26, 2E, 36, 3E: ignored in 64-bit mode */
            if (!is64)
                pf.seg = op >> 3 & 3;
            break;
        }
    }

    in->mode = (u8)mode;
    in->map = 0;
    if (op == 0x0f) {
        if (unlikely(pos >= limit))
            return out_of_bytes(n);
        op = b[pos++];
        row = &insn_map2[op];
        in->map = 1;
    }
    in->opcode = op;
    if (unlikely(row->flags & T_SPECIAL)) {
        enum insn_status st;

        row = parse_special(b, n, &pos, &pf, in, &st);
        if (!row)
            return st;
    }

    first = row;
    flags = row->flags;
    in->flags = 0;
    in->asize = is64 ? (pf.asize ? 4 : 8) : ((mode == INSN_32) != pf.asize ? 4 : 2);
    in->seg = SEG_DS;
    in->base = in->index = INSN_NO_REG;
    in->scale = 0;
    in->disp = 0;
    in->modrm = in->reg = 0;
    in->rm = (op & 7) | (pf.rex & 1u) << 3;
    in->rexw = pf.rex >> 3 & 1;
    in->vvvv = pf.vvvv;
    in->vexl = pf.vexl;
    if (flags & T_MODRM) {
        if (unlikely(pos >= limit))
            return out_of_bytes(n);
        modrm = b[pos++];
        in->modrm = modrm;
        in->reg = (modrm >> 3 & 7) | (pf.rex & 4u) << 1;
        in->rm = (modrm & 7) | (pf.rex & 1u) << 3;
        if (modrm < 0xc0 && row->form != F_CR) {
            in->flags = INSN_HAS_MEM;
            if (unlikely(in->asize == 2)) {
                disp_len = parse_mem16(in, modrm >> 6, modrm & 7);
            } else {
                u8 sib = 0;

                if ((modrm & 7) == 4) {
                    if (unlikely(pos >= limit))
                        return out_of_bytes(n);
                    sib = b[pos++];
                }
                disp_len = parse_mem(in, modrm >> 6, modrm & 7, pf.rex, sib);
            }
        }
    }
    if (flags & T_INDIRECT)
        row = resolve(row, modrm, &pf, &flags);
    if (unlikely(flags & T_CHECKED)) {
        enum insn_status st = check_row(row, flags, in);

        if (st != INSN_OK)
            return st;
    }
    if (pf.seg != NO_SEG)
        in->seg = pf.seg;

    osz = pf.rex & 8 ? 2 : is64 ? !pf.opsize : (mode == INSN_32) != pf.opsize;
    in->op = row->op;
    in->form = row->form;
    in->opsize = size_bytes[row->size][is64][osz];
    in->access = row->access;
    if (pf.vex) {
        enum insn_status st = check_vex(row, in);

        if (st != INSN_OK)
            return st;
    }
    in->msize = row->mem == M_SAME ? in->opsize : (u8)mem_bytes(row->mem, in->opsize, in);
    if (pf.rex & 0xf0)
        in->flags |= INSN_REX;
    if (unlikely(pf.lock)) {
        if (!(row->flags & T_LOCK) || !(in->flags & INSN_HAS_MEM))
            return INSN_UNDEFINED;
        in->flags |= INSN_LOCK;
    }
    if (pf.rep)
        in->flags |= pf.rep == 2 ? INSN_REP : INSN_REPNE;
    if (pf.opsize)
        in->flags |= INSN_OPSIZE;
    if (row->flags & T_ALIGNED)
        in->flags |= INSN_ALIGNED;

    if (row->imm == I_MOFFS) {
        in->flags |= INSN_HAS_MEM;
        imm_len = 0;
        disp_len = in->asize;
    } else {
        imm_len = imm_bytes[first->imm ? first->imm : row->imm][is64][osz];
    }
    in->len = (u8)(pos + disp_len + imm_len);
    if (unlikely(in->len > limit))
        return out_of_bytes(n);
    if (disp_len)
        in->disp = row->imm == I_MOFFS ? read_le(b + pos, disp_len) : read_disp(b + pos, disp_len);
    in->imm = imm_len ? read_imm(b + pos + disp_len, imm_len, first->imm ? first->imm : row->imm) : 0;
    return INSN_OK;
}
