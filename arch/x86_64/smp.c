/* SPDX-License-Identifier: BSD-2-Clause */
/* Starting the other processors, one at a time. SDM 3, 8.4.4. */
#include "arch/x86_64/smp.h"
#include "arch/x86_64/acpi.h"
#include "arch/x86_64/clock.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/fpu.h"
#include "arch/x86_64/lapic.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/paging.h"
#include "arch/x86_64/percpu.h"
#include "arch/x86_64/timer.h"
#include "arch/x86_64/trap.h"
#include "lib/log.h"
#include "lib/string.h"

#define ICR_INIT    0x4500 /* INIT, assert */
#define ICR_STARTUP 0x4600 /* start-up; the vector is the page number */

#define INIT_WAIT_US   10000
#define SIPI_WAIT_US   200
#define START_LIMIT_US 1000000
#define LOW_HALF       256  /* entries of a root for the lower half of the addresses */
#define IDENTITY_2M    0x83 /* address 0, large, writable, present */
#define TSC_SKEW_NS    100000

static struct {
    void (*entry)(void);
    u32 arrived; /* id of the processor that has just come up */
    bool go;     /* all are there */
    u64 tsc;     /* the newcomer's, as it arrived */
} smp;

/* The new processor's first C function, on its own stack. */
static NORETURN void ap_main(struct percpu *cpu)
{
    paging_enable(&host_pt);
    percpu_enter(cpu);
    trap_load();
    lapic_init();
    fpu_init();
    timer_init();
    smp.tsc = cpu_rdtsc();
    __atomic_store_n(&smp.arrived, cpu->id, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&smp.go, __ATOMIC_ACQUIRE))
        cpu_pause();
    smp.entry();
    __builtin_unreachable();
}

/* The boot tables get the hypervisor's own half, and at the bottom the trampoline's surroundings.
 */
static void lend_tables(void)
{
    const u64 *root = direct_ptr(host_pt.root);

    memset(boot_pdpt_low, 0, PAGE_SIZE);
    memset(boot_pd_low, 0, PAGE_SIZE);
    boot_pd_low[0] = IDENTITY_2M;
    boot_pdpt_low[0] = direct_hpa(boot_pd_low) | 3;
    memset(boot_pml4, 0, PAGE_SIZE);
    boot_pml4[0] = direct_hpa(boot_pdpt_low) | 3;
    memcpy(boot_pml4 + LOW_HALF, root + LOW_HALF, PAGE_SIZE / 2);
}

static struct trampoline_args *place_trampoline(hpa_t tramp)
{
    struct trampoline_args *args = direct_ptr(tramp);

    memcpy(args, trampoline, (u64)trampoline_end - (u64)trampoline);
    args->cr3 = (u32)direct_hpa(boot_pml4);
    args->base = (u32)tramp;
    args->entry = (u64)ap_main;
    return args;
}

static bool has_arrived(u32 id)
{
    return __atomic_load_n(&smp.arrived, __ATOMIC_ACQUIRE) == id;
}

/* Bounded, in steps, so that a processor that is there costs no more than it takes. */
static bool wait_for(u32 id, u32 us)
{
    for (u32 t = 0; t < us && !has_arrived(id); t += 10)
        clock_delay_us(10);
    return has_arrived(id);
}

static bool kick_awake(u32 id, u32 apic_id, hpa_t tramp)
{
    u32 page = (u32)(tramp >> PAGE_SHIFT);

    lapic_icr(ICR_INIT, apic_id);
    clock_delay_us(INIT_WAIT_US);
    lapic_icr(ICR_STARTUP | page, apic_id);
    if (wait_for(id, SIPI_WAIT_US))
        return true;
    lapic_icr(ICR_STARTUP | page, apic_id);
    return wait_for(id, START_LIMIT_US);
}

/* The clock is one for all CPUs only if their counters run together. */
static void check_tsc(u32 id, u64 before)
{
    u64 after = cpu_rdtsc(), slack = clock_ns_to_tsc(TSC_SKEW_NS);

    if (smp.tsc + slack < before || smp.tsc > after + slack)
        log_warn("the time-stamp counter of CPU %u is %ld us off: time will jump there", id,
                 (s64)(smp.tsc - after) / (s64)MAX(clock_tsc_khz() / 1000, 1u));
}

static bool start_one(struct trampoline_args *args, hpa_t tramp, u32 id, u32 apic_id)
{
    struct percpu *cpu = percpu_make(id, apic_id);
    u64 before = cpu_rdtsc();

    if (!cpu) {
        log_error("no memory for CPU %u", id);
        return false;
    }
    args->stack_top = cpu->stack_top;
    args->cpu = (u64)cpu;
    if (!kick_awake(id, apic_id, tramp)) {
        log_error("the processor with APIC ID %u does not start: skep runs without it", apic_id);
        lapic_icr(ICR_INIT, apic_id); /* it must not come to life later */
        return false;
    }
    check_tsc(id, before);
    percpu_online(id);
    return true;
}

void smp_start(const struct acpi_info *acpi, hpa_t tramp, void (*entry)(void))
{
    struct trampoline_args *args;
    u32 id = 1;

    if (acpi->cpu_count < 2)
        return;
    smp.entry = entry;
    lend_tables();
    args = place_trampoline(tramp);
    for (u32 i = 0; i < acpi->cpu_count; i++) {
        if (acpi->cpu_apic[i] == this_cpu()->apic_id)
            continue;
        if (id == MAX_CPUS) {
            log_warn("skep uses the first %u processors only", MAX_CPUS);
            break;
        }
        if (acpi->cpu_apic[i] > 0xfe && !lapic_x2apic())
            log_warn("the processor with APIC ID %u needs x2APIC mode", acpi->cpu_apic[i]);
        else if (start_one(args, tramp, id, acpi->cpu_apic[i]))
            id++;
    }
    boot_pml4[0] = 0;
    __atomic_store_n(&smp.go, true, __ATOMIC_RELEASE);
}
