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

/* The PT_LOAD segments, at their p_vaddr + bias in memory. */
static enum err load_segments(struct freebsd *f, struct fb_file *file, const struct elf *elf,
                              u64 bias, bool claim)
{
    struct elf_segment s;
    bool loads;

    for (unsigned i = 0; i < elf->phnum; i++) {
        enum err e = elf_read_segment(f->c, elf, i, &s, &loads);
        gpa_t at = s.vaddr + bias;

        if (e)
            return e;
        if (s.type == PT_DYNAMIC)
            file->at.dynamic = s.vaddr;
        if (!loads)
            continue;
        if (!f->is64)
            at = (u32)at;
        if (claim)
            e = ctx_claim(f->c, file->img, at, s.memsz, "a segment");
        if (!e && at + s.memsz > PLAT_HIGH_BASE)
            e = ctx_fail_image(f->c, file->img, ERR_NOSUP, "it loads above 4 GiB");
        if (!e)
            e = ctx_write(f->c, at, elf->img->data + s.offset, s.filesz);
        if (!e)
            e = ctx_zero(f->c, at + s.filesz, s.memsz - s.filesz);
        if (e)
            return e;
        file->at.addr = file->at.addr ? MIN(file->at.addr, at) : at;
        f->next = MAX(f->next, at + s.memsz);
    }
    return OK;
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
static enum err put_table(struct freebsd *f, const struct fb_file *file,
                          const struct elf_section *s)
{
    u8 size[8];
    gpa_t at;
    enum err e = fb_take(f, file->img, f->word + ALIGN_UP(s->size, f->word), f->word, &at);

    put64(size, s->size);
    if (!e)
        e = ctx_write(f->c, at, size, f->word);
    return e ? e : ctx_write(f->c, at + f->word, file->img->data + s->offset, s->size);
}

static enum err load_symbols(struct freebsd *f, struct fb_file *file, const struct elf *elf)
{
    struct elf_section sym, str;
    enum err e;

    if (find_symtab(elf, &sym) == elf->shnum)
        return OK;
    elf_section(elf, sym.link, &str);
    if (!str.size || !elf_section_in_file(elf, &str))
        return OK;
    file->at.ssym = ALIGN_UP(f->next, f->word);
    e = put_table(f, file, &sym);
    if (!e)
        e = put_table(f, file, &str);
    file->at.esym = f->next;
    return e;
}

enum err fb_load_kernel(struct freebsd *f, struct fb_file *file)
{
    struct elf elf;
    u64 bias;
    gpa_t physical;
    enum err e = elf_open(f->c, file->img, &elf);

    if (e)
        return e;
    f->is64 = elf.is64;
    f->word = elf.is64 ? 8 : 4;
    file->at.is_elf = true;
    bias = -(elf.entry & ~KERNEL_MASK);
    f->entry = elf.is64 ? elf.entry : elf.entry & KERNEL_MASK;
    e = load_segments(f, file, &elf, bias, true);
    if (!e)
        e = elf_entry(f->c, &elf, elf.entry, ELF_ENTRY_OFFSET, &physical);
    if (!e)
        e = load_symbols(f, file, &elf);
    file->at.size = f->next - file->at.addr;
    return e;
}

enum err fb_load_shared(struct freebsd *f, struct fb_file *file, const struct elf *elf)
{
    struct elf_extent x;
    gpa_t base;
    enum err e = elf_extent(f->c, elf, true, &x);

    if (!e)
        e = fb_take(f, file->img, x.high - x.low, PAGE_SIZE, &base);
    if (!e)
        e = load_segments(f, file, elf, base - x.low, false);
    if (!e)
        e = load_symbols(f, file, elf);
    file->at.size = f->next - file->at.addr;
    return e;
}

/*
 * The sections of an object in the order in which they get their addresses: code and data, the
 * symbols and their strings, the sections' names, relocations of what was placed.
 */
enum { PASS_DATA, PASS_SYMBOLS, PASS_STRINGS, PASS_NAMES, PASS_RELOCATIONS, PASS_COUNT };

struct object {
    struct freebsd *f;
    const struct fb_file *file;
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

    if (!s->size)
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

/* Gives section s its address. An alignment that is none is refused by check_object. */
static gpa_t next_address(struct object *o, const struct elf_section *s)
{
    gpa_t at = s->align > 1 ? ALIGN_UP(o->at, s->align) : o->at;

    o->at = at + s->size;
    return at;
}

typedef enum err (*object_fn)(struct object *o, unsigned i, const struct elf_section *s, gpa_t at,
                              u64 arg);

/* Calls fn for each section that gets an address, from base on. fn may be NULL: o->at tells. */
static enum err each_section(struct object *o, gpa_t base, object_fn fn, u64 arg)
{
    struct elf_section s;
    enum err e = OK;

    o->at = base;
    for (unsigned pass = 0; pass < PASS_COUNT; pass++)
        for (unsigned i = 0; i < o->elf->shnum && !e; i++) {
            elf_section(o->elf, i, &s);
            if (in_pass(o, i, &s, pass)) {
                gpa_t at = next_address(o, &s);

                e = fn ? fn(o, i, &s, at, arg) : OK;
            }
        }
    return e;
}

static enum err check_object(struct object *o)
{
    struct elf_section s;

    if (!o->elf->shnum || o->elf->shnum > MODULE_MAX_SHNUM)
        return ctx_fail_image(
            o->f->c, o->file->img, ERR_INVAL,
            "an object with %u sections (file offset 0x%llx) is no module (1 to %d)", o->elf->shnum,
            (unsigned long long)o->elf->shoff, MODULE_MAX_SHNUM);
    o->symtab = find_symtab(o->elf, &s);
    if (o->symtab == o->elf->shnum)
        return ctx_fail_image(o->f->c, o->file->img, ERR_INVAL, "it has no symbol table");
    o->strtab = s.link;
    for (unsigned i = 0; i < o->elf->shnum; i++) {
        elf_section(o->elf, i, &s);
        if ((s.align & (s.align - 1)) || s.align > MAX_ALIGN || s.size > PLAT_HIGH_BASE ||
            (s.type && s.type != SHT_NOBITS && !elf_section_in_file(o->elf, &s)))
            return ctx_fail_image(o->f->c, o->file->img, ERR_INVAL,
                                  "section %u (0x%llx bytes at file offset 0x%llx, alignment "
                                  "0x%llx) does not lie in the file",
                                  i, (unsigned long long)s.size, (unsigned long long)s.offset,
                                  (unsigned long long)s.align);
    }
    return OK;
}

static enum err load_section(struct object *o, unsigned i, const struct elf_section *s, gpa_t at,
                             u64 arg)
{
    (void)i;
    (void)arg;
    if (s->type == SHT_NOBITS)
        return ctx_zero(o->f->c, at, s->size);
    return ctx_write(o->f->c, at, o->file->img->data + s->offset, s->size);
}

enum err fb_load_object(struct freebsd *f, struct fb_file *file, const struct elf *elf)
{
    struct object o = {.f = f, .file = file, .elf = elf};
    enum err e = check_object(&o);

    /* Every alignment divides MAX_ALIGN, so the size does not depend on where it goes, given that.
     */
    if (!e)
        e = each_section(&o, ALIGN_UP(f->next, PAGE_SIZE), NULL, 0);
    if (!e)
        e = fb_take(f, file->img, o.at - ALIGN_UP(f->next, PAGE_SIZE), PAGE_SIZE, &file->at.addr);
    file->at.size = f->next - file->at.addr;
    return e ? e : each_section(&o, file->at.addr, load_section, 0);
}

/* Over the copy of a header that stands in memory: its sh_addr. */
static enum err put_address(struct object *o, unsigned i, const struct elf_section *s, gpa_t at,
                            u64 table)
{
    u8 addr[8];

    (void)s;
    put64(addr, at);
    return ctx_write(o->f->c, table + (u64)i * (o->elf->is64 ? 64 : 40) + (o->elf->is64 ? 16 : 12),
                     addr, o->f->word);
}

enum err fb_put_object_headers(struct freebsd *f, const struct fb_file *file, const struct elf *elf,
                               gpa_t gpa)
{
    struct object o = {.f = f, .file = file, .elf = elf};
    unsigned size = elf->is64 ? 64 : 40, addr = elf->is64 ? 16 : 12;
    u8 raw[64];
    enum err e = check_object(&o);

    for (unsigned i = 0; i < elf->shnum && !e; i++) {
        memcpy(raw, elf->img->data + elf->shoff + (u64)i * elf->shentsize, size);
        memset(raw + addr, 0, f->word);
        e = ctx_write(f->c, gpa + (u64)i * size, raw, size);
    }
    return e ? e : each_section(&o, file->at.addr, put_address, gpa);
}
