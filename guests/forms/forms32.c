/* SPDX-License-Identifier: BSD-2-Clause */
/* 32- and 16-bit protected mode, virtual-8086 mode. */
#include "guests/forms/forms.h"
#include "guests/lib/desc.h"
#include "lib/string.h"

#define SEL_CODE_AREA 0x33
#define SEL_DATA_AREA 0x3b

/* Segments of 64 KiB at AREA, DPL 3. */
static void prepare32(void)
{
    gdt_set(SEL_CODE_AREA, 0x0040fb060000ffff);
    gdt_set(SEL_DATA_AREA, 0x0040f3060000ffff);
}

static void prepare16(void)
{
    gdt_set(SEL_CODE_AREA, 0x0000fb060000ffff);
    gdt_set(SEL_DATA_AREA, 0x0000f3060000ffff);
}

/* The same TSS with an I/O bitmap behind it that allows the first 256 ports. */
static void prepare_vm86(void)
{
    static u8 tss[104 + 33] ALIGNED(128);
    u64 *d = &gdt[SEL_TSS / 8];
    ulong old = (ulong)(*d >> 16 & 0xffffff) | (ulong)(*d >> 56) << 24, base = (ulong)tss;

    memcpy(tss, (const void *)old, 104);
    tss[102] = 104;
    tss[103] = 0;
    tss[sizeof(tss) - 1] = 0xff;
    *d = (sizeof(tss) - 1) | (u64)(base & 0xffffff) << 16 | 0x89ull << 40 |
         (u64)(base >> 24 & 0xff) << 56;
    cpu_ltr(SEL_TSS);
}

const struct form_mode form_modes[3] = {
    {"32-bit protected", forms32, 1, SEL_CODE_AREA, SEL_DATA_AREA, 0, 0, prepare32},
    {"16-bit protected", forms16, 0, SEL_CODE_AREA, SEL_DATA_AREA, 0, 0, prepare16},
    {"virtual-8086", forms16, 0, AREA >> 4, AREA >> 4, 0, FLAG_VM, prepare_vm86},
};

void form_collect(const struct trap_frame *f, struct form_end *e)
{
    const ulong *beyond = &f->ss + 1; /* from virtual-8086 mode: ES, DS, FS, GS */
    struct form_state *s = &e->st;

    for (unsigned i = 0; i < 8; i++)
        s->gpr[i] = f->gpr[i];
    s->gpr[RSP] = f->sp;
    s->ip = f->ip;
    s->flags = f->flags;
    s->cs = f->cs & 0xffff;
    s->ss = f->ss & 0xffff;
    if (f->flags & FLAG_VM) {
        s->es = beyond[0] & 0xffff;
        s->ds = beyond[1] & 0xffff;
        s->fs = beyond[2] & 0xffff;
        s->gs = beyond[3] & 0xffff;
        return;
    }
    s->es = f->es & 0xffff;
    s->ds = f->ds & 0xffff;
    asm("mov %%fs, %0" : "=r"(s->fs));
    asm("mov %%gs, %0" : "=r"(s->gs));
}
