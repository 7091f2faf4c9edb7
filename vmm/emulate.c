/* SPDX-License-Identifier: BSD-2-Clause */
/* The emulator's interface to a vCPU: see emulate.h. */
#include "vmm/emulate.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/fpu.h"
#include "lib/print.h"
#include "lib/string.h"
#include "vmm/emul/again.h"
#include "vmm/exits.h"
#include "vmm/inject.h"
#include "vmm/vcpu.h"
#include "vmm/vm.h"

/* XSAVE area: XMM registers in the legacy region (SDM 1, 10.5.1), YMM halves as CPUID says. */
#define XSAVE_XMM 160
#define YMM_HALF  2

static u64 get_reg(void *ctx, enum emul_reg reg)
{
    struct vcpu *v = ctx;
    static const u8 map[EMUL_REG_COUNT] = {
        [EMUL_RIP] = HVM_RIP,       [EMUL_RSP] = HVM_RSP,       [EMUL_RFLAGS] = HVM_RFLAGS,
        [EMUL_CR0] = HVM_CR0,       [EMUL_CR3] = HVM_CR3,       [EMUL_CR4] = HVM_CR4,
        [EMUL_EFER] = HVM_EFER,     [EMUL_PDPTE0] = HVM_PDPTE0, [EMUL_PDPTE1] = HVM_PDPTE1,
        [EMUL_PDPTE2] = HVM_PDPTE2, [EMUL_PDPTE3] = HVM_PDPTE3,
    };

    switch (reg) {
    case EMUL_XCR0:
        return fpu_xcr0();
    case EMUL_PKRU: /* protection keys are not offered */
        return 0;
    case EMUL_CPL:
        return vcpu_cpl(v);
    default:
        return hvm->get(v->hv, map[reg]);
    }
}

static void set_reg(void *ctx, enum emul_reg reg, u64 value)
{
    struct vcpu *v = ctx;

    if (reg == EMUL_RIP)
        hvm->set(v->hv, HVM_RIP, value);
    else if (reg == EMUL_RSP)
        hvm->set(v->hv, HVM_RSP, value);
    else if (reg == EMUL_RFLAGS)
        hvm->set(v->hv, HVM_RFLAGS, value);
}

static void get_seg(void *ctx, enum seg s, struct x86_seg *out)
{
    hvm->get_seg(((struct vcpu *)ctx)->hv, s, out);
}

static void set_seg(void *ctx, enum seg s, const struct x86_seg *in)
{
    hvm->set_seg(((struct vcpu *)ctx)->hv, s, in);
}

static void get_gdt(void *ctx, struct x86_table *out)
{
    hvm->get_table(((struct vcpu *)ctx)->hv, false, out);
}

/* The guest's vector registers are live: they are put into v->fpu, looked at, and put back. */
static void vec_sync(struct vcpu *v, bool out)
{
    u64 xcr0 = fpu_xcr0(); /* the guest's */

    fpu_set_xcr0(fpu_xcr0_mask());
    if (out)
        fpu_save(v->fpu);
    else
        fpu_restore(v->fpu);
    fpu_set_xcr0(xcr0);
}

static u8 *vec_high(struct vcpu *v, unsigned reg)
{
    return (u8 *)v->fpu + cpu_cpuid(0xd, YMM_HALF).ebx + 16 * reg;
}

COLD static void get_vec(void *ctx, unsigned reg, void *buf, unsigned size)
{
    struct vcpu *v = ctx;

    vec_sync(v, true);
    memcpy(buf, (u8 *)v->fpu + XSAVE_XMM + 16 * reg, 16);
    if (size == 32)
        memcpy((u8 *)buf + 16, vec_high(v, reg), 16);
}

COLD static void set_vec(void *ctx, unsigned reg, const void *buf, unsigned size)
{
    struct vcpu *v = ctx;

    vec_sync(v, true);
    memcpy((u8 *)v->fpu + XSAVE_XMM + 16 * reg, buf, 16);
    if (size == 32)
        memcpy(vec_high(v, reg), (const u8 *)buf + 16, 16);
    fpu_mark_in_use(v->fpu, size == 32 ? XCR0_SSE | XCR0_AVX : XCR0_SSE);
    vec_sync(v, false);
}

/* No hold: where there is memory, and the machine has none left for it, the VM ends. */
COLD static void *no_hold(struct vcpu *v, gpa_t gpa, bool write)
{
    struct space *s = v->vm->space;

    if (gpa - s->hole >= s->hole_size &&
        space_fault(s, gpa, write ? SPACE_READ | SPACE_WRITE : SPACE_READ) == SPACE_NOMEM)
        vm_out_of_memory(v, gpa);
    return NULL;
}

static void *mem_hold(void *ctx, gpa_t gpa, unsigned len, bool write)
{
    void *p = space_hold(((struct vcpu *)ctx)->vm->space, gpa, len, write);

    return likely(p) ? p : no_hold(ctx, gpa, write);
}

static void mem_release(void *ctx, void *p, gpa_t gpa, bool write)
{
    (void)p;
    (void)write;
    space_release(((struct vcpu *)ctx)->vm->space, gpa);
}

static u64 mmio(struct vcpu *v, gpa_t gpa, unsigned size, bool write, u64 value)
{
    struct bus_access acc = {.addr = gpa, .size = (u8)size, .write = write, .value = value};

    if ((gpa & ~PAGE_MASK) == vlapic_gpa(&v->apic)) {
        acc.offset = gpa & PAGE_MASK;
        acc.now_ns = vm_now(v->vm);
        vlapic_mmio(&v->apic, &acc);
        if (write || vlapic_pending(&v->apic) >= 0) /* a read may raise the error interrupt */
            vcpu_look(v);
    } else {
        board_access(&v->vm->board, &v->vm->board.mmio, &acc);
    }
    return acc.value;
}

static u64 mmio_read(void *ctx, gpa_t gpa, unsigned size)
{
    return mmio(ctx, gpa, size, false, 0);
}

static void mmio_write(void *ctx, gpa_t gpa, unsigned size, u64 value)
{
    mmio(ctx, gpa, size, true, value);
}

COLD static u32 port_in(void *ctx, u16 port, unsigned size)
{
    struct board *b = &((struct vcpu *)ctx)->vm->board;
    struct bus_access acc = {.addr = port, .size = (u8)size};

    board_access(b, &b->ports, &acc);
    return (u32)acc.value;
}

COLD static void port_out(void *ctx, u16 port, unsigned size, u32 value)
{
    struct board *b = &((struct vcpu *)ctx)->vm->board;
    struct bus_access acc = {.addr = port, .size = (u8)size, .write = true, .value = value};

    board_access(b, &b->ports, &acc);
}

static void retire(void *ctx, unsigned len)
{
    hvm->advance(((struct vcpu *)ctx)->hv, len);
}

COLD void emulate_init_ops(struct emul_ops *ops, const struct cpuid_table *cpuid,
                           const u64 *generation)
{
    *ops = (struct emul_ops){
        .get = get_reg,
        .set = set_reg,
        .get_seg = get_seg,
        .set_seg = set_seg,
        .get_gdt = get_gdt,
        .get_vec = get_vec,
        .set_vec = set_vec,
        .mem = {mem_hold, mem_release, generation},
        .mmio_read = mmio_read,
        .mmio_write = mmio_write,
        .port_in = port_in,
        .port_out = port_out,
        .retire = retire,
        .maxphyaddr = cpuid->phys_bits,
        .pages_1g = cpuid_has(cpuid, 0x80000001, 0, CPUID_EDX, 26),
        .pdpte_regs = hvm_caps.pdpte_regs,
    };
}

static struct emul_cpu *begin(struct vcpu *v, const struct hvm_exit *e, struct x86_mode *m)
{
    struct emul_cpu *c = &v->emul;

    emul_begin(c, &v->vm->emul_ops, v, v->hv->gpr);
    hvm->get_mode(v->hv, m);
    emul_know(c, EMUL_RIP, e->rip);
    emul_know(c, EMUL_CR3, m->cr3);
    emul_know(c, EMUL_CR4, m->cr4);
    emul_know(c, EMUL_EFER, m->efer);
    emul_know(c, EMUL_CPL, m->cpl);
    if ((m->efer & EFER_LMA) && (m->cs_attr & SEG_L))
        emul_know_64bit(c, m->cpl);
    return c;
}

struct emul_cpu *emulate_begin(struct vcpu *v, const struct hvm_exit *e)
{
    struct x86_mode m;

    return begin(v, e, &m);
}

static void report(struct vcpu *v, struct emul_cpu *c)
{
    static char line[LOG_LONGEST]; /* a capsule is up to 900 bytes: too much for the stack */
    static struct spinlock lock;
    size_t len;

    if (!log_enabled(LOG_WARN) || !log_limit_ok(&v->vm->emul_log, clock_ns(), 4, 1000000000, NULL))
        return;
    spin_lock(&lock);
    len = (size_t)fmt_print(line, sizeof(line),
                            LOG_HEAD "vm %s: vcpu %u: not emulated (%s): ", v->vm->name, v->id,
                            c->why ? c->why : "?");
    len += (size_t)emul_capsule(c, line + len, sizeof(line) - len);
    log_text(line, sizeof(line), len);
    spin_unlock(&lock);
}

bool emulate_settle(struct vcpu *v, struct emul_cpu *c, enum emul_result r)
{
    switch (r) {
    case EMUL_DONE:
        return true;
    case EMUL_PARTIAL:
    case EMUL_RETRY:
        return false;
    case EMUL_FAULT:
        if (c->fault.vector == EXC_PF)
            hvm->set(v->hv, HVM_CR2, c->fault.cr2);
        inject_exception(v, c->fault.vector, c->fault.has_error, c->fault.error);
        return false;
    case EMUL_UNSUPPORTED:
        report(v, c);
        if (v->vm->config->strict)
            vm_stop(v, "an instruction could not be emulated");
        else
            inject_ud(v);
        return false;
    }
    return false;
}

void emulate_memory(struct vcpu *v, const struct hvm_exit *e)
{
    struct x86_mode m;
    struct emul_cpu *c = begin(v, e, &m);

    c->exit = (struct emul_exit){
        .kind = EMUL_EXIT_MEMORY,
        .gla_valid = e->nested.gla_valid,
        .read = e->nested.access & NESTED_R,
        .write = e->nested.access & NESTED_W,
        .device = true, /* space_fault has said so */
        .gpa = e->nested.gpa,
        .gla = e->nested.gla,
    };
    if (emulate_settle(v, c, emul_run(c)))
        emul_remember(c, &m);
}

/*
 * What guests do most with the local APIC: ends of interrupts, task priorities, registers that read
 * as they stand. None of it needs a clock, and events are looked at again only if one can be
 * delivered now. False: not done.
 */
static ALWAYS_INLINE bool apic_quick(struct vcpu *v, unsigned offset, bool write, u64 *value)
{
    struct vlapic *l = &v->apic;

    if (!write) {
        *value = l->page[offset / 4];
        return vlapic_reads_plainly(offset);
    }
    if (offset == 16 * APIC_EOI)
        vlapic_eoi(l);
    else if (offset == 16 * APIC_TPR)
        vlapic_set_tpr(l, (u8)*value);
    else
        return false;
    vcpu_look_apic(v);
    return true;
}

/* Whether the operand of `a` is what the exit names. */
static ALWAYS_INLINE bool explains(const struct emul_again *a, const u64 *gpr,
                                   const struct hvm_exit *e)
{
    gla_t gla = emul_again_gla(a, gpr);

    if (unlikely(a->access != e->nested.access))
        return false;
    if (e->nested.gla_valid)
        return likely(gla == e->nested.gla);
    return likely(!((gla ^ e->nested.gpa) & PAGE_MASK) && walk_canonical(gla, 48));
}

/* False: not such an exit, nothing done. */
static ALWAYS_INLINE bool execute_again(struct vcpu *v, const struct hvm_exit *e)
{
    u64 *gpr = v->hv->gpr, value = 0;
    gpa_t gpa = e->nested.gpa;
    bool apic = (gpa & ~PAGE_MASK) == HVM_APIC_GPA;
    const struct emul_again *a;
    struct x86_mode m;

    if (!apic && gpa - v->space->hole >= v->space->hole_size) /* memory */
        return false;
    if (unlikely(e->vectoring.kind || e->nested.table_walk))
        return false;
    hvm->get_mode(v->hv, &m);
    a = emul_again(&v->emul, e->rip, &v->space->generation, &m);
    if (unlikely(!a || !explains(a, gpr, e)))
        return false;
    if (!apic && unlikely(!space_fault_in_hole(v->space, gpa)))
        return false;
    if (a->access == INSN_WRITE)
        value = emul_again_source(a, gpr);
    if ((gpa & ~PAGE_MASK) != vlapic_gpa(&v->apic) || a->size != 4 ||
        !apic_quick(v, gpa & PAGE_MASK, a->access == INSN_WRITE, &value)) {
        if (unlikely((gpa & PAGE_MASK) > PAGE_SIZE - a->size)) /* goes on in another page */
            return false;
        value = mmio(v, gpa, a->size, a->access == INSN_WRITE, value);
    }
    if (a->access == INSN_READ)
        gpr[a->reg] = value;
    hvm->advance(v->hv, a->len);
    return true;
}

void exit_nested_fault(struct vcpu *v, struct hvm_exit *e)
{
    if (!execute_again(v, e))
        exit_nested_fault_any(v, e);
}

void emulate_port(struct vcpu *v, const struct hvm_exit *e)
{
    struct emul_cpu *c = emulate_begin(v, e);

    c->exit = (struct emul_exit){
        .kind = EMUL_EXIT_PORT,
        .in = e->io.in,
        .size = e->io.size,
        .port = e->io.port,
    };
    emulate_settle(v, c, emul_run(c));
}
