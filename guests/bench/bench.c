/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench: what single operations cost, in TSC ticks, an empty sample subtracted. On Bochs and on
 * QEMU with -icount a tick is an instruction. Prints "BENCH name mean min count" a line when all
 * samples of that line have been taken, and "BENCH done" at the end.
 *
 * Word on the command line: only=NAME runs that line alone.
 */
#include "guests/lib/acpi.h"
#include "guests/lib/apic.h"
#include "guests/lib/boot.h"
#include "guests/lib/console.h"
#include "guests/lib/guest.h"
#include "guests/lib/smp.h"
#include "guests/lib/trap.h"
#include "lib/string.h"

#define BENCH_VECTOR  0x50
#define REMOTE_VECTOR 0x51
#define WAIT_TICKS    1000 /* what HLT waits for its timer */
#define TOUCH_STRIDE  4096
#define TOUCH_COUNT   1024
#define LARGE_STRIDE  (2 * MIB)
#define LARGE_COUNT   16

struct bench {
    const char *name;
    unsigned count;
    bool (*setup)(void); /* NULL: none; false: this machine cannot do it */
    u64 (*sample)(void);
    void (*finish)(void);
};

extern volatile u64 bench_irq_tsc;
void bench_irq(void);
void bench_irq_x2(void);

static u16 timer_port;
static u32 wait_count; /* local APIC timer counts in WAIT_TICKS */
static volatile u8 *touch_at;
static u64 empty_mean;
static u64 empty_min;

static u64 less(u64 a, u64 b)
{
    return a > b ? a - b : 0;
}

static ALWAYS_INLINE u64 now(void)
{
    asm volatile("lfence" : : : "memory");
    return rdtsc();
}

/* A sample is the time that a statement takes. */
#define SAMPLE(name, statement)                                                                    \
    static u64 sample_##name(void)                                                                 \
    {                                                                                              \
        u64 start = now();                                                                         \
                                                                                                   \
        statement;                                                                                 \
        return now() - start;                                                                      \
    }

SAMPLE(empty, (void)0)
SAMPLE(null_exit, out8(0x80, 0))
SAMPLE(cpuid, cpuid(0, 0))
SAMPLE(rdmsr, rdmsr(MSR_APIC_BASE))
SAMPLE(in_timer, in32(timer_port))
SAMPLE(in_pit, in8(0x40))
SAMPLE(in_uart, in8(COM1 + 5))
SAMPLE(lapic_id, mmio_read32(APIC_MMIO + APIC_ID))
SAMPLE(lapic_tpr, mmio_write32(APIC_MMIO + APIC_TPR, 0))
SAMPLE(lapic_eoi, mmio_write32(APIC_MMIO + APIC_EOI, 0))
SAMPLE(cr8, asm volatile("mov %0, %%cr8" : : "r"(0ul) : "memory"))
SAMPLE(x2apic_id, rdmsr(MSR_X2APIC_BASE + APIC_ID / 16))
SAMPLE(x2apic_tpr, wrmsr(MSR_X2APIC_BASE + APIC_TPR / 16, 0))
SAMPLE(ioapic, ioapic_read(IOAPIC_VERSION))

static u64 touch(u64 stride)
{
    u64 start = now();
    u64 ticks;

    *touch_at = 1;
    ticks = now() - start;
    touch_at += stride;
    return ticks;
}

static u64 sample_touch(void)
{
    return touch(TOUCH_STRIDE);
}

static u64 sample_touch_large(void)
{
    return touch(LARGE_STRIDE);
}

static bool setup_touch_first(void)
{
    touch_at = (volatile u8 *)boot_take_memory(TOUCH_COUNT * TOUCH_STRIDE, LARGE_STRIDE);
    return touch_at != NULL;
}

/* The same pages again; alone (only=), it touches them first itself. */
static bool setup_touch_second(void)
{
    if (!touch_at) {
        if (!setup_touch_first())
            return false;
        for (unsigned i = 0; i < TOUCH_COUNT; i++)
            touch(TOUCH_STRIDE);
    }
    touch_at -= (u64)TOUCH_COUNT * TOUCH_STRIDE;
    return true;
}

static bool setup_touch_large(void)
{
    touch_at = (volatile u8 *)boot_take_memory(LARGE_COUNT * LARGE_STRIDE, LARGE_STRIDE);
    return touch_at != NULL;
}

static bool setup_timer_port(void)
{
    bool wide;

    timer_port = acpi_pm_timer(&wide);
    return timer_port != 0;
}

/* From the write of the ICR to the first instructions of the handler. */
static u64 sample_self_ipi(void)
{
    u64 start;

    bench_irq_tsc = 0;
    start = now();
    mmio_write32(APIC_MMIO + APIC_ICR, ICR_SELF | ICR_ASSERT | BENCH_VECTOR);
    while (!bench_irq_tsc)
        cpu_pause();
    return bench_irq_tsc - start;
}

static u64 sample_x2apic_self_ipi(void)
{
    u64 start;

    bench_irq_tsc = 0;
    start = now();
    wrmsr(MSR_X2APIC_BASE + APIC_SELF_IPI / 16, BENCH_VECTOR);
    while (!bench_irq_tsc)
        cpu_pause();
    return bench_irq_tsc - start;
}

static bool setup_interrupts(void)
{
    trap_set_raw(BENCH_VECTOR, apic_is_x2() ? bench_irq_x2 : bench_irq);
    cpu_sti();
    return true;
}

static void finish_interrupts(void)
{
    cpu_cli();
    trap_set_stub(BENCH_VECTOR);
    apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
}

static bool setup_hlt(void)
{
    wait_count = (u32)MAX(apic_timer_per_mega_tsc() * WAIT_TICKS / 1000000, 1u);
    trap_set_raw(BENCH_VECTOR, bench_irq);
    apic_write(APIC_LVT_TIMER, APIC_TIMER_ONE_SHOT | BENCH_VECTOR);
    return true;
}

/* From arming the timer to behind HLT, without the time that the timer is set to. */
static u64 sample_hlt(void)
{
    u64 start = now();
    u64 end;

    bench_irq_tsc = 0;
    mmio_write32(APIC_MMIO + APIC_TIMER_INITIAL, wait_count);
    do {
        cpu_sti_hlt();
        end = now();
        cpu_cli();
    } while (!bench_irq_tsc);
    return less(end - start, WAIT_TICKS);
}

static bool setup_x2apic(void)
{
    if (!cpu_has_1_ecx(CPUID1_ECX_X2APIC))
        return false;
    apic_x2_mode_on();
    return true;
}

static bool setup_x2apic_ipi(void)
{
    return setup_x2apic() && setup_interrupts();
}

/* On the other processor: waits for IPIs until told to stop. */
static volatile bool remote_ready, remote_stop;

static void remote(void *arg)
{
    (void)arg;
    apic_enable();
    cpu_sti();
    remote_ready = true;
    while (!remote_stop)
        cpu_pause();
    cpu_cli();
}

static bool setup_remote(void)
{
    if (smp_start() < 2)
        return false;
    trap_set_raw(REMOTE_VECTOR, bench_irq);
    remote_ready = remote_stop = false;
    smp_call(1, remote, NULL);
    while (!remote_ready) /* before, an IPI would be lost */
        cpu_pause();
    return true;
}

/* From the write of the ICR here to the first instructions of the handler there. */
static u64 sample_remote(void)
{
    u64 start;

    bench_irq_tsc = 0;
    mmio_write32(APIC_MMIO + APIC_ICR_HIGH, smp_apic_id(1) << 24);
    start = now();
    mmio_write32(APIC_MMIO + APIC_ICR, ICR_FIXED | ICR_ASSERT | REMOTE_VECTOR);
    while (!bench_irq_tsc)
        cpu_pause();
    return bench_irq_tsc - start;
}

static void finish_remote(void)
{
    remote_stop = true;
    smp_wait(1);
}

static const struct bench benches[] = {
    {"null_exit", 1000, NULL, sample_null_exit, NULL},
    {"cpuid", 1000, NULL, sample_cpuid, NULL},
    {"rdmsr_apic_base", 1000, NULL, sample_rdmsr, NULL},
    {"in_pm_timer", 1000, setup_timer_port, sample_in_timer, NULL},
    {"in_pit", 1000, NULL, sample_in_pit, NULL},
    {"in_uart_lsr", 1000, NULL, sample_in_uart, NULL},
    {"lapic_id", 1000, NULL, sample_lapic_id, NULL},
    {"lapic_tpr", 1000, NULL, sample_lapic_tpr, NULL},
    {"lapic_eoi", 1000, NULL, sample_lapic_eoi, NULL},
    {"cr8_write", 1000, NULL, sample_cr8, NULL},
    {"ioapic_write_read", 1000, NULL, sample_ioapic, NULL},
    {"touch_first", TOUCH_COUNT, setup_touch_first, sample_touch, NULL},
    {"touch_second", TOUCH_COUNT, setup_touch_second, sample_touch, NULL},
    {"touch_first_2m", LARGE_COUNT, setup_touch_large, sample_touch_large, NULL},
    {"self_ipi", 500, setup_interrupts, sample_self_ipi, finish_interrupts},
    {"hlt_wake", 200, setup_hlt, sample_hlt, finish_interrupts},
    {"remote_ipi", 500, setup_remote, sample_remote, finish_remote},
    /* Last: on some processors there is no way back from x2APIC mode. */
    {"x2apic_id", 1000, setup_x2apic, sample_x2apic_id, NULL},
    {"x2apic_tpr", 1000, setup_x2apic, sample_x2apic_tpr, NULL},
    {"x2apic_self_ipi", 500, setup_x2apic_ipi, sample_x2apic_self_ipi, finish_interrupts},
};

static void take(u64 (*sample)(void), unsigned count, u64 *mean, u64 *min)
{
    u64 sum = 0;

    *min = UINT64_MAX;
    for (unsigned i = 0; i < count; i++) {
        u64 ticks = sample();

        sum += ticks;
        *min = MIN(*min, ticks);
    }
    *mean = (sum + count / 2) / count;
}

static void run(const struct bench *b)
{
    u64 mean;
    u64 min;

    if (b->setup && !b->setup())
        return;
    take(b->sample, b->count, &mean, &min);
    if (b->finish)
        b->finish();
    print("BENCH %s %ju %ju %u\n", b->name, less(mean, empty_mean), less(min, empty_min), b->count);
}

static bool wanted(const char *name)
{
    char word[64];

    for (unsigned i = 0; boot_nth_word(i, word, sizeof(word)); i++)
        if (strncmp(word, "only=", 5) == 0)
            return strcmp(word + 5, name) == 0;
    return true;
}

u32 guest_main(void)
{
    apic_enable();
    ioapic_init();
    take(sample_empty, 100, &empty_mean, &empty_min);
    take(sample_empty, 1000, &empty_mean, &empty_min);
    for (unsigned i = 0; i < ARRAY_SIZE(benches); i++)
        if (wanted(benches[i].name))
            run(&benches[i]);
    print("BENCH done\n");
    return 0;
}
