/* SPDX-License-Identifier: BSD-2-Clause */
/* Words of configuration into struct config. Two tables of words; a sentence for each misuse. */
#include "vmm/config.h"

#include <stdarg.h>
#include "lib/parse.h"
#include "lib/print.h"
#include "lib/string.h"
#include "vmm/platform.h"

#define MAX_CPUS_SHOWN 64

/* A part of a text. */
struct slice {
    const char *s;
    size_t len;
};

#define SLICE_ARG(x) (int)MIN((x).len, (size_t)40), (x).s

/* ---- what both lines share -------------------------------------------------------------- */

/* If word is KEY=VALUE with this key, its value; s NULL otherwise. */
static struct slice value_of(struct slice word, const char *key)
{
    size_t n = strlen(key);

    if (word.len > n && !memcmp(word.s, key, n) && word.s[n] == '=')
        return (struct slice){word.s + n + 1, word.len - n - 1};
    return (struct slice){NULL, 0};
}

static bool is(struct slice x, const char *text)
{
    return parse_is(x.s, x.len, text);
}

/* The index of x in a NULL-terminated list of texts; -1. */
static int pick(struct slice x, const char *const *list)
{
    for (int i = 0; list[i]; i++)
        if (is(x, list[i]))
            return i;
    return -1;
}

static void add_error(struct config *c, const char *fmt, ...) PRINTF(2, 3);

static void add_error(struct config *c, const char *fmt, ...)
{
    va_list ap;

    if (c->error_count == CONFIG_MAX_ERRORS)
        return;
    va_start(ap, fmt);
    fmt_vprint(c->errors[c->error_count++], CONFIG_ERROR_SIZE, fmt, ap);
    va_end(ap);
}

/* ---- skep's own line -------------------------------------------------------------------- */

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
    if (x.len < 3 || memcmp(x.s, "0x", 2) || parse_u64_in(x.s, x.len, 0x100, 0xfff8, &v))
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
    int i = pick(v, log_names);

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
    int i = pick(v, idle_names);

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
        struct slice v = value_of(word, own_words[i].key);

        if (!v.s)
            continue;
        if (*seen & BIT(i))
            add_error(c, "command line: '%s=' stands there twice; once is enough",
                      own_words[i].key);
        else if (!own_words[i].set(c, v))
            add_error(c, "command line: '%.*s' is not understood; '%s=' takes %s", SLICE_ARG(word),
                      own_words[i].key, own_words[i].accepts);
        *seen |= (u32)BIT(i);
        return;
    }
    add_error(c,
              "command line: '%.*s' is not understood; the words are console=, log=, escape= and "
              "idle=",
              SLICE_ARG(word));
}

/* Whether the first word of a line is the file's name, which some loaders leave there. */
static bool is_file_name(struct slice word)
{
    return word.len && (word.s[0] == '/' || word.s[0] == '(');
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
        if (!first || !is_file_name(word))
            own_word(c, word, &seen);
        first = false;
    }
}

/* ---- a module's line -------------------------------------------------------------------- */

enum role { ROLE_NONE, ROLE_KERNEL, ROLE_INITRD, ROLE_MODULE };

/* Keys of the words that a kernel's line may have; seen as bits. */
enum vm_key { KEY_MEM, KEY_VCPUS, KEY_CPUS, KEY_TYPE, KEY_START, KEY_FILL, KEY_TESTDEV, KEY_COUNT };

/* One line, while it is read. */
struct line {
    struct config *c;
    const struct config_limits *limits;
    struct config_vm *vm;
    struct slice file; /* its name, if the text has it */
    unsigned index;
    enum role role;
    u32 seen;
};

/* The first thing that is wrong with a VM is what it is stopped for. */
static void vm_error(struct config_vm *vm, const char *fmt, ...) PRINTF(2, 3);

static void vm_error(struct config_vm *vm, const char *fmt, ...)
{
    va_list ap;
    size_t used;

    if (vm->error[0])
        return;
    fmt_print(vm->error, CONFIG_ERROR_SIZE, "vm %s: ", vm->name);
    used = strlen(vm->error);
    va_start(ap, fmt);
    fmt_vprint(vm->error + used, CONFIG_ERROR_SIZE - used, fmt, ap);
    va_end(ap);
}

static bool set_mem(struct line *l, struct slice v)
{
    u64 mem, most = l->limits->mem ? MIN(l->limits->mem, PLAT_MEM_MAX) : PLAT_MEM_MAX;
    enum err e = parse_size(v.s, v.len, &mem);

    if (e == ERR_INVAL)
        return false;
    if (e || mem > most)
        vm_error(l->vm, "'mem=%.*s' is more than this machine can give: at most %lluM",
                 SLICE_ARG(v), (unsigned long long)(most >> 20));
    else if (mem < PLAT_MEM_MIN)
        vm_error(l->vm, "'mem=%.*s' is too little: at least %lluM", SLICE_ARG(v),
                 (unsigned long long)(PLAT_MEM_MIN >> 20));
    else
        l->vm->mem = ALIGN_DOWN(mem, PAGE_SIZE);
    return true;
}

static bool set_vcpus(struct line *l, struct slice v)
{
    u64 n;

    if (parse_u64_in(v.s, v.len, 1, PLAT_MAX_VCPUS, &n))
        return false;
    l->vm->vcpus = (unsigned)n;
    return true;
}

/* N or N-M; moves *v behind it. */
static bool parse_cpu_range(struct slice *v, u64 *mask)
{
    u64 n[2];
    size_t len;

    for (unsigned i = 0; i < 2; i++) {
        for (len = 0; len < v->len && v->s[len] >= '0' && v->s[len] <= '9';)
            len++;
        if (parse_u64_in(v->s, len, 0, MAX_CPUS_SHOWN - 1, &n[i]))
            return false;
        *v = (struct slice){v->s + len, v->len - len};
        if (i == 0 && (!v->len || v->s[0] != '-')) {
            n[1] = n[0];
            break;
        }
        if (i == 0)
            *v = (struct slice){v->s + 1, v->len - 1};
    }
    if (n[1] < n[0])
        return false;
    for (u64 i = n[0]; i <= n[1]; i++)
        *mask |= BIT(i);
    return true;
}

static bool set_cpus(struct line *l, struct slice v)
{
    struct slice rest = v;
    u64 mask = 0, there;

    do {
        if (mask)
            rest = (struct slice){rest.s + 1, rest.len - 1};
        if (!parse_cpu_range(&rest, &mask))
            return false;
    } while (rest.len && rest.s[0] == ',');
    if (rest.len)
        return false;
    there = l->limits->cpus < MAX_CPUS_SHOWN ? BIT(l->limits->cpus) - 1 : UINT64_MAX;
    if (mask & ~there)
        vm_error(l->vm, "'cpus=%.*s' names a processor that is not there: they are 0 to %u",
                 SLICE_ARG(v), l->limits->cpus - 1);
    l->vm->cpus = mask;
    return true;
}

static bool set_type(struct line *l, struct slice v)
{
    for (int i = 0; i < LOAD_KIND_COUNT; i++)
        if (is(v, load_kind_name((enum load_kind)i))) {
            l->vm->type = (enum load_kind)i;
            return true;
        }
    return false;
}

static bool set_start(struct line *l, struct slice v)
{
    l->vm->manual = is(v, "manual");
    return l->vm->manual || is(v, "auto");
}

static bool set_fill(struct line *l, struct slice v)
{
    l->vm->fill_boot = is(v, "boot");
    return l->vm->fill_boot || is(v, "demand");
}

/* By enum vm_key; testdev, which has no value, is apart. */
static const struct vm_word {
    const char *key;
    bool (*set)(struct line *l, struct slice value);
    const char *accepts;
} vm_words[KEY_COUNT] = {
    [KEY_MEM] = {"mem", set_mem, "a number with K, M or G behind it"},
    [KEY_VCPUS] = {"vcpus", set_vcpus, "a number from 1 to 32"},
    [KEY_CPUS] = {"cpus", set_cpus, "processor numbers, as in 0,2-3"},
    [KEY_TYPE] = {"type", set_type, "auto, linux, multiboot, multiboot2, pvh, elf or freebsd"},
    [KEY_START] = {"start", set_start, "auto or manual"},
    [KEY_FILL] = {"fill", set_fill, "demand or boot"},
};

_Static_assert(PLAT_MAX_VCPUS == 32, "the sentence about vcpus= says 32");

static bool once(struct line *l, unsigned bit, const char *word)
{
    if (l->seen & BIT(bit)) {
        vm_error(l->vm, "'%s' stands twice on one line; once is enough", word);
        return false;
    }
    l->seen |= (u32)BIT(bit);
    return true;
}

/* kernel, initrd, module. */
static bool role_word(struct line *l, struct slice word)
{
    static const char *const names[] = {"kernel", "initrd", "module", NULL};
    int i = pick(word, names);

    if (i < 0)
        return false;
    if (l->role != ROLE_NONE)
        vm_error(l->vm, "'%.*s' is one word too many: a file is kernel, initrd or module, once",
                 SLICE_ARG(word));
    else
        l->role = (enum role)(ROLE_KERNEL + i);
    return true;
}

static void vm_word(struct line *l, struct slice word)
{
    if (role_word(l, word))
        return;
    if (is(word, "testdev")) {
        l->vm->testdev = once(l, KEY_TESTDEV, "testdev");
        return;
    }
    for (unsigned i = 0; i < KEY_TESTDEV; i++) {
        struct slice v = value_of(word, vm_words[i].key);

        if (!v.s)
            continue;
        if (once(l, i, vm_words[i].key) && !vm_words[i].set(l, v))
            vm_error(l->vm, "'%.*s' is not understood; '%s=' takes %s", SLICE_ARG(word),
                     vm_words[i].key, vm_words[i].accepts);
        return;
    }
    vm_error(l->vm,
             "'%.*s' is not understood; the words are kernel, initrd, module, mem=, vcpus=, cpus=, "
             "type=, start=, fill=, testdev, and -- before the guest's own",
             SLICE_ARG(word));
}

static bool name_ok(struct slice v)
{
    for (size_t i = 0; i < v.len; i++) {
        char ch = v.s[i], low = ch | 0x20;

        if (!((low >= 'a' && low <= 'z') || (ch >= '0' && ch <= '9') ||
              (i && (ch == '-' || ch == '_' || ch == '.'))))
            return false;
    }
    return v.len && v.len < CONFIG_NAME_SIZE;
}

static struct config_vm *find_vm(struct config *c, struct slice name)
{
    struct config_vm *vm;

    for (unsigned i = 0; i < c->vm_count; i++)
        if (is(name, c->vms[i].name))
            return &c->vms[i];
    if (c->vm_count == CONFIG_MAX_VMS)
        return NULL;
    vm = &c->vms[c->vm_count++];
    memcpy(vm->name, name.s, name.len);
    vm->kernel = -1;
    vm->cmdline = "";
    vm->vcpus = 1;
    vm->cpus = UINT64_MAX;
    return vm;
}

/* "module 2 (/boot/initrd)" for sentences about a line that has no VM. */
static void describe(const struct line *l, char *buf, size_t size)
{
    if (l->file.len)
        fmt_print(buf, size, "module %u (%.*s)", l->index, SLICE_ARG(l->file));
    else
        fmt_print(buf, size, "module %u", l->index);
}

/* Looks for vm=NAME among the words before "--", and finds its VM. False and a sentence: none. */
static bool read_name(struct line *l, const char *text)
{
    struct slice word, v, name = {NULL, 0};
    char who[64];
    bool twice = false;

    describe(l, who, sizeof(who));
    while ((word.len = parse_word(&text, &word.s)) != 0 && !is(word, "--")) {
        v = value_of(word, "vm");
        twice |= v.s && name.s;
        if (v.s && !name.s)
            name = v;
    }
    if (!name.s) {
        add_error(l->c, "%s: no 'vm=NAME' says whose it is; it is left out", who);
        return false;
    }
    if (!name_ok(name)) {
        add_error(l->c, "%s: 'vm=%.*s' is no name; letters, digits, '-', '_', '.', up to %d", who,
                  SLICE_ARG(name), CONFIG_NAME_SIZE - 1);
        return false;
    }
    l->vm = find_vm(l->c, name);
    if (!l->vm) {
        add_error(l->c, "%s: VM '%.*s' is one too many; %d is the most", who, SLICE_ARG(name),
                  CONFIG_MAX_VMS);
        return false;
    }
    if (twice)
        vm_error(l->vm, "'vm=' stands twice on one line; once is enough");
    return true;
}

static void add_module(struct line *l, const char *cmdline)
{
    struct config_vm *vm = l->vm;
    struct config_module *m = &vm->modules[vm->module_count];

    if (vm->module_count == CONFIG_VM_MODULES) {
        vm_error(vm, "module %u is one too many; %d beside the kernel is the most", l->index,
                 CONFIG_VM_MODULES);
        return;
    }
    if (l->seen)
        vm_error(vm, "'%s' stands on the line of module %u; it belongs on the kernel's",
                 l->seen & BIT(KEY_TESTDEV) ? "testdev" : vm_words[__builtin_ctz(l->seen)].key,
                 l->index);
    vm->module_count++;
    m->index = (u16)l->index;
    m->initrd = l->role == ROLE_INITRD;
    m->cmdline = cmdline;
    if (m->initrd && *cmdline)
        vm_error(vm, "words after '--' on an initrd's line go nowhere; put them on the kernel's");
    memcpy(m->name, l->file.s, MIN(l->file.len, sizeof(m->name) - 1));
}

static void set_kernel(struct line *l, const char *cmdline)
{
    if (l->vm->kernel >= 0) {
        vm_error(l->vm, "modules %d and %u are both its kernel; a further file is initrd or module",
                 l->vm->kernel, l->index);
        return;
    }
    l->vm->kernel = (int)l->index;
    l->vm->cmdline = cmdline;
}

/* Text behind "--" and one blank, to the end, byte for byte. */
static const char *guest_part(const char *after)
{
    return *after ? after + 1 : after;
}

static void parse_line(struct line *l, const char *text)
{
    const char *cmdline = "";
    struct slice word;
    const char *rest = text;
    bool first_of_vm;

    l->file.len = parse_word(&rest, &l->file.s);
    if (is_file_name(l->file))
        text = rest;
    else
        l->file.len = 0;
    if (!read_name(l, text))
        return;
    first_of_vm = l->vm->kernel < 0 && !l->vm->module_count;
    while ((word.len = parse_word(&text, &word.s)) != 0) {
        if (is(word, "--")) {
            cmdline = guest_part(text);
            break;
        }
        if (!value_of(word, "vm").s)
            vm_word(l, word);
    }
    if (l->role == ROLE_KERNEL || (l->role == ROLE_NONE && first_of_vm)) {
        set_kernel(l, cmdline);
    } else {
        if (l->role == ROLE_NONE)
            vm_error(l->vm, "module %u is neither 'initrd' nor 'module', and the kernel is there",
                     l->index);
        add_module(l, cmdline);
    }
}

/* What can be said only when all lines have been read. */
static void finish_vm(struct config_vm *vm, const struct config_limits *limits)
{
    if (vm->kernel < 0)
        vm_error(vm, "it has an %s but no kernel",
                 vm->module_count && vm->modules[0].initrd ? "initrd" : "additional module");
    if (!vm->mem)
        vm->mem = CONFIG_MEM_DEFAULT;
    if (limits->mem && vm->mem > limits->mem)
        vm_error(vm,
                 "it would get %lluM, more than this machine can give; say 'mem=' with %lluM at "
                 "most",
                 (unsigned long long)(vm->mem >> 20), (unsigned long long)(limits->mem >> 20));
}

void config_parse_modules(struct config *c, const char *const *text, unsigned count,
                          const struct config_limits *limits)
{
    for (unsigned i = 0; i < count; i++) {
        struct line l = {.c = c, .limits = limits, .index = i};

        parse_line(&l, text[i] ? text[i] : "");
    }
    for (unsigned i = 0; i < c->vm_count; i++)
        finish_vm(&c->vms[i], limits);
}
