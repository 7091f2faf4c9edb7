/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scheduler (vmm/sched.c) in threads, each of which is a CPU, under the thread sanitizer. vCPUs
 * halt, and are asked for work from all sides; meanwhile they are sent from CPU to CPU, go by
 * themselves where they get more, and CPU 0 has calls made with them. No request is missed wherever
 * a vCPU is, nobody but its home touches it, and its timers are armed there and nowhere else.
 * Usage: race SECONDS
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "arch/x86_64/clock.h"
#include "arch/x86_64/ipi.h"
#include "arch/x86_64/panic.h"
#include "tests/sched/cpu.h"
#include "vmm/sched.h"
#include "vmm/vcpu.h"
#include "vmm/vm.h"

enum { CPUS = 3, VCPUS = 5, SENDERS = 2 };

/* What stands for the vCPU's own state: its home alone touches these, but `asked`. */
struct model {
    struct vcpu v;
    struct vm vm;
    struct config_vm config;
    u64 asked; /* any thread */
    u64 done;
    u64 calls;
    struct percpu *timers_on, *at; /* where its timers are, and where it ran last */
};

static struct model models[VCPUS];
static struct percpu cpus[CPUS + 1]; /* the last one is everybody else's */
static u32 interrupt[CPUS];          /* atomic */
static struct timer *armed[CPUS];    /* own thread */
static void (*kick_handler)(void);
static __thread unsigned me = CPUS;
static bool stop;
static unsigned busy = 1; /* so many never halt; atomic */
static unsigned online;
static u64 moves, shared, calls_made, answers[SENDERS]; /* atomic */

struct clock_scale clock_scale = {.ns_mult = 1ull << 32, .tick_mult = 1ull << 32, .khz = 1000000};

static void check(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "race: %s\n", what);
    abort();
}

static bool stopped(void)
{
    return __atomic_load_n(&stop, __ATOMIC_ACQUIRE);
}

static struct model *model_of(struct vcpu *v)
{
    return container_of(v, struct model, v);
}

/* ---- the machine ---- */

void race_pause(void)
{
    let_others();
}

struct percpu *this_cpu(void)
{
    return &cpus[me];
}

unsigned cpu_count(void)
{
    return CPUS;
}

u64 cpu_rdtsc(void)
{
    return __builtin_ia32_rdtsc();
}

void ipi_send(unsigned cpu, unsigned vector)
{
    check(cpu < CPUS && vector == VEC_KICK, "an interrupt that goes nowhere");
    __atomic_store_n(&interrupt[cpu], 1, __ATOMIC_SEQ_CST);
}

void irq_set_handler(unsigned vector, void (*fn)(void))
{
    (void)vector;
    __atomic_store_n(&kick_handler, fn, __ATOMIC_RELAXED);
}

bool panic_begun(void)
{
    return stopped();
}

void timer_arm(struct timer *t, u64 deadline_ns)
{
    t->deadline_ns = deadline_ns;
    t->link = &armed[me];
    armed[me] = t;
}

void timer_cancel(struct timer *t)
{
    t->link = NULL;
    armed[me] = NULL;
}

/* Whether an interrupt came, which has then been taken. */
static bool take_interrupt(void)
{
    bool came = __atomic_exchange_n(&interrupt[me], 0, __ATOMIC_SEQ_CST);
    struct timer *t = armed[me];

    if (stopped())
        pthread_exit(NULL);
    if (came)
        kick_handler();
    if (t && t->deadline_ns <= clock_ns()) {
        timer_cancel(t);
        t->fn(t);
        came = true;
    }
    return came;
}

void cpu_idle(void)
{
    while (!take_interrupt())
        __builtin_ia32_pause();
}

/* ---- vCPUs ---- */

void vcpu_load(struct vcpu *v)
{
    check(!v->loaded, "loaded while it is loaded elsewhere");
    v->loaded = true;
    __atomic_fetch_add(&moves, model_of(v)->at != this_cpu(), __ATOMIC_RELAXED);
    model_of(v)->at = this_cpu();
}

void vcpu_unload(struct vcpu *v)
{
    check(v->loaded && model_of(v)->at == this_cpu(), "unloaded where it is not");
    v->loaded = false;
}

void vcpu_start_timers(struct vcpu *v)
{
    check(!model_of(v)->timers_on, "timers armed while they are elsewhere");
    model_of(v)->timers_on = this_cpu();
}

void vcpu_stop_timers(struct vcpu *v)
{
    check(model_of(v)->timers_on == this_cpu(), "timers stopped where they are not");
    if (__atomic_load_n(&model_of(v)->config.cpus, __ATOMIC_RELAXED) & BIT(me))
        __atomic_fetch_add(&shared, 1, __ATOMIC_RELAXED); /* it goes although it might stay */
    model_of(v)->timers_on = NULL;
}

static bool is_busy(const struct model *m)
{
    return m < models + __atomic_load_n(&busy, __ATOMIC_RELAXED);
}

bool vcpu_has_work(struct vcpu *v)
{
    struct model *m = model_of(v);

    return (__atomic_load_n(&v->requests, __ATOMIC_RELAXED) & ~(u32)VCPU_REQ_LOOK) || is_busy(m) ||
           __atomic_load_n(&m->asked, __ATOMIC_ACQUIRE) != m->done;
}

/* As run.c: requests are looked at behind view.on; in the guest interrupts are taken. */
void vcpu_run(struct vcpu *v, const bool *resched)
{
    struct model *m = model_of(v);

    check(v->loaded && m->at == this_cpu() && m->timers_on == this_cpu(), "run elsewhere");
    for (;;) {
        u32 bits = __atomic_exchange_n(&v->requests, 0, __ATOMIC_SEQ_CST);
        u64 asked = __atomic_load_n(&m->asked, __ATOMIC_ACQUIRE);

        if (bits & VCPU_REQ_CALL) {
            v->call(v, v->call_arg);
            __atomic_store_n(&v->call, NULL, __ATOMIC_RELEASE);
        }
        /* A little work a turn; the first one always has some. */
        __atomic_store_n(&m->done, MIN(m->done + 3, asked), __ATOMIC_RELEASE);
        if (*resched || (m->done == asked && !is_busy(m)))
            return;
        __atomic_store_n(&v->view.on, me + 1, __ATOMIC_SEQ_CST);
        for (unsigned i = 0; i < 20 && !__atomic_load_n(&v->requests, __ATOMIC_SEQ_CST); i++)
            if (take_interrupt())
                break;
        __atomic_store_n(&v->view.on, 0, __ATOMIC_RELEASE);
    }
}

void vm_vcpu_left(struct vm *vm)
{
    (void)vm;
    check(false, "left");
}

/* ---- who asks ---- */

static void count_call(struct vcpu *v, void *arg)
{
    (void)arg;
    check(v->loaded && model_of(v)->at == this_cpu(), "called elsewhere");
    model_of(v)->calls++;
}

/* From the boot CPU's loop. */
static void on_poke(void)
{
    static u64 n;
    struct vcpu *v = &models[n++ % VCPUS].v;

    if (vcpu_call(v, count_call, NULL))
        __atomic_fetch_add(&calls_made, 1, __ATOMIC_RELAXED);
    else
        check(stopped(), "a call was not answered");
}

static void *cpu_thread(void *arg)
{
    me = (unsigned)(uintptr_t)arg;
    sched_init_cpu(true);
    __atomic_fetch_add(&online, 1, __ATOMIC_RELEASE);
    sched_loop();
}

/* Asks a vCPU that nobody else asks, and waits for it. */
static void *sender_thread(void *arg)
{
    unsigned id = (unsigned)(uintptr_t)arg;

    for (unsigned n = id; !stopped(); n = n + SENDERS < VCPUS ? n + SENDERS : id) {
        struct model *m = &models[n];
        u64 mine = __atomic_add_fetch(&m->asked, 1, __ATOMIC_SEQ_CST);

        vcpu_request(&m->v, VCPU_REQ_LOOK);
        while (__atomic_load_n(&m->done, __ATOMIC_ACQUIRE) < mine && !stopped())
            __builtin_ia32_pause();
        __atomic_fetch_add(&answers[id], 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

/* Until each sender has had two more answers. Nobody else wakes a CPU meanwhile. */
static void wait_for_answers(void)
{
    u64 until = clock_ns() + 20000000000;

    for (unsigned i = 0; i < SENDERS; i++) {
        u64 n = __atomic_load_n(&answers[i], __ATOMIC_RELAXED) + 2;

        while (__atomic_load_n(&answers[i], __ATOMIC_RELAXED) < n && !stopped()) {
            check(clock_ns() < until, "a request was missed");
            __builtin_ia32_pause();
        }
    }
}

/* Any CPUs, one only, or none that is there: which changes nothing. And any weight. */
static void *mover_thread(void *arg)
{
    (void)arg;
    for (u64 n = 1; !stopped(); n = n * 6364136223846793005ull + 1442695040888963407ull) {
        struct config_vm *c = &models[(n >> 33) % VCPUS].config;

        __atomic_store_n(&c->cpus, n >> 40 & 15, __ATOMIC_RELAXED);
        __atomic_store_n(&c->weight, 1 + (u32)(n >> 55 & 31), __ATOMIC_RELAXED);
        sched_look_around();
        if (n >> 50 & 1)
            sched_poke();
        if ((n >> 52 & 7) == 0)
            wait_for_answers();
        else
            __builtin_ia32_pause();
    }
    return NULL;
}

static bool enough(void)
{
    return __atomic_load_n(&moves, __ATOMIC_RELAXED) > 100 &&
           __atomic_load_n(&shared, __ATOMIC_RELAXED) > 10 &&
           __atomic_load_n(&calls_made, __ATOMIC_RELAXED) > 100;
}

int main(int argc, char **argv)
{
    unsigned seconds = argc > 1 ? (unsigned)atoi(argv[1]) : 3, n = 0;
    pthread_t thread[CPUS + SENDERS + 1];
    u64 done = 0, calls = 0;

    sched_set_hook(on_poke);
    for (unsigned i = 0; i <= CPUS; i++)
        cpus[i].id = i;
    for (unsigned i = 0; i < CPUS; i++)
        pthread_create(&thread[n++], NULL, cpu_thread, (void *)(uintptr_t)i);
    while (__atomic_load_n(&online, __ATOMIC_ACQUIRE) < CPUS)
        __builtin_ia32_pause();
    for (unsigned i = 0; i < VCPUS; i++) {
        struct model *m = &models[i];

        m->config = (struct config_vm){.cpus = UINT64_MAX, .weight = CONFIG_WEIGHT};
        m->vm.config = &m->config;
        m->v.vm = &m->vm;
        m->v.state = VCPU_RUNNABLE;
        sched_add(&m->v, sched_place(UINT64_MAX));
    }
    for (unsigned i = 0; i < SENDERS; i++)
        pthread_create(&thread[n++], NULL, sender_thread, (void *)(uintptr_t)i);
    pthread_create(&thread[n++], NULL, mover_thread, NULL);
    for (unsigned s = 0; s < seconds || (s < 60 && !enough()); s++) {
        nanosleep(&(struct timespec){1, 0}, NULL);
        __atomic_store_n(&busy, s % 2 ? 1 : CPUS + 1, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELEASE);
    while (n-- > 0)
        pthread_join(thread[n], NULL);
    for (unsigned i = 0; i < VCPUS; i++) {
        done += models[i].done;
        calls += models[i].calls;
    }
    printf("race: %llu requests, %llu moves, %llu to get more, %llu calls\n",
           (unsigned long long)done, (unsigned long long)moves, (unsigned long long)shared,
           (unsigned long long)calls);
    check(enough(), "too little happened to prove anything");
    check(calls >= calls_made, "a call was not made");
    return 0;
}
