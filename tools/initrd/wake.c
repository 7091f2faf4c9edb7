/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `wake TIMES MICROSECONDS`: on each processor a process of its own that sleeps until points in
 * time so far apart, so many times. None may wake before its time. Prints one line: how late the
 * latest was.
 */
#include "tools/initrd/program.h"
#include <asm/unistd.h>
#include <linux/time.h>

#define MAX_CPUS 64

/* As these system calls have it, on either width. */
struct point {
    long s, ns;
};

static struct point now(void)
{
    struct point p = {0, 0};

    call(__NR_clock_gettime, CLOCK_MONOTONIC, (long)&p, 0, 0);
    return p;
}

static void add_us(struct point *p, long us)
{
    p->ns += us * 1000;
    while (p->ns >= 1000000000) {
        p->ns -= 1000000000;
        p->s++;
    }
}

/* The latest of all wake-ups on this processor, in microseconds; -1 if one was early. */
static long wake(unsigned cpu, unsigned long times, long us)
{
    unsigned long long mask = 1ull << cpu;
    struct point due, woke;
    long latest = 0, late;

    must(call(__NR_sched_setaffinity, 0, sizeof(mask), (long)&mask, 0) == 0, "cannot be bound");
    due = now();
    while (times--) {
        add_us(&due, us);
        call(__NR_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, (long)&due, 0);
        woke = now();
        if (woke.s < due.s || (woke.s == due.s && woke.ns < due.ns))
            return -1;
        late = (woke.s - due.s) * 1000000 + (woke.ns - due.ns) / 1000;
        latest = late > latest ? late : latest;
    }
    return latest;
}

int program(long count, char **word)
{
    unsigned long long allowed = 0;
    long latest = 0, one, cpus = 0;
    int pipe[2];

    must(count == 3, "wanted are how often, and the microseconds in between");
    must(call(__NR_pipe, (long)pipe, 0, 0, 0) == 0, "no pipe");
    call(__NR_sched_getaffinity, 0, sizeof(allowed), (long)&allowed, 0);
    for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++) {
        if (!(allowed >> cpu & 1))
            continue;
        one = call(__NR_fork, 0, 0, 0, 0);
        must(one >= 0, "no process");
        if (one == 0) {
            one = wake(cpu, number(word[1]), (long)number(word[2]));
            call(__NR_write, pipe[1], (long)&one, sizeof(one), 0);
            return 0;
        }
        cpus++;
    }
    call(__NR_close, pipe[1], 0, 0, 0);
    for (long i = 0; i < cpus; i++) {
        must(call(__NR_read, pipe[0], (long)&one, sizeof(one), 0) == sizeof(one), "one is lost");
        must(one >= 0, "woken before its time");
        latest = one > latest ? one : latest;
    }
    say("wake: ");
    say_number((unsigned long)cpus);
    say(" processors woke in time, at most ");
    say_number((unsigned long)latest);
    say(" us late\n");
    return 0;
}
