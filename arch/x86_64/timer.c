/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timer queues: a sorted list a CPU; a CPU has few timers. The hardware is set for the earliest. It
 * is left alone where it would fire too early: then it fires for nothing and is set anew, which
 * costs less than setting it each time a deadline moves away.
 */
#include "arch/x86_64/timer.h"
#include "arch/x86_64/clock.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/lapic.h"
#include "arch/x86_64/percpu.h"
#include "arch/x86_64/trap.h"

#define NS_PER_S 1000000000ull
#define FAR_NS   (NS_PER_S / 2) /* the longest that one-shot mode is set for */

static void program(struct percpu *cpu, u64 deadline_ns)
{
    u64 now, wait, count;

    cpu->timer_hw_ns = deadline_ns;
    if (cpu->timer_deadline) {
        lapic_timer_deadline(clock_tsc_at(deadline_ns) + 1);
        return;
    }
    now = clock_ns();
    wait = deadline_ns > now ? MIN(deadline_ns - now, FAR_NS) : 0;
    count = wait * (clock_lapic_hz() >> 10) / (NS_PER_S >> 10) + 1;
    lapic_timer_set((u32)MIN(count, UINT32_MAX));
}

static void unlink(struct timer *t)
{
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
    t->link = NULL;
    this_cpu()->timer_count--;
}

void timer_arm(struct timer *t, u64 deadline_ns)
{
    struct percpu *cpu = this_cpu();
    struct timer **at = &cpu->timers;

    if (t->link)
        unlink(t);
    while (*at && (*at)->deadline_ns <= deadline_ns)
        at = &(*at)->next;
    t->deadline_ns = deadline_ns;
    t->next = *at;
    t->link = at;
    if (t->next)
        t->next->link = &t->next;
    *at = t;
    cpu->timer_count++;
    if (cpu->timers == t && (!cpu->timer_hw_ns || deadline_ns < cpu->timer_hw_ns))
        program(cpu, deadline_ns);
}

void timer_cancel(struct timer *t)
{
    if (t->link)
        unlink(t);
}

static void timer_interrupt(void)
{
    struct percpu *cpu = this_cpu();
    u64 now = clock_ns();

    cpu->timer_hw_ns = 1; /* earlier than any: arming from a handler waits for the end here */
    for (struct timer *t = cpu->timers; t && t->deadline_ns <= now; t = cpu->timers) {
        unlink(t);
        t->fn(t);
    }
    cpu->timer_hw_ns = 0;
    if (cpu->timers)
        program(cpu, cpu->timers->deadline_ns);
}

/*
 * Whether the timer goes by the TSC as it is read: one that leaves out what the TSC has been moved
 * by fires at once, or never. A deadline in 16 us tells; interrupts are off, and its own comes when
 * they are on, for nothing.
 */
COLD static bool deadline_is_met(void)
{
    u64 deadline = cpu_rdtsc() + clock_tsc_khz() / 64, now;
    bool fired;

    lapic_timer_deadline(deadline);
    do {
        fired = lapic_timer_pending();
        now = cpu_rdtsc();
    } while (!fired && now < deadline + clock_tsc_khz());
    return fired && now >= deadline;
}

void timer_init(void)
{
    struct percpu *cpu = this_cpu();

    irq_set_handler(VEC_TIMER, timer_interrupt);
    lapic_timer_mode(lapic_has_deadline());
    cpu->timer_deadline = lapic_has_deadline() && deadline_is_met();
    if (!cpu->timer_deadline)
        lapic_timer_mode(false);
}
