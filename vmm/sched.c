/* SPDX-License-Identifier: BSD-2-Clause */
/* The scheduler: see sched.h. */
#include "vmm/sched.h"
#include "arch/x86_64/clock.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/ipi.h"
#include "arch/x86_64/panic.h"
#include "arch/x86_64/percpu.h"
#include "vmm/vcpu.h"
#include "vmm/vm.h"

#define CALL_PATIENCE_NS 1000000000ull
#define SHARE_NS         40000000ull /* what a CPU may be behind others, in time of its own */

/*
 * had_ns here and in the vCPUs is time by weight: 10 ns of a vCPU of weight 100 count as one. Among
 * CPUs had_ns + ahead_ns is compared: it stays even while all at home there get their share.
 */
struct sched {
    struct vcpu *list;     /* at home here; own CPU only */
    struct vcpu *yields;   /* gives way once, or NULL */
    struct vcpu *loaded;   /* whose state is on this CPU, or NULL; own CPU writes */
    s64 had_ns;            /* the least of those with work here; own CPU writes */
    s64 ahead_ns;          /* any CPU adds */
    u64 start_ns;          /* the one that runs began then, halts left out; own CPU writes */
    u64 halted_tsc;        /* how long it has been halted; own CPU writes */
    u64 since_tsc;         /* it is halted since then; 0: it is not. Likewise */
    u32 load;              /* weight of all with work here; own CPU only */
    u32 alone;             /* the same if there is only one of them, or 0; own CPU writes */
    u32 count;             /* vCPUs here, incoming ones too; any CPU */
    struct vcpu *incoming; /* given to this CPU; any CPU adds, own CPU takes all */
    bool runs_guests;
    bool slice_over;    /* since somebody waited; own CPU only */
    bool resched;       /* an interrupt found a reason to go round the loop; own CPU only */
    u8 idle;            /* about to halt, or halted: interrupt it to be noticed */
    u8 poked;           /* the hook is to be called, or to look around; any CPU */
    struct timer slice; /* armed when somebody waits */
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
    struct sched *s = container_of(t, struct sched, slice);

    s->slice_over = true;
    set_resched(s);
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

/* The one with the fewest vCPUs of those allowed. */
static bool least_loaded(u64 allowed, u32 *best)
{
    u32 least = UINT32_MAX;

    for (u32 i = 0; i < cpu_count(); i++) {
        const struct sched *s = &scheds[i];
        u32 count = __atomic_load_n(&s->count, __ATOMIC_RELAXED);

        if ((allowed & BIT(i)) && s->runs_guests && count < least) {
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

void sched_add(struct vcpu *v, u32 cpu)
{
    struct sched *s = &scheds[cpu];

    __atomic_store_n(&v->cpu, cpu, __ATOMIC_RELEASE); /* what was done to v is done: vcpu_call */
    v->next = __atomic_load_n(&s->incoming, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&s->incoming, &v->next, v, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_RELAXED))
        cpu_pause();
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
    struct vcpu *v = __atomic_exchange_n(&s->incoming, NULL, __ATOMIC_SEQ_CST), *next;
    bool any = v != NULL;

    for (; v; v = next) {
        next = v->next;
        v->next = s->list;
        s->list = v;
        v->had_ns = s->had_ns - v->had_ns;
        space_moved(&v->view);
        if (!v->paused)
            vcpu_start_timers(v);
    }
    return any;
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

static u32 weight(const struct vcpu *v)
{
    return __atomic_load_n(&v->vm->config->weight, __ATOMIC_RELAXED);
}

static s64 by_weight(u64 ns, u32 weight)
{
    return (s64)(ns * CONFIG_WEIGHT / weight);
}

/* owed_ns: how much less than those there it is to have had. */
static void give_away(struct sched *s, struct vcpu *v, u32 cpu, s64 owed_ns)
{
    let_go(s, v);
    v->had_ns = owed_ns;
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
        if (!(allowed(v) & BIT(this_cpu()->id)) && least_loaded(allowed(v), &cpu))
            give_away(s, v, cpu, 0);
    }
}

/*
 * How much more those on s have had than `had`, where the caller's are; at most `most`, but above
 * that if s is halted. They are not owed more than `most` for what was before if one is alone
 * there, and nothing if all sleep: s is then taken up to that.
 */
static s64 lead(struct sched *s, s64 had, s64 most)
{
    u64 halted = __atomic_load_n(&s->since_tsc, __ATOMIC_RELAXED);
    u32 alone = __atomic_load_n(&s->alone, __ATOMIC_RELAXED);
    s64 more = __atomic_load_n(&s->had_ns, __ATOMIC_RELAXED) +
               __atomic_load_n(&s->ahead_ns, __ATOMIC_RELAXED) - had;
    s64 least = more;

    if (halted) {
        least = 0;
    } else if (alone) {
        more += by_weight(clock_ns() - __atomic_load_n(&s->start_ns, __ATOMIC_RELAXED), alone);
        least = -most;
    }
    if (more < least)
        __atomic_fetch_add(&s->ahead_ns, least - more, __ATOMIC_RELAXED);
    if (halted)
        return most + INT32_MAX - __atomic_load_n(&s->count, __ATOMIC_RELAXED);
    return MIN(more, most);
}

/*
 * Gives one away if those here are behind, or if a CPU is halted: the lightest that may go, of
 * several the one that has had least. It takes along what it is owed: nothing where a CPU is
 * halted. If those here are far ahead of all others, that is forgotten.
 */
static void spread(struct sched *s)
{
    s64 had = s->had_ns + __atomic_load_n(&s->ahead_ns, __ATOMIC_RELAXED);
    s64 limit = by_weight(SHARE_NS, s->load), most = 2 * limit;
    s64 best = INT64_MIN, top = INT64_MIN, owed = 0;
    struct vcpu *found = NULL;
    u32 cpu = 0;

    for (struct vcpu *v = s->list; v; v = v->next) {
        if (!vcpu_has_work(v))
            continue;
        for (u32 i = 0; i < cpu_count(); i++) {
            if (!scheds[i].runs_guests || !(allowed(v) & BIT(i)) || &scheds[i] == s)
                continue;
            s64 more = lead(&scheds[i], had, most);
            s64 score = more - v->had_ns - ((s64)weight(v) << 40);
            top = MAX(top, more);
            if (more > limit && score > best) {
                best = score;
                owed = more;
                found = v;
                cpu = i;
            }
        }
    }
    if (found)
        give_away(s, found, cpu, (owed > most ? 0 : owed) + s->had_ns - found->had_ns);
    else if (top < -most && top != INT64_MIN)
        __atomic_fetch_add(&s->ahead_ns, top + most, __ATOMIC_RELAXED);
}

/* The vCPU with work that has had least, but one that gives way only if there is no other. */
static struct vcpu *pick(struct sched *s)
{
    struct vcpu *found = NULL;
    u32 load = 0, n = 0;

    for (struct vcpu *v = s->list; v; v = v->next) {
        if (!vcpu_has_work(v)) {
            v->slept = true;
            continue;
        }
        if (v->slept)
            v->had_ns = MAX(v->had_ns, s->had_ns - (s64)SCHED_SLICE_NS);
        v->slept = false;
        load += weight(v);
        n++;
        if (!found || found == s->yields || (v != s->yields && v->had_ns < found->had_ns))
            found = v;
    }
    s->load = load;
    __atomic_store_n(&s->alone, n == 1 ? load : 0, __ATOMIC_RELAXED);
    return found;
}

/* v is the one that has had least: who comes here, or wakes up, begins from there. */
static void catch_up(struct sched *s, const struct vcpu *v)
{
    __atomic_store_n(&s->had_ns, MAX(s->had_ns, v->had_ns), __ATOMIC_RELAXED);
}

static void run_one(struct sched *s, struct vcpu *v)
{
    u64 now = clock_ns();

    if (!s->alone && !s->slice.link)
        timer_arm(&s->slice, now + SCHED_SLICE_NS);
    sched_load(v);
    s->yields = NULL;
    catch_up(s, v);
    __atomic_store_n(&s->start_ns, now, __ATOMIC_RELAXED);
    vcpu_run(v, &s->resched);
    now = clock_ns();
    v->had_ns += by_weight(now - s->start_ns, weight(v));
    __atomic_store_n(&s->start_ns, now, __ATOMIC_RELAXED);
    if (s->alone)
        catch_up(s, v);
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
    u64 slept = cpu_rdtsc() - s->since_tsc;
    s->halted_tsc += slept;
    __atomic_store_n(&s->start_ns, s->start_ns + clock_tsc_to_ns(slept), __ATOMIC_RELAXED);
    __atomic_store_n(&s->since_tsc, 0, __ATOMIC_RELAXED);
}

/* Halts until an interrupt, unless something came up since the search for work. */
static void idle(struct sched *s)
{
    __atomic_store_n(&s->idle, 1, __ATOMIC_SEQ_CST);
    if (!s->resched && !__atomic_load_n(&s->poked, __ATOMIC_SEQ_CST) && !pick(s) &&
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
        s->resched = false;
        bool poked = __atomic_exchange_n(&s->poked, 0, __ATOMIC_SEQ_CST);
        if (poked && hook && this_cpu()->id == 0)
            hook();
        if (take_incoming(s) || poked)
            look_around(s);
        struct vcpu *v = pick(s);
        if (s->slice_over && v && !s->alone) {
            s->slice_over = false;
            spread(s);
            continue;
        }
        if (v)
            run_one(s, v);
        if (!v || !s->list || !s->list->next) /* a lone one stops when it has nothing to do */
            idle(s);
    }
}
