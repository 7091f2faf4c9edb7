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
static void set_segments(struct load_ctx *c, u32 code_attr)
{
    static const u8 data_segs[] = {SEG_ES, SEG_SS, SEG_DS, SEG_FS, SEG_GS};
    struct load_state *s = c->state;
    u8 gdt[6 * 8] = {0}, tss[TSS_LIMIT + 1] = {0};

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
    ctx_write(c, GDT_GPA, gdt, sizeof(gdt));
    ctx_write(c, TSS_GPA, tss, sizeof(tss));
}

static void clear(struct load_ctx *c)
{
    memset(c->state, 0, sizeof(*c->state));
    c->state->rflags = FLAG_FIXED;
}

void regs_prot32(struct load_ctx *c)
{
    clear(c);
    c->state->cr0 = CR0_PE | CR0_ET;
    set_segments(c, ATTR_CODE32);
}

/* Entries at gpa, the i-th of which leads to first + i * stride; first has bits of its own. */
static void write_entries(struct load_ctx *c, gpa_t gpa, unsigned count, u64 first, u64 stride)
{
    u64 run[64];

    while (count) {
        unsigned n = MIN(count, (unsigned)ARRAY_SIZE(run));

        for (unsigned i = 0; i < n; i++, first += stride)
            run[i] = first | PTE_P | PTE_W;
        ctx_write(c, gpa, run, n * 8);
        gpa += n * 8;
        count -= n;
    }
}

/* Page directories of 2-MiB pages that map the first count of them to themselves. */
static void write_large_pages(struct load_ctx *c, gpa_t gpa, unsigned count)
{
    write_entries(c, gpa, count, PTE_PS, 2 * MIB);
}

#define PDPT_GPA (TABLES_GPA + PAGE_SIZE)
#define PD_GPA   (TABLES_GPA + 2 * PAGE_SIZE)

static void set_long(struct load_ctx *c, u64 efer)
{
    clear(c);
    c->state->cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_PG;
    c->state->cr3 = TABLES_GPA;
    c->state->cr4 = CR4_PAE;
    c->state->efer = efer;
    set_segments(c, ATTR_CODE64);
}

/* PML4, PDPT, then four page directories. */
void regs_long64(struct load_ctx *c)
{
    set_long(c, EFER_LME | EFER_LMA);
    ctx_zero(c, TABLES_GPA, 2 * PAGE_SIZE);
    write_entries(c, TABLES_GPA, 1, PDPT_GPA, 0);
    write_entries(c, PDPT_GPA, 4, PD_GPA, PAGE_SIZE);
    write_large_pages(c, PD_GPA, 4 * 512);
}

void regs_freebsd64(struct load_ctx *c)
{
    set_long(c, EFER_LME | EFER_LMA | EFER_SCE);
    write_entries(c, TABLES_GPA, 512, PDPT_GPA, 0);
    write_entries(c, PDPT_GPA, 512, PD_GPA, 0);
    write_large_pages(c, PD_GPA, 512);
}
