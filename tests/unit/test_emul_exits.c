/* SPDX-License-Identifier: BSD-2-Clause */
/* What exits tell and cannot tell, code that changes, paging modes, failures half-way, capsules. */
#include "vmm/emul/emul.h"
#include "tests/unit/emul_test.h"

/* Unsupported, and could have left the guest: say so. Could not have: enter the guest again. */
static void test_what_cannot_explain(void **state)
{
    static const struct {
        u8 b[4];
        enum insn_mode mode;
        enum emul_result want;
    } cases[] = {
        {{0xd9, 0x03}, INSN_64, EMUL_UNSUPPORTED},       /* fld [rbx] */
        {{0xd9, 0xc0}, INSN_64, EMUL_RETRY},             /* fld st0 */
        {{0x0f, 0xa0}, INSN_64, EMUL_UNSUPPORTED},       /* push fs */
        {{0x0f, 0xa1}, INSN_64, EMUL_UNSUPPORTED},       /* pop fs */
        {{0x0f, 0xa8}, INSN_64, EMUL_UNSUPPORTED},       /* push gs */
        {{0x0f, 0xa9}, INSN_64, EMUL_UNSUPPORTED},       /* pop gs */
        {{0x0f, 0x02, 0xc0}, INSN_64, EMUL_UNSUPPORTED}, /* lar eax, ax: a descriptor */
        {{0x0f, 0xf7, 0xc8}, INSN_64, EMUL_UNSUPPORTED}, /* maskmovq: to [rdi] */
        {{0x66, 0x0f, 0xf7, 0xc8}, INSN_64, EMUL_UNSUPPORTED},
        {{0x0f, 0xf6, 0xc8}, INSN_64, EMUL_RETRY}, /* psadbw mm1, mm0 */
        {{0x0f, 0x80}, INSN_64, EMUL_RETRY},       /* jo */
        {{0x0f, 0xc8}, INSN_64, EMUL_RETRY},       /* bswap */
        {{0x0f, 0xa2}, INSN_64, EMUL_RETRY},       /* cpuid */
        {{0xc5, 0xf8, 0x77}, INSN_64, EMUL_RETRY}, /* vzeroupper */
        {{0x60}, INSN_32, EMUL_UNSUPPORTED},       /* pusha */
        {{0x9a}, INSN_32, EMUL_UNSUPPORTED},       /* call far */
        {{0x9c}, INSN_32, EMUL_UNSUPPORTED},       /* pushf */
        {{0xc9}, INSN_32, EMUL_UNSUPPORTED},       /* leave */
        {{0xcf}, INSN_32, EMUL_UNSUPPORTED},       /* iret */
        {{0xcd}, INSN_32, EMUL_UNSUPPORTED},       /* int */
        {{0x40}, INSN_32, EMUL_RETRY},             /* inc eax */
        {{0x70}, INSN_32, EMUL_RETRY},             /* jo */
        {{0x99}, INSN_32, EMUL_RETRY},             /* cdq */
        {{0x9b}, INSN_32, EMUL_RETRY},             /* fwait */
        {{0x9e}, INSN_32, EMUL_RETRY},             /* sahf */
        {{0x9f}, INSN_32, EMUL_RETRY},             /* lahf */
        {{0xe0}, INSN_32, EMUL_RETRY},             /* loopne */
        {{0xe9}, INSN_32, EMUL_RETRY},             /* jmp */
        {{0xeb}, INSN_32, EMUL_RETRY},             /* jmp short */
        {{0xf5}, INSN_32, EMUL_RETRY},             /* cmc */
        {{0xfc}, INSN_32, EMUL_RETRY},             /* cld */
        {{0x27}, INSN_32, EMUL_RETRY},             /* daa */
        {{0x2f}, INSN_32, EMUL_RETRY},             /* das */
        {{0x37}, INSN_32, EMUL_RETRY},             /* aaa */
        {{0x3f}, INSN_32, EMUL_RETRY},             /* aas */
        {{0xd4}, INSN_32, EMUL_RETRY},             /* aam */
        {{0xd5}, INSN_32, EMUL_RETRY},             /* aad */
    };
    struct emul_exit port = {.kind = EMUL_EXIT_PORT, .port = 0x80, .size = 1};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct emul_exit e = memory_exit(DEV, false);

        start(cases[i].mode, 0);
        m.gpr[RBX] = DEV;
        assert_int_equal(run_bytes(cases[i].b, 4, &e), cases[i].want);
        assert_int_equal(m.retired, 0);
        assert_int_equal(run_bytes(cases[i].b, 4, NULL), EMUL_UNSUPPORTED);
        assert_int_equal(run_bytes(cases[i].b, 4, &port), EMUL_RETRY);
    }
}

/* Everything works with no release and no generation. */
static void test_without_release_and_generation(void **state)
{
    (void)state;
    start(INSN_64, 0);
    m.ops.mem.release = NULL;
    m.ops.mem.generation = NULL;
    m.gpr[RBX] = DEV - 2;
    m.gpr[RAX] = 0x44332211;
    assert_int_equal(RUN(0x89, 0x03), EMUL_DONE);
    assert_int_equal(ram_get(0x2ffe, 2), 0x2211);
    m.reg[EMUL_RIP] = CODE + PAGE_SIZE - 4; /* near the page's end */
    memcpy(m.ram + 0x1ffc, "\x8b\x0b\x90\x90", 4);
    assert_int_equal(machine_run(&m, NULL), EMUL_DONE);
    assert_int_equal(m.gpr[RCX], 0x44332211);
    m.gpr[RSI] = DATA;
    m.gpr[RDI] = DATA + 0x100;
    m.gpr[RCX] = 0x100;
    m.reg[EMUL_RIP] = CODE;
    assert_int_equal(RUN(0xf3, 0xa4), EMUL_DONE);
}

static void test_code_without_generation(void **state)
{
    (void)state;
    start(INSN_64, 0);
    m.ops.mem.generation = NULL;
    assert_int_equal(RUN(0x8b, 0x04, 0x25, 0x00, 0x10, 0x50, 0x00), EMUL_DONE);
    m.ram_size = 0x1000; /* the code's page is no memory any more */
    assert_int_equal(machine_run(&m, NULL), EMUL_UNSUPPORTED);
}

/* A second fetch reads the same entries where they were, and no more; any change is seen. */
static void test_code_is_fetched_again(void **state)
{
    static const u8 load[] = {0x8b, 0x04, 0x25, 0x00, 0x10, 0x50, 0x00}; /* mov eax, [DEV] */
    struct emul_exit e = memory_exit(DEV, false);
    u64 *entry;

    (void)state;
    start(INSN_64, 0);
    assert_int_equal(run_bytes(load, 7, &e), EMUL_DONE);
    m.reg[EMUL_RIP] = CODE;
    assert_int_equal(run_bytes(load, 7, &e), EMUL_DONE);
    m.holds = 0;
    m.reg[EMUL_RIP] = CODE;
    assert_int_equal(run_bytes(load, 7, &e), EMUL_DONE);
    assert_int_equal(m.holds, 0);
    m.reg[EMUL_RIP] = CODE;
    m.ram[0x1001] = 0x0c; /* mov ecx, [DEV]: the bytes are read each time */
    dev_put(0, 0x77, 4);
    assert_int_equal(machine_run(&m, &e), EMUL_DONE);
    assert_int_equal(m.gpr[RCX], 0x77);
    m.reg[EMUL_RIP] = CODE; /* the page is mapped elsewhere: no invalidation is needed to see it */
    machine_map(&m, CODE, 0x5000, 0x67);
    memcpy(m.ram + 0x5000, load, 7);
    m.ram[0x5001] = 0x14; /* mov edx, [DEV] */
    assert_int_equal(machine_run(&m, &e), EMUL_DONE);
    assert_int_equal(m.gpr[RDX], 0x77);
    m.holds = 0;
    m.reg[EMUL_RIP] = CODE;
    m.generation++; /* memory may have moved */
    assert_int_equal(machine_run(&m, &e), EMUL_DONE);
    assert_int_equal(m.holds, 5);
    m.reg[EMUL_RIP] = CODE; /* not for user code what was for the kernel */
    machine_map(&m, CODE, 0x5000, 0x63);
    assert_int_equal(machine_run(&m, &e), EMUL_DONE);
    m.reg[EMUL_CPL] = 3;
    m.reg[EMUL_RIP] = CODE;
    assert_int_equal(machine_run(&m, &e), EMUL_FAULT);
    assert_int_equal(m.cpu.fault.error, PF_P | PF_U | PF_I);
    m.reg[EMUL_CPL] = 0;
    entry = (u64 *)(m.ram + m.reg[EMUL_CR3]);
    memcpy(m.ram + 0x8000, entry, PAGE_SIZE); /* another root, the same below */
    m.reg[EMUL_CR3] = 0x8000;
    assert_int_equal(machine_run(&m, &e), EMUL_DONE);
    m.reg[EMUL_RIP] = CODE;
    entry[0] = 0; /* the old root's entry counts no more, the new one's does */
    assert_int_equal(machine_run(&m, &e), EMUL_DONE);
    m.reg[EMUL_RIP] = CODE;
    ram_put(0x8000, 0, 8);
    assert_int_equal(machine_run(&m, &e), EMUL_FAULT);
    assert_int_equal(m.cpu.fault.error, PF_I);
}

/* With CR4.LA57 an address is canonical up to 57 bits. */
static void test_57_bit_addresses(void **state)
{
    (void)state;
    for (unsigned la57 = 0; la57 < 2; la57++) {
        machine_init(&m, INSN_64, 0); /* not paged: linear addresses stand for themselves */
        m.reg[EMUL_CR4] |= la57 ? CR4_LA57 : 0;
        m.reg[EMUL_RIP] = 0x1000;
        m.gpr[RBX] = 0x0000900000000000;
        assert_int_equal(RUN(0x8b, 0x03), la57 ? EMUL_DONE : EMUL_FAULT);
        m.reg[EMUL_RIP] = 0x1000;
        m.reg[EMUL_RSP] = 0x2000;
        m.gpr[RAX] = 0x0000900000000000;
        assert_int_equal(RUN(0xff, 0xe0), la57 ? EMUL_DONE : EMUL_FAULT); /* jmp rax */
        m.reg[EMUL_RIP] = 0x0000900000001000;
        assert_int_equal(machine_run(&m, NULL), la57 ? EMUL_UNSUPPORTED : EMUL_FAULT);
    }
}

/* 32-bit code under PAE with pointer registers, and under 32-bit paging with and without PSE. */
static void test_32_bit_paging_modes(void **state)
{
    u32 entry;

    (void)state;
    start(INSN_32, 0); /* tables of long mode at first */
    machine_init(&m, INSN_32, 0);
    m.reg[EMUL_EFER] = 0;
    m.reg[EMUL_CR0] |= CR0_PG;
    m.reg[EMUL_CR3] = 0xdead000; /* not looked at */
    m.ops.pdpte_regs = true;
    m.reg[EMUL_PDPTE0] = 0x8001;
    ram_put(0x8000, 0x9007, 8);
    ram_put(0x9008, 0x1007, 8);
    ram_put(0x9010, MACHINE_DEV | 7, 8);
    m.reg[EMUL_RIP] = 0x1000;
    m.gpr[RBX] = 0x2010;
    assert_int_equal(RUN(0x8b, 0x03), EMUL_DONE);
    assert_access(0, false, MACHINE_DEV + 0x10, 4, 0);

    m.reg[EMUL_CR4] = CR4_PSE;
    m.reg[EMUL_CR3] = 0xa000;
    entry = 0x87; /* 4 MiB at zero */
    memcpy(m.ram + 0xa000, &entry, 4);
    entry = 0xfec00087;
    memcpy(m.ram + 0xa004, &entry, 4);
    m.gpr[RBX] = 0x600008; /* 0xfec00000 + 0x200008 */
    m.reg[EMUL_RIP] = 0x1000;
    assert_int_equal(RUN(0x8b, 0x03), EMUL_DONE);
    assert_access(1, false, 0xfee00008, 4, 0);
}

static void test_tables_outside_of_memory(void **state)
{
    struct emul_exit e = memory_exit(DEV, true);

    (void)state;
    start(INSN_64, 0);
    ram_put(m.reg[EMUL_CR3] + 8, MACHINE_DEV | 7, 8);
    m.gpr[RBX] = 0x8000000000;
    assert_int_equal(RUN(0x8b, 0x03), EMUL_UNSUPPORTED);
    m.gpr[RSP] = 0;
    m.gpr[RSI] = 0x8000000000;
    m.gpr[RDI] = DEV;
    assert_int_equal(RUN_EXIT(&e, 0xa4), EMUL_UNSUPPORTED);
    assert_int_equal(m.held, 0);
}

static void test_stack_exit_without_linear_address(void **state)
{
    struct emul_exit e = memory_exit(DEV + 0x7f8, true);

    (void)state;
    start(INSN_64, 0);
    e.gla_valid = false;
    m.reg[EMUL_RSP] = DEV + 0x800;
    m.gpr[RAX] = 0x1122;
    assert_int_equal(RUN_EXIT(&e, 0x50), EMUL_DONE); /* push rax: found by the walk */
    assert_access(0, true, MACHINE_DEV + 0x7f8, 8, 0x1122);
    m.reg[EMUL_RIP] = CODE;
    m.reg[EMUL_RSP] = DATA + 0x800;
    m.gpr[RBX] = DATA + 0x7f8;
    assert_int_equal(RUN_EXIT(&e, 0xff, 0x33), EMUL_RETRY);
    assert_int_equal(RUN_EXIT(&e, 0xff, 0x13), EMUL_RETRY);
    assert_int_equal(RUN_EXIT(&e, 0xc3), EMUL_RETRY);
    assert_int_equal(RUN_EXIT(&e, 0xe8, 0, 0, 0, 0), EMUL_RETRY);
    assert_int_equal(RUN_EXIT(&e, 0x8f, 0x03), EMUL_RETRY);
    m.gpr[RBX] = 0;
    assert_int_equal(RUN_EXIT(&e, 0xd7), EMUL_FAULT); /* xlat */
    m.gpr[RBX] = DATA;
    assert_int_equal(RUN_EXIT(&e, 0xd7), EMUL_RETRY);
    assert_int_equal(m.accesses, 1);
    assert_int_equal(m.held, 0);
}

/* ---- capsules ---- */

static const char *capsule(const struct emul_exit *e, const u8 *b, unsigned n)
{
    static char line[1000];
    int len;

    run_bytes(b, n, e);
    len = emul_capsule(&m.cpu, line, sizeof(line));
    assert_true(len > 0 && len < 900);
    assert_int_equal(strlen(line), len);
    return line;
}

static void test_capsules(void **state)
{
    struct emul_exit e = memory_exit(DEV, true);
    struct emul_exit port = {.kind = EMUL_EXIT_PORT, .port = 0x3f8, .size = 2, .in = true};
    char small[20];

    (void)state;
    start(INSN_64, 0);
    m.gpr[RBX] = DEV;
    assert_has(capsule(&e, (const u8[]){0xd9, 0x03}, 2), "x=m:2:fee00000:501000");
    assert_has(capsule(&e, (const u8[]){0xd9, 0x03}, 2), "w=501000:");
    e.gla_valid = false;
    assert_has(capsule(&e, (const u8[]){0x65, 0xd9, 0x03}, 3), " s5=");
    assert_has(capsule(&port, (const u8[]){0xed}, 1), "x=p:1:2:3f8");
    m.gpr[RBX] = ABSENT;
    assert_has(capsule(NULL, (const u8[]){0xd9, 0x03}, 2), ":0");
    ram_put(m.reg[EMUL_CR3] + 8, MACHINE_DEV | 7, 8);
    m.gpr[RBX] = 0x8000000000;
    assert_has(capsule(NULL, (const u8[]){0xd9, 0x03}, 2), "w=8000000000:fee00007");
    start(INSN_32, 3);
    m.gpr[RBX] = DEV;
    assert_has(capsule(NULL, (const u8[]){0xd9, 0x03}, 2), " s3=");
    assert_has(capsule(NULL, (const u8[]){0x36, 0xd9, 0x03}, 3), " s2=");
    start(INSN_16, 0);
    m.reg[EMUL_CR0] &= ~(CR0_PE | CR0_PG);
    m.reg[EMUL_EFER] = 0;
    m.reg[EMUL_RIP] = 0x1000;
    m.seg[SEG_CS].limit = 0xffff;
    assert_has(capsule(NULL, (const u8[]){0xd9, 0x07}, 2), "real=1");
    m.reg[EMUL_CR0] |= CR0_PE;
    m.reg[EMUL_RFLAGS] |= FLAG_VM;
    assert_has(capsule(NULL, (const u8[]){0x26, 0xd9, 0x07}, 3), "vm86=1");
    m.reg[EMUL_RIP] = 0x20000; /* beyond the code segment: nothing is fetched */
    machine_run(&m, NULL);
    assert_true(emul_capsule(&m.cpu, small, sizeof(small)) > 20);
    assert_int_equal(strlen(small), 19);
    assert_true(emul_capsule(&m.cpu, NULL, 0) > 20);
    start(INSN_32, 0); /* 32-bit paging: entries of 4 bytes */
    m.reg[EMUL_EFER] = 0;
    m.reg[EMUL_CR4] = 0;
    m.reg[EMUL_CR3] = 0xa000;
    ram_put(0xa000, 0xb027, 4);
    ram_put(0xb004, 0x1027, 4);
    ram_put(0xa004, 0xc027, 4);
    m.reg[EMUL_RIP] = 0x1000;
    m.gpr[RBX] = 0x401000;
    assert_has(capsule(NULL, (const u8[]){0xd9, 0x03}, 2), "w=401000:c027:0");
}

/* Linear memory for exit handlers. */
static void test_linear_memory(void **state)
{
    u8 buf[32] = {1, 2, 3};

    (void)state;
    start(INSN_64, 0);
    emul_begin(&m.cpu, &m.ops, &m, m.gpr);
    assert_int_equal(emul_write_gla(&m.cpu, DATA + 4080, buf, 32, 0), EMUL_DONE);
    assert_int_equal(ram_get(0x2ff0, 4), 0x30201);
    assert_int_equal(emul_read_gla(&m.cpu, DATA + 4080, buf, 32, 0), EMUL_DONE);
    assert_int_equal(emul_read_gla(&m.cpu, ABSENT, buf, 8, 0), EMUL_FAULT);
    assert_int_equal(emul_write_gla(&m.cpu, RO, buf, 8, 0), EMUL_FAULT);
    assert_int_equal(m.held, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_cannot_explain),
        cmocka_unit_test(test_without_release_and_generation),
        cmocka_unit_test(test_code_without_generation),
        cmocka_unit_test(test_code_is_fetched_again),
        cmocka_unit_test(test_57_bit_addresses),
        cmocka_unit_test(test_32_bit_paging_modes),
        cmocka_unit_test(test_tables_outside_of_memory),
        cmocka_unit_test(test_stack_exit_without_linear_address),
        cmocka_unit_test(test_capsules),
        cmocka_unit_test(test_linear_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
