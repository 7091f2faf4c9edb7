/* SPDX-License-Identifier: BSD-2-Clause */
/* Debug registers, breakpoints, and single steps over what leaves for the hypervisor (SDM 3, 17).
 */
#include "guests/check/check.h"

#define DR7_L0           0x1u
#define DR7_RW0(rw, len) ((rw) << 16 | (len) << 18)
#define RW_EXEC          0u
#define RW_WRITE         1u
#define RW_IO            2u
#define RW_ACCESS        3u
#define LEN_4            3u

#define STEP "pushf\n orl $0x100, (" REG(sp) ")\n popf\n"
SNIPPET(step_cpuid, "push " REG(bx) "\n xor %eax, %eax\n xor %ecx, %ecx\n" STEP "cpuid\n",
        "nop\n pop " REG(bx));
SNIPPET(step_in, "mov $0x80, %edx\n" STEP "in %dx, %al\n", "nop");
SNIPPET(step_out, "mov $0x80, %edx\n" STEP "out %al, %dx\n", "nop");
SNIPPET(step_rdmsr, "mov $0x1b, %ecx\n" STEP "rdmsr\n", "nop");
SNIPPET(step_mmio, "mov $0xfee00020, %eax\n" STEP "mov (" REG(ax) "), %ecx\n", "nop");
SNIPPET(step_cr0, "mov %cr0, " REG(ax) "\n" STEP "mov " REG(ax) ", %cr0\n", "nop");
SNIPPET(step_sti, STEP "sti\n", "cli");
SNIPPET(step_rep_in,
        "push " REG(di) "\n mov $0x80, %edx\n lea scratch, " REG(di) "\n mov $3, %ecx\n" STEP "\n",
        "rep insb\n pop " REG(di));
SNIPPET(nops, "nop", "nop\n nop");
SNIPPET(store, "lea scratch, " REG(ax) "\n movl $5, (" REG(ax) ")\n", "nop");
SNIPPET(load, "lea scratch, " REG(ax) "\n mov (" REG(ax) "), %ecx\n", "nop");
SNIPPET(out_80, "mov $0x80, %edx\n out %al, %dx\n", "nop");
SNIPPET(
    outs_80,
    "push " REG(si) "\n mov $0x80, %edx\n lea scratch, " REG(si) "\n mov $3, %ecx\n rep outsb\n",
    "pop " REG(si));
SNIPPET(step_out_80, "mov $0x80, %edx\n" STEP "out %al, %dx\n", "nop");
SNIPPET(get_dr0, "", "mov %dr0, " REG(ax));
SNIPPET(get_dr4, "", ".byte 0x0f, 0x21, 0xe0");
SNIPPET(set_dr7, ARG, "mov " REG(ax) ", %dr7");
SNIPPET(set_dr6, ARG, "mov " REG(ax) ", %dr6");

static void debug_registers_kept(void)
{
    dr0_write(0x1000);
    dr1_write(0x2000);
    dr2_write(0x3000);
    dr3_write(0x4000);
    cpuid(0, 0);
    in8(0x80);
    EXPECT_EQ(dr0_read(), 0x1000);
    EXPECT_EQ(dr1_read(), 0x2000);
    EXPECT_EQ(dr2_read(), 0x3000);
    EXPECT_EQ(dr3_read(), 0x4000);
    EXPECT_EQ(dr7_read(), DR7_RESET);
    dr6_write(0);
    EXPECT_EQ(dr6_read() & 0xffff0ff0, 0xffff0ff0 & dr6_read());
    EXPECT_EQ(dr6_read() & 0xf, 0);
}

static bool steps(void (*fn)(void *), const u8 *at, const char *name)
{
    struct trap t;

    dr6_write(0);
    trap_try(&t, fn, NULL);
    if (t.vector != EXC_DB || t.ip != (ulong)at) {
        check_fail("%s: vector %d at %lx, not 1 at %lx", name, t.vector, t.ip, (ulong)at);
        return false;
    }
    return true;
}

/* The trap comes right behind the instruction, not one later. */
static void debug_step_over_exits(void)
{
    (void)(steps(step_cpuid, step_cpuid_at, "CPUID") && steps(step_in, step_in_at, "IN") &&
           steps(step_out, step_out_at, "OUT") && steps(step_rdmsr, step_rdmsr_at, "RDMSR") &&
           steps(step_cr0, step_cr0_at, "MOV to CR0") && steps(step_mmio, step_mmio_at, "MMIO"));
}

/* STI holds interrupts back for an instruction, but not its own step. */
static void debug_step_over_sti(void)
{
    steps(step_sti, step_sti_at, "STI");
    cpu_cli();
}

/* REP with TF stops after each iteration, RIP still on it. */
static void debug_step_in_rep(void)
{
    steps(step_rep_in, step_rep_in_at, "REP INSB");
}

static volatile u32 hits;
static volatile ulong hit_ip, hit_dr6;

static void on_db(struct trap_frame *f)
{
    hits++;
    hit_ip = f->ip;
    hit_dr6 = dr6_read();
    dr6_write(0);
    f->flags |= FLAG_RF;
}

static void begin(const void *where, u32 rw, u32 len)
{
    hits = 0;
    trap_set(EXC_DB, on_db);
    dr6_write(0);
    dr0_write((ulong)where);
    dr7_write(DR7_RESET | DR7_L0 | DR7_RW0(rw, len));
}

static void debug_execute(void)
{
    begin(nops_at, RW_EXEC, 0);
    nops(NULL);
    EXPECT_EQ(hits, 1); /* RF lets the instruction run when the handler returns */
    EXPECT_EQ(hit_ip, (ulong)nops_at);
    EXPECT_EQ(hit_dr6 & 0xf, 1);
}

/* The processor clears BTF with each #DB (SDM 3, 17.4.3): an operating system counts on it. */
static void debug_clears_btf(void)
{
    REQUIRE(wrmsr_try(MSR_DEBUGCTL, DEBUGCTL_BTF) < 0, "no DEBUGCTL");
    REQUIRE(rdmsr(MSR_DEBUGCTL) == DEBUGCTL_BTF, "no BTF");
    begin(nops_at, RW_EXEC, 0);
    nops(NULL);
    EXPECT_EQ(hits, 1);
    EXPECT_EQ(rdmsr(MSR_DEBUGCTL), 0);
}

static void debug_write(void)
{
    begin(scratch, RW_WRITE, LEN_4);
    load(NULL);
    EXPECT_EQ(hits, 0);
    store(NULL);
    EXPECT_EQ(hits, 1);
    EXPECT_EQ(hit_ip, (ulong)store_at);
    EXPECT_EQ(hit_dr6 & 0xf, 1);
}

static void debug_access(void)
{
    begin(scratch, RW_ACCESS, LEN_4);
    load(NULL);
    store(NULL);
    EXPECT_EQ(hits, 2);
}

/* A breakpoint on a device register, which the hypervisor's emulator writes. */
static void debug_write_mmio(void)
{
    begin((const void *)(APIC_MMIO + APIC_TPR), RW_WRITE, LEN_4);
    mmio_write32(APIC_MMIO + APIC_TPR, 0);
    EXPECT_EQ(hits, 1);
}

static void debug_io(void)
{
    cr4_write(cr4_read() | CR4_DE);
    begin((const void *)0x80, RW_IO, 0);
    out_80(NULL);
    EXPECT_EQ(hits, 1);
    EXPECT_EQ(hit_ip, (ulong)out_80_at);
}

/* A repeated one traps behind each element. */
static void debug_io_string(void)
{
    cr4_write(cr4_read() | CR4_DE);
    begin((const void *)0x80, RW_IO, 0);
    outs_80(NULL);
    EXPECT_EQ(hits, 3);
    EXPECT_EQ(hit_ip, (ulong)outs_80_at);
}

/* Without CR4.DE there are none; other ports and disabled ones are left alone. */
static void debug_io_none(void)
{
    cr4_write(cr4_read() | CR4_DE);
    begin((const void *)0x81, RW_IO, 0);
    out_80(NULL);
    dr7_write(DR7_RESET | DR7_RW0(RW_IO, 0));
    dr0_write(0x80);
    out_80(NULL);
    EXPECT_EQ(hits, 0);
}

/* A step that is due as well comes with it, as one exception. */
static void debug_step_and_io(void)
{
    struct trap t;

    cr4_write(cr4_read() | CR4_DE);
    begin((const void *)0x80, RW_IO, 0);
    trap_set(EXC_DB, NULL);
    trap_try(&t, step_out_80, NULL);
    EXPECT_EQ(t.vector, EXC_DB);
    EXPECT_EQ(t.ip, (ulong)step_out_80_at);
    EXPECT_EQ(dr6_read() & 0x400f, 0x4001);
}

static void debug_general_detect(void)
{
    dr6_write(0);
    dr7_write(DR7_RESET | DR7_GD);
    EXPECT_TRAP(get_dr0, NULL, EXC_DB, 0, get_dr0_at);
    EXPECT_EQ(dr7_read() & DR7_GD, 0); /* cleared on the way in */
    EXPECT(dr6_read() & 0x2000, "BD clear in DR6 %lx", dr6_read());
}

static void debug_dr4(void)
{
    EXPECT_TRAP(get_dr4, NULL, -1, 0, NULL); /* another name of DR6 */
    cr4_write(cr4_read() | CR4_DE);
    EXPECT_TRAP(get_dr4, NULL, EXC_UD, 0, get_dr4_at);
}

static void debug_upper_bits(void)
{
    REQUIRE(GUEST_BITS == 64, "64-bit code only");
    EXPECT_TRAP(set_dr7, (void *)(ulong)(1ull << 32), EXC_GP, 0, set_dr7_at);
    EXPECT_TRAP(set_dr6, (void *)(ulong)(1ull << 40), EXC_GP, 0, set_dr6_at);
}

static void debug_user(void)
{
    check_trap_user(get_dr0, NULL, EXC_GP, 0, get_dr0_at);
}

static const struct check list[] = {
    {"debug_registers_kept", debug_registers_kept, ANYWHERE},
    {"debug_step_over_exits", debug_step_over_exits, ANYWHERE},
    {"debug_step_over_sti", debug_step_over_sti, NOT_TCG},
    {"debug_step_in_rep", debug_step_in_rep, ANYWHERE},
    {"debug_execute", debug_execute, ANYWHERE},
    {"debug_clears_btf", debug_clears_btf, NOT_BARE_BOCHS},
    {"debug_write", debug_write, ANYWHERE},
    {"debug_access", debug_access, ANYWHERE},
    {"debug_write_mmio", debug_write_mmio, ANYWHERE},
    {"debug_io", debug_io, ANYWHERE},
    {"debug_io_string", debug_io_string, NOT_BARE_TCG},
    {"debug_io_none", debug_io_none, ANYWHERE},
    {"debug_step_and_io", debug_step_and_io, NOT_BARE_TCG},
    {"debug_general_detect", debug_general_detect, NOT_TCG},
    {"debug_dr4", debug_dr4, ANYWHERE},
    {"debug_upper_bits", debug_upper_bits, ANYWHERE},
    {"debug_user", debug_user, ANYWHERE},
};
CHECK_GROUP(debug, list);
