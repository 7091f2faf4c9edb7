/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bit tests, bit scans, and what later extensions added (BMI, ADX, POPCNT, CRC32). The extensions
 * are computed in C: the processor underneath need not have them.
 */
#include "vmm/emul/alu.h"
#include "vmm/emul/internal.h"

static u64 change_bit(struct emul_cpu *c, u64 v, u64 bit, u64 *flags)
{
    (void)flags;
    switch (c->insn.op) {
    case OP_BTS:
        return v | bit;
    case OP_BTR:
        return v & ~bit;
    case OP_BTC:
        return v ^ bit;
    }
    return v;
}

/* A register's bit offset is signed and reaches memory beyond the operand (SDM 1, 3.1.1.9). */
static enum emul_result open_bit_memory(struct emul_cpu *c, struct span *s, u64 offset)
{
    struct insn *in = &c->insn;
    u64 disp = in->disp;
    enum emul_result r;

    if (in->form == F_RM_R) {
        s64 element = sign_extend(offset, in->opsize) >> (__builtin_ctz(in->opsize) + 3);

        in->disp += (u64)element * in->opsize;
    }
    r = mem_open(c, s);
    in->disp = disp;
    return r;
}

enum emul_result exec_bit(struct emul_cpu *c)
{
    const struct insn *in = &c->insn;
    u64 offset = in->form == F_RM_R ? reg_read(c, in->reg, in->opsize) : in->imm;
    u64 bit = BIT(offset & (8 * in->opsize - 1)), v, flags = emul_get(c, EMUL_RFLAGS);
    enum emul_result r;
    struct span s;

    if (in->flags & INSN_HAS_MEM) {
        TRY(open_bit_memory(c, &s, offset));
        r = EMUL_DONE;
        if (in->op == OP_BT)
            v = span_get(c, &s);
        else
            r = span_update(c, &s, change_bit, bit, &flags, &v);
        span_close(c, &s);
        TRY(r);
    } else {
        TRY(emul_explained(c));
        v = reg_read(c, in->rm, in->opsize);
        if (in->op != OP_BT)
            reg_write(c, in->rm, in->opsize, change_bit(c, v, bit, &flags));
    }
    emul_put(c, EMUL_RFLAGS, v & bit ? flags | FLAG_CF : flags & ~FLAG_CF);
    return EMUL_DONE;
}

static u64 population(u64 v)
{
    u64 n = 0;

    for (; v; v &= v - 1)
        n++;
    return n;
}

static u64 count_bits(unsigned op, u64 v, unsigned bits)
{
    switch (op) {
    case OP_TZCNT:
        return v ? (u64)__builtin_ctzll(v) : bits;
    case OP_LZCNT:
        return v ? (u64)__builtin_clzll(v) - (64 - bits) : bits;
    }
    return population(v);
}

enum emul_result exec_scan(struct emul_cpu *c)
{
    const struct insn *in = &c->insn;
    u64 v, n, flags;

    TRY(rm_read(c, &v));
    flags = emul_get(c, EMUL_RFLAGS);
    if (in->op == OP_BSF || in->op == OP_BSR) {
        gpr_set(c, in->reg, alu_compute(in->op, in->opsize, gpr_get(c, in->reg), v, &flags));
        emul_put(c, EMUL_RFLAGS, flags);
        return EMUL_DONE;
    }
    n = count_bits(in->op, v, 8 * in->opsize);
    if (in->op == OP_POPCNT)
        flags = (flags & ~FLAGS_ARITH) | (v ? 0 : FLAG_ZF);
    else
        flags = (flags & ~(FLAG_CF | FLAG_ZF)) | (v ? 0 : FLAG_CF) | (n ? 0 : FLAG_ZF);
    reg_write(c, in->reg, in->opsize, n);
    emul_put(c, EMUL_RFLAGS, flags);
    return EMUL_DONE;
}

static u64 deposit(u64 src, u64 mask)
{
    u64 r = 0;

    for (; mask; mask &= mask - 1, src >>= 1)
        r |= src & 1 ? mask & -mask : 0;
    return r;
}

static u64 extract(u64 src, u64 mask)
{
    u64 r = 0;

    for (u64 bit = 1; mask; mask &= mask - 1, bit <<= 1)
        r |= src & mask & -mask ? bit : 0;
    return r;
}

static u64 bit_field(u64 src, u64 control)
{
    unsigned start = control & 0xff, len = control >> 8 & 0xff;

    if (start > 63)
        return 0;
    src >>= start;
    return len < 64 ? src & (BIT(len) - 1) : src;
}

/* CRC-32C (polynomial 11EDC6F41, reflected) over len bytes; SDM 2, CRC32. */
static u32 crc32c(u32 crc, u64 data, unsigned len)
{
    for (unsigned i = 0; i < 8 * len; i++, data >>= 1)
        crc = crc >> 1 ^ ((crc ^ data) & 1 ? 0x82f63b78u : 0);
    return crc;
}

/* 64 by 64 to 128 bits, by 32-bit halves. */
static u64 mul_high(u64 a, u64 b)
{
    u64 al = (u32)a, ah = a >> 32, bl = (u32)b, bh = b >> 32;
    u64 mid = ah * bl + (al * bl >> 32), mid2 = al * bh + (u32)mid;

    return ah * bh + (mid >> 32) + (mid2 >> 32);
}

static void set_flags(struct emul_cpu *c, u64 result, bool cf)
{
    u64 f = emul_get(c, EMUL_RFLAGS) & ~(FLAG_CF | FLAG_ZF | FLAG_SF | FLAG_OF);

    f |= (cf ? FLAG_CF : 0) | (result ? 0 : FLAG_ZF);
    f |= result >> (8 * c->insn.opsize - 1) & 1 ? FLAG_SF : 0;
    emul_put(c, EMUL_RFLAGS, f);
}

/* Add with one flag for carry in and out; the others stay. */
static u64 add_with(struct emul_cpu *c, u64 a, u64 b, u64 flag)
{
    u64 f = emul_get(c, EMUL_RFLAGS), mask = size_mask(c->insn.opsize);
    u64 in = f & flag ? 1 : 0, sum = (a + b + in) & mask;
    bool carry = sum < a || (in && sum == a);

    emul_put(c, EMUL_RFLAGS, carry ? f | flag : f & ~flag);
    return sum;
}

static u64 shift_by(const struct insn *in, u64 v, u64 count)
{
    unsigned bits = 8 * in->opsize;

    count &= bits - 1;
    switch (in->op) {
    case OP_SHLX:
        return v << count;
    case OP_SHRX:
        return v >> count;
    case OP_SARX:
        return (u64)(sign_extend(v, in->opsize) >> count);
    }
    return count ? v >> count | v << (bits - count) : v; /* RORX */
}

/* src is the register or memory, v the VEX register. Those that set flags. */
static u64 bmi_flags(struct emul_cpu *c, u64 src, u64 v)
{
    const struct insn *in = &c->insn;
    unsigned n = v & 0xff, bits = 8 * in->opsize;
    u64 mask = size_mask(in->opsize), r;
    bool cf = false;

    switch (in->op) {
    case OP_ANDN:
        r = ~v & src;
        break;
    case OP_BEXTR:
        r = bit_field(src, v);
        break;
    case OP_BLSR:
        r = src & (src - 1);
        cf = !src;
        break;
    case OP_BLSMSK:
        r = src ^ (src - 1);
        cf = !src;
        break;
    case OP_BLSI:
        r = src & -src;
        cf = src;
        break;
    default: /* OP_BZHI */
        r = n < bits ? src & (BIT(n) - 1) : src;
        cf = n >= bits;
        break;
    }
    r &= mask;
    set_flags(c, r, cf);
    return r;
}

/* MULX: the high half wins if both destinations are one register. */
static void mulx(struct emul_cpu *c, u64 src)
{
    const struct insn *in = &c->insn;
    u64 a = reg_read(c, RDX, in->opsize);
    u64 lo = a * src, hi = in->opsize == 8 ? mul_high(a, src) : lo >> 32;

    reg_write(c, in->vvvv, in->opsize, lo);
    reg_write(c, in->reg, in->opsize, hi);
}

static enum emul_result crc(struct emul_cpu *c)
{
    const struct insn *in = &c->insn;
    u64 v;

    TRY(mem_read(c, in->msize, &v));
    reg_write(c, in->reg, in->rexw ? 8 : 4, crc32c((u32)gpr_get(c, in->reg), v, in->msize));
    return EMUL_DONE;
}

enum emul_result exec_bmi(struct emul_cpu *c)
{
    const struct insn *in = &c->insn;
    u64 src, v, r;

    if (in->op == OP_CRC32)
        return crc(c);
    TRY(rm_read(c, &src));
    v = reg_read(c, in->vvvv, in->opsize);
    switch (in->op) {
    case OP_MULX:
        mulx(c, src);
        return EMUL_DONE;
    case OP_PDEP:
        r = deposit(v, src);
        break;
    case OP_PEXT:
        r = extract(v, src);
        break;
    case OP_RORX:
        r = shift_by(in, src, in->imm);
        break;
    case OP_SARX:
    case OP_SHLX:
    case OP_SHRX:
        r = shift_by(in, src, v);
        break;
    case OP_ADCX:
        r = add_with(c, reg_read(c, in->reg, in->opsize), src, FLAG_CF);
        break;
    case OP_ADOX:
        r = add_with(c, reg_read(c, in->reg, in->opsize), src, FLAG_OF);
        break;
    default:
        r = bmi_flags(c, src, v);
        if (in->form == F_V_RM) {
            reg_write(c, in->vvvv, in->opsize, r);
            return EMUL_DONE;
        }
    }
    reg_write(c, in->reg, in->opsize, r);
    return EMUL_DONE;
}
