/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The decoder against Zydis: length, operand size, address size, and the memory operand's segment,
 * registers, displacement, size and direction, over random and structured bytes in 16-, 32- and
 * 64-bit mode. Differences that are meant are named by explain_…(); any other is printed and fails.
 *
 * Usage: zydis [--cases N] [--seed S] [--explained]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <Zydis/Zydis.h>
#include "vmm/emul/insn.h"
#include "vmm/emul/table.h"

static u64 rng_state, cases = 1000000, seed = 1, failures, agreed, both_reject;
static bool show_explained;

struct input {
    u8 b[16];
    enum insn_mode mode;
};

struct zydis {
    ZyanStatus status;
    ZydisDecodedInstruction in;
    ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
};

static u64 rnd(void)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return rng_state * 0x2545f4914f6cdd1dull >> 8;
}

/* ---- differences that are meant ---- */

static unsigned reason_count;
static struct {
    const char *text;
    u64 n;
} reasons[64];

static bool because(const char *text)
{
    unsigned i = 0;

    while (i < reason_count && strcmp(reasons[i].text, text))
        i++;
    if (i == reason_count) {
        if (reason_count == ARRAY_SIZE(reasons))
            abort();
        reasons[reason_count++].text = text;
    }
    reasons[i].n++;
    return true;
}

static bool has_prefix(const struct input *in, const struct insn *d, u8 p)
{
    for (unsigned i = 0; i < 14; i++) {
        u8 b = in->b[i];

        if (b == p)
            return true;
        if (!(b == 0x66 || b == 0x67 || b == 0xf0 || b == 0xf2 || b == 0xf3 || b == 0x26 ||
              b == 0x2e || b == 0x36 || b == 0x3e || b == 0x64 || b == 0x65 ||
              (in->mode == INSN_64 && (b & 0xf0) == 0x40)))
            return false;
    }
    (void)d;
    return false;
}

/* The encodings that are not decoded at all. */
static bool explain_unsupported(const struct zydis *z)
{
    switch (z->in.encoding) {
    case ZYDIS_INSTRUCTION_ENCODING_EVEX:
    case ZYDIS_INSTRUCTION_ENCODING_MVEX:
        return because("EVEX and MVEX are not decoded");
    case ZYDIS_INSTRUCTION_ENCODING_XOP:
        return because("XOP is not decoded");
    default:
        return false;
    }
}

/* Zydis rejects what is decoded here. */
static bool explain_rejected(const struct input *in, const struct zydis *z, const struct insn *d)
{
    if (d->op == OP_NONE)
        return because(
            "opcodes that are not executed: only the length of those that exist is known");
    if (z->status == ZYDIS_STATUS_BAD_REGISTER && d->op >= OP_MOV_FROM_CR && d->op <= OP_MOV_TO_DR)
        return because("control registers that exist on no processor");
    if (d->op >= OP_CPUID)
        return because(
            "intercepted instructions with prefixes that make the processor refuse them");
    if (d->op == OP_NOP || d->op == OP_PREFETCH)
        return because("hints of which the processor makes no-ops");
    (void)in;
    return false;
}

/* Zydis accepts what is undefined here. */
static bool explain_undefined(const struct input *in, const struct zydis *z)
{
    switch (z->in.mnemonic) {
    case ZYDIS_MNEMONIC_UD0:
    case ZYDIS_MNEMONIC_UD1:
    case ZYDIS_MNEMONIC_UD2:
        return because("UD0, UD1, UD2 are undefined on purpose");
    case ZYDIS_MNEMONIC_MOV:
        if (has_prefix(in, NULL, 0xf0))
            return because("LOCK MOV CR0 as CR8 is of some processors only");
        break;
    case ZYDIS_MNEMONIC_MONTMUL:
    case ZYDIS_MNEMONIC_XSHA1:
    case ZYDIS_MNEMONIC_XSHA256:
    case ZYDIS_MNEMONIC_XSTORE:
    case ZYDIS_MNEMONIC_XCRYPT_ECB:
    case ZYDIS_MNEMONIC_XCRYPT_CBC:
    case ZYDIS_MNEMONIC_XCRYPT_CTR:
    case ZYDIS_MNEMONIC_XCRYPT_CFB:
    case ZYDIS_MNEMONIC_XCRYPT_OFB:
        return because("instructions of VIA");
    case ZYDIS_MNEMONIC_NOP:
        if (z->in.opcode == 0x0d)
            return because("0F 0D of a register is undefined on AMD's, a no-op on Intel's");
        break;
    default:
        break;
    }
    /* Map 0 is reserved (SDM 2, 2.3.6.1) but for its short JKZD and JKNZD. */
    if (z->in.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX &&
        ((z->in.raw.vex.m_mmmm == 1 && memchr("\x18\x84\x85\xae\xb8\xbc\xbd", z->in.opcode, 7)) ||
         (z->in.raw.vex.m_mmmm == 0 && memchr("\x74\x75", z->in.opcode, 2))))
        return because("VEX instructions of Knights Corner");
    if (z->in.encoding == ZYDIS_INSTRUCTION_ENCODING_3DNOW)
        return because("3DNow! is gone from processors");
    return false;
}

/* ---- comparison of what both decode ---- */

static unsigned reg_number(ZydisRegister r)
{
    if (r == ZYDIS_REGISTER_NONE || r == ZYDIS_REGISTER_RIP || r == ZYDIS_REGISTER_EIP)
        return INSN_NO_REG;
    return (unsigned)ZydisRegisterGetId(r);
}

static const ZydisDecodedOperand *memory_operand(const struct zydis *z)
{
    for (unsigned i = 0; i < z->in.operand_count; i++) {
        if (z->op[i].type == ZYDIS_OPERAND_TYPE_MEMORY &&
            z->op[i].visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN)
            return &z->op[i];
    }
    return NULL;
}

static unsigned segment_of(ZydisRegister r)
{
    switch (r) {
    case ZYDIS_REGISTER_ES:
        return SEG_ES;
    case ZYDIS_REGISTER_CS:
        return SEG_CS;
    case ZYDIS_REGISTER_SS:
        return SEG_SS;
    case ZYDIS_REGISTER_FS:
        return SEG_FS;
    case ZYDIS_REGISTER_GS:
        return SEG_GS;
    default:
        return SEG_DS;
    }
}

static const char *compare_memory(const struct insn *d, const struct zydis *z)
{
    const ZydisDecodedOperand *m = memory_operand(z);
    bool string = d->op >= OP_MOVS && d->op <= OP_OUTS;
    unsigned access;

    if (!m)
        return d->flags & INSN_HAS_MEM && d->op != OP_PREFETCH && d->op != OP_NOP ? "memory operand"
                                                                                  : NULL;
    if (string || d->op == OP_XLAT) {
        return m->size != d->msize * 8u ? "memory size" : NULL;
    }
    if (!(d->flags & INSN_HAS_MEM))
        return d->form == F_RM ? "no memory operand" : NULL; /* the stack */
    if (d->base != reg_number(m->mem.base))
        return "base register";
    if (d->index != reg_number(m->mem.index))
        return "index register";
    if (d->index != INSN_NO_REG && 1u << d->scale != m->mem.scale)
        return "scale";
    if (!!(d->flags & INSN_RIP_REL) !=
        (m->mem.base == ZYDIS_REGISTER_RIP || m->mem.base == ZYDIS_REGISTER_EIP))
        return "RIP-relative";
    if ((d->disp ^ (u64)(m->mem.disp.has_displacement ? m->mem.disp.value : 0)) &
        (~0ull >> (64 - 8 * d->asize)))
        return "displacement";
    if (d->seg != segment_of(m->mem.segment) && d->op != OP_LEA && d->op != OP_NOP)
        return "segment";
    if (d->access && m->size != d->msize * 8u)
        return "memory size";
    access = (m->actions & ZYDIS_OPERAND_ACTION_MASK_READ ? INSN_READ : 0) |
             (m->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE ? INSN_WRITE : 0);
    return d->access != access ? "access" : NULL;
}

static bool explain_difference(const char *what, const struct insn *d, const struct zydis *z)
{
    if (!strcmp(what, "access")) {
        if (d->op == OP_PREFETCH || d->op == OP_NOP || d->op == OP_INVLPG || d->op == OP_LEA)
            return because("hints and address computations access nothing");
        if (d->op == OP_CLFLUSH)
            return because("a flush faults as a read does");
        if (d->op == OP_CMPXCHG || d->op == OP_CMPXCHG8B)
            return because("a compare-exchange writes in either case");
    }
    if (!strcmp(what, "memory size")) {
        if (d->op == OP_CLFLUSH)
            return because("a flush faults as a read of one byte does");
        if (d->op == OP_BT || d->op == OP_BTS || d->op == OP_BTR || d->op == OP_BTC)
            return false;
    }
    if (!strcmp(what, "base register") && d->base == INSN_NO_REG && d->asize == 4 &&
        z->in.raw.sib.base == 5 && z->in.raw.modrm.mod == 0)
        return because("zydis takes a SIB base of 5 with no base for R13 under 67 and REX.B");
    if (!strcmp(what, "segment") && (d->op == OP_CALL || d->op == OP_JMP))
        return because("3E is a segment override where CET's NOTRACK is not in use");
    if (!strcmp(what, "operand size")) {
        switch (d->op) {
        case OP_XLAT:
        case OP_ARPL:
        case OP_INS:
        case OP_OUTS:
        case OP_IN:
        case OP_OUT:
        case OP_CRC32:
            return because("operands of a fixed size, whatever the operand-size attribute");
        case OP_MOV:
            if ((d->map == 1 && d->opcode == 0xc3) || (d->map == 2 && d->opcode == 0xf9))
                return because("MOVNTI and MOVDIRI move 32 bits in 16-bit code");
        }
    }
    (void)z;
    return false;
}

static const char *compare(const struct insn *d, const struct zydis *z)
{
    if (d->len != z->in.length)
        return "length";
    if (d->op == OP_NONE)
        return NULL;
    if (d->asize * 8u != z->in.address_width)
        return "address size";
    if (d->opsize <= 8 && d->op < OP_CLFLUSH && !(d->flags & INSN_VEX) &&
        d->opsize * 8u != z->in.operand_width)
        return "operand size";
    return compare_memory(d, z);
}

static void print_case(const struct input *in, const char *what, enum insn_status st,
                       const struct insn *d, const struct zydis *z)
{
    ZydisFormatter f;
    char text[128] = "";

    printf("%s, %u-bit:", what, 16u << in->mode);
    for (unsigned i = 0; i < 15; i++)
        printf(" %02x", in->b[i]);
    if (ZYAN_SUCCESS(z->status)) {
        ZydisFormatterInit(&f, ZYDIS_FORMATTER_STYLE_INTEL);
        ZydisFormatterFormatInstruction(&f, &z->in, z->op, z->in.operand_count_visible, text,
                                        sizeof(text), 0, NULL);
        printf("\n  zydis: length %u, operand %u, address %u: %s\n", z->in.length,
               z->in.operand_width, z->in.address_width, text);
    } else {
        printf("\n  zydis: status %x\n", z->status);
    }
    printf("  skep:  status %d", st);
    if (st == INSN_OK)
        printf(
            ", length %u, operand %u, address %u, memory %u, access %u: %s base %u index %u seg %u",
            d->len, d->opsize * 8u, d->asize * 8u, d->msize, d->access, insn_name(d->op), d->base,
            d->index, d->seg);
    printf("\n");
}

static void check(const struct input *in, ZydisDecoder *decoders)
{
    struct insn d;
    struct zydis z;
    enum insn_status st = insn_decode(in->b, 15, in->mode, &d);
    const char *what = NULL;

    z.status = ZydisDecoderDecodeFull(&decoders[in->mode], in->b, 15, &z.in, z.op);
    if (ZYAN_SUCCESS(z.status)) {
        if (st == INSN_OK) {
            what = compare(&d, &z);
            if (!what)
                agreed++;
            else if (explain_difference(what, &d, &z))
                what = NULL;
        } else if (st == INSN_UNSUPPORTED) {
            what = explain_unsupported(&z) ? NULL : "not decoded";
        } else if (st == INSN_UNDEFINED) {
            what = explain_undefined(in, &z) || explain_unsupported(&z) ? NULL : "called undefined";
        } else {
            what = "called too long";
        }
    } else if (st == INSN_OK && z.status != ZYDIS_STATUS_INSTRUCTION_TOO_LONG &&
               z.status != ZYDIS_STATUS_NO_MORE_DATA) {
        what = explain_rejected(in, &z, &d) ? NULL : "decoded what zydis rejects";
    } else if (st == INSN_OK) {
        what = "not called too long";
    } else {
        both_reject++;
    }
    if (what && ++failures <= 25)
        print_case(in, what, st, &d, &z);
}

/* Half random; half prefixes, an opcode, and a likely rest. */
static void make(struct input *in)
{
    static const u8 prefixes[] = {0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65};
    unsigned n = 0, kind = (unsigned)(rnd() % 8);

    in->mode = (enum insn_mode)(rnd() % 3);
    for (unsigned i = 0; i < 16; i += 4) {
        u64 v = rnd();

        memcpy(in->b + i, &v, 4);
    }
    if (kind == 0)
        return;
    while (rnd() % 100 < 40 && n < (kind == 1 ? 14u : 4u))
        in->b[n++] = prefixes[rnd() % ARRAY_SIZE(prefixes)];
    if (in->mode == INSN_64 && rnd() % 2)
        in->b[n++] = 0x40 | (u8)(rnd() & 15);
    switch (rnd() % 5) {
    case 0:
    case 1:
        break;
    case 2:
        in->b[n++] = 0x0f;
        break;
    case 3:
        in->b[n++] = 0x0f;
        in->b[n++] = rnd() & 1 ? 0x38 : 0x3a;
        break;
    case 4:
        in->b[n] = 0xc4 + (u8)(rnd() & 1);
        if (in->b[n++] == 0xc4)
            in->b[n++] = (u8)(rnd() & 0xe0) | (u8)(1 + rnd() % 3);
        break;
    }
}

int main(int argc, char **argv)
{
    ZydisDecoder decoders[3];
    u64 explained = 0;

    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--explained"))
            show_explained = true;
        else if (!strcmp(argv[i], "--cases") && i + 1 < argc)
            cases = strtoull(argv[++i], NULL, 0);
        else if (!strcmp(argv[i], "--seed") && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 0);
        else
            return 2;
    }
    rng_state = seed * 0x9e3779b97f4a7c15ull + 1;
    ZydisDecoderInit(&decoders[INSN_16], ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
    ZydisDecoderInit(&decoders[INSN_32], ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
    ZydisDecoderInit(&decoders[INSN_64], ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    for (u64 i = 0; i < cases; i++) {
        struct input in;

        make(&in);
        check(&in, decoders);
    }
    for (unsigned i = 0; i < reason_count; i++) {
        explained += reasons[i].n;
        if (show_explained)
            printf("explained %9llu: %s\n", (unsigned long long)reasons[i].n, reasons[i].text);
    }
    printf("zydis: %llu inputs (seed %llu): %llu agree, %llu rejected by both, %llu explained, "
           "%llu disagreements\n",
           (unsigned long long)cases, (unsigned long long)seed, (unsigned long long)agreed,
           (unsigned long long)both_reject, (unsigned long long)explained,
           (unsigned long long)failures);
    return failures ? 1 : 0;
}
