/* SPDX-License-Identifier: BSD-2-Clause */
/* What exits must leave alone: general registers, flags, x87, SSE and AVX state. */
#include "guests/check/check.h"

#ifdef __x86_64__
#define GPRS 15
#define LOAD_GPRS                                                                                  \
    "mov 0(%rax), %rbx\n mov 8(%rax), %rcx\n mov 16(%rax), %rdx\n mov 24(%rax), %rsi\n"            \
    "mov 32(%rax), %rdi\n mov 40(%rax), %rbp\n mov 48(%rax), %r8\n mov 56(%rax), %r9\n"            \
    "mov 64(%rax), %r10\n mov 72(%rax), %r11\n mov 80(%rax), %r12\n mov 88(%rax), %r13\n"          \
    "mov 96(%rax), %r14\n mov 104(%rax), %r15\n"
#define STORE_GPRS                                                                                 \
    "mov %rbx, 120(%rax)\n mov %rcx, 128(%rax)\n mov %rdx, 136(%rax)\n mov %rsi, 144(%rax)\n"      \
    "mov %rdi, 152(%rax)\n mov %rbp, 160(%rax)\n mov %r8, 168(%rax)\n mov %r9, 176(%rax)\n"        \
    "mov %r10, 184(%rax)\n mov %r11, 192(%rax)\n mov %r12, 200(%rax)\n mov %r13, 208(%rax)\n"      \
    "mov %r14, 216(%rax)\n mov %r15, 224(%rax)\n"
#define SAVE    "push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
#define RESTORE "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n"
#else
#define GPRS 7
#define LOAD_GPRS                                                                                  \
    "mov 0(%eax), %ebx\n mov 4(%eax), %ecx\n mov 8(%eax), %edx\n mov 12(%eax), %esi\n"             \
    "mov 16(%eax), %edi\n mov 20(%eax), %ebp\n"
#define STORE_GPRS                                                                                 \
    "mov %ebx, 28(%eax)\n mov %ecx, 32(%eax)\n mov %edx, 36(%eax)\n mov %esi, 40(%eax)\n"          \
    "mov %edi, 44(%eax)\n mov %ebp, 48(%eax)\n"
#define SAVE    "push %ebx\n push %esi\n push %edi\n push %ebp\n"
#define RESTORE "pop %ebp\n pop %edi\n pop %esi\n pop %ebx\n"
#endif

/* RAX is what the snippet changes; the others must come out as they went in. */
#define KEEPS(name, insn)                                                                          \
    SNIPPET(name, ARG SAVE "push " REG(ax) "\n" LOAD_GPRS,                                         \
            insn "\n pop " REG(ax) "\n" STORE_GPRS RESTORE)

KEEPS(keep_in, "in $0x80, %al");
KEEPS(keep_out, "out %al, $0x80");
KEEPS(keep_mmio, "mov $0xfee00020, %eax\n mov (" REG(ax) "), %eax");
KEEPS(keep_mmio_write, "mov $0xfee00080, %eax\n movl $0, (" REG(ax) ")");
KEEPS(keep_cr0, "mov %cr0, " REG(ax) "\n mov " REG(ax) ", %cr0");
KEEPS(keep_wbinvd, "wbinvd");
KEEPS(keep_hlt_free, "pause");

struct gprs {
    ulong before[GPRS];
    ulong after[GPRS];
};

static bool keeps(void (*fn)(void *), const char *name)
{
    struct gprs r;

    for (unsigned i = 0; i < GPRS; i++)
        r.before[i] = (ulong)(0x1122334455667700ull + 0x11 * i) ^ (ulong) - (long)(i & 1);
    fn(&r);
    for (unsigned i = 0; i < GPRS - 1; i++) {
        if (r.before[i] == r.after[i])
            continue;
        check_fail("%s changes register %u of the list from %lx to %lx", name, i, r.before[i],
                   r.after[i]);
        return false;
    }
    return true;
}

static void state_registers(void)
{
    (void)(keeps(keep_in, "IN") && keeps(keep_out, "OUT") && keeps(keep_mmio, "MMIO read") &&
           keeps(keep_mmio_write, "MMIO write") && keeps(keep_cr0, "MOV CR0") &&
           keeps(keep_wbinvd, "WBINVD") && keeps(keep_hlt_free, "PAUSE"));
}

/* The arithmetic flags pass through every kind of exit. */
static void state_flags(void)
{
    static const ulong sets[] = {0x8d5, 0x000, 0x841, 0x094};

    for (unsigned i = 0; i < ARRAY_SIZE(sets); i++) {
        ulong flags;

        asm volatile("push %1\n popf\n cpuid\n in $0x80, %%al\n mov $0x1b, %%ecx\n rdmsr\n"
                     "mov $0xfee00020, %%eax\n mov (%%eax), %%ecx\n pushf\n pop %0\n"
                     : "=D"(flags)
                     : "S"(sets[i] | (ulong)FLAG_FIXED)
                     : "eax", "ebx", "ecx", "edx", "cc", "memory");
        EXPECT_EQ(flags & 0x8d5, sets[i]);
    }
}

/* Everything here exits or may exit. */
static void exits(void)
{
    for (unsigned i = 0; i < 20; i++) {
        cpuid(0, 0);
        in8(COM1 + 5);
        rdmsr(MSR_APIC_BASE);
        apic_read(APIC_ID);
        *(volatile u8 *)boot_take_memory(4096, 4096) = 1;
    }
}

static void state_x87_sse(void)
{
    static u8 before[512] ALIGNED(16), after[512] ALIGNED(16);

    asm volatile("fninit\n fldpi\n fld1\n fldl2e" : : : "memory");
    for (unsigned i = 0; i < sizeof(before); i++)
        before[i] = 0;
    asm volatile("fxsave %0" : "=m"(before));
    for (unsigned i = 160; i < 160 + GUEST_BITS / 8 * 32; i++)
        before[i] = (u8)(i * 7);
    asm volatile("fxrstor %0" : : "m"(before));
    exits();
    asm volatile("fxsave %0" : "=m"(after));
    for (unsigned i = 0; i < 160 + GUEST_BITS / 8 * 32; i++)
        EXPECT(before[i] == after[i], "byte %u of the FXSAVE area: %02x, was %02x", i, after[i],
               before[i]);
    asm volatile("fninit");
}

static void state_xsave(void)
{
    static u8 before[4096] ALIGNED(64), after[4096] ALIGNED(64);
    u64 all;
    u32 size;

    REQUIRE(cpu_has_1_ecx(CPUID1_ECX_XSAVE), "no XSAVE");
    cr4_write(cr4_read() | CR4_OSXSAVE);
    all = (u64)cpuid(0xd, 0).edx << 32 | cpuid(0xd, 0).eax;
    REQUIRE(all & XCR0_AVX, "no AVX");
    EXPECT_EQ(xsetbv_try(0, 7), -1);
    size = cpuid(0xd, 2).ebx;
    for (unsigned i = 0; i < sizeof(before); i++)
        before[i] = after[i] = 0;
    for (unsigned i = 0; i < GUEST_BITS / 8 * 16; i++)
        before[size + i] = (u8)(i * 5 + 1);
    before[512] = 7;  /* XSTATE_BV */
    before[0] = 0x7f; /* FCW 0x37f */
    before[1] = 0x03;
    before[24] = 0x80; /* MXCSR 0x1f80 */
    before[25] = 0x1f;
    asm volatile("xrstor %0" : : "m"(before), "a"(7), "d"(0));
    exits();
    asm volatile("xsave %0" : "+m"(after) : "a"(7), "d"(0));
    for (unsigned i = 0; i < GUEST_BITS / 8 * 16; i++)
        EXPECT(before[size + i] == after[size + i], "byte %u of the upper halves: %02x, was %02x",
               i, after[size + i], before[size + i]);
    asm volatile("fninit");
}

static const struct check list[] = {
    {"state_registers", state_registers, ANYWHERE},
    {"state_flags", state_flags, ANYWHERE},
    {"state_x87_sse", state_x87_sse, ANYWHERE},
    {"state_xsave", state_xsave, ANYWHERE},
};
CHECK_GROUP(state, list);
