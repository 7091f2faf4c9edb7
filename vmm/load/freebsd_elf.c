/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * FreeBSD kernels, shared modules (i386's .ko) and relocatable ones (amd64's .ko) into memory, with
 * their symbols, where loader(8) puts them.
 */
#include "vmm/load/freebsd.h"

#include "lib/string.h"

/* Kernels are linked at a multiple of 16 MiB plus where they lie in physical memory. */
#define KERNEL_MASK      0xffffffull
#define MAX_ALIGN        0x10000
#define MODULE_MAX_SHNUM 4096

#define SHT_PROGBITS   1
#define SHT_INIT_ARRAY 14
#define SHT_FINI_ARRAY 15
#define SHT_X86_UNWIND 0x70000001

/* The PT_LOAD segments, each at its p_vaddr + bias in memory. */
static bool load_segments(struct freebsd *f, struct fb_file *file, const struct elf *elf, u64 bias,
                          bool claim)
{
    struct elf_segment s;

    for (unsigned i = 0; i < elf->phnum && !f->c->err; i++) {
        bool load = elf_loads(f->c, elf, i, &s);
        gpa_t at = s.vaddr + bias;

        if (s.type == PT_DYNAMIC)
            file->at.dynamic = s.vaddr;
        if (!load)
            continue;
        if (!f->is64)
            at = (u32)at;
        if (claim)
            ctx_claim(f->c, at, s.memsz, "a segment");
        if (at + s.memsz > PLAT_HIGH_BASE)
            return ctx_fail_image(f->c, ERR_NOSUP, "it loads above 4 GiB");
        ctx_write(f->c, at, elf->img->data + s.offset, s.filesz);
        ctx_zero(f->c, at + s.filesz, s.memsz - s.filesz);
        file->at.addr = file->at.addr ? MIN(file->at.addr, at) : at;
        f->next = MAX(f->next, at + s.memsz);
    }
    return !f->c->err;
}

/* The symbol table that no segment has loaded already; shnum if there is none. */
static unsigned find_symtab(const struct elf *elf, struct elf_section *sym)
{
    for (unsigned i = 0; i < elf->shnum; i++) {
        elf_section(elf, i, sym);
        if (sym->type == SHT_SYMTAB && sym->size && !(sym->flags & SHF_ALLOC) &&
            elf_section_in_file(elf, sym) && sym->link < elf->shnum)
            return i;
    }
    return elf->shnum;
}

/* A table behind its size, padded to whole words. */
static void put_table(struct freebsd *f, const struct elf_section *s)
{
    gpa_t at;

    if (!fb_take(f, f->word + ALIGN_UP(s->size, f->word), f->word, &at))
        return;
    ctx_write(f->c, at, &s->size, f->word);
    ctx_write(f->c, at + f->word, f->c->img->data + s->offset, s->size);
}

static void load_symbols(struct freebsd *f, struct fb_file *file, const struct elf *elf)
{
    struct elf_section sym, str;

    if (find_symtab(elf, &sym) == elf->shnum)
        return;
    elf_section(elf, sym.link, &str);
    if (!str.size || !elf_section_in_file(elf, &str))
        return;
    file->at.ssym = ALIGN_UP(f->next, f->word);
    put_table(f, &sym);
    put_table(f, &str);
    file->at.esym = f->next;
}

void fb_load_kernel(struct freebsd *f, struct fb_file *file)
{
    struct elf elf;
    gpa_t physical;

    if (!elf_open(f->c, &elf))
        return;
    f->is64 = elf.is64;
    f->word = elf.is64 ? 8 : 4;
    file->at.is_elf = true;
    f->entry = elf.is64 ? elf.entry : elf.entry & KERNEL_MASK;
    if (!load_segments(f, file, &elf, -(elf.entry & ~KERNEL_MASK), true) ||
        !elf_entry(f->c, &elf, elf.entry, ELF_ENTRY_OFFSET, &physical))
        return;
    load_symbols(f, file, &elf);
    file->at.size = f->next - file->at.addr;
}

void fb_load_shared(struct freebsd *f, struct fb_file *file, const struct elf *elf)
{
    struct elf_extent x;
    gpa_t base;

    if (!elf_extent(f->c, elf, true, &x) || !fb_take(f, x.high - x.low, PAGE_SIZE, &base) ||
        !load_segments(f, file, elf, base - x.low, false))
        return;
    load_symbols(f, file, elf);
    file->at.size = f->next - file->at.addr;
}

/*
 * The sections of an object in the order in which they get their addresses: code and data, the
 * symbols and their strings, the sections' names, relocations of what was placed.
 */
enum { PASS_DATA, PASS_SYMBOLS, PASS_STRINGS, PASS_NAMES, PASS_RELOCATIONS, PASS_COUNT };

struct object {
    struct freebsd *f;
    const struct elf *elf;
    unsigned symtab, strtab;
    gpa_t at;
};

static bool is_data(const struct elf_section *s)
{
    return (s->flags & SHF_ALLOC) &&
           (s->type == SHT_PROGBITS || s->type == SHT_NOBITS || s->type == SHT_INIT_ARRAY ||
            s->type == SHT_FINI_ARRAY || s->type == SHT_X86_UNWIND);
}

static bool in_pass(const struct object *o, unsigned i, const struct elf_section *s, unsigned pass)
{
    struct elf_section target;

    if (!s->size || !s->type) /* one of no type says nothing: check_object passed it over */
        return false;
    switch (pass) {
    case PASS_DATA:
        return is_data(s);
    case PASS_SYMBOLS:
        return i == o->symtab;
    case PASS_STRINGS:
        return i == o->strtab && !is_data(s);
    case PASS_NAMES:
        return i && i == o->elf->shstrndx && i != o->strtab && i != o->symtab && !is_data(s);
    default:
        if ((s->type != SHT_REL && s->type != SHT_RELA) || s->info >= o->elf->shnum)
            return false;
        elf_section(o->elf, s->info, &target);
        return target.flags & SHF_ALLOC;
    }
}

typedef void (*object_fn)(struct object *o, unsigned i, const struct elf_section *s, gpa_t at,
                          u64 arg);

/*
 * Calls fn for each section that gets an address, from base on. fn may be NULL: o->at tells. An
 * alignment that is none is refused by check_object.
 */
static void each_section(struct object *o, gpa_t base, object_fn fn, u64 arg)
{
    struct elf_section s;

    o->at = base;
    for (unsigned pass = 0; pass < PASS_COUNT; pass++)
        for (unsigned i = 0; i < o->elf->shnum; i++) {
            elf_section(o->elf, i, &s);
            if (!in_pass(o, i, &s, pass))
                continue;
            if (s.align > 1)
                o->at = ALIGN_UP(o->at, s.align);
            if (fn)
                fn(o, i, &s, o->at, arg);
            o->at += s.size;
        }
}

static bool check_object(struct object *o)
{
    struct load_ctx *c = o->f->c;
    struct elf_section s;

    if (!o->elf->shnum || o->elf->shnum > MODULE_MAX_SHNUM)
        return ctx_fail_image(
            c, ERR_INVAL, "an object with %u sections (file offset 0x%llx) is no module (1 to %d)",
            o->elf->shnum, (unsigned long long)o->elf->shoff, MODULE_MAX_SHNUM);
    o->symtab = find_symtab(o->elf, &s);
    if (o->symtab == o->elf->shnum)
        return ctx_fail_image(c, ERR_INVAL, "it has no symbol table");
    o->strtab = s.link;
    for (unsigned i = 0; i < o->elf->shnum; i++) {
        elf_section(o->elf, i, &s);
        if ((s.align & (s.align - 1)) || s.align > MAX_ALIGN || s.size > PLAT_HIGH_BASE ||
            (s.type && s.type != SHT_NOBITS && !elf_section_in_file(o->elf, &s)))
            return ctx_fail_image(c, ERR_INVAL,
                                  "section %u (0x%llx bytes at file offset 0x%llx, alignment "
                                  "0x%llx) does not lie in the file",
                                  i, (unsigned long long)s.size, (unsigned long long)s.offset,
                                  (unsigned long long)s.align);
    }
    return true;
}

static void load_section(struct object *o, unsigned i, const struct elf_section *s, gpa_t at,
                         u64 arg)
{
    (void)i;
    (void)arg;
    if (s->type == SHT_NOBITS)
        ctx_zero(o->f->c, at, s->size);
    else
        ctx_write(o->f->c, at, o->elf->img->data + s->offset, s->size);
}

void fb_load_object(struct freebsd *f, struct fb_file *file, const struct elf *elf)
{
    struct object o = {.f = f, .elf = elf};
    gpa_t from = ALIGN_UP(f->next, PAGE_SIZE);

    if (!check_object(&o))
        return;
    /* Every alignment divides MAX_ALIGN, so the size does not depend on where it goes, given that.
     */
    each_section(&o, from, NULL, 0);
    if (!fb_take(f, o.at - from, PAGE_SIZE, &file->at.addr))
        return;
    file->at.size = f->next - file->at.addr;
    each_section(&o, file->at.addr, load_section, 0);
}

/* Over the copy of a header that stands in memory: its sh_addr. */
static void put_address(struct object *o, unsigned i, const struct elf_section *s, gpa_t at,
                        u64 table)
{
    (void)s;
    ctx_write(o->f->c, table + (u64)i * elf_section_size(o->elf) + (o->elf->is64 ? 16 : 12), &at,
              o->f->word);
}

void fb_put_object_headers(struct freebsd *f, const struct fb_file *file, const struct elf *elf,
                           gpa_t gpa)
{
    struct object o = {.f = f, .elf = elf};
    unsigned size = elf_section_size(elf), addr = elf->is64 ? 16 : 12;
    u8 raw[sizeof(struct elf_section)];

    if (!check_object(&o))
        return;
    for (unsigned i = 0; i < elf->shnum; i++) {
        memcpy(raw, elf->img->data + elf->shoff + (u64)i * elf->shentsize, size);
        memset(raw + addr, 0, f->word);
        ctx_write(f->c, gpa + (u64)i * size, raw, size);
    }
    each_section(&o, file->at.addr, put_address, gpa);
}
