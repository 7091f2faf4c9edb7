/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes JSON (RFC 8259): UTF-8, no blanks, no newlines. Pure: what is written goes to `put`. At
 * most JSON_DEPTH objects and lists are open at once; names are not copied.
 */
#ifndef MONITOR_JSON_H
#define MONITOR_JSON_H

#include <stdarg.h>
#include "lib/types.h"

#define JSON_DEPTH 6
#define JSON_CHAR  8 /* bytes that one character takes at most */

struct json {
    void (*put)(const char *text, size_t len);
    bool comma; /* something stands before what comes next */
    u8 depth;
    char close[JSON_DEPTH];
    const char *list[JSON_DEPTH]; /* its name, where it is a list */
};

/* bracket: '{' or '['. A name goes to ',', '+', '[' or its end; "" where there is none. */
void json_open(struct json *j, const char *name, char bracket);
void json_close(struct json *j);
/* Closes until only `depth` are open. */
void json_close_to(struct json *j, unsigned depth);

void json_string(struct json *j, const char *name, const char *s, size_t len);
void json_literal(struct json *j, const char *name, const char *text);

/*
 * Writes what `fmt` would print, as fields. Each conversion's argument stands under the next of the
 * names, which commas separate: %s and %c give strings, %u and %d numbers, %x a string "0x…"
 * (numbers beyond 2^53 do not survive everywhere). A name of "-" or "", or none left: not written.
 * "?name" gives true or false: whether the text is not empty, the number not 0.
 *
 *   "a,b"       fields of the object that is open
 *   "list[a,b"  an object of its own in the list, which begins here if it has not
 *   "list[a,b+" the same, and the object stays open for more
 *   "list["     the list begins, though nothing may come to stand in it
 *   ""          nothing
 *
 * What is open and does not fit is closed: a list ends with the first field behind it.
 */
void json_say(struct json *j, const char *names, const char *fmt, va_list ap);

/*
 * The first character of the len > 0 bytes at s as it stands in a string. Returns how many bytes of
 * `out` it takes; *taken: how many of s it was. What is no UTF-8 becomes U+FFFD.
 */
unsigned json_char(const u8 *s, size_t len, char out[JSON_CHAR], unsigned *taken);

#endif
