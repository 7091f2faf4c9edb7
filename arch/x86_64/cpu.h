/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One inline function a privileged or special instruction (SDM volume 2; APM volume 3). They run
 * on the calling CPU and do what the instruction does; only the _safe ones survive a fault.
 */
#ifndef ARCH_X86_64_CPU_H
#define ARCH_X86_64_CPU_H

#include "lib/types.h"
#include "lib/x86.h"

struct cpuid_regs {
    u32 eax, ebx, ecx, edx;
};

static inline struct cpuid_regs cpu_cpuid(u32 leaf, u32 subleaf)
{
    struct cpuid_regs r;

    __asm__ volatile("cpuid"
                     : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
                     : "a"(leaf), "c"(subleaf));
    return r;
}

/* The highest basic (0) or extended (0x80000000) leaf; 0 if the range does not exist. */
static inline u32 cpu_cpuid_max(u32 range)
{
    u32 max = cpu_cpuid(range, 0).eax;

    return max >= range && max < range + 0x10000 ? max : 0;
}

static inline u64 cpu_rdmsr(u32 msr)
{
    u32 lo, hi;

    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
    return (u64)hi << 32 | lo;
}

static inline void cpu_wrmsr(u32 msr, u64 value)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

/* An entry of the exception table: a fault at insn continues at fixup (trap.c). */
#define CPU_EXTABLE(insn, fixup)                                                                   \
    ".pushsection .extable, \"a\"\n\t.balign 4\n\t.long " insn " - .\n\t.long " fixup              \
    " - .\n\t.popsection\n\t"

/* False where the processor answers with #GP; *value is then 0. */
static inline bool cpu_rdmsr_safe(u32 msr, u64 *value)
{
    u32 lo = 0, hi = 0;
    u8 ok = 0;

    __asm__ volatile("1: rdmsr\n\tmovb $1, %2\n\t2:\n\t" CPU_EXTABLE("1b", "2b")
                     : "+a"(lo), "+d"(hi), "+q"(ok)
                     : "c"(msr)
                     : "memory");
    *value = ok ? (u64)hi << 32 | lo : 0;
    return ok;
}

static inline bool cpu_wrmsr_safe(u32 msr, u64 value)
{
    u8 ok = 0;

    __asm__ volatile("1: wrmsr\n\tmovb $1, %0\n\t2:\n\t" CPU_EXTABLE("1b", "2b")
                     : "+q"(ok)
                     : "c"(msr), "a"((u32)value), "d"((u32)(value >> 32))
                     : "memory");
    return ok;
}

static inline u64 cpu_rdtsc(void)
{
    u32 lo, hi;

    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return (u64)hi << 32 | lo;
}

#define CPU_CR(n)                                                                                  \
    static inline u64 cpu_read_cr##n(void)                                                         \
    {                                                                                              \
        u64 v;                                                                                     \
        __asm__ volatile("mov %%cr" #n ", %0" : "=r"(v) : : "memory");                             \
        return v;                                                                                  \
    }                                                                                              \
    static inline void cpu_write_cr##n(u64 v)                                                      \
    {                                                                                              \
        __asm__ volatile("mov %0, %%cr" #n : : "r"(v) : "memory");                                 \
    }
CPU_CR(0)
CPU_CR(2)
CPU_CR(3)
CPU_CR(4)
#undef CPU_CR

#define CPU_DR(n)                                                                                  \
    static inline u64 cpu_read_dr##n(void)                                                         \
    {                                                                                              \
        u64 v;                                                                                     \
        __asm__ volatile("mov %%dr" #n ", %0" : "=r"(v));                                          \
        return v;                                                                                  \
    }                                                                                              \
    static inline void cpu_write_dr##n(u64 v)                                                      \
    {                                                                                              \
        __asm__ volatile("mov %0, %%dr" #n : : "r"(v));                                            \
    }
CPU_DR(0)
CPU_DR(1)
CPU_DR(2)
CPU_DR(3)
CPU_DR(6)
#undef CPU_DR

static inline u64 cpu_xgetbv(u32 index)
{
    u32 lo, hi;

    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(index));
    return (u64)hi << 32 | lo;
}

static inline void cpu_xsetbv(u32 index, u64 value)
{
    __asm__ volatile("xsetbv" : : "c"(index), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

#define CPU_PORT(bits, suffix)                                                                     \
    static inline u##bits cpu_in##bits(u16 port)                                                   \
    {                                                                                              \
        u##bits v;                                                                                 \
        __asm__ volatile("in" suffix " %1, %0" : "=a"(v) : "Nd"(port) : "memory");                 \
        return v;                                                                                  \
    }                                                                                              \
    static inline void cpu_out##bits(u16 port, u##bits v)                                          \
    {                                                                                              \
        __asm__ volatile("out" suffix " %0, %1" : : "a"(v), "Nd"(port) : "memory");                \
    }
CPU_PORT(8, "b")
CPU_PORT(16, "w")
CPU_PORT(32, "l")
#undef CPU_PORT

static inline void cpu_cli(void)
{
    __asm__ volatile("cli" : : : "memory");
}

/* Waits for an interrupt with interrupts on, and comes back with them off. */
static inline void cpu_idle(void)
{
    __asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
}

/* Takes the interrupts that wait, and comes back with interrupts off again. */
static inline void cpu_take_interrupts(void)
{
    __asm__ volatile("sti\n\tnop\n\tcli" : : : "memory");
}

static inline void cpu_pause(void)
{
    __asm__ volatile("pause" : : : "memory");
}

static inline void cpu_hlt(void)
{
    __asm__ volatile("hlt" : : : "memory");
}

static inline void cpu_invlpg(const void *va)
{
    __asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}

static inline void cpu_sgdt(struct x86_table *t)
{
    struct {
        u16 limit;
        u64 base;
    } PACKED d;

    __asm__ volatile("sgdt %0" : "=m"(d));
    t->base = d.base;
    t->limit = d.limit;
}

static inline void cpu_sidt(struct x86_table *t)
{
    struct {
        u16 limit;
        u64 base;
    } PACKED d;

    __asm__ volatile("sidt %0" : "=m"(d));
    t->base = d.base;
    t->limit = d.limit;
}

static inline void cpu_lgdt(u64 base, u16 limit)
{
    struct {
        u16 limit;
        u64 base;
    } PACKED d = {limit, base};

    __asm__ volatile("lgdt %0" : : "m"(d) : "memory");
}

static inline void cpu_lidt(u64 base, u16 limit)
{
    struct {
        u16 limit;
        u64 base;
    } PACKED d = {limit, base};

    __asm__ volatile("lidt %0" : : "m"(d) : "memory");
}

static inline void cpu_ltr(u16 sel)
{
    __asm__ volatile("ltr %0" : : "r"(sel) : "memory");
}

#endif
