/* SPDX-License-Identifier: BSD-2-Clause */
/* Start states: flat 32-bit and identity-mapped 64-bit. SDM 3, 3.4.5 (descriptors), 4.5, 7.2. */
#include "vmm/load/regs.h"

#include "lib/string.h"

/* In the reserved area [PLAT_SHADOW_BASE, PLAT_TABLES_BASE). */
#define GDT_GPA    0xd0000
#define TSS_GPA    0xd0040
#define TABLES_GPA 0xd1000
#define TSS_LIMIT  0x67

#define ATTR_CODE32 (0xb | SEG_S | SEG_P | SEG_DB | SEG_G)
#define ATTR_CODE64 (0xb | SEG_S | SEG_P | SEG_L | SEG_G)
#define ATTR_DATA   (0x3 | SEG_S | SEG_P | SEG_DB | SEG_G)
#define ATTR_TSS    (0xb | SEG_P) /* busy; 32-bit and 64-bit alike */

#define PTE_P  BIT(0)
#define PTE_W  BIT(1)
#define PTE_PS BIT(7)

static void put_descriptor(u8 *p, const struct x86_seg *s)
{
    u32 limit = s->attr & SEG_G ? s->limit >> 12 : s->limit;

    put16(p, (u16)limit);
    put16(p + 2, (u16)s->base);
    p[4] = (u8)(s->base >> 16);
    p[5] = (u8)s->attr;
    p[6] = (u8)((s->attr >> 8 & 0xf0) | (limit >> 16 & 0xf));
    p[7] = (u8)(s->base >> 24);
}

/* Segment registers, GDT and TSS, which differ between the two modes in the code segment alone. */
static enum err set_segments(struct load_ctx *c, u32 code_attr)
{
    static const u8 data_segs[] = {SEG_ES, SEG_SS, SEG_DS, SEG_FS, SEG_GS};
    struct load_state *s = c->state;
    u8 gdt[6 * 8] = {0}, tss[TSS_LIMIT + 1] = {0};
    enum err e;

    for (unsigned i = 0; i < ARRAY_SIZE(data_segs); i++)
        s->seg[data_segs[i]] = (struct x86_seg){REGS_DS, ATTR_DATA, 0xffffffff, 0};
    s->seg[SEG_CS] = (struct x86_seg){REGS_CS, code_attr, 0xffffffff, 0};
    s->seg[SEG_LDTR] = (struct x86_seg){0, SEG_UNUSABLE, 0, 0};
    s->seg[SEG_TR] = (struct x86_seg){REGS_TR, ATTR_TSS, TSS_LIMIT, TSS_GPA};
    s->gdt = (struct x86_table){GDT_GPA, sizeof(gdt) - 1};
    s->idt = (struct x86_table){0, 0};

    put_descriptor(gdt + REGS_CS, &s->seg[SEG_CS]);
    put_descriptor(gdt + REGS_DS, &s->seg[SEG_DS]);
    put_descriptor(gdt + REGS_TR, &s->seg[SEG_TR]); /* its upper half, in 64-bit mode, is 0 */
    put16(tss + 0x66, TSS_LIMIT + 1);               /* no I/O permission map */
    e = ctx_write(c, GDT_GPA, gdt, sizeof(gdt));
    return e ? e : ctx_write(c, TSS_GPA, tss, sizeof(tss));
}

static void clear(struct load_ctx *c)
{
    memset(c->state, 0, sizeof(*c->state));
    c->state->rflags = FLAG_FIXED;
}

enum err regs_prot32(struct load_ctx *c)
{
    clear(c);
    c->state->cr0 = CR0_PE | CR0_ET;
    return set_segments(c, ATTR_CODE32);
}

/* A run of entries at gpa that all point to the same table. */
static enum err write_pointers(struct load_ctx *c, gpa_t gpa, unsigned count, gpa_t table,
                               u64 stride)
{
    u64 run[64];
    enum err e = OK;

    for (unsigned i = 0; i < count && !e; i += ARRAY_SIZE(run)) {
        unsigned n = MIN(count - i, (unsigned)ARRAY_SIZE(run));

        for (unsigned k = 0; k < n; k++)
            run[k] = (table + (i + k) * stride) | PTE_P | PTE_W;
        e = ctx_write(c, gpa + i * 8, run, n * 8);
    }
    return e;
}

/* Page directories of 2-MiB pages that map the first count of them to themselves. */
static enum err write_large_pages(struct load_ctx *c, gpa_t gpa, unsigned count)
{
    return write_pointers(c, gpa, count, PTE_PS, 2 * MIB);
}

#define PDPT_GPA (TABLES_GPA + PAGE_SIZE)
#define PD_GPA   (TABLES_GPA + 2 * PAGE_SIZE)

/* PML4, PDPT, then four page directories. */
static enum err write_identity(struct load_ctx *c)
{
    enum err e = ctx_zero(c, TABLES_GPA, 2 * PAGE_SIZE);

    if (!e)
        e = write_pointers(c, TABLES_GPA, 1, PDPT_GPA, 0);
    if (!e)
        e = write_pointers(c, PDPT_GPA, 4, PD_GPA, PAGE_SIZE);
    return e ? e : write_large_pages(c, PD_GPA, 4 * 512);
}

static enum err set_long(struct load_ctx *c, u64 efer)
{
    clear(c);
    c->state->cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_PG;
    c->state->cr3 = TABLES_GPA;
    c->state->cr4 = CR4_PAE;
    c->state->efer = efer;
    return set_segments(c, ATTR_CODE64);
}

enum err regs_long64(struct load_ctx *c)
{
    enum err e = set_long(c, EFER_LME | EFER_LMA);

    return e ? e : write_identity(c);
}

enum err regs_freebsd64(struct load_ctx *c)
{
    enum err e = set_long(c, EFER_LME | EFER_LMA | EFER_SCE);

    if (!e)
        e = write_pointers(c, TABLES_GPA, 512, PDPT_GPA, 0);
    if (!e)
        e = write_pointers(c, PDPT_GPA, 512, PD_GPA, 0);
    return e ? e : write_large_pages(c, PD_GPA, 512);
}
