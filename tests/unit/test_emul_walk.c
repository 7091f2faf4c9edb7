/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest page walk: what random tables do not show, one by one. */
#include "tests/unit/walk_memory.h"
#include "vmm/emul/walk.h"

static void set64(struct memory *m, gpa_t at, u64 v)
{
    memcpy(m->ram + at, &v, 8);
}

static u64 get64(struct memory *m, gpa_t at)
{
    u64 v;

    memcpy(&v, m->ram + at, 8);
    return v;
}

/* 4-level tables at pages 1 to 4 for addresses below 2 MiB. */
static struct walk long_walk(struct memory *m)
{
    struct walk w = {.mem = &mem,
                     .ctx = m,
                     .cr0 = CR0_PE | CR0_PG | CR0_WP,
                     .cr3 = 0x1000,
                     .cr4 = CR4_PAE,
                     .efer = EFER_LMA | EFER_LME | EFER_NXE,
                     .maxphyaddr = 40,
                     .pages_1g = true};

    memset(m, 0, sizeof(*m));
    set64(m, 0x1000, 0x2000 | 7);
    set64(m, 0x2000, 0x3000 | 7);
    set64(m, 0x3000, 0x4000 | 7);
    set64(m, 0x4000 + 5 * 8, 0x9000 | 7);
    walk_init(&w);
    return w;
}

static void change_leaf(struct memory *m, gpa_t gpa)
{
    if (gpa == 0x4000 + 5 * 8 && m->meddled++ == 0)
        set64(m, gpa, 0xa000 | 7);
}

static void test_entry_changes_underneath(void **state)
{
    static struct memory m;
    struct walk w = long_walk(&m);
    struct walk_out out;

    (void)state;
    m.meddle = change_leaf;
    assert_int_equal(walk_gla(&w, 0x5123, WALK_WRITE, &out), WALK_OK);
    assert_int_equal(out.gpa, 0xa123); /* the new entry counts, and has the bits */
    assert_int_equal(get64(&m, 0x4000 + 5 * 8), 0xa000 | 0x67);
}

static void remove_root(struct memory *m, gpa_t gpa)
{
    if (gpa == 0x4000 + 5 * 8 && m->meddled++ == 0) {
        set64(m, 0x1000, 0); /* the restart begins at the root */
        set64(m, gpa, 0xb000 | 7);
    }
}

static void test_restart_from_the_root(void **state)
{
    static struct memory m;
    struct walk w = long_walk(&m);
    struct walk_out out;

    (void)state;
    m.meddle = remove_root;
    assert_int_equal(walk_gla(&w, 0x5123, 0, &out), WALK_FAULT);
    assert_int_equal(out.error, 0);
}

static void always_change(struct memory *m, gpa_t gpa)
{
    if (gpa == 0x4000 + 5 * 8)
        set64(m, gpa, (get64(m, gpa) ^ 0x1000) & ~0x60ull);
}

static void test_endless_change_gives_up(void **state)
{
    static struct memory m;
    struct walk w = long_walk(&m);
    struct walk_out out;

    (void)state;
    m.meddle = always_change;
    assert_int_equal(walk_gla(&w, 0x5123, 0, &out), WALK_RETRY);
    assert_int_equal(m.held, 0);
}

/* The neighbour changes while the entry's bits are set: a 32-bit entry is 32 bits. */
static void change_neighbour(struct memory *m, gpa_t gpa)
{
    static const u32 v = 0x12345678;

    memcpy(m->ram + gpa + 4, &v, 4);
}

static void test_32bit_entry_written_as_32_bits(void **state)
{
    static struct memory m;
    struct walk w = {
        .mem = &mem, .ctx = &m, .cr0 = CR0_PE | CR0_PG, .cr3 = 0x1000, .maxphyaddr = 40};
    u32 pde = 0x2000 | 7, pte = 0x9000 | 7, v;
    struct walk_out out;

    (void)state;
    memset(&m, 0, sizeof(m));
    memcpy(m.ram + 0x1000, &pde, 4);
    memcpy(m.ram + 0x2000 + 5 * 4, &pte, 4);
    m.meddle = change_neighbour;
    walk_init(&w);
    assert_int_equal(walk_gla(&w, 0x5123, WALK_WRITE, &out), WALK_OK);
    memcpy(&v, m.ram + 0x2000 + 6 * 4, 4);
    assert_int_equal(v, 0x12345678);
    memcpy(&v, m.ram + 0x2000 + 5 * 4, 4);
    assert_int_equal(v, 0x9067);
    memcpy(&v, m.ram + 0x1000, 4);
    assert_int_equal(v, 0x2027); /* no dirty bit in what is no leaf */
}

static void test_no_bits_on_a_fault(void **state)
{
    static struct memory m;
    struct walk w = long_walk(&m);
    struct walk_out out;

    (void)state;
    set64(&m, 0x4000 + 5 * 8, 0x9000 | 5); /* read-only */
    assert_int_equal(walk_gla(&w, 0x5000, WALK_WRITE, &out), WALK_FAULT);
    assert_int_equal(out.error, PF_P | PF_W);
    assert_int_equal(m.write_holds, 0);
    assert_int_equal(get64(&m, 0x1000), 0x2007);
}

static void test_settled_walk_writes_nothing(void **state)
{
    static struct memory m;
    struct walk w = long_walk(&m);
    struct walk_out out;

    (void)state;
    assert_int_equal(walk_gla(&w, 0x5000, WALK_WRITE, &out), WALK_OK);
    assert_int_equal(m.write_holds, 4);
    assert_int_equal(walk_gla(&w, 0x5000, WALK_WRITE, &out), WALK_OK);
    assert_int_equal(m.write_holds, 4);
}

static void test_peek_changes_nothing(void **state)
{
    static struct memory m;
    struct walk w = long_walk(&m);
    struct walk_out out;

    (void)state;
    set64(&m, 0x4000 + 5 * 8, 0x9000 | 1);
    w.cr4 |= CR4_SMAP;
    walk_init(&w);
    assert_int_equal(walk_gla(&w, 0x5fff, WALK_PEEK | WALK_WRITE | WALK_USER, &out), WALK_OK);
    assert_int_equal(out.gpa, 0x9fff);
    assert_int_equal(m.write_holds, 0);
}

/* A table beyond RAM is reported, not read. */
static void test_table_outside_of_memory(void **state)
{
    static struct memory m;
    struct walk w = long_walk(&m);
    struct walk_out out;

    (void)state;
    set64(&m, 0x2000, 0xfee00000 | 7);
    assert_int_equal(walk_gla(&w, 0x5000, 0, &out), WALK_NOT_RAM);
    assert_int_equal(out.gpa, 0xfee00000);
}

static void test_canonical(void **state)
{
    (void)state;
    assert_true(walk_canonical(0x00007fffffffffff, 48));
    assert_false(walk_canonical(0x0000800000000000, 48));
    assert_false(walk_canonical(0xffff7fffffffffff, 48));
    assert_true(walk_canonical(0xffff800000000000, 48));
    assert_true(walk_canonical(0x0000800000000000, 57));
    assert_false(walk_canonical(0x0100000000000000, 57));
    assert_true(walk_canonical(0xff00000000000000, 57));
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(walk_mode_name(WALK_FLAT), "flat");
    assert_string_equal(walk_mode_name(WALK_PAE), "PAE");
    assert_string_equal(walk_mode_name((enum walk_mode)99), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entry_changes_underneath),
        cmocka_unit_test(test_restart_from_the_root),
        cmocka_unit_test(test_endless_change_gives_up),
        cmocka_unit_test(test_32bit_entry_written_as_32_bits),
        cmocka_unit_test(test_no_bits_on_a_fault),
        cmocka_unit_test(test_settled_walk_writes_nothing),
        cmocka_unit_test(test_peek_changes_nothing),
        cmocka_unit_test(test_table_outside_of_memory),
        cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
