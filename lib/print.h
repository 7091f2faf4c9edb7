/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Formatted print into a buffer: %d %i %u %x %p %s %c %% with h/hh/l/ll/z/j, '0' and '-' flags,
 * '#' for hex, width and precision ('*' too).
 */
#ifndef LIB_PRINT_H
#define LIB_PRINT_H

#include <stdarg.h>
#include "lib/types.h"

/* As snprintf: always terminates when size > 0; returns the length the whole text would have. */
int fmt_print(char *buf, size_t size, const char *fmt, ...) PRINTF(3, 4);
int fmt_vprint(char *buf, size_t size, const char *fmt, va_list ap);

/* n bytes as "0f 31 c3"; buf has 3 * n bytes, n is not 0. */
void fmt_bytes(char *buf, const u8 *bytes, unsigned n);

/*
 * Text n, from 0, of those that stand one behind another in `list`, each with its terminator: where
 * speed does not count, a list takes less room than an array of pointers. There must be so many.
 */
const char *text_nth(const char *list, unsigned n);

/* For those who do something else with a format: a directive, */
struct fmt_spec {
    bool left, zero, alt, precise;
    int width, precision;
    int longs; /* -2 hh, -1 h, 0, 1 l or z, 2 ll or j */
};
/* taken off behind its '%', up to the letter that ends it; and the argument of a number. */
void fmt_parse(const char **f, va_list *ap, struct fmt_spec *sp);
u64 fmt_unsigned(va_list *ap, int longs);
s64 fmt_signed(va_list *ap, int longs);

#endif
