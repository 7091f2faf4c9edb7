/* SPDX-License-Identifier: BSD-2-Clause */
/* skep's own command line: a table of words, and a sentence for each misuse. */
#include "vmm/config_words.h"

#include <stdarg.h>
#include "lib/print.h"

void config_error(struct config *c, const char *fmt, ...)
{
    va_list ap;

    if (c->error_count == CONFIG_MAX_ERRORS)
        return;
    va_start(ap, fmt);
    fmt_vprint(c->errors[c->error_count++], CONFIG_ERROR_SIZE, fmt, ap);
    va_end(ap);
}

struct slice slice_value(struct slice word, const char *key)
{
    size_t n = strlen(key);

    if (word.len > n && !memcmp(word.s, key, n) && word.s[n] == '=')
        return (struct slice){word.s + n + 1, word.len - n - 1};
    return (struct slice){NULL, 0};
}

int slice_choice(struct slice x, const char *list)
{
    struct slice word;

    for (int i = 0; (word.len = parse_word(&list, &word.s)) != 0;) {
        if (slice_is(word, "or"))
            continue;
        word.len -= word.s[word.len - 1] == ',';
        if (word.len == x.len && !memcmp(word.s, x.s, x.len))
            return i;
        i++;
    }
    return -1;
}

bool config_set(struct config_line *l, void *base, const struct config_key *k, struct slice value)
{
    u8 *field = (u8 *)base + k->field;
    u64 n;
    int i;

    if (k->set)
        return k->set(l, value);
    if (k->most) {
        if (parse_u64_in(value.s, value.len, 1, k->most, &n))
            return false;
        *(u32 *)(void *)field = (u32)n;
        return true;
    }
    i = k->accepts ? slice_choice(value, k->accepts) : true;
    if (i >= 0)
        *field = (u8)i;
    return i >= 0;
}

/* comN, 0xPORT, spcr, pci or pciN. */
static bool console_place(struct slice x, struct config_console *c)
{
    static const u16 com[] = {0x3f8, 0x2f8, 0x3e8, 0x2e8};
    u64 v = 1;

    *c = (struct config_console){.kind = CONFIG_CONSOLE_PORT, .baud = CONFIG_CONSOLE_BAUD};
    int n = slice_com(x);
    if (n >= 0) {
        c->port = com[n];
    } else if (slice_is(x, "spcr")) {
        c->kind = CONFIG_CONSOLE_SPCR;
        c->baud = 0;
    } else if (x.len >= 3 && !memcmp(x.s, "pci", 3)) {
        c->kind = CONFIG_CONSOLE_PCI;
        if (x.len > 3 && parse_u64_in(x.s + 3, x.len - 3, 1, 64, &v))
            return false;
        c->nth = (u16)v;
    } else {
        if (x.len < 3 || memcmp(x.s, "0x", 2) != 0 || parse_u64_in(x.s, x.len, 0x100, 0xfff8, &v))
            return false;
        c->port = (u16)v;
    }
    return true;
}

static bool set_console(struct config_line *l, struct slice v)
{
    struct config_console said;
    u64 baud;

    if (!console_place(slice_item(&v), &said))
        return false;
    while (v.s) {
        struct slice word = slice_item(&v);

        if (slice_is(word, "rtscts"))
            said.rtscts = true;
        else if (parse_u64_in(word.s, word.len, 50, 115200, &baud) || 115200 % baud)
            return false;
        else
            said.baud = (u32)baud;
    }
    l->c->console = said;
    return true;
}

static bool set_escape(struct config_line *l, struct slice v)
{
    char key = v.len == 2 ? v.s[1] : 0;

    if (key >= 'a' && key <= 'z')
        key = (char)(key - 'a' + 'A');
    if (v.len != 2 || v.s[0] != '^' || key <= '@' || key > '_')
        return false;
    l->c->escape = (u8)(key - '@');
    return true;
}

#define LOG_WORDS "error, warn, info or debug"

int config_log_level(const char *word)
{
    return slice_choice((struct slice){word, strlen(word)}, LOG_WORDS);
}

static const struct config_key own_words[] = {
    {"console",
     "com1 to com4, 0xPORT, spcr or pci, then perhaps ,BAUD that divides 115200 and ,rtscts",
     .set = set_console},
    {"log", LOG_WORDS, CONFIG_FIELD(config, log)},
    {"escape", "^A to ^Z or one of ^[ ^\\ ^] ^^ ^_", .set = set_escape},
    {"idle", "monitor, poweroff or reboot", CONFIG_FIELD(config, idle)},
    {"apic", "emulate, shadow or virtual", CONFIG_FIELD(config, apic)},
};

static void own_word(struct config *c, struct slice word, u32 *seen)
{
    struct config_line l = {.c = c};

    for (unsigned i = 0; i < ARRAY_SIZE(own_words); i++) {
        struct slice v = slice_value(word, own_words[i].key);

        if (!v.s)
            continue;
        if (*seen & BIT(i))
            config_error(c, "command line: '%s=' stands there twice; once is enough",
                         own_words[i].key);
        else if (!config_set(&l, c, &own_words[i], v))
            config_error(c, "command line: '%.*s' is not understood; '%s=' takes %s",
                         SLICE_ARG(word), own_words[i].key, own_words[i].accepts);
        *seen |= (u32)BIT(i);
        return;
    }
    config_error(c,
                 "command line: '%.*s' is not understood; the words are console=, log=, escape=, "
                 "idle= and apic=",
                 SLICE_ARG(word));
}

void config_parse_own(struct config *c, const char *cmdline)
{
    struct slice word;
    bool first = true;
    u32 seen = 0;

    memset(c, 0, sizeof(*c));
    c->console = (struct config_console){.port = 0x3f8, .baud = CONFIG_CONSOLE_BAUD};
    c->log = LOG_INFO;
    c->escape = CONFIG_ESCAPE_DEFAULT;
    c->idle = CONFIG_IDLE_MONITOR;
    c->apic = CONFIG_APIC_BEST;
    while ((word.len = parse_word(&cmdline, &word.s)) != 0) {
        if (!first || !slice_is_file_name(word))
            own_word(c, word, &seen);
        first = false;
    }
}
