/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Why an entry failed, in words: VM-instruction errors (SDM 3, 30.4), and a look at the guest state
 * in the manual's order (26.3.1) that names the first field the processor must have refused. It
 * runs only after a failure, so it reads everything anew.
 */
#include "arch/x86_64/vmx/vmx.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/paging.h"
#include "lib/log.h"
#include "lib/print.h"

/* By number, from 1; the manual leaves some out. */
static const char insn_errors[] =
    "VMCALL in VMX root operation\0"
    "VMCLEAR with an invalid address\0"
    "VMCLEAR of the VMXON region\0"
    "VMLAUNCH of a VMCS that is not clear\0"
    "VMRESUME of a VMCS that was not launched\0"
    "VMRESUME after VMXOFF\0"
    "entry with invalid control fields\0"
    "entry with invalid host state\0"
    "VMPTRLD with an invalid address\0"
    "VMPTRLD of the VMXON region\0"
    "VMPTRLD with a wrong revision identifier\0"
    "VMREAD or VMWRITE of a field that does not exist\0"
    "VMWRITE to a read-only field\0"
    "\0"
    "VMXON in VMX root operation\0"
    "entry with an invalid executive-VMCS pointer\0"
    "entry with an executive VMCS that was not launched\0"
    "entry with an executive-VMCS pointer that is not the VMXON pointer\0"
    "VMCALL with a VMCS that is not clear\0"
    "VMCALL with invalid exit controls\0"
    "\0"
    "VMCALL with a wrong MSEG revision\0"
    "VMXOFF under dual-monitor treatment of SMIs\0"
    "VMCALL with invalid SMM-monitor features\0"
    "entry with invalid execution control fields in the executive VMCS\0"
    "entry with events blocked by MOV SS\0"
    "\0"
    "INVEPT or INVVPID with an invalid operand\0";

const char *vmx_insn_error(u32 error)
{
    const char *text = error && error <= 28 ? text_nth(insn_errors, error - 1) : "";

    return *text ? text : "a VM-instruction error that the manual does not know";
}

/* The state under test, so that the checks read as sentences. */
struct state {
    u64 cr0, cr3, cr4, efer, rip, rflags, entry, blocked, intr_info;
    struct x86_seg seg[SEG_COUNT];
    bool ia32e, v86;
};

static bool canonical(u64 a)
{
    unsigned shift = cpu_read_cr4() & CR4_LA57 ? 7 : 16;

    return (u64)((s64)(a << shift) >> shift) == a;
}

static bool pat_valid(u64 pat)
{
    for (unsigned i = 0; i < 8; i++, pat >>= 8)
        if ((pat & 0xff) > 7 || (pat & 0xff) == 2 || (pat & 0xff) == 3)
            return false;
    return true;
}

/* 26.3.1.1 */
static const char *check_control_registers(const struct state *s)
{
    u64 cr0_fixed = cpu_rdmsr(MSR_VMX_CR0_FIXED0);

    if (vmx.unrestricted)
        cr0_fixed &= ~(CR0_PE | CR0_PG);
    if (~s->cr0 & cr0_fixed || s->cr0 & ~cpu_rdmsr(MSR_VMX_CR0_FIXED1))
        return "CR0: a bit that VMX fixes";
    if (s->cr0 & CR0_PG && !(s->cr0 & CR0_PE))
        return "CR0: PG without PE";
    if (~s->cr4 & vmx.cr4_must || s->cr4 & ~cpu_rdmsr(MSR_VMX_CR4_FIXED1))
        return "CR4: a bit that VMX fixes or the processor does not have";
    if (s->cr4 & CR4_CET && !(s->cr0 & CR0_WP))
        return "CR4: CET without CR0.WP";
    if (s->ia32e && (!(s->cr0 & CR0_PG) || !(s->cr4 & CR4_PAE)))
        return "IA-32e mode without CR0.PG and CR4.PAE";
    if (!s->ia32e && s->cr4 & CR4_PCIDE)
        return "CR4: PCIDE outside IA-32e mode";
    if (s->cr3 & ~paging_max_hpa())
        return "CR3: beyond the physical address width";
    if (vmread(VMCS_GUEST_DR7) >> 32)
        return "DR7: upper half";
    if (!canonical(vmread(VMCS_GUEST_SYSENTER_ESP)) || !canonical(vmread(VMCS_GUEST_SYSENTER_EIP)))
        return "SYSENTER_ESP or SYSENTER_EIP: not canonical";
    if (!pat_valid(vmread(VMCS_GUEST_PAT)))
        return "PAT: a memory type that does not exist";
    if (s->efer & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE))
        return "EFER: a reserved bit";
    if (!!(s->efer & EFER_LMA) != s->ia32e)
        return "EFER: LMA differs from the IA-32e entry control";
    if (s->cr0 & CR0_PG && !(s->efer & EFER_LMA) != !(s->efer & EFER_LME))
        return "EFER: LMA differs from LME with paging on";
    return NULL;
}

/* 26.3.1.2, segments that matter in every mode. */
static const char *check_system_segment(const struct state *s, enum seg n)
{
    const struct x86_seg *g = &s->seg[n];
    unsigned type = g->attr & SEG_TYPE_MASK;

    if (n == SEG_LDTR && g->attr & SEG_UNUSABLE)
        return NULL;
    if (g->attr & SEG_UNUSABLE)
        return "unusable";
    if (g->sel & 4)
        return "selector in the LDT";
    if (!canonical(g->base))
        return "base not canonical";
    if (n == SEG_LDTR ? type != 2 : type != 11 && (s->ia32e || type != 3))
        return "type";
    if (g->attr & SEG_S || !(g->attr & SEG_P))
        return "not a present system segment";
    return NULL;
}

static const char *check_v86_segment(const struct x86_seg *g)
{
    if (g->base != (u64)g->sel << 4)
        return "base is not selector * 16 in virtual-8086 mode";
    if (g->limit != 0xffff)
        return "limit is not 0xffff in virtual-8086 mode";
    return g->attr == 0xf3 ? NULL : "rights are not 0xf3 in virtual-8086 mode";
}

static bool granularity_bad(const struct x86_seg *g)
{
    if ((g->limit & 0xfff) != 0xfff && g->attr & SEG_G)
        return true;
    return g->limit >> 20 && !(g->attr & SEG_G);
}

static const char *check_cs(const struct state *s)
{
    const struct x86_seg *cs = &s->seg[SEG_CS];
    unsigned dpl = (cs->attr & SEG_DPL_MASK) >> SEG_DPL_SHIFT;
    unsigned ss_dpl = (s->seg[SEG_SS].attr & SEG_DPL_MASK) >> SEG_DPL_SHIFT;
    unsigned type = cs->attr & SEG_TYPE_MASK;

    if (cs->base >> 32)
        return "base above 4 GiB";
    if (type == 3)
        return !vmx.unrestricted ? "type" : dpl ? "DPL of a data type" : NULL;
    if ((type & 9) != 9)
        return "type";
    if (type < 13 ? dpl != ss_dpl : dpl > ss_dpl)
        return "DPL against that of SS";
    if (s->ia32e && cs->attr & SEG_L && cs->attr & SEG_DB)
        return "both L and D";
    return NULL;
}

static const char *check_data_segment(const struct state *s, enum seg n)
{
    const struct x86_seg *g = &s->seg[n];
    unsigned type = g->attr & SEG_TYPE_MASK;
    unsigned dpl = (g->attr & SEG_DPL_MASK) >> SEG_DPL_SHIFT;

    if ((n == SEG_FS || n == SEG_GS) && !canonical(g->base))
        return "base not canonical";
    if (n == SEG_SS && !vmx.unrestricted && dpl != (unsigned)(g->sel & 3))
        return "DPL against RPL";
    if (g->attr & SEG_UNUSABLE)
        return NULL;
    if (n == SEG_SS && type != 3 && type != 7)
        return "type";
    if (!(type & 1) || (type & 8 && !(type & 2)))
        return "type";
    if (n < SEG_FS && g->base >> 32)
        return "base above 4 GiB";
    if (n != SEG_SS && !vmx.unrestricted && type <= 11 && dpl < (unsigned)(g->sel & 3))
        return "DPL against RPL";
    return NULL;
}

static const char *check_segment(const struct state *s, enum seg n)
{
    const struct x86_seg *g = &s->seg[n];
    const char *why;

    if (n >= SEG_LDTR)
        why = check_system_segment(s, n);
    else if (s->v86)
        return check_v86_segment(g);
    else
        why = n == SEG_CS ? check_cs(s) : check_data_segment(s, n);
    if (why || g->attr & SEG_UNUSABLE)
        return why;
    if (n < SEG_LDTR && (!(g->attr & SEG_S) || !(g->attr & SEG_P)))
        return "not a present code or data segment";
    return granularity_bad(g) ? "granularity against limit" : NULL;
}

/* 26.3.1.3 and 26.3.1.4 */
static const char *check_tables_and_rip(const struct state *s)
{
    bool code64 = s->ia32e && s->seg[SEG_CS].attr & SEG_L;

    if (!canonical(vmread(VMCS_GUEST_GDTR_BASE)) || vmread(VMCS_GUEST_GDTR_LIMIT) >> 16)
        return "GDTR";
    if (!canonical(vmread(VMCS_GUEST_IDTR_BASE)) || vmread(VMCS_GUEST_IDTR_LIMIT) >> 16)
        return "IDTR";
    if (code64 ? !canonical(s->rip) : s->rip >> 32)
        return "RIP: out of the code segment's width";
    if (!(s->rflags & FLAG_FIXED) || s->rflags & ~0x3f7fd7ull)
        return "RFLAGS: a reserved bit";
    if (s->v86 && (s->ia32e || !(s->cr0 & CR0_PE)))
        return "RFLAGS: VM in a mode that has none";
    return NULL;
}

/* 26.3.1.5 */
static const char *check_events(const struct state *s)
{
    unsigned type = INTR_TYPE(s->intr_info);
    bool entering = s->intr_info & INTR_VALID;
    bool step = vmread(VMCS_GUEST_PENDING_DEBUG) & PENDING_DEBUG_BS;
    bool wants = s->rflags & FLAG_TF && !(vmread(VMCS_GUEST_DEBUGCTL) & BIT(1));

    if ((s->blocked & BLOCKED_SHADOW) == BLOCKED_SHADOW)
        return "interruptibility: shadows of STI and of MOV SS at once";
    if (s->blocked & BLOCKED_STI && !(s->rflags & FLAG_IF))
        return "interruptibility: shadow of STI with IF clear";
    if (entering && type == INTR_TYPE_EXTERNAL && s->blocked & BLOCKED_SHADOW)
        return "interruptibility: interrupt injected in a shadow";
    if (entering && type == INTR_TYPE_EXTERNAL && !(s->rflags & FLAG_IF))
        return "RFLAGS: interrupt injected with IF clear";
    if (entering && type == INTR_TYPE_NMI && s->blocked & (BLOCKED_MOV_SS | BLOCKED_NMI))
        return "interruptibility: NMI injected while blocked";
    if (s->blocked & BLOCKED_SHADOW && step != wants)
        return "pending debug exceptions: single step against TF in a shadow";
    return NULL;
}

/* 26.3.1.6 */
static const char *check_pdptes(const struct state *s)
{
    u64 reserved = ~paging_max_hpa() | 0x1e6;

    if (!(s->cr0 & CR0_PG) || !(s->cr4 & CR4_PAE) || s->ia32e)
        return NULL;
    for (unsigned i = 0; i < 4; i++) {
        u64 e = vmread(VMCS_GUEST_PDPTE0 + 2 * i);

        if (e & 1 && e & reserved)
            return "PDPTE: a reserved bit";
    }
    return NULL;
}

static void read_state(struct vmx_vcpu *v, struct state *s)
{
    s->cr0 = vmread(VMCS_GUEST_CR0);
    s->cr3 = vmread(VMCS_GUEST_CR3);
    s->cr4 = vmread(VMCS_GUEST_CR4);
    s->efer = vmread(VMCS_GUEST_EFER);
    s->rip = vmread(VMCS_GUEST_RIP);
    s->rflags = vmread(VMCS_GUEST_RFLAGS);
    s->blocked = vmread(VMCS_GUEST_INTERRUPTIBILITY);
    s->entry = vmread(VMCS_ENTRY_CTLS);
    s->intr_info = vmread(VMCS_ENTRY_INTR_INFO);
    s->ia32e = s->entry & ENTRY_IA32E;
    s->v86 = s->rflags & FLAG_VM;
    for (enum seg n = SEG_ES; n < SEG_COUNT; n++)
        vmx_get_seg(&v->base, n, &s->seg[n]);
}

const char *vmx_bad_state(struct vmx_vcpu *v)
{
    static const char names[SEG_COUNT][5] = {"ES", "CS", "SS", "DS", "FS", "GS", "LDTR", "TR"};
    const char *why;
    struct state s;

    read_state(v, &s);
    why = check_control_registers(&s);
    for (enum seg n = SEG_ES; n < SEG_COUNT && !why; n++) {
        why = check_segment(&s, n);
        if (!why)
            continue;
        fmt_print(v->why, sizeof(v->why), "invalid guest state: %s: %s", names[n], why);
        return v->why;
    }
    if (!why)
        why = check_tables_and_rip(&s);
    if (!why)
        why = check_events(&s);
    if (!why)
        why = check_pdptes(&s);
    fmt_print(v->why, sizeof(v->why), "invalid guest state: %s", why ? why : "no check tells why");
    return v->why;
}

void vmx_dump(struct hvm_vcpu *base)
{
    struct vmx_vcpu *v = vmx_vcpu(base);
    static const char names[] = "exit reason\0"
                                "qualification\0"
                                "interruption\0"
                                "vectoring\0"
                                "entry event\0"
                                "interruptibility\0"
                                "pending debug\0"
                                "pin controls\0"
                                "processor controls\0"
                                "secondary controls\0"
                                "exit controls\0"
                                "entry controls\0"
                                "exceptions\0"
                                "real CR0\0"
                                "real CR3\0"
                                "real CR4\0"
                                "real EFER\0"
                                "guest-physical\0";
    static const u16 fields[] = {
        VMCS_EXIT_REASON,         VMCS_QUALIFICATION,   VMCS_EXIT_INTR_INFO,
        VMCS_VECTORING_INFO,      VMCS_ENTRY_INTR_INFO, VMCS_GUEST_INTERRUPTIBILITY,
        VMCS_GUEST_PENDING_DEBUG, VMCS_PIN_CTLS,        VMCS_PROC_CTLS,
        VMCS_PROC2_CTLS,          VMCS_EXIT_CTLS,       VMCS_ENTRY_CTLS,
        VMCS_EXCEPTION_BITMAP,    VMCS_GUEST_CR0,       VMCS_GUEST_CR3,
        VMCS_GUEST_CR4,           VMCS_GUEST_EFER,      VMCS_GUEST_PHYSICAL,
    };

    log_error("VMX: VPID %u, EPT pointer %#llx%s%s", v->vpid, (unsigned long long)v->eptp,
              v->identity ? ", identity paging" : "",
              v->state & STATE_LAUNCHED ? "" : ", not launched");
    for (unsigned i = 0; i + 1 < ARRAY_SIZE(fields); i += 2)
        log_error("  %s %#llx, %s %#llx", text_nth(names, i), (unsigned long long)vmread(fields[i]),
                  text_nth(names, i + 1), (unsigned long long)vmread(fields[i + 1]));
}
