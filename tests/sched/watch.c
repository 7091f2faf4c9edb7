/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The recorder (vmm/watch.c) is switched on and off while vCPUs, a thread each, leave their guest
 * over and over, and come to their processor and go: under the thread sanitizer. No vCPU looks at a
 * record that is gone. Usage: watch TIMES
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/sched/cpu.h"
#include "mm/kmem.h"
#include "vmm/msr.h"
#include "vmm/vm.h"
#include "vmm/watch.h"

enum { VCPUS = 2 };

static struct vm vm;
static struct vcpu vcpus[VCPUS];
static struct hvm_vcpu hvs[VCPUS];
static bool stop;
static u64 exits, recorded;

const struct hvm_ops *hvm;

void race_pause(void)
{
    let_others();
}

u64 cpu_rdtsc(void)
{
    return __builtin_ia32_rdtsc();
}

void *kmem_alloc(size_t size)
{
    return calloc(1, size);
}

void kmem_free(void *p, size_t size)
{
    if (p)
        memset(p, 0xff, size);
    free(p);
}

u64 hvm_exit_info(const struct hvm_exit *e)
{
    return e->info;
}

const char *msr_answer(const struct vm *of, u32 index)
{
    (void)of;
    return index ? "constant" : NULL;
}

const struct bus_region *bus_find(const struct bus *bus, u64 addr)
{
    (void)bus, (void)addr;
    return NULL;
}

const struct space_region *space_region_at(const struct space *s, gpa_t gpa)
{
    (void)s, (void)gpa;
    return NULL;
}

const struct cpuid_entry *cpuid_find(const struct cpuid_table *t, u32 leaf, u32 sub)
{
    (void)t, (void)leaf, (void)sub;
    return NULL;
}

/* ---- vCPUs ---- */

/* As run.c: handles the exit, and before the next entry what is asked of the vCPU. */
struct hvm_exit *vcpu_next(void *arg, struct hvm_exit *e)
{
    struct vcpu *v = arg;
    void (*fn)(struct vcpu *, void *) = __atomic_load_n(&v->call, __ATOMIC_ACQUIRE);

    if (fn) {
        fn(v, v->call_arg);
        __atomic_store_n(&v->call, NULL, __ATOMIC_RELEASE);
    }
    return e;
}

bool vcpu_call(struct vcpu *v, void (*fn)(struct vcpu *v, void *arg), void *arg)
{
    v->call_arg = arg;
    __atomic_store_n(&v->call, fn, __ATOMIC_RELEASE);
    while (__atomic_load_n(&v->call, __ATOMIC_ACQUIRE))
        __builtin_ia32_pause();
    return true;
}

static void *vcpu_thread(void *arg)
{
    struct vcpu *v = arg;
    struct hvm_exit e = {.reason = HVM_EXIT_RDMSR};

    while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
        if (v->watch)
            watch_switch(v, true);
        for (unsigned i = 0; i < 8; i++)
            v->hv->next(v, &e);
        if (v->watch)
            watch_switch(v, false);
        __atomic_fetch_add(&exits, 8, __ATOMIC_RELAXED);
        race_pause();
    }
    return NULL;
}

/* ---- who switches ---- */

static void check(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "watch: %s\n", what);
    abort();
}

static void switch_on_and_off(unsigned n)
{
    u32 first = 1u << n % 3, second = 1u << (n + 1) % 3;
    u64 until = __atomic_load_n(&exits, __ATOMIC_RELAXED) + n % 4 * 8;

    check(watch_begin(&vm, first) == OK, "not switched on");
    check(watch_begin(&vm, second) == OK, "no second kind");
    while (__atomic_load_n(&exits, __ATOMIC_RELAXED) < until)
        __builtin_ia32_pause();
    check(watch_end(&vm, first) == OK && watch_on(&vm, second), "the second went with the first");
    spin_lock(&vm.watch->lock);
    recorded += vm.watch->events;
    spin_unlock(&vm.watch->lock);
    check(watch_end(&vm, second) == OK && !vm.watch, "not switched off");
}

int main(int argc, char **argv)
{
    unsigned times = argc > 1 ? (unsigned)atoi(argv[1]) : 1000;
    pthread_t thread[VCPUS];

    vm.vcpu_count = VCPUS;
    for (unsigned i = 0; i < VCPUS; i++) {
        struct vcpu *v = vm.vcpu[i] = &vcpus[i];

        v->vm = &vm;
        v->id = i;
        v->hv = &hvs[i];
        watch_set_next(v, vcpu_next);
        pthread_create(&thread[i], NULL, vcpu_thread, v);
    }
    for (unsigned n = 0; n < times; n++)
        switch_on_and_off(n);
    __atomic_store_n(&stop, true, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < VCPUS; i++)
        pthread_join(thread[i], NULL);
    printf("watch: %llu exits, %llu events\n", (unsigned long long)exits,
           (unsigned long long)recorded);
    check(recorded > times, "too little was recorded to prove anything");
    return 0;
}
