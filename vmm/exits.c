/* SPDX-License-Identifier: BSD-2-Clause */
/* Exit handlers, and the table that picks one: see exits.h. */
#include "vmm/exits.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/fpu.h"
#include "lib/string.h"
#include "vmm/cpuid.h"
#include "vmm/debug.h"
#include "vmm/emulate.h"
#include "vmm/inject.h"
#include "vmm/msr.h"
#include "vmm/sched.h"
#include "vmm/vcpu.h"
#include "vmm/vm.h"

/* ---- nothing but the loop to go round ---- */

/*
 * The processor forgets the interrupt shadow, and what waits would come between STI and, mostly,
 * HLT, which would sleep through it. So the guest is taken back to before that STI. Not if it was
 * another instruction: QEMU has PAUSE leave a shadow that is none, MOV SS may have moved memory.
 */
COLD static void undo_sti(struct vcpu *v, const struct hvm_exit *e)
{
    struct emul_cpu *c = emulate_begin(v, e);
    u64 flags = hvm->get(v->hv, HVM_RFLAGS);
    struct x86_seg cs;
    gpa_t gpa;
    u8 last;

    hvm->get_seg(v->hv, SEG_CS, &cs);
    if (!(flags & FLAG_IF) || flags & FLAG_TF || vcpu_cpl(v) || !e->rip || e->vectoring.kind ||
        !emul_peek_gla(c, cs.base + e->rip - 1, &gpa) || space_read(v->vm->space, gpa, &last, 1) ||
        last != 0xfb)
        return;
    hvm->set(v->hv, HVM_RIP, e->rip - 1);
    hvm->set(v->hv, HVM_RFLAGS, flags & ~FLAG_IF);
    hvm->set(v->hv, HVM_INTR_SHADOW, 0);
}

static void exit_intr(struct vcpu *v, struct hvm_exit *e)
{
    if (unlikely(e->shadow_lost))
        undo_sti(v, e);
    cpu_take_interrupts();
    vcpu_look(v);
}

/* A window has opened, or an NMI came for the host. */
static void exit_look(struct vcpu *v, struct hvm_exit *e)
{
    (void)e;
    vcpu_look(v);
}

/* ---- instructions ---- */

/* The parts of an answer that depend on the vCPU's state; the constant ones are in place. */
static void cpuid_dynamic(struct vcpu *v, const struct cpuid_entry *entry)
{
    u64 *gpr = v->hv->gpr;

    switch (entry->dynamic) {
    case CPUID_DYN_LEAF1:
        gpr[RBX] |= v->id << 24;
        if (v->apic.mode == VLAPIC_OFF)
            gpr[RDX] &= ~BIT(9);
        if (hvm->get(v->hv, HVM_CR4) & CR4_OSXSAVE)
            gpr[RCX] |= BIT(27);
        break;
    case CPUID_DYN_TOPO:
        gpr[RDX] = v->id;
        break;
    case CPUID_DYN_XSAVE:
        gpr[RBX] = cpuid_xsave_size(&v->vm->cpuid, fpu_xcr0(), entry->sub == 1);
        break;
    default:
        break;
    }
}

/* No entry: zeros; but an invalid topology level still says its number and whose it is. */
static void cpuid_none(struct vcpu *v)
{
    u64 *gpr = v->hv->gpr;
    bool topology = (u32)gpr[RAX] == 0xb;

    gpr[RAX] = gpr[RBX] = 0;
    gpr[RCX] = topology ? (u8)gpr[RCX] : 0;
    gpr[RDX] = topology ? v->id : 0;
}

static void answer_cpuid(u64 *gpr, const struct cpuid_entry *entry)
{
    gpr[RAX] = entry->reg[CPUID_EAX];
    gpr[RBX] = entry->reg[CPUID_EBX];
    gpr[RCX] = entry->reg[CPUID_ECX];
    gpr[RDX] = entry->reg[CPUID_EDX];
}

/* Any leaf. */
COLD static void exit_cpuid_any(struct vcpu *v, struct hvm_exit *e)
{
    u64 *gpr = v->hv->gpr;
    const struct cpuid_entry *entry = cpuid_find(&v->vm->cpuid, (u32)gpr[RAX], (u32)gpr[RCX]);

    if (entry) {
        answer_cpuid(gpr, entry);
        cpuid_dynamic(v, entry);
    } else {
        cpuid_none(v);
    }
    exit_skip(v, e, OP_CPUID);
}

static void exit_cpuid(struct vcpu *v, struct hvm_exit *e)
{
    const struct cpuid_entry *entry = cpuid_constant(&v->vm->cpuid, (u32)v->hv->gpr[RAX]);

    if (unlikely(!entry)) {
        exit_cpuid_any(v, e);
        return;
    }
    answer_cpuid(v->hv->gpr, entry);
    exit_skip(v, e, OP_CPUID);
}

static void exit_hlt(struct vcpu *v, struct hvm_exit *e)
{
    exit_skip(v, e, OP_HLT);
    if (v->event.kind) /* the instruction could not be read again: a fault waits instead */
        return;
    v->halted_if = hvm->get(v->hv, HVM_RFLAGS) & FLAG_IF;
    v->state = VCPU_HALTED;
    vcpu_look(v);
}

static void exit_pause(struct vcpu *v, struct hvm_exit *e)
{
    exit_skip(v, e, OP_PAUSE);
    sched_yield();
}

/*
 * INVD and WBINVD. Guests have no device that bypasses caches: nothing needs to be written back, or
 * may be lost. One handler, for QEMU's TCG reports either as WBINVD.
 */
static void exit_cache(struct vcpu *v, struct hvm_exit *e)
{
    if (e->insn_len) {
        hvm->advance(v->hv, e->insn_len);
        return;
    }
    struct emul_cpu *c = emulate_begin(v, e);
    if (emulate_settle(v, c, emul_decode(c)) && (c->insn.op == OP_INVD || c->insn.op == OP_WBINVD))
        hvm->advance(v->hv, c->insn.len);
}

static void exit_rdmsr(struct vcpu *v, struct hvm_exit *e)
{
    u64 *gpr = v->hv->gpr, value;

    if (!msr_read(v, (u32)gpr[RCX], &value)) {
        inject_gp(v);
        return;
    }
    gpr[RAX] = (u32)value;
    gpr[RDX] = value >> 32;
    exit_skip(v, e, OP_RDMSR);
}

static void exit_wrmsr(struct vcpu *v, struct hvm_exit *e)
{
    u64 *gpr = v->hv->gpr;

    if (msr_write(v, (u32)gpr[RCX], (u32)gpr[RAX] | gpr[RDX] << 32))
        exit_skip(v, e, OP_WRMSR);
    else
        inject_gp(v);
}

/* No performance counters, so no counter number is valid. */
static void exit_gp(struct vcpu *v, struct hvm_exit *e)
{
    (void)e;
    inject_gp(v);
}

/* Not offered by CPUID: the instruction does not exist. */
static void exit_ud(struct vcpu *v, struct hvm_exit *e)
{
    (void)e;
    inject_ud(v);
}

/* ---- ports and memory ---- */

/* 8- and 16-bit results leave the rest of RAX, 32-bit ones clear it. */
static inline void port_result(u64 *rax, u8 size, u64 value)
{
    if (size == 1)
        *(u8 *)rax = (u8)value;
    else if (size == 2)
        *(u16 *)rax = (u16)value;
    else
        *rax = (u32)value;
}

static void exit_io(struct vcpu *v, struct hvm_exit *e)
{
    u64 *rax = &v->hv->gpr[RAX];
    struct bus_access acc;

    if (unlikely(e->io.string)) {
        emulate_port(v, e);
        return;
    }
    acc.addr = e->io.port;
    acc.size = e->io.size;
    acc.write = !e->io.in;
    acc.value = *rax & bus_open(e->io.size);
    board_access_inline(&v->vm->board, &v->vm->board.ports, &acc);
    if (e->io.in)
        port_result(rax, acc.size, acc.value);
    hvm->advance(v->hv, e->insn_len); /* every processor tells the length of these */
}

void exit_nested_fault_any(struct vcpu *v, struct hvm_exit *e)
{
    bool apic = (e->nested.gpa & ~PAGE_MASK) == HVM_APIC_GPA; /* mapped or not: no memory */
    unsigned long long gpa = e->nested.gpa;
    const char *why = "where there is no memory";

    switch (apic ? SPACE_MMIO : space_fault(v->vm->space, e->nested.gpa, e->nested.access)) {
    case SPACE_RESOLVED:
        return;
    case SPACE_NOMEM:
        vm_out_of_memory(v, e->nested.gpa);
        return;
    case SPACE_DENIED:
        why = "which it is not permitted";
        break;
    case SPACE_MMIO:
        break;
    }
    if (e->nested.access & NESTED_X)
        vm_stop(v, "executes at guest address 0x%llx, %s", gpa, why);
    else if (e->nested.table_walk)
        vm_stop(v, "has page tables at guest address 0x%llx, %s", gpa, why);
    else if (e->vectoring.kind)
        vm_stop(v, "delivers an event through guest address 0x%llx, %s", gpa, why);
    else
        emulate_memory(v, e);
}

/* ---- events ---- */

/*
 * #AC and #DB are intercepted so that their delivery in an endless loop leaves the guest each
 * time round; they go back in as they came.
 */
static void exit_exception(struct vcpu *v, struct hvm_exit *e)
{
    u8 vector = e->exception.vector;

    if (vector == EXC_DB && e->insn_len && !v->event.kind) { /* INT1 touches no debug register */
        v->event =
            (struct hvm_event){.kind = HVM_EVENT_ICEBP, .vector = EXC_DB, .insn_len = e->insn_len};
        vcpu_look(v);
        return;
    }
    if (vector == EXC_DB)
        debug_note(v, e->exception.address);
    if (vector == EXC_PF)
        vcpu_set(v, HVM_CR2, e->exception.address);
    inject_exception(v, vector, e->exception.has_error, e->exception.error);
}

/* The write that found no room is tried again. */
COLD static void exit_log_full(struct vcpu *v, struct hvm_exit *e)
{
    (void)e;
    memory_take_log(v);
}

static void exit_triple_fault(struct vcpu *v, struct hvm_exit *e)
{
    (void)e;
    vm_stop(v, "triple fault");
}

static void exit_task_switch(struct vcpu *v, struct hvm_exit *e)
{
    vm_stop(v, "switches tasks in hardware (selector 0x%x), which is not supported", e->task.sel);
}

static void exit_fatal(struct vcpu *v, struct hvm_exit *e)
{
    vm_stop(v, "%s (%s, 0x%llx, 0x%llx)",
            e->reason == HVM_EXIT_FAILED_ENTRY ? "the processor refused its state"
                                               : "an exit that is not expected",
            e->detail ? e->detail : "?", (unsigned long long)e->detail_info[0],
            (unsigned long long)e->detail_info[1]);
    hvm->dump(v->hv);
}

const exit_fn exit_handlers[HVM_EXIT_COUNT] = {
    [HVM_EXIT_INTR] = exit_intr,
    [HVM_EXIT_NMI] = exit_look,
    [HVM_EXIT_INTR_WINDOW] = exit_look,
    [HVM_EXIT_NMI_WINDOW] = exit_look,
    [HVM_EXIT_EXCEPTION] = exit_exception,
    [HVM_EXIT_CPUID] = exit_cpuid,
    [HVM_EXIT_HLT] = exit_hlt,
    [HVM_EXIT_PAUSE] = exit_pause,
    [HVM_EXIT_INVD] = exit_cache,
    [HVM_EXIT_WBINVD] = exit_cache,
    [HVM_EXIT_RDMSR] = exit_rdmsr,
    [HVM_EXIT_WRMSR] = exit_wrmsr,
    [HVM_EXIT_RDPMC] = exit_gp,
    [HVM_EXIT_RDTSCP] = exit_ud,
    [HVM_EXIT_XSETBV] = exit_xsetbv,
    [HVM_EXIT_MONITOR] = exit_ud,
    [HVM_EXIT_MWAIT] = exit_ud,
    [HVM_EXIT_INVLPG] = exit_fatal,
    [HVM_EXIT_CR] = exit_cr,
    [HVM_EXIT_DR] = exit_dr,
    [HVM_EXIT_DESC_TABLE] = exit_fatal,
    [HVM_EXIT_IO] = exit_io,
    [HVM_EXIT_NESTED_FAULT] = exit_nested_fault,
    [HVM_EXIT_TASK_SWITCH] = exit_task_switch,
    [HVM_EXIT_UNDEFINED] = exit_ud,
    [HVM_EXIT_TRIPLE_FAULT] = exit_triple_fault,
    [HVM_EXIT_SHUTDOWN] = exit_triple_fault,
    [HVM_EXIT_PML_FULL] = exit_log_full,
    [HVM_EXIT_APIC] = exit_apic,
    [HVM_EXIT_FAILED_ENTRY] = exit_fatal,
    [HVM_EXIT_OTHER] = exit_fatal,
};
