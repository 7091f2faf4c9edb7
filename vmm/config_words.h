/* SPDX-License-Identifier: BSD-2-Clause */
/* Words of a configuration line: what config.c and config_vm.c share. Not for use elsewhere. */
#ifndef VMM_CONFIG_WORDS_H
#define VMM_CONFIG_WORDS_H

#include "lib/parse.h"
#include "lib/string.h"
#include "vmm/config.h"

/* A part of a text. */
struct slice {
    const char *s;
    size_t len;
};

/* For "%.*s": a word as people typed it, cut where it is absurdly long. */
#define SLICE_ARG(x) (int)MIN((x).len, (size_t)40), (x).s

/* If word is KEY=VALUE with this key, its value; s NULL otherwise. */
static inline struct slice slice_value(struct slice word, const char *key)
{
    size_t n = strlen(key);

    if (word.len > n && !memcmp(word.s, key, n) && word.s[n] == '=')
        return (struct slice){word.s + n + 1, word.len - n - 1};
    return (struct slice){NULL, 0};
}

static inline bool slice_is(struct slice x, const char *text)
{
    return parse_is(x.s, x.len, text);
}

/* The index of x in a NULL-terminated list of texts; -1. */
static inline int slice_pick(struct slice x, const char *const *list)
{
    for (int i = 0; list[i]; i++)
        if (slice_is(x, list[i]))
            return i;
    return -1;
}

/* Whether the first word of a line is the file's name, which some loaders leave there. */
static inline bool slice_is_file_name(struct slice word)
{
    return word.len && (word.s[0] == '/' || word.s[0] == '(');
}

/* Adds a sentence that belongs to no VM; dropped when there are too many. */
void config_error(struct config *c, const char *fmt, ...) PRINTF(2, 3);

#endif
