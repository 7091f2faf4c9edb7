/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the programs of the initramfs share instead of a C library: system calls, words and numbers
 * on their standard output, their start and their end.
 */
#ifndef TOOLS_INITRD_PROGRAM_H
#define TOOLS_INITRD_PROGRAM_H

/* Each program's own; count: words on its command line, its name as well. Gives its status. */
int program(long count, char **word);

/* System call n, with up to four arguments; a negative error number if it fails. */
long call(long n, long a, long b, long c, long d);
void say(const char *text);
void say_number(unsigned long n);
/* The number that a word says. */
unsigned long number(const char *word);
/* If not `good`: says so with the program's name before it, and ends with status 1. */
void must(int good, const char *what);

#endif
