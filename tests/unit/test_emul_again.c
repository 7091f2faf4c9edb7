/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Remembered device moves: they are found again as long as everything that they followed from is
 * the same, give the address and value that a fresh decode gives, and are not found otherwise.
 */
#include "tests/unit/emul_test.h"
#include "vmm/emul/again.h"

static struct x86_mode now;

/* Executes the bytes at CODE + offset as an exit at DEV would, and remembers them. */
static void execute(unsigned offset, const u8 *bytes, unsigned n, gla_t at, bool write)
{
    struct emul_exit e = memory_exit(at, write);

    now = (struct x86_mode){.cr3 = m.reg[EMUL_CR3],
                            .cr4 = m.reg[EMUL_CR4],
                            .efer = m.reg[EMUL_EFER],
                            .cs_attr = m.seg[SEG_CS].attr,
                            .cpl = (u32)m.reg[EMUL_CPL]};
    m.reg[EMUL_RIP] = CODE + offset;
    assert_int_equal(run_bytes(bytes, n, &e), EMUL_DONE);
    m.reg[EMUL_RIP] = CODE + offset;
    m.cpu.reg[EMUL_RIP] = CODE + offset;
    emul_remember(&m.cpu, &now);
}

#define EXECUTE(at, write, ...)                                                                    \
    execute(0, (const u8[]){__VA_ARGS__}, sizeof((const u8[]){__VA_ARGS__}), at, write)

static const struct emul_again *found(void)
{
    return emul_again(&m.cpu, CODE, &m.generation, &now);
}

/* A kernel that has the device's page in RBX, and page-table entries accessed as a fetch does. */
static int setup(void **state)
{
    (void)state;
    start(INSN_64, 0);
    m.gpr[RBX] = DEV;
    EXECUTE(DEV + 0x20, false, 0x8b, 0x43, 0x20); /* the walk sets accessed bits: once more */
    EXECUTE(DEV + 0x20, false, 0x8b, 0x43, 0x20); /* mov 0x20(%rbx), %eax */
    return 0;
}

static void test_found_with_its_operands(void **state)
{
    const struct emul_again *a = found();

    (void)state;
    assert_non_null(a);
    assert_int_equal(a->len, 3);
    assert_int_equal(a->size, 4);
    assert_int_equal(a->access, INSN_READ);
    assert_int_equal(a->reg, RAX);
    assert_int_equal(emul_again_gla(a, m.gpr), DEV + 0x20);
    m.gpr[RBX] = DATA; /* registers are not part of it */
    assert_int_equal(emul_again_gla(found(), m.gpr), DATA + 0x20);
}

/* Forms, as the manual's tables have them: address and value by hand. */
static void test_forms(void **state)
{
    const struct emul_again *a;

    (void)state;
    m.gpr[RBX] = DEV;
    m.gpr[RCX] = 4;
    m.gpr[R9] = 0x1122334455667788ull;
    EXECUTE(DEV + 0x10, true, 0x44, 0x89, 0x0c, 0x8b); /* mov %r9d, (%rbx,%rcx,4) */
    a = found();
    assert_non_null(a);
    assert_int_equal(a->access, INSN_WRITE);
    assert_int_equal(emul_again_gla(a, m.gpr), DEV + 0x10);
    assert_int_equal(emul_again_source(a, m.gpr), 0x55667788);

    EXECUTE(DEV, true, 0x4c, 0x89, 0x0b); /* mov %r9, (%rbx) */
    assert_int_equal(emul_again_source(found(), m.gpr), 0x1122334455667788ull);

    EXECUTE(DEV + 0xb0, true, 0xc7, 0x83, 0xb0, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff);
    a = found(); /* movl $-2, 0xb0(%rbx) */
    assert_non_null(a);
    assert_int_equal(a->len, 10);
    assert_int_equal(emul_again_source(a, m.gpr), 0xfffffffe);

    EXECUTE(DEV, true, 0x48, 0xc7, 0x03, 0xfe, 0xff, 0xff, 0xff); /* movq $-2, (%rbx) */
    assert_int_equal(emul_again_source(found(), m.gpr), 0xfffffffffffffffeull);

    /* mov 0xffff9(%rip), %edx: the next instruction is at CODE + 6 */
    EXECUTE(DEV + 0x8, false, 0x8b, 0x15, 0x02, 0x00, 0x10, 0x00);
    a = found();
    assert_non_null(a);
    assert_int_equal(a->reg, RDX);
    assert_int_equal(emul_again_gla(a, m.gpr), CODE + 6 + 0x100002);

    /* movabs 0x501040, %eax */
    EXECUTE(DEV + 0x40, false, 0xa1, 0x40, 0x10, 0x50, 0, 0, 0, 0, 0);
    a = found();
    assert_non_null(a);
    assert_int_equal(a->len, 9);
    assert_int_equal(emul_again_gla(a, m.gpr), DEV + 0x40);
}

/* Rewritten code is seen, whichever of its bytes changes; bytes behind it do not matter. */
static void test_code_rewritten(void **state)
{
    (void)state;
    EXECUTE(DEV + 0xb0, true, 0xc7, 0x83, 0xb0, 0, 0, 0, 1, 0, 0, 0);
    for (unsigned i = 0; i < 10; i++) {
        m.ram[0x1000 + i] ^= 0x80;
        assert_null(found());
        m.ram[0x1000 + i] ^= 0x80;
        assert_non_null(found());
    }
    for (unsigned i = 10; i < 16; i++)
        m.ram[0x1000 + i] ^= 0xff;
    assert_non_null(found());
}

/* Another page at the code's address, the same bytes on it or not; or rights taken away. */
static void test_tables_changed(void **state)
{
    u64 *e = (u64 *)(m.ram + m.reg[EMUL_CR3]);

    (void)state;
    for (int shift = 39; shift >= 12; shift -= 9) {
        u64 *at = e + (CODE >> shift & 0x1ff), old = *at;

        for (unsigned bit = 0; bit < 64; bit++) {
            *at = old ^ BIT(bit);
            assert_null(found());
        }
        *at = old;
        assert_non_null(found());
        e = (u64 *)(m.ram + (old & 0xffffffffff000ull));
    }
}

static void test_mode_changed(void **state)
{
    struct x86_mode old = now;

    (void)state;
    now.cr3 += PAGE_SIZE;
    assert_null(found());
    now = old;
    now.cr4 ^= CR4_SMEP;
    assert_null(found());
    now = old;
    now.efer ^= EFER_NXE;
    assert_null(found());
    now = old;
    now.cs_attr ^= SEG_L | SEG_DB;
    assert_null(found());
    now = old;
    now.cpl = 3;
    assert_null(found());
    now = old;
    assert_non_null(found());
    m.generation++; /* memory was taken away from the guest */
    assert_null(found());
}

/* Another place with the same low address bits takes the slot, and is told apart. */
static void test_slot_taken(void **state)
{
    (void)state;
    execute(EMUL_AGAIN, (const u8[]){0x8b, 0x4b, 0x30}, 3, DEV + 0x30, false);
    assert_null(found());
    assert_non_null(emul_again(&m.cpu, CODE + EMUL_AGAIN, &m.generation, &now));
}

/* What is not remembered: each takes no slot. */
static void test_others_are_not_remembered(void **state)
{
    (void)state;
    memset(m.cpu.again, 0, sizeof(m.cpu.again));
    EXECUTE(DEV, false, 0x8a, 0x03);       /* mov (%rbx), %al: merges */
    EXECUTE(DEV, false, 0x66, 0x8b, 0x03); /* mov (%rbx), %ax */
    EXECUTE(DEV, false, 0x0f, 0xb6, 0x03); /* movzbl (%rbx), %eax */
    EXECUTE(DEV, false, 0x03, 0x03);       /* add (%rbx), %eax */
    EXECUTE(DEV, false, 0x64, 0x8b, 0x03); /* mov %fs:(%rbx), %eax */
    EXECUTE(DEV, false, 0x67, 0x8b, 0x03); /* mov (%ebx), %eax */
    EXECUTE(DEV, false, 0x8b, 0x23);       /* mov (%rbx), %esp */
    m.reg[EMUL_RSP] = m.gpr[RSP] = DEV;
    EXECUTE(DEV, false, 0x8b, 0x04, 0x24); /* mov (%rsp), %eax */
    assert_null(found());
    for (unsigned i = 0; i < EMUL_AGAIN; i++)
        assert_int_equal(m.cpu.again[i].len, 0);
}

/* User code has alignment checks, other modes have segments: theirs take the long way. */
static void test_other_modes(void **state)
{
    (void)state;
    start(INSN_64, 3);
    m.gpr[RBX] = DEV;
    EXECUTE(DEV, false, 0x8b, 0x03);
    EXECUTE(DEV, false, 0x8b, 0x03);
    assert_null(found());
    start(INSN_32, 0);
    m.gpr[RBX] = DEV;
    EXECUTE(DEV, false, 0x8b, 0x03);
    EXECUTE(DEV, false, 0x8b, 0x03);
    assert_null(found());
}

/* Decodes the bytes at CODE as an exit of a control register would, and remembers them. */
static void decode_cr(const u8 *bytes, unsigned n)
{
    machine_code(&m, 0x1000, bytes, n);
    emul_begin(&m.cpu, &m.ops, &m, m.gpr);
    assert_int_equal(emul_decode(&m.cpu), EMUL_DONE);
    emul_remember(&m.cpu, &now);
}

static void test_control_registers(void **state)
{
    static const u8 to_cr8[] = {0x45, 0x0f, 0x22, 0xc1}, from_cr0[] = {0x0f, 0x20, 0xc4};
    static const u8 clts[] = {0x0f, 0x06}, lmsw[] = {0x0f, 0x01, 0xf0};
    const struct emul_again *a;

    (void)state;
    decode_cr(to_cr8, sizeof(to_cr8)); /* mov %r9, %cr8 */
    a = found();
    assert_non_null(a);
    assert_int_equal(a->access, EMUL_AGAIN_CR);
    assert_int_equal(a->op, OP_MOV_TO_CR);
    assert_int_equal(a->cr, 8);
    assert_int_equal(a->reg, R9);
    assert_int_equal(a->len, 4);
    machine_code(&m, 0x1000, from_cr0, sizeof(from_cr0));
    assert_null(found());
    decode_cr(from_cr0, sizeof(from_cr0)); /* mov %cr0, %rsp */
    assert_int_equal(found()->op, OP_MOV_FROM_CR);
    assert_int_equal(found()->cr, 0);
    assert_int_equal(found()->reg, RSP);
    assert_int_equal(found()->len, 3);
    decode_cr(clts, sizeof(clts));
    assert_null(found());
    decode_cr(lmsw, sizeof(lmsw));
    assert_null(found());
}

/* Too near the page's end for two words: never remembered, so never read past it. */
static void test_page_end(void **state)
{
    static const u8 mov[] = {0x8b, 0x03};

    (void)state;
    for (unsigned at = PAGE_SIZE - 16; at <= PAGE_SIZE - 2; at++) {
        execute(at, mov, 2, DEV, false);
        execute(at, mov, 2, DEV, false);
        assert_int_equal(!!emul_again(&m.cpu, CODE + at, &m.generation, &now),
                         at <= PAGE_SIZE - 16);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_found_with_its_operands, setup),
        cmocka_unit_test_setup(test_forms, setup),
        cmocka_unit_test_setup(test_code_rewritten, setup),
        cmocka_unit_test_setup(test_tables_changed, setup),
        cmocka_unit_test_setup(test_mode_changed, setup),
        cmocka_unit_test_setup(test_slot_taken, setup),
        cmocka_unit_test_setup(test_others_are_not_remembered, setup),
        cmocka_unit_test_setup(test_other_modes, setup),
        cmocka_unit_test_setup(test_control_registers, setup),
        cmocka_unit_test_setup(test_page_end, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
