/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands about whole VMs. */
#include "monitor/vms.h"
#include "lib/string.h"
#include "monitor/console.h"
#include "monitor/life.h"
#include "monitor/out.h"

static const char *state_name(unsigned i)
{
    static const char *const ends[] = {"powered off", "reset", "exited", "stopped"};
    const struct vm *vm = vms[i];

    if (monitor_config()->vms[i].error[0])
        return "not startable";
    if (life_waits(i))
        return "to be restarted";
    if (!vm || vm->state == VM_CONFIGURED)
        return "not started";
    if (vm->state == VM_RUNNING)
        return vm->paused ? "paused" : "running";
    if (vm->state == VM_ENDED)
        return vm->end_claimed ? ends[vm->end & 3] : "not started";
    return "ending";
}

void cmd_list(struct args *a)
{
    const struct config *c = monitor_config();

    (void)a;
    out("vms[", "    %-16s %-14s %8s %5s\n", "NAME", "STATE", "MEMORY", "VCPUS");
    for (unsigned i = 0; i < c->vm_count; i++)
        if (c->vms[i].name[0])
            out("vms[number,name,state,memory_mib,vcpus", "  %u %-16s %-14s %7lluM %5u\n", i + 1,
                c->vms[i].name, state_name(i), (ull)(c->vms[i].mem / MIB), c->vms[i].vcpus);
}

void cmd_info(struct args *a)
{
    const struct config_vm *c = &monitor_config()->vms[a->i];
    const struct vm *vm = a->vm;

    out("-,state", "  %s: %s\n", c->name, state_name(a->i));
    if (c->error[0]) {
        out("reason", "  %s\n", c->error);
        return;
    }
    out("kernel,modules,memory_mib,vcpus,?testdev",
        "  kernel %s, %u more modules, memory %llu MiB, vCPUs %u%s\n", c->kernel_name,
        c->module_count, (ull)(c->mem / MIB), c->vcpus, c->testdev ? ", test devices" : "");
    out("cmdline", "  command line: %.200s\n", c->cmdline);
    if (vm && vm->why[0])
        out("reason", "  %s\n", vm->why);
    if (!vm_alive(vm))
        return;
    u64 ms = (vm->paused ? vm->pause_ns - vm->start_ns : vm_now(vm)) / 1000000;
    out("", "  has run %llu.%03llu s\n", (ull)(ms / 1000), (ull)(ms % 1000));
    out_data("run_ms", "%llu", (ull)ms);
    for (u32 n = 0; n < vm->vcpu_count; n++)
        out("processors[vcpu,cpu,exits", "  v%u at home on cpu %u, %llu exits\n", n,
            vm->vcpu[n]->cpu, (ull)vcpu_exit_count(vm->vcpu[n]));
}

void cmd_start(struct args *a)
{
    const struct config_vm *c = &monitor_config()->vms[a->i];

    if (c->error[0])
        out_error("%s cannot be started: %s", c->name, c->error);
    else if (vm_alive(a->vm))
        out_error("%s is running already", c->name);
    else
        life_start(a->i);
}

void cmd_stop(struct args *a)
{
    struct vm *vm = a->vm;

    if (a->count && strcmp(a->word[0], "-f") == 0)
        vm_kill(vm, "at the monitor");
    else if (a->count)
        out_error("stop knows -f only");
    else if (vm->paused)
        out_error("%s is paused: resume it first, or stop -f", vm->name);
    else if (!board_power_button(&vm->board))
        out_error("%s does not listen to the power button; stop -f ends it", vm->name);
}

void cmd_pause(struct args *a)
{
    struct vm *vm = a->vm;

    if (vm->paused)
        out_error("%s is paused already", vm->name);
    else if (vm_pause(vm))
        out_error("%s: a vCPU does not answer; it goes on", vm->name);
    else
        out_say("%s is paused; its time stands still", vm->name);
}

void cmd_resume(struct args *a)
{
    struct vm *vm = a->vm;

    if (!vm->paused) {
        out_error("%s is not paused", vm->name);
        return;
    }
    vm_resume(vm);
    out_say("%s goes on", vm->name);
}

void cmd_reset(struct args *a)
{
    life_start_again(a->i);
    vm_kill(a->vm, "reset at the monitor");
}

void cmd_destroy(struct args *a)
{
    bool calm = life_calm(a->i), created = monitor_config()->vms[a->i].created;

    if (created)
        life_drop(a->i);
    if (vm_alive(a->vm))
        vm_kill(a->vm, "destroyed at the monitor");
    else if (!calm && !created)
        out_error("%s is not running", monitor_config()->vms[a->i].name);
}

void cmd_console(struct args *a)
{
    if (a->count == 1 && strcmp(a->word[0], "mix") == 0 && !args_is_vm(a)) {
        out_say(console_mix() ? "lines of other VMs are shown"
                              : "lines of other VMs are not shown");
        return;
    }
    if (!args_vm(a, true))
        return;
    if (a->count) {
        out_error("\"%s\" is too much", a->word[0]);
        return;
    }
    command_then(monitor_go_to, a->vm);
}

void cmd_log(struct args *a)
{
    u64 lines = 0;

    if (a->count && !args_number(a, "how many lines", &lines))
        return;
    if (!console_replay(a->i, (u32)MIN(lines, 100000ull)))
        out_error("%s has printed nothing", monitor_config()->vms[a->i].name);
    else
        out_replay("text");
}
