/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The emulator against the processor itself. Instructions are generated from the opcode tables
 * with random operands, prefixes, flags, alignments and page rights; each is executed natively in
 * this process (as 64-bit code, or as 32- and 16-bit code through compatibility-mode segments) and
 * by vmm/emul on a copy of registers and memory, and everything is compared: registers, flags,
 * vector registers, memory, and on a fault its vector, error code and address.
 *
 * One case is one signal: the bytes behind the instruction are INT3, its handler compares, prepares
 * the next case in the signal frame, and returns into it.
 *
 * Usage: native [--cases N] [--seed S] [--mode 64|32|16|all] [--coverage] [--only OPCODE-HEX]
 */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/ucontext.h>
#include <time.h>
#include <unistd.h>
#include <asm/prctl.h>
#include "tests/emul/machine.h"
#include "vmm/emul/internal.h"

/* ---- the address space both sides see ---- */

#define DATA       0x20000000ull /* five pages: RW, RW, R, RW, none */
#define DATA_PAGES 4
#define CODE       0x20010000ull /* two pages, then none */
#define CODE_PAGES 2
#define SEG_BASE   0x1fff0000ull /* of the small segments; DATA is at 64 KiB of it */
#define PHYS_DATA  0x4000ull
#define PHYS_CODE  0xa000ull
#define READ_ONLY  2 /* which data page */

static u8 *data = (u8 *)DATA, *code_alias;

/* ---- selectors: an LDT of small segments for 16- and 32-bit code ---- */

#define LDT(n) ((u16)((n) << 3 | 7))
enum {
    LDT_CODE16,
    LDT_DATA64K,
    LDT_DATA_SMALL,
    LDT_DOWN,
    LDT_RO,
    LDT_CODE_READ,
    LDT_GS,
    LDT_COUNT
};

static const struct ldt_desc {
    u32 base, limit;
    bool code, bits32, down_or_conforming, writable_or_readable;
} ldt[LDT_COUNT] = {
    [LDT_CODE16] = {CODE, 0x1fff, true, false, false, true},
    [LDT_DATA64K] = {DATA, 0xffff, false, false, false, true},
    [LDT_DATA_SMALL] = {DATA, 0x17ff, false, true, false, true},
    [LDT_DOWN] = {DATA, 0x1000, false, false, true, true},
    [LDT_RO] = {DATA, 0x2fff, false, true, false, false},
    [LDT_CODE_READ] = {DATA, 0x2fff, true, true, false, true},
    [LDT_GS] = {DATA + 0x800, 0x1fff, false, true, false, true},
};

#define USER32_CS 0x23
#define USER_CS   0x33
#define USER_DS   0x2b

/* ---- cases ---- */

struct state {
    u64 gpr[GPR_COUNT], rip, rflags;
    u8 vec[16][32];
};

struct test {
    enum insn_mode mode;
    u8 bytes[20];
    unsigned len;
    u64 ip; /* offset in the code pages */
    u16 sel[6];
    struct state in;
    struct insn insn;
    enum insn_status status;
    unsigned disp_pos, disp_len;
};

struct outcome {
    bool fault;
    u64 vector, error, cr2;
    struct state st;
};

struct template
{
    u8 vex, map, opcode, pp, reg;
    u8 op;
};

#define MAX_TEMPLATES 40000
static struct template templates[3][MAX_TEMPLATES];
static unsigned template_count[3];
static unsigned group_start[3][4096], group_count[3]; /* runs of one vex:map:opcode */

static struct machine *machine;
static u64 cases = 500000, case_no, skipped, failures, seed = 1, only = ~0ull;
static u64 completed, faulted[32];
static bool show_coverage;
static int mode_choice = -1;
static struct test t;
static char *altstack;
static bool started;

/* hits[mode][op] by whether it completed */
static u64 hits[3][OP_COUNT][2];
static u64 form_hits[3][2][4][256][8];

static u64 rng_state;

static u64 rnd(void)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return rng_state * 0x2545f4914f6cdd1dull;
}

static u64 below(u64 n)
{
    return (rnd() >> 16) % n;
}

static bool chance(unsigned percent)
{
    return below(100) < percent;
}

/* Values that arithmetic cares about. */
static u64 interesting(void)
{
    switch (below(8)) {
    case 0:
        return below(256);
    case 1:
        return -below(256);
    case 2:
        return BIT(below(64));
    case 3:
        return BIT(below(64)) - 1;
    case 4:
        return (u32)rnd();
    case 5:
        return (rnd() & 0x8080808080808080ull) | 0x7f7f7f7f7f7f7f7full;
    default:
        return rnd();
    }
}

static bool executed(unsigned op)
{
    if (op == OP_NONE || op >= OP_MOV_FROM_CR)
        return false;
    switch (op) {
    case OP_MOV_SREG_LOAD: /* would change this process's own segments */
    case OP_LOAD_FAR_PTR:
        return false;
    }
    return true;
}

/* ---- templates from the tables ---- */

static void add_template(enum insn_mode mode, bool vex, unsigned map, unsigned opcode, unsigned pp,
                         unsigned reg)
{
    static const u8 prefix[4] = {0, 0x66, 0xf3, 0xf2};
    u8 b[16] = {0};
    struct insn in;
    unsigned n = 0;

    if (vex) {
        b[n++] = 0xc4;
        b[n++] = 0xe0 | (u8)map;
        b[n++] = 0x78 | (u8)pp;
    } else {
        if (pp)
            b[n++] = prefix[pp];
        if (map)
            b[n++] = 0x0f;
        if (map > 1)
            b[n++] = map == 2 ? 0x38 : 0x3a;
    }
    b[n++] = (u8)opcode;
    b[n] = (u8)(reg << 3);
    if (insn_decode(b, 15, mode, &in) != INSN_OK) {
        if (!vex || insn_decode((b[2] &= 0x87, b), 15, mode, &in) != INSN_OK)
            return;
    }
    if (in.map != map || in.opcode != opcode || !executed(in.op))
        return;
    if (!(in.row_flags & T_MODRM) && reg)
        return;
    if (template_count[mode] == MAX_TEMPLATES)
        abort();
    templates[mode][template_count[mode]++] =
        (struct template){vex, (u8)map, (u8)opcode, (u8)pp, (u8)reg, in.op};
}

static void find_templates(enum insn_mode mode)
{
    for (unsigned vex = 0; vex < 2; vex++) {
        for (unsigned map = vex; map < 4; map++) {
            for (unsigned opcode = 0; opcode < 256; opcode++) {
                unsigned first = template_count[mode];

                if (only != ~0ull && only != (map << 8 | opcode))
                    continue;
                for (unsigned k = 0; k < 32; k++)
                    add_template(mode, vex, map, opcode, k >> 3, k & 7);
                if (template_count[mode] > first)
                    group_start[mode][group_count[mode]++] = first;
            }
        }
    }
    group_start[mode][group_count[mode]] = template_count[mode];
}

/* ---- generation ---- */

static u64 pick_address(void)
{
    u64 page = DATA + below(DATA_PAGES + 1) * PAGE_SIZE;

    switch (below(5)) {
    case 0:
        return page - below(34);
    case 1:
        return page - below(34) + 16;
    case 2:
        return DATA + below(DATA_PAGES * PAGE_SIZE);
    case 3:
        return ALIGN_DOWN(DATA + below(2 * PAGE_SIZE), 32);
    default:
        return ALIGN_DOWN(DATA + below(2 * PAGE_SIZE), 8) + (chance(30) ? below(8) : 0);
    }
}

static unsigned put_prefixes(u8 *b, const struct template *tp, enum insn_mode mode)
{
    static const u8 mandatory[4] = {0, 0x66, 0xf3, 0xf2}, segs[5] = {0x26, 0x2e, 0x36, 0x3e, 0x65};
    bool string = tp->op >= OP_MOVS && tp->op <= OP_OUTS;
    unsigned n = 0;

    if (tp->vex) {
        if (chance(15))
            b[n++] = segs[below(5)];
        if (chance(15))
            b[n++] = 0x67;
        return n;
    }
    for (unsigned i = 0; i < 2; i++) {
        if (chance(12))
            b[n++] = 0x66;
        if (chance(8))
            b[n++] = 0x67;
        if (chance(8))
            b[n++] = segs[below(5)];
        if (chance(string ? 35 : 3))
            b[n++] = 0xf2 + (u8)below(2);
    }
    if (mode != INSN_64 && chance(3))
        b[n++] = 0x64; /* null there */
    if (chance(12))
        b[n++] = 0xf0;
    if (tp->pp)
        b[n++] = mandatory[tp->pp];
    if (mode == INSN_64 && chance(45))
        b[n++] = 0x40 | (u8)below(16);
    return n;
}

static unsigned put_opcode(u8 *b, const struct template *tp, enum insn_mode mode)
{
    unsigned n = 0;

    if (tp->vex) {
        u8 w_vvvv_l_pp = (u8)(rnd() & 0xfc) | tp->pp,
           rxb = mode == INSN_64 ? (u8)rnd() & 0xe0 : 0xe0;

        if (chance(75))
            w_vvvv_l_pp |= 0x78;
        if (chance(60))
            w_vvvv_l_pp &= 0xfb;
        if (tp->map == 1 && chance(40)) {
            b[n++] = 0xc5;
            b[n++] = (w_vvvv_l_pp & 0x7f) | (mode == INSN_64 ? rxb & 0x80 : 0x80);
        } else {
            b[n++] = 0xc4;
            b[n++] = rxb | tp->map;
            b[n++] = w_vvvv_l_pp;
        }
        if (mode != INSN_64)
            b[1] |= 0xc0 & (b[0] == 0xc4 ? 0xff : 0x80);
    } else if (tp->map) {
        b[n++] = 0x0f;
        if (tp->map > 1)
            b[n++] = tp->map == 2 ? 0x38 : 0x3a;
    }
    b[n++] = tp->opcode;
    return n;
}

/* ModRM, SIB and displacement, or a moffset; remembers where the displacement is. */
static unsigned put_operands(struct test *c, u8 *b, const struct template *tp, unsigned at)
{
    bool a67 = memchr(c->bytes, 0x67, at) != NULL, group;
    unsigned asize = c->mode == INSN_64 ? (a67 ? 4 : 8) : (c->mode == INSN_32) != a67 ? 4 : 2;
    unsigned n = 0, mod = chance(12) ? 3 : (unsigned)below(3), rm = (unsigned)below(8);
    const struct insn_row *row = tp->map == 0 ? &insn_map1[tp->opcode] : &insn_map2[tp->opcode];

    c->disp_len = 0;
    if (tp->map == 0 && tp->opcode >= 0xa0 && tp->opcode <= 0xa3) {
        c->disp_pos = at;
        c->disp_len = asize;
        return asize;
    }
    if (tp->map < 2 && !tp->vex && !(row->flags & (T_MODRM | T_SPECIAL)))
        return 0;
    group = tp->map < 2 && (row->flags & (T_GROUP | T_MOD3));
    b[n++] = (u8)(mod << 6 | (group || tp->vex ? tp->reg : below(8)) << 3 | rm);
    if (mod == 3)
        return n;
    if (asize == 2) {
        c->disp_len = mod == 0 && rm == 6 ? 2 : mod;
    } else {
        c->disp_len = mod == 0 ? (rm == 5 ? 4 : 0) : mod == 1 ? 1 : 4;
        if (rm == 4) {
            b[n] = (u8)rnd();
            if (mod == 0 && (b[n] & 7) == 5)
                c->disp_len = 4;
            n++;
        }
    }
    c->disp_pos = at + n;
    for (unsigned i = 0; i < c->disp_len; i++)
        b[n++] = chance(50) ? (u8)rnd() : 0;
    return n;
}

static u64 segment_base(const struct test *c, unsigned seg)
{
    if (c->mode == INSN_64)
        return seg == SEG_GS ? DATA + 0x800 : 0;
    return c->sel[seg] & 4 ? ldt[c->sel[seg] >> 3].base : 0;
}

static void set_part(u64 *reg, u64 v, unsigned size)
{
    *reg = (*reg & ~size_mask(size)) | (v & size_mask(size));
}

/* Makes the memory operand hit the data pages, by its registers or its displacement. */
static void aim(struct test *c)
{
    const struct insn *in = &c->insn;
    u64 *gpr = c->in.gpr, target = pick_address(), v;

    set_part(&gpr[RSI], pick_address() - segment_base(c, in->seg), in->asize);
    set_part(&gpr[RDI], pick_address() - segment_base(c, SEG_ES), in->asize);
    set_part(&gpr[RSP], pick_address() - segment_base(c, SEG_SS), 8);
    if (in->op == OP_XLAT)
        set_part(&gpr[RBX], target - segment_base(c, in->seg) - (gpr[RAX] & 0xff), in->asize);
    if (!(in->flags & INSN_HAS_MEM))
        return;
    target -= segment_base(c, in->seg);
    if (in->base != INSN_NO_REG && in->base != in->index) {
        v = target - in->disp;
        if (in->index != INSN_NO_REG)
            v -= gpr[in->index] << in->scale;
        set_part(&gpr[in->base], v, in->asize);
        return;
    }
    if (c->disp_len < 2)
        return;
    if (in->flags & INSN_RIP_REL)
        v = target - (CODE + c->ip + in->len);
    else if (in->index != INSN_NO_REG)
        v = target - (gpr[in->index] << in->scale);
    else
        v = target;
    memcpy(c->bytes + c->disp_pos, &v, c->disp_len);
    insn_decode(c->bytes, 15, c->mode, &c->insn);
}

static void pick_segments(struct test *c)
{
    static const u16 choices[] = {USER_DS,
                                  USER_DS,
                                  LDT(LDT_DATA64K),
                                  LDT(LDT_DATA64K),
                                  LDT(LDT_DATA_SMALL),
                                  LDT(LDT_DOWN),
                                  LDT(LDT_RO),
                                  LDT(LDT_CODE_READ),
                                  0};
    static const u16 stacks[] = {USER_DS, USER_DS, LDT(LDT_DATA64K), LDT(LDT_DATA_SMALL),
                                 LDT(LDT_DOWN)};

    c->sel[SEG_FS] = 0;
    if (c->mode == INSN_64) {
        c->sel[SEG_CS] = USER_CS;
        c->sel[SEG_SS] = USER_DS;
        c->sel[SEG_ES] = c->sel[SEG_DS] = c->sel[SEG_GS] = 0;
        return;
    }
    c->sel[SEG_CS] = c->mode == INSN_32 ? USER32_CS : LDT(LDT_CODE16);
    c->sel[SEG_ES] = choices[below(ARRAY_SIZE(choices))];
    c->sel[SEG_DS] = choices[below(ARRAY_SIZE(choices))];
    c->sel[SEG_GS] = chance(80) ? LDT(LDT_GS) : choices[below(ARRAY_SIZE(choices))];
    c->sel[SEG_SS] = stacks[below(ARRAY_SIZE(stacks))];
}

/* Where in the code pages the instruction stands; the rest of them is INT3. */
static u64 pick_ip(unsigned len)
{
    switch (below(8)) {
    case 0:
        return CODE_PAGES * PAGE_SIZE - below(16); /* runs into nothing */
    case 1:
        return PAGE_SIZE - below(16);
    default:
        return 0x100 + below(0x1e00 - len);
    }
}

static void pick_registers(struct test *c)
{
    for (unsigned i = 0; i < GPR_COUNT; i++)
        c->in.gpr[i] = interesting();
    if (c->mode != INSN_64) {
        for (unsigned i = 0; i < GPR_COUNT; i++)
            c->in.gpr[i] = i < 8 ? (u32)c->in.gpr[i] : 0;
    }
    for (unsigned i = 0; i < 16; i++) {
        for (unsigned k = 0; k < 32; k += 8) {
            u64 v = rnd();

            memcpy(c->in.vec[i] + k, &v, 8);
        }
    }
    c->in.rflags = FLAG_FIXED | FLAG_IF | (rnd() & (FLAGS_ARITH | FLAG_DF));
    if (chance(10))
        c->in.rflags |= FLAG_AC;
}

/* Small counts mostly; small bit offsets; branch targets that are INT3. */
static void tame(struct test *c)
{
    const struct insn *in = &c->insn;

    if (in->op >= OP_MOVS && in->op <= OP_OUTS && chance(85))
        set_part(&c->in.gpr[RCX], below(20), in->asize);
    if (in->op >= OP_BT && in->op <= OP_BTC && in->form == F_RM_R && chance(85))
        set_part(&c->in.gpr[in->reg], below(4096) - 2048, in->opsize);
    if ((in->op == OP_CALL || in->op == OP_JMP) && !(in->flags & INSN_HAS_MEM) && chance(70))
        c->in.gpr[in->rm] = CODE + 0x80 - (c->mode == INSN_16 ? CODE : 0);
}

/* An operand in memory that is a good branch target, divisor, or equal to the accumulator. */
static void plant(struct test *c)
{
    const struct insn *in = &c->insn;
    u64 v = 0, ea, *gpr = c->in.gpr;
    unsigned n = in->msize;
    bool want = in->op == OP_CALL || in->op == OP_JMP || in->op == OP_CMPXCHG ||
                in->op == OP_CMPXCHG8B || in->op == OP_BOUND || in->op == OP_DIV ||
                in->op == OP_RET || in->op == OP_SCAS;

    if (!want || chance(30))
        return;
    ea = in->disp + (in->base != INSN_NO_REG ? gpr[in->base] : 0) +
         (in->index != INSN_NO_REG ? gpr[in->index] << in->scale : 0);
    if (in->flags & INSN_RIP_REL)
        ea += CODE + c->ip + in->len;
    ea &= size_mask(in->asize);
    if (in->op == OP_RET) {
        ea = gpr[RSP];
        n = in->opsize;
    } else if (in->op == OP_SCAS) {
        ea = gpr[RDI] & size_mask(in->asize);
    }
    ea += segment_base(c, in->op == OP_RET ? SEG_SS : in->op == OP_SCAS ? SEG_ES : in->seg);
    if (ea < DATA || ea + 16 > DATA + 2 * PAGE_SIZE)
        return;
    v = in->op == OP_CMPXCHG || in->op == OP_CMPXCHG8B || in->op == OP_SCAS ? gpr[RAX]
        : in->op == OP_DIV   ? gpr[RDX] + below(1000) + 1
        : in->op == OP_BOUND ? below(1000)
                             : CODE + 0x80;
    if (c->mode == INSN_16 && (in->op == OP_CALL || in->op == OP_JMP || in->op == OP_RET))
        v -= CODE;
    if (in->op == OP_BOUND) {
        v = (gpr[in->reg] - 5) & size_mask(in->opsize);
        v |= ((gpr[in->reg] + 5) & size_mask(in->opsize)) << (8 * in->opsize);
    }
    if (in->op == OP_CMPXCHG8B && in->opsize == 4)
        v = (u32)gpr[RAX] | gpr[RDX] << 32;
    memcpy(data + (ea - DATA), &v, MIN(n, 8u));
    memcpy(machine->ram + PHYS_DATA + (ea - DATA), &v, MIN(n, 8u));
    if (n == 16) {
        memcpy(data + (ea - DATA) + 8, &gpr[RDX], 8);
        memcpy(machine->ram + PHYS_DATA + (ea - DATA) + 8, &gpr[RDX], 8);
    }
}

/* The next case that is worth running. */
static void generate(struct test *c)
{
    for (;;) {
        unsigned mode = mode_choice >= 0 ? (unsigned)mode_choice : chance(50) ? INSN_64 : below(2);
        unsigned g = (unsigned)below(group_count[mode]), n = 0;
        const struct template *tp =
            &templates[mode][group_start[mode][g] +
                             below(group_start[mode][g + 1] - group_start[mode][g])];

        c->mode = (enum insn_mode)mode;
        n = put_prefixes(c->bytes, tp, c->mode);
        n += put_opcode(c->bytes + n, tp, c->mode);
        n += put_operands(c, c->bytes + n, tp, n);
        for (unsigned i = n; i < 15; i++) {
            u64 v = interesting();

            c->bytes[i] = (u8)v;
        }
        pick_segments(c);
        pick_registers(c);
        c->status = insn_decode(c->bytes, 15, c->mode, &c->insn);
        if (c->status == INSN_UNDEFINED) {
            c->len = n;
            c->ip = 0x200;
            c->insn.op = OP_NONE;
            return;
        }
        if (c->status != INSN_OK || !executed(c->insn.op)) {
            skipped++;
            continue;
        }
        if (c->insn.op == OP_CALL && c->insn.form == F_IMM && c->insn.imm + 16 < 32)
            continue; /* into itself */
        if ((c->insn.op >= OP_VMOV && !(c->insn.flags & INSN_HAS_MEM)) ||
            (c->mode == INSN_64 &&
             (c->insn.op == OP_CALL || c->insn.op == OP_JMP || c->insn.op == OP_RET) &&
             (c->insn.flags & INSN_OPSIZE))) {
            skipped++; /* register-only vector moves; 66 on near branches: differs by vendor */
            continue;
        }
        c->len = c->insn.len;
        c->ip = pick_ip(c->len);
        aim(c);
        tame(c);
        plant(c);
        return;
    }
}

/* ---- the emulated side ---- */

static void machine_setup(void)
{
    machine = aligned_alloc(4096, ALIGN_UP(sizeof(*machine), 4096));
    machine_init(machine, INSN_64, 3);
    machine_paging(machine);
    machine->seg[SEG_TR].limit = 0x66; /* no I/O bitmap: ports are not this process's */
    for (unsigned i = 0; i < DATA_PAGES; i++)
        machine_map(machine, DATA + i * PAGE_SIZE, PHYS_DATA + i * PAGE_SIZE,
                    (i == READ_ONLY ? 0x5 : 0x7) | BIT(63));
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

static void emulate(const struct test *c, struct outcome *o)
{
    struct machine *m = machine;
    enum emul_result r;
    unsigned rounds = 0;

    for (unsigned s = SEG_ES; s <= SEG_GS; s++)
        m->seg[s] = segment(c->sel[s], s == SEG_CS);
    if (c->mode == INSN_64)
        m->seg[SEG_GS].base = DATA + 0x800;
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

static void collect(ucontext_t *uc, struct outcome *o, const struct test *c)
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
}

static void load_selectors(const struct test *c)
{
    __asm__ volatile("mov %0, %%ds; mov %1, %%es"
                     :
                     : "r"((u32)c->sel[SEG_DS]), "r"((u32)c->sel[SEG_ES]));
    __asm__ volatile("mov %0, %%gs" : : "r"((u32)c->sel[SEG_GS]));
    if (c->mode == INSN_64)
        syscall(SYS_arch_prctl, ARCH_SET_GS, DATA + 0x800);
}

static void launch(ucontext_t *uc, const struct test *c)
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
}

static void clean_up(const struct test *c)
{
    unsigned room = (unsigned)MIN((u64)c->len, CODE_PAGES * PAGE_SIZE - c->ip);

    memset(code_alias + c->ip, 0xcc, room);
    memset(machine->ram + PHYS_CODE + c->ip, 0xcc, room);
}

/* ---- comparison ---- */

/* Flags that the manual leaves undefined and the emulator computes itself. */
static u64 undefined_flags(const struct insn *in)
{
    switch (in->op) {
    case OP_BT:
    case OP_BTS:
    case OP_BTR:
    case OP_BTC:
    case OP_TZCNT:
    case OP_LZCNT:
        return FLAG_OF | FLAG_SF | FLAG_AF | FLAG_PF;
    case OP_BEXTR:
        return FLAG_SF | FLAG_AF | FLAG_PF;
    case OP_ANDN:
    case OP_BLSR:
    case OP_BLSMSK:
    case OP_BLSI:
    case OP_BZHI:
        return FLAG_AF | FLAG_PF;
    }
    return 0;
}

static const char *differs(const struct test *c, const struct outcome *n, const struct outcome *e)
{
    u64 error_mask = n->cr2 >> 63 ? ~(u64)PF_P : ~0ull; /* Linux hides P of kernel addresses */

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
    if (memcmp(n->st.vec, e->st.vec, sizeof(n->st.vec)))
        return "vector register";
    if (memcmp(data, machine->ram + PHYS_DATA, DATA_PAGES * PAGE_SIZE))
        return "memory";
    return NULL;
}

static void print_outcome(const char *who, const struct test *c, const struct outcome *o)
{
    static const char *const names[GPR_COUNT] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp",
                                                 "rsi", "rdi", "r8",  "r9",  "r10", "r11",
                                                 "r12", "r13", "r14", "r15"};

    printf("  %-8s vector %llu error %llx cr2 %llx rip %llx flags %llx", who,
           (unsigned long long)o->vector, (unsigned long long)o->error, (unsigned long long)o->cr2,
           (unsigned long long)o->st.rip, (unsigned long long)o->st.rflags);
    for (unsigned i = 0; i < GPR_COUNT; i++) {
        if (o->st.gpr[i] != c->in.gpr[i])
            printf(" %s=%llx", names[i], (unsigned long long)o->st.gpr[i]);
    }
    printf("\n");
}

static void report(const struct test *c, const char *what, const struct outcome *n,
                   const struct outcome *e)
{
    printf("case %llu, seed %llu: %s differs\n  bytes", (unsigned long long)case_no,
           (unsigned long long)seed, what);
    for (unsigned i = 0; i < c->len; i++)
        printf(" %02x", c->bytes[i]);
    printf("  (%s, %u-bit) rip %llx flags %llx sel", insn_name(c->insn.op), 16u << c->mode,
           (unsigned long long)c->in.rip, (unsigned long long)c->in.rflags);
    for (unsigned s = 0; s < 6; s++)
        printf(" %x", c->sel[s]);
    printf("\n  in      ");
    for (unsigned i = 0; i < GPR_COUNT; i++)
        printf(" %llx", (unsigned long long)c->in.gpr[i]);
    printf("\n");
    print_outcome("native", c, n);
    print_outcome("emulated", c, e);
    for (unsigned i = 0, shown = 0; i < DATA_PAGES * PAGE_SIZE && shown < 16; i++) {
        if (data[i] != machine->ram[PHYS_DATA + i]) {
            printf("  memory %llx: native %02x emulated %02x\n", (unsigned long long)DATA + i,
                   data[i], machine->ram[PHYS_DATA + i]);
            shown++;
        }
    }
    fflush(stdout);
}

static void count(const struct test *c, const struct outcome *n)
{
    if (n->fault)
        faulted[n->vector & 31]++;
    else
        completed++;
    hits[c->mode][c->insn.op][n->fault]++;
    if (c->status == INSN_OK && !n->fault && (c->insn.flags & INSN_HAS_MEM || !c->insn.modrm))
        form_hits[c->mode][!!(c->insn.flags & INSN_VEX)][c->insn.map & 3][c->insn.opcode]
                 [c->insn.modrm >> 3 & 7]++;
}

static void check_case(ucontext_t *uc)
{
    static struct outcome n, e;
    const char *what;

    memset(&n, 0, sizeof(n));
    collect(uc, &n, &t);
    emulate(&t, &e);
    what = differs(&t, &n, &e);
    count(&t, &n);
    if (what && !e.fault && e.st.rip - t.in.rip < t.len)
        skipped++; /* a branch into its own bytes: the processor went on executing them */
    else if (what) {
        failures++;
        if (failures <= 10)
            report(&t, what, &n, &e);
        memcpy(machine->ram + PHYS_DATA, data, DATA_PAGES * PAGE_SIZE);
    }
    clean_up(&t);
}

static void scramble(void)
{
    for (unsigned i = 0; i < 2 * PAGE_SIZE; i += 8) {
        u64 v = interesting();

        memcpy(data + i, &v, 8);
    }
    memcpy(machine->ram + PHYS_DATA, data, DATA_PAGES * PAGE_SIZE);
}

/* ---- coverage: every form that has a template was completed in every mode ---- */

static unsigned print_coverage(void)
{
    unsigned holes = 0;

    for (unsigned mode = 0; mode < 3; mode++) {
        u64 seen[OP_COUNT][2] = {0};

        if (mode_choice >= 0 && mode != (unsigned)mode_choice)
            continue;
        for (unsigned op = 0; op < OP_COUNT; op++) {
            bool wanted = false;

            for (unsigned i = 0; i < template_count[mode]; i++)
                wanted |= templates[mode][i].op == op;
            memcpy(seen[op], hits[mode][op], sizeof(seen[op]));
            if (wanted && show_coverage)
                printf("%2u-bit %-22s completed %8llu faulted %8llu\n", 16u << mode, insn_name(op),
                       (unsigned long long)seen[op][0], (unsigned long long)seen[op][1]);
            if (wanted && !seen[op][0] && op != OP_IN && op != OP_OUT && op != OP_INS &&
                op != OP_OUTS) {
                printf("hole: %2u-bit %s was never completed\n", 16u << mode, insn_name(op));
                holes++;
            }
        }
        for (unsigned i = 0; i < template_count[mode]; i++) {
            const struct template *p = &templates[mode][i];
            u64 *h = form_hits[mode][p->vex][p->map][p->opcode], any = 0;

            for (unsigned r = 0; r < 8; r++)
                any += h[r];
            if (!any && (p->op < OP_INS || p->op > OP_OUT)) {
                printf("hole: %2u-bit %s%s map %u opcode %02x was never completed\n", 16u << mode,
                       p->vex ? "vex " : "", insn_name(p->op), p->map, p->opcode);
                h[0] = 1;
                holes++;
            }
        }
    }
    return holes;
}

static void finish(void)
{
    static const char *const names[] = {[0] = "#DE",  [5] = "#BR",  [6] = "#UD", [12] = "#SS",
                                        [13] = "#GP", [14] = "#PF", [17] = "#AC"};
    unsigned holes = cases >= 200000 && only == ~0ull ? print_coverage() : 0;

    printf("native: %llu cases (seed %llu): %llu completed", (unsigned long long)case_no,
           (unsigned long long)seed, (unsigned long long)completed);
    for (unsigned v = 0; v < ARRAY_SIZE(names); v++) {
        if (names[v])
            printf(", %llu %s", (unsigned long long)faulted[v], names[v]);
    }
    printf("; %llu disagreements, %u holes\n", (unsigned long long)failures, holes);
    fflush(stdout);
    exit(failures || holes ? 1 : 0);
}

/* Linux leaves AC as the case had it. */
void native_entry(int sig, siginfo_t *si, void *context);
__asm__(".text\nnative_entry:\n\tpushfq\n\tandl $~0x40000, (%rsp)\n\tpopfq\n\tjmp on_signal\n");

__attribute__((used)) static void on_signal(int sig, siginfo_t *si, void *context)
{
    ucontext_t *uc = context;
    static bool inside;

    if (inside) {
        fprintf(stderr, "native: signal %d in the handler itself, rip %llx address %p\n", sig,
                (unsigned long long)uc->uc_mcontext.gregs[REG_RIP], si->si_addr);
        _exit(2);
    }
    inside = true;
    if (started)
        check_case(uc);
    started = true;
    if (case_no == cases)
        finish();
    case_no++;
    if (case_no % 512 == 0)
        scramble();
    generate(&t);
    t.in.rip = t.ip + (t.mode == INSN_16 ? 0 : CODE);
    launch(uc, &t);
    inside = false;
}

/* ---- start-up ---- */

static void *must(void *p)
{
    if (p == MAP_FAILED) {
        perror("mmap");
        exit(2);
    }
    return p;
}

static void map_memory(void)
{
    int fd = (int)syscall(SYS_memfd_create, "code", 0u);

    if (fd < 0 || ftruncate(fd, CODE_PAGES * PAGE_SIZE) < 0) {
        perror("memfd");
        exit(2);
    }
    must(mmap(data, DATA_PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_POPULATE, -1, 0));
    must(mmap((void *)CODE, CODE_PAGES * PAGE_SIZE, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED,
              fd, 0));
    code_alias =
        must(mmap(NULL, CODE_PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    memset(code_alias, 0xcc, CODE_PAGES * PAGE_SIZE);
    memset(data, 0x5a, DATA_PAGES * PAGE_SIZE);
    mprotect(data + READ_ONLY * PAGE_SIZE, PAGE_SIZE, PROT_READ);
    altstack = must(
        mmap(NULL, 64 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    for (unsigned i = 0; i < CODE_PAGES; i++)
        (void)*(volatile u8 *)(CODE + i * PAGE_SIZE);
}

static bool make_segments(void)
{
    for (unsigned i = 0; i < LDT_COUNT; i++) {
        struct user_desc d = {
            .entry_number = i,
            .base_addr = ldt[i].base,
            .limit = ldt[i].limit,
            .seg_32bit = ldt[i].bits32,
            .contents = (ldt[i].code ? 2 : 0) | (ldt[i].down_or_conforming ? 1 : 0),
            .read_exec_only = !ldt[i].writable_or_readable,
            .useable = 1,
        };

        if (syscall(SYS_modify_ldt, 1, &d, sizeof(d)) != 0)
            return false;
    }
    return true;
}

static void catch_signals(void)
{
    static const int signals[] = {SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    struct sigaction sa = {.sa_sigaction = native_entry,
                           .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    stack_t ss = {.ss_sp = altstack, .ss_size = 64 * PAGE_SIZE};

    sigaltstack(&ss, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(signals); i++)
        sigaction(signals[i], &sa, NULL);
}

static void parse(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *v = i + 1 < argc ? argv[i + 1] : "";

        if (!strcmp(argv[i], "--coverage")) {
            show_coverage = true;
            continue;
        }
        i++;
        if (!strcmp(argv[i - 1], "--cases"))
            cases = strtoull(v, NULL, 0);
        else if (!strcmp(argv[i - 1], "--seed"))
            seed = strtoull(v, NULL, 0);
        else if (!strcmp(argv[i - 1], "--only"))
            only = strtoull(v, NULL, 16);
        else if (!strcmp(argv[i - 1], "--mode"))
            mode_choice = !strcmp(v, "64")   ? INSN_64
                          : !strcmp(v, "32") ? INSN_32
                          : !strcmp(v, "16") ? INSN_16
                                             : -1;
        else {
            fprintf(stderr, "native: what is %s?\n", argv[i - 1]);
            exit(2);
        }
    }
}

int main(int argc, char **argv)
{
    parse(argc, argv);
    rng_state = seed * 0x9e3779b97f4a7c15ull + 1;
    map_memory();
    if (!make_segments()) {
        perror("modify_ldt: 16- and 32-bit segments are not to be had");
        mode_choice = INSN_64;
    }
    for (unsigned m = 0; m < 3; m++)
        find_templates((enum insn_mode)m);
    machine_setup();
    scramble();
    catch_signals();
    __asm__ volatile("int3");
    return 2;
}
