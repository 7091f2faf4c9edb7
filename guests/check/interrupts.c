/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts by every way there is, and when they are let in (SDM 3, 6.8, 10.5, 10.8; 8259A). */
#include "guests/check/check.h"
#include "guests/lib/pit.h"

#define VECTOR   0x60
#define VECTOR2  0x91
#define PIC_BASE 0x20

SNIPPET(do_monitor, ARG "xor %ecx, %ecx\n xor %edx, %edx", "monitor");
SNIPPET(do_mwait, "xor %eax, %eax\n xor %ecx, %ecx", "mwait");
SNIPPET(do_sti_mwait, "xor %eax, %eax\n xor %ecx, %ecx", "sti\n mwait\n cli");

static volatile u32 count[256];
static volatile u8 sequence[16];
static volatile u32 sequence_length;
static volatile ulong last_ip;

static void note(const struct trap_frame *f)
{
    count[f->vector]++;
    last_ip = f->ip;
    if (sequence_length < sizeof(sequence))
        sequence[sequence_length++] = (u8)f->vector;
}

static void on_apic(struct trap_frame *f)
{
    note(f);
    apic_eoi();
}

static void on_pic(struct trap_frame *f)
{
    note(f);
    if (f->vector >= PIC_BASE + 8)
        out8(0xa0, 0x20);
    out8(0x20, 0x20);
}

static void on_nmi(struct trap_frame *f)
{
    note(f);
}

static void begin(void)
{
    for (unsigned i = 0; i < 256; i++)
        count[i] = 0;
    sequence_length = 0;
    trap_set(VECTOR, on_apic);
    trap_set(VECTOR2, on_apic);
}

static void self_ipi(u8 vector)
{
    apic_icr(0, ICR_SELF | ICR_ASSERT | vector);
}

static void irq_self_ipi(void)
{
    begin();
    self_ipi(VECTOR);
    EXPECT(apic_vector_bit(APIC_IRR, VECTOR), "not in the IRR while interrupts are off");
    EXPECT_EQ(count[VECTOR], 0);
    EXPECT(wait_count(&count[VECTOR], 1, 100), "never came");
    EXPECT(!apic_vector_bit(APIC_IRR, VECTOR), "stays in the IRR");
    EXPECT(!apic_vector_bit(APIC_ISR, VECTOR), "stays in the ISR");
    EXPECT_EQ(count[VECTOR], 1);
}

static void irq_self_ipi_physical(void)
{
    begin();
    apic_icr(apic_id(), ICR_FIXED | ICR_ASSERT | VECTOR);
    EXPECT(wait_count(&count[VECTOR], 1, 100), "never came");
}

static void irq_self_ipi_logical(void)
{
    begin();
    apic_write(APIC_DFR, ~0u);
    apic_write(APIC_LDR, 0x04000000);
    apic_icr(0x04, ICR_FIXED | ICR_LOGICAL | ICR_ASSERT | VECTOR);
    EXPECT(wait_count(&count[VECTOR], 1, 100), "never came");
    apic_icr(0x02, ICR_FIXED | ICR_LOGICAL | ICR_ASSERT | VECTOR);
    wait_ms(2);
    EXPECT_EQ(count[VECTOR], 1);
}

/* Of two that wait, the higher vector goes first. */
static void irq_priority(void)
{
    begin();
    self_ipi(VECTOR);
    self_ipi(VECTOR2);
    EXPECT(wait_count(&count[VECTOR], 1, 100), "never came");
    EXPECT_EQ(count[VECTOR2], 1);
    EXPECT_EQ(sequence[0], VECTOR2);
    EXPECT_EQ(sequence[1], VECTOR);
}

static void irq_tpr(void)
{
    begin();
    apic_write(APIC_TPR, VECTOR & 0xf0);
    EXPECT_EQ(apic_read(APIC_TPR), VECTOR & 0xf0);
    EXPECT_EQ(apic_read(APIC_PPR), VECTOR & 0xf0);
    self_ipi(VECTOR);
    wait_ms(1);
    EXPECT_EQ(count[VECTOR], 0);
    self_ipi(VECTOR2);
    EXPECT(wait_count(&count[VECTOR2], 1, 100), "a higher class is held back");
    EXPECT_EQ(count[VECTOR], 0);
    cpu_sti();
    apic_write(APIC_TPR, 0);
    EXPECT(wait_count(&count[VECTOR], 1, 100), "does not come when TPR falls");
}

#ifdef __x86_64__
static ulong cr8_read(void)
{
    ulong value;

    asm volatile("mov %%cr8, %0" : "=r"(value));
    return value;
}

SNIPPET(set_cr8, ARG, "mov %rax, %cr8");

static void irq_cr8(void)
{
    begin();
    apic_write(APIC_TPR, 0x50);
    EXPECT_EQ(cr8_read(), 5);
    asm volatile("mov %0, %%cr8" : : "r"((ulong)VECTOR >> 4) : "memory");
    EXPECT_EQ(apic_read(APIC_TPR), VECTOR & 0xf0);
    self_ipi(VECTOR);
    wait_ms(1);
    EXPECT_EQ(count[VECTOR], 0);
    cpu_sti();
    asm volatile("mov %0, %%cr8" : : "r"(0ul) : "memory");
    EXPECT(wait_count(&count[VECTOR], 1, 100), "does not come when CR8 falls");
}

static void irq_cr8_illegal(void)
{
    EXPECT_TRAP(set_cr8, (void *)16, EXC_GP, 0, set_cr8_at);
}
#else
static void irq_cr8(void)
{
    check_skip("64-bit code only");
}

static void irq_cr8_illegal(void)
{
    check_skip("64-bit code only");
}
#endif

/* Until EOI, an interrupt of the same class waits. */
static volatile bool saw_inside;

static void on_nested(struct trap_frame *f)
{
    note(f);
    self_ipi(VECTOR);
    cpu_sti();
    for (unsigned i = 0; i < 1000; i++)
        cpu_pause();
    cpu_cli();
    saw_inside = count[VECTOR] != 0;
    apic_eoi();
}

static void irq_until_eoi(void)
{
    begin();
    trap_set(VECTOR + 4, on_nested);
    self_ipi(VECTOR + 4);
    EXPECT(wait_count(&count[VECTOR], 1, 100), "never came");
    EXPECT(!saw_inside, "came before the EOI of its class");
    EXPECT_EQ(count[VECTOR + 4], 1);
}

static void irq_nmi(void)
{
    begin();
    trap_set(EXC_NMI, on_nmi);
    apic_icr(apic_id(), ICR_NMI | ICR_ASSERT);
    for (unsigned i = 0; i < 100000 && !count[EXC_NMI]; i++)
        cpu_pause();
    EXPECT_EQ(count[EXC_NMI], 1);
}

/* A second NMI waits for the handler's IRET. */
static volatile u32 nmi_depth, nmi_max_depth;

static void on_nmi_twice(struct trap_frame *f)
{
    nmi_depth++;
    nmi_max_depth = MAX(nmi_max_depth, nmi_depth);
    note(f);
    if (count[EXC_NMI] == 1) {
        apic_icr(apic_id(), ICR_NMI | ICR_ASSERT);
        for (unsigned i = 0; i < 1000; i++)
            cpu_pause();
    }
    nmi_depth--;
}

static void irq_nmi_blocked(void)
{
    begin();
    nmi_depth = nmi_max_depth = 0;
    trap_set(EXC_NMI, on_nmi_twice);
    apic_icr(apic_id(), ICR_NMI | ICR_ASSERT);
    for (unsigned i = 0; i < 100000 && count[EXC_NMI] < 2; i++)
        cpu_pause();
    EXPECT_EQ(count[EXC_NMI], 2);
    EXPECT_EQ(nmi_max_depth, 1);
}

static void irq_pic(void)
{
    begin();
    trap_set(PIC_BASE, on_pic);
    apic_write(APIC_LVT_LINT0, APIC_LVT_EXTINT);
    pit_start(PIT_RATE, PIT_HZ / 1000);
    out8(0x21, 0xfe);
    EXPECT(wait_count(&count[PIC_BASE], 5, 500), "%u ticks", count[PIC_BASE]);
    out8(0x21, 0xff);
    wait_ms(3);
    count[PIC_BASE] = 0;
    wait_ms(3);
    EXPECT_EQ(count[PIC_BASE], 0);
}

/* In-service and request registers, and that an interrupt in service holds back its own line. */
static void irq_pic_registers(void)
{
    u8 irr;
    u8 isr;

    begin();
    trap_set(PIC_BASE, on_nmi); /* notes it, sends no EOI */
    apic_write(APIC_LVT_LINT0, APIC_LVT_EXTINT);
    pit_start(PIT_RATE, PIT_HZ / 1000);
    out8(0x21, 0xfe);
    EXPECT(wait_count(&count[PIC_BASE], 1, 500), "never came");
    wait_ms(5);
    out8(0x20, 0x0b);
    isr = in8(0x20);
    out8(0x20, 0x0a);
    irr = in8(0x20);
    out8(0x20, 0x20);
    EXPECT_EQ(count[PIC_BASE], 1);
    EXPECT_EQ(isr, 1);
    EXPECT(irr & 1, "IRR %02x", irr);
    out8(0x20, 0x0b);
    EXPECT_EQ(in8(0x20), 0);
}

static void irq_ioapic(void)
{
    u32 flags;
    unsigned pin = ioapic_isa_pin(0, &flags);

    begin();
    EXPECT(pin < ioapic_pins(), "pin %u of %u", pin, ioapic_pins());
    pit_start(PIT_RATE, PIT_HZ / 1000);
    ioapic_route(pin, flags | VECTOR, apic_id());
    EXPECT(wait_count(&count[VECTOR], 5, 500), "%u ticks", count[VECTOR]);
    ioapic_route(pin, flags | IOAPIC_MASKED | VECTOR, apic_id());
    wait_ms(3);
    count[VECTOR] = 0;
    wait_ms(3);
    EXPECT_EQ(count[VECTOR], 0);
}

static void irq_ioapic_registers(void)
{
    unsigned pins = ioapic_pins();

    EXPECT(pins == 24, "%u pins", pins);
    for (unsigned pin = 0; pin < pins; pin++) {
        ioapic_write(IOAPIC_REDIR + 2 * pin + 1, 0x03000000);
        ioapic_write(IOAPIC_REDIR + 2 * pin, IOAPIC_MASKED | 0x40 | pin);
        EXPECT_EQ(ioapic_read(IOAPIC_REDIR + 2 * pin), IOAPIC_MASKED | 0x40 | pin);
        EXPECT_EQ(ioapic_read(IOAPIC_REDIR + 2 * pin + 1), 0x03000000);
    }
    mmio_write32(ioapic_address(), 0x0f);
    EXPECT_EQ(mmio_read32(ioapic_address()) & 0xff, 0x0f);
}

static void timer_set(u32 mode, u32 initial)
{
    apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_1);
    apic_write(APIC_LVT_TIMER, mode | VECTOR);
    apic_write(APIC_TIMER_INITIAL, initial);
}

static u32 timer_ms(u32 ms)
{
    return (u32)(apic_timer_per_mega_tsc() * tsc_khz / 1000000 * ms);
}

static void irq_apic_one_shot(void)
{
    u32 ms = timer_ms(2);

    begin();
    timer_set(APIC_TIMER_ONE_SHOT, ms);
    EXPECT(wait_count(&count[VECTOR], 1, 500), "never came");
    EXPECT_EQ(apic_read(APIC_TIMER_CURRENT), 0);
    wait_ms(6);
    EXPECT_EQ(count[VECTOR], 1);
}

/* Milliseconds that 50 ticks of 1 ms take; 0 when they do not come. */
static u64 periodic_50(u32 ms)
{
    u64 start;

    begin();
    start = rdtsc();
    timer_set(APIC_TIMER_PERIODIC, ms);
    if (!wait_count(&count[VECTOR], 50, 2000))
        return 0;
    return (rdtsc() - start) / tsc_khz;
}

static void irq_apic_periodic(void)
{
    u32 ms = timer_ms(1);
    u64 took = 0;

    for (unsigned i = 0; i < 5 && (took < 48 || took > 55); i++)
        took = periodic_50(ms);
    EXPECT(took, "%u ticks in 2 s", count[VECTOR]);
    EXPECT(took >= 48 && took <= 55, "50 ticks of 1 ms took %ju ms", took);
    apic_write(APIC_TIMER_INITIAL, 0);
    wait_ms(2);
    count[VECTOR] = 0;
    wait_ms(4);
    EXPECT_EQ(count[VECTOR], 0);
}

/* Counts in 2 ms at a divider, as a percentage of what base (a million ticks, by 1) promises. */
static u64 divided_percent(u8 code, unsigned shift, u64 base)
{
    u64 start;
    u64 ticks;
    u64 elapsed;

    apic_write(APIC_TIMER_DIVIDE, code);
    apic_write(APIC_TIMER_INITIAL, ~0u);
    start = rdtsc();
    while (rdtsc() - start < tsc_khz * 2)
        cpu_pause();
    ticks = ~0u - apic_read(APIC_TIMER_CURRENT);
    elapsed = rdtsc() - start;
    return (ticks << shift) * 100 / MAX(base * elapsed / 1000000, 1u);
}

static void irq_apic_divide(void)
{
    static const u8 code[] = {0xb, 0x0, 0x1, 0x2, 0x3, 0x8, 0x9, 0xa}; /* by 1, 2, 4 … 128 */

    for (unsigned i = 0; i < ARRAY_SIZE(code); i++) {
        u64 percent = 0;

        for (unsigned n = 0; n < 10 && (percent < 95 || percent > 105); n++)
            percent = divided_percent(code[i], i, apic_timer_per_mega_tsc());
        EXPECT(percent >= 95 && percent <= 105, "divided by %u: %ju%% of what it should", 1u << i,
               percent);
    }
}

static void irq_tsc_deadline(void)
{
    u64 deadline;

    REQUIRE(cpu_has_1_ecx(CPUID1_ECX_TSC_DEADLINE), "no TSC deadline");
    begin();
    apic_write(APIC_LVT_TIMER, APIC_TIMER_DEADLINE | VECTOR);
    asm volatile("mfence" : : : "memory");
    deadline = rdtsc() + tsc_khz;
    wrmsr(MSR_TSC_DEADLINE, deadline);
    EXPECT_EQ(rdmsr(MSR_TSC_DEADLINE), deadline);
    EXPECT(wait_count(&count[VECTOR], 1, 500), "never came");
    EXPECT(rdtsc() >= deadline, "came too early");
    if (on_skep()) /* Bochs keeps the old deadline */
        EXPECT_EQ(rdmsr(MSR_TSC_DEADLINE), 0);
    wrmsr(MSR_TSC_DEADLINE, 1); /* in the past: at once */
    EXPECT(wait_count(&count[VECTOR], 2, 500), "a deadline in the past never came");
    wrmsr(MSR_TSC_DEADLINE, rdtsc() + tsc_khz);
    wrmsr(MSR_TSC_DEADLINE, 0);
    wait_ms(4);
    EXPECT_EQ(count[VECTOR], 2);
}

static void irq_hlt_wakes(void)
{
    u32 ms = timer_ms(1);

    begin();
    for (u32 i = 1; i <= 20; i++) {
        timer_set(APIC_TIMER_ONE_SHOT, ms);
        cpu_sti_hlt();
        cpu_cli();
        EXPECT(count[VECTOR] == i, "HLT %u ended with %u interrupts", i, count[VECTOR]);
    }
}

/* Already pending when STI; HLT begins. */
static void irq_hlt_pending(void)
{
    begin();
    self_ipi(VECTOR);
    cpu_sti_hlt();
    cpu_cli();
    EXPECT_EQ(count[VECTOR], 1);
}

static void irq_sti_shadow(void)
{
    begin();
    self_ipi(VECTOR);
    asm volatile("sti\n cli" : : : "memory");
    EXPECT_EQ(count[VECTOR], 0);
    asm volatile("sti\n nop\n cli" : : : "memory");
    EXPECT_EQ(count[VECTOR], 1);
}

/* The shadow also covers an instruction that leaves for the hypervisor, and ends with it. */
SNIPPET(sti_cpuid, "push " REG(bx) "\n xor %eax, %eax\n xor %ecx, %ecx\n sti\n cpuid\n",
        "cli\n pop " REG(bx));
SNIPPET(sti_in, "mov $0x80, %edx\n sti\n in %dx, %al\n", "cli");

static void irq_sti_shadow_exit(void)
{
    begin();
    self_ipi(VECTOR);
    sti_cpuid(NULL);
    EXPECT_EQ(count[VECTOR], 1);
    EXPECT_EQ(last_ip, (ulong)sti_cpuid_at);
    self_ipi(VECTOR);
    sti_in(NULL);
    EXPECT_EQ(count[VECTOR], 2);
    EXPECT_EQ(last_ip, (ulong)sti_in_at);
}

SNIPPET(popf_window, "push $0x202\n popf\n", "nop\n cli");

static void irq_popf_window(void)
{
    begin();
    self_ipi(VECTOR);
    popf_window(NULL);
    EXPECT_EQ(count[VECTOR], 1);
    EXPECT_EQ(last_ip, (ulong)popf_window_at);
}

/* MOV SS holds back a single-step trap until behind the next instruction. */
SNIPPET(step_mov_ss,
        "mov %ss, %ecx\n pushf\n orl $0x100, (" REG(sp) ")\n popf\n mov %ecx, %ss\n nop\n", "nop");

static void irq_mov_ss_shadow(void)
{
    EXPECT_TRAP(step_mov_ss, NULL, EXC_DB, 0, step_mov_ss_at);
}

static void monitor_mwait(void)
{
    u32 ms = timer_ms(1);

    if (!cpu_has_1_ecx(CPUID1_ECX_MONITOR)) {
        EXPECT_TRAP(do_monitor, scratch[0], EXC_UD, 0, do_monitor_at);
        EXPECT_TRAP(do_mwait, NULL, EXC_UD, 0, do_mwait_at);
        return;
    }
    begin();
    EXPECT_TRAP(do_monitor, scratch[0], -1, 0, NULL);
    timer_set(APIC_TIMER_ONE_SHOT, ms);
    EXPECT_TRAP(do_sti_mwait, NULL, -1, 0, NULL);
    EXPECT(wait_count(&count[VECTOR], 1, 100), "the timer never came");
}

/* An IPI with an illegal vector is not sent, and the ESR says so. */
static void apic_illegal_vector(void)
{
    begin();
    apic_write(APIC_ESR, 0);
    apic_icr(0, ICR_SELF | ICR_ASSERT | 5);
    apic_write(APIC_ESR, 0);
    EXPECT(apic_read(APIC_ESR) & 0x60, "ESR %x", apic_read(APIC_ESR)); /* sent, received */
}

static void apic_registers(void)
{
    u32 version = apic_read(APIC_VERSION);

    EXPECT((version & 0xff) >= 0x10 && (version & 0xff) <= 0x1f, "version %x", version);
    EXPECT_EQ(apic_read(APIC_SVR) & 0x1ff, 0x1ff);
    apic_write(APIC_LDR, 0xff000000);
    EXPECT_EQ(apic_read(APIC_LDR), 0xff000000);
    apic_write(APIC_DFR, 0x0fffffff);
    EXPECT_EQ(apic_read(APIC_DFR), 0x0fffffff);
    apic_write(APIC_DFR, 0xffffffff);
}

/* Reserved and read-only bits do not stay. */
static void apic_reserved_bits(void)
{
    apic_write(APIC_LVT_TIMER, 0xffffffff);
    EXPECT_EQ(apic_read(APIC_LVT_TIMER) & ~0x700ffu, 0);
    apic_write(APIC_TPR, 0xffffff12);
    EXPECT_EQ(apic_read(APIC_TPR), 0x12);
}

/* While software-disabled, every LVT entry is masked and cannot be unmasked. */
static void apic_software_disable(void)
{
    apic_write(APIC_LVT_TIMER, VECTOR);
    apic_write(APIC_SVR, APIC_SPURIOUS_VECTOR);
    EXPECT(apic_read(APIC_LVT_TIMER) & APIC_LVT_MASKED, "not masked");
    apic_write(APIC_LVT_TIMER, VECTOR);
    EXPECT(apic_read(APIC_LVT_TIMER) & APIC_LVT_MASKED, "can be unmasked");
}

static const struct check list[] = {
    {"irq_self_ipi", irq_self_ipi, ANYWHERE},
    {"irq_self_ipi_physical", irq_self_ipi_physical, ANYWHERE},
    {"irq_self_ipi_logical", irq_self_ipi_logical, ANYWHERE},
    {"irq_priority", irq_priority, ANYWHERE},
    {"irq_tpr", irq_tpr, ANYWHERE},
    {"irq_cr8", irq_cr8, ANYWHERE},
    {"irq_cr8_illegal", irq_cr8_illegal, NOT_BARE_TCG},
    {"irq_until_eoi", irq_until_eoi, ANYWHERE},
    {"irq_nmi", irq_nmi, ANYWHERE},
    {"irq_nmi_blocked", irq_nmi_blocked, ANYWHERE},
    {"irq_pic", irq_pic, ANYWHERE},
    {"irq_pic_registers", irq_pic_registers, ANYWHERE},
    {"irq_ioapic", irq_ioapic, ANYWHERE},
    {"irq_ioapic_registers", irq_ioapic_registers, ANYWHERE},
    {"irq_apic_one_shot", irq_apic_one_shot, ANYWHERE},
    {"irq_apic_periodic", irq_apic_periodic, ANYWHERE},
    {"irq_apic_divide", irq_apic_divide, ANYWHERE},
    {"irq_tsc_deadline", irq_tsc_deadline, ANYWHERE},
    {"irq_hlt_wakes", irq_hlt_wakes, ANYWHERE},
    {"irq_hlt_pending", irq_hlt_pending, ANYWHERE},
    {"irq_sti_shadow", irq_sti_shadow, ANYWHERE},
    {"irq_sti_shadow_exit", irq_sti_shadow_exit, ANYWHERE},
    {"irq_popf_window", irq_popf_window, ANYWHERE},
    {"irq_mov_ss_shadow", irq_mov_ss_shadow, ANYWHERE},
    {"monitor_mwait", monitor_mwait, ANYWHERE},
    {"apic_illegal_vector", apic_illegal_vector, NOT_BARE_TCG},
    {"apic_registers", apic_registers, ANYWHERE},
    {"apic_reserved_bits", apic_reserved_bits, SKEP_ONLY},
    {"apic_software_disable", apic_software_disable, NOT_BARE_TCG},
};
CHECK_GROUP(interrupts, list);
