/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The capsule: one line that says everything an emulation depended on, so that
 * build/host/capsule can do it again on any machine. Words are NAME=VALUE, numbers in hex without
 * a prefix; what is zero is left out.
 *
 *   capsule 1 mode= real= vm86= cpl= cr0= cr3= cr4= efer= fl= ip= b=BYTES
 *   r0= … r15=               general registers in encoding order
 *   sN=SEL:ATTR:LIMIT:BASE   segments, N as enum seg; in 64-bit mode FS and GS if used
 *   x=m:RW:GPA:GLA           the exit: a memory access (R 1, W 2; GLA "-" if not given)
 *   x=p:IN:SIZE:PORT         or a port
 *   w=GLA:ENTRY:ENTRY…       the guest's page walk for the memory operand, from the root
 */
#include "lib/print.h"
#include "vmm/emul/internal.h"

struct text {
    char *buf;
    size_t size;
    int len; /* as if everything fitted */
};

static PRINTF(2, 3) void put(struct text *t, const char *fmt, ...)
{
    size_t used = MIN((size_t)t->len, t->size);
    va_list ap;

    va_start(ap, fmt);
    t->len += fmt_vprint(t->size ? t->buf + used : t->buf, t->size - used, fmt, ap);
    va_end(ap);
}

static void put_word(struct text *t, const char *name, u64 v)
{
    if (v)
        put(t, " %s=%llx", name, (unsigned long long)v);
}

static void put_seg(struct text *t, struct emul_cpu *c, unsigned s)
{
    const struct x86_seg *seg = emul_seg(c, s);

    put(t, " s%u=%x:%x:%x:%llx", s, seg->sel, seg->attr, seg->limit, (unsigned long long)seg->base);
}

static void put_segments(struct text *t, struct emul_cpu *c)
{
    const struct insn *in = &c->insn;

    if (c->mode == INSN_64) {
        if (in->len && in->seg >= SEG_FS && in->seg <= SEG_GS)
            put_seg(t, c, in->seg);
        return;
    }
    put_seg(t, c, SEG_CS);
    put_seg(t, c, SEG_SS);
    put_seg(t, c, SEG_ES);
    if (in->len && in->seg != SEG_ES && in->seg <= SEG_GS && in->seg != SEG_SS && in->seg != SEG_CS)
        put_seg(t, c, in->seg);
}

static void put_exit(struct text *t, const struct emul_exit *e)
{
    if (e->kind == EMUL_EXIT_PORT)
        put(t, " x=p:%x:%x:%x", e->in, e->size, e->port);
    if (e->kind != EMUL_EXIT_MEMORY)
        return;
    put(t, " x=m:%x:%llx:", e->read | e->write << 1, (unsigned long long)e->gpa);
    if (e->gla_valid)
        put(t, "%llx", (unsigned long long)e->gla);
    else
        put(t, "-");
}

/* The entries that a walk for gla meets, until one that is a leaf, not present or not there. */
static void put_walk(struct text *t, struct emul_cpu *c, gla_t gla)
{
    const struct walk *w = &c->walk;
    unsigned width = w->mode == WALK_32BIT ? 4 : 8, bits = width == 4 ? 10 : 9;
    u64 mask = (BIT(bits) - 1), table = w->root;
    unsigned shift = 12 + bits * (w->levels - 1u);

    put(t, " w=%llx", (unsigned long long)gla);
    if (w->mode == WALK_FLAT)
        return;
    for (;; shift -= bits) {
        gpa_t at = table + (gla >> shift & mask) * width;
        void *p = w->mem->hold(w->ctx, at, width, false);
        u64 e = 0;

        if (!p)
            return;
        __builtin_memcpy(&e, p, width);
        walk_release(w, p, at, false);
        put(t, ":%llx", (unsigned long long)e);
        if (shift == 12 || !(e & PTE_P) || ((e & PTE_PS) && shift < 39))
            return;
        table = e & ADDR_MASK;
    }
}

int emul_capsule(struct emul_cpu *c, char *buf, size_t size)
{
    static const u8 regs[] = {EMUL_CR0, EMUL_CR3, EMUL_CR4, EMUL_EFER, EMUL_RFLAGS, EMUL_RIP};
    struct text t = {.buf = buf, .size = size};

    emul_find_mode(c);
    put(&t, "capsule 1 mode=%x", 16 << c->mode);
    put_word(&t, "real", !c->protected_mode && !c->vm86);
    put_word(&t, "vm86", c->vm86);
    put_word(&t, "cpl", c->cpl);
    for (unsigned i = 0; i < ARRAY_SIZE(regs); i++)
        put_word(&t, text_nth("cr0\0cr3\0cr4\0efer\0fl\0ip", i), emul_get(c, regs[i]));
    if (c->fetched)
        put(&t, " b=");
    for (unsigned i = 0; i < c->fetched && i < INSN_MAX; i++)
        put(&t, "%02x", c->bytes[i]);
    for (unsigned i = 0; i < GPR_COUNT; i++) {
        if (gpr_get(c, i))
            put(&t, " r%u=%llx", i, (unsigned long long)gpr_get(c, i));
    }
    put_segments(&t, c);
    put_exit(&t, &c->exit);
    if (c->insn.len && (c->insn.flags & INSN_HAS_MEM)) {
        gla_t gla = emul_ea(c);

        if (c->mode != INSN_64 || (c->insn.seg >= SEG_FS && c->insn.seg <= SEG_GS))
            gla += emul_seg(c, c->insn.seg)->base;
        emul_find_walk_slow(c);
        put_walk(&t, c, gla);
    }
    return t.len;
}
