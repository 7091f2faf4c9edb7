/* SPDX-License-Identifier: BSD-2-Clause */
/* The register states in which protocols start a kernel (SDM 3, 3.4.5, 4.5, 10.1). */
#include "guests/promise/promise.h"

#define CODE 0x10
#define DATA 0x18
#define TASK 0x20

/* LAR's result: the descriptor's second word without base and limit; accessed or not. */
#define LAR_CODE32 0x00c09b00u
#define LAR_CODE64 0x00a09b00u
#define LAR_DATA   0x00c09300u
#define LAR_BUSY   0x00008b00u
#define ACCESSED   0x00000100u

static u32 lar(u16 selector)
{
    u32 value = 0;

    __asm__("lar %1, %0" : "+r"(value) : "r"((u32)selector) : "cc");
    return value & 0xf0ff00; /* the rest is undefined */
}

static u32 lsl(u16 selector)
{
    u32 value = 0;

    __asm__("lsl %1, %0" : "+r"(value) : "r"((u32)selector) : "cc");
    return value;
}

static u64 base_of(u16 selector)
{
    u64 gdt = *(const ulong *)(entry_state.gdt + 2);
    u64 low = at64(gdt + selector);

    return (low >> 16 & 0xffffff) | (low >> 56 << 24);
}

static void check_selector(const char *name, u16 selector, u16 expected, u32 rights)
{
    want(name, selector, expected);
    want("base", base_of(selector), 0);
    want("limit", lsl(selector), 0xffffffff);
    want("rights", lar(selector) | ACCESSED, rights);
}

static void check_segments(u32 code)
{
    const struct entry *e = &entry_state;

    check_selector("cs", e->cs, CODE, code);
    check_selector("ds", e->ds, DATA, LAR_DATA);
    check_selector("es", e->es, DATA, LAR_DATA);
    check_selector("fs", e->fs, DATA, LAR_DATA);
    check_selector("gs", e->gs, DATA, LAR_DATA);
    check_selector("ss", e->ss, DATA, LAR_DATA);
    want("tr", e->tr, TASK);
    want("tr-rights", lar(e->tr), LAR_BUSY);
    want("tr-limit", lsl(e->tr), 0x67);
    want("tss-io-map-behind-limit", at16(base_of(e->tr) + 0x66) > 0x67, 1);
    want("ldtr", e->ldtr, 0);
    want("gdt-limit", *(const u16 *)e->gdt, 6 * 8 - 1);
    want("gdt-reserved",
         *(const ulong *)(e->gdt + 2) >= 0xd0000 && *(const ulong *)(e->gdt + 2) < 0xe0000, 1);
    want("idt-limit", *(const u16 *)e->idt, 0);
}

/* A20: one megabyte apart is not the same byte. */
static void check_a20(void)
{
    volatile u8 *low = (volatile u8 *)0x600, *high = low + 0x100000;
    u8 was;

    __asm__("" : "+r"(low), "+r"(high)); /* the compiler is to know nothing of what is there */
    was = *low;
    *low = (u8) ~*high;
    want("a20", *low != *high, 1);
    *low = was;
}

void check_prot32(void)
{
    const struct entry *e = &entry_state;

    want("cr0", e->cr0, 0x11);
    want("cr3", e->cr3, 0);
    want("cr4", e->cr4, 0);
    want("efer", e->efer, 0);
    want("eflags", e->flags, 2);
    check_segments(LAR_CODE32);
    check_a20();
}

void check_long64(u64 efer)
{
    const struct entry *e = &entry_state;

    want("cr0", e->cr0, 0x80000031);
    want("cr3-reserved", e->cr3 >= 0xd0000 && e->cr3 < 0xe0000 && !(e->cr3 & 0xfff), 1);
    want("cr4", e->cr4, 0x20);
    want("efer", e->efer, efer);
    want("rflags", e->flags, 2);
    check_segments(LAR_CODE64);
    check_a20();
}
