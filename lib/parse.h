/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers and sizes out of text that a person, a loader or a guest wrote. Each function takes a
 * slice (no terminator needed) and accepts it only if all of it belongs to the number.
 */
#ifndef LIB_PARSE_H
#define LIB_PARSE_H

#include "lib/types.h"

/*
 * Decimal, or hexadecimal after "0x". *out is set on OK only. ERR_INVAL: empty, or a character
 * that does not belong; ERR_RANGE: does not fit into 64 bits.
 */
enum err parse_u64(const char *s, size_t len, u64 *out);

/* As parse_u64, and ERR_RANGE for a value outside min..max. */
enum err parse_u64_in(const char *s, size_t len, u64 min, u64 max, u64 *out);

/* A number with an optional K, M, G or T (either case; powers of 1024): "512M" in bytes. */
enum err parse_size(const char *s, size_t len, u64 *out);

/*
 * Takes the next word off *text (blanks are space, tab, CR, LF): *word and the result are its start
 * and length; 0 when there is none left. *text moves behind the word.
 */
size_t parse_word(const char **text, const char **word);

/* Whether the slice s,len is exactly the C string lit. */
bool parse_is(const char *s, size_t len, const char *lit);

#endif
