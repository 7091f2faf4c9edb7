/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The decoder: prefixes, opcode maps, ModRM, SIB, displacement, immediate. Intel SDM volume 2,
 * chapter 2. The bytes are read once, each after a check that it is there.
 *
 * The common instruction takes the lane of decode_quick.h; here is the way for all of them.
 */
#include "vmm/emul/decode_quick.h"

#define NO_SEG 0xff

/* Legacy prefixes seen. P_REP is two bits: 2 for F3, 3 for F2, as rows of insn_pfx count. */
#define P_OPSIZE    1u
#define P_ASIZE     2u
#define P_LOCK      4u
#define P_REP_SHIFT 4

struct vex {
    u8 rex, vvvv, l, pp, map, opcode;
};

/* An instruction being decoded: the bytes, and what they have said so far. */
struct decoding {
    const u8 *b;
    unsigned n, limit, pos;
    bool is64, vex;
    u8 rex, seg, op, map, modrm;
    u32 prefixes;
    unsigned pp; /* mandatory prefix, as rows of insn_pfx count */
    const struct insn_row *row;
    u32 flags; /* of all rows on the way to the last */
    unsigned imm_rule, disp_len;
};

/*
 * Operand-size attributes by [mode][REX.W][66]: 0, 1, 2 for 16, 32, 64 bits; 4 is added in 64-bit
 * mode. Columns of the next two tables.
 */
static const u8 attributes[3][2][2] = {{{0, 1}, {0, 1}}, {{1, 0}, {1, 0}}, {{5, 4}, {6, 6}}};

static const u8 address_bytes[3][2] = {{2, 4}, {4, 2}, {8, 4}};

static const u8 imm_bytes[I_RULES][8] = {
    [I_B] = {1, 1, 1, 0, 1, 1, 1},  [I_UB] = {1, 1, 1, 0, 1, 1, 1},  [I_W] = {2, 2, 2, 0, 2, 2, 2},
    [I_Z] = {2, 4, 4, 0, 2, 4, 4},  [I_V] = {2, 4, 8, 0, 2, 4, 8},   [I_J] = {2, 4, 4, 0, 4, 4, 4},
    [I_WB] = {3, 3, 3, 0, 3, 3, 3}, [I_FAR] = {4, 6, 6, 0, 4, 6, 6}, [I_BB] = {2, 2, 2, 0, 2, 2, 2},
};

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
        u32 f = row_flags(row);

        if (f & T_GROUP)
            row = &insn_group[row->op][modrm >> 3 & 7];
        else if (f & T_PFX)
            row = &insn_pfx[row->op][pp];
        else if (f & T_MOD3)
            row = &insn_mod3[row->op][modrm >= 0xc0];
        else
            row = &insn_group[row->op][modrm & 7];
        *flags |= row_flags(row);
    } while (row_flags(row) & T_INDIRECT);
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

/* Prefixes and the first opcode byte. */
static enum insn_status parse_prefixes(struct decoding *d)
{
    for (;;) {
        if (unlikely(d->pos >= d->limit))
            return out_of_bytes(d->n);
        d->op = d->b[d->pos++];
        d->row = &insn_map1[d->op];
        if (likely(!(row_flags(d->row) & T_PREFIX)))
            return INSN_OK;
        if ((d->op & 0xf0) != 0x40) {
            d->rex = 0; /* REX counts only right before the opcode */
            d->prefixes = add_prefix(d->op, d->is64, d->prefixes, &d->seg);
        } else if (d->is64) {
            d->rex = d->op;
        } else {
            d->row = &insn_row_plain; /* INC, DEC */
            return INSN_OK;
        }
    }
}

/* The opcode's other bytes, VEX included: the row to begin with. */
static enum insn_status parse_opcode(struct decoding *d, struct insn *in)
{
    u32 p = d->prefixes;
    enum insn_status st;

    if (d->op == 0x0f) {
        if (unlikely(d->pos >= d->limit))
            return out_of_bytes(d->n);
        d->op = d->b[d->pos++];
        d->row = &insn_map2[d->op];
        d->map = 1;
    }
    d->pp = p >> P_REP_SHIFT ? p >> P_REP_SHIFT : p & P_OPSIZE;
    in->vvvv = in->vexl = 0;
    if (unlikely(row_flags(d->row) & T_SPECIAL)) {
        struct vex v = {.opcode = d->op, .map = d->map, .pp = (u8)d->pp};

        d->row = parse_special(d->b, d->n, &d->pos, p, d->rex, in->mode, &v, &st);
        if (!d->row)
            return st;
        d->vex = (d->op == 0xc4 || d->op == 0xc5) && d->row != &insn_row_les_lds;
        if (d->vex) {
            d->rex = v.rex;
            d->pp = v.pp;
            in->vvvv = v.vvvv;
            in->vexl = v.l;
        }
        d->op = v.opcode;
        d->map = v.map;
    }
    d->flags = row_flags(d->row);
    return INSN_OK;
}

/* ModRM and what belongs to it, but the displacement's bytes. */
static enum insn_status parse_modrm(struct decoding *d, struct insn *in)
{
    unsigned mod;
    u8 modrm, follow;

    if (unlikely(d->pos >= d->limit))
        return out_of_bytes(d->n);
    modrm = d->modrm = d->b[d->pos++];
    follow = take_modrm(in, modrm);
    in->reg |= (d->rex & 4u) << 1;
    in->rm |= (d->rex & 1u) << 3;
    mod = modrm >> 6;
    if (mod == 3)
        return INSN_OK;
    if (unlikely(insn_shapes[d->row->shape].form == F_CR)) {
        in->base = INSN_NO_REG;
        return INSN_OK;
    }
    in->flags = INSN_HAS_MEM;
    if (unlikely(in->asize == 2)) {
        d->disp_len = parse_mem16(in, mod, modrm & 7);
    } else if (follow & FOLLOW_SIB) {
        if (unlikely(d->pos >= d->limit))
            return out_of_bytes(d->n);
        d->disp_len = parse_sib(in, mod, d->rex, d->b[d->pos++]);
    } else {
        in->base |= (d->rex & 1u) << 3;
        if (d->rex & 1)
            in->seg = SEG_DS;
        d->disp_len = follow & 7;
        if ((follow & FOLLOW_DISP) && d->is64)
            in->flags |= INSN_RIP_REL;
    }
    return INSN_OK;
}

/* No ModRM: the opcode's low bits may name a register. */
static void no_modrm(const struct decoding *d, struct insn *in)
{
    in->seg = SEG_DS;
    in->base = in->index = INSN_NO_REG;
    in->scale = in->reg = in->modrm = 0;
    in->rm = (d->op & 7) | (u8)((d->rex & 1u) << 3);
}

/* The row that counts, and its columns' meaning in this mode with these prefixes. */
static enum insn_status apply_row(struct decoding *d, struct insn *in, unsigned attr)
{
    unsigned imm = insn_shapes[d->row->shape].imm;
    enum insn_status verdict = INSN_OK, st;
    const struct insn_shape *shape;

    if (d->flags & T_INDIRECT)
        d->row = resolve(d->row, d->modrm, d->pp, &d->flags);
    shape = &insn_shapes[d->row->shape];
    d->imm_rule = imm ? imm : shape->imm;
    __builtin_memcpy(in, shape, sizeof(*shape));
    in->op = d->row->op;
    if (unlikely(d->flags & T_CHECKED))
        verdict = check_row(in, d->flags, in->flags & INSN_HAS_MEM);
    in->opsize = size_bytes[shape->size][attr];
    in->msize = shape->mem == M_SAME ? in->opsize : (u8)mem_bytes(shape->mem, in->opsize, in->mode);
    if (d->rex & 0xf0)
        in->flags |= INSN_REX;
    st = apply_prefixes(in, d->prefixes, d->seg, d->vex);
    return verdict != INSN_OK ? verdict : st;
}

static __attribute__((noinline)) enum insn_status decode_any(const u8 *b, unsigned n,
                                                             enum insn_mode mode, struct insn *in)
{
    struct decoding d = {.b = b,
                         .n = n,
                         .limit = MIN(n, (unsigned)INSN_MAX),
                         .is64 = mode == INSN_64,
                         .seg = NO_SEG};
    enum insn_status st, verdict; /* the verdict stands only if the length is legal */
    unsigned attr;

    in->mode = (u8)mode;
    in->flags = 0;
    st = parse_prefixes(&d);
    if (st == INSN_OK)
        st = parse_opcode(&d, in);
    if (st != INSN_OK)
        return st;
    in->asize = address_bytes[mode][d.prefixes >> 1 & 1];
    attr = attributes[mode][d.rex >> 3 & 1][d.prefixes & P_OPSIZE];
    if (d.flags & T_MODRM)
        st = parse_modrm(&d, in);
    else
        no_modrm(&d, in);
    if (st != INSN_OK)
        return st;
    in->opcode = d.op;
    in->map = d.map;
    in->rexw = d.rex >> 3 & 1;
    verdict = apply_row(&d, in, attr);
    if (d.flags & (T_UD | T_SPECIAL))
        return verdict; /* its length is not known */
    st = finish(b, n, d.pos, d.disp_len, d.imm_rule, attr, in);
    return st == INSN_OK ? verdict : st;
}

enum insn_status insn_decode(const u8 *bytes, unsigned n, enum insn_mode mode, struct insn *out)
{
    if (likely(n >= INSN_MAX && mode == INSN_64) && decode_quick(bytes, out))
        return INSN_OK;
    return decode_any(bytes, n, mode, out);
}
