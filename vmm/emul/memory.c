/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory operands: effective address, segment checks, alignment, translation. Intel SDM volume 3,
 * chapters 4 and 5; volume 1, 3.3.7 (canonical).
 */
#include "vmm/emul/internal.h"

u64 emul_ea(struct emul_cpu *c)
{
    return effective_address(c);
}

static enum emul_result segment_fault(struct emul_cpu *c, unsigned seg)
{
    return emul_raise_error(c, seg == SEG_SS ? EXC_SS : EXC_GP, 0);
}

/* 64-bit mode: bases of FS and GS only, no limits; both ends canonical. */
static enum emul_result linear_64(struct emul_cpu *c, unsigned seg, u64 ea, unsigned size,
                                  gla_t *gla)
{
    unsigned bits = emul_get(c, EMUL_CR4) & CR4_LA57 ? 57 : 48;

    if (seg >= SEG_FS)
        ea += emul_seg(c, seg)->base;
    *gla = ea;
    if (unlikely(!walk_canonical(ea, bits) || !walk_canonical(ea + size - 1, bits)))
        return segment_fault(c, seg);
    return EMUL_DONE;
}

/* Whether a protected-mode segment may be used for this access at all. */
static bool segment_permits(const struct x86_seg *s, unsigned rw)
{
    if ((s->attr & SEG_UNUSABLE) || !(s->attr & SEG_P))
        return false;
    if (s->attr & SEG_TYPE_CODE)
        return !(rw & INSN_WRITE) && (s->attr & SEG_TYPE_W);
    return !(rw & INSN_WRITE) || (s->attr & SEG_TYPE_W);
}

/* The limit holds for the last byte; expand-down segments reach from above it to the top. */
static bool within_limit(const struct x86_seg *s, u32 ea, unsigned size)
{
    u32 last = ea + size - 1;

    if (last < ea)
        return false;
    if ((s->attr & SEG_S) && (s->attr & (SEG_TYPE_CODE | SEG_TYPE_E)) == SEG_TYPE_E)
        return ea > s->limit && last <= (s->attr & SEG_DB ? 0xffffffffu : 0xffffu);
    return last <= s->limit;
}

enum emul_result emul_linear(struct emul_cpu *c, unsigned seg, u64 ea, unsigned size, unsigned rw,
                             gla_t *gla)
{
    const struct x86_seg *s;

    if (c->mode == INSN_64)
        return linear_64(c, seg, ea, size, gla);
    s = emul_seg(c, seg);
    if (c->protected_mode && !segment_permits(s, rw))
        return segment_fault(c, seg);
    if (!within_limit(s, (u32)ea, size))
        return segment_fault(c, seg);
    *gla = (u32)(s->base + ea);
    return EMUL_DONE;
}

enum emul_result emul_align(struct emul_cpu *c, gla_t gla, unsigned size)
{
    if (likely(c->cpl != 3 || !(gla & (size - 1))))
        return EMUL_DONE;
    if (!(emul_get(c, EMUL_CR0) & CR0_AM) || !(emul_get(c, EMUL_RFLAGS) & FLAG_AC))
        return EMUL_DONE;
    return emul_raise_error(c, EXC_AC, 0);
}

/* ---- translation ---- */

/* Registers changed since the last emulation, or this is the first. */
void emul_renew_walk(struct emul_cpu *c)
{
    struct walk *w = &c->walk;

    w->mem = &c->ops->mem;
    w->ctx = c->ctx;
    w->cr0 = emul_get(c, EMUL_CR0);
    w->cr3 = emul_get(c, EMUL_CR3);
    w->cr4 = emul_get(c, EMUL_CR4);
    w->efer = emul_get(c, EMUL_EFER);
    w->maxphyaddr = c->ops->maxphyaddr;
    w->pages_1g = c->ops->pages_1g;
    w->pdpte_regs = c->ops->pdpte_regs;
    walk_init(w);
    c->serial += c->serial == ~0u ? 2 : 1; /* never 0 */
}

void emul_find_walk_slow(struct emul_cpu *c)
{
    emul_find_walk(c);
}

static enum emul_result walk_failed(struct emul_cpu *c, enum walk_result r, gla_t gla,
                                    const struct walk_out *out)
{
    switch (r) {
    case WALK_FAULT:
        c->fault = (struct emul_fault){
            .vector = EXC_PF, .has_error = true, .error = out->error, .cr2 = gla};
        return EMUL_FAULT;
    case WALK_RETRY:
        return emul_retry(c, "page tables keep changing");
    default:
        return emul_unsupported(c, "page table outside of memory");
    }
}

enum emul_result emul_translate(struct emul_cpu *c, gla_t gla, u32 access, gpa_t *gpa)
{
    struct walk_out out;
    enum walk_result r;

    emul_find_walk_slow(c);
    if (!(access & WALK_SYSTEM) && c->cpl == 3)
        access |= WALK_USER;
    r = walk_gla(&c->walk, gla, access, &out);
    if (unlikely(r != WALK_OK))
        return walk_failed(c, r, gla, &out);
    *gpa = out.gpa;
    return EMUL_DONE;
}

/* Whether the kind of access that the exit reported is one that this span makes. */
static bool kind_matches(const struct emul_exit *e, unsigned rw)
{
    if (e->write)
        return rw & INSN_WRITE;
    return !e->read || (rw & INSN_READ);
}

/*
 * Whether the exit tells where this piece of the operand is: the processor has translated it
 * already, for this kind of access, so that no walk is due. With no linear address given, an
 * instruction with a single memory operand tells by the offset into the page.
 */
static bool exit_knows(struct emul_cpu *c, gla_t gla, unsigned len, unsigned rw, u32 access,
                       gpa_t *gpa)
{
    const struct emul_exit *e = &c->exit;

    if (e->kind != EMUL_EXIT_MEMORY || (access & WALK_SYSTEM) || !kind_matches(e, rw))
        return false;
    if (e->gla_valid ? e->gla - gla >= len : ((e->gpa - gla) & PAGE_MASK) >= len)
        return false;
    if (!e->gla_valid && (!(c->insn.flags & INSN_HAS_MEM) || c->insn.op == OP_PUSH ||
                          c->insn.op == OP_POP || c->insn.op == OP_CALL))
        return false;
    c->explained = true;
    *gpa = (e->gpa & ~PAGE_MASK) | (gla & PAGE_MASK);
    return e->write || !(rw & INSN_WRITE);
}

/* One page's part of a span. */
static enum emul_result open_piece(struct emul_cpu *c, struct span *s, unsigned i, gla_t gla,
                                   unsigned len, u32 access)
{
    bool write = s->rw & INSN_WRITE, known = exit_knows(c, gla, len, s->rw, access, &s->gpa[i]);

    if (!known) {
        TRY(emul_translate(c, gla, access | (write ? WALK_WRITE : 0), &s->gpa[i]));
        if (c->exit.kind == EMUL_EXIT_MEMORY && c->exit.gpa - s->gpa[i] < len &&
            kind_matches(&c->exit, s->rw))
            c->explained = true;
    }
    s->p[i] = NULL;
    s->writable[i] = write;
    if (known && c->exit.device && s->rw != (INSN_READ | INSN_WRITE))
        return EMUL_DONE;
    s->p[i] = c->ops->mem.hold(c->ctx, s->gpa[i], len, write);
    if (!s->p[i] && s->rw == (INSN_READ | INSN_WRITE)) {
        s->p[i] = c->ops->mem.hold(c->ctx, s->gpa[i], len, false); /* ROM */
        s->writable[i] = false;
    }
    return EMUL_DONE;
}

static void close_piece(struct emul_cpu *c, const struct span *s, unsigned i)
{
    if (s->p[i] && c->ops->mem.release)
        c->ops->mem.release(c->ctx, s->p[i], s->gpa[i], s->writable[i]);
}

/* A later element on the page that the last one was on. */
static bool from_cache(struct span *s, const struct page_cache *pc, gla_t gla)
{
    u64 off = gla & PAGE_MASK;

    if (!pc->valid || pc->page != (gla & ~PAGE_MASK))
        return false;
    s->p[0] = pc->p ? pc->p + off : NULL;
    s->gpa[0] = pc->gpa + off;
    s->writable[0] = pc->writable;
    s->cached = true;
    return true;
}

static void into_cache(struct emul_cpu *c, struct span *s, struct page_cache *pc, gla_t gla)
{
    u64 off = gla & PAGE_MASK;

    page_cache_drop(c, pc);
    pc->valid = true;
    pc->page = gla & ~PAGE_MASK;
    pc->p = s->p[0] ? s->p[0] - off : NULL;
    pc->gpa = s->gpa[0] - off;
    pc->held = (u16)off;
    pc->writable = s->writable[0];
    s->cached = true;
}

void page_cache_drop(struct emul_cpu *c, struct page_cache *pc)
{
    if (pc->valid && pc->p && c->ops->mem.release)
        c->ops->mem.release(c->ctx, pc->p + pc->held, pc->gpa + pc->held, pc->writable);
    pc->valid = false;
}

enum emul_result span_open(struct emul_cpu *c, struct span *s, gla_t gla, unsigned len, unsigned rw,
                           u32 access, struct page_cache *cache)
{
    unsigned first = (unsigned)MIN(len, PAGE_SIZE - (gla & PAGE_MASK));
    gla_t second = gla + first;
    enum emul_result r;

    s->gla = gla;
    s->len = (u8)len;
    s->first = (u8)first;
    s->rw = (u8)rw;
    s->cached = false;
    if (likely(first == len)) {
        if (cache && from_cache(s, cache, gla))
            return EMUL_DONE;
        TRY(open_piece(c, s, 0, gla, len, access));
        if (cache)
            into_cache(c, s, cache, gla);
        return EMUL_DONE;
    }
    if (c->mode != INSN_64 && gla == (u32)gla) /* descriptor tables may be anywhere */
        second = (u32)second;
    TRY(open_piece(c, s, 0, gla, first, access));
    r = open_piece(c, s, 1, second, len - first, access);
    if (r != EMUL_DONE)
        close_piece(c, s, 0);
    return r;
}

void span_close(struct emul_cpu *c, struct span *s)
{
    if (s->cached)
        return;
    close_piece(c, s, 0);
    if (s->first != s->len)
        close_piece(c, s, 1);
}

enum emul_result mem_open(struct emul_cpu *c, struct span *s)
{
    const struct insn *in = &c->insn;
    gla_t gla = 0;

    TRY(emul_linear(c, in->seg, emul_ea(c), in->msize, in->access, &gla));
    TRY(emul_align(c, gla, MIN(in->msize, 16))); /* 32 bytes are two halves */
    TRY(span_open(c, s, gla, in->msize, in->access, 0, NULL));
    if (unlikely(!c->explained)) {
        span_close(c, s);
        return emul_explained(c);
    }
    return EMUL_DONE;
}
