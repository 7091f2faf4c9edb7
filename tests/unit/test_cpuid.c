/* SPDX-License-Identifier: BSD-2-Clause */
/* The CPUID policy on made-up processors: nothing gets through that is not on the lists. */
#include <string.h>
#include "vmm/cpuid.h"
#include "tests/unit/unit.h"

static const char *vendor;
static u32 max_basic, max_ext, compacted = 576 + 5 * 64; /* of XCR0 0x2e7: five components */

/* A processor that has every bit of every leaf set. */
static void all_ones(u32 leaf, u32 sub, u32 out[4])
{
    memset(out, 0xff, 16);
    if (leaf == 0 || leaf == 0x80000000) {
        out[CPUID_EAX] = leaf ? max_ext : max_basic;
        memcpy(&out[CPUID_EBX], vendor, 4);
        memcpy(&out[CPUID_EDX], vendor + 4, 4);
        memcpy(&out[CPUID_ECX], vendor + 8, 4);
    } else if (leaf == 7 && sub == 0) {
        out[CPUID_EAX] = 2;
    } else if (leaf == 4) {
        out[CPUID_EAX] = sub < 4 ? 0xffffff01 | (sub + 1) << 5 : 0;
    } else if (leaf == 0xd && sub == 1) {
        out[CPUID_EBX] = compacted;
    } else if (leaf == 0xd && sub >= 2) {
        out[CPUID_EAX] = 64;
        out[CPUID_EBX] = 576 + 64 * sub;
    } else if (leaf == 0x80000008) {
        out[CPUID_EAX] = 52 | 57 << 8;
    }
}

/* The least that can run a 64-bit guest. */
static void meagre(u32 leaf, u32 sub, u32 out[4])
{
    (void)sub;
    memset(out, 0, 16);
    if (leaf == 0) {
        all_ones(leaf, sub, out);
        out[CPUID_EAX] = 1;
    } else if (leaf == 0x80000000) {
        out[CPUID_EAX] = 0x80000001;
    } else if (leaf == 1) {
        out[CPUID_EDX] = 0x078bfbff;
    }
}

static const struct cpuid_config plain = {
    .vcpus = 1, .tsc_khz = 3000000, .apic_khz = 25000, .xcr0 = 0x2e7, .nested_phys_bits = 48};

static struct cpuid_table t;

static int intel(void **state)
{
    (void)state;
    vendor = "GenuineIntel";
    max_basic = 0x20;
    max_ext = 0x80000008;
    cpuid_build(&t, &plain, all_ones);
    return 0;
}

static int amd(void **state)
{
    (void)state;
    vendor = "AuthenticAMD";
    max_basic = 0x10;
    max_ext = 0x80000021;
    cpuid_build(&t, &plain, all_ones);
    return 0;
}

static bool has(u32 leaf, enum cpuid_reg reg, unsigned bit)
{
    return cpuid_has(&t, leaf, 0, reg, bit);
}

static void hides_what_guests_cannot_have(void **state)
{
    (void)state;
    assert_false(has(1, CPUID_ECX, 3));           /* MONITOR */
    assert_false(has(1, CPUID_ECX, 5));           /* VMX */
    assert_false(has(1, CPUID_ECX, 6));           /* SMX */
    assert_false(has(1, CPUID_ECX, 15));          /* PDCM */
    assert_false(has(1, CPUID_EDX, 22));          /* ACPI thermal MSRs */
    assert_false(has(7, CPUID_EBX, 2));           /* SGX */
    assert_false(has(7, CPUID_EBX, 10));          /* INVPCID: the back end does not let guests */
    assert_false(has(7, CPUID_EBX, 11));          /* RTM */
    assert_false(has(7, CPUID_ECX, 3));           /* PKU */
    assert_false(has(7, CPUID_ECX, 16));          /* LA57 */
    assert_false(has(7, CPUID_EDX, 24));          /* AMX */
    assert_false(has(0x80000001, CPUID_ECX, 2));  /* SVM */
    assert_false(has(0x80000001, CPUID_EDX, 27)); /* RDTSCP, likewise */
    assert_null(cpuid_find(&t, 0xa, 0));          /* performance counters */
    assert_null(cpuid_find(&t, 0x12, 0));         /* SGX */
    assert_null(cpuid_find(&t, 0x14, 0));         /* processor trace */
    assert_null(cpuid_find(&t, 0x8000000a, 0));   /* SVM */
    assert_null(cpuid_find(&t, 0x8000001f, 0));   /* SEV */
}

static void shows_what_skep_adds(void **state)
{
    const struct cpuid_entry *e = cpuid_find(&t, 0x40000000, 0);

    (void)state;
    assert_true(has(1, CPUID_ECX, 31)); /* a hypervisor is there */
    assert_true(has(1, CPUID_ECX, 21)); /* x2APIC */
    assert_true(has(1, CPUID_ECX, 24)); /* TSC deadline */
    assert_true(has(1, CPUID_EDX, 9));  /* APIC */
    assert_true(has(7, CPUID_EBX, 1));  /* TSC_ADJUST */
    assert_non_null(e);
    assert_memory_equal(&e->reg[CPUID_EBX], "Skep", 4);
    assert_memory_equal(&e->reg[CPUID_ECX], "Skep", 4);
    assert_memory_equal(&e->reg[CPUID_EDX], "Skep", 4);
    e = cpuid_find(&t, 0x40000010, 0);
    assert_int_equal(e->reg[CPUID_EAX], 3000000);
    assert_int_equal(e->reg[CPUID_EBX], 25000);
}

static void passes_features_on(void **state)
{
    (void)state;
    assert_true(has(1, CPUID_ECX, 0));           /* SSE3 */
    assert_true(has(1, CPUID_ECX, 26));          /* XSAVE */
    assert_true(has(7, CPUID_EBX, 5));           /* AVX2 */
    assert_true(has(7, CPUID_EBX, 20));          /* SMAP */
    assert_true(has(0x80000001, CPUID_EDX, 29)); /* long mode */
    assert_true(has(0x80000001, CPUID_EDX, 20)); /* NX */
}

static void xsave_components_are_known_ones(void **state)
{
    const struct cpuid_entry *e = cpuid_find(&t, 0xd, 0);

    (void)state;
    assert_int_equal(t.xcr0, 0xe7); /* x87, SSE, AVX, AVX-512: no MPX, PKRU, AMX */
    assert_int_equal(e->reg[CPUID_EAX], 0xe7);
    assert_int_equal(e->reg[CPUID_EDX], 0);
    assert_int_equal(e->reg[CPUID_ECX], 576 + 64 * 7 + 64); /* where component 7 ends */
    assert_null(cpuid_find(&t, 0xd, 9));
    assert_non_null(cpuid_find(&t, 0xd, 2));
    e = cpuid_find(&t, 0xd, 1);
    assert_int_equal(e->reg[CPUID_EAX], 7); /* no XSAVES */
}

/* A processor that is wrong about the size of its compacted areas writes them wrong: no XSAVEC. */
static void xsavec_wants_a_right_size(void **state)
{
    u32 right = compacted;

    (void)state;
    assert_int_equal(cpuid_find(&t, 0xd, 1)->reg[CPUID_EAX], 7);
    compacted += 64;
    cpuid_build(&t, &plain, all_ones);
    assert_int_equal(cpuid_find(&t, 0xd, 1)->reg[CPUID_EAX], 5); /* XSAVEOPT and XGETBV1 alone */
    compacted = right;
}

/* all_ones: component i is 64 bytes at 576 + 64 i, and to be aligned when compacted. */
static void xsave_sizes(void **state)
{
    (void)state;
    assert_int_equal(cpuid_xsave_size(&t, 1, false), 576);
    assert_int_equal(cpuid_xsave_size(&t, 3, true), 576);
    assert_int_equal(cpuid_xsave_size(&t, 7, false), 576 + 2 * 64 + 64);
    assert_int_equal(cpuid_xsave_size(&t, 7, true), 576 + 64);
    assert_int_equal(cpuid_xsave_size(&t, 0xe7, false), 576 + 7 * 64 + 64);
    assert_int_equal(cpuid_xsave_size(&t, 0xe7, true), 576 + 4 * 64);
}

static void addresses_are_cut(void **state)
{
    (void)state;
    assert_int_equal(t.phys_bits, 48);
    assert_int_equal(cpuid_find(&t, 0x80000008, 0)->reg[CPUID_EAX] & 0xffff, 48 | 48 << 8);
}

static void beyond_the_highest_leaf(void **state)
{
    const struct cpuid_entry *e = cpuid_find(&t, 0x1000, 0);

    (void)state;
    if (t.amd)
        assert_null(e);
    else
        assert_int_equal(e->leaf, cpuid_find(&t, 0, 0)->reg[CPUID_EAX]);
    assert_null(cpuid_find(&t, 0x40000011, 0));
    assert_null(cpuid_find(&t, 0x7fffffff, 0));
    assert_null(cpuid_find(&t, 0x80000022, 0));
    assert_null(cpuid_find(&t, 0xffffffff, 0xffffffff));
}

/* Linux computes crystal_khz * numerator / denominator in 32 bits. */
static bool told_frequency(u32 tsc_khz, u32 apic_khz)
{
    struct cpuid_config c = plain;

    c.tsc_khz = tsc_khz;
    c.apic_khz = apic_khz;
    cpuid_build(&t, &c, all_ones);
    const struct cpuid_entry *e = cpuid_find(&t, 0x15, 0);
    if (e->reg[CPUID_EAX] == 0) {
        assert_int_equal(e->reg[CPUID_EBX] | e->reg[CPUID_ECX], 0);
        return false;
    }
    u32 crystal = e->reg[CPUID_ECX] / 1000;
    assert_int_equal(crystal, apic_khz);
    u64 product = (u64)crystal * e->reg[CPUID_EBX];
    assert_true(product <= UINT32_MAX);
    s64 error = (s64)(product * 1000 / e->reg[CPUID_EAX]) - (s64)tsc_khz * 1000;
    assert_true(error * 500 <= tsc_khz && -error * 500 <= tsc_khz); /* 2 ppm */
    return true;
}

static void frequency_survives_32_bits(void **state)
{
    static const u32 khz[] = {100000, 1000000, 2399987, 2601432, 3000000, 3312001, 4200000};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(khz); i++) {
        told_frequency(khz[i], 25000);
        told_frequency(khz[i], 1000000);
    }
    assert_true(told_frequency(100000, 1000000));
    assert_true(told_frequency(3000000, 1000000));
    assert_true(told_frequency(2600000, 25000));
    assert_false(told_frequency(3000400, 1000000)); /* too near to 3, and no fraction fits */
}

static void topology_of_several(void **state)
{
    struct cpuid_config c = plain;
    const struct cpuid_entry *e;

    (void)state;
    c.vcpus = 3;
    cpuid_build(&t, &c, all_ones);
    assert_true(has(1, CPUID_EDX, 28));
    assert_int_equal(cpuid_find(&t, 1, 0)->reg[CPUID_EBX] >> 16 & 0xff, 4);
    if (t.amd) {
        assert_int_equal(cpuid_find(&t, 0x80000008, 0)->reg[CPUID_ECX], 2 | 2 << 12);
        return;
    }
    e = cpuid_find(&t, 0xb, 1);
    assert_int_equal(e->reg[CPUID_EAX], 2);
    assert_int_equal(e->reg[CPUID_EBX], 3);
    assert_int_equal(cpuid_find(&t, 4, 2)->reg[CPUID_EAX] >> 14 & 0xfff, 3); /* L3: shared */
    assert_int_equal(cpuid_find(&t, 4, 0)->reg[CPUID_EAX] >> 14 & 0xfff, 0);
}

/* Whatever the processor says of its own: every clock of a guest comes from its TSC. */
static void tsc_is_invariant(void **state)
{
    (void)state;
    assert_int_equal(cpuid_find(&t, 0x80000007, 0)->reg[CPUID_EDX], 1 << 8);
    cpuid_build(&t, &plain, meagre);
    assert_int_equal(cpuid_find(&t, 0x80000007, 0)->reg[CPUID_EDX], 1 << 8);
}

static void a_meagre_processor(void **state)
{
    (void)state;
    vendor = "GenuineIntel";
    cpuid_build(&t, &plain, meagre);
    assert_null(cpuid_find(&t, 7, 0));
    assert_null(cpuid_find(&t, 0xd, 0));
    assert_int_equal(t.xcr0, 3);
    assert_int_equal(cpuid_find(&t, 0x80000008, 0)->reg[CPUID_EAX] & 0xff, 36);
    assert_false(has(1, CPUID_ECX, 26));
}

#define BOTH(test) cmocka_unit_test_setup(test, intel), cmocka_unit_test_setup(test, amd)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(hides_what_guests_cannot_have),
        BOTH(shows_what_skep_adds),
        BOTH(passes_features_on),
        BOTH(xsave_components_are_known_ones),
        BOTH(xsave_sizes),
        BOTH(xsavec_wants_a_right_size),
        BOTH(addresses_are_cut),
        BOTH(beyond_the_highest_leaf),
        cmocka_unit_test_setup(frequency_survives_32_bits, intel),
        BOTH(topology_of_several),
        BOTH(tsc_is_invariant),
        cmocka_unit_test(a_meagre_processor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
