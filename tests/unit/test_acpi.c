/* SPDX-License-Identifier: BSD-2-Clause */
/* arch/x86_64/acpi: tables as firmware makes them, and as it should not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "arch/x86_64/acpi.h"
#include "tests/unit/boot_memory.h"
#include "tests/unit/unit.h"

#define SIZE       0x4000
#define AT(offset) (BOOT_MEMORY_BASE + (offset))
/* Where each table lies. */
#define RSDT 0x100
#define XSDT 0x200
#define MADT 0x400
#define FADT 0x800
#define DSDT 0x1000
#define HPET 0x1800

static u8 mem[SIZE];
static struct acpi_info info;
static char said[2048];
static unsigned complaints;

static void complain(void *arg, const char *sentence)
{
    (void)arg;
    complaints++;
    assert_true(strlen(said) + strlen(sentence) + 2 < sizeof(said));
    strcat(strcat(said, sentence), "\n");
}

static void parse(const void *rsdp, size_t len)
{
    struct boot_memory m = {mem, SIZE};
    struct acpi_reader r = {boot_memory_read, complain, &m};

    said[0] = 0;
    complaints = 0;
    memset(&info, 0xa5, sizeof(info));
    acpi_parse(&r, rsdp, len, &info);
}

static void seal(u32 at, u32 checksum_at, u32 len)
{
    u8 sum = 0;

    mem[at + checksum_at] = 0;
    for (u32 i = 0; i < len; i++)
        sum = (u8)(sum + mem[at + i]);
    mem[at + checksum_at] = (u8)-sum;
}

static void table(u32 at, const char *sig, u32 len)
{
    memcpy(mem + at, sig, 4);
    memcpy(mem + at + 4, &len, 4);
    seal(at, 9, len);
}

static u8 *rsdp_of(u8 revision)
{
    static u8 p[36];
    u32 rsdt = (u32)AT(RSDT);
    u64 xsdt = AT(XSDT);
    u8 sum = 0;

    memset(p, 0, sizeof(p));
    memcpy(p, "RSD PTR ", 8);
    p[15] = revision;
    memcpy(p + 16, &rsdt, 4);
    for (int i = 0; i < 20; i++)
        sum = (u8)(sum + p[i]);
    p[8] = (u8)-sum;
    p[20] = 36;
    memcpy(p + 24, &xsdt, 8);
    sum = 0;
    for (int i = 0; i < 36; i++)
        sum = (u8)(sum + p[i]);
    p[32] = (u8)-sum;
    return p;
}

static u32 madt_len;

static void madt_add(const void *entry, u32 len)
{
    memcpy(mem + MADT + madt_len, entry, len);
    madt_len += len;
    table(MADT, "APIC", madt_len);
}

static void make_roots(const u64 *list, u32 n)
{
    for (u32 i = 0; i < n; i++) {
        u32 low = (u32)list[i];

        memcpy(mem + RSDT + 36 + 4 * i, &low, 4);
        memcpy(mem + XSDT + 36 + 8 * i, &list[i], 8);
    }
    table(RSDT, "RSDT", 36 + 4 * n);
    table(XSDT, "XSDT", 36 + 8 * n);
}

static void put(u32 at, u64 v, u32 len)
{
    memcpy(mem + at, &v, len);
}

/* A machine like the emulators': two processors, one I/O APIC, IRQ 0 moved, S5 is {5, 5}. */
static void make_machine(void)
{
    static const u8 s5[] = {0x08, '_', 'S', '5', '_', 0x12, 6, 4, 0x0a, 5, 0x0a, 6, 0, 0};
    const u64 list[] = {AT(FADT), AT(MADT), AT(HPET)};

    memset(mem, 0, sizeof(mem));
    madt_len = 44;
    mem[MADT + 40] = 1;
    madt_add("\x00\x08\x00\x00\x01\x00\x00\x00", 8);
    madt_add("\x00\x08\x01\x01\x01\x00\x00\x00", 8);
    madt_add("\x00\x08\x02\x02\x00\x00\x00\x00", 8); /* not enabled */
    madt_add("\x01\x0c\x02\x00\x00\x00\xc0\xfe\x00\x00\x00\x00", 12);
    madt_add("\x02\x0a\x00\x00\x02\x00\x00\x00\x00\x00", 10);
    madt_add("\x02\x0a\x00\x09\x09\x00\x00\x00\x0f\x00", 10);
    put(FADT + 40, AT(DSDT), 4);
    put(FADT + 48, 0xb2, 4);
    mem[FADT + 52] = 2;
    put(FADT + 64, 0x604, 4);
    put(FADT + 76, 0x608, 4);
    mem[FADT + 91] = 4;
    put(FADT + 112, 1 << 10, 4);
    mem[FADT + 116] = 1;
    mem[FADT + 117] = 8;
    put(FADT + 120, 0xcf9, 8);
    mem[FADT + 128] = 0x0f;
    table(FADT, "FACP", 244);
    memcpy(mem + DSDT + 36 + 300, s5, sizeof(s5));
    table(DSDT, "DSDT", 36 + 400);
    put(HPET + 44, 0xfed00000, 8);
    table(HPET, "HPET", 56);
    make_roots(list, 3);
}

static void assert_machine(void)
{
    assert_string_equal(said, "");
    assert_true(info.present && info.madt && info.fadt && info.pic);
    assert_int_equal(info.cpu_count, 2);
    assert_int_equal(info.cpu_apic[1], 1);
    assert_int_equal(info.ioapic_count, 1);
    assert_true(info.ioapic[0].address == 0xfec00000 && info.ioapic[0].id == 2);
    assert_int_equal(info.override_count, 2);
    assert_true(info.override[0].irq == 0 && info.override[0].gsi == 2);
    assert_false(info.override[0].level || info.override[0].low);
    assert_true(info.override[1].level && info.override[1].low);
    assert_int_equal(info.pm_timer, 0x608);
    assert_true(info.pm1a_control.port && info.pm1a_control.address == 0x604);
    assert_true(info.pm1b_control.address == 0);
    assert_true(info.smi_command == 0xb2 && info.acpi_enable == 2);
    assert_true(info.s5 && info.s5_a == 5 && info.s5_b == 6);
    assert_true(info.reset.port && info.reset.address == 0xcf9 && info.reset_value == 0x0f);
    assert_true(info.hpet == 0xfed00000);
}

static void reads_a_machine(void **st)
{
    (void)st;
    make_machine();
    parse(rsdp_of(0), 20);
    assert_machine();
    parse(rsdp_of(2), 36);
    assert_machine();
    assert_int_equal(info.range_count, 5);
}

static void knows_whose_firmware(void **st)
{
    u8 *rsdp = rsdp_of(0);

    (void)st;
    make_machine();
    parse(rsdp, 20);
    assert_false(info.bochs);
    memcpy(rsdp + 9, "BOCHS ", 6);
    rsdp[8] = (u8)(rsdp[8] - ('B' + 'O' + 'C' + 'H' + 'S' + ' '));
    parse(rsdp, 20);
    assert_machine();
    assert_true(info.bochs);
}

static void falls_back_to_the_rsdt(void **st)
{
    (void)st;
    make_machine();
    mem[XSDT + 20] ^= 1;
    parse(rsdp_of(2), 36);
    assert_int_equal(complaints, 1);
    assert_has(said, "XSDT");
    said[0] = 0;
    assert_machine();
}

static void one_sentence_each(void **st)
{
    static const struct {
        u32 at;
        const char *name;
    } broken[] = {{MADT, "APIC"}, {FADT, "FACP"}, {DSDT, "DSDT"}, {HPET, "HPET"}};

    (void)st;
    for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
        make_machine();
        mem[broken[i].at + 30]++;
        parse(rsdp_of(2), 36);
        assert_true(info.present);
        assert_has(said, "checksum");
        assert_has(said, broken[i].name);
        assert_true(complaints <= 2);
        assert_int_equal(info.madt, broken[i].at != MADT);
        assert_int_equal(info.cpu_count, broken[i].at == MADT ? 0 : 2);
        assert_int_equal(info.fadt, broken[i].at != FADT);
        assert_int_equal(info.s5, broken[i].at != DSDT && broken[i].at != FADT);
        assert_int_equal(info.hpet != 0, broken[i].at != HPET);
    }
}

static void no_tables_at_all(void **st)
{
    (void)st;
    memset(mem, 0, sizeof(mem));
    parse(NULL, 0);
    assert_false(info.present);
    assert_int_equal(complaints, 1);
    make_machine();
    parse("not an RSDP at all, is it?.........", 36);
    assert_false(info.present);
    assert_int_equal(complaints, 2);
}

/* Physical memory that has only the BIOS area. */
static bool bios_read(void *arg, hpa_t hpa, void *buf, size_t len)
{
    hpa_t at = *(hpa_t *)arg;
    u8 *to = buf;

    memset(buf, 0, len);
    for (size_t i = 0; i < len; i++)
        if (hpa + i == 0x40e || hpa + i == 0x40f)
            to[i] = (u8)(0x9fc0 >> (hpa + i == 0x40f ? 8 : 0));
        else if (hpa + i >= at && hpa + i < at + 36)
            to[i] = rsdp_of(0)[hpa + i - at];
        else if (hpa + i >= BOOT_MEMORY_BASE && hpa + i < BOOT_MEMORY_BASE + SIZE)
            to[i] = mem[hpa + i - BOOT_MEMORY_BASE];
    return true;
}

static void searches_the_bios_areas(void **st)
{
    hpa_t at, places[] = {0xe0000, 0xfffd0, 0x9fc00, 0x9fff0 - 32};
    struct acpi_reader r = {bios_read, complain, &at};

    (void)st;
    make_machine();
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        at = places[i];
        said[0] = 0;
        acpi_parse(&r, NULL, 0, &info);
        assert_machine();
    }
    at = 0xe0008; /* not on its boundary */
    acpi_parse(&r, NULL, 0, &info);
    assert_false(info.present);
}

static void absurd_lengths(void **st)
{
    const u32 lengths[] = {0, 8, 35, 36, 43, 0x100000, 0x7fffffff, UINT32_MAX};

    (void)st;
    for (size_t i = 0; i < ARRAY_SIZE(lengths); i++)
        for (u32 t = 0; t < 4; t++) {
            const u32 at[] = {XSDT, MADT, FADT, DSDT};

            make_machine();
            put(at[t] + 4, lengths[i], 4);
            parse(rsdp_of(2), 36);
            assert_true(complaints > 0 && complaints < 8);
        }
}

static void broken_madt_entries(void **st)
{
    (void)st;
    make_machine();
    madt_add("\x00\x00\x00\x00\x00\x00\x00\x00", 8);
    parse(rsdp_of(2), 36);
    assert_int_equal(info.cpu_count, 2);
    assert_has(said, "broken entry");
    make_machine();
    madt_add("\x00\x40\x05\x05\x01\x00\x00\x00", 8); /* longer than the table */
    parse(rsdp_of(2), 36);
    assert_int_equal(info.cpu_count, 2);
    make_machine();
    madt_add("\x00\x04\x05\x05", 4); /* shorter than its kind */
    madt_add("\x01\x04\x05\x05", 4);
    madt_add("\x02\x04\x05\x05", 4);
    madt_add("\x09\x04\x05\x05", 4);
    parse(rsdp_of(2), 36);
    assert_machine();
}

static void many_processors(void **st)
{
    (void)st;
    make_machine();
    madt_len = 44;
    for (u32 i = 0; i < 300; i++) {
        u8 e[16] = {9, 16, 0, 0, (u8)i, (u8)(i >> 8), 0, 0, 1};

        memcpy(mem + 0x2000 + 44 + 16 * i, e, 16);
    }
    memcpy(mem + 0x2000, mem + MADT, 44);
    table(0x2000, "APIC", 44 + 16 * 300);
    make_roots((const u64[]){AT(0x2000)}, 1);
    parse(rsdp_of(2), 36);
    assert_int_equal(info.cpu_count, ACPI_MAX_CPUS);
    assert_int_equal(info.cpus_left_out, 300 - ACPI_MAX_CPUS);
    /* The same ID twice is one processor. */
    make_machine();
    madt_add("\x09\x10\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00", 16);
    parse(rsdp_of(2), 36);
    assert_machine();
}

static void s5_forms(void **st)
{
    static const struct {
        const char *aml;
        u32 len;
        bool found;
        u8 a, b;
    } t[] = {
        {"_S5_\x12\x06\x04\x0a\x05\x0a\x06", 11, true, 5, 6},
        {"_S5_\x12\x06\x04\x00\x01\x00\x00", 11, true, 0, 1},
        {"_S5_\x12\x06\x02\x01\x00", 9, true, 1, 0},
        {"_S5_\x12\x46\x00\x04\x0a\x07\x0a\x07", 12, true, 7, 7},
        {"_S5_\x12\x04\x01\x0b\x07\x00", 10, true, 7, 7},
        {"_S5_\x12\x06\x02\x0c\x07\x00\x00\x00\x0a\x03", 14, true, 7, 3},
        {"_S5_\x12\x06\x00\x0a\x05", 9, false, 0, 0},
        {"_S5_\x11\x06\x04\x0a\x05", 9, false, 0, 0},
        {"_S5_", 4, false, 0, 0},
        {"_S5_\x12", 5, false, 0, 0},
        {"_S5__S5_\x12\x06\x04\x0a\x05\x0a\x06", 15, true, 5, 6},
    };

    (void)st;
    for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
        make_machine();
        memset(mem + DSDT + 36, 0, 400);
        memcpy(mem + DSDT + 36 + 7, t[i].aml, t[i].len);
        table(DSDT, "DSDT", 36 + 7 + t[i].len);
        parse(rsdp_of(2), 36);
        assert_int_equal(info.s5, t[i].found);
        if (t[i].found)
            assert_true(info.s5_a == t[i].a && info.s5_b == t[i].b);
        else
            assert_has(said, "_S5_");
    }
}

static void extended_fadt_fields(void **st)
{
    (void)st;
    make_machine();
    put(FADT + 140, AT(DSDT), 8);
    put(FADT + 40, 0x77777777, 4);
    mem[FADT + 172] = 1;
    put(FADT + 176, 0x1804, 8);
    mem[FADT + 208] = 1;
    put(FADT + 212, 0x1808, 8);
    table(FADT, "FACP", 244);
    parse(rsdp_of(2), 36);
    assert_true(info.pm1a_control.address == 0x1804 && info.pm_timer == 0x1808 && info.s5);
    put(FADT + 176, 0x11804, 8); /* no such port: the old field serves */
    mem[FADT + 116] = 2;         /* a reset register in PCI space is of no use */
    table(FADT, "FACP", 244);
    parse(rsdp_of(2), 36);
    assert_true(info.pm1a_control.address == 0x604 && info.reset.address == 0);
    make_machine();
    table(FADT, "FACP", 116); /* revision 1: no reset register, no extended fields */
    parse(rsdp_of(2), 36);
    assert_true(info.fadt && info.s5 && info.reset.address == 0 && info.pm_timer == 0x608);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_machine),        cmocka_unit_test(knows_whose_firmware),
        cmocka_unit_test(falls_back_to_the_rsdt), cmocka_unit_test(one_sentence_each),
        cmocka_unit_test(no_tables_at_all),       cmocka_unit_test(searches_the_bios_areas),
        cmocka_unit_test(absurd_lengths),         cmocka_unit_test(broken_madt_entries),
        cmocka_unit_test(many_processors),        cmocka_unit_test(s5_forms),
        cmocka_unit_test(extended_fadt_fields),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
