/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The shapes that rows of the opcode tables have: form, size, immediate, memory, access, flags
 * (table.h, table.c). Included by table.c only, which says what the flags are.
 */
#ifndef VMM_EMUL_SHAPES_H
#define VMM_EMUL_SHAPES_H

/* clang-format off */
#define INSN_SHAPES(S) \
    S(F_NONE, S_NONE, I_B, M_NONE, 0, FL_NONE) \
    S(F_NONE, S_NONE, I_FAR, M_NONE, 0, FL_NO64) \
    S(F_NONE, S_NONE, I_J, M_NONE, 0, FL_NONE) \
    S(F_NONE, S_NONE, I_NONE, M_NONE, 0, FL_NO64) \
    S(F_NONE, S_NONE, I_NONE, M_NONE, 0, FL_NONE) \
    S(F_NONE, S_NONE, I_NONE, M_NONE, 0, FL_PLAIN_PFX) \
    S(F_NONE, S_NONE, I_NONE, M_NONE, 0, FL_PREFIX) \
    S(F_NONE, S_NONE, I_NONE, M_NONE, 0, FL_REG) \
    S(F_NONE, S_NONE, I_NONE, M_NONE, 0, FL_SPECIAL) \
    S(F_NONE, S_NONE, I_NONE, M_NONE, 0, FL_UD) \
    S(F_NONE, S_NONE, I_UB, M_NONE, 0, FL_NO64) \
    S(F_NONE, S_NONE, I_UB, M_NONE, 0, FL_NONE) \
    S(F_NONE, S_NONE, I_W, M_NONE, 0, FL_NONE) \
    S(F_NONE, S_NONE, I_WB, M_NONE, 0, FL_NONE) \
    S(F_NONE, S_B, I_NONE, M_SAME, R, FL_NONE) \
    S(F_NONE, S_B, I_NONE, M_SAME, RW, FL_NONE) \
    S(F_NONE, S_B, I_NONE, M_SAME, W, FL_NONE) \
    S(F_NONE, S_V, I_NONE, M_SAME, R, FL_NONE) \
    S(F_NONE, S_V, I_NONE, M_SAME, RW, FL_NONE) \
    S(F_NONE, S_V, I_NONE, M_SAME, W, FL_NONE) \
    S(F_NONE, S_Z, I_NONE, M_SAME, R, FL_NONE) \
    S(F_NONE, S_Z, I_NONE, M_SAME, W, FL_NONE) \
    S(F_NONE, S_F64, I_NONE, M_NONE, 0, FL_NONE) \
    S(F_RM, S_B, I_NONE, M_SAME, R, FL_MODRM) \
    S(F_RM, S_B, I_NONE, M_SAME, RW, FL_LOCK) \
    S(F_RM, S_B, I_NONE, M_SAME, W, FL_MODRM) \
    S(F_RM, S_X, I_BB, M_NONE, 0, FL_REG) \
    S(F_RM, S_X, I_NONE, M_NONE, 0, FL_VEX) \
    S(F_RM, S_X, I_NONE, M_NONE, 0, FL_VEX_MOD3) \
    S(F_RM, S_V, I_B, M_SAME, 0, FL_GROUP) \
    S(F_RM, S_V, I_B, M_SAME, 0, FL_GROUP_NO64) \
    S(F_RM, S_V, I_NONE, M_1, R, FL_MEM) \
    S(F_RM, S_V, I_NONE, M_2, R, FL_MODRM) \
    S(F_RM, S_V, I_NONE, M_2, W, FL_MODRM) \
    S(F_RM, S_V, I_NONE, M_NONE, 0, FL_MEM) \
    S(F_RM, S_V, I_NONE, M_NONE, 0, FL_MOD3) \
    S(F_RM, S_V, I_NONE, M_NONE, 0, FL_MODRM) \
    S(F_RM, S_V, I_NONE, M_NONE, 0, FL_PFX) \
    S(F_RM, S_V, I_NONE, M_NONE, 0, FL_REG) \
    S(F_RM, S_V, I_NONE, M_NONE, 0, FL_RM3) \
    S(F_RM, S_V, I_NONE, M_SAME, 0, FL_GROUP) \
    S(F_RM, S_V, I_NONE, M_SAME, R, FL_MODRM) \
    S(F_RM, S_V, I_NONE, M_SAME, RW, FL_LOCK) \
    S(F_RM, S_V, I_UB, M_NONE, 0, FL_MODRM) \
    S(F_RM, S_V, I_UB, M_SAME, 0, FL_GROUP) \
    S(F_RM, S_V, I_Z, M_SAME, 0, FL_GROUP) \
    S(F_RM, S_Y, I_NONE, M_PAIR, RW, FL_LOCK) \
    S(F_RM, S_64, I_NONE, M_SAME, R, FL_MODRM) \
    S(F_RM, S_64, I_NONE, M_SAME, W, FL_MODRM) \
    S(F_RM, S_F64, I_NONE, M_SAME, R, FL_MODRM) \
    S(F_RM, S_N, I_NONE, M_TABLE, R, FL_MEM) \
    S(F_RM, S_N, I_NONE, M_TABLE, W, FL_MEM) \
    S(F_RM_R, S_B, I_NONE, M_SAME, R, FL_MODRM) \
    S(F_RM_R, S_B, I_NONE, M_SAME, RW, FL_LOCK) \
    S(F_RM_R, S_B, I_NONE, M_SAME, W, FL_MODRM) \
    S(F_RM_R, S_W, I_NONE, M_SAME, RW, FL_MODRM) \
    S(F_RM_R, S_Q, I_NONE, M_8, W, FL_VEX_L0) \
    S(F_RM_R, S_X, I_NONE, M_4, W, FL_VEX) \
    S(F_RM_R, S_X, I_NONE, M_8, W, FL_VEX) \
    S(F_RM_R, S_X, I_NONE, M_8, W, FL_VEX_L0_MEM) \
    S(F_RM_R, S_V, I_NONE, M_2, W, FL_CHECK) \
    S(F_RM_R, S_V, I_NONE, M_SAME, R, FL_MODRM) \
    S(F_RM_R, S_V, I_NONE, M_SAME, RW, FL_LOCK) \
    S(F_RM_R, S_V, I_NONE, M_SAME, W, FL_MEM) \
    S(F_RM_R, S_V, I_NONE, M_SAME, W, FL_MODRM) \
    S(F_RM_R, S_Y, I_NONE, M_SAME, W, FL_MEM) \
    S(F_RM_R, S_Y, I_NONE, M_SAME, W, FL_VEX_L0) \
    S(F_RM_R, S_VL, I_NONE, M_SAME, W, FL_VEX) \
    S(F_RM_R, S_VL, I_NONE, M_SAME, W, FL_VEX_ALIGNED) \
    S(F_RM_R, S_VL, I_NONE, M_SAME, W, FL_VEX_ALIGNED_MEM) \
    S(F_R_RM, S_B, I_NONE, M_SAME, R, FL_MODRM) \
    S(F_R_RM, S_Q, I_NONE, M_8, R, FL_VEX_L0) \
    S(F_R_RM, S_X, I_NONE, M_4, R, FL_VEX) \
    S(F_R_RM, S_X, I_NONE, M_8, R, FL_VEX) \
    S(F_R_RM, S_V, I_NONE, M_1, R, FL_MODRM) \
    S(F_R_RM, S_V, I_NONE, M_2, R, FL_CHECK) \
    S(F_R_RM, S_V, I_NONE, M_2, R, FL_MODRM) \
    S(F_R_RM, S_V, I_NONE, M_4, R, FL_MODRM) \
    S(F_R_RM, S_V, I_NONE, M_NONE, 0, FL_MEM) \
    S(F_R_RM, S_V, I_NONE, M_PLUS2, R, FL_MEM) \
    S(F_R_RM, S_V, I_NONE, M_SAME, R, FL_MEM) \
    S(F_R_RM, S_V, I_NONE, M_SAME, R, FL_MODRM) \
    S(F_R_RM, S_Z, I_NONE, M_PLUS2, R, FL_MEM) \
    S(F_R_RM, S_Z, I_NONE, M_TWICE, R, FL_MEM) \
    S(F_R_RM, S_Y, I_NONE, M_1, R, FL_MODRM) \
    S(F_R_RM, S_Y, I_NONE, M_SAME, R, FL_MODRM) \
    S(F_R_RM, S_Y, I_NONE, M_SAME, R, FL_VEX_L0) \
    S(F_R_RM, S_N, I_NONE, M_16, R, FL_MEM) \
    S(F_R_RM, S_VL, I_NONE, M_SAME, R, FL_VEX) \
    S(F_R_RM, S_VL, I_NONE, M_SAME, R, FL_VEX_ALIGNED) \
    S(F_R_RM, S_VL, I_NONE, M_SAME, R, FL_VEX_ALIGNED_MEM) \
    S(F_R_RM, S_VL, I_NONE, M_SAME, R, FL_VEX_MEM) \
    S(F_RM_IMM, S_B, I_B, M_SAME, R, FL_MODRM) \
    S(F_RM_IMM, S_B, I_B, M_SAME, RW, FL_LOCK) \
    S(F_RM_IMM, S_B, I_B, M_SAME, W, FL_MODRM) \
    S(F_RM_IMM, S_B, I_UB, M_SAME, RW, FL_MODRM) \
    S(F_RM_IMM, S_V, I_UB, M_SAME, R, FL_MODRM) \
    S(F_RM_IMM, S_V, I_UB, M_SAME, RW, FL_LOCK) \
    S(F_RM_IMM, S_V, I_UB, M_SAME, RW, FL_MODRM) \
    S(F_RM_IMM, S_V, I_Z, M_SAME, R, FL_MODRM) \
    S(F_RM_IMM, S_V, I_Z, M_SAME, RW, FL_LOCK) \
    S(F_RM_IMM, S_V, I_Z, M_SAME, W, FL_MODRM) \
    S(F_R_RM_IMM, S_V, I_B, M_SAME, R, FL_MODRM) \
    S(F_R_RM_IMM, S_V, I_Z, M_SAME, R, FL_MODRM) \
    S(F_R_RM_IMM, S_Y, I_UB, M_SAME, R, FL_VEX_L0) \
    S(F_RM_R_IMM, S_V, I_UB, M_SAME, RW, FL_MODRM) \
    S(F_RM_R_CL, S_V, I_NONE, M_SAME, RW, FL_MODRM) \
    S(F_RM_1, S_B, I_NONE, M_SAME, RW, FL_MODRM) \
    S(F_RM_1, S_V, I_NONE, M_SAME, RW, FL_MODRM) \
    S(F_RM_CL, S_B, I_NONE, M_SAME, RW, FL_MODRM) \
    S(F_RM_CL, S_V, I_NONE, M_SAME, RW, FL_MODRM) \
    S(F_ACC_IMM, S_B, I_B, M_NONE, 0, FL_NONE) \
    S(F_ACC_IMM, S_B, I_UB, M_NONE, 0, FL_NONE) \
    S(F_ACC_IMM, S_V, I_Z, M_NONE, 0, FL_NONE) \
    S(F_ACC_IMM, S_Z, I_UB, M_NONE, 0, FL_NONE) \
    S(F_ACC_DX, S_B, I_NONE, M_NONE, 0, FL_NONE) \
    S(F_ACC_DX, S_Z, I_NONE, M_NONE, 0, FL_NONE) \
    S(F_ACC_MEM, S_B, I_MOFFS, M_SAME, R, FL_NONE) \
    S(F_ACC_MEM, S_V, I_MOFFS, M_SAME, R, FL_NONE) \
    S(F_MEM_ACC, S_B, I_MOFFS, M_SAME, W, FL_NONE) \
    S(F_MEM_ACC, S_V, I_MOFFS, M_SAME, W, FL_NONE) \
    S(F_OPREG, S_B, I_B, M_NONE, 0, FL_NONE) \
    S(F_OPREG, S_V, I_V, M_NONE, 0, FL_NONE) \
    S(F_OPREG, S_64, I_NONE, M_NONE, 0, FL_NONE) \
    S(F_IMM, S_64, I_B, M_NONE, 0, FL_NONE) \
    S(F_IMM, S_64, I_Z, M_NONE, 0, FL_NONE) \
    S(F_IMM, S_F64, I_J, M_NONE, 0, FL_NONE) \
    S(F_IMM, S_F64, I_W, M_NONE, 0, FL_NONE) \
    S(F_R_V_RM, S_X, I_NONE, M_8, R, FL_VEX_L0_MEM) \
    S(F_R_V_RM, S_Y, I_NONE, M_SAME, R, FL_VEX_L0) \
    S(F_R_RM_V, S_Y, I_NONE, M_SAME, R, FL_VEX_L0) \
    S(F_V_RM, S_Y, I_NONE, M_SAME, R, FL_VEX_L0) \
    S(F_CR, S_N, I_NONE, M_NONE, 0, FL_CHECK)
/* clang-format on */

#endif
