/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VMCS as the manual lays it down: field encodings (SDM 3, appendix B), control bits (24.6 to
 * 24.8), exit reasons (appendix C), and one inline function an instruction. Everything works on
 * the VMCS that is current on this CPU.
 */
#ifndef ARCH_X86_64_VMX_VMCS_H
#define ARCH_X86_64_VMX_VMCS_H

#include "lib/assert.h"
#include "lib/types.h"

/* Per segment register, in the order of enum seg: the fields are two apart. */
#define VMCS_SEG_STEP 2

enum vmcs_field {
    VMCS_VPID = 0x0000,
    VMCS_GUEST_SEL = 0x0800, /* + VMCS_SEG_STEP * enum seg */
    VMCS_GUEST_INTR_STATUS = 0x0810,
    VMCS_GUEST_PML_INDEX = 0x0812,
    VMCS_HOST_ES_SEL = 0x0c00,
    VMCS_HOST_CS_SEL = 0x0c02,
    VMCS_HOST_SS_SEL = 0x0c04,
    VMCS_HOST_DS_SEL = 0x0c06,
    VMCS_HOST_FS_SEL = 0x0c08,
    VMCS_HOST_GS_SEL = 0x0c0a,
    VMCS_HOST_TR_SEL = 0x0c0c,

    VMCS_MSR_BITMAP = 0x2004,
    VMCS_PML_ADDRESS = 0x200e,
    VMCS_TSC_OFFSET = 0x2010,
    VMCS_TSC_MULTIPLIER = 0x2032, /* 16.48 */
    VMCS_APIC_PAGE = 0x2012,
    VMCS_APIC_ACCESS = 0x2014,
    VMCS_EPTP = 0x201a,
    VMCS_EOI_EXIT_BITMAP = 0x201c, /* four, two apart */
    VMCS_ENCLS_EXIT_BITMAP = 0x202e,
    VMCS_GUEST_PHYSICAL = 0x2400,
    VMCS_LINK = 0x2800,
    VMCS_GUEST_DEBUGCTL = 0x2802,
    VMCS_GUEST_PAT = 0x2804,
    VMCS_GUEST_EFER = 0x2806,
    VMCS_GUEST_PDPTE0 = 0x280a,
    VMCS_GUEST_PDPTE1 = 0x280c,
    VMCS_GUEST_PDPTE2 = 0x280e,
    VMCS_GUEST_PDPTE3 = 0x2810,
    VMCS_HOST_PAT = 0x2c00,
    VMCS_HOST_EFER = 0x2c02,

    VMCS_PIN_CTLS = 0x4000,
    VMCS_PROC_CTLS = 0x4002,
    VMCS_EXCEPTION_BITMAP = 0x4004,
    VMCS_PF_ERROR_MASK = 0x4006,
    VMCS_PF_ERROR_MATCH = 0x4008,
    VMCS_CR3_TARGETS = 0x400a,
    VMCS_EXIT_CTLS = 0x400c,
    VMCS_EXIT_MSR_STORES = 0x400e,
    VMCS_EXIT_MSR_LOADS = 0x4010,
    VMCS_ENTRY_CTLS = 0x4012,
    VMCS_ENTRY_MSR_LOADS = 0x4014,
    VMCS_ENTRY_INTR_INFO = 0x4016,
    VMCS_ENTRY_ERROR = 0x4018,
    VMCS_ENTRY_INSN_LEN = 0x401a,
    VMCS_TPR_THRESHOLD = 0x401c,
    VMCS_PROC2_CTLS = 0x401e,
    VMCS_PLE_GAP = 0x4020,
    VMCS_PLE_WINDOW = 0x4022,
    VMCS_INSN_ERROR = 0x4400,
    VMCS_EXIT_REASON = 0x4402,
    VMCS_EXIT_INTR_INFO = 0x4404,
    VMCS_EXIT_INTR_ERROR = 0x4406,
    VMCS_VECTORING_INFO = 0x4408,
    VMCS_VECTORING_ERROR = 0x440a,
    VMCS_EXIT_INSN_LEN = 0x440c,
    VMCS_GUEST_LIMIT = 0x4800, /* + VMCS_SEG_STEP * enum seg */
    VMCS_GUEST_GDTR_LIMIT = 0x4810,
    VMCS_GUEST_IDTR_LIMIT = 0x4812,
    VMCS_GUEST_RIGHTS = 0x4814, /* + VMCS_SEG_STEP * enum seg */
    VMCS_GUEST_INTERRUPTIBILITY = 0x4824,
    VMCS_GUEST_ACTIVITY = 0x4826,
    VMCS_GUEST_SYSENTER_CS = 0x482a,
    VMCS_TIMER = 0x482e,
    VMCS_HOST_SYSENTER_CS = 0x4c00,

    VMCS_CR0_MASK = 0x6000,
    VMCS_CR4_MASK = 0x6002,
    VMCS_CR0_SHADOW = 0x6004,
    VMCS_CR4_SHADOW = 0x6006,
    VMCS_QUALIFICATION = 0x6400,
    VMCS_GUEST_LINEAR = 0x640a,
    VMCS_GUEST_CR0 = 0x6800,
    VMCS_GUEST_CR3 = 0x6802,
    VMCS_GUEST_CR4 = 0x6804,
    VMCS_GUEST_BASE = 0x6806, /* + VMCS_SEG_STEP * enum seg */
    VMCS_GUEST_GDTR_BASE = 0x6816,
    VMCS_GUEST_IDTR_BASE = 0x6818,
    VMCS_GUEST_DR7 = 0x681a,
    VMCS_GUEST_RSP = 0x681c,
    VMCS_GUEST_RIP = 0x681e,
    VMCS_GUEST_RFLAGS = 0x6820,
    VMCS_GUEST_PENDING_DEBUG = 0x6822,
    VMCS_GUEST_SYSENTER_ESP = 0x6824,
    VMCS_GUEST_SYSENTER_EIP = 0x6826,
    VMCS_HOST_CR0 = 0x6c00,
    VMCS_HOST_CR3 = 0x6c02,
    VMCS_HOST_CR4 = 0x6c04,
    VMCS_HOST_FS_BASE = 0x6c06,
    VMCS_HOST_GS_BASE = 0x6c08,
    VMCS_HOST_TR_BASE = 0x6c0a,
    VMCS_HOST_GDTR_BASE = 0x6c0c,
    VMCS_HOST_IDTR_BASE = 0x6c0e,
    VMCS_HOST_SYSENTER_ESP = 0x6c10,
    VMCS_HOST_SYSENTER_EIP = 0x6c12,
    VMCS_HOST_RSP = 0x6c14,
    VMCS_HOST_RIP = 0x6c16,
};

/* Pin-based controls. */
#define PIN_INTR_EXIT   BIT(0)
#define PIN_NMI_EXIT    BIT(3)
#define PIN_VIRTUAL_NMI BIT(5)
#define PIN_TIMER       BIT(6)

/* Primary processor-based controls. */
#define PROC_INTR_WINDOW BIT(2)
#define PROC_TSC_OFFSET  BIT(3)
#define PROC_HLT         BIT(7)
#define PROC_MWAIT       BIT(10)
#define PROC_RDPMC       BIT(11)
#define PROC_CR3_LOAD    BIT(15)
#define PROC_CR3_STORE   BIT(16)
#define PROC_CR8_LOAD    BIT(19)
#define PROC_CR8_STORE   BIT(20)
#define PROC_TPR_SHADOW  BIT(21)
#define PROC_NMI_WINDOW  BIT(22)
#define PROC_MOV_DR      BIT(23)
#define PROC_IO          BIT(24)
#define PROC_MSR_BITMAP  BIT(28)
#define PROC_MONITOR     BIT(29)
#define PROC_SECONDARY   BIT(31)

/* Secondary processor-based controls. */
#define PROC2_APIC_ACCESS  BIT(0)
#define PROC2_EPT          BIT(1)
#define PROC2_RDTSCP       BIT(3)
#define PROC2_X2APIC       BIT(4)
#define PROC2_VPID         BIT(5)
#define PROC2_WBINVD       BIT(6)
#define PROC2_UNRESTRICTED BIT(7)
#define PROC2_APIC_REGS    BIT(8)
#define PROC2_INTR_DELIVER BIT(9)
#define PROC2_PLE          BIT(10)
#define PROC2_INVPCID      BIT(12)
#define PROC2_ENCLS        BIT(15)
#define PROC2_PML          BIT(17)
#define PROC2_TSC_SCALING  BIT(25)

/* Exit controls. */
#define EXIT_SAVE_DEBUG BIT(2)
#define EXIT_HOST_64    BIT(9)
#define EXIT_SAVE_PAT   BIT(18)
#define EXIT_LOAD_PAT   BIT(19)
#define EXIT_SAVE_EFER  BIT(20)
#define EXIT_LOAD_EFER  BIT(21)

/* Entry controls. */
#define ENTRY_LOAD_DEBUG BIT(2)
#define ENTRY_IA32E      BIT(9)
#define ENTRY_LOAD_PAT   BIT(14)
#define ENTRY_LOAD_EFER  BIT(15)

/* Interruption information, the same in its three fields (SDM 3, 24.8.3 and 24.9.2). */
#define INTR_VECTOR      0xffu
#define INTR_TYPE_SHIFT  8
#define INTR_TYPE(info)  ((info) >> INTR_TYPE_SHIFT & 7)
#define INTR_ERROR       BIT(11)
#define INTR_NMI_UNBLOCK BIT(12) /* exit information only: IRET had ended NMI blocking */
#define INTR_VALID       BIT(31)

enum intr_type {
    INTR_TYPE_EXTERNAL = 0,
    INTR_TYPE_NMI = 2,
    INTR_TYPE_EXCEPTION = 3,
    INTR_TYPE_SOFT_INTR = 4,
    INTR_TYPE_ICEBP = 5,
    INTR_TYPE_SOFT_EXCEPTION = 6,
};

/* Interruptibility (24.4.2); the low two are the shadow. */
#define BLOCKED_STI    BIT(0)
#define BLOCKED_MOV_SS BIT(1)
#define BLOCKED_NMI    BIT(3)
#define BLOCKED_SHADOW (BLOCKED_STI | BLOCKED_MOV_SS)

#define PENDING_DEBUG_BS BIT(14)

/* Exit reasons (appendix C). Bit 31: the entry failed. */
#define EXIT_REASON_FAILED BIT(31)

enum vmx_reason {
    VMX_EXCEPTION = 0,
    VMX_INTR = 1,
    VMX_TRIPLE_FAULT = 2,
    VMX_INIT = 3,
    VMX_SIPI = 4,
    VMX_IO_SMI = 5,
    VMX_SMI = 6,
    VMX_INTR_WINDOW = 7,
    VMX_NMI_WINDOW = 8,
    VMX_TASK_SWITCH = 9,
    VMX_CPUID = 10,
    VMX_GETSEC = 11,
    VMX_HLT = 12,
    VMX_INVD = 13,
    VMX_INVLPG = 14,
    VMX_RDPMC = 15,
    VMX_RDTSC = 16,
    VMX_RSM = 17,
    VMX_VMCALL = 18,
    VMX_VMXON = 27,
    VMX_CR = 28,
    VMX_DR = 29,
    VMX_IO = 30,
    VMX_RDMSR = 31,
    VMX_WRMSR = 32,
    VMX_BAD_STATE = 33,
    VMX_BAD_MSR = 34,
    VMX_MWAIT = 36,
    VMX_MTF = 37,
    VMX_MONITOR = 39,
    VMX_PAUSE = 40,
    VMX_MACHINE_CHECK = 41,
    VMX_TPR_THRESHOLD = 43,
    VMX_APIC_ACCESS = 44,
    VMX_APIC_EOI = 45,
    VMX_GDTR_IDTR = 46,
    VMX_LDTR_TR = 47,
    VMX_EPT_VIOLATION = 48,
    VMX_EPT_MISCONFIG = 49,
    VMX_INVEPT = 50,
    VMX_RDTSCP = 51,
    VMX_TIMER = 52,
    VMX_INVVPID = 53,
    VMX_WBINVD = 54,
    VMX_XSETBV = 55,
    VMX_APIC_WRITE = 56,
    VMX_INVPCID = 58,
    VMX_VMFUNC = 59,
    VMX_ENCLS = 60,
    VMX_PML_FULL = 62,
    VMX_XSAVES = 63,
    VMX_XRSTORS = 64,
    VMX_ENCLV = 70,
    VMX_REASON_COUNT = 80,
};

/* Qualification of an EPT violation (27.2.1, table 27-7). */
#define EPT_QUAL_ACCESS      7ull /* read, write, fetch: NESTED_R, NESTED_W, NESTED_X */
#define EPT_QUAL_GLA_VALID   BIT(7)
#define EPT_QUAL_TRANSLATED  BIT(8) /* not the guest's page walk but what it led to */
#define EPT_QUAL_NMI_UNBLOCK BIT(12)

/* EPT pointer (24.6.11). */
#define EPTP_UC     0ull
#define EPTP_WB     6ull
#define EPTP_WALK_4 (3ull << 3)
#define EPTP_AD     BIT(6)

/* Capability MSRs (appendix A). */
#define MSR_VMX_PIN        0x481
#define MSR_VMX_PROC       0x482
#define MSR_VMX_EXIT       0x483
#define MSR_VMX_ENTRY      0x484
#define MSR_VMX_MISC       0x485
#define MSR_VMX_CR0_FIXED0 0x486
#define MSR_VMX_CR0_FIXED1 0x487
#define MSR_VMX_CR4_FIXED0 0x488
#define MSR_VMX_CR4_FIXED1 0x489
#define MSR_VMX_PROC2      0x48b
#define MSR_VMX_EPT_VPID   0x48c
#define MSR_VMX_TRUE_PIN   0x48d
#define MSR_VMX_TRUE_PROC  0x48e
#define MSR_VMX_TRUE_EXIT  0x48f
#define MSR_VMX_TRUE_ENTRY 0x490

#define BASIC_REVISION    0x7fffffffu
#define BASIC_SIZE(basic) ((basic) >> 32 & 0x1fff)
#define BASIC_32BIT       BIT(48) /* structures must lie below 4 GiB */
#define BASIC_TRUE_CTLS   BIT(55)

#define EPT_EXEC_ONLY   BIT(0)
#define EPT_WALK_4      BIT(6)
#define EPT_WB          BIT(14)
#define EPT_2M          BIT(16)
#define EPT_1G          BIT(17)
#define EPT_INVEPT      BIT(20)
#define EPT_AD          BIT(21)
#define EPT_INVEPT_ONE  BIT(25)
#define EPT_INVEPT_ALL  BIT(26)
#define EPT_INVVPID     BIT(32)
#define EPT_INVVPID_ONE BIT(41)
#define EPT_INVVPID_ALL BIT(42)

#define FEATURE_LOCKED      BIT(0)
#define FEATURE_VMX_OUTSIDE BIT(2) /* VMXON outside SMX */

/* Types of INVEPT and INVVPID that are used. */
enum { INV_ONE = 1, INV_ALL = 2 };

static ALWAYS_INLINE u64 vmread(unsigned field)
{
    u64 value;
    bool bad;

    __asm__ volatile("vmread %2, %0" : "=r"(value), "=@ccbe"(bad) : "r"((u64)field));
    if (CHECKED)
        ASSERT(!bad);
    return value;
}

static ALWAYS_INLINE void vmwrite(unsigned field, u64 value)
{
    bool bad;

    __asm__ volatile("vmwrite %1, %2" : "=@ccbe"(bad) : "r"(value), "r"((u64)field));
    if (CHECKED)
        ASSERT(!bad);
}

/* The next ones: false when the instruction fails (a broken invariant for all but VMXON). */
static inline bool vmx_on(hpa_t region)
{
    bool bad;

    __asm__ volatile("vmxon %1" : "=@ccbe"(bad) : "m"(region) : "memory");
    return !bad;
}

static inline bool vmx_clear(hpa_t vmcs)
{
    bool bad;

    __asm__ volatile("vmclear %1" : "=@ccbe"(bad) : "m"(vmcs) : "memory");
    return !bad;
}

static inline bool vmx_ptrld(hpa_t vmcs)
{
    bool bad;

    __asm__ volatile("vmptrld %1" : "=@ccbe"(bad) : "m"(vmcs) : "memory");
    return !bad;
}

static inline bool vmx_invept(u64 type, u64 eptp)
{
    struct {
        u64 eptp, reserved;
    } d = {eptp, 0};
    bool bad;

    __asm__ volatile("invept %1, %2" : "=@ccbe"(bad) : "m"(d), "r"(type) : "memory");
    return !bad;
}

static inline bool vmx_invvpid(u64 type, u16 vpid)
{
    struct {
        u64 vpid, gla;
    } d = {vpid, 0};
    bool bad;

    __asm__ volatile("invvpid %1, %2" : "=@ccbe"(bad) : "m"(d), "r"(type) : "memory");
    return !bad;
}

#endif
