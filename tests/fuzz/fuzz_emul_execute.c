/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whole emulations: any bytes in any mode with any registers, over RAM, read-only memory, devices
 * and absent pages. Every hold is let go, an emulation that is not done leaves registers and
 * devices alone, and a capsule always fits.
 */
#include <stdlib.h>
#include "lib/assert.h"
#include "vmm/emul/emul.h"
#include "tests/emul/machine.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define CODE 0x10000ull
#define RAMP 0x20000ull
#define DEVP 0x30000ull

struct head {
    u8 mode, cpl, exit, options;
    u64 gpr[GPR_COUNT];
    u64 rflags, ip;
    u16 seg_attr[6];
    u32 seg_limit[6];
    struct emul_exit given;
    u8 code[16];
} PACKED;

static void pages(struct machine *m)
{
    machine_paging(m);
    machine_map(m, CODE, 0x1000, 7);
    machine_map(m, CODE + 0x1000, 0x2000, 7);
    machine_map(m, RAMP, 0x3000, 7);
    machine_map(m, RAMP + 0x1000, MACHINE_DEV, 7);
    machine_map(m, RAMP + 0x2000, 0x4000, 5);
    machine_map(m, DEVP, MACHINE_DEV, 7);
    machine_map(m, DEVP + 0x1000, MACHINE_DEV + 0x1000, 7);
    machine_map(m, 0, 0x5000, 7); /* small offsets of 16-bit code */
    machine_map(m, 0x1000, MACHINE_DEV + 0x2000, 7);
}

/* Registers near something more often than not. */
static u64 near_pages(u64 v, u8 options)
{
    static const u64 bases[8] = {RAMP, RAMP + 0x1000, RAMP + 0x2000, DEVP, DEVP + 0x1000,
                                 0,    0x1000,        0x100};

    if (options & 1)
        return v;
    return bases[v >> 56 & 7] + (s64)(s16)(v & 0xffff) / 64;
}

static void setup(struct machine *m, const struct head *h)
{
    enum insn_mode mode = (enum insn_mode)(h->mode % 3);
    unsigned cpl = h->cpl & 3;

    machine_init(m, mode, cpl);
    if (h->options & 2) {
        pages(m);
    } else {
        m->dev_base = RAMP;
        if (mode == INSN_64)
            pages(m); /* long mode is paged */
    }
    m->reg[EMUL_RFLAGS] = (h->rflags & 0x3f7fd5 & ~FLAG_VM) | FLAG_FIXED;
    if (mode == INSN_16 && h->options & 4) { /* real mode, or virtual-8086 mode */
        if (h->options & 8) {
            m->reg[EMUL_RFLAGS] |= FLAG_VM;
            m->reg[EMUL_CPL] = 3;
        } else {
            m->reg[EMUL_CR0] &= ~(CR0_PE | CR0_PG);
            m->reg[EMUL_CPL] = 0;
        }
    }
    for (unsigned s = 0; s < 6 && h->options & 16; s++) {
        m->seg[s].limit = h->seg_limit[s];
        if (s != SEG_CS)
            m->seg[s].attr = h->seg_attr[s] | (u32)(h->seg_attr[s] >> 3 & 1) << 16;
    }
    for (unsigned i = 0; i < GPR_COUNT; i++)
        m->gpr[i] = near_pages(h->gpr[i], h->options >> 7 | (i == RCX));
    m->reg[EMUL_RSP] = m->gpr[RSP];
    m->reg[EMUL_RIP] = CODE + (h->ip % 0x2010);
    if (mode == INSN_16)
        m->seg[SEG_CS].base = CODE, m->reg[EMUL_RIP] -= CODE;
    for (unsigned i = 0; i < 16; i++)
        m->ram[(0x1000 + h->ip % 0x2010 + i) % MACHINE_RAM] = h->code[i];
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static struct machine m, before;
    struct emul_exit e = {0};
    struct head h;
    enum emul_result r;
    char line[1000];

    if (size < sizeof(h))
        return 0;
    memcpy(&h, data, sizeof(h));
    setup(&m, &h);
    if (h.exit & 1) {
        e.kind = h.exit >> 1 & 1 ? EMUL_EXIT_MEMORY : EMUL_EXIT_PORT;
        e.gla_valid = h.exit & 4;
        e.read = h.exit & 8;
        e.write = h.exit & 16;
        e.in = h.exit & 32;
        e.device = e.kind == EMUL_EXIT_MEMORY;
        e.size = 1u << (h.exit >> 6);
        e.port = (u16)m.gpr[RDX];
        e.gpa = MACHINE_DEV + (u32)h.given.gpa % (MACHINE_DEV_PAGES * PAGE_SIZE);
        e.gla = DEVP + (e.gpa & 0x1fff);
    }
    memcpy(&before, &m, sizeof(m));
    r = machine_run(&m, &e);
    ASSERT(m.held == 0);
    ASSERT(r <= EMUL_UNSUPPORTED);
    if (r != EMUL_DONE && r != EMUL_PARTIAL &&
        !(m.cpu.insn.op >= OP_MOVS && m.cpu.insn.op <= OP_OUTS)) {
        ASSERT(!memcmp(m.gpr, before.gpr, sizeof(m.gpr)));
        ASSERT(m.reg[EMUL_RSP] == before.reg[EMUL_RSP]);
        ASSERT(m.reg[EMUL_RFLAGS] == before.reg[EMUL_RFLAGS]);
        ASSERT(!memcmp(m.vec, before.vec, sizeof(m.vec)));
    }
    if (r == EMUL_RETRY || r == EMUL_UNSUPPORTED)
        ASSERT(m.accesses == 0 && m.cpu.why);
    if (r != EMUL_DONE)
        ASSERT(m.reg[EMUL_RIP] == before.reg[EMUL_RIP]);
    ASSERT(emul_capsule(&m.cpu, line, sizeof(line)) < 900);
    return 0;
}
