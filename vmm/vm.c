/* SPDX-License-Identifier: BSD-2-Clause */
/* A VM's creation and end: see vm.h. */
#include "vmm/vm.h"
#include <stdarg.h>
#include "arch/x86_64/cmos.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/fpu.h"
#include "arch/x86_64/ipi.h"
#include "arch/x86_64/percpu.h"
#include "arch/x86_64/layout.h"
#include "lib/print.h"
#include "lib/string.h"
#include "mm/kmem.h"
#include "vmm/dump.h"
#include "vmm/emulate.h"
#include "vmm/load/load.h"
#include "vmm/msr.h"
#include "vmm/sched.h"
#include "vmm/watch.h"

struct vm *vms[CONFIG_MAX_VMS];
const struct vm_outside *vm_outside;

/* Frames that demand filling with large pages leaves for others: 8 MiB. */
#define RESERVE_FRAMES 2048

static void host_cpuid(u32 leaf, u32 sub, u32 out[4])
{
    struct cpuid_regs r = cpu_cpuid(leaf, sub);

    out[CPUID_EAX] = r.eax;
    out[CPUID_EBX] = r.ebx;
    out[CPUID_ECX] = r.ecx;
    out[CPUID_EDX] = r.edx;
}

static void kick_cpu(void *arg, unsigned cpu)
{
    (void)arg;
    if (cpu != this_cpu()->id)
        ipi_kick(cpu);
}

/* ---- building ---- */

/*
 * Where the processor cannot run unpaged code, the back end has guests that turn paging off run on
 * these: 1024 entries of 4 MiB, each mapping its own address (SDM 3, 4.3).
 */
static enum err add_identity_tables(struct space *s)
{
    enum err err = space_add_ram(s, PLAT_IDENTITY_BASE, PLAT_IDENTITY_SIZE);

    for (u32 i = 0; i < 1024 && !err; i++) {
        u32 entry = i << 22 | 0xe7; /* present, writable, user, accessed, dirty, 4 MiB */
        err = space_write(s, PLAT_IDENTITY_BASE + 4 * i, &entry, sizeof(entry));
    }
    return err;
}

COLD static enum err add_memory(struct space *s, u64 mem)
{
    enum err err = space_add_ram(s, 0, PLAT_VGA_BASE);

    if (!err)
        err = space_add_ram(s, PLAT_SHADOW_BASE, plat_low_mem(mem) - PLAT_SHADOW_BASE);
    if (!err && plat_high_mem(mem))
        err = space_add_ram(s, PLAT_HIGH_BASE, plat_high_mem(mem));
    if (!err && !hvm_caps.unrestricted)
        err = add_identity_tables(s);
    return err;
}

static enum err build_space(struct vm *vm)
{
    struct space_config cfg = {
        .caps =
            {
                .format = hvm_caps.format,
                .page_2m = hvm_caps.page_2m,
                .page_1g = hvm_caps.page_1g,
                .exec_only = hvm_caps.exec_only,
                .phys_bits = (u8)MIN(cpu_cpuid(0x80000008, 0).eax & 0xff, 52u),
            },
        .src = &frames_source,
        .kick = kick_cpu,
        .fill_boot = vm->config->fill != CONFIG_FILL_DEMAND,
        .reserve = RESERVE_FRAMES,
    };

    vm->space = kmem_alloc(sizeof(*vm->space));
    if (!vm->space)
        return ERR_NOMEM;
    enum err err = space_init(vm->space, &cfg);
    if (err) {
        kmem_free(vm->space, sizeof(*vm->space));
        vm->space = NULL;
        return err;
    }
    err = add_memory(vm->space, vm->config->mem);
    for (unsigned i = 0;
         !err && vm->config->fill == CONFIG_FILL_WIRED && i < vm->space->region_count; i++)
        if (vm->space->regions[i].kind == SPACE_RAM)
            err = space_wire(vm->space, vm->space->regions[i].base);
    return err;
}

/* Before its vCPUs are made. */
static void set_clock(struct vm *vm)
{
    u32 host = clock_tsc_khz();

    vm->tsc_khz = vm->config->tsc_mhz ? vm->config->tsc_mhz * 1000 : host;
    vm->hvm.tsc_ratio = ((u64)vm->tsc_khz << 32) / host;
}

static void build_cpuid(struct vm *vm)
{
    struct cpuid_config c = {
        .vcpus = vm->config->vcpus,
        .tsc_khz = vm->tsc_khz,
        .apic_khz = VLAPIC_TIMER_HZ / 1000,
        .rdtscp = hvm_caps.rdtscp,
        .invpcid = hvm_caps.invpcid,
        .xcr0 = fpu_xcr0(),
        .nested_phys_bits = NESTED_GPA_BITS,
    };

    cpuid_build(&vm->cpuid, &c, host_cpuid);
}

/* What processors recognise accesses to local APICs by. It holds nothing and is never reached. */
static enum err add_apic_page(struct vm *vm)
{
    vm->apic_access = kmem_alloc(PAGE_SIZE);
    if (!vm->apic_access)
        return ERR_NOMEM;
    vm->hvm.apic_access = direct_hpa(vm->apic_access);
    return space_add_pass(vm->space, HVM_APIC_GPA, vm->hvm.apic_access, PAGE_SIZE, NESTED_RW,
                          NESTED_WB);
}

COLD static enum err build(struct vm *vm)
{
    set_clock(vm);
    build_cpuid(vm);
    enum err err = build_space(vm);
    if (!err && hvm_caps.apic && hvm_caps.apic_access)
        err = add_apic_page(vm);
    if (!err)
        err = hvm->vm_init(&vm->hvm, space_root(vm->space));
    if (err)
        return err;
    emulate_init_ops(&vm->emul_ops, &vm->cpuid, &vm->space->generation);
    msr_setup_vm(vm);
    err = board_init(vm, cmos_read_time());
    for (u32 i = 0; i < vm->config->vcpus && !err; i++) {
        err = vcpu_create(vm, i);
        vm->vcpu_count = i + 1;
    }
    return err;
}

/* ---- loading ---- */

static enum err mem_write(void *arg, gpa_t gpa, const void *buf, u64 len)
{
    return space_load(arg, gpa, buf, len);
}

static enum err mem_zero(void *arg, gpa_t gpa, u64 len)
{
    return space_zero(arg, gpa, len);
}

/* Brings each vCPU to where it starts: the first one as the loader says, the others wait. */
static void set_states(struct vm *vm, const struct load_state *state)
{
    u64 tsc_offset = -hvm_scale_tsc(&vm->hvm, cpu_rdtsc());

    sched_put_away();
    for (u32 i = 0; i < vm->vcpu_count; i++) {
        struct vcpu *v = vm->vcpu[i];
        vcpu_load(v);
        vcpu_set(v, HVM_CR0, CR0_CD | CR0_NW); /* of power-up, which an INIT leaves */
        vcpu_reset(v);
        vlapic_reset(&v->apic, false); /* as firmware leaves it, which an INIT does not */
        hvm->set_tsc_offset(v->hv, tsc_offset);
        hvm->intercept_exceptions(v->hv, BIT(EXC_AC) | BIT(EXC_DB));
        v->state = VCPU_WAIT_SIPI;
        if (i == 0)
            vcpu_set_state(v, state);
        vcpu_unload(v);
    }
}

/* What loading a guest needs besides the VM itself: too much for a stack. */
struct loading {
    struct load_module modules[CONFIG_VM_MODULES];
    struct load_state state;
    char error[LOAD_ERROR_SIZE];
};

static enum err load(struct vm *vm, const struct vm_module *modules, struct loading *l)
{
    const struct config_vm *c = vm->config;
    struct load_request req = {
        .kind = c->type,
        .kernel = {modules[c->kernel].data, modules[c->kernel].size, c->kernel_name, c->cmdline},
        .modules = l->modules,
        .module_count = c->module_count,
        .mem_size = c->mem,
        .vcpus = c->vcpus,
        .has_base = c->has_base,
        .has_entry = c->has_entry,
        .base = c->base,
        .entry = c->entry,
        .unrestricted = hvm_caps.unrestricted,
    };
    struct load_mem mem = {mem_write, mem_zero, vm->space};

    for (unsigned i = 0; i < c->module_count; i++) {
        const struct config_module *m = &c->modules[i];
        l->modules[i].image = (struct load_image){modules[m->index].data, modules[m->index].size,
                                                  m->name[0] ? m->name : NULL, m->cmdline};
        l->modules[i].initrd = m->initrd;
    }
    enum err err = load_guest(&req, &mem, &l->state, l->error);
    if (err)
        return err;
    log_info("vm %s: %s, %llu MiB, %u vCPU%s", vm->name, l->state.what,
             (unsigned long long)(c->mem / MIB), c->vcpus, c->vcpus > 1 ? "s" : "");
    set_states(vm, &l->state);
    return OK;
}

static void tear_down(struct vm *vm)
{
    for (u32 i = 0; i < vm->vcpu_count; i++)
        vcpu_destroy(vm->vcpu[i]);
    vm->vcpu_count = 0;
    board_fini(&vm->board);
    if (vm->hvm.msr_map)
        hvm->vm_fini(&vm->hvm);
    if (vm->space) {
        u64 held = space_fini(vm->space);
        if (held)
            log_error("vm %s: %llu guest pages were still held at its end", vm->name,
                      (unsigned long long)held);
        kmem_free(vm->space, sizeof(*vm->space));
        vm->space = NULL;
    }
    kmem_free(vm->apic_access, PAGE_SIZE);
    vm->state = VM_ENDED;
}

/* Why this processor cannot run what the VM's words ask for; NULL: it can. */
static const char *lacks(const struct config_vm *c)
{
    if (!hvm_caps.unrestricted && c->vcpus > 1)
        return "vcpus= must be 1: this processor cannot run real-mode code in a guest "
               "(no unrestricted guest), which is how further vCPUs start";
    if (!hvm_caps.tsc_scaling && c->tsc_mhz)
        return "tsc= cannot be had: this processor cannot scale its TSC";
    return NULL;
}

static enum err build_and_load(struct vm *vm, const struct vm_module *modules, struct loading *l)
{
    const char *lack = lacks(vm->config);
    enum err err;

    if (lack) {
        str_copy(l->error, sizeof(l->error), lack);
        return ERR_NOSUP;
    }
    str_copy(l->error, sizeof(l->error), "out of memory: the machine has too little for this VM");
    err = build(vm);
    return err ? err : load(vm, modules, l);
}

static enum err start(struct vm *vm, const struct vm_module *modules)
{
    struct loading *l = kmem_alloc(sizeof(*l));
    enum err err = ERR_NOMEM;

    if (l)
        err = build_and_load(vm, modules, l);
    if (err) {
        str_copy(vm->why, sizeof(vm->why), l ? l->error : "out of memory");
        log_always("vm %s: not started: %s", vm->name, vm->why);
        for (u32 i = 0; i < vm->vcpu_count; i++)
            if (vm->vcpu[i])
                sched_unplace(vm->vcpu[i]->cpu);
        tear_down(vm);
    }
    kmem_free(l, sizeof(*l));
    return err;
}

enum err vm_start(u32 index, const struct config_vm *config, const struct vm_module *modules)
{
    struct vm *vm = vms[index] ? vms[index] : kmem_alloc(sizeof(*vm));

    if (!vm) {
        log_always("vm %s: not started: out of memory", config->name);
        return ERR_NOMEM;
    }
    if (vm->state != VM_CONFIGURED && vm->state != VM_ENDED)
        return ERR_BUSY;
    watch_free(vm);
    memset(vm, 0, sizeof(*vm));
    vms[index] = vm;
    vm->config = config;
    vm->name = config->name;
    vm->index = index;
    enum err err = start(vm, modules);
    if (err)
        return err;
    watch_from_start(vm, config->watch);
    vm->state = VM_RUNNING;
    vm->vcpus_left = vm->vcpu_count;
    for (u32 i = 0; i < vm->vcpu_count; i++)
        sched_add(vm->vcpu[i], vm->vcpu[i]->cpu);
    vm_outside->started(vm);
    return OK;
}

/* ---- ending ---- */

/* The first caller gets to say how the VM ended. */
static bool claim_end(struct vm *vm, enum vm_end how, u32 status)
{
    if (__atomic_exchange_n(&vm->end_claimed, 1, __ATOMIC_ACQ_REL))
        return false;
    vm->end = (u8)how;
    vm->status = status;
    vm->state = VM_ENDING;
    return true;
}

static void dismiss_vcpus(struct vm *vm)
{
    for (u32 i = 0; i < vm->vcpu_count; i++)
        vcpu_request(vm->vcpu[i], VCPU_REQ_STOP);
}

void vm_end(struct vm *vm, enum vm_end how, u32 status)
{
    if (!claim_end(vm, how, status))
        return;
    if (how == VM_END_POWEROFF)
        log_always("vm %s: powered off", vm->name);
    else if (how == VM_END_RESET)
        log_always("vm %s: reset", vm->name);
    else
        log_always("vm %s: exited, status %u", vm->name, status);
    dismiss_vcpus(vm);
}

void vm_stop(struct vcpu *v, const char *fmt, ...)
{
    va_list ap;

    if (!claim_end(v->vm, VM_END_STOPPED, 0))
        return;
    va_start(ap, fmt);
    fmt_vprint(v->vm->why, sizeof(v->vm->why), fmt, ap);
    va_end(ap);
    log_always("vm %s: stopped: %s", v->vm->name, v->vm->why);
    dump_vcpu(v);
    dismiss_vcpus(v->vm);
}

void vm_out_of_memory(struct vcpu *v, gpa_t gpa)
{
    vm_stop(v, "out of memory: the machine has no page left for guest address 0x%llx",
            (unsigned long long)gpa);
}

void vm_kill(struct vm *vm, const char *why)
{
    if (!claim_end(vm, VM_END_STOPPED, 0))
        return;
    vm->killed = true;
    str_copy(vm->why, sizeof(vm->why), why);
    log_always("vm %s: stopped: %s", vm->name, why);
    dismiss_vcpus(vm);
}

/* ---- standing still ---- */

static void pause_vcpu(struct vcpu *v, void *arg)
{
    (void)arg;
    v->paused = true;
    vcpu_stop_timers(v);
}

/* arg: how far the guest's TSC went meanwhile. */
static void resume_vcpu(struct vcpu *v, void *arg)
{
    v->paused = false;
    hvm->set_tsc_offset(v->hv, hvm->tsc_offset(v->hv) - *(const u64 *)arg);
    vcpu_start_timers(v);
    vcpu_look(v);
}

/* vCPU 0 last: what the others do until they stand may concern its timers. */
enum err vm_pause(struct vm *vm)
{
    u64 no_time = 0;

    for (u32 i = vm->vcpu_count; i-- > 0;)
        if (!vcpu_call(vm->vcpu[i], pause_vcpu, NULL)) {
            while (++i < vm->vcpu_count)
                vcpu_call(vm->vcpu[i], resume_vcpu, &no_time);
            return ERR_BUSY;
        }
    vm->pause_ns = clock_ns();
    vm->pause_tsc = hvm_scale_tsc(&vm->hvm, cpu_rdtsc());
    vm->paused = true;
    return OK;
}

void vm_resume(struct vm *vm)
{
    u64 tsc = hvm_scale_tsc(&vm->hvm, cpu_rdtsc()) - vm->pause_tsc;

    vm->start_ns += clock_ns() - vm->pause_ns;
    vm->paused = false;
    for (u32 i = 0; i < vm->vcpu_count; i++)
        vcpu_call(vm->vcpu[i], resume_vcpu, &tsc);
}

/* ---- the end of the end ---- */

void vm_vcpu_left(struct vm *vm)
{
    if (__atomic_sub_fetch(&vm->vcpus_left, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    __atomic_store_n(&vm->state, VM_LEFT, __ATOMIC_RELEASE);
    vm_outside->ended(vm);
}

void vm_bury(struct vm *vm)
{
    tear_down(vm);
    if (vm->killed)
        watch_free(vm);
}

bool vm_any_running(void)
{
    for (u32 i = 0; i < ARRAY_SIZE(vms); i++)
        if (vms[i] && vms[i]->state != VM_CONFIGURED && vms[i]->state != VM_ENDED)
            return true;
    return false;
}
