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

static bool set_console(struct config *c, struct slice v)
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
    c->console = said;
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

const char *const config_apic_names[] = {"emulate", "shadow", "virtual", NULL};

static bool set_apic(struct config *c, struct slice v)
{
    int i = slice_pick(v, config_apic_names);

    if (i >= 0)
        c->apic = (u8)i;
    return i >= 0;
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
     "com1 to com4, 0xPORT, spcr or pci, then perhaps ,BAUD that divides 115200 and ,rtscts"},
    {"log", set_log, "error, warn, info or debug"},
    {"escape", set_escape, "^A to ^Z or one of ^[ ^\\ ^] ^^ ^_"},
    {"idle", set_idle, "monitor, poweroff or reboot"},
    {"apic", set_apic, "emulate, shadow or virtual"},
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
