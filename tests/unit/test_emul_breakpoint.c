/* SPDX-License-Identifier: BSD-2-Clause */
/* Data and I/O breakpoints on emulated instructions: SDM 3, 17.2.4 and 17.2.5. */
#include "vmm/emul/emul.h"
#include "tests/unit/emul_test.h"

enum { EXEC, WRITE, IO, BOTH };
enum { LEN1, LEN2, LEN8, LEN4 };

/* DR7 with breakpoint n on, locally (or, how 2, globally). */
static u64 dr7_of(unsigned n, unsigned rw, unsigned len, unsigned how)
{
    return 0x400 | (u64)how << (2 * n) | (u64)(rw | len << 2) << (16 + 4 * n);
}

/* Which breakpoints the bytes meet, all four registers at `at`. */
static u32 hits_at(u64 at, u64 dr7, const u8 *b, unsigned n)
{
    const u64 dr[4] = {at, at, at, at};

    machine_code(&m, 0x1000, b, n);
    emul_begin(&m.cpu, &m.ops, &m, m.gpr);
    assert_int_equal(emul_decode(&m.cpu), EMUL_DONE);
    return emul_breakpoints(&m.cpu, dr, dr7);
}

#define HITS(at, dr7, ...)                                                                         \
    hits_at(at, dr7, (const u8[]){__VA_ARGS__}, sizeof((const u8[]){__VA_ARGS__}))

#define LOAD  0x8b, 0x03       /* mov eax, [rbx] */
#define STORE 0x89, 0x03       /* mov [rbx], eax */
#define ADD   0x83, 0x03, 0x01 /* add dword [rbx], 1 */

static void test_kinds(void **state)
{
    (void)state;
    start(INSN_64, 0);
    m.gpr[RBX] = DEV;
    assert_int_equal(HITS(DEV, dr7_of(0, WRITE, LEN4, 1), LOAD), 0);
    assert_int_equal(HITS(DEV, dr7_of(0, WRITE, LEN4, 1), STORE), 1);
    assert_int_equal(HITS(DEV, dr7_of(0, WRITE, LEN4, 1), ADD), 1);
    assert_int_equal(HITS(DEV, dr7_of(0, BOTH, LEN4, 1), LOAD), 1);
    assert_int_equal(HITS(DEV, dr7_of(0, EXEC, LEN4, 1), STORE), 0);
    assert_int_equal(HITS(DEV, dr7_of(0, IO, LEN4, 1), STORE), 0);
    assert_int_equal(HITS(DEV, dr7_of(0, WRITE, LEN4, 0), STORE), 0); /* not enabled */
}

static void test_each_register(void **state)
{
    (void)state;
    start(INSN_64, 0);
    m.gpr[RBX] = DEV;
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(HITS(DEV, dr7_of(i, BOTH, LEN4, 1), LOAD), 1 << i);
        assert_int_equal(HITS(DEV, dr7_of(i, WRITE, LEN4, 2), STORE), 1 << i);
    }
    assert_int_equal(HITS(DEV, dr7_of(1, BOTH, LEN1, 1) | dr7_of(3, WRITE, LEN1, 1), STORE), 0xa);
}

/* Any byte in common is enough; the low bits of DRn do not count. */
static void test_ranges(void **state)
{
    static const struct {
        s64 offset; /* of the 4 bytes accessed from DEV + 0x10 */
        u64 dr;     /* from there too */
        unsigned len;
        u32 want;
    } cases[] = {
        {0, 3, LEN1, 1},  {0, 4, LEN1, 0},  {1, 0, LEN1, 0},  {0, -1, LEN1, 0}, {0, -1, LEN2, 0},
        {-1, 0, LEN1, 1}, {-3, 0, LEN2, 1}, {-4, 0, LEN2, 0}, {4, 1, LEN8, 1},  {8, 7, LEN8, 0},
        {5, 4, LEN4, 1},  {4, 3, LEN4, 0},  {3, 3, LEN4, 1},
    };

    (void)state;
    start(INSN_64, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        m.gpr[RBX] = DEV + 0x10 + (u64)cases[i].offset;
        assert_int_equal(HITS(DEV + 0x10 + cases[i].dr, dr7_of(0, BOTH, cases[i].len, 1), LOAD),
                         cases[i].want);
    }
}

static void test_ports(void **state)
{
    u64 dr7 = dr7_of(0, IO, LEN2, 1);

    (void)state;
    start(INSN_64, 0);
    m.gpr[RDX] = 0x81;
    assert_int_equal(HITS(0x80, dr7, 0xee), 0); /* without CR4.DE */
    m.reg[EMUL_CR4] |= CR4_DE;
    assert_int_equal(HITS(0x80, dr7, 0xee), 1);       /* out dx, al */
    assert_int_equal(HITS(0x80, dr7, 0xec), 1);       /* in al, dx */
    assert_int_equal(HITS(0x80, dr7, 0xe4, 0x80), 1); /* in al, 80 */
    assert_int_equal(HITS(0x80, dr7, 0xe5, 0x7f), 1); /* in eax, 7f */
    assert_int_equal(HITS(0x80, dr7, 0xe4, 0x82), 0);
    assert_int_equal(HITS(0x80, dr7_of(0, BOTH, LEN2, 1), 0xee), 0);
    m.gpr[RDX] = 0x10081; /* DX alone counts */
    assert_int_equal(HITS(0x80, dr7, 0xee), 1);
}

static void test_strings(void **state)
{
    u64 both = dr7_of(0, BOTH, LEN1, 1), write = dr7_of(0, WRITE, LEN1, 1);

    (void)state;
    start(INSN_64, 0);
    m.reg[EMUL_CR4] |= CR4_DE;
    m.gpr[RSI] = DATA;
    m.gpr[RDI] = DEV;
    m.gpr[RDX] = 0x80;
    assert_int_equal(HITS(DATA, both, 0xa4), 1); /* movsb */
    assert_int_equal(HITS(DATA, write, 0xa4), 0);
    assert_int_equal(HITS(DEV, write, 0xa4), 1);
    assert_int_equal(HITS(DATA, both, 0xac), 1); /* lodsb */
    assert_int_equal(HITS(DEV, both, 0xac), 0);
    assert_int_equal(HITS(DEV, write, 0xaa), 1); /* stosb */
    assert_int_equal(HITS(DATA, both, 0xaa), 0);
    assert_int_equal(HITS(DEV, both, 0xae), 1); /* scasb */
    assert_int_equal(HITS(DEV, write, 0xae), 0);
    assert_int_equal(HITS(DATA, both, 0xa6), 1); /* cmpsb */
    assert_int_equal(HITS(DEV, both, 0xa6), 1);
    assert_int_equal(HITS(DEV, write, 0x6c), 1); /* insb */
    assert_int_equal(HITS(0x80, dr7_of(0, IO, LEN1, 1), 0x6c), 1);
    assert_int_equal(HITS(DATA, both, 0x6e), 1); /* outsb */
    assert_int_equal(HITS(DEV, both, 0x6e), 0);
    assert_int_equal(HITS(0x80, dr7_of(0, IO, LEN1, 1), 0x6e), 1);
    m.gpr[RCX] = 0; /* none to be done */
    assert_int_equal(HITS(0x80, dr7_of(0, IO, LEN1, 1), 0xf3, 0x6e), 0);
    m.gpr[RCX] = 1ull << 32;
    assert_int_equal(HITS(0x80, dr7_of(0, IO, LEN1, 1), 0xf3, 0x6e), 1);
    assert_int_equal(HITS(0x80, dr7_of(0, IO, LEN1, 1), 0x67, 0xf3, 0x6e), 0);
    m.gpr[RDI] |= 1ull << 32; /* the address size cuts it off */
    assert_int_equal(HITS(DEV, write, 0x67, 0xaa), 1);
}

/* No access: no breakpoint. What the segment refuses is not accessed. */
static void test_none(void **state)
{
    u64 both = dr7_of(0, BOTH, LEN4, 1);

    (void)state;
    start(INSN_64, 0);
    m.gpr[RBX] = DEV;
    assert_int_equal(HITS(DEV, both, 0x8d, 0x03), 0);       /* lea eax, [rbx] */
    assert_int_equal(HITS(DEV, both, 0x89, 0xd8), 0);       /* mov eax, ebx */
    assert_int_equal(HITS(DEV, both, 0x0f, 0x1f, 0x03), 0); /* nop [rbx] */
    m.gpr[RBX] = 1ull << 63;
    assert_int_equal(HITS(1ull << 63, both, LOAD), 0); /* not canonical */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),   cmocka_unit_test(test_each_register),
        cmocka_unit_test(test_ranges),  cmocka_unit_test(test_ports),
        cmocka_unit_test(test_strings), cmocka_unit_test(test_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
