/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes JSON: see json.h. */
#include "monitor/json.h"
#include "lib/print.h"
#include "lib/string.h"

/* ---- characters ---- */

/* The length of the UTF-8 sequence at s (Unicode, table 3-7); 0: it is none. */
static unsigned sequence(const u8 *s, size_t len)
{
    u8 low = 0x80, high = 0xbf;
    unsigned n = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

    if (n == 1)
        return 1;
    if (s[0] < 0xc2 || s[0] > 0xf4 || n > len)
        return 0;
    if (s[0] == 0xe0)
        low = 0xa0;
    else if (s[0] == 0xed)
        high = 0x9f;
    else if (s[0] == 0xf0)
        low = 0x90;
    else if (s[0] == 0xf4)
        high = 0x8f;
    if (s[1] < low || s[1] > high)
        return 0;
    for (unsigned i = 2; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

unsigned json_char(const u8 *s, size_t len, char out[JSON_CHAR], unsigned *taken)
{
    unsigned n = sequence(s, len);

    *taken = n ? n : 1;
    if (n == 0)
        return (unsigned)fmt_print(out, JSON_CHAR, "\xef\xbf\xbd");
    if (s[0] == '\n')
        return (unsigned)fmt_print(out, JSON_CHAR, "\\n");
    if (s[0] < ' ')
        return (unsigned)fmt_print(out, JSON_CHAR, "\\u%04x", s[0]);
    if (s[0] == '"' || s[0] == '\\')
        return (unsigned)fmt_print(out, JSON_CHAR, "\\%c", s[0]);
    memcpy(out, s, n);
    return n;
}

/* ---- structure ---- */

static size_t name_len(const char *name)
{
    size_t n = 0;

    while (name[n] && name[n] != ',' && name[n] != '+' && name[n] != '[')
        n++;
    return n;
}

/* What stands before a value. */
static void begin(struct json *j, const char *name)
{
    size_t n = name_len(name);

    if (j->comma)
        j->put(",", 1);
    j->comma = true;
    if (!n)
        return;
    j->put("\"", 1);
    j->put(name, n);
    j->put("\":", 2);
}

void json_open(struct json *j, const char *name, char bracket)
{
    if (j->depth == JSON_DEPTH)
        return;
    begin(j, name);
    j->put(&bracket, 1);
    j->list[j->depth] = name;
    j->close[j->depth++] = (char)(bracket + 2); /* '}' follows '{' by two, ']' '[' */
    j->comma = false;
}

void json_close(struct json *j)
{
    if (!j->depth)
        return;
    j->put(&j->close[--j->depth], 1);
    j->comma = true;
}

void json_close_to(struct json *j, unsigned depth)
{
    while (j->depth > depth)
        json_close(j);
    if (!depth)
        j->comma = false;
}

/* ---- values ---- */

void json_string(struct json *j, const char *name, const char *s, size_t len)
{
    size_t plain = 0, i = 0;

    begin(j, name);
    j->put("\"", 1);
    while (i < len) {
        char c[JSON_CHAR];
        unsigned taken, n = json_char((const u8 *)s + i, len - i, c, &taken);
        if (n != taken || (u8)c[0] != (u8)s[i]) {
            j->put(s + plain, i - plain);
            j->put(c, n);
            plain = i + taken;
        }
        i += taken;
    }
    j->put(s + plain, i - plain);
    j->put("\"", 1);
}

void json_literal(struct json *j, const char *name, const char *text)
{
    begin(j, name);
    j->put(text, strlen(text));
}

/* ---- what a format says ---- */

static void text_field(struct json *j, const char *name, const char *s, size_t len)
{
    if (*name == '?')
        json_literal(j, name + 1, len ? "true" : "false");
    else if (name_len(name) && *name != '-')
        json_string(j, name, s, len);
}

static void number_field(struct json *j, const char *name, char conversion, u64 v)
{
    char text[24];

    if (*name == '?') {
        json_literal(j, name + 1, v ? "true" : "false");
    } else if (name_len(name) && *name != '-') {
        fmt_print(text, sizeof(text),
                  conversion == 'x'   ? "\"0x%llx\""
                  : conversion == 'd' ? "%lld"
                                      : "%llu",
                  (unsigned long long)v);
        json_literal(j, name, text);
    }
}

/* Returns whether names ended in '+'. */
static bool write_fields(struct json *j, const char *names, const char *fmt, va_list ap)
{
    va_list args;

    va_copy(args, ap);
    for (; (fmt = strchr(fmt, '%')) != NULL; fmt++) {
        struct fmt_spec sp = {0};

        fmt++;
        fmt_parse(&fmt, &args, &sp);
        if (*fmt == '%')
            continue;
        if (*fmt == 's') {
            const char *s = va_arg(args, const char *);
            text_field(j, names, s, strnlen(s, sp.precise ? (size_t)sp.precision : SIZE_MAX));
        } else if (*fmt == 'c') {
            char c = (char)va_arg(args, int);
            text_field(j, names, &c, 1);
        } else {
            number_field(j, names, *fmt,
                         *fmt == 'd' ? (u64)fmt_signed(&args, sp.longs)
                                     : fmt_unsigned(&args, sp.longs));
        }
        names += name_len(names);
        names += *names == ',';
    }
    va_end(args);
    return names[name_len(names)] == '+';
}

/* ---- where it stands ---- */

static bool in_list(const struct json *j)
{
    return j->depth && j->close[j->depth - 1] == ']';
}

/* Goes to the list of that name: out to it if it is open, or into a new one. */
static void enter_list(struct json *j, const char *name)
{
    size_t n = name_len(name);
    unsigned d = j->depth;

    while (d && (j->close[d - 1] != ']' || strncmp(j->list[d - 1], name, n + 1) != 0))
        d--;
    if (d) {
        while (j->depth > d)
            json_close(j);
        return;
    }
    while (in_list(j))
        json_close(j);
    json_open(j, name, '[');
}

void json_say(struct json *j, const char *names, const char *fmt, va_list ap)
{
    const char *row = strchr(names, '[');

    if (!*names)
        return;
    if (!row) {
        while (in_list(j))
            json_close(j);
        write_fields(j, names, fmt, ap);
        return;
    }
    enter_list(j, names);
    if (!row[1])
        return;
    json_open(j, "", '{');
    if (!write_fields(j, row + 1, fmt, ap))
        json_close(j);
}
