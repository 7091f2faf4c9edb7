/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the SVM back end share. Nobody else includes this. */
#ifndef ARCH_X86_64_SVM_SVM_H
#define ARCH_X86_64_SVM_SVM_H

#include "arch/x86_64/hvm.h"
#include "arch/x86_64/percpu.h"
#include "arch/x86_64/svm/vmcb.h"

/* What this processor can do. Filled by probe; then constant. */
struct svm_platform {
    u32 asids; /* 0 to asids - 1; 0 is the host's */
    bool nrip, flush_asid, decode, pause_filter, pause_threshold, lbr;
    bool rdpru;
    bool tcg;     /* QEMU's emulation: see svm_inject(), fill_intr() */
    bool tsc_aux; /* RDTSCP or RDPID */
    u32 clean;    /* CLEAN_ALL where there are clean bits, else 0 */
};
extern struct svm_platform svm;

/*
 * What each CPU needs (percpu.hvm). ASIDs are handed out in rising order; when they run out, a new
 * generation begins with a flush of the whole TLB, and every vCPU needs a new one.
 */
struct svm_cpu {
    void *hsave; /* where VMRUN keeps the host's state */
    void *host;  /* VMSAVE image of the host: FS, GS, TR and so on */
    u64 generation;
    u32 next_asid;
};

/* In the maps of intercepted control registers. */
#define CR4 BIT(4)
#define CR8 BIT(8)

/* svm_vcpu.attention: what the next entry, or the exit after it, has to see to. */
enum {
    ATTEND_STEP = 1,    /* a single-step trap is pending */
    ATTEND_NMI = 2,     /* the caller waits for NMIs to be possible */
    ATTEND_INTR = 4,    /* likewise interrupts */
    ATTEND_ASID = 8,    /* needs a new ASID */
    ATTEND_OUT = 0x80,  /* is to come out again right behind the event */
    ATTEND_TPR = 0x100, /* the task priority goes into the VMCB, and comes from there (exit too) */
    ATTEND_ENTRY = ATTEND_STEP | ATTEND_NMI | ATTEND_INTR | ATTEND_ASID | ATTEND_OUT | ATTEND_TPR,

    ATTEND_EVENT = 0x10,    /* an event goes in with the next entry */
    ATTEND_STEPPING = 0x20, /* the guest executes one instruction, then traps */
    ATTEND_IRET = 0x40,     /* IRET is intercepted */
    ATTEND_EXIT = ATTEND_EVENT | ATTEND_STEPPING | ATTEND_IRET | ATTEND_TPR,
};

/* A vCPU. Everything but `base` is private; all of it belongs to the CPU that has it loaded. */
struct svm_vcpu {
    struct vmcb *vmcb;
    hpa_t vmcb_hpa, host_hpa;    /* host_hpa: this CPU's VMSAVE image */
    u64 generation;              /* of the ASID; 0: none */
    u64 entry_rip, entry_rflags; /* as they were before the last entry */
    u32 last_cpu;                /* CPU number + 1 that it was loaded on last; 0: none */
    u16 attention;               /* ATTEND_* */
    bool soft; /* the event is a soft one: RIP has moved already, from soft_rip to soft_next */
    u8 soft_vector;
    bool tpr_held;   /* a request may wait for a lower task priority */
    u16 tpr_entries; /* for which ATTEND_TPR is still to last */
    u64 soft_rip, soft_next;
    u32 exceptions; /* that the caller intercepts */

    /*
     * NMI blocking, which the processor does not tell. An injected NMI blocks until the IRET after
     * it: that is intercepted (iret set, blocked still), and blocking is over once RIP has moved
     * from iret_rip. To find the moment, or the end of a shadow, the guest is single-stepped.
     */
    bool nmi_blocked, iret;
    u64 iret_rip;

    struct hvm_vcpu base; /* behind what is addressed most: the first 128 bytes are so shortly */
    u64 step_dr6;
    u64 dr[4], tsc_aux, debugctl, pdpte[4];
    char why[128]; /* text of the last failed entry */
};

static inline void svm_set_attention(struct svm_vcpu *v, u16 bits, bool on)
{
    v->attention = (u16)((v->attention & ~bits) | (on ? bits : 0));
}

static inline struct svm_vcpu *svm_vcpu(struct hvm_vcpu *v)
{
    return container_of(v, struct svm_vcpu, base);
}

static inline struct svm_cpu *svm_cpu(void)
{
    return this_cpu()->hvm;
}

/* The processor is to load again what these bits stand for. */
static inline void svm_touch(struct svm_vcpu *v, u32 clean)
{
    v->vmcb->clean &= ~clean;
}

/* caps.c */
enum err svm_probe(struct hvm_caps *caps, char *why, size_t why_size);
enum err svm_cpu_enable(char *why, size_t why_size);

/* vcpu.c */
enum err svm_vm_init(struct hvm_vm *vm, hpa_t nested_root);
void svm_vm_fini(struct hvm_vm *vm);
void svm_msr_pass(struct hvm_vm *vm, u32 msr, bool read, bool write);
struct hvm_vcpu *svm_create(struct hvm_vm *vm);
void svm_destroy(struct hvm_vcpu *v);
void svm_load(struct hvm_vcpu *v);
void svm_unload(struct hvm_vcpu *v);

/* regs.c */
u64 svm_get(struct hvm_vcpu *v, enum hvm_reg reg);
void svm_set(struct hvm_vcpu *v, enum hvm_reg reg, u64 value);
void svm_get_mode(struct hvm_vcpu *v, struct x86_mode *out);
void svm_get_seg(struct hvm_vcpu *v, enum seg s, struct x86_seg *out);
void svm_set_seg(struct hvm_vcpu *v, enum seg s, const struct x86_seg *in);
void svm_get_table(struct hvm_vcpu *v, bool idt, struct x86_table *out);
void svm_set_table(struct hvm_vcpu *v, bool idt, const struct x86_table *in);

/* event.c */
void svm_advance(struct hvm_vcpu *v, unsigned len);
void svm_inject(struct hvm_vcpu *v, const struct hvm_event *e);
bool svm_can_take_intr(struct hvm_vcpu *v);
bool svm_can_take_nmi(struct hvm_vcpu *v);
void svm_window(struct hvm_vcpu *v, bool intr, bool nmi);
void svm_intercept_exceptions(struct hvm_vcpu *v, u32 mask);
void svm_intercept_dr(struct hvm_vcpu *v, bool on);
bool svm_nmi_blocked(struct svm_vcpu *v);
void svm_block_nmi(struct svm_vcpu *v, bool block);
/* What v->attention asks for, right before an entry. */
void svm_attend(struct svm_vcpu *v);
/* After an exit with v->stepping: ends the step. True if it was the step that made the exit. */
bool svm_end_step(struct svm_vcpu *v);
/* The guest is about to execute the IRET that ends NMI blocking. */
void svm_on_iret(struct svm_vcpu *v);
/* Fills exit->vectoring from a valid exit_event. */
void svm_read_vectoring(struct svm_vcpu *v, struct hvm_exit *exit);

/* apic.c */
void svm_apic_mode(struct hvm_vcpu *v, enum hvm_apic_mode mode);
void svm_apic_update(struct hvm_vcpu *v, int request, int service, unsigned threshold);
/* The guest uses CR8: it may do so without an exit for a while, ATTEND_TPR. */
void svm_lend_tpr(struct svm_vcpu *v);
/* Before each entry, after each exit then. */
void svm_put_tpr(struct svm_vcpu *v);
void svm_take_tpr(struct svm_vcpu *v);

/* run.c */
void svm_flush(struct hvm_vcpu *v);
void svm_run(struct hvm_vcpu *v);
struct hvm_exit *svm_after_exit(struct svm_vcpu *v);

/* check.c: why VMRUN refused; the text stays valid until the next failure. */
const char *svm_bad_state(struct svm_vcpu *v, u64 event);
void svm_dump(struct hvm_vcpu *v);

#endif
