/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Segmentation: limits, expand-down, rights, bases, wraps, the stack, loads of segment registers;
 * register halves in each mode; real and virtual-8086 mode.
 */
#include "vmm/emul/emul.h"
#include "tests/unit/emul_test.h"

#define DATA32 0x93 /* present, writable, accessed */

static void use_ds(u32 attr, u64 base, u32 limit)
{
    m.seg[SEG_DS] = (struct x86_seg){.sel = 0x10, .attr = attr, .base = base, .limit = limit};
}

/* The last byte counts, not the first. */
static void test_limit_on_the_last_byte(void **state)
{
    (void)state;
    start(INSN_32, 0);
    use_ds(DATA32 | SEG_DB, DATA, 0x1003);
    m.gpr[RBX] = 0x1000;
    assert_int_equal(RUN(0x8b, 0x03), EMUL_DONE);
    m.reg[EMUL_RIP] = CODE;
    m.gpr[RBX] = 0x1001;
    m.retired = 0;
    assert_fault(RUN(0x8b, 0x03), EXC_GP, 0);
    m.gpr[RBX] = 0xfffffffe; /* and does not wrap around 4 GiB */
    assert_fault(RUN(0x8b, 0x03), EXC_GP, 0);
}

static void test_expand_down(void **state)
{
    (void)state;
    start(INSN_32, 0);
    use_ds(DATA32 | SEG_TYPE_E | SEG_DB, DATA, 0xfff);
    m.gpr[RBX] = 0xfff;
    assert_fault(RUN(0x8a, 0x03), EXC_GP, 0);
    m.gpr[RBX] = 0x1000;
    assert_int_equal(RUN(0x8a, 0x03), EMUL_DONE);
    assert_access(0, false, MACHINE_DEV, 1, 0);
    m.retired = 0;
    m.reg[EMUL_RIP] = CODE;
    use_ds(DATA32 | SEG_TYPE_E, DATA, 0xfff); /* 16-bit: up to 64 KiB */
    m.gpr[RBX] = 0x10000;
    assert_fault(RUN(0x8a, 0x03), EXC_GP, 0);
    m.gpr[RBX] = 0xffff;
    assert_fault(RUN(0x66, 0x8b, 0x03), EXC_GP, 0);
}

/* XSA-191, CVE-2017-2583: NULL, unusable and absent segments; #SS for the stack's. */
static void test_unusable_segments(void **state)
{
    (void)state;
    start(INSN_32, 0);
    m.gpr[RBX] = m.gpr[RBP] = DATA;
    use_ds(SEG_UNUSABLE, 0, 0xffffffff);
    assert_fault(RUN(0x8b, 0x03), EXC_GP, 0);
    use_ds(0x13 | SEG_DB, 0, 0xffffffff); /* not present */
    assert_fault(RUN(0x8b, 0x03), EXC_GP, 0);
    m.seg[SEG_SS].attr = SEG_UNUSABLE;
    assert_fault(RUN(0x8b, 0x45, 0x00), EXC_SS, 0);
    assert_fault(RUN(0x36, 0x8b, 0x03), EXC_SS, 0);
    /* XSA-123: a register operand is no memory operand, whatever the override. */
    m.seg[SEG_FS].attr = SEG_UNUSABLE;
    m.gpr[RCX] = 5;
    assert_int_equal(RUN(0x64, 0x89, 0xc8), EMUL_DONE);
    assert_int_equal(m.gpr[RAX], 5);
}

static void test_rights(void **state)
{
    (void)state;
    start(INSN_32, 0);
    m.gpr[RBX] = DATA;
    use_ds(0x91 | SEG_DB, 0, 0xffffffff); /* read-only data */
    assert_int_equal(RUN(0x8b, 0x03), EMUL_DONE);
    m.reg[EMUL_RIP] = CODE;
    m.retired = 0;
    assert_fault(RUN(0x89, 0x03), EXC_GP, 0);
    use_ds(0x99 | SEG_DB, 0, 0xffffffff); /* execute-only code */
    assert_fault(RUN(0x8b, 0x03), EXC_GP, 0);
    use_ds(0x9b | SEG_DB, 0, 0xffffffff); /* readable code */
    assert_int_equal(RUN(0x8b, 0x03), EMUL_DONE);
    m.reg[EMUL_RIP] = CODE;
    m.retired = 0;
    assert_fault(RUN(0x01, 0x03), EXC_GP, 0); /* read-modify-write writes */
}

/* Bases count in 32-bit code, only FS's and GS's in 64-bit code; 32-bit sums wrap at 4 GiB. */
static void test_bases(void **state)
{
    (void)state;
    start(INSN_32, 0);
    use_ds(DATA32 | SEG_DB | SEG_G, DEV - 0x10, 0xffffffff);
    m.gpr[RBX] = 0x30;
    assert_int_equal(RUN(0x8b, 0x03), EMUL_DONE);
    assert_access(0, false, MACHINE_DEV + 0x20, 4, 0);
    use_ds(DATA32 | SEG_DB | SEG_G, DEV + 0x100, 0xffffffff);
    m.gpr[RBX] = (u32)-0xf0;
    m.reg[EMUL_RIP] = CODE;
    assert_int_equal(RUN(0x8b, 0x03), EMUL_DONE);
    assert_access(1, false, MACHINE_DEV + 0x10, 4, 0);
    start(INSN_64, 0);
    m.seg[SEG_DS].base = 0x1000;
    m.seg[SEG_DS].limit = 0;
    m.seg[SEG_GS].base = DEV;
    m.gpr[RBX] = 0x40;
    assert_int_equal(RUN(0x65, 0x8b, 0x03), EMUL_DONE);
    assert_access(0, false, MACHINE_DEV + 0x40, 4, 0);
    m.gpr[RBX] = DEV + 0x44;
    m.reg[EMUL_RIP] = CODE;
    assert_int_equal(RUN(0x3e, 0x8b, 0x03), EMUL_DONE); /* DS: is nothing in 64-bit code */
    assert_access(1, false, MACHINE_DEV + 0x44, 4, 0);
    m.seg[SEG_FS].base = 0xffff800000000000;
    m.gpr[RBX] = 0x7fffffffffff + DEV - 0x10; /* wraps to a low address, which is canonical */
    m.gpr[RBX] = 0x0000800000000000 + DEV + 8;
    m.reg[EMUL_RIP] = CODE;
    assert_int_equal(RUN(0x64, 0x8b, 0x03), EMUL_DONE);
    assert_access(2, false, MACHINE_DEV + 8, 4, 0);
}

/* #GP for data, #SS for the stack; the last byte counts. */
static void test_not_canonical(void **state)
{
    (void)state;
    start(INSN_64, 0);
    m.gpr[RBX] = m.gpr[RBP] = 0x0000800000000000;
    assert_fault(RUN(0x8b, 0x03), EXC_GP, 0);
    assert_fault(RUN(0x8b, 0x45, 0x00), EXC_SS, 0);
    m.gpr[RBX] = 0x00007ffffffffffe;
    assert_fault(RUN(0x8b, 0x03), EXC_GP, 0);
    m.reg[EMUL_RSP] = 0x0000900000000000;
    assert_fault(RUN(0x50), EXC_SS, 0);
}

/* Addresses are truncated to the address size before the base is added. */
static void test_address_size(void **state)
{
    (void)state;
    start(INSN_64, 0);
    m.gpr[RBX] = 0xdead00000000 + DEV + 0x20; /* XSA-454: the upper half does not leak in */
    assert_int_equal(RUN(0x67, 0x8b, 0x03), EMUL_DONE);
    assert_access(0, false, MACHINE_DEV + 0x20, 4, 0);
    start(INSN_32, 0);
    machine_map(&m, 0, MACHINE_DEV, 7);
    m.gpr[RBX] = 0xabcdffff;
    m.gpr[RSI] = 0x12340021;
    assert_int_equal(RUN(0x67, 0x8b, 0x00), EMUL_DONE); /* [bx+si] = 0x20 */
    assert_access(0, false, MACHINE_DEV + 0x20, 4, 0);
    start(INSN_32, 0);
    m.gpr[RBX] = 0xffffffff00000000 + DEV; /* garbage above 32 bits in 32-bit code */
    assert_int_equal(RUN(0x8b, 0x03), EMUL_DONE);
    assert_access(0, false, MACHINE_DEV, 4, 0);
}

/* moffset of 2, 4 and 8 bytes by address size. */
static void test_moffset(void **state)
{
    (void)state;
    start(INSN_64, 0);
    assert_int_equal(RUN(0xa1, 0x20, 0x10, 0x50, 0, 0, 0, 0, 0), EMUL_DONE);
    assert_access(0, false, MACHINE_DEV + 0x20, 4, 0);
    assert_int_equal(m.reg[EMUL_RIP], CODE + 9);
    m.reg[EMUL_RIP] = CODE;
    assert_int_equal(RUN(0x67, 0x48, 0xa3, 0x20, 0x10, 0x50, 0), EMUL_DONE);
    assert_access(1, true, MACHINE_DEV + 0x20, 8, m.gpr[RAX]);
    assert_int_equal(m.reg[EMUL_RIP], CODE + 7);
    start(INSN_32, 0);
    assert_int_equal(RUN(0xa0, 0x24, 0x10, 0x50, 0), EMUL_DONE);
    assert_access(0, false, MACHINE_DEV + 0x24, 1, 0);
    use_ds(DATA32 | SEG_DB | SEG_G, DEV, 0xffffffff);
    m.reg[EMUL_RIP] = CODE;
    assert_int_equal(RUN(0x67, 0x66, 0xa1, 0x28, 0x00), EMUL_DONE);
    assert_access(1, false, MACHINE_DEV + 0x28, 2, 0);
    assert_int_equal(m.reg[EMUL_RIP], CODE + 5);
}

/* 0x8A to AH, CH, DH, BH; with REX the same numbers are SPL, BPL, SIL, DIL. */
static void test_high_byte_registers(void **state)
{
    static const enum insn_mode modes[] = {INSN_64, INSN_32};

    (void)state;
    for (unsigned k = 0; k < 2; k++) {
        for (unsigned r = 4; r < 8; r++) {
            start(modes[k], 0);
            dev_put(0, 0xa5, 1);
            for (unsigned i = 0; i < 8; i++)
                m.gpr[i] = 0x11111111;
            /* mov r8, [DEV] by absolute address */
            if (modes[k] == INSN_64)
                assert_int_equal(RUN(0x8a, (u8)(0x04 | r << 3), 0x25, 0, 0x10, 0x50, 0), EMUL_DONE);
            else
                assert_int_equal(RUN(0x8a, (u8)(0x05 | r << 3), 0, 0x10, 0x50, 0), EMUL_DONE);
            assert_int_equal(m.gpr[r - 4], 0x1111a511);
            if (modes[k] == INSN_32)
                continue;
            m.reg[EMUL_RIP] = CODE;
            m.reg[EMUL_RSP] = 0x11111111;
            assert_int_equal(RUN(0x40, 0x8a, (u8)(0x04 | r << 3), 0x25, 0, 0x10, 0x50, 0),
                             EMUL_DONE);
            assert_int_equal(r == RSP ? m.reg[EMUL_RSP] : m.gpr[r], 0x111111a5);
        }
    }
}

/* ---- the stack ---- */

static void test_stack_width(void **state)
{
    (void)state;
    start(INSN_32, 0);
    m.seg[SEG_SS] = (struct x86_seg){.attr = DATA32, .base = DATA, .limit = 0xffff};
    m.reg[EMUL_RSP] = 0x12340004; /* SP alone moves */
    m.gpr[RAX] = 0xaabbccdd;
    assert_int_equal(RUN(0x50), EMUL_DONE);
    assert_int_equal(m.reg[EMUL_RSP], 0x12340000);
    assert_int_equal(ram_get(0x2000, 4), 0xaabbccdd);
    m.reg[EMUL_RIP] = CODE;
    assert_int_equal(RUN(0x58 + RBX), EMUL_DONE);
    assert_int_equal(m.gpr[RBX], 0xaabbccdd);
    assert_int_equal(m.reg[EMUL_RSP], 0x12340004);
    m.reg[EMUL_RSP] = 0x12340000; /* wraps to 0xfffc: absent there */
    m.retired = 0;
    m.reg[EMUL_RIP] = CODE;
    assert_page_fault(RUN(0x50), PF_W, DATA + 0xfffc);
    assert_int_equal(m.reg[EMUL_RSP], 0x12340000);
}

static void test_push_pop_call_through_device(void **state)
{
    struct emul_exit e = memory_exit(DEV + 0x10, false);

    (void)state;
    start(INSN_64, 0);
    m.gpr[RBX] = DEV + 0x10;
    dev_put(0x10, CODE + 0x500, 8);
    assert_int_equal(RUN_EXIT(&e, 0xff, 0x33), EMUL_DONE); /* push [rbx] */
    assert_int_equal(ram_get(0x27f8, 8), CODE + 0x500);
    m.reg[EMUL_RIP] = CODE;
    assert_int_equal(RUN_EXIT(&e, 0xff, 0x13), EMUL_DONE); /* call [rbx] */
    assert_int_equal(m.reg[EMUL_RIP], CODE + 0x500);
    assert_int_equal(ram_get(0x27f0, 8), CODE + 2);
    assert_int_equal(m.reg[EMUL_RSP], DATA + 0x7f0);
    m.reg[EMUL_RIP] = CODE;
    assert_int_equal(RUN_EXIT(&e, 0xff, 0x23), EMUL_DONE); /* jmp [rbx] */
    assert_int_equal(m.reg[EMUL_RIP], CODE + 0x500);
    m.reg[EMUL_RIP] = CODE;
    e = memory_exit(DEV + 0x10, true);
    assert_int_equal(RUN_EXIT(&e, 0x8f, 0x03), EMUL_DONE); /* pop [rbx] */
    assert_int_equal(dev_get(0x10, 8), CODE + 2);
    m.reg[EMUL_RIP] = CODE;
    assert_int_equal(RUN(0xc3), EMUL_DONE);
    assert_int_equal(m.reg[EMUL_RIP], CODE + 0x500);
    assert_int_equal(m.held, 0);
}

/* POP through RSP uses the value after the increment. */
static void test_pop_addresses_by_new_rsp(void **state)
{
    (void)state;
    start(INSN_64, 0);
    ram_put(0x2800, 0x1234, 8);
    assert_int_equal(RUN(0x8f, 0x04, 0x24), EMUL_DONE);
    assert_int_equal(ram_get(0x2808, 8), 0x1234);
}

static void test_branch_beyond_code_segment(void **state)
{
    (void)state;
    start(INSN_32, 0);
    m.seg[SEG_CS].limit = 0x401fff;
    ram_put(0x2000, 0x402000, 4);
    m.gpr[RBX] = DATA;
    assert_fault(RUN(0xff, 0x23), EXC_GP, 0);
    assert_fault(RUN(0xff, 0x13), EXC_GP, 0);
    assert_int_equal(m.reg[EMUL_RSP], DATA + 0x800);
}

/* RIP wraps where the code segment's width says. */
static void test_rip_wraps_in_16_bit_code(void **state)
{
    (void)state;
    start(INSN_16, 0);
    m.seg[SEG_CS].base = CODE - 0xf000;
    m.seg[SEG_CS].limit = 0xffff;
    m.reg[EMUL_RIP] = 0xfffe;
    m.seg[SEG_DS] = (struct x86_seg){.attr = DATA32, .base = DEV, .limit = 0xffff};
    memcpy(m.ram + 0x1ffe, "\x88\x07", 2); /* mov [bx], al */
    m.gpr[RBX] = 4;
    assert_int_equal(machine_run(&m, NULL), EMUL_DONE);
    assert_access(0, true, MACHINE_DEV + 4, 1, 0);
    assert_int_equal(m.reg[EMUL_RIP], 0);
    m.reg[EMUL_RIP] = 0xffff;
    m.ram[0x1fff] = 0x88; /* the rest is beyond the limit */
    assert_int_equal(machine_run(&m, NULL), EMUL_FAULT);
    assert_int_equal(m.cpu.fault.vector, EXC_GP);
}

/* ---- segment registers ---- */

/* A table at KERNEL: 8 flat data, 16 code readable, 24 absent, 32 DPL 3 data, 40 TSS. */
static void gdt(unsigned cpl)
{
    static const u64 entries[] = {0,
                                  0x00cf92000000ffff,
                                  0x00cf9a000000ffff,
                                  0x00cf12000000ffff,
                                  0x00cff2123456ffff,
                                  0x0000890000000067,
                                  0x00cf98000000ffff};

    start(INSN_32, cpl);
    memcpy(m.ram + 0x4000, entries, sizeof(entries));
    m.gdt = (struct x86_table){.base = KERNEL, .limit = sizeof(entries) - 1};
    m.gpr[RBX] = DATA;
}

static void test_segment_loads(void **state)
{
    (void)state;
    gdt(0);
    ram_put(0x2000, 8, 2);
    assert_int_equal(RUN(0x8e, 0x03), EMUL_DONE); /* mov es, [ebx] */
    assert_int_equal(m.seg[SEG_ES].sel, 8);
    assert_int_equal(m.seg[SEG_ES].limit, 0xffffffff);
    assert_int_equal(m.seg[SEG_ES].attr, 0x93 | SEG_DB | SEG_G);
    assert_int_equal(ram_get(0x400d, 1), 0x93); /* accessed now */
    ram_put(0x2000, 32 | 3, 2);
    m.reg[EMUL_RIP] = CODE;
    assert_int_equal(RUN(0x8e, 0x2b), EMUL_DONE); /* mov gs, [ebx] */
    assert_int_equal(m.seg[SEG_GS].base, 0x123456);
    ram_put(0x2000, 0, 2);
    m.reg[EMUL_RIP] = CODE;
    assert_int_equal(RUN(0x8e, 0x23), EMUL_DONE); /* mov fs, NULL */
    assert_true(m.seg[SEG_FS].attr & SEG_UNUSABLE);
    m.reg[EMUL_RIP] = CODE;
    ram_put(0x2000, 0x100000008 << 8 >> 8, 8);
    ram_put(0x2000, 0x55667788, 4);
    ram_put(0x2004, 8, 2);
    assert_int_equal(RUN(0xc5, 0x0b), EMUL_DONE); /* lds ecx, [ebx] */
    assert_int_equal(m.gpr[RCX], 0x55667788);
    assert_int_equal(m.seg[SEG_DS].sel, 8);
    m.reg[EMUL_RIP] = CODE;
    assert_int_equal(RUN(0x8c, 0x1b), EMUL_DONE); /* mov [ebx], ds */
    assert_int_equal(ram_get(0x2000, 4), 0x55660008);
    m.reg[EMUL_RIP] = CODE;
    assert_int_equal(RUN(0x8c, 0xd8), EMUL_DONE); /* mov eax, ds: zero-extended */
    assert_int_equal(m.gpr[RAX], 8);
}

static void load_fault(u16 sel, u8 modrm, unsigned vector, u32 error)
{
    ram_put(0x2000, sel, 2);
    m.retired = 0;
    m.seg_loads = 0;
    assert_fault(RUN(0x8e, modrm), vector, error);
    assert_int_equal(m.seg_loads, 0);
}

static void test_segment_load_faults(void **state)
{
    (void)state;
    gdt(0);
    load_fault(24, 0x03, EXC_NP, 24);   /* absent */
    load_fault(40, 0x03, EXC_GP, 40);   /* a TSS */
    load_fault(48, 0x03, EXC_GP, 48);   /* execute-only code */
    load_fault(64, 0x03, EXC_GP, 64);   /* beyond the limit */
    load_fault(12, 0x03, EXC_GP, 12);   /* no LDT */
    load_fault(8 | 3, 0x03, EXC_GP, 8); /* RPL over DPL */
    load_fault(0, 0x13, EXC_GP, 0);     /* SS: NULL */
    load_fault(16, 0x13, EXC_GP, 16);   /* SS: code */
    load_fault(32, 0x13, EXC_GP, 32);   /* SS: DPL 3 at CPL 0 */
    load_fault(24, 0x13, EXC_SS, 24);   /* SS: absent */
    ram_put(0x2000, 8, 2);
    assert_int_equal(RUN(0x8e, 0x13), EMUL_DONE);
    assert_int_equal(m.seg[SEG_SS].sel, 8);
    gdt(3);
    load_fault(8, 0x03, EXC_GP, 8); /* CPL over DPL */
    m.seg[SEG_LDTR] = (struct x86_seg){.sel = 0x50, .attr = 0x82, .base = KERNEL, .limit = 0x2f};
    ram_put(0x2000, 32 | 7, 2);
    assert_int_equal(RUN(0x8e, 0x03), EMUL_DONE); /* from the LDT */
    assert_int_equal(m.seg[SEG_ES].sel, 32 | 7);
}

static void test_null_stack_in_64_bit_mode(void **state)
{
    (void)state;
    start(INSN_64, 0);
    m.gpr[RBX] = DATA;
    assert_int_equal(RUN(0x8e, 0x13), EMUL_DONE);
    assert_true(m.seg[SEG_SS].attr & SEG_UNUSABLE);
    start(INSN_64, 3);
    m.gpr[RBX] = DATA;
    ram_put(0x2000, 3, 2);
    assert_fault(RUN(0x8e, 0x13), EXC_GP, 0);
}

/* ---- real and virtual-8086 mode ---- */

static void real_mode(bool vm86)
{
    machine_init(&m, INSN_16, vm86 ? 3 : 0);
    m.reg[EMUL_EFER] = 0;
    m.reg[EMUL_CR4] = 0;
    if (vm86)
        m.reg[EMUL_RFLAGS] |= FLAG_VM;
    else
        m.reg[EMUL_CR0] &= ~CR0_PE;
    for (unsigned s = SEG_ES; s <= SEG_GS; s++)
        m.seg[s] = (struct x86_seg){
            .sel = 0x200, .base = 0x2000, .limit = 0xffff, .attr = vm86 ? 0xf3 : 0x93};
    m.seg[SEG_CS].sel = 0x100;
    m.seg[SEG_CS].base = 0x1000;
    m.dev_base = 0x5000000;
}

static void test_real_mode(void **state)
{
    (void)state;
    for (unsigned vm86 = 0; vm86 < 2; vm86++) {
        real_mode(vm86);
        m.seg[SEG_DS].base = 0x5000000; /* as after an excursion to protected mode */
        m.gpr[RBX] = 0x10;
        m.gpr[RAX] = 0xdead1234;
        assert_int_equal(RUN(0x89, 0x07), EMUL_DONE); /* mov [bx], ax */
        assert_access(0, true, 0x5000010, 2, 0x1234);
        m.reg[EMUL_RIP] = 0;
        m.gpr[RBX] = 0xffff;
        assert_int_equal(RUN(0x89, 0x07), EMUL_FAULT); /* a word at 0xffff */
        assert_int_equal(m.cpu.fault.vector, EXC_GP);
        ram_put(0x2000, 0x345, 2);
        m.gpr[RBX] = 0;
        assert_int_equal(RUN(0x26, 0x8e, 0x1f), EMUL_DONE); /* mov ds, es:[bx] */
        assert_int_equal(m.seg[SEG_DS].base, 0x3450);
        assert_int_equal(m.seg[SEG_DS].limit, 0xffff);
        m.reg[EMUL_RIP] = 0;
        assert_int_equal(RUN(0x63, 0xc0), EMUL_FAULT); /* ARPL is of protected mode */
        assert_int_equal(m.cpu.fault.vector, EXC_UD);
        assert_int_equal(RUN(0xc5, 0xf8, 0x10, 0x07), EMUL_FAULT); /* so is VEX */
        assert_int_equal(m.cpu.fault.vector, EXC_UD);
        m.reg[EMUL_RSP] = 0x100;
        m.gpr[RCX] = 0x4321;
        assert_int_equal(RUN(0x51), EMUL_DONE);
        assert_int_equal(ram_get(0x20fe, 2), 0x4321);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limit_on_the_last_byte),
        cmocka_unit_test(test_expand_down),
        cmocka_unit_test(test_unusable_segments),
        cmocka_unit_test(test_rights),
        cmocka_unit_test(test_bases),
        cmocka_unit_test(test_not_canonical),
        cmocka_unit_test(test_address_size),
        cmocka_unit_test(test_moffset),
        cmocka_unit_test(test_high_byte_registers),
        cmocka_unit_test(test_stack_width),
        cmocka_unit_test(test_push_pop_call_through_device),
        cmocka_unit_test(test_pop_addresses_by_new_rsp),
        cmocka_unit_test(test_branch_beyond_code_segment),
        cmocka_unit_test(test_rip_wraps_in_16_bit_code),
        cmocka_unit_test(test_segment_loads),
        cmocka_unit_test(test_segment_load_faults),
        cmocka_unit_test(test_null_stack_in_64_bit_mode),
        cmocka_unit_test(test_real_mode),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
