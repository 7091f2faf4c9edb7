/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtual processor with a few pages of memory, for the tests, fuzzers and benchmarks of
 * vmm/emul. Everything is plain data in struct machine; a program includes this once.
 *
 * Physical memory is RAM from 0 to ram_size; addresses from DEVICE on are a device that records
 * every access and answers with a function of address and access number; the rest is nothing.
 */
#ifndef TESTS_EMUL_MACHINE_H
#define TESTS_EMUL_MACHINE_H

#include <string.h>
#include "vmm/emul/emul.h"

#define MACHINE_RAM       (64 * PAGE_SIZE)
#define MACHINE_DEV       0xfee00000ull
#define MACHINE_DEV_PAGES 4ull
#define MACHINE_LOG       64
#define MACHINE_TABLES    (MACHINE_RAM - 16 * PAGE_SIZE) /* page tables are built from here up */

struct machine_access {
    u64 addr, value;
    u8 size;
    bool write, port;
};

struct machine {
    struct emul_cpu cpu;
    struct emul_ops ops;
    u64 gpr[GPR_COUNT];
    u64 reg[EMUL_REG_COUNT];
    struct x86_seg seg[SEG_COUNT];
    struct x86_table gdt;
    u8 vec[16][32];
    u8 dev[MACHINE_DEV_PAGES * PAGE_SIZE]; /* the device remembers what was written */
    struct machine_access log[MACHINE_LOG];
    unsigned accesses, holds, writes_held;
    int held; /* holds minus releases */
    u64 next_table;
    u64 dev_base; /* MACHINE_DEV */
    u64 generation;
    unsigned retired, seg_loads;
    u64 ram_size;
    u8 ram[MACHINE_RAM] ALIGNED(4096);
};

static inline u64 machine_get(void *ctx, enum emul_reg r)
{
    struct machine *m = ctx;

    return m->reg[r];
}

static inline void machine_set(void *ctx, enum emul_reg r, u64 v)
{
    struct machine *m = ctx;

    m->reg[r] = v;
}

static inline void machine_get_seg(void *ctx, enum seg s, struct x86_seg *out)
{
    struct machine *m = ctx;

    *out = m->seg[s];
}

static inline void machine_set_seg(void *ctx, enum seg s, const struct x86_seg *in)
{
    struct machine *m = ctx;

    m->seg[s] = *in;
    m->seg_loads++;
}

static inline void machine_get_gdt(void *ctx, struct x86_table *out)
{
    struct machine *m = ctx;

    *out = m->gdt;
}

static inline void machine_get_vec(void *ctx, unsigned r, void *buf, unsigned size)
{
    struct machine *m = ctx;

    memcpy(buf, m->vec[r], size);
}

static inline void machine_set_vec(void *ctx, unsigned r, const void *buf, unsigned size)
{
    struct machine *m = ctx;

    memcpy(m->vec[r], buf, size);
}

static inline void *machine_hold(void *ctx, gpa_t gpa, unsigned len, bool write)
{
    struct machine *m = ctx;

    if (gpa >= m->ram_size || len > m->ram_size - gpa)
        return NULL;
    if ((gpa & PAGE_MASK) + len > PAGE_SIZE)
        __builtin_trap(); /* a hold never crosses a page */
    m->holds++;
    m->writes_held += write;
    m->held++;
    return m->ram + gpa;
}

static inline void machine_release(void *ctx, void *p, gpa_t gpa, bool write)
{
    struct machine *m = ctx;

    (void)write;
    if ((u8 *)p != m->ram + gpa)
        __builtin_trap();
    m->held--;
}

static inline void machine_record(struct machine *m, u64 addr, unsigned size, bool write, u64 value,
                                  bool port)
{
    if (m->accesses < MACHINE_LOG)
        m->log[m->accesses] = (struct machine_access){addr, value, (u8)size, write, port};
    m->accesses++;
}

static inline u8 *machine_dev(struct machine *m, gpa_t gpa, unsigned size)
{
    u64 off = gpa - m->dev_base;

    return off < sizeof(m->dev) && size <= sizeof(m->dev) - off ? m->dev + off : NULL;
}

static inline u64 machine_mmio_read(void *ctx, gpa_t gpa, unsigned size)
{
    struct machine *m = ctx;
    u8 *p = machine_dev(m, gpa, size);
    u64 value = p ? 0 : ~0ull;

    if (p)
        memcpy(&value, p, size);
    machine_record(m, gpa, size, false, value, false);
    return value;
}

static inline void machine_mmio_write(void *ctx, gpa_t gpa, unsigned size, u64 value)
{
    struct machine *m = ctx;
    u8 *p = machine_dev(m, gpa, size);

    if (p)
        memcpy(p, &value, size);
    machine_record(m, gpa, size, true, value, false);
}

static inline u32 machine_port_in(void *ctx, u16 port, unsigned size)
{
    struct machine *m = ctx;
    u32 value = 0x11223344u * (m->accesses + 1);

    machine_record(m, port, size, false, value, true);
    return value;
}

static inline void machine_port_out(void *ctx, u16 port, unsigned size, u32 value)
{
    struct machine *m = ctx;

    machine_record(m, port, size, true, value, true);
}

static inline void machine_retire(void *ctx, unsigned len)
{
    struct machine *m = ctx;

    m->reg[EMUL_RIP] += len;
    if (!(m->seg[SEG_CS].attr & SEG_L))
        m->reg[EMUL_RIP] &= m->seg[SEG_CS].attr & SEG_DB ? 0xffffffffu : 0xffffu;
    m->retired++;
}

/* Flat segments and control registers for 64-, 32- or 16-bit protected mode, paging off. */
static inline void machine_init(struct machine *m, enum insn_mode mode, unsigned cpl)
{
    u32 code = mode == INSN_64 ? SEG_L : mode == INSN_32 ? SEG_DB : 0;

    memset(m, 0, sizeof(*m));
    m->ops = (struct emul_ops){
        .get = machine_get,
        .set = machine_set,
        .get_seg = machine_get_seg,
        .set_seg = machine_set_seg,
        .get_gdt = machine_get_gdt,
        .get_vec = machine_get_vec,
        .set_vec = machine_set_vec,
        .mem = {machine_hold, machine_release, &m->generation},
        .mmio_read = machine_mmio_read,
        .mmio_write = machine_mmio_write,
        .port_in = machine_port_in,
        .port_out = machine_port_out,
        .retire = machine_retire,
        .maxphyaddr = 46,
        .pages_1g = true,
    };
    m->ram_size = MACHINE_RAM;
    m->dev_base = MACHINE_DEV;
    m->next_table = MACHINE_TABLES;
    m->reg[EMUL_RFLAGS] = FLAG_FIXED;
    m->reg[EMUL_CR0] = CR0_PE | CR0_NE | CR0_ET | CR0_MP | CR0_WP | CR0_AM;
    m->reg[EMUL_CR4] = CR4_PAE | CR4_PSE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
    m->reg[EMUL_XCR0] = XCR0_X87 | XCR0_SSE | XCR0_AVX;
    m->reg[EMUL_EFER] = mode == INSN_64 ? EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE : EFER_NXE;
    m->reg[EMUL_CPL] = cpl;
    for (unsigned s = SEG_ES; s <= SEG_GS; s++)
        m->seg[s] = (struct x86_seg){.sel = (u16)(0x10 | cpl),
                                     .attr = 0x93 | SEG_DB | SEG_G | cpl << SEG_DPL_SHIFT,
                                     .limit = 0xffffffff};
    m->seg[SEG_CS].sel = (u16)(0x08 | cpl);
    m->seg[SEG_CS].attr = 0x9b | code | SEG_G | cpl << SEG_DPL_SHIFT;
    m->seg[SEG_TR] = (struct x86_seg){.sel = 0x18, .attr = 0x8b, .limit = 0x67};
    m->seg[SEG_LDTR] = (struct x86_seg){.attr = SEG_UNUSABLE};
}

static inline u64 machine_table(struct machine *m)
{
    u64 t = m->next_table;

    m->next_table += PAGE_SIZE;
    return t;
}

/* Turns 4-level paging (or PAE, outside long mode) on with an empty root. */
static inline void machine_paging(struct machine *m)
{
    m->reg[EMUL_CR0] |= CR0_PG;
    m->reg[EMUL_CR3] = machine_table(m);
}

/* Maps one page; bits are those of a page-table entry (P, W, U, NX...). */
static inline void machine_map(struct machine *m, gla_t gla, gpa_t gpa, u64 bits)
{
    bool lma = m->reg[EMUL_EFER] & EFER_LMA;
    u64 table = m->reg[EMUL_CR3];
    int shift = lma ? 39 : 30;

    for (; shift > 12; shift -= 9) {
        u64 *e = (u64 *)(m->ram + table) + (gla >> shift & 0x1ff);

        if (!(*e & 1))
            *e = machine_table(m) | (shift == 30 && !lma ? 1 : 7);
        table = *e & 0xffffffffff000ull;
    }
    ((u64 *)(m->ram + table))[gla >> 12 & 0x1ff] = gpa | bits;
}

static inline void machine_code(struct machine *m, gpa_t gpa, const void *bytes, unsigned n)
{
    memcpy(m->ram + gpa, bytes, n);
}

static inline enum emul_result machine_run(struct machine *m, const struct emul_exit *e)
{
    emul_begin(&m->cpu, &m->ops, m, m->gpr);
    if (e)
        m->cpu.exit = *e;
    return emul_run(&m->cpu);
}

#endif
