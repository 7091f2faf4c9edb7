/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every form of every instruction that the emulator executes, found by asking the decoder about
 * each opcode, prefix and ModRM.reg in each mode. A form is an operation with its opcode, operand
 * size, mandatory prefix, and LOCK or REP where they change what it does.
 */
#ifndef TESTS_EMUL_FORMS_H
#define TESTS_EMUL_FORMS_H

#include "vmm/emul/internal.h"

struct form {
    u64 key;
    u8 mode; /* enum insn_mode */
    u8 op;   /* enum insn_op */
    u8 vex, map, opcode;
    u8 pp;      /* mandatory prefix or REP: 0 none, 1 66, 2 F3, 3 F2 */
    bool group; /* ModRM.reg is part of the opcode */
    u8 reg;
    bool opsize, addrsize; /* 66 (beside pp), 67 */
    u8 w, l;               /* REX.W or VEX.W, VEX.L */
    bool lock;
    struct insn insn; /* decoded with the operand at [BX], [EBX] or [RBX] */
};

#define MAX_FORMS 4000

/* Fills forms[] for one mode; only: (map << 8 | opcode), or ~0 for all. Returns how many. */
unsigned forms_find(struct form *forms, enum insn_mode mode, u64 only);

/* What makes two encodings the same form. */
u64 form_key(const struct insn *in);

/* Index of the form that an instruction has, or -1. */
int form_of(const struct form *forms, unsigned n, const struct insn *in);

/* The form's prefixes and opcode; returns their number. ModRM is to follow if it has one. */
unsigned form_bytes(const struct form *f, u8 *b);

/* One line that names it. */
void form_name(const struct form *f, char *buf, size_t size);

/* Whether the emulator executes the operation. */
bool form_executed(unsigned op);

/* Whether it touches memory (or a port) when its ModRM, if any, names memory. */
bool form_has_memory(const struct insn *in);

/* Flags that the manual leaves undefined and that the emulator computes itself. */
u64 undefined_flags(const struct insn *in);

static inline bool is_string(unsigned op)
{
    return op >= OP_MOVS && op <= OP_OUTS;
}

#endif
