/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands that make VMs, and change what they are: with the words of grub.cfg, and its files. */
#include "lib/parse.h"
#include "lib/string.h"
#include "monitor/life.h"
#include "monitor/out.h"
#include "monitor/vms.h"
#include "vmm/sched.h"
#include "vmm/vmm.h"

/* The next word of a text as a text of its own; false: there is none. One that is too long is cut.
 */
static bool next_word(const char **text, char *buf, size_t size)
{
    const char *s;
    size_t len = parse_word(text, &s);

    str_copy(buf, MIN(size, len + 1), s);
    return len != 0;
}

void cmd_modules(struct args *a)
{
    const struct vmm_input *in = vmm_input();

    (void)a;
    out("modules[", "   N      SIZE  LINE\n");
    for (unsigned i = 0; i < in->count; i++)
        out("modules[number,kib,line", "  %2u %8lluK  %.180s\n", i,
            (ull)((in->modules[i].size + KIB - 1) / KIB), in->texts[i]);
}

/* ---- new ones ---- */

/* What a VM is made of: another VM's files and words, or a module. */
static bool take_source(struct config_vm *vm, const char *source)
{
    struct config *c = monitor_config();
    u64 n;

    if (parse_u64(source, strlen(source), &n) == OK) {
        vm->kernel = n < vmm_input()->count ? (int)n : -1;
        str_copy(vm->kernel_name, sizeof(vm->kernel_name), source);
        if (vm->kernel < 0)
            out_error("there is no module %s; modules shows them", source);
        return vm->kernel >= 0;
    }
    int i = vm_by_name(source);
    if (i < 0)
        return false;
    config_vm_copy(vm, &c->vms[i]);
    vm->error[0] = '\0';
    return true;
}

static bool fill(struct config_vm *vm, const char *source, const char *words)
{
    if (!take_source(vm, source))
        return false;
    vm->created = true;
    vm->manual = false;
    config_vm_words(vm, words, vmm_limits(), vmm_input()->count, false);
    if (vm->error[0])
        out_error("%s", vm->error);
    return !vm->error[0];
}

void cmd_create(struct args *a)
{
    struct config *c = monitor_config();
    char name[CONFIG_NAME_SIZE + 1], from[CONFIG_NAME_SIZE + 1];
    struct config_vm *vm;

    if (!next_word(&a->rest, name, sizeof(name)) || !next_word(&a->rest, from, sizeof(from)) ||
        strcmp(from, "from") != 0 || !next_word(&a->rest, from, sizeof(from))) {
        out_error("create NAME from a VM, or from a number that modules shows");
        return;
    }
    enum err err = config_vm_add(c, name, &vm);
    if (err) {
        out_error(err == ERR_INVAL    ? "\"%s\" is no name"
                  : err == ERR_EXISTS ? "%s is there already"
                                      : "%s is one VM too many",
                  name);
        return;
    }
    out_data("vm", "%s", name);
    if (!fill(vm, from, a->rest))
        config_vm_drop(c, vm);
    else if (!vm->manual)
        life_start((unsigned)(vm - c->vms));
}

/* ---- changes ---- */

static void set_vm(unsigned i, const char *words)
{
    static struct config_vm draft;
    struct config_vm *vm = &monitor_config()->vms[i];

    if (vms[i] && !vm_alive(vms[i]) && vms[i]->state != VM_ENDED &&
        vms[i]->state != VM_CONFIGURED) {
        out_error("%s is ending", vm->name);
        return;
    }
    memcpy(draft.name, vm->name, sizeof(draft.name));
    config_vm_copy(&draft, vm);
    draft.error[0] = '\0';
    config_vm_words(&draft, words, vmm_limits(), vmm_input()->count, vm_alive(vms[i]));
    if (draft.error[0])
        out_error("%s", draft.error);
    else
        config_vm_copy(vm, &draft);
    if (!vm_alive(vms[i]))
        return;
    board_plug_console(&vms[i]->board, vm->console_uart);
    sched_look_around();
}

void cmd_set(struct args *a)
{
    char word[CONFIG_NAME_SIZE + 1];
    const char *words = a->rest;
    int i = monitor_last_vm(), level = -1;
    bool any = next_word(&words, word, sizeof(word)), log = strncmp(word, "log=", 4) == 0;

    if (log)
        level = config_log_level(word + 4);
    if (!any || (log && level < 0))
        out_error("what can be set: log=error|warn|info|debug, or a VM and words of grub.cfg");
    if (level >= 0)
        log_set_level((enum log_level)level);
    if (!any || log)
        return;
    if (strchr(word, '='))
        words = a->rest;
    else
        i = vm_by_name(word);
    if (i >= 0)
        set_vm((unsigned)i, words);
    else if (strchr(word, '='))
        out_error("which VM? list shows them");
}
