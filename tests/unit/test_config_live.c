/* SPDX-License-Identifier: BSD-2-Clause */
/* Words that come later, from the monitor: `set` and `create`. */
#include "tests/unit/config_bench.h"
#include "vmm/config.h"

static void words_later(void **state)
{
    struct config_vm *vm = &cfg.vms[0];

    (void)state;
    PARSE("vm=a kernel mem=64M -- old words", "vm=a initrd");
    config_vm_words(vm, "mem=32M vcpus=2 --  new  words", &machine, 2, false);
    assert_string_equal(vm->error, "");
    assert_int_equal(vm->mem, 32 * MIB);
    assert_int_equal(vm->vcpus, 2);
    assert_string_equal(vm->cmdline, " new  words");
    config_vm_words(vm, "restart=always", &machine, 2, true);
    assert_string_equal(vm->error, "");
    assert_int_equal(vm->restart, CONFIG_RESTART_ALWAYS);
    assert_string_equal(vm->cmdline, " new  words");
    assert_int_equal(vm->module_count, 1);
    config_vm_words(vm, "module=1", &machine, 2, false);
    assert_int_equal(vm->module_count, 2);
    assert_int_equal(vm->modules[1].index, 1);
    assert_false(vm->modules[1].initrd);
    config_vm_words(vm, "--", &machine, 2, false);
    assert_string_equal(vm->cmdline, "");
    assert_string_equal(vm->error, "");
}

/* What one set of words complains of. */
static void complains(const char *words, bool live, const char *part)
{
    PARSE("vm=a kernel", "vm=a initrd");
    config_vm_words(&cfg.vms[0], words, &machine, 2, live);
    assert_has(cfg.vms[0].error, part);
}

static void words_later_misuse(void **state)
{
    (void)state;
    complains("mem=32M", true, "'mem' cannot change while it runs");
    complains("testdev", true, "'testdev' cannot change while it runs");
    complains("-- x", true, "'--' cannot change while it runs");
    complains("uart=com2", true, "'uart' cannot change while it runs");
    complains("initrd=0", true, "cannot change while it runs");
    complains("initrd=2", false, "modules are 0 to 1");
    complains("module=", false, "modules are 0 to 1");
    complains("kernel", false, "initrd=N or module=N");
    complains("colour=red", false, "'colour=red' is not understood");
    complains("mem=8G", false, "more than this machine can give");
    complains("restart=crash restart=never", true, "twice");
    PARSE("vm=a kernel initrd=0"); /* not in grub.cfg */
    assert_has(cfg.vms[0].error, "'initrd=0' is not understood");
}

static void vms_later(void **state)
{
    struct config_vm *vm, *other;

    (void)state;
    PARSE("vm=a kernel mem=64M", "vm=b kernel");
    assert_int_equal(config_vm_add(&cfg, "b", &vm), ERR_EXISTS);
    assert_int_equal(config_vm_add(&cfg, "", &vm), ERR_INVAL);
    assert_int_equal(config_vm_add(&cfg, "a b", &vm), ERR_INVAL);
    assert_int_equal(config_vm_add(&cfg, "a123456789a123456789a123456789ab", &vm), ERR_INVAL);
    assert_int_equal(config_vm_add(&cfg, "c", &vm), OK);
    assert_ptr_equal(vm, &cfg.vms[2]);
    assert_int_equal(vm->vcpus, 1);
    config_vm_words(vm, "", &machine, 2, false);
    assert_has(vm->error, "no kernel");
    config_vm_words(&cfg.vms[0], "-- own", &machine, 2, false);
    config_vm_copy(vm, &cfg.vms[0]);
    assert_string_equal(vm->name, "c");
    assert_int_equal(vm->mem, 64 * MIB);
    assert_string_equal(vm->cmdline, "own");
    assert_ptr_equal(vm->cmdline, vm->own_cmdline);
    assert_int_equal(config_vm_add(&cfg, "d", &other), OK);
    config_vm_drop(&cfg, vm);
    assert_int_equal(cfg.vm_count, 4);
    assert_int_equal(config_vm_add(&cfg, "e", &vm), OK);
    assert_ptr_equal(vm, &cfg.vms[2]);
    config_vm_drop(&cfg, vm);
    config_vm_drop(&cfg, other);
    assert_int_equal(cfg.vm_count, 2);
    for (unsigned i = 2; i < CONFIG_MAX_VMS; i++) {
        char name[2] = {(char)('A' + i), '\0'};
        assert_int_equal(config_vm_add(&cfg, name, &vm), OK);
    }
    assert_int_equal(config_vm_add(&cfg, "more", &vm), ERR_NOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_later),
        cmocka_unit_test(words_later_misuse),
        cmocka_unit_test(vms_later),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
