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

    if (!ops)
        return hvm_refuse(why, why_size,
                          "the processor offers neither VMX nor SVM: turn virtualisation on in the "
                          "firmware's setup, or start the emulator with a processor that has it "
                          "(QEMU: -cpu max or host,+vmx)");
    e = ops->probe(&hvm_caps, why, why_size);
    if (e == OK)
        hvm = ops;
    return e;
}

enum err hvm_refuse(char *why, size_t size, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fmt_vprint(why, size, fmt, ap);
    va_end(ap);
    return ERR_NOSUP;
}

/* SDM 3, table 9-1; APM 2, table 14-1. */
void hvm_init_segments(struct hvm_vcpu *v)
{
    static const struct x86_seg code = {0xf000, SEG_P | SEG_S | 0xb, 0xffff, 0xffff0000};
    static const struct x86_seg data = {0, SEG_P | SEG_S | 0x3, 0xffff, 0};
    static const struct x86_seg ldt = {0, SEG_P | 0x2, 0xffff, 0};
    static const struct x86_seg tss = {0, SEG_P | 0xb, 0xffff, 0};
    static const struct x86_table table = {0, 0xffff};

    for (enum seg s = SEG_ES; s <= SEG_GS; s++)
        hvm->set_seg(v, s, s == SEG_CS ? &code : &data);
    hvm->set_seg(v, SEG_LDTR, &ldt);
    hvm->set_seg(v, SEG_TR, &tss);
    hvm->set_table(v, false, &table);
    hvm->set_table(v, true, &table);
}

bool hvm_has_tsc_aux(void)
{
    bool rdtscp = cpu_cpuid_max(0x80000000) >= 0x80000001 && cpu_cpuid(0x80000001, 0).edx & BIT(27);
    bool rdpid = cpu_cpuid_max(0) >= 7 && cpu_cpuid(7, 0).ecx & BIT(22);

    return rdtscp || rdpid;
}

void hvm_describe(struct hvm_caps *caps, const bool *there, unsigned n, const char *words)
{
    const size_t size = sizeof(caps->features);
    size_t len = 0;

    for (unsigned i = 0; i < n && len < size; i++)
        if (there[i])
            len += (size_t)fmt_print(caps->features + len, size - len, "%s%s", len ? " " : "",
                                     text_nth(words, i));
}

#define NAME(id, name) name "\0"
static const char exit_names[] = HVM_EXITS(NAME);

const char *hvm_exit_name(enum hvm_exit_reason reason)
{
    return (unsigned)reason < HVM_EXIT_COUNT ? text_nth(exit_names, reason) : "?";
}

u64 hvm_exit_info(const struct hvm_exit *e)
{
    const u64 telling = BIT(HVM_EXIT_EXCEPTION) | BIT(HVM_EXIT_CR) | BIT(HVM_EXIT_IO) |
                        BIT(HVM_EXIT_NESTED_FAULT) | BIT(HVM_EXIT_TASK_SWITCH) | BIT(HVM_EXIT_APIC);

    return telling >> e->reason & 1 ? e->info : 0;
}
