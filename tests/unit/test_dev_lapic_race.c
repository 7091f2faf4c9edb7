/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Several CPUs post to a local APIC while its owner runs: nothing is lost, no wake-up is missed,
 * and a poster's kick comes whenever the owner might otherwise sleep.
 */
#include <pthread.h>
#include <sched.h>
#include "tests/unit/lapic_bench.h"
#include "vmm/dev/vlapic.h"

#define POSTERS 3
#define ROUNDS  20000

static struct vlapic_group group;
static struct vlapic apic;
static u32 page[1024] ALIGNED(4096);
static unsigned kicks;  /* atomic: what a real kick would interrupt */
static bool taken[256]; /* atomic: the owner has served the vector */

static void race_kick(void *arg)
{
    (void)arg;
    __atomic_fetch_add(&kicks, 1, __ATOMIC_SEQ_CST);
}

static const struct vlapic_ops race_ops = {.kick = race_kick};

static void start(void)
{
    struct vlapic_config c = {
        .id = 0, .page = page, .group = &group, .ops = &race_ops, .phys_bits = 40};
    struct bus_access svr = {.addr = VLAPIC_GPA + 16 * APIC_SVR, .size = 4, .write = true};

    memset(&group, 0, sizeof(group));
    memset(page, 0, sizeof(page));
    memset(taken, 0, sizeof(taken));
    kicks = 0;
    assert_int_equal(vlapic_init(&apic, &c), OK);
    svr.value = 0x1ff;
    vlapic_mmio(&apic, &svr);
}

/* Posts its own vectors in turn, each once the last one of that vector has been served. */
static void *poster(void *arg)
{
    unsigned id = (unsigned)(uintptr_t)arg;
    struct apic_msg msg = {.dest = 0};

    for (unsigned i = 0; i < ROUNDS; i++) {
        u8 vector = (u8)(32 + id * 64 + i % 64);

        __atomic_store_n(&taken[vector], false, __ATOMIC_SEQ_CST);
        msg.vector = vector;
        msg.level = i & 1;
        if (vlapic_deliver(&group, NULL, &msg) != 1)
            abort();
        while (!__atomic_load_n(&taken[vector], __ATOMIC_ACQUIRE))
            sched_yield();
    }
    return NULL;
}

/* The owner: serves what it is offered; "sleeps" when there is nothing, until a kick. */
static void nothing_is_lost(void **state)
{
    pthread_t thread[POSTERS];
    unsigned served = 0, seen_kicks = 0;

    (void)state;
    start();
    for (unsigned i = 0; i < POSTERS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, poster, (void *)(uintptr_t)i), 0);
    while (served < POSTERS * ROUNDS) {
        int vector = vlapic_pending(&apic);

        if (vector < 0) { /* asleep: only a kick that has come since may wake it */
            while (__atomic_load_n(&kicks, __ATOMIC_SEQ_CST) == seen_kicks)
                sched_yield();
            seen_kicks = __atomic_load_n(&kicks, __ATOMIC_SEQ_CST);
            continue;
        }
        vlapic_ack(&apic, (u8)vector);
        vlapic_eoi(&apic);
        served++;
        __atomic_store_n(&taken[vector], true, __ATOMIC_RELEASE);
    }
    for (unsigned i = 0; i < POSTERS; i++)
        pthread_join(thread[i], NULL);
    assert_int_equal(vlapic_pending(&apic), -1);
}

static void *nmi_poster(void *arg)
{
    struct apic_msg nmi = {.dest = 0, .mode = APIC_NMI}, smi = {.dest = 0, .mode = APIC_SMI};

    for (unsigned i = 0; i < ROUNDS; i++)
        vlapic_deliver(&group, NULL, arg ? &nmi : &smi);
    return NULL;
}

/* Events of different kinds, set at the same time, do not undo each other. */
static void events_are_atomic(void **state)
{
    pthread_t thread[2];
    u32 seen = 0;

    (void)state;
    start();
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, nmi_poster, (void *)(uintptr_t)i), 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        u32 ev = vlapic_take_events(&apic);

        assert_int_equal(ev & ~(u32)(VLAPIC_EV_NMI | VLAPIC_EV_SMI), 0);
        seen |= ev;
    }
    for (unsigned i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    seen |= vlapic_take_events(&apic);
    assert_int_equal(seen, VLAPIC_EV_NMI | VLAPIC_EV_SMI);
    assert_int_equal(kicks, 2 * ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost),
        cmocka_unit_test(events_are_atomic),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
