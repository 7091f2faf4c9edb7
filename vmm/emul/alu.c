/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arithmetic by the processor (see alu.h): a routine of one instruction for each operation and
 * operand size, all of one length, and alu_run, which calls one between loading and storing flags.
 * Flags travel in AX: AH as LAHF and SAHF have them, AL is OF, which adding 127 to it sets again.
 */
#include "vmm/emul/alu.h"
#include "vmm/emul/internal.h"

#define ROUTINE_SIZE 5 /* the longest instruction has four bytes, RET one */

#define ROUTINE(insn)   "1:" insn "\n\tret\n\t.org 1b + 5, 0xcc\n\t"
#define ROW(b, w, l, q) ROUTINE(b) ROUTINE(w) ROUTINE(l) ROUTINE(q)
/* RAX is the destination; the other operand is RCX, CL of shifts; double shifts have RDX too. */
#define BINARY(op) ROW(op " %cl, %al", op " %cx, %ax", op " %ecx, %eax", op " %rcx, %rax")
#define WIDE(op)   ROW("", op " %cx, %ax", op " %ecx, %eax", op " %rcx, %rax")
#define UNARY(op)  ROW(op " %al", op " %ax", op " %eax", op " %rax")
#define PAIR(op)   ROW(op " %cl", op " %cx", op " %ecx", op " %rcx")
#define SHIFT(op)  ROW(op " %cl, %al", op " %cl, %ax", op " %cl, %eax", op " %cl, %rax")
#define DOUBLE(op) ROW("", op " %cl, %dx, %ax", op " %cl, %edx, %eax", op " %cl, %rdx, %rax")
#define ABSENT     ROW("", "", "", "")

/* clang-format off */
/* In the order of enum insn_op, OP_ADD to OP_BSR. */
__asm__(".pushsection .text.alu, \"ax\"\n"
        "alu_routines:\n\t"
        BINARY("add") BINARY("or") BINARY("adc") BINARY("sbb") BINARY("and") BINARY("sub")
        BINARY("xor") BINARY("cmp") BINARY("test")
        UNARY("not") UNARY("neg") UNARY("inc") UNARY("dec")
        PAIR("mul") PAIR("imul") PAIR("div") PAIR("idiv") WIDE("imul")
        BINARY("add") ABSENT ABSENT /* XADD, CMPXCHG, CMPXCHG8B */
        SHIFT("rol") SHIFT("ror") SHIFT("rcl") SHIFT("rcr") SHIFT("shl") SHIFT("shr") SHIFT("shl")
        SHIFT("sar") DOUBLE("shld") DOUBLE("shrd")
        WIDE("bsf") WIDE("bsr")
        ".popsection");
/* clang-format on */
_Static_assert(OP_BSR - OP_ADD == 32, "alu_routines has a row for each of these");

extern const u8 alu_routines[];
/* Loads RAX, RCX, RDX and flags, calls the routine, stores RDX and flags, returns RAX. */
u64 alu_run(u64 rax, u64 rcx, u64 *rdx, u32 *flags, const u8 *routine);
__asm__(".pushsection .text.alu, \"ax\"\n"
        "alu_run:\n\t"
        "movq %rdx, %r9\n\t"
        "movq %rcx, %r10\n\t"
        "movl (%r10), %eax\n\t"
        "addb $127, %al\n\t"
        "sahf\n\t"
        "movq %rdi, %rax\n\t"
        "movq %rsi, %rcx\n\t"
        "movq (%r9), %rdx\n\t"
        "call *%r8\n\t"
        "movq %rdx, (%r9)\n\t"
        "movq %rax, %rdi\n\t"
        "lahf\n\t"
        "seto %al\n\t"
        "movl %eax, (%r10)\n\t"
        "movq %rdi, %rax\n\t"
        "ret\n\t"
        ".popsection");

static u64 run(unsigned op, unsigned size, u64 rax, u64 rcx, u64 *rdx, u64 *flags)
{
    unsigned n = 4 * (op - OP_ADD) + (unsigned)__builtin_ctz(size);
    u32 f = (u32)((*flags & 0xff) << 8 | (*flags >> 11 & 1));

    rax = alu_run(rax, rcx, rdx, &f, alu_routines + n * ROUTINE_SIZE);
    *flags = (*flags & ~FLAGS_ARITH) | (f >> 8 & (FLAGS_ARITH & 0xff)) | (f & 1) << 11;
    return rax;
}

u64 alu_compute(unsigned op, unsigned size, u64 dst, u64 src, u64 *flags)
{
    u64 rdx = 0, v = run(op, size, dst, src, &rdx, flags);

    return op < OP_BSF ? v & size_mask(size) : v;
}

u64 alu_shift_double(unsigned op, unsigned size, u64 dst, u64 src, u8 count, u64 *flags)
{
    return run(op, size, dst, count, &src, flags) & size_mask(size);
}

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
    if ((op == OP_DIV || op == OP_IDIV) && !division_fits(op, size, *lo, *hi, src))
        return false;
    *lo = run(op, size, *lo, src, hi, flags);
    return true;
}
