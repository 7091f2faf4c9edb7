/* SPDX-License-Identifier: BSD-2-Clause */
/* The scheduler: see sched.h. */
#include "vmm/sched.h"
#include "arch/x86_64/clock.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/ipi.h"
#include "arch/x86_64/percpu.h"
#include "lib/lock.h"
#include "vmm/vcpu.h"
#include "vmm/vm.h"

struct sched {
    struct vcpu *list;   /* at home here; own CPU only */
    struct vcpu *yields; /* gives way once, or NULL */
    u64 had_ns;          /* what the one that ran last had had: what others catch up with */
    struct vcpu *loaded; /* whose state is on this CPU, or NULL */
    struct timer slice;  /* armed while another vCPU waits */
    bool runs_guests;
    bool resched;         /* an interrupt found a reason to go round the loop; own CPU only */
    u32 idle;             /* about to halt, or halted: interrupt it to be noticed */
    u64 halted_tsc;       /* how long it has been halted; own CPU writes */
    u64 since_tsc;        /* it is halted since then; 0: it is not. Likewise */
    u32 poked;            /* the hook is to be called; any CPU */
    struct spinlock lock; /* guards: */
    bool outgoing;        /* one of the list is to move */
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

    if (s && ((s->list && s->list->next) || s->incoming || s->outgoing || s->poked))
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

static bool least_loaded(u64 allowed, u32 *best)
{
    u32 least = UINT32_MAX;

    for (u32 i = 0; i < cpu_count(); i++) {
        u32 count = __atomic_load_n(&scheds[i].count, __ATOMIC_RELAXED);
        if ((allowed & BIT(i)) && scheds[i].runs_guests && count < least) {
            *best = i;
            least = count;
        }
    }
    return least != UINT32_MAX;
}

u32 sched_place(u64 allowed)
{
    u32 cpu = 0;

    if (!least_loaded(allowed, &cpu))
        least_loaded(~0ull, &cpu);
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

void sched_add(struct vcpu *v)
{
    struct sched *s = &scheds[v->cpu];

    spin_lock(&s->lock);
    v->next = s->incoming;
    s->incoming = v;
    spin_unlock(&s->lock);
    notice_cpu(v->cpu);
}

void sched_move(struct vcpu *v, u64 allowed)
{
    u32 to = __atomic_load_n(&v->moves_to, __ATOMIC_RELAXED);
    struct sched *s = &scheds[v->cpu];

    if (allowed & BIT(to ? to - 1 : v->cpu))
        return;
    if (to)
        sched_unplace(to - 1);
    to = sched_place(allowed);
    spin_lock(&s->lock);
    v->moves_to = to + 1;
    s->outgoing = true;
    spin_unlock(&s->lock);
    notice_cpu(v->cpu);
}

void sched_poke(void)
{
    __atomic_store_n(&scheds[0].poked, 1, __ATOMIC_SEQ_CST);
    notice_cpu(0);
}

void sched_notice(struct vcpu *v)
{
    struct sched *s = &scheds[v->cpu];

    if (v->cpu == this_cpu()->id) {
        if (s->loaded != v) /* the one that runs here gives way to it in its turn */
            set_resched(s);
        return;
    }
    /* The request is visible before these are read; their owner reads it after writing them. */
    if (__atomic_load_n(&v->view.on, __ATOMIC_SEQ_CST) ||
        __atomic_load_n(&s->idle, __ATOMIC_SEQ_CST) || s->loaded != v)
        ipi_kick(v->cpu);
}

static void put_away(struct sched *s)
{
    if (s->loaded)
        vcpu_unload(s->loaded);
    s->loaded = NULL;
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
    s->loaded = v;
}

/* Lets go of a vCPU. */
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
    timer_cancel(&v->timer);
    if (v->id == 0)
        timer_cancel(&v->vm->board.timer);
    sched_unplace(v->cpu);
}

static void send_away(struct sched *s)
{
    for (struct vcpu *v = s->list, *next; v; v = next) {
        next = v->next;
        if (!v->moves_to)
            continue;
        let_go(s, v);
        v->cpu = v->moves_to - 1;
        v->moves_to = 0;
        space_moved(&v->view);
        sched_add(v);
    }
}

/* Those that come bring their timers. */
static void take_incoming(struct sched *s)
{
    spin_lock(&s->lock);
    struct vcpu *v = s->incoming;
    bool outgoing = s->outgoing;
    s->incoming = NULL;
    s->outgoing = false;
    spin_unlock(&s->lock);
    while (v) {
        struct vcpu *next = v->next;
        v->next = s->list;
        s->list = v;
        vcpu_arm_timer(v);
        if (v->id == 0)
            board_arm(&v->vm->board);
        v = next;
    }
    if (outgoing)
        send_away(s);
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
    if (more)
        timer_arm(&s->slice, start + SCHED_SLICE_NS);
    vcpu_run(v, &s->resched);
    timer_cancel(&s->slice);
    if (!alone)
        charge(s, v, clock_ns() - start);
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

/* Halts until an interrupt, unless something came up since the search for work. */
static void idle(struct sched *s)
{
    bool more;

    __atomic_store_n(&s->idle, 1, __ATOMIC_SEQ_CST);
    if (!s->resched && !__atomic_load_n(&s->poked, __ATOMIC_SEQ_CST) && !pick(s, &more) &&
        !__atomic_load_n(&s->incoming, __ATOMIC_SEQ_CST)) {
        __atomic_store_n(&s->since_tsc, cpu_rdtsc(), __ATOMIC_RELAXED);
        cpu_idle();
        s->halted_tsc += cpu_rdtsc() - s->since_tsc;
        __atomic_store_n(&s->since_tsc, 0, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&s->idle, 0, __ATOMIC_RELAXED);
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
        if (__atomic_exchange_n(&s->poked, 0, __ATOMIC_SEQ_CST) && hook)
            hook();
        take_incoming(s);
        struct vcpu *v = pick(s, &more);
        if (v)
            run_one(s, v, more);
        if (!v || !s->list || !s->list->next) /* a lone one stops when it has nothing to do */
            idle(s);
    }
}
