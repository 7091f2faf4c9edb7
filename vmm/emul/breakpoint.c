/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Data and I/O breakpoints, which a processor does not see of an instruction that is executed here:
 * SDM 3, 17.2.4 (DR7) and 17.2.5 (what matches).
 */
#include "vmm/emul/internal.h"

#define PORT 4u /* beside INSN_READ and INSN_WRITE */

struct breakpoints {
    const u64 *dr;
    u64 dr7;
    u32 hit;
};

/* One access of `size` bytes at linear address or port `at`. */
static void match(struct breakpoints *b, u64 at, unsigned size, unsigned kind)
{
    /* By DR7's R/W field: execution (which the processor sees), writes, ports, both ways. */
    static const u8 kinds[4] = {0, INSN_WRITE, PORT, INSN_READ | INSN_WRITE};
    static const u8 sizes[4] = {1, 2, 8, 4};

    for (unsigned i = 0; i < 4; i++) {
        u64 field = b->dr7 >> (16 + 4 * i);
        unsigned span = sizes[field >> 2 & 3];
        u64 from = b->dr[i] & ~(u64)(span - 1);

        if ((b->dr7 >> (2 * i) & 3) && (kinds[field & 3] & kind) &&
            (at - from < span || from - at < size))
            b->hit |= 1u << i;
    }
}

static void match_memory(struct emul_cpu *c, struct breakpoints *b, unsigned seg, u64 ea,
                         unsigned rw)
{
    gla_t gla;

    if (c->insn.msize &&
        emul_linear(c, seg, ea & size_mask(c->insn.asize), c->insn.msize, rw, &gla) == EMUL_DONE)
        match(b, gla, c->insn.msize, rw);
}

u32 emul_breakpoints(struct emul_cpu *c, const u64 dr[4], u64 dr7)
{
    const struct insn *in = &c->insn;
    struct breakpoints b = {.dr = dr, .dr7 = dr7};
    unsigned op = in->op;
    bool string = op >= OP_MOVS && op <= OP_OUTS;

    if (string && (in->flags & (INSN_REP | INSN_REPNE)) &&
        !(gpr_get(c, RCX) & size_mask(in->asize)))
        return 0;
    if (op >= OP_INS && op <= OP_OUT && (emul_get(c, EMUL_CR4) & CR4_DE))
        match(&b, in->form == F_ACC_IMM ? (u16)in->imm : (u16)gpr_get(c, RDX), in->opsize, PORT);
    if (op == OP_MOVS || op == OP_CMPS || op == OP_LODS || op == OP_OUTS)
        match_memory(c, &b, in->seg, gpr_get(c, RSI), INSN_READ);
    if (string && op != OP_LODS && op != OP_OUTS)
        match_memory(c, &b, SEG_ES, gpr_get(c, RDI),
                     op == OP_CMPS || op == OP_SCAS ? INSN_READ : INSN_WRITE);
    if (in->flags & INSN_HAS_MEM)
        match_memory(c, &b, in->seg, emul_ea(c), in->access);
    return b.hit;
}
