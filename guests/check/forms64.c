/* SPDX-License-Identifier: BSD-2-Clause */
/* 64-bit forms on device memory. */
#include "guests/check/forms.h"

FORM_CODE(mov_load_q, "movq " B ", %rcx");
FORM_CODE(mov_store_q, "movq %rdx, " BD(3));
FORM_CODE(mov_imm_q, "movq $-5, " B);
FORM_CODE(mov_load_sil, "movb " B ", %sil");
FORM_CODE(mov_store_dil, "movb %dil, " BD(1));
FORM_CODE(movzx_bq, "movzbq " BD(7) ", %rcx");
FORM_CODE(movsx_bq, "movsbq " BD(7) ", %rcx");
FORM_CODE(movsxd, "movslq " BD(4) ", %rcx");
FORM_CODE(mov_load_l_zeroes, "mov $-1, %rcx\n movl " B ", %ecx");
FORM_CODE(add_mr_q, "addq %rcx, " B);
FORM_CODE(add_imm_q, "addq $-0x12345678, " B);
FORM_CODE(add_rm_q, "addq " B ", %rdx");
FORM_CODE(or_mr_q, "orq %rcx, " B);
FORM_CODE(or_imm_q, "orq $-0x12345678, " B);
FORM_CODE(or_rm_q, "orq " B ", %rdx");
FORM_CODE(adc_mr_q, "adcq %rcx, " B);
FORM_CODE(adc_imm_q, "adcq $-0x12345678, " B);
FORM_CODE(adc_rm_q, "adcq " B ", %rdx");
FORM_CODE(sbb_mr_q, "sbbq %rcx, " B);
FORM_CODE(sbb_imm_q, "sbbq $-0x12345678, " B);
FORM_CODE(sbb_rm_q, "sbbq " B ", %rdx");
FORM_CODE(and_mr_q, "andq %rcx, " B);
FORM_CODE(and_imm_q, "andq $-0x12345678, " B);
FORM_CODE(and_rm_q, "andq " B ", %rdx");
FORM_CODE(sub_mr_q, "subq %rcx, " B);
FORM_CODE(sub_imm_q, "subq $-0x12345678, " B);
FORM_CODE(sub_rm_q, "subq " B ", %rdx");
FORM_CODE(xor_mr_q, "xorq %rcx, " B);
FORM_CODE(xor_imm_q, "xorq $-0x12345678, " B);
FORM_CODE(xor_rm_q, "xorq " B ", %rdx");
FORM_CODE(cmp_mr_q, "cmpq %rcx, " B);
FORM_CODE(cmp_imm_q, "cmpq $-0x12345678, " B);
FORM_CODE(cmp_rm_q, "cmpq " B ", %rdx");
FORM_CODE(inc_q, "incq " B);
FORM_CODE(neg_q, "negq " B);
FORM_CODE(mul_q, "mulq " B);
FORM_CODE(shl_q, "shlq $33, " B);
FORM_CODE(shld_q, "shldq $40, %rdx, " B);
FORM_CODE(bts_r_q, "mov $-70, %rcx\n btsq %rcx, " BD(16));
FORM_CODE(xchg_q, "xchgq %rcx, " B);
FORM_CODE(lock_xadd_q, "lock xaddq %rcx, " B);
FORM_CODE(cmpxchg_q, "lock cmpxchgq %rcx, " B);
FORM_CODE(cmpxchg16b, "mov %rbx, %r8\n mov %rdx, %rbx\n cmpxchg16b (%r8)\n mov %r8, %rbx");
FORM_CODE(cmpxchg16b_equal,
          "mov " B ", %rax\n mov " BD(
              8) ", %rdx\n mov %rbx, %r8\n mov %rcx, %rbx\n lock cmpxchg16b (%r8)\n mov %r8, %rbx");
FORM_CODE(movbe_q, "movbeq " B ", %rcx");
FORM_CODE(movnti_q, "movntiq %rcx, " B);
FORM_CODE(movd_q, "movq " B ", %xmm1\n movq %xmm1, %rdx\n movq %rdx, " BD(8));
FORM_CODE(rep_movs_q, "mov $3, %ecx\n rep movsq");
FORM_CODE(rep_stos_q, "mov $3, %ecx\n rep stosq");
FORM_CODE(rep_stos_addr32, "mov $3, %ecx\n addr32 rep stosl");
FORM_CODE(mov_addr32, "addr32 mov (%ebx), %ecx");
FORM_CODE(mov_r9, "mov %rbx, %r9\n mov $2, %r10d\n movl 4(%r9,%r10,4), %ecx");
FORM_CODE(popcnt_q, "popcntq " B ", %rcx");
FORM_CODE(setc_r13, "mov %r13, %r8\n mov %rbx, %r13\n setc (%r13)\n mov %r8, %r13");
FORM_CODE(push_q, "pushq " B "\n popq " BD(24));

static const struct form list[] = {
    {"mov_load_q", form_mov_load_q, 0, F_ALWAYS, P_NONE},
    {"mov_store_q", form_mov_store_q, 0, F_ALWAYS, P_NONE},
    {"mov_imm_q", form_mov_imm_q, 0, F_ALWAYS, P_NONE},
    {"mov_load_sil", form_mov_load_sil, 0, F_ALWAYS, P_NONE},
    {"mov_store_dil", form_mov_store_dil, 0, F_ALWAYS, P_NONE},
    {"movzx_bq", form_movzx_bq, 0, F_ALWAYS, P_NONE},
    {"movsx_bq", form_movsx_bq, 0, F_ALWAYS, P_NONE},
    {"movsxd", form_movsxd, 0, F_ALWAYS, P_NONE},
    {"mov_load_l_zeroes", form_mov_load_l_zeroes, 0, F_ALWAYS, P_NONE},
    {"add_mr_q", form_add_mr_q, 0, F_ALWAYS, P_NONE},
    {"add_imm_q", form_add_imm_q, 0, F_ALWAYS, P_NONE},
    {"add_rm_q", form_add_rm_q, 0, F_ALWAYS, P_NONE},
    {"or_mr_q", form_or_mr_q, U_AF, F_ALWAYS, P_NONE},
    {"or_imm_q", form_or_imm_q, U_AF, F_ALWAYS, P_NONE},
    {"or_rm_q", form_or_rm_q, U_AF, F_ALWAYS, P_NONE},
    {"adc_mr_q", form_adc_mr_q, 0, F_ALWAYS, P_NONE},
    {"adc_imm_q", form_adc_imm_q, 0, F_ALWAYS, P_NONE},
    {"adc_rm_q", form_adc_rm_q, 0, F_ALWAYS, P_NONE},
    {"sbb_mr_q", form_sbb_mr_q, 0, F_ALWAYS, P_NONE},
    {"sbb_imm_q", form_sbb_imm_q, 0, F_ALWAYS, P_NONE},
    {"sbb_rm_q", form_sbb_rm_q, 0, F_ALWAYS, P_NONE},
    {"and_mr_q", form_and_mr_q, U_AF, F_ALWAYS, P_NONE},
    {"and_imm_q", form_and_imm_q, U_AF, F_ALWAYS, P_NONE},
    {"and_rm_q", form_and_rm_q, U_AF, F_ALWAYS, P_NONE},
    {"sub_mr_q", form_sub_mr_q, 0, F_ALWAYS, P_NONE},
    {"sub_imm_q", form_sub_imm_q, 0, F_ALWAYS, P_NONE},
    {"sub_rm_q", form_sub_rm_q, 0, F_ALWAYS, P_NONE},
    {"xor_mr_q", form_xor_mr_q, U_AF, F_ALWAYS, P_NONE},
    {"xor_imm_q", form_xor_imm_q, U_AF, F_ALWAYS, P_NONE},
    {"xor_rm_q", form_xor_rm_q, U_AF, F_ALWAYS, P_NONE},
    {"cmp_mr_q", form_cmp_mr_q, 0, F_ALWAYS, P_NONE},
    {"cmp_imm_q", form_cmp_imm_q, 0, F_ALWAYS, P_NONE},
    {"cmp_rm_q", form_cmp_rm_q, 0, F_ALWAYS, P_NONE},
    {"inc_q", form_inc_q, 0, F_ALWAYS, P_NONE},
    {"neg_q", form_neg_q, 0, F_ALWAYS, P_NONE},
    {"mul_q", form_mul_q, U_MUL, F_ALWAYS, P_NONE},
    {"shl_q", form_shl_q, U_SHIFT, F_ALWAYS, P_NONE},
    {"shld_q", form_shld_q, U_SHIFT, F_ALWAYS, P_NONE},
    {"bts_r_q", form_bts_r_q, U_BT, F_ALWAYS, P_NONE},
    {"xchg_q", form_xchg_q, 0, F_ALWAYS, P_NONE},
    {"lock_xadd_q", form_lock_xadd_q, 0, F_ALWAYS, P_NONE},
    {"cmpxchg_q", form_cmpxchg_q, 0, F_ALWAYS, P_NONE},
    {"cmpxchg16b", form_cmpxchg16b, 0, F_CX16, P_NONE},
    {"cmpxchg16b_equal", form_cmpxchg16b_equal, 0, F_CX16, P_NONE},
    {"movbe_q", form_movbe_q, 0, F_MOVBE, P_NONE},
    {"movnti_q", form_movnti_q, 0, F_ALWAYS, P_NONE},
    {"movd_q", form_movd_q, 0, F_ALWAYS, P_NONE},
    {"rep_movs_q", form_rep_movs_q, 0, F_ALWAYS, P_BOTH},
    {"rep_stos_q", form_rep_stos_q, 0, F_ALWAYS, P_DI},
    {"rep_stos_addr32", form_rep_stos_addr32, 0, F_ALWAYS, P_DI},
    {"mov_addr32", form_mov_addr32, 0, F_ALWAYS, P_NONE},
    {"mov_r9", form_mov_r9, 0, F_ALWAYS, P_NONE},
    {"popcnt_q", form_popcnt_q, 0, F_POPCNT, P_NONE},
    {"setc_r13", form_setc_r13, 0, F_ALWAYS, P_NONE},
    {"push_q", form_push_q, 0, F_ALWAYS, P_NONE},
};

const struct form_list forms_mode = {list, ARRAY_SIZE(list)};
