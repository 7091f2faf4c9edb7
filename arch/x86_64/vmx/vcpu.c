/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VMX vCPUs: their making and ending, the VMCS's constant part, and moving them between CPUs.
 * SDM 3, 24.1 to 24.8 and 31.8. What entries and exits do not switch by themselves (system-call
 * MSRs, CR2, debug registers) is switched here, at load and unload, and not at each exit: skep
 * itself uses none of it.
 */
#include "arch/x86_64/vmx/vmx.h"
#include "arch/x86_64/clock.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/dr.h"
#include "arch/x86_64/layout.h"
#include "lib/string.h"
#include "mm/frames.h"
#include "mm/kmem.h"

/* The MSR bitmap's four parts (24.6.9). */
#define MSR_LOW_COUNT  0x2000u
#define MSR_HIGH_FIRST 0xc0000000u
#define MSR_PART_BITS  (1024u * 8)
#define MSR_READ_LOW   0u
#define MSR_READ_HIGH  1u
#define MSR_WRITE_LOW  2u
#define MSR_WRITE_HIGH 3u

/* A loop of PAUSEs: no more than GAP cycles apart, for WINDOW cycles (25.1.3). */
#define PLE_GAP    128
#define PLE_WINDOW 4096

/* VPIDs in use; 0 is the host's. */
#define VPID_COUNT 4096u
static u64 vpid_map[VPID_COUNT / 64] = {1};

static u16 vpid_alloc(void)
{
    for (unsigned i = 0; i < VPID_COUNT; i++) {
        u64 bit = BIT(i % 64);

        if (!(__atomic_fetch_or(&vpid_map[i / 64], bit, __ATOMIC_RELAXED) & bit))
            return (u16)i;
    }
    return 0;
}

static void vpid_free(u16 vpid)
{
    if (vpid)
        __atomic_fetch_and(&vpid_map[vpid / 64], ~BIT(vpid % 64), __ATOMIC_RELAXED);
}

enum err vmx_vm_init(struct hvm_vm *vm, hpa_t nested_root)
{
    vm->nested_root = nested_root;
    vm->io_map = NULL; /* every port leaves the guest */
    vm->msr_map = kmem_alloc(PAGE_SIZE);
    if (!vm->msr_map)
        return ERR_NOMEM;
    memset(vm->msr_map, 0xff, PAGE_SIZE);
    return vmx_apic_vm_init(vm) ? OK : ERR_NOMEM;
}

void vmx_vm_fini(struct hvm_vm *vm)
{
    kmem_free(vm->msr_map, PAGE_SIZE);
    kmem_free(vm->msr_map_x2, PAGE_SIZE);
    vm->msr_map = vm->msr_map_x2 = NULL;
}

static void map_clear(u64 *map, unsigned part, u32 bit)
{
    bit += part * MSR_PART_BITS;
    map[bit / 64] &= ~BIT(bit % 64);
}

void vmx_map_pass(void *map, u32 msr, bool read, bool write)
{
    bool low = msr < MSR_LOW_COUNT;
    u32 bit = low ? msr : msr - MSR_HIGH_FIRST;

    if (bit >= MSR_LOW_COUNT)
        return;
    if (msr == MSR_EFER && !vmx.unrestricted)
        return; /* the real one is not what the guest may see */
    if (read)
        map_clear(map, low ? MSR_READ_LOW : MSR_READ_HIGH, bit);
    if (write)
        map_clear(map, low ? MSR_WRITE_LOW : MSR_WRITE_HIGH, bit);
}

void vmx_msr_pass(struct hvm_vm *vm, u32 msr, bool read, bool write)
{
    vmx_map_pass(vm->msr_map, msr, read, write);
    if (vm->msr_map_x2)
        vmx_map_pass(vm->msr_map_x2, msr, read, write);
}

struct hvm_vcpu *vmx_create(struct hvm_vm *vm)
{
    struct vmx_vcpu *v = kmem_alloc(sizeof(*v));
    void *vmcs = kmem_alloc(PAGE_SIZE);

    if (v && vmx.vpid)
        v->vpid = vpid_alloc();
    if (!v || !vmcs || (vmx.vpid && !v->vpid)) {
        kmem_free(v, sizeof(*v));
        kmem_free(vmcs, PAGE_SIZE);
        return NULL;
    }
    *(u32 *)vmcs = vmx.revision;
    v->base.vm = vm;
    v->vmcs = direct_hpa(vmcs);
    v->eptp = vm->nested_root | vmx.eptp_flags;
    return &v->base;
}

void vmx_destroy(struct hvm_vcpu *base)
{
    struct vmx_vcpu *v = vmx_vcpu(base);

    vpid_free(v->vpid);
    kmem_free(direct_ptr(v->vmcs), PAGE_SIZE);
    kmem_free(v->log, PAGE_SIZE);
    kmem_free(v, sizeof(*v));
}

/*
 * Fields that begin as zero, or stay so. Null data segments are as good as any for the host: it
 * runs in 64-bit mode.
 */
static const u16 zero_fields[] = {
    VMCS_PF_ERROR_MASK,       VMCS_PF_ERROR_MATCH,
    VMCS_CR3_TARGETS,         VMCS_EXIT_MSR_STORES,
    VMCS_EXIT_MSR_LOADS,      VMCS_ENTRY_MSR_LOADS,
    VMCS_ENTRY_INTR_INFO,     VMCS_TSC_OFFSET,
    VMCS_GUEST_RSP,           VMCS_GUEST_CR0,
    VMCS_GUEST_CR3,           VMCS_GUEST_CR4,
    VMCS_GUEST_EFER,          VMCS_GUEST_DEBUGCTL,
    VMCS_GUEST_PENDING_DEBUG, VMCS_GUEST_INTERRUPTIBILITY,
    VMCS_GUEST_ACTIVITY,      VMCS_GUEST_SYSENTER_CS,
    VMCS_GUEST_SYSENTER_ESP,  VMCS_GUEST_SYSENTER_EIP,
    VMCS_GUEST_PDPTE0,        VMCS_GUEST_PDPTE1,
    VMCS_GUEST_PDPTE2,        VMCS_GUEST_PDPTE3,
    VMCS_HOST_SS_SEL,         VMCS_HOST_DS_SEL,
    VMCS_HOST_ES_SEL,         VMCS_HOST_FS_SEL,
    VMCS_HOST_GS_SEL,         VMCS_HOST_FS_BASE,
    VMCS_HOST_SYSENTER_CS,    VMCS_HOST_SYSENTER_ESP,
    VMCS_HOST_SYSENTER_EIP,
};

static void init_controls(struct vmx_vcpu *v)
{
    bool scaled = v->base.vm->tsc_ratio != HVM_TSC_UNSCALED;

    v->proc = vmx.proc;
    v->entry = vmx.entry;
    vmwrite(VMCS_PIN_CTLS, vmx.pin);
    vmwrite(VMCS_PROC_CTLS, v->proc);
    vmwrite(VMCS_PROC2_CTLS, vmx.proc2 | (scaled ? PROC2_TSC_SCALING : 0));
    if (scaled)
        vmwrite(VMCS_TSC_MULTIPLIER, v->base.vm->tsc_ratio << 16);
    vmwrite(VMCS_EXIT_CTLS, vmx.exit);
    vmwrite(VMCS_ENTRY_CTLS, v->entry);
    vmwrite(VMCS_MSR_BITMAP, direct_hpa(v->base.vm->msr_map));
    vmwrite(VMCS_EPTP, v->eptp);
    vmwrite(VMCS_CR0_MASK, ~vmx.cr0_owned);
    vmwrite(VMCS_CR4_MASK, ~vmx.cr4_owned);
    vmwrite(VMCS_LINK, ~0ull);
    if (vmx.vpid)
        vmwrite(VMCS_VPID, v->vpid);
    if (vmx.proc2 & PROC2_PLE) {
        vmwrite(VMCS_PLE_GAP, PLE_GAP);
        vmwrite(VMCS_PLE_WINDOW, PLE_WINDOW);
    }
    if (vmx.pin & PIN_TIMER) /* counts at the TSC's rate, divided by a power of two (A.6) */
        vmwrite(VMCS_TIMER, clock_ns_to_tsc(HVM_LONGEST_RUN_NS) >> (cpu_rdmsr(MSR_VMX_MISC) & 31));
    if (vmx.proc2 & PROC2_ENCLS)
        vmwrite(VMCS_ENCLS_EXIT_BITMAP, ~0ull);
    vmx_intercept_exceptions(&v->base, 0);
    vmx_apic_init(v);
}

/* What the exits load on this CPU. */
static void write_host_state(void)
{
    struct percpu *cpu = this_cpu();
    struct x86_table gdt, idt;

    cpu_sgdt(&gdt);
    cpu_sidt(&idt);
    vmwrite(VMCS_HOST_CR0, cpu_read_cr0());
    vmwrite(VMCS_HOST_CR3, cpu_read_cr3());
    vmwrite(VMCS_HOST_CR4, cpu_read_cr4());
    vmwrite(VMCS_HOST_CS_SEL, SEL_CODE);
    vmwrite(VMCS_HOST_TR_SEL, SEL_TSS);
    vmwrite(VMCS_HOST_GS_BASE, (u64)cpu);
    vmwrite(VMCS_HOST_TR_BASE, (u64)&cpu->tss);
    vmwrite(VMCS_HOST_GDTR_BASE, gdt.base);
    vmwrite(VMCS_HOST_IDTR_BASE, idt.base);
    vmwrite(VMCS_HOST_PAT, vmx_cpu()->pat);
    vmwrite(VMCS_HOST_EFER, vmx_cpu()->efer);
    vmwrite(VMCS_HOST_RIP, (u64)vmx_exit_point);
}

/* MSRs by their safe form: a value that the processor refuses must not take skep down. */
static void load_switched(struct vmx_vcpu *v)
{
    for (unsigned i = 0; i < VMX_SWITCHED; i++) {
        u32 msr = vmx_switched_msr(HVM_STAR + i);

        if (msr)
            cpu_wrmsr_safe(msr, v->msr[i]);
    }
    cpu_write_cr2(v->cr2);
    dr_load(v->dr);
    cpu_write_dr6(v->dr6);
}

static void save_switched(struct vmx_vcpu *v)
{
    for (unsigned i = 0; i < VMX_SWITCHED; i++) {
        u32 msr = vmx_switched_msr(HVM_STAR + i);

        if (msr)
            v->msr[i] = cpu_rdmsr(msr);
    }
    v->cr2 = cpu_read_cr2();
    dr_save(v->dr);
    v->dr6 = cpu_read_dr6();
}

void vmx_load(struct hvm_vcpu *base)
{
    struct vmx_vcpu *v = vmx_vcpu(base);
    bool fresh = !v->last_cpu;

    if (fresh)
        ASSERT(vmx_clear(v->vmcs));
    ASSERT(vmx_ptrld(v->vmcs));
    if (v->last_cpu != this_cpu()->id + 1) {
        v->last_cpu = this_cpu()->id + 1;
        v->attention |= ATTEND_ALL;
        write_host_state();
    }
    if (fresh) {
        for (unsigned i = 0; i < ARRAY_SIZE(zero_fields); i++)
            vmwrite(zero_fields[i], 0);
        vmwrite(VMCS_HOST_RSP, (u64)v);
        init_controls(v);
        vmwrite(VMCS_GUEST_PAT, PAT_RESET);
    }
    load_switched(v);
}

void vmx_unload(struct hvm_vcpu *base)
{
    struct vmx_vcpu *v = vmx_vcpu(base);

    save_switched(v);
    ASSERT(vmx_clear(v->vmcs));
    v->state &= (u8)~STATE_LAUNCHED;
}
