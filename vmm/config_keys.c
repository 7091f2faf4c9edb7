/* SPDX-License-Identifier: BSD-2-Clause */
/* The words that say what a VM shall have: a table, and what each does. */
#include "vmm/config_words.h"

#include <stdarg.h>
#include "lib/print.h"
#include "vmm/platform.h"

#define MAX_CPUS 64 /* bits of struct config_vm.cpus */

void config_vm_error(struct config_vm *vm, const char *fmt, ...)
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

static bool set_mem(struct config_line *l, struct slice v)
{
    u64 mem, most = l->limits->mem ? MIN(l->limits->mem, PLAT_MEM_MAX) : PLAT_MEM_MAX;
    enum err e = parse_size(v.s, v.len, &mem);

    if (e == ERR_INVAL)
        return false;
    if (e || mem > most)
        config_vm_error(l->vm, "'mem=%.*s' is more than this machine can give: at most %lluM",
                        SLICE_ARG(v), (unsigned long long)(most >> 20));
    else if (mem < PLAT_MEM_MIN)
        config_vm_error(l->vm, "'mem=%.*s' is too little: at least %lluM", SLICE_ARG(v),
                        (unsigned long long)(PLAT_MEM_MIN >> 20));
    else
        l->vm->mem = ALIGN_DOWN(mem, PAGE_SIZE);
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

static bool set_cpus(struct config_line *l, struct slice v)
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
        config_vm_error(l->vm, "'cpus=%.*s' names a processor that is not there: they are 0 to %u",
                        SLICE_ARG(v), l->limits->cpus - 1);
    l->vm->cpus = mask;
    return true;
}

static bool set_base(struct config_line *l, struct slice v)
{
    l->vm->has_base = parse_size(v.s, v.len, &l->vm->base) == OK;
    return l->vm->has_base;
}

/* While the VM runs, only which of its ports has the console can change. */
static bool set_uart(struct config_line *l, struct slice v)
{
    u8 mask = 1;
    int first = -1;

    while (v.s) {
        int com = slice_com(slice_item(&v));

        if (com < 0)
            return false;
        first = first < 0 ? com : first;
        mask |= (u8)BIT(com);
    }
    if (mask & ~l->vm->uarts)
        config_refuse_live(l, "uart");
    if (!l->live)
        l->vm->uarts = mask;
    l->vm->console_uart = (u8)first;
    return true;
}

static bool set_entry(struct config_line *l, struct slice v)
{
    l->vm->has_entry = parse_size(v.s, v.len, &l->vm->entry) == OK;
    return l->vm->has_entry;
}

/* In what is seen, a bit each. */
static const struct config_key vm_words[] = {
    {"mem", "a number with K, M or G behind it", .set = set_mem},
    {"vcpus", "a number from 1 to 32", CONFIG_FIELD(config_vm, vcpus), .most = PLAT_MAX_VCPUS},
    {"cpus", "processor numbers, as in 0,2-3", .set = set_cpus, .live = true},
    {"weight", "a number from 1 to 1000", CONFIG_FIELD(config_vm, weight),
     .most = CONFIG_WEIGHT_MAX, .live = true},
    {"tsc", "a number of MHz from 1 to 9999", CONFIG_FIELD(config_vm, tsc_mhz),
     .most = CONFIG_TSC_MAX},
    {"type", "auto, linux, multiboot, multiboot2, pvh, elf, freebsd or flat",
     CONFIG_FIELD(config_vm, type)},
    {"start", "auto or manual", CONFIG_FIELD(config_vm, manual)},
    {"fill", "demand, boot or wired", CONFIG_FIELD(config_vm, fill)},
    {"restart", "never, crash or always", CONFIG_FIELD(config_vm, restart), .live = true},
    {"base", "an address in the guest's memory", .set = set_base},
    {"uart", "com1 to com4, perhaps several: com2,com1", .set = set_uart, .live = true},
    {"entry", "an address in the guest's memory", .set = set_entry},
    {"testdev", NULL, CONFIG_FIELD(config_vm, testdev)},
    {"strict", NULL, CONFIG_FIELD(config_vm, strict)},
};

_Static_assert(CONFIG_WEIGHT_MAX == 1000, "the sentence about weight= says 1000");
_Static_assert(CONFIG_TSC_MAX == 9999, "the sentence about tsc= says 9999");
_Static_assert(PLAT_MAX_VCPUS == 32, "the sentence about vcpus= says 32");

static bool once(struct config_line *l, unsigned bit, const char *word)
{
    if (l->seen & BIT(bit)) {
        config_vm_error(l->vm, "'%s' stands twice on one line; once is enough", word);
        return false;
    }
    l->seen |= (u32)BIT(bit);
    return true;
}

/* kernel, initrd, module. */
static bool role_word(struct config_line *l, struct slice word)
{
    int i = slice_choice(word, "kernel, initrd or module");

    if (i < 0)
        return false;
    if (l->role != ROLE_NONE)
        config_vm_error(l->vm,
                        "'%.*s' is one word too many: a file is kernel, initrd or module, once",
                        SLICE_ARG(word));
    else
        l->role = (enum role)(ROLE_KERNEL + i);
    return true;
}

void config_refuse_live(struct config_line *l, const char *word)
{
    if (l->live)
        config_vm_error(l->vm, "'%s' cannot change while it runs", word);
}

/* initrd=N, module=N. */
static bool number_word(struct config_line *l, struct slice word)
{
    struct slice v = slice_value(word, "initrd");
    struct config_line m = {.vm = l->vm, .role = v.s ? ROLE_INITRD : ROLE_MODULE};
    u64 n;

    if (!v.s)
        v = slice_value(word, "module");
    if (!v.s)
        return false;
    config_refuse_live(l, "initrd");
    if (parse_u64_in(v.s, v.len, 0, l->modules - 1, &n)) {
        config_vm_error(l->vm, "'%.*s': modules are 0 to %u", SLICE_ARG(word), l->modules - 1);
    } else {
        m.index = (unsigned)n;
        config_add_module(&m, "");
    }
    return true;
}

void config_word(struct config_line *l, struct slice word)
{
    if (role_word(l, word) || (l->modules && number_word(l, word)))
        return;
    for (unsigned i = 0; i < ARRAY_SIZE(vm_words); i++) {
        const struct config_key *k = &vm_words[i];
        struct slice v = slice_value(word, k->key);

        if (k->accepts ? !v.s : !slice_is(word, k->key))
            continue;
        if (!k->live)
            config_refuse_live(l, k->key);
        if (once(l, i, k->key) && !config_set(l, l->vm, k, v))
            config_vm_error(l->vm, "'%.*s' is not understood; '%s=' takes %s", SLICE_ARG(word),
                            k->key, k->accepts);
        return;
    }
    config_vm_error(
        l->vm,
        "'%.*s' is not understood; the words are kernel, initrd, module, mem=, vcpus=, cpus=, "
        "weight=, tsc=, type=, base=, entry=, start=, fill=, restart=, uart=, testdev, strict, and "
        "-- "
        "before the "
        "guest's own",
        SLICE_ARG(word));
}

const char *config_word_seen(u32 seen)
{
    return vm_words[__builtin_ctz(seen)].key;
}
