/* SPDX-License-Identifier: BSD-2-Clause */
/* The forms of all executed instructions: see forms.h. */
#include "tests/emul/forms.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const u8 mandatory[4] = {0, 0x66, 0xf3, 0xf2};

bool form_executed(unsigned op)
{
    return op != OP_NONE && op < OP_MOV_FROM_CR;
}

bool form_has_memory(const struct insn *in)
{
    switch (in->op) {
    case OP_XLAT:
    case OP_PUSH:
    case OP_POP:
    case OP_CALL:
    case OP_RET:
        return true;
    }
    return (in->flags & INSN_HAS_MEM) || is_string(in->op);
}

/* ModRM.reg chooses the row. Known for each opcode once forms_find has looked at it. */
static bool grouped(const struct insn *in)
{
    if (in->flags & INSN_VEX)
        return in->map == 2 && in->opcode == 0xf3;
    if (in->map > 1)
        return false;
    if (in->op == OP_MOV_SREG_LOAD || in->op == OP_MOV_SREG_STORE)
        return true;
    if (!(in->row_flags & T_MODRM))
        return false;
    if (in->map == 1 && (in->opcode == 0xc7 || in->opcode == 0xae))
        return true;
    return row_flags(&(in->map ? insn_map2 : insn_map1)[in->opcode]) & T_GROUP;
}

/* The address size is part of forms that have no ModRM. */
static bool sized_address(const struct insn *in)
{
    return is_string(in->op) || in->op == OP_XLAT || in->form == F_ACC_MEM || in->form == F_MEM_ACC;
}

u64 form_key(const struct insn *in)
{
    u64 rep = !is_string(in->op) ? 0 : in->flags & INSN_REPNE ? 2 : !!(in->flags & INSN_REP);
    u64 key = 0;

    key = key << 8 | in->op;
    key = key << 16 | in->row_flags;
    key = key << 1 | !!(in->flags & INSN_VEX);
    key = key << 2 | (in->map & 3);
    key = key << 8 | in->opcode;
    key = key << 3 | (grouped(in) ? in->modrm >> 3 & 7 : 0);
    key = key << 6 | in->opsize;
    key = key << 6 | in->msize;
    key = key << 1 | !!(in->flags & INSN_LOCK);
    key = key << 2 | rep;
    key = key << 4 | (sized_address(in) ? in->asize : 0);
    key = key << 1 | !!(in->flags & INSN_HAS_MEM);
    return key;
}

unsigned form_bytes(const struct form *f, u8 *b)
{
    unsigned n = 0;

    if (f->addrsize)
        b[n++] = 0x67;
    if (f->lock)
        b[n++] = 0xf0;
    if (f->vex) {
        b[n++] = 0xc4;
        b[n++] = 0xe0 | f->map;
        b[n++] = (u8)(f->w << 7 | 0x78 | f->l << 2 | f->pp);
        b[n++] = f->opcode;
        return n;
    }
    if (f->opsize)
        b[n++] = 0x66;
    if (f->pp)
        b[n++] = mandatory[f->pp];
    if (f->w)
        b[n++] = 0x48;
    if (f->map)
        b[n++] = 0x0f;
    if (f->map > 1)
        b[n++] = f->map == 2 ? 0x38 : 0x3a;
    b[n++] = f->opcode;
    return n;
}

/* Decodes the form with its operand at [BX]; false if there is no such instruction. */
static bool decode(struct form *f)
{
    u8 b[24] = {0};
    unsigned n = form_bytes(f, b);
    bool a16 = (f->mode == INSN_16) != f->addrsize && f->mode != INSN_64;

    b[n] = (u8)(f->reg << 3 | (a16 ? 7 : 3));
    if (insn_decode(b, 15, (enum insn_mode)f->mode, &f->insn) != INSN_OK) {
        if (!f->vex)
            return false;
        b[2] &= 0x87; /* VEX.vvvv is an operand */
        if (insn_decode(b, 15, (enum insn_mode)f->mode, &f->insn) != INSN_OK)
            return false;
    }
    if (f->insn.map != f->map || f->insn.opcode != f->opcode || !form_executed(f->insn.op))
        return false;
    f->op = f->insn.op;
    f->group = grouped(&f->insn);
    f->key = form_key(&f->insn);
    return f->group || !f->reg;
}

int form_of(const struct form *forms, unsigned n, const struct insn *in)
{
    u64 key = form_key(in);

    for (unsigned i = 0; i < n; i++) {
        if (forms[i].key == key)
            return (int)i;
    }
    return -1;
}

/* Every combination of what may stand before and in ModRM.reg, the plainest first. */
static unsigned forms_of_opcode(struct form *forms, unsigned n, struct form f)
{
    unsigned first = n;

    for (unsigned k = 0; k < 1024; k++) {
        f.reg = k & 7;
        f.lock = k >> 3 & 1;
        f.w = k >> 4 & 1;
        f.opsize = k >> 5 & 1;
        f.l = k >> 6 & 1;
        f.addrsize = k >> 7 & 1;
        f.pp = k >> 8 & 3;
        if ((f.w && f.mode != INSN_64 && !f.vex) || (f.l && !f.vex) ||
            (f.vex && (f.opsize || f.lock)) || (f.opsize && f.pp == 1))
            continue;
        if (!decode(&f) || form_of(forms + first, n - first, &f.insn) >= 0)
            continue;
        if (n == MAX_FORMS)
            abort();
        forms[n++] = f;
    }
    return n;
}

unsigned forms_find(struct form *forms, enum insn_mode mode, u64 only)
{
    unsigned n = 0;

    for (unsigned vex = 0; vex < 2; vex++) {
        for (unsigned map = vex; map < 4; map++) {
            for (unsigned opcode = 0; opcode < 256; opcode++) {
                struct form f = {
                    .mode = (u8)mode, .vex = (u8)vex, .map = (u8)map, .opcode = (u8)opcode};

                if (only == ~0ull || only == (map << 8 | opcode))
                    n = forms_of_opcode(forms, n, f);
            }
        }
    }
    return n;
}

void form_name(const struct form *f, char *buf, size_t size)
{
    static const char *const maps[] = {"", "0f ", "0f38 ", "0f3a "};
    static const char *const pps[] = {"", "66 ", "f3 ", "f2 "};
    char reg[8] = "";

    if (f->group)
        snprintf(reg, sizeof(reg), "/%u", f->reg);
    snprintf(buf, size, "%2u-bit %-8s%3u bytes  %s%s%s%s%s%s%02x%s", 16u << f->mode,
             insn_name(f->op), f->insn.msize ? f->insn.msize : f->insn.opsize,
             f->addrsize ? "67 " : "", f->lock ? "lock " : "", f->opsize ? "66 " : "", pps[f->pp],
             f->vex ? (f->w ? "vex.w " : "vex ") : (f->w ? "rex.w " : ""), maps[f->map], f->opcode,
             reg);
}

u64 undefined_flags(const struct insn *in)
{
    switch (in->op) {
    case OP_BT:
    case OP_BTS:
    case OP_BTR:
    case OP_BTC:
    case OP_TZCNT:
    case OP_LZCNT:
        return FLAG_OF | FLAG_SF | FLAG_AF | FLAG_PF;
    case OP_BEXTR:
        return FLAG_SF | FLAG_AF | FLAG_PF;
    case OP_ANDN:
    case OP_BLSR:
    case OP_BLSMSK:
    case OP_BLSI:
    case OP_BZHI:
        return FLAG_AF | FLAG_PF;
    }
    return 0;
}
