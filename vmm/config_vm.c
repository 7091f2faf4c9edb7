/* SPDX-License-Identifier: BSD-2-Clause */
/* The modules' lines: whose each is, what it is, and what its VM shall have. */
#include "vmm/config_words.h"

#include "lib/print.h"

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

static struct config_vm *new_vm(struct config *c, struct slice name)
{
    struct config_vm *vm = c->vms;

    while (vm < &c->vms[c->vm_count] && vm->name[0])
        vm++;
    if (vm == &c->vms[CONFIG_MAX_VMS])
        return NULL;
    if (vm == &c->vms[c->vm_count])
        c->vm_count++;
    memcpy(vm->name, name.s, name.len);
    vm->kernel = -1;
    vm->cmdline = "";
    vm->vcpus = 1;
    vm->weight = CONFIG_WEIGHT;
    vm->cpus = UINT64_MAX;
    vm->uarts = 1;
    return vm;
}

static struct config_vm *find_vm(struct config *c, struct slice name)
{
    for (unsigned i = 0; i < c->vm_count; i++)
        if (slice_is(name, c->vms[i].name))
            return &c->vms[i];
    return new_vm(c, name);
}

/* "module 2 (/boot/initrd)" for sentences about a line that has no VM. */
static void describe(const struct config_line *l, char *buf, size_t size)
{
    if (l->file.len)
        fmt_print(buf, size, "module %u (%.*s)", l->index, SLICE_ARG(l->file));
    else
        fmt_print(buf, size, "module %u", l->index);
}

/* Looks for vm=NAME among the words before "--", and finds its VM. False and a sentence: none. */
static bool read_name(struct config_line *l, const char *text)
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
        config_vm_error(l->vm, "'vm=' stands twice on one line; once is enough");
    return true;
}

void config_add_module(struct config_line *l, const char *cmdline)
{
    struct config_vm *vm = l->vm;
    struct config_module *m = &vm->modules[vm->module_count];

    if (vm->module_count == CONFIG_VM_MODULES) {
        config_vm_error(vm, "module %u is one too many; %d beside the kernel is the most", l->index,
                        CONFIG_VM_MODULES);
        return;
    }
    if (l->seen)
        config_vm_error(vm, "'%s' stands on the line of module %u; it belongs on the kernel's",
                        config_word_seen(l->seen), l->index);
    vm->module_count++;
    m->index = (u16)l->index;
    m->initrd = l->role == ROLE_INITRD;
    m->cmdline = cmdline;
    if (m->initrd && *cmdline)
        config_vm_error(
            vm, "words after '--' on an initrd's line go nowhere; put them on the kernel's");
    if (l->file.len)
        fmt_print(m->name, sizeof(m->name), "%.*s", SLICE_ARG(l->file));
    else
        fmt_print(m->name, sizeof(m->name), m->initrd ? "initrd (module %u)" : "module %u",
                  l->index);
}

static void set_kernel(struct config_line *l, const char *cmdline)
{
    if (l->vm->kernel >= 0) {
        config_vm_error(l->vm,
                        "modules %d and %u are both its kernel; a further file is initrd or module",
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

/* The words before "--"; what stands behind it, NULL without it. */
static const char *read_words(struct config_line *l, const char *text)
{
    struct slice word;

    while ((word.len = parse_word(&text, &word.s)) != 0) {
        if (slice_is(word, "--"))
            return guest_part(text);
        if (!slice_value(word, "vm").s)
            config_word(l, word);
    }
    return NULL;
}

COLD static void parse_line(struct config_line *l, const char *text)
{
    const char *cmdline;
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
    cmdline = read_words(l, text);
    if (!cmdline)
        cmdline = "";
    if (l->role == ROLE_KERNEL || (l->role == ROLE_NONE && first_of_vm)) {
        set_kernel(l, cmdline);
    } else {
        if (l->role == ROLE_NONE)
            config_vm_error(l->vm,
                            "module %u is neither 'initrd' nor 'module', and the kernel is there",
                            l->index);
        config_add_module(l, cmdline);
    }
}

/* What can be said only when all lines have been read. */
static void finish_vm(struct config_vm *vm, const struct config_limits *limits)
{
    if (vm->kernel < 0)
        config_vm_error(vm, "it has an %s but no kernel",
                        vm->module_count && vm->modules[0].initrd ? "initrd" : "additional module");
    if (vm->has_base && vm->type != LOAD_FLAT)
        config_vm_error(
            vm, "'base=' is for type=flat only; other kernels say themselves where they go");
    if (vm->has_entry && vm->type != LOAD_FLAT && vm->type != LOAD_ELF)
        config_vm_error(vm, "'entry=' is for type=flat and type=elf only");
    if (!vm->mem)
        vm->mem = CONFIG_MEM_DEFAULT;
    if (limits->mem && vm->mem > limits->mem)
        config_vm_error(
            vm,
            "it would get %lluM, more than this machine can give; say 'mem=' with %lluM at "
            "most",
            (unsigned long long)(vm->mem >> 20), (unsigned long long)(limits->mem >> 20));
}

void config_parse_modules(struct config *c, const char *const *text, unsigned count,
                          const struct config_limits *limits)
{
    for (unsigned i = 0; i < count; i++) {
        struct config_line l = {.c = c, .limits = limits, .index = i};

        parse_line(&l, text[i] ? text[i] : "");
    }
    for (unsigned i = 0; i < c->vm_count; i++)
        finish_vm(&c->vms[i], limits);
}

/* ---- later, at the monitor ---- */

enum err config_vm_add(struct config *c, const char *name, struct config_vm **vm)
{
    struct slice s = {name, strlen(name)};
    unsigned before = c->vm_count;

    if (!name_ok(s))
        return ERR_INVAL;
    for (unsigned i = 0; i < before; i++)
        if (strcmp(c->vms[i].name, name) == 0)
            return ERR_EXISTS;
    *vm = new_vm(c, s);
    return *vm ? OK : ERR_NOMEM;
}

void config_vm_drop(struct config *c, struct config_vm *vm)
{
    memset(vm, 0, sizeof(*vm));
    while (c->vm_count && !c->vms[c->vm_count - 1].name[0])
        c->vm_count--;
}

void config_vm_copy(struct config_vm *to, const struct config_vm *from)
{
    char name[CONFIG_NAME_SIZE];

    memcpy(name, to->name, sizeof(name));
    *to = *from;
    memcpy(to->name, name, sizeof(name));
    if (from->cmdline == from->own_cmdline)
        to->cmdline = to->own_cmdline;
}

void config_vm_words(struct config_vm *vm, const char *text, const struct config_limits *limits,
                     unsigned modules, bool live)
{
    struct config_line l = {.limits = limits, .vm = vm, .modules = modules, .live = live};
    const char *cmdline = read_words(&l, text);

    if (l.role != ROLE_NONE)
        config_vm_error(vm, "what a file is stands in grub.cfg; here it is initrd=N or module=N");
    if (cmdline) {
        config_refuse_live(&l, "--");
        str_copy(vm->own_cmdline, sizeof(vm->own_cmdline), cmdline);
        vm->cmdline = vm->own_cmdline;
    }
    finish_vm(vm, limits);
}
