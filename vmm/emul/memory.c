/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory operands: effective address, segment checks, alignment, translation, and access to what
 * is there, RAM or device. Intel SDM volume 3, chapters 4 and 5; volume 1, 3.3.7 (canonical).
 */
#include "lib/string.h"
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

    emul_find_walk(c);
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
    if (c->mode != INSN_64)
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

/* ---- access ---- */

static enum emul_result stopped(struct emul_cpu *c, enum err e)
{
    c->error = e;
    c->why = "a device access failed";
    return EMUL_STOP;
}

static inline u64 load(const void *p, unsigned size)
{
    switch (size) {
    case 1:
        return __atomic_load_n((const u8 *)p, __ATOMIC_RELAXED);
    case 2: {
        u16 v;
        __builtin_memcpy(&v, p, 2);
        return v;
    }
    case 4: {
        u32 v;
        __builtin_memcpy(&v, p, 4);
        return v;
    }
    default: {
        u64 v;
        __builtin_memcpy(&v, p, 8);
        return v;
    }
    }
}

static inline void store(void *p, unsigned size, u64 v)
{
    u32 v4 = (u32)v;
    u16 v2 = (u16)v;

    switch (size) {
    case 1:
        *(u8 *)p = (u8)v;
        break;
    case 2:
        __builtin_memcpy(p, &v2, 2);
        break;
    case 4:
        __builtin_memcpy(p, &v4, 4);
        break;
    default:
        __builtin_memcpy(p, &v, 8);
        break;
    }
}

/* The widest device access that fits in len bytes. */
static unsigned chunk(unsigned len)
{
    return len >= 8 ? 8 : len >= 4 ? 4 : len >= 2 ? 2 : 1;
}

static enum emul_result read_piece(struct emul_cpu *c, const struct span *s, unsigned i, u8 *buf,
                                   unsigned len)
{
    if (s->p[i]) {
        memcpy(buf, s->p[i], len);
        return EMUL_DONE;
    }
    for (unsigned done = 0, n; done < len; done += n) {
        u64 v = 0;
        enum err e;

        n = chunk(len - done);
        e = c->ops->mmio_read(c->ctx, s->gpa[i] + done, n, &v);
        if (e)
            return stopped(c, e);
        memcpy(buf + done, &v, n);
    }
    return EMUL_DONE;
}

static enum emul_result write_piece(struct emul_cpu *c, const struct span *s, unsigned i,
                                    const u8 *buf, unsigned len)
{
    if (s->p[i] && s->writable[i]) {
        memcpy(s->p[i], buf, len);
        return EMUL_DONE;
    }
    for (unsigned done = 0, n; done < len; done += n) {
        u64 v = 0;
        enum err e;

        n = chunk(len - done);
        memcpy(&v, buf + done, n);
        e = c->ops->mmio_write(c->ctx, s->gpa[i] + done, n, v);
        if (e)
            return stopped(c, e);
    }
    return EMUL_DONE;
}

enum emul_result span_read(struct emul_cpu *c, struct span *s, void *buf)
{
    TRY(read_piece(c, s, 0, buf, s->first));
    if (s->first != s->len)
        TRY(read_piece(c, s, 1, (u8 *)buf + s->first, s->len - s->first));
    return EMUL_DONE;
}

enum emul_result span_write(struct emul_cpu *c, struct span *s, const void *buf)
{
    TRY(write_piece(c, s, 0, buf, s->first));
    if (s->first != s->len)
        TRY(write_piece(c, s, 1, (const u8 *)buf + s->first, s->len - s->first));
    return EMUL_DONE;
}

enum emul_result span_get(struct emul_cpu *c, struct span *s, u64 *value)
{
    if (likely(s->first == s->len)) {
        enum err e;

        if (s->p[0]) {
            *value = load(s->p[0], s->len);
            return EMUL_DONE;
        }
        *value = 0;
        e = c->ops->mmio_read(c->ctx, s->gpa[0], s->len, value);
        if (unlikely(e))
            return stopped(c, e);
        *value &= size_mask(s->len);
        return EMUL_DONE;
    }
    *value = 0;
    return span_read(c, s, value);
}

enum emul_result span_put(struct emul_cpu *c, struct span *s, u64 value)
{
    if (likely(s->first == s->len)) {
        enum err e;

        if (s->p[0] && s->writable[0]) {
            store(s->p[0], s->len, value);
            return EMUL_DONE;
        }
        e = c->ops->mmio_write(c->ctx, s->gpa[0], s->len, value & size_mask(s->len));
        return likely(!e) ? EMUL_DONE : stopped(c, e);
    }
    return span_write(c, s, &value);
}

#define EXCHANGE(type)                                                                             \
    do {                                                                                           \
        type expected = (type)*old;                                                                \
        *done = __atomic_compare_exchange_n((type *)(void *)s->p[0], &expected, (type)value,      \
                                            false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);            \
        *old = expected;                                                                           \
    } while (0)

/* x86 compares and exchanges at any alignment; the sanitizer need not know. */
__attribute__((no_sanitize("undefined"))) static void
exchange(struct span *s, u64 *old, u64 value, bool *done)
{
    switch (s->len) {
    case 1:
        EXCHANGE(u8);
        break;
    case 2:
        EXCHANGE(u16);
        break;
    case 4:
        EXCHANGE(u32);
        break;
    default:
        EXCHANGE(u64);
        break;
    }
}

enum emul_result span_update(struct emul_cpu *c, struct span *s, u64 *old, u64 value, bool locked,
                             bool *done)
{
    *done = true;
    if (locked && s->first == s->len && s->p[0] && s->writable[0]) {
        exchange(s, old, value, done);
        return EMUL_DONE;
    }
    return span_put(c, s, value);
}

enum emul_result mem_open(struct emul_cpu *c, struct span *s)
{
    const struct insn *in = &c->insn;
    gla_t gla;

    TRY(emul_linear(c, in->seg, emul_ea(c), in->msize, in->access, &gla));
    TRY(emul_align(c, gla, MIN(in->msize, 16))); /* 32 bytes are two halves */
    TRY(span_open(c, s, gla, in->msize, in->access, 0, NULL));
    if (unlikely(!c->explained)) {
        span_close(c, s);
        return emul_explained(c);
    }
    return EMUL_DONE;
}

/* ---- a register-or-memory operand read or written ---- */

enum emul_result rm_read(struct emul_cpu *c, u64 *value)
{
    const struct insn *in = &c->insn;
    struct span s;
    enum emul_result r;

    if (!(in->flags & INSN_HAS_MEM)) {
        *value = reg_read(c, in->rm, in->opsize);
        return emul_explained(c);
    }
    if (likely(device_hit(c, INSN_READ))) {
        enum err e = c->ops->mmio_read(c->ctx, c->exit.gpa, in->msize, value);

        *value &= size_mask(in->msize);
        return likely(!e) ? EMUL_DONE : stopped(c, e);
    }
    TRY(mem_open(c, &s));
    r = span_get(c, &s, value);
    span_close(c, &s);
    return r;
}

enum emul_result rm_write(struct emul_cpu *c, u64 value)
{
    const struct insn *in = &c->insn;
    struct span s;
    enum emul_result r;

    if (!(in->flags & INSN_HAS_MEM)) {
        TRY(emul_explained(c));
        reg_write(c, in->rm, in->opsize, value);
        return EMUL_DONE;
    }
    if (likely(device_hit(c, INSN_WRITE))) {
        enum err e = c->ops->mmio_write(c->ctx, c->exit.gpa, in->msize,
                                        value & size_mask(in->msize));

        return likely(!e) ? EMUL_DONE : stopped(c, e);
    }
    TRY(mem_open(c, &s));
    r = span_put(c, &s, value);
    span_close(c, &s);
    return r;
}

/* ---- linear memory for callers ---- */

enum emul_result emul_read_gla(struct emul_cpu *c, gla_t gla, void *buf, unsigned len, u32 access)
{
    struct span s;
    enum emul_result r;

    emul_find_mode(c);
    TRY(span_open(c, &s, gla, len, INSN_READ, access, NULL));
    r = span_read(c, &s, buf);
    span_close(c, &s);
    return r;
}

enum emul_result emul_write_gla(struct emul_cpu *c, gla_t gla, const void *buf, unsigned len,
                                u32 access)
{
    struct span s;
    enum emul_result r;

    emul_find_mode(c);
    TRY(span_open(c, &s, gla, len, INSN_WRITE, access, NULL));
    r = span_write(c, &s, buf);
    span_close(c, &s);
    return r;
}

bool emul_peek_gla(struct emul_cpu *c, gla_t gla, gpa_t *gpa)
{
    return emul_translate(c, gla, WALK_PEEK | WALK_SYSTEM, gpa) == EMUL_DONE;
}

enum emul_result emul_operand_gla(struct emul_cpu *c, unsigned size, u32 access, gla_t *gla)
{
    emul_find_mode(c);
    return emul_linear(c, c->insn.seg, emul_ea(c), size,
                       access & WALK_WRITE ? INSN_WRITE : INSN_READ, gla);
}

enum emul_result emul_operand_read(struct emul_cpu *c, unsigned size, u64 *value)
{
    gla_t gla;

    emul_find_mode(c);
    if (!(c->insn.flags & INSN_HAS_MEM)) {
        *value = reg_read(c, c->insn.rm, size);
        return EMUL_DONE;
    }
    TRY(emul_operand_gla(c, size, 0, &gla));
    *value = 0;
    return emul_read_gla(c, gla, value, size, 0);
}

enum emul_result emul_operand_write(struct emul_cpu *c, unsigned size, u64 value)
{
    gla_t gla;

    emul_find_mode(c);
    if (!(c->insn.flags & INSN_HAS_MEM)) {
        reg_write(c, c->insn.rm, size, value);
        if (c->dirty & (1u << EMUL_RSP))
            c->ops->set(c->ctx, EMUL_RSP, c->reg[EMUL_RSP]);
        return EMUL_DONE;
    }
    TRY(emul_operand_gla(c, size, WALK_WRITE, &gla));
    return emul_write_gla(c, gla, &value, size, 0);
}
