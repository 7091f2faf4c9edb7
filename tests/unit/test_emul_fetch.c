/* SPDX-License-Identifier: BSD-2-Clause */
/* Fetching an instruction, its length, and what the hypervisor asks of one that is not executed. */
#include "vmm/emul/emul.h"
#include "tests/unit/emul_test.h"

/* Fetch: beyond memory, beyond the page, absent, not executable, not canonical. */
static void test_fetch(void **state)
{
    (void)state;
    start(INSN_64, 0);
    m.reg[EMUL_RIP] = CODE + PAGE_SIZE - 1;
    m.ram[0x1fff] = 0x8b; /* the rest is on an absent page */
    assert_int_equal(machine_run(&m, NULL), EMUL_FAULT);
    assert_int_equal(m.cpu.fault.vector, EXC_PF);
    assert_int_equal(m.cpu.fault.error, PF_I);
    assert_int_equal(m.cpu.fault.cr2, CODE + PAGE_SIZE);
    machine_map(&m, CODE + PAGE_SIZE, 0x6000, 7);
    m.ram[0x6000] = 0x03;
    m.gpr[RBX] = DEV;
    assert_int_equal(machine_run(&m, NULL), EMUL_DONE);
    assert_int_equal(m.reg[EMUL_RIP], CODE + PAGE_SIZE + 1);
    m.reg[EMUL_RIP] = DEV;
    assert_int_equal(machine_run(&m, NULL), EMUL_UNSUPPORTED);
    m.reg[EMUL_RIP] = 0x800000000000;
    assert_int_equal(machine_run(&m, NULL), EMUL_FAULT);
    assert_int_equal(m.cpu.fault.vector, EXC_GP);
    machine_map(&m, CODE, 0x1000, 7 | BIT(63));
    m.reg[EMUL_RIP] = CODE;
    assert_int_equal(machine_run(&m, NULL), EMUL_FAULT);
    assert_int_equal(m.cpu.fault.error, PF_P | PF_I);
}

static void test_too_long_and_undefined(void **state)
{
    u8 b[16];

    (void)state;
    start(INSN_64, 0);
    memset(b, 0x66, sizeof(b));
    assert_fault(run_bytes(b, 16, NULL), EXC_GP, 0);
    assert_fault(RUN(0xf0, 0x8b, 0x03), EXC_UD, 0); /* LOCK on a load */
    assert_fault(RUN(0x0f, 0x0b), EXC_UD, 0);
    assert_int_equal(RUN(0xd9, 0x03), EMUL_UNSUPPORTED); /* fld: known length, not executed */
    assert_non_null(m.cpu.why);
}

/* Length of intercepted instructions at any place of the page, prefixes included. */
static void test_insn_length(void **state)
{
    static const struct {
        u8 b[6];
        u8 n;
        enum insn_op op;
    } cases[] = {
        {{0x0f, 0xa2}, 2, OP_CPUID},
        {{0x0f, 0x32}, 2, OP_RDMSR},
        {{0x0f, 0x30}, 2, OP_WRMSR},
        {{0x0f, 0x31}, 2, OP_RDTSC},
        {{0x0f, 0x01, 0xf9}, 3, OP_RDTSCP},
        {{0x0f, 0x33}, 2, OP_RDPMC},
        {{0xf4}, 1, OP_HLT},
        {{0x0f, 0x08}, 2, OP_INVD},
        {{0x0f, 0x09}, 2, OP_WBINVD},
        {{0xf3, 0x0f, 0x09}, 3, OP_WBINVD},
        {{0x0f, 0x01, 0xd1}, 3, OP_XSETBV},
        {{0x0f, 0x06}, 2, OP_CLTS},
        {{0xf3, 0x90}, 2, OP_PAUSE},
        {{0x0f, 0x01, 0xc8}, 3, OP_MONITOR},
        {{0x0f, 0x01, 0xc9}, 3, OP_MWAIT},
        {{0x0f, 0x01, 0xc1}, 3, OP_VMCALL},
        {{0x0f, 0x01, 0xd9}, 3, OP_VMMCALL},
        {{0xec}, 1, OP_IN},
        {{0xe5, 0x80}, 2, OP_IN},
        {{0x66, 0xed}, 2, OP_IN},
        {{0xee}, 1, OP_OUT},
        {{0xe6, 0x80}, 2, OP_OUT},
        {{0x66, 0x48, 0x0f, 0xa2}, 4, OP_CPUID},
        {{0x2e, 0x67, 0xf2, 0x0f, 0x32}, 5, OP_RDMSR},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        for (unsigned off = PAGE_SIZE - 20; off < PAGE_SIZE; off++) {
            unsigned len = 99;

            start(INSN_64, 0);
            machine_map(&m, CODE + PAGE_SIZE, 0x2000, 7); /* guest-physical neighbour */
            m.reg[EMUL_RIP] = CODE + off;
            memcpy(m.ram + 0x1000 + off, cases[i].b, cases[i].n);
            emul_begin(&m.cpu, &m.ops, &m, m.gpr);
            assert_int_equal(emul_insn_length(&m.cpu, cases[i].op, &len), EMUL_DONE);
            assert_int_equal(len, cases[i].n);
            emul_begin(&m.cpu, &m.ops, &m, m.gpr);
            assert_int_equal(
                emul_insn_length(&m.cpu, cases[i].op == OP_HLT ? OP_CPUID : OP_HLT, &len),
                EMUL_RETRY);
        }
    }
    start(INSN_64, 0); /* an instruction that ends where the page does, the next page absent */
    m.reg[EMUL_RIP] = CODE + PAGE_SIZE - 2;
    memcpy(m.ram + 0x1ffe, "\x0f\xa2", 2);
    emul_begin(&m.cpu, &m.ops, &m, m.gpr);
    unsigned len;
    assert_int_equal(emul_insn_length(&m.cpu, OP_CPUID, &len), EMUL_DONE);
    assert_int_equal(insn_length((const u8 *)"\x0f\xa2", 2, INSN_64, (enum insn_op)250), 0);
}

/* Operands of instructions that exit handlers execute. */
static void test_operand_helpers(void **state)
{
    u64 v;
    gla_t gla;
    gpa_t gpa;

    (void)state;
    start(INSN_64, 0);
    m.gpr[RBX] = DATA + 0x10;
    ram_put(0x2010, 0xabcd, 8);
    machine_code(&m, 0x1000, "\x0f\x01\x33", 3); /* lmsw [rbx] */
    emul_begin(&m.cpu, &m.ops, &m, m.gpr);
    assert_int_equal(emul_decode(&m.cpu), EMUL_DONE);
    assert_int_equal(m.cpu.insn.op, OP_LMSW);
    assert_int_equal(emul_operand_read(&m.cpu, 2, &v), EMUL_DONE);
    assert_int_equal(v, 0xabcd);
    assert_int_equal(emul_operand_gla(&m.cpu, 2, 0, &gla), EMUL_DONE);
    assert_int_equal(gla, DATA + 0x10);
    assert_true(emul_peek_gla(&m.cpu, gla, &gpa));
    assert_int_equal(gpa, 0x2010);
    assert_false(emul_peek_gla(&m.cpu, ABSENT, &gpa));
    machine_code(&m, 0x1000, "\x0f\x01\xf4", 3); /* lmsw sp */
    m.reg[EMUL_RSP] = 0x80050033;
    emul_begin(&m.cpu, &m.ops, &m, m.gpr);
    assert_int_equal(emul_decode(&m.cpu), EMUL_DONE);
    assert_int_equal(emul_operand_read(&m.cpu, 2, &v), EMUL_DONE);
    assert_int_equal(v, 0x33);
    machine_code(&m, 0x1000, "\x44\x0f\x22\xc0", 4); /* mov cr8, rax */
    emul_begin(&m.cpu, &m.ops, &m, m.gpr);
    assert_int_equal(emul_decode(&m.cpu), EMUL_DONE);
    assert_int_equal(m.cpu.insn.op, OP_MOV_TO_CR);
    assert_int_equal(m.cpu.insn.reg, 8);
    assert_int_equal(m.cpu.insn.rm, RAX);
}

/* The first and the last of the names, some between, and a number that has none. */
static void test_insn_names(void **state)
{
    static const struct {
        unsigned op;
        const char *name;
    } cases[] = {
        {OP_NONE, "(known length)"},
        {OP_XLAT, "xlat"},
        {OP_CMPXCHG8B, "cmpxchg8b"},
        {OP_SHRD, "shrd"},
        {OP_BSF, "bsf"},
        {OP_BTC, "btc"},
        {OP_CRC32, "crc32"},
        {OP_ARPL, "arpl"},
        {OP_OUT, "out"},
        {OP_NOP, "nop"},
        {OP_VMOV_HALF, "movlps/movhps"},
        {OP_CPUID, "cpuid"},
        {OP_VMMCALL, "vmmcall"},
        {1000, "?"},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
        assert_string_equal(insn_name(cases[i].op), cases[i].name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fetch),       cmocka_unit_test(test_too_long_and_undefined),
        cmocka_unit_test(test_insn_length), cmocka_unit_test(test_operand_helpers),
        cmocka_unit_test(test_insn_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
