/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arithmetic with its flags. The processor itself computes both, so that flags which the manual
 * leaves undefined come out as on the processor that the guest runs on. Values are zero-extended;
 * *flags is RFLAGS, in and out, of which only the arithmetic flags change.
 */
#ifndef VMM_EMUL_ALU_H
#define VMM_EMUL_ALU_H

#include "lib/types.h"
#include "vmm/emul/insn.h"

/* op: OP_ADD to OP_TEST. OP_CMP and OP_TEST return dst. size: 1, 2, 4, 8. */
u64 alu_binary(unsigned op, unsigned size, u64 dst, u64 src, u64 *flags);
/* op: OP_NOT to OP_DEC */
u64 alu_unary(unsigned op, unsigned size, u64 v, u64 *flags);
/* op: OP_ROL to OP_SAR; the count is masked as the instruction does. */
u64 alu_shift(unsigned op, unsigned size, u64 v, u8 count, u64 *flags);
/* op: OP_SHLD, OP_SHRD; size 2, 4, 8 */
u64 alu_shift_double(unsigned op, unsigned size, u64 dst, u64 src, u8 count, u64 *flags);
/* Two-operand IMUL; size 2, 4, 8. */
u64 alu_imul(unsigned size, u64 dst, u64 src, u64 *flags);
/* op: OP_BSF, OP_BSR; dst is the destination's whole old value, of which zero may leave all. */
u64 alu_scan(unsigned op, unsigned size, u64 dst, u64 src, u64 *flags);
/*
 * op: OP_MUL to OP_IDIV on the accumulator pair: *lo is RAX, *hi is RDX (for size 1 only *lo
 * counts). False: divide error, nothing changed.
 */
bool alu_muldiv(unsigned op, unsigned size, u64 *lo, u64 *hi, u64 src, u64 *flags);

#endif
