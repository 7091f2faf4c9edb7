/* SPDX-License-Identifier: BSD-2-Clause */
/* What the emulator's tests share: a machine with one RAM page of each kind and a device. */
#ifndef TESTS_UNIT_EMUL_TEST_H
#define TESTS_UNIT_EMUL_TEST_H

#include <stdio.h>
#include <string.h>
#include "vmm/emul/emul.h"
#include "tests/emul/machine.h"
#include "tests/unit/unit.h"

#define CODE   0x401000ull /* RAM at 0x1000, then nothing */
#define DATA   0x500000ull /* RAM at 0x2000 */
#define DEV    0x501000ull /* the device, right behind */
#define DEV2   0x502000ull /* its second page */
#define RO     0x503000ull /* RAM at 0x3000, read-only */
#define ABSENT 0x504000ull
#define KERNEL 0x600000ull /* RAM at 0x4000, supervisor only */
#define ROM    0x700000ull /* guest-physical memory that cannot be written: see rom_hold */

static struct machine m;

static inline void start(enum insn_mode mode, unsigned cpl)
{
    machine_init(&m, mode, cpl);
    machine_paging(&m);
    machine_map(&m, CODE, 0x1000, 7);
    machine_map(&m, DATA, 0x2000, 7);
    machine_map(&m, DEV, MACHINE_DEV, 7);
    machine_map(&m, DEV2, MACHINE_DEV + 0x1000, 7);
    machine_map(&m, RO, 0x3000, 5);
    machine_map(&m, KERNEL, 0x4000, 3);
    m.reg[EMUL_RIP] = CODE;
    m.reg[EMUL_RSP] = m.gpr[RSP] = DATA + 0x800;
}

/* Runs these bytes at CODE, with the exit described by e (or none). */
static inline enum emul_result run_bytes(const u8 *b, unsigned n, const struct emul_exit *e)
{
    machine_code(&m, 0x1000 + (m.reg[EMUL_RIP] & PAGE_MASK), b, n);
    return machine_run(&m, e);
}

#define RUN(...)         run_bytes((const u8[]){__VA_ARGS__}, sizeof((const u8[]){__VA_ARGS__}), NULL)
#define RUN_EXIT(e, ...) run_bytes((const u8[]){__VA_ARGS__}, sizeof((const u8[]){__VA_ARGS__}), e)

static inline struct emul_exit memory_exit(gla_t gla, bool write)
{
    return (struct emul_exit){.kind = EMUL_EXIT_MEMORY,
                              .gla_valid = true,
                              .read = !write,
                              .write = write,
                              .device = true,
                              .gla = gla,
                              .gpa = gla - DEV + MACHINE_DEV};
}

static inline void assert_fault(enum emul_result r, unsigned vector, u32 error)
{
    assert_int_equal(r, EMUL_FAULT);
    assert_int_equal(m.cpu.fault.vector, vector);
    assert_int_equal(m.cpu.fault.error, error);
    assert_int_equal(m.reg[EMUL_RIP] & ~PAGE_MASK & 0xffffff, CODE & 0xffffff & ~PAGE_MASK);
    assert_int_equal(m.retired, 0);
    assert_int_equal(m.held, 0);
}

static inline void assert_page_fault(enum emul_result r, u32 error, gla_t cr2)
{
    assert_fault(r, EXC_PF, error);
    assert_int_equal(m.cpu.fault.cr2, cr2);
}

static inline void assert_access(unsigned i, bool write, u64 addr, unsigned size, u64 value)
{
    assert_true(i < m.accesses);
    assert_int_equal(m.log[i].write, write);
    assert_int_equal(m.log[i].addr, addr);
    assert_int_equal(m.log[i].size, size);
    assert_int_equal(m.log[i].value, value);
}

static inline void ram_put(gpa_t gpa, u64 v, unsigned n)
{
    memcpy(m.ram + gpa, &v, n);
}

static inline u64 ram_get(gpa_t gpa, unsigned n)
{
    u64 v = 0;

    memcpy(&v, m.ram + gpa, n);
    return v;
}

static inline void dev_put(u64 off, u64 v, unsigned n)
{
    memcpy(m.dev + off, &v, n);
}

static inline u64 dev_get(u64 off, unsigned n)
{
    u64 v = 0;

    memcpy(&v, m.dev + off, n);
    return v;
}

#endif
