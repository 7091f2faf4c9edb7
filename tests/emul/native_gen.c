/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cases of the native comparison: forms from the opcode tables with random operands, prefixes,
 * flags, alignments and page rights. Every third case is a form that has not yet been completed.
 */
#include <cpuid.h>
#include "tests/emul/native.h"

struct form forms[3][MAX_FORMS];
struct counted counts[3][MAX_FORMS];
unsigned form_count[3];
static unsigned group_start[3][4096], group_count[3]; /* runs of one vex:map:opcode */
static unsigned turn[3];                              /* the next form to be asked for by name */
static bool lacking[3][MAX_FORMS];                    /* by this processor */
static u16 by_key[3][8192]; /* open addressing; 0: empty, else index + 1 */

/* ---- forms ---- */

static unsigned slot_of(unsigned mode, u64 key)
{
    unsigned h = (unsigned)(key * 0x9e3779b97f4a7c15ull >> 51);

    while (by_key[mode][h] && forms[mode][by_key[mode][h] - 1].key != key)
        h = (h + 1) & 8191;
    return h;
}

int form_index(const struct insn *in)
{
    return (int)by_key[in->mode][slot_of(in->mode, form_key(in))] - 1;
}

void forms_prepare(u64 only)
{
    for (unsigned m = 0; m < 3; m++) {
        form_count[m] = forms_find(forms[m], (enum insn_mode)m, only);
        for (unsigned i = 0; i < form_count[m]; i++) {
            const struct form *f = &forms[m][i], *p = f - 1;
            unsigned slot = slot_of(m, f->key);

            lacking[m][i] = !host_has(&f->insn);
            if (!by_key[m][slot])
                by_key[m][slot] = (u16)(i + 1);
            if (!i || f->vex != p->vex || f->map != p->map || f->opcode != p->opcode)
                group_start[m][group_count[m]++] = i;
        }
        group_start[m][group_count[m]] = form_count[m];
    }
}

/* By opcode, so that opcodes of many forms do not crowd out the others; or one that is missing. */
static const struct form *pick_form(unsigned mode, bool *by_name)
{
    unsigned g, n = form_count[mode];

    *by_name = chance(33);
    if (*by_name) {
        for (unsigned i = 0; i < n; i++) {
            turn[mode] = (turn[mode] + 1) % n;
            if (!counts[mode][turn[mode]].completed || chance(1))
                break;
        }
        return &forms[mode][turn[mode]];
    }
    g = (unsigned)below(group_count[mode]);
    return &forms[mode]
                 [group_start[mode][g] + below(group_start[mode][g + 1] - group_start[mode][g])];
}

/* ---- generation ---- */

/* Prefixes by chance around those that the form needs. */
static unsigned put_prefixes(u8 *b, const struct form *f, enum insn_mode mode)
{
    static const u8 mandatory[4] = {0, 0x66, 0xf3, 0xf2}, segs[5] = {0x26, 0x2e, 0x36, 0x3e, 0x65};
    unsigned n = 0;

    if (f->vex) {
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
        if (chance(is_string(f->op) ? 35 : 3))
            b[n++] = 0xf2 + (u8)below(2);
    }
    if (mode != INSN_64 && chance(3))
        b[n++] = 0x64; /* null there */
    if (chance(12))
        b[n++] = 0xf0;
    if (f->pp)
        b[n++] = mandatory[f->pp];
    if (mode == INSN_64 && chance(45))
        b[n++] = 0x40 | (u8)below(16);
    return n;
}

static unsigned put_opcode(u8 *b, const struct form *tp, enum insn_mode mode)
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
static unsigned put_operands(struct test *c, u8 *b, const struct form *f, unsigned at)
{
    bool a67 = memchr(c->bytes, 0x67, at) != NULL;
    unsigned asize = c->mode == INSN_64 ? (a67 ? 4 : 8) : (c->mode == INSN_32) != a67 ? 4 : 2;
    unsigned n = 0, mod = chance(12) ? 3 : (unsigned)below(3), rm = (unsigned)below(8);

    c->disp_len = 0;
    if (f->insn.form == F_ACC_MEM || f->insn.form == F_MEM_ACC) {
        c->disp_pos = at;
        c->disp_len = asize;
        return asize;
    }
    if (!(f->insn.row_flags & T_MODRM))
        return 0;
    b[n++] = (u8)(mod << 6 | (f->group ? f->reg : below(8)) << 3 | rm);
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

/* A register of CPUID: 0 to 3 for EAX to EDX; 0 where the leaf does not exist. */
static u32 cpuid_word(u32 leaf, unsigned reg)
{
    unsigned r[4] = {0};

    __get_cpuid_count(leaf, 0, &r[0], &r[1], &r[2], &r[3]);
    return r[reg];
}

bool is_amd(void)
{
    static u32 ecx;

    if (!ecx)
        ecx = cpuid_word(0, 2);
    return ecx == signature_AMD_ecx;
}

/* CPUID's word and bit for what not every processor has; MOVDIRI is tried even where it is hidden.
 */
static const struct need {
    u32 leaf;
    u8 reg, bit, first, last; /* operations */
} needs[] = {
    {1, 2, 22, OP_MOVBE, OP_MOVBE}, {1, 2, 23, OP_POPCNT, OP_POPCNT},
    {1, 2, 20, OP_CRC32, OP_CRC32}, {0x80000001, 2, 5, OP_LZCNT, OP_LZCNT},
    {7, 1, 3, OP_TZCNT, OP_TZCNT},  {7, 1, 3, OP_ANDN, OP_BLSI},
    {7, 1, 8, OP_BZHI, OP_SHRX},    {7, 1, 19, OP_ADCX, OP_ADOX},
};

/* Whether the processor that runs this has the instruction. */
bool host_has(const struct insn *in)
{
    bool vex = in->flags & INSN_VEX, vmov = in->op >= OP_VMOV && in->op <= OP_VMOV_HALF;

    for (unsigned i = 0; i < ARRAY_SIZE(needs); i++) {
        const struct need *n = &needs[i];

        if (in->op >= n->first && in->op <= n->last && !(cpuid_word(n->leaf, n->reg) & BIT(n->bit)))
            return false;
    }
    if (in->op == OP_CMPXCHG8B && in->opsize == 8)
        return cpuid_word(1, 2) & BIT(13);
    if (in->op == OP_CLFLUSH && in->flags & INSN_OPSIZE)
        return cpuid_word(7, 1) & BIT(in->modrm >> 3 & 1 ? 23 : 24); /* /7 CLFLUSHOPT, /6 CLWB */
    if (vmov && in->map == 2)                                        /* MOVNTDQA */
        return vex ? cpuid_word(7, 1) & BIT(5) : cpuid_word(1, 2) & BIT(19);
    return !(vmov && vex) || cpuid_word(1, 2) & BIT(28);
}

/* The same, once a form is known: CPUID is slow in virtual machines. */
static bool has_form(const struct insn *in)
{
    int i = form_index(in);

    return i < 0 || !lacking[in->mode][i];
}

/* Cases that cannot be compared here. */
static bool unfit(const struct test *c)
{
    const struct insn *in = &c->insn;

    if (c->status != INSN_OK || !form_executed(in->op) || !has_form(in))
        return true;
    if (in->op == OP_CALL && in->form == F_IMM && in->imm + 16 < 32)
        return true; /* into itself */
    if (in->op >= OP_VMOV && !(in->flags & INSN_HAS_MEM))
        return true; /* register-only vector moves are not executed */
    if (in->op == OP_LOAD_FAR_PTR && in->opsize == 8)
        return is_amd(); /* AMD's processors take REX.W for nothing here, Intel's do not */
    return c->mode == INSN_64 && (in->op == OP_CALL || in->op == OP_JMP || in->op == OP_RET) &&
           (in->flags & INSN_OPSIZE); /* 66 on near branches differs by vendor */
}

void generate(struct test *c)
{
    do {
        unsigned mode = mode_choice >= 0 ? (unsigned)mode_choice : chance(50) ? INSN_64 : below(2);
        bool by_name;
        const struct form *f = pick_form(mode, &by_name);
        unsigned n;

        c->mode = (enum insn_mode)mode;
        if (by_name) {
            n = form_bytes(f, c->bytes);
            if (f->vex && chance(50))
                c->bytes[n - 2] &= 0x87; /* VEX.vvvv is an operand */
        } else {
            n = put_prefixes(c->bytes, f, c->mode);
            n += put_opcode(c->bytes + n, f, c->mode);
        }
        n += put_operands(c, c->bytes + n, f, n);
        for (unsigned i = n; i < 15; i++)
            c->bytes[i] = (u8)interesting();
        pick_segments(c);
        pick_registers(c);
        c->status = insn_decode(c->bytes, 15, c->mode, &c->insn);
        if (c->status == INSN_UNDEFINED) {
            c->len = n;
            c->ip = 0x200;
            c->insn.op = OP_NONE;
            return;
        }
    } while (unfit(c) && ++skipped);
    c->len = c->insn.len;
    c->ip = pick_ip(c->len);
    aim(c);
    tame(c);
    plant(c);
}

void scramble(void)
{
    for (unsigned i = 0; i < 2 * PAGE_SIZE; i += 8) {
        u64 v = interesting();

        memcpy(data + i, &v, 8);
    }
    memcpy(machine->ram + PHYS_DATA, data, DATA_PAGES * PAGE_SIZE);
}
