/* SPDX-License-Identifier: BSD-2-Clause */
/* Formatted print: parse one directive into a spec, turn its argument into digits, pad, copy. */
#include "lib/print.h"
#include "lib/string.h"

struct out {
    char *buf;
    size_t size, len; /* len counts what did not fit too */
};

static void put(struct out *o, char c)
{
    if (o->len + 1 < o->size)
        o->buf[o->len] = c;
    o->len++;
}

static void put_n(struct out *o, char c, int n)
{
    while (n-- > 0)
        put(o, c);
}

/* Text with its prefix (sign, 0x), padded to the width; zeroes go between the two. */
static void put_field(struct out *o, const struct fmt_spec *sp, const char *prefix,
                      const char *text, int len, int zeroes)
{
    int pad = sp->width - (int)strlen(prefix) - zeroes - len;

    if (!sp->left)
        put_n(o, ' ', pad);
    while (*prefix)
        put(o, *prefix++);
    put_n(o, '0', zeroes);
    for (int i = 0; i < len; i++)
        put(o, text[i]);
    if (sp->left)
        put_n(o, ' ', pad);
}

static void put_number(struct out *o, const struct fmt_spec *sp, u64 v, unsigned base,
                       const char *prefix)
{
    char tmp[24];
    int n = 0, zeroes = 0;

    do {
        tmp[sizeof(tmp) - 1 - n++] = "0123456789abcdef"[v % base];
        v /= base;
    } while (v);
    if (sp->precise) {
        zeroes = sp->precision - n;
        if (!sp->precision && n == 1 && tmp[sizeof(tmp) - 1] == '0')
            n = 0;
    } else if (sp->zero && !sp->left) {
        zeroes = sp->width - n - (int)strlen(prefix);
    }
    put_field(o, sp, prefix, tmp + sizeof(tmp) - n, n, MAX(zeroes, 0));
}

static void put_text(struct out *o, const struct fmt_spec *sp, const char *s)
{
    if (!s)
        s = "(null)";
    put_field(o, sp, "", s, (int)strnlen(s, sp->precise ? (size_t)sp->precision : 0x7fffffff), 0);
}

u64 fmt_unsigned(va_list *ap, int longs)
{
    u64 v = longs > 1    ? va_arg(*ap, unsigned long long)
            : longs == 1 ? va_arg(*ap, unsigned long)
                         : va_arg(*ap, unsigned int);

    return longs == -2 ? (u8)v : longs == -1 ? (u16)v : v;
}

s64 fmt_signed(va_list *ap, int longs)
{
    s64 v = longs > 1 ? va_arg(*ap, long long) : longs == 1 ? va_arg(*ap, long) : va_arg(*ap, int);

    return longs == -2 ? (s8)v : longs == -1 ? (s16)v : v;
}

/* A width or precision: digits or '*'. Bounded, so that no directive prints without end. */
static int parse_count(const char **f, va_list *ap)
{
    int n = 0;

    if (**f == '*') {
        ++*f;
        n = va_arg(*ap, int);
        return n > 4096 ? 4096 : n < -4096 ? -4096 : n;
    }
    for (; **f >= '0' && **f <= '9'; ++*f)
        n = MIN(n * 10 + (**f - '0'), 4096);
    return n;
}

void fmt_parse(const char **f, va_list *ap, struct fmt_spec *sp)
{
    for (;; ++*f) {
        if (**f == '-')
            sp->left = true;
        else if (**f == '0')
            sp->zero = true;
        else if (**f == '#')
            sp->alt = true;
        else
            break;
    }
    sp->width = parse_count(f, ap);
    if (sp->width < 0) {
        sp->left = true;
        sp->width = -sp->width;
    }
    if (**f == '.') {
        ++*f;
        sp->precision = parse_count(f, ap);
        sp->precise = sp->precision >= 0;
    }
    for (;; ++*f) {
        if (**f == 'l')
            sp->longs++;
        else if (**f == 'h')
            sp->longs--;
        else if (**f == 'z')
            sp->longs = 1;
        else if (**f == 'j')
            sp->longs = 2;
        else
            break;
    }
}

static void convert(struct out *o, char c, const struct fmt_spec *sp, va_list *ap)
{
    char ch;
    u64 v;
    s64 s;

    switch (c) {
    case 'd':
    case 'i':
        s = fmt_signed(ap, sp->longs);
        put_number(o, sp, s < 0 ? 0 - (u64)s : (u64)s, 10, s < 0 ? "-" : "");
        break;
    case 'u':
        put_number(o, sp, fmt_unsigned(ap, sp->longs), 10, "");
        break;
    case 'x':
        v = fmt_unsigned(ap, sp->longs);
        put_number(o, sp, v, 16, sp->alt && v ? "0x" : "");
        break;
    case 'p':
        put_number(o, sp, (u64)(uintptr_t)va_arg(*ap, void *), 16, "0x");
        break;
    case 's':
        put_text(o, sp, va_arg(*ap, const char *));
        break;
    case 'c':
        ch = (char)va_arg(*ap, int);
        put_field(o, sp, "", &ch, 1, 0);
        break;
    case '%':
        put(o, '%');
        break;
    default: /* shown as it stands, so that the slip is seen */
        put(o, '%');
        put(o, c);
    }
}

int fmt_vprint(char *buf, size_t size, const char *fmt, va_list ap)
{
    struct out o = {buf, size, 0};
    va_list args;

    va_copy(args, ap);
    for (; *fmt; fmt++) {
        struct fmt_spec sp = {0};

        if (*fmt != '%') {
            put(&o, *fmt);
            continue;
        }
        fmt++;
        fmt_parse(&fmt, &args, &sp);
        if (!*fmt)
            break;
        convert(&o, *fmt, &sp, &args);
    }
    va_end(args);
    if (size)
        buf[MIN(o.len, size - 1)] = 0;
    return (int)o.len;
}

int fmt_print(char *buf, size_t size, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = fmt_vprint(buf, size, fmt, ap);
    va_end(ap);
    return n;
}

void fmt_bytes(char *buf, const u8 *bytes, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        fmt_print(buf + 3 * i, i + 1 < n ? 4 : 3, "%02x ", bytes[i]);
}

const char *text_nth(const char *list, unsigned n)
{
    while (n--)
        list += strlen(list) + 1;
    return list;
}
