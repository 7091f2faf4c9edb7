/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the VMX back end share. Nobody else includes this. */
#ifndef ARCH_X86_64_VMX_VMX_H
#define ARCH_X86_64_VMX_VMX_H

#include "arch/x86_64/hvm.h"
#include "arch/x86_64/percpu.h"
#include "arch/x86_64/vmx/vmcs.h"

/* What this processor can do, and the controls that follow. Filled by probe; then constant. */
struct vmx_platform {
    u32 revision;
    u32 pin, proc, proc2, exit, entry; /* control fields as every vCPU starts with */
    u64 ept_vpid;                      /* the capability MSR */
    u64 eptp_flags;
    u64 cr0_must;  /* real CR0 bits that are always one */
    u64 cr0_owned; /* bits that the guest changes without an exit */
    u64 cr4_must, cr4_may;
    u64 cr4_owned;
    bool unrestricted, vpid, apic_x2;
    u8 apic;      /* enum apic_help */
    bool pml;     /* page-modification logging can be turned on */
    bool tsc_aux; /* RDTSCP or RDPID */
};
extern struct vmx_platform vmx;

/* What each CPU needs (percpu.hvm). */
struct vmx_cpu {
    void *region; /* VMXON region */
    u64 efer, pat;
};

/* MSRs that neither entry nor exit switches: moved at load and unload. */
enum { VMX_SWITCHED = HVM_TSC_AUX - HVM_STAR + 1 };

/* vmx_vcpu.state; an exit leaves LAUNCHED alone. */
enum {
    STATE_LAUNCHED = 1, /* since the last VMCLEAR */
    STATE_QUEUED = 2,   /* an event goes in with the next entry */
    STATE_STEPPING = 4, /* a single-step trap is pending */
};

/* vmx_vcpu.attention: what the next entry has to see to. */
enum {
    ATTEND_LINEAR = 1,    /* invalidate guest-linear translations */
    ATTEND_ALL = 2,       /* invalidate all translations */
    ATTEND_REAL_MODE = 4, /* real mode, without an unrestricted guest: cannot run */
};

/*
 * A vCPU. Everything but `base` is private; all of it belongs to the CPU that has it loaded.
 * Control-register values are what the guest wrote; bits that it owns live in the VMCS instead.
 */
struct vmx_vcpu {
    u64 host_rsp;    /* while in the guest */
    u8 state;        /* STATE_* */
    u8 attention;    /* ATTEND_*: before the next entry */
    bool identity;   /* unpaged code on a processor that cannot: CR3 is skep's */
    u16 vpid;        /* 0: none */
    u32 last_cpu;    /* CPU number + 1 that the host state is for; 0: none */
    u32 proc, entry; /* control fields as they are in the VMCS */
    u64 cr0, cr3, cr4, efer;
    u64 *log; /* page-modification log; NULL until it is first wanted */
    hpa_t vmcs;
    struct hvm_vcpu base; /* behind what is addressed most: the first 128 bytes are so shortly */
    u64 cr2, dr[4], dr6;
    u64 msr[VMX_SWITCHED];
    u64 eptp;
    u64 eoi_exits[4]; /* the EOI-exit bitmap as it is in the VMCS */
    char why[128];    /* text of the last failed entry */
};

static inline struct vmx_vcpu *vmx_vcpu(struct hvm_vcpu *v)
{
    return container_of(v, struct vmx_vcpu, base);
}

static inline struct vmx_cpu *vmx_cpu(void)
{
    return this_cpu()->hvm;
}

/* caps.c */
enum err vmx_probe(struct hvm_caps *caps, char *why, size_t why_size);
enum err vmx_cpu_enable(char *why, size_t why_size);

/* vcpu.c */
enum err vmx_vm_init(struct hvm_vm *vm, hpa_t nested_root);
void vmx_vm_fini(struct hvm_vm *vm);
void vmx_map_pass(void *map, u32 msr, bool read, bool write); /* in an MSR bitmap */
void vmx_msr_pass(struct hvm_vm *vm, u32 msr, bool read, bool write);
struct hvm_vcpu *vmx_create(struct hvm_vm *vm);
void vmx_destroy(struct hvm_vcpu *v);
void vmx_load(struct hvm_vcpu *v);
void vmx_unload(struct hvm_vcpu *v);

/* regs.c */
u64 vmx_get(struct hvm_vcpu *v, enum hvm_reg reg);
void vmx_set(struct hvm_vcpu *v, enum hvm_reg reg, u64 value);
void vmx_get_mode(struct hvm_vcpu *v, struct x86_mode *out);
void vmx_get_seg(struct hvm_vcpu *v, enum seg s, struct x86_seg *out);
void vmx_set_seg(struct hvm_vcpu *v, enum seg s, const struct x86_seg *in);
void vmx_get_table(struct hvm_vcpu *v, bool idt, struct x86_table *out);
void vmx_set_table(struct hvm_vcpu *v, bool idt, const struct x86_table *in);
/* The MSR behind HVM_STAR … HVM_TSC_AUX; 0 where the processor has none. */
u32 vmx_switched_msr(enum hvm_reg reg);
/* Sets CR0, CR4 and EFER at once, and all controls that depend on them. */
void vmx_set_mode(struct vmx_vcpu *v, u64 cr0, u64 cr4, u64 efer);

/* event.c */
void vmx_advance(struct hvm_vcpu *v, unsigned len);
void vmx_inject(struct hvm_vcpu *v, const struct hvm_event *e);
bool vmx_can_take_intr(struct hvm_vcpu *v);
bool vmx_can_take_nmi(struct hvm_vcpu *v);
void vmx_window(struct hvm_vcpu *v, bool intr, bool nmi);
void vmx_read_vectoring(u32 info, struct hvm_event *e);
void vmx_intercept_exceptions(struct hvm_vcpu *v, u32 mask);
void vmx_intercept_dr(struct hvm_vcpu *v, bool on);

/* apic.c */
void vmx_apic_init(struct vmx_vcpu *v); /* part of the VMCS's constant part */
bool vmx_apic_vm_init(struct hvm_vm *vm);
void vmx_apic_mode(struct hvm_vcpu *v, enum hvm_apic_mode mode);
void vmx_apic_update(struct hvm_vcpu *v, int request, int service, unsigned threshold);

/* run.c */
void vmx_run(struct hvm_vcpu *v);
struct hvm_exit *vmx_after_exit(struct vmx_vcpu *v);
struct hvm_exit *vmx_after_failure(struct vmx_vcpu *v);
extern const char vmx_exit_point[]; /* HOST_RIP */

/* log.c */
bool vmx_log_writes(struct hvm_vcpu *v, bool on);
const u64 *vmx_take_log(struct hvm_vcpu *v, unsigned *count);

/* check.c: texts for entries that failed; *why stays valid until the next failure. */
const char *vmx_insn_error(u32 error);
const char *vmx_bad_state(struct vmx_vcpu *v);
void vmx_dump(struct hvm_vcpu *v);

#endif
