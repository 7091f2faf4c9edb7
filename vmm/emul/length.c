/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Length of an intercepted instruction, for processors that do not report it. Each has a fixed
 * opcode of one to three bytes after its prefixes.
 */
#include "vmm/emul/insn.h"

/* Opcode bytes in order, in the low bits first; n of them. PAUSE is F3 90: the F3 is a prefix. */
struct pattern {
    u32 bytes : 24;
    u32 n : 8;
};

#define SYSTEM(op) [op - OP_MOV_FROM_CR] /* the first system instruction */
static const struct pattern patterns[OP_COUNT - OP_MOV_FROM_CR] = {
    SYSTEM(OP_CPUID) = {0xa20f, 2},     SYSTEM(OP_RDMSR) = {0x320f, 2},
    SYSTEM(OP_WRMSR) = {0x300f, 2},     SYSTEM(OP_RDTSC) = {0x310f, 2},
    SYSTEM(OP_RDTSCP) = {0xf9010f, 3},  SYSTEM(OP_RDPMC) = {0x330f, 2},
    SYSTEM(OP_HLT) = {0xf4, 1},         SYSTEM(OP_INVD) = {0x080f, 2},
    SYSTEM(OP_WBINVD) = {0x090f, 2},    SYSTEM(OP_XSETBV) = {0xd1010f, 3},
    SYSTEM(OP_XGETBV) = {0xd0010f, 3},  SYSTEM(OP_CLTS) = {0x060f, 2},
    SYSTEM(OP_PAUSE) = {0x90, 1},       SYSTEM(OP_MONITOR) = {0xc8010f, 3},
    SYSTEM(OP_MWAIT) = {0xc9010f, 3},   SYSTEM(OP_VMCALL) = {0xc1010f, 3},
    SYSTEM(OP_VMMCALL) = {0xd9010f, 3},
};

/* Whether b may stand before these opcodes. LOCK may not: it makes them undefined. */
static bool is_prefix(u8 b, enum insn_mode mode)
{
    switch (b) {
    case 0x26:
    case 0x2e:
    case 0x36:
    case 0x3e:
    case 0x64 ... 0x67:
    case 0xf2:
    case 0xf3:
        return true;
    }
    return mode == INSN_64 && (b & 0xf0) == 0x40;
}

/* IN and OUT: an immediate port or DX, a byte or more. */
static unsigned port_length(const u8 *bytes, unsigned pos, unsigned limit, enum insn_op op)
{
    u8 b = pos < limit ? bytes[pos] & 0xfe : 0;
    unsigned len = b == (op == OP_IN ? 0xe4 : 0xe6) ? 2 : b == (op == OP_IN ? 0xec : 0xee) ? 1 : 0;

    return len && pos + len <= limit ? pos + len : 0;
}

/* Whether the opcode stands at bytes[0]. */
static inline bool matches(const u8 *bytes, unsigned n, struct pattern p)
{
    u32 v;

    if (likely(n >= 4)) {
        __builtin_memcpy(&v, bytes, 4);
        return !((v ^ p.bytes) << (32 - 8 * p.n));
    }
    for (unsigned i = 0; i < p.n; i++, p.bytes >>= 8) {
        if (i >= n || bytes[i] != (p.bytes & 0xff))
            return false;
    }
    return true;
}

unsigned insn_length(const u8 *bytes, unsigned n, enum insn_mode mode, enum insn_op op)
{
    unsigned limit = n < INSN_MAX ? n : INSN_MAX, pos = 0;
    unsigned system = (unsigned)op - OP_MOV_FROM_CR;
    struct pattern p = {0};

    if (likely(system < ARRAY_SIZE(patterns)))
        p = patterns[system];
    if (likely(p.n && matches(bytes, limit, p)))
        return p.n;
    while (pos < limit && is_prefix(bytes[pos], mode))
        pos++;
    if (!p.n)
        return op == OP_IN || op == OP_OUT ? port_length(bytes, pos, limit, op) : 0;
    if (matches(bytes + pos, limit - pos, p))
        return pos + p.n;
    /* QEMU's TCG reports INVD as WBINVD; a guest sees no difference between the two. */
    return op == OP_WBINVD ? insn_length(bytes, n, mode, OP_INVD) : 0;
}
