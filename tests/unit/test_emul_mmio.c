/* SPDX-License-Identifier: BSD-2-Clause */
/* Accesses to devices as the exits tell of them: widths, page crossings, what each grants, what
 * fails. */
#include "vmm/emul/emul.h"
#include "tests/unit/emul_test.h"

static void test_read_and_write_each_width(void **state)
{
    (void)state;
    for (unsigned size = 1; size <= 8; size *= 2) {
        u8 read[] = {0x66, 0x48, 0x8b, 0x03}; /* mov rax, [rbx] with prefixes for the size */
        u8 *op = read + (size == 2 ? 1 : 2) - (size == 2);
        struct emul_exit e;

        start(INSN_64, 0);
        m.gpr[RBX] = DEV + 0x20;
        m.gpr[RAX] = 0x1122334455667788;
        dev_put(0x20, 0xa1b2c3d4e5f60718, 8);
        e = memory_exit(DEV + 0x20, false);
        if (size == 1)
            read[2] = 0x8a;
        if (size == 2) {
            read[1] = 0x8b;
            read[2] = 0x03;
        }
        if (size == 8)
            op = read + 1;
        assert_int_equal(run_bytes(op, (unsigned)(read + 4 - op), &e), EMUL_DONE);
        assert_int_equal(m.accesses, 1);
        assert_access(0, false, MACHINE_DEV + 0x20, size,
                      0xa1b2c3d4e5f60718 & (~0ull >> (64 - 8 * size)));
        assert_int_equal(m.gpr[RAX], size == 8   ? 0xa1b2c3d4e5f60718
                                     : size == 4 ? 0xe5f60718
                                     : size == 2 ? 0x1122334455660718
                                                 : 0x1122334455667718);
    }
}

static void test_write_immediate(void **state)
{
    struct emul_exit e = memory_exit(DEV + 0xb0, true);

    (void)state;
    start(INSN_64, 0);
    m.gpr[RDI] = DEV;
    /* mov qword [rdi+0xb0], -1: the immediate is sign-extended */
    assert_int_equal(RUN_EXIT(&e, 0x48, 0xc7, 0x87, 0xb0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff),
                     EMUL_DONE);
    assert_int_equal(m.accesses, 1);
    assert_access(0, true, MACHINE_DEV + 0xb0, 8, ~0ull);
    assert_int_equal(m.reg[EMUL_RIP], CODE + 11);
    assert_int_equal(m.held, 0);
}

/* The exit's address saves the walk: a device read holds no page-table page. */
static void test_hint_saves_the_walk(void **state)
{
    struct emul_exit e = memory_exit(DEV + 0x20, false);

    (void)state;
    start(INSN_64, 0);
    m.gpr[RBX] = DEV + 0x20;
    for (unsigned i = 0; i < 2; i++) { /* accessed bits, then where the code is */
        m.reg[EMUL_RIP] = CODE;
        assert_int_equal(RUN_EXIT(&e, 0x8b, 0x03), EMUL_DONE);
    }
    m.holds = 0;
    m.reg[EMUL_RIP] = CODE;
    assert_int_equal(RUN_EXIT(&e, 0x8b, 0x03), EMUL_DONE);
    assert_int_equal(m.holds, 0);
}

/* Without a linear address in the exit (AMD), the offset into the page tells the operand. */
static void test_no_linear_address(void **state)
{
    struct emul_exit e = memory_exit(DEV + 0x20, false);

    (void)state;
    start(INSN_64, 0);
    e.gla_valid = false;
    e.gla = 0;
    m.gpr[RBX] = DEV + 0x20;
    assert_int_equal(RUN_EXIT(&e, 0x8b, 0x03), EMUL_DONE);
    assert_access(0, false, MACHINE_DEV + 0x20, 4, 0);
    m.accesses = 0;
    m.reg[EMUL_RIP] = CODE;
    m.gpr[RBX] = DEV + 0x24; /* another register: cannot be what faulted */
    assert_int_equal(RUN_EXIT(&e, 0x8b, 0x03), EMUL_RETRY);
    assert_int_equal(m.accesses, 0);
}

/* CVE-2011-1780: the instruction was rewritten between the exit and the fetch. */
static void test_rewritten_instruction_is_not_executed(void **state)
{
    static const u8 others[][8] = {
        {0x90},                   /* touches no memory */
        {0x74, 0x10},             /* a jump: neither */
        {0x01, 0xd8},             /* add eax, ebx */
        {0x89, 0x03},             /* a write where the exit was a read */
        {0x8b, 0x43, 0x40},       /* another address on the page */
        {0x8b, 0x86, 0, 0x10, 0}, /* another page */
        {0xee},                   /* a port */
        {0x50},                   /* a push to ordinary memory */
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
        struct emul_exit e = memory_exit(DEV + 0x20, false);
        enum emul_result r;

        start(INSN_64, 0);
        m.gpr[RBX] = DEV + 0x20;
        m.gpr[RSI] = DATA;
        r = run_bytes(others[i], sizeof(others[i]), &e);
        assert_int_equal(r, EMUL_RETRY);
        assert_int_equal(m.accesses, 0);
        assert_int_equal(m.retired, 0);
        assert_int_equal(m.held, 0);
        assert_int_equal(m.gpr[RAX], 0);
        assert_int_equal(m.reg[EMUL_RSP], DATA + 0x800);
    }
}

static void test_port_exit_must_match(void **state)
{
    struct emul_exit e = {.kind = EMUL_EXIT_PORT, .port = 0x3f8, .size = 1, .in = false};

    (void)state;
    start(INSN_64, 0);
    m.gpr[RDX] = 0x3f8;
    m.gpr[RAX] = 0x41;
    assert_int_equal(RUN_EXIT(&e, 0xee), EMUL_DONE); /* out dx, al */
    assert_access(0, true, 0x3f8, 1, 0x41);
    m.accesses = 0;
    assert_int_equal(RUN_EXIT(&e, 0xef), EMUL_RETRY); /* out dx, eax */
    assert_int_equal(RUN_EXIT(&e, 0xec), EMUL_RETRY); /* in al, dx */
    m.gpr[RDX] = 0x3f9;
    assert_int_equal(RUN_EXIT(&e, 0xee), EMUL_RETRY);
    m.gpr[RBX] = DEV;
    assert_int_equal(RUN_EXIT(&e, 0x8b, 0x03), EMUL_RETRY);
    assert_int_equal(m.accesses, 0);
}

/* CVE-2014-0049: both pages are looked up before either is touched. */
static void test_crossing_into_absent_page(void **state)
{
    (void)state;
    for (unsigned size = 2; size <= 8; size *= 2) {
        for (unsigned before = 1; before < size; before++) {
            u8 code[] = {0x66, 0x89, 0x03};

            start(INSN_64, 0);
            m.gpr[RBX] = RO + PAGE_SIZE - before;
            m.gpr[RAX] = ~0ull;
            machine_map(&m, RO, MACHINE_DEV, 7); /* first part is a device */
            if (size == 8)
                code[0] = 0x48;
            assert_page_fault(run_bytes(size == 4 ? code + 1 : code, size == 4 ? 2 : 3, NULL), PF_W,
                              ABSENT);
            assert_int_equal(m.accesses, 0);
        }
    }
}

static void test_crossing_from_ram_to_device(void **state)
{
    (void)state;
    for (unsigned before = 1; before < 8; before++) {
        unsigned after = 8 - before, seen = 0;

        start(INSN_64, 0);
        m.gpr[RBX] = DEV - before;
        m.gpr[RAX] = 0x8877665544332211;
        assert_int_equal(RUN(0x48, 0x89, 0x03), EMUL_DONE);
        assert_int_equal(ram_get(0x3000 - before, before),
                         0x8877665544332211 & (~0ull >> (64 - 8 * before)));
        assert_int_equal(dev_get(0, after), 0x8877665544332211 >> (8 * before));
        for (unsigned i = 0; i < m.accesses; i++) { /* natural widths, in order, each once */
            assert_int_equal(m.log[i].addr, MACHINE_DEV + seen);
            seen += m.log[i].size;
        }
        assert_int_equal(seen, after);
        m.gpr[RCX] = 0;
        m.reg[EMUL_RIP] = CODE;
        assert_int_equal(RUN(0x48, 0x8b, 0x0b), EMUL_DONE);
        assert_int_equal(m.gpr[RCX], 0x8877665544332211);
        assert_int_equal(m.held, 0);
    }
}

/* The exit names the second page, whose first byte is the operand's middle. */
static void test_crossing_explained_by_second_page(void **state)
{
    struct emul_exit e = memory_exit(DEV, true);

    (void)state;
    start(INSN_64, 0);
    m.gpr[RBX] = DEV - 2;
    m.gpr[RAX] = 0x44332211;
    assert_int_equal(RUN_EXIT(&e, 0x89, 0x03), EMUL_DONE);
    assert_int_equal(m.accesses, 1);
    assert_access(0, true, MACHINE_DEV, 2, 0x4433);
    start(INSN_64, 0);
    e.gla_valid = false;
    m.gpr[RBX] = DEV - 2;
    m.gpr[RAX] = 0x44332211;
    assert_int_equal(RUN_EXIT(&e, 0x89, 0x03), EMUL_DONE);
    assert_access(0, true, MACHINE_DEV, 2, 0x4433);
}

static void test_read_modify_write_reads_once_and_writes_once(void **state)
{
    (void)state;
    for (unsigned lock = 0; lock < 2; lock++) {
        struct emul_exit e = memory_exit(DEV + 8, true);

        start(INSN_64, 0);
        e.read = true;
        m.gpr[RBX] = DEV + 8;
        dev_put(8, 0xff, 4);
        if (lock)
            assert_int_equal(RUN_EXIT(&e, 0xf0, 0x83, 0x03, 1), EMUL_DONE); /* lock add [rbx], 1 */
        else
            assert_int_equal(RUN_EXIT(&e, 0x83, 0x03, 1), EMUL_DONE);
        assert_int_equal(m.accesses, 2);
        assert_access(0, false, MACHINE_DEV + 8, 4, 0xff);
        assert_access(1, true, MACHINE_DEV + 8, 4, 0x100);
        assert_int_equal(m.reg[EMUL_RFLAGS] & (FLAG_CF | FLAG_ZF | FLAG_AF | FLAG_PF),
                         FLAG_AF | FLAG_PF);
    }
}

/* An exit for the read half of a read-modify-write: the write is still checked by the walk. */
static void test_read_exit_does_not_grant_a_write(void **state)
{
    struct emul_exit e = memory_exit(DEV + 8, false);

    (void)state;
    start(INSN_64, 0);
    machine_map(&m, DEV, MACHINE_DEV, 5); /* read-only, CR0.WP set */
    m.gpr[RBX] = DEV + 8;
    assert_page_fault(RUN_EXIT(&e, 0xff, 0x03), PF_P | PF_W, DEV + 8); /* inc [rbx] */
    assert_int_equal(m.accesses, 0);
}

static void test_compare_exchange(void **state)
{
    (void)state;
    start(INSN_64, 0);
    m.gpr[RBX] = DEV;
    m.gpr[RAX] = 5;
    m.gpr[RCX] = 9;
    dev_put(0, 5, 4);
    assert_int_equal(RUN(0xf0, 0x0f, 0xb1, 0x0b), EMUL_DONE);
    assert_access(1, true, MACHINE_DEV, 4, 9);
    assert_true(m.reg[EMUL_RFLAGS] & FLAG_ZF);
    m.accesses = 0;
    m.reg[EMUL_RIP] = CODE;
    assert_int_equal(RUN(0xf0, 0x0f, 0xb1, 0x0b),
                     EMUL_DONE); /* unequal: written back, EAX loaded */
    assert_access(1, true, MACHINE_DEV, 4, 9);
    assert_int_equal(m.gpr[RAX], 9);
    assert_false(m.reg[EMUL_RFLAGS] & FLAG_ZF);
}

/* XSA-200: an operand-size prefix does not change CMPXCHG8B; CMPXCHG16B wants alignment. */
static void test_compare_exchange_pair(void **state)
{
    (void)state;
    start(INSN_64, 0);
    m.gpr[RSI] = DATA + 8;
    m.gpr[RAX] = 0x11111111;
    m.gpr[RDX] = 0x22222222;
    m.gpr[RBX] = 0x33333333;
    m.gpr[RCX] = 0x44444444;
    ram_put(0x2008, 0x2222222211111111, 8);
    assert_int_equal(RUN(0x66, 0xf0, 0x0f, 0xc7, 0x0e), EMUL_DONE);
    assert_int_equal(ram_get(0x2008, 8), 0x4444444433333333);
    m.retired = 0;
    m.reg[EMUL_RIP] = CODE;
    assert_fault(RUN(0xf0, 0x48, 0x0f, 0xc7, 0x0e), EXC_GP, 0);
    m.gpr[RSI] = DEV; /* a pair in a device: two reads, two writes of 8 */
    dev_put(0, 0x11111111, 8);
    dev_put(8, 0x22222222, 8);
    assert_int_equal(RUN(0xf0, 0x48, 0x0f, 0xc7, 0x0e), EMUL_DONE);
    assert_int_equal(m.accesses, 4);
    assert_access(2, true, MACHINE_DEV, 8, 0x33333333);
    assert_access(3, true, MACHINE_DEV + 8, 8, 0x44444444);
}

/* XSA-195: a bit offset in a register reaches memory far from the operand, both ways. */
static void test_bit_offset_reaches_beyond(void **state)
{
    static const struct {
        s64 bit;
        unsigned size;
    } cases[] = {{100, 4}, {-1, 4}, {-4096, 8}, {0x7000, 2}, {-0x4000, 2}, {8 * 0x7f0, 8}};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        u8 bts[] = {cases[i].size == 2 ? 0x66 : cases[i].size == 8 ? 0x48 : 0x3e, 0x0f, 0xab, 0x0b};
        gla_t at = DATA + 0x800;
        u64 byte = (u64)((s64)(at + 0) + (cases[i].bit >> 3)) - DATA + 0x2000;

        start(INSN_64, 0);
        m.gpr[RBX] = at;
        m.gpr[RCX] = (u64)cases[i].bit & (~0ull >> (64 - 8 * cases[i].size));
        if (byte >= 0x3000) { /* lands in the device page behind */
            assert_int_equal(run_bytes(bts, 4, NULL), EMUL_DONE);
            assert_int_equal(m.dev[byte - 0x3000], 1u << (cases[i].bit & 7));
            continue;
        }
        if (byte < 0x2000) {
            assert_int_equal(run_bytes(bts, 4, NULL), EMUL_FAULT);
            continue;
        }
        assert_int_equal(run_bytes(bts, 4, NULL), EMUL_DONE);
        assert_int_equal(m.ram[byte], 1u << (cases[i].bit & 7));
    }
}

/* A device's flush and prefetch touch nothing; a flush of an absent page faults as a read. */
static void test_cache_hints(void **state)
{
    (void)state;
    start(INSN_64, 0);
    m.gpr[RBX] = DEV;
    assert_int_equal(RUN(0x0f, 0xae, 0x3b), EMUL_DONE);       /* clflush [rbx] */
    assert_int_equal(RUN(0x66, 0x0f, 0xae, 0x3b), EMUL_DONE); /* clflushopt */
    assert_int_equal(RUN(0x66, 0x0f, 0xae, 0x33), EMUL_DONE); /* clwb */
    assert_int_equal(RUN(0x0f, 0x18, 0x0b), EMUL_DONE);       /* prefetcht0 */
    assert_int_equal(m.accesses, 0);
    m.retired = 0;
    m.gpr[RBX] = ABSENT;
    m.reg[EMUL_RIP] = CODE;
    assert_page_fault(RUN(0x0f, 0xae, 0x3b), 0, ABSENT);
    assert_int_equal(RUN(0x0f, 0x18, 0x0b), EMUL_DONE); /* a prefetch never faults */
}

/* 16 and 32 bytes come as accesses of 8, in order; partial loads zero the rest. */
static void test_vector_moves(void **state)
{
    (void)state;
    start(INSN_64, 0);
    m.gpr[RBX] = DEV + 0x40;
    for (unsigned i = 0; i < 32; i++)
        m.dev[0x40 + i] = (u8)(i + 1);
    memset(m.vec, 0xee, sizeof(m.vec));
    assert_int_equal(RUN(0x66, 0x0f, 0x6f, 0x0b), EMUL_DONE); /* movdqa xmm1, [rbx] */
    assert_int_equal(m.accesses, 2);
    assert_access(0, false, MACHINE_DEV + 0x40, 8, 0x0807060504030201);
    assert_memory_equal(m.vec[1], m.dev + 0x40, 16);
    assert_int_equal(m.vec[1][16], 0xee);                     /* legacy: the upper half stays */
    assert_int_equal(RUN(0xc5, 0xfe, 0x6f, 0x13), EMUL_DONE); /* vmovdqu ymm2, [rbx] */
    assert_memory_equal(m.vec[2], m.dev + 0x40, 32);
    assert_int_equal(RUN(0xc5, 0xf8, 0x10, 0x1b), EMUL_DONE); /* vmovups xmm3, [rbx] */
    assert_int_equal(m.vec[3][16], 0);
    m.accesses = 0;
    assert_int_equal(RUN(0x66, 0x0f, 0xe7, 0x13), EMUL_DONE); /* movntdq [rbx], xmm2 */
    assert_int_equal(m.accesses, 2);
    assert_int_equal(RUN(0xf3, 0x0f, 0x10, 0x23), EMUL_DONE); /* movss xmm4, [rbx] */
    assert_int_equal(m.vec[4][3], 4);
    assert_int_equal(m.vec[4][4], 0);
    m.gpr[RBX]++;
    m.retired = 0;
    m.reg[EMUL_RIP] = CODE;
    assert_fault(RUN(0x66, 0x0f, 0x6f, 0x0b), EXC_GP, 0);
    m.gpr[RBX]--;
    m.reg[EMUL_CR0] |= CR0_TS;
    assert_fault(RUN(0x66, 0x0f, 0x6f, 0x0b), EXC_NM, 0);
    m.reg[EMUL_CR4] &= ~CR4_OSFXSR;
    assert_fault(RUN(0x66, 0x0f, 0x6f, 0x0b), EXC_UD, 0);
    m.reg[EMUL_XCR0] = XCR0_X87 | XCR0_SSE;
    assert_fault(RUN(0xc5, 0xfe, 0x6f, 0x13), EXC_UD, 0);
}

/* Writes to read-only memory that is no device go where devices would, and reads come from it. */
static void *rom_hold(void *ctx, gpa_t gpa, unsigned len, bool write)
{
    if (write && gpa >> PAGE_SHIFT == 5)
        return NULL;
    return machine_hold(ctx, gpa, len, write);
}

static void test_rom_is_read_and_not_written(void **state)
{
    (void)state;
    start(INSN_64, 0);
    machine_map(&m, ROM, 0x5000, 7);
    m.ops.mem.hold = rom_hold;
    m.gpr[RBX] = ROM;
    ram_put(0x5000, 0x41, 4);
    assert_int_equal(RUN(0x83, 0x03, 1), EMUL_DONE); /* add dword [rbx], 1 */
    assert_int_equal(ram_get(0x5000, 4), 0x41);
    assert_int_equal(m.accesses, 1);
    assert_access(0, true, 0x5000, 4, 0x42);
    assert_int_equal(m.held, 0);
}

/* Privilege: a device page that is the kernel's is not user code's. */
static void test_user_cannot_reach_supervisor_page(void **state)
{
    (void)state;
    start(INSN_64, 3);
    m.gpr[RBX] = KERNEL;
    assert_page_fault(RUN(0x8b, 0x03), PF_P | PF_U, KERNEL);
    assert_page_fault(RUN(0x89, 0x03), PF_P | PF_U | PF_W, KERNEL);
    start(INSN_64, 0);
    m.gpr[RBX] = KERNEL;
    assert_int_equal(RUN(0x8b, 0x03), EMUL_DONE);
}

static void test_alignment_check(void **state)
{
    (void)state;
    start(INSN_64, 3);
    m.reg[EMUL_RFLAGS] |= FLAG_AC;
    m.gpr[RBX] = DEV + 2;
    assert_fault(RUN(0x8b, 0x03), EXC_AC, 0);
    m.reg[EMUL_CR0] &= ~CR0_AM;
    assert_int_equal(RUN(0x8b, 0x03), EMUL_DONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_and_write_each_width),
        cmocka_unit_test(test_write_immediate),
        cmocka_unit_test(test_hint_saves_the_walk),
        cmocka_unit_test(test_no_linear_address),
        cmocka_unit_test(test_rewritten_instruction_is_not_executed),
        cmocka_unit_test(test_port_exit_must_match),
        cmocka_unit_test(test_crossing_into_absent_page),
        cmocka_unit_test(test_crossing_from_ram_to_device),
        cmocka_unit_test(test_crossing_explained_by_second_page),
        cmocka_unit_test(test_read_modify_write_reads_once_and_writes_once),
        cmocka_unit_test(test_read_exit_does_not_grant_a_write),
        cmocka_unit_test(test_compare_exchange),
        cmocka_unit_test(test_compare_exchange_pair),
        cmocka_unit_test(test_bit_offset_reaches_beyond),
        cmocka_unit_test(test_cache_hints),
        cmocka_unit_test(test_vector_moves),
        cmocka_unit_test(test_rom_is_read_and_not_written),
        cmocka_unit_test(test_user_cannot_reach_supervisor_page),
        cmocka_unit_test(test_alignment_check),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
