/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When interrupts are let in: by HLT and MWAIT, behind STI, POPF and MOV SS (SDM 3, 6.8; 2, HLT,
 * MWAIT, STI).
 */
#include "guests/check/irq.h"

static void irq_hlt_wakes(void)
{
    u32 ms = irq_timer_ms(1);

    irq_begin();
    for (u32 i = 1; i <= 20; i++) {
        irq_timer_set(APIC_TIMER_ONE_SHOT, ms);
        cpu_sti_hlt();
        cpu_cli();
        EXPECT(irq_count[VECTOR] == i, "HLT %u ended with %u interrupts", i, irq_count[VECTOR]);
    }
}

/* Already pending when STI; HLT begins. */
static void irq_hlt_pending(void)
{
    irq_begin();
    irq_self(VECTOR);
    cpu_sti_hlt();
    cpu_cli();
    EXPECT_EQ(irq_count[VECTOR], 1);
}

static void irq_sti_shadow(void)
{
    irq_begin();
    irq_self(VECTOR);
    asm volatile("sti\n cli" : : : "memory");
    EXPECT_EQ(irq_count[VECTOR], 0);
    asm volatile("sti\n nop\n cli" : : : "memory");
    EXPECT_EQ(irq_count[VECTOR], 1);
}

/* Nor do interrupts get in if the hypervisor is there between the two instructions. */
static void irq_sti_shadow_kept(void)
{
    u32 counts = irq_timer_ms(1) / 20;
    u64 start;

    irq_begin();
    irq_timer_set(APIC_TIMER_PERIODIC, counts);
    for (start = rdtsc(); rdtsc() - start < 50ull * tsc_khz;)
        for (unsigned i = 0; i < 100; i++)
            asm volatile("sti\n cli" : : : "memory");
    irq_timer_set(APIC_LVT_MASKED, 0);
    EXPECT_EQ(irq_count[VECTOR], 0);
    asm volatile("sti\n nop\n cli" : : : "memory");
    EXPECT_EQ(irq_count[VECTOR], 1);
}

/* So none comes before the HLT, which would sleep through it; whenever it is due. */
SNIPPET(sti_hlt, "sti\n hlt\n", "cli");

static volatile ulong first_ip;

static void on_wake(struct trap_frame *f)
{
    first_ip = first_ip ? first_ip : f->ip;
    apic_eoi();
}

static void irq_sti_hlt(void)
{
    u32 counts = irq_timer_ms(1) / 20, early = 0, rounds = 0;
    u64 start;

    irq_begin();
    trap_set(VECTOR, on_wake);
    irq_timer_set(APIC_TIMER_PERIODIC, counts);
    for (start = rdtsc(); rdtsc() - start < 50ull * tsc_khz; rounds++) {
        for (unsigned i = 0; i < rounds % 64; i++)
            cpu_pause();
        first_ip = 0;
        sti_hlt(NULL);
        early += first_ip != (ulong)sti_hlt_at;
    }
    irq_timer_set(APIC_LVT_MASKED, 0);
    EXPECT(rounds > 0, "no interrupt came");
    EXPECT_EQ(early, 0);
}

static volatile u32 faults, steps;

static void on_fault(struct trap_frame *f)
{
    faults++;
    steps += f->flags & FLAG_TF ? 1 : 0;
    f->ip += 2;
    f->flags &= ~(ulong)FLAG_IF;
}

/* The same where the second one faults: it is not seen that somebody may have stepped over it. */
static void irq_sti_shadow_fault(void)
{
    u32 counts = irq_timer_ms(1) / 20;
    u64 start;

    irq_begin();
    faults = steps = 0;
    trap_set(EXC_UD, on_fault);
    irq_timer_set(APIC_TIMER_PERIODIC, counts);
    for (start = rdtsc(); rdtsc() - start < 50ull * tsc_khz;)
        asm volatile("sti\n ud2" : : : "memory");
    irq_timer_set(APIC_LVT_MASKED, 0);
    EXPECT(faults > 0, "UD2 did not fault");
    EXPECT_EQ(steps, 0);
    EXPECT_EQ(irq_count[VECTOR], 0);
}

/* The shadow also covers an instruction that leaves for the hypervisor, and ends with it. */
SNIPPET(sti_cpuid, "push " REG(bx) "\n xor %eax, %eax\n xor %ecx, %ecx\n sti\n cpuid\n",
        "cli\n pop " REG(bx));
SNIPPET(sti_in, "mov $0x80, %edx\n sti\n in %dx, %al\n", "cli");

static void irq_sti_shadow_exit(void)
{
    irq_begin();
    irq_self(VECTOR);
    sti_cpuid(NULL);
    EXPECT_EQ(irq_count[VECTOR], 1);
    EXPECT_EQ(irq_last_ip, (ulong)sti_cpuid_at);
    irq_self(VECTOR);
    sti_in(NULL);
    EXPECT_EQ(irq_count[VECTOR], 2);
    EXPECT_EQ(irq_last_ip, (ulong)sti_in_at);
}

SNIPPET(popf_window, "push $0x202\n popf\n", "nop\n cli");

static void irq_popf_window(void)
{
    irq_begin();
    irq_self(VECTOR);
    popf_window(NULL);
    EXPECT_EQ(irq_count[VECTOR], 1);
    EXPECT_EQ(irq_last_ip, (ulong)popf_window_at);
}

/* MOV SS holds back a single-step trap until behind the next instruction. */
SNIPPET(step_mov_ss,
        "mov %ss, %ecx\n pushf\n orl $0x100, (" REG(sp) ")\n popf\n mov %ecx, %ss\n nop\n", "nop");

static void irq_mov_ss_shadow(void)
{
    EXPECT_TRAP(step_mov_ss, NULL, EXC_DB, 0, step_mov_ss_at);
}

SNIPPET(do_monitor, ARG "xor %ecx, %ecx\n xor %edx, %edx", "monitor");
SNIPPET(do_mwait, "xor %eax, %eax\n xor %ecx, %ecx", "mwait");
SNIPPET(do_sti_mwait, "xor %eax, %eax\n xor %ecx, %ecx", "sti\n mwait\n cli");

static void monitor_mwait(void)
{
    u32 ms = irq_timer_ms(1);

    if (!cpu_has_1_ecx(CPUID1_ECX_MONITOR)) {
        EXPECT_TRAP(do_monitor, scratch[0], EXC_UD, 0, do_monitor_at);
        EXPECT_TRAP(do_mwait, NULL, EXC_UD, 0, do_mwait_at);
        return;
    }
    irq_begin();
    EXPECT_TRAP(do_monitor, scratch[0], -1, 0, NULL);
    irq_timer_set(APIC_TIMER_ONE_SHOT, ms);
    EXPECT_TRAP(do_sti_mwait, NULL, -1, 0, NULL);
    EXPECT(wait_count(&irq_count[VECTOR], 1, 100), "the timer never came");
}

static const struct check list[] = {
    {"irq_hlt_wakes", irq_hlt_wakes, ANYWHERE},
    {"irq_hlt_pending", irq_hlt_pending, ANYWHERE},
    {"irq_sti_shadow", irq_sti_shadow, ANYWHERE},
    {"irq_sti_shadow_kept", irq_sti_shadow_kept, ANYWHERE},
    {"irq_sti_hlt", irq_sti_hlt, ANYWHERE},
    {"irq_sti_shadow_fault", irq_sti_shadow_fault, ANYWHERE},
    {"irq_sti_shadow_exit", irq_sti_shadow_exit, ANYWHERE},
    {"irq_popf_window", irq_popf_window, ANYWHERE},
    {"irq_mov_ss_shadow", irq_mov_ss_shadow, ANYWHERE},
    {"monitor_mwait", monitor_mwait, ANYWHERE},
};
CHECK_GROUP(irq_windows, list);
