/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration's words: lines separated by newlines, the first one skep's own. */
#include <stdlib.h>
#include <string.h>

#include "vmm/config.h"
#include "vmm/platform.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void check(const struct config *c, unsigned modules)
{
    if (c->vm_count > CONFIG_MAX_VMS || c->error_count > CONFIG_MAX_ERRORS)
        abort();
    for (unsigned i = 0; i < c->error_count; i++)
        if (!c->errors[i][0] || !memchr(c->errors[i], 0, CONFIG_ERROR_SIZE))
            abort();
    for (unsigned i = 0; i < c->vm_count; i++) {
        const struct config_vm *vm = &c->vms[i];

        if (!vm->name[0] || !memchr(vm->name, 0, CONFIG_NAME_SIZE) ||
            !memchr(vm->error, 0, CONFIG_ERROR_SIZE) || vm->module_count > CONFIG_VM_MODULES)
            abort();
        if (vm->error[0])
            continue;
        if (vm->kernel < 0 || (unsigned)vm->kernel >= modules || !vm->vcpus ||
            vm->vcpus > PLAT_MAX_VCPUS || vm->mem < PLAT_MEM_MIN || vm->mem > 4 * GIB ||
            vm->mem % PAGE_SIZE || !(vm->cpus & 0xff))
            abort();
        for (unsigned m = 0; m < vm->module_count; m++)
            if (vm->modules[m].index >= modules)
                abort();
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static struct config c;
    const struct config_limits limits = {.mem = 4 * GIB, .cpus = 8};
    const char *line[64];
    unsigned n = 0;
    char *text = malloc(size + 1), *p = text;

    memcpy(text, data, size);
    text[size] = 0;
    while (n < 64) {
        line[n++] = p;
        p = strchr(p, '\n');
        if (!p)
            break;
        *p++ = 0;
    }
    config_parse_own(&c, line[0]);
    config_parse_modules(&c, line + 1, n - 1, &limits);
    check(&c, n - 1);
    for (unsigned i = 1; i < n && c.vm_count; i++) {
        config_vm_words(&c.vms[i % c.vm_count], line[i], &limits, n - 1, i & 1);
        check(&c, n - 1);
    }
    free(text);
    return 0;
}
