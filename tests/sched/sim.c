/* SPDX-License-Identifier: BSD-2-Clause */
/* The simulation, and what would be fair in it: see sim.h. */
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include "arch/x86_64/clock.h"
#include "arch/x86_64/ipi.h"
#include "arch/x86_64/panic.h"
#include "tests/sched/cpu.h"
#include "tests/sched/sim.h"
#include "vmm/sched.h"

enum { STACK = 256 << 10 };

static struct cpu {
    struct percpu percpu;
    ucontext_t context;
    struct timer *armed;
    struct guest *runs; /* in the guest since, or NULL */
    u64 since_ns;
    bool kicked;
} cpus[SIM_CPUS + 1]; /* the last one is everybody else's */
struct guest guests[SIM_GUESTS];
unsigned ncpus, nguests;
static unsigned me;
static ucontext_t simulator;
static u64 now = 1000 * MS;
static void (*kick_handler)(void);

struct clock_scale clock_scale = {.ns_mult = 1ull << 32, .tick_mult = 1ull << 32, .khz = 1000000};

static struct guest *guest_of(struct vcpu *v)
{
    return container_of(v, struct guest, v);
}

/* ---- the machine ---- */

void race_pause(void)
{
}

u64 cpu_rdtsc(void)
{
    return now;
}

struct percpu *this_cpu(void)
{
    return &cpus[me].percpu;
}

unsigned cpu_count(void)
{
    return ncpus;
}

void ipi_send(unsigned cpu, unsigned vector)
{
    (void)vector;
    cpus[cpu].kicked = true;
}

void irq_set_handler(unsigned vector, void (*fn)(void))
{
    (void)vector;
    kick_handler = fn;
}

bool panic_begun(void)
{
    return false;
}

void timer_arm(struct timer *t, u64 deadline_ns)
{
    t->deadline_ns = deadline_ns;
    t->link = &cpus[me].armed;
    cpus[me].armed = t;
}

void timer_cancel(struct timer *t)
{
    t->link = NULL;
    cpus[me].armed = NULL;
}

/* Gives the guest that the CPU is in what has passed. */
static void account(struct cpu *c)
{
    struct guest *g = c->runs;

    if (g) {
        g->wait_ns = MAX(g->wait_ns, c->since_ns - g->last_ns);
        g->had_ns += now - c->since_ns;
        g->left_ns -= MIN(g->left_ns, now - c->since_ns);
        g->last_ns = now;
    }
    c->since_ns = now;
}

/* Time passes until something happens to this CPU. */
static void pass(void)
{
    struct cpu *c = &cpus[me];

    c->since_ns = now;
    swapcontext(&c->context, &simulator);
    account(c);
    if (c->kicked) {
        c->kicked = false;
        kick_handler();
    }
    if (c->armed && c->armed->deadline_ns <= now) {
        struct timer *t = c->armed;
        timer_cancel(t);
        t->fn(t);
    }
}

void cpu_idle(void)
{
    pass();
}

/* ---- vCPUs ---- */

void vcpu_load(struct vcpu *v)
{
    guest_of(v)->moves += guest_of(v)->home != this_cpu();
    guest_of(v)->home = this_cpu();
}

void vcpu_unload(struct vcpu *v)
{
    (void)v;
}

void vcpu_start_timers(struct vcpu *v)
{
    (void)v;
}

void vcpu_stop_timers(struct vcpu *v)
{
    (void)v;
}

void vm_vcpu_left(struct vm *vm)
{
    (void)vm;
}

bool vcpu_has_work(struct vcpu *v)
{
    return !guest_of(v)->wake_ns;
}

void vcpu_run(struct vcpu *v, const bool *resched)
{
    struct guest *g = guest_of(v);

    for (;;) {
        v->requests = 0;
        if (*resched || (g->wake_ns && !sched_wait(v)))
            return;
        if (g->wake_ns)
            continue;
        cpus[me].runs = g;
        pass();
        cpus[me].runs = NULL;
        if (g->sleep_ns && !g->left_ns) {
            g->wake_ns = now + g->sleep_ns;
            g->left_ns = g->run_ns;
        }
    }
}

/* ---- time ---- */

/* When the CPU is to be gone on with: a kick, its timer, or its guest that wants to sleep. */
static u64 next_of(const struct cpu *c)
{
    u64 at = c->armed ? c->armed->deadline_ns : UINT64_MAX;

    if (c->kicked)
        return now;
    return c->runs && c->runs->sleep_ns ? MIN(at, c->since_ns + c->runs->left_ns) : at;
}

static void resume(unsigned cpu)
{
    me = cpu;
    swapcontext(&simulator, &cpus[cpu].context);
}

/* As a timer that fires at its home. */
static void wake(struct guest *g)
{
    g->wake_ns = 0;
    g->last_ns = now;
    me = g->v.cpu;
    vcpu_request(&g->v, VCPU_REQ_LOOK);
    cpus[me].kicked = true;
}

void sim_run(u64 ms)
{
    u64 until = now + ms * MS;

    while (now < until) {
        u64 next = until;

        for (unsigned i = 0; i < ncpus; i++)
            next = MIN(next, next_of(&cpus[i]));
        for (unsigned i = 0; i < nguests; i++)
            next = guests[i].wake_ns ? MIN(next, guests[i].wake_ns) : next;
        now = next;
        for (unsigned i = 0; i < nguests; i++)
            if (guests[i].wake_ns && guests[i].wake_ns <= now)
                wake(&guests[i]);
        for (unsigned i = 0; i < ncpus; i++)
            if (next_of(&cpus[i]) <= now)
                resume(i);
    }
}

struct guest *sim_add(u32 weight, u64 allowed)
{
    struct guest *g = &guests[nguests++];

    g->config = (struct config_vm){.cpus = allowed, .weight = weight};
    g->vm.config = &g->config;
    g->v.vm = &g->vm;
    g->v.state = VCPU_RUNNABLE;
    me = SIM_CPUS;
    sched_add(&g->v, sched_place(allowed));
    return g;
}

void sim_look_around(void)
{
    me = SIM_CPUS;
    sched_look_around();
}

void sim_measure(u64 ms)
{
    for (unsigned i = 0; i < ncpus; i++)
        account(&cpus[i]);
    for (unsigned i = 0; i < nguests; i++) {
        guests[i].had_ns = guests[i].wait_ns = guests[i].moves = 0;
        guests[i].last_ns = now;
    }
    sim_run(ms);
    for (unsigned i = 0; i < ncpus; i++)
        account(&cpus[i]);
    for (unsigned i = 0; i < nguests; i++)
        if (!guests[i].wake_ns)
            guests[i].wait_ns = MAX(guests[i].wait_ns, now - guests[i].last_ns);
}

void sim_machine(unsigned count)
{
    cpus[SIM_CPUS].percpu.id = SIM_CPUS;
    for (ncpus = 0; ncpus < count; ncpus++) {
        struct cpu *c = &cpus[ncpus];

        c->percpu.id = me = ncpus;
        sched_init_cpu(true);
        getcontext(&c->context);
        c->context.uc_stack.ss_sp = malloc(STACK);
        c->context.uc_stack.ss_size = STACK;
        makecontext(&c->context, sched_loop, 0);
        resume(me);
    }
}

/* ---- what would be fair ---- */

static double flow[SIM_GUESTS][SIM_CPUS], used[SIM_CPUS];

/* Finds time for a guest, up to `want`, by moving others aside; gives how much. */
static double find_time(unsigned g, double want, unsigned *seen)
{
    for (unsigned c = 0; c < ncpus; c++) {
        if (!(guests[g].config.cpus & BIT(c)) || (*seen & BIT(c)))
            continue;
        double got = MIN(want, 1 - used[c]);
        *seen |= BIT(c);
        used[c] += MAX(got, 0);
        for (unsigned h = 0; h < nguests && got < 1e-9; h++) {
            got = h != g && flow[h][c] > 1e-9 ? find_time(h, MIN(want, flow[h][c]), seen) : 0;
            flow[h][c] -= got;
        }
        flow[g][c] += MAX(got, 0);
        if (got >= 1e-9)
            return got;
    }
    return 0;
}

/* Whether each guest can be given so much. */
static bool possible(const double *time)
{
    memset(flow, 0, sizeof(flow));
    memset(used, 0, sizeof(used));
    for (unsigned g = 0; g < nguests; g++)
        for (double left = time[g], got; left > 1e-6; left -= got) {
            unsigned seen = 0;
            got = find_time(g, left, &seen);
            if (got < 1e-9)
                return false;
        }
    return true;
}

static double wanted(const struct guest *g)
{
    return g->sleep_ns ? (double)g->run_ns / (double)(g->run_ns + g->sleep_ns) : 1;
}

/* The shares at a level: those that are settled, the others by weight. */
static void at_level(double level, const bool *settled, double *share)
{
    for (unsigned g = 0; g < nguests; g++)
        if (!settled[g])
            share[g] = MIN(wanted(&guests[g]), level * guests[g].config.weight);
}

void sim_fair_shares(double *share)
{
    bool settled[SIM_GUESTS] = {false};
    double low = 0, high;

    for (unsigned left = nguests; left > 0;) {
        for (high = 2; high - low > 1e-6;) {
            at_level((low + high) / 2, settled, share);
            *(possible(share) ? &low : &high) = (low + high) / 2;
        }
        at_level(low, settled, share);
        /* Who cannot have a little more alone has what it gets. */
        for (unsigned g = 0; g < nguests; g++) {
            if (settled[g])
                continue;
            share[g] += 1e-3;
            settled[g] = share[g] > wanted(&guests[g]) || !possible(share);
            share[g] -= 1e-3;
            left -= settled[g];
        }
    }
}
