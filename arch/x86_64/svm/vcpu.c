/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SVM vCPUs: their making and ending, the VMCB's constant part, the permission maps (APM 2, 15.10
 * and 15.11), and moving vCPUs between CPUs. TSC_AUX and DR0 to DR3, which no world switch moves,
 * are moved at load and unload.
 */
#include "arch/x86_64/svm/svm.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/dr.h"
#include "arch/x86_64/layout.h"
#include "lib/string.h"
#include "mm/frames.h"
#include "mm/kmem.h"

#define MSR_MAP_SIZE (2 * PAGE_SIZE)
#define IO_MAP_SIZE  (3 * PAGE_SIZE)

/* Two bits an MSR, read and write; three ranges of 2 KiB of map each (15.11). */
#define MSR_RANGE_COUNT 0x2000u
static const u32 msr_ranges[] = {0, 0xc0000000, 0xc0010000};

/* A loop of PAUSEs: this many, no more than THRESHOLD cycles apart (15.14.4). */
#define PAUSE_COUNT     3000
#define PAUSE_THRESHOLD 128

enum err svm_vm_init(struct hvm_vm *vm, hpa_t nested_root)
{
    vm->nested_root = nested_root;
    vm->msr_map = kmem_alloc(MSR_MAP_SIZE);
    vm->io_map = kmem_alloc(IO_MAP_SIZE);
    if (!vm->msr_map || !vm->io_map) {
        svm_vm_fini(vm);
        return ERR_NOMEM;
    }
    memset(vm->msr_map, 0xff, MSR_MAP_SIZE);
    memset(vm->io_map, 0xff, IO_MAP_SIZE);
    return OK;
}

void svm_vm_fini(struct hvm_vm *vm)
{
    kmem_free(vm->msr_map, MSR_MAP_SIZE);
    kmem_free(vm->io_map, IO_MAP_SIZE);
    vm->msr_map = vm->io_map = NULL;
}

void svm_msr_pass(struct hvm_vm *vm, u32 msr, bool read, bool write)
{
    u64 *map = vm->msr_map;

    if (msr == MSR_EFER)
        return; /* the guest must not see SVME */
    for (unsigned i = 0; i < ARRAY_SIZE(msr_ranges); i++) {
        u32 n = msr - msr_ranges[i];
        u32 bit = (i * MSR_RANGE_COUNT + n) * 2;

        if (n >= MSR_RANGE_COUNT)
            continue;
        if (read)
            map[bit / 64] &= ~BIT(bit % 64);
        if (write)
            map[bit / 64] &= ~BIT(bit % 64 + 1);
        return;
    }
}

static void init_control(struct svm_vcpu *v)
{
    struct vmcb *cb = v->vmcb;

    cb->cr_read = CR8;
    cb->cr_write = CR4 | CR8;
    cb->intercept1 =
        (u32)(INTERCEPT1_INTR | INTERCEPT1_NMI | INTERCEPT1_INIT | INTERCEPT1_CR0_BITS |
              INTERCEPT1_RDPMC | INTERCEPT1_CPUID | INTERCEPT1_RSM | INTERCEPT1_INVD |
              INTERCEPT1_HLT | INTERCEPT1_INVLPGA | INTERCEPT1_IO | INTERCEPT1_MSR |
              INTERCEPT1_TASK_SWITCH | INTERCEPT1_SHUTDOWN);
    cb->intercept2 =
        (u32)(INTERCEPT2_VMRUN | INTERCEPT2_VMMCALL | INTERCEPT2_VMLOAD | INTERCEPT2_VMSAVE |
              INTERCEPT2_STGI | INTERCEPT2_CLGI | INTERCEPT2_SKINIT | INTERCEPT2_WBINVD |
              INTERCEPT2_MONITOR | INTERCEPT2_MWAIT | INTERCEPT2_MWAIT_COND | INTERCEPT2_XSETBV);
    if (svm.rdpru)
        cb->intercept2 |= INTERCEPT2_RDPRU;
    if (svm.pause_filter) {
        cb->intercept1 |= INTERCEPT1_PAUSE;
        cb->pause_count = PAUSE_COUNT;
        cb->pause_threshold = svm.pause_threshold ? PAUSE_THRESHOLD : 0;
    }
    cb->iopm = direct_hpa(v->base.vm->io_map);
    cb->msrpm = direct_hpa(v->base.vm->msr_map);
    cb->virq = VIRQ_MASKING;
    cb->nested = NESTED_ENABLE;
    cb->nested_root = v->base.vm->nested_root;
    svm_intercept_exceptions(&v->base, 0);
    svm_intercept_dr(&v->base, true);
}

struct hvm_vcpu *svm_create(struct hvm_vm *vm)
{
    struct svm_vcpu *v = kmem_alloc(sizeof(*v));
    struct vmcb *cb = kmem_alloc(sizeof(*cb));

    if (!v || !cb) {
        kmem_free(v, sizeof(*v));
        kmem_free(cb, sizeof(*cb));
        return NULL;
    }
    v->base.vm = vm;
    v->vmcb = cb;
    v->vmcb_hpa = direct_hpa(cb);
    init_control(v);
    cb->pat = PAT_RESET;
    return &v->base;
}

void svm_destroy(struct hvm_vcpu *base)
{
    struct svm_vcpu *v = svm_vcpu(base);

    kmem_free(v->vmcb, sizeof(*v->vmcb));
    kmem_free(v, sizeof(*v));
}

void svm_load(struct hvm_vcpu *base)
{
    struct svm_vcpu *v = svm_vcpu(base);

    if (v->last_cpu != this_cpu()->id + 1) {
        v->last_cpu = this_cpu()->id + 1;
        v->attention |= ATTEND_ASID;
        v->host_hpa = direct_hpa(svm_cpu()->host);
        svm_touch(v, CLEAN_ALL);
    }
    if (v->generation != svm_cpu()->generation) /* other vCPUs have used ASIDs up meanwhile */
        v->attention |= ATTEND_ASID;
    if (hvm_caps.tsc_scaling) /* for guests alone; the format is ours */
        cpu_wrmsr_safe(MSR_AMD_TSC_RATIO, v->base.vm->tsc_ratio);
    if (svm.tsc_aux)
        cpu_wrmsr_safe(MSR_TSC_AUX, v->tsc_aux);
    cpu_write_cr2(v->vmcb->cr2); /* Bochs' VMRUN leaves the register as it is */
    dr_load(v->dr);
}

void svm_unload(struct hvm_vcpu *base)
{
    struct svm_vcpu *v = svm_vcpu(base);

    if (svm.tsc_aux)
        v->tsc_aux = cpu_rdmsr(MSR_TSC_AUX);
    dr_save(v->dr);
}
