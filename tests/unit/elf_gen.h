/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes ELF files in memory, field by field, valid or not. Layouts from the System V ABI. */
#ifndef TESTS_UNIT_ELF_GEN_H
#define TESTS_UNIT_ELF_GEN_H

#include <string.h>

#include "lib/types.h"

#define GEN_PH   0x40   /* program headers */
#define GEN_SH   0x8000 /* section headers */
#define GEN_SIZE 0x10000

struct elf_gen {
    u8 b[GEN_SIZE];
    bool is64;
};

static inline void gen16(struct elf_gen *g, u64 off, u64 v)
{
    u16 x = (u16)v;

    memcpy(g->b + off, &x, 2);
}

static inline void gen32(struct elf_gen *g, u64 off, u64 v)
{
    u32 x = (u32)v;

    memcpy(g->b + off, &x, 4);
}

static inline void gen64(struct elf_gen *g, u64 off, u64 v)
{
    memcpy(g->b + off, &v, 8);
}

/* A header, and contents that count. */
static inline void gen_elf(struct elf_gen *g, bool is64, u64 entry, unsigned phnum, unsigned shnum)
{
    for (unsigned i = 0; i < GEN_SIZE; i++)
        g->b[i] = (u8)(i * 7 ^ i >> 8);
    memset(g->b, 0, 0x1000);
    memset(g->b + GEN_SH, 0, 0x1000);
    g->is64 = is64;
    memcpy(g->b, "\177ELF", 4);
    g->b[4] = is64 ? 2 : 1;
    g->b[5] = g->b[6] = 1;
    gen16(g, 16, 2);
    gen16(g, 18, is64 ? 62 : 3);
    gen32(g, 20, 1);
    if (is64) {
        gen64(g, 24, entry);
        gen64(g, 32, GEN_PH);
        gen64(g, 40, shnum ? GEN_SH : 0);
    } else {
        gen32(g, 24, entry);
        gen32(g, 28, GEN_PH);
        gen32(g, 32, shnum ? GEN_SH : 0);
    }
    gen16(g, is64 ? 52 : 40, is64 ? 64 : 52);
    gen16(g, is64 ? 54 : 42, is64 ? 56 : 32);
    gen16(g, is64 ? 56 : 44, phnum);
    gen16(g, is64 ? 58 : 46, is64 ? 64 : 40);
    gen16(g, is64 ? 60 : 48, shnum);
    gen16(g, is64 ? 62 : 50, shnum ? shnum - 1 : 0);
}

static inline void gen_segment(struct elf_gen *g, unsigned i, u32 type, u64 off, u64 vaddr,
                               u64 paddr, u64 filesz, u64 memsz)
{
    u64 p = GEN_PH + i * (g->is64 ? 56u : 32u);

    gen32(g, p, type);
    if (g->is64) {
        gen64(g, p + 8, off);
        gen64(g, p + 16, vaddr);
        gen64(g, p + 24, paddr);
        gen64(g, p + 32, filesz);
        gen64(g, p + 40, memsz);
        gen64(g, p + 48, 0x1000);
    } else {
        gen32(g, p + 4, off);
        gen32(g, p + 8, vaddr);
        gen32(g, p + 12, paddr);
        gen32(g, p + 16, filesz);
        gen32(g, p + 20, memsz);
        gen32(g, p + 28, 0x1000);
    }
}

static inline u64 gen_section_at(const struct elf_gen *g, unsigned i)
{
    return GEN_SH + i * (g->is64 ? 64u : 40u);
}

static inline void gen_section(struct elf_gen *g, unsigned i, u32 type, u64 flags, u64 addr,
                               u64 off, u64 size, u64 align)
{
    u64 p = gen_section_at(g, i);

    gen32(g, p, i);
    gen32(g, p + 4, type);
    if (g->is64) {
        gen64(g, p + 8, flags);
        gen64(g, p + 16, addr);
        gen64(g, p + 24, off);
        gen64(g, p + 32, size);
        gen64(g, p + 48, align);
    } else {
        gen32(g, p + 8, flags);
        gen32(g, p + 12, addr);
        gen32(g, p + 16, off);
        gen32(g, p + 20, size);
        gen32(g, p + 32, align);
    }
}

#endif
