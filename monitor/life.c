/* SPDX-License-Identifier: BSD-2-Clause */
/* VMs that come and go: see life.h. */
#include "monitor/life.h"
#include "arch/x86_64/clock.h"
#include "arch/x86_64/timer.h"
#include "lib/log.h"
#include "mm/kmem.h"
#include "monitor/command.h"
#include "vmm/sched.h"
#include "vmm/vmm.h"
#include "vmm/watch.h"

#define SHORT_LIFE_NS 10000000000ull /* a VM that ends sooner may be caught in a loop */
#define SECOND_NS     1000000000ull
#define MOST_SHIFTS   6 /* at most 64 s between two starts */

static struct life {
    bool again;     /* to be started when it has ended, whatever restart= says */
    bool drop;      /* its slot is to be free */
    u8 short_lives; /* in a row */
    u64 started_ns;
    u64 due_ns; /* when to start it; 0: not by itself */
} lives[CONFIG_MAX_VMS];

static u32 left;          /* a VM's vCPUs have left; any CPU */
static struct timer wake; /* boot CPU */

static bool at_rest(const struct vm *vm)
{
    return !vm || vm->state == VM_CONFIGURED || vm->state == VM_ENDED;
}

void life_start(unsigned i)
{
    lives[i].due_ns = 0;
    if (at_rest(vms[i]))
        vmm_start_vm(i);
    else
        lives[i].again = true;
}

void life_start_again(unsigned i)
{
    lives[i].again = true;
}

bool life_waits(unsigned i)
{
    return lives[i].due_ns != 0;
}

bool life_calm(unsigned i)
{
    bool any = lives[i].due_ns || lives[i].again;

    lives[i].due_ns = 0;
    lives[i].again = false;
    return any;
}

void life_drop(unsigned i)
{
    lives[i].drop = true;
    if (at_rest(vms[i]))
        life_ended(NULL);
}

void life_started(struct vm *vm)
{
    lives[vm->index].started_ns = clock_ns();
}

void life_ended(struct vm *vm)
{
    (void)vm;
    __atomic_store_n(&left, 1, __ATOMIC_RELEASE);
    sched_poke();
}

static bool wants_restart(const struct vm *vm)
{
    if (vm->killed || vm->config->restart == CONFIG_RESTART_NEVER)
        return false;
    return vm->config->restart == CONFIG_RESTART_ALWAYS || vm->end == VM_END_STOPPED ||
           vm->end == VM_END_RESET;
}

/* At once, but one whose life was short waits: 1 s, 2 s, 4 s… from the second time on. */
COLD static void plan_restart(struct vm *vm)
{
    struct life *l = &lives[vm->index];
    u64 now = clock_ns(), wait;

    if (now - l->started_ns >= SHORT_LIFE_NS)
        l->short_lives = 0;
    wait = l->short_lives ? BIT(l->short_lives - 1) : 0;
    l->short_lives += l->short_lives <= MOST_SHIFTS;
    l->due_ns = now + wait * SECOND_NS;
    if (wait)
        log_always("vm %s: starts again in %llu s: it lived less than 10", vm->name, (ull)wait);
    else
        log_always("vm %s: starts again", vm->name);
}

static bool bury_the_dead(void)
{
    if (!__atomic_exchange_n(&left, 0, __ATOMIC_ACQ_REL))
        return false;
    for (unsigned i = 0; i < ARRAY_SIZE(vms); i++) {
        if (!vms[i] || __atomic_load_n(&vms[i]->state, __ATOMIC_ACQUIRE) != VM_LEFT)
            continue;
        vm_bury(vms[i]);
        if (lives[i].again)
            lives[i].due_ns = 1;
        else if (wants_restart(vms[i]))
            plan_restart(vms[i]);
        lives[i].again = false;
    }
    return true;
}

static void fired(struct timer *t)
{
    (void)t;
    sched_poke();
}

static void start_the_due(void)
{
    u64 now = clock_ns(), next = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(lives); i++) {
        u64 due = lives[i].due_ns;

        if (due && due <= now)
            life_start(i);
        else if (due && (!next || due < next))
            next = due;
    }
    wake.fn = fired;
    if (next)
        timer_arm(&wake, next);
}

bool life_poll(void)
{
    bool ended = bury_the_dead();

    start_the_due();
    return ended;
}

void life_forget(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(vms); i++) {
        if (!lives[i].drop || !at_rest(vms[i]))
            continue;
        if (vms[i]) {
            monitor_forget(vms[i]);
            watch_free(vms[i]);
            kmem_free(vms[i], sizeof(*vms[i]));
            vms[i] = NULL;
        }
        config_vm_drop(monitor_config(), &monitor_config()->vms[i]);
        lives[i] = (struct life){0};
    }
}

bool life_all_over(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(lives); i++)
        if (lives[i].due_ns)
            return false;
    return !vm_any_running();
}
