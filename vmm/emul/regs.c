/* SPDX-License-Identifier: BSD-2-Clause */
/* Registers as instructions see them, and how an emulation ends without effect. */
#include "vmm/emul/internal.h"

u64 emul_get(struct emul_cpu *c, enum emul_reg r)
{
    if (!(c->have & (1u << r)))
        emul_know(c, r, c->ops->get(c->ctx, r));
    return c->reg[r];
}

void emul_put(struct emul_cpu *c, enum emul_reg r, u64 value)
{
    c->dirty |= 1u << r;
    emul_know(c, r, value);
}

const struct x86_seg *emul_seg(struct emul_cpu *c, unsigned s)
{
    if (!(c->have_seg & (1u << s))) {
        c->ops->get_seg(c->ctx, (enum seg)s, &c->seg[s]);
        c->have_seg |= 1u << s;
    }
    return &c->seg[s];
}

u64 gpr_get(struct emul_cpu *c, unsigned r)
{
    return unlikely(r == RSP) ? emul_get(c, EMUL_RSP) : c->gpr[r];
}

void gpr_set(struct emul_cpu *c, unsigned r, u64 value)
{
    if (unlikely(r == RSP))
        emul_put(c, EMUL_RSP, value);
    else
        c->gpr[r] = value;
}

/* Whether byte register r of this instruction is AH, CH, DH or BH (SDM 1, 3.4.1.1). */
static bool high_byte(const struct insn *in, unsigned r)
{
    return r >= 4 && r < 8 && !(in->flags & INSN_REX);
}

u64 reg_read(struct emul_cpu *c, unsigned r, unsigned size)
{
    if (size == 1 && high_byte(&c->insn, r))
        return gpr_get(c, r - 4) >> 8 & 0xff;
    return gpr_get(c, r) & size_mask(size);
}

void reg_write(struct emul_cpu *c, unsigned r, unsigned size, u64 value)
{
    u64 mask = size_mask(size);

    if (size < 4) {
        if (size == 1 && high_byte(&c->insn, r)) {
            r -= 4;
            mask = 0xff00;
            value <<= 8;
        }
        value = (gpr_get(c, r) & ~mask) | (value & mask);
        mask = ~0ull;
    }
    gpr_set(c, r, value & mask);
}

/* ---- results ---- */

enum emul_result emul_raise(struct emul_cpu *c, unsigned vector)
{
    c->fault = (struct emul_fault){.vector = (u8)vector};
    return EMUL_FAULT;
}

enum emul_result emul_raise_error(struct emul_cpu *c, unsigned vector, u32 error)
{
    c->fault = (struct emul_fault){.vector = (u8)vector, .has_error = true, .error = error};
    return EMUL_FAULT;
}

enum emul_result emul_retry(struct emul_cpu *c, const char *why)
{
    c->why = why;
    return EMUL_RETRY;
}

enum emul_result emul_explained(struct emul_cpu *c)
{
    return likely(c->explained) ? EMUL_DONE : emul_retry(c, "does not explain the exit");
}

enum emul_result emul_unsupported(struct emul_cpu *c, const char *why)
{
    c->why = why;
    return EMUL_UNSUPPORTED;
}
