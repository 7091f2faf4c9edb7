/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Both sides of the native comparison: a case on the emulator's virtual processor, and the same in
 * this process by way of a signal's frame; and what differs between them.
 */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "tests/emul/native.h"

struct machine *machine;
u8 native_fs_dirty;
u64 native_fs_base;
u16 native_fs_sel;

const struct ldt_desc ldt[LDT_COUNT] = {
    [LDT_CODE16] = {CODE, 0x1fff, true, false, false, true},
    [LDT_DATA64K] = {DATA, 0xffff, false, false, false, true},
    [LDT_DATA_SMALL] = {DATA, 0x17ff, false, true, false, true},
    [LDT_DOWN] = {DATA, 0x1000, false, false, true, true},
    [LDT_RO] = {DATA, 0x2fff, false, true, false, false},
    [LDT_CODE_READ] = {DATA, 0x2fff, true, true, false, true},
    [LDT_GS] = {GS_BASE, 0x1fff, false, true, false, true},
    [LDT_CODE_ONLY] = {DATA, 0x2fff, true, true, false, false},
    [LDT_ABSENT] = {DATA, 0x2fff, false, true, false, true, true},
};

/* ---- the emulated side ---- */

static u64 descriptor(const struct ldt_desc *d)
{
    u64 type = 0x71 | (d->absent ? 0 : 0x80) | (d->code ? 8 : 0) | (d->down_or_conforming ? 4 : 0) |
               (d->writable_or_readable ? 2 : 0);

    return (d->limit & 0xffff) | (d->limit & 0xf0000ull) << 32 | (d->base & 0xffffffull) << 16 |
           (d->base & 0xff000000ull) << 32 | type << 40 | (d->bits32 ? BIT(54) : 0);
}

/* Linux's GDT, as far as user code can tell, and the LDT of make_segments. */
static void descriptors(void)
{
    static const u64 gdt[16] = {
        [1] = 0x00cf9b000000ffff, [2] = 0x00af9b000000ffff,  [3] = 0x00cf93000000ffff,
        [4] = 0x00cffb000000ffff, [5] = 0x00cff3000000ffff,  [6] = 0x00affb000000ffff,
        [8] = 0x00008b0000004087, [10] = 0x000082000000ffff, [15] = 0x0040f50000000000,
    };

    memcpy(machine->ram + PHYS_GDT, gdt, sizeof(gdt));
    for (unsigned i = 0; i < LDT_COUNT; i++) {
        u64 d = descriptor(&ldt[i]);

        memcpy(machine->ram + PHYS_LDT + 8 * i, &d, 8);
    }
    machine->gdt = (struct x86_table){.base = TABLES, .limit = sizeof(gdt) - 1};
    machine->seg[SEG_LDTR] = (struct x86_seg){.sel = 0x50,
                                              .attr = 0x82,
                                              .limit = 8 * LDT_COUNT - 1,
                                              .base = TABLES + PHYS_LDT - PHYS_GDT};
}

void machine_setup(void)
{
    machine = aligned_alloc(4096, ALIGN_UP(sizeof(*machine), 4096));
    machine_init(machine, INSN_64, 3);
    machine_paging(machine);
    machine->seg[SEG_TR].limit = 0x66; /* no I/O bitmap: ports are not this process's */
    for (unsigned i = 0; i < DATA_PAGES; i++)
        machine_map(machine, DATA + i * PAGE_SIZE, PHYS_DATA + i * PAGE_SIZE,
                    (i == READ_ONLY ? 0x5 : 0x7) | BIT(63));
    machine_map(machine, TABLES, PHYS_GDT, 0x3 | BIT(63));
    descriptors();
    for (unsigned i = 0; i < CODE_PAGES; i++)
        machine_map(machine, CODE + i * PAGE_SIZE, PHYS_CODE + i * PAGE_SIZE, 0x5);
    memcpy(machine->ram + PHYS_DATA, data, DATA_PAGES * PAGE_SIZE);
    memset(machine->ram + PHYS_CODE, 0xcc, CODE_PAGES * PAGE_SIZE);
}

static struct x86_seg segment(u16 sel, bool code)
{
    struct x86_seg s = {.sel = sel, .attr = 0xf3 | SEG_DB | SEG_G, .limit = 0xffffffff};

    if (!(sel & ~3))
        return (struct x86_seg){.sel = sel, .attr = SEG_UNUSABLE};
    if (code)
        s.attr = 0xfb | SEG_G | (sel == USER_CS ? SEG_L : SEG_DB);
    if (sel & 4) {
        const struct ldt_desc *d = &ldt[sel >> 3];

        s.base = d->base;
        s.limit = d->limit;
        s.attr = 0xf1 | (d->code ? 8 : 0) | (d->down_or_conforming ? 4 : 0) |
                 (d->writable_or_readable ? 2 : 0) | (d->bits32 ? SEG_DB : 0);
    }
    return s;
}

void emulate(const struct test *c, struct outcome *o)
{
    struct machine *m = machine;
    enum emul_result r;
    unsigned rounds = 0;

    for (unsigned s = SEG_ES; s <= SEG_GS; s++)
        m->seg[s] = segment(c->sel[s], s == SEG_CS);
    if (c->mode == INSN_64)
        m->seg[SEG_GS].base = GS_BASE;
    memcpy(m->gpr, c->in.gpr, sizeof(m->gpr));
    memcpy(m->vec, c->in.vec, sizeof(m->vec));
    m->reg[EMUL_RSP] = c->in.gpr[RSP];
    m->reg[EMUL_RFLAGS] = c->in.rflags;
    m->reg[EMUL_RIP] = c->in.rip;
    do
        r = machine_run(m, NULL);
    while (r == EMUL_PARTIAL && ++rounds < 10000);
    memset(o, 0, sizeof(*o));
    o->fault = r != EMUL_DONE;
    o->vector = r == EMUL_FAULT ? m->cpu.fault.vector : o->fault ? 100 + (u64)r : 3;
    o->error = o->fault && m->cpu.fault.has_error ? m->cpu.fault.error : 0;
    o->cr2 = o->vector == EXC_PF ? m->cpu.fault.cr2 : 0;
    memcpy(o->st.gpr, m->gpr, sizeof(m->gpr));
    o->st.gpr[RSP] = m->reg[EMUL_RSP];
    o->st.rflags = m->reg[EMUL_RFLAGS];
    o->st.rip = m->reg[EMUL_RIP];
    memcpy(o->st.vec, m->vec, sizeof(m->vec));
    for (unsigned s = SEG_ES; s <= SEG_GS; s++)
        o->st.sel[s] = m->seg[s].sel;
}

/* ---- the native side ---- */

static const int greg[GPR_COUNT] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                    REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                    REG_R12, REG_R13, REG_R14, REG_R15};

#define XSAVE_XMM 160
#define XSAVE_BV  512
#define XSAVE_YMM 576

static void vectors(ucontext_t *uc, u8 vec[16][32], bool set)
{
    u8 *area = (u8 *)uc->uc_mcontext.fpregs;
    u64 bv;

    memcpy(&bv, area + XSAVE_BV, 8);
    for (unsigned i = 0; i < 16; i++) {
        u8 *xmm = area + XSAVE_XMM + 16 * i, *ymm = area + XSAVE_YMM + 16 * i;

        if (set) {
            memcpy(xmm, vec[i], 16);
            memcpy(ymm, vec[i] + 16, 16);
            continue;
        }
        memset(vec[i], 0, 32);
        if (bv & 2)
            memcpy(vec[i], xmm, 16);
        if (bv & 4)
            memcpy(vec[i] + 16, ymm, 16);
    }
    if (set) {
        bv |= 7;
        memcpy(area + XSAVE_BV, &bv, 8);
    }
}

void collect(ucontext_t *uc, struct outcome *o, const struct test *c)
{
    greg_t *g = uc->uc_mcontext.gregs;
    u64 cs_base = c->mode == INSN_16 ? CODE : 0;

    for (unsigned i = 0; i < GPR_COUNT; i++)
        o->st.gpr[i] = (u64)g[greg[i]];
    o->st.rip = (u64)g[REG_RIP];
    o->st.rflags = (u64)g[REG_EFL] & ~FLAG_RF;
    o->vector = (u64)g[REG_TRAPNO];
    o->error = (u64)g[REG_ERR];
    o->cr2 = o->vector == EXC_PF ? (u64)g[REG_CR2] : 0;
    o->fault = true;
    if (o->vector == EXC_BP) {
        o->fault = false;
        o->st.rip--;
    } else if (o->vector == EXC_GP && c->mode == INSN_16 && o->st.rip != c->in.rip &&
               o->st.rip > ldt[LDT_CODE16].limit) {
        o->fault = false; /* the next instruction is beyond the code segment */
        o->vector = EXC_BP;
    } else if (o->vector == EXC_PF && o->cr2 == o->st.rip + cs_base && (o->error & PF_I) &&
               o->st.rip != c->in.rip) {
        o->fault = false; /* the branch was taken; its target is not there */
        o->vector = EXC_BP;
        o->cr2 = o->error = 0;
    }
    if (!o->fault)
        o->error = 0;
    vectors(uc, o->st.vec, false);
    o->st.sel[SEG_CS] = c->sel[SEG_CS];
    o->st.sel[SEG_SS] = (u16)((u64)g[REG_CSGSFS] >> 48);
    o->st.sel[SEG_FS] = native_fs_dirty ? native_fs_sel : 0;
    __asm__ volatile("mov %%ds, %0" : "=r"(o->st.sel[SEG_DS]));
    __asm__ volatile("mov %%es, %0" : "=r"(o->st.sel[SEG_ES]));
    __asm__ volatile("mov %%gs, %0" : "=r"(o->st.sel[SEG_GS]));
}

static void load_selectors(const struct test *c)
{
    __asm__ volatile("mov %0, %%ds; mov %1, %%es"
                     :
                     : "r"((u32)c->sel[SEG_DS]), "r"((u32)c->sel[SEG_ES]));
    __asm__ volatile("mov %0, %%gs" : : "r"((u32)c->sel[SEG_GS]));
    if (c->mode == INSN_64)
        syscall(SYS_arch_prctl, ARCH_SET_GS, GS_BASE);
}

void launch(ucontext_t *uc, const struct test *c)
{
    greg_t *g = uc->uc_mcontext.gregs;
    u64 csgsfs = (u64)c->sel[SEG_CS] | (u64)c->sel[SEG_SS] << 48;
    u8 *code = code_alias + c->ip;
    unsigned room = (unsigned)MIN((u64)c->len, CODE_PAGES * PAGE_SIZE - c->ip);

    memcpy(code, c->bytes, room);
    memcpy(machine->ram + PHYS_CODE + c->ip, c->bytes, room);
    for (unsigned i = 0; i < GPR_COUNT; i++)
        g[greg[i]] = (greg_t)c->in.gpr[i];
    g[REG_RIP] = (greg_t)c->in.rip;
    g[REG_EFL] = (greg_t)c->in.rflags;
    g[REG_CSGSFS] = (greg_t)csgsfs;
    vectors(uc, (u8(*)[32])c->in.vec, true);
    load_selectors(c);
    native_fs_dirty = c->insn.op == OP_LOAD_FAR_PTR ||
                      (c->insn.op == OP_MOV_SREG_LOAD && (c->insn.reg & 7) == SEG_FS);
}

void clean_up(const struct test *c)
{
    unsigned room = (unsigned)MIN((u64)c->len, CODE_PAGES * PAGE_SIZE - c->ip);

    memset(code_alias + c->ip, 0xcc, room);
    memset(machine->ram + PHYS_CODE + c->ip, 0xcc, room);
}

const char *differs(const struct test *c, const struct outcome *n, const struct outcome *e)
{
    /* Linux hides P of addresses that are not user space's: from the last page below it on. */
    u64 error_mask = n->cr2 >= 0x7ffffffff000 ? ~(u64)PF_P : ~0ull;

    if (n->fault != e->fault || n->vector != e->vector)
        return "exception";
    if ((n->error ^ e->error) & error_mask)
        return "error code";
    if (n->cr2 != e->cr2)
        return "CR2";
    if (n->st.rip != e->st.rip)
        return "RIP";
    for (unsigned i = 0; i < GPR_COUNT; i++) {
        u64 mask = c->mode == INSN_64 ? ~0ull : 0xffffffff;

        if ((n->st.gpr[i] ^ e->st.gpr[i]) & mask)
            return "register";
    }
    if ((n->st.rflags ^ e->st.rflags) & ~undefined_flags(&c->insn))
        return "flags";
    for (unsigned s = SEG_ES; s <= SEG_GS; s++) {
        /* Null selectors are all 0 after the kernel's IRET. */
        if (n->st.sel[s] != (e->st.sel[s] & ~3u ? e->st.sel[s] : 0))
            return "segment register";
    }
    if (memcmp(n->st.vec, e->st.vec, sizeof(n->st.vec)))
        return "vector register";
    if (memcmp(data, machine->ram + PHYS_DATA, DATA_PAGES * PAGE_SIZE))
        return "memory";
    return NULL;
}

bool make_segments(void)
{
    for (unsigned i = 0; i < LDT_COUNT; i++) {
        struct user_desc d = {
            .entry_number = i,
            .base_addr = ldt[i].base,
            .limit = ldt[i].limit,
            .seg_32bit = ldt[i].bits32,
            .contents = (ldt[i].code ? 2 : 0) | (ldt[i].down_or_conforming ? 1 : 0),
            .read_exec_only = !ldt[i].writable_or_readable,
            .seg_not_present = ldt[i].absent,
            .useable = 1,
        };

        if (syscall(SYS_modify_ldt, 1, &d, sizeof(d)) != 0)
            return false;
    }
    return true;
}
