/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instruction forms with a memory operand, each run once on RAM and once on device memory that
 * behaves as RAM (testdev's MMIO), from the same registers, flags and contents: all of them must
 * come out the same, but for flags that the manual leaves undefined.
 */
#ifndef GUESTS_CHECK_FORMS_H
#define GUESTS_CHECK_FORMS_H

#include "guests/check/check.h"

/* Registers of a form. RBX points to the operand. */
struct form_regs {
    ulong b, c, d, si, di, a, flags;
};

/* Which CPUID bit a form needs. */
enum form_need {
    F_ALWAYS,
    F_SSE3,
    F_SSE41,
    F_MOVBE,
    F_POPCNT,
    F_LZCNT,
    F_BMI1,
    F_BMI2,
    F_CX16,
    F_AVX,
};

/* Where RSI and RDI point. */
enum form_pointers {
    P_NONE,
    P_SI,   /* RSI to the operand, RDI to other memory */
    P_DI,   /* RDI to the operand, RSI to other memory */
    P_BOTH, /* RSI to the operand, RDI 32 bytes behind it */
};

struct form {
    const char *name;
    void (*fn)(void *);
    ulong undefined; /* flags */
    u8 need;
    u8 pointers;
};

struct form_list {
    const struct form *forms;
    unsigned count;
};

#define FLAGS_ARITH 0x8d5ul
#define U_AF        0x010ul
#define U_SHIFT     0x810ul /* AF, and OF for counts other than 1 */
#define U_MUL       0x0d4ul
#define U_BT        0x894ul
#define U_BS        0x895ul
#define U_ALL       FLAGS_ARITH

/* RBP holds the struct; the instruction must leave it and the stack alone. */
#ifdef __x86_64__
#define FORM_CODE(name, insn)                                                                      \
    SNIPPET(form_##name,                                                                           \
            "push %rbx\n push %rbp\n mov %rdi, %rbp\n mov 0(%rbp), %rbx\n mov 8(%rbp), %rcx\n"     \
            "mov 16(%rbp), %rdx\n mov 24(%rbp), %rsi\n mov 32(%rbp), %rdi\n push 48(%rbp)\n"       \
            "mov 40(%rbp), %rax\n popf\n",                                                         \
            insn "\n pushf\n pop 48(%rbp)\n cld\n mov %rax, 40(%rbp)\n mov %rcx, 8(%rbp)\n"        \
                 "mov %rdx, 16(%rbp)\n mov %rsi, 24(%rbp)\n mov %rdi, 32(%rbp)\n"                  \
                 "mov %rbx, 0(%rbp)\n pop %rbp\n pop %rbx")
#define B     "(%rbx)"
#define BD(n) #n "(%rbx)"
#else
#define FORM_CODE(name, insn)                                                                      \
    SNIPPET(form_##name,                                                                           \
            "mov 4(%esp), %eax\n push %ebx\n push %ebp\n push %esi\n push %edi\n mov %eax, %ebp\n" \
            "mov 0(%ebp), %ebx\n mov 4(%ebp), %ecx\n mov 8(%ebp), %edx\n mov 12(%ebp), %esi\n"     \
            "mov 16(%ebp), %edi\n push 24(%ebp)\n mov 20(%ebp), %eax\n popf\n",                    \
            insn "\n pushf\n pop 24(%ebp)\n cld\n mov %eax, 20(%ebp)\n mov %ecx, 4(%ebp)\n"        \
                 "mov %edx, 8(%ebp)\n mov %esi, 12(%ebp)\n mov %edi, 16(%ebp)\n"                   \
                 "mov %ebx, 0(%ebp)\n pop %edi\n pop %esi\n pop %ebp\n pop %ebx")
#define B     "(%ebx)"
#define BD(n) #n "(%ebx)"
#endif

extern const struct form_list forms_integer, forms_string, forms_vector, forms_mode;

#endif
