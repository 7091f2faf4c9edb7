/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The architecture's own definitions, written once: control-register bits, exception vectors,
 * MSR numbers, segment registers. Intel SDM volumes 3 and 4; AMD APM volume 2. Pure data, used
 * by the hypervisor for the real processor, and by the emulator and loaders for guests.
 */
#ifndef LIB_X86_H
#define LIB_X86_H

#include "lib/types.h"

/* General registers in the encoding order of ModRM (SDM 2, 2.1.5). */
enum gpr {
    RAX,
    RCX,
    RDX,
    RBX,
    RSP,
    RBP,
    RSI,
    RDI,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
    GPR_COUNT
};

/* Segment registers in the encoding order of ModRM.reg, then the two system ones. */
enum seg { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDTR, SEG_TR, SEG_COUNT };

/* RFLAGS (SDM 1, 3.4.3). */
#define FLAG_CF    BIT(0)
#define FLAG_FIXED BIT(1) /* always one */
#define FLAG_PF    BIT(2)
#define FLAG_AF    BIT(4)
#define FLAG_ZF    BIT(6)
#define FLAG_SF    BIT(7)
#define FLAG_TF    BIT(8)
#define FLAG_IF    BIT(9)
#define FLAG_DF    BIT(10)
#define FLAG_OF    BIT(11)
#define FLAG_IOPL  (BIT(12) | BIT(13))
#define FLAG_NT    BIT(14)
#define FLAG_RF    BIT(16)
#define FLAG_VM    BIT(17)
#define FLAG_AC    BIT(18)
#define FLAG_VIF   BIT(19)
#define FLAG_VIP   BIT(20)
#define FLAG_ID    BIT(21)

/* Control registers (SDM 3, 2.5). */
#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_AM BIT(18)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)

#define CR3_NO_FLUSH BIT(63) /* in what MOV to CR3 writes, with PCIDE */

#define CR4_VME        BIT(0)
#define CR4_PVI        BIT(1)
#define CR4_TSD        BIT(2)
#define CR4_DE         BIT(3)
#define CR4_PSE        BIT(4)
#define CR4_PAE        BIT(5)
#define CR4_MCE        BIT(6)
#define CR4_PGE        BIT(7)
#define CR4_PCE        BIT(8)
#define CR4_OSFXSR     BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_UMIP       BIT(11)
#define CR4_LA57       BIT(12)
#define CR4_VMXE       BIT(13)
#define CR4_SMXE       BIT(14)
#define CR4_FSGSBASE   BIT(16)
#define CR4_PCIDE      BIT(17)
#define CR4_OSXSAVE    BIT(18)
#define CR4_SMEP       BIT(20)
#define CR4_SMAP       BIT(21)
#define CR4_PKE        BIT(22)
#define CR4_CET        BIT(23)
#define CR4_PKS        BIT(24)

/* Debug registers (SDM 3, 17.2), and IA32_DEBUGCTL: single steps stop at branches alone. */
#define DR6_BP       0xfull  /* breakpoints, a bit each */
#define DR6_BD       BIT(13) /* general detect */
#define DR6_BS       BIT(14) /* single step */
#define DR6_BT       BIT(15) /* task switch */
#define DR6_RESET    0xffff0ff0u
#define DR7_ENABLED  0xffull
#define DR7_GD       BIT(13)
#define DR7_RESET    0x400u
#define DEBUGCTL_BTF BIT(1)

#define EFER_SCE   BIT(0)
#define EFER_LME   BIT(8)
#define EFER_LMA   BIT(10)
#define EFER_NXE   BIT(11)
#define EFER_SVME  BIT(12)
#define EFER_FFXSR BIT(14)

#define XCR0_X87 BIT(0)
#define XCR0_SSE BIT(1)
#define XCR0_AVX BIT(2)

/* Exceptions (SDM 3, 6.15). */
enum exception {
    EXC_DE = 0,
    EXC_DB = 1,
    EXC_NMI = 2,
    EXC_BP = 3,
    EXC_OF = 4,
    EXC_BR = 5,
    EXC_UD = 6,
    EXC_NM = 7,
    EXC_DF = 8,
    EXC_TS = 10,
    EXC_NP = 11,
    EXC_SS = 12,
    EXC_GP = 13,
    EXC_PF = 14,
    EXC_MF = 16,
    EXC_AC = 17,
    EXC_MC = 18,
    EXC_XM = 19,
    EXC_VE = 20,
    EXC_CP = 21
};

/* Page-fault error code (SDM 3, 4.7). */
#define PF_P    BIT(0) /* protection, not absence */
#define PF_W    BIT(1)
#define PF_U    BIT(2)
#define PF_RSVD BIT(3)
#define PF_I    BIT(4)
#define PF_PK   BIT(5)

/*
 * Segment attributes, one encoding everywhere: bits 0-3 type, 4 S, 5-6 DPL, 7 P, 12 AVL, 13 L,
 * 14 D/B, 15 G, 16 unusable: the VMX access-rights layout (SDM 3, 24.4.1).
 */
#define SEG_TYPE_MASK 0xfu
#define SEG_TYPE_ACC  0x1u /* accessed (code, data) */
#define SEG_TYPE_W    0x2u /* writable (data); readable (code) */
#define SEG_TYPE_E    0x4u /* expand-down (data); conforming (code) */
#define SEG_TYPE_CODE 0x8u
#define SEG_S         0x10u
#define SEG_DPL_SHIFT 5
#define SEG_DPL_MASK  0x60u
#define SEG_P         0x80u
#define SEG_AVL       0x1000u
#define SEG_L         0x2000u
#define SEG_DB        0x4000u
#define SEG_G         0x8000u
#define SEG_UNUSABLE  0x10000u

/* A segment register with its hidden part. limit is in bytes, granularity already applied. */
struct x86_seg {
    u16 sel;
    u32 attr;
    u32 limit;
    u64 base;
};

/* GDTR or IDTR. */
struct x86_table {
    u64 base;
    u16 limit;
};

/* How much of a guest's local APIC the processor does by itself: apic= on skep's command line. */
enum apic_help {
    APIC_EMULATE, /* nothing: each access leaves the guest */
    APIC_SHADOW,  /* the task priority: CR8, and TPR as a register */
    APIC_VIRTUAL, /* reads, ends of interrupts, self-IPIs, and delivery */
};

/* What fetching code depends on. attr and cpl as in struct x86_seg. */
struct x86_mode {
    u64 cr3, cr4, efer;
    union {
        struct {
            u32 cs_attr;
            u32 cpl;
        };
        u64 cs; /* both, for comparisons */
    };
};

/* MSRs (SDM 4; APM 2, appendix A). */
#define MSR_TSC             0x10
#define MSR_PLATFORM_ID     0x17
#define MSR_APIC_BASE       0x1b
#define MSR_FEATURE_CONTROL 0x3a
#define MSR_TSC_ADJUST      0x3b
#define MSR_BIOS_SIGN_ID    0x8b
#define MSR_MTRRCAP         0xfe
#define MSR_SYSENTER_CS     0x174
#define MSR_SYSENTER_ESP    0x175
#define MSR_SYSENTER_EIP    0x176
#define MSR_MCG_CAP         0x179
#define MSR_MCG_STATUS      0x17a
#define MSR_MISC_ENABLE     0x1a0
#define MSR_DEBUGCTL        0x1d9
#define MSR_MTRR_PHYSBASE0  0x200
#define MSR_MTRR_FIX64K     0x250
#define MSR_MTRR_FIX16K_80  0x258
#define MSR_MTRR_FIX16K_A0  0x259
#define MSR_MTRR_FIX4K_C0   0x268
#define MSR_PAT             0x277
#define MSR_MTRR_DEF_TYPE   0x2ff
#define MSR_VMX_BASIC       0x480
#define MSR_TSC_DEADLINE    0x6e0
#define MSR_X2APIC_BASE     0x800
#define MSR_EFER            0xc0000080
#define MSR_STAR            0xc0000081
#define MSR_LSTAR           0xc0000082
#define MSR_CSTAR           0xc0000083
#define MSR_SFMASK          0xc0000084
#define MSR_FS_BASE         0xc0000100
#define MSR_GS_BASE         0xc0000101
#define MSR_KERNEL_GS_BASE  0xc0000102
#define MSR_TSC_AUX         0xc0000103
#define MSR_AMD_TSC_RATIO   0xc0000104 /* 8.32 */
#define MSR_AMD_SYSCFG      0xc0010010
#define MSR_AMD_HWCR        0xc0010015
#define MSR_AMD_VM_CR       0xc0010114
#define MSR_AMD_HSAVE_PA    0xc0010117

#define PAT_RESET 0x0007040600070406ull

#define APIC_BASE_BSP    BIT(8)
#define APIC_BASE_X2APIC BIT(10)
#define APIC_BASE_ENABLE BIT(11)

#endif
