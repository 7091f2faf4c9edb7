/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the processor offers of VMX, which controls follow from it, and turning it on. SDM 3,
 * 23.6 to 23.8 and appendix A. All controls are computed here, once, as (wanted OR must) AND may.
 */
#include "arch/x86_64/vmx/vmx.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/layout.h"
#include "lib/log.h"
#include "lib/print.h"
#include "lib/string.h"
#include "mm/kmem.h"

struct vmx_platform vmx;

enum word { PIN, PROC, PROC2, EXIT, ENTRY, WORDS };

/* How much skep wants a control: NEED and LATER or not at all; LATER is switched on at times. */
enum want { NEED, LATER, WANT };

/*
 * Word, want, bit, name, and for wanted ones what it means that it is not there; "" where nothing
 * is lost.
 */
/* clang-format off */
#define CONTROLS(C)                                                                            \
    C(PIN, NEED, PIN_INTR_EXIT, "external-interrupt exiting", "")                              \
    C(PIN, NEED, PIN_NMI_EXIT, "NMI exiting", "")                                              \
    C(PIN, NEED, PIN_VIRTUAL_NMI, "virtual NMIs", "")                                          \
    C(PIN, WANT, PIN_TIMER, "preemption timer", "")                                            \
    C(PROC, LATER, PROC_INTR_WINDOW, "interrupt-window exiting", "")                           \
    C(PROC, LATER, PROC_NMI_WINDOW, "NMI-window exiting", "")                                  \
    C(PROC, LATER, PROC_CR3_LOAD, "CR3-load exiting", "")                                      \
    C(PROC, LATER, PROC_CR3_STORE, "CR3-store exiting", "")                                    \
    C(PROC, NEED, PROC_TSC_OFFSET, "TSC offsetting", "")                                       \
    C(PROC, NEED, PROC_HLT, "HLT exiting", "")                                                 \
    C(PROC, NEED, PROC_MWAIT, "MWAIT exiting", "")                                             \
    C(PROC, NEED, PROC_MONITOR, "MONITOR exiting", "")                                         \
    C(PROC, NEED, PROC_RDPMC, "RDPMC exiting", "")                                             \
    C(PROC, NEED, PROC_CR8_LOAD, "CR8-load exiting", "")                                       \
    C(PROC, NEED, PROC_CR8_STORE, "CR8-store exiting", "")                                     \
    C(PROC, NEED, PROC_MOV_DR, "MOV-DR exiting", "")                                           \
    C(PROC, NEED, PROC_IO, "I/O exiting", "")                                                  \
    C(PROC, NEED, PROC_MSR_BITMAP, "MSR bitmaps", "")                                          \
    C(PROC, NEED, PROC_SECONDARY, "secondary controls (and with them EPT)", "")                \
    C(PROC2, NEED, PROC2_EPT, "EPT (nested paging)", "")                                       \
    C(PROC2, WANT, PROC2_VPID, "VPID", "every entry and exit flushes the TLB")                 \
    C(PROC2, WANT, PROC2_UNRESTRICTED, "unrestricted guest",                                   \
      "guests cannot run real-mode code, and unpaged code costs more")                         \
    C(PROC2, WANT, PROC2_PLE, "PAUSE-loop exiting", "")                                        \
    C(PROC2, WANT, PROC2_WBINVD, "WBINVD exiting",                                             \
      "a guest's WBINVD empties the machine's caches")                                         \
    C(PROC2, WANT, PROC2_RDTSCP, "RDTSCP", "")                                                 \
    C(PROC2, WANT, PROC2_INVPCID, "INVPCID", "")                                               \
    C(PROC2, WANT, PROC2_ENCLS, "ENCLS exiting", "")                                           \
    C(EXIT, NEED, EXIT_SAVE_DEBUG, "saving of debug controls", "")                             \
    C(EXIT, NEED, EXIT_HOST_64, "64-bit host", "")                                             \
    C(EXIT, NEED, EXIT_SAVE_PAT, "saving of PAT", "")                                          \
    C(EXIT, NEED, EXIT_LOAD_PAT, "loading of PAT at exits", "")                                \
    C(EXIT, NEED, EXIT_SAVE_EFER, "saving of EFER", "")                                        \
    C(EXIT, NEED, EXIT_LOAD_EFER, "loading of EFER at exits", "")                              \
    C(ENTRY, NEED, ENTRY_LOAD_DEBUG, "loading of debug controls", "")                          \
    C(ENTRY, LATER, ENTRY_IA32E, "IA-32e mode guests", "")                                     \
    C(ENTRY, NEED, ENTRY_LOAD_PAT, "loading of PAT at entries", "")                            \
    C(ENTRY, NEED, ENTRY_LOAD_EFER, "loading of EFER at entries", "")
/* clang-format on */

#define CONTROL(word, want, bit, name, cost) {word, want, __builtin_ctzll(bit)},
#define TEXTS(word, want, bit, name, cost)   name "\0" cost "\0"
static const struct {
    u8 word, want, bit;
} controls[] = {CONTROLS(CONTROL)};
static const char control_texts[] = CONTROLS(TEXTS); /* names and costs by turns */

static const struct {
    u32 msr, true_msr; /* true_msr: where the default-one controls may be cleared as well */
    u32 *value;
} words[WORDS] = {
    [PIN] = {MSR_VMX_PIN, MSR_VMX_TRUE_PIN, &vmx.pin},
    [PROC] = {MSR_VMX_PROC, MSR_VMX_TRUE_PROC, &vmx.proc},
    [PROC2] = {MSR_VMX_PROC2, MSR_VMX_PROC2, &vmx.proc2},
    [EXIT] = {MSR_VMX_EXIT, MSR_VMX_TRUE_EXIT, &vmx.exit},
    [ENTRY] = {MSR_VMX_ENTRY, MSR_VMX_TRUE_ENTRY, &vmx.entry},
};

/* May and must of one word. The secondary word exists only where the primary one says so. */
static u64 word_caps(enum word w, bool true_controls)
{
    if (w == PROC2 && !(cpu_rdmsr(MSR_VMX_PROC) >> 32 & PROC_SECONDARY))
        return 0;
    return cpu_rdmsr(true_controls ? words[w].true_msr : words[w].msr);
}

static enum err choose_controls(bool true_controls, char *why, size_t size)
{
    u64 caps[WORDS];

    for (unsigned w = 0; w < WORDS; w++) {
        caps[w] = word_caps(w, true_controls);
        *words[w].value = (u32)caps[w];
    }
    for (unsigned i = 0; i < ARRAY_SIZE(controls); i++) {
        const char *name = text_nth(control_texts, 2 * i),
                   *cost = text_nth(control_texts, 2 * i + 1);
        u8 word = controls[i].word, want = controls[i].want;
        u32 bit = 1u << controls[i].bit;
        bool may = caps[word] >> 32 & bit;

        if (may && want != LATER)
            *words[word].value |= bit;
        if (!may && want != WANT) {
            return hvm_refuse(why, size, HVM_LACKS, "VMX", name);
        }
        if (!may && *cost)
            log_info("the processor's VMX has no %s: %s", name, cost);
    }
    return OK;
}

/* EPT and VPID details (appendix A.10). */
static enum err choose_ept(char *why, size_t size)
{
    u64 c = cpu_rdmsr(MSR_VMX_EPT_VPID);

    if (!(c & EPT_WALK_4) || !(c & EPT_INVEPT) || !(c & (EPT_INVEPT_ONE | EPT_INVEPT_ALL)))
        return hvm_refuse(why, size, HVM_LACKS, "EPT",
                          c & EPT_WALK_4 ? "INVEPT" : "four-level tables");
    vmx.ept_vpid = c;
    vmx.eptp_flags = (c & EPT_WB ? EPTP_WB : EPTP_UC) | EPTP_WALK_4 | (c & EPT_AD ? EPTP_AD : 0);
    if (!(c & EPT_INVVPID) || !(c & (EPT_INVVPID_ONE | EPT_INVVPID_ALL)))
        vmx.proc2 &= ~PROC2_VPID;
    vmx.vpid = vmx.proc2 & PROC2_VPID;
    vmx.unrestricted = vmx.proc2 & PROC2_UNRESTRICTED;
    vmx.pml = c & EPT_AD && word_caps(PROC2, true) >> 32 & PROC2_PML;
    if (!(c & EPT_AD))
        log_info("the processor's EPT has no accessed and dirty bits: they are emulated");
    return OK;
}

/*
 * Which bits of CR0 and CR4 the guest may change on its own: those that have no meaning to skep and
 * that VMX does not fix. Changes of all others leave the guest. The machine-check enable is the
 * host's: a machine check with it off would take the whole machine down.
 */
static void choose_control_registers(void)
{
    u64 cr0_fixed = cpu_rdmsr(MSR_VMX_CR0_FIXED0);

    vmx.cr4_must = cpu_rdmsr(MSR_VMX_CR4_FIXED0) | CR4_VMXE;
    vmx.cr4_may = cpu_rdmsr(MSR_VMX_CR4_FIXED1) & ~CR4_SMXE;
    if (vmx.unrestricted)
        cr0_fixed &= ~(CR0_PE | CR0_PG);
    vmx.cr0_must = cr0_fixed | CR0_NE | CR0_ET;
    vmx.cr0_owned = (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_WP | CR0_AM | CR0_PG) & ~vmx.cr0_must;
    vmx.cr4_owned = CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PGE | CR4_PCE | CR4_OSFXSR |
                    CR4_OSXMMEXCPT | (vmx.unrestricted ? CR4_PSE | CR4_PAE : 0);
    vmx.cr4_owned &= vmx.cr4_may & ~vmx.cr4_must;
}

/* The steps of help that skep uses. Those above the first come in full or not at all. */
static void choose_apic(void)
{
    u64 proc2 = word_caps(PROC2, true) >> 32;
    u64 shadow = PROC2_APIC_ACCESS, all = PROC2_X2APIC | PROC2_APIC_REGS | PROC2_INTR_DELIVER;

    vmx.apic_x2 = proc2 & PROC2_X2APIC;
    if (!(cpu_rdmsr(MSR_VMX_PROC) >> 32 & PROC_TPR_SHADOW) || (proc2 & shadow) != shadow)
        vmx.apic = APIC_EMULATE;
    else
        vmx.apic = (proc2 & all) == all ? APIC_VIRTUAL : APIC_SHADOW;
}

static void describe(struct hvm_caps *caps)
{
    const bool there[] = {
        true,
        caps->format == NESTED_EPT_AD,
        caps->page_log,
        caps->page_2m,
        caps->page_1g,
        caps->exec_only,
        vmx.vpid,
        vmx.unrestricted,
        vmx.proc2 & PROC2_PLE,
        caps->tsc_scaling,
    };

    hvm_describe(caps, there, ARRAY_SIZE(there),
                 "EPT\0A/D\0PML\0"
                 "2M\0"
                 "1G\0execute-only\0VPID\0unrestricted-guest\0PAUSE-loop\0TSC-scaling");
}

/* Whether the firmware lets VMX be turned on (23.7). An unlocked register is set by cpu_enable. */
static bool locked_off(void)
{
    u64 feature = 0;

    if (!cpu_rdmsr_safe(MSR_FEATURE_CONTROL, &feature))
        return false;
    return feature & FEATURE_LOCKED && !(feature & FEATURE_VMX_OUTSIDE);
}

static enum err refuse_locked(char *why, size_t size)
{
    return hvm_refuse(why, size, HVM_LOCKED_OFF, "VMX", "Intel virtualisation (VT-x)");
}

enum err vmx_probe(struct hvm_caps *caps, char *why, size_t why_size)
{
    u64 basic;
    enum err e;

    if (!(cpu_cpuid(1, 0).ecx & BIT(5)))
        return hvm_refuse(why, why_size, "the processor has no VMX");
    if (locked_off())
        return refuse_locked(why, why_size);
    basic = cpu_rdmsr(MSR_VMX_BASIC);
    if (BASIC_SIZE(basic) > PAGE_SIZE || basic & BASIC_32BIT)
        return hvm_refuse(why, why_size,
                          "the processor's VMX wants its structures larger than a page or "
                          "below 4 GiB, which no 64-bit processor does");
    vmx.revision = (u32)basic & BASIC_REVISION;
    e = choose_controls(basic & BASIC_TRUE_CTLS, why, why_size);
    if (e == OK)
        e = choose_ept(why, why_size);
    if (e != OK)
        return e;
    choose_control_registers();
    choose_apic();
    vmx.tsc_aux = hvm_has_tsc_aux();

    *caps = (struct hvm_caps){
        .format = vmx.ept_vpid & EPT_AD ? NESTED_EPT_AD : NESTED_EPT_SOFT_AD,
        .page_2m = vmx.ept_vpid & EPT_2M,
        .page_1g = vmx.ept_vpid & EPT_1G,
        .exec_only = vmx.ept_vpid & EPT_EXEC_ONLY,
        .page_log = vmx.pml,
        .unrestricted = vmx.unrestricted,
        .pdpte_regs = true,
        .tsc_scaling = word_caps(PROC2, true) >> 32 & PROC2_TSC_SCALING,
        .rdtscp = vmx.proc2 & PROC2_RDTSCP,
        .invpcid = vmx.proc2 & PROC2_INVPCID,
        .apic_access = vmx.apic != APIC_EMULATE,
        .apic = vmx.apic,
    };
    describe(caps);
    return OK;
}

static enum err unlock(char *why, size_t size)
{
    u64 feature = 0;

    if (locked_off())
        return refuse_locked(why, size);
    if (cpu_rdmsr_safe(MSR_FEATURE_CONTROL, &feature) && !(feature & FEATURE_LOCKED))
        cpu_wrmsr(MSR_FEATURE_CONTROL, feature | FEATURE_LOCKED | FEATURE_VMX_OUTSIDE);
    return OK;
}

enum err vmx_cpu_enable(char *why, size_t why_size)
{
    struct vmx_cpu *cpu;
    enum err e = unlock(why, why_size);

    if (e != OK)
        return e;
    cpu = kmem_alloc(sizeof(*cpu));
    if (cpu)
        cpu->region = kmem_alloc(PAGE_SIZE);
    if (!cpu || !cpu->region) {
        kmem_free(cpu, sizeof(*cpu));
        fmt_print(why, why_size, "out of memory for CPU %u's VMX region", this_cpu()->id);
        return ERR_NOMEM;
    }
    cpu_write_cr0(cpu_read_cr0() | CR0_NE);
    cpu_write_cr4(cpu_read_cr4() | CR4_VMXE);
    *(u32 *)cpu->region = vmx.revision;
    if (!vmx_on(direct_hpa(cpu->region))) {
        cpu_write_cr4(cpu_read_cr4() & ~CR4_VMXE);
        kmem_free(cpu->region, PAGE_SIZE);
        kmem_free(cpu, sizeof(*cpu));
        return hvm_refuse(why, why_size, "VMXON failed on CPU %u", this_cpu()->id);
    }
    cpu->efer = cpu_rdmsr(MSR_EFER);
    cpu->pat = cpu_rdmsr(MSR_PAT);
    this_cpu()->hvm = cpu;
    return OK;
}
