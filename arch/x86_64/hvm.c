/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The choice of the back end, made once at start-up, and the names of exits. A processor says in
 * CPUID which of the two extensions it has (VMX: SDM 3, 23.6; SVM: APM 2, 15.4).
 */
#include "arch/x86_64/hvm.h"
#include "arch/x86_64/cpu.h"
#include "lib/print.h"

#define CPUID_1_ECX_VMX   BIT(5)
#define CPUID_EXT_ECX_SVM BIT(2)

const struct hvm_ops *hvm;
struct hvm_caps hvm_caps;

static const struct hvm_ops *offered(void)
{
    if (cpu_cpuid(1, 0).ecx & CPUID_1_ECX_VMX)
        return &vmx_ops;
    if (cpu_cpuid(0x80000000, 0).eax >= 0x80000001 &&
        cpu_cpuid(0x80000001, 0).ecx & CPUID_EXT_ECX_SVM)
        return &svm_ops;
    return NULL;
}

enum err hvm_init(char *why, size_t why_size)
{
    const struct hvm_ops *ops = offered();
    enum err e;

    if (!ops) {
        fmt_print(why, why_size,
                  "the processor offers neither VMX nor SVM: turn virtualisation on in the "
                  "firmware's setup, or start the emulator with a processor that has it "
                  "(QEMU: -cpu max or host,+vmx)");
        return ERR_NOSUP;
    }
    e = ops->probe(&hvm_caps, why, why_size);
    if (e == OK)
        hvm = ops;
    return e;
}

static const char *const exit_names[HVM_EXIT_COUNT] = {
    [HVM_EXIT_INTR] = "intr",
    [HVM_EXIT_NMI] = "nmi",
    [HVM_EXIT_INTR_WINDOW] = "intr-window",
    [HVM_EXIT_NMI_WINDOW] = "nmi-window",
    [HVM_EXIT_EXCEPTION] = "exception",
    [HVM_EXIT_CPUID] = "cpuid",
    [HVM_EXIT_HLT] = "hlt",
    [HVM_EXIT_PAUSE] = "pause",
    [HVM_EXIT_INVD] = "invd",
    [HVM_EXIT_WBINVD] = "wbinvd",
    [HVM_EXIT_RDMSR] = "rdmsr",
    [HVM_EXIT_WRMSR] = "wrmsr",
    [HVM_EXIT_RDPMC] = "rdpmc",
    [HVM_EXIT_RDTSCP] = "rdtscp",
    [HVM_EXIT_XSETBV] = "xsetbv",
    [HVM_EXIT_MONITOR] = "monitor",
    [HVM_EXIT_MWAIT] = "mwait",
    [HVM_EXIT_INVLPG] = "invlpg",
    [HVM_EXIT_CR] = "cr",
    [HVM_EXIT_DR] = "dr",
    [HVM_EXIT_DESC_TABLE] = "desc-table",
    [HVM_EXIT_IO] = "io",
    [HVM_EXIT_NESTED_FAULT] = "nested-fault",
    [HVM_EXIT_TASK_SWITCH] = "task-switch",
    [HVM_EXIT_UNDEFINED] = "undefined",
    [HVM_EXIT_TRIPLE_FAULT] = "triple-fault",
    [HVM_EXIT_SHUTDOWN] = "shutdown",
    [HVM_EXIT_PML_FULL] = "pml-full",
    [HVM_EXIT_APIC] = "apic",
    [HVM_EXIT_FAILED_ENTRY] = "failed-entry",
    [HVM_EXIT_OTHER] = "other",
};

const char *hvm_exit_name(enum hvm_exit_reason reason)
{
    if ((unsigned)reason >= HVM_EXIT_COUNT)
        return "?";
    return exit_names[reason];
}

u64 hvm_exit_info(const struct hvm_exit *e)
{
    const u64 telling = BIT(HVM_EXIT_EXCEPTION) | BIT(HVM_EXIT_CR) | BIT(HVM_EXIT_IO) |
                        BIT(HVM_EXIT_NESTED_FAULT) | BIT(HVM_EXIT_TASK_SWITCH) | BIT(HVM_EXIT_APIC);

    return telling >> e->reason & 1 ? e->info : 0;
}
