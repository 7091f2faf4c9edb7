/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Emulation from fetch to retirement: the processor's mode, instruction bytes through the guest's
 * paging, the table of handlers, and what happens when a handler is done.
 */
#include "lib/string.h"
#include "vmm/emul/internal.h"

void emul_begin(struct emul_cpu *c, const struct emul_ops *ops, void *ctx, u64 *gpr)
{
    c->ops = ops;
    c->ctx = ctx;
    c->gpr = gpr;
    c->exit.kind = EMUL_EXIT_NONE;
    c->exit.device = false;
    c->why = NULL;
    c->fetched = 0;
    c->insn.len = 0;
    c->have = c->have_seg = c->dirty = 0;
    c->have_mode = c->have_walk = false;
    c->explained = c->branched = false;
}

/* SDM 3, 2.2 (modes) and 3.4.5 (the code segment's L and D). */
void emul_find_mode_slow(struct emul_cpu *c)
{
    const struct x86_seg *cs;

    cs = emul_seg(c, SEG_CS);
    c->cpl = (u8)emul_get(c, EMUL_CPL);
    c->vm86 = false;
    if (likely(emul_get(c, EMUL_EFER) & EFER_LMA)) {
        c->protected_mode = true;
        c->mode = cs->attr & SEG_L ? INSN_64 : cs->attr & SEG_DB ? INSN_32 : INSN_16;
    } else {
        c->protected_mode = emul_get(c, EMUL_CR0) & CR0_PE;
        if (c->protected_mode && (emul_get(c, EMUL_RFLAGS) & FLAG_VM)) {
            c->vm86 = true;
            c->protected_mode = false;
        }
        c->mode = cs->attr & SEG_DB ? INSN_32 : INSN_16;
    }
    c->have_mode = true;
}

/* ---- fetch ---- */

/* Copies at most 16 bytes. The wide copy reads within the page that is held. */
static inline void copy_code(u8 *dst, const u8 *src, unsigned room, bool wide)
{
    if (likely(wide)) {
        __builtin_memcpy(dst, src, 16);
        return;
    }
    for (unsigned i = 0; i < room; i++)
        dst[i] = src[i];
}

static ALWAYS_INLINE u64 code_key(const struct emul_cpu *c, gla_t rip)
{
    return (rip & ~PAGE_MASK) | (c->cpl == 3);
}

/*
 * Code on a page that was fetched from before: the walk's entries are read again where they were,
 * and the bytes where they led, all within one generation.
 */
static ALWAYS_INLINE bool fetch_again(struct emul_cpu *c, gla_t rip)
{
    const struct emul_code *e = &c->code[rip >> PAGE_SHIFT & (EMUL_CODE_PAGES - 1)];
    const u64 *generation = c->ops->mem.generation;

    if (unlikely(e->page != code_key(c, rip) || e->serial != c->serial || !e->serial ||
                 __atomic_load_n(generation, __ATOMIC_ACQUIRE) != e->generation))
        return false;
    for (u32 i = 0; i < e->walk.levels; i++) {
        if (unlikely(__atomic_load_n(e->walk.at[i], __ATOMIC_ACQUIRE) != e->walk.value[i]))
            return false;
    }
    __builtin_memcpy(c->bytes, e->code + (rip & PAGE_MASK), 16);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return likely(__atomic_load_n(generation, __ATOMIC_RELAXED) == e->generation);
}

/* The first fetch from a page: remembers the way. */
static __attribute__((noinline)) bool fetch_first(struct emul_cpu *c, gla_t rip)
{
    struct emul_code *e = &c->code[rip >> PAGE_SHIFT & (EMUL_CODE_PAGES - 1)];
    const struct emul_mem *mem = &c->ops->mem;
    u64 generation = __atomic_load_n(mem->generation, __ATOMIC_ACQUIRE);
    struct walk_out out;
    u8 *p;

    e->serial = 0;
    e->walk.levels = 0;
    if (!walk_quick(&c->walk, rip, WALK_FETCH | (c->cpl == 3 ? WALK_USER : 0), &out, &e->walk))
        return false;
    p = mem->hold(c->ctx, out.gpa, 16, false);
    if (!p)
        return false;
    __builtin_memcpy(c->bytes, p, 16);
    if (mem->release)
        mem->release(c->ctx, p, out.gpa, false);
    e->code = p - (rip & PAGE_MASK);
    e->page = code_key(c, rip);
    e->generation = generation;
    e->serial = c->serial;
    return true;
}

/*
 * The whole instruction at once: 64-bit code, not near the page's end. False: fetch_page does it,
 * or says why not.
 */
static ALWAYS_INLINE bool fetch_quick(struct emul_cpu *c)
{
    gla_t rip = emul_get(c, EMUL_RIP);

    if (c->mode != INSN_64 || (rip & PAGE_MASK) > PAGE_SIZE - 16 || !walk_canonical(rip, 48) ||
        !c->ops->mem.generation)
        return false;
    emul_find_walk(c);
    if (unlikely(!fetch_again(c, rip) && !fetch_first(c, rip)))
        return false;
    c->fetched = INSN_MAX;
    return true;
}

/* Appends what the current page still holds of the instruction. */
static enum emul_result fetch_page(struct emul_cpu *c)
{
    unsigned pos = c->fetched, room = INSN_MAX - pos, left;
    gla_t gla = emul_get(c, EMUL_RIP) + pos;
    gpa_t gpa;
    void *p;

    if (likely(c->mode == INSN_64)) {
        if (unlikely(!walk_canonical(gla, emul_get(c, EMUL_CR4) & CR4_LA57 ? 57 : 48)))
            return emul_raise_error(c, EXC_GP, 0);
    } else {
        const struct x86_seg *cs = emul_seg(c, SEG_CS);
        u32 offset = (u32)gla;

        if (offset > cs->limit)
            return emul_raise_error(c, EXC_GP, 0);
        if (cs->limit - offset < room)
            room = cs->limit - offset + 1;
        gla = (u32)(cs->base + offset);
    }
    left = (unsigned)(PAGE_SIZE - (gla & PAGE_MASK));
    TRY(emul_translate(c, gla, WALK_FETCH, &gpa));
    if (room > left)
        room = left;
    p = c->ops->mem.hold(c->ctx, gpa, left >= 16 ? 16 : left, false);
    if (unlikely(!p))
        return emul_unsupported(c, "instruction outside of memory");
    copy_code(c->bytes + pos, p, room, pos == 0 && left >= 16);
    if (c->ops->mem.release)
        c->ops->mem.release(c->ctx, p, gpa, false);
    c->fetched = (u8)(pos + room);
    return EMUL_DONE;
}

enum emul_result emul_fetch(struct emul_cpu *c, unsigned want)
{
    emul_find_mode(c);
    if (c->fetched == 0 && likely(fetch_quick(c)))
        return EMUL_DONE;
    while (c->fetched < want)
        TRY(fetch_page(c));
    return EMUL_DONE;
}

enum emul_result emul_decode(struct emul_cpu *c)
{
    TRY(emul_fetch(c, 1));
    for (;;) {
        enum insn_status st = insn_decode(c->bytes, c->fetched, (enum insn_mode)c->mode, &c->insn);

        if (likely(st == INSN_OK))
            return EMUL_DONE;
        switch (st) {
        case INSN_SHORT:
            TRY(emul_fetch(c, c->fetched + 1u));
            break;
        case INSN_TOO_LONG:
            return emul_raise_error(c, EXC_GP, 0);
        case INSN_UNDEFINED:
            return emul_raise(c, EXC_UD);
        default:
            return emul_unsupported(c, "opcode not known");
        }
    }
}

enum emul_result emul_insn_length(struct emul_cpu *c, enum insn_op op, unsigned *len)
{
    unsigned fetched;

    TRY(emul_fetch(c, 1));
    do {
        fetched = c->fetched;
        *len = insn_length(c->bytes, fetched, (enum insn_mode)c->mode, op);
        if (likely(*len))
            return EMUL_DONE;
        /* The rest may be on the next page; what is there already may say no, but no harm in it. */
        if (fetched < INSN_MAX)
            TRY(emul_fetch(c, fetched + 1u));
    } while (c->fetched > fetched);
    return emul_retry(c, "another instruction stands there");
}

/* ---- execute ---- */

/* An operation's handler by number, 0 for none: a byte for each of many operations. */
#define NUMBER(name)   DO_##name,
#define FUNCTION(name) exec_##name,
enum { DO_NOTHING, EMUL_HANDLERS(NUMBER) };
static const emul_handler handlers[] = {NULL, EMUL_HANDLERS(FUNCTION)};

static const u8 handler_of[OP_COUNT] = {
    [OP_MOV] = DO_mov,
    [OP_MOVZX] = DO_movx,
    [OP_MOVSX] = DO_movx,
    [OP_MOVBE] = DO_movbe,
    [OP_XCHG] = DO_xchg,
    [OP_LEA] = DO_lea,
    [OP_CMOV] = DO_cmov,
    [OP_SETCC] = DO_setcc,
    [OP_MOV_SREG_LOAD] = DO_sreg_load,
    [OP_MOV_SREG_STORE] = DO_sreg_store,
    [OP_LOAD_FAR_PTR] = DO_far_ptr,
    [OP_XLAT] = DO_xlat,
    [OP_ADD... OP_TEST] = DO_alu,
    [OP_NOT... OP_DEC] = DO_unary,
    [OP_MUL... OP_IDIV] = DO_mul,
    [OP_IMUL_REG] = DO_imul_reg,
    [OP_XADD] = DO_xadd,
    [OP_CMPXCHG] = DO_cmpxchg,
    [OP_CMPXCHG8B] = DO_cmpxchg8b,
    [OP_ROL... OP_SAR] = DO_shift,
    [OP_SHLD... OP_SHRD] = DO_shift_double,
    [OP_BSF... OP_POPCNT] = DO_scan,
    [OP_BT... OP_BTC] = DO_bit,
    [OP_ANDN... OP_CRC32] = DO_bmi,
    [OP_PUSH] = DO_push,
    [OP_POP] = DO_pop,
    [OP_CALL] = DO_call,
    [OP_JMP] = DO_jmp,
    [OP_RET] = DO_ret,
    [OP_BOUND] = DO_bound,
    [OP_ARPL] = DO_arpl,
    [OP_MOVS... OP_OUTS] = DO_string,
    [OP_IN... OP_OUT] = DO_port,
    [OP_CLFLUSH] = DO_clflush,
    [OP_PREFETCH] = DO_nop,
    [OP_NOP] = DO_nop,
    [OP_VMOV... OP_VMOV_HALF] = DO_vmov,
};

/* Registers that handlers keep in the struct go to the caller. */
static void flush(struct emul_cpu *c)
{
    if (c->dirty & (1u << EMUL_RSP))
        c->ops->set(c->ctx, EMUL_RSP, c->reg[EMUL_RSP]);
    if (c->dirty & (1u << EMUL_RFLAGS))
        c->ops->set(c->ctx, EMUL_RFLAGS, c->reg[EMUL_RFLAGS]);
    if (c->dirty & (1u << EMUL_RIP))
        c->ops->set(c->ctx, EMUL_RIP, c->reg[EMUL_RIP]);
    c->dirty = 0;
}

/* MOV between a register or an immediate and a device register; device_hit has said so. */
static ALWAYS_INLINE enum emul_result mov_device(struct emul_cpu *c)
{
    const struct insn *in = &c->insn;
    u64 v;

    if (in->access == INSN_READ) {
        v = c->ops->mmio_read(c->ctx, c->exit.gpa, in->msize) & size_mask(in->msize);
        reg_write(c, in->form == F_R_RM ? in->reg : RAX, in->msize, v);
    } else {
        v = in->form == F_RM_IMM ? in->imm
                                 : reg_read(c, in->form == F_RM_R ? in->reg : RAX, in->msize);
        c->ops->mmio_write(c->ctx, c->exit.gpa, in->msize, v & size_mask(in->msize));
    }
    if (unlikely(c->dirty))
        flush(c);
    c->ops->retire(c->ctx, in->len);
    return EMUL_DONE;
}

/*
 * Whether an instruction that is not executed here may be what left the guest. Those that touch
 * neither memory nor ports were put there since, by another processor.
 */
static bool can_explain(const struct emul_cpu *c)
{
    const struct insn *in = &c->insn;
    unsigned b = in->opcode;

    if (c->exit.kind == EMUL_EXIT_NONE)
        return true;
    if (c->exit.kind == EMUL_EXIT_PORT)
        return false;
    if (in->flags & INSN_HAS_MEM)
        return true;
    if (in->row_flags & T_MODRM) /* descriptors (LAR and the like), MASKMOVQ's [RDI] */
        return in->map == 1 && (b < 4 || b == 0xf7);
    if (in->map == 1) /* PUSH and POP of FS and GS have memory, Jcc, BSWAP and the like have not */
        return b == 0xa0 || b == 0xa1 || b == 0xa8 || b == 0xa9;
    if (in->map || (b >= 0x40 && b < 0x50) || (b >= 0x70 && b < 0x80))
        return false;
    /* Flags, conversions, exchanges, loops, jumps; decimal adjustment. */
    return !((b >= 0x90 && b <= 0x99) || b == 0x9b || b == 0x9e || b == 0x9f ||
             (b >= 0xe0 && b <= 0xe3) || b == 0xe9 || b == 0xeb || b == 0xf5 || b >= 0xf8 ||
             b == 0x27 || b == 0x2f || b == 0x37 || b == 0x3f || b == 0xd4 || b == 0xd5);
}

enum emul_result emul_execute(struct emul_cpu *c)
{
    emul_handler fn = handlers[handler_of[c->insn.op]];
    enum emul_result r;

    if (likely(c->insn.op == OP_MOV && device_hit(c, c->insn.access)))
        return mov_device(c);
    if (!fn)
        return can_explain(c) ? emul_unsupported(c, "not executed here")
                              : emul_retry(c, "does not explain the exit");
    if ((c->insn.flags & INSN_VEX) && !c->protected_mode)
        return emul_raise(c, EXC_UD);
    c->explained = c->exit.kind == EMUL_EXIT_NONE;
    c->branched = false;
    r = fn(c);
    if (unlikely(r != EMUL_DONE && r != EMUL_PARTIAL)) {
        /* Only a string instruction has changed anything: iterations that count. */
        if (c->insn.op >= OP_MOVS && c->insn.op <= OP_OUTS)
            flush(c);
        c->dirty = 0;
        return r;
    }
    if (c->dirty)
        flush(c);
    if (r == EMUL_DONE)
        c->ops->retire(c->ctx, c->branched ? 0 : c->insn.len);
    return r;
}

enum emul_result emul_run(struct emul_cpu *c)
{
    TRY(emul_decode(c));
    return emul_execute(c);
}
