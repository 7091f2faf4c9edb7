/* SPDX-License-Identifier: BSD-2-Clause */
/* A VM's worth of local APICs for the tests, with what they call out recorded. */
#ifndef TESTS_UNIT_LAPIC_BENCH_H
#define TESTS_UNIT_LAPIC_BENCH_H

#include "tests/unit/dev_board.h"
#include "vmm/dev/vlapic.h"

#define TSC_KHZ 2500000u /* 2.5 ticks a nanosecond */

struct lapic_cpu {
    struct vlapic l;
    u32 page[1024] ALIGNED(4096);
    unsigned kicks, eois, timer_changes;
    u8 eoi_vector;
};

struct lapic_bench {
    u64 now;
    unsigned count;
    struct vlapic_group group;
    struct lapic_cpu cpu[VLAPIC_MAX];
};

static inline void bench_kick(void *arg)
{
    ((struct lapic_cpu *)arg)->kicks++;
}

static inline void bench_eoi(void *arg, u8 vector)
{
    ((struct lapic_cpu *)arg)->eois++;
    ((struct lapic_cpu *)arg)->eoi_vector = vector;
}

static inline void bench_timer(void *arg)
{
    ((struct lapic_cpu *)arg)->timer_changes++;
}

static const struct vlapic_ops bench_ops = {bench_kick, bench_eoi};

static inline struct lapic_bench *bench_new(unsigned count)
{
    void *mem = NULL;
    struct lapic_bench *t;

    if (posix_memalign(&mem, 4096, sizeof(*t)))
        abort();
    t = memset(mem, 0, sizeof(*t));
    t->now = NS_S;
    t->count = count;
    for (unsigned i = 0; i < count; i++) {
        struct vlapic_config c = {
            .id = i,
            .page = t->cpu[i].page,
            .group = &t->group,
            .ops = &bench_ops,
            .arg = &t->cpu[i],
            .timer = {bench_timer, &t->cpu[i]},
            .tsc_khz = TSC_KHZ,
            .x2apic = true,
            .bsp = i == 0,
            .phys_bits = 40,
        };

        assert_int_equal(vlapic_init(&t->cpu[i].l, &c), OK);
    }
    return t;
}

static inline u32 rd(struct lapic_bench *t, unsigned cpu, unsigned reg)
{
    struct bus_access acc = {.addr = VLAPIC_GPA + 16 * reg, .size = 4, .now_ns = t->now};

    vlapic_mmio(&t->cpu[cpu].l, &acc);
    assert_int_equal(acc.value >> 32, 0);
    return (u32)acc.value;
}

static inline void wr(struct lapic_bench *t, unsigned cpu, unsigned reg, u32 value)
{
    struct bus_access acc = {
        .addr = VLAPIC_GPA + 16 * reg, .size = 4, .write = true, .value = value, .now_ns = t->now};

    vlapic_mmio(&t->cpu[cpu].l, &acc);
}

/* Enabled, and taking logical interrupts at bit `cpu` of the flat model. */
static inline void enable_all(struct lapic_bench *t)
{
    for (unsigned i = 0; i < t->count; i++) {
        wr(t, i, APIC_SVR, 0x1ff);
        wr(t, i, APIC_LDR, 0x01000000u << (i & 7));
    }
}

static inline bool x2apic_on(struct lapic_bench *t, unsigned cpu)
{
    return vlapic_write_base(&t->cpu[cpu].l, vlapic_read_base(&t->cpu[cpu].l) | APIC_BASE_X2APIC);
}

static inline bool wrmsr(struct lapic_bench *t, unsigned cpu, unsigned reg, u64 value)
{
    return vlapic_write_msr(&t->cpu[cpu].l, MSR_X2APIC_BASE + reg, t->now, value);
}

static inline bool rdmsr(struct lapic_bench *t, unsigned cpu, unsigned reg, u64 *value)
{
    return vlapic_read_msr(&t->cpu[cpu].l, MSR_X2APIC_BASE + reg, t->now, value);
}

/* Lets the processor take what it is offered; -1 if that is nothing. */
static inline int take(struct lapic_bench *t, unsigned cpu)
{
    int v = vlapic_pending(&t->cpu[cpu].l);

    if (v >= 0)
        vlapic_ack(&t->cpu[cpu].l, (u8)v);
    return v;
}

static inline void tick(struct lapic_bench *t, unsigned cpu)
{
    vlapic_tick(&t->cpu[cpu].l, t->now);
}

/* Four of them, enabled: setup and teardown of a test. */
static inline int bench_of_4(void **state)
{
    *state = bench_new(4);
    enable_all(*state);
    return 0;
}

static inline int bench_free(void **state)
{
    free(*state);
    return 0;
}

static inline u32 events(struct lapic_bench *t, unsigned cpu)
{
    return vlapic_take_events(&t->cpu[cpu].l);
}

#endif
