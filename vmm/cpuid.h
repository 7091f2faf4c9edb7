/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What CPUID tells a guest. The answers are computed once a VM, from the processor's own and an
 * allow-list, so that a new processor's features stay hidden until skep has been taught them.
 * Intel SDM 2, CPUID; AMD APM 3, appendix E.
 */
#ifndef VMM_CPUID_H
#define VMM_CPUID_H

#include "lib/types.h"

enum cpuid_reg { CPUID_EAX, CPUID_EBX, CPUID_ECX, CPUID_EDX };

/* Leaves that depend on the vCPU's state, marked in cpuid_entry.dynamic. */
enum cpuid_dynamic {
    CPUID_STATIC,
    CPUID_DYN_LEAF1, /* APIC ID, APIC enable, OSXSAVE */
    CPUID_DYN_TOPO,  /* EDX is the x2APIC ID */
    CPUID_DYN_XSAVE, /* EBX is the size for the XCR0 in force */
};

struct cpuid_entry {
    u32 leaf, sub;
    u32 reg[4];
    u8 dynamic;   /* enum cpuid_dynamic */
    bool has_sub; /* sub matters */
};

#define CPUID_MAX_ENTRIES  96
#define CPUID_CLASS_LEAVES 0x24

struct cpuid_table {
    u32 count;
    u32 max_basic, max_ext;
    u64 xcr0; /* state components that the guest may enable */
    bool amd;
    u8 phys_bits;
    /* Index of a leaf's first entry plus one, by class: basic, 0x4000_0000, 0x8000_0000. */
    u8 first[3][CPUID_CLASS_LEAVES];
    /* Of basic leaves with one answer for ever: the entry's offset in this table; else 0. */
    u16 constant[CPUID_CLASS_LEAVES];
    struct cpuid_entry entry[CPUID_MAX_ENTRIES];
};

/* What the table depends on besides the processor. */
struct cpuid_config {
    u32 vcpus; /* at least 1 */
    u32 tsc_khz;
    u32 apic_khz;         /* the local APIC timer's input clock */
    bool rdtscp, invpcid; /* the back end lets guests use them */
    u64 xcr0;             /* this CPU's while it is asked; XSS is 0 */
    u8 nested_phys_bits;  /* width of guest-physical addresses that nested tables reach */
};

/* The processor: out[4] in the order of enum cpuid_reg. */
typedef void (*cpuid_host_fn)(u32 leaf, u32 sub, u32 out[4]);

void cpuid_build(struct cpuid_table *t, const struct cpuid_config *c, cpuid_host_fn host);

/*
 * The entry that answers (leaf, sub), or NULL where the answer is all zeros. Leaves above the
 * highest basic one answer as the highest does on Intel processors, zeros on AMD's.
 */
const struct cpuid_entry *cpuid_find(const struct cpuid_table *t, u32 leaf, u32 sub);

/* The entry of a basic leaf whose answer never changes; NULL for any other. */
static inline const struct cpuid_entry *cpuid_constant(const struct cpuid_table *t, u32 leaf)
{
    if (unlikely(leaf >= CPUID_CLASS_LEAVES || !t->constant[leaf]))
        return NULL;
    return (const struct cpuid_entry *)((const u8 *)t + t->constant[leaf]);
}

/*
 * Bytes of an XSAVE area that holds the components of xcr0, in the standard or in the compacted
 * format (SDM 1, 13.4.2 and 13.4.3).
 */
u32 cpuid_xsave_size(const struct cpuid_table *t, u64 xcr0, bool compacted);

/* Whether the guest is told of a feature bit. */
bool cpuid_has(const struct cpuid_table *t, u32 leaf, u32 sub, enum cpuid_reg reg, unsigned bit);

#endif
