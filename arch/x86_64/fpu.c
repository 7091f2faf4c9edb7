/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Extended state. SDM 1, chapter 13. The standard (not compacted) format is used: XSAVEOPT where
 * there is one, then XSAVE, then FXSAVE. No supervisor state is offered to guests.
 */
#include "arch/x86_64/fpu.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/percpu.h"
#include "lib/string.h"

#define XCR0_BNDREGS   BIT(3)
#define XCR0_BNDCSR    BIT(4)
#define XCR0_OPMASK    BIT(5)
#define XCR0_ZMM_HI256 BIT(6)
#define XCR0_HI16_ZMM  BIT(7)
#define XCR0_PKRU      BIT(9)
#define XCR0_MPX       (XCR0_BNDREGS | XCR0_BNDCSR)
#define XCR0_AVX512    (XCR0_OPMASK | XCR0_ZMM_HI256 | XCR0_HI16_ZMM)
#define XCR0_KNOWN     (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_MPX | XCR0_AVX512 | XCR0_PKRU)

#define FXSAVE_SIZE  512
#define HEADER_SIZE  64
#define FCW_RESET    0x37f
#define MXCSR_RESET  0x1f80
#define XSAVE_HEADER 512 /* XSTATE_BV comes first */
#define MXCSR_OFFSET 24

/* Constant after the first fpu_init(). */
static struct {
    bool known, xsave, xsaveopt;
    u64 xcr0_mask;
    size_t area_size;
} fpu;

static u64 xcr0_now[MAX_CPUS]; /* each CPU's own, to skip an XSETBV that changes nothing */

static void look(void)
{
    struct cpuid_regs d0, d1;

    fpu.known = true;
    fpu.area_size = FXSAVE_SIZE;
    fpu.xcr0_mask = XCR0_X87 | XCR0_SSE;
    fpu.xsave = cpu_cpuid(1, 0).ecx & BIT(26);
    if (!fpu.xsave)
        return;
    d0 = cpu_cpuid(0xd, 0);
    d1 = cpu_cpuid(0xd, 1);
    fpu.xsaveopt = d1.eax & BIT(0);
    fpu.xcr0_mask = ((u64)d0.edx << 32 | d0.eax) & XCR0_KNOWN;
    fpu.area_size = FXSAVE_SIZE + HEADER_SIZE;
    for (unsigned i = 2; i < 63; i++) {
        struct cpuid_regs c;

        if (!(fpu.xcr0_mask & BIT(i)))
            continue;
        c = cpu_cpuid(0xd, i);
        fpu.area_size = MAX(fpu.area_size, (size_t)c.eax + c.ebx);
    }
}

void fpu_init(void)
{
    if (!fpu.known)
        look();
    /* CR0.TS and EM are clear and CR4 is set: paging_enable(). */
    __asm__ volatile("fninit");
    if (!fpu.xsave)
        return;
    xcr0_now[this_cpu()->id] = fpu.xcr0_mask;
    cpu_xsetbv(0, fpu.xcr0_mask);
}

u64 fpu_xcr0_mask(void)
{
    return fpu.xcr0_mask;
}

size_t fpu_area_size(void)
{
    return fpu.area_size;
}

void fpu_reset_area(void *area)
{
    const u16 fcw = FCW_RESET;
    const u32 mxcsr = MXCSR_RESET;

    memset(area, 0, fpu.area_size);
    memcpy(area, &fcw, sizeof(fcw));
    memcpy((u8 *)area + MXCSR_OFFSET, &mxcsr, sizeof(mxcsr));
}

void fpu_mark_in_use(void *area, u64 components)
{
    u64 *xstate_bv = (u64 *)((u8 *)area + XSAVE_HEADER);

    if (fpu.xsave)
        *xstate_bv |= components;
}

void fpu_save(void *area)
{
    if (fpu.xsaveopt)
        __asm__ volatile("xsaveopt64 (%0)" : : "r"(area), "a"(-1), "d"(-1) : "memory");
    else if (fpu.xsave)
        __asm__ volatile("xsave64 (%0)" : : "r"(area), "a"(-1), "d"(-1) : "memory");
    else
        __asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
}

/*
 * Without an exception pending AMD's processors neither save nor load where the last x87
 * instruction and its operand were: that is to be one of skep's own before another guest looks at
 * it.
 */
void fpu_restore(const void *area)
{
    static const u16 one = 1;

    __asm__ volatile("fnclex\n\tffree %%st(7)\n\tfilds %0" : : "m"(one));
    if (fpu.xsave)
        __asm__ volatile("xrstor64 (%0)" : : "r"(area), "a"(-1), "d"(-1) : "memory");
    else
        __asm__ volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
}

void fpu_set_xcr0(u64 value)
{
    u64 *now = &xcr0_now[this_cpu()->id];

    if (!fpu.xsave || *now == value)
        return;
    *now = value;
    cpu_xsetbv(0, value);
}

u64 fpu_xcr0(void)
{
    if (!fpu.xsave)
        return XCR0_X87 | XCR0_SSE;
    return xcr0_now[this_cpu()->id] = cpu_xgetbv(0);
}

bool fpu_xcr0_valid(u64 value)
{
    u64 avx512 = value & XCR0_AVX512, mpx = value & XCR0_MPX;

    if ((value & ~fpu.xcr0_mask) || !(value & XCR0_X87))
        return false;
    if ((value & XCR0_AVX) && !(value & XCR0_SSE))
        return false;
    if (avx512 && (avx512 != XCR0_AVX512 || !(value & XCR0_AVX)))
        return false;
    return !mpx || mpx == XCR0_MPX;
}
