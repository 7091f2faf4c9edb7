/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a pure room needs from the program that links it, for host programs: assert_fail(), and
 * those functions of lib/string.h that the C library does not have (the rest come from there).
 */
#include <stdio.h>
#include <stdlib.h>
#include "lib/assert.h"
#include "lib/string.h"

NORETURN void assert_fail(const char *expr, const char *file, int line)
{
    fflush(stdout);
    fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expr);
    abort();
}

__attribute__((weak)) bool str_copy(char *dst, size_t size, const char *src)
{
    size_t len = strlen(src);
    size_t n;

    if (size == 0)
        return false;
    n = len < size ? len : size - 1;
    memcpy(dst, src, n);
    dst[n] = '\0';
    return len < size;
}
