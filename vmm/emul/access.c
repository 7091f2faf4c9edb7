/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading and writing what memory.c has looked up, RAM or device; register-or-memory operands;
 * linear memory for exit handlers.
 */
#include "lib/string.h"
#include "vmm/emul/internal.h"

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

static void read_piece(struct emul_cpu *c, const struct span *s, unsigned i, u8 *buf, unsigned len)
{
    if (s->p[i]) {
        memcpy(buf, s->p[i], len);
        return;
    }
    for (unsigned done = 0, n; done < len; done += n) {
        n = chunk(len - done);
        u64 v = c->ops->mmio_read(c->ctx, s->gpa[i] + done, n);
        memcpy(buf + done, &v, n);
    }
}

static void write_piece(struct emul_cpu *c, const struct span *s, unsigned i, const u8 *buf,
                        unsigned len)
{
    if (s->p[i] && s->writable[i]) {
        memcpy(s->p[i], buf, len);
        return;
    }
    for (unsigned done = 0, n; done < len; done += n) {
        u64 v = 0;

        n = chunk(len - done);
        memcpy(&v, buf + done, n);
        c->ops->mmio_write(c->ctx, s->gpa[i] + done, n, v);
    }
}

void span_read(struct emul_cpu *c, const struct span *s, void *buf)
{
    read_piece(c, s, 0, buf, s->first);
    if (s->first != s->len)
        read_piece(c, s, 1, (u8 *)buf + s->first, s->len - s->first);
}

void span_write(struct emul_cpu *c, const struct span *s, const void *buf)
{
    write_piece(c, s, 0, buf, s->first);
    if (s->first != s->len)
        write_piece(c, s, 1, (const u8 *)buf + s->first, s->len - s->first);
}

u64 span_get(struct emul_cpu *c, const struct span *s)
{
    u64 value = 0;

    if (likely(s->first == s->len)) {
        if (s->p[0])
            return load(s->p[0], s->len);
        return c->ops->mmio_read(c->ctx, s->gpa[0], s->len) & size_mask(s->len);
    }
    span_read(c, s, &value);
    return value;
}

void span_put(struct emul_cpu *c, const struct span *s, u64 value)
{
    if (unlikely(s->first != s->len))
        span_write(c, s, &value);
    else if (s->p[0] && s->writable[0])
        store(s->p[0], s->len, value);
    else
        c->ops->mmio_write(c->ctx, s->gpa[0], s->len, value & size_mask(s->len));
}

/* A locked update competes with other processors; one that keeps losing lets the guest run on. */
#define MAX_TRIES 1000

#define EXCHANGE(type)                                                                             \
    do {                                                                                           \
        type expected = (type)*old;                                                                \
        *done = __atomic_compare_exchange_n((type *)(void *)s->p[0], &expected, (type)value,       \
                                            false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);            \
        *old = expected;                                                                           \
    } while (0)

/* x86 compares and exchanges at any alignment; the sanitizer need not know. */
__attribute__((no_sanitize("undefined"))) static void exchange(struct span *s, u64 *old, u64 value,
                                                               bool *done)
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

enum emul_result span_update(struct emul_cpu *c, struct span *s, emul_compute fn, u64 src,
                             u64 *flags, u64 *old)
{
    bool locked = (c->insn.flags & INSN_LOCK) && s->first == s->len && s->p[0] && s->writable[0];
    u64 before = *flags;

    *old = span_get(c, s);
    for (unsigned tries = 0; tries < MAX_TRIES; tries++) {
        bool done;
        u64 value;

        *flags = before;
        value = fn(c, *old, src, flags);
        if (!locked) {
            span_put(c, s, value);
            return EMUL_DONE;
        }
        exchange(s, old, value, &done);
        if (done)
            return EMUL_DONE;
    }
    return emul_retry(c, "a locked update keeps losing");
}

/* ---- a register-or-memory operand read or written ---- */

enum emul_result mem_read(struct emul_cpu *c, unsigned size, u64 *value)
{
    struct span s;

    if (!(c->insn.flags & INSN_HAS_MEM)) {
        *value = reg_read(c, c->insn.rm, size);
        return emul_explained(c);
    }
    TRY(mem_open(c, &s));
    *value = span_get(c, &s);
    span_close(c, &s);
    return EMUL_DONE;
}

enum emul_result rm_read(struct emul_cpu *c, u64 *value)
{
    const struct insn *in = &c->insn;

    if (unlikely(!device_hit(c, INSN_READ)))
        return mem_read(c, in->opsize, value);
    *value = c->ops->mmio_read(c->ctx, c->exit.gpa, in->msize) & size_mask(in->msize);
    return EMUL_DONE;
}

enum emul_result rm_write(struct emul_cpu *c, u64 value)
{
    const struct insn *in = &c->insn;
    struct span s;

    if (!(in->flags & INSN_HAS_MEM)) {
        TRY(emul_explained(c));
        reg_write(c, in->rm, in->opsize, value);
    } else if (likely(device_hit(c, INSN_WRITE))) {
        c->ops->mmio_write(c->ctx, c->exit.gpa, in->msize, value & size_mask(in->msize));
    } else {
        TRY(mem_open(c, &s));
        span_put(c, &s, value);
        span_close(c, &s);
    }
    return EMUL_DONE;
}

/* ---- linear memory for callers ---- */

enum emul_result emul_read_gla(struct emul_cpu *c, gla_t gla, void *buf, unsigned len, u32 access)
{
    struct span s;

    emul_find_mode(c);
    TRY(span_open(c, &s, gla, len, INSN_READ, access, NULL));
    span_read(c, &s, buf);
    span_close(c, &s);
    return EMUL_DONE;
}

enum emul_result emul_write_gla(struct emul_cpu *c, gla_t gla, const void *buf, unsigned len,
                                u32 access)
{
    struct span s;

    emul_find_mode(c);
    TRY(span_open(c, &s, gla, len, INSN_WRITE, access, NULL));
    span_write(c, &s, buf);
    span_close(c, &s);
    return EMUL_DONE;
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
