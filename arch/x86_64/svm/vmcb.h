/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VMCB as the manual lays it down (APM 2, appendix B), its bits (15.5 to 15.25), exit codes
 * (appendix C), and one inline function an instruction.
 */
#ifndef ARCH_X86_64_SVM_VMCB_H
#define ARCH_X86_64_SVM_VMCB_H

#include "lib/types.h"

struct vmcb_seg {
    u16 sel, attr;
    u32 limit;
    u64 base;
};
ASSERT_SIZE(struct vmcb_seg, 16);

struct vmcb {
    /* Control area. */
    u16 cr_read, cr_write; /* intercepts, a bit a register */
    u16 dr_read, dr_write;
    u32 exceptions;
    u32 intercept1; /* INTERCEPT1_* */
    u32 intercept2; /* INTERCEPT2_* */
    u32 intercept3;
    u8 reserved1[0x24];
    u16 pause_threshold;
    u16 pause_count;
    u64 iopm;
    u64 msrpm;
    u64 tsc_offset;
    u32 asid;
    u32 tlb_control; /* TLB_* */
    u64 virq;        /* VIRQ_* */
    u64 shadow;      /* SHADOW_* */
    u64 exit_code;
    u64 exit_info1;
    u64 exit_info2;
    u64 exit_event; /* EVENT_*: whose delivery the exit interrupted */
    u64 nested;     /* NESTED_ENABLE */
    u8 reserved2[0x10];
    u64 event; /* EVENT_*: to be injected */
    u64 nested_root;
    u64 lbr; /* LBR_* */
    u32 clean;
    u32 reserved3;
    u64 next_rip;
    u8 bytes_count;
    u8 bytes[15];
    u8 reserved4[0x320];

    /* Save area. */
    struct vmcb_seg es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
    u8 reserved5[0x2b];
    u8 cpl;
    u32 reserved6;
    u64 efer;
    u8 reserved7[0x70];
    u64 cr4, cr3, cr0, dr7, dr6, rflags, rip;
    u8 reserved8[0x58];
    u64 rsp;
    u64 s_cet, ssp, isst;
    u64 rax;
    u64 star, lstar, cstar, sfmask, kernel_gs_base;
    u64 sysenter_cs, sysenter_esp, sysenter_eip;
    u64 cr2;
    u8 reserved9[0x20];
    u64 pat;
    u64 debugctl;
    u64 br_from, br_to, exc_from, exc_to;
    u8 reserved10[0x968];
};
ASSERT_OFFSET(struct vmcb, exceptions, 0x008);
ASSERT_OFFSET(struct vmcb, intercept1, 0x00c);
ASSERT_OFFSET(struct vmcb, pause_threshold, 0x03c);
ASSERT_OFFSET(struct vmcb, iopm, 0x040);
ASSERT_OFFSET(struct vmcb, asid, 0x058);
ASSERT_OFFSET(struct vmcb, tlb_control, 0x05c);
ASSERT_OFFSET(struct vmcb, virq, 0x060);
ASSERT_OFFSET(struct vmcb, exit_code, 0x070);
ASSERT_OFFSET(struct vmcb, exit_event, 0x088);
ASSERT_OFFSET(struct vmcb, nested, 0x090);
ASSERT_OFFSET(struct vmcb, event, 0x0a8);
ASSERT_OFFSET(struct vmcb, nested_root, 0x0b0);
ASSERT_OFFSET(struct vmcb, clean, 0x0c0);
ASSERT_OFFSET(struct vmcb, next_rip, 0x0c8);
ASSERT_OFFSET(struct vmcb, bytes_count, 0x0d0);
ASSERT_OFFSET(struct vmcb, es, 0x400);
ASSERT_OFFSET(struct vmcb, tr, 0x490);
ASSERT_OFFSET(struct vmcb, cpl, 0x4cb);
ASSERT_OFFSET(struct vmcb, efer, 0x4d0);
ASSERT_OFFSET(struct vmcb, cr4, 0x548);
ASSERT_OFFSET(struct vmcb, rip, 0x578);
ASSERT_OFFSET(struct vmcb, rsp, 0x5d8);
ASSERT_OFFSET(struct vmcb, rax, 0x5f8);
ASSERT_OFFSET(struct vmcb, star, 0x600);
ASSERT_OFFSET(struct vmcb, sysenter_cs, 0x628);
ASSERT_OFFSET(struct vmcb, cr2, 0x640);
ASSERT_OFFSET(struct vmcb, pat, 0x668);
ASSERT_OFFSET(struct vmcb, exc_to, 0x690);
ASSERT_SIZE(struct vmcb, 4096);

#define INTERCEPT1_INTR        BIT(0)
#define INTERCEPT1_NMI         BIT(1)
#define INTERCEPT1_INIT        BIT(3)
#define INTERCEPT1_VINTR       BIT(4)
#define INTERCEPT1_CR0_BITS    BIT(5) /* writes of CR0 that change more than TS and MP */
#define INTERCEPT1_RDPMC       BIT(15)
#define INTERCEPT1_CPUID       BIT(18)
#define INTERCEPT1_RSM         BIT(19)
#define INTERCEPT1_IRET        BIT(20)
#define INTERCEPT1_INVD        BIT(22)
#define INTERCEPT1_PAUSE       BIT(23)
#define INTERCEPT1_HLT         BIT(24)
#define INTERCEPT1_INVLPGA     BIT(26)
#define INTERCEPT1_IO          BIT(27)
#define INTERCEPT1_MSR         BIT(28)
#define INTERCEPT1_TASK_SWITCH BIT(29)
#define INTERCEPT1_SHUTDOWN    BIT(31)

#define INTERCEPT2_VMRUN      BIT(0)
#define INTERCEPT2_VMMCALL    BIT(1)
#define INTERCEPT2_VMLOAD     BIT(2)
#define INTERCEPT2_VMSAVE     BIT(3)
#define INTERCEPT2_STGI       BIT(4)
#define INTERCEPT2_CLGI       BIT(5)
#define INTERCEPT2_SKINIT     BIT(6)
#define INTERCEPT2_WBINVD     BIT(9)
#define INTERCEPT2_MONITOR    BIT(10)
#define INTERCEPT2_MWAIT      BIT(11)
#define INTERCEPT2_MWAIT_COND BIT(12)
#define INTERCEPT2_XSETBV     BIT(13)
#define INTERCEPT2_RDPRU      BIT(14)

#define TLB_KEEP      0u
#define TLB_FLUSH_ALL 1u
#define TLB_FLUSH_ONE 3u /* this ASID; with flush-by-ASID only */

#define VIRQ_TPR        0xfull
#define VIRQ_PENDING    BIT(8)
#define VIRQ_PRIO_MAX   (15ull << 16)
#define VIRQ_IGNORE_TPR BIT(20)
#define VIRQ_MASKING    BIT(24) /* RFLAGS.IF of the guest is for virtual interrupts only */

#define SHADOW_INTR   BIT(0)
#define NESTED_ENABLE BIT(0)
#define LBR_ENABLE    BIT(0)

/* What a processor with clean bits need not load again (15.15.3). */
#define CLEAN_INTERCEPTS BIT(0) /* also TSC offset, pause filter */
#define CLEAN_MAPS       BIT(1)
#define CLEAN_ASID       BIT(2)
#define CLEAN_TPR        BIT(3) /* virq */
#define CLEAN_NESTED     BIT(4) /* root and PAT */
#define CLEAN_CR         BIT(5) /* CR0, CR3, CR4, EFER */
#define CLEAN_DR         BIT(6) /* DR6, DR7 */
#define CLEAN_TABLES     BIT(7)
#define CLEAN_SEG        BIT(8) /* CS, DS, SS, ES, CPL */
#define CLEAN_CR2        BIT(9)
#define CLEAN_LBR        BIT(10)
#define CLEAN_ALL        0x7ffu

/* Events, in either direction (15.20). */
#define EVENT_VECTOR      0xffu
#define EVENT_TYPE_SHIFT  8
#define EVENT_TYPE(e)     ((e) >> EVENT_TYPE_SHIFT & 7)
#define EVENT_HAS_ERROR   BIT(11)
#define EVENT_VALID       BIT(31)
#define EVENT_ERROR_SHIFT 32

enum event_type {
    EVENT_TYPE_INTR = 0,
    EVENT_TYPE_NMI = 2,
    EVENT_TYPE_EXCEPTION = 3,
    EVENT_TYPE_SOFT_INTR = 4,
};

/* EXITINFO1 of port instructions (15.10.2). */
#define IOIO_IN     BIT(0)
#define IOIO_STRING BIT(2)
#define IOIO_REP    BIT(3)
#define IOIO_SIZE   4 /* three bits: 1, 2, 4 bytes */

/* EXITINFO1 of nested faults (15.25.6), beside the page-fault error code. */
#define NPF_FINAL BIT(32)
#define NPF_WALK  BIT(33)

/* EXITINFO2 of task switches (15.14.1). */
#define TASK_IRET BIT(36)
#define TASK_JMP  BIT(38)

/* EXITINFO1 of MOV CR with decode assists (15.8.1). */
#define CR_DECODED BIT(63)

enum svm_code {
    SVM_CR_READ = 0x00,  /* + register */
    SVM_CR_WRITE = 0x10, /* + register */
    SVM_DR_READ = 0x20,
    SVM_DR_WRITE = 0x30,
    SVM_EXCEPTION = 0x40, /* + vector */
    SVM_INTR = 0x60,
    SVM_NMI = 0x61,
    SVM_SMI = 0x62,
    SVM_INIT = 0x63,
    SVM_VINTR = 0x64,
    SVM_CR0_BITS = 0x65,
    SVM_TABLE_FIRST = 0x66,
    SVM_TABLE_LAST = 0x6d,
    SVM_RDPMC = 0x6f,
    SVM_CPUID = 0x72,
    SVM_RSM = 0x73,
    SVM_IRET = 0x74,
    SVM_INVD = 0x76,
    SVM_PAUSE = 0x77,
    SVM_HLT = 0x78,
    SVM_INVLPG = 0x79,
    SVM_INVLPGA = 0x7a,
    SVM_IO = 0x7b,
    SVM_MSR = 0x7c,
    SVM_TASK_SWITCH = 0x7d,
    SVM_SHUTDOWN = 0x7f,
    SVM_VMRUN = 0x80,
    SVM_SKINIT = 0x86,
    SVM_RDTSCP = 0x87,
    SVM_WBINVD = 0x89,
    SVM_MONITOR = 0x8a,
    SVM_MWAIT = 0x8b,
    SVM_MWAIT_COND = 0x8c,
    SVM_XSETBV = 0x8d,
    SVM_RDPRU = 0x8e,
    SVM_CODE_COUNT = 0x90,
    SVM_NESTED_FAULT = 0x400,
};
/* VMEXIT_INVALID is all ones, in 32 bits or in 64. */
#define SVM_INVALID 0xffffffffu

/* CPUID 0x8000000a, EDX. */
#define SVM_CPUID_NPT          BIT(0)
#define SVM_CPUID_LBR          BIT(1)
#define SVM_CPUID_NRIP         BIT(3)
#define SVM_CPUID_TSC_RATE     BIT(4)
#define SVM_CPUID_CLEAN        BIT(5)
#define SVM_CPUID_FLUSH_ASID   BIT(6)
#define SVM_CPUID_DECODE       BIT(7)
#define SVM_CPUID_PAUSE_FILTER BIT(10)
#define SVM_CPUID_PAUSE_THRESH BIT(12)

#define VM_CR_LOCK   BIT(3)
#define VM_CR_SVMDIS BIT(4)

static inline void svm_vmsave(hpa_t vmcb)
{
    __asm__ volatile("vmsave %0" : : "a"(vmcb) : "memory");
}

#endif
