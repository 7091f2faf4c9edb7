/* SPDX-License-Identifier: BSD-2-Clause */
/* Starting processors and giving them work (SDM 3, 8.4.4). */
#include "guests/lib/smp.h"
#include "guests/lib/acpi.h"
#include "guests/lib/apic.h"
#include "guests/lib/pit.h"
#include "guests/lib/trap.h"
#include "lib/string.h"

#define TRAMPOLINE   0x8000ul /* below 1 MiB, page-aligned: SIPI vector 0x08 */
#define STACK_SIZE   16384
#define START_WAIT   200000000ull /* TSC ticks until a processor is given up */
#define SIPI_WAIT_US 200

struct cpu {
    u32 apic_id;
    volatile bool up;
    void (*volatile fn)(void *);
    void *volatile arg;
};

extern u8 smp_trampoline[], smp_trampoline_end[];
extern volatile u32 smp_ap_cpu, smp_ap_stack;

/* What a 32-bit flavour's processor loads when the first one has paging on. */
ulong smp_cr0, smp_cr3, smp_cr4;

static struct cpu cpus[MAX_GUEST_CPUS];
static unsigned cpu_count;
static u8 stacks[MAX_GUEST_CPUS][STACK_SIZE] ALIGNED(16);

NORETURN void smp_ap_start(ulong cpu)
{
    struct cpu *c = &cpus[cpu];

    trap_init((unsigned)cpu);
    c->up = true;
    for (;;) {
        while (!c->fn)
            cpu_pause();
        c->fn(c->arg);
        __sync_synchronize();
        c->fn = NULL;
    }
}

bool smp_restart(unsigned cpu)
{
    struct cpu *c = &cpus[cpu];
    u64 start;

    c->up = false;
    c->fn = NULL;
    memcpy((void *)TRAMPOLINE, smp_trampoline, (size_t)(smp_trampoline_end - smp_trampoline));
    smp_ap_cpu = cpu;
    smp_ap_stack = (u32)(ulong)(stacks[cpu] + STACK_SIZE);
    smp_cr0 = cr0_read();
    smp_cr4 = cr4_read();
    smp_cr3 = smp_cr0 & CR0_PG ? cr3_read() : 0;
    __sync_synchronize();
    apic_icr(c->apic_id, ICR_INIT | ICR_ASSERT | ICR_LEVEL);
    apic_icr(c->apic_id, ICR_INIT | ICR_LEVEL);
    pit_wait_us(10000);
    start = rdtsc();
    for (unsigned sipi = 0; sipi < 2 && !c->up; sipi++) {
        apic_icr(c->apic_id, ICR_STARTUP | ICR_ASSERT | (u32)(TRAMPOLINE >> 12));
        pit_wait_us(SIPI_WAIT_US);
    }
    while (!c->up && rdtsc() - start < START_WAIT)
        cpu_pause();
    return c->up;
}

unsigned smp_start(void)
{
    struct acpi_madt madt;
    u32 self = apic_id();

    if (cpu_count)
        return cpu_count;
    acpi_read_madt(&madt);
    cpus[0].apic_id = self;
    cpu_count = 1;
    for (unsigned i = 0; i < madt.cpu_count && cpu_count < MAX_GUEST_CPUS; i++) {
        if (madt.apic_id[i] == self)
            continue;
        cpus[cpu_count].apic_id = madt.apic_id[i];
        if (smp_restart(cpu_count))
            cpu_count++;
    }
    return cpu_count;
}

u32 smp_apic_id(unsigned cpu)
{
    return cpus[cpu].apic_id;
}

void smp_call(unsigned cpu, void (*fn)(void *), void *arg)
{
    cpus[cpu].arg = arg;
    __sync_synchronize();
    cpus[cpu].fn = fn;
}

void smp_wait(unsigned cpu)
{
    while (cpus[cpu].fn)
        cpu_pause();
}

bool smp_wait_for(unsigned cpu, u64 ticks)
{
    u64 start = rdtsc();

    while (cpus[cpu].fn) {
        if (rdtsc() - start > ticks)
            return false;
        cpu_pause();
    }
    return true;
}
