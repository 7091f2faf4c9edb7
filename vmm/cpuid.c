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

static struct cpuid_entry *add(struct cpuid_table *t, u32 leaf, u32 sub, const u32 reg[4])
{
    u32 offset = leaf - class_base[cpuid_class(leaf)];

    if (t->count == CPUID_MAX_ENTRIES || offset >= CPUID_CLASS_LEAVES)
        return NULL;
    struct cpuid_entry *e = &t->entry[t->count++];
    *e = (struct cpuid_entry){.leaf = leaf, .sub = sub};
    memcpy(e->reg, reg, sizeof(e->reg));
    u8 *first = &t->first[cpuid_class(leaf)][offset];
    if (*first == 0)
        *first = (u8)t->count;
    return e;
}

static void add_dynamic(struct cpuid_table *t, u32 leaf, u32 sub, const u32 reg[4], bool has_sub,
                        enum cpuid_dynamic dynamic)
{
    struct cpuid_entry *e = add(t, leaf, sub, reg);

    if (e) {
        e->has_sub = has_sub;
        e->dynamic = (u8)dynamic;
    }
}

static void add_sub(struct cpuid_table *t, u32 leaf, u32 sub, const u32 reg[4])
{
    add_dynamic(t, leaf, sub, reg, true, CPUID_STATIC);
}

/* Bits needed to number n things. */
static u32 width(u32 n)
{
    u32 w = 0;

    while (w < 31 && (1u << w) < n)
        w++;
    return w;
}

static void add_features(struct cpuid_table *t, const struct cpuid_config *c, cpuid_host_fn host)
{
    u32 r[4];

    host(1, 0, r);
    r[CPUID_EBX] = (r[CPUID_EBX] & 0xff00u) | (MIN(1u << width(c->vcpus), 255u) << 16);
    r[CPUID_ECX] =
        (r[CPUID_ECX] & L1_ECX) | L1_ECX_X2APIC | L1_ECX_TSC_DEADLINE | L1_ECX_HYPERVISOR;
    r[CPUID_EDX] = (r[CPUID_EDX] & L1_EDX) | L1_EDX_APIC | L1_EDX_MTRR;
    if (c->vcpus > 1)
        r[CPUID_EDX] |= L1_EDX_HTT;
    add_dynamic(t, 1, 0, r, false, CPUID_DYN_LEAF1);

    host(7, 0, r);
    if (t->max_basic >= 7) {
        u32 subs = MIN(r[CPUID_EAX], 1u);
        r[CPUID_EAX] = subs;
        r[CPUID_EBX] &= c->invpcid ? L7_EBX : L7_EBX & ~L7_EBX_INVPCID;
        r[CPUID_EBX] |= L7_EBX_TSC_ADJUST;
        r[CPUID_ECX] &= c->rdtscp ? L7_ECX : L7_ECX & ~L7_ECX_RDPID;
        r[CPUID_EDX] &= L7_EDX;
        add_dynamic(t, 7, 0, r, true, CPUID_DYN_LEAF7);
        if (subs) {
            host(7, 1, r);
            add_sub(t, 7, 1, (u32[4]){r[CPUID_EAX] & L71_EAX});
        }
    }
}

/* Leaf 4: the cache levels, shared as the VM's one package of single-threaded cores shares them. */
static void add_caches(struct cpuid_table *t, const struct cpuid_config *c, cpuid_host_fn host)
{
    u32 r[4];

    for (u32 sub = 0; sub < 8; sub++) {
        host(4, sub, r);
        u32 type = r[CPUID_EAX] & 0x1f, level = (r[CPUID_EAX] >> 5) & 7;
        if (type == 0)
            break;
        u32 cores = (1u << width(c->vcpus)) - 1;
        u32 sharing = level >= 3 ? cores : 0;
        r[CPUID_EAX] = (r[CPUID_EAX] & 0x3fff) | sharing << 14 | MIN(cores, 63u) << 26;
        add_sub(t, 4, sub, r);
    }
}

/* Leaf 0xb: a thread level of one, a core level of all. */
static void add_topology(struct cpuid_table *t, const struct cpuid_config *c)
{
    u32 levels[3][4] = {
        {0, 1, 1 << 8, 0},
        {width(c->vcpus), c->vcpus, 2 << 8 | 1, 0},
        {0, 0, 2, 0},
    };

    for (u32 sub = 0; sub < 3; sub++)
        add_dynamic(t, 0xb, sub, levels[sub], true, CPUID_DYN_TOPO);
}

#define XSAVE_LEGACY_AND_HEADER 576u
#define XSAVE_ALIGNED           B(1) /* of leaf 0xd, ECX: starts at a multiple of 64 if compacted */

/*
 * Whether the processor knows how large its compacted areas are. Bochs 2.7 does not, and its XSAVEC
 * writes AVX state over the area's header: a guest that uses it loses registers.
 */
static bool can_compact(u64 xcr0, u32 told, cpuid_host_fn host)
{
    u32 size = XSAVE_LEGACY_AND_HEADER, r[4];

    for (u32 i = 2; i < 63; i++)
        if (xcr0 & BIT(i)) {
            host(0xd, i, r);
            size = (r[CPUID_ECX] & XSAVE_ALIGNED ? ALIGN_UP(size, 64) : size) + r[CPUID_EAX];
        }
    return told == size;
}

static void add_xsave(struct cpuid_table *t, const struct cpuid_config *c, cpuid_host_fn host)
{
    u32 r[4], size = 576;

    host(0xd, 0, r);
    t->xcr0 = (r[CPUID_EAX] | (u64)r[CPUID_EDX] << 32) & XCR0_ALLOWED;
    for (u32 i = 2; i < 63; i++) {
        if (!(t->xcr0 & BIT(i)))
            continue;
        u32 s[4];
        host(0xd, i, s);
        size = MAX(size, s[CPUID_EAX] + s[CPUID_EBX]);
    }
    r[CPUID_EAX] = (u32)t->xcr0;
    r[CPUID_EDX] = (u32)(t->xcr0 >> 32);
    r[CPUID_ECX] = size;
    add_dynamic(t, 0xd, 0, r, true, CPUID_DYN_XSAVE);

    host(0xd, 1, r);
    r[CPUID_EAX] &= LD1_EAX; /* no XSAVES: IA32_XSS is not offered */
    if (!can_compact(c->xcr0, r[CPUID_EBX], host))
        r[CPUID_EAX] &= ~LD1_EAX_XSAVEC;
    r[CPUID_ECX] = r[CPUID_EDX] = 0;
    add_dynamic(t, 0xd, 1, r, true, r[CPUID_EAX] & LD1_EAX_XSAVEC ? CPUID_DYN_XSAVE : CPUID_STATIC);
    for (u32 i = 2; i < 63; i++)
        if (t->xcr0 & BIT(i)) {
            host(0xd, i, r);
            add_sub(t, 0xd, i, r);
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
static void add_frequency(struct cpuid_table *t, const struct cpuid_config *c)
{
    u32 n = 0, d = 0;

    if (nearest_ratio(c->tsc_khz, c->apic_khz, &n, &d))
        add(t, 0x15, 0, (u32[4]){d, n, c->apic_khz * 1000, 0});
    else
        add(t, 0x15, 0, (u32[4]){0});
    add(t, 0x16, 0, (u32[4]){c->tsc_khz / 1000, c->tsc_khz / 1000, 100, 0});
}

static void add_basic(struct cpuid_table *t, const struct cpuid_config *c, cpuid_host_fn host)
{
    u32 r[4];

    host(0, 0, r);
    bool intel = !t->amd;
    u32 host_max = r[CPUID_EAX];
    t->max_basic = intel ? MAX_BASIC : MIN(host_max, 0xdu);
    r[CPUID_EAX] = t->max_basic;
    add(t, 0, 0, r);
    if (host_max < 7)
        t->max_basic = MIN(t->max_basic, 6u); /* no leaf 7 to copy */
    add_features(t, c, host);
    t->max_basic = t->entry[0].reg[CPUID_EAX];
    if (intel && host_max >= 2) {
        host(2, 0, r);
        add(t, 2, 0, r);
    }
    if (intel && host_max >= 4)
        add_caches(t, c, host);
    add(t, 6, 0, (u32[4]){B(2)}); /* the APIC timer runs in every power state */
    if (intel)
        add_topology(t, c);
    if (cpuid_has(t, 1, 0, CPUID_ECX, 26) && host_max >= 0xd)
        add_xsave(t, c, host);
    if (intel)
        add_frequency(t, c);
}

static void add_hypervisor(struct cpuid_table *t, const struct cpuid_config *c)
{
    u32 sig[3];

    memcpy(sig, "SkepSkepSkep", sizeof(sig));
    add(t, HYPERVISOR_BASE, 0, (u32[4]){MAX_HYPERVISOR, sig[0], sig[1], sig[2]});
    add(t, MAX_HYPERVISOR, 0, (u32[4]){c->tsc_khz, c->apic_khz, 0, 0});
}

static void add_address_sizes(struct cpuid_table *t, const struct cpuid_config *c,
                              cpuid_host_fn host)
{
    u32 r[4] = {36 | 48 << 8};

    host(EXTENDED_BASE, 0, r);
    if (r[CPUID_EAX] >= EXTENDED_BASE + 8)
        host(EXTENDED_BASE + 8, 0, r);
    else
        r[CPUID_EAX] = 36 | 48 << 8;
    t->phys_bits = (u8)MIN(r[CPUID_EAX] & 0xff, (u32)c->nested_phys_bits);
    r[CPUID_EAX] = t->phys_bits | 48u << 8;
    r[CPUID_EBX] &= t->amd ? E8_EBX : B(9);
    r[CPUID_ECX] = t->amd ? (c->vcpus - 1) | width(c->vcpus) << 12 : 0;
    r[CPUID_EDX] = 0;
    add(t, EXTENDED_BASE + 8, 0, r);
}

static void add_extended(struct cpuid_table *t, const struct cpuid_config *c, cpuid_host_fn host)
{
    u32 r[4];

    host(EXTENDED_BASE, 0, r);
    u32 host_max = r[CPUID_EAX];
    t->max_ext = MAX(MIN(host_max, t->amd ? MAX_EXTENDED : EXTENDED_BASE + 8), EXTENDED_BASE + 8);
    r[CPUID_EAX] = t->max_ext;
    add(t, EXTENDED_BASE, 0, r);

    host(EXTENDED_BASE + 1, 0, r);
    r[CPUID_ECX] &= E1_ECX;
    if (t->amd && c->vcpus > 1)
        r[CPUID_ECX] |= E1_ECX_CMP_LEGACY;
    u32 leaf1 = t->entry[1].reg[CPUID_EDX];
    r[CPUID_EDX] &= c->rdtscp ? E1_EDX : E1_EDX & ~E1_EDX_RDTSCP;
    if (t->amd)
        r[CPUID_EDX] |= leaf1 & E1_EDX_COPIES;
    add(t, EXTENDED_BASE + 1, 0, r);

    /* Brand string, caches and TLBs as they are; power management as below. */
    static const u8 copied[] = {2, 3, 4, 5, 6, 0x19, 0x1a};
    for (u32 i = 0; i < ARRAY_SIZE(copied); i++) {
        if (EXTENDED_BASE + copied[i] > MIN(host_max, t->max_ext))
            break;
        host(EXTENDED_BASE + copied[i], 0, r);
        add(t, EXTENDED_BASE + copied[i], 0, r);
    }
    /*
     * Every clock of a guest is computed from the TSC, and its processors' have one offset: to the
     * guest the TSC is invariant on any processor.
     */
    add(t, EXTENDED_BASE + 7, 0, (u32[4]){0, 0, 0, B(8)});
    add_address_sizes(t, c, host);
    if (t->max_ext >= MAX_EXTENDED) {
        host(MAX_EXTENDED, 0, r);
        add(t, MAX_EXTENDED, 0, (u32[4]){r[CPUID_EAX] & E21_EAX});
    }
}

static bool is_amd(cpuid_host_fn host)
{
    u32 r[4];

    host(0, 0, r);
    /* AuthenticAMD, HygonGenuine */
    return r[CPUID_EBX] == 0x68747541 || r[CPUID_EBX] == 0x6f677948;
}

COLD void cpuid_build(struct cpuid_table *t, const struct cpuid_config *c, cpuid_host_fn host)
{
    memset(t, 0, sizeof(*t));
    t->amd = is_amd(host);
    t->xcr0 = XCR0_X87 | XCR0_SSE;
    add_basic(t, c, host);
    add_hypervisor(t, c);
    add_extended(t, c, host);
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
