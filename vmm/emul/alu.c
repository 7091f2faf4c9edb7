/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arithmetic by the processor (see alu.h). Flags travel in AX: AH as LAHF and SAHF have them, AL
 * is OF, which adding 127 to it sets again.
 */
#include "vmm/emul/alu.h"
#include "vmm/emul/internal.h"

#define FLAGS_IN  "addb $127, %%al\n\tsahf\n\t"
#define FLAGS_OUT "\n\tlahf\n\tseto %%al"

static inline u64 pack(u64 flags)
{
    return (flags & 0xff) << 8 | (flags >> 11 & 1);
}

static inline u64 unpack(u64 flags, u64 f)
{
    return (flags & ~FLAGS_ARITH) | (f >> 8 & (FLAGS_ARITH & 0xff)) | (f & 1) << 11;
}

/* One instruction for each operand size, as cases of a switch. */
#define CASES(op, ...)                                                                             \
    case (op)*16 + 1:                                                                              \
        __VA_ARGS__("b", "b");                                                                     \
        break;                                                                                     \
    case (op)*16 + 2:                                                                              \
        __VA_ARGS__("w", "w");                                                                     \
        break;                                                                                     \
    case (op)*16 + 4:                                                                              \
        __VA_ARGS__("l", "k");                                                                     \
        break;                                                                                     \
    case (op)*16 + 8:                                                                              \
        __VA_ARGS__("q", "q");                                                                     \
        break
#define WIDE_CASES(op, ...)                                                                        \
    case (op)*16 + 2:                                                                              \
        __VA_ARGS__("w", "w");                                                                     \
        break;                                                                                     \
    case (op)*16 + 4:                                                                              \
        __VA_ARGS__("l", "k");                                                                     \
        break;                                                                                     \
    case (op)*16 + 8:                                                                              \
        __VA_ARGS__("q", "q");                                                                     \
        break

#define BINARY(name, sfx, m)                                                                       \
    __asm__(FLAGS_IN name sfx " %" m "[s], %" m "[d]" FLAGS_OUT                                    \
            : [f] "+&a"(f), [d] "+&r"(dst)                                                         \
            : [s] "r"(src)                                                                         \
            : "cc")
#define ADD_(s, m)  BINARY("add", s, m)
#define OR_(s, m)   BINARY("or", s, m)
#define ADC_(s, m)  BINARY("adc", s, m)
#define SBB_(s, m)  BINARY("sbb", s, m)
#define AND_(s, m)  BINARY("and", s, m)
#define SUB_(s, m)  BINARY("sub", s, m)
#define XOR_(s, m)  BINARY("xor", s, m)
#define CMP_(s, m)  BINARY("cmp", s, m)
#define TEST_(s, m) BINARY("test", s, m)

u64 alu_binary(unsigned op, unsigned size, u64 dst, u64 src, u64 *flags)
{
    u64 f = pack(*flags);

    switch (op * 16 + size) {
        CASES(OP_ADD, ADD_);
        CASES(OP_OR, OR_);
        CASES(OP_ADC, ADC_);
        CASES(OP_SBB, SBB_);
        CASES(OP_AND, AND_);
        CASES(OP_SUB, SUB_);
        CASES(OP_XOR, XOR_);
        CASES(OP_CMP, CMP_);
        CASES(OP_TEST, TEST_);
    }
    *flags = unpack(*flags, f);
    return dst & size_mask(size);
}

#define UNARY(name, sfx, m)                                                                        \
    __asm__(FLAGS_IN name sfx " %" m "[d]" FLAGS_OUT : [f] "+&a"(f), [d] "+&r"(v) : : "cc")
#define NOT_(s, m) UNARY("not", s, m)
#define NEG_(s, m) UNARY("neg", s, m)
#define INC_(s, m) UNARY("inc", s, m)
#define DEC_(s, m) UNARY("dec", s, m)

u64 alu_unary(unsigned op, unsigned size, u64 v, u64 *flags)
{
    u64 f = pack(*flags);

    switch (op * 16 + size) {
        CASES(OP_NOT, NOT_);
        CASES(OP_NEG, NEG_);
        CASES(OP_INC, INC_);
        CASES(OP_DEC, DEC_);
    }
    *flags = unpack(*flags, f);
    return v & size_mask(size);
}

#define SHIFT(name, sfx, m)                                                                        \
    __asm__(FLAGS_IN name sfx " %%cl, %" m "[d]" FLAGS_OUT                                         \
            : [f] "+&a"(f), [d] "+&r"(v)                                                           \
            : "c"(count)                                                                           \
            : "cc")
#define ROL_(s, m) SHIFT("rol", s, m)
#define ROR_(s, m) SHIFT("ror", s, m)
#define RCL_(s, m) SHIFT("rcl", s, m)
#define RCR_(s, m) SHIFT("rcr", s, m)
#define SHL_(s, m) SHIFT("shl", s, m)
#define SHR_(s, m) SHIFT("shr", s, m)
#define SAR_(s, m) SHIFT("sar", s, m)

u64 alu_shift(unsigned op, unsigned size, u64 v, u8 count, u64 *flags)
{
    u64 f = pack(*flags);

    switch (op * 16 + size) {
        CASES(OP_ROL, ROL_);
        CASES(OP_ROR, ROR_);
        CASES(OP_RCL, RCL_);
        CASES(OP_RCR, RCR_);
        CASES(OP_SHL, SHL_);
        CASES(OP_SHR, SHR_);
        CASES(OP_SAL, SHL_);
        CASES(OP_SAR, SAR_);
    }
    *flags = unpack(*flags, f);
    return v & size_mask(size);
}

#define SHIFT2(name, sfx, m)                                                                       \
    __asm__(FLAGS_IN name sfx " %%cl, %" m "[s], %" m "[d]" FLAGS_OUT                              \
            : [f] "+&a"(f), [d] "+&r"(dst)                                                         \
            : [s] "r"(src), "c"(count)                                                             \
            : "cc")
#define SHLD_(s, m) SHIFT2("shld", s, m)
#define SHRD_(s, m) SHIFT2("shrd", s, m)

u64 alu_shift_double(unsigned op, unsigned size, u64 dst, u64 src, u8 count, u64 *flags)
{
    u64 f = pack(*flags);

    switch (op * 16 + size) {
        WIDE_CASES(OP_SHLD, SHLD_);
        WIDE_CASES(OP_SHRD, SHRD_);
    }
    *flags = unpack(*flags, f);
    return dst & size_mask(size);
}

#define IMUL2_(s, m) BINARY("imul", s, m)
#define BSF_(s, m)   BINARY("bsf", s, m)
#define BSR_(s, m)   BINARY("bsr", s, m)

u64 alu_imul(unsigned size, u64 dst, u64 src, u64 *flags)
{
    u64 f = pack(*flags);

    switch (size) {
        WIDE_CASES(0, IMUL2_);
    }
    *flags = unpack(*flags, f);
    return dst & size_mask(size);
}

u64 alu_scan(unsigned op, unsigned size, u64 dst, u64 src, u64 *flags)
{
    u64 f = pack(*flags);

    switch (op * 16 + size) {
        WIDE_CASES(OP_BSF, BSF_);
        WIDE_CASES(OP_BSR, BSR_);
    }
    *flags = unpack(*flags, f);
    return dst;
}

/* ---- multiplication and division on RDX:RAX ---- */

#define MULDIV(name, sfx, m)                                                                       \
    __asm__("movq %[f], %%rax\n\t" FLAGS_IN "movq %[lo], %%rax\n\t" name sfx " %" m "[s]\n\t"      \
            "movq %%rax, %[lo]" FLAGS_OUT "\n\tmovq %%rax, %[f]"                                   \
            : [f] "+&r"(f), [lo] "+&r"(*lo), "+&d"(*hi)                                            \
            : [s] "r"(src)                                                                         \
            : "rax", "cc")
#define MUL_(s, m)  MULDIV("mul", s, m)
#define IMUL_(s, m) MULDIV("imul", s, m)
#define DIV_(s, m)  MULDIV("div", s, m)
#define IDIV_(s, m) MULDIV("idiv", s, m)

/* Dividend and divisor as magnitudes; whether the quotient fits decides on #DE. */
static bool idiv_fits(unsigned size, u64 hi, u64 lo, u64 src)
{
    u64 mask = size_mask(size), sign = BIT(8 * size - 1), quotient = 0, remainder, limit;
    bool neg_dividend = hi & sign, neg_divisor = src & sign;

    if (neg_divisor)
        src = -src & mask;
    if (neg_dividend) {
        lo = -lo & mask;
        hi = (~hi + !lo) & mask;
    }
    if (hi >= src)
        return false;
    if (size == 8) {
        __asm__("divq %[s]"
                : "=a"(quotient), "=d"(remainder)
                : [s] "r"(src), "a"(lo), "d"(hi)
                : "cc");
        (void)remainder;
    } else {
        quotient = (hi << (8 * size) | lo) / src;
    }
    limit = neg_dividend != neg_divisor ? sign : sign - 1;
    return quotient <= limit;
}

static bool division_fits(unsigned op, unsigned size, u64 lo, u64 hi, u64 src)
{
    u64 mask = size_mask(size);

    src &= mask;
    if (!src)
        return false;
    if (size == 1)
        hi = lo >> 8;
    lo &= mask;
    hi &= mask;
    return op == OP_DIV ? hi < src : idiv_fits(size, hi, lo, src);
}

bool alu_muldiv(unsigned op, unsigned size, u64 *lo, u64 *hi, u64 src, u64 *flags)
{
    u64 f = pack(*flags);

    if ((op == OP_DIV || op == OP_IDIV) && !division_fits(op, size, *lo, *hi, src))
        return false;
    switch (op * 16 + size) {
        CASES(OP_MUL, MUL_);
        CASES(OP_IMUL, IMUL_);
        CASES(OP_DIV, DIV_);
        CASES(OP_IDIV, IDIV_);
    }
    *flags = unpack(*flags, f);
    return true;
}
