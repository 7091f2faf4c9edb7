/* SPDX-License-Identifier: BSD-2-Clause */
/* Exceptions: right vector, error code, RIP, CR2 (SDM 3, chapter 6). */
#include "guests/check/check.h"
#include "guests/lib/paging.h"

SNIPPET(do_de, "xor %eax, %eax\n xor %ecx, %ecx\n xor %edx, %edx", "div %ecx");
SNIPPET(do_ud, "", "ud2");
SNIPPET(do_bp, "", "int3");
SNIPPET(do_int, "", "int $0x31");
SNIPPET(do_gp_selector, "mov $0xfff8, %eax", "mov %eax, %ds");
SNIPPET(do_np_selector, "mov $0x30, %eax", "mov %eax, %ds");
SNIPPET(do_ss_selector, "mov $0x30, %eax", "mov %eax, %ss");
SNIPPET(do_gp_ss, "xor %eax, %eax\n mov $0x1b, %eax", "mov %eax, %ss");
SNIPPET(do_read, ARG, "mov (" REG(ax) "), %ecx");
SNIPPET(do_write, ARG, "movl $1, (" REG(ax) ")");
SNIPPET(do_jump, ARG, "jmp *" REG(ax));
SNIPPET(do_x87, "", "fnop");
SNIPPET(do_sse, "", "movaps %xmm0, %xmm0");
SNIPPET(do_cli, "", "cli");
SNIPPET(do_hlt, "", "hlt");
SNIPPET(do_in, "mov $0x80, %edx", "in %dx, %al");
SNIPPET(do_cr0, "", "mov %cr0, " REG(ax));
SNIPPET(do_mf,
        "fninit\n fldz\n fld1\n push $0x37b\n fldcw (" REG(sp) ")\n pop " REG(ax) "\n fdivp\n",
        "fwait");
SNIPPET(do_ac, ARG "pushf\n orl $0x40000, (" REG(sp) ")\n popf\n inc " REG(ax) "\n",
        "mov (" REG(ax) "), %ecx\n pushf\n andl $~0x40000, (" REG(sp) ")\n popf");
SNIPPET(do_gp_sse, ARG "inc " REG(ax), "movaps (" REG(ax) "), %xmm0");
/* Traps come behind the instruction that they belong to: the label is on the next one. */
SNIPPET(do_step, "pushf\n orl $0x100, (" REG(sp) ")\n popf\n nop\n", "nop\n nop\n");
SNIPPET(do_icebp, ".byte 0xf1", "nop");

static void exc_de(void)
{
    EXPECT_TRAP(do_de, NULL, EXC_DE, 0, do_de_at);
}

static void exc_ud(void)
{
    EXPECT_TRAP(do_ud, NULL, EXC_UD, 0, do_ud_at);
}

static void exc_bp(void)
{
    EXPECT_TRAP(do_bp, NULL, EXC_BP, 0, do_bp_at + 1);
}

static void exc_int_n(void)
{
    EXPECT_TRAP(do_int, NULL, 0x31, 0, do_int_at + 2);
}

/* The IDT ends before the vector: #GP with the gate's index and the IDT bit. */
static void exc_int_beyond_idt(void)
{
    idt_limit(0x30);
    EXPECT_TRAP(do_int, NULL, EXC_GP, 0x31 * 8 + 2, do_int_at);
}

static volatile u32 bp_count;
static ulong bp_ip;

static void on_bp(struct trap_frame *f)
{
    bp_count++;
    bp_ip = f->ip;
}

static void exc_bp_returns(void)
{
    bp_count = 0;
    trap_set(EXC_BP, on_bp);
    do_bp(NULL);
    EXPECT_EQ(bp_count, 1);
    EXPECT_EQ(bp_ip, (ulong)do_bp_at + 1);
}

static void exc_int_user_gate(void)
{
    EXPECT(check_trap_user(do_int, NULL, EXC_GP, 0x31 * 8 + 2, do_int_at), "gate of DPL 0");
    idt_set_dpl(0x31, 3);
    check_trap_user(do_int, NULL, 0x31, 0, do_int_at + 2);
}

static void exc_gp_selector(void)
{
    EXPECT_TRAP(do_gp_selector, NULL, EXC_GP, 0xfff8, do_gp_selector_at);
    EXPECT_TRAP(do_gp_ss, NULL, EXC_GP, 0x18, do_gp_ss_at);
}

static void exc_np_and_ss_selector(void)
{
    gdt_set(SEL_SPARE, 0x00cf13000000ffff); /* writable data, not present */
    EXPECT_TRAP(do_np_selector, NULL, EXC_NP, SEL_SPARE, do_np_selector_at);
    EXPECT_TRAP(do_ss_selector, NULL, EXC_SS, SEL_SPARE, do_ss_selector_at);
}

static void exc_pf_absent(void)
{
    ulong at = TEST_GLA + 0x123;

    paging_map(TEST_GLA, 0, 0);
    EXPECT_TRAP(do_read, (void *)at, EXC_PF, 0, do_read_at);
    EXPECT_EQ(check_last.cr2, at);
    EXPECT_TRAP(do_write, (void *)(at + 4), EXC_PF, PF_W, do_write_at);
    EXPECT_EQ(check_last.cr2, at + 4);
    check_trap_user(do_read, (void *)at, EXC_PF, PF_U, do_read_at);
}

static void exc_pf_protection(void)
{
    paging_map(TEST_GLA, (ulong)scratch[0], PTE_P);
    EXPECT_TRAP(do_read, (void *)TEST_GLA, -1, 0, NULL);
    EXPECT_TRAP(do_write, (void *)TEST_GLA, EXC_PF, PF_P | PF_W, do_write_at);
    EXPECT(check_trap_user(do_read, (void *)TEST_GLA, EXC_PF, PF_P | PF_U, do_read_at), " ");
    cr0_write(cr0_read() & ~(ulong)CR0_WP);
    EXPECT_TRAP(do_write, (void *)TEST_GLA, -1, 0, NULL);
}

static void exc_pf_fetch(void)
{
    u64 flags = PTE_P | PTE_W;

    REQUIRE(cpu_has_ext_edx(CPUIDX_EDX_NX), "no NX");
    scratch[0][0] = 0xc3;
    paging_map(TEST_GLA, (ulong)scratch[0], flags);
    EXPECT_TRAP(do_jump, (void *)TEST_GLA, -1, 0, NULL);
    paging_map(TEST_GLA, (ulong)scratch[0], flags | PTE_NX);
    EXPECT_TRAP(do_jump, (void *)TEST_GLA, EXC_PF, PF_P | PF_I, (void *)TEST_GLA);
    EXPECT_EQ(check_last.cr2, TEST_GLA);
}

static void exc_pf_reserved(void)
{
    paging_map(TEST_GLA, (ulong)scratch[0] | BIT(51), PTE_P | PTE_W);
    EXPECT_TRAP(do_read, (void *)TEST_GLA, EXC_PF, PF_P | PF_RSVD, do_read_at);
}

/* An access across two pages reports the byte that is not there. */
static void exc_pf_across_pages(void)
{
    paging_map(TEST_GLA, (ulong)scratch[0], PTE_P | PTE_W);
    paging_map(TEST_GLA + 4096, 0, 0);
    EXPECT_TRAP(do_read, (void *)(TEST_GLA + 4094), EXC_PF, 0, do_read_at);
    EXPECT_EQ(check_last.cr2, TEST_GLA + 4096);
    paging_map(TEST_GLA + 4096, (ulong)scratch[1], PTE_P);
    scratch[0][4094] = scratch[0][4095] = 0x77;
    EXPECT_TRAP(do_write, (void *)(TEST_GLA + 4094), EXC_PF, PF_P | PF_W, do_write_at);
    EXPECT_EQ(scratch[0][4095], 0x77);
}

static void exc_nm(void)
{
    cr0_write(cr0_read() | CR0_TS);
    EXPECT_TRAP(do_x87, NULL, EXC_NM, 0, do_x87_at);
    EXPECT_TRAP(do_sse, NULL, EXC_NM, 0, do_sse_at);
    asm volatile("clts");
    EXPECT_TRAP(do_x87, NULL, -1, 0, NULL);
    cr0_write(cr0_read() | CR0_EM);
    EXPECT_TRAP(do_x87, NULL, EXC_NM, 0, do_x87_at);
    EXPECT_TRAP(do_sse, NULL, EXC_UD, 0, do_sse_at);
}

static void exc_mf(void)
{
    EXPECT_TRAP(do_mf, NULL, EXC_MF, 0, do_mf_at);
    asm volatile("fninit");
}

static void exc_ac(void)
{
    cr0_write(cr0_read() | CR0_AM);
    EXPECT(check_trap_user(do_ac, scratch[0], EXC_AC, 0, do_ac_at), "no #AC");
    cr0_write(cr0_read() & ~(ulong)CR0_AM);
    check_trap_user(do_ac, scratch[0], -1, 0, NULL);
}

static void exc_gp_alignment(void)
{
    EXPECT_TRAP(do_gp_sse, scratch[0], EXC_GP, 0, do_gp_sse_at);
}

static void exc_privilege(void)
{
    static void (*const fns[])(void *) = {do_cli, do_hlt, do_in, do_cr0};
    const u8 *const at[] = {do_cli_at, do_hlt_at, do_in_at, do_cr0_at};

    for (unsigned i = 0; i < ARRAY_SIZE(fns); i++)
        if (!check_trap_user(fns[i], NULL, EXC_GP, 0, at[i]))
            return;
}

static void exc_single_step(void)
{
    EXPECT_TRAP(do_step, NULL, EXC_DB, 0, do_step_at);
}

static void exc_single_step_dr6(void)
{
    dr6_write(0);
    EXPECT_TRAP(do_step, NULL, EXC_DB, 0, do_step_at);
    EXPECT_EQ(dr6_read() & 0xe00f, 0x4000);
}

static void exc_icebp(void)
{
    EXPECT_TRAP(do_icebp, NULL, EXC_DB, 0, do_icebp_at);
}

/* A page fault whose gate is not present, and whose #NP gate is not either: double fault. */
static void exc_double_fault(void)
{
    paging_map(TEST_GLA, 0, 0);
    idt_break(EXC_PF);
    EXPECT_TRAP(do_read, (void *)TEST_GLA, EXC_DF, 0, NULL);
}

/* #NP of a gate that is not present tells its index, with the IDT bit. */
static void exc_gate_not_present(void)
{
    idt_break(0x31);
    EXPECT_TRAP(do_int, NULL, EXC_NP, 0x31 * 8 + 2, do_int_at);
}

static const struct check list[] = {
    {"exc_de", exc_de, ANYWHERE},
    {"exc_ud", exc_ud, ANYWHERE},
    {"exc_bp", exc_bp, ANYWHERE},
    {"exc_bp_returns", exc_bp_returns, ANYWHERE},
    {"exc_int_n", exc_int_n, ANYWHERE},
    {"exc_int_user_gate", exc_int_user_gate, NOT_TCG},
    {"exc_int_beyond_idt", exc_int_beyond_idt, NOT_TCG},
    {"exc_gate_not_present", exc_gate_not_present, NOT_TCG},
    {"exc_gp_selector", exc_gp_selector, ANYWHERE},
    {"exc_np_and_ss_selector", exc_np_and_ss_selector, ANYWHERE},
    {"exc_pf_absent", exc_pf_absent, ANYWHERE},
    {"exc_pf_protection", exc_pf_protection, ANYWHERE},
    {"exc_pf_fetch", exc_pf_fetch, ANYWHERE},
    {"exc_pf_reserved", exc_pf_reserved, NOT_TCG},
    {"exc_pf_across_pages", exc_pf_across_pages, ANYWHERE},
    {"exc_nm", exc_nm, ANYWHERE},
    {"exc_mf", exc_mf, ANYWHERE},
    {"exc_ac", exc_ac, NOT_TCG},
    {"exc_gp_alignment", exc_gp_alignment, ANYWHERE},
    {"exc_privilege", exc_privilege, ANYWHERE},
    {"exc_single_step", exc_single_step, ANYWHERE},
    {"exc_single_step_dr6", exc_single_step_dr6, ANYWHERE},
    {"exc_icebp", exc_icebp, NOT_TCG},
    {"exc_double_fault", exc_double_fault, ANYWHERE},
};
CHECK_GROUP(exceptions, list);
