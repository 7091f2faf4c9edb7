/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The page walk over tables, registers and addresses from the input, while another processor
 * rewrites entries: it ends, reads only memory, lets everything go, and changes nothing but
 * accessed and dirty bits.
 */
#include <string.h>
#include "lib/assert.h"
#include "vmm/emul/walk.h"

#define PAGES 8
#define RAM   (PAGES * PAGE_SIZE)

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

struct memory {
    u8 ram[RAM] ALIGNED(4096);
    int held;
    u32 meddle; /* a write hold in eight finds its entry rewritten, while this lasts */
};

static void *hold(void *ctx, gpa_t gpa, unsigned len, bool write)
{
    struct memory *m = ctx;

    ASSERT(len == 4 || len == 8);
    ASSERT(gpa % len == 0);
    if (gpa >= RAM)
        return NULL;
    m->held++;
    if (write && (m->meddle & 7) == 1)
        m->ram[gpa + 1] ^= 0x10;
    if (write)
        m->meddle >>= 3;
    return m->ram + gpa;
}

static void release(void *ctx, void *p, gpa_t gpa, bool write)
{
    struct memory *m = ctx;

    (void)write;
    ASSERT((u8 *)p == m->ram + gpa);
    m->held--;
}

struct head {
    u64 cr0, cr3, cr4, efer, gla, pdpte[4];
    u32 access, pkru, meddle;
    u8 maxphyaddr, options;
} PACKED;

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static const struct emul_mem mem = {hold, release, NULL};
    static struct memory m;
    static u8 before[RAM];
    struct head h;
    struct walk w;
    struct walk_out out;
    enum walk_result r;

    if (size < sizeof(h))
        return 0;
    memcpy(&h, data, sizeof(h));
    data += sizeof(h);
    size -= sizeof(h);
    memset(m.ram, 0, RAM);
    for (size_t i = 0; i + 10 <= size; i += 10) /* 2 bytes where, 8 bytes what */
        memcpy(m.ram + ((data[i] | data[i + 1] << 8) % (RAM / 8)) * 8, data + i + 2, 8);
    memcpy(before, m.ram, RAM);
    memset(&w, 0, sizeof(w));
    w.mem = &mem;
    w.ctx = &m;
    w.cr0 = h.cr0;
    w.cr3 = h.cr3 % (2 * RAM);
    w.cr4 = h.cr4;
    w.efer = h.efer;
    w.rflags = h.options & 8 ? FLAG_AC : 0;
    w.pkru = h.pkru;
    w.maxphyaddr = 32 + h.maxphyaddr % 21;
    w.pages_1g = h.options & 2;
    w.pdpte_regs = h.options & 4;
    memcpy(w.pdpte, h.pdpte, sizeof(w.pdpte));
    m.held = 0;
    m.meddle = h.meddle;
    walk_init(&w);
    r = walk_gla(&w, h.gla,
                 h.access & (WALK_WRITE | WALK_USER | WALK_FETCH | WALK_SYSTEM | WALK_PEEK), &out);
    ASSERT(m.held == 0);
    ASSERT(r <= WALK_RETRY);
    if (r == WALK_FAULT)
        ASSERT(!(out.error & ~(PF_P | PF_W | PF_U | PF_RSVD | PF_I | PF_PK)));
    if (r == WALK_NOT_RAM)
        ASSERT(out.gpa >= RAM);
    if (r == WALK_OK && w.mode != WALK_FLAT && w.mode != WALK_32BIT)
        ASSERT(!(out.gpa >> w.maxphyaddr));
    for (unsigned i = 0; i < RAM; i += 4) { /* 0x10 in the second byte is the meddler's */
        u32 a, b;

        memcpy(&a, before + i, 4);
        memcpy(&b, m.ram + i, 4);
        ASSERT(!((a ^ b) & ~0x1060u));
        if (!h.meddle)
            ASSERT(!(a & ~b & 0x60));
    }
    return 0;
}
