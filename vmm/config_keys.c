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

static bool set_vcpus(struct config_line *l, struct slice v)
{
    u64 n;

    if (parse_u64_in(v.s, v.len, 1, PLAT_MAX_VCPUS, &n))
        return false;
    l->vm->vcpus = (unsigned)n;
    return true;
}

static bool set_weight(struct config_line *l, struct slice v)
{
    u64 n;

    if (parse_u64_in(v.s, v.len, 1, CONFIG_WEIGHT_MAX, &n))
        return false;
    l->vm->weight = (u32)n;
    return true;
}

static bool set_tsc(struct config_line *l, struct slice v)
{
    u64 n;

    if (parse_u64_in(v.s, v.len, 1, CONFIG_TSC_MAX, &n))
        return false;
    l->vm->tsc_mhz = (u32)n;
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

static bool set_type(struct config_line *l, struct slice v)
{
    for (int i = 0; i < LOAD_KIND_COUNT; i++)
        if (slice_is(v, load_kind_name((enum load_kind)i))) {
            l->vm->type = (enum load_kind)i;
            return true;
        }
    return false;
}

static bool set_start(struct config_line *l, struct slice v)
{
    l->vm->manual = slice_is(v, "manual");
    return l->vm->manual || slice_is(v, "auto");
}

static bool set_fill(struct config_line *l, struct slice v)
{
    l->vm->wired = slice_is(v, "wired");
    l->vm->fill_boot = l->vm->wired || slice_is(v, "boot");
    return l->vm->fill_boot || slice_is(v, "demand");
}

static bool set_restart(struct config_line *l, struct slice v)
{
    static const char *const names[] = {"never", "crash", "always", NULL};
    int i = slice_pick(v, names);

    if (i >= 0)
        l->vm->restart = (u8)i;
    return i >= 0;
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

static bool set_testdev(struct config_line *l, struct slice v)
{
    (void)v;
    return l->vm->testdev = true;
}

static bool set_strict(struct config_line *l, struct slice v)
{
    (void)v;
    return l->vm->strict = true;
}

/* What may change while the VM runs. */
#define LIVE_KEYS (BIT(KEY_RESTART) | BIT(KEY_UART) | BIT(KEY_WEIGHT) | BIT(KEY_CPUS))

/* By enum vm_key. */
static const struct vm_word {
    const char *key;
    bool (*set)(struct config_line *l, struct slice value);
    const char *accepts; /* NULL: the word has no value */
} vm_words[KEY_COUNT] = {
    [KEY_MEM] = {"mem", set_mem, "a number with K, M or G behind it"},
    [KEY_VCPUS] = {"vcpus", set_vcpus, "a number from 1 to 32"},
    [KEY_CPUS] = {"cpus", set_cpus, "processor numbers, as in 0,2-3"},
    [KEY_WEIGHT] = {"weight", set_weight, "a number from 1 to 1000"},
    [KEY_TSC] = {"tsc", set_tsc, "a number of MHz from 1 to 9999"},
    [KEY_TYPE] = {"type", set_type,
                  "auto, linux, multiboot, multiboot2, pvh, elf, freebsd or flat"},
    [KEY_START] = {"start", set_start, "auto or manual"},
    [KEY_FILL] = {"fill", set_fill, "demand, boot or wired"},
    [KEY_RESTART] = {"restart", set_restart, "never, crash or always"},
    [KEY_BASE] = {"base", set_base, "an address in the guest's memory"},
    [KEY_UART] = {"uart", set_uart, "com1 to com4, perhaps several: com2,com1"},
    [KEY_ENTRY] = {"entry", set_entry, "an address in the guest's memory"},
    [KEY_TESTDEV] = {"testdev", set_testdev, NULL},
    [KEY_STRICT] = {"strict", set_strict, NULL},
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
    static const char *const names[] = {"kernel", "initrd", "module", NULL};
    int i = slice_pick(word, names);

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
    for (unsigned i = 0; i < KEY_COUNT; i++) {
        struct slice v = slice_value(word, vm_words[i].key);

        if (vm_words[i].accepts ? !v.s : !slice_is(word, vm_words[i].key))
            continue;
        if (!(LIVE_KEYS & BIT(i)))
            config_refuse_live(l, vm_words[i].key);
        if (once(l, i, vm_words[i].key) && !vm_words[i].set(l, v))
            config_vm_error(l->vm, "'%.*s' is not understood; '%s=' takes %s", SLICE_ARG(word),
                            vm_words[i].key, vm_words[i].accepts);
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
