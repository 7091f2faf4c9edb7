/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Vector moves between a register and memory. The registers' contents travel as bytes through the
 * caller: nothing here uses a vector register. Intel SDM volume 2; volume 3, 2.5 and 13.1 (state).
 */
#include "lib/string.h"
#include "vmm/emul/internal.h"

/* Whether the guest has switched the state on (SDM 2, tables 2-21 and 2-26). */
static enum emul_result state_enabled(struct emul_cpu *c, bool vex)
{
    u64 cr0 = emul_get(c, EMUL_CR0), cr4 = emul_get(c, EMUL_CR4);

    if (vex) {
        if (!(cr4 & CR4_OSXSAVE) || ~emul_get(c, EMUL_XCR0) & (XCR0_SSE | XCR0_AVX))
            return emul_raise(c, EXC_UD);
    } else if ((cr0 & CR0_EM) || !(cr4 & CR4_OSFXSR)) {
        return emul_raise(c, EXC_UD);
    }
    return cr0 & CR0_TS ? emul_raise(c, EXC_NM) : EMUL_DONE;
}

/* An aligned move is #GP off its boundary, before the address itself is looked at. */
static enum emul_result vec_open(struct emul_cpu *c, struct span *s)
{
    const struct insn *in = &c->insn;

    if (in->row_flags & T_ALIGNED) {
        u64 gla = emul_ea(c);

        if (c->mode != INSN_64 || in->seg >= SEG_FS)
            gla += emul_seg(c, in->seg)->base;
        if (gla & (in->msize - 1))
            return emul_raise_error(c, EXC_GP, 0);
    }
    return mem_open(c, s);
}

/* MOVLPS, MOVHPS and theirs: the half that is not moved comes from the first source. */
static void merge_half(struct emul_cpu *c, u8 *buf)
{
    const struct insn *in = &c->insn;
    bool high = in->opcode >= 0x16;
    u8 old[16];

    c->ops->get_vec(c->ctx, in->flags & INSN_VEX ? in->vvvv : in->reg, old, 16);
    if (high) {
        memcpy(buf + 8, buf, 8);
        memcpy(buf, old, 8);
    } else {
        memcpy(buf + 8, old + 8, 8);
    }
}

enum emul_result exec_vmov(struct emul_cpu *c)
{
    const struct insn *in = &c->insn;
    bool vex = in->flags & INSN_VEX, load = in->access == INSN_READ;
    u8 buf[32] = {0};
    struct span s;

    if (!(in->flags & INSN_HAS_MEM))
        return emul_unsupported(c, "vector move between registers");
    TRY(state_enabled(c, vex));
    TRY(vec_open(c, &s));
    if (load) {
        span_read(c, &s, buf);
    } else {
        c->ops->get_vec(c->ctx, in->reg, buf, in->msize > 16 ? 32 : 16);
        span_write(c, &s, in->op == OP_VMOV_HALF && in->opcode >= 0x16 ? buf + 8 : buf);
    }
    span_close(c, &s);
    if (!load)
        return EMUL_DONE;
    if (in->op == OP_VMOV_HALF)
        merge_half(c, buf);
    c->ops->set_vec(c->ctx, in->reg, buf, vex ? 32 : 16);
    return EMUL_DONE;
}
