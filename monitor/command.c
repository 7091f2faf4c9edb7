/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of commands, their arguments, and the commands about whole VMs. */
#include "monitor/command.h"
#include "arch/x86_64/percpu.h"
#include "arch/x86_64/power.h"
#include "drivers/uart/uart.h"
#include "lib/parse.h"
#include "lib/string.h"
#include "monitor/console.h"
#include "monitor/line.h"

extern const char skep_version[];

/* ---- arguments ---- */

static void shift(struct args *a)
{
    a->count--;
    memmove(a->word, a->word + 1, a->count * sizeof(a->word[0]));
}

static int find_vm(const char *name)
{
    const struct config *c = monitor_config();

    for (unsigned i = 0; i < c->vm_count; i++)
        if (strcmp(c->vms[i].name, name) == 0)
            return (int)i;
    return -1;
}

/* Whether the word could be meant as anything but a VM's name. */
static bool is_other(const char *w)
{
    return (*w >= '0' && *w <= '9') || *w == '-' || strchr(w, '=') ||
           (*w == 'v' && w[1] >= '0' && w[1] <= '9');
}

static bool take_vm(struct args *a)
{
    const struct config *c = monitor_config();
    int i;

    if (a->count && (i = find_vm(a->word[0])) >= 0) {
        shift(a);
    } else if (a->count && !is_other(a->word[0])) {
        console_print("there is no VM \"%s\"; list shows them\n", a->word[0]);
        return false;
    } else {
        i = c->vm_count == 1 ? 0 : monitor_last_vm();
    }
    if (i < 0) {
        console_print(c->vm_count ? "which VM? list shows them\n" : "there is no VM\n");
        return false;
    }
    a->i = (unsigned)i;
    a->vm = vms[i];
    return true;
}

static bool take_vcpu(struct args *a)
{
    u64 n = 0;

    if (a->count && a->word[0][0] == 'v') {
        if (parse_u64_in(a->word[0] + 1, strlen(a->word[0] + 1), 0, a->vm->vcpu_count - 1, &n)) {
            console_print("%s has no vCPU \"%s\"; it has v0 to v%u\n", a->vm->name, a->word[0],
                          a->vm->vcpu_count - 1);
            return false;
        }
        shift(a);
    }
    a->v = a->vm->vcpu[n];
    return true;
}

static bool alive(const struct vm *vm)
{
    return vm && vm->state == VM_RUNNING;
}

/* Finds what the command needs, and sees that nothing is left over. */
static bool take(struct args *a, const struct command *c)
{
    if (c->need != NEED_NOTHING && !take_vm(a))
        return false;
    if (c->need >= NEED_RUNNING && !alive(a->vm)) {
        console_print("%s is not running\n", monitor_config()->vms[a->i].name);
        return false;
    }
    if (c->need == NEED_VCPU && !take_vcpu(a))
        return false;
    if (a->count <= c->words)
        return true;
    console_print("\"%s\" is too much; %s %s is what can be said\n", a->word[c->words], c->name,
                  c->args);
    return false;
}

bool args_number(struct args *a, const char *what, u64 *out)
{
    if (a->count && parse_u64(a->word[0], strlen(a->word[0]), out) == OK) {
        shift(a);
        return true;
    }
    if (a->count)
        console_print("\"%s\" is no number; wanted is %s: 4096 or 0x1000\n", a->word[0], what);
    else
        console_print("wanted is %s\n", what);
    return false;
}

void on_vcpu(struct vcpu *v, void (*fn)(struct vcpu *v, void *arg), void *arg)
{
    if (!vcpu_call(v, fn, arg))
        console_print("%s/v%u does not answer: cpu %u is busy\n", v->vm->name, v->id, v->cpu);
}

/* ---- VMs ---- */

static const char *state_name(unsigned i)
{
    static const char *const ends[] = {"powered off", "reset", "exited", "stopped"};
    const struct vm *vm = vms[i];

    if (monitor_config()->vms[i].error[0])
        return "not startable";
    if (!vm || vm->state == VM_CONFIGURED)
        return "not started";
    if (vm->state == VM_RUNNING)
        return vm->paused ? "paused" : "running";
    if (vm->state == VM_ENDED)
        return vm->end_claimed ? ends[vm->end & 3] : "not started";
    return "ending";
}

static void cmd_list(struct args *a)
{
    const struct config *c = monitor_config();

    (void)a;
    console_print("    %-16s %-14s %8s %5s\n", "NAME", "STATE", "MEMORY", "VCPUS");
    for (unsigned i = 0; i < c->vm_count; i++)
        console_print("  %u %-16s %-14s %7lluM %5u\n", i + 1, c->vms[i].name, state_name(i),
                      (ull)(c->vms[i].mem / MIB), c->vms[i].vcpus);
}

static void cmd_info(struct args *a)
{
    const struct config_vm *c = &monitor_config()->vms[a->i];
    const struct vm *vm = a->vm;

    console_print("  %s: %s\n", c->name, state_name(a->i));
    if (c->error[0]) {
        console_print("  %s\n", c->error);
        return;
    }
    console_print("  kernel %s, %u more modules, memory %llu MiB, %u vCPUs%s\n", c->kernel_name,
                  c->module_count, (ull)(c->mem / MIB), c->vcpus,
                  c->testdev ? ", test devices" : "");
    console_print("  command line: %.200s\n", c->cmdline);
    if (!alive(vm))
        return;
    u64 ms = (vm->paused ? vm->pause_ns - vm->board.start_ns : vm_now(vm)) / 1000000;
    console_print("  has run %llu.%03llu s\n", (ull)(ms / 1000), (ull)(ms % 1000));
    for (u32 n = 0; n < vm->vcpu_count; n++)
        console_print("  v%u at home on cpu %u, %u exits\n", n, vm->vcpu[n]->cpu,
                      vcpu_exit_count(vm->vcpu[n]));
}

static void cmd_start(struct args *a)
{
    const struct config_vm *c = &monitor_config()->vms[a->i];

    if (c->error[0])
        console_print("%s cannot be started: %s\n", c->name, c->error);
    else if (alive(a->vm))
        console_print("%s is running already\n", c->name);
    else
        monitor_start(a->i);
}

static void cmd_stop(struct args *a)
{
    struct vm *vm = a->vm;

    if (a->count && strcmp(a->word[0], "-f") == 0)
        vm_kill(vm, "at the monitor");
    else if (a->count)
        console_print("stop knows -f only\n");
    else if (vm->paused)
        console_print("%s is paused: resume it first, or stop -f\n", vm->name);
    else if (!board_power_button(&vm->board))
        console_print("%s does not listen to the power button; stop -f ends it\n", vm->name);
}

static void cmd_pause(struct args *a)
{
    struct vm *vm = a->vm;

    if (vm->paused)
        console_print("%s is paused already\n", vm->name);
    else if (vm_pause(vm))
        console_print("%s: a vCPU does not answer; it goes on\n", vm->name);
    else
        console_print("%s is paused; its time stands still\n", vm->name);
}

static void cmd_resume(struct args *a)
{
    struct vm *vm = a->vm;

    if (!vm->paused) {
        console_print("%s is not paused\n", vm->name);
        return;
    }
    vm_resume(vm);
    console_print("%s goes on\n", vm->name);
}

static void cmd_reset(struct args *a)
{
    monitor_start_again(a->i);
    vm_kill(a->vm, "reset at the monitor");
}

static void cmd_destroy(struct args *a)
{
    vm_kill(a->vm, "destroyed at the monitor");
}

static void cmd_console(struct args *a)
{
    monitor_go_to(a->vm);
}

static void cmd_log(struct args *a)
{
    u64 lines = 0;

    if (a->count && !args_number(a, "how many lines", &lines))
        return;
    if (!console_replay(a->i, (u32)MIN(lines, 100000ull)))
        console_print("%s has printed nothing\n", monitor_config()->vms[a->i].name);
}

/* ---- the machine ---- */

static void cmd_set(struct args *a)
{
    static const char *const levels[] = {"error", "warn", "info", "debug"};

    if (a->count == 1 && strncmp(a->word[0], "log=", 4) == 0)
        for (unsigned i = 0; i < ARRAY_SIZE(levels); i++)
            if (strcmp(a->word[0] + 4, levels[i]) == 0) {
                log_set_level(i);
                return;
            }
    console_print("what can be set: log=error|warn|info|debug\n");
}

static void cmd_version(struct args *a)
{
    (void)a;
    console_print("  skep %s, %s, %u CPU%s\n", skep_version, hvm ? hvm->name : "no back end",
                  cpu_count(), cpu_count() > 1 ? "s" : "");
}

static void cmd_poweroff(struct args *a)
{
    (void)a;
    uart_flush();
    machine_poweroff();
}

static void cmd_reboot(struct args *a)
{
    (void)a;
    uart_flush();
    machine_reboot();
}

static void cmd_help(struct args *a)
{
    for (const struct command *c = commands; c->name; c++) {
        const char *example = strchr(c->what, '\n');
        int len = (int)(example ? (size_t)(example - c->what) : strlen(c->what));
        if (!a->count) {
            console_print("  %-9s%-21s %.*s\n", c->name, c->args, len, c->what);
        } else if (strcmp(a->word[0], c->name) == 0) {
            console_print("  %s %s: %.*s\n", c->name, c->args, len, c->what);
            console_print("  for example: %s\n", example ? example + 1 : c->name);
            return;
        }
    }
    if (a->count)
        console_print("there is no command \"%s\"; help lists them\n", a->word[0]);
    else
        console_print(
            "A VM left out is the one seen last. The escape key (Ctrl-]) leads here from a\n"
            "console; after it 1-9 lead to that VM, n to the next, the key itself back.\n");
}

const struct command commands[] = {
    {"help", "[COMMAND]", "what can be said here", NEED_NOTHING, 1, cmd_help},
    {"list", "", "the VMs and how they are", NEED_NOTHING, 0, cmd_list},
    {"info", "[VM]", "what a VM was configured to be, and how it is", NEED_VM, 0, cmd_info},
    {"console", "[VM]", "give the keyboard to a VM", NEED_RUNNING, 0, cmd_console},
    {"log", "[VM] [LINES]", "what a VM printed last, also after its end\nlog web 20", NEED_VM, 1,
     cmd_log},
    {"start", "[VM]", "start a VM that is not running, from its modules", NEED_VM, 0, cmd_start},
    {"stop", "[VM] [-f]", "press the power button; -f ends the VM at once\nstop web -f",
     NEED_RUNNING, 1, cmd_stop},
    {"pause", "[VM]", "stop a VM and its time", NEED_RUNNING, 0, cmd_pause},
    {"resume", "[VM]", "let a paused VM go on", NEED_RUNNING, 0, cmd_resume},
    {"reset", "[VM]", "end a VM and start it again", NEED_RUNNING, 0, cmd_reset},
    {"destroy", "[VM]", "end a VM at once and give its memory back", NEED_RUNNING, 0, cmd_destroy},
    {"set", "log=LEVEL", "how much is logged\nset log=debug", NEED_NOTHING, 1, cmd_set},
    {"regs", "[VM] [vN]", "a vCPU's registers and the bytes at RIP", NEED_VCPU, 0, cmd_regs},
    {"dis", "[VM] [vN] [ADDR] [N]",
     "instructions at an address of the code, or at RIP\ndis web 0xffffffff81000000 20", NEED_VCPU,
     2, cmd_dis},
    {"bt", "[VM] [vN]", "return addresses, by frame pointers", NEED_VCPU, 0, cmd_bt},
    {"x", "[VM] [vN] ADDR [BYTES]", "memory at a linear address\nx web 0x7c00 128", NEED_VCPU, 2,
     cmd_x},
    {"xp", "[VM] ADDR [BYTES]", "memory at a guest-physical address\nxp web 0x7c00 128",
     NEED_RUNNING, 2, cmd_xp},
    {"walk", "[VM] [vN] ADDR",
     "the page walk of a linear address, entry by entry\nwalk web 0xffffffff81000000", NEED_VCPU, 1,
     cmd_walk},
    {"exits", "[VM] [vN]", "how often the guest was left, by reason\nexits web v0", NEED_VCPU, 0,
     cmd_exits},
    {"last", "[VM] [vN] [N]", "the last exits, newest first\nlast web 64", NEED_VCPU, 1, cmd_last},
    {"irq", "[VM]", "state of the PICs, the I/O APIC and the local APICs", NEED_RUNNING, 0,
     cmd_irq},
    {"devices", "[VM]", "ports and memory that devices answer", NEED_RUNNING, 0, cmd_devices},
    {"mem", "", "memory of the machine and of each VM", NEED_NOTHING, 0, cmd_mem},
    {"cpu", "", "the processors and which vCPUs live there", NEED_NOTHING, 0, cmd_cpu},
    {"version", "", "what this is and what it runs on", NEED_NOTHING, 0, cmd_version},
    {"poweroff", "", "turn the machine off, VMs and all", NEED_NOTHING, 0, cmd_poweroff},
    {"reboot", "", "start the machine again", NEED_NOTHING, 0, cmd_reboot},
    {0},
};

/* ---- lines ---- */

void command_run(const char *text)
{
    static char line[LINE_MAX + 1];
    struct args a = {0};
    char *p = line;

    str_copy(line, sizeof(line), text);
    for (;;) {
        while (*p == ' ')
            *p++ = '\0';
        if (!*p)
            break;
        if (a.count == ARGS_MAX) {
            console_print("these are too many words\n");
            return;
        }
        a.word[a.count++] = p;
        while (*p && *p != ' ')
            p++;
    }
    if (!a.count)
        return;
    for (const struct command *c = commands; c->name; c++)
        if (strcmp(c->name, a.word[0]) == 0) {
            shift(&a);
            if (take(&a, c))
                c->run(&a);
            return;
        }
    console_print("there is no command \"%s\"; help lists them\n", a.word[0]);
}

/* Commands for the first word, and for the second of help; else VMs. */
const char *command_candidate(const char *text, unsigned word, unsigned i)
{
    const struct config *c = monitor_config();

    if (word == 0 || strncmp(text, "help ", 5) == 0)
        return commands[i].name;
    return i < c->vm_count ? c->vms[i].name : NULL;
}
