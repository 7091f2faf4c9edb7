/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * String instructions and ports: counts, directions, address sizes, faults in the middle, chunks,
 * single-stepping, and the right to use a port.
 */
#include "vmm/emul/emul.h"
#include "tests/unit/emul_test.h"

static void test_count_zero_touches_nothing(void **state)
{
    (void)state;
    start(INSN_64, 0);
    m.gpr[RDI] = ABSENT;
    m.gpr[RSI] = ABSENT;
    assert_int_equal(RUN(0xf3, 0xa4), EMUL_DONE);
    assert_int_equal(m.gpr[RDI], ABSENT);
    assert_int_equal(m.reg[EMUL_RIP], CODE + 2);
    m.gpr[RCX] = 0x100000000; /* ECX is zero with a 32-bit address size */
    m.reg[EMUL_RIP] = CODE;
    assert_int_equal(RUN(0x67, 0xf3, 0xa4), EMUL_DONE);
    assert_int_equal(m.gpr[RCX], 0x100000000);
}

/* RAM to device: each element one device access, in order; the count and pointers move. */
static void test_movs_to_device(void **state)
{
    struct emul_exit e = memory_exit(DEV, true);

    (void)state;
    start(INSN_64, 0);
    for (unsigned i = 0; i < 32; i++)
        m.ram[0x2100 + i] = (u8)i;
    m.gpr[RSI] = DATA + 0x100;
    m.gpr[RDI] = DEV;
    m.gpr[RCX] = 8;
    assert_int_equal(RUN_EXIT(&e, 0xf3, 0xa5), EMUL_DONE);
    assert_int_equal(m.accesses, 8);
    for (unsigned i = 0; i < 8; i++)
        assert_access(i, true, MACHINE_DEV + 4 * i, 4, ram_get(0x2100 + 4 * i, 4));
    assert_int_equal(m.gpr[RCX], 0);
    assert_int_equal(m.gpr[RSI], DATA + 0x120);
    assert_int_equal(m.gpr[RDI], DEV + 0x20);
    assert_int_equal(m.held, 0);
}

/* Source and destination at the same offset of their pages: the exit's page is not the source's. */
static void test_movs_same_offset_without_linear_address(void **state)
{
    struct emul_exit e = memory_exit(DEV + 0x100, true);

    (void)state;
    start(INSN_64, 0);
    e.gla_valid = false;
    ram_put(0x2100, 0x55667788, 4);
    m.gpr[RSI] = DATA + 0x100;
    m.gpr[RDI] = DEV + 0x100;
    assert_int_equal(RUN_EXIT(&e, 0xa5), EMUL_DONE);
    assert_int_equal(m.accesses, 1);
    assert_access(0, true, MACHINE_DEV + 0x100, 4, 0x55667788);
}

static void test_movs_that_cannot_explain(void **state)
{
    struct emul_exit e = memory_exit(DEV, true);

    (void)state;
    start(INSN_64, 0);
    m.gpr[RSI] = DATA;
    m.gpr[RDI] = DATA + 0x100;
    m.gpr[RCX] = 4;
    ram_put(0x2000, 0x11, 1);
    assert_int_equal(RUN_EXIT(&e, 0xf3, 0xa4), EMUL_RETRY);
    assert_int_equal(ram_get(0x2100, 1), 0);
    assert_int_equal(m.gpr[RCX], 4);
    assert_int_equal(m.held, 0);
}

static void test_direction_down(void **state)
{
    (void)state;
    start(INSN_64, 0);
    m.reg[EMUL_RFLAGS] |= FLAG_DF;
    m.gpr[RDI] = DEV + 6;
    m.gpr[RCX] = 3;
    m.gpr[RAX] = 0xabcd;
    assert_int_equal(RUN(0x66, 0xf3, 0xab), EMUL_DONE);
    assert_access(0, true, MACHINE_DEV + 6, 2, 0xabcd);
    assert_access(2, true, MACHINE_DEV + 2, 2, 0xabcd);
    assert_int_equal(m.gpr[RDI], DEV);
}

/* A fault in the middle: registers say what was done. */
static void test_fault_in_the_middle(void **state)
{
    (void)state;
    start(INSN_64, 0);
    m.gpr[RDI] = ABSENT - 3; /* the page before is read-only: move it to a writable one */
    machine_map(&m, RO, 0x3000, 7);
    m.gpr[RCX] = 10;
    m.gpr[RAX] = 0x77;
    assert_page_fault(RUN(0xf3, 0xaa), PF_W, ABSENT);
    assert_int_equal(m.gpr[RCX], 7);
    assert_int_equal(m.gpr[RDI], ABSENT);
    assert_int_equal(ram_get(0x3ffd, 3), 0x777777);
}

static void test_read_only_destination(void **state)
{
    (void)state;
    start(INSN_64, 0);
    m.gpr[RSI] = DEV;
    m.gpr[RDI] = RO;
    m.gpr[RCX] = 2;
    assert_page_fault(RUN(0xf3, 0xa4), PF_P | PF_W, RO);
    assert_int_equal(m.accesses, 0); /* the device was not read for nothing */
    assert_int_equal(m.gpr[RCX], 2);
}

/* A huge count is done in chunks that let interrupts in; nothing multiplies size by count. */
static void test_huge_count_in_chunks(void **state)
{
    (void)state;
    start(INSN_64, 0);
    for (unsigned i = 0; i < 3; i++)
        machine_map(&m, DEV + i * PAGE_SIZE, MACHINE_DEV + i * PAGE_SIZE, 7);
    m.gpr[RDI] = DEV;
    m.gpr[RCX] = ~0ull;
    emul_begin(&m.cpu, &m.ops, &m, m.gpr);
    machine_code(&m, 0x1000, "\xf3\xaa", 2);
    m.cpu.max_iterations = 100;
    assert_int_equal(emul_run(&m.cpu), EMUL_PARTIAL);
    assert_int_equal(m.gpr[RCX], ~0ull - 100);
    assert_int_equal(m.gpr[RDI], DEV + 100);
    assert_int_equal(m.reg[EMUL_RIP], CODE);
    assert_int_equal(m.retired, 0);
    m.cpu.max_iterations = 0; /* as many as usual */
    m.gpr[RCX] = 0xffffffffull;
    assert_int_equal(RUN(0x67, 0xf3, 0xaa), EMUL_PARTIAL);
    assert_int_equal(m.gpr[RCX], 0xffffffffull - 1024);
}

/* TF: one iteration, a trap, RIP still at the instruction. */
static void test_single_step(void **state)
{
    (void)state;
    start(INSN_64, 0);
    m.reg[EMUL_RFLAGS] |= FLAG_TF;
    m.gpr[RDI] = DEV;
    m.gpr[RCX] = 2;
    assert_int_equal(RUN(0xf3, 0xaa), EMUL_PARTIAL);
    assert_int_equal(m.retired, 1);
    assert_int_equal(m.gpr[RCX], 1);
    assert_int_equal(m.reg[EMUL_RIP], CODE);
    assert_int_equal(RUN(0xf3, 0xaa), EMUL_DONE);
    assert_int_equal(m.retired, 2);
    assert_int_equal(m.reg[EMUL_RIP], CODE + 2);
}

static void test_compare_and_scan_stop(void **state)
{
    (void)state;
    start(INSN_64, 0);
    memcpy(m.ram + 0x2000, "skep skip", 9);
    memcpy(m.dev, "skep", 4);
    m.gpr[RSI] = DATA;
    m.gpr[RDI] = DEV;
    m.gpr[RCX] = 9;
    assert_int_equal(RUN(0xf3, 0xa6), EMUL_DONE); /* repe cmpsb: differs at the fifth */
    assert_int_equal(m.gpr[RCX], 4);
    assert_false(m.reg[EMUL_RFLAGS] & FLAG_ZF);
    m.gpr[RDI] = DATA;
    m.gpr[RCX] = 9;
    m.gpr[RAX] = ' ';
    m.reg[EMUL_RIP] = CODE;
    assert_int_equal(RUN(0xf2, 0xae), EMUL_DONE); /* repne scasb */
    assert_int_equal(m.gpr[RCX], 4);
    assert_int_equal(m.gpr[RDI], DATA + 5);
    assert_true(m.reg[EMUL_RFLAGS] & FLAG_ZF);
}

/* Pointers wrap at 64 KiB with 16-bit addresses; the upper halves stay. */
static void test_address_size_16_wraps(void **state)
{
    (void)state;
    start(INSN_32, 0);
    machine_map(&m, 0xffff0000, MACHINE_DEV, 7);
    machine_map(&m, 0x0, MACHINE_DEV + 0x1000, 7);
    machine_map(&m, 0xf000, MACHINE_DEV, 7);
    m.gpr[RDI] = 0x1234ffff;
    m.gpr[RCX] = 0x56780002;
    m.gpr[RAX] = 0x41;
    assert_int_equal(RUN(0x67, 0xf3, 0xaa), EMUL_DONE);
    assert_access(0, true, MACHINE_DEV + 0xfff, 1, 0x41);
    assert_access(1, true, MACHINE_DEV + 0x1000, 1, 0x41);
    assert_int_equal(m.gpr[RDI], 0x12340001);
    assert_int_equal(m.gpr[RCX], 0x56780000);
}

/* The UART's FIFO is fed like this. */
static void test_outs_to_port(void **state)
{
    static const enum insn_mode modes[] = {INSN_64, INSN_32, INSN_16};

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct emul_exit e = {.kind = EMUL_EXIT_PORT, .port = 0x3f8, .size = 1};

        start(modes[i], 0);
        if (modes[i] == INSN_16) {
            m.seg[SEG_DS] = (struct x86_seg){.attr = 0x93, .base = DATA, .limit = 0xffff};
            m.seg[SEG_CS].base = CODE;
            m.reg[EMUL_RIP] = 0;
        }
        memcpy(m.ram + 0x2010, "hello", 5);
        m.gpr[RSI] = modes[i] == INSN_16 ? 0x10 : DATA + 0x10;
        m.gpr[RDX] = 0x3f8;
        m.gpr[RCX] = 5;
        assert_int_equal(RUN_EXIT(&e, 0xf3, 0x6e), EMUL_DONE);
        assert_int_equal(m.accesses, 5);
        for (unsigned k = 0; k < 5; k++)
            assert_access(k, true, 0x3f8, 1, (u8) "hello"[k]);
        assert_int_equal(m.gpr[RCX], 0);
    }
}

/* The destination is found good before the port is read. */
static void test_ins_checks_memory_first(void **state)
{
    (void)state;
    start(INSN_64, 0);
    m.gpr[RDI] = RO;
    m.gpr[RDX] = 0x60;
    assert_page_fault(RUN(0x6c), PF_P | PF_W, RO);
    assert_int_equal(m.accesses, 0);
    m.gpr[RDI] = DATA;
    m.gpr[RCX] = 3;
    assert_int_equal(RUN(0xf3, 0x6d), EMUL_DONE);
    assert_int_equal(m.accesses, 3);
    assert_int_equal(ram_get(0x2004, 4), 2 * 0x11223344);
}

static void test_in_and_out(void **state)
{
    (void)state;
    start(INSN_64, 0);
    m.gpr[RAX] = 0xffffffffffffffff;
    m.gpr[RDX] = 0x12343f8; /* DX alone counts */
    assert_int_equal(RUN(0xec), EMUL_DONE);
    assert_int_equal(m.gpr[RAX], 0xffffffffffffff44);
    m.reg[EMUL_RIP] = CODE;
    assert_int_equal(RUN(0x66, 0xe5, 0x80), EMUL_DONE);
    assert_access(1, false, 0x80, 2, 2 * 0x11223344);
    assert_int_equal(m.gpr[RAX], 0xffffffffffff6688);
    m.reg[EMUL_RIP] = CODE;
    assert_int_equal(RUN(0x48, 0xe5, 0x80), EMUL_DONE); /* never 8 bytes */
    assert_int_equal(m.gpr[RAX], 3 * 0x11223344);
}

/* Privilege at each CPL, IOPL, and the bits of the TSS's I/O bitmap. */
static void port_user(unsigned cpl, unsigned iopl, u16 port, u32 tss_limit)
{
    start(INSN_32, cpl);
    m.reg[EMUL_RFLAGS] |= (u64)iopl << 12;
    m.seg[SEG_TR].base = KERNEL;
    m.seg[SEG_TR].limit = tss_limit;
    ram_put(0x4000 + 102, 0x68, 2); /* the bitmap begins behind the TSS */
    ram_put(0x4068 + 0x3f8 / 8, 0xfe, 1);
    ram_put(0x4068 + 0x3f8 / 8 + 1, 0xff, 1);
    m.gpr[RDX] = port;
}

static void test_port_privilege(void **state)
{
    (void)state;
    for (unsigned cpl = 0; cpl < 4; cpl++) {
        for (unsigned iopl = 0; iopl < 4; iopl++) {
            port_user(cpl, iopl, 0x3f9, 0x2068);
            if (cpl <= iopl)
                assert_int_equal(RUN(0xee), EMUL_DONE);
            else
                assert_fault(RUN(0xee), EXC_GP, 0);
        }
    }
    port_user(3, 0, 0x3f8, 0x2068);
    assert_int_equal(RUN(0xee), EMUL_DONE); /* its bit is clear */
    port_user(3, 0, 0x3f8, 0x2068);
    assert_fault(RUN(0xef), EXC_GP, 0); /* four ports: the others are not */
    port_user(3, 0, 0x3f8, 0x68 + 0x3f8 / 8);
    assert_fault(RUN(0xee), EXC_GP, 0); /* the limit cuts the second byte off */
    port_user(3, 0, 0x3f8, 0x60);
    assert_fault(RUN(0xee), EXC_GP, 0); /* no room for a bitmap base */
    port_user(3, 0, 0x3f8, 0x2068);
    m.seg[SEG_TR].attr = 0x83; /* a 16-bit TSS has none */
    assert_fault(RUN(0xee), EXC_GP, 0);
    port_user(3, 0, 0x3f8, 0x2068);
    m.gpr[RDI] = DATA;
    m.gpr[RSI] = DATA;
    assert_fault(RUN(0x6f), EXC_GP, 0);     /* outsd */
    assert_int_equal(RUN(0x6c), EMUL_DONE); /* insb */
}

/* Virtual-8086 mode asks the bitmap whatever IOPL says; real mode may do everything. */
static void test_port_vm86_and_real(void **state)
{
    (void)state;
    port_user(3, 3, 0x3f9, 0x2068);
    m.reg[EMUL_EFER] = 0;
    m.reg[EMUL_CR0] &= ~CR0_PG; /* what is tested is not the walk */
    m.reg[EMUL_RFLAGS] |= FLAG_VM;
    m.seg[SEG_CS] = (struct x86_seg){.attr = 0xf3, .base = 0x1000, .limit = 0xffff};
    m.seg[SEG_TR].base = 0x4000;
    m.reg[EMUL_RIP] = 0;
    assert_int_equal(RUN(0xee), EMUL_FAULT);
    assert_int_equal(m.cpu.fault.vector, EXC_GP);
    m.gpr[RDX] = 0x3f8;
    assert_int_equal(RUN(0xee), EMUL_DONE);
    m.reg[EMUL_RFLAGS] &= ~FLAG_VM;
    m.reg[EMUL_CR0] &= ~CR0_PE;
    m.reg[EMUL_CPL] = 0;
    m.reg[EMUL_RIP] = 0;
    m.gpr[RDX] = 0x3f9;
    assert_int_equal(RUN(0xee), EMUL_DONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_count_zero_touches_nothing),
        cmocka_unit_test(test_movs_to_device),
        cmocka_unit_test(test_movs_same_offset_without_linear_address),
        cmocka_unit_test(test_movs_that_cannot_explain),
        cmocka_unit_test(test_direction_down),
        cmocka_unit_test(test_fault_in_the_middle),
        cmocka_unit_test(test_read_only_destination),
        cmocka_unit_test(test_huge_count_in_chunks),
        cmocka_unit_test(test_single_step),
        cmocka_unit_test(test_compare_and_scan_stop),
        cmocka_unit_test(test_address_size_16_wraps),
        cmocka_unit_test(test_outs_to_port),
        cmocka_unit_test(test_ins_checks_memory_first),
        cmocka_unit_test(test_in_and_out),
        cmocka_unit_test(test_port_privilege),
        cmocka_unit_test(test_port_vm86_and_real),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
