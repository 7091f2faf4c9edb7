/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands that look into a guest: registers, code, memory, page tables, exits. What needs the
 * vCPU's registers runs on its home CPU, between two of its instructions.
 */
#include "lib/print.h"
#include "lib/string.h"
#include "mm/space.h"
#include "monitor/command.h"
#include "monitor/out.h"
#include "vmm/dump.h"
#include "vmm/emul/emul.h"

#define BT_FRAMES  24
#define X_MAX      1024u
#define DIS_COUNT  12u
#define LAST_COUNT 16u

/* Bits of a page-table entry. */
#define PTE_P  BIT(0)
#define PTE_PS BIT(7)

static void line_out(const char *names, const char *fmt, va_list ap)
{
    out_v(names, fmt, ap);
    out("", "\n");
}

/* ---- registers and history ---- */

static void show_regs(struct vcpu *v, void *arg)
{
    static const char *const states[] = {"off", "waits for a start-up IPI", "runnable", "halted"};

    (void)arg;
    out("-,cpu,state,?paused", "  vcpu %u at home on cpu %u, %s%s\n", v->id, v->cpu,
        states[v->state & 3], v->paused ? ", paused" : "");
    dump_registers(v, line_out);
}

void cmd_regs(struct args *a)
{
    on_vcpu(a->v, show_regs, NULL);
}

static void show_last(struct vcpu *v, void *arg)
{
    dump_exits(v, *(const u32 *)arg, line_out);
}

void cmd_last(struct args *a)
{
    u64 n = LAST_COUNT;

    if (a->count && !args_number(a, "how many exits", &n))
        return;
    u32 count = (u32)MIN(n, (u64)VCPU_LAST_EXITS);
    on_vcpu(a->v, show_last, &count);
}

/* ---- linear memory ---- */

/* What a command asks of a vCPU. */
struct peek {
    bool given;
    u64 addr;
    u64 count;
};

static struct emul_cpu *begin(struct vcpu *v)
{
    emul_begin(&v->emul, &v->vm->emul_ops, v, v->hv->gpr);
    return &v->emul;
}

/* As many of n bytes at gla as can be read. */
static unsigned peek(struct vcpu *v, gla_t gla, void *buf, unsigned n)
{
    struct emul_cpu *c = begin(v);
    unsigned done = 0;
    gpa_t gpa;

    while (done < n) {
        unsigned piece = MIN(n - done, (unsigned)(PAGE_SIZE - ((gla + done) & PAGE_MASK)));
        if (!emul_peek_gla(c, gla + done, &gpa) ||
            space_read(v->vm->space, gpa, (u8 *)buf + done, piece))
            break;
        done += piece;
    }
    return done;
}

/* The code segment's width: 2 for 16 bits, 4, 8. */
static unsigned code_width(struct vcpu *v, gla_t *base)
{
    struct x86_seg cs;
    bool protected_mode = vcpu_get(v, HVM_CR0) & CR0_PE;

    hvm->get_seg(v->hv, SEG_CS, &cs);
    *base = cs.base;
    if ((vcpu_get(v, HVM_EFER) & EFER_LMA) && (cs.attr & SEG_L)) {
        *base = 0;
        return 8;
    }
    return protected_mode && (cs.attr & SEG_DB) ? 4 : 2;
}

/* One instruction; how long it is, 0 if it cannot be read. */
static unsigned show_insn(struct vcpu *v, u64 addr, gla_t base, unsigned width)
{
    char bytes[3 * INSN_MAX];
    u8 b[INSN_MAX];
    struct insn in;
    unsigned n = peek(v, base + addr, b, sizeof(b)), len;
    bool known = n && insn_decode(b, n,
                                  width == 8   ? INSN_64
                                  : width == 4 ? INSN_32
                                               : INSN_16,
                                  &in) == INSN_OK;

    if (!n) {
        out("", "  %016llx: no memory\n", (ull)addr);
        return 0;
    }
    len = known ? in.len : 1;
    fmt_bytes(bytes, b, len);
    out("instructions[address,bytes,name", "  %016llx: %-23s %s\n", (ull)addr, bytes,
        known && in.op ? insn_name(in.op)
        : known        ? "-"
                       : "(bad)");
    return len;
}

static void show_dis(struct vcpu *v, void *arg)
{
    struct peek *p = arg;
    gla_t base;
    unsigned width = code_width(v, &base), len = 1;
    u64 at = p->given ? p->addr : vcpu_get(v, HVM_RIP);

    for (u64 i = 0; i < p->count && len; i++, at += len)
        len = show_insn(v, at, base, width);
}

void cmd_dis(struct args *a)
{
    struct peek p = {.count = DIS_COUNT};

    p.given = a->count != 0;
    if (p.given && !args_number(a, "an address", &p.addr))
        return;
    if (a->count && !args_number(a, "how many instructions", &p.count))
        return;
    p.count = MIN(p.count, 64ull);
    on_vcpu(a->v, show_dis, &p);
}

static void show_bt(struct vcpu *v, void *arg)
{
    gla_t base;
    unsigned width = code_width(v, &base);
    u64 rbp = hvm_gpr(v->hv, RBP), frame[2];

    (void)arg;
    if (width == 2) {
        out_error("16-bit code keeps no frame pointers");
        return;
    }
    out("frames[address,rbp", "  %016llx rbp %016llx\n", (ull)vcpu_get(v, HVM_RIP), (ull)rbp);
    for (unsigned i = 0; i < BT_FRAMES && rbp; i++) {
        u32 narrow[2];
        bool read = width == 8 ? peek(v, rbp, frame, 16) == 16 : peek(v, (u32)rbp, narrow, 8) == 8;
        if (width == 4 && read) {
            frame[0] = narrow[0];
            frame[1] = narrow[1];
        }
        if (!read || !frame[1])
            break;
        out("frames[address,rbp", "  %016llx rbp %016llx\n", (ull)frame[1], (ull)frame[0]);
        if (frame[0] <= rbp)
            break;
        rbp = frame[0];
    }
}

void cmd_bt(struct args *a)
{
    on_vcpu(a->v, show_bt, NULL);
}

/* ---- bytes ---- */

static void show_bytes(u64 addr, const u8 *b, unsigned n)
{
    char bytes[3 * 16], text[17];

    fmt_bytes(bytes, b, n);
    for (unsigned i = 0; i < n; i++)
        text[i] = b[i] >= ' ' && b[i] < 0x7f ? (char)b[i] : '.';
    text[n] = '\0';
    out("lines[address,bytes", "  %016llx: %-47s  %s\n", (ull)addr, bytes, text);
}

static void show_linear(struct vcpu *v, void *arg)
{
    struct peek *p = arg;
    u8 b[16];

    for (u64 done = 0; done < p->count; done += 16) {
        unsigned want = (unsigned)MIN(p->count - done, 16ull);
        unsigned n = peek(v, p->addr + done, b, want);
        if (n)
            show_bytes(p->addr + done, b, n);
        if (n < want) {
            out_error("%016llx: not mapped, or no memory", (ull)(p->addr + done + n));
            return;
        }
    }
}

/* ADDRESS and [BYTES]. */
static bool args_range(struct args *a, struct peek *p)
{
    p->count = 64;
    if (!args_number(a, "an address", &p->addr) ||
        (a->count && !args_number(a, "how many bytes", &p->count)))
        return false;
    p->count = MIN(p->count, (u64)X_MAX);
    return true;
}

void cmd_x(struct args *a)
{
    struct peek p;

    if (args_range(a, &p))
        on_vcpu(a->v, show_linear, &p);
}

void cmd_xp(struct args *a)
{
    struct peek p;
    u8 b[16];

    if (!args_range(a, &p))
        return;
    for (u64 done = 0; done < p.count; done += 16) {
        unsigned n = (unsigned)MIN(p.count - done, 16ull);
        if (space_read(a->vm->space, p.addr + done, b, n)) {
            out_error("%016llx: no memory", (ull)(p.addr + done));
            return;
        }
        show_bytes(p.addr + done, b, n);
    }
}

/* ---- page walks ---- */

static void show_nested(struct vcpu *v, gpa_t gpa)
{
    const struct nested *n = &v->vm->space->tables;
    const struct space_region *r = space_region_at(v->vm->space, gpa);
    unsigned level = 0;
    u64 e = 0;

    if (gpa < n->limit)
        nested_lookup(n, gpa, &level, &e);
    if (!nested_valid(e)) {
        out("gpa,answer", "  guest-physical %llx: %s\n", (ull)gpa,
            r && r->kind != SPACE_DEVICE ? "memory, not touched yet" : "no memory");
        return;
    }
    unsigned attr = nested_attr(n->fmt, e);
    out("gpa,hpa,page_kib,?r,?w,?x,?accessed,?dirty,entry",
        "  guest-physical %llx: host %llx, %llu KiB page, %s%s%s%s%s, entry %016llx\n", (ull)gpa,
        (ull)(nested_leaf_hpa(e, level) | (gpa & (NESTED_SIZE(level) - 1))),
        (ull)(NESTED_SIZE(level) / KIB), attr & NESTED_R ? "r" : "", attr & NESTED_W ? "w" : "",
        attr & NESTED_X ? "x" : "", attr & NESTED_A ? ", accessed" : "",
        attr & NESTED_D ? ", dirty" : "", (ull)e);
}

/* Level by level, as long as there is an entry; the rights are the guest's to judge. */
static bool show_levels(struct vcpu *v, const struct walk *w, gla_t gla, gpa_t *gpa)
{
    unsigned size = w->mode == WALK_32BIT ? 4 : 8, bits = size == 4 ? 10 : 9;
    u64 table = w->root, e = 0;
    unsigned level = w->levels;

    for (;; level--) {
        unsigned shift = PAGE_SHIFT + bits * (level - 1);
        u64 at = table + (gla >> shift & (BIT(bits) - 1)) * size;
        e = 0;
        bool read = !space_read(v->vm->space, at, &e, size);
        out("levels[level,at,entry,problem", "  level %u: entry at %llx: %0*llx%s\n", level,
            (ull)at, (int)(2 * size), (ull)e,
            !read       ? " (no memory)"
            : e & PTE_P ? ""
                        : " (not present)");
        if (!read || !(e & PTE_P))
            return false;
        bool large = level > 1 && (e & PTE_PS) && level <= 3 &&
                     !(w->mode == WALK_PAE && level == 3) && (size == 8 || (w->cr4 & CR4_PSE));
        table = e & (size == 8 ? NESTED_ADDR : 0xfffff000ull);
        if (level == 1 || large) {
            u64 mask = BIT(shift) - 1;
            *gpa = (table & ~mask) | (gla & mask);
            if (large && size == 4) /* PSE-36: bits 20:13 are address bits 39:32 */
                *gpa = (e & 0xffc00000) | (e >> 13 & 0xff) << 32 | (gla & mask);
            return true;
        }
    }
}

static void show_walk(struct vcpu *v, void *arg)
{
    struct peek *p = arg;
    struct walk w = {
        .cr0 = vcpu_get(v, HVM_CR0),
        .cr3 = vcpu_get(v, HVM_CR3),
        .cr4 = vcpu_get(v, HVM_CR4),
        .efer = vcpu_get(v, HVM_EFER),
        .maxphyaddr = v->vm->emul_ops.maxphyaddr,
    };
    gpa_t gpa = (u32)p->addr;

    walk_init(&w);
    out("mode,cr3", "  %s, cr3 %llx\n", walk_mode_name(w.mode), (ull)w.cr3);
    if (w.levels >= 4 && !walk_canonical(p->addr, w.levels == 5 ? 57 : 48))
        out_error("not canonical");
    else if (w.mode == WALK_FLAT || show_levels(v, &w, p->addr, &gpa))
        show_nested(v, gpa);
}

void cmd_walk(struct args *a)
{
    struct peek p = {0};

    if (args_number(a, "a linear address", &p.addr))
        on_vcpu(a->v, show_walk, &p);
}
