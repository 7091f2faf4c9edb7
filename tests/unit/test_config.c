/* SPDX-License-Identifier: BSD-2-Clause */
/* The words of grub.cfg: skep's own and each VM's, what they mean and how they are refused. */
#include "tests/unit/config_bench.h"
#include "vmm/config.h"

static void own_defaults(void **st)
{
    (void)st;
    memset(&cfg, 0xff, sizeof(cfg));
    config_parse_own(&cfg, "");
    assert_int_equal(cfg.console.port, 0x3f8);
    assert_int_equal(cfg.console.baud, 115200);
    assert_int_equal(cfg.log, LOG_INFO);
    assert_int_equal(cfg.escape, 0x1d);
    assert_int_equal(cfg.idle, CONFIG_IDLE_MONITOR);
    assert_int_equal(cfg.vm_count, 0);
    assert_int_equal(cfg.error_count, 0);
}

static void own_words(void **st)
{
    (void)st;
    config_parse_own(&cfg, "/boot/skep.elf console=com2,9600 log=debug escape=^a idle=poweroff");
    assert_int_equal(cfg.error_count, 0);
    assert_int_equal(cfg.apic, CONFIG_APIC_BEST);
    assert_int_equal(cfg.console.port, 0x2f8);
    assert_int_equal(cfg.console.baud, 9600);
    assert_int_equal(cfg.log, LOG_DEBUG);
    assert_int_equal(cfg.escape, 1);
    assert_int_equal(cfg.idle, CONFIG_IDLE_POWEROFF);
    config_parse_own(&cfg, "  console=0x3e8   idle=reboot\tescape=^] ");
    assert_int_equal(cfg.error_count, 0);
    assert_int_equal(cfg.console.port, 0x3e8);
    assert_int_equal(cfg.console.baud, 115200);
    assert_int_equal(cfg.idle, CONFIG_IDLE_REBOOT);
    assert_int_equal(cfg.escape, 0x1d);
    config_parse_own(&cfg, "apic=virtual");
    assert_int_equal(cfg.error_count, 0);
    assert_int_equal(cfg.apic, APIC_VIRTUAL);
    config_parse_own(&cfg, "apic=shadow");
    assert_int_equal(cfg.apic, APIC_SHADOW);
    config_parse_own(&cfg, "apic=emulate");
    assert_int_equal(cfg.apic, APIC_EMULATE);
}

/* Where the serial line is, and what may stand behind it in any order. */
static void consoles(void **st)
{
    static const struct {
        const char *line;
        struct config_console is;
    } good[] = {
        {"console=com4,rtscts", {CONFIG_CONSOLE_PORT, 0x2e8, 0, 115200, true}},
        {"console=0x3f8,rtscts,9600", {CONFIG_CONSOLE_PORT, 0x3f8, 0, 9600, true}},
        {"console=spcr", {CONFIG_CONSOLE_SPCR, 0, 0, 0, false}},
        {"console=spcr,57600", {CONFIG_CONSOLE_SPCR, 0, 0, 57600, false}},
        {"console=pci", {CONFIG_CONSOLE_PCI, 0, 1, 115200, false}},
        {"console=pci12,19200,rtscts", {CONFIG_CONSOLE_PCI, 0, 12, 19200, true}},
    };

    (void)st;
    for (unsigned i = 0; i < ARRAY_SIZE(good); i++) {
        const struct config_console *a = &cfg.console, *b = &good[i].is;

        config_parse_own(&cfg, good[i].line);
        assert_int_equal(cfg.error_count, 0);
        assert_true(a->kind == b->kind && a->port == b->port && a->nth == b->nth &&
                    a->baud == b->baud && a->rtscts == b->rtscts);
    }
}

/* The UARTs of a VM: COM1 always, the console in the first that is named. */
static void uarts(void **st)
{
    (void)st;
    PARSE("vm=a kernel", "vm=b kernel uart=com2", "vm=c kernel uart=com1,com4,com3,com1");
    config_vm_words(&cfg.vms[1], "uart=com1", &machine, 3, true); /* as it runs: the cable moves */
    assert_string_equal(cfg.vms[1].error, "");
    assert_true(cfg.vms[1].uarts == 3 && cfg.vms[1].console_uart == 0);
    config_vm_words(&cfg.vms[1], "uart=com2", &machine, 3, true);
    assert_true(cfg.vms[0].uarts == 1 && cfg.vms[0].console_uart == 0);
    assert_true(cfg.vms[1].uarts == 3 && cfg.vms[1].console_uart == 1);
    assert_true(cfg.vms[2].uarts == 13 && cfg.vms[2].console_uart == 0);
}

/* Each wrong word is one sentence that quotes it, and the default stays. */
static void own_misuse(void **st)
{
    static const struct {
        const char *line, *says;
    } bad[] = {
        {"console=com5", "'console=com5' is not understood; 'console=' takes com1 to com4"},
        {"console=com1,7", "console=com1,7"},
        {"console=com1,", "console=com1,"},
        {"console=com1,100000", "divides 115200"},
        {"console=0x", "0xPORT"},
        {"console=0x10000", "console=0x10000"},
        {"console=", "'console='"},
        {"console=spcr,", "console=spcr,"},
        {"console=spcr2", "console=spcr2"},
        {"console=pci0", "console=pci0"},
        {"console=pcie", "console=pcie"},
        {"console=com1,115200,xon", "and ,rtscts"},
        {"log=loud", "'log=' takes error, warn, info or debug"},
        {"escape=]", "'escape=]'"},
        {"escape=^1", "'escape=^1'"},
        {"idle=sleep", "'idle=' takes monitor, poweroff or reboot"},
        {"apic=none", "'apic=' takes emulate, shadow or virtual"},
        {"quiet", "'quiet' is not understood; the words are console="},
        {"log", "'log' is not understood"},
        {"log=info log=warn", "'log=' stands there twice"},
        {"vm=web kernel", "'vm=web' is not understood"},
    };

    (void)st;
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        config_parse_own(&cfg, bad[i].line);
        assert_in_range(cfg.error_count, 1, 2);
        assert_has(cfg.errors[0], bad[i].says);
        assert_int_equal(cfg.console.port, 0x3f8);
        assert_int_equal(cfg.console.baud, 115200);
        assert_int_equal(cfg.log, LOG_INFO);
    }
}

static void readme_example(void **st)
{
    (void)st;
    PARSE("vm=web kernel mem=512M vcpus=2 -- console=ttyS0 root=/dev/vda1", "vm=web initrd",
          "vm=rtos kernel type=multiboot mem=16M testdev strict");
    assert_int_equal(cfg.error_count, 0);
    assert_int_equal(cfg.vm_count, 2);

    struct config_vm *web = &cfg.vms[0], *rtos = &cfg.vms[1];
    assert_string_equal(web->name, "web");
    assert_string_equal(web->error, "");
    assert_int_equal(web->kernel, 0);
    assert_string_equal(web->kernel_name, "kernel");
    assert_string_equal(web->cmdline, "console=ttyS0 root=/dev/vda1");
    assert_int_equal(web->mem, 512 * MIB);
    assert_int_equal(web->vcpus, 2);
    assert_true(web->cpus == UINT64_MAX);
    assert_int_equal(web->type, LOAD_AUTO);
    assert_int_equal(web->module_count, 1);
    assert_int_equal(web->modules[0].index, 1);
    assert_true(web->modules[0].initrd);
    assert_string_equal(web->modules[0].cmdline, "");
    assert_false(web->testdev || web->strict || web->manual || web->fill);

    assert_string_equal(rtos->name, "rtos");
    assert_string_equal(rtos->error, "");
    assert_int_equal(rtos->kernel, 2);
    assert_int_equal(rtos->type, LOAD_MULTIBOOT);
    assert_int_equal(rtos->mem, 16 * MIB);
    assert_int_equal(rtos->vcpus, 1);
    assert_true(rtos->testdev && rtos->strict);
    assert_string_equal(rtos->cmdline, "");
}

static void all_words(void **st)
{
    (void)st;
    PARSE("(hd0)/k vm=a.b-c_9 mem=1g cpus=0,2-3 weight=1000 tsc=2400 start=manual fill=wired "
          "type=linux",
          "/lib/m1 vm=a.b-c_9 module -- first one", "/lib/m2 vm=a.b-c_9 module");
    assert_int_equal(cfg.error_count, 0);
    assert_int_equal(cfg.vm_count, 1);
    struct config_vm *vm = &cfg.vms[0];
    assert_string_equal(vm->error, "");
    assert_int_equal(vm->kernel, 0);
    assert_string_equal(vm->kernel_name, "(hd0)/k");
    assert_int_equal(vm->mem, GIB);
    assert_int_equal(vm->cpus, 0xd);
    assert_int_equal(vm->weight, 1000);
    assert_int_equal(vm->tsc_mhz, 2400);
    assert_true(vm->manual && vm->fill == CONFIG_FILL_WIRED);
    assert_int_equal(vm->type, LOAD_LINUX);
    assert_int_equal(vm->module_count, 2);
    assert_string_equal(vm->modules[0].name, "/lib/m1");
    assert_string_equal(vm->modules[0].cmdline, "first one");
    assert_false(vm->modules[0].initrd);
    assert_int_equal(vm->modules[1].index, 2);
}

/* The guest's own line is taken byte for byte, blanks and words of skep's included. */
static void guest_line(void **st)
{
    (void)st;
    PARSE("vm=g kernel --  a \"b  c\" -- vm=x mem=0 \t", "vm=h --", "vm=i -- ", "vm=j -- x");
    assert_string_equal(cfg.vms[0].cmdline, " a \"b  c\" -- vm=x mem=0 \t");
    assert_string_equal(cfg.vms[0].error, "");
    assert_string_equal(cfg.vms[1].cmdline, "");
    assert_string_equal(cfg.vms[2].cmdline, "");
    assert_string_equal(cfg.vms[3].cmdline, "x");
    assert_int_equal(cfg.vm_count, 4);
}

/* The modules of one VM may stand in any order, between those of others. */
static void any_order(void **st)
{
    (void)st;
    PARSE("vm=a initrd", "vm=b", "vm=a kernel mem=64M", "vm=a initrd");
    assert_int_equal(cfg.error_count, 0);
    assert_string_equal(cfg.vms[0].error, "");
    assert_int_equal(cfg.vms[0].kernel, 2);
    assert_int_equal(cfg.vms[0].mem, 64 * MIB);
    assert_int_equal(cfg.vms[0].module_count, 2);
    assert_int_equal(cfg.vms[0].modules[0].index, 0);
    assert_int_equal(cfg.vms[0].modules[1].index, 3);
    assert_string_equal(cfg.vms[0].modules[1].name, "initrd (module 3)");
    assert_int_equal(cfg.vms[1].kernel, 1);
    assert_int_equal(cfg.vms[1].mem, CONFIG_MEM_DEFAULT);
}

/* A kernel's line that is wrong: the sentence names VM and word; the VM beside it runs. */
static void vm_misuse(void **st)
{
    static const struct {
        const char *line, *says;
    } bad[] = {
        {"vm=x kernel mem=0", "vm x: 'mem=0' is too little: at least 2M"},
        {"vm=x kernel mem=1T", "vm x: 'mem=1T' is more than this machine can give: at most 2048M"},
        {"vm=x kernel mem=99999999999999999999", "at most 2048M"},
        {"vm=x kernel mem=99999999T", "at most 2048M"},
        {"vm=x kernel mem=12Q",
         "'mem=12Q' is not understood; 'mem=' takes a number with K, M or G"},
        {"vm=x kernel mem=", "'mem=' is not understood"},
        {"vm=x kernel mem=-1", "mem=-1"},
        {"vm=x kernel mem=64M mem=64M", "'mem' stands twice"},
        {"vm=x kernel vcpus=0",
         "'vcpus=0' is not understood; 'vcpus=' takes a number from 1 to 32"},
        {"vm=x kernel vcpus=33", "vcpus=33"},
        {"vm=x kernel weight=0", "'weight=' takes a number from 1 to 1000"},
        {"vm=x kernel weight=1001", "weight=1001"},
        {"vm=x kernel tsc=0", "'tsc=' takes a number of MHz from 1 to 9999"},
        {"vm=x kernel tsc=10000", "tsc=10000"},
        {"vm=x kernel tsc=2.4G", "tsc=2.4G"},
        {"vm=x kernel cpus=4", "'cpus=4' names a processor that is not there: they are 0 to 3"},
        {"vm=x kernel cpus=", "'cpus=' takes processor numbers"},
        {"vm=x kernel cpus=0,", "cpus=0,"},
        {"vm=x kernel cpus=3-1", "cpus=3-1"},
        {"vm=x kernel cpus=0--1", "cpus=0--1"},
        {"vm=x kernel cpus=0-", "cpus=0-"},
        {"vm=x kernel cpus=99999999999999999999", "cpus=9999"},
        {"vm=x kernel cpus=64", "cpus=64"},
        {"vm=x kernel type=windows", "'type=' takes auto, linux, multiboot"},
        {"vm=x kernel start=never", "'start=' takes auto or manual"},
        {"vm=x kernel fill=half", "'fill=' takes demand, boot or wired"},
        {"vm=x kernel uart=com5", "'uart=' takes com1 to com4"},
        {"vm=x kernel uart=", "'uart='"},
        {"vm=x kernel uart=com1,", "uart=com1,"},
        {"vm=x kernel uart=com1 uart=com2", "'uart' stands twice"},
        {"vm=x kernel testdev testdev", "'testdev' stands twice"},
        {"vm=x kernel strict strict", "'strict' stands twice"},
        {"vm=x kernel strict=yes", "'strict=yes' is not understood"},
        {"vm=x kernel colour=red", "'colour=red' is not understood; the words are kernel, initrd"},
        {"vm=x kernel initrd", "'initrd' is one word too many"},
        {"vm=x kernel vm=y", "'vm=' stands twice"},
        {"vm=x initrd", "vm x: it has an initrd but no kernel"},
        {"vm=x module", "no kernel"},
    };

    (void)st;
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        const char *t[] = {bad[i].line, "vm=good kernel"};

        parse(t, 2);
        assert_int_equal(cfg.vm_count, 2);
        assert_int_equal(cfg.error_count, 0);
        assert_has(cfg.vms[0].error, bad[i].says);
        assert_has(cfg.vms[0].error, "vm x: ");
        assert_string_equal(cfg.vms[1].error, "");
        assert_int_equal(cfg.vms[1].kernel, 1);
    }
}

static void addresses(void **st)
{
    (void)st;
    PARSE("vm=f type=flat base=32K entry=0x8010", "vm=e type=elf entry=1M", "vm=p");
    assert_string_equal(cfg.vms[0].error, "");
    assert_true(cfg.vms[0].has_base && cfg.vms[0].has_entry);
    assert_int_equal(cfg.vms[0].type, LOAD_FLAT);
    assert_int_equal(cfg.vms[0].base, 0x8000);
    assert_int_equal(cfg.vms[0].entry, 0x8010);
    assert_string_equal(cfg.vms[1].error, "");
    assert_int_equal(cfg.vms[1].entry, MIB);
    assert_false(cfg.vms[1].has_base || cfg.vms[2].has_base || cfg.vms[2].has_entry);
    PARSE("vm=x base=1M", "vm=y type=pvh entry=1M", "vm=z type=flat base=here");
    assert_has(cfg.vms[0].error, "'base=' is for type=flat only");
    assert_has(cfg.vms[1].error, "'entry=' is for type=flat and type=elf only");
    assert_has(cfg.vms[2].error, "'base=here' is not understood; 'base=' takes an address");
}

static void further_files_misuse(void **st)
{
    (void)st;
    PARSE("vm=x kernel", "vm=x kernel");
    assert_has(cfg.vms[0].error, "modules 0 and 1 are both its kernel");
    PARSE("vm=x kernel", "vm=x");
    assert_has(cfg.vms[0].error, "module 1 is neither 'initrd' nor 'module'");
    PARSE("vm=x kernel", "vm=x initrd mem=64M");
    assert_has(cfg.vms[0].error,
               "'mem' stands on the line of module 1; it belongs on the kernel's");
    PARSE("vm=x kernel", "vm=x initrd testdev");
    assert_has(cfg.vms[0].error, "'testdev' stands on the line of module 1");
    PARSE("vm=x kernel", "vm=x initrd -- quiet");
    assert_has(cfg.vms[0].error, "'--' on an initrd's line");
    /* Only the first thing that is wrong is told. */
    PARSE("vm=x kernel mem=0 vcpus=0 nonsense");
    assert_has(cfg.vms[0].error, "mem=0");
    assert_null(strstr(cfg.vms[0].error, "vcpus"));
}

static void lines_without_vm(void **st)
{
    (void)st;
    PARSE("/boot/k kernel", "", "vm= kernel", "vm=a/b", "vm=-x",
          "vm=a234567890123456789012345678901x", "vm=ok");
    assert_int_equal(cfg.vm_count, 1);
    assert_string_equal(cfg.vms[0].error, "");
    assert_int_equal(cfg.vms[0].kernel, 6);
    assert_int_equal(cfg.error_count, 6);
    assert_has(cfg.errors[0], "module 0 (/boot/k): no 'vm=NAME' says whose it is");
    assert_has(cfg.errors[1], "module 1: no 'vm=NAME'");
    assert_has(cfg.errors[2], "module 2: 'vm=' is no name");
    assert_has(cfg.errors[3], "'vm=a/b' is no name");
    assert_has(cfg.errors[4], "'vm=-x' is no name");
    assert_has(cfg.errors[5], "up to 31");
}

static void limits(void **st)
{
    static char lines[64][40];
    const char *t[64];

    (void)st;
    for (unsigned i = 0; i < 64; i++) {
        snprintf(lines[i], sizeof(lines[i]), "vm=v%u kernel", i);
        t[i] = lines[i];
    }
    parse(t, 64);
    assert_int_equal(cfg.vm_count, CONFIG_MAX_VMS);
    assert_int_equal(cfg.error_count, CONFIG_MAX_ERRORS);
    assert_has(cfg.errors[0], "VM 'v16' is one too many; 16 is the most");

    for (unsigned i = 0; i < 64; i++)
        t[i] = i ? "vm=a initrd" : "vm=a kernel";
    parse(t, 64);
    assert_int_equal(cfg.vm_count, 1);
    assert_int_equal(cfg.vms[0].module_count, CONFIG_VM_MODULES);
    assert_has(cfg.vms[0].error, "module 17 is one too many; 16 beside the kernel");
}

/* The default has to fit the machine too; and an unknown machine limits nothing but the board. */
static void machine_limits(void **st)
{
    static const char *const t[] = {"vm=x"}, *const big[] = {"vm=x mem=1T"},
                             *const cpu[] = {"vm=x cpus=63"};
    struct config_limits small = {.mem = 100 * MIB, .cpus = 1}, none = {.mem = 0, .cpus = 64};

    (void)st;
    config_parse_own(&cfg, "");
    config_parse_modules(&cfg, t, 1, &small);
    assert_has(cfg.vms[0].error, "it would get 256M, more than this machine can give");
    config_parse_own(&cfg, "");
    config_parse_modules(&cfg, big, 1, &none);
    assert_string_equal(cfg.vms[0].error, "");
    assert_true(cfg.vms[0].mem == 1024 * GIB);
    config_parse_own(&cfg, "");
    config_parse_modules(&cfg, cpu, 1, &none);
    assert_string_equal(cfg.vms[0].error, "");
    assert_true(cfg.vms[0].cpus == BIT(63));
}

/* Long words must not overflow sentences. */
static void long_words(void **st)
{
    static char line[4096];
    const char *t[] = {line};

    (void)st;
    memset(line, 'x', sizeof(line) - 1);
    parse(t, 1);
    assert_int_equal(cfg.error_count, 1);
    memcpy(line, "vm=a ", 5);
    parse(t, 1);
    assert_has(cfg.vms[0].error, "xxx' is not understood");
    assert_true(strlen(cfg.vms[0].error) < CONFIG_ERROR_SIZE);
    config_parse_own(&cfg, line);
    assert_int_equal(cfg.error_count, 2);
}

static void restart_words(void **state)
{
    (void)state;
    PARSE("vm=a kernel restart=crash", "vm=b kernel restart=always", "vm=c kernel",
          "vm=d kernel restart=often");
    assert_int_equal(cfg.vms[0].restart, CONFIG_RESTART_CRASH);
    assert_int_equal(cfg.vms[1].restart, CONFIG_RESTART_ALWAYS);
    assert_int_equal(cfg.vms[2].restart, CONFIG_RESTART_NEVER);
    assert_has(cfg.vms[3].error, "never, crash or always");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_defaults),
        cmocka_unit_test(own_words),
        cmocka_unit_test(consoles),
        cmocka_unit_test(uarts),
        cmocka_unit_test(own_misuse),
        cmocka_unit_test(readme_example),
        cmocka_unit_test(all_words),
        cmocka_unit_test(guest_line),
        cmocka_unit_test(any_order),
        cmocka_unit_test(vm_misuse),
        cmocka_unit_test(further_files_misuse),
        cmocka_unit_test(lines_without_vm),
        cmocka_unit_test(limits),
        cmocka_unit_test(machine_limits),
        cmocka_unit_test(long_words),
        cmocka_unit_test(addresses),
        cmocka_unit_test(restart_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
