/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entering VMX guests, and turning what the processor reports at the exit into an hvm_exit. SDM 3,
 * chapters 26 and 27. Of the exit information only what the reason calls for is read.
 */
#include "arch/x86_64/vmx/vmx.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/trap.h"
#include "lib/string.h"

/* For exits that can come while an event is being delivered. */
static inline void fill_vectoring(struct hvm_exit *exit)
{
    u32 info = (u32)vmread(VMCS_VECTORING_INFO);

    if (unlikely(info & INTR_VALID))
        vmx_read_vectoring(info, &exit->vectoring);
}

static void fill_nothing(struct vmx_vcpu *v, struct hvm_exit *exit)
{
    (void)v;
    (void)exit;
}

/* Most intercepted instructions: all there is to know is how long they are. */
static void fill_len(struct vmx_vcpu *v, struct hvm_exit *exit)
{
    (void)v;
    exit->insn_len = (u8)vmread(VMCS_EXIT_INSN_LEN);
}

/*
 * An exit during IRET, after it had ended NMI blocking and before it was done: the instruction will
 * run again, so the blocking comes back (27.2.3). Not if an event's delivery was interrupted.
 */
static void restore_nmi_blocking(const struct hvm_exit *exit)
{
    u64 blocked;

    if (exit->vectoring.kind != HVM_EVENT_NONE)
        return;
    blocked = vmread(VMCS_GUEST_INTERRUPTIBILITY);
    vmwrite(VMCS_GUEST_INTERRUPTIBILITY, blocked | BLOCKED_NMI);
}

static void fill_exception(struct vmx_vcpu *v, struct hvm_exit *exit)
{
    u32 info = (u32)vmread(VMCS_EXIT_INTR_INFO);
    u8 vector = info & INTR_VECTOR;

    (void)v;
    fill_vectoring(exit);
    if (info & INTR_NMI_UNBLOCK && vector != EXC_DF)
        restore_nmi_blocking(exit);
    if (INTR_TYPE(info) == INTR_TYPE_NMI) {
        exit->reason = HVM_EXIT_NMI;
        trap_raise_nmi();
        return;
    }
    if (vector == EXC_MC) {
        exit->reason = HVM_EXIT_NMI;
        trap_raise_machine_check();
        return;
    }
    exit->exception.vector = vector;
    exit->exception.has_error = info & INTR_ERROR;
    exit->exception.error = info & INTR_ERROR ? (u32)vmread(VMCS_EXIT_INTR_ERROR) : 0;
    exit->exception.address = vmread(VMCS_QUALIFICATION);
    if (INTR_TYPE(info) != INTR_TYPE_EXCEPTION)
        exit->insn_len = (u8)vmread(VMCS_EXIT_INSN_LEN);
}

/* 27.2.1, table 27-2. */
static void fill_task_switch(struct vmx_vcpu *v, struct hvm_exit *exit)
{
    u64 q = vmread(VMCS_QUALIFICATION);

    (void)v;
    fill_len(v, exit);
    fill_vectoring(exit);
    exit->task.sel = (u16)q;
    exit->task.source = q >> 30 & 3;
}

/* Table 27-3. */
static void fill_cr(struct vmx_vcpu *v, struct hvm_exit *exit)
{
    u64 q = vmread(VMCS_QUALIFICATION);
    static const u8 ops[4] = {HVM_CR_WRITE, HVM_CR_READ, HVM_CR_CLTS, HVM_CR_LMSW};

    fill_len(v, exit);
    exit->cr.decoded = true;
    exit->cr.cr = q & 15;
    exit->cr.op = ops[q >> 4 & 3];
    exit->cr.gpr = q >> 8 & 15;
    exit->cr.msw = (u16)(q >> 16);
}

/* Table 27-5. */
static void fill_io(struct vmx_vcpu *v, struct hvm_exit *exit)
{
    u64 q = vmread(VMCS_QUALIFICATION);

    fill_len(v, exit);
    exit->io.port = (u16)(q >> 16);
    exit->io.size = (q & 7) + 1;
    exit->io.in = q & BIT(3);
    exit->io.string = exit->io.rep = false;
    if (unlikely(q & (BIT(4) | BIT(5)))) {
        exit->io.string = q & BIT(4);
        exit->io.rep = q & BIT(5);
    }
}

static void fill_ept(struct vmx_vcpu *v, struct hvm_exit *exit)
{
    u64 q = vmread(VMCS_QUALIFICATION);

    (void)v;
    fill_vectoring(exit);
    if (unlikely(q & EPT_QUAL_NMI_UNBLOCK))
        restore_nmi_blocking(exit);
    exit->nested.gpa = vmread(VMCS_GUEST_PHYSICAL);
    exit->nested.gla_valid = q & EPT_QUAL_GLA_VALID;
    exit->nested.gla = exit->nested.gla_valid ? vmread(VMCS_GUEST_LINEAR) : 0;
    exit->nested.access = q & EPT_QUAL_ACCESS;
    exit->nested.table_walk = !(q & EPT_QUAL_TRANSLATED); /* or PAE's four as CR3 is loaded */
}

/* An access to the APIC-access page, which is at HVM_APIC_GPA (table 27-6). */
static void fill_apic_access(struct hvm_exit *exit)
{
    static const u8 access[16] = {NESTED_R, NESTED_W, NESTED_X, NESTED_R | NESTED_W};
    u64 q = vmread(VMCS_QUALIFICATION);
    unsigned type = q >> 12 & 15;

    fill_vectoring(exit);
    exit->nested.gpa = HVM_APIC_GPA | (q & PAGE_MASK);
    exit->nested.gla_valid = false;
    exit->nested.access = access[type];
    exit->nested.table_walk = type >= 10; /* guest-physical */
}

/* The other two come after a write or an end of interrupt: RIP is behind the instruction. */
static void fill_apic(struct vmx_vcpu *v, struct hvm_exit *exit)
{
    u64 reason = vmread(VMCS_EXIT_REASON);

    (void)v;
    if (reason == VMX_APIC_ACCESS) {
        exit->reason = HVM_EXIT_NESTED_FAULT;
        fill_apic_access(exit);
        return;
    }
    exit->apic.end = reason == VMX_APIC_EOI;
    exit->apic.what = vmread(VMCS_QUALIFICATION) & PAGE_MASK;
}

static void fill_log_full(struct vmx_vcpu *v, struct hvm_exit *exit)
{
    (void)v;
    fill_vectoring(exit);
    if (vmread(VMCS_QUALIFICATION) & EPT_QUAL_NMI_UNBLOCK)
        restore_nmi_blocking(exit);
}

static void fill_init(struct vmx_vcpu *v, struct hvm_exit *exit)
{
    (void)v;
    exit->detail = "an INIT signal came to the physical processor";
    exit->detail_info[0] = exit->detail_info[1] = 0;
}

COLD static void fill_other(struct vmx_vcpu *v, struct hvm_exit *exit)
{
    u64 reason = vmread(VMCS_EXIT_REASON);

    exit->reason = HVM_EXIT_OTHER;
    if (reason == VMX_EPT_MISCONFIG) {
        fill_vectoring(exit);
        exit->detail = "EPT misconfiguration: guest-physical address, EPT pointer";
        exit->detail_info[0] = vmread(VMCS_GUEST_PHYSICAL);
        exit->detail_info[1] = v->eptp;
    } else {
        exit->detail = "an exit that was not asked for: reason, qualification";
        exit->detail_info[0] = reason;
        exit->detail_info[1] = vmread(VMCS_QUALIFICATION);
    }
}

/* What an exit reason means. What is not named here is not expected. */
#pragma GCC diagnostic push
#ifdef __clang__
#pragma GCC diagnostic ignored "-Winitializer-overrides"
#else
#pragma GCC diagnostic ignored "-Woverride-init"
#endif
static const u8 reasons[VMX_REASON_COUNT] = {
    [0 ... VMX_REASON_COUNT - 1] = HVM_EXIT_OTHER,
    [VMX_EXCEPTION] = HVM_EXIT_EXCEPTION,
    [VMX_INTR] = HVM_EXIT_INTR,
    [VMX_TRIPLE_FAULT] = HVM_EXIT_TRIPLE_FAULT,
    [VMX_INIT] = HVM_EXIT_SHUTDOWN,
    [VMX_INTR_WINDOW] = HVM_EXIT_INTR_WINDOW,
    [VMX_NMI_WINDOW] = HVM_EXIT_NMI_WINDOW,
    [VMX_TASK_SWITCH] = HVM_EXIT_TASK_SWITCH,
    [VMX_CPUID] = HVM_EXIT_CPUID,
    [VMX_GETSEC] = HVM_EXIT_UNDEFINED,
    [VMX_HLT] = HVM_EXIT_HLT,
    [VMX_INVD] = HVM_EXIT_INVD,
    [VMX_INVLPG] = HVM_EXIT_INVLPG,
    [VMX_RDPMC] = HVM_EXIT_RDPMC,
    [VMX_RSM] = HVM_EXIT_UNDEFINED,
    [VMX_VMCALL... VMX_VMXON] = HVM_EXIT_UNDEFINED,
    [VMX_CR] = HVM_EXIT_CR,
    [VMX_DR] = HVM_EXIT_DR,
    [VMX_IO] = HVM_EXIT_IO,
    [VMX_RDMSR] = HVM_EXIT_RDMSR,
    [VMX_WRMSR] = HVM_EXIT_WRMSR,
    [VMX_MWAIT] = HVM_EXIT_MWAIT,
    [VMX_MONITOR] = HVM_EXIT_MONITOR,
    [VMX_PAUSE] = HVM_EXIT_PAUSE,
    [VMX_GDTR_IDTR] = HVM_EXIT_DESC_TABLE,
    [VMX_LDTR_TR] = HVM_EXIT_DESC_TABLE,
    [VMX_TPR_THRESHOLD] = HVM_EXIT_INTR_WINDOW,
    [VMX_APIC_ACCESS] = HVM_EXIT_APIC,
    [VMX_APIC_EOI] = HVM_EXIT_APIC,
    [VMX_APIC_WRITE] = HVM_EXIT_APIC,
    [VMX_EPT_VIOLATION] = HVM_EXIT_NESTED_FAULT,
    [VMX_EPT_MISCONFIG] = HVM_EXIT_OTHER,
    [VMX_INVEPT] = HVM_EXIT_UNDEFINED,
    [VMX_RDTSCP] = HVM_EXIT_RDTSCP,
    [VMX_TIMER] = HVM_EXIT_INTR,
    [VMX_INVVPID] = HVM_EXIT_UNDEFINED,
    [VMX_WBINVD] = HVM_EXIT_WBINVD,
    [VMX_XSETBV] = HVM_EXIT_XSETBV,
    [VMX_INVPCID] = HVM_EXIT_UNDEFINED,
    [VMX_VMFUNC] = HVM_EXIT_UNDEFINED,
    [VMX_ENCLS] = HVM_EXIT_UNDEFINED,
    [VMX_PML_FULL] = HVM_EXIT_PML_FULL,
    [VMX_ENCLV] = HVM_EXIT_UNDEFINED,
};

/* By reason: what fills in the rest. Most are instructions, and all there is to know a length. */
static void (*const fill_rest[HVM_EXIT_COUNT])(struct vmx_vcpu *v, struct hvm_exit *exit) = {
    [0 ... HVM_EXIT_COUNT - 1] = fill_len,
    [HVM_EXIT_EXCEPTION] = fill_exception,
    [HVM_EXIT_INTR] = fill_nothing,
    [HVM_EXIT_TRIPLE_FAULT] = fill_nothing,
    [HVM_EXIT_INTR_WINDOW] = fill_nothing,
    [HVM_EXIT_NMI_WINDOW] = fill_nothing,
    [HVM_EXIT_SHUTDOWN] = fill_init,
    [HVM_EXIT_TASK_SWITCH] = fill_task_switch,
    [HVM_EXIT_CR] = fill_cr,
    [HVM_EXIT_IO] = fill_io,
    [HVM_EXIT_NESTED_FAULT] = fill_ept,
    [HVM_EXIT_APIC] = fill_apic,
    [HVM_EXIT_PML_FULL] = fill_log_full,
    [HVM_EXIT_OTHER] = fill_other,
};
#pragma GCC diagnostic pop

COLD static void invalidate(struct vmx_vcpu *v)
{
    bool one_vpid = vmx.ept_vpid & EPT_INVVPID_ONE;
    bool one_ept = vmx.ept_vpid & EPT_INVEPT_ONE;
    bool ok = true;

    if (v->vpid)
        ok = vmx_invvpid(one_vpid ? INV_ONE : INV_ALL, one_vpid ? v->vpid : 0);
    if (v->attention & ATTEND_ALL)
        ok = vmx_invept(one_ept ? INV_ONE : INV_ALL, one_ept ? v->eptp : 0) && ok;
    ASSERT(ok);
    v->attention = 0;
}

static void fail(struct hvm_exit *exit, const char *detail, u64 info0, u64 info1)
{
    exit->reason = HVM_EXIT_FAILED_ENTRY;
    exit->detail = detail;
    exit->detail_info[0] = info0;
    exit->detail_info[1] = info1;
}

/* The entry got as far as the guest's state and turned back (26.8): or a reason beyond all known.
 */
COLD static void fail_state(struct vmx_vcpu *v, struct hvm_exit *exit)
{
    u64 reason = vmread(VMCS_EXIT_REASON);
    const char *detail = "loading of MSRs failed";

    if ((u16)reason == VMX_MACHINE_CHECK) {
        exit->reason = HVM_EXIT_NMI;
        trap_raise_machine_check();
        return;
    }
    if ((u16)reason == VMX_BAD_STATE)
        detail = vmx_bad_state(v);
    if (!(reason & EXIT_REASON_FAILED)) {
        fill_other(v, exit);
        return;
    }
    fail(exit, detail, reason, vmread(VMCS_QUALIFICATION));
}

/* False if there is to be no entry. */
COLD static bool attend(struct vmx_vcpu *v, struct hvm_exit *exit)
{
    if (!(v->attention & ATTEND_REAL_MODE)) {
        invalidate(v);
        return true;
    }
    *exit = (struct hvm_exit){.rip = vmread(VMCS_GUEST_RIP)};
    fail(exit, "real-mode code, which this processor cannot run as a guest", 0, 0);
    return false;
}

/* The next entry needs something first; until there is an entry to be made (its record) or none. */
COLD static struct hvm_exit *attend_all(struct vmx_vcpu *v)
{
    while (v->base.exit && !attend(v, v->base.exit))
        v->base.exit = v->base.next(v->base.arg, v->base.exit);
    return v->base.exit;
}

/* Asks what is next: the record of the entry to be made, or NULL. */
static inline struct hvm_exit *go_on(struct vmx_vcpu *v)
{
    v->base.exit = v->base.next(v->base.arg, v->base.exit);
    if (unlikely(v->attention))
        return attend_all(v);
    return v->base.exit;
}

/* What happened, and what is next: called by vmx_run's assembly. */
struct hvm_exit *vmx_after_exit(struct vmx_vcpu *v)
{
    struct hvm_exit *exit = v->base.exit;
    u32 reason = (u32)vmread(VMCS_EXIT_REASON);

    memset(exit, 0, HVM_EXIT_HEAD);
    exit->rip = vmread(VMCS_GUEST_RIP);
    v->state = STATE_LAUNCHED;
    if (likely(reason < VMX_REASON_COUNT)) {
        exit->reason = reasons[reason];
        fill_rest[exit->reason](v, exit);
    } else {
        fail_state(v, exit);
    }
    return go_on(v);
}

/* The entry instruction fell through (30.4). */
COLD struct hvm_exit *vmx_after_failure(struct vmx_vcpu *v)
{
    struct hvm_exit *exit = v->base.exit;
    u32 error = (u32)vmread(VMCS_INSN_ERROR);

    *exit = (struct hvm_exit){.rip = vmread(VMCS_GUEST_RIP)};
    fail(exit, vmx_insn_error(error), error, 0);
    return go_on(v);
}

#define GPR(name, reg) [name] "i"(offsetof(struct vmx_vcpu, base.gpr[reg]))

#define LOAD_GPRS                                                                                  \
    "mov %c[rax](%%rdi), %%rax\n\t"                                                                \
    "mov %c[rcx](%%rdi), %%rcx\n\t"                                                                \
    "mov %c[rdx](%%rdi), %%rdx\n\t"                                                                \
    "mov %c[rbx](%%rdi), %%rbx\n\t"                                                                \
    "mov %c[rbp](%%rdi), %%rbp\n\t"                                                                \
    "mov %c[rsi](%%rdi), %%rsi\n\t"                                                                \
    "mov %c[r8](%%rdi), %%r8\n\t"                                                                  \
    "mov %c[r9](%%rdi), %%r9\n\t"                                                                  \
    "mov %c[r10](%%rdi), %%r10\n\t"                                                                \
    "mov %c[r11](%%rdi), %%r11\n\t"                                                                \
    "mov %c[r12](%%rdi), %%r12\n\t"                                                                \
    "mov %c[r13](%%rdi), %%r13\n\t"                                                                \
    "mov %c[r14](%%rdi), %%r14\n\t"                                                                \
    "mov %c[r15](%%rdi), %%r15\n\t"                                                                \
    "mov %c[rdi](%%rdi), %%rdi\n\t"

/*
 * The world switch, round and round: VMLAUNCH for the first entry since VMCLEAR, VMRESUME from then
 * on. In: v in RDI. The guest's general registers but RSP come from v->base.gpr and go back there;
 * of the host's registers only RSP, RBP and RDI survive. HOST_RSP is v, so that the stores after an
 * exit need no other register; the host's stack is in v->host_rsp, with v on top.
 */
void vmx_run(struct hvm_vcpu *base)
{
    struct vmx_vcpu *v = vmx_vcpu(base);

    if (unlikely(v->attention) && !attend_all(v))
        return;
    __asm__ volatile(
        "push %%rbp\n\t"
        "push %%rdi\n\t"
        "mov %%rsp, %c[host_rsp](%%rdi)\n\t"
        "testb %[launched], %c[state](%%rdi)\n\t"
        "jne 1f\n\t" LOAD_GPRS "vmlaunch\n\t"
        "jmp 2f\n"
        "1:\n\t" LOAD_GPRS "vmresume\n"
        "2:\n\t" /* still here: it failed */
        "mov (%%rsp), %%rdi\n\t"
        "call vmx_after_failure\n\t"
        "jmp 4f\n\t"
        ".globl vmx_exit_point\n"
        "vmx_exit_point:\n\t"
        "mov %%rax, %c[rax](%%rsp)\n\t"
        "mov %%rcx, %c[rcx](%%rsp)\n\t"
        "mov %%rdx, %c[rdx](%%rsp)\n\t"
        "mov %%rbx, %c[rbx](%%rsp)\n\t"
        "mov %%rbp, %c[rbp](%%rsp)\n\t"
        "mov %%rsi, %c[rsi](%%rsp)\n\t"
        "mov %%r8, %c[r8](%%rsp)\n\t"
        "mov %%r9, %c[r9](%%rsp)\n\t"
        "mov %%r10, %c[r10](%%rsp)\n\t"
        "mov %%r11, %c[r11](%%rsp)\n\t"
        "mov %%r12, %c[r12](%%rsp)\n\t"
        "mov %%r13, %c[r13](%%rsp)\n\t"
        "mov %%r14, %c[r14](%%rsp)\n\t"
        "mov %%r15, %c[r15](%%rsp)\n\t"
        "mov %%rdi, %c[rdi](%%rsp)\n\t"
        "mov %%rsp, %%rdi\n\t"
        "mov %c[host_rsp](%%rsp), %%rsp\n\t"
        "mov 8(%%rsp), %%rbp\n\t" /* for backtraces */
        "call vmx_after_exit\n"
        "4:\n\t"
        "mov (%%rsp), %%rdi\n\t"
        "test %%rax, %%rax\n\t"
        "jne 1b\n\t"
        "pop %%rdi\n\t"
        "pop %%rbp"
        : "+D"(v)
        : [host_rsp] "i"(offsetof(struct vmx_vcpu, host_rsp)),
          [state] "i"(offsetof(struct vmx_vcpu, state)), [launched] "i"(STATE_LAUNCHED),
          GPR(rax, RAX), GPR(rcx, RCX), GPR(rdx, RDX), GPR(rbx, RBX), GPR(rbp, RBP), GPR(rsi, RSI),
          GPR(rdi, RDI), GPR(r8, R8), GPR(r9, R9), GPR(r10, R10), GPR(r11, R11), GPR(r12, R12),
          GPR(r13, R13), GPR(r14, R14), GPR(r15, R15)
        : "rax", "rcx", "rdx", "rbx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
          "cc", "memory");
}
