/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The decoder: prefixes, opcode maps, ModRM, SIB, displacement, immediate. Intel SDM volume 2,
 * chapter 2. The bytes are read once, each after a check that it is there.
 *
 * One pass over local variables: the common instruction (one opcode byte, ModRM) takes no call.
 */
#include "vmm/emul/insn.h"
#include "vmm/emul/table.h"

ASSERT_OFFSET(struct insn, row_flags, 6);
ASSERT_OFFSET(struct insn, seg, 16);

#define NO_SEG 0xff

/* Legacy prefixes seen. P_REP is two bits: 2 for F3, 3 for F2, as rows of insn_pfx count. */
#define P_OPSIZE 1u
#define P_ASIZE  2u
#define P_LOCK   4u
#define P_REP_SHIFT 4

struct vex {
    u8 rex, vvvv, l, pp, map, opcode;
};

/*
 * Operand-size attributes by [mode][REX.W][66]: 0, 1, 2 for 16, 32, 64 bits; 4 is added in 64-bit
 * mode. Columns of the next two tables.
 */
static const u8 attributes[3][2][2] = {{{0, 1}, {0, 1}}, {{1, 0}, {1, 0}}, {{5, 4}, {6, 6}}};

static const u8 address_bytes[3][2] = {{2, 4}, {4, 2}, {8, 4}};

static const u8 size_bytes[S_RULES][8] = {
    [S_NONE] = {4, 4, 4, 0, 4, 4, 4}, [S_B] = {1, 1, 1, 0, 1, 1, 1},
    [S_W] = {2, 2, 2, 0, 2, 2, 2},    [S_D] = {4, 4, 4, 0, 4, 4, 4},
    [S_Q] = {8, 8, 8, 0, 8, 8, 8},    [S_X] = {16, 16, 16, 0, 16, 16, 16},
    [S_V] = {2, 4, 8, 0, 2, 4, 8},    [S_Z] = {2, 4, 4, 0, 2, 4, 4},
    [S_Y] = {4, 4, 8, 0, 4, 4, 8},    [S_64] = {2, 4, 4, 0, 2, 8, 8},
    [S_F64] = {2, 4, 4, 0, 8, 8, 8},  [S_N] = {4, 4, 4, 0, 8, 8, 8},
    [S_VL] = {16, 16, 16, 0, 16, 16, 16},
};

static const u8 imm_bytes[I_RULES][8] = {
    [I_B] = {1, 1, 1, 0, 1, 1, 1},   [I_UB] = {1, 1, 1, 0, 1, 1, 1},
    [I_W] = {2, 2, 2, 0, 2, 2, 2},   [I_Z] = {2, 4, 4, 0, 2, 4, 4},
    [I_V] = {2, 4, 8, 0, 2, 4, 8},   [I_J] = {2, 4, 4, 0, 4, 4, 4},
    [I_WB] = {3, 3, 3, 0, 3, 3, 3},  [I_FAR] = {4, 6, 6, 0, 4, 6, 6},
    [I_BB] = {2, 2, 2, 0, 2, 2, 2},
};

/*
 * What a ModRM byte says with 32- and 64-bit addresses and no REX (SDM 2, table 2-2): the third
 * group of struct insn's bytes as it is stored, and what follows.
 */
struct modrm_info {
    u8 seg, base, index, scale, reg, rm, modrm, opcode;
};
ASSERT_SIZE(struct modrm_info, 8);

#define MOD(m)    ((m) >> 6)
#define RM(m)     ((m) & 7)
#define NO_BASE(m) (MOD(m) == 3 || RM(m) == 4 || (MOD(m) == 0 && RM(m) == 5))
#define INFO(m)                                                                                    \
    {(MOD(m) == 1 || MOD(m) == 2) && RM(m) == 5 ? SEG_SS : SEG_DS,                                 \
     NO_BASE(m) ? INSN_NO_REG : RM(m), INSN_NO_REG, 0, (m) >> 3 & 7, RM(m), m, 0}
/* Displacement bytes; a SIB byte comes first; no base register, or RIP. */
#define FOLLOW_SIB  0x10
#define FOLLOW_DISP 0x20
#define FOLLOW(m)                                                                                  \
    (MOD(m) == 3                   ? 0                                                             \
     : MOD(m) == 0 && RM(m) == 5   ? FOLLOW_DISP | 4                                               \
     : (RM(m) == 4 ? FOLLOW_SIB : 0) | (MOD(m) == 2 ? 4 : MOD(m)))
#define X4(f, m)   f(m), f((m) + 1), f((m) + 2), f((m) + 3)
#define X16(f, m)  X4(f, m), X4(f, (m) + 4), X4(f, (m) + 8), X4(f, (m) + 12)
#define X64(f, m)  X16(f, m), X16(f, (m) + 16), X16(f, (m) + 32), X16(f, (m) + 48)
#define X256(f)    X64(f, 0), X64(f, 64), X64(f, 128), X64(f, 192)

static const struct modrm_info modrm_info[256] = {X256(INFO)};
static const u8 modrm_follow[256] = {X256(FOLLOW)};

static enum insn_status out_of_bytes(unsigned n)
{
    return n >= INSN_MAX ? INSN_TOO_LONG : INSN_SHORT;
}

static u64 read_le(const u8 *p, unsigned n)
{
    u64 v = 0;

    for (unsigned i = 0; i < n; i++)
        v |= (u64)p[i] << (8 * i);
    return v;
}

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

static u64 read_imm(const u8 *p, unsigned n, unsigned rule)
{
    if (rule == I_B || rule == I_Z || rule == I_J)
        return read_signed(p, n);
    return read_le(p, n);
}

/* Registers of a 16-bit memory operand (SDM 2, table 2-1); returns the displacement's size. */
static unsigned parse_mem16(struct insn *in, unsigned mod, unsigned rm)
{
    static const u8 base16[8] = {RBX, RBX, RBP, RBP, RSI, RDI, RBP, RBX};
    static const u8 index16[8] = {RSI,         RDI,         RSI,         RDI,
                                  INSN_NO_REG, INSN_NO_REG, INSN_NO_REG, INSN_NO_REG};

    in->base = base16[rm];
    in->index = index16[rm];
    in->scale = 0;
    in->seg = in->base == RBP ? SEG_SS : SEG_DS;
    if (mod == 0 && rm == 6) {
        in->base = INSN_NO_REG;
        in->seg = SEG_DS;
        return 2;
    }
    return mod; /* 0, 1 or 2 bytes */
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

/* ModRM.reg values that name no register (SDM 2, table 2-4 and each instruction). */
static bool reg_undefined(unsigned op, unsigned reg)
{
    switch (op) {
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

static unsigned mem_bytes(unsigned rule, unsigned opsize, unsigned mode)
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

/* Takes a prefix in; p and rex are what was seen before. */
static ALWAYS_INLINE u32 add_prefix(u8 op, bool is64, u32 p, u8 *seg)
{
    switch (op) {
    case 0x66:
        return p | P_OPSIZE;
    case 0x67:
        return p | P_ASIZE;
    case 0xf0:
        return p | P_LOCK;
    case 0xf2:
    case 0xf3:
        return (p & ~(3u << P_REP_SHIFT)) | (op == 0xf3 ? 2u : 3u) << P_REP_SHIFT;
    case 0x64:
    case 0x65:
        *seg = op - 0x64 + SEG_FS;
        return p;
    default: /* 26, 2E, 36, 3E: ignored in 64-bit mode */
        if (!is64)
            *seg = op >> 3 & 3;
        return p;
    }
}

/*
 * A VEX prefix whose first byte (C4 or C5) stands before *pos; its own bytes and the opcode are
 * there. R, X and B are stored inverted, as bits 7, 6 and 5; REX wants them in bits 2, 1 and 0.
 */
static const struct insn_row *parse_vex(const u8 *b, unsigned *pos, bool is64, struct vex *v)
{
    bool three = b[*pos - 1] == 0xc4;
    u8 b1 = b[(*pos)++], b2 = three ? b[(*pos)++] : b1;

    v->rex = three ? (~b1 >> 5 & 7) : (~b1 >> 5 & 4);
    if (three && (b2 & 0x80))
        v->rex |= 8;
    v->vvvv = ~b2 >> 3 & 15;
    if (!is64)
        v->rex = 0;
    v->map = three ? b1 & 0x1f : 1;
    v->l = b2 >> 2 & 1;
    v->pp = b2 & 3;
    v->opcode = b[(*pos)++];
    return insn_row_vex(v->map, v->opcode, v->pp);
}

/*
 * Opcodes that are not plain rows of the first two maps: 0F 38, 0F 3A, 62, 63, C4, C5. *pos is
 * behind the byte in v->opcode; v->map, v->pp come in as for legacy encodings. NULL: *st says why.
 */
static const struct insn_row *parse_special(const u8 *b, unsigned n, unsigned *pos, u32 p, u8 rex,
                                            unsigned mode, struct vex *v, enum insn_status *st)
{
    unsigned limit = MIN(n, (unsigned)INSN_MAX);
    u8 op = v->opcode;

    *st = out_of_bytes(n);
    if (v->map == 1) {
        if (*pos >= limit)
            return NULL;
        v->opcode = b[(*pos)++];
        v->map = op == 0x38 ? 2 : 3;
        return op == 0x38 ? insn_row_38(v->opcode, v->pp) : insn_row_3a(v->opcode, v->pp);
    }
    if (op == 0x63)
        return mode == INSN_64 ? &insn_row_movsxd : &insn_row_arpl;
    if (*pos >= limit)
        return NULL;
    if (mode != INSN_64 && b[*pos] < 0xc0)
        return op == 0x62 ? &insn_row_bound : &insn_row_les_lds;
    *st = op == 0x62 ? INSN_UNSUPPORTED /* EVEX */ : INSN_UNDEFINED;
    if (op == 0x62 || (p & ~P_ASIZE) || rex)
        return NULL;
    *st = out_of_bytes(n);
    if (*pos + (op == 0xc4 ? 2u : 1u) >= limit)
        return NULL;
    return parse_vex(b, pos, mode == INSN_64, v);
}

/* Follows rows that depend on prefix, ModRM.reg or ModRM.mod to the one that counts. */
static const struct insn_row *resolve(const struct insn_row *row, u8 modrm, unsigned pp, u32 *flags)
{
    do {
        if (row->flags & T_GROUP)
            row = &insn_group[row->op][modrm >> 3 & 7];
        else if (row->flags & T_PFX)
            row = &insn_pfx[row->op][pp];
        else if (row->flags & T_MOD3)
            row = &insn_mod3[row->op][modrm >= 0xc0];
        else
            row = &insn_group[row->op][modrm & 7];
        *flags |= row->flags;
    } while (row->flags & T_INDIRECT);
    return row;
}

/* What makes a known row undefined or unsupported in this place. */
static enum insn_status check_row(const struct insn *in, u32 flags, bool mem)
{
    if (flags & T_SPECIAL)
        return INSN_UNSUPPORTED; /* XOP */
    if ((flags & T_UD) || ((flags & T_NO64) && in->mode == INSN_64))
        return INSN_UNDEFINED;
    if (((in->row_flags & T_MEM) && !mem) || ((in->row_flags & T_REG) && mem))
        return INSN_UNDEFINED;
    if ((in->row_flags & T_CHECK_REG) && reg_undefined(in->op, in->reg))
        return INSN_UNDEFINED;
    return INSN_OK;
}

/* Flags and restrictions that come from prefixes; most instructions have none of these. */
static enum insn_status apply_prefixes(struct insn *in, u32 p, u8 seg, bool vex)
{
    bool three = in->form == F_R_V_RM || in->form == F_R_RM_V || in->form == F_V_RM;
    unsigned rep = p >> P_REP_SHIFT & 3;

    if (seg != NO_SEG)
        in->seg = seg;
    if (p & P_LOCK)
        in->flags |= INSN_LOCK;
    if (rep)
        in->flags |= rep == 2 ? INSN_REP : INSN_REPNE;
    if (p & P_OPSIZE)
        in->flags |= INSN_OPSIZE;
    if ((p & P_LOCK) && (!(in->row_flags & T_LOCK) || !(in->flags & INSN_HAS_MEM)))
        return INSN_UNDEFINED;
    if (!vex)
        return INSN_OK;
    in->flags |= INSN_VEX;
    if (in->op == OP_NONE)
        return INSN_OK;
    if ((in->row_flags & T_VEX_L0) && in->vexl)
        return INSN_UNDEFINED;
    if (three && in->mode != INSN_64)
        in->vvvv &= 7;
    /* MOVSS and MOVSD between registers merge with a third one. */
    if (!three && in->vvvv &&
        (in->op != OP_VMOV_LOW || in->size_rule != S_X || (in->flags & INSN_HAS_MEM)))
        return INSN_UNDEFINED;
    if (in->size_rule == S_VL && in->vexl) {
        in->opsize = 32;
        in->msize = 32;
    }
    return INSN_OK;
}

/* Immediate, moffset; the last bytes of the instruction. */
static enum insn_status finish(const u8 *b, unsigned n, unsigned pos, unsigned disp_len,
                               unsigned rule, unsigned attr, struct insn *in)
{
    unsigned imm_len = imm_bytes[rule][attr], len;

    if (rule == I_MOFFS) {
        in->flags |= INSN_HAS_MEM;
        disp_len = in->asize;
    }
    len = pos + disp_len + imm_len;
    if (len > MIN(n, (unsigned)INSN_MAX))
        return out_of_bytes(n);
    in->len = (u8)len;
    if (rule == I_MOFFS)
        in->disp = read_le(b + pos, disp_len);
    else
        in->disp = read_signed(b + pos, disp_len);
    in->imm = read_imm(b + pos + disp_len, imm_len, rule);
    return INSN_OK;
}

/*
 * The instructions that MMIO exits are made of: 64-bit mode, perhaps REX, one opcode of the first
 * two maps that needs nothing but ModRM. All INSN_MAX bytes are there, so nothing is checked.
 * False: not one of these, and nothing is decided.
 */
static ALWAYS_INLINE bool decode_quick(const u8 *b, struct insn *in)
{
    const u8 *start = b;
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
    if ((row->flags & ~T_LOCK) != T_MODRM || row->imm)
        return false;
    __builtin_memcpy(in, row, sizeof(*row));
    modrm = *b++;
    __builtin_memcpy(&in->seg, &modrm_info[modrm], sizeof(modrm_info[0]));
    in->opcode = op;
    in->flags = modrm < 0xc0 ? INSN_HAS_MEM : 0;
    follow = modrm_follow[modrm];
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
    in->opsize = size_bytes[row->size][5 + in->rexw];
    in->msize = row->mem == M_SAME ? in->opsize : (u8)mem_bytes(row->mem, in->opsize, INSN_64);
    follow &= 7;
    in->disp = read_signed(b, follow);
    in->imm = 0;
    in->len = (u8)(b - start + follow);
    return true;
}

static __attribute__((noinline)) enum insn_status decode_any(const u8 *b, unsigned n, enum insn_mode mode, struct insn *in)
{
    unsigned limit = MIN(n, (unsigned)INSN_MAX), pos = 0, disp_len = 0, attr, mod = 3, rule;
    bool is64 = mode == INSN_64, vex = false;
    const struct insn_row *row;
    u8 op, modrm, rex = 0, seg = NO_SEG, map = 0;
    u32 p = 0, flags, insn_flags = 0;
    enum insn_status st, verdict = INSN_OK; /* the verdict stands only if the length is legal */

    for (;;) {
        if (unlikely(pos >= limit))
            return out_of_bytes(n);
        op = b[pos++];
        row = &insn_map1[op];
        if (likely(!(row->flags & T_PREFIX)))
            break;
        if ((op & 0xf0) != 0x40) {
            rex = 0; /* REX counts only right before the opcode */
            p = add_prefix(op, is64, p, &seg);
        } else if (is64) {
            rex = op;
        } else {
            row = &insn_row_plain; /* INC, DEC */
            break;
        }
    }
    if (op == 0x0f) {
        if (unlikely(pos >= limit))
            return out_of_bytes(n);
        op = b[pos++];
        row = &insn_map2[op];
        map = 1;
    }
    in->vvvv = in->vexl = 0;
    rule = p >> P_REP_SHIFT ? p >> P_REP_SHIFT : p & P_OPSIZE;
    if (unlikely(row->flags & T_SPECIAL)) {
        struct vex v = {.opcode = op, .map = map, .pp = (u8)rule};

        row = parse_special(b, n, &pos, p, rex, mode, &v, &st);
        if (!row)
            return st;
        if (op == 0xc4 || op == 0xc5) {
            vex = row != &insn_row_les_lds;
            rex = vex ? v.rex : rex;
            rule = vex ? v.pp : rule;
            in->vvvv = v.vvvv;
            in->vexl = v.l;
        }
        op = v.opcode;
        map = v.map;
    }
    flags = row->flags;
    in->mode = (u8)mode;
    in->opcode = op;
    in->map = map;
    in->rexw = rex >> 3 & 1;
    in->asize = address_bytes[mode][p >> 1 & 1];
    in->seg = SEG_DS;
    if (flags & T_MODRM) {
        if (unlikely(pos >= limit))
            return out_of_bytes(n);
        modrm = b[pos++];
        in->modrm = modrm;
        in->reg = (modrm >> 3 & 7) | (rex & 4u) << 1;
        in->rm = (modrm & 7) | (rex & 1u) << 3;
        mod = modrm >> 6;
        if (mod != 3 && likely(row->form != F_CR)) {
            insn_flags = INSN_HAS_MEM;
            if (unlikely(in->asize == 2)) {
                disp_len = parse_mem16(in, mod, modrm & 7);
            } else if (modrm_follow[modrm] & FOLLOW_SIB) {
                if (unlikely(pos >= limit))
                    return out_of_bytes(n);
                disp_len = parse_sib(in, mod, rex, b[pos++]);
            } else {
                in->index = INSN_NO_REG;
                in->scale = 0;
                in->base = modrm_info[modrm].base | (u8)((rex & 1u) << 3);
                in->seg = rex & 1 ? SEG_DS : modrm_info[modrm].seg;
                disp_len = modrm_follow[modrm] & 7;
                if ((modrm_follow[modrm] & FOLLOW_DISP) && is64)
                    insn_flags |= INSN_RIP_REL;
            }
        } else {
            in->base = in->index = INSN_NO_REG;
        }
        if (flags & T_INDIRECT) {
            unsigned imm = row->imm;

            row = resolve(row, modrm, rule, &flags);
            rule = imm ? imm : row->imm;
        } else {
            rule = row->imm;
        }
    } else {
        if (flags & T_INDIRECT)
            row = resolve(row, 0, rule, &flags);
        in->modrm = in->reg = 0;
        in->rm = (op & 7) | (rex & 1u) << 3;
        in->base = in->index = INSN_NO_REG;
        in->scale = 0;
        rule = row->imm;
    }
    __builtin_memcpy(in, row, sizeof(*row));
    if (unlikely(flags & T_CHECKED)) {
        verdict = check_row(in, flags, insn_flags & INSN_HAS_MEM);
        if (flags & (T_UD | T_SPECIAL))
            return verdict; /* its length is not known */
    }
    attr = attributes[mode][rex >> 3 & 1][p & P_OPSIZE];
    in->opsize = size_bytes[row->size][attr];
    in->msize = row->mem == M_SAME ? in->opsize : (u8)mem_bytes(row->mem, in->opsize, mode);
    if (rex & 0xf0)
        insn_flags |= INSN_REX;
    in->flags = (u16)insn_flags;
    if (unlikely((p & ~P_ASIZE) || seg != NO_SEG || vex)) {
        st = apply_prefixes(in, p, seg, vex);
        if (verdict == INSN_OK)
            verdict = st;
    }
    if (unlikely(rule)) {
        st = finish(b, n, pos, disp_len, rule, attr, in);
        return st == INSN_OK ? verdict : st;
    }
    in->len = (u8)(pos + disp_len);
    if (unlikely(pos + disp_len > limit))
        return out_of_bytes(n);
    in->disp = read_signed(b + pos, disp_len);
    in->imm = 0;
    return verdict;
}

enum insn_status insn_decode(const u8 *bytes, unsigned n, enum insn_mode mode, struct insn *out)
{
    if (likely(n >= INSN_MAX && mode == INSN_64) && decode_quick(bytes, out))
        return INSN_OK;
    return decode_any(bytes, n, mode, out);
}
