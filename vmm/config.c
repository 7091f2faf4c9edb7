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

static const char *const log_names[] = {"error", "warn", "info", "debug", NULL};
static const char *const idle_names[] = {"monitor", "poweroff", "reboot", NULL};

/* comN or 0xPORT. */
static bool parse_port(struct slice x, u16 *port)
{
    static const u16 com[] = {0x3f8, 0x2f8, 0x3e8, 0x2e8};
    u64 v;

    if (x.len == 4 && !memcmp(x.s, "com", 3) && x.s[3] >= '1' && x.s[3] <= '4') {
        *port = com[x.s[3] - '1'];
        return true;
    }
    if (x.len < 3 || memcmp(x.s, "0x", 2) != 0 || parse_u64_in(x.s, x.len, 0x100, 0xfff8, &v))
        return false;
    *port = (u16)v;
    return true;
}

static bool set_console(struct config *c, struct slice v)
{
    size_t comma = 0;
    u64 baud = CONFIG_CONSOLE_BAUD;
    u16 port;

    while (comma < v.len && v.s[comma] != ',')
        comma++;
    if (!parse_port((struct slice){v.s, comma}, &port))
        return false;
    if (comma < v.len &&
        (parse_u64_in(v.s + comma + 1, v.len - comma - 1, 50, 115200, &baud) || 115200 % baud))
        return false;
    c->console_port = port;
    c->console_baud = (u32)baud;
    return true;
}

static bool set_log(struct config *c, struct slice v)
{
    int i = slice_pick(v, log_names);

    if (i >= 0)
        c->log = (enum log_level)i;
    return i >= 0;
}

static bool set_escape(struct config *c, struct slice v)
{
    char key = v.len == 2 ? v.s[1] : 0;

    if (key >= 'a' && key <= 'z')
        key = (char)(key - 'a' + 'A');
    if (v.len != 2 || v.s[0] != '^' || key <= '@' || key > '_')
        return false;
    c->escape = (u8)(key - '@');
    return true;
}

static bool set_idle(struct config *c, struct slice v)
{
    int i = slice_pick(v, idle_names);

    if (i >= 0)
        c->idle = (enum config_idle)i;
    return i >= 0;
}

static const struct own_word {
    const char *key;
    bool (*set)(struct config *c, struct slice value);
    const char *accepts;
} own_words[] = {
    {"console", set_console,
     "com1 to com4 or 0xPORT, then perhaps a comma and a baud rate that divides 115200"},
    {"log", set_log, "error, warn, info or debug"},
    {"escape", set_escape, "^A to ^Z or one of ^[ ^\\ ^] ^^ ^_"},
    {"idle", set_idle, "monitor, poweroff or reboot"},
};

static void own_word(struct config *c, struct slice word, u32 *seen)
{
    for (unsigned i = 0; i < ARRAY_SIZE(own_words); i++) {
        struct slice v = slice_value(word, own_words[i].key);

        if (!v.s)
            continue;
        if (*seen & BIT(i))
            config_error(c, "command line: '%s=' stands there twice; once is enough",
                         own_words[i].key);
        else if (!own_words[i].set(c, v))
            config_error(c, "command line: '%.*s' is not understood; '%s=' takes %s",
                         SLICE_ARG(word), own_words[i].key, own_words[i].accepts);
        *seen |= (u32)BIT(i);
        return;
    }
    config_error(
        c,
        "command line: '%.*s' is not understood; the words are console=, log=, escape= and "
        "idle=",
        SLICE_ARG(word));
}

void config_parse_own(struct config *c, const char *cmdline)
{
    struct slice word;
    bool first = true;
    u32 seen = 0;

    memset(c, 0, sizeof(*c));
    c->console_port = CONFIG_CONSOLE_PORT;
    c->console_baud = CONFIG_CONSOLE_BAUD;
    c->log = LOG_INFO;
    c->escape = CONFIG_ESCAPE_DEFAULT;
    c->idle = CONFIG_IDLE_MONITOR;
    while ((word.len = parse_word(&cmdline, &word.s)) != 0) {
        if (!first || !slice_is_file_name(word))
            own_word(c, word, &seen);
        first = false;
    }
}
