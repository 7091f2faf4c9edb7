/* SPDX-License-Identifier: BSD-2-Clause */
/* The serial port of SPCR and DBG2: each field by its offset in the tables' descriptions. */
#include "arch/x86_64/acpi_uart.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/unit/unit.h"

static u8 memory[512];
static const struct acpi_info info_spcr = {.spcr = 0x40}, info_dbg2 = {.dbg2 = 0x40},
                              info_both = {.spcr = 0x40, .dbg2 = 0xc0}, info_none;
static u8 *const t = memory + 0x40;

static bool read_memory(void *arg, hpa_t hpa, void *buf, size_t len)
{
    (void)arg;
    if (hpa > sizeof(memory) || len > sizeof(memory) - hpa)
        return false;
    memcpy(buf, memory + hpa, len);
    return true;
}

static const struct acpi_reader reader = {.read = read_memory};

static void put(u8 *at, u64 value, unsigned len)
{
    for (unsigned i = 0; i < len; i++)
        at[i] = (u8)(value >> 8 * i);
}

static void put_gas(u8 *at, u8 space, u8 bits, u8 access, u64 address)
{
    at[0] = space;
    at[1] = bits;
    at[2] = 0;
    at[3] = access;
    put(at + 4, address, 8);
}

/* An SPCR of revision 2: a 16550 at ports, IRQ 3, 115200. */
static void make_spcr(void)
{
    memset(memory, 0, sizeof(memory));
    memcpy(t, "SPCR", 4);
    put(t + 4, 80, 4);
    t[8] = 2;
    put_gas(t + 40, 1, 8, 1, 0x2f8);
    t[52] = 1;
    t[53] = 3;
    t[58] = 7;
}

static void make_dbg2(u8 *at, u16 type, u16 subtype)
{
    memcpy(at, "DBG2", 4);
    put(at + 4, 44 + 40, 4);
    put(at + 36, 44, 4);
    put(at + 40, 1, 4);
    put(at + 45, 40, 2);
    at[47] = 1;
    put(at + 44 + 12, type, 2);
    put(at + 44 + 14, subtype, 2);
    put(at + 44 + 18, 22, 2);
    put_gas(at + 44 + 22, 0, 32, 3, 0xfedc0000);
}

static void spcr(void **state)
{
    struct acpi_uart u;

    (void)state;
    make_spcr();
    assert_true(acpi_find_uart(&reader, &info_spcr, &u));
    assert_true(u.reg.port && u.reg.address == 0x2f8 && u.stride == 1);
    assert_true(u.irq == 3 && u.gsi == -1 && u.baud == 115200 && u.clock == 0);
    t[52] = 3; /* a global system interrupt goes before */
    put(t + 54, 0x11223, 4);
    assert_true(acpi_find_uart(&reader, &info_spcr, &u));
    assert_true(u.gsi == 0x11223);
    t[52] = 0;
    assert_true(acpi_find_uart(&reader, &info_spcr, &u));
    assert_true(u.irq == -1 && u.gsi == -1);
    static const u32 rate[] = {0, 0, 0, 9600, 19200, 0, 57600, 115200, 0};
    for (unsigned i = 0; i < ARRAY_SIZE(rate); i++) {
        t[58] = (u8)i;
        assert_true(acpi_find_uart(&reader, &info_spcr, &u));
        assert_int_equal(u.baud, rate[i]);
    }
    put(t + 76, 16 * 921600, 4); /* the clock came with revision 3 */
    assert_true(acpi_find_uart(&reader, &info_spcr, &u) && u.clock == 0);
    t[8] = 3;
    assert_true(acpi_find_uart(&reader, &info_spcr, &u) && u.clock == 921600);
}

static void memory_registers(void **state)
{
    static const struct {
        u8 bits, access, stride;
    } at[] = {{8, 1, 1}, {32, 3, 4}, {8, 3, 4}, {32, 0, 4}, {16, 2, 2}, {8, 0, 1}, {64, 4, 1}};
    struct acpi_uart u;

    (void)state;
    make_spcr();
    t[36] = 0x12;
    for (unsigned i = 0; i < ARRAY_SIZE(at); i++) {
        put_gas(t + 40, 0, at[i].bits, at[i].access, 0xfedc9000);
        assert_true(acpi_find_uart(&reader, &info_spcr, &u));
        assert_true(!u.reg.port && u.reg.address == 0xfedc9000);
        assert_int_equal(u.stride, at[i].stride);
    }
}

/* What is no 16550, or nowhere, is not taken; DBG2 stands in for an SPCR of that kind. */
static void refused(void **state)
{
    static const u8 spaces[] = {2, 3, 0x7f};
    struct acpi_uart u;

    (void)state;
    assert_false(acpi_find_uart(&reader, &info_none, &u));
    make_spcr();
    for (unsigned kind = 0; kind < 256; kind++) {
        t[36] = (u8)kind;
        assert_int_equal(acpi_find_uart(&reader, &info_spcr, &u),
                         kind == 0 || kind == 1 || kind == 0x12);
    }
    make_dbg2(memory + 0xc0, 0x8000, 0);
    assert_true(acpi_find_uart(&reader, &info_both, &u) && u.reg.address == 0xfedc0000);
    t[36] = 0;
    for (unsigned i = 0; i < sizeof(spaces); i++) {
        t[40] = spaces[i];
        assert_false(acpi_find_uart(&reader, &info_spcr, &u));
    }
    t[40] = 1;
    put(t + 44, 0x10000, 8);
    assert_false(acpi_find_uart(&reader, &info_spcr, &u));
    put(t + 44, 0, 8);
    assert_false(acpi_find_uart(&reader, &info_spcr, &u));
    const struct acpi_info beyond = {.spcr = sizeof(memory) - 8, .dbg2 = sizeof(memory) - 8};
    assert_false(acpi_find_uart(&reader, &beyond, &u));
}

static void dbg2(void **state)
{
    struct acpi_uart u;

    (void)state;
    memset(memory, 0, sizeof(memory));
    make_dbg2(t, 0x8000, 1);
    assert_true(acpi_find_uart(&reader, &info_dbg2, &u));
    assert_true(!u.reg.port && u.reg.address == 0xfedc0000 && u.stride == 4);
    assert_true(u.irq == -1 && u.gsi == -1 && u.baud == 0);
    make_dbg2(t, 0x8001, 0); /* FireWire */
    assert_false(acpi_find_uart(&reader, &info_dbg2, &u));
    make_dbg2(t, 0x8000, 3); /* an ARM PL011 */
    assert_false(acpi_find_uart(&reader, &info_dbg2, &u));
    /* Hostile numbers: no device, many of length 0, far away. */
    make_dbg2(t, 0x8001, 0);
    put(t + 45, 0, 2);
    put(t + 40, UINT32_MAX, 4);
    assert_false(acpi_find_uart(&reader, &info_dbg2, &u));
    put(t + 36, UINT32_MAX, 4);
    assert_false(acpi_find_uart(&reader, &info_dbg2, &u));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spcr),
        cmocka_unit_test(memory_registers),
        cmocka_unit_test(refused),
        cmocka_unit_test(dbg2),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
