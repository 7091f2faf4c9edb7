/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The opcode tables: one row an opcode, in the order of Intel SDM volume 2, appendix A. A row that
 * says OP_NONE has its length known and is not executed.
 */
#include "vmm/emul/table.h"

/* clang-format off */
#define R  INSN_READ
#define W  INSN_WRITE
#define RW (INSN_READ | INSN_WRITE)

/* Rows: operation, form, size, immediate, memory, access, flags. */
#define UD        {OP_NONE, F_NONE, S_NONE, I_NONE, M_NONE, 0, T_UD}
#define PREFIX    {OP_NONE, F_NONE, S_NONE, I_NONE, M_NONE, 0, T_PREFIX}
#define SPECIAL   {OP_NONE, F_NONE, S_NONE, I_NONE, M_NONE, 0, T_SPECIAL}
#define PLAIN     {OP_NONE, F_NONE, S_NONE, I_NONE, M_NONE, 0, 0}       /* no operand bytes */
#define PLAIN_I(i){OP_NONE, F_NONE, S_NONE, i, M_NONE, 0, 0}
#define NO64(i)   {OP_NONE, F_NONE, S_NONE, i, M_NONE, 0, T_NO64}
#define MODRM     {OP_NONE, F_RM, S_V, I_NONE, M_NONE, 0, T_MODRM}
#define MODRM_I   {OP_NONE, F_RM, S_V, I_UB, M_NONE, 0, T_MODRM}
#define MODRM_R   {OP_NONE, F_RM, S_V, I_NONE, M_NONE, 0, T_MODRM | T_REG}
#define MODRM_M   {OP_NONE, F_RM, S_V, I_NONE, M_NONE, 0, T_MODRM | T_MEM}
#define SYS(o)    {o, F_NONE, S_NONE, I_NONE, M_NONE, 0, 0}
#define GROUP(g, i, f) {g, F_RM, S_V, i, M_SAME, 0, T_MODRM | T_GROUP | (f)}
#define PFX(p)    {p, F_RM, S_V, I_NONE, M_NONE, 0, T_MODRM | T_PFX}
#define MOD3(p)   {p, F_RM, S_V, I_NONE, M_NONE, 0, T_MODRM | T_MOD3}
#define RM3(g)    {g, F_RM, S_V, I_NONE, M_NONE, 0, T_MODRM | T_RM3}

/* The six ALU forms; a: access to memory by the forms that write, f: T_LOCK or nothing. */
#define ALU(o, a, f)                                     \
    {o, F_RM_R, S_B, I_NONE, M_SAME, a, T_MODRM | (f)},  \
    {o, F_RM_R, S_V, I_NONE, M_SAME, a, T_MODRM | (f)},  \
    {o, F_R_RM, S_B, I_NONE, M_SAME, R, T_MODRM},        \
    {o, F_R_RM, S_V, I_NONE, M_SAME, R, T_MODRM},        \
    {o, F_ACC_IMM, S_B, I_B, M_NONE, 0, 0},              \
    {o, F_ACC_IMM, S_V, I_Z, M_NONE, 0, 0}
#define STR(o, a) {o, F_NONE, S_B, I_NONE, M_SAME, a, 0}, {o, F_NONE, S_V, I_NONE, M_SAME, a, 0}
#define X2(...)  __VA_ARGS__, __VA_ARGS__
#define X4(...)  X2(__VA_ARGS__), X2(__VA_ARGS__)
#define X8(...)  X4(__VA_ARGS__), X4(__VA_ARGS__)
#define X16(...) X8(__VA_ARGS__), X8(__VA_ARGS__)
/* Vector moves: load and store of a whole operand, of a low element. */
#define VLOAD(f)      {OP_VMOV, F_R_RM, S_VL, I_NONE, M_SAME, R, T_MODRM | T_VEX | (f)}
#define VSTORE(f)     {OP_VMOV, F_RM_R, S_VL, I_NONE, M_SAME, W, T_MODRM | T_VEX | (f)}
#define VLOW(s, m, f) {OP_VMOV_LOW, F_R_RM, s, I_NONE, m, R, T_MODRM | T_VEX | (f)}
#define VLOWST(s, m, f) {OP_VMOV_LOW, F_RM_R, s, I_NONE, m, W, T_MODRM | T_VEX | (f)}
#define VHALF(fm, a)  {OP_VMOV_HALF, fm, S_X, I_NONE, M_8, a, T_MODRM | T_MEM | T_VEX | T_VEX_L0}

enum group {
    G1_B, G1_V, G1A, G2_BI, G2_VI, G2_B1, G2_V1, G2_BC, G2_VC, G3_B, G3_V, G4, G5, G6, G7_MEM,
    G7_0, G7_1, G7_2, G7_3, G7_7, G7_REG, G8, G9_MEM, G9_REG, G11_B, G11_V, G12, G13, G14, G15_MEM,
    G15_REG, G16, GP, G17
};

enum mod3 { M_0F01, M_0FC7, M_0FAE, M_MOVS, M_MOVLPS, M_MOVHPS };

enum pfx {
    P_10, P_11, P_12, P_13, P_16, P_17, P_28, P_29, P_2B, P_6E, P_6F, P_7E, P_7F, P_D6, P_E7, P_F0,
    P_AE6, P_AE7, P_BC, P_BD, P_B8, P_C3, P_90, P_78, P_0FC7_6, P_1E
};

const struct insn_row insn_map1[256] = {
    /* 00 */ ALU(OP_ADD, RW, T_LOCK), X2(NO64(I_NONE)),
    /* 08 */ ALU(OP_OR, RW, T_LOCK), NO64(I_NONE), SPECIAL,
    /* 10 */ ALU(OP_ADC, RW, T_LOCK), X2(NO64(I_NONE)),
    /* 18 */ ALU(OP_SBB, RW, T_LOCK), X2(NO64(I_NONE)),
    /* 20 */ ALU(OP_AND, RW, T_LOCK), PREFIX, NO64(I_NONE),
    /* 28 */ ALU(OP_SUB, RW, T_LOCK), PREFIX, NO64(I_NONE),
    /* 30 */ ALU(OP_XOR, RW, T_LOCK), PREFIX, NO64(I_NONE),
    /* 38 */ ALU(OP_CMP, R, 0), PREFIX, NO64(I_NONE),
    /* 40: INC and DEC of a register; REX in 64-bit mode */
    X16(PREFIX),
    /* 50 */ X8({OP_PUSH, F_OPREG, S_64, I_NONE, M_NONE, 0, 0}),
    /* 58 */ X8({OP_POP, F_OPREG, S_64, I_NONE, M_NONE, 0, 0}),
    /* 60 */ X2(NO64(I_NONE)), SPECIAL, SPECIAL,
    /* 64 */ X4(PREFIX),
    /* 68 */ {OP_PUSH, F_IMM, S_64, I_Z, M_NONE, 0, 0},
    {OP_IMUL_REG, F_R_RM_IMM, S_V, I_Z, M_SAME, R, T_MODRM},
    {OP_PUSH, F_IMM, S_64, I_B, M_NONE, 0, 0},
    {OP_IMUL_REG, F_R_RM_IMM, S_V, I_B, M_SAME, R, T_MODRM},
    /* 6c */ {OP_INS, F_NONE, S_B, I_NONE, M_SAME, W, 0}, {OP_INS, F_NONE, S_Z, I_NONE, M_SAME, W, 0},
    {OP_OUTS, F_NONE, S_B, I_NONE, M_SAME, R, 0}, {OP_OUTS, F_NONE, S_Z, I_NONE, M_SAME, R, 0},
    /* 70 */ X16(PLAIN_I(I_B)),
    /* 80 */ GROUP(G1_B, I_B, 0), GROUP(G1_V, I_Z, 0), GROUP(G1_B, I_B, T_NO64), GROUP(G1_V, I_B, 0),
    {OP_TEST, F_RM_R, S_B, I_NONE, M_SAME, R, T_MODRM},
    {OP_TEST, F_RM_R, S_V, I_NONE, M_SAME, R, T_MODRM},
    {OP_XCHG, F_RM_R, S_B, I_NONE, M_SAME, RW, T_MODRM | T_LOCK},
    {OP_XCHG, F_RM_R, S_V, I_NONE, M_SAME, RW, T_MODRM | T_LOCK},
    /* 88 */ {OP_MOV, F_RM_R, S_B, I_NONE, M_SAME, W, T_MODRM},
    {OP_MOV, F_RM_R, S_V, I_NONE, M_SAME, W, T_MODRM},
    {OP_MOV, F_R_RM, S_B, I_NONE, M_SAME, R, T_MODRM},
    {OP_MOV, F_R_RM, S_V, I_NONE, M_SAME, R, T_MODRM},
    {OP_MOV_SREG_STORE, F_RM_R, S_V, I_NONE, M_2, W, T_MODRM | T_CHECK_REG},
    {OP_LEA, F_R_RM, S_V, I_NONE, M_NONE, 0, T_MODRM | T_MEM},
    {OP_MOV_SREG_LOAD, F_R_RM, S_V, I_NONE, M_2, R, T_MODRM | T_CHECK_REG},
    GROUP(G1A, I_NONE, 0),
    /* 90 */ {P_90, F_NONE, S_NONE, I_NONE, M_NONE, 0, T_PFX}, X4(PLAIN), PLAIN, PLAIN, PLAIN,
    /* 98 */ PLAIN, PLAIN, NO64(I_FAR), PLAIN, PLAIN, PLAIN, PLAIN, PLAIN,
    /* a0 */ {OP_MOV, F_ACC_MEM, S_B, I_MOFFS, M_SAME, R, 0},
    {OP_MOV, F_ACC_MEM, S_V, I_MOFFS, M_SAME, R, 0},
    {OP_MOV, F_MEM_ACC, S_B, I_MOFFS, M_SAME, W, 0},
    {OP_MOV, F_MEM_ACC, S_V, I_MOFFS, M_SAME, W, 0},
    /* a4 */ STR(OP_MOVS, RW), STR(OP_CMPS, R),
    /* a8 */ {OP_TEST, F_ACC_IMM, S_B, I_B, M_NONE, 0, 0}, {OP_TEST, F_ACC_IMM, S_V, I_Z, M_NONE, 0, 0},
    STR(OP_STOS, W), STR(OP_LODS, R), STR(OP_SCAS, R),
    /* b0 */ X8({OP_MOV, F_OPREG, S_B, I_B, M_NONE, 0, 0}),
    /* b8 */ X8({OP_MOV, F_OPREG, S_V, I_V, M_NONE, 0, 0}),
    /* c0 */ GROUP(G2_BI, I_UB, 0), GROUP(G2_VI, I_UB, 0),
    {OP_RET, F_IMM, S_F64, I_W, M_NONE, 0, 0}, {OP_RET, F_NONE, S_F64, I_NONE, M_NONE, 0, 0},
    /* c4 */ SPECIAL, SPECIAL, GROUP(G11_B, I_B, 0), GROUP(G11_V, I_Z, 0),
    /* c8 */ PLAIN_I(I_WB), PLAIN, PLAIN_I(I_W), PLAIN, PLAIN, PLAIN_I(I_UB), NO64(I_NONE), PLAIN,
    /* d0 */ GROUP(G2_B1, I_NONE, 0), GROUP(G2_V1, I_NONE, 0), GROUP(G2_BC, I_NONE, 0),
    GROUP(G2_VC, I_NONE, 0),
    /* d4 */ NO64(I_UB), NO64(I_UB), NO64(I_NONE), {OP_XLAT, F_NONE, S_B, I_NONE, M_SAME, R, 0},
    /* d8: x87 */ X8(MODRM),
    /* e0 */ X4(PLAIN_I(I_B)),
    {OP_IN, F_ACC_IMM, S_B, I_UB, M_NONE, 0, 0}, {OP_IN, F_ACC_IMM, S_Z, I_UB, M_NONE, 0, 0},
    {OP_OUT, F_ACC_IMM, S_B, I_UB, M_NONE, 0, 0}, {OP_OUT, F_ACC_IMM, S_Z, I_UB, M_NONE, 0, 0},
    /* e8 */ {OP_CALL, F_IMM, S_F64, I_J, M_NONE, 0, 0}, PLAIN_I(I_J), NO64(I_FAR), PLAIN_I(I_B),
    {OP_IN, F_ACC_DX, S_B, I_NONE, M_NONE, 0, 0}, {OP_IN, F_ACC_DX, S_Z, I_NONE, M_NONE, 0, 0},
    {OP_OUT, F_ACC_DX, S_B, I_NONE, M_NONE, 0, 0}, {OP_OUT, F_ACC_DX, S_Z, I_NONE, M_NONE, 0, 0},
    /* f0 */ PREFIX, PLAIN, PREFIX, PREFIX, SYS(OP_HLT), PLAIN, GROUP(G3_B, I_NONE, 0),
    GROUP(G3_V, I_NONE, 0),
    /* f8 */ PLAIN, PLAIN, PLAIN, PLAIN, PLAIN, PLAIN, GROUP(G4, I_NONE, 0), GROUP(G5, I_NONE, 0),
};

#define CMOV  {OP_CMOV, F_R_RM, S_V, I_NONE, M_SAME, R, T_MODRM}
#define SETCC {OP_SETCC, F_RM, S_B, I_NONE, M_SAME, W, T_MODRM}
#define BITOP(o, a, f) {o, F_RM_R, S_V, I_NONE, M_SAME, a, T_MODRM | (f)}
#define MOVCR(o, s) {o, F_CR, s, I_NONE, M_NONE, 0, T_MODRM | T_CHECK_REG}
#define HINT {OP_NOP, F_RM, S_V, I_NONE, M_NONE, 0, T_MODRM}

const struct insn_row insn_map2[256] = {
    /* 00 */ GROUP(G6, I_NONE, 0), MOD3(M_0F01), MODRM, MODRM, UD, PLAIN, SYS(OP_CLTS), PLAIN,
    /* 08 */ SYS(OP_INVD), SYS(OP_WBINVD), UD, UD, UD, GROUP(GP, I_NONE, 0), PLAIN, MODRM_I,
    /* 10 */ PFX(P_10), PFX(P_11), PFX(P_12), PFX(P_13), MODRM, MODRM, PFX(P_16), PFX(P_17),
    /* 18 */ GROUP(G16, I_NONE, 0), HINT, MODRM, MODRM, MODRM, HINT, PFX(P_1E), HINT,
    /* 20 */ MOVCR(OP_MOV_FROM_CR, S_N), MOVCR(OP_MOV_FROM_DR, S_N), MOVCR(OP_MOV_TO_CR, S_N),
    MOVCR(OP_MOV_TO_DR, S_N), UD, UD, UD, UD,
    /* 28 */ PFX(P_28), PFX(P_29), MODRM, PFX(P_2B), MODRM, MODRM, MODRM, MODRM,
    /* 30 */ SYS(OP_WRMSR), SYS(OP_RDTSC), SYS(OP_RDMSR), SYS(OP_RDPMC), PLAIN, PLAIN, UD, PLAIN,
    /* 38 */ SPECIAL, UD, SPECIAL, UD, UD, UD, UD, UD,
    /* 40 */ X16(CMOV),
    /* 50 */ X8(MODRM), X8(MODRM),
    /* 60 */ X8(MODRM), X4(MODRM), MODRM, MODRM, PFX(P_6E), PFX(P_6F),
    /* 70 */ MODRM_I, GROUP(G12, I_UB, 0), GROUP(G13, I_UB, 0), GROUP(G14, I_UB, 0), X2(MODRM), MODRM,
    PLAIN,
    /* 78 */ PFX(P_78), MODRM, UD, UD, MODRM, MODRM, PFX(P_7E), PFX(P_7F),
    /* 80 */ X16(PLAIN_I(I_J)),
    /* 90 */ X16(SETCC),
    /* a0 */ PLAIN, PLAIN, SYS(OP_CPUID), BITOP(OP_BT, R, 0),
    {OP_SHLD, F_RM_R_IMM, S_V, I_UB, M_SAME, RW, T_MODRM},
    {OP_SHLD, F_RM_R_CL, S_V, I_NONE, M_SAME, RW, T_MODRM}, UD, UD,
    /* a8 */ PLAIN, PLAIN, PLAIN, BITOP(OP_BTS, RW, T_LOCK),
    {OP_SHRD, F_RM_R_IMM, S_V, I_UB, M_SAME, RW, T_MODRM},
    {OP_SHRD, F_RM_R_CL, S_V, I_NONE, M_SAME, RW, T_MODRM}, MOD3(M_0FAE),
    {OP_IMUL_REG, F_R_RM, S_V, I_NONE, M_SAME, R, T_MODRM},
    /* b0 */ {OP_CMPXCHG, F_RM_R, S_B, I_NONE, M_SAME, RW, T_MODRM | T_LOCK},
    {OP_CMPXCHG, F_RM_R, S_V, I_NONE, M_SAME, RW, T_MODRM | T_LOCK},
    {OP_LOAD_FAR_PTR, F_R_RM, S_V, I_NONE, M_PLUS2, R, T_MODRM | T_MEM}, BITOP(OP_BTR, RW, T_LOCK),
    {OP_LOAD_FAR_PTR, F_R_RM, S_V, I_NONE, M_PLUS2, R, T_MODRM | T_MEM},
    {OP_LOAD_FAR_PTR, F_R_RM, S_V, I_NONE, M_PLUS2, R, T_MODRM | T_MEM},
    {OP_MOVZX, F_R_RM, S_V, I_NONE, M_1, R, T_MODRM}, {OP_MOVZX, F_R_RM, S_V, I_NONE, M_2, R, T_MODRM},
    /* b8 */ PFX(P_B8), UD, GROUP(G8, I_UB, 0), BITOP(OP_BTC, RW, T_LOCK), PFX(P_BC), PFX(P_BD),
    {OP_MOVSX, F_R_RM, S_V, I_NONE, M_1, R, T_MODRM}, {OP_MOVSX, F_R_RM, S_V, I_NONE, M_2, R, T_MODRM},
    /* c0 */ {OP_XADD, F_RM_R, S_B, I_NONE, M_SAME, RW, T_MODRM | T_LOCK},
    {OP_XADD, F_RM_R, S_V, I_NONE, M_SAME, RW, T_MODRM | T_LOCK}, MODRM_I, PFX(P_C3), MODRM_I,
    MODRM_I, MODRM_I, MOD3(M_0FC7),
    /* c8 */ X8(PLAIN),
    /* d0 */ X4(MODRM), MODRM, MODRM, PFX(P_D6), MODRM, X8(MODRM),
    /* e0 */ X4(MODRM), MODRM, MODRM, MODRM, PFX(P_E7), X8(MODRM),
    /* f0 */ PFX(P_F0), MODRM, X2(MODRM), X4(MODRM), X4(MODRM), MODRM, MODRM, MODRM, UD,
};

/* One operand, read and written. */
#define RMW(o, s, f)  {o, F_RM, s, I_NONE, M_SAME, RW, T_MODRM | (f)}
#define RD(o, s)      {o, F_RM, s, I_NONE, M_SAME, R, T_MODRM}
#define IMM(o, s, i, a, f) {o, F_RM_IMM, s, i, M_SAME, a, T_MODRM | (f)}
#define G1_ROWS(s, i)                                                                           \
    {IMM(OP_ADD, s, i, RW, T_LOCK), IMM(OP_OR, s, i, RW, T_LOCK), IMM(OP_ADC, s, i, RW, T_LOCK),  \
     IMM(OP_SBB, s, i, RW, T_LOCK), IMM(OP_AND, s, i, RW, T_LOCK), IMM(OP_SUB, s, i, RW, T_LOCK), \
     IMM(OP_XOR, s, i, RW, T_LOCK), IMM(OP_CMP, s, i, R, 0)}
#define G2_ROW(o, f, s, i) {o, f, s, i, M_SAME, RW, T_MODRM}
#define G2_ROWS(f, s, i)                                                                          \
    {G2_ROW(OP_ROL, f, s, i), G2_ROW(OP_ROR, f, s, i), G2_ROW(OP_RCL, f, s, i),                   \
     G2_ROW(OP_RCR, f, s, i), G2_ROW(OP_SHL, f, s, i), G2_ROW(OP_SHR, f, s, i),                   \
     G2_ROW(OP_SAL, f, s, i), G2_ROW(OP_SAR, f, s, i)}
#define G3_ROWS(s, i)                                                                             \
    {IMM(OP_TEST, s, i, R, 0), IMM(OP_TEST, s, i, R, 0), RMW(OP_NOT, s, T_LOCK),                  \
     RMW(OP_NEG, s, T_LOCK), RD(OP_MUL, s), RD(OP_IMUL, s), RD(OP_DIV, s), RD(OP_IDIV, s)}
#define TABLE_MEM(o, a) {o, F_RM, S_N, I_NONE, M_TABLE, a, T_MODRM | T_MEM}
#define SYS_W(o, a) {o, F_RM, S_V, I_NONE, M_2, a, T_MODRM}
#define SYS_R(o) {o, F_NONE, S_NONE, I_NONE, M_NONE, 0, T_MODRM | T_REG}
#define FETCH {OP_PREFETCH, F_RM, S_V, I_NONE, M_NONE, 0, T_MODRM}

/* Rows of groups replace the opcode's row; the immediate of groups 1, 2, 8 and 11 included. */
const struct insn_row insn_group[][8] = {
    [G1_B] = G1_ROWS(S_B, I_B),
    [G1_V] = G1_ROWS(S_V, I_Z), /* 83's sign-extended byte: the decoder keeps the opcode row's imm */
    [G1A] = {{OP_POP, F_RM, S_64, I_NONE, M_SAME, W, T_MODRM}, SPECIAL, SPECIAL, SPECIAL, SPECIAL,
             SPECIAL, SPECIAL, SPECIAL},
    [G2_BI] = G2_ROWS(F_RM_IMM, S_B, I_UB),
    [G2_VI] = G2_ROWS(F_RM_IMM, S_V, I_UB),
    [G2_B1] = G2_ROWS(F_RM_1, S_B, I_NONE),
    [G2_V1] = G2_ROWS(F_RM_1, S_V, I_NONE),
    [G2_BC] = G2_ROWS(F_RM_CL, S_B, I_NONE),
    [G2_VC] = G2_ROWS(F_RM_CL, S_V, I_NONE),
    [G3_B] = G3_ROWS(S_B, I_B),
    [G3_V] = G3_ROWS(S_V, I_Z),
    [G4] = {RMW(OP_INC, S_B, T_LOCK), RMW(OP_DEC, S_B, T_LOCK), UD, UD, UD, UD, UD, UD},
    [G5] = {RMW(OP_INC, S_V, T_LOCK), RMW(OP_DEC, S_V, T_LOCK),
            {OP_CALL, F_RM, S_F64, I_NONE, M_SAME, R, T_MODRM}, MODRM_M,
            {OP_JMP, F_RM, S_F64, I_NONE, M_SAME, R, T_MODRM}, MODRM_M,
            {OP_PUSH, F_RM, S_64, I_NONE, M_SAME, R, T_MODRM}, UD},
    [G6] = {SYS_W(OP_SLDT, W), SYS_W(OP_STR, W), SYS_W(OP_LLDT, R), SYS_W(OP_LTR, R), MODRM, MODRM,
            UD, UD},
    [G7_MEM] = {TABLE_MEM(OP_SGDT, W), TABLE_MEM(OP_SIDT, W), TABLE_MEM(OP_LGDT, R),
                TABLE_MEM(OP_LIDT, R), SYS_W(OP_SMSW, W), MODRM, SYS_W(OP_LMSW, R),
                {OP_INVLPG, F_RM, S_V, I_NONE, M_NONE, 0, T_MODRM | T_MEM}},
    [G7_REG] = {RM3(G7_0), RM3(G7_1), RM3(G7_2), RM3(G7_3), SYS_W(OP_SMSW, W), MODRM,
                SYS_W(OP_LMSW, R), RM3(G7_7)},
    [G7_0] = {MODRM, SYS_R(OP_VMCALL), X4(MODRM), MODRM, MODRM},
    [G7_1] = {SYS_R(OP_MONITOR), SYS_R(OP_MWAIT), X4(MODRM), MODRM, MODRM},
    [G7_2] = {SYS_R(OP_XGETBV), SYS_R(OP_XSETBV), X4(MODRM), MODRM, MODRM},
    [G7_3] = {MODRM, SYS_R(OP_VMMCALL), X4(MODRM), MODRM, MODRM},
    [G7_7] = {MODRM, SYS_R(OP_RDTSCP), X4(MODRM), MODRM, MODRM},
    [G8] = {UD, UD, UD, UD, IMM(OP_BT, S_V, I_UB, R, 0), IMM(OP_BTS, S_V, I_UB, RW, T_LOCK),
            IMM(OP_BTR, S_V, I_UB, RW, T_LOCK), IMM(OP_BTC, S_V, I_UB, RW, T_LOCK)},
    [G9_MEM] = {UD, {OP_CMPXCHG8B, F_RM, S_Y, I_NONE, M_PAIR, RW, T_MODRM | T_LOCK}, UD, MODRM, MODRM,
                MODRM, MODRM, MODRM},
    [G9_REG] = {UD, UD, UD, UD, UD, UD, MODRM, MODRM},
    [G11_B] = {IMM(OP_MOV, S_B, I_B, W, 0), UD, UD, UD, UD, UD, UD, MODRM},
    [G11_V] = {IMM(OP_MOV, S_V, I_Z, W, 0), UD, UD, UD, UD, UD, UD, MODRM},
    [G12] = {UD, UD, MODRM_R, UD, MODRM_R, UD, MODRM_R, UD},
    [G13] = {UD, UD, MODRM_R, UD, MODRM_R, UD, MODRM_R, UD},
    [G14] = {UD, UD, MODRM_R, MODRM_R, UD, UD, MODRM_R, MODRM_R},
    [G15_MEM] = {MODRM, MODRM, MODRM, MODRM, MODRM, MODRM, PFX(P_AE6), PFX(P_AE7)},
    [G15_REG] = {X8(MODRM)},
    [G16] = {FETCH, FETCH, FETCH, FETCH, HINT, HINT, HINT, HINT},
    [GP] = {X8({OP_PREFETCH, F_RM, S_V, I_NONE, M_NONE, 0, T_MODRM | T_MEM})},
    [G17] = {UD, {OP_BLSR, F_V_RM, S_Y, I_NONE, M_SAME, R, T_MODRM | T_VEX | T_VEX_L0},
             {OP_BLSMSK, F_V_RM, S_Y, I_NONE, M_SAME, R, T_MODRM | T_VEX | T_VEX_L0},
             {OP_BLSI, F_V_RM, S_Y, I_NONE, M_SAME, R, T_MODRM | T_VEX | T_VEX_L0}, UD, UD, UD, UD},
};

const struct insn_row insn_mod3[][2] = {
    [M_0F01] = {GROUP(G7_MEM, I_NONE, 0), GROUP(G7_REG, I_NONE, 0)},
    [M_0FC7] = {GROUP(G9_MEM, I_NONE, 0), GROUP(G9_REG, I_NONE, 0)},
    [M_0FAE] = {GROUP(G15_MEM, I_NONE, 0), GROUP(G15_REG, I_NONE, 0)},
    [M_MOVS] = {MODRM, MODRM},
    [M_MOVLPS] = {VHALF(F_R_V_RM, R), {OP_NONE, F_RM, S_X, I_NONE, M_NONE, 0, T_MODRM | T_VEX}},
    [M_MOVHPS] = {VHALF(F_R_V_RM, R), {OP_NONE, F_RM, S_X, I_NONE, M_NONE, 0, T_MODRM | T_VEX}},
};

#define VMOD3(p) {p, F_RM, S_X, I_NONE, M_NONE, 0, T_MODRM | T_MOD3 | T_VEX}
#define SCAN(o)  {o, F_R_RM, S_V, I_NONE, M_SAME, R, T_MODRM}
#define CFLUSH   {OP_CLFLUSH, F_RM, S_V, I_NONE, M_1, R, T_MODRM | T_MEM}
#define NTI      {OP_MOV, F_RM_R, S_Y, I_NONE, M_SAME, W, T_MODRM | T_MEM}
#define EXTRQ    {OP_NONE, F_RM, S_X, I_BB, M_NONE, 0, T_MODRM | T_REG}

/* By mandatory prefix: none, 66, F3, F2. */
const struct insn_row insn_pfx[][4] = {
    [P_10] = {VLOAD(0), VLOAD(0), VLOW(S_X, M_4, 0), VLOW(S_X, M_8, 0)},
    [P_11] = {VSTORE(0), VSTORE(0), VLOWST(S_X, M_4, 0), VLOWST(S_X, M_8, 0)},
    [P_12] = {VMOD3(M_MOVLPS), VHALF(F_R_V_RM, R), MODRM, MODRM},
    [P_13] = {VHALF(F_RM_R, W), VHALF(F_RM_R, W), UD, UD},
    [P_16] = {VMOD3(M_MOVHPS), VHALF(F_R_V_RM, R), MODRM, UD},
    [P_17] = {VHALF(F_RM_R, W), VHALF(F_RM_R, W), UD, UD},
    [P_28] = {VLOAD(T_ALIGNED), VLOAD(T_ALIGNED), UD, UD},
    [P_29] = {VSTORE(T_ALIGNED), VSTORE(T_ALIGNED), UD, UD},
    [P_2B] = {VSTORE(T_ALIGNED | T_MEM), VSTORE(T_ALIGNED | T_MEM), MODRM, MODRM},
    [P_6E] = {MODRM, VLOW(S_Y, M_SAME, T_VEX_L0), UD, UD},
    [P_6F] = {MODRM, VLOAD(T_ALIGNED), VLOAD(0), UD},
    [P_7E] = {MODRM, VLOWST(S_Y, M_SAME, T_VEX_L0), VLOW(S_Q, M_8, T_VEX_L0), UD},
    [P_7F] = {MODRM, VSTORE(T_ALIGNED), VSTORE(0), UD},
    [P_D6] = {UD, VLOWST(S_Q, M_8, T_VEX_L0), MODRM_R, MODRM_R},
    [P_E7] = {MODRM_M, VSTORE(T_ALIGNED | T_MEM), UD, UD},
    [P_F0] = {UD, UD, UD, VLOAD(T_MEM)},
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

const struct insn_row insn_row_bound = {OP_BOUND, F_R_RM, S_Z, I_NONE, M_TWICE, R, T_MODRM | T_MEM};
const struct insn_row insn_row_arpl = {OP_ARPL, F_RM_R, S_W, I_NONE, M_SAME, RW, T_MODRM};
const struct insn_row insn_row_movsxd = {OP_MOVSX, F_R_RM, S_V, I_NONE, M_4, R, T_MODRM};
const struct insn_row insn_row_les_lds = {OP_LOAD_FAR_PTR, F_R_RM, S_Z, I_NONE, M_PLUS2, R, T_MODRM | T_MEM};
const struct insn_row insn_row_plain = PLAIN;

static const struct insn_row row_ud = UD, row_modrm = MODRM, row_modrm_i = MODRM_I,
                             row_map38_g17 = GROUP(G17, I_NONE, 0);

const struct insn_row *insn_row_38(u8 opcode, unsigned pp)
{
    static const struct insn_row ntdqa = VLOAD(T_ALIGNED | T_MEM);
    static const struct insn_row movbe_load = {OP_MOVBE, F_R_RM, S_V, I_NONE, M_SAME, R, T_MODRM | T_MEM};
    static const struct insn_row movbe_store = {OP_MOVBE, F_RM_R, S_V, I_NONE, M_SAME, W, T_MODRM | T_MEM};
    static const struct insn_row crc_b = {OP_CRC32, F_R_RM, S_Y, I_NONE, M_1, R, T_MODRM};
    static const struct insn_row crc_v = {OP_CRC32, F_R_RM, S_V, I_NONE, M_SAME, R, T_MODRM};
    static const struct insn_row adcx = {OP_ADCX, F_R_RM, S_Y, I_NONE, M_SAME, R, T_MODRM};
    static const struct insn_row adox = {OP_ADOX, F_R_RM, S_Y, I_NONE, M_SAME, R, T_MODRM};
    static const struct insn_row movdiri = {OP_MOV, F_RM_R, S_Y, I_NONE, M_SAME, W, T_MODRM | T_MEM};
    static const struct insn_row invpcid = {OP_INVPCID, F_R_RM, S_N, I_NONE, M_16, R, T_MODRM | T_MEM};

    switch (opcode) {
    case 0x2a:
        return pp == 1 ? &ntdqa : &row_ud;
    case 0x82:
        return pp == 1 ? &invpcid : &row_ud;
    case 0xf0:
        return pp == 3 ? &crc_b : pp == 2 ? &row_ud : &movbe_load;
    case 0xf1:
        return pp == 3 ? &crc_v : pp == 2 ? &row_ud : &movbe_store;
    case 0xf9:
        return pp == 0 ? &movdiri : &row_modrm;
    case 0xf6:
        return pp == 1 ? &adcx : pp == 2 ? &adox : &row_modrm;
    }
    return &row_modrm;
}

const struct insn_row *insn_row_3a(u8 opcode, unsigned pp)
{
    (void)opcode;
    (void)pp;
    return &row_modrm_i;
}

#define BMI(o, f) {o, f, S_Y, I_NONE, M_SAME, R, T_MODRM | T_VEX | T_VEX_L0}

static const struct insn_row *row_vex38(u8 opcode, unsigned pp)
{
    static const struct insn_row andn = BMI(OP_ANDN, F_R_V_RM);
    static const struct insn_row f5[4] = {BMI(OP_BZHI, F_R_RM_V), UD, BMI(OP_PEXT, F_R_V_RM),
                                          BMI(OP_PDEP, F_R_V_RM)};
    static const struct insn_row mulx = BMI(OP_MULX, F_R_V_RM);
    static const struct insn_row f7[4] = {BMI(OP_BEXTR, F_R_RM_V), BMI(OP_SHLX, F_R_RM_V),
                                          BMI(OP_SARX, F_R_RM_V), BMI(OP_SHRX, F_R_RM_V)};
    static const struct insn_row ntdqa = VLOAD(T_ALIGNED | T_MEM);

    switch (opcode) {
    case 0x2a:
        return pp == 1 ? &ntdqa : &row_ud;
    case 0xf2:
        return pp == 0 ? &andn : &row_ud;
    case 0xf3:
        return pp == 0 ? &row_map38_g17 : &row_ud;
    case 0xf5:
        return &f5[pp];
    case 0xf6:
        return pp == 3 ? &mulx : &row_ud;
    case 0xf7:
        return &f7[pp];
    }
    return &row_modrm;
}

static const struct insn_row *row_vex0f(u8 opcode, unsigned pp)
{
    const struct insn_row *row = &insn_map2[opcode];

    if (row->flags & T_PFX)
        row = &insn_pfx[row->op][pp];
    if (row->flags & T_VEX)
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
    static const struct insn_row rorx = {OP_RORX, F_R_RM_IMM, S_Y, I_UB, M_SAME, R,
                                         T_MODRM | T_VEX | T_VEX_L0};

    switch (map) {
    case 1:
        return row_vex0f(opcode, pp);
    case 2:
        return row_vex38(opcode, pp);
    case 3:
        return opcode == 0xf0 && pp == 3 ? &rorx : &row_modrm_i;
    }
    return &row_ud;
}
