/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For functions of assembly in C files, void name(void *arg), of either flavour: REG(ax) is RAX or
 * EAX, ARG loads the argument into it.
 */
#ifndef GUESTS_LIB_SNIPPET_H
#define GUESTS_LIB_SNIPPET_H

#ifdef __x86_64__
#define REG(x) "%r" #x
#define ARG    "mov %rdi, %rax\n"
#else
#define REG(x) "%e" #x
#define ARG    "mov 4(%esp), %eax\n"
#endif

#endif
