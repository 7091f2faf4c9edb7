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
struct slice slice_value(struct slice word, const char *key);

static inline bool slice_is(struct slice x, const char *text)
{
    return parse_is(x.s, x.len, text);
}

/* com1 to com4: 0 to 3; -1. */
static inline int slice_com(struct slice x)
{
    bool is = x.len == 4 && !memcmp(x.s, "com", 3) && x.s[3] >= '1' && x.s[3] <= '4';

    return is ? x.s[3] - '1' : -1;
}

/* What stands before the next comma, or all; *rest moves behind the comma, or to NULL. */
static inline struct slice slice_item(struct slice *rest)
{
    struct slice all = *rest, item = {all.s, 0};

    while (item.len < all.len && item.s[item.len] != ',')
        item.len++;
    *rest = item.len < all.len ? (struct slice){all.s + item.len + 1, all.len - item.len - 1}
                               : (struct slice){NULL, 0};
    return item;
}

/* Whether the first word of a line is the file's name, which some loaders leave there. */
static inline bool slice_is_file_name(struct slice word)
{
    return word.len && (word.s[0] == '/' || word.s[0] == '(');
}

enum role { ROLE_NONE, ROLE_KERNEL, ROLE_INITRD, ROLE_MODULE };

/* One line, while it is read. */
struct config_line {
    struct config *c;
    const struct config_limits *limits;
    struct config_vm *vm;
    struct slice file; /* its name, if the text has it */
    unsigned index;
    enum role role;
    u32 seen;
    unsigned modules; /* that initrd= and module= may name */
    bool live;
};

/*
 * A word KEY=VALUE, or KEY alone. The value is for `set`; else it is a number up to `most`, for the
 * u32 field; else one of the words that `accepts` lists, for the u8 field: its index. KEY alone
 * sets the field, a bool.
 */
struct config_key {
    const char *key;
    const char *accepts; /* for people; NULL: KEY alone */
    bool (*set)(struct config_line *l, struct slice value);
    u16 field; /* its offset */
    u16 most;
    bool live; /* may change while the VM runs, or has `set` say */
};
#define CONFIG_FIELD(type, name) .field = offsetof(struct type, name)

/* The index of x in a list as people read it, "never, crash or always"; -1. */
int slice_choice(struct slice x, const char *list);
/* Gives the word its value in *base. False: it takes none such. */
bool config_set(struct config_line *l, void *base, const struct config_key *k, struct slice value);

/* The first thing that is wrong with a VM is what it is stopped for. */
void config_vm_error(struct config_vm *vm, const char *fmt, ...) PRINTF(2, 3);
/* Takes one word of a line in; whatever is wrong with it goes to config_vm_error. */
void config_word(struct config_line *l, struct slice word);
/* The name of the first word that was seen. */
const char *config_word_seen(u32 seen);
/* Adds the file that the line is about to its VM. */
void config_add_module(struct config_line *l, const char *cmdline);
void config_refuse_live(struct config_line *l, const char *word);

/* Adds a sentence that belongs to no VM; dropped when there are too many. */
void config_error(struct config *c, const char *fmt, ...) PRINTF(2, 3);

#endif
