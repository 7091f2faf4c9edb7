/* SPDX-License-Identifier: BSD-2-Clause */
/* The CPUID policy: see cpuid.h. Everything a guest may know stands in the lists below. */
#include "vmm/cpuid.h"
#include "lib/string.h"
#include "lib/x86.h"

#define HYPERVISOR_BASE 0x40000000u
#define EXTENDED_BASE   0x80000000u
#define MAX_BASIC       0x16u
#define MAX_HYPERVISOR  0x40000010u
#define MAX_EXTENDED    0x80000021u

#define B(n) (1u << (n))

/* Leaf 1 ECX: SSE3 PCLMUL SSSE3 FMA CX16 PCID SSE4.1 SSE4.2 MOVBE POPCNT AES XSAVE AVX F16C RDRAND.
 */
#define L1_ECX                                                                                     \
    (B(0) | B(1) | B(9) | B(12) | B(13) | B(17) | B(19) | B(20) | B(22) | B(23) | B(25) | B(26) |  \
     B(28) | B(29) | B(30))
#define L1_ECX_X2APIC       B(21) /* these three are skep's own, whatever the processor has */
#define L1_ECX_TSC_DEADLINE B(24)
#define L1_ECX_HYPERVISOR   B(31)
/* Leaf 1 EDX: all of FPU to CLFSH but the serial number, MMX FXSR SSE SSE2. No ACPI, TM, DS, PBE.
 */
#define L1_EDX                                                                                     \
    (B(0) | B(1) | B(2) | B(3) | B(4) | B(5) | B(6) | B(7) | B(8) | B(11) | B(13) | B(14) |        \
     B(15) | B(16) | B(17) | B(19) | B(23) | B(24) | B(25) | B(26))
#define L1_EDX_APIC B(9)
#define L1_EDX_MTRR B(12)
#define L1_EDX_HTT  B(28)
/*
 * Leaf 7 EBX: FSGSBASE BMI1 AVX2 FDP SMEP BMI2 ERMS INVPCID ZERO_FCS AVX512F DQ RDSEED ADX SMAP
 * IFMA CLFLUSHOPT CLWB AVX512CD SHA BW VL.
 */
#define L7_EBX                                                                                     \
    (B(0) | B(3) | B(5) | B(6) | B(7) | B(8) | B(9) | B(10) | B(13) | B(16) | B(17) | B(18) |      \
     B(19) | B(20) | B(21) | B(23) | B(24) | B(28) | B(29) | B(30) | B(31))
#define L7_EBX_INVPCID    B(10)
#define L7_EBX_TSC_ADJUST B(1) /* skep's own */
/* Leaf 7 ECX: AVX512VBMI UMIP VBMI2 GFNI VAES VPCLMUL VNNI BITALG VPOPCNTDQ RDPID MOVDIRI. Not
 * MOVDIR64B, which is for devices and has no width that a device here could take. */
#define L7_ECX       (B(1) | B(2) | B(6) | B(8) | B(9) | B(10) | B(11) | B(12) | B(14) | B(22) | B(27))
#define L7_ECX_RDPID B(22)
/* Leaf 7 EDX: FSRM SERIALIZE. */
#define L7_EDX (B(4) | B(14))
/* Leaf 7.1 EAX: AVX-VNNI AVX512_BF16 FZRM FSRS FSRCS. */
#define L71_EAX (B(4) | B(5) | B(10) | B(11) | B(12))
/* Leaf 0xd.1 EAX: XSAVEOPT XSAVEC XGETBV1. */
#define LD1_EAX        (B(0) | B(1) | B(2))
#define LD1_EAX_XSAVEC B(1)
/* 0x80000001 ECX: LAHF CR8 ABM SSE4A MISALIGN PREFETCHW XOP FMA4 TBM. */
#define E1_ECX            (B(0) | B(4) | B(5) | B(6) | B(7) | B(8) | B(11) | B(16) | B(21))
#define E1_ECX_CMP_LEGACY B(1)
/* 0x80000001 EDX: SYSCALL NX MMXEXT FFXSR 1G RDTSCP LM 3DNOW, and on AMD the copies of leaf 1. */
#define E1_EDX        (B(11) | B(20) | B(22) | B(25) | B(26) | B(27) | B(29) | B(30) | B(31))
#define E1_EDX_RDTSCP B(27)
#define E1_EDX_COPIES (B(24) | B(23) | 0x3f3ffu)
/* 0x80000008 EBX: CLZERO, XSAVEERPTR, WBNOINVD. 0x80000021 EAX: LFENCE serialises, null base. */
#define E8_EBX  (B(0) | B(2) | B(9))
#define E21_EAX (B(2) | B(6))

#define XCR0_ALLOWED (XCR0_X87 | XCR0_SSE | XCR0_AVX | BIT(5) | BIT(6) | BIT(7))

static unsigned cpuid_class(u32 leaf)
{
    return leaf >= EXTENDED_BASE ? 2 : leaf >= HYPERVISOR_BASE ? 1 : 0;
}

static const u32 class_base[3] = {0, HYPERVISOR_BASE, EXTENDED_BASE};

/* A table in the making, and the registers of the leaf that is looked at. */
struct build {
    struct cpuid_table *t;
    const struct cpuid_config *c;
    cpuid_host_fn host;
    u32 r[4];
};

static void ask(struct build *b, u32 leaf, u32 sub)
{
    b->host(leaf, sub, b->r);
}

/* Registers of skep's own. */
static void say(struct build *b, u32 eax, u32 ebx, u32 ecx, u32 edx)
{
    b->r[CPUID_EAX] = eax;
    b->r[CPUID_EBX] = ebx;
    b->r[CPUID_ECX] = ecx;
    b->r[CPUID_EDX] = edx;
}

static struct cpuid_entry *add(struct build *b, u32 leaf, u32 sub)
{
    struct cpuid_table *t = b->t;
    u32 offset = leaf - class_base[cpuid_class(leaf)];

    if (t->count == CPUID_MAX_ENTRIES || offset >= CPUID_CLASS_LEAVES)
        return NULL;
    struct cpuid_entry *e = &t->entry[t->count++];
    *e = (struct cpuid_entry){.leaf = leaf, .sub = sub};
    memcpy(e->reg, b->r, sizeof(e->reg));
    u8 *first = &t->first[cpuid_class(leaf)][offset];
    if (*first == 0)
        *first = (u8)t->count;
    return e;
}

static void add_dynamic(struct build *b, u32 leaf, u32 sub, bool has_sub,
                        enum cpuid_dynamic dynamic)
{
    struct cpuid_entry *e = add(b, leaf, sub);

    if (e) {
        e->has_sub = has_sub;
        e->dynamic = (u8)dynamic;
    }
}

static void add_sub(struct build *b, u32 leaf, u32 sub)
{
    add_dynamic(b, leaf, sub, true, CPUID_STATIC);
}

/* Bits needed to number n things. */
static u32 width(u32 n)
{
    u32 w = 0;

    while (w < 31 && (1u << w) < n)
        w++;
    return w;
}

static void add_features(struct build *b)
{
    const struct cpuid_config *c = b->c;
    u32 *r = b->r;

    ask(b, 1, 0);
    r[CPUID_EBX] = (r[CPUID_EBX] & 0xff00u) | (MIN(1u << width(c->vcpus), 255u) << 16);
    r[CPUID_ECX] =
        (r[CPUID_ECX] & L1_ECX) | L1_ECX_X2APIC | L1_ECX_TSC_DEADLINE | L1_ECX_HYPERVISOR;
    r[CPUID_EDX] = (r[CPUID_EDX] & L1_EDX) | L1_EDX_APIC | L1_EDX_MTRR;
    if (c->vcpus > 1)
        r[CPUID_EDX] |= L1_EDX_HTT;
    add_dynamic(b, 1, 0, false, CPUID_DYN_LEAF1);

    if (b->t->max_basic < 7)
        return;
    ask(b, 7, 0);
    u32 subs = r[CPUID_EAX] = MIN(r[CPUID_EAX], 1u);
    r[CPUID_EBX] &= c->invpcid ? L7_EBX : L7_EBX & ~L7_EBX_INVPCID;
    r[CPUID_EBX] |= L7_EBX_TSC_ADJUST;
    r[CPUID_ECX] &= c->rdtscp ? L7_ECX : L7_ECX & ~L7_ECX_RDPID;
    r[CPUID_EDX] &= L7_EDX;
    add_sub(b, 7, 0);
    if (subs) {
        ask(b, 7, 1);
        say(b, r[CPUID_EAX] & L71_EAX, 0, 0, 0);
        add_sub(b, 7, 1);
    }
}

/* Leaf 4: the cache levels, shared as the VM's one package of single-threaded cores shares them. */
static void add_caches(struct build *b)
{
    u32 cores = (1u << width(b->c->vcpus)) - 1;

    for (u32 sub = 0; sub < 8; sub++) {
        ask(b, 4, sub);
        u32 eax = b->r[CPUID_EAX], type = eax & 0x1f, level = eax >> 5 & 7;
        if (type == 0)
            break;
        u32 sharing = level >= 3 ? cores : 0;
        b->r[CPUID_EAX] = (eax & 0x3fff) | sharing << 14 | MIN(cores, 63u) << 26;
        add_sub(b, 4, sub);
    }
}

/* Leaf 0xb: a thread level of one, a core level of all. */
static void add_topology(struct build *b)
{
    say(b, 0, 1, 1 << 8, 0);
    add_dynamic(b, 0xb, 0, true, CPUID_DYN_TOPO);
    say(b, width(b->c->vcpus), b->c->vcpus, 2 << 8 | 1, 0);
    add_dynamic(b, 0xb, 1, true, CPUID_DYN_TOPO);
    say(b, 0, 0, 2, 0);
    add_dynamic(b, 0xb, 2, true, CPUID_DYN_TOPO);
}

#define XSAVE_LEGACY_AND_HEADER 576u
#define XSAVE_ALIGNED           B(1) /* of leaf 0xd, ECX: starts at a multiple of 64 if compacted */

/*
 * Whether the processor knows how large its compacted areas are. Bochs 2.7 does not, and its XSAVEC
 * writes AVX state over the area's header: a guest that uses it loses registers.
 */
static bool can_compact(struct build *b)
{
    u32 size = XSAVE_LEGACY_AND_HEADER, told;

    ask(b, 0xd, 1);
    told = b->r[CPUID_EBX];
    for (u32 i = 2; i < 63; i++)
        if (b->c->xcr0 & BIT(i)) {
            ask(b, 0xd, i);
            if (b->r[CPUID_ECX] & XSAVE_ALIGNED)
                size = ALIGN_UP(size, 64);
            size += b->r[CPUID_EAX];
        }
    return told == size;
}

static void add_xsave(struct build *b)
{
    u32 *r = b->r, size = XSAVE_LEGACY_AND_HEADER;
    u64 xcr0;

    ask(b, 0xd, 0);
    xcr0 = b->t->xcr0 = (r[CPUID_EAX] | (u64)r[CPUID_EDX] << 32) & XCR0_ALLOWED;
    u32 ebx = r[CPUID_EBX]; /* dynamic */
    for (u32 i = 2; i < 63; i++)
        if (xcr0 & BIT(i)) {
            ask(b, 0xd, i);
            size = MAX(size, r[CPUID_EAX] + r[CPUID_EBX]);
        }
    say(b, (u32)xcr0, ebx, size, (u32)(xcr0 >> 32));
    add_dynamic(b, 0xd, 0, true, CPUID_DYN_XSAVE);

    u32 lacks = can_compact(b) ? 0 : LD1_EAX_XSAVEC;
    ask(b, 0xd, 1); /* no XSAVES: IA32_XSS is not offered */
    say(b, r[CPUID_EAX] & LD1_EAX & ~lacks, r[CPUID_EBX], 0, 0);
    add_dynamic(b, 0xd, 1, true, r[CPUID_EAX] & LD1_EAX_XSAVEC ? CPUID_DYN_XSAVE : CPUID_STATIC);
    for (u32 i = 2; i < 63; i++)
        if (xcr0 & BIT(i)) {
            ask(b, 0xd, i);
            add_sub(b, 0xd, i);
        }
}

/*
 * The fraction n/d nearest to tsc/apic with n * apic below 2^32, which guests compute in 32 bits
 * (Linux: crystal * n / d). False if it is off by more than 2 ppm.
 */
static bool nearest_ratio(u32 tsc_khz, u32 apic_khz, u32 *n, u32 *d)
{
    u64 wanted = (u64)tsc_khz * 1000, least = UINT64_MAX;

    for (u32 den = 1; den <= 8192; den++) {
        u64 num = ((u64)tsc_khz * den + apic_khz / 2) / apic_khz;
        if (num * apic_khz > UINT32_MAX)
            break;
        u64 tsc = num * apic_khz * 1000 / den;
        u64 error = tsc > wanted ? tsc - wanted : wanted - tsc;
        if (error < least) {
            least = error;
            *n = (u32)num;
            *d = den;
        }
    }
    return least * 500 <= tsc_khz; /* Hz against kHz */
}

/*
 * Leaves 0x15 and 0x16: the TSC as a multiple of the local APIC timer's clock, if it can be told
 * well; guests that are told nothing measure it.
 */
static void add_frequency(struct build *b)
{
    u32 n = 0, d = 0, mhz = b->c->tsc_khz / 1000;

    if (nearest_ratio(b->c->tsc_khz, b->c->apic_khz, &n, &d))
        say(b, d, n, b->c->apic_khz * 1000, 0);
    else
        say(b, 0, 0, 0, 0);
    add(b, 0x15, 0);
    say(b, mhz, mhz, 100, 0);
    add(b, 0x16, 0);
}

static void add_basic(struct build *b)
{
    struct cpuid_table *t = b->t;
    bool intel = !t->amd;

    ask(b, 0, 0);
    u32 host_max = b->r[CPUID_EAX];
    u32 max = b->r[CPUID_EAX] = intel ? MAX_BASIC : MIN(host_max, 0xdu);
    add(b, 0, 0);
    t->max_basic = host_max < 7 ? MIN(max, 6u) : max; /* no leaf 7 to copy */
    add_features(b);
    t->max_basic = max;
    if (intel && host_max >= 2) {
        ask(b, 2, 0);
        add(b, 2, 0);
    }
    if (intel && host_max >= 4)
        add_caches(b);
    say(b, B(2), 0, 0, 0); /* the APIC timer runs in every power state */
    add(b, 6, 0);
    if (intel)
        add_topology(b);
    if (cpuid_has(t, 1, 0, CPUID_ECX, 26) && host_max >= 0xd)
        add_xsave(b);
    if (intel)
        add_frequency(b);
}

static void add_hypervisor(struct build *b)
{
    b->r[CPUID_EAX] = MAX_HYPERVISOR;
    memcpy(b->r + CPUID_EBX, "SkepSkepSkep", 12);
    add(b, HYPERVISOR_BASE, 0);
    say(b, b->c->tsc_khz, b->c->apic_khz, 0, 0);
    add(b, MAX_HYPERVISOR, 0);
}

static void add_address_sizes(struct build *b, u32 host_max)
{
    struct cpuid_table *t = b->t;
    u32 vcpus = b->c->vcpus;

    if (host_max >= EXTENDED_BASE + 8)
        ask(b, EXTENDED_BASE + 8, 0);
    else
        say(b, 36, 0, 0, 0);
    t->phys_bits = (u8)MIN(b->r[CPUID_EAX] & 0xff, (u32)b->c->nested_phys_bits);
    say(b, t->phys_bits | 48u << 8, b->r[CPUID_EBX] & (t->amd ? E8_EBX : B(9)),
        t->amd ? (vcpus - 1) | width(vcpus) << 12 : 0, 0);
    add(b, EXTENDED_BASE + 8, 0);
}

static void add_extended(struct build *b)
{
    struct cpuid_table *t = b->t;
    u32 *r = b->r;

    ask(b, EXTENDED_BASE, 0);
    u32 host_max = r[CPUID_EAX];
    t->max_ext = MAX(MIN(host_max, t->amd ? MAX_EXTENDED : EXTENDED_BASE + 8), EXTENDED_BASE + 8);
    r[CPUID_EAX] = t->max_ext;
    add(b, EXTENDED_BASE, 0);

    ask(b, EXTENDED_BASE + 1, 0);
    r[CPUID_ECX] &= E1_ECX;
    if (t->amd && b->c->vcpus > 1)
        r[CPUID_ECX] |= E1_ECX_CMP_LEGACY;
    r[CPUID_EDX] &= b->c->rdtscp ? E1_EDX : E1_EDX & ~E1_EDX_RDTSCP;
    if (t->amd)
        r[CPUID_EDX] |= t->entry[1].reg[CPUID_EDX] & E1_EDX_COPIES;
    add(b, EXTENDED_BASE + 1, 0);

    /* Brand string, caches and TLBs as they are; power management as below. */
    static const u8 copied[] = {2, 3, 4, 5, 6, 0x19, 0x1a};
    for (u32 i = 0; i < ARRAY_SIZE(copied); i++) {
        u32 leaf = EXTENDED_BASE + copied[i];
        if (leaf > MIN(host_max, t->max_ext))
            break;
        ask(b, leaf, 0);
        add(b, leaf, 0);
    }
    /*
     * Every clock of a guest is computed from the TSC, and its processors' have one offset: to the
     * guest the TSC is invariant on any processor.
     */
    say(b, 0, 0, 0, B(8));
    add(b, EXTENDED_BASE + 7, 0);
    add_address_sizes(b, host_max);
    if (t->max_ext >= MAX_EXTENDED) {
        ask(b, MAX_EXTENDED, 0);
        say(b, r[CPUID_EAX] & E21_EAX, 0, 0, 0);
        add(b, MAX_EXTENDED, 0);
    }
}

COLD void cpuid_build(struct cpuid_table *t, const struct cpuid_config *c, cpuid_host_fn host)
{
    struct build b = {.t = t, .c = c, .host = host};

    memset(t, 0, sizeof(*t));
    ask(&b, 0, 0);
    /* AuthenticAMD, HygonGenuine */
    t->amd = b.r[CPUID_EBX] == 0x68747541 || b.r[CPUID_EBX] == 0x6f677948;
    t->xcr0 = XCR0_X87 | XCR0_SSE;
    add_basic(&b);
    add_hypervisor(&b);
    add_extended(&b);
    for (u32 leaf = 0; leaf <= t->max_basic; leaf++) {
        u8 first = t->first[0][leaf];
        if (first && !t->entry[first - 1].has_sub && !t->entry[first - 1].dynamic)
            t->constant[leaf] =
                (u16)(offsetof(struct cpuid_table, entry) + (first - 1u) * sizeof(t->entry[0]));
    }
}

const struct cpuid_entry *cpuid_find(const struct cpuid_table *t, u32 leaf, u32 sub)
{
    unsigned class = cpuid_class(leaf);

    if (class == 0 && leaf > t->max_basic) {
        if (t->amd)
            return NULL;
        leaf = t->max_basic;
    }
    u32 offset = leaf - class_base[class];
    if (offset >= CPUID_CLASS_LEAVES)
        return NULL;
    u32 i = t->first[class][offset];
    if (i == 0)
        return NULL;
    const struct cpuid_entry *e = &t->entry[i - 1];
    if (!e->has_sub)
        return e;
    for (; e < t->entry + t->count && e->leaf == leaf; e++)
        if (e->sub == sub)
            return e;
    return NULL;
}

bool cpuid_has(const struct cpuid_table *t, u32 leaf, u32 sub, enum cpuid_reg reg, unsigned bit)
{
    const struct cpuid_entry *e = cpuid_find(t, leaf, sub);

    return e && e->leaf == leaf && (e->reg[reg] & B(bit));
}

u32 cpuid_xsave_size(const struct cpuid_table *t, u64 xcr0, bool compacted)
{
    u32 size = XSAVE_LEGACY_AND_HEADER;

    for (u32 i = 2; i < 63; i++) {
        const struct cpuid_entry *e = xcr0 & BIT(i) ? cpuid_find(t, 0xd, i) : NULL;
        if (!e)
            continue;
        u32 start = e->reg[CPUID_EBX];
        if (compacted)
            start = e->reg[CPUID_ECX] & XSAVE_ALIGNED ? ALIGN_UP(size, 64) : size;
        size = MAX(size, start + e->reg[CPUID_EAX]);
    }
    return size;
}
