/* SPDX-License-Identifier: BSD-2-Clause */
/* Modes of the local APIC, and how they are left and entered: Intel SDM 3, 10.4.3 and 10.12. */
#include "tests/unit/lapic_bench.h"
#include "vmm/dev/vlapic.h"

static void mmio_sizes_and_alignment(void **state)
{
    struct lapic_bench *t = *state;
    struct vlapic *l = &t->cpu[1].l;

    for (unsigned offset = 0; offset < 0x1000; offset++)
        for (unsigned size = 1; size <= 8; size *= 2) {
            struct bus_access acc = {.addr = VLAPIC_GPA + offset, .size = (u8)size};

            vlapic_mmio(l, &acc);
            assert_int_equal(acc.value & ~bus_open((u8)size), 0);
            if (offset == 0x21 && size == 1)
                assert_int_equal(acc.value, 0);
            if (offset == 0x23 && size == 1)
                assert_int_equal(acc.value, 1);
            if (offset == 0x20 && size == 8)
                assert_int_equal(acc.value, 0x01000000);
        }
    /* A write that is not an aligned doubleword is dropped. */
    for (unsigned offset = 0x80; offset < 0x90; offset++)
        for (unsigned size = 1; size <= 8; size *= 2) {
            struct bus_access acc = {
                .addr = VLAPIC_GPA + offset, .size = (u8)size, .write = true, .value = 0x40};

            vlapic_mmio(l, &acc);
            assert_int_equal(rd(t, 1, APIC_TPR), offset == 0x80 && size == 4 ? 0x40 : 0);
            wr(t, 1, APIC_TPR, 0);
        }
}

static void base_transitions(void **state)
{
    struct lapic_bench *t = *state;
    struct vlapic *l = &t->cpu[1].l;
    u64 base = vlapic_read_base(l);

    assert_int_equal(vlapic_gpa(l), VLAPIC_GPA);
    assert_false(vlapic_write_base(l, base | 1)); /* reserved bits */
    assert_false(vlapic_write_base(l, base | BIT(9)));
    assert_false(vlapic_write_base(l, base | BIT(40))); /* beyond the physical address width */
    assert_false(vlapic_write_base(l, VLAPIC_GPA | APIC_BASE_X2APIC));
    assert_true(vlapic_write_base(l, 0x12345000 | APIC_BASE_ENABLE));
    assert_int_equal(vlapic_gpa(l), 0x12345000);
    assert_true(vlapic_write_base(l, base | APIC_BASE_X2APIC));
    assert_int_equal(l->mode, VLAPIC_X2APIC);
    assert_int_equal(vlapic_gpa(l), UINT64_MAX);
    assert_false(vlapic_write_base(l, base)); /* not back to xAPIC directly */
    assert_int_equal(l->mode, VLAPIC_X2APIC);
    assert_true(vlapic_write_base(l, VLAPIC_GPA));
    assert_int_equal(l->mode, VLAPIC_OFF);
    assert_true(vlapic_takes_extint(l));
    assert_int_equal(vlapic_gpa(l), UINT64_MAX);
    assert_int_equal(vlapic_deliver(&t->group, NULL, &(struct apic_msg){.dest = 1, .vector = 0x41}),
                     0);
    assert_int_equal(
        vlapic_deliver(&t->group, NULL, &(struct apic_msg){.dest = 1, .mode = APIC_NMI}), 0);
    assert_false(vlapic_write_base(l, base | APIC_BASE_X2APIC));
    assert_true(vlapic_write_base(l, base));
    assert_int_equal(rd(t, 1, APIC_SVR), 0xff); /* as after reset */
    /* Without x2APIC in CPUID its bit is reserved. */
    l->c.x2apic = false;
    assert_false(vlapic_write_base(l, base | APIC_BASE_X2APIC));
}

/* CVE-2014-7188: only 0x800-0x83f are registers, and of those not all. */
static void x2apic_msr_range_too_wide(void **state)
{
    struct lapic_bench *t = *state;
    u64 v;

    for (unsigned reg = 0; reg < 0x100; reg++) { /* xAPIC mode: none */
        assert_false(rdmsr(t, 1, reg, &v));
        assert_false(wrmsr(t, 1, reg, 0));
    }
    assert_true(x2apic_on(t, 1));
    for (unsigned reg = 0; reg < 0x400; reg++) {
        bool r = reg == APIC_ID || reg == APIC_VERSION || reg == APIC_TPR || reg == APIC_PPR ||
                 reg == APIC_LDR || reg == APIC_SVR || (reg >= 0x10 && reg <= 0x28) ||
                 reg == APIC_ICR || (reg >= 0x32 && reg <= 0x39) || reg == APIC_TIMER_DCR;
        bool w = reg == APIC_TPR || reg == APIC_EOI || reg == APIC_SVR || reg == APIC_ESR ||
                 reg == APIC_ICR || (reg >= 0x32 && reg <= 0x38) || reg == APIC_TIMER_DCR ||
                 reg == APIC_SELF_IPI;

        assert_int_equal(rdmsr(t, 1, reg, &v), r);
        assert_int_equal(wrmsr(t, 1, reg, 0), w);
    }
}

static void x2apic_registers(void **state)
{
    struct lapic_bench *t = *state;
    u64 v;

    for (unsigned i = 0; i < 4; i++) {
        assert_true(x2apic_on(t, i));
        assert_true(rdmsr(t, i, APIC_ID, &v));
        assert_int_equal(v, i);
        assert_true(rdmsr(t, i, APIC_LDR, &v));
        assert_int_equal(v, 1u << i);
        assert_true(wrmsr(t, i, APIC_SVR, 0x1ff));
    }
    /* Reserved bits fault, and change nothing. */
    assert_false(wrmsr(t, 1, APIC_TPR, 0x100));
    assert_false(wrmsr(t, 1, APIC_TPR, 1ull << 32));
    assert_false(wrmsr(t, 1, APIC_EOI, 1));
    assert_false(wrmsr(t, 1, APIC_ESR, 1));
    assert_false(wrmsr(t, 1, APIC_SVR, 0x20ff));
    assert_false(wrmsr(t, 1, APIC_LVT_TIMER, 0x80031));
    assert_false(wrmsr(t, 1, APIC_TIMER_DCR, 4));
    assert_false(wrmsr(t, 1, APIC_ICR, 0x2041));
    assert_false(wrmsr(t, 1, APIC_SELF_IPI, 0x141));
    assert_true(rdmsr(t, 1, APIC_TPR, &v));
    assert_int_equal(v, 0);
    /* ICR: 64 bits, 32-bit destinations. */
    assert_true(wrmsr(t, 1, APIC_ICR, 3ull << 32 | 0x4041));
    assert_true(rdmsr(t, 1, APIC_ICR, &v));
    assert_int_equal(v, 3ull << 32 | 0x4041);
    assert_int_equal(take(t, 3), 0x41);
    assert_true(wrmsr(t, 3, APIC_EOI, 0));
    assert_true(wrmsr(t, 1, APIC_ICR, 0xffull << 32 | 0x4041)); /* an ID, no broadcast */
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(take(t, i), -1);
    assert_true(wrmsr(t, 1, APIC_ICR, 0xffffffffull << 32 | 0x4041));
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(take(t, i), 0x41);
        wrmsr(t, i, APIC_EOI, 0);
    }
    assert_true(wrmsr(t, 1, APIC_ICR, 0x0000000aull << 32 | 0x4842)); /* logical, cluster 0 */
    assert_int_equal(take(t, 0), -1);
    assert_int_equal(take(t, 1), 0x42);
    assert_int_equal(take(t, 3), 0x42);
    assert_true(wrmsr(t, 1, APIC_ICR, 0x0001000aull << 32 | 0x4852)); /* cluster 1: nobody */
    assert_int_equal(take(t, 1), -1);
    assert_true(wrmsr(t, 0, APIC_SELF_IPI, 0x77));
    assert_int_equal(take(t, 0), 0x77);
    assert_true(wrmsr(t, 0, APIC_SELF_IPI, 0x0f)); /* illegal: sent, and received (10.5.3) */
    assert_int_equal(take(t, 0), -1);
    assert_true(wrmsr(t, 0, APIC_ESR, 0));
    assert_true(rdmsr(t, 0, APIC_ESR, &v));
    assert_int_equal(v, 0x60);
    /* Page accesses find nothing now. */
    assert_int_equal(rd(t, 1, APIC_VERSION), 0);
    wr(t, 1, APIC_TPR, 0x50);
    assert_true(rdmsr(t, 1, APIC_TPR, &v));
    assert_int_equal(v, 0);
}

/* IDs beyond the first cluster have the LDR that their ID makes (10.12.10.2). */
static void x2apic_clusters(void **state)
{
    struct lapic_bench *t = bench_new(40);
    u64 v;

    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        wr(t, i, APIC_SVR, 0x1ff);
        assert_true(x2apic_on(t, i));
        assert_true(rdmsr(t, i, APIC_LDR, &v));
        assert_int_equal(v, (i >> 4) << 16 | 1u << (i & 15));
    }
    assert_true(wrmsr(t, 0, APIC_ICR, 0x00020081ull << 32 | 0x4866));
    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(take(t, i), i == 32 || i == 39 ? 0x66 : -1);
    free(t);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, bench_of_4, bench_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(mmio_sizes_and_alignment),    TEST(base_transitions),
        TEST(x2apic_msr_range_too_wide),   TEST(x2apic_registers),
        cmocka_unit_test(x2apic_clusters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
