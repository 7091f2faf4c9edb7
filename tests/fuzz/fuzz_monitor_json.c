/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as a JSON string: what comes out reads back, and is UTF-8 without control characters.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "monitor/json.h"

static char text[8 * 4096 + 8];
static size_t used;

static void put(const char *s, size_t len)
{
    if (used + len > sizeof(text))
        abort();
    memcpy(text + used, s, len);
    used += len;
}

/* Reads one escape at text[i]; what it stands for, *i behind it. */
static unsigned escape(size_t *i)
{
    static const char hex[] = "0123456789abcdef";
    unsigned v = 0;

    switch (text[(*i)++]) {
    case '"':
        return '"';
    case '\\':
        return '\\';
    case 'n':
        return '\n';
    case 'u':
        break;
    default:
        abort();
    }
    for (unsigned n = 0; n < 4; n++) {
        const char *digit = strchr(hex, text[(*i)++]);
        if (!digit)
            abort();
        v = v * 16 + (unsigned)(digit - hex);
    }
    return v;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json j = {.put = put};
    size_t i = 1, at = 0;

    if (size > 4096)
        return 0;
    used = 0;
    json_string(&j, "", (const char *)data, size);
    if (used < 2 || text[0] != '"' || text[used - 1] != '"')
        abort();
    while (i < used - 1) {
        unsigned char c = (unsigned char)text[i++];
        if (c < ' ' || c == '"')
            abort();
        if (c == '\\')
            c = (unsigned char)escape(&i);
        bool mark = c == 0xef && i + 2 < used && memcmp(text + i, "\xbf\xbd", 2) == 0;
        if (at == size)
            abort();
        if (mark && (size - at < 3 || memcmp(data + at, "\xef\xbf\xbd", 3) != 0)) {
            i += 2; /* a byte that is no UTF-8 */
            c = data[at] < 0x80 ? 0 : data[at];
        }
        if (c != data[at++])
            abort();
    }
    if (at != size)
        abort();
    return 0;
}
