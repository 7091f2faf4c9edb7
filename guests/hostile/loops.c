/* SPDX-License-Identifier: BSD-2-Clause */
/* Work without end: loops of exceptions, huge REP counts, floods of interrupts, and sudden death.
 */
#include "guests/hostile/hostile.h"

static void triple(void)
{
    idt_load(NULL, 0);
    asm volatile("ud2");
}

/* Delivering #DB writes where the breakpoint is: #DB again, at once and for ever (CVE-2015-8104).
 */
static u64 watched[512] ALIGNED(4096);
SNIPPET(db_on_stack, ARG "mov " REG(sp) ", " REG(cx) "\n mov " REG(ax) ", " REG(sp) "\n push " REG(
                         cx) "\n nop\n nop\n mov " REG(cx) ", " REG(sp));

static void ignore(struct trap_frame *f)
{
    f->flags |= FLAG_RF;
}

static void db_loop(void)
{
    ulong top = (ulong)(watched + 256);

    watchdog();
    trap_set(EXC_DB, ignore);
    for (unsigned i = 0; i < 4; i++) { /* wherever the frame of the exception goes */
        ulong at = top - (2 + 2 * i) * sizeof(ulong);

        if (i == 0)
            dr0_write(at);
        else if (i == 1)
            dr1_write(at);
        else if (i == 2)
            dr2_write(at);
        else
            dr3_write(at);
    }
    dr7_write(0xdddd04ff); /* all four: writes of 4 bytes */
    db_on_stack((void *)top);
    dr7_write(0x400);
}

/* Every instruction traps, the handler's too. */
static void step_loop(void)
{
    trap_set(EXC_DB, ignore);
    flags_write(flags_read() | (ulong)FLAG_TF);
    for (unsigned i = 0; i < 10000; i++) {
        cpuid(0, 0);
        in8(0x80);
    }
    flags_write(flags_read() & ~(ulong)FLAG_TF);
}

/* An exception whose handler is the instruction that raised it. */
void loop_ud(void);
asm(".pushsection .text\nloop_ud:\n ud2\n.popsection\n");

static void ud_loop(void)
{
    watchdog();
    trap_set_raw(EXC_UD, loop_ud);
    loop_ud();
}

/* Page faults on a page that is never there. */
static void repeat(struct trap_frame *f)
{
    (void)f;
}

static void pf_loop(void)
{
    watchdog();
    paging_map(TEST_GLA, 0, 0);
    trap_set(EXC_PF, repeat);
    mmio_read32(TEST_GLA);
}

static void halt_deaf(void)
{
    watchdog();
    cpu_cli();
    for (;;)
        cpu_hlt();
}

static void spin(void)
{
    watchdog();
    cpu_cli();
    for (;;)
        ;
}

/* REP with counts beyond all bounds: a timer's interrupt must get in. */
static void rep_out(void *arg)
{
    ulong si = (ulong)arg;
    ulong n = ~0ul;

    cpu_sti();
    asm volatile("rep outsb" : "+S"(si), "+c"(n) : "d"((u16)0x80) : "memory");
}

static void rep_in(void *arg)
{
    ulong di = (ulong)arg;
    ulong n = ~0ul;

    cpu_sti();
    asm volatile("rep insl" : "+D"(di), "+c"(n) : "d"((u16)0x5f0) : "memory");
}

static void rep_stos(void *arg)
{
    ulong di = (ulong)arg;
    ulong n = ~0ul;

    cpu_sti();
    asm volatile("rep stosb" : "+D"(di), "+c"(n) : "a"(0) : "memory");
}

static void rep_movs(void *arg)
{
    ulong si = (ulong)arg;
    ulong di = 0xff008000ul;
    ulong n = ~0ul;

    cpu_sti();
    asm volatile("rep movsb" : "+S"(si), "+D"(di), "+c"(n) : : "memory");
}

static void rep_scas(void *arg)
{
    ulong di = (ulong)arg;
    ulong n = ~0ul;

    cpu_sti();
    asm volatile("repne scasb" : "+D"(di), "+c"(n) : "a"(0x5a) : "memory", "cc");
}

static void rep_huge(void)
{
    paging_map(TEST_GLA, (ulong)scratch[0], PTE_P | PTE_W);
    for (unsigned i = 0; i < 5; i++) {
        print("out %d\n", dare_for(5, rep_out, (void *)0x100000));
        print("in %d\n", dare_for(5, rep_in, (void *)TEST_GLA));
        print("stos %d\n", dare_for(5, rep_stos, (void *)(TESTDEV_MMIO + 0x10)));
        print("movs %d\n", dare_for(5, rep_movs, (void *)TESTDEV_MMIO));
        print("scas %d\n", dare_for(5, rep_scas, (void *)0xfd000000ul));
        cpu_cli();
    }
}

#define FLOOD 5000
static volatile u32 nested;

static void resend(struct trap_frame *f)
{
    (void)f;
    apic_eoi();
    if (++nested < FLOOD)
        apic_icr(apic_id(), ICR_FIXED | ICR_ASSERT | 0x55);
}

/* Each interrupt sends the next: nothing else gets on, here. */
static void ipi_flood(void)
{
    trap_set(0x55, resend);
    apic_icr(apic_id(), ICR_FIXED | ICR_ASSERT | 0x55);
    while (nested < FLOOD) {
        cpu_sti();
        cpu_pause();
        cpu_cli();
    }
}

static void renmi(struct trap_frame *f)
{
    (void)f;
    if (++nested < FLOOD)
        apic_icr(apic_id(), ICR_NMI | ICR_ASSERT);
}

static void nmi_flood(void)
{
    trap_set(EXC_NMI, renmi);
    apic_icr(apic_id(), ICR_NMI | ICR_ASSERT);
    while (nested < FLOOD)
        cpu_pause();
}

/* A timer that is always due: a slow processor does nothing else until it stops. */
static volatile u32 ticks;

static void tick(struct trap_frame *f)
{
    (void)f;
    if (++ticks == FLOOD)
        apic_write(APIC_TIMER_INITIAL, 0);
    apic_eoi();
}

static void timer_flood(void)
{
    u64 start = rdtsc();

    trap_set(0x56, tick);
    apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_1);
    apic_write(APIC_LVT_TIMER, APIC_TIMER_PERIODIC | 0x56);
    apic_write(APIC_TIMER_INITIAL, 1);
    pit_start(PIT_RATE, 2);
    while (rdtsc() - start < tsc_khz * 100) {
        cpu_sti();
        cpu_pause();
        cpu_cli();
    }
    apic_write(APIC_TIMER_INITIAL, 0);
    print("%u ticks\n", ticks);
}

/* The other processor rewrites the instruction that this one has emulated (CVE-2011-1780). */
static u8 code[4096] ALIGNED(4096);
static volatile bool stop;

static void rewrite(void *arg)
{
    static const u32 insns[] = {
        0xc390018b,             /* mov (ecx), eax; nop; ret */
        0xc3900189,             /* mov eax, (ecx) */
        0xc3909090, 0xc3900b0f, /* ud2 */
        0xc39090ec,             /* in dx, al */
        0xc39090f4,             /* hlt */
    };

    (void)arg;
    for (u32 i = 0; !stop; i++)
        *(volatile u32 *)code = insns[i % ARRAY_SIZE(insns)];
}

static void run_code(void *arg)
{
    ulong c = APIC_MMIO + APIC_TPR;
    ulong a = 0;

    (void)arg;
    cpu_sti();
    for (unsigned i = 0; i < 100; i++)
        asm volatile("call *%3" : "+c"(c), "+a"(a) : "d"(0x80), "r"(code) : "memory", "cc");
    cpu_cli();
}

static void race(void)
{
    if (smp_start() < 2) {
        print("one processor: no race\n");
        return;
    }
    code[0] = 0xc3;
    smp_call(1, rewrite, NULL);
    for (unsigned i = 0; i < 500; i++) {
        dare_for(1, run_code, NULL);
        cpu_cli();
    }
    stop = true;
    smp_wait(1);
}

static const struct deed list[] = {
    {"triple", triple, DIES},
    {"db_loop", db_loop, ANYTHING}, /* QEMU misses breakpoints on what a delivery writes */
    {"step_loop", step_loop, RETURNS},
    {"ud_loop", ud_loop, DIES}, /* the stack runs out */
    {"pf_loop", pf_loop, LOOPS},
    {"halt_deaf", halt_deaf, LOOPS},
    {"spin", spin, LOOPS},
    {"rep_huge", rep_huge, RETURNS},
    {"ipi_flood", ipi_flood, RETURNS},
    {"nmi_flood", nmi_flood, RETURNS},
    {"timer_flood", timer_flood, RETURNS},
    {"race", race, ANYTHING}, /* QEMU fetches byte by byte: it may execute half of each */
};
const struct deed_list deeds_loops = {list, ARRAY_SIZE(list)};
