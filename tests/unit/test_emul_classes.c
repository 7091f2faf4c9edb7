/* SPDX-License-Identifier: BSD-2-Clause */
/* Classes of errors that emulators have had, each a test (docs/emulator.md lists them all). */
#include <stdlib.h>
#include "vmm/emul/emul.h"
#include "vmm/emul/internal.h"
#include "tests/unit/emul_test.h"

/* ---- the tables ---- */

/* The bytes end where the buffer ends: the sanitizer sees a read beyond. */
static enum insn_status decode_exactly(const u8 *b, unsigned n, enum insn_mode mode,
                                       struct insn *in)
{
    u8 *copy = malloc(n);
    enum insn_status st;

    memcpy(copy, b, n);
    st = insn_decode(copy, n, mode, in);
    free(copy);
    return st;
}

static void check_bytes(const u8 *b, enum insn_mode mode)
{
    struct insn in;
    enum insn_status st = insn_decode(b, INSN_MAX, mode, &in);

    assert_in_range(st, INSN_OK, INSN_UNSUPPORTED);
    if (st != INSN_OK)
        return;
    assert_in_range(in.len, 1, INSN_MAX);
    assert_true(in.op < OP_COUNT);
    assert_int_equal(decode_exactly(b, in.len, mode, &in), INSN_OK);
    if (in.len > 1)
        assert_int_equal(decode_exactly(b, in.len - 1u, mode, &in), INSN_SHORT);
}

/* All opcodes of all maps, with each prefix, in each mode: an answer, and never a byte too far. */
static void test_every_opcode_has_an_answer(void **state)
{
    static const u8 starts[][4] = {{0},
                                   {1, 0x66},
                                   {1, 0xf2},
                                   {1, 0xf3},
                                   {1, 0xf0},
                                   {1, 0x67},
                                   {1, 0x48},
                                   {1, 0x64},
                                   {1, 0x0f},
                                   {2, 0x66, 0x0f},
                                   {2, 0xf2, 0x0f},
                                   {2, 0xf3, 0x0f},
                                   {2, 0xf0, 0x0f},
                                   {2, 0x48, 0x0f},
                                   {2, 0x0f, 0x38},
                                   {2, 0x0f, 0x3a},
                                   {3, 0x66, 0x0f, 0x38},
                                   {3, 0xf2, 0x0f, 0x38},
                                   {3, 0xf3, 0x0f, 0x38},
                                   {2, 0xc5, 0xf8},
                                   {2, 0xc5, 0xfd},
                                   {3, 0xc4, 0xe1, 0x78},
                                   {3, 0xc4, 0xe2, 0x79},
                                   {3, 0xc4, 0xe3, 0xfb},
                                   {3, 0xc4, 0xe4, 0x78},
                                   {3, 0x62, 0xf1, 0x7c}};
    static const u8 modrm[] = {0x03, 0x44, 0x85, 0x24, 0xc0, 0x05};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(starts) * 256 * 8 * ARRAY_SIZE(modrm); i++) {
        unsigned start = i / (256 * 8 * ARRAY_SIZE(modrm)), n = starts[start][0];
        u8 b[INSN_MAX] = {0};

        memcpy(b, starts[start] + 1, n);
        b[n] = (u8)(i / (8 * ARRAY_SIZE(modrm)));
        b[n + 1] = modrm[i / 8 % ARRAY_SIZE(modrm)] ^ (u8)(i % 8 << 3);
        for (unsigned mode = INSN_16; mode <= INSN_64; mode++)
            check_bytes(b, (enum insn_mode)mode);
    }
}

/* A register operand stays one under a segment override, even of a segment that is unusable. */
static void test_register_operand_under_a_segment_override(void **state)
{
    (void)state;
    start(INSN_32, 3);
    m.seg[SEG_GS].attr = SEG_UNUSABLE;
    m.gpr[RAX] = 5;
    m.gpr[RCX] = 7;
    assert_int_equal(RUN(0x65, 0x01, 0xc8), EMUL_DONE); /* add eax, ecx */
    assert_int_equal(m.gpr[RAX], 12);
    m.reg[EMUL_RIP] = CODE;
    m.retired = 0;
    assert_fault(RUN(0x65, 0x01, 0x08), EXC_GP, 0); /* add gs:[eax], ecx */
}

/* CMPXCHG8B is 8 bytes with 66 too. */
static void test_cmpxchg8b_with_an_operand_size_prefix(void **state)
{
    (void)state;
    start(INSN_32, 0);
    m.gpr[RSI] = DEV;
    m.gpr[RBX] = 0x33333333;
    m.gpr[RCX] = 0x44444444;
    assert_int_equal(RUN(0x66, 0x0f, 0xc7, 0x0e), EMUL_DONE);
    assert_int_equal(m.accesses, 2);
    assert_access(0, false, MACHINE_DEV, 8, 0);
    assert_access(1, true, MACHINE_DEV, 8, 0x4444444433333333);
}

/* ---- page ends ---- */

static unsigned written(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < m.accesses; i++)
        n += m.log[i].size;
    return n;
}

/* Each size at each distance from the end of RAM, a device behind it: all bytes, each once. */
static void test_every_size_at_every_page_end(void **state)
{
    static const struct {
        u8 size, len, store[5], load[5];
    } moves[] = {{1, 2, {0x88, 0x03}, {0x8a, 0x03}},
                 {2, 3, {0x66, 0x89, 0x03}, {0x66, 0x8b, 0x03}},
                 {4, 2, {0x89, 0x03}, {0x8b, 0x03}},
                 {8, 3, {0x48, 0x89, 0x03}, {0x48, 0x8b, 0x03}},
                 {16, 4, {0xf3, 0x0f, 0x7f, 0x03}, {0xf3, 0x0f, 0x6f, 0x03}},
                 {32, 4, {0xc5, 0xfe, 0x7f, 0x03}, {0xc5, 0xfe, 0x6f, 0x03}}};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(moves); i++) {
        for (unsigned back = 1; back < 32; back++) {
            unsigned size = moves[i].size, in_ram = MIN(size, back);
            u8 *p;

            start(INSN_64, 0);
            p = size > 8 ? m.vec[0] : (u8 *)&m.gpr[RAX];
            m.gpr[RBX] = DEV - back;
            for (unsigned k = 0; k < size; k++)
                p[k] = (u8)(k + 1);
            assert_int_equal(run_bytes(moves[i].store, moves[i].len, NULL), EMUL_DONE);
            assert_int_equal(written(), size - in_ram);
            assert_memory_equal(m.ram + 0x3000 - back, p, in_ram);
            assert_memory_equal(m.dev, p + in_ram, size - in_ram);
            assert_int_equal(m.dev[size - in_ram], 0);
            memset(p, 0, size);
            m.reg[EMUL_RIP] = CODE;
            assert_int_equal(run_bytes(moves[i].load, moves[i].len, NULL), EMUL_DONE);
            assert_int_equal(written(), 2 * (size - in_ram));
            for (unsigned k = 0; k < size; k++)
                assert_int_equal(p[k], k + 1);
            assert_int_equal(m.held, 0);
        }
    }
}

/* ---- what is done before the exit is explained ---- */

/* ARPL reads before it knows whether it writes; it must not read what the exit is not about. */
static void test_arpl_does_not_read_another_device(void **state)
{
    struct emul_exit e = memory_exit(DEV2, false);

    (void)state;
    start(INSN_32, 0);
    m.gpr[RBX] = DEV;
    assert_int_equal(RUN_EXIT(&e, 0x63, 0x0b), EMUL_RETRY); /* arpl [ebx], cx */
    assert_int_equal(m.accesses, 0);
    assert_int_equal(m.held, 0);
}

/* Both kinds of exit are explained; what need not change is not written. */
static void test_arpl_on_a_device(void **state)
{
    (void)state;
    for (unsigned write = 0; write < 2; write++) {
        struct emul_exit e = memory_exit(DEV, write);

        start(INSN_32, 0);
        m.gpr[RBX] = DEV;
        m.gpr[RCX] = 2;
        dev_put(0, 0x11, 2);
        assert_int_equal(RUN_EXIT(&e, 0x63, 0x0b), EMUL_DONE);
        assert_int_equal(m.accesses, 2);
        assert_access(0, false, MACHINE_DEV, 2, 0x11);
        assert_access(1, true, MACHINE_DEV, 2, 0x12);
        assert_true(m.reg[EMUL_RFLAGS] & FLAG_ZF);
        m.reg[EMUL_RIP] = CODE;
        assert_int_equal(RUN_EXIT(&e, 0x63, 0x0b), EMUL_DONE);
        assert_int_equal(m.accesses, 3);
        assert_false(m.reg[EMUL_RFLAGS] & FLAG_ZF);
    }
}

/* ---- far pointers ---- */

/* Offset and selector are two accesses, each with its own limit and alignment. */
static void test_far_pointer_is_two_accesses(void **state)
{
    (void)state;
    start(INSN_32, 0);
    m.gpr[RBX] = DEV;
    dev_put(0, 0x11223344, 4);
    assert_int_equal(RUN(0x0f, 0xb4, 0x0b), EMUL_DONE); /* lfs ecx, [ebx]: NULL */
    assert_int_equal(m.accesses, 2);
    assert_access(0, false, MACHINE_DEV, 4, 0x11223344);
    assert_access(1, false, MACHINE_DEV + 4, 2, 0);

    start(INSN_32, 0); /* the offset's page fault comes before the selector's limit */
    m.seg[SEG_DS].limit = (u32)ABSENT + 4;
    m.gpr[RBX] = ABSENT;
    assert_page_fault(RUN(0x0f, 0xb4, 0x0b), 0, ABSENT);
    m.gpr[RBX] = DATA;
    m.seg[SEG_DS].limit = (u32)DATA + 4;
    assert_fault(RUN(0x0f, 0xb4, 0x0b), EXC_GP, 0);

    start(INSN_32, 3);
    m.reg[EMUL_RFLAGS] |= FLAG_AC;
    m.gpr[RBX] = DATA + 2;
    assert_fault(RUN(0x0f, 0xb4, 0x0b), EXC_AC, 0); /* 4-byte offset */
    assert_int_equal(RUN(0x66, 0x0f, 0xb4, 0x0b), EMUL_DONE);
}

/* In compatibility mode the descriptor tables lie anywhere in 64 bits of address space. */
static void test_descriptors_above_4_gib_in_compatibility_mode(void **state)
{
    (void)state;
    start(INSN_64, 0);
    machine_map(&m, 0xffffc90000000000, 0x4000, 3);
    m.seg[SEG_CS].attr = (m.seg[SEG_CS].attr & ~SEG_L) | SEG_DB;
    m.gdt = (struct x86_table){.base = 0xffffc90000000000, .limit = 0xf};
    ram_put(0x4008, 0x00cf92000000ffff, 8);
    m.gpr[RAX] = 8;
    assert_int_equal(RUN(0x8e, 0xe0), EMUL_DONE); /* mov fs, eax */
    assert_int_equal(m.seg[SEG_FS].sel, 8);
    assert_int_equal(m.seg[SEG_FS].limit, 0xffffffff);
}

/* ---- nothing goes on for ever ---- */

static void *meddling_hold(void *ctx, gpa_t gpa, unsigned len, bool write)
{
    gpa_t leaf = MACHINE_TABLES + 3 * PAGE_SIZE + (DATA >> 12 & 0x1ff) * 8;

    if (gpa == leaf && write)
        m.ram[leaf + 1] ^= 0x10; /* another processor was faster, each time */
    return machine_hold(ctx, gpa, len, write);
}

/* Another processor changes the operand's entry whenever its accessed bit is to be set. */
static void test_entry_that_never_rests(void **state)
{
    (void)state;
    start(INSN_64, 0);
    m.ops.mem.hold = meddling_hold;
    m.gpr[RBX] = DATA;
    assert_int_equal(RUN(0x8b, 0x03), EMUL_RETRY);
    assert_int_equal(m.held, 0);
    assert_true(m.holds < 1000);
    m.ops.mem.hold = machine_hold; /* it rests: the same emulation goes through */
    assert_int_equal(RUN(0x8b, 0x03), EMUL_DONE);
}

static u64 losing(struct emul_cpu *c, u64 old, u64 src, u64 *flags)
{
    (void)c, (void)src, (void)flags;
    m.ram[0x2000]++; /* another processor is faster, each time */
    m.accesses++;
    return old + 1;
}

/* LOCK against a processor that always wins. */
static void test_locked_update_that_always_loses(void **state)
{
    u64 old, flags = 0;
    struct span s;

    (void)state;
    start(INSN_64, 0);
    m.gpr[RBX] = DATA;
    assert_int_equal(RUN(0xf0, 0xff, 0x03), EMUL_DONE); /* lock inc [rbx]: decoded, mode known */
    m.accesses = 0;
    assert_int_equal(mem_open(&m.cpu, &s), EMUL_DONE);
    assert_int_equal(span_update(&m.cpu, &s, losing, 1, &flags, &old), EMUL_RETRY);
    span_close(&m.cpu, &s);
    assert_in_range(m.accesses, 2, 100000);
    assert_int_equal(m.held, 0);
}

/* Chunks of a string with a count of 2^64 - 1, and one of 2^32 - 1: each call ends. */
static void test_string_that_never_ends(void **state)
{
    (void)state;
    for (unsigned a32 = 0; a32 < 2; a32++) {
        start(INSN_64, 0);
        m.gpr[RCX] = a32 ? 0xffffffff : ~0ull;
        m.gpr[RDI] = DEV;
        m.gpr[RDX] = 0x80;
        for (unsigned i = 0; i < 4; i++) { /* rep insb: stays on two pages, then faults */
            enum emul_result r = a32 ? RUN(0x67, 0xf3, 0x6c) : RUN(0xf3, 0x6c);

            assert_int_equal(r, EMUL_PARTIAL);
            assert_int_equal(m.reg[EMUL_RIP], CODE);
            m.gpr[RDI] = DEV;
        }
        assert_int_equal(m.gpr[RCX], (a32 ? 0xffffffff : ~0ull) - 4096);
        assert_int_equal(m.held, 0);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_opcode_has_an_answer),
        cmocka_unit_test(test_register_operand_under_a_segment_override),
        cmocka_unit_test(test_cmpxchg8b_with_an_operand_size_prefix),
        cmocka_unit_test(test_every_size_at_every_page_end),
        cmocka_unit_test(test_arpl_does_not_read_another_device),
        cmocka_unit_test(test_arpl_on_a_device),
        cmocka_unit_test(test_far_pointer_is_two_accesses),
        cmocka_unit_test(test_descriptors_above_4_gib_in_compatibility_mode),
        cmocka_unit_test(test_entry_that_never_rests),
        cmocka_unit_test(test_locked_update_that_always_loses),
        cmocka_unit_test(test_string_that_never_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
