/* SPDX-License-Identifier: BSD-2-Clause */
/* The monitor: see monitor.h. Commands stand in the table at the end. */
#include "monitor/monitor.h"
#include "arch/x86_64/percpu.h"
#include "arch/x86_64/power.h"
#include "drivers/uart/uart.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/frames.h"
#include "monitor/console.h"
#include "vmm/sched.h"
#include "vmm/vmm.h"

#define LINE_SIZE 128
#define PROMPT    "skep> "

static const struct config *config;
static struct {
    char text[LINE_SIZE];
    unsigned len;
} line;
static u32 none_left; /* set when the last VM has ended; the boot CPU's loop acts on it */

extern const char skep_version[];

/* ---- endings ---- */

static void vm_started(struct vm *vm)
{
    if (!console_focused())
        console_focus(vm);
}

static void vm_ended(struct vm *vm)
{
    if (vm)
        console_forget(vm);
    __atomic_store_n(&none_left, 1, __ATOMIC_RELEASE);
    sched_poke();
}

static const struct vm_outside outside = {
    .console_out = console_vm_out,
    .console_room = console_vm_room,
    .started = vm_started,
    .ended = vm_ended,
};

static struct vm *any_running(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(vms); i++)
        if (vms[i] && vms[i]->state == VM_RUNNING)
            return vms[i];
    return NULL;
}

/* A VM has ended: the keyboard goes to the next one, or what idle= says happens. */
static void after_end(void)
{
    struct vm *next = any_running();

    if (next) {
        if (!console_focused())
            console_focus(next);
        return;
    }
    if (vm_any_running())
        return;
    if (config->idle == CONFIG_IDLE_POWEROFF) {
        log_always("no VM is left: powering off");
        uart_flush();
        machine_poweroff();
    }
    if (config->idle == CONFIG_IDLE_REBOOT) {
        log_always("no VM is left: rebooting");
        uart_flush();
        machine_reboot();
    }
    console_print(PROMPT);
}

static void hook_fn(void)
{
    if (__atomic_exchange_n(&none_left, 0, __ATOMIC_ACQ_REL))
        after_end();
    console_poll();
}

/* ---- commands ---- */

struct command {
    const char *name, *args, *help;
    void (*run)(const char *arg);
};
extern const struct command commands[];

static void cmd_help(const char *arg)
{
    (void)arg;
    for (const struct command *c = commands; c->name; c++)
        console_print("  %-9s %-6s %s\n", c->name, c->args, c->help);
}

static const char *state_name(unsigned index)
{
    static const char *const ends[] = {"powered off", "reset", "exited", "stopped"};
    const struct vm *vm = vms[index];

    if (config->vms[index].error[0])
        return "not startable";
    if (!vm || vm->state == VM_CONFIGURED)
        return "not started";
    if (vm->state == VM_RUNNING)
        return "running";
    return vm->state == VM_ENDING ? "ending" : vm->end_claimed ? ends[vm->end] : "not started";
}

static void cmd_list(const char *arg)
{
    (void)arg;
    console_print("  %-16s %-14s %8s %5s\n", "NAME", "STATE", "MEMORY", "VCPUS");
    for (unsigned i = 0; i < config->vm_count; i++)
        console_print("  %-16s %-14s %6lluM %5u\n", config->vms[i].name, state_name(i),
                      (unsigned long long)(config->vms[i].mem / MIB), config->vms[i].vcpus);
}

/* The VM that arg names; without an argument the only one there is. -1 with a message. */
static int find_vm(const char *arg)
{
    if (!*arg && config->vm_count == 1)
        return 0;
    for (unsigned i = 0; i < config->vm_count; i++)
        if (strcmp(arg, config->vms[i].name) == 0)
            return (int)i;
    if (*arg)
        console_print("there is no VM \"%s\"; list shows them\n", arg);
    else
        console_print("which VM? list shows them\n");
    return -1;
}

static void cmd_console(const char *arg)
{
    int i = find_vm(arg);

    if (i < 0)
        return;
    if (!vms[i] || vms[i]->state != VM_RUNNING)
        console_print("%s is not running\n", config->vms[i].name);
    else
        console_focus(vms[i]);
}

static void cmd_start(const char *arg)
{
    int i = find_vm(arg);

    if (i < 0)
        return;
    if (config->vms[i].error[0])
        console_print("%s\n", config->vms[i].error);
    else if (vms[i] && (vms[i]->state == VM_RUNNING || vms[i]->state == VM_ENDING))
        console_print("%s is running\n", config->vms[i].name);
    else
        vmm_start_vm((u32)i);
}

static void cmd_stop(const char *arg)
{
    int i = find_vm(arg);

    if (i < 0)
        return;
    if (!vms[i] || vms[i]->state != VM_RUNNING)
        console_print("%s is not running\n", config->vms[i].name);
    else if (!board_power_button(&vms[i]->board))
        console_print("%s does not listen to the power button\n", config->vms[i].name);
}

static void cmd_mem(const char *arg)
{
    (void)arg;
    console_print("  %llu KiB free of %llu KiB\n",
                  (unsigned long long)(frames_free_count(&frames_machine) * 4),
                  (unsigned long long)(frames_machine.total * 4));
}

static void cmd_version(const char *arg)
{
    (void)arg;
    console_print("skep %s, %s, %u CPU%s\n", skep_version, hvm ? hvm->name : "no back end",
                  cpu_count(), cpu_count() > 1 ? "s" : "");
}

static void cmd_poweroff(const char *arg)
{
    (void)arg;
    uart_flush();
    machine_poweroff();
}

static void cmd_reboot(const char *arg)
{
    (void)arg;
    uart_flush();
    machine_reboot();
}

const struct command commands[] = {
    {"help", "", "this list", cmd_help},
    {"list", "", "the VMs and how they are", cmd_list},
    {"start", "[VM]", "start a VM that is not running", cmd_start},
    {"stop", "[VM]", "press a VM's power button", cmd_stop},
    {"console", "[VM]", "give the keyboard to a VM; the escape key (Ctrl-]) comes back",
     cmd_console},
    {"mem", "", "the machine's memory", cmd_mem},
    {"version", "", "what this is and what it runs on", cmd_version},
    {"poweroff", "", "turn the machine off", cmd_poweroff},
    {"reboot", "", "start the machine again", cmd_reboot},
    {NULL, NULL, NULL, NULL},
};

/* ---- the line ---- */

static void run_line(void)
{
    char *arg = line.text;

    while (*arg && *arg != ' ')
        arg++;
    if (*arg)
        *arg++ = '\0';
    while (*arg == ' ')
        arg++;
    if (!line.text[0])
        return;
    for (const struct command *c = commands; c->name; c++)
        if (strcmp(c->name, line.text) == 0) {
            c->run(arg);
            return;
        }
    console_print("there is no command \"%s\"; help lists them\n", line.text);
}

static void end_line(void)
{
    while (line.len && line.text[line.len - 1] == ' ')
        line.len--;
    line.text[line.len] = '\0';
    console_print("\n");
    run_line();
    line.len = 0;
    if (!console_focused())
        console_print(PROMPT);
}

/* One byte for the monitor; 0 says that the focus has just moved. */
static void receive(u8 byte)
{
    if (byte == 0) {
        line.len = 0;
        struct vm *vm = console_focused();
        if (vm)
            console_print("\n[console of %s]\n", vm->name);
        else
            console_print("\n" PROMPT);
    } else if (byte == '\r' || byte == '\n') {
        end_line();
    } else if (byte == 0x7f || byte == '\b') {
        if (line.len) {
            line.len--;
            console_print("\b \b");
        }
    } else if (byte == 0x15) { /* Ctrl-U */
        for (; line.len; line.len--)
            console_print("\b \b");
    } else if (byte >= ' ' && byte < 0x7f && line.len < LINE_SIZE - 1) {
        line.text[line.len++] = (char)byte;
        console_print("%c", byte);
    }
}

void monitor_init(const struct config *c)
{
    config = c;
    vm_outside = &outside;
    console_init(c->escape, receive);
    log_set_sink(console_log);
    sched_set_hook(hook_fn);
}
