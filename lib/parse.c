/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers, sizes and words out of untrusted text. */
#include "lib/parse.h"
#include "lib/string.h"

COLD static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

enum err parse_u64(const char *s, size_t len, u64 *out)
{
    unsigned base = 10;
    u64 v = 0;

    if (len > 2 && s[0] == '0' && (s[1] | 0x20) == 'x') {
        base = 16;
        s += 2;
        len -= 2;
    }
    if (!len)
        return ERR_INVAL;
    for (size_t i = 0; i < len; i++)
        if (digit_value(s[i]) >= (int)base)
            return ERR_INVAL;
    for (; len; s++, len--)
        if (__builtin_mul_overflow(v, base, &v) ||
            __builtin_add_overflow(v, (u64)digit_value(*s), &v))
            return ERR_RANGE;
    *out = v;
    return OK;
}

enum err parse_u64_in(const char *s, size_t len, u64 min, u64 max, u64 *out)
{
    u64 v;
    enum err e = parse_u64(s, len, &v);

    if (e)
        return e;
    if (v < min || v > max)
        return ERR_RANGE;
    *out = v;
    return OK;
}

static unsigned suffix_shift(char c)
{
    switch (c | 0x20) {
    case 'k':
        return 10;
    case 'm':
        return 20;
    case 'g':
        return 30;
    case 't':
        return 40;
    default:
        return 0;
    }
}

enum err parse_size(const char *s, size_t len, u64 *out)
{
    unsigned shift = len ? suffix_shift(s[len - 1]) : 0;
    u64 v;
    enum err e = parse_u64(s, len - (shift != 0), &v);

    if (e)
        return e;
    if (v > UINT64_MAX >> shift)
        return ERR_RANGE;
    *out = v << shift;
    return OK;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

size_t parse_word(const char **text, const char **word)
{
    const char *s = *text;
    size_t len = 0;

    while (is_blank(*s))
        s++;
    *word = s;
    while (s[len] && !is_blank(s[len]))
        len++;
    *text = s + len;
    return len;
}

bool parse_is(const char *s, size_t len, const char *lit)
{
    return strlen(lit) == len && !memcmp(s, lit, len);
}
