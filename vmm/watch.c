/* SPDX-License-Identifier: BSD-2-Clause */
/* Recording what a VM does: see watch.h. */
#include "vmm/watch.h"
#include "arch/x86_64/cpu.h"
#include "lib/string.h"
#include "mm/kmem.h"
#include "vmm/cpuid.h"
#include "vmm/msr.h"
#include "vmm/vcpu.h"
#include "vmm/vm.h"

#define HYPERVISOR_LEAVES 0x40000000u

/* ---- what it touches ---- */

static void learn(struct watch *w, enum learned_kind kind, u64 key, bool out, const char *by)
{
    u32 at = (u32)(key ^ key >> 12 ^ key >> 32 ^ kind * 77u), n = 0;
    struct learned *l;

    spin_lock(&w->lock);
    do {
        l = &w->learned[at++ % WATCH_LEARNED];
        if (!l->kind)
            *l = (struct learned){.kind = (u8)kind, .key = key, .by = by};
    } while ((l->kind != kind || l->key != key) && ++n < WATCH_LEARNED);
    if (n == WATCH_LEARNED)
        w->left_out++;
    else if (out)
        l->out++;
    else
        l->in++;
    spin_unlock(&w->lock);
}

static const char *bus_name(const struct bus *bus, u64 addr)
{
    const struct bus_region *r = bus_find(bus, addr);

    return r ? r->name : NULL;
}

static void learn_page(struct vcpu *v, struct watch *w, gpa_t gpa, bool write)
{
    const struct space_region *r = space_region_at(v->space, gpa);
    gpa_t page = gpa & ~PAGE_MASK;

    if (!r || r->kind == SPACE_DEVICE)
        learn(w, LEARNED_PAGE, page, write,
              page == vlapic_gpa(&v->apic) ? "local APIC" : bus_name(&v->vm->board.mmio, gpa));
}

/* Before the exit is handled: its registers are as the guest left them. */
static void learn_exit(struct vcpu *v, struct watch *w, const struct hvm_exit *e)
{
    const struct vm *vm = v->vm;
    u32 rax = (u32)v->hv->gpr[RAX], rcx = (u32)v->hv->gpr[RCX];

    switch (e->reason) {
    case HVM_EXIT_IO:
        learn(w, LEARNED_PORT, e->io.port, !e->io.in, bus_name(&vm->board.ports, e->io.port));
        break;
    case HVM_EXIT_RDMSR:
    case HVM_EXIT_WRMSR:
        learn(w, LEARNED_MSR, rcx, e->reason == HVM_EXIT_WRMSR, msr_answer(vm, rcx));
        break;
    case HVM_EXIT_CPUID: {
        const struct cpuid_entry *entry = cpuid_find(&vm->cpuid, rax, rcx);
        u64 sub = entry && entry->sub ? (u64)rcx << 32 : 0;
        if (!entry && rax >> 16 == HYPERVISOR_LEAVES >> 16) /* guests try 255 of these in a row */
            rax = HYPERVISOR_LEAVES | 0x100;
        learn(w, LEARNED_CPUID, rax | sub, false, entry ? "table" : NULL);
        break;
    }
    case HVM_EXIT_NESTED_FAULT:
        learn_page(v, w, e->nested.gpa, e->nested.access & NESTED_W);
        break;
    case HVM_EXIT_APIC:
        learn_page(v, w, vlapic_gpa(&v->apic), true);
        break;
    default:
        break;
    }
}

/* ---- one thing after the other ---- */

static void trace(struct vcpu *v, enum trace_kind kind, u8 code, u64 rip, u64 info, u32 cycles)
{
    struct watch *w = v->watch;

    spin_lock(&w->lock);
    w->trace[w->events++ % WATCH_EVENTS] =
        (struct trace_event){cpu_rdtsc(), rip, info, (u8)kind, code, (u8)v->id, (u8)v->cpu, cycles};
    spin_unlock(&w->lock);
}

/* What is recorded of v now. */
static u32 on(const struct vcpu *v)
{
    return __atomic_load_n(&v->watch->on, __ATOMIC_RELAXED);
}

void watch_switch(struct vcpu *v, bool comes)
{
    if (on(v) & WATCH_TRACE)
        trace(v, comes ? TRACE_ON : TRACE_OFF, 0, 0, 0, 0);
}

void watch_run(struct vcpu *v)
{
    if ((on(v) & WATCH_TRACE) && v->armed)
        trace(v, TRACE_INJECT, 0, hvm->get(v->hv, HVM_RIP), hvm->get(v->hv, HVM_ENTRY_EVENT), 0);
}

/* ---- in place of vcpu_next ---- */

static void measure(const struct vcpu *v, u8 reason, u64 cycles)
{
    struct watch *w = v->watch;

    spin_lock(&w->lock);
    w->cost[v->id][reason].count++;
    w->cost[v->id][reason].cycles += cycles;
    spin_unlock(&w->lock);
}

static struct hvm_exit *next_recorded(void *arg, struct hvm_exit *e)
{
    struct vcpu *v = arg;
    u64 begin = cpu_rdtsc();

    if (on(v) & WATCH_LEARN)
        learn_exit(v, v->watch, e);
    struct hvm_exit *next = v->next_exit(v, e);
    if (!v->watch) /* taken out meanwhile */
        return next;
    u64 cycles = cpu_rdtsc() - begin;
    if (on(v) & WATCH_MEASURE)
        measure(v, e->reason, cycles);
    if (on(v) & WATCH_TRACE) {
        trace(v, TRACE_EXIT, e->reason, e->rip, hvm_exit_info(e),
              (u32)MIN(cycles, (u64)UINT32_MAX));
        if (!next)
            trace(v, TRACE_YIELD, v->state, 0, 0, 0);
        else
            watch_run(v);
    }
    return next;
}

void watch_set_next(struct vcpu *v, struct hvm_exit *(*next)(void *arg, struct hvm_exit *e))
{
    v->next_exit = next;
    if (v->hv->next != next_recorded)
        v->hv->next = next;
}

/* ---- on and off ---- */

static void install(struct vcpu *v, void *arg)
{
    (void)arg;
    v->watch = v->vm->watch;
    v->hv->next = next_recorded;
}

static void take_out(struct vcpu *v, void *arg)
{
    (void)arg;
    v->watch = NULL;
    v->hv->next = v->next_exit;
}

/* All vCPUs, or none. */
static bool on_all(struct vm *vm, void (*fn)(struct vcpu *, void *),
                   void (*undo)(struct vcpu *, void *))
{
    for (u32 i = 0; i < vm->vcpu_count; i++)
        if (!vcpu_call(vm->vcpu[i], fn, NULL)) {
            while (i-- > 0)
                vcpu_call(vm->vcpu[i], undo, NULL);
            return false;
        }
    return true;
}

bool watch_on(const struct vm *vm, u32 what)
{
    return vm->watch && (vm->watch->on & what);
}

static void clear(struct watch *w, u32 what)
{
    spin_lock(&w->lock);
    if (what & WATCH_LEARN) {
        memset(w->learned, 0, sizeof(w->learned));
        w->left_out = 0;
    }
    if (what & WATCH_MEASURE)
        memset(w->cost, 0, sizeof(w->cost));
    if (what & WATCH_TRACE)
        w->events = 0;
    spin_unlock(&w->lock);
}

enum err watch_begin(struct vm *vm, u32 what)
{
    struct watch *w = vm->watch;

    if (w) {
        clear(w, what);
        __atomic_fetch_or(&w->on, what, __ATOMIC_RELAXED);
        return OK;
    }
    w = kmem_alloc(sizeof(*w));
    if (!w)
        return ERR_NOMEM;
    w->on = what;
    vm->watch = w;
    if (on_all(vm, install, take_out))
        return OK;
    watch_free(vm);
    return ERR_BUSY;
}

void watch_from_start(struct vm *vm, u32 what)
{
    vm->watch = what ? kmem_alloc(sizeof(*vm->watch)) : NULL;
    if (!vm->watch)
        return;
    vm->watch->on = what;
    for (u32 i = 0; i < vm->vcpu_count; i++)
        install(vm->vcpu[i], NULL);
}

enum err watch_end(struct vm *vm, u32 what)
{
    struct watch *w = vm->watch;

    if (!w)
        return OK;
    if (__atomic_and_fetch(&w->on, ~what, __ATOMIC_RELAXED))
        return OK;
    if (!on_all(vm, take_out, install))
        return ERR_BUSY;
    watch_free(vm);
    return OK;
}

void watch_free(struct vm *vm)
{
    kmem_free(vm->watch, sizeof(*vm->watch));
    vm->watch = NULL;
}
