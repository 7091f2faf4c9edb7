/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The opcode tables: one row an opcode, in the order of Intel SDM volume 2, appendix A. A row that
 * says OP_NONE has its length known and is not executed.
 */
#include "vmm/emul/table.h"
#include "vmm/emul/shapes.h"

/* clang-format off */
/* Access and flags of shapes, as names that can stand in a shape's name. */
enum { R = INSN_READ, W = INSN_WRITE, RW = R | W };
enum {
    FL_NONE = 0, /* from here to FL_PLAIN_PFX there is no ModRM byte */
    FL_UD = T_UD,
    FL_PREFIX = T_PREFIX,
    FL_SPECIAL = T_SPECIAL,
    FL_NO64 = T_NO64,
    FL_PLAIN_PFX = T_PFX,
    FL_MODRM = T_MODRM,
    FL_LOCK = T_MODRM | T_LOCK,
    FL_MEM = T_MODRM | T_MEM,
    FL_REG = T_MODRM | T_REG,
    FL_CHECK = T_MODRM | T_CHECK_REG,
    FL_GROUP = T_MODRM | T_GROUP,
    FL_GROUP_NO64 = FL_GROUP | T_NO64,
    FL_PFX = T_MODRM | T_PFX,
    FL_MOD3 = T_MODRM | T_MOD3,
    FL_RM3 = T_MODRM | T_RM3,
    FL_VEX = T_MODRM | T_VEX,
    FL_VEX_MOD3 = FL_VEX | T_MOD3,
    FL_VEX_MEM = FL_VEX | T_MEM,
    FL_VEX_ALIGNED = FL_VEX | T_ALIGNED,
    FL_VEX_ALIGNED_MEM = FL_VEX_ALIGNED | T_MEM,
    FL_VEX_L0 = FL_VEX | T_VEX_L0,
    FL_VEX_L0_MEM = FL_VEX_L0 | T_MEM,
};

/* A row names its shape by the shape's columns; shapes.h lists those that there are. */
#define NAME(f, s, i, m, a, fl) SHAPE_##f##_##s##_##i##_##m##_##a##_##fl
#define ROW(op, ...) {op, NAME(__VA_ARGS__)}

#define SHAPE_NAME(...) NAME(__VA_ARGS__),
#define SHAPE(...)      {0, __VA_ARGS__},
enum { INSN_SHAPES(SHAPE_NAME) SHAPE_COUNT };
_Static_assert(SHAPE_COUNT <= 256, "a row names its shape by a byte");
const struct insn_shape insn_shapes[] = {INSN_SHAPES(SHAPE)};

/* Rows: operation, form, size, immediate, memory, access, flags. */
#define UD        ROW(OP_NONE, F_NONE, S_NONE, I_NONE, M_NONE, 0, FL_UD)
#define PREFIX    ROW(OP_NONE, F_NONE, S_NONE, I_NONE, M_NONE, 0, FL_PREFIX)
#define SPECIAL   ROW(OP_NONE, F_NONE, S_NONE, I_NONE, M_NONE, 0, FL_SPECIAL)
#define PLAIN     ROW(OP_NONE, F_NONE, S_NONE, I_NONE, M_NONE, 0, FL_NONE) /* no operand bytes */
#define PLAIN_I(i)ROW(OP_NONE, F_NONE, S_NONE, i, M_NONE, 0, FL_NONE)
#define NO64(i)   ROW(OP_NONE, F_NONE, S_NONE, i, M_NONE, 0, FL_NO64)
#define MODRM     ROW(OP_NONE, F_RM, S_V, I_NONE, M_NONE, 0, FL_MODRM)
#define MODRM_I   ROW(OP_NONE, F_RM, S_V, I_UB, M_NONE, 0, FL_MODRM)
#define MODRM_R   ROW(OP_NONE, F_RM, S_V, I_NONE, M_NONE, 0, FL_REG)
#define MODRM_M   ROW(OP_NONE, F_RM, S_V, I_NONE, M_NONE, 0, FL_MEM)
#define SYS(o)    ROW(o, F_NONE, S_NONE, I_NONE, M_NONE, 0, FL_NONE)
#define GROUP(g, i, f) ROW(g, F_RM, S_V, i, M_SAME, 0, f)
#define PFX(p)    ROW(p, F_RM, S_V, I_NONE, M_NONE, 0, FL_PFX)
#define MOD3(p)   ROW(p, F_RM, S_V, I_NONE, M_NONE, 0, FL_MOD3)
#define RM3(g)    ROW(g, F_RM, S_V, I_NONE, M_NONE, 0, FL_RM3)

/* The six ALU forms; a: access to memory by the forms that write, f: FL_LOCK or FL_MODRM. */
#define ALU(o, a, f)                                  \
    ROW(o, F_RM_R, S_B, I_NONE, M_SAME, a, f),        \
    ROW(o, F_RM_R, S_V, I_NONE, M_SAME, a, f),        \
    ROW(o, F_R_RM, S_B, I_NONE, M_SAME, R, FL_MODRM), \
    ROW(o, F_R_RM, S_V, I_NONE, M_SAME, R, FL_MODRM), \
    ROW(o, F_ACC_IMM, S_B, I_B, M_NONE, 0, FL_NONE),  \
    ROW(o, F_ACC_IMM, S_V, I_Z, M_NONE, 0, FL_NONE)
#define STR(o, a) \
    ROW(o, F_NONE, S_B, I_NONE, M_SAME, a, FL_NONE), ROW(o, F_NONE, S_V, I_NONE, M_SAME, a, FL_NONE)
#define X2(...)  __VA_ARGS__, __VA_ARGS__
#define X4(...)  X2(__VA_ARGS__), X2(__VA_ARGS__)
#define X8(...)  X4(__VA_ARGS__), X4(__VA_ARGS__)
#define X16(...) X8(__VA_ARGS__), X8(__VA_ARGS__)
/* Vector moves: load and store of a whole operand, of a low element. */
#define VLOAD(f)      ROW(OP_VMOV, F_R_RM, S_VL, I_NONE, M_SAME, R, f)
#define VSTORE(f)     ROW(OP_VMOV, F_RM_R, S_VL, I_NONE, M_SAME, W, f)
#define VLOW(s, m, f) ROW(OP_VMOV_LOW, F_R_RM, s, I_NONE, m, R, f)
#define VLOWST(s, m, f) ROW(OP_VMOV_LOW, F_RM_R, s, I_NONE, m, W, f)
#define VHALF(fm, a)  ROW(OP_VMOV_HALF, fm, S_X, I_NONE, M_8, a, FL_VEX_L0_MEM)

enum group {
    G1_B, G1_V, G1A, G2_BI, G2_VI, G2_B1, G2_V1, G2_BC, G2_VC, G3_B, G3_V, G4, G5, G6, G7_MEM,
    G7_0, G7_1, G7_2, G7_3, G7_7, G7_REG, G8, G9_MEM, G9_REG, G11_B, G11_V, G12, G13, G14, G15_MEM,
    G15_REG, G16, GP, G17
};

enum mod3 { M_0F01, M_0FC7, M_0FAE, M_MOVS, M_MOVLPS, M_MOVHPS };

enum pfx {
    P_10, P_11, P_12, P_13, P_16, P_17, P_28, P_29, P_2B, P_6E, P_6F, P_7E, P_7F, P_D6, P_E7, P_F0,
    P_AE6, P_AE7, P_BC, P_BD, P_B8, P_C3, P_90, P_78, P_1E
};

const struct insn_row insn_map1[256] = {
    /* 00 */ ALU(OP_ADD, RW, FL_LOCK), X2(NO64(I_NONE)),
    /* 08 */ ALU(OP_OR, RW, FL_LOCK), NO64(I_NONE), SPECIAL,
    /* 10 */ ALU(OP_ADC, RW, FL_LOCK), X2(NO64(I_NONE)),
    /* 18 */ ALU(OP_SBB, RW, FL_LOCK), X2(NO64(I_NONE)),
    /* 20 */ ALU(OP_AND, RW, FL_LOCK), PREFIX, NO64(I_NONE),
    /* 28 */ ALU(OP_SUB, RW, FL_LOCK), PREFIX, NO64(I_NONE),
    /* 30 */ ALU(OP_XOR, RW, FL_LOCK), PREFIX, NO64(I_NONE),
    /* 38 */ ALU(OP_CMP, R, FL_MODRM), PREFIX, NO64(I_NONE),
    /* 40: INC and DEC of a register; REX in 64-bit mode */
    X16(PREFIX),
    /* 50 */ X8(ROW(OP_PUSH, F_OPREG, S_64, I_NONE, M_NONE, 0, FL_NONE)),
    /* 58 */ X8(ROW(OP_POP, F_OPREG, S_64, I_NONE, M_NONE, 0, FL_NONE)),
    /* 60 */ X2(NO64(I_NONE)), SPECIAL, SPECIAL,
    /* 64 */ X4(PREFIX),
    /* 68 */ ROW(OP_PUSH, F_IMM, S_64, I_Z, M_NONE, 0, FL_NONE),
    ROW(OP_IMUL_REG, F_R_RM_IMM, S_V, I_Z, M_SAME, R, FL_MODRM),
    ROW(OP_PUSH, F_IMM, S_64, I_B, M_NONE, 0, FL_NONE),
    ROW(OP_IMUL_REG, F_R_RM_IMM, S_V, I_B, M_SAME, R, FL_MODRM),
    /* 6c */ ROW(OP_INS, F_NONE, S_B, I_NONE, M_SAME, W, FL_NONE),
    ROW(OP_INS, F_NONE, S_Z, I_NONE, M_SAME, W, FL_NONE),
    ROW(OP_OUTS, F_NONE, S_B, I_NONE, M_SAME, R, FL_NONE),
    ROW(OP_OUTS, F_NONE, S_Z, I_NONE, M_SAME, R, FL_NONE),
    /* 70 */ X16(PLAIN_I(I_B)),
    /* 80 */ GROUP(G1_B, I_B, FL_GROUP), GROUP(G1_V, I_Z, FL_GROUP),
    GROUP(G1_B, I_B, FL_GROUP_NO64), GROUP(G1_V, I_B, FL_GROUP),
    ROW(OP_TEST, F_RM_R, S_B, I_NONE, M_SAME, R, FL_MODRM),
    ROW(OP_TEST, F_RM_R, S_V, I_NONE, M_SAME, R, FL_MODRM),
    ROW(OP_XCHG, F_RM_R, S_B, I_NONE, M_SAME, RW, FL_LOCK),
    ROW(OP_XCHG, F_RM_R, S_V, I_NONE, M_SAME, RW, FL_LOCK),
    /* 88 */ ROW(OP_MOV, F_RM_R, S_B, I_NONE, M_SAME, W, FL_MODRM),
    ROW(OP_MOV, F_RM_R, S_V, I_NONE, M_SAME, W, FL_MODRM),
    ROW(OP_MOV, F_R_RM, S_B, I_NONE, M_SAME, R, FL_MODRM),
    ROW(OP_MOV, F_R_RM, S_V, I_NONE, M_SAME, R, FL_MODRM),
    ROW(OP_MOV_SREG_STORE, F_RM_R, S_V, I_NONE, M_2, W, FL_CHECK),
    ROW(OP_LEA, F_R_RM, S_V, I_NONE, M_NONE, 0, FL_MEM),
    ROW(OP_MOV_SREG_LOAD, F_R_RM, S_V, I_NONE, M_2, R, FL_CHECK),
    GROUP(G1A, I_NONE, FL_GROUP),
    /* 90 */ ROW(P_90, F_NONE, S_NONE, I_NONE, M_NONE, 0, FL_PLAIN_PFX), X4(PLAIN),
    PLAIN, PLAIN, PLAIN,
    /* 98 */ PLAIN, PLAIN, NO64(I_FAR), PLAIN, PLAIN, PLAIN, PLAIN, PLAIN,
    /* a0 */ ROW(OP_MOV, F_ACC_MEM, S_B, I_MOFFS, M_SAME, R, FL_NONE),
    ROW(OP_MOV, F_ACC_MEM, S_V, I_MOFFS, M_SAME, R, FL_NONE),
    ROW(OP_MOV, F_MEM_ACC, S_B, I_MOFFS, M_SAME, W, FL_NONE),
    ROW(OP_MOV, F_MEM_ACC, S_V, I_MOFFS, M_SAME, W, FL_NONE),
    /* a4 */ STR(OP_MOVS, RW), STR(OP_CMPS, R),
    /* a8 */ ROW(OP_TEST, F_ACC_IMM, S_B, I_B, M_NONE, 0, FL_NONE),
    ROW(OP_TEST, F_ACC_IMM, S_V, I_Z, M_NONE, 0, FL_NONE),
    STR(OP_STOS, W), STR(OP_LODS, R), STR(OP_SCAS, R),
    /* b0 */ X8(ROW(OP_MOV, F_OPREG, S_B, I_B, M_NONE, 0, FL_NONE)),
    /* b8 */ X8(ROW(OP_MOV, F_OPREG, S_V, I_V, M_NONE, 0, FL_NONE)),
    /* c0 */ GROUP(G2_BI, I_UB, FL_GROUP), GROUP(G2_VI, I_UB, FL_GROUP),
    ROW(OP_RET, F_IMM, S_F64, I_W, M_NONE, 0, FL_NONE),
    ROW(OP_RET, F_NONE, S_F64, I_NONE, M_NONE, 0, FL_NONE),
    /* c4 */ SPECIAL, SPECIAL, GROUP(G11_B, I_B, FL_GROUP), GROUP(G11_V, I_Z, FL_GROUP),
    /* c8 */ PLAIN_I(I_WB), PLAIN, PLAIN_I(I_W), PLAIN, PLAIN, PLAIN_I(I_UB), NO64(I_NONE), PLAIN,
    /* d0 */ GROUP(G2_B1, I_NONE, FL_GROUP), GROUP(G2_V1, I_NONE, FL_GROUP),
    GROUP(G2_BC, I_NONE, FL_GROUP),
    GROUP(G2_VC, I_NONE, FL_GROUP),
    /* d4 */ NO64(I_UB), NO64(I_UB), NO64(I_NONE),
    ROW(OP_XLAT, F_NONE, S_B, I_NONE, M_SAME, R, FL_NONE),
    /* d8: x87 */ X8(MODRM),
    /* e0 */ X4(PLAIN_I(I_B)),
    ROW(OP_IN, F_ACC_IMM, S_B, I_UB, M_NONE, 0, FL_NONE),
    ROW(OP_IN, F_ACC_IMM, S_Z, I_UB, M_NONE, 0, FL_NONE),
    ROW(OP_OUT, F_ACC_IMM, S_B, I_UB, M_NONE, 0, FL_NONE),
    ROW(OP_OUT, F_ACC_IMM, S_Z, I_UB, M_NONE, 0, FL_NONE),
    /* e8 */ ROW(OP_CALL, F_IMM, S_F64, I_J, M_NONE, 0, FL_NONE), PLAIN_I(I_J), NO64(I_FAR),
    PLAIN_I(I_B),
    ROW(OP_IN, F_ACC_DX, S_B, I_NONE, M_NONE, 0, FL_NONE),
    ROW(OP_IN, F_ACC_DX, S_Z, I_NONE, M_NONE, 0, FL_NONE),
    ROW(OP_OUT, F_ACC_DX, S_B, I_NONE, M_NONE, 0, FL_NONE),
    ROW(OP_OUT, F_ACC_DX, S_Z, I_NONE, M_NONE, 0, FL_NONE),
    /* f0 */ PREFIX, PLAIN, PREFIX, PREFIX, SYS(OP_HLT), PLAIN, GROUP(G3_B, I_NONE, FL_GROUP),
    GROUP(G3_V, I_NONE, FL_GROUP),
    /* f8 */ PLAIN, PLAIN, PLAIN, PLAIN, PLAIN, PLAIN, GROUP(G4, I_NONE, FL_GROUP),
    GROUP(G5, I_NONE, FL_GROUP),
};

#define CMOV  ROW(OP_CMOV, F_R_RM, S_V, I_NONE, M_SAME, R, FL_MODRM)
#define SETCC ROW(OP_SETCC, F_RM, S_B, I_NONE, M_SAME, W, FL_MODRM)
#define BITOP(o, a, f) ROW(o, F_RM_R, S_V, I_NONE, M_SAME, a, f)
#define MOVCR(o, s) ROW(o, F_CR, s, I_NONE, M_NONE, 0, FL_CHECK)
#define HINT ROW(OP_NOP, F_RM, S_V, I_NONE, M_NONE, 0, FL_MODRM)

const struct insn_row insn_map2[256] = {
    /* 00 */ GROUP(G6, I_NONE, FL_GROUP), MOD3(M_0F01), MODRM, MODRM, UD, PLAIN, SYS(OP_CLTS),
    PLAIN,
    /* 08 */ SYS(OP_INVD), SYS(OP_WBINVD), UD, UD, UD, GROUP(GP, I_NONE, FL_GROUP), PLAIN, MODRM_I,
    /* 10 */ PFX(P_10), PFX(P_11), PFX(P_12), PFX(P_13), MODRM, MODRM, PFX(P_16), PFX(P_17),
    /* 18 */ GROUP(G16, I_NONE, FL_GROUP), HINT, MODRM, MODRM, MODRM, HINT, PFX(P_1E), HINT,
    /* 20 */ MOVCR(OP_MOV_FROM_CR, S_N), MOVCR(OP_MOV_FROM_DR, S_N), MOVCR(OP_MOV_TO_CR, S_N),
    MOVCR(OP_MOV_TO_DR, S_N), UD, UD, UD, UD,
    /* 28 */ PFX(P_28), PFX(P_29), MODRM, PFX(P_2B), MODRM, MODRM, MODRM, MODRM,
    /* 30 */ SYS(OP_WRMSR), SYS(OP_RDTSC), SYS(OP_RDMSR), SYS(OP_RDPMC), PLAIN, PLAIN, UD, PLAIN,
    /* 38 */ SPECIAL, UD, SPECIAL, UD, UD, UD, UD, UD,
    /* 40 */ X16(CMOV),
    /* 50 */ X8(MODRM), X8(MODRM),
    /* 60 */ X8(MODRM), X4(MODRM), MODRM, MODRM, PFX(P_6E), PFX(P_6F),
    /* 70 */ MODRM_I, GROUP(G12, I_UB, FL_GROUP), GROUP(G13, I_UB, FL_GROUP),
    GROUP(G14, I_UB, FL_GROUP), X2(MODRM), MODRM,
    PLAIN,
    /* 78 */ PFX(P_78), MODRM, UD, UD, MODRM, MODRM, PFX(P_7E), PFX(P_7F),
    /* 80 */ X16(PLAIN_I(I_J)),
    /* 90 */ X16(SETCC),
    /* a0 */ PLAIN, PLAIN, SYS(OP_CPUID), BITOP(OP_BT, R, FL_MODRM),
    ROW(OP_SHLD, F_RM_R_IMM, S_V, I_UB, M_SAME, RW, FL_MODRM),
    ROW(OP_SHLD, F_RM_R_CL, S_V, I_NONE, M_SAME, RW, FL_MODRM), UD, UD,
    /* a8 */ PLAIN, PLAIN, PLAIN, BITOP(OP_BTS, RW, FL_LOCK),
    ROW(OP_SHRD, F_RM_R_IMM, S_V, I_UB, M_SAME, RW, FL_MODRM),
    ROW(OP_SHRD, F_RM_R_CL, S_V, I_NONE, M_SAME, RW, FL_MODRM), MOD3(M_0FAE),
    ROW(OP_IMUL_REG, F_R_RM, S_V, I_NONE, M_SAME, R, FL_MODRM),
    /* b0 */ ROW(OP_CMPXCHG, F_RM_R, S_B, I_NONE, M_SAME, RW, FL_LOCK),
    ROW(OP_CMPXCHG, F_RM_R, S_V, I_NONE, M_SAME, RW, FL_LOCK),
    ROW(OP_LOAD_FAR_PTR, F_R_RM, S_V, I_NONE, M_PLUS2, R, FL_MEM), BITOP(OP_BTR, RW, FL_LOCK),
    ROW(OP_LOAD_FAR_PTR, F_R_RM, S_V, I_NONE, M_PLUS2, R, FL_MEM),
    ROW(OP_LOAD_FAR_PTR, F_R_RM, S_V, I_NONE, M_PLUS2, R, FL_MEM),
    ROW(OP_MOVZX, F_R_RM, S_V, I_NONE, M_1, R, FL_MODRM),
    ROW(OP_MOVZX, F_R_RM, S_V, I_NONE, M_2, R, FL_MODRM),
    /* b8 */ PFX(P_B8), UD, GROUP(G8, I_UB, FL_GROUP), BITOP(OP_BTC, RW, FL_LOCK), PFX(P_BC),
    PFX(P_BD),
    ROW(OP_MOVSX, F_R_RM, S_V, I_NONE, M_1, R, FL_MODRM),
    ROW(OP_MOVSX, F_R_RM, S_V, I_NONE, M_2, R, FL_MODRM),
    /* c0 */ ROW(OP_XADD, F_RM_R, S_B, I_NONE, M_SAME, RW, FL_LOCK),
    ROW(OP_XADD, F_RM_R, S_V, I_NONE, M_SAME, RW, FL_LOCK), MODRM_I, PFX(P_C3), MODRM_I,
    MODRM_I, MODRM_I, MOD3(M_0FC7),
    /* c8 */ X8(PLAIN),
    /* d0 */ X4(MODRM), MODRM, MODRM, PFX(P_D6), MODRM, X8(MODRM),
    /* e0 */ X4(MODRM), MODRM, MODRM, MODRM, PFX(P_E7), X8(MODRM),
    /* f0 */ PFX(P_F0), MODRM, X2(MODRM), X4(MODRM), X4(MODRM), MODRM, MODRM, MODRM, UD,
};

/* One operand, read and written. */
#define RMW(o, s, f)  ROW(o, F_RM, s, I_NONE, M_SAME, RW, f)
#define RD(o, s)      ROW(o, F_RM, s, I_NONE, M_SAME, R, FL_MODRM)
#define IMM(o, s, i, a, f) ROW(o, F_RM_IMM, s, i, M_SAME, a, f)
#define G1_ROW(o, s, i) IMM(o, s, i, RW, FL_LOCK)
#define G1_ROWS(s, i)                                                                             \
    {G1_ROW(OP_ADD, s, i), G1_ROW(OP_OR, s, i), G1_ROW(OP_ADC, s, i), G1_ROW(OP_SBB, s, i),       \
     G1_ROW(OP_AND, s, i), G1_ROW(OP_SUB, s, i), G1_ROW(OP_XOR, s, i),                            \
     IMM(OP_CMP, s, i, R, FL_MODRM)}
#define G2_ROW(o, f, s, i) ROW(o, f, s, i, M_SAME, RW, FL_MODRM)
#define G2_ROWS(f, s, i)                                                                          \
    {G2_ROW(OP_ROL, f, s, i), G2_ROW(OP_ROR, f, s, i), G2_ROW(OP_RCL, f, s, i),                   \
     G2_ROW(OP_RCR, f, s, i), G2_ROW(OP_SHL, f, s, i), G2_ROW(OP_SHR, f, s, i),                   \
     G2_ROW(OP_SAL, f, s, i), G2_ROW(OP_SAR, f, s, i)}
#define G3_ROWS(s, i)                                                                             \
    {IMM(OP_TEST, s, i, R, FL_MODRM), IMM(OP_TEST, s, i, R, FL_MODRM), RMW(OP_NOT, s, FL_LOCK),   \
     RMW(OP_NEG, s, FL_LOCK), RD(OP_MUL, s), RD(OP_IMUL, s), RD(OP_DIV, s), RD(OP_IDIV, s)}
#define TABLE_MEM(o, a) ROW(o, F_RM, S_N, I_NONE, M_TABLE, a, FL_MEM)
#define SYS_W(o, a) ROW(o, F_RM, S_V, I_NONE, M_2, a, FL_MODRM)
#define SYS_R(o) ROW(o, F_NONE, S_NONE, I_NONE, M_NONE, 0, FL_REG)
#define FETCH ROW(OP_PREFETCH, F_RM, S_V, I_NONE, M_NONE, 0, FL_MODRM)

/* Rows of groups replace the opcode's row; the immediate of groups 1, 2, 8 and 11 included. */
const struct insn_row insn_group[][8] = {
    [G1_B] = G1_ROWS(S_B, I_B),
    [G1_V] = G1_ROWS(S_V, I_Z), /* 83's sign-extended byte: the decoder keeps the opcode row's imm */
    [G1A] = {ROW(OP_POP, F_RM, S_64, I_NONE, M_SAME, W, FL_MODRM), SPECIAL, SPECIAL, SPECIAL,
             SPECIAL, SPECIAL, SPECIAL, SPECIAL},
    [G2_BI] = G2_ROWS(F_RM_IMM, S_B, I_UB),
    [G2_VI] = G2_ROWS(F_RM_IMM, S_V, I_UB),
    [G2_B1] = G2_ROWS(F_RM_1, S_B, I_NONE),
    [G2_V1] = G2_ROWS(F_RM_1, S_V, I_NONE),
    [G2_BC] = G2_ROWS(F_RM_CL, S_B, I_NONE),
    [G2_VC] = G2_ROWS(F_RM_CL, S_V, I_NONE),
    [G3_B] = G3_ROWS(S_B, I_B),
    [G3_V] = G3_ROWS(S_V, I_Z),
    [G4] = {RMW(OP_INC, S_B, FL_LOCK), RMW(OP_DEC, S_B, FL_LOCK), UD, UD, UD, UD, UD, UD},
    [G5] = {RMW(OP_INC, S_V, FL_LOCK), RMW(OP_DEC, S_V, FL_LOCK),
            ROW(OP_CALL, F_RM, S_F64, I_NONE, M_SAME, R, FL_MODRM), MODRM_M,
            ROW(OP_JMP, F_RM, S_F64, I_NONE, M_SAME, R, FL_MODRM), MODRM_M,
            ROW(OP_PUSH, F_RM, S_64, I_NONE, M_SAME, R, FL_MODRM), UD},
    [G6] = {SYS_W(OP_SLDT, W), SYS_W(OP_STR, W), SYS_W(OP_LLDT, R), SYS_W(OP_LTR, R), MODRM, MODRM,
            UD, UD},
    [G7_MEM] = {TABLE_MEM(OP_SGDT, W), TABLE_MEM(OP_SIDT, W), TABLE_MEM(OP_LGDT, R),
                TABLE_MEM(OP_LIDT, R), SYS_W(OP_SMSW, W), MODRM, SYS_W(OP_LMSW, R),
                ROW(OP_INVLPG, F_RM, S_V, I_NONE, M_NONE, 0, FL_MEM)},
    [G7_REG] = {RM3(G7_0), RM3(G7_1), RM3(G7_2), RM3(G7_3), SYS_W(OP_SMSW, W), MODRM,
                SYS_W(OP_LMSW, R), RM3(G7_7)},
    [G7_0] = {MODRM, SYS_R(OP_VMCALL), X4(MODRM), MODRM, MODRM},
    [G7_1] = {SYS_R(OP_MONITOR), SYS_R(OP_MWAIT), X4(MODRM), MODRM, MODRM},
    [G7_2] = {SYS_R(OP_XGETBV), SYS_R(OP_XSETBV), X4(MODRM), MODRM, MODRM},
    [G7_3] = {MODRM, SYS_R(OP_VMMCALL), X4(MODRM), MODRM, MODRM},
    [G7_7] = {MODRM, SYS_R(OP_RDTSCP), X4(MODRM), MODRM, MODRM},
    [G8] = {UD, UD, UD, UD, IMM(OP_BT, S_V, I_UB, R, FL_MODRM), IMM(OP_BTS, S_V, I_UB, RW, FL_LOCK),
            IMM(OP_BTR, S_V, I_UB, RW, FL_LOCK), IMM(OP_BTC, S_V, I_UB, RW, FL_LOCK)},
    [G9_MEM] = {UD, ROW(OP_CMPXCHG8B, F_RM, S_Y, I_NONE, M_PAIR, RW, FL_LOCK), UD, MODRM, MODRM,
                MODRM, MODRM, MODRM},
    [G9_REG] = {UD, UD, UD, UD, UD, UD, MODRM, MODRM},
    [G11_B] = {IMM(OP_MOV, S_B, I_B, W, FL_MODRM), UD, UD, UD, UD, UD, UD, MODRM},
    [G11_V] = {IMM(OP_MOV, S_V, I_Z, W, FL_MODRM), UD, UD, UD, UD, UD, UD, MODRM},
    [G12] = {UD, UD, MODRM_R, UD, MODRM_R, UD, MODRM_R, UD},
    [G13] = {UD, UD, MODRM_R, UD, MODRM_R, UD, MODRM_R, UD},
    [G14] = {UD, UD, MODRM_R, MODRM_R, UD, UD, MODRM_R, MODRM_R},
    [G15_MEM] = {MODRM, MODRM, MODRM, MODRM, MODRM, MODRM, PFX(P_AE6), PFX(P_AE7)},
    [G15_REG] = {X8(MODRM)},
    [G16] = {FETCH, FETCH, FETCH, FETCH, HINT, HINT, HINT, HINT},
    [GP] = {X8(ROW(OP_PREFETCH, F_RM, S_V, I_NONE, M_NONE, 0, FL_MEM))},
    [G17] = {UD, ROW(OP_BLSR, F_V_RM, S_Y, I_NONE, M_SAME, R, FL_VEX_L0),
             ROW(OP_BLSMSK, F_V_RM, S_Y, I_NONE, M_SAME, R, FL_VEX_L0),
             ROW(OP_BLSI, F_V_RM, S_Y, I_NONE, M_SAME, R, FL_VEX_L0), UD, UD, UD, UD},
};

const struct insn_row insn_mod3[][2] = {
    [M_0F01] = {GROUP(G7_MEM, I_NONE, FL_GROUP), GROUP(G7_REG, I_NONE, FL_GROUP)},
    [M_0FC7] = {GROUP(G9_MEM, I_NONE, FL_GROUP), GROUP(G9_REG, I_NONE, FL_GROUP)},
    [M_0FAE] = {GROUP(G15_MEM, I_NONE, FL_GROUP), GROUP(G15_REG, I_NONE, FL_GROUP)},
    [M_MOVS] = {MODRM, MODRM},
    [M_MOVLPS] = {VHALF(F_R_V_RM, R), ROW(OP_NONE, F_RM, S_X, I_NONE, M_NONE, 0, FL_VEX)},
    [M_MOVHPS] = {VHALF(F_R_V_RM, R), ROW(OP_NONE, F_RM, S_X, I_NONE, M_NONE, 0, FL_VEX)},
};

#define VMOD3(p) ROW(p, F_RM, S_X, I_NONE, M_NONE, 0, FL_VEX_MOD3)
#define SCAN(o)  ROW(o, F_R_RM, S_V, I_NONE, M_SAME, R, FL_MODRM)
#define CFLUSH   ROW(OP_CLFLUSH, F_RM, S_V, I_NONE, M_1, R, FL_MEM)
#define NTI      ROW(OP_MOV, F_RM_R, S_Y, I_NONE, M_SAME, W, FL_MEM)
#define EXTRQ    ROW(OP_NONE, F_RM, S_X, I_BB, M_NONE, 0, FL_REG)

/* By mandatory prefix: none, 66, F3, F2. */
const struct insn_row insn_pfx[][4] = {
    [P_10] = {VLOAD(FL_VEX), VLOAD(FL_VEX), VLOW(S_X, M_4, FL_VEX), VLOW(S_X, M_8, FL_VEX)},
    [P_11] = {VSTORE(FL_VEX), VSTORE(FL_VEX), VLOWST(S_X, M_4, FL_VEX), VLOWST(S_X, M_8, FL_VEX)},
    [P_12] = {VMOD3(M_MOVLPS), VHALF(F_R_V_RM, R), MODRM, MODRM},
    [P_13] = {VHALF(F_RM_R, W), VHALF(F_RM_R, W), UD, UD},
    [P_16] = {VMOD3(M_MOVHPS), VHALF(F_R_V_RM, R), MODRM, UD},
    [P_17] = {VHALF(F_RM_R, W), VHALF(F_RM_R, W), UD, UD},
    [P_28] = {VLOAD(FL_VEX_ALIGNED), VLOAD(FL_VEX_ALIGNED), UD, UD},
    [P_29] = {VSTORE(FL_VEX_ALIGNED), VSTORE(FL_VEX_ALIGNED), UD, UD},
    [P_2B] = {VSTORE(FL_VEX_ALIGNED_MEM), VSTORE(FL_VEX_ALIGNED_MEM), MODRM, MODRM},
    [P_6E] = {MODRM, VLOW(S_Y, M_SAME, FL_VEX_L0), UD, UD},
    [P_6F] = {MODRM, VLOAD(FL_VEX_ALIGNED), VLOAD(FL_VEX), UD},
    [P_7E] = {MODRM, VLOWST(S_Y, M_SAME, FL_VEX_L0), VLOW(S_Q, M_8, FL_VEX_L0), UD},
    [P_7F] = {MODRM, VSTORE(FL_VEX_ALIGNED), VSTORE(FL_VEX), UD},
    [P_D6] = {UD, VLOWST(S_Q, M_8, FL_VEX_L0), MODRM_R, MODRM_R},
    [P_E7] = {MODRM_M, VSTORE(FL_VEX_ALIGNED_MEM), UD, UD},
    [P_F0] = {UD, UD, UD, VLOAD(FL_VEX_MEM)},
    [P_AE6] = {MODRM, CFLUSH, MODRM, UD},
    [P_AE7] = {CFLUSH, CFLUSH, UD, UD},
    [P_BC] = {SCAN(OP_BSF), SCAN(OP_BSF), SCAN(OP_TZCNT), SCAN(OP_BSF)},
    [P_BD] = {SCAN(OP_BSR), SCAN(OP_BSR), SCAN(OP_LZCNT), SCAN(OP_BSR)},
    [P_B8] = {UD, UD, SCAN(OP_POPCNT), UD},
    [P_C3] = {NTI, UD, UD, UD},
    [P_78] = {MODRM, EXTRQ, UD, EXTRQ},
    [P_90] = {PLAIN, PLAIN, SYS(OP_PAUSE), PLAIN},
    [P_1E] = {HINT, HINT, MODRM, HINT},
};

const struct insn_row insn_row_bound = ROW(OP_BOUND, F_R_RM, S_Z, I_NONE, M_TWICE, R, FL_MEM);
const struct insn_row insn_row_arpl = ROW(OP_ARPL, F_RM_R, S_W, I_NONE, M_SAME, RW, FL_MODRM);
const struct insn_row insn_row_movsxd = ROW(OP_MOVSX, F_R_RM, S_V, I_NONE, M_4, R, FL_MODRM);
const struct insn_row insn_row_les_lds =
    ROW(OP_LOAD_FAR_PTR, F_R_RM, S_Z, I_NONE, M_PLUS2, R, FL_MEM);
const struct insn_row insn_row_plain = PLAIN;

static const struct insn_row row_ud = UD, row_modrm = MODRM, row_modrm_i = MODRM_I;

/* Opcodes of the map 0F 38 that are executed, with VEX or without: by prefix none, 66, F3, F2. */
struct row_38 {
    u8 opcode;
    struct insn_row row[4];
};

#define MOVBE_LOAD  ROW(OP_MOVBE, F_R_RM, S_V, I_NONE, M_SAME, R, FL_MEM)
#define MOVBE_STORE ROW(OP_MOVBE, F_RM_R, S_V, I_NONE, M_SAME, W, FL_MEM)
#define CRC_B       ROW(OP_CRC32, F_R_RM, S_Y, I_NONE, M_1, R, FL_MODRM)
#define CRC_V       ROW(OP_CRC32, F_R_RM, S_V, I_NONE, M_SAME, R, FL_MODRM)
#define ADX(o)      ROW(o, F_R_RM, S_Y, I_NONE, M_SAME, R, FL_MODRM)
#define INVPCID     ROW(OP_INVPCID, F_R_RM, S_N, I_NONE, M_16, R, FL_MEM)
#define NTDQA       VLOAD(FL_VEX_ALIGNED_MEM)
#define BMI(o, f)   ROW(o, f, S_Y, I_NONE, M_SAME, R, FL_VEX_L0)

static const struct row_38 rows_38[] = {
    {0x2a, {UD, NTDQA, UD, UD}},
    {0x82, {UD, INVPCID, UD, UD}},
    {0xf0, {MOVBE_LOAD, MOVBE_LOAD, UD, CRC_B}},
    {0xf1, {MOVBE_STORE, MOVBE_STORE, UD, CRC_V}},
    {0xf6, {MODRM, ADX(OP_ADCX), ADX(OP_ADOX), MODRM}},
    {0xf9, {NTI, MODRM, MODRM, MODRM}},
};

static const struct row_38 rows_vex38[] = {
    {0x2a, {UD, NTDQA, UD, UD}},
    {0xf2, {BMI(OP_ANDN, F_R_V_RM), UD, UD, UD}},
    {0xf3, {GROUP(G17, I_NONE, FL_GROUP), UD, UD, UD}},
    {0xf5, {BMI(OP_BZHI, F_R_RM_V), UD, BMI(OP_PEXT, F_R_V_RM), BMI(OP_PDEP, F_R_V_RM)}},
    {0xf6, {UD, UD, UD, BMI(OP_MULX, F_R_V_RM)}},
    {0xf7, {BMI(OP_BEXTR, F_R_RM_V), BMI(OP_SHLX, F_R_RM_V), BMI(OP_SARX, F_R_RM_V),
            BMI(OP_SHRX, F_R_RM_V)}},
};

static const struct insn_row *find_38(const struct row_38 *rows, unsigned n, u8 opcode, unsigned pp)
{
    for (unsigned i = 0; i < n; i++)
        if (rows[i].opcode == opcode)
            return &rows[i].row[pp];
    return &row_modrm;
}

const struct insn_row *insn_row_38(u8 opcode, unsigned pp)
{
    return find_38(rows_38, ARRAY_SIZE(rows_38), opcode, pp);
}

const struct insn_row *insn_row_3a(u8 opcode, unsigned pp)
{
    (void)opcode;
    (void)pp;
    return &row_modrm_i;
}

static const struct insn_row *row_vex0f(u8 opcode, unsigned pp)
{
    const struct insn_row *row = &insn_map2[opcode];

    if (row_flags(row) & T_PFX)
        row = &insn_pfx[row->op][pp];
    if (row_flags(row) & T_VEX)
        return row;
    if (opcode == 0x77)
        return &insn_row_plain;
    if (opcode == 0x70 || opcode == 0xc2 || (opcode >= 0x71 && opcode <= 0x73) ||
        (opcode >= 0xc4 && opcode <= 0xc6))
        return &row_modrm_i;
    if (opcode < 0x10 || (opcode >= 0x18 && opcode < 0x28) || (opcode >= 0x30 && opcode < 0x41) ||
        (opcode >= 0x80 && opcode < 0x90) || (opcode >= 0x9a && opcode < 0xd0 && opcode != 0xae))
        return &row_ud;
    return &row_modrm;
}

const struct insn_row *insn_row_vex(unsigned map, u8 opcode, unsigned pp)
{
    static const struct insn_row rorx = ROW(OP_RORX, F_R_RM_IMM, S_Y, I_UB, M_SAME, R, FL_VEX_L0);

    switch (map) {
    case 1:
        return row_vex0f(opcode, pp);
    case 2:
        return find_38(rows_vex38, ARRAY_SIZE(rows_vex38), opcode, pp);
    case 3:
        return opcode == 0xf0 && pp == 3 ? &rorx : &row_modrm_i;
    }
    return &row_ud;
}
