/* SPDX-License-Identifier: BSD-2-Clause */
/* All other processors at one function each. */
#include "guests/check/team.h"

#define WAKE_VECTOR 0x64 /* gets a processor out of HLT to see that it is to stop */

unsigned team_cpus;
volatile bool team_stop;

static volatile u32 ready;

static void on_wake(struct trap_frame *f)
{
    (void)f;
    apic_eoi();
}

bool team_wait(const volatile u32 *p, u32 n)
{
    return wait_count(p, n, TEAM_WAIT_MS);
}

void team_ready(void)
{
    __sync_fetch_and_add(&ready, 1);
}

bool team_wait_ready(u32 n)
{
    return team_wait(&ready, n);
}

bool team_begin(void (*fn)(void *))
{
    team_cpus = smp_start();
    if (team_cpus < 2) {
        check_skip("one processor");
        return false;
    }
    ready = 0;
    team_stop = false;
    trap_set(WAKE_VECTOR, on_wake);
    for (unsigned c = 1; c < team_cpus; c++)
        smp_call(c, fn, NULL);
    return true;
}

bool team_begin_ready(void (*fn)(void *))
{
    if (!team_begin(fn))
        return false;
    if (team_wait_ready(team_cpus - 1))
        return true;
    check_fail("%u of %u processors are ready", ready, team_cpus - 1);
    return false;
}

void team_end(void)
{
    team_stop = true;
    for (unsigned c = 1; c < team_cpus; c++) {
        u64 start = rdtsc();

        while (!smp_wait_for(c, tsc_khz * 10)) {
            apic_icr(smp_apic_id(c), ICR_FIXED | ICR_ASSERT | WAKE_VECTOR);
            if (rdtsc() - start > tsc_khz * TEAM_WAIT_MS) {
                check_fail("processor %u does not come back", c);
                return;
            }
        }
    }
}
