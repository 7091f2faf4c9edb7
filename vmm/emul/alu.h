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

/*
 * op: OP_ADD to OP_DEC, OP_IMUL_REG, OP_XADD (the sum), OP_ROL to OP_SAR (src is the count, which
 * is masked as the instruction does), OP_BSF and OP_BSR (dst is the destination's whole old value,
 * of which zero may leave all, and so is the result). OP_CMP and OP_TEST return dst. size: 1, 2, 4,
 * 8; not 1 for OP_IMUL_REG, OP_BSF and OP_BSR.
 */
u64 alu_compute(unsigned op, unsigned size, u64 dst, u64 src, u64 *flags);
/* op: OP_SHLD, OP_SHRD; size 2, 4, 8 */
u64 alu_shift_double(unsigned op, unsigned size, u64 dst, u64 src, u8 count, u64 *flags);
/*
 * op: OP_MUL to OP_IDIV on the accumulator pair: *lo is RAX, *hi is RDX (for size 1 only *lo
 * counts). False: divide error, nothing changed.
 */
bool alu_muldiv(unsigned op, unsigned size, u64 *lo, u64 *hi, u64 src, u64 *flags);

#endif
