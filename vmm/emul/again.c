/* SPDX-License-Identifier: BSD-2-Clause */
/* Which instructions are remembered, and what of them: see again.h. */
#include "vmm/emul/again.h"
#include "vmm/emul/internal.h"

static bool moves_cr(const struct insn *in)
{
    return in->op == OP_MOV_TO_CR || in->op == OP_MOV_FROM_CR;
}

/* A plain MOV of a whole register, or of an immediate, and one device register. */
static bool moves_device(const struct insn *in)
{
    return in->op == OP_MOV && (in->flags & INSN_HAS_MEM) && in->msize >= 4 && in->asize == 8 &&
           in->seg < SEG_FS && in->base != RSP && in->index != RSP &&
           !(in->form != F_RM_IMM && in->reg == RSP);
}

static void take_operands(struct emul_again *a, const struct insn *in, gla_t rip)
{
    bool imm = in->form == F_RM_IMM;

    a->len = in->len;
    a->op = in->op;
    if (moves_cr(in)) {
        a->access = EMUL_AGAIN_CR;
        a->cr = in->reg;
        a->reg = in->rm;
        return;
    }
    a->size = in->msize;
    a->access = in->access;
    a->reg = in->form == F_R_RM || in->form == F_RM_R ? in->reg : RAX;
    a->disp = in->disp + (in->flags & INSN_RIP_REL ? rip + in->len : 0);
    a->base = in->base & 15;
    a->base_mask = in->base == INSN_NO_REG ? 0 : ~0ull;
    a->index = in->index & 15;
    a->index_mask = in->index == INSN_NO_REG ? 0 : ~0ull;
    a->scale = in->scale;
    a->imm = imm ? in->imm & size_mask(in->msize) : 0;
    a->source_mask = imm ? 0 : size_mask(in->msize);
}

void emul_remember(struct emul_cpu *c, const struct x86_mode *mode)
{
    gla_t rip = emul_get(c, EMUL_RIP);
    struct emul_again *a = &c->again[emul_again_slot(rip)];
    const struct emul_code *e = &c->code[rip >> PAGE_SHIFT & (EMUL_CODE_PAGES - 1)];

    __asm__("" : "+r"(a), "+r"(e)); /* or addresses are computed again for each field */
    /* The page was fetched from the quick way, in this emulation or one like it. */
    if (c->mode != INSN_64 || c->cpl == 3 || e->serial != c->serial || !e->serial ||
        !(moves_device(&c->insn) || moves_cr(&c->insn)) || e->page != (rip & ~PAGE_MASK) ||
        e->walk.levels > ARRAY_SIZE(a->at) || (rip & PAGE_MASK) > PAGE_SIZE - 16)
        return;
    for (unsigned i = 0, from = 0; i < ARRAY_SIZE(a->at); i++) {
        a->at[i] = e->walk.at[from];
        a->value[i] = e->walk.value[from];
        from += from + 1 < e->walk.levels;
    }
    a->generation = e->generation;
    a->code = e->code + (rip & PAGE_MASK);
    __builtin_memcpy(a->bytes, c->bytes, 16);
    a->mask[0] = size_mask(MIN(c->insn.len, 8));
    a->mask[1] = c->insn.len > 8 ? size_mask(c->insn.len - 8u) : 0;
    a->rip = rip;
    a->mode = *mode;
    take_operands(a, &c->insn, rip);
}
