/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Operands of the native comparison's cases: registers are aimed at the data pages and their edges,
 * and what an instruction can use (divisors, branch targets, selectors) is planted there.
 */
#include "tests/emul/native.h"

u64 rng_state;

u64 rnd(void)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return rng_state * 0x2545f4914f6cdd1dull;
}

u64 below(u64 n)
{
    return (rnd() >> 16) % n;
}

bool chance(unsigned percent)
{
    return below(100) < percent;
}

u64 interesting(void)
{
    switch (below(8)) {
    case 0:
        return below(256);
    case 1:
        return -below(256);
    case 2:
        return BIT(below(64));
    case 3:
        return BIT(below(64)) - 1;
    case 4:
        return (u32)rnd();
    case 5:
        return (rnd() & 0x8080808080808080ull) | 0x7f7f7f7f7f7f7f7full;
    default:
        return rnd();
    }
}

static u64 pick_address(void)
{
    u64 page = DATA + below(DATA_PAGES + 1) * PAGE_SIZE;

    switch (below(5)) {
    case 0:
        return page - below(34);
    case 1:
        return page - below(34) + 16;
    case 2:
        return DATA + below(DATA_PAGES * PAGE_SIZE);
    case 3:
        return ALIGN_DOWN(DATA + below(2 * PAGE_SIZE), 32);
    default:
        return ALIGN_DOWN(DATA + below(2 * PAGE_SIZE), 8) + (chance(30) ? below(8) : 0);
    }
}

static u64 segment_base(const struct test *c, unsigned seg)
{
    if (c->mode == INSN_64)
        return seg == SEG_GS ? GS_BASE : 0;
    return c->sel[seg] & 4 ? ldt[c->sel[seg] >> 3].base : 0;
}

void aim(struct test *c)
{
    const struct insn *in = &c->insn;
    u64 *gpr = c->in.gpr, target = pick_address(), v;

    set_part(&gpr[RSI], pick_address() - segment_base(c, in->seg), in->asize);
    set_part(&gpr[RDI], pick_address() - segment_base(c, SEG_ES), in->asize);
    set_part(&gpr[RSP], pick_address() - segment_base(c, SEG_SS), 8);
    if (in->op == OP_XLAT)
        set_part(&gpr[RBX], target - segment_base(c, in->seg) - (gpr[RAX] & 0xff), in->asize);
    if (!(in->flags & INSN_HAS_MEM))
        return;
    target -= segment_base(c, in->seg);
    if (in->base != INSN_NO_REG && in->base != in->index) {
        v = target - in->disp;
        if (in->index != INSN_NO_REG)
            v -= gpr[in->index] << in->scale;
        set_part(&gpr[in->base], v, in->asize);
        return;
    }
    if (c->disp_len < 2)
        return;
    if (in->flags & INSN_RIP_REL)
        v = target - (CODE + c->ip + in->len);
    else if (in->index != INSN_NO_REG)
        v = target - (gpr[in->index] << in->scale);
    else
        v = target;
    memcpy(c->bytes + c->disp_pos, &v, c->disp_len);
    insn_decode(c->bytes, 15, c->mode, &c->insn);
}

void tame(struct test *c)
{
    const struct insn *in = &c->insn;

    if (in->op >= OP_MOVS && in->op <= OP_OUTS && chance(85))
        set_part(&c->in.gpr[RCX], below(20), in->asize);
    if (in->op >= OP_BT && in->op <= OP_BTC && in->form == F_RM_R && chance(85))
        set_part(&c->in.gpr[in->reg], below(4096) - 2048, in->opsize);
    if ((in->op == OP_CALL || in->op == OP_JMP) && !(in->flags & INSN_HAS_MEM) && chance(70))
        c->in.gpr[in->rm] = CODE + 0x80 - (c->mode == INSN_16 ? CODE : 0);
    if (in->op == OP_CALL && in->form == F_IMM && c->mode == INSN_16 && chance(50)) {
        u32 back = 0x80 - (u32)(c->ip + in->len); /* few of 32 bits stay in its 64 KiB */

        memcpy(c->bytes + in->len - in->opsize, &back, in->opsize);
        insn_decode(c->bytes, 15, c->mode, &c->insn);
    }
}

/* A selector of each kind that a load may meet. */
static u16 pick_selector(void)
{
    static const u16 good[] = {USER_DS,     USER_CS,          USER32_CS,          0,
                               LDT(LDT_GS), LDT(LDT_DATA64K), LDT(LDT_DATA_SMALL)};
    static const u16 others[] = {1,
                                 2,
                                 3,
                                 0x08 /* Linux's own */,
                                 0x10,
                                 0x18,
                                 0x1b,
                                 0x28,
                                 0x2a,
                                 0x63 /* empty */,
                                 0x40 /* a TSS */,
                                 0x83 /* beyond */,
                                 0xfffb,
                                 LDT(LDT_COUNT),
                                 0xffff,
                                 LDT(LDT_DOWN),
                                 LDT(LDT_RO),
                                 LDT(LDT_CODE_READ),
                                 LDT(LDT_CODE16),
                                 LDT(LDT_CODE_ONLY),
                                 LDT(LDT_ABSENT),
                                 LDT(LDT_ABSENT) & ~3u,
                                 LDT(LDT_GS) & ~1u};

    return chance(50) ? good[below(ARRAY_SIZE(good))] : others[below(ARRAY_SIZE(others))];
}

static bool wants_plant(unsigned op)
{
    switch (op) {
    case OP_CALL:
    case OP_JMP:
    case OP_CMPXCHG:
    case OP_CMPXCHG8B:
    case OP_BOUND:
    case OP_DIV:
    case OP_IDIV:
    case OP_RET:
    case OP_SCAS:
        return chance(70);
    case OP_MOV_SREG_LOAD:
    case OP_LOAD_FAR_PTR:
        return chance(97);
    }
    return false;
}

/* Where the operand is: linear, by the case's registers. */
static u64 operand_address(const struct test *c)
{
    const struct insn *in = &c->insn;
    const u64 *gpr = c->in.gpr;
    u64 ea;

    if (in->op == OP_RET)
        return gpr[RSP] + segment_base(c, SEG_SS);
    if (in->op == OP_SCAS)
        return (gpr[RDI] & size_mask(in->asize)) + segment_base(c, SEG_ES);
    ea = in->disp + (in->base != INSN_NO_REG ? gpr[in->base] : 0) +
         (in->index != INSN_NO_REG ? gpr[in->index] << in->scale : 0);
    if (in->flags & INSN_RIP_REL)
        ea += CODE + c->ip + in->len;
    return (ea & size_mask(in->asize)) + segment_base(c, in->seg);
}

/* The first eight bytes of an operand that the instruction can use. */
static u64 good_operand(const struct test *c)
{
    const struct insn *in = &c->insn;
    const u64 *gpr = c->in.gpr;
    unsigned bits = 8u * in->opsize;
    u64 v;

    switch (in->op) {
    case OP_CMPXCHG8B:
        return in->opsize == 4 ? (u32)gpr[RAX] | gpr[RDX] << 32 : gpr[RAX];
    case OP_CMPXCHG:
    case OP_SCAS:
        return gpr[RAX];
    case OP_DIV:
    case OP_IDIV:
        return gpr[RDX] + below(1000) + 1;
    case OP_BOUND:
        v = (gpr[in->reg] - 5) & size_mask(in->opsize);
        return v | ((gpr[in->reg] + 5) & size_mask(in->opsize)) << bits;
    case OP_MOV_SREG_LOAD:
        return pick_selector();
    case OP_LOAD_FAR_PTR:
        return in->opsize == 8 ? rnd()
                               : (rnd() & size_mask(in->opsize)) | (u64)pick_selector() << bits;
    }
    return CODE + 0x80 - (c->mode == INSN_16 ? CODE : 0);
}

static void plant_bytes(u64 offset, const void *p, unsigned n)
{
    memcpy(data + offset, p, n);
    memcpy(machine->ram + PHYS_DATA + offset, p, n);
}

void plant(struct test *c)
{
    const struct insn *in = &c->insn;
    u64 v = good_operand(c), at = operand_address(c) - DATA;
    u16 sel = pick_selector();

    if (!wants_plant(in->op))
        return;
    if (in->op == OP_MOV_SREG_LOAD && !(in->flags & INSN_HAS_MEM))
        set_part(&c->in.gpr[in->rm], v, 2);
    if (at > 2 * PAGE_SIZE - 16)
        return;
    plant_bytes(at, &v, in->op == OP_RET ? in->opsize : MIN(in->msize, 8u));
    if (in->msize == 16)
        plant_bytes(at + 8, &c->in.gpr[RDX], 8);
    if (in->op == OP_LOAD_FAR_PTR && in->opsize == 8)
        plant_bytes(at + 8, &sel, 2);
}
