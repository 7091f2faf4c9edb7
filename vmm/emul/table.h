/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The opcode table's columns (Intel SDM volume 2, appendix A; docs/emulator.md explains how to add
 * an instruction). Rows are found by opcode map and byte, then where a row says so by mandatory
 * prefix, by ModRM.reg, or by memory against register.
 */
#ifndef VMM_EMUL_TABLE_H
#define VMM_EMUL_TABLE_H

#include "lib/types.h"
#include "vmm/emul/insn.h"

/* form: where the operands are. First is the destination. */
enum insn_form {
    F_NONE,
    F_RM,       /* register or memory */
    F_RM_R,     /* register or memory, ModRM.reg */
    F_R_RM,     /* ModRM.reg, register or memory */
    F_RM_IMM,   /* register or memory, immediate */
    F_R_RM_IMM, /* ModRM.reg, register or memory, immediate */
    F_RM_R_IMM, /* register or memory, ModRM.reg, immediate */
    F_RM_R_CL,  /* register or memory, ModRM.reg, CL */
    F_RM_1,     /* register or memory, one */
    F_RM_CL,    /* register or memory, CL */
    F_ACC_IMM,  /* accumulator, immediate */
    F_ACC_DX,   /* accumulator, DX */
    F_ACC_MEM,  /* accumulator, moffset */
    F_MEM_ACC,  /* moffset, accumulator */
    F_OPREG,    /* register in the opcode's low three bits */
    F_IMM,      /* immediate */
    F_R_V_RM,   /* ModRM.reg, VEX.vvvv, register or memory */
    F_R_RM_V,   /* ModRM.reg, register or memory, VEX.vvvv */
    F_V_RM,     /* VEX.vvvv, register or memory */
    F_CR,       /* ModRM.reg and ModRM.rm are registers whatever ModRM.mod says */
};

/* size: the operand size. */
enum insn_size {
    S_NONE, /* 4; nothing depends on it */
    S_B,    /* 1 */
    S_W,    /* 2 */
    S_D,    /* 4 */
    S_Q,    /* 8 */
    S_X,    /* 16 */
    S_V,    /* 2, 4 or 8 by operand size */
    S_Z,    /* 2 or 4: 4 where V is 8 */
    S_Y,    /* 4, or 8 with REX.W */
    S_64,   /* 2 or 4; in 64-bit mode 8, or 2 with 66 */
    S_F64,  /* 2 or 4; in 64-bit mode 8 always */
    S_N,    /* 4 (2 with 66); in 64-bit mode 8 */
    S_VL,   /* vector: 16, or 32 with VEX.L */
    S_RULES
};

/* imm: bytes after the addressing form. */
enum insn_imm {
    I_NONE,
    I_B,     /* 1, sign-extended */
    I_UB,    /* 1, zero-extended */
    I_W,     /* 2, zero-extended */
    I_Z,     /* 2 or 4 by operand size, sign-extended */
    I_V,     /* 2, 4 or 8 */
    I_J,     /* branch displacement: as I_Z; in 64-bit mode always 4 */
    I_WB,    /* 2 and 1 (ENTER) */
    I_FAR,   /* offset by operand size, and a selector */
    I_BB,    /* 2 bytes (EXTRQ, INSERTQ) */
    I_MOFFS, /* an address, by address size */
    I_RULES
};

/* mem: bytes of memory covered, where it differs from the operand size. */
enum insn_mem {
    M_SAME,
    M_1,
    M_2,
    M_4,
    M_8,
    M_16,
    M_TWICE /* BOUND */,
    M_PLUS2 /* far pointers */,
    M_TABLE /* 6 or 10: GDTR, IDTR */,
    M_PAIR /* 8, or 16 with REX.W: CMPXCHG8B */,
    M_NONE
};

#define T_MODRM     0x0001u /* a ModRM byte follows */
#define T_PREFIX    0x0002u /* a prefix, or one in 64-bit mode (REX) */
#define T_SPECIAL   0x0004u /* escapes: 0F, VEX, EVEX */
#define T_GROUP     0x0008u /* op: index into insn_group[][ModRM.reg] */
#define T_PFX       0x0010u /* op: index into insn_pfx[][none, 66, F3, F2] */
#define T_MOD3      0x0020u /* op: index into insn_mod3[][memory, register] */
#define T_RM3       0x0040u /* op: index into insn_group[][ModRM.rm] */
#define T_INDIRECT  (T_GROUP | T_PFX | T_MOD3 | T_RM3)
#define T_LOCK      0x0080u /* may be locked when its destination is memory */
#define T_NO64      0x0100u /* #UD in 64-bit mode */
#define T_CHECK_REG 0x0200u /* not every ModRM.reg is a register: segment, control, debug */
#define T_MEM       0x0400u /* #UD with a register */
#define T_REG       0x0800u /* #UD with memory */
#define T_VEX       0x1000u /* exists with VEX too */
#define T_VEX_L0    0x2000u /* with VEX: L must be 0 */
#define T_UD        0x4000u /* undefined */
#define T_ALIGNED   0x8000u /* vector moves: #GP unless aligned */
#define T_CHECKED   (T_NO64 | T_CHECK_REG | T_MEM | T_REG | T_UD | T_SPECIAL)

/* A row's columns but for the operation: many rows have the same. */
struct insn_shape {
    u8 op; /* 0: the row's takes its place in struct insn */
    u8 form, size, imm, mem, access;
    u16 flags;
};
ASSERT_SIZE(struct insn_shape, 8);
extern const struct insn_shape insn_shapes[];

struct insn_row {
    u8 op, shape;
};

extern const struct insn_row insn_map1[256], insn_map2[256];
/* 62, 63, C4 and C5 where they are not escapes or differ by mode. */
extern const struct insn_row insn_row_bound, insn_row_arpl, insn_row_movsxd, insn_row_les_lds,
    insn_row_plain;
extern const struct insn_row insn_group[][8], insn_pfx[][4], insn_mod3[][2];

static inline u32 row_flags(const struct insn_row *row)
{
    return insn_shapes[row->shape].flags;
}

/* Rows of the three-byte maps, and of VEX maps 1 to 3. pp: 0 none, 1 66, 2 F3, 3 F2. */
const struct insn_row *insn_row_38(u8 opcode, unsigned pp);
const struct insn_row *insn_row_3a(u8 opcode, unsigned pp);
const struct insn_row *insn_row_vex(unsigned map, u8 opcode, unsigned pp);

#endif
