/* SPDX-License-Identifier: BSD-2-Clause */
/* Per-CPU areas. */
#include "arch/x86_64/percpu.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/paging.h"
#include "lib/assert.h"
#include "lib/string.h"

/* Offsets in an area; what lies between is not mapped. */
#define AREA_STACK 0x1000
#define AREA_NMI   0x6000
#define AREA_DF    0x8000
#define AREA_MC    0xa000
_Static_assert(AREA_MC + IST_STACK_SIZE < PERCPU_STRIDE, "an area fits its stride");
_Static_assert(AREA_STACK + STACK_SIZE < AREA_NMI, "a guard page above the main stack");

static struct percpu *percpu_table[MAX_CPUS];
static unsigned percpu_count = 1;
static struct percpu percpu_boot;

extern u8 boot_stack[];

unsigned cpu_count(void)
{
    return __atomic_load_n(&percpu_count, __ATOMIC_RELAXED);
}

struct percpu *cpu_of(unsigned id)
{
    ASSERT(id < MAX_CPUS && percpu_table[id]);
    return percpu_table[id];
}

void percpu_enter(struct percpu *cpu)
{
    cpu->self = cpu;
    gdt_load(cpu);
    cpu_wrmsr(MSR_GS_BASE, (u64)cpu); /* after gdt_load, which loads GS */
}

void percpu_early(void)
{
    /* The boot stack's lower half serves the three exceptions with stacks of their own. */
    for (unsigned i = 0; i < 3; i++)
        percpu_boot.tss.ist[i] = (u64)boot_stack + PAGE_SIZE;
    percpu_table[0] = &percpu_boot;
    percpu_enter(&percpu_boot);
}

/* A stack that is there already belonged to a processor that did not start. */
static bool map_stack(u64 va, u64 size)
{
    for (u64 p = va; p < va + size; p += PAGE_SIZE) {
        hpa_t frame;
        u32 flags;

        if (paging_lookup(&host_pt, p, &frame, &flags))
            continue;
        frame = host_pt.alloc();
        if (!frame || paging_map(&host_pt, p, frame, PAGE_SIZE, MAP_W) != OK)
            return false;
    }
    return true;
}

struct percpu *percpu_make(unsigned id, u32 apic_id)
{
    u64 area = PERCPU_BASE + (u64)id * PERCPU_STRIDE;
    u64 top = area + AREA_STACK + STACK_SIZE - ALIGN_UP(sizeof(struct percpu), 64);
    struct percpu *cpu = (struct percpu *)top;

    if (!map_stack(area + AREA_STACK, STACK_SIZE) || !map_stack(area + AREA_NMI, IST_STACK_SIZE) ||
        !map_stack(area + AREA_DF, IST_STACK_SIZE) || !map_stack(area + AREA_MC, IST_STACK_SIZE))
        return NULL;
    memset(cpu, 0, sizeof(*cpu));
    cpu->self = cpu;
    cpu->id = id;
    cpu->apic_id = apic_id;
    cpu->stack_top = top;
    cpu->tss.ist[IST_NMI - 1] = area + AREA_NMI + IST_STACK_SIZE;
    cpu->tss.ist[IST_DF - 1] = area + AREA_DF + IST_STACK_SIZE;
    cpu->tss.ist[IST_MC - 1] = area + AREA_MC + IST_STACK_SIZE;
    return cpu;
}

void percpu_online(unsigned id)
{
    u64 area = PERCPU_BASE + (u64)id * PERCPU_STRIDE;

    percpu_table[id] =
        (struct percpu *)(area + AREA_STACK + STACK_SIZE - ALIGN_UP(sizeof(struct percpu), 64));
    __atomic_store_n(&percpu_count, MAX(percpu_count, id + 1), __ATOMIC_RELEASE);
}
