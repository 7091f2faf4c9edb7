/* SPDX-License-Identifier: BSD-2-Clause */
/* Faults in the middle of an instruction; segment registers, far pointers. */
#include "vmm/emul/emul.h"
#include "tests/unit/emul_test.h"

/* On a device, or half on one: whatever comes of it, every page is let go. */
static void test_pages_are_let_go(void **state)
{
    static const u8 codes[][6] = {
        {0x01, 0x03},                   /* add [rbx], eax */
        {0xf0, 0x0f, 0xb1, 0x0b},       /* lock cmpxchg */
        {0x0f, 0xc7, 0x0b},             /* cmpxchg8b */
        {0x87, 0x03},                   /* xchg */
        {0x0f, 0xab, 0x0b},             /* bts */
        {0x0f, 0x11, 0x03},             /* movups store */
        {0x0f, 0x10, 0x03},             /* movups load */
        {0xff, 0x33},                   /* push [rbx] */
        {0x8f, 0x03},                   /* pop [rbx] */
        {0xff, 0x13},                   /* call [rbx] */
        {0xff, 0x23},                   /* jmp [rbx] */
        {0x0f, 0xbe, 0x03},             /* movsx */
        {0xf2, 0x0f, 0x38, 0xf0, 0x03}, /* crc32 */
        {0x8e, 0x03},                   /* mov es, [rbx] */
        {0x8c, 0x03},                   /* mov [rbx], es */
        {0x0f, 0xb4, 0x03},             /* lfs */
        {0x0f, 0x38, 0xf0, 0x03},       /* movbe load */
        {0x0f, 0x45, 0x03},             /* cmovne */
        {0xf7, 0x23},                   /* mul */
        {0x0f, 0xaf, 0x03},             /* imul */
        {0x0f, 0xbc, 0x03},             /* bsf */
        {0x3b, 0x03},                   /* cmp */
        {0x39, 0x03},                   /* cmp the other way */
        {0xd7},                         /* xlat */
        {0x0f, 0x16, 0x03},             /* movhps */
        {0x0f, 0xa4, 0x03, 0x05},       /* shld */
        {0x0f, 0xc1, 0x03},             /* xadd */
        {0xc4, 0xe2, 0x78, 0xf2, 0x03}, /* andn */
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(codes); i++) {
        for (unsigned before = 0; before < 8; before++) {
            start(INSN_64, 0);
            m.gpr[RBX] = DEV - before;
            m.gpr[RCX] = 3;
            run_bytes(codes[i], 6, NULL);
            assert_int_equal(m.held, 0);
        }
    }
}

/* A fault on either operand of those that have two leaves the other alone. */
static void test_second_operand_faults(void **state)
{
    (void)state;
    start(INSN_64, 0);
    m.gpr[RBX] = DEV;
    m.reg[EMUL_RSP] = ABSENT + 8;
    assert_page_fault(RUN(0xff, 0x33), PF_W, ABSENT);
    assert_page_fault(RUN(0xff, 0x13), PF_W, ABSENT);
    assert_page_fault(RUN(0xe8, 0x10, 0, 0, 0), PF_W, ABSENT);
    m.reg[EMUL_RSP] = ABSENT;
    assert_page_fault(RUN(0x8f, 0x03), 0, ABSENT);
    assert_page_fault(RUN(0xc3), 0, ABSENT);
    m.reg[EMUL_RSP] = DATA;
    m.gpr[RBX] = RO;
    assert_page_fault(RUN(0x8f, 0x03), PF_P | PF_W, RO);
    assert_int_equal(m.reg[EMUL_RSP], DATA);
    m.gpr[RBX] = ABSENT;
    assert_page_fault(RUN(0xff, 0x33), 0, ABSENT);
    assert_page_fault(RUN(0xff, 0x13), 0, ABSENT);
    m.gpr[RBX] = ABSENT - 16 - 4; /* the second bound's page */
    start(INSN_32, 0);
    m.gpr[RBX] = ABSENT - 4;
    assert_page_fault(RUN(0x62, 0x03), 0, ABSENT);
    assert_int_equal(m.accesses, 0);
}

/* ---- descriptors ---- */

static void table(unsigned cpl)
{
    static const u64 entries[] = {0,
                                  0x00cf92000000ffff, /* 8: data */
                                  0x00cf1e000000ffff, /* 16: conforming code, absent */
                                  0x00cf9e000000ffff, /* 24: conforming code */
                                  0x00cf90000000ffff, /* 32: read-only data */
                                  0x0000000000000000,
                                  0x00cffa000000ffff}; /* 48: readable code, DPL 3 */

    start(INSN_64, cpl);
    memcpy(m.ram + 0x4000, entries, sizeof(entries));
    m.gdt = (struct x86_table){.base = KERNEL, .limit = sizeof(entries) - 1};
    m.gpr[RBX] = DATA;
}

static void load(u16 sel, u8 modrm, enum emul_result want, unsigned vector)
{
    ram_put(0x2000, sel, 2);
    m.retired = 0;
    m.reg[EMUL_RIP] = CODE;
    assert_int_equal(RUN(0x8e, modrm), want);
    if (want == EMUL_FAULT) {
        assert_int_equal(m.cpu.fault.vector, vector);
        assert_int_equal(m.cpu.fault.error, sel & ~3u);
    }
}

static void test_descriptor_checks(void **state)
{
    (void)state;
    table(0);
    load(16, 0x03, EMUL_FAULT, EXC_NP);
    load(24, 0x03, EMUL_DONE, 0);
    load(24 | 3, 0x03, EMUL_DONE, 0); /* conforming: no privilege is asked */
    load(48, 0x03, EMUL_DONE, 0);
    load(32, 0x13, EMUL_FAULT, EXC_GP);    /* SS: read-only */
    load(8 | 1, 0x13, EMUL_FAULT, EXC_GP); /* SS: RPL */
    load(40, 0x03, EMUL_FAULT, EXC_GP);
    m.seg[SEG_LDTR] = (struct x86_seg){.sel = 0, .attr = 0x82, .base = KERNEL, .limit = 0x2f};
    load(12, 0x03, EMUL_FAULT, EXC_GP); /* LDTR holds NULL */
    table(3);
    load(24, 0x03, EMUL_DONE, 0);
    load(48 | 3, 0x03, EMUL_DONE, 0);
    m.gdt.base = ABSENT;
    ram_put(0x2000, 48 | 3, 2);
    m.reg[EMUL_RIP] = CODE;
    m.retired = 0;
    assert_page_fault(RUN(0x8e, 0x03), 0, ABSENT + 48); /* a system access is not the user's */
}

static void test_far_pointers(void **state)
{
    static const struct {
        u8 code[3];
        enum seg seg;
    } cases[] = {
        {{0x0f, 0xb2, 0x0b}, SEG_SS}, {{0x0f, 0xb4, 0x0b}, SEG_FS}, {{0x0f, 0xb5, 0x0b}, SEG_GS}};

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        table(0);
        ram_put(0x2000, 0x11223344, 4);
        ram_put(0x2004, 8, 2);
        assert_int_equal(run_bytes(cases[i].code, 3, NULL), EMUL_DONE);
        assert_int_equal(m.gpr[RCX], 0x11223344);
        assert_int_equal(m.seg[cases[i].seg].sel, 8);
    }
    table(0);
    ram_put(0x2004, 16, 2);
    assert_fault(RUN(0x0f, 0xb4, 0x0b), EXC_NP, 16);
    assert_int_equal(m.gpr[RCX], 0); /* neither half was loaded */
    start(INSN_32, 0);
    memcpy(m.ram + 0x4008, &(u64){0x00cf92000000ffff}, 8);
    m.gdt = (struct x86_table){.base = KERNEL, .limit = 0xf};
    m.gpr[RBX] = DATA;
    ram_put(0x2004, 8, 2);
    assert_int_equal(RUN(0xc4, 0x0b), EMUL_DONE);
    assert_int_equal(m.seg[SEG_ES].sel, 8);
}

/* A register as the source, and as the destination of each width. */
static void test_segment_registers_and_registers(void **state)
{
    (void)state;
    table(0);
    m.gpr[RAX] = 0xffff0008;
    assert_int_equal(RUN(0x8e, 0xc0), EMUL_DONE); /* mov es, eax */
    m.reg[EMUL_RIP] = CODE;
    m.gpr[RCX] = ~0ull;
    assert_int_equal(RUN(0x66, 0x8c, 0xc1), EMUL_DONE); /* mov cx, es */
    assert_int_equal(m.gpr[RCX], 0xffffffffffff0008);
    m.reg[EMUL_RIP] = CODE;
    assert_int_equal(RUN(0x48, 0x8c, 0xc1), EMUL_DONE);
    assert_int_equal(m.gpr[RCX], 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages_are_let_go),
        cmocka_unit_test(test_second_operand_faults),
        cmocka_unit_test(test_descriptor_checks),
        cmocka_unit_test(test_far_pointers),
        cmocka_unit_test(test_segment_registers_and_registers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
