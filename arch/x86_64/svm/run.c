/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entering SVM guests, and turning what the processor reports at the exit into an hvm_exit. APM 2,
 * 15.5 to 15.6 and appendix C.
 */
#include "arch/x86_64/svm/svm.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/trap.h"
#include "lib/assert.h"
#include "lib/string.h"

static void fill_cr(struct svm_vcpu *v, struct hvm_exit *exit)
{
    const struct vmcb *cb = v->vmcb;

    if (cb->exit_code == SVM_CR0_BITS) { /* by MOV, CLTS or LMSW: the processor does not say */
        exit->cr.decoded = false;
        return;
    }
    exit->cr.cr = cb->exit_code & 15;
    if (exit->cr.cr == 8)
        svm_lend_tpr(v);
    exit->cr.op = cb->exit_code & SVM_CR_WRITE ? HVM_CR_WRITE : HVM_CR_READ;
    exit->cr.decoded = svm.decode && cb->exit_info1 & CR_DECODED;
    exit->cr.gpr = exit->cr.decoded ? cb->exit_info1 & 15 : 0;
    exit->cr.msw = 0;
}

/*
 * What DR6 is to gain by an intercepted #DB. The processor has written it (APM 2, 15.12.2); Bochs
 * has not, so there it is what the rest of the state makes likely.
 */
static u64 debug_cause(const struct vmcb *cb)
{
    const u64 dr[4] = {cpu_read_dr0(), cpu_read_dr1(), cpu_read_dr2(), cpu_read_dr3()};
    u64 told = cb->dr6 & (DR6_BP | DR6_BD | DR6_BS | DR6_BT), fetch = 0, data = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(dr); i++) {
        if (!(cb->dr7 >> (2 * i) & 3))
            continue;
        if (cb->dr7 >> (16 + 4 * i) & 3)
            data |= BIT(i);
        else if (dr[i] == cb->cs.base + cb->rip)
            fetch |= BIT(i);
    }
    if (told || fetch)
        return told ? told : fetch;
    if (cb->rflags & FLAG_TF)
        return DR6_BS;
    return cb->dr7 & DR7_GD ? DR6_BD : data;
}

static void fill_exception(struct svm_vcpu *v, struct hvm_exit *exit)
{
    const struct vmcb *cb = v->vmcb;
    u8 vector = (u8)(cb->exit_code - SVM_EXCEPTION);
    static const u32 with_error = BIT(EXC_DF) | BIT(EXC_TS) | BIT(EXC_NP) | BIT(EXC_SS) |
                                  BIT(EXC_GP) | BIT(EXC_PF) | BIT(EXC_AC) | BIT(EXC_CP);

    if (vector == EXC_MC) {
        exit->reason = HVM_EXIT_NMI;
        trap_raise_machine_check();
        return;
    }
    exit->exception.vector = vector;
    exit->exception.has_error = with_error >> vector & 1;
    exit->exception.error = exit->exception.has_error ? (u32)cb->exit_info1 : 0;
    exit->exception.address = vector == EXC_DB ? debug_cause(cb) : cb->exit_info2;
}

/* The length of port instructions is there on every processor (15.10.2). */
static void fill_io(struct svm_vcpu *v, struct hvm_exit *exit)
{
    const struct vmcb *cb = v->vmcb;
    u64 info = cb->exit_info1;

    exit->insn_len = (u8)(cb->exit_info2 - cb->rip);
    exit->io.port = (u16)(info >> 16);
    exit->io.size = info >> IOIO_SIZE & 7;
    exit->io.in = info & IOIO_IN;
    exit->io.string = exit->io.rep = false;
    if (unlikely(info & (IOIO_STRING | IOIO_REP))) {
        exit->io.string = info & IOIO_STRING;
        exit->io.rep = info & IOIO_REP;
    }
}

/* Most intercepted instructions: all there is to know is how long they are, if anything. */
static void fill_len(struct svm_vcpu *v, struct hvm_exit *exit)
{
    u64 len = v->vmcb->next_rip - v->vmcb->rip;

    exit->insn_len = svm.nrip && len <= 15 ? (u8)len : 0;
}

static void fill_msr(struct svm_vcpu *v, struct hvm_exit *exit)
{
    exit->reason = v->vmcb->exit_info1 & 1 ? HVM_EXIT_WRMSR : HVM_EXIT_RDMSR;
    if (svm.nrip)
        fill_len(v, exit);
}

static void fill_task_switch(struct svm_vcpu *v, struct hvm_exit *exit)
{
    const struct vmcb *cb = v->vmcb;

    exit->task.sel = (u16)cb->exit_info1;
    exit->task.source = cb->exit_info2 & TASK_IRET               ? 1
                        : cb->exit_info2 & TASK_JMP              ? 2
                        : exit->vectoring.kind != HVM_EVENT_NONE ? 3
                                                                 : 0;
}

static void fill_shutdown(struct svm_vcpu *v, struct hvm_exit *exit)
{
    exit->detail = v->vmcb->exit_code == SVM_INIT ? "an INIT signal came to the physical processor"
                                                  : "a triple fault or another shutdown";
    exit->detail_info[0] = exit->detail_info[1] = 0;
}

COLD static void fill_nested(struct svm_vcpu *v, struct hvm_exit *exit)
{
    const struct vmcb *cb = v->vmcb;
    u64 info = cb->exit_info1;

    exit->reason = HVM_EXIT_NESTED_FAULT;
    exit->nested.gpa = cb->exit_info2;
    exit->nested.gla = 0;
    exit->nested.gla_valid = false;
    exit->nested.access = info & PF_I ? NESTED_X : info & PF_W ? NESTED_W : NESTED_R;
    exit->nested.table_walk = info & NPF_WALK;
}

/* VMRUN has refused. Some processors leave the host's RIP and RFLAGS behind. */
COLD static void fill_invalid(struct svm_vcpu *v, struct hvm_exit *exit, u64 event)
{
    exit->rip = v->vmcb->rip = v->entry_rip;
    v->vmcb->rflags = v->entry_rflags;
    exit->reason = HVM_EXIT_FAILED_ENTRY;
    exit->detail = svm_bad_state(v, event);
    exit->detail_info[0] = v->vmcb->exit_code;
    exit->detail_info[1] = event;
}

/* Nested faults, the refusal to enter, and what nobody knows. */
static void fill_other(struct svm_vcpu *v, struct hvm_exit *exit)
{
    u64 code = v->vmcb->exit_code;

    if (code == SVM_NESTED_FAULT) {
        fill_nested(v, exit);
    } else if ((u32)code == SVM_INVALID) {
        fill_invalid(v, exit, v->vmcb->event);
    } else {
        exit->detail = "an exit that was not asked for: code, EXITINFO1";
        exit->detail_info[0] = code;
        exit->detail_info[1] = v->vmcb->exit_info1;
    }
}

static void fill_intr(struct svm_vcpu *v, struct hvm_exit *exit)
{
    exit->shadow_lost = svm.tcg && v->vmcb->shadow & SHADOW_INTR;
}

static void fill_nothing(struct svm_vcpu *v, struct hvm_exit *exit)
{
    (void)v;
    (void)exit;
}

/* What an exit code means. What is not named here is not expected. */
#pragma GCC diagnostic push
#ifdef __clang__
#pragma GCC diagnostic ignored "-Winitializer-overrides"
#else
#pragma GCC diagnostic ignored "-Woverride-init"
#endif
static const u8 reasons[SVM_CODE_COUNT + 1] = {
    [0 ... SVM_CODE_COUNT] = HVM_EXIT_OTHER,
    [SVM_CR_READ... SVM_CR_WRITE + 15] = HVM_EXIT_CR,
    [SVM_DR_READ... SVM_DR_WRITE + 15] = HVM_EXIT_DR,
    [SVM_EXCEPTION... SVM_EXCEPTION + 31] = HVM_EXIT_EXCEPTION,
    [SVM_INTR] = HVM_EXIT_INTR,
    [SVM_NMI] = HVM_EXIT_NMI,
    [SVM_INIT] = HVM_EXIT_SHUTDOWN,
    [SVM_VINTR] = HVM_EXIT_INTR_WINDOW,
    [SVM_CR0_BITS] = HVM_EXIT_CR,
    [SVM_TABLE_FIRST... SVM_TABLE_LAST] = HVM_EXIT_DESC_TABLE,
    [SVM_RDPMC] = HVM_EXIT_RDPMC,
    [SVM_CPUID] = HVM_EXIT_CPUID,
    [SVM_RSM] = HVM_EXIT_UNDEFINED,
    [SVM_INVD] = HVM_EXIT_INVD,
    [SVM_PAUSE] = HVM_EXIT_PAUSE,
    [SVM_HLT] = HVM_EXIT_HLT,
    [SVM_INVLPG] = HVM_EXIT_INVLPG,
    [SVM_INVLPGA] = HVM_EXIT_UNDEFINED,
    [SVM_IO] = HVM_EXIT_IO,
    [SVM_MSR] = HVM_EXIT_RDMSR,
    [SVM_TASK_SWITCH] = HVM_EXIT_TASK_SWITCH,
    [SVM_SHUTDOWN] = HVM_EXIT_SHUTDOWN,
    [SVM_VMRUN... SVM_SKINIT] = HVM_EXIT_UNDEFINED,
    [SVM_RDTSCP] = HVM_EXIT_RDTSCP,
    [SVM_WBINVD] = HVM_EXIT_WBINVD,
    [SVM_MONITOR] = HVM_EXIT_MONITOR,
    [SVM_MWAIT... SVM_MWAIT_COND] = HVM_EXIT_MWAIT,
    [SVM_XSETBV] = HVM_EXIT_XSETBV,
    [SVM_RDPRU] = HVM_EXIT_UNDEFINED,
};

/* By reason: what fills in the rest. Most are instructions, and all there is to know a length. */
static void (*const fill_rest[HVM_EXIT_COUNT])(struct svm_vcpu *v, struct hvm_exit *exit) = {
    [0 ... HVM_EXIT_COUNT - 1] = fill_len,
    [HVM_EXIT_OTHER] = fill_other,
    [HVM_EXIT_CR] = fill_cr,
    [HVM_EXIT_EXCEPTION] = fill_exception,
    [HVM_EXIT_INTR] = fill_intr,
    [HVM_EXIT_NMI] = fill_nothing,
    [HVM_EXIT_INTR_WINDOW] = fill_nothing,
    [HVM_EXIT_IO] = fill_io,
    [HVM_EXIT_RDMSR] = fill_msr,
    [HVM_EXIT_TASK_SWITCH] = fill_task_switch,
    [HVM_EXIT_SHUTDOWN] = fill_shutdown,
};
#pragma GCC diagnostic pop

/* With flush-by-ASID the entry flushes; without, a new ASID has no translations at all. */
void svm_flush(struct hvm_vcpu *base)
{
    struct svm_vcpu *v = svm_vcpu(base);

    if (svm.flush_asid)
        v->vmcb->tlb_control = TLB_FLUSH_ONE;
    else
        v->attention |= ATTEND_ASID;
}

static void renew_asid(struct svm_vcpu *v, struct svm_cpu *cpu)
{
    struct vmcb *cb = v->vmcb;

    cb->tlb_control = TLB_KEEP;
    if (cpu->next_asid >= svm.asids) {
        cpu->generation++;
        cpu->next_asid = 1;
        cb->tlb_control = TLB_FLUSH_ALL;
    }
    cb->asid = cpu->next_asid++;
    v->generation = cpu->generation;
    v->attention &= (u16)~ATTEND_ASID;
    svm_touch(v, CLEAN_ASID);
}

COLD static void attend(struct svm_vcpu *v)
{
    if (v->attention & ATTEND_ASID)
        renew_asid(v, svm_cpu());
    if (v->attention & ATTEND_TPR)
        svm_put_tpr(v);
    svm_attend(v);
}

static inline void before_entry(struct svm_vcpu *v)
{
    if (unlikely(v->attention & ATTEND_ENTRY))
        attend(v);
    if (CHECKED)
        ASSERT(v->generation == svm_cpu()->generation);
    struct vmcb *cb = v->vmcb;
    v->entry_rip = cb->rip;
    v->entry_rflags = cb->rflags;
    cb->rax = v->base.gpr[RAX];
}

COLD static void fill_vectoring(struct svm_vcpu *v, struct hvm_exit *exit)
{
    if ((u32)v->vmcb->exit_code == SVM_INVALID)
        return;
    svm_read_vectoring(v, exit);
    exit->rip = v->vmcb->rip;
}

/* Says in *exit what the exit code means. */
static inline void fill(struct svm_vcpu *v, struct hvm_exit *exit)
{
    const struct vmcb *cb = v->vmcb;

    exit->reason = reasons[cb->exit_code < SVM_CODE_COUNT ? cb->exit_code : SVM_CODE_COUNT];
    if (unlikely(cb->exit_event & EVENT_VALID))
        fill_vectoring(v, exit);
    fill_rest[exit->reason](v, exit);
}

/* What was to be injected is in, or is to be redone as the exit says. */
static void forget_event(struct svm_vcpu *v)
{
    v->vmcb->event = 0;
    v->soft = false;
    svm_set_attention(v, ATTEND_EVENT, false);
}

/* An exit that something waited for. True: it concerns the back end alone, enter again. */
COLD static bool settle_exit(struct svm_vcpu *v, struct hvm_exit *exit)
{
    bool inside = false;

    if (v->attention & ATTEND_TPR)
        svm_take_tpr(v);
    if (v->attention & ATTEND_STEPPING && svm_end_step(v))
        exit->reason = HVM_EXIT_NMI_WINDOW;
    else if ((inside = v->vmcb->exit_code == SVM_IRET))
        svm_on_iret(v);
    else
        fill(v, exit);
    forget_event(v);
    return inside;
}

/*
 * Whether a window that the caller waits for is open already, with the exit that says so. The
 * processor would tell as well; but this saves the world switch, and Bochs would tell one
 * instruction late.
 */
COLD static bool window_open(struct svm_vcpu *v, struct hvm_exit *exit)
{
    bool intr = v->attention & ATTEND_INTR && svm_can_take_intr(&v->base);
    bool nmi = v->attention & ATTEND_NMI && svm_can_take_nmi(&v->base);

    if (!intr && !nmi)
        return false;
    memset(exit, 0, HVM_EXIT_HEAD);
    exit->reason = intr ? HVM_EXIT_INTR_WINDOW : HVM_EXIT_NMI_WINDOW;
    exit->rip = v->vmcb->rip;
    return true;
}

/* Asks what is next, until there is an entry to be made (its record) or none (NULL). */
static inline struct hvm_exit *go_on(struct svm_vcpu *v, struct hvm_exit *exit)
{
    do {
        exit = v->base.next(v->base.arg, exit);
        if (!exit)
            return NULL;
        v->base.exit = exit;
    } while (unlikely(v->attention & ATTEND_ENTRY) && window_open(v, exit));
    before_entry(v);
    return exit;
}

/* What happened, and what is next: called by svm_run's assembly. */
struct hvm_exit *svm_after_exit(struct svm_vcpu *v)
{
    struct hvm_exit *exit = v->base.exit;
    struct vmcb *cb = v->vmcb;

    v->base.gpr[RAX] = cb->rax;
    cb->clean = svm.clean;
    cb->tlb_control = TLB_KEEP;
    memset(exit, 0, HVM_EXIT_HEAD);
    exit->rip = cb->rip;
    if (likely(!(v->attention & ATTEND_EXIT))) {
        fill(v, exit);
    } else if (settle_exit(v, exit)) {
        before_entry(v);
        return exit;
    }
    return go_on(v, exit);
}

#define GPR(name, reg) [name] "i"(offsetof(struct svm_vcpu, base.gpr[reg]))

/*
 * The world switch, round and round. In: v in RDI. The guest's general registers but RAX and RSP,
 * which VMRUN moves, come from v->base.gpr and go back there; of the host's registers only RSP, RBP
 * and RDI survive. The global interrupt flag is clear from before the guest's state is loaded until
 * the host's is whole again; an NMI that ended the guest's run is taken at the STGI.
 */
void svm_run(struct hvm_vcpu *base)
{
    struct svm_vcpu *v = svm_vcpu(base);

    before_entry(v);
    __asm__ volatile("push %%rbp\n\t"
                     "push %%rdi\n"
                     "1:\n\t"
                     "clgi\n\t"
                     "sti\n\t" /* physical interrupts shall end the guest's run (15.13.1) */
                     "mov %c[vmcb](%%rdi), %%rax\n\t"
                     "mov %c[rcx](%%rdi), %%rcx\n\t"
                     "mov %c[rdx](%%rdi), %%rdx\n\t"
                     "mov %c[rbx](%%rdi), %%rbx\n\t"
                     "mov %c[rbp](%%rdi), %%rbp\n\t"
                     "mov %c[rsi](%%rdi), %%rsi\n\t"
                     "mov %c[r8](%%rdi), %%r8\n\t"
                     "mov %c[r9](%%rdi), %%r9\n\t"
                     "mov %c[r10](%%rdi), %%r10\n\t"
                     "mov %c[r11](%%rdi), %%r11\n\t"
                     "mov %c[r12](%%rdi), %%r12\n\t"
                     "mov %c[r13](%%rdi), %%r13\n\t"
                     "mov %c[r14](%%rdi), %%r14\n\t"
                     "mov %c[r15](%%rdi), %%r15\n\t"
                     "mov %c[rdi](%%rdi), %%rdi\n\t"
                     "vmload %%rax\n\t"
                     "vmrun %%rax\n\t"
                     "vmsave %%rax\n\t"
                     "mov (%%rsp), %%rax\n\t"
                     "mov %%rcx, %c[rcx](%%rax)\n\t"
                     "mov %%rdx, %c[rdx](%%rax)\n\t"
                     "mov %%rbx, %c[rbx](%%rax)\n\t"
                     "mov %%rbp, %c[rbp](%%rax)\n\t"
                     "mov %%rsi, %c[rsi](%%rax)\n\t"
                     "mov %%rdi, %c[rdi](%%rax)\n\t"
                     "mov %%r8, %c[r8](%%rax)\n\t"
                     "mov %%r9, %c[r9](%%rax)\n\t"
                     "mov %%r10, %c[r10](%%rax)\n\t"
                     "mov %%r11, %c[r11](%%rax)\n\t"
                     "mov %%r12, %c[r12](%%rax)\n\t"
                     "mov %%r13, %c[r13](%%rax)\n\t"
                     "mov %%r14, %c[r14](%%rax)\n\t"
                     "mov %%r15, %c[r15](%%rax)\n\t"
                     "mov %%rax, %%rdi\n\t"
                     "mov %c[host](%%rax), %%rax\n\t"
                     "vmload %%rax\n\t"
                     "cli\n\t"
                     "stgi\n\t"
                     "mov 8(%%rsp), %%rbp\n\t" /* for backtraces */
                     "call svm_after_exit\n\t"
                     "mov (%%rsp), %%rdi\n\t"
                     "test %%rax, %%rax\n\t"
                     "jne 1b\n\t"
                     "pop %%rdi\n\t"
                     "pop %%rbp"
                     : "+D"(v)
                     : [vmcb] "i"(offsetof(struct svm_vcpu, vmcb_hpa)),
                       [host] "i"(offsetof(struct svm_vcpu, host_hpa)), GPR(rcx, RCX),
                       GPR(rdx, RDX), GPR(rbx, RBX), GPR(rbp, RBP), GPR(rsi, RSI), GPR(rdi, RDI),
                       GPR(r8, R8), GPR(r9, R9), GPR(r10, R10), GPR(r11, R11), GPR(r12, R12),
                       GPR(r13, R13), GPR(r14, R14), GPR(r15, R15)
                     : "rax", "rcx", "rdx", "rbx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13",
                       "r14", "r15", "cc", "memory");
}
