/* SPDX-License-Identifier: BSD-2-Clause */
/* From a machine that is set up to running VMs: see vmm.h. */
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/percpu.h"
#include "mm/frames.h"
#include "mm/kmem.h"
#include "vmm/memory.h"
#include "vmm/sched.h"
#include "vmm/vmm.h"

/* A VM may be promised this many times the memory that the machine has; pages come on demand. */
#define OVERCOMMIT 16

static struct config *config;
static const struct vmm_input *input;
static struct config_limits limits;
static bool ready, usable; /* ready: the others may go on; usable: the back end is on */
static u32 online;         /* CPUs that have come to their scheduler */

const struct config_limits *vmm_limits(void)
{
    return &limits;
}

const struct vmm_input *vmm_input(void)
{
    return input;
}

/* Turns virtualisation on, on this CPU. False, with a line in the log, if it cannot be had. */
static bool enable_cpu(void)
{
    char why[160];

    if (hvm->cpu_enable(why, sizeof(why)) == OK)
        return true;
    log_always("cpu %u: %s", this_cpu()->id, why);
    return false;
}

static bool start_backend(void)
{
    static const char *const apic[] = {"emulate", "shadow", "virtual"}; /* by enum apic_help */
    char why[200];

    if (hvm_init(why, sizeof(why)) != OK) {
        log_always("no virtual machine can run: %s", why);
        return false;
    }
    hvm_caps.apic = MIN(hvm_caps.apic, config->apic);
    log_info("%s: %s; local APICs: %s", hvm->name, hvm_caps.features, apic[hvm_caps.apic]);
    return enable_cpu();
}

static void join(bool runs_guests)
{
    sched_init_cpu(runs_guests);
    __atomic_fetch_add(&online, 1, __ATOMIC_RELEASE);
}

static void report_config(void)
{
    for (unsigned i = 0; i < config->error_count; i++)
        log_always("%s", config->errors[i]);
    for (unsigned i = 0; i < config->vm_count; i++)
        if (config->vms[i].error[0])
            log_always("%s", config->vms[i].error); /* it names the VM */
    if (config->vm_count == 0)
        log_always("no virtual machine is configured (a module needs vm=NAME on its line)");
}

/* Pages come on demand, so VMs may be promised more than there is; whoever does it should know. */
static void check_sum(const struct config_vm *new)
{
    u64 sum = new->mem, there = frames_machine.total *PAGE_SIZE;

    for (u32 i = 0; i < ARRAY_SIZE(vms); i++)
        if (vms[i] && vms[i]->state == VM_RUNNING)
            sum += vms[i]->config->mem;
    if (sum > there)
        log_warn("vm %s: %llu MiB are promised now, the machine has %llu: a VM that finds no page "
                 "is stopped",
                 new->name, (unsigned long long)(sum / MIB), (unsigned long long)(there / MIB));
}

enum err vmm_start_vm(u32 index)
{
    if (index >= config->vm_count)
        return ERR_NOENT;
    if (config->vms[index].error[0])
        return ERR_NOSUP;
    if (!usable) {
        log_always("vm %s: not started: no virtual machine can run here", config->vms[index].name);
        return ERR_NOSUP;
    }
    check_sum(&config->vms[index]);
    return vm_start(index, &config->vms[index], input->modules);
}

void vmm_main(struct config *cfg, const struct vmm_input *in)
{
    config = cfg;
    input = in;
    limits.cpus = cpu_count();
    limits.mem = frames_free_count(&frames_machine) * PAGE_SIZE * OVERCOMMIT;
    usable = start_backend();
    join(usable);
    __atomic_store_n(&ready, true, __ATOMIC_RELEASE);
    while (__atomic_load_n(&online, __ATOMIC_ACQUIRE) < cpu_count())
        cpu_pause();
    config_parse_modules(config, in->texts, in->count, &limits);
    report_config();
    for (u32 i = 0; i < config->vm_count && usable; i++)
        if (!config->vms[i].error[0] && !config->vms[i].manual)
            vmm_start_vm(i);
    if (!vm_any_running())
        vm_outside->ended(NULL);
    memory_init();
    sched_loop();
}

void vmm_cpu_main(void)
{
    while (!__atomic_load_n(&ready, __ATOMIC_ACQUIRE))
        cpu_pause();
    join(usable && enable_cpu());
    sched_loop();
}
