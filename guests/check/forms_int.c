/* SPDX-License-Identifier: BSD-2-Clause */
/* General-purpose instructions on device memory. */
#include "guests/check/forms.h"

FORM_CODE(mov_load_b, "movb " B ", %cl");
FORM_CODE(mov_store_b, "movb %dh, " BD(5));
FORM_CODE(mov_load_w, "movw " B ", %cx");
FORM_CODE(mov_store_w, "movw %dx, " BD(5));
FORM_CODE(mov_load_l, "movl " B ", %ecx");
FORM_CODE(mov_store_l, "movl %edx, " BD(5));
FORM_CODE(mov_load_ah, "movb " B ", %ah");
FORM_CODE(mov_load_ch, "movb " BD(3) ", %ch");
FORM_CODE(mov_store_ch, "movb %ch, " BD(9));
FORM_CODE(mov_imm_b, "movb $0x5a, " B);
FORM_CODE(mov_imm_w, "movw $0x1234, " BD(1));
FORM_CODE(mov_imm_l, "movl $0x89abcdef, " B);
FORM_CODE(mov_sreg, "movw %ds, " BD(2));
FORM_CODE(mov_from_sreg_mem, "movw $0x10, " B "\n mov " B ", %es");
FORM_CODE(movzx_bw, "movzbw " B ", %cx");
FORM_CODE(movzx_bl, "movzbl " B ", %ecx");
FORM_CODE(movzx_wl, "movzwl " BD(2) ", %edx");
FORM_CODE(movsx_bw, "movsbw " BD(7) ", %cx");
FORM_CODE(movsx_bl, "movsbl " BD(7) ", %ecx");
FORM_CODE(movsx_wl, "movswl " BD(6) ", %edx");
FORM_CODE(add_mr_b, "addb %cl, " B);
FORM_CODE(add_mr_w, "addw %cx, " B);
FORM_CODE(add_mr_l, "addl %ecx, " B);
FORM_CODE(add_rm_b, "addb " B ", %ch");
FORM_CODE(add_rm_l, "addl " B ", %edx");
FORM_CODE(add_imm_b, "addb $0x81, " B);
FORM_CODE(add_imm8_l, "addl $-3, " B);
FORM_CODE(add_imm_l, "addl $0x12345678, " B);
FORM_CODE(add_imm_w, "addw $0x1234, " BD(2));
FORM_CODE(or_mr_b, "orb %cl, " B);
FORM_CODE(or_mr_w, "orw %cx, " B);
FORM_CODE(or_mr_l, "orl %ecx, " B);
FORM_CODE(or_rm_b, "orb " B ", %ch");
FORM_CODE(or_rm_l, "orl " B ", %edx");
FORM_CODE(or_imm_b, "orb $0x81, " B);
FORM_CODE(or_imm8_l, "orl $-3, " B);
FORM_CODE(or_imm_l, "orl $0x12345678, " B);
FORM_CODE(or_imm_w, "orw $0x1234, " BD(2));
FORM_CODE(adc_mr_b, "adcb %cl, " B);
FORM_CODE(adc_mr_w, "adcw %cx, " B);
FORM_CODE(adc_mr_l, "adcl %ecx, " B);
FORM_CODE(adc_rm_b, "adcb " B ", %ch");
FORM_CODE(adc_rm_l, "adcl " B ", %edx");
FORM_CODE(adc_imm_b, "adcb $0x81, " B);
FORM_CODE(adc_imm8_l, "adcl $-3, " B);
FORM_CODE(adc_imm_l, "adcl $0x12345678, " B);
FORM_CODE(adc_imm_w, "adcw $0x1234, " BD(2));
FORM_CODE(sbb_mr_b, "sbbb %cl, " B);
FORM_CODE(sbb_mr_w, "sbbw %cx, " B);
FORM_CODE(sbb_mr_l, "sbbl %ecx, " B);
FORM_CODE(sbb_rm_b, "sbbb " B ", %ch");
FORM_CODE(sbb_rm_l, "sbbl " B ", %edx");
FORM_CODE(sbb_imm_b, "sbbb $0x81, " B);
FORM_CODE(sbb_imm8_l, "sbbl $-3, " B);
FORM_CODE(sbb_imm_l, "sbbl $0x12345678, " B);
FORM_CODE(sbb_imm_w, "sbbw $0x1234, " BD(2));
FORM_CODE(and_mr_b, "andb %cl, " B);
FORM_CODE(and_mr_w, "andw %cx, " B);
FORM_CODE(and_mr_l, "andl %ecx, " B);
FORM_CODE(and_rm_b, "andb " B ", %ch");
FORM_CODE(and_rm_l, "andl " B ", %edx");
FORM_CODE(and_imm_b, "andb $0x81, " B);
FORM_CODE(and_imm8_l, "andl $-3, " B);
FORM_CODE(and_imm_l, "andl $0x12345678, " B);
FORM_CODE(and_imm_w, "andw $0x1234, " BD(2));
FORM_CODE(sub_mr_b, "subb %cl, " B);
FORM_CODE(sub_mr_w, "subw %cx, " B);
FORM_CODE(sub_mr_l, "subl %ecx, " B);
FORM_CODE(sub_rm_b, "subb " B ", %ch");
FORM_CODE(sub_rm_l, "subl " B ", %edx");
FORM_CODE(sub_imm_b, "subb $0x81, " B);
FORM_CODE(sub_imm8_l, "subl $-3, " B);
FORM_CODE(sub_imm_l, "subl $0x12345678, " B);
FORM_CODE(sub_imm_w, "subw $0x1234, " BD(2));
FORM_CODE(xor_mr_b, "xorb %cl, " B);
FORM_CODE(xor_mr_w, "xorw %cx, " B);
FORM_CODE(xor_mr_l, "xorl %ecx, " B);
FORM_CODE(xor_rm_b, "xorb " B ", %ch");
FORM_CODE(xor_rm_l, "xorl " B ", %edx");
FORM_CODE(xor_imm_b, "xorb $0x81, " B);
FORM_CODE(xor_imm8_l, "xorl $-3, " B);
FORM_CODE(xor_imm_l, "xorl $0x12345678, " B);
FORM_CODE(xor_imm_w, "xorw $0x1234, " BD(2));
FORM_CODE(cmp_mr_b, "cmpb %cl, " B);
FORM_CODE(cmp_mr_w, "cmpw %cx, " B);
FORM_CODE(cmp_mr_l, "cmpl %ecx, " B);
FORM_CODE(cmp_rm_b, "cmpb " B ", %ch");
FORM_CODE(cmp_rm_l, "cmpl " B ", %edx");
FORM_CODE(cmp_imm_b, "cmpb $0x81, " B);
FORM_CODE(cmp_imm8_l, "cmpl $-3, " B);
FORM_CODE(cmp_imm_l, "cmpl $0x12345678, " B);
FORM_CODE(cmp_imm_w, "cmpw $0x1234, " BD(2));
FORM_CODE(lock_add, "lock addl %ecx, " B);
FORM_CODE(lock_or, "lock orl %ecx, " B);
FORM_CODE(lock_and, "lock andl %ecx, " B);
FORM_CODE(lock_xor, "lock xorl %ecx, " B);
FORM_CODE(lock_adc, "lock adcl %ecx, " B);
FORM_CODE(lock_sbb, "lock sbbl %ecx, " B);
FORM_CODE(lock_sub, "lock subl %ecx, " B);
FORM_CODE(test_b, "testb %cl, " B);
FORM_CODE(test_l, "testl %ecx, " B);
FORM_CODE(test_imm_b, "testb $0x40, " B);
FORM_CODE(test_imm_l, "testl $0x80000000, " B);
FORM_CODE(inc_b, "incb " B);
FORM_CODE(inc_w, "incw " B);
FORM_CODE(inc_l, "incl " B);
FORM_CODE(lock_inc, "lock incl " B);
FORM_CODE(dec_b, "decb " B);
FORM_CODE(dec_w, "decw " B);
FORM_CODE(dec_l, "decl " B);
FORM_CODE(lock_dec, "lock decl " B);
FORM_CODE(not_b, "notb " B);
FORM_CODE(not_w, "notw " B);
FORM_CODE(not_l, "notl " B);
FORM_CODE(lock_not, "lock notl " B);
FORM_CODE(neg_b, "negb " B);
FORM_CODE(neg_w, "negw " B);
FORM_CODE(neg_l, "negl " B);
FORM_CODE(lock_neg, "lock negl " B);
FORM_CODE(mul_b, "mulb " B);
FORM_CODE(mul_l, "mull " B);
FORM_CODE(imul_w, "imulw " B);
FORM_CODE(imul_l, "imull " B);
FORM_CODE(imul_rm, "imull " B ", %ecx");
FORM_CODE(imul_rmi, "imull $0x1234, " B ", %ecx");
FORM_CODE(imul_rmi8, "imull $-5, " B ", %ecx");
FORM_CODE(div_l, "xor %edx, %edx\n divl " B);
FORM_CODE(idiv_l, "movl %eax, %edx\n sarl $31, %edx\n orl $0x40000000, " B "\n idivl " B);
FORM_CODE(shl_1_b, "shlb $1, " B);
FORM_CODE(shl_1_l, "shll $1, " B);
FORM_CODE(shl_i_l, "shll $7, " B);
FORM_CODE(shl_cl_w, "movb $3, %cl\n shlw %cl, " B);
FORM_CODE(shl_cl0_l, "movb $32, %cl\n shll %cl, " B);
FORM_CODE(shr_1_b, "shrb $1, " B);
FORM_CODE(shr_1_l, "shrl $1, " B);
FORM_CODE(shr_i_l, "shrl $7, " B);
FORM_CODE(shr_cl_w, "movb $3, %cl\n shrw %cl, " B);
FORM_CODE(shr_cl0_l, "movb $32, %cl\n shrl %cl, " B);
FORM_CODE(sar_1_b, "sarb $1, " B);
FORM_CODE(sar_1_l, "sarl $1, " B);
FORM_CODE(sar_i_l, "sarl $7, " B);
FORM_CODE(sar_cl_w, "movb $3, %cl\n sarw %cl, " B);
FORM_CODE(sar_cl0_l, "movb $32, %cl\n sarl %cl, " B);
FORM_CODE(rol_1_b, "rolb $1, " B);
FORM_CODE(rol_1_l, "roll $1, " B);
FORM_CODE(rol_i_l, "roll $7, " B);
FORM_CODE(rol_cl_w, "movb $3, %cl\n rolw %cl, " B);
FORM_CODE(rol_cl0_l, "movb $32, %cl\n roll %cl, " B);
FORM_CODE(ror_1_b, "rorb $1, " B);
FORM_CODE(ror_1_l, "rorl $1, " B);
FORM_CODE(ror_i_l, "rorl $7, " B);
FORM_CODE(ror_cl_w, "movb $3, %cl\n rorw %cl, " B);
FORM_CODE(ror_cl0_l, "movb $32, %cl\n rorl %cl, " B);
FORM_CODE(rcl_1_b, "rclb $1, " B);
FORM_CODE(rcl_1_l, "rcll $1, " B);
FORM_CODE(rcl_i_l, "rcll $7, " B);
FORM_CODE(rcl_cl_w, "movb $3, %cl\n rclw %cl, " B);
FORM_CODE(rcl_cl0_l, "movb $32, %cl\n rcll %cl, " B);
FORM_CODE(rcr_1_b, "rcrb $1, " B);
FORM_CODE(rcr_1_l, "rcrl $1, " B);
FORM_CODE(rcr_i_l, "rcrl $7, " B);
FORM_CODE(rcr_cl_w, "movb $3, %cl\n rcrw %cl, " B);
FORM_CODE(rcr_cl0_l, "movb $32, %cl\n rcrl %cl, " B);
FORM_CODE(shld_i, "shldl $9, %edx, " B);
FORM_CODE(shld_cl, "movb $5, %cl\n shldl %cl, %edx, " B);
FORM_CODE(shrd_i, "shrdl $9, %edx, " B);
FORM_CODE(shrd_cl, "movb $5, %cl\n shrdl %cl, %edx, " B);
FORM_CODE(bt_i, "btl $13, " B);
FORM_CODE(bt_r, "movl $77, %ecx\n btl %ecx, " B);
FORM_CODE(bt_r_negative, "movl $-35, %ecx\n btl %ecx, " BD(16));
FORM_CODE(bt_r_w, "movw $-20, %cx\n btw %cx, " BD(16));
FORM_CODE(bts_i, "btsl $13, " B);
FORM_CODE(bts_r, "movl $77, %ecx\n btsl %ecx, " B);
FORM_CODE(bts_r_negative, "movl $-35, %ecx\n btsl %ecx, " BD(16));
FORM_CODE(bts_r_w, "movw $-20, %cx\n btsw %cx, " BD(16));
FORM_CODE(btr_i, "btrl $13, " B);
FORM_CODE(btr_r, "movl $77, %ecx\n btrl %ecx, " B);
FORM_CODE(btr_r_negative, "movl $-35, %ecx\n btrl %ecx, " BD(16));
FORM_CODE(btr_r_w, "movw $-20, %cx\n btrw %cx, " BD(16));
FORM_CODE(btc_i, "btcl $13, " B);
FORM_CODE(btc_r, "movl $77, %ecx\n btcl %ecx, " B);
FORM_CODE(btc_r_negative, "movl $-35, %ecx\n btcl %ecx, " BD(16));
FORM_CODE(btc_r_w, "movw $-20, %cx\n btcw %cx, " BD(16));
FORM_CODE(bsf, "bsfl " B ", %ecx");
FORM_CODE(bsr, "bsrl " B ", %ecx");
FORM_CODE(popcnt, "popcntl " B ", %ecx");
FORM_CODE(lzcnt, "lzcntl " B ", %ecx");
FORM_CODE(tzcnt, "tzcntl " B ", %ecx");
FORM_CODE(setc, "setc " B);
FORM_CODE(setnz, "setnz " BD(3));
FORM_CODE(cmovc, "cmovcl " B ", %ecx");
FORM_CODE(cmovnc, "cmovncl " B ", %edx");
FORM_CODE(xchg_b, "xchgb %cl, " B);
FORM_CODE(xchg_w, "xchgw %cx, " B);
FORM_CODE(xchg_l, "xchgl %ecx, " B);
FORM_CODE(xadd_b, "xaddb %cl, " B);
FORM_CODE(xadd_l, "xaddl %ecx, " B);
FORM_CODE(lock_xadd, "lock xaddl %ecx, " B);
FORM_CODE(cmpxchg_b, "cmpxchgb %cl, " B);
FORM_CODE(cmpxchg_l, "cmpxchgl %ecx, " B);
FORM_CODE(cmpxchg_l_equal, "movl " B ", %eax\n lock cmpxchgl %ecx, " B);
FORM_CODE(cmpxchg8b, "cmpxchg8b " B);
FORM_CODE(cmpxchg8b_equal, "mov " REG(bx) ", " REG(si) "\n movl " B ", %eax\n movl " BD(
                               4) ", %edx\n"
                                  "movl $0x13572468, %ebx\n lock cmpxchg8b (" REG(
                                      si) ")\n"
                                          "mov " REG(si) ", " REG(bx) "\n movl $0x5151, %esi");
FORM_CODE(push_pop, "push " B "\n pop " BD(16));
FORM_CODE(push_w, "pushw " BD(2) "\n popw " BD(18));
FORM_CODE(movbe_load, "movbel " B ", %ecx");
FORM_CODE(movbe_store, "movbel %ecx, " B);
FORM_CODE(movnti, "movntil %ecx, " B);
FORM_CODE(andn, "andnl " B ", %ecx, %edx");
FORM_CODE(blsr, "blsrl " B ", %ecx");
FORM_CODE(blsi, "blsil " B ", %ecx");
FORM_CODE(blsmsk, "blsmskl " B ", %ecx");
FORM_CODE(bextr, "bextrl %ecx, " B ", %edx");
FORM_CODE(shlx, "shlxl %ecx, " B ", %edx");
FORM_CODE(rorx, "rorxl $5, " B ", %edx");
FORM_CODE(mulx, "mulxl " B ", %ecx, %eax");
FORM_CODE(pdep, "pdepl " B ", %ecx, %edx");
FORM_CODE(pext, "pextl " B ", %ecx, %edx");
FORM_CODE(bzhi, "bzhil %ecx, " B ", %edx");
FORM_CODE(clflush, "clflush " B);
FORM_CODE(prefetch, "prefetcht0 " B);

static const struct form list[] = {
    {"mov_load_b", form_mov_load_b, 0, F_ALWAYS, P_NONE},
    {"mov_store_b", form_mov_store_b, 0, F_ALWAYS, P_NONE},
    {"mov_load_w", form_mov_load_w, 0, F_ALWAYS, P_NONE},
    {"mov_store_w", form_mov_store_w, 0, F_ALWAYS, P_NONE},
    {"mov_load_l", form_mov_load_l, 0, F_ALWAYS, P_NONE},
    {"mov_store_l", form_mov_store_l, 0, F_ALWAYS, P_NONE},
    {"mov_load_ah", form_mov_load_ah, 0, F_ALWAYS, P_NONE},
    {"mov_load_ch", form_mov_load_ch, 0, F_ALWAYS, P_NONE},
    {"mov_store_ch", form_mov_store_ch, 0, F_ALWAYS, P_NONE},
    {"mov_imm_b", form_mov_imm_b, 0, F_ALWAYS, P_NONE},
    {"mov_imm_w", form_mov_imm_w, 0, F_ALWAYS, P_NONE},
    {"mov_imm_l", form_mov_imm_l, 0, F_ALWAYS, P_NONE},
    {"mov_sreg", form_mov_sreg, 0, F_ALWAYS, P_NONE},
    {"mov_from_sreg_mem", form_mov_from_sreg_mem, 0, F_ALWAYS, P_NONE},
    {"movzx_bw", form_movzx_bw, 0, F_ALWAYS, P_NONE},
    {"movzx_bl", form_movzx_bl, 0, F_ALWAYS, P_NONE},
    {"movzx_wl", form_movzx_wl, 0, F_ALWAYS, P_NONE},
    {"movsx_bw", form_movsx_bw, 0, F_ALWAYS, P_NONE},
    {"movsx_bl", form_movsx_bl, 0, F_ALWAYS, P_NONE},
    {"movsx_wl", form_movsx_wl, 0, F_ALWAYS, P_NONE},
    {"add_mr_b", form_add_mr_b, 0, F_ALWAYS, P_NONE},
    {"add_mr_w", form_add_mr_w, 0, F_ALWAYS, P_NONE},
    {"add_mr_l", form_add_mr_l, 0, F_ALWAYS, P_NONE},
    {"add_rm_b", form_add_rm_b, 0, F_ALWAYS, P_NONE},
    {"add_rm_l", form_add_rm_l, 0, F_ALWAYS, P_NONE},
    {"add_imm_b", form_add_imm_b, 0, F_ALWAYS, P_NONE},
    {"add_imm8_l", form_add_imm8_l, 0, F_ALWAYS, P_NONE},
    {"add_imm_l", form_add_imm_l, 0, F_ALWAYS, P_NONE},
    {"add_imm_w", form_add_imm_w, 0, F_ALWAYS, P_NONE},
    {"or_mr_b", form_or_mr_b, U_AF, F_ALWAYS, P_NONE},
    {"or_mr_w", form_or_mr_w, U_AF, F_ALWAYS, P_NONE},
    {"or_mr_l", form_or_mr_l, U_AF, F_ALWAYS, P_NONE},
    {"or_rm_b", form_or_rm_b, U_AF, F_ALWAYS, P_NONE},
    {"or_rm_l", form_or_rm_l, U_AF, F_ALWAYS, P_NONE},
    {"or_imm_b", form_or_imm_b, U_AF, F_ALWAYS, P_NONE},
    {"or_imm8_l", form_or_imm8_l, U_AF, F_ALWAYS, P_NONE},
    {"or_imm_l", form_or_imm_l, U_AF, F_ALWAYS, P_NONE},
    {"or_imm_w", form_or_imm_w, U_AF, F_ALWAYS, P_NONE},
    {"adc_mr_b", form_adc_mr_b, 0, F_ALWAYS, P_NONE},
    {"adc_mr_w", form_adc_mr_w, 0, F_ALWAYS, P_NONE},
    {"adc_mr_l", form_adc_mr_l, 0, F_ALWAYS, P_NONE},
    {"adc_rm_b", form_adc_rm_b, 0, F_ALWAYS, P_NONE},
    {"adc_rm_l", form_adc_rm_l, 0, F_ALWAYS, P_NONE},
    {"adc_imm_b", form_adc_imm_b, 0, F_ALWAYS, P_NONE},
    {"adc_imm8_l", form_adc_imm8_l, 0, F_ALWAYS, P_NONE},
    {"adc_imm_l", form_adc_imm_l, 0, F_ALWAYS, P_NONE},
    {"adc_imm_w", form_adc_imm_w, 0, F_ALWAYS, P_NONE},
    {"sbb_mr_b", form_sbb_mr_b, 0, F_ALWAYS, P_NONE},
    {"sbb_mr_w", form_sbb_mr_w, 0, F_ALWAYS, P_NONE},
    {"sbb_mr_l", form_sbb_mr_l, 0, F_ALWAYS, P_NONE},
    {"sbb_rm_b", form_sbb_rm_b, 0, F_ALWAYS, P_NONE},
    {"sbb_rm_l", form_sbb_rm_l, 0, F_ALWAYS, P_NONE},
    {"sbb_imm_b", form_sbb_imm_b, 0, F_ALWAYS, P_NONE},
    {"sbb_imm8_l", form_sbb_imm8_l, 0, F_ALWAYS, P_NONE},
    {"sbb_imm_l", form_sbb_imm_l, 0, F_ALWAYS, P_NONE},
    {"sbb_imm_w", form_sbb_imm_w, 0, F_ALWAYS, P_NONE},
    {"and_mr_b", form_and_mr_b, U_AF, F_ALWAYS, P_NONE},
    {"and_mr_w", form_and_mr_w, U_AF, F_ALWAYS, P_NONE},
    {"and_mr_l", form_and_mr_l, U_AF, F_ALWAYS, P_NONE},
    {"and_rm_b", form_and_rm_b, U_AF, F_ALWAYS, P_NONE},
    {"and_rm_l", form_and_rm_l, U_AF, F_ALWAYS, P_NONE},
    {"and_imm_b", form_and_imm_b, U_AF, F_ALWAYS, P_NONE},
    {"and_imm8_l", form_and_imm8_l, U_AF, F_ALWAYS, P_NONE},
    {"and_imm_l", form_and_imm_l, U_AF, F_ALWAYS, P_NONE},
    {"and_imm_w", form_and_imm_w, U_AF, F_ALWAYS, P_NONE},
    {"sub_mr_b", form_sub_mr_b, 0, F_ALWAYS, P_NONE},
    {"sub_mr_w", form_sub_mr_w, 0, F_ALWAYS, P_NONE},
    {"sub_mr_l", form_sub_mr_l, 0, F_ALWAYS, P_NONE},
    {"sub_rm_b", form_sub_rm_b, 0, F_ALWAYS, P_NONE},
    {"sub_rm_l", form_sub_rm_l, 0, F_ALWAYS, P_NONE},
    {"sub_imm_b", form_sub_imm_b, 0, F_ALWAYS, P_NONE},
    {"sub_imm8_l", form_sub_imm8_l, 0, F_ALWAYS, P_NONE},
    {"sub_imm_l", form_sub_imm_l, 0, F_ALWAYS, P_NONE},
    {"sub_imm_w", form_sub_imm_w, 0, F_ALWAYS, P_NONE},
    {"xor_mr_b", form_xor_mr_b, U_AF, F_ALWAYS, P_NONE},
    {"xor_mr_w", form_xor_mr_w, U_AF, F_ALWAYS, P_NONE},
    {"xor_mr_l", form_xor_mr_l, U_AF, F_ALWAYS, P_NONE},
    {"xor_rm_b", form_xor_rm_b, U_AF, F_ALWAYS, P_NONE},
    {"xor_rm_l", form_xor_rm_l, U_AF, F_ALWAYS, P_NONE},
    {"xor_imm_b", form_xor_imm_b, U_AF, F_ALWAYS, P_NONE},
    {"xor_imm8_l", form_xor_imm8_l, U_AF, F_ALWAYS, P_NONE},
    {"xor_imm_l", form_xor_imm_l, U_AF, F_ALWAYS, P_NONE},
    {"xor_imm_w", form_xor_imm_w, U_AF, F_ALWAYS, P_NONE},
    {"cmp_mr_b", form_cmp_mr_b, 0, F_ALWAYS, P_NONE},
    {"cmp_mr_w", form_cmp_mr_w, 0, F_ALWAYS, P_NONE},
    {"cmp_mr_l", form_cmp_mr_l, 0, F_ALWAYS, P_NONE},
    {"cmp_rm_b", form_cmp_rm_b, 0, F_ALWAYS, P_NONE},
    {"cmp_rm_l", form_cmp_rm_l, 0, F_ALWAYS, P_NONE},
    {"cmp_imm_b", form_cmp_imm_b, 0, F_ALWAYS, P_NONE},
    {"cmp_imm8_l", form_cmp_imm8_l, 0, F_ALWAYS, P_NONE},
    {"cmp_imm_l", form_cmp_imm_l, 0, F_ALWAYS, P_NONE},
    {"cmp_imm_w", form_cmp_imm_w, 0, F_ALWAYS, P_NONE},
    {"lock_add", form_lock_add, 0, F_ALWAYS, P_NONE},
    {"lock_or", form_lock_or, U_AF, F_ALWAYS, P_NONE},
    {"lock_and", form_lock_and, U_AF, F_ALWAYS, P_NONE},
    {"lock_xor", form_lock_xor, U_AF, F_ALWAYS, P_NONE},
    {"lock_adc", form_lock_adc, 0, F_ALWAYS, P_NONE},
    {"lock_sbb", form_lock_sbb, 0, F_ALWAYS, P_NONE},
    {"lock_sub", form_lock_sub, 0, F_ALWAYS, P_NONE},
    {"test_b", form_test_b, U_AF, F_ALWAYS, P_NONE},
    {"test_l", form_test_l, U_AF, F_ALWAYS, P_NONE},
    {"test_imm_b", form_test_imm_b, U_AF, F_ALWAYS, P_NONE},
    {"test_imm_l", form_test_imm_l, U_AF, F_ALWAYS, P_NONE},
    {"inc_b", form_inc_b, 0, F_ALWAYS, P_NONE},
    {"inc_w", form_inc_w, 0, F_ALWAYS, P_NONE},
    {"inc_l", form_inc_l, 0, F_ALWAYS, P_NONE},
    {"lock_inc", form_lock_inc, 0, F_ALWAYS, P_NONE},
    {"dec_b", form_dec_b, 0, F_ALWAYS, P_NONE},
    {"dec_w", form_dec_w, 0, F_ALWAYS, P_NONE},
    {"dec_l", form_dec_l, 0, F_ALWAYS, P_NONE},
    {"lock_dec", form_lock_dec, 0, F_ALWAYS, P_NONE},
    {"not_b", form_not_b, 0, F_ALWAYS, P_NONE},
    {"not_w", form_not_w, 0, F_ALWAYS, P_NONE},
    {"not_l", form_not_l, 0, F_ALWAYS, P_NONE},
    {"lock_not", form_lock_not, 0, F_ALWAYS, P_NONE},
    {"neg_b", form_neg_b, 0, F_ALWAYS, P_NONE},
    {"neg_w", form_neg_w, 0, F_ALWAYS, P_NONE},
    {"neg_l", form_neg_l, 0, F_ALWAYS, P_NONE},
    {"lock_neg", form_lock_neg, 0, F_ALWAYS, P_NONE},
    {"mul_b", form_mul_b, U_MUL, F_ALWAYS, P_NONE},
    {"mul_l", form_mul_l, U_MUL, F_ALWAYS, P_NONE},
    {"imul_w", form_imul_w, U_MUL, F_ALWAYS, P_NONE},
    {"imul_l", form_imul_l, U_MUL, F_ALWAYS, P_NONE},
    {"imul_rm", form_imul_rm, U_MUL, F_ALWAYS, P_NONE},
    {"imul_rmi", form_imul_rmi, U_MUL, F_ALWAYS, P_NONE},
    {"imul_rmi8", form_imul_rmi8, U_MUL, F_ALWAYS, P_NONE},
    {"div_l", form_div_l, U_ALL, F_ALWAYS, P_NONE},
    {"idiv_l", form_idiv_l, U_ALL, F_ALWAYS, P_NONE},
    {"shl_1_b", form_shl_1_b, U_AF, F_ALWAYS, P_NONE},
    {"shl_1_l", form_shl_1_l, U_AF, F_ALWAYS, P_NONE},
    {"shl_i_l", form_shl_i_l, U_SHIFT, F_ALWAYS, P_NONE},
    {"shl_cl_w", form_shl_cl_w, U_SHIFT, F_ALWAYS, P_NONE},
    {"shl_cl0_l", form_shl_cl0_l, 0, F_ALWAYS, P_NONE},
    {"shr_1_b", form_shr_1_b, U_AF, F_ALWAYS, P_NONE},
    {"shr_1_l", form_shr_1_l, U_AF, F_ALWAYS, P_NONE},
    {"shr_i_l", form_shr_i_l, U_SHIFT, F_ALWAYS, P_NONE},
    {"shr_cl_w", form_shr_cl_w, U_SHIFT, F_ALWAYS, P_NONE},
    {"shr_cl0_l", form_shr_cl0_l, 0, F_ALWAYS, P_NONE},
    {"sar_1_b", form_sar_1_b, U_AF, F_ALWAYS, P_NONE},
    {"sar_1_l", form_sar_1_l, U_AF, F_ALWAYS, P_NONE},
    {"sar_i_l", form_sar_i_l, U_SHIFT, F_ALWAYS, P_NONE},
    {"sar_cl_w", form_sar_cl_w, U_SHIFT, F_ALWAYS, P_NONE},
    {"sar_cl0_l", form_sar_cl0_l, 0, F_ALWAYS, P_NONE},
    {"rol_1_b", form_rol_1_b, U_AF, F_ALWAYS, P_NONE},
    {"rol_1_l", form_rol_1_l, U_AF, F_ALWAYS, P_NONE},
    {"rol_i_l", form_rol_i_l, U_SHIFT, F_ALWAYS, P_NONE},
    {"rol_cl_w", form_rol_cl_w, U_SHIFT, F_ALWAYS, P_NONE},
    {"rol_cl0_l", form_rol_cl0_l, 0, F_ALWAYS, P_NONE},
    {"ror_1_b", form_ror_1_b, U_AF, F_ALWAYS, P_NONE},
    {"ror_1_l", form_ror_1_l, U_AF, F_ALWAYS, P_NONE},
    {"ror_i_l", form_ror_i_l, U_SHIFT, F_ALWAYS, P_NONE},
    {"ror_cl_w", form_ror_cl_w, U_SHIFT, F_ALWAYS, P_NONE},
    {"ror_cl0_l", form_ror_cl0_l, 0, F_ALWAYS, P_NONE},
    {"rcl_1_b", form_rcl_1_b, U_AF, F_ALWAYS, P_NONE},
    {"rcl_1_l", form_rcl_1_l, U_AF, F_ALWAYS, P_NONE},
    {"rcl_i_l", form_rcl_i_l, U_SHIFT, F_ALWAYS, P_NONE},
    {"rcl_cl_w", form_rcl_cl_w, U_SHIFT, F_ALWAYS, P_NONE},
    {"rcl_cl0_l", form_rcl_cl0_l, 0, F_ALWAYS, P_NONE},
    {"rcr_1_b", form_rcr_1_b, U_AF, F_ALWAYS, P_NONE},
    {"rcr_1_l", form_rcr_1_l, U_AF, F_ALWAYS, P_NONE},
    {"rcr_i_l", form_rcr_i_l, U_SHIFT, F_ALWAYS, P_NONE},
    {"rcr_cl_w", form_rcr_cl_w, U_SHIFT, F_ALWAYS, P_NONE},
    {"rcr_cl0_l", form_rcr_cl0_l, 0, F_ALWAYS, P_NONE},
    {"shld_i", form_shld_i, U_SHIFT, F_ALWAYS, P_NONE},
    {"shld_cl", form_shld_cl, U_SHIFT, F_ALWAYS, P_NONE},
    {"shrd_i", form_shrd_i, U_SHIFT, F_ALWAYS, P_NONE},
    {"shrd_cl", form_shrd_cl, U_SHIFT, F_ALWAYS, P_NONE},
    {"bt_i", form_bt_i, U_BT, F_ALWAYS, P_NONE},
    {"bt_r", form_bt_r, U_BT, F_ALWAYS, P_NONE},
    {"bt_r_negative", form_bt_r_negative, U_BT, F_ALWAYS, P_NONE},
    {"bt_r_w", form_bt_r_w, U_BT, F_ALWAYS, P_NONE},
    {"bts_i", form_bts_i, U_BT, F_ALWAYS, P_NONE},
    {"bts_r", form_bts_r, U_BT, F_ALWAYS, P_NONE},
    {"bts_r_negative", form_bts_r_negative, U_BT, F_ALWAYS, P_NONE},
    {"bts_r_w", form_bts_r_w, U_BT, F_ALWAYS, P_NONE},
    {"btr_i", form_btr_i, U_BT, F_ALWAYS, P_NONE},
    {"btr_r", form_btr_r, U_BT, F_ALWAYS, P_NONE},
    {"btr_r_negative", form_btr_r_negative, U_BT, F_ALWAYS, P_NONE},
    {"btr_r_w", form_btr_r_w, U_BT, F_ALWAYS, P_NONE},
    {"btc_i", form_btc_i, U_BT, F_ALWAYS, P_NONE},
    {"btc_r", form_btc_r, U_BT, F_ALWAYS, P_NONE},
    {"btc_r_negative", form_btc_r_negative, U_BT, F_ALWAYS, P_NONE},
    {"btc_r_w", form_btc_r_w, U_BT, F_ALWAYS, P_NONE},
    {"bsf", form_bsf, U_BS, F_ALWAYS, P_NONE},
    {"bsr", form_bsr, U_BS, F_ALWAYS, P_NONE},
    {"popcnt", form_popcnt, 0, F_POPCNT, P_NONE},
    {"lzcnt", form_lzcnt, U_BT, F_LZCNT, P_NONE},
    {"tzcnt", form_tzcnt, U_BT, F_BMI1, P_NONE},
    {"setc", form_setc, 0, F_ALWAYS, P_NONE},
    {"setnz", form_setnz, 0, F_ALWAYS, P_NONE},
    {"cmovc", form_cmovc, 0, F_ALWAYS, P_NONE},
    {"cmovnc", form_cmovnc, 0, F_ALWAYS, P_NONE},
    {"xchg_b", form_xchg_b, 0, F_ALWAYS, P_NONE},
    {"xchg_w", form_xchg_w, 0, F_ALWAYS, P_NONE},
    {"xchg_l", form_xchg_l, 0, F_ALWAYS, P_NONE},
    {"xadd_b", form_xadd_b, 0, F_ALWAYS, P_NONE},
    {"xadd_l", form_xadd_l, 0, F_ALWAYS, P_NONE},
    {"lock_xadd", form_lock_xadd, 0, F_ALWAYS, P_NONE},
    {"cmpxchg_b", form_cmpxchg_b, 0, F_ALWAYS, P_NONE},
    {"cmpxchg_l", form_cmpxchg_l, 0, F_ALWAYS, P_NONE},
    {"cmpxchg_l_equal", form_cmpxchg_l_equal, 0, F_ALWAYS, P_NONE},
    {"cmpxchg8b", form_cmpxchg8b, 0, F_ALWAYS, P_NONE},
    {"cmpxchg8b_equal", form_cmpxchg8b_equal, 0, F_ALWAYS, P_NONE},
    {"push_pop", form_push_pop, 0, F_ALWAYS, P_NONE},
    {"push_w", form_push_w, 0, F_ALWAYS, P_NONE},
    {"movbe_load", form_movbe_load, 0, F_MOVBE, P_NONE},
    {"movbe_store", form_movbe_store, 0, F_MOVBE, P_NONE},
    {"movnti", form_movnti, 0, F_ALWAYS, P_NONE},
    {"andn", form_andn, U_AF | 4, F_BMI1, P_NONE},
    {"blsr", form_blsr, U_AF | 4, F_BMI1, P_NONE},
    {"blsi", form_blsi, U_AF | 4, F_BMI1, P_NONE},
    {"blsmsk", form_blsmsk, U_AF | 4, F_BMI1, P_NONE},
    {"bextr", form_bextr, U_AF | 0x84, F_BMI1, P_NONE},
    {"shlx", form_shlx, 0, F_BMI2, P_NONE},
    {"rorx", form_rorx, 0, F_BMI2, P_NONE},
    {"mulx", form_mulx, 0, F_BMI2, P_NONE},
    {"pdep", form_pdep, 0, F_BMI2, P_NONE},
    {"pext", form_pext, 0, F_BMI2, P_NONE},
    {"bzhi", form_bzhi, U_AF | 4, F_BMI2, P_NONE},
    {"clflush", form_clflush, 0, F_ALWAYS, P_NONE},
    {"prefetch", form_prefetch, 0, F_ALWAYS, P_NONE},
};

const struct form_list forms_integer = {list, ARRAY_SIZE(list)};
