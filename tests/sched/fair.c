/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What shares the scheduler gives, in simulated time, against what would be fair. Usage: fair [SEED
 * [COUNT]]: COUNT cases by chance besides the named ones. Says which fail, then "PASSED FAILED";
 * with V in the environment, what each case measured.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/sched/cpu.h"
#include "tests/sched/sim.h"
#include "vmm/sched.h"

static char name[100];

/*
 * Over so long: whether each share is within `off` of a CPU of what is fair, nobody waited longer
 * than that, and no more moves were made in a second.
 */
static bool fair(u64 ms, double off, u64 most_wait_ms, double most_moves)
{
    double share[SIM_GUESTS], worst = 0, moves = 0;
    u64 wait = 0;

    sim_measure(ms);
    sim_fair_shares(share);
    for (unsigned i = 0; i < nguests; i++) {
        const struct guest *g = &guests[i];

        worst = fmax(worst, fabs((double)g->had_ns / (double)(ms * MS) - share[i]));
        wait = MAX(wait, g->wait_ns);
        moves += g->moves * 1e3 / (double)ms;
    }
    bool ok = worst <= off && wait <= most_wait_ms * MS && moves <= most_moves;
    if (ok && !getenv("V"))
        return true;
    printf("%s: %s, on %u CPUs: off by %.3f, %llu ms waited, %.1f moves a second\n",
           ok ? "ok" : "FAIL", name, ncpus, worst, (unsigned long long)(wait / MS), moves);
    for (unsigned i = 0; i < nguests; i++)
        printf("    weight %u, cpus %llx: %.3f, fair is %.3f, %u moves\n", guests[i].config.weight,
               (unsigned long long)guests[i].config.cpus & (BIT(ncpus) - 1),
               (double)guests[i].had_ns / (double)(ms * MS), share[i], guests[i].moves);
    return ok;
}

/* ---- guests that never rest ---- */

static const struct {
    unsigned cpus;
    u32 weights[SIM_GUESTS];
    u64 wait_ms; /* most */
    double moves;
} spinners[] = {
    {1, {10, 10, 10}, 20, 0},
    {2, {10, 10}, 0, 0},
    {2, {10, 10, 10, 10}, 10, 0},
    {2, {10, 10, 10}, 30, 20},
    {2, {1, 1, 1}, 30, 20},
    {2, {1000, 1000, 1000}, 30, 20},
    {2, {10, 10, 10, 10, 10}, 60, 20},
    {4, {10, 10, 10, 10, 10}, 60, 40},
    {8, {10, 10, 10, 10, 10, 10, 10, 10, 10}, 60, 40},
    /* These can stay where they are. */
    {2, {10, 10, 20}, 20, 0},
    {2, {20, 10, 10}, 20, 0},
    {2, {10, 20, 10}, 20, 0},
    {2, {10, 20, 30, 40}, 60, 0},
    {2, {10, 10, 10, 100}, 30, 0}, /* it cannot have more than one */
    {2, {1000, 1, 1}, 20, 0},
    /* These cannot. */
    {2, {20, 20, 30}, 100, 20},
    {2, {30, 20, 20, 10, 10, 10}, 100, 20},
};

static bool case_spinners(unsigned n)
{
    char *at = name + sprintf(name, "%u with weights", spinners[n].cpus);

    sim_machine(spinners[n].cpus);
    for (const u32 *w = spinners[n].weights; *w; w++) {
        sim_add(*w, ALL);
        at += sprintf(at, " %u", *w);
    }
    sim_run(2000);
    return fair(10000, .01, spinners[n].wait_ms, spinners[n].moves);
}

static u64 chance(u64 *n, u64 of)
{
    *n = *n * 6364136223846793005ull + 1442695040888963407ull;
    return (*n >> 33) % of;
}

/* By chance: weights, or cpus=, of which one in a thousand stays unfair (docs/interrupts.md). */
static bool case_chance(u64 seed)
{
    static const u32 weights[] = {10, 10, 10, 20, 5, 1, 100, 40};
    u64 n = seed;

    sprintf(name, "by chance %llu", (unsigned long long)seed);
    sim_machine(2 + chance(&n, 3));
    bool by_weight = chance(&n, 2);
    for (unsigned left = 1 + chance(&n, 8); left > 0; left--) {
        u64 some = 1 + chance(&n, BIT(ncpus) - 1);
        sim_add(by_weight ? weights[chance(&n, 8)] : 10, !by_weight && chance(&n, 2) ? some : ALL);
    }
    sim_run(3000);
    return fair(20000, .05, FOREVER, 100);
}

/* ---- what was before ---- */

/* One had a CPU for itself while two on the other one had half; now two more come to the first. */
static bool case_alone_before(void)
{
    sim_machine(2);
    sim_add(10, BIT(0));
    sim_add(10, BIT(1));
    sim_add(10, BIT(1));
    sim_run(3600000);
    sim_add(10, ALL);
    sim_add(10, ALL);
    sim_run(1000);
    return fair(10000, .02, 100, 40);
}

/* One was alone for the sake of its weight, and has less of it now. */
static bool case_weight_changes(void)
{
    sim_machine(2);
    sim_add(10, ALL);
    sim_add(10, ALL);
    struct guest *g = sim_add(1000, ALL);
    sim_run(3600000);
    g->config.weight = 10;
    sim_look_around();
    sim_run(1000);
    return fair(10000, .02, 100, 40);
}

/* All on one CPU, from now on on both. */
static bool case_cpus_change(void)
{
    sim_machine(2);
    for (unsigned i = 0; i < 3; i++)
        sim_add(10, BIT(0));
    sim_run(10000);
    for (unsigned i = 0; i < 3; i++)
        guests[i].config.cpus = ALL;
    sim_look_around();
    sim_run(200);
    return fair(10000, .02, 100, 40);
}

/* ---- guests that sleep ---- */

static struct guest *sleeper(u64 run_us, u64 sleep_us)
{
    struct guest *g = sim_add(10, ALL);

    g->run_ns = g->left_ns = run_us * 1000;
    g->sleep_ns = sleep_us * 1000;
    return g;
}

/* One that wants less than its share has it, and what is left is shared. */
static bool case_sleeps(void)
{
    sim_machine(2);
    sim_add(10, ALL);
    sim_add(10, ALL);
    sleeper(3100, 7300);
    sim_run(2000);
    return fair(10000, .03, 60, 60);
}

/* To sleep for a moment all the time gives one no more than its share: it is owed less then. */
static bool case_naps(void)
{
    sim_machine(2);
    sim_add(10, ALL);
    sim_add(10, ALL);
    struct guest *g = sleeper(900, 1);
    sim_run(2000);
    return fair(10000, .12, 60, 60) && g->had_ns < 6800 * MS;
}

/* One that slept for a minute is owed nothing for it. */
static bool case_slept(void)
{
    struct guest *g;

    sim_machine(2);
    sim_add(10, ALL);
    sim_add(10, ALL);
    g = sleeper(1, 60000000);
    sim_run(60000);
    g->run_ns = g->left_ns = FOREVER;
    sim_run(1);
    return fair(1000, .05, 60, 40);
}

/* Guests that sleep most of the time, more than there are CPUs, all have what they ask for. */
static bool case_all_sleep(void)
{
    sim_machine(4);
    for (unsigned i = 0; i < 12; i++)
        sleeper(1000 + 100 * i, 9000 - 100 * i);
    sim_run(1000);
    return fair(10000, .03, 60, 200);
}

static const struct {
    const char *name;
    bool (*fn)(void);
} cases[] = {
    {"one was alone before", case_alone_before},
    {"a weight changes", case_weight_changes},
    {"cpus= changes", case_cpus_change},
    {"one sleeps at times", case_sleeps},
    {"one naps", case_naps},
    {"one slept for long", case_slept},
    {"all sleep at times", case_all_sleep},
};

/* ---- */

static bool run_case(unsigned n, u64 seed)
{
    if (n < ARRAY_SIZE(spinners))
        return case_spinners(n);
    n -= ARRAY_SIZE(spinners);
    if (n >= ARRAY_SIZE(cases))
        return case_chance(seed + n);
    sprintf(name, "%s", cases[n].name);
    return cases[n].fn();
}

int main(int argc, char **argv)
{
    u64 seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    unsigned count = argc > 2 ? (unsigned)atoi(argv[2]) : 300, failed = 0;

    count += ARRAY_SIZE(spinners) + ARRAY_SIZE(cases);
    for (unsigned n = 0; n < count; n++) {
        int status = 0;

        fflush(stdout);
        if (fork() == 0) {
            bool ok = run_case(n, seed);
            fflush(stdout);
            _exit(!ok);
        }
        wait(&status);
        failed += status != 0;
    }
    printf("%u %u\n", count - failed, failed);
    return failed != 0;
}
