/* SPDX-License-Identifier: BSD-2-Clause */
/* See program.h. */
#include "tools/initrd/program.h"
#include <asm/unistd.h>

static const char *name;

long call(long n, long a, long b, long c, long d)
{
    long result;

#ifdef __x86_64__
    register long r10 __asm__("r10") = d;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10)
                     : "rcx", "r11", "memory");
#else
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(n), "b"(a), "c"(b), "d"(c), "S"(d)
                     : "memory");
#endif
    return result;
}

void say(const char *text)
{
    long len = 0;

    while (text[len])
        len++;
    call(__NR_write, 1, (long)text, len, 0);
}

void say_number(unsigned long n)
{
    char digits[24], *p = digits + sizeof(digits) - 1;

    *p = 0;
    do
        *--p = (char)('0' + n % 10);
    while (n /= 10);
    say(p);
}

unsigned long number(const char *word)
{
    unsigned long n = 0;

    for (; *word; word++)
        n = n * 10 + (unsigned long)(*word - '0');
    return n;
}

void must(int good, const char *what)
{
    if (good)
        return;
    say(name);
    say(": ");
    say(what);
    say("\n");
    call(__NR_exit, 1, 0, 0, 0);
}

/* stack: as the kernel leaves it, the number of words and then the words. */
__attribute__((used)) void begin(long *stack);
void begin(long *stack)
{
    char **word = (char **)(stack + 1);

    name = word[0];
    call(__NR_exit, program(stack[0], word), 0, 0, 0);
}

__asm__(".globl _start\n_start:\n"
#ifdef __x86_64__
        "    mov %rsp, %rdi\n    and $-16, %rsp\n    call begin\n"
#else
        "    mov %esp, %eax\n    and $-16, %esp\n    sub $12, %esp\n    push %eax\n    call begin\n"
#endif
);
