/* SPDX-License-Identifier: BSD-2-Clause */
/* A running VM's memory: see memory.h. */
#include "vmm/memory.h"
#include "arch/x86_64/clock.h"
#include "arch/x86_64/timer.h"
#include "mm/kmem.h"
#include "vmm/vm.h"

#define TIDY_CHUNKS 64 /* of 2 MiB, a tick */

/* ---- once a second ---- */

static struct timer ticker;

static void tick(struct timer *t)
{
    for (unsigned i = 0; i < ARRAY_SIZE(vms); i++)
        if (vms[i] && vms[i]->state == VM_RUNNING && !vms[i]->paused)
            vcpu_request(vms[i]->vcpu[0], VCPU_REQ_MEMORY);
    timer_arm(t, clock_ns() + MEMORY_TICK_NS);
}

void memory_init(void)
{
    ticker.fn = tick;
    tick(&ticker);
}

static enum err scan(struct vm *vm)
{
    enum err err = space_scan(vm->space, &vm->memory.heat);

    if (err == OK)
        vm->memory.scanned_ns = clock_ns();
    return err;
}

void memory_tick(struct vcpu *v)
{
    struct vm_memory *m = &v->vm->memory;
    u64 now = clock_ns();

    /* The monitor is at it: it may be waiting for this vCPU. */
    if (!spin_trylock(&m->lock))
        return;
    space_tidy(v->space, TIDY_CHUNKS);
    if (m->watched_ns && now - m->watched_ns < MEMORY_WATCH_NS &&
        now - m->scanned_ns >= MEMORY_SCAN_NS)
        scan(v->vm);
    spin_unlock(&m->lock);
}

/* ---- on request ---- */

enum err memory_scan(struct vm *vm)
{
    spin_lock(&vm->memory.lock);
    enum err err = scan(vm);
    spin_unlock(&vm->memory.lock);
    return err;
}

enum err memory_watch(struct vm *vm)
{
    struct vm_memory *m = &vm->memory;
    u64 now = clock_ns();
    bool fresh = m->watched_ns && now - m->watched_ns < MEMORY_WATCH_NS;

    m->watched_ns = now;
    return fresh ? OK : memory_scan(vm);
}

u64 memory_reclaim(struct vm *vm)
{
    u64 pages;

    spin_lock(&vm->memory.lock);
    pages = space_reclaim(vm->space, ~0ull);
    spin_unlock(&vm->memory.lock);
    return pages;
}

/* ---- the dirty log ---- */

static void log_on(struct vcpu *v, void *arg)
{
    if (!hvm->log_writes(v->hv, true))
        *(enum err *)arg = ERR_NOMEM;
}

static void log_off(struct vcpu *v, void *arg)
{
    (void)arg;
    hvm->log_writes(v->hv, false);
}

void memory_take_log(struct vcpu *v)
{
    unsigned count;
    const u64 *gpa = hvm->take_log(v->hv, &count);

    space_log_notes(v->space, gpa, count);
}

static void take_log(struct vcpu *v, void *arg)
{
    (void)arg;
    memory_take_log(v);
}

/* Where processors log: has fn called for each vCPU. ERR_BUSY if one does not answer. */
static enum err each_vcpu(struct vm *vm, void (*fn)(struct vcpu *v, void *arg))
{
    enum err err = OK;

    for (u32 i = 0; hvm_caps.page_log && i < vm->vcpu_count; i++)
        if (!vcpu_call(vm->vcpu[i], fn, &err))
            return ERR_BUSY;
    return err;
}

/* The VM's next region of RAM, *i on; NULL: no other. */
static const struct space_region *next_ram(const struct vm *vm, unsigned *i)
{
    while (*i < vm->space->region_count) {
        const struct space_region *r = &vm->space->regions[(*i)++];

        if (r->kind == SPACE_RAM)
            return r;
    }
    return NULL;
}

static void log_stop(struct vm *vm)
{
    const struct space_region *r;

    for (unsigned i = 0; (r = next_ram(vm, &i));)
        space_log_stop(vm->space, r->base);
    each_vcpu(vm, log_off);
    vm->memory.logging = false;
}

enum err memory_log_start(struct vm *vm)
{
    const struct space_region *r;
    enum err err;

    if (vm->memory.logging)
        return ERR_BUSY;
    spin_lock(&vm->memory.lock);
    vm->memory.logging = true;
    err = each_vcpu(vm, log_on);
    for (unsigned i = 0; err == OK && (r = next_ram(vm, &i));)
        err = space_log_start(vm->space, r->base, hvm_caps.page_log);
    if (err)
        log_stop(vm);
    spin_unlock(&vm->memory.lock);
    return err;
}

void memory_log_stop(struct vm *vm)
{
    spin_lock(&vm->memory.lock);
    if (vm->memory.logging)
        log_stop(vm);
    spin_unlock(&vm->memory.lock);
}

/* The runs of ones in the first n bits. */
static void tell_ranges(const u64 *bitmap, u64 n, gpa_t base,
                        void (*range)(void *arg, gpa_t gpa, u64 pages), void *arg)
{
    for (u64 i = 0, run; i < n; i += run + 1) {
        for (run = 0; i + run < n && bitmap[(i + run) / 64] >> (i + run) % 64 & 1; run++)
            ;
        if (run)
            range(arg, base + i * PAGE_SIZE, run);
    }
}

u64 memory_log_harvest(struct vm *vm, void (*range)(void *arg, gpa_t gpa, u64 pages), void *arg,
                       u64 *ns, enum err *err)
{
    const struct space_region *r;
    u64 count = 0;

    *ns = 0;
    *err = vm->memory.logging ? OK : ERR_NOENT;
    for (unsigned i = 0; *err == OK && (r = next_ram(vm, &i));) {
        u64 pages = r->size >> PAGE_SHIFT, size = (pages + 63) / 64 * 8, *bitmap = kmem_alloc(size);
        u64 start = clock_ns();

        *err = bitmap ? OK : ERR_NOMEM;
        if (*err == OK) {
            spin_lock(&vm->memory.lock);
            each_vcpu(vm, take_log);
            count += space_log_harvest(vm->space, r->base, bitmap);
            spin_unlock(&vm->memory.lock);
            *ns += clock_ns() - start;
            tell_ranges(bitmap, pages, r->base, range, arg);
        }
        kmem_free(bitmap, size);
    }
    return count;
}
