/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the emulator share: registers, faults, memory operands, handlers. */
#ifndef VMM_EMUL_INTERNAL_H
#define VMM_EMUL_INTERNAL_H

#include "vmm/emul/emul.h"
#include "vmm/emul/table.h"
#include "vmm/emul/walk_quick.h"

#define FLAGS_ARITH (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

/* ---- registers ---- */

/* Asks the caller's ops the first time. */
u64 emul_get(struct emul_cpu *c, enum emul_reg r);
const struct x86_seg *emul_seg(struct emul_cpu *c, unsigned s);
/* Changed now, given to the caller's ops when the instruction completes. */
void emul_put(struct emul_cpu *c, enum emul_reg r, u64 value);
/* General registers by number; RSP is among those of emul_get and emul_put. */
u64 gpr_get(struct emul_cpu *c, unsigned r);
void gpr_set(struct emul_cpu *c, unsigned r, u64 value);

/* size: 1 to 8 */
static inline u64 size_mask(unsigned size)
{
    return ~0ull >> (-(8 * size) & 63);
}

static inline s64 sign_extend(u64 v, unsigned size)
{
    unsigned shift = 64 - 8 * size;

    return (s64)(v << shift) >> shift;
}

/* Register operand of 1, 2, 4 or 8 bytes, zero-extended. */
u64 reg_read(struct emul_cpu *c, unsigned r, unsigned size);
/* Writes it: 8 and 16 bits are merged, 32 bits zero the upper half. */
void reg_write(struct emul_cpu *c, unsigned r, unsigned size, u64 value);

/* ---- results ---- */

enum emul_result emul_raise(struct emul_cpu *c, unsigned vector); /* no error code */
enum emul_result emul_raise_error(struct emul_cpu *c, unsigned vector, u32 error);
enum emul_result emul_retry(struct emul_cpu *c, const char *why);
enum emul_result emul_unsupported(struct emul_cpu *c, const char *why);

#define TRY(e)                                                                                     \
    do {                                                                                           \
        enum emul_result try_result = (e);                                                         \
        if (unlikely(try_result != EMUL_DONE))                                                     \
            return try_result;                                                                     \
    } while (0)

/* Everything that touches memory is prepared: may the effects begin? */
enum emul_result emul_explained(struct emul_cpu *c);

void emul_find_mode_slow(struct emul_cpu *c);

static inline void emul_find_mode(struct emul_cpu *c)
{
    if (!c->have_mode)
        emul_find_mode_slow(c);
}

/* ---- memory ---- */

/* A page that one operand of a string instruction keeps held from element to element. */
struct page_cache {
    gla_t page;
    gpa_t gpa;
    u8 *p;    /* the page's first byte; NULL: a device */
    u16 held; /* offset at which it was held */
    bool valid, writable;
};

/* Up to 32 bytes of linear memory, looked up for an access: at most two pages. */
struct span {
    gla_t gla;
    u8 len;      /* in all */
    u8 first;    /* bytes on the first page */
    u8 rw;       /* INSN_READ | INSN_WRITE */
    bool cached; /* held by a page_cache: not released with the span */
    u8 *p[2];    /* held; NULL: not RAM */
    bool writable[2];
    gpa_t gpa[2];
};

static ALWAYS_INLINE u64 effective_address(struct emul_cpu *c)
{
    const struct insn *in = &c->insn;
    u64 ea = in->disp;

    if (in->base != INSN_NO_REG)
        ea += gpr_get(c, in->base);
    else if (in->flags & INSN_RIP_REL)
        ea += emul_get(c, EMUL_RIP) + in->len;
    if (in->index != INSN_NO_REG)
        ea += gpr_get(c, in->index) << in->scale;
    return ea & size_mask(in->asize);
}

/* Effective address of the memory operand, truncated to the address size. */
u64 emul_ea(struct emul_cpu *c);
/* Linear address of size bytes at seg:ea, with every segment check (SDM 3, 5.3 and 5.4). */
enum emul_result emul_linear(struct emul_cpu *c, unsigned seg, u64 ea, unsigned size, unsigned rw,
                             gla_t *gla);
/* For instruction fetches and system tables too. */
enum emul_result emul_translate(struct emul_cpu *c, gla_t gla, u32 access, gpa_t *gpa);
enum emul_result emul_align(struct emul_cpu *c, gla_t gla, unsigned size);
/* Looks up both pages of an access. access: WALK_SYSTEM, or 0 for the guest's own rights. */
enum emul_result span_open(struct emul_cpu *c, struct span *s, gla_t gla, unsigned len, unsigned rw,
                           u32 access, struct page_cache *cache);
void span_close(struct emul_cpu *c, struct span *s);
void page_cache_drop(struct emul_cpu *c, struct page_cache *pc);
void span_read(struct emul_cpu *c, const struct span *s, void *buf);
void span_write(struct emul_cpu *c, const struct span *s, const void *buf);
/* 1 to 8 bytes as a number. */
u64 span_get(struct emul_cpu *c, const struct span *s);
void span_put(struct emul_cpu *c, const struct span *s, u64 value);
/* New value of the destination from its old one, flags in and out. */
typedef u64 (*emul_compute)(struct emul_cpu *c, u64 old, u64 src, u64 *flags);
/*
 * Reads, computes, writes back; the old value in *old. Locked (INSN_LOCK) and in RAM: by
 * compare-exchange, computed again while another processor is faster; EMUL_RETRY if that never
 * ends.
 */
enum emul_result span_update(struct emul_cpu *c, struct span *s, emul_compute fn, u64 src,
                             u64 *flags, u64 *old);

/* The memory operand of c->insn: c->insn.msize bytes of c->insn.access. */
enum emul_result mem_open(struct emul_cpu *c, struct span *s);

/* Its value, or that of the register in its place, of which `size` bytes count. */
enum emul_result mem_read(struct emul_cpu *c, unsigned size, u64 *value);

/* The memory operand read as two: opsize bytes, and `second` bytes behind them. */
enum emul_result mem_pair(struct emul_cpu *c, unsigned second, u64 value[2]);

/* Value of the register-or-memory operand (opsize bytes); what goes there. */
enum emul_result rm_read(struct emul_cpu *c, u64 *value);
enum emul_result rm_write(struct emul_cpu *c, u64 value);
/* Loads a segment register: real mode, or from its descriptor with every check. */
enum emul_result emul_load_seg(struct emul_cpu *c, unsigned s, u16 sel);

/* ---- quick lanes ---- */

void emul_renew_walk(struct emul_cpu *c);

/* What walks depend on, read afresh; the rest is worked out again only if that has changed. */
static ALWAYS_INLINE void emul_find_walk(struct emul_cpu *c)
{
    struct walk *w = &c->walk;

    if (c->have_walk)
        return;
    if (unlikely(w->cr3 != emul_get(c, EMUL_CR3) || w->cr4 != emul_get(c, EMUL_CR4) ||
                 w->cr0 != emul_get(c, EMUL_CR0) || w->efer != emul_get(c, EMUL_EFER) ||
                 w->ctx != c->ctx))
        emul_renew_walk(c);
    if (unlikely(w->cr4 & (CR4_SMAP | CR4_PKE))) {
        w->rflags = emul_get(c, EMUL_RFLAGS);
        w->pkru = w->cr4 & CR4_PKE ? (u32)emul_get(c, EMUL_PKRU) : 0;
    }
    if (unlikely(w->mode == WALK_PAE) && w->pdpte_regs) {
        for (unsigned i = 0; i < 4; i++)
            w->pdpte[i] = emul_get(c, (enum emul_reg)(EMUL_PDPTE0 + i));
    }
    c->have_walk = true;
}

/* The same for where it is not that urgent. */
void emul_find_walk_slow(struct emul_cpu *c);

/*
 * The case that MMIO exits are made of: 64-bit code reads or writes one device register, the exit
 * says where that is, and the operand is exactly there.
 */
static ALWAYS_INLINE bool device_hit(struct emul_cpu *c, unsigned rw)
{
    const struct emul_exit *e = &c->exit;
    const struct insn *in = &c->insn;
    gla_t gla;

    if (!e->device || c->mode != INSN_64 || c->cpl == 3 || in->seg >= SEG_FS ||
        !(in->flags & INSN_HAS_MEM))
        return false;
    if (rw == INSN_WRITE ? !e->write : e->write)
        return false;
    gla = effective_address(c);
    if (e->gla_valid ? gla != e->gla : ((gla ^ e->gpa) & PAGE_MASK) || !walk_canonical(gla, 48))
        return false;
    return (gla & PAGE_MASK) + in->msize <= PAGE_SIZE;
}

/* ---- handlers: exec_NAME for an operation or several ---- */

/* clang-format off */
#define EMUL_HANDLERS(H)                                                                           \
    H(mov) H(movx) H(movbe) H(xchg) H(lea) H(cmov) H(setcc) H(sreg_load) H(sreg_store)             \
    H(far_ptr) H(xlat) H(alu) H(unary) H(mul) H(imul_reg) H(xadd) H(cmpxchg) H(cmpxchg8b) H(shift) \
    H(shift_double) H(bit) H(scan) H(bmi) H(push) H(pop) H(call) H(jmp) H(ret) H(bound) H(arpl)    \
    H(string) H(port) H(clflush) H(nop) H(vmov)
/* clang-format on */

typedef enum emul_result (*emul_handler)(struct emul_cpu *c);
#define EMUL_DECLARE(name) enum emul_result exec_##name(struct emul_cpu *c);
EMUL_HANDLERS(EMUL_DECLARE)

/* The right to use a port: CPL against IOPL, else the TSS's I/O bitmap (SDM 1, 19.5). */
enum emul_result emul_check_port(struct emul_cpu *c, u16 port, unsigned size);

#endif
