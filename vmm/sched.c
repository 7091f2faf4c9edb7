/* SPDX-License-Identifier: BSD-2-Clause */
/* The scheduler: see sched.h. */
#include "vmm/sched.h"
#include "arch/x86_64/clock.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/ipi.h"
#include "arch/x86_64/panic.h"
#include "arch/x86_64/percpu.h"
#include "lib/lock.h"
#include "vmm/vcpu.h"
#include "vmm/vm.h"

#define CALL_PATIENCE_NS 1000000000ull

struct sched {
    struct vcpu *list;   /* at home here; own CPU only */
    struct vcpu *yields; /* gives way once, or NULL */
    u64 had_ns;          /* what the one that ran last had had: what others catch up with */
    struct vcpu *loaded; /* whose state is on this CPU, or NULL; own CPU writes */
    struct timer slice;  /* armed while another vCPU waits */
    bool runs_guests;
    bool resched;         /* an interrupt found a reason to go round the loop; own CPU only */
    u32 idle;             /* about to halt, or halted: interrupt it to be noticed */
    u64 halted_tsc;       /* how long it has been halted; own CPU writes */
    u64 since_tsc;        /* it is halted since then; 0: it is not. Likewise */
    u64 crowded_ns;       /* since then somebody always waited; 0: nobody does; own CPU only */
    u32 poked;            /* the hook is to be called, or to look around; any CPU */
    struct spinlock lock; /* guards: */
    struct vcpu *incoming;
    u32 count; /* vCPUs here, incoming ones too */
};

static struct sched scheds[MAX_CPUS];
static void (*hook)(void);

static struct sched *own(void)
{
    return this_cpu()->sched;
}

/* Has this CPU go round its loop: what runs here leaves the guest and gives way. */
static void set_resched(struct sched *s)
{
    s->resched = true;
    if (s->loaded)
        vcpu_look(s->loaded);
}

static void slice_over(struct timer *t)
{
    (void)t;
    set_resched(own());
}

/* Another CPU wants attention. What is for the running vCPU it sees in any case before it enters.
 */
static void kicked(void)
{
    struct sched *s = own();

    if (s && ((s->list && s->list->next) || __atomic_load_n(&s->incoming, __ATOMIC_RELAXED) ||
              __atomic_load_n(&s->poked, __ATOMIC_RELAXED)))
        set_resched(s);
}

void sched_init_cpu(bool runs_guests)
{
    struct sched *s = &scheds[this_cpu()->id];

    irq_set_handler(VEC_KICK, kicked);

    s->slice.fn = slice_over;
    s->runs_guests = runs_guests;
    this_cpu()->sched = s;
}

void sched_set_hook(void (*fn)(void))
{
    hook = fn;
}

/* The one with the fewest vCPUs of those allowed, of the halted ones if so asked. */
static bool least_loaded(u64 allowed, bool halted, u32 *best)
{
    u32 least = UINT32_MAX;

    for (u32 i = 0; i < cpu_count(); i++) {
        const struct sched *s = &scheds[i];
        u32 count = __atomic_load_n(&s->count, __ATOMIC_RELAXED);

        if ((allowed & BIT(i)) && s->runs_guests && count < least &&
            (!halted || __atomic_load_n(&s->since_tsc, __ATOMIC_RELAXED))) {
            *best = i;
            least = count;
        }
    }
    return least != UINT32_MAX;
}

u32 sched_place(u64 allowed)
{
    u32 cpu = 0;

    if (!least_loaded(allowed, false, &cpu))
        least_loaded(~0ull, false, &cpu);
    __atomic_fetch_add(&scheds[cpu].count, 1, __ATOMIC_RELAXED);
    return cpu;
}

void sched_unplace(u32 cpu)
{
    __atomic_fetch_sub(&scheds[cpu].count, 1, __ATOMIC_RELAXED);
}

/* Makes a CPU go round its loop, or look at the requests of what it runs. */
static void notice_cpu(u32 cpu)
{
    if (cpu == this_cpu()->id)
        set_resched(own());
    else
        ipi_kick(cpu);
}

void sched_add(struct vcpu *v, u32 cpu)
{
    struct sched *s = &scheds[cpu];

    spin_lock(&s->lock);
    __atomic_store_n(&v->cpu, cpu, __ATOMIC_RELEASE); /* what was done to v is done: vcpu_call */
    v->next = s->incoming;
    __atomic_store_n(&s->incoming, v, __ATOMIC_RELAXED);
    spin_unlock(&s->lock);
    notice_cpu(cpu);
}

static void poke(u32 cpu)
{
    __atomic_store_n(&scheds[cpu].poked, 1, __ATOMIC_SEQ_CST);
    notice_cpu(cpu);
}

void sched_poke(void)
{
    poke(0);
}

void sched_look_around(void)
{
    for (u32 i = 0; i < cpu_count(); i++)
        poke(i);
}

/*
 * If v moves meanwhile: its new home looks for work in it after v->cpu has been written. So a
 * request that was not visible then finds that home here.
 */
void vcpu_request(struct vcpu *v, u32 bits)
{
    __atomic_fetch_or(&v->requests, bits, __ATOMIC_SEQ_CST);

    u32 cpu = __atomic_load_n(&v->cpu, __ATOMIC_SEQ_CST);
    struct sched *s = &scheds[cpu];

    if (cpu == this_cpu()->id) {
        if (s->loaded != v) /* the one that runs here gives way to it in its turn */
            set_resched(s);
        return;
    }
    /* The request is visible before these are read; their owner reads it after writing them. */
    if (__atomic_load_n(&v->view.on, __ATOMIC_SEQ_CST) ||
        __atomic_load_n(&s->idle, __ATOMIC_SEQ_CST) ||
        __atomic_load_n(&s->loaded, __ATOMIC_SEQ_CST) != v)
        ipi_kick(cpu);
}

/* Takes over what was given to this CPU; whether there was anything. */
static bool take_incoming(struct sched *s)
{
    if (!__atomic_load_n(&s->incoming, __ATOMIC_RELAXED))
        return false;
    spin_lock(&s->lock);
    struct vcpu *v = s->incoming;
    __atomic_store_n(&s->incoming, NULL, __ATOMIC_RELAXED);
    spin_unlock(&s->lock);
    while (v) {
        struct vcpu *next = v->next;
        v->next = s->list;
        s->list = v;
        v->had_ns = 0;
        space_moved(&v->view);
        if (!v->paused)
            vcpu_start_timers(v);
        v = next;
    }
    return true;
}

static void put_away(struct sched *s)
{
    if (s->loaded)
        vcpu_unload(s->loaded);
    __atomic_store_n(&s->loaded, NULL, __ATOMIC_RELEASE);
}

void sched_put_away(void)
{
    put_away(own());
}

void sched_load(struct vcpu *v)
{
    struct sched *s = own();

    if (s->loaded == v)
        return;
    put_away(s);
    vcpu_load(v);
    __atomic_store_n(&s->loaded, v, __ATOMIC_RELEASE);
}

bool vcpu_call(struct vcpu *v, void (*fn)(struct vcpu *v, void *arg), void *arg)
{
    u64 until = clock_ns() + CALL_PATIENCE_NS;

    if (v->state == VCPU_OFF)
        return false;
    v->call_arg = arg;
    __atomic_store_n(&v->call, fn, __ATOMIC_RELEASE);
    vcpu_request(v, VCPU_REQ_CALL);
    while (__atomic_load_n(&v->call, __ATOMIC_ACQUIRE)) {
        bool here = __atomic_load_n(&v->cpu, __ATOMIC_ACQUIRE) == this_cpu()->id;

        cpu_pause();
        if (!here && clock_ns() < until && !panic_begun())
            continue;
        /* Still there: nobody has seen it, and nobody will; but here, if it has come here. */
        if (!(__atomic_fetch_and(&v->requests, ~(u32)VCPU_REQ_CALL, __ATOMIC_SEQ_CST) &
              VCPU_REQ_CALL))
            continue;
        v->call = NULL;
        if (!here)
            return false;
        sched_load(v);
        fn(v, arg);
    }
    return true;
}

/* Lets go of a vCPU: it is at home nowhere. */
static void let_go(struct sched *s, struct vcpu *v)
{
    struct vcpu **link = &s->list;

    while (*link != v)
        link = &(*link)->next;
    *link = v->next;
    if (s->yields == v)
        s->yields = NULL;
    if (s->loaded == v)
        put_away(s);
    vcpu_stop_timers(v);
    sched_unplace(v->cpu);
}

static u64 allowed(const struct vcpu *v)
{
    return __atomic_load_n(&v->vm->config->cpus, __ATOMIC_RELAXED);
}

static void give_away(struct sched *s, struct vcpu *v, u32 cpu)
{
    let_go(s, v);
    __atomic_fetch_add(&scheds[cpu].count, 1, __ATOMIC_RELAXED);
    sched_add(v, cpu);
}

/* Gives away what may not be here; if all that it may use run no guests it stays. */
static void look_around(struct sched *s)
{
    struct vcpu *next;
    u32 cpu;

    for (struct vcpu *v = s->list; v; v = next) {
        next = v->next;
        if (!(allowed(v) & BIT(this_cpu()->id)) && least_loaded(allowed(v), false, &cpu))
            give_away(s, v, cpu);
    }
}

/* Gives one that waits, not `but`, to a CPU that has nothing to do. */
static void spread(struct sched *s, const struct vcpu *but)
{
    u32 cpu;

    for (struct vcpu *v = s->list; v; v = v->next)
        if (v != but && vcpu_has_work(v) && least_loaded(allowed(v), true, &cpu)) {
            give_away(s, v, cpu);
            return;
        }
}

/* The vCPU with work that has had least; *more: another one waits as well. */
static struct vcpu *pick(struct sched *s, bool *more)
{
    u64 least = s->had_ns > SCHED_SLICE_NS ? s->had_ns - SCHED_SLICE_NS : 0;
    struct vcpu *found = NULL, *yields = NULL;

    *more = false;
    for (struct vcpu *v = s->list; v; v = v->next) {
        if (!vcpu_has_work(v))
            continue;
        v->had_ns = MAX(v->had_ns, least);
        *more |= found || yields;
        if (v == s->yields)
            yields = v;
        else if (!found || v->had_ns < found->had_ns)
            found = v;
    }
    return found ? found : yields;
}

/* Counts what v has run against what it may. */
static void charge(struct sched *s, struct vcpu *v, u64 ns)
{
    u32 weight = __atomic_load_n(&v->vm->config->weight, __ATOMIC_RELAXED);

    s->had_ns = MAX(s->had_ns, v->had_ns);
    v->had_ns += ns * CONFIG_WEIGHT / weight;
}

static void run_one(struct sched *s, struct vcpu *v, bool more)
{
    bool alone = !s->list->next;
    u64 start = alone ? 0 : clock_ns();

    sched_load(v);
    s->yields = NULL;
    if (!more || !s->crowded_ns)
        s->crowded_ns = more ? start : 0;
    if (more)
        timer_arm(&s->slice, start + SCHED_SLICE_NS);
    vcpu_run(v, &s->resched);
    timer_cancel(&s->slice);
    if (!alone)
        charge(s, v, clock_ns() - start);
    if (more && clock_ns() - s->crowded_ns >= SCHED_SLICE_NS) {
        s->crowded_ns = 0;
        spread(s, v);
    }
    if (v->state == VCPU_OFF) {
        let_go(s, v);
        vm_vcpu_left(v->vm);
    }
}

void sched_yield(void)
{
    struct sched *s = own();

    if (!s->list->next)
        return;
    s->yields = s->loaded;
    set_resched(s);
}

/* Until an interrupt comes. Nothing was left to do when that was last looked at, s->idle set. */
static void halt(struct sched *s)
{
    __atomic_store_n(&s->since_tsc, cpu_rdtsc(), __ATOMIC_RELAXED);
    cpu_idle();
    s->halted_tsc += cpu_rdtsc() - s->since_tsc;
    __atomic_store_n(&s->since_tsc, 0, __ATOMIC_RELAXED);
}

/* Halts until an interrupt, unless something came up since the search for work. */
static void idle(struct sched *s)
{
    bool more;

    __atomic_store_n(&s->idle, 1, __ATOMIC_SEQ_CST);
    if (!s->resched && !__atomic_load_n(&s->poked, __ATOMIC_SEQ_CST) && !pick(s, &more) &&
        !__atomic_load_n(&s->incoming, __ATOMIC_SEQ_CST))
        halt(s);
    __atomic_store_n(&s->idle, 0, __ATOMIC_RELAXED);
}

/* Whatever else this CPU might have to do is announced by an interrupt that sets s->resched. */
bool sched_wait(struct vcpu *v)
{
    struct sched *s = own();

    if (s->list->next)
        return false;
    __atomic_store_n(&s->idle, 1, __ATOMIC_SEQ_CST);
    if (!s->resched && !__atomic_load_n(&v->requests, __ATOMIC_SEQ_CST))
        halt(s);
    __atomic_store_n(&s->idle, 0, __ATOMIC_RELAXED);
    return !s->resched;
}

u64 sched_halted_tsc(u32 cpu)
{
    u64 since = __atomic_load_n(&scheds[cpu].since_tsc, __ATOMIC_RELAXED), now = cpu_rdtsc();

    return scheds[cpu].halted_tsc + (since && since < now ? now - since : 0);
}

void sched_loop(void)
{
    struct sched *s = own();

    for (;;) {
        bool more;
        s->resched = false;
        bool poked = __atomic_exchange_n(&s->poked, 0, __ATOMIC_SEQ_CST);
        if (poked && hook && this_cpu()->id == 0)
            hook();
        if (take_incoming(s) || poked)
            look_around(s);
        struct vcpu *v = pick(s, &more);
        if (v)
            run_one(s, v, more);
        if (!v || !s->list || !s->list->next) /* a lone one stops when it has nothing to do */
            idle(s);
    }
}
