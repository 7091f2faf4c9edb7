/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of forms, which tests/emul/forms_list.c prints from the opcode tables. */
#ifndef GUESTS_FORMS_TABLE_H
#define GUESTS_FORMS_TABLE_H

#include "lib/types.h"

/*
 * 64 KiB of linear addresses: code, the window (memory or device, by its page-table entry), other
 * memory, a stack. Segments of 16- and 32-bit code begin here, so that offsets fit 16 bits.
 */
#define AREA    0x60000u
#define CODE    0x0100u /* the form; everything around it is INT3 */
#define TARGET  0x0080u /* of branches */
#define WINDOW  0x1000u
#define OPERAND 0x1040u
#define OTHER   0x2040u
#define STACK   0x3800u

#define WINDOW_SIZE 0x100u /* of it are compared, and as many bytes around OTHER and STACK */

/* What registers and memory a form needs. */
enum form_kind {
    K_PLAIN,
    K_BIT,      /* a small bit offset in RDX */
    K_BRANCH,   /* a branch target in memory */
    K_STACK,    /* the stack in the window */
    K_PUSH_POP, /* an operand in memory; the stack in the window every other time */
    K_SELECTOR, /* a selector in memory */
    K_FAR,      /* an offset and a selector */
    K_DIVISOR,  /* a dividend that is small */
    K_BOUND,    /* bounds that hold */
    K_CMPXCHG,  /* equal every other time */
    K_STRING,
    K_PORT, /* IN, OUT; strings with ports are K_STRING */
};

/* A processor feature without which the encoding is another instruction. */
enum form_need { NEED_NOTHING, NEED_LZCNT, NEED_BMI1 };

struct form_code {
    const char *name;
    u8 len, kind, need;
    u8 size;       /* operand size */
    u8 offset;     /* of the operand behind OPERAND */
    u16 undefined; /* flags */
    u8 bytes[16];
};

/* By mode: 16-, 32- and 64-bit code. */
extern const struct form_code forms16[], forms32[], forms64[];
extern const unsigned form_counts[3];

#endif
