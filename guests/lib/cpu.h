/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The processor from a guest's side: one inline function an instruction, for 32-bit and 64-bit
 * code. `ulong` is a general register's width. The _safe and trapping forms are in trap.h.
 */
#ifndef GUESTS_LIB_CPU_H
#define GUESTS_LIB_CPU_H

#include "lib/types.h"
#include "lib/x86.h"

typedef unsigned long ulong;

#define GUEST_BITS (sizeof(ulong) * 8)

#define CPU_IN(width, type, suffix)                                                                \
    static inline type in##width(u16 port)                                                         \
    {                                                                                              \
        type value;                                                                                \
        asm volatile("in" suffix " %1, %0" : "=a"(value) : "Nd"(port) : "memory");                 \
        return value;                                                                              \
    }                                                                                              \
    static inline void out##width(u16 port, type value)                                            \
    {                                                                                              \
        asm volatile("out" suffix " %0, %1" : : "a"(value), "Nd"(port) : "memory");                \
    }

CPU_IN(8, u8, "b")
CPU_IN(16, u16, "w")
CPU_IN(32, u32, "l")
#undef CPU_IN

#define CPU_REG(name, reg)                                                                         \
    static inline ulong name##_read(void)                                                          \
    {                                                                                              \
        ulong value;                                                                               \
        asm volatile("mov %%" reg ", %0" : "=r"(value) : : "memory");                              \
        return value;                                                                              \
    }                                                                                              \
    static inline void name##_write(ulong value)                                                   \
    {                                                                                              \
        asm volatile("mov %0, %%" reg : : "r"(value) : "memory");                                  \
    }

CPU_REG(cr0, "cr0")
CPU_REG(cr2, "cr2")
CPU_REG(cr3, "cr3")
CPU_REG(cr4, "cr4")
CPU_REG(dr0, "dr0")
CPU_REG(dr1, "dr1")
CPU_REG(dr2, "dr2")
CPU_REG(dr3, "dr3")
CPU_REG(dr6, "dr6")
CPU_REG(dr7, "dr7")
#undef CPU_REG

static inline u64 rdmsr(u32 msr)
{
    u32 lo, hi;

    asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
    return ((u64)hi << 32) | lo;
}

static inline void wrmsr(u32 msr, u64 value)
{
    asm volatile("wrmsr" : : "c"(msr), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

static inline u64 rdtsc(void)
{
    u32 lo, hi;

    asm volatile("rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
    return ((u64)hi << 32) | lo;
}

struct cpuid {
    u32 eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(u32 leaf, u32 subleaf)
{
    struct cpuid r;

    asm volatile("cpuid"
                 : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
                 : "0"(leaf), "2"(subleaf)
                 : "memory");
    return r;
}

static inline u64 xgetbv(u32 reg)
{
    u32 lo, hi;

    asm volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(reg) : "memory");
    return ((u64)hi << 32) | lo;
}

static inline ulong flags_read(void)
{
    ulong flags;

    asm volatile("pushf; pop %0" : "=r"(flags) : : "memory");
    return flags;
}

static inline void flags_write(ulong flags)
{
    asm volatile("push %0; popf" : : "r"(flags) : "memory", "cc");
}

static inline void cpu_cli(void)
{
    asm volatile("cli" : : : "memory");
}

static inline void cpu_sti(void)
{
    asm volatile("sti" : : : "memory");
}

static inline void cpu_hlt(void)
{
    asm volatile("hlt" : : : "memory");
}

/* STI and HLT with nothing between them: an interrupt that is due wakes the HLT. */
static inline void cpu_sti_hlt(void)
{
    asm volatile("sti; hlt" : : : "memory");
}

static inline void cpu_pause(void)
{
    asm volatile("pause" : : : "memory");
}

static inline void cpu_invlpg(const void *p)
{
    asm volatile("invlpg (%0)" : : "r"(p) : "memory");
}

static inline void cpu_lidt(const void *pointer)
{
    asm volatile("lidt (%0)" : : "r"(pointer) : "memory");
}

static inline void cpu_lgdt(const void *pointer)
{
    asm volatile("lgdt (%0)" : : "r"(pointer) : "memory");
}

static inline void cpu_ltr(u16 sel)
{
    asm volatile("ltr %0" : : "r"(sel) : "memory");
}

static inline u16 cpu_str(void)
{
    u16 sel;

    asm volatile("str %0" : "=r"(sel));
    return sel;
}

static inline u32 mmio_read32(ulong addr)
{
    u32 value;

    asm volatile("movl (%1), %0" : "=r"(value) : "r"(addr) : "memory");
    return value;
}

static inline void mmio_write32(ulong addr, u32 value)
{
    asm volatile("movl %0, (%1)" : : "r"(value), "r"(addr) : "memory");
}

/* CPUID feature tests. */
static inline bool cpu_has_leaf(u32 leaf)
{
    return cpuid(leaf & 0xffff0000u, 0).eax >= leaf;
}

static inline bool cpu_has_1_ecx(unsigned bit)
{
    return cpuid(1, 0).ecx >> bit & 1;
}

static inline bool cpu_has_1_edx(unsigned bit)
{
    return cpuid(1, 0).edx >> bit & 1;
}

static inline bool cpu_has_7_ebx(unsigned bit)
{
    return cpu_has_leaf(7) && (cpuid(7, 0).ebx >> bit & 1);
}

static inline bool cpu_has_7_ecx(unsigned bit)
{
    return cpu_has_leaf(7) && (cpuid(7, 0).ecx >> bit & 1);
}

static inline bool cpu_has_ext_ecx(unsigned bit)
{
    return cpu_has_leaf(0x80000001) && (cpuid(0x80000001, 0).ecx >> bit & 1);
}

static inline bool cpu_has_ext_edx(unsigned bit)
{
    return cpu_has_leaf(0x80000001) && (cpuid(0x80000001, 0).edx >> bit & 1);
}

/* Bits of CPUID leaf 1. */
#define CPUID1_ECX_MONITOR      3
#define CPUID1_ECX_VMX          5
#define CPUID1_ECX_SMX          6
#define CPUID1_ECX_CX16         13
#define CPUID1_ECX_PCID         17
#define CPUID1_ECX_X2APIC       21
#define CPUID1_ECX_TSC_DEADLINE 24
#define CPUID1_ECX_XSAVE        26
#define CPUID1_ECX_OSXSAVE      27
#define CPUID1_ECX_HYPERVISOR   31
#define CPUID1_EDX_FPU          0
#define CPUID1_EDX_PSE          3
#define CPUID1_EDX_TSC          4
#define CPUID1_EDX_MSR          5
#define CPUID1_EDX_PAE          6
#define CPUID1_EDX_APIC         9
#define CPUID1_EDX_MTRR         12
#define CPUID1_EDX_PGE          13
#define CPUID1_EDX_PAT          16
#define CPUIDX_ECX_SVM          2
#define CPUIDX_EDX_SYSCALL      11
#define CPUIDX_EDX_NX           20
#define CPUIDX_EDX_LM           29

#endif
