/* SPDX-License-Identifier: BSD-2-Clause */
/* The modules' lines: whose each is, what it is, and what its VM shall have. */
#include "vmm/config_words.h"

#include <stdarg.h>
#include "lib/print.h"
#include "vmm/platform.h"

#define MAX_CPUS 64 /* bits of struct config_vm.cpus */

enum role { ROLE_NONE, ROLE_KERNEL, ROLE_INITRD, ROLE_MODULE };

/* Keys of the words that a kernel's line may have; seen as bits. */
enum vm_key {
    KEY_MEM,
    KEY_VCPUS,
    KEY_CPUS,
    KEY_TYPE,
    KEY_START,
    KEY_FILL,
    KEY_BASE,
    KEY_ENTRY,
    KEY_TESTDEV,
    KEY_STRICT,
    KEY_COUNT
};

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
        if (parse_u64_in(v->s, len, 0, MAX_CPUS - 1, &n[i]))
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
    there = l->limits->cpus < MAX_CPUS ? BIT(l->limits->cpus) - 1 : UINT64_MAX;
    if (mask & ~there)
        vm_error(l->vm, "'cpus=%.*s' names a processor that is not there: they are 0 to %u",
                 SLICE_ARG(v), l->limits->cpus - 1);
    l->vm->cpus = mask;
    return true;
}

static bool set_type(struct line *l, struct slice v)
{
    for (int i = 0; i < LOAD_KIND_COUNT; i++)
        if (slice_is(v, load_kind_name((enum load_kind)i))) {
            l->vm->type = (enum load_kind)i;
            return true;
        }
    return false;
}

static bool set_start(struct line *l, struct slice v)
{
    l->vm->manual = slice_is(v, "manual");
    return l->vm->manual || slice_is(v, "auto");
}

static bool set_fill(struct line *l, struct slice v)
{
    l->vm->fill_boot = slice_is(v, "boot");
    return l->vm->fill_boot || slice_is(v, "demand");
}

static bool set_base(struct line *l, struct slice v)
{
    l->vm->has_base = parse_size(v.s, v.len, &l->vm->base) == OK;
    return l->vm->has_base;
}

static bool set_entry(struct line *l, struct slice v)
{
    l->vm->has_entry = parse_size(v.s, v.len, &l->vm->entry) == OK;
    return l->vm->has_entry;
}

static bool set_testdev(struct line *l, struct slice v)
{
    (void)v;
    return l->vm->testdev = true;
}

static bool set_strict(struct line *l, struct slice v)
{
    (void)v;
    return l->vm->strict = true;
}

/* By enum vm_key. */
static const struct vm_word {
    const char *key;
    bool (*set)(struct line *l, struct slice value);
    const char *accepts; /* NULL: the word has no value */
} vm_words[KEY_COUNT] = {
    [KEY_MEM] = {"mem", set_mem, "a number with K, M or G behind it"},
    [KEY_VCPUS] = {"vcpus", set_vcpus, "a number from 1 to 32"},
    [KEY_CPUS] = {"cpus", set_cpus, "processor numbers, as in 0,2-3"},
    [KEY_TYPE] = {"type", set_type,
                  "auto, linux, multiboot, multiboot2, pvh, elf, freebsd or flat"},
    [KEY_START] = {"start", set_start, "auto or manual"},
    [KEY_FILL] = {"fill", set_fill, "demand or boot"},
    [KEY_BASE] = {"base", set_base, "an address in the guest's memory"},
    [KEY_ENTRY] = {"entry", set_entry, "an address in the guest's memory"},
    [KEY_TESTDEV] = {"testdev", set_testdev, NULL},
    [KEY_STRICT] = {"strict", set_strict, NULL},
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
    int i = slice_pick(word, names);

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
    for (unsigned i = 0; i < KEY_COUNT; i++) {
        struct slice v = slice_value(word, vm_words[i].key);

        if (vm_words[i].accepts ? !v.s : !slice_is(word, vm_words[i].key))
            continue;
        if (once(l, i, vm_words[i].key) && !vm_words[i].set(l, v))
            vm_error(l->vm, "'%.*s' is not understood; '%s=' takes %s", SLICE_ARG(word),
                     vm_words[i].key, vm_words[i].accepts);
        return;
    }
    vm_error(l->vm,
             "'%.*s' is not understood; the words are kernel, initrd, module, mem=, vcpus=, cpus=, "
             "type=, base=, entry=, start=, fill=, testdev, strict, and -- before the guest's own",
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
        if (slice_is(name, c->vms[i].name))
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
    while ((word.len = parse_word(&text, &word.s)) != 0 && !slice_is(word, "--")) {
        v = slice_value(word, "vm");
        twice |= v.s && name.s;
        if (v.s && !name.s)
            name = v;
    }
    if (!name.s) {
        config_error(l->c, "%s: no 'vm=NAME' says whose it is; it is left out", who);
        return false;
    }
    if (!name_ok(name)) {
        config_error(l->c, "%s: 'vm=%.*s' is no name; letters, digits, '-', '_', '.', up to %d",
                     who, SLICE_ARG(name), CONFIG_NAME_SIZE - 1);
        return false;
    }
    l->vm = find_vm(l->c, name);
    if (!l->vm) {
        config_error(l->c, "%s: VM '%.*s' is one too many; %d is the most", who, SLICE_ARG(name),
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
                 vm_words[__builtin_ctz(l->seen)].key, l->index);
    vm->module_count++;
    m->index = (u16)l->index;
    m->initrd = l->role == ROLE_INITRD;
    m->cmdline = cmdline;
    if (m->initrd && *cmdline)
        vm_error(vm, "words after '--' on an initrd's line go nowhere; put them on the kernel's");
    if (l->file.len)
        fmt_print(m->name, sizeof(m->name), "%.*s", SLICE_ARG(l->file));
    else
        fmt_print(m->name, sizeof(m->name), m->initrd ? "initrd (module %u)" : "module %u",
                  l->index);
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
    if (l->file.len)
        fmt_print(l->vm->kernel_name, sizeof(l->vm->kernel_name), "%.*s", SLICE_ARG(l->file));
    else
        str_copy(l->vm->kernel_name, sizeof(l->vm->kernel_name), "kernel");
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
    if (slice_is_file_name(l->file))
        text = rest;
    else
        l->file.len = 0;
    if (!read_name(l, text))
        return;
    first_of_vm = l->vm->kernel < 0 && !l->vm->module_count;
    while ((word.len = parse_word(&text, &word.s)) != 0) {
        if (slice_is(word, "--")) {
            cmdline = guest_part(text);
            break;
        }
        if (!slice_value(word, "vm").s)
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
    if (vm->has_base && vm->type != LOAD_FLAT)
        vm_error(vm, "'base=' is for type=flat only; other kernels say themselves where they go");
    if (vm->has_entry && vm->type != LOAD_FLAT && vm->type != LOAD_ELF)
        vm_error(vm, "'entry=' is for type=flat and type=elf only");
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
