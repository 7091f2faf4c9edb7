/* SPDX-License-Identifier: BSD-2-Clause */
/* What the processor offers of SVM, and turning it on. APM 2, 15.4 and 15.30; CPUID 0x8000000a. */
#include "arch/x86_64/svm/svm.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/layout.h"
#include "lib/log.h"
#include "lib/print.h"
#include "mm/kmem.h"

#define CPUID_SVM     0x8000000au
#define TCG_SIGNATURE 0x54474354u /* "TCGT" */

struct svm_platform svm;

static void describe(struct hvm_caps *caps)
{
    const bool there[] = {
        true,           caps->page_1g, svm.nrip,         svm.decode,
        svm.flush_asid, svm.clean,     svm.pause_filter, caps->tsc_scaling,
    };

    hvm_describe(
        caps, there, ARRAY_SIZE(there),
        "NPT\0"
        "1G\0next-RIP\0decode-assists\0flush-by-ASID\0clean-bits\0pause-filter\0TSC-scaling");
}

/* Whether the firmware keeps SVM off for good (15.30.1). */
static bool locked_off(void)
{
    u64 vm_cr = 0;

    cpu_rdmsr_safe(MSR_AMD_VM_CR, &vm_cr);
    return vm_cr & VM_CR_SVMDIS && vm_cr & VM_CR_LOCK;
}

static enum err refuse_locked(char *why, size_t size)
{
    return hvm_refuse(why, size, HVM_LOCKED_OFF, "SVM", "AMD virtualisation (SVM mode, AMD-V)");
}

/* From CPUID: what the back end alone minds in `svm`, what others mind in *caps. */
static void read_features(struct hvm_caps *caps)
{
    struct cpuid_regs c = cpu_cpuid(CPUID_SVM, 0);
    u32 extended = cpu_cpuid(0x80000001, 0).edx;

    svm.asids = c.ebx;
    svm.nrip = c.edx & SVM_CPUID_NRIP;
    svm.flush_asid = c.edx & SVM_CPUID_FLUSH_ASID;
    svm.decode = c.edx & SVM_CPUID_DECODE;
    svm.pause_filter = c.edx & SVM_CPUID_PAUSE_FILTER;
    svm.pause_threshold = c.edx & SVM_CPUID_PAUSE_THRESH;
    caps->page_1g = extended & BIT(26);
    caps->tsc_scaling = c.edx & SVM_CPUID_TSC_RATE;
    svm.lbr = c.edx & SVM_CPUID_LBR;
    svm.clean = c.edx & SVM_CPUID_CLEAN ? CLEAN_ALL : 0;
    svm.tsc_aux = hvm_has_tsc_aux();
    svm.tcg = cpu_cpuid(1, 0).ecx & BIT(31) && cpu_cpuid(0x40000000, 0).ebx == TCG_SIGNATURE;
    svm.rdpru = cpu_cpuid_max(0x80000000) >= 0x80000008 && cpu_cpuid(0x80000008, 0).ebx & BIT(4);
}

enum err svm_probe(struct hvm_caps *caps, char *why, size_t why_size)
{
    if (cpu_cpuid_max(0x80000000) < CPUID_SVM || !(cpu_cpuid(0x80000001, 0).ecx & BIT(2)))
        return hvm_refuse(why, why_size, "the processor has no SVM");
    if (locked_off())
        return refuse_locked(why, why_size);
    if (!(cpu_cpuid(CPUID_SVM, 0).edx & SVM_CPUID_NPT))
        return hvm_refuse(why, why_size, HVM_LACKS, "SVM", "nested paging (NPT)");
    *caps = (struct hvm_caps){
        .format = NESTED_NPT,
        .page_2m = true,
        .unrestricted = true,
        .rdtscp = true, /* neither needs the hypervisor's leave */
        .invpcid = true,
        .apic = APIC_SHADOW,
    };
    read_features(caps);
    if (svm.asids < 2)
        return hvm_refuse(why, why_size,
                          "the processor's SVM has no address-space identifier for guests");
    if (!svm.nrip)
        log_info("the processor's SVM does not give the next RIP: skep decodes instructions "
                 "to find their length");
    describe(caps);
    return OK;
}

static void free_cpu(struct svm_cpu *cpu)
{
    kmem_free(cpu->hsave, PAGE_SIZE);
    kmem_free(cpu->host, PAGE_SIZE);
    kmem_free(cpu, sizeof(*cpu));
}

static struct svm_cpu *alloc_cpu(void)
{
    struct svm_cpu *cpu = kmem_alloc(sizeof(*cpu));

    if (!cpu)
        return NULL;
    cpu->hsave = kmem_alloc(PAGE_SIZE);
    cpu->host = kmem_alloc(PAGE_SIZE);
    cpu->generation = 1;        /* vCPUs without an ASID have 0 */
    cpu->next_asid = svm.asids; /* none left: the first entry opens a generation with a flush */
    if (cpu->hsave && cpu->host)
        return cpu;
    free_cpu(cpu);
    return NULL;
}

enum err svm_cpu_enable(char *why, size_t why_size)
{
    struct svm_cpu *cpu;
    u64 vm_cr = 0;

    if (locked_off())
        return refuse_locked(why, why_size);
    if (cpu_rdmsr_safe(MSR_AMD_VM_CR, &vm_cr) && vm_cr & VM_CR_SVMDIS)
        cpu_wrmsr(MSR_AMD_VM_CR, vm_cr & ~VM_CR_SVMDIS);
    cpu = alloc_cpu();
    if (!cpu) {
        fmt_print(why, why_size, "out of memory for CPU %u's host save area", this_cpu()->id);
        return ERR_NOMEM;
    }
    cpu_wrmsr(MSR_EFER, cpu_rdmsr(MSR_EFER) | EFER_SVME);
    cpu_wrmsr(MSR_AMD_HSAVE_PA, direct_hpa(cpu->hsave));
    svm_vmsave(direct_hpa(cpu->host));
    this_cpu()->hvm = cpu;
    return OK;
}
