/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes a case that differs smaller: one simplification after another is tried and kept if the
 * difference is still of the same kind. What is left is printed.
 */
#include <stdio.h>
#include "tests/emul/native.h"

/* Simplifications, in the order in which they are tried. */
enum step {
    STEP_AGAIN, /* the case as it was, from the same memory: is it repeatable at all? */
    STEP_PLACE,
    STEP_FLAGS,
    STEP_VECTORS,
    STEP_SEGMENTS,
    STEP_MEMORY,
    STEP_PREFIX,                        /* one for each leading byte */
    STEP_ZERO = STEP_PREFIX + INSN_MAX, /* one for each register */
    STEP_END = STEP_ZERO + GPR_COUNT
};

static struct shrink {
    struct test best;
    struct outcome native, emulated;
    const char *what;
    unsigned step;
    u8 memory[DATA_SIZE], differing[2][DATA_SIZE];
    bool active, zeroed, zeroing;
} sh;

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
    for (unsigned s = 0; s < 6; s++) {
        if (o->st.sel[s] != c->sel[s])
            printf(" s%u=%x", s, o->st.sel[s]);
    }
    printf("\n");
}

static void print_case(const struct test *c, const char *what, const struct outcome *n,
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
    for (unsigned i = 0, shown = 0; i < DATA_SIZE && shown < 16; i++) {
        if (sh.differing[0][i] != sh.differing[1][i]) {
            printf("  memory %llx: native %02x emulated %02x\n", (unsigned long long)(DATA + i),
                   sh.differing[0][i], sh.differing[1][i]);
            shown++;
        }
    }
    fflush(stdout);
}

bool shrinking(void)
{
    return sh.active;
}

static void keep(const struct test *c, const char *what, const struct outcome *n,
                 const struct outcome *e)
{
    sh.best = *c;
    sh.what = what;
    sh.native = *n;
    sh.emulated = *e;
    sh.zeroed |= sh.zeroing;
    memcpy(sh.differing[0], data, DATA_SIZE);
    memcpy(sh.differing[1], machine->ram + PHYS_DATA, DATA_SIZE);
}

void shrink_begin(const struct test *c, const char *what, const struct outcome *n,
                  const struct outcome *e, const u8 *snapshot)
{
    memcpy(sh.memory, snapshot, DATA_SIZE);
    sh.zeroed = sh.zeroing = false;
    keep(c, what, n, e);
    sh.step = STEP_AGAIN;
    sh.active = true;
}

/* Both sides' memory as it was before the case, or all zero; the read-only page stays. */
static void restore(bool zero)
{
    for (unsigned page = 0; page < DATA_PAGES; page++) {
        u64 at = page * PAGE_SIZE;

        if (page == READ_ONLY)
            continue;
        if (zero)
            memset(data + at, 0, PAGE_SIZE);
        else
            memcpy(data + at, sh.memory + at, PAGE_SIZE);
    }
    memcpy(machine->ram + PHYS_DATA, data, DATA_SIZE);
}

static bool is_prefix(u8 b, enum insn_mode mode)
{
    return b == 0x66 || b == 0x67 || b == 0xf0 || b == 0xf2 || b == 0xf3 || b == 0x26 ||
           b == 0x2e || b == 0x36 || b == 0x3e || b == 0x64 || b == 0x65 ||
           (mode == INSN_64 && (b & 0xf0) == 0x40);
}

/* The case without one of its leading bytes, if that is a prefix it can do without. */
static bool drop_prefix(struct test *c, unsigned i)
{
    struct insn in;

    for (unsigned k = 0; k <= i; k++) {
        if (k >= c->len || !is_prefix(c->bytes[k], c->mode))
            return false;
    }
    memmove(c->bytes + i, c->bytes + i + 1, sizeof(c->bytes) - i - 1);
    if (insn_decode(c->bytes, 15, c->mode, &in) != c->status ||
        (c->status == INSN_OK && in.op != c->insn.op))
        return false;
    c->len--;
    if (c->status == INSN_OK)
        c->insn = in;
    return true;
}

static bool flatten(struct test *c)
{
    bool changed = false;

    for (unsigned s = SEG_ES; s <= SEG_GS && c->mode != INSN_64; s++) {
        if (s == SEG_CS || s == SEG_FS || c->sel[s] == USER_DS)
            continue;
        c->sel[s] = USER_DS;
        changed = true;
    }
    return changed;
}

/* Applies one step to the case; false if it changes nothing. */
static bool simplify(struct test *c, unsigned step)
{
    switch (step) {
    case STEP_AGAIN:
        return true;
    case STEP_PLACE:
        if (c->ip == 0x200)
            return false;
        c->in.rip += 0x200 - c->ip;
        c->ip = 0x200;
        return true;
    case STEP_FLAGS:
        if (c->in.rflags == (FLAG_FIXED | FLAG_IF))
            return false;
        c->in.rflags = FLAG_FIXED | FLAG_IF;
        return true;
    case STEP_VECTORS:
        memset(c->in.vec, 0, sizeof(c->in.vec));
        return true;
    case STEP_SEGMENTS:
        return flatten(c);
    case STEP_MEMORY:
        return sh.zeroing = true;
    }
    if (step < STEP_ZERO)
        return drop_prefix(c, INSN_MAX - 1 - (step - STEP_PREFIX)); /* from the last to the first */
    if (!c->in.gpr[step - STEP_ZERO])
        return false;
    c->in.gpr[step - STEP_ZERO] = 0;
    return true;
}

bool shrink_next(struct test *c)
{
    while (sh.step < STEP_END) {
        *c = sh.best;
        sh.zeroing = false;
        if (simplify(c, sh.step)) {
            restore(sh.zeroed || sh.zeroing);
            return true;
        }
        sh.step++;
    }
    print_case(&sh.best, sh.what, &sh.native, &sh.emulated);
    restore(false);
    sh.active = false;
    return false;
}

void shrink_result(const struct test *c, const char *what, const struct outcome *n,
                   const struct outcome *e)
{
    if (what && !strcmp(what, sh.what))
        keep(c, what, n, e);
    else if (sh.step == STEP_AGAIN)
        sh.step = STEP_END - 1; /* it does not come again: printed as it was */
    sh.step++;
}
