/* SPDX-License-Identifier: BSD-2-Clause */
/* 64-bit code, and 32- and 16-bit code in compatibility mode. */
#include "guests/forms/forms.h"

#define SEL_CODE_AREA 0x33
#define SEL_DATA_AREA 0x3b

static void prepare64(void)
{
}

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

const struct form_mode form_modes[3] = {
    {"64-bit", forms64, 2, SEL_UCODE, SEL_UDATA, AREA, 0, prepare64},
    {"32-bit compatibility", forms32, 1, SEL_CODE_AREA, SEL_DATA_AREA, 0, 0, prepare32},
    {"16-bit compatibility", forms16, 0, SEL_CODE_AREA, SEL_DATA_AREA, 0, 0, prepare16},
};

void form_collect(const struct trap_frame *f, struct form_end *e)
{
    struct form_state *s = &e->st;

    for (unsigned i = 0; i < 16; i++)
        s->gpr[i] = f->gpr[i];
    s->gpr[RSP] = f->sp;
    s->ip = f->ip;
    s->flags = f->flags;
    s->cs = f->cs;
    s->ss = f->ss;
    asm("mov %%ds, %0" : "=r"(s->ds));
    asm("mov %%es, %0" : "=r"(s->es));
    asm("mov %%fs, %0" : "=r"(s->fs));
    asm("mov %%gs, %0" : "=r"(s->gs));
}
