/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Prints guests/forms' table: every form that touches memory or a port, encoded once with its
 * operand at [BX], [EBX] or [RBX], with and without displacement and index.
 */
#include <stdio.h>
#include <string.h>
#include "guests/forms/table.h"
#include "tests/emul/forms.h"

static struct form forms[MAX_FORMS];

static enum form_kind kind_of(const struct insn *in)
{
    bool mem = in->flags & INSN_HAS_MEM;

    if (is_string(in->op))
        return K_STRING;
    switch (in->op) {
    case OP_BT:
    case OP_BTS:
    case OP_BTR:
    case OP_BTC:
        return K_BIT;
    case OP_CALL:
    case OP_JMP:
        return mem ? K_BRANCH : K_STACK;
    case OP_RET:
        return K_STACK;
    case OP_PUSH:
    case OP_POP:
        return mem ? K_PUSH_POP : K_STACK;
    case OP_MOV_SREG_LOAD:
        return K_SELECTOR;
    case OP_LOAD_FAR_PTR:
        return K_FAR;
    case OP_DIV:
    case OP_IDIV:
        return K_DIVISOR;
    case OP_BOUND:
        return K_BOUND;
    case OP_CMPXCHG:
    case OP_CMPXCHG8B:
        return K_CMPXCHG;
    case OP_IN:
    case OP_OUT:
        return K_PORT;
    }
    return K_PLAIN;
}

static enum form_need need_of(unsigned op)
{
    return op == OP_LZCNT ? NEED_LZCNT : op == OP_TZCNT ? NEED_BMI1 : NEED_NOTHING;
}

/* ModRM and what follows it; the operand is *offset bytes behind OPERAND. RSI is 32. */
static unsigned put_operand(const struct form *f, u8 *b, unsigned turn, unsigned *offset)
{
    static const u8 offsets[4] = {0, 0x20, 0x40, 0x20};
    unsigned reg = (f->group ? f->reg : turn / 4 % 8) << 3, n = 0;
    bool a16 = f->insn.asize == 2;

    turn %= 4;
    *offset = offsets[turn];
    if (kind_of(&f->insn) == K_BIT)
        reg = f->group ? reg : RDX << 3;
    if (turn == 3) { /* [BX + SI], [RBX + RSI] */
        b[n++] = (u8)(reg | (a16 ? 0 : 4));
        if (!a16)
            b[n++] = RSI << 3 | RBX;
        return n;
    }
    b[n++] = (u8)(turn << 6 | reg | (a16 ? 7 : RBX));
    if (turn)
        b[n++] = *offset;
    return n + (turn == 2 ? (a16 ? 1 : 3) : 0);
}

static void put_immediate(const struct insn *in, u8 *b)
{
    static const u8 wild[8] = {0x95, 0x12, 0x34, 0xd6, 0x78, 0x9a, 0xbc, 0xde};
    bool number = in->op <= OP_XCHG || (in->op >= OP_ADD && in->op <= OP_TEST) ||
                  in->op == OP_IMUL_REG || in->op == OP_PUSH;

    memset(b, 0, 8);
    b[0] = in->op == OP_IN || in->op == OP_OUT ? 0xe0 : in->op == OP_RET ? 8 : 5;
    if (number)
        memcpy(b, wild, sizeof(wild));
}

static void put_address(const struct insn *in, u8 *b)
{
    u64 at = OPERAND + (in->mode == INSN_64 ? AREA : 0);

    memcpy(b, &at, in->asize);
}

static void print_form(const struct form *f, unsigned turn)
{
    u8 b[32] = {0};
    unsigned n = form_bytes(f, b), offset = 0, first;
    struct insn in;
    char name[80];

    if (f->insn.form == F_ACC_MEM || f->insn.form == F_MEM_ACC) {
        put_address(&f->insn, b + n);
        first = n + f->insn.asize;
    } else if (f->insn.row_flags & T_MODRM) {
        first = n + put_operand(f, b + n, turn, &offset);
    } else {
        first = n;
    }
    put_immediate(&f->insn, b + first);
    if (insn_decode(b, 15, (enum insn_mode)f->mode, &in) != INSN_OK) {
        b[2 + f->addrsize] = (u8)((b[2 + f->addrsize] & 0x87) | 0x68); /* VEX.vvvv: RDX */
        if (insn_decode(b, 15, (enum insn_mode)f->mode, &in) != INSN_OK)
            return;
    }
    form_name(f, name, sizeof(name));
    printf("    {\"%s\", %u, %u, %u, %u, %u, 0x%x, {", name, in.len, kind_of(&in), need_of(in.op),
           in.opsize, offset, (unsigned)undefined_flags(&in));
    for (unsigned i = 0; i < in.len; i++)
        printf("%s0x%02x", i ? ", " : "", b[i]);
    printf("}},\n");
}

int main(void)
{
    unsigned counts[3] = {0};

    for (unsigned mode = 0; mode < 3; mode++) {
        unsigned n = forms_find(forms, (enum insn_mode)mode, ~0ull);

        printf("const struct form_code forms%u[] = {\n", 16u << mode);
        for (unsigned i = 0; i < n; i++) {
            const struct insn *in = &forms[i].insn;

            if (!form_has_memory(in) && in->op != OP_IN && in->op != OP_OUT)
                continue;
            print_form(&forms[i], counts[mode]++);
        }
        printf("};\n");
    }
    printf("const unsigned form_counts[3] = {ARRAY_SIZE(forms16), ARRAY_SIZE(forms32), "
           "ARRAY_SIZE(forms64)};\n");
    return 0;
}
