/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control registers and XCR0, where the hardware leaves their writes to skep: what the processor
 * would refuse is #GP(0), the rest takes effect. Intel SDM 3, 2.5, 4.1, 4.10; SDM 1, 13.3.
 */
#include "arch/x86_64/fpu.h"
#include "vmm/cpuid.h"
#include "vmm/emul/again.h"
#include "vmm/emulate.h"
#include "vmm/exits.h"
#include "vmm/inject.h"
#include "vmm/vcpu.h"
#include "vmm/vm.h"

/* CR4 bits that exist where CPUID says so: leaf, register, bit. */
static const struct {
    u32 cr4;
    u8 leaf, reg, bit;
} cr4_features[] = {
    {CR4_VME | CR4_PVI, 1, CPUID_EDX, 1},
    {CR4_TSD, 1, CPUID_EDX, 4},
    {CR4_DE, 1, CPUID_EDX, 2},
    {CR4_PSE, 1, CPUID_EDX, 3},
    {CR4_PAE, 1, CPUID_EDX, 6},
    {CR4_MCE, 1, CPUID_EDX, 7},
    {CR4_PGE, 1, CPUID_EDX, 13},
    {CR4_OSFXSR, 1, CPUID_EDX, 24},
    {CR4_OSXMMEXCPT, 1, CPUID_EDX, 25},
    {CR4_PCIDE, 1, CPUID_ECX, 17},
    {CR4_OSXSAVE, 1, CPUID_ECX, 26},
    {CR4_FSGSBASE, 7, CPUID_EBX, 0},
    {CR4_SMEP, 7, CPUID_EBX, 7},
    {CR4_SMAP, 7, CPUID_EBX, 20},
    {CR4_UMIP, 7, CPUID_ECX, 2},
};

static u64 cr4_allowed(const struct cpuid_table *t)
{
    u64 bits = CR4_PCE;

    for (unsigned i = 0; i < ARRAY_SIZE(cr4_features); i++)
        if (cpuid_has(t, cr4_features[i].leaf, 0, cr4_features[i].reg, cr4_features[i].bit))
            bits |= cr4_features[i].cr4;
    return bits;
}

/*
 * Reads the four PDPTEs that a PAE guest's CR3 points to. False: one is not valid, or unreadable.
 * Where they are no registers the processor looks at each when it needs it (APM 2, 15.25.10).
 */
static bool load_pdptes(struct vcpu *v, u64 cr3)
{
    u64 pdpte[4];
    u64 reserved = ~(BIT(v->vm->cpuid.phys_bits) - 1) | 0x1e6;

    if (!hvm_caps.pdpte_regs)
        return true;
    if (space_read(v->vm->space, cr3 & 0xffffffe0, pdpte, sizeof(pdpte)))
        return false;
    for (unsigned i = 0; i < 4; i++)
        if ((pdpte[i] & 1) && (pdpte[i] & reserved))
            return false;
    for (unsigned i = 0; i < 4; i++)
        vcpu_set(v, HVM_PDPTE0 + i, pdpte[i]);
    return true;
}

/* PAE paging with these registers: the PDPTEs are part of the processor's state. */
static bool is_pae(u64 cr0, u64 cr4, u64 efer)
{
    return (cr0 & CR0_PG) && (cr4 & CR4_PAE) && !(efer & EFER_LME);
}

static bool write_cr0(struct vcpu *v, u64 value)
{
    u64 old = vcpu_get(v, HVM_CR0), cr4 = vcpu_get(v, HVM_CR4);
    u64 efer = vcpu_get(v, HVM_EFER);
    u64 known = CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW |
                CR0_CD | CR0_PG;
    struct x86_seg cs;

    if (value >> 32)
        return false;
    if ((value & (CR0_PG | CR0_PE)) == CR0_PG || (value & (CR0_NW | CR0_CD)) == CR0_NW)
        return false;
    hvm->get_seg(v->hv, SEG_CS, &cs);
    if ((value & ~old & CR0_PG) && (efer & EFER_LME) && (!(cr4 & CR4_PAE) || (cs.attr & SEG_L)))
        return false;
    if ((old & ~value & CR0_PG) && ((cr4 & CR4_PCIDE) || (efer & EFER_LMA && (cs.attr & SEG_L))))
        return false;
    value = (value & known) | CR0_ET;
    if (is_pae(value, cr4, efer) && ((value ^ old) & (CR0_PG | CR0_CD | CR0_NW)) &&
        !load_pdptes(v, vcpu_get(v, HVM_CR3)))
        return false;
    vcpu_set(v, HVM_CR0, value);
    if ((value & ~old & CR0_PG) && (efer & EFER_LME))
        vcpu_set(v, HVM_EFER, efer | EFER_LMA);
    else if (old & ~value & CR0_PG)
        vcpu_set(v, HVM_EFER, efer & ~EFER_LMA);
    hvm->flush_linear(v->hv);
    return true;
}

static bool write_cr3(struct vcpu *v, u64 value)
{
    u64 cr0 = vcpu_get(v, HVM_CR0), cr4 = vcpu_get(v, HVM_CR4);
    u64 efer = vcpu_get(v, HVM_EFER);

    if (cr4 & CR4_PCIDE)
        value &= ~BIT(63);
    if ((efer & EFER_LMA) && (value >> v->vm->cpuid.phys_bits))
        return false;
    if (is_pae(cr0, cr4, efer) && !load_pdptes(v, value))
        return false;
    vcpu_set(v, HVM_CR3, value);
    hvm->flush_linear(v->hv);
    return true;
}

static bool write_cr4(struct vcpu *v, u64 value)
{
    u64 old = vcpu_get(v, HVM_CR4), cr0 = vcpu_get(v, HVM_CR0);
    u64 efer = vcpu_get(v, HVM_EFER), cr3 = vcpu_get(v, HVM_CR3);

    if (value & ~cr4_allowed(&v->vm->cpuid))
        return false;
    if ((efer & EFER_LMA) && !(value & CR4_PAE))
        return false;
    if ((value & ~old & CR4_PCIDE) && (!(efer & EFER_LMA) || (cr3 & 0xfff)))
        return false;
    if (is_pae(cr0, value, efer) && ((value ^ old) & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP)) &&
        !load_pdptes(v, cr3))
        return false;
    vcpu_set(v, HVM_CR4, value);
    hvm->flush_linear(v->hv);
    return true;
}

/* Outside 64-bit mode the low half of the register counts. */
static u64 cr_operand(struct vcpu *v, u64 value)
{
    struct x86_mode m;

    if (!(value >> 32))
        return value;
    hvm->get_mode(v->hv, &m);
    return (m.efer & EFER_LMA) && (m.cs_attr & SEG_L) ? value : (u32)value;
}

static bool write_cr(struct vcpu *v, u8 cr, u64 value)
{
    value = cr_operand(v, value);
    switch (cr) {
    case 0:
        return write_cr0(v, value);
    case 3:
        return write_cr3(v, value);
    case 4:
        return write_cr4(v, value);
    case 8:
        if (value > 15)
            return false;
        vlapic_set_cr8(&v->apic, (u8)value);
        vcpu_look_apic(v);
        if (v->hv->apic_help) /* it is to be told whether the next one matters */
            vcpu_look(v);
        return true;
    default:
        return false;
    }
}

static u64 read_cr(struct vcpu *v, u8 cr)
{
    switch (cr) {
    case 0:
        return vcpu_get(v, HVM_CR0);
    case 2:
        return vcpu_get(v, HVM_CR2);
    case 3:
        return vcpu_get(v, HVM_CR3);
    case 4:
        return vcpu_get(v, HVM_CR4);
    default:
        return vlapic_cr8(&v->apic);
    }
}

/* LMSW sets PE but cannot clear it, and reaches MP, EM and TS besides (SDM 2, LMSW). */
static u64 lmsw(u64 cr0, u64 msw)
{
    return (cr0 & ~(CR0_MP | CR0_EM | CR0_TS)) | (msw & (CR0_PE | CR0_MP | CR0_EM | CR0_TS));
}

/* A move that was decoded before. False: it was not, nothing done. */
static bool decode_again(struct vcpu *v, struct hvm_exit *e)
{
    const struct emul_again *a;
    struct x86_mode m;

    hvm->get_mode(v->hv, &m);
    a = emul_again(&v->emul, e->rip, &v->space->generation, &m);
    if (!a || a->access != EMUL_AGAIN_CR)
        return false;
    e->cr.cr = a->cr;
    e->cr.gpr = a->reg;
    e->cr.op = a->op == OP_MOV_TO_CR ? HVM_CR_WRITE : HVM_CR_READ;
    e->insn_len = a->len;
    return true;
}

/* Finds out from the instruction what the hardware did not say. False: an event waits, or retry. */
static bool decode(struct vcpu *v, struct hvm_exit *e)
{
    struct x86_mode m;
    struct emul_cpu *c = emulate_begin(v, e);
    u64 msw;

    if (!emulate_settle(v, c, emul_decode(c)))
        return false;
    e->cr.cr = c->insn.reg;
    e->cr.gpr = c->insn.rm;
    e->insn_len = c->insn.len;
    hvm->get_mode(v->hv, &m);
    emul_remember(c, &m);
    switch (c->insn.op) {
    case OP_MOV_TO_CR:
        e->cr.op = HVM_CR_WRITE;
        return true;
    case OP_MOV_FROM_CR:
        e->cr.op = HVM_CR_READ;
        return true;
    case OP_CLTS:
        e->cr.op = HVM_CR_CLTS;
        return true;
    case OP_LMSW:
        e->cr.op = HVM_CR_LMSW;
        if (!emulate_settle(v, c, emul_operand_read(c, 2, &msw)))
            return false;
        e->cr.msw = (u16)msw;
        return true;
    default: /* another processor rewrote the instruction: run what is there now */
        return false;
    }
}

void exit_cr(struct vcpu *v, struct hvm_exit *e)
{
    bool ok = true;

    if (!e->cr.decoded && !decode_again(v, e) && !decode(v, e))
        return;
    switch (e->cr.op) {
    case HVM_CR_WRITE:
        ok = write_cr(v, e->cr.cr, hvm_gpr(v->hv, e->cr.gpr));
        break;
    case HVM_CR_READ:
        hvm_set_gpr(v->hv, e->cr.gpr, read_cr(v, e->cr.cr));
        break;
    case HVM_CR_CLTS:
        ok = write_cr0(v, vcpu_get(v, HVM_CR0) & ~CR0_TS);
        break;
    case HVM_CR_LMSW:
        ok = write_cr0(v, lmsw(vcpu_get(v, HVM_CR0), e->cr.msw));
        break;
    }
    if (ok)
        hvm->advance(v->hv, e->insn_len);
    else
        inject_gp(v);
}

void exit_xsetbv(struct vcpu *v, struct hvm_exit *e)
{
    u64 *gpr = v->hv->gpr;
    u64 value = (u32)gpr[RAX] | gpr[RDX] << 32;

    if ((u32)gpr[RCX] != 0 || vcpu_cpl(v) != 0 || !fpu_xcr0_valid(value) ||
        (value & ~v->vm->cpuid.xcr0)) {
        inject_gp(v);
        return;
    }
    v->xcr0 = value;
    fpu_set_xcr0(value);
    exit_skip(v, e, OP_XSETBV);
}
