/* SPDX-License-Identifier: BSD-2-Clause */
/* Every form of access to device memory (see forms.h), and the local APIC's and I/O APIC's own. */
#include "guests/check/check.h"
#include "guests/check/forms.h"
#include "guests/lib/paging.h"
#include "lib/string.h"

#define OPERAND                                                                                    \
    0x40 /* offset of the operand in its window, so that negative offsets stay inside              \
          */
#define WINDOW 0x100

static u8 ram[WINDOW] ALIGNED(64);
static u8 other[2][64] ALIGNED(64);

static bool offers(enum form_need need)
{
    switch (need) {
    case F_ALWAYS:
        return true;
    case F_SSE3:
        return cpu_has_1_ecx(0);
    case F_SSE41:
        return cpu_has_1_ecx(19);
    case F_MOVBE:
        return cpu_has_1_ecx(22);
    case F_POPCNT:
        return cpu_has_1_ecx(23);
    case F_LZCNT:
        return cpu_has_ext_ecx(5);
    case F_BMI1:
        return cpu_has_7_ebx(3);
    case F_BMI2:
        return cpu_has_7_ebx(8);
    case F_CX16:
        return cpu_has_1_ecx(CPUID1_ECX_CX16);
    case F_AVX:
        return cpu_has_1_ecx(28);
    }
    return false;
}

static u32 pattern(unsigned i, unsigned seed)
{
    return 0x9e3779b9u * (i + 1) + seed * 0x85ebca6bu;
}

static void fill(ulong window, unsigned seed)
{
    for (unsigned i = 0; i < WINDOW; i += 4)
        mmio_write32(window + i, pattern(i, seed));
}

/* Runs a form with its operand in a window; what it did to registers is relative to that window. */
static void run_form(const struct form *f, ulong window, u8 *beside, unsigned seed,
                     struct form_regs *r)
{
    static const ulong flags[] = {0x002, 0x8d7, 0x043, 0x894};
    ulong p = window + OPERAND;

    fill(window, seed);
    for (unsigned i = 0; i < 64; i += 4)
        mmio_write32((ulong)beside + i, pattern(i + 7, seed ^ 3));
    *r = (struct form_regs){
        .b = p,
        .c = (ulong)0xfedcba9876543210ull,
        .d = (ulong)0x0123456789abcdefull + seed,
        .a = (ulong)0x1122334455667788ull,
        .flags = flags[seed % ARRAY_SIZE(flags)] & ~0x10ul,
    };
    r->si = f->pointers == P_DI ? (ulong)beside : f->pointers != P_NONE ? p : 0x5151;
    r->di = f->pointers == P_SI     ? (ulong)beside
            : f->pointers == P_DI   ? p
            : f->pointers == P_BOTH ? p + 32
                                    : 0xd1d1;
    f->fn(r);
    r->b -= p;
    if (f->pointers != P_NONE) {
        r->si -= f->pointers == P_DI ? (ulong)beside : p;
        r->di -= f->pointers == P_SI ? (ulong)beside : p;
    }
}

/* QEMU's TCG (7.2) gets the carry flag of BLSR, BLSI and BLSMSK wrong. */
static ulong wrong_flags(const struct form *f)
{
    return f->need == F_BMI1 && cpu_is_tcg() ? (ulong)FLAG_CF : 0;
}

static bool same(const struct form *f, ulong device, unsigned seed)
{
    struct form_regs a;
    struct form_regs b;

    run_form(f, (ulong)ram, other[0], seed, &a);
    run_form(f, device, other[1], seed, &b);
    if (a.b != b.b || a.c != b.c || a.d != b.d || a.a != b.a || a.si != b.si || a.di != b.di) {
        check_fail("%s: registers a %lx/%lx b %lx/%lx c %lx/%lx d %lx/%lx si %lx/%lx di %lx/%lx",
                   f->name, a.a, b.a, a.b, b.b, a.c, b.c, a.d, b.d, a.si, b.si, a.di, b.di);
        return false;
    }
    if ((a.flags ^ b.flags) & FLAGS_ARITH & ~(f->undefined | wrong_flags(f))) {
        check_fail("%s: flags %lx on memory, %lx on the device", f->name, a.flags & FLAGS_ARITH,
                   b.flags & FLAGS_ARITH);
        return false;
    }
    for (unsigned i = 0; i < WINDOW; i += 4) {
        if (mmio_read32((ulong)ram + i) == mmio_read32(device + i))
            continue;
        check_fail("%s: byte %d is %08x in memory, %08x in the device", f->name, (int)i - OPERAND,
                   mmio_read32((ulong)ram + i), mmio_read32(device + i));
        return false;
    }
    if (memcmp(other[0], other[1], sizeof(other[0])) != 0) {
        check_fail("%s: what it wrote to memory is wrong", f->name);
        return false;
    }
    return true;
}

/* One form in the frame of a trap: a fault on either side is that form's failure. */
struct form_run {
    const struct form *form;
    ulong device;
    unsigned seed;
    bool same;
};

static void run_same(void *arg)
{
    struct form_run *r = arg;

    r->same = same(r->form, r->device, r->seed);
}

static void all_forms(const struct form_list *list, ulong device)
{
    for (unsigned i = 0; i < list->count; i++) {
        const struct form *f = &list->forms[i];

        for (unsigned seed = 0; offers(f->need) && seed < 4; seed++) {
            struct form_run r = {f, device, seed, false};
            struct trap t;

            if (trap_try(&t, run_same, &r))
                check_fail("%s: vector %d, error %lx, at %lx", f->name, t.vector, t.error, t.ip);
            if (!r.same)
                return;
        }
    }
}

static void avx_on(void)
{
    if (!offers(F_AVX))
        return;
    cr4_write(cr4_read() | CR4_OSXSAVE);
    xsetbv_try(0, 7);
}

static void mmio_integer(void)
{
    REQUIRE(have_testdev(), "no testdev");
    all_forms(&forms_integer, TESTDEV_MMIO + 0x400);
}

static void mmio_string(void)
{
    REQUIRE(have_testdev(), "no testdev");
    all_forms(&forms_string, TESTDEV_MMIO + 0x600);
}

static void mmio_mode(void)
{
    REQUIRE(have_testdev(), "no testdev");
    all_forms(&forms_mode, TESTDEV_MMIO + 0x800);
}

static void mmio_vector(void)
{
    REQUIRE(have_testdev(), "no testdev");
    avx_on();
    all_forms(&forms_vector, TESTDEV_MMIO + 0xc00);
}

/* The frame itself on memory alone: both sides must agree there. */
static void forms_on_memory(void)
{
    avx_on();
    all_forms(&forms_integer, (ulong)scratch[0]);
    all_forms(&forms_string, (ulong)scratch[0]);
    all_forms(&forms_mode, (ulong)scratch[0]);
    all_forms(&forms_vector, (ulong)scratch[0]);
}

/* The same with the operand in a page that the guest maps somewhere else. */
static void mmio_mapped(void)
{
    REQUIRE(have_testdev(), "no testdev");
    paging_map(TEST_GLA, TESTDEV_MMIO + 0x3000, PTE_P | PTE_W | PTE_PCD);
    all_forms(&forms_integer, TEST_GLA + 0x200);
    all_forms(&forms_string, TEST_GLA + 0x200);
}

/* From the end of one device page into the next, mapped the other way round. */
static void mmio_across_device_pages(void)
{
    REQUIRE(have_testdev(), "no testdev");
    paging_map(TEST_GLA, TESTDEV_MMIO + 0x5000, PTE_P | PTE_W);
    paging_map(TEST_GLA + 4096, TESTDEV_MMIO + 0x4000, PTE_P | PTE_W);
    for (ulong back = 1; back < 4; back++) {
        mmio_write32(TESTDEV_MMIO + 0x5ffc, 0);
        mmio_write32(TESTDEV_MMIO + 0x4000, 0);
        mmio_write32(TEST_GLA + 4096 - back, 0x44332211);
        EXPECT_EQ(mmio_read32(TEST_GLA + 4096 - back), 0x44332211);
        EXPECT_EQ(mmio_read32(TESTDEV_MMIO + 0x5ffc), 0x44332211u << (32 - 8 * back));
        EXPECT_EQ(mmio_read32(TESTDEV_MMIO + 0x4000), 0x44332211u >> (8 * back));
    }
}

static void mmio_across_memory_and_device(void)
{
    REQUIRE(have_testdev(), "no testdev");
    for (unsigned device_first = 0; device_first < 2; device_first++) {
        u64 first = device_first ? TESTDEV_MMIO + 0x6000 : (ulong)scratch[0];
        u64 second = device_first ? (ulong)scratch[0] : TESTDEV_MMIO + 0x6000;

        paging_map(TEST_GLA, first, PTE_P | PTE_W);
        paging_map(TEST_GLA + 4096, second, PTE_P | PTE_W);
        for (ulong back = 1; back < 4; back++) {
            mmio_write32(TEST_GLA + 4092, 0);
            mmio_write32(TEST_GLA + 4096, 0);
            mmio_write32(TEST_GLA + 4096 - back, 0x88776655);
            EXPECT_EQ(mmio_read32(TEST_GLA + 4096 - back), 0x88776655);
            EXPECT_EQ(mmio_read32(TEST_GLA + 4092), 0x88776655u << (32 - 8 * back));
            EXPECT_EQ(mmio_read32(TEST_GLA + 4096), 0x88776655u >> (8 * back));
        }
    }
}

SNIPPET(store_across, ARG, "movl $0x11223344, (" REG(ax) ")");

/* Nothing is written if the second page is not there. */
static void mmio_across_absent(void)
{
    REQUIRE(have_testdev(), "no testdev");
    paging_map(TEST_GLA, TESTDEV_MMIO + 0x7000, PTE_P | PTE_W);
    paging_map(TEST_GLA + 4096, 0, 0);
    mmio_write32(TESTDEV_MMIO + 0x7ffc, 0x5a5a5a5a);
    EXPECT_TRAP(store_across, (void *)(TEST_GLA + 4094), EXC_PF, PF_W, store_across_at);
    EXPECT_EQ(check_last.cr2, TEST_GLA + 4096);
    EXPECT_EQ(mmio_read32(TESTDEV_MMIO + 0x7ffc), 0x5a5a5a5a);
}

static void mmio_moffs(void)
{
    u32 l;
    u8 b;

    REQUIRE(have_testdev(), "no testdev");
    mmio_write32(TESTDEV_MMIO, 0x12345678);
#ifdef __x86_64__
    asm volatile("movabs 0xff000000, %0" : "=a"(l));
    asm volatile("movabs 0xff000001, %0" : "=a"(b));
    asm volatile("movabs %0, 0xff000004" : : "a"(0x9abcdef0u) : "memory");
    asm volatile("movabs %0, 0xff000008" : : "a"((u16)0x1122) : "memory");
#else
    asm volatile(".byte 0xa1\n .long 0xff000000" : "=a"(l));
    asm volatile(".byte 0xa0\n .long 0xff000001" : "=a"(b));
    asm volatile(".byte 0xa3\n .long 0xff000004" : : "a"(0x9abcdef0u) : "memory");
    asm volatile(".byte 0x66, 0xa3\n .long 0xff000008" : : "a"((u16)0x1122) : "memory");
#endif
    EXPECT_EQ(l, 0x12345678);
    EXPECT_EQ(b, 0x56);
    EXPECT_EQ(mmio_read32(TESTDEV_MMIO + 4), 0x9abcdef0);
    EXPECT_EQ(mmio_read32(TESTDEV_MMIO + 8) & 0xffff, 0x1122);
}

/* CALL and JMP through a pointer that lies in a device. */
static volatile u32 called;

static void count_call(void)
{
    called++;
}

static void mmio_call_through(void)
{
    REQUIRE(have_testdev(), "no testdev");
    for (ulong at = 0; at < 16; at += 4)
        mmio_write32(TESTDEV_MMIO + at, 0);
    mmio_write32(TESTDEV_MMIO, (u32)(ulong)count_call);
    called = 0;
    asm volatile("call *(%0)"
                 :
                 : "r"(TESTDEV_MMIO)
                 : "memory", "cc", "eax", "ecx", "edx"
#ifdef __x86_64__
                   ,
                   "rsi", "rdi", "r8", "r9", "r10", "r11"
#endif
    );
    EXPECT_EQ(called, 1);
}

/*
 * Code that moves to and from a device, executed often enough to be remembered, and then changed:
 * the next execution is the new code's. It stands at TEST_GLA and finds the device in CX.
 */
static u32 run_code(u32 value)
{
    asm volatile("call *%2"
                 : "+a"(value)
                 : "c"((ulong)TESTDEV_MMIO + 0x100), "r"(TEST_GLA)
                 : "memory", "cc");
    return value;
}

static void put_code(u8 *at, const u8 *bytes, unsigned n)
{
    memcpy(at, bytes, n);
    at[n] = 0xc3;
}

static bool code_gives(u32 expected)
{
    for (unsigned i = 0; i < 4; i++)
        if (run_code(0) != expected)
            return false;
    return true;
}

static const u8 load_0[] = {0x8b, 0x01}, load_4[] = {0x8b, 0x41, 0x04};

static void setup_code(void)
{
    mmio_write32(TESTDEV_MMIO + 0x100, 0x11111111);
    mmio_write32(TESTDEV_MMIO + 0x104, 0x44444444);
    mmio_write32(TESTDEV_MMIO + 0x108, 0x88888888);
    put_code(scratch[0], load_0, sizeof(load_0));
    put_code(scratch[1], load_4, sizeof(load_4));
    paging_map(TEST_GLA, (ulong)scratch[0], PTE_P | PTE_W);
}

static void mmio_code_rewritten(void)
{
    u8 store[] = {0xc7, 0x41, 0x04, 1, 0, 0, 0};

    REQUIRE(have_testdev(), "no testdev");
    setup_code();
    for (unsigned i = 0; i < 8; i++) {
        put_code(scratch[0], load_0, sizeof(load_0));
        EXPECT_EQ(run_code(0), 0x11111111);
        put_code(scratch[0], load_4, sizeof(load_4));
        EXPECT_EQ(run_code(0), 0x44444444);
        scratch[0][2] = 8; /* the displacement alone */
        EXPECT_EQ(run_code(0), 0x88888888);
    }
    for (u8 i = 1; i < 16; i++) { /* an immediate */
        store[3] = i;
        put_code(scratch[0], store, sizeof(store));
        run_code(0);
        EXPECT_EQ(mmio_read32(TESTDEV_MMIO + 0x104), i);
    }
}

static void mmio_code_remapped(void)
{
    REQUIRE(have_testdev(), "no testdev");
    setup_code();
    for (unsigned i = 0; i < 4; i++) {
        EXPECT(code_gives(0x11111111), "the first page's code");
        paging_map(TEST_GLA, (ulong)scratch[1], PTE_P | PTE_W);
        EXPECT(code_gives(0x44444444), "the second page's code");
        paging_map(TEST_GLA, (ulong)scratch[0], PTE_P | PTE_W);
    }
    paging_map(TEST_GLA, (ulong)scratch[0], PTE_P | PTE_W | PTE_U);
    EXPECT(code_gives(0x11111111), "a page of other rights");
}

#ifdef __x86_64__
/* Another address space with other code at the same place. */
static void mmio_code_other_space(void)
{
    static const u8 load_8[] = {0x8b, 0x41, 8};
    static u64 tables[4][512] ALIGNED(4096);
    ulong cr3 = cr3_read();
    u32 there;

    REQUIRE(have_testdev(), "no testdev");
    setup_code();
    put_code(scratch[2], load_8, sizeof(load_8));
    memcpy(tables[0], (void *)(cr3 & PTE_ADDRESS), 4096);
    for (unsigned level = 0; level < 3; level++)
        tables[level][TEST_GLA >> (39 - 9 * level) & 511] =
            (ulong)tables[level + 1] | PTE_P | PTE_W;
    tables[3][TEST_GLA >> 12 & 511] = (ulong)scratch[2] | PTE_P | PTE_W;
    for (unsigned i = 0; i < 4; i++) {
        EXPECT(code_gives(0x11111111), "the first space's code");
        cr3_write((ulong)tables[0]);
        there = run_code(0);
        cr3_write(cr3);
        EXPECT_EQ(there, 0x88888888);
    }
}
#endif

/* The local APIC by 32-bit accesses of every kind. */
static void lapic_forms(void)
{
    ulong apic = APIC_MMIO;
    u32 version = apic_read(APIC_VERSION);
    ulong value;
    u32 flags;

#ifndef __x86_64__ /* in 64-bit code it would be 64 bits wide, which the local APIC has not */
    asm volatile("push 0x30(%1)\n pop %0" : "=r"(value) : "r"(apic) : "memory");
    EXPECT_EQ((u32)value, version);
#endif
    value = 0;
    asm volatile("addl 0x30(%1), %k0" : "+r"(value) : "r"(apic) : "memory", "cc");
    EXPECT_EQ((u32)value, version);
    asm volatile("cmpl %2, 0x30(%1)\n setne %b0" : "=q"(flags) : "r"(apic), "r"(version) : "cc");
    EXPECT_EQ(flags & 0xff, 0);
    asm volatile("movl $0x31, 0x80(%0)" : : "r"(apic) : "memory");
    EXPECT_EQ(apic_read(APIC_TPR), 0x31);
    asm volatile("orl $0x42, 0x80(%0)" : : "r"(apic) : "memory", "cc");
    EXPECT_EQ(apic_read(APIC_TPR), 0x73);
    asm volatile("andl $0x70, 0x80(%0)" : : "r"(apic) : "memory", "cc");
    EXPECT_EQ(apic_read(APIC_TPR), 0x70);
    value = 0x20;
    asm volatile("xchgl %k0, 0x80(%1)" : "+r"(value) : "r"(apic) : "memory");
    EXPECT_EQ((u32)value, 0x70);
    EXPECT_EQ(apic_read(APIC_TPR), 0x20);
    asm volatile("btsl $6, 0x80(%0)" : : "r"(apic) : "memory", "cc");
    EXPECT_EQ(apic_read(APIC_TPR), 0x60);
    asm volatile("movl %k1, 0x80(%0)" : : "r"(apic), "r"(0ul) : "memory");
    EXPECT_EQ(apic_read(APIC_TPR), 0);
}

static void lapic_string(void)
{
    ulong si = APIC_MMIO + APIC_VERSION;
    ulong di = (ulong)scratch[0];

    asm volatile("movsl" : "+S"(si), "+D"(di) : : "memory");
    EXPECT_EQ(*(u32 *)scratch[0], apic_read(APIC_VERSION));
    *(u32 *)scratch[0] = 0x40;
    si = (ulong)scratch[0];
    di = APIC_MMIO + APIC_TPR;
    asm volatile("movsl" : "+S"(si), "+D"(di) : : "memory");
    EXPECT_EQ(apic_read(APIC_TPR), 0x40);
    EXPECT_EQ(di, APIC_MMIO + APIC_TPR + 4);
}

static void ioapic_forms(void)
{
    ulong base = ioapic_address();
    u32 version;

    asm volatile("movl $1, (%0)" : : "r"(base) : "memory");
    version = mmio_read32(base + 0x10);
    EXPECT_EQ(version >> 16 & 0xff, ioapic_pins() - 1);
    asm volatile("movb $1, (%0)" : : "r"(base) : "memory");
    EXPECT_EQ(mmio_read32(base + 0x10), version);
}

static const struct check list[] = {
    {"forms_on_memory", forms_on_memory, ANYWHERE},
    {"mmio_integer", mmio_integer, ANYWHERE},
    {"mmio_string", mmio_string, ANYWHERE},
    {"mmio_mode", mmio_mode, ANYWHERE},
    {"mmio_vector", mmio_vector, ANYWHERE},
    {"mmio_mapped", mmio_mapped, ANYWHERE},
    {"mmio_across_device_pages", mmio_across_device_pages, ANYWHERE},
    {"mmio_across_memory_and_device", mmio_across_memory_and_device, ANYWHERE},
    {"mmio_across_absent", mmio_across_absent, ANYWHERE},
    {"mmio_moffs", mmio_moffs, ANYWHERE},
    {"mmio_call_through", mmio_call_through, ANYWHERE},
    {"mmio_code_rewritten", mmio_code_rewritten, ANYWHERE},
    {"mmio_code_remapped", mmio_code_remapped, ANYWHERE},
#ifdef __x86_64__
    {"mmio_code_other_space", mmio_code_other_space, ANYWHERE},
#endif
    {"lapic_forms", lapic_forms, ANYWHERE},
    {"lapic_string", lapic_string, ANYWHERE},
    {"ioapic_forms", ioapic_forms, ANYWHERE},
};
CHECK_GROUP(mmio, list);
