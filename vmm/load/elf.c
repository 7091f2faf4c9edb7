/* SPDX-License-Identifier: BSD-2-Clause */
/* ELF headers, segments and notes. */
#include "vmm/load/elf.h"

#include "lib/print.h"
#include "lib/string.h"

#define EHDR32_SIZE 52
#define EHDR64_SIZE 64

bool elf_probe(const struct load_image *img)
{
    return image_has(img, 0, 4) && !memcmp(img->data, "\177ELF", 4);
}

static void read_header(struct elf *e)
{
    const u8 *h = e->img->data;
    unsigned w = e->is64 ? 8 : 4; /* width of an address */
    unsigned t = 24 + 3 * w + 4;  /* e_ehsize: the 16-bit fields at the end */

    e->osabi = h[7];
    e->type = get16(h + 16);
    e->machine = get16(h + 18);
    e->entry = e->is64 ? get64(h + 24) : get32(h + 24);
    e->phoff = e->is64 ? get64(h + 32) : get32(h + 28);
    e->shoff = e->is64 ? get64(h + 40) : get32(h + 32);
    e->phentsize = get16(h + t + 2);
    e->phnum = get16(h + t + 4);
    e->shentsize = get16(h + t + 6);
    e->shnum = get16(h + t + 8);
    e->shstrndx = get16(h + t + 10);
}

static enum err check_tables(struct load_ctx *c, struct elf *e)
{
    const struct load_image *img = e->img;

    if (e->phnum && (e->phentsize < (e->is64 ? 56 : 32) ||
                     !image_has(img, e->phoff, (u64)e->phnum * e->phentsize)))
        return ctx_fail_image(c, img, ERR_INVAL,
                              "its %u program headers of %u bytes at file offset 0x%llx do not lie "
                              "in its 0x%llx bytes",
                              e->phnum, e->phentsize, (unsigned long long)e->phoff,
                              (unsigned long long)img->size);
    /* Sections are not needed to run: a stripped or cut-off table is as none. */
    if (!e->shoff || e->shentsize < (e->is64 ? 64 : 40) ||
        !image_has(img, e->shoff, (u64)e->shnum * e->shentsize))
        e->shnum = 0;
    if (e->shstrndx >= e->shnum)
        e->shstrndx = 0;
    return OK;
}

enum err elf_open(struct load_ctx *c, const struct load_image *img, struct elf *e)
{
    memset(e, 0, sizeof(*e));
    e->img = img;
    if (!elf_probe(img))
        return ctx_fail_image(c, img, ERR_INVAL, "it is not ELF: no 0x7f 'ELF' at file offset 0");
    if (!image_has(img, 0, EHDR32_SIZE) || (img->data[4] == 2 && !image_has(img, 0, EHDR64_SIZE)))
        return ctx_fail_image(c, img, ERR_INVAL,
                              "it is truncated: it ends at file offset 0x%llx, within the ELF "
                              "header",
                              (unsigned long long)img->size);
    if (img->data[4] != 1 && img->data[4] != 2)
        return ctx_fail_image(c, img, ERR_INVAL, "ELF class %u (file offset 4) is not 1 or 2",
                              img->data[4]);
    if (img->data[5] != 1)
        return ctx_fail_image(c, img, ERR_INVAL,
                              "ELF data encoding %u (file offset 5) is not little-endian",
                              img->data[5]);
    e->is64 = img->data[4] == 2;
    read_header(e);
    if (e->machine != EM_386 && e->machine != EM_X86_64)
        return ctx_fail_image(c, img, ERR_INVAL,
                              "ELF machine %u (file offset 18) is neither i386 (3) nor x86-64 (62)",
                              e->machine);
    return check_tables(c, e);
}

void elf_segment(const struct elf *e, unsigned i, struct elf_segment *s)
{
    const u8 *p = e->img->data + e->phoff + (u64)i * e->phentsize;

    s->type = get32(p);
    if (e->is64) {
        s->offset = get64(p + 8);
        s->vaddr = get64(p + 16);
        s->paddr = get64(p + 24);
        s->filesz = get64(p + 32);
        s->memsz = get64(p + 40);
        s->align = get64(p + 48);
    } else {
        s->offset = get32(p + 4);
        s->vaddr = get32(p + 8);
        s->paddr = get32(p + 12);
        s->filesz = get32(p + 16);
        s->memsz = get32(p + 20);
        s->align = get32(p + 28);
    }
}

void elf_section(const struct elf *e, unsigned i, struct elf_section *s)
{
    const u8 *p = e->img->data + e->shoff + (u64)i * e->shentsize;

    s->name = get32(p);
    s->type = get32(p + 4);
    if (e->is64) {
        s->flags = get64(p + 8);
        s->addr = get64(p + 16);
        s->offset = get64(p + 24);
        s->size = get64(p + 32);
        s->link = get32(p + 40);
        s->info = get32(p + 44);
        s->align = get64(p + 48);
        s->entsize = get64(p + 56);
    } else {
        s->flags = get32(p + 8);
        s->addr = get32(p + 12);
        s->offset = get32(p + 16);
        s->size = get32(p + 20);
        s->link = get32(p + 24);
        s->info = get32(p + 28);
        s->align = get32(p + 32);
        s->entsize = get32(p + 36);
    }
}

bool elf_section_in_file(const struct elf *e, const struct elf_section *s)
{
    return s->type && s->type != SHT_NOBITS && image_has(e->img, s->offset, s->size);
}

enum err elf_read_segment(struct load_ctx *c, const struct elf *e, unsigned i,
                          struct elf_segment *s, bool *loads)
{
    unsigned long long header = e->phoff + (u64)i * e->phentsize;

    elf_segment(e, i, s);
    *loads = s->type == PT_LOAD && s->memsz;
    if (!*loads)
        return OK;
    if (s->filesz > s->memsz)
        return ctx_fail_image(c, e->img, ERR_INVAL,
                              "segment %u (header at file offset 0x%llx) has 0x%llx bytes in the "
                              "file, 0x%llx in memory",
                              i, header, (unsigned long long)s->filesz,
                              (unsigned long long)s->memsz);
    if (!image_has(e->img, s->offset, s->filesz))
        return ctx_fail_image(c, e->img, ERR_INVAL,
                              "it is truncated: segment %u is 0x%llx bytes at file offset 0x%llx, "
                              "the file ends at 0x%llx",
                              i, (unsigned long long)s->filesz, (unsigned long long)s->offset,
                              (unsigned long long)e->img->size);
    if (s->paddr + s->memsz < s->paddr || s->vaddr + s->memsz < s->vaddr)
        return ctx_fail_image(c, e->img, ERR_INVAL,
                              "segment %u (header at file offset 0x%llx) of 0x%llx bytes wraps "
                              "around",
                              i, header, (unsigned long long)s->memsz);
    return OK;
}

enum err elf_extent(struct load_ctx *c, const struct elf *e, bool linked, struct elf_extent *x)
{
    struct elf_segment s;
    bool loads;

    *x = (struct elf_extent){UINT64_MAX, 0};
    for (unsigned i = 0; i < e->phnum; i++) {
        enum err r = elf_read_segment(c, e, i, &s, &loads);

        if (r)
            return r;
        if (loads) {
            u64 start = linked ? s.vaddr : s.paddr;

            x->low = MIN(x->low, start);
            x->high = MAX(x->high, start + s.memsz);
        }
    }
    if (x->low < x->high)
        return OK;
    return ctx_fail_image(c, e->img, ERR_INVAL, "it has no loadable segment (file offset 0x%llx)",
                          (unsigned long long)e->phoff);
}

enum err elf_load(struct load_ctx *c, const struct elf *e, u64 offset, bool claim)
{
    struct elf_segment s;
    char what[48];
    bool loads;

    for (unsigned i = 0; i < e->phnum; i++) {
        enum err r = elf_read_segment(c, e, i, &s, &loads);

        if (r)
            return r;
        if (!loads)
            continue;
        fmt_print(what, sizeof(what), "segment %u (file offset 0x%llx)", i,
                  (unsigned long long)s.offset);
        if (claim)
            r = ctx_claim(c, e->img, s.paddr + offset, s.memsz, what);
        if (!r)
            r = ctx_write(c, s.paddr + offset, e->img->data + s.offset, s.filesz);
        if (!r)
            r = ctx_zero(c, s.paddr + offset + s.filesz, s.memsz - s.filesz);
        if (r)
            return r;
    }
    return OK;
}

enum err elf_entry(struct load_ctx *c, const struct elf *e, u64 entry, u64 where, gpa_t *gpa)
{
    struct elf_segment s;

    for (unsigned pass = 0; pass < 2; pass++)
        for (unsigned i = 0; i < e->phnum; i++) {
            elf_segment(e, i, &s);
            if (s.type != PT_LOAD || entry - (pass ? s.paddr : s.vaddr) >= s.memsz)
                continue;
            *gpa = pass ? entry : entry - s.vaddr + s.paddr;
            return OK;
        }
    if (!where)
        return ctx_fail_image(c, e->img, ERR_INVAL, "entry=0x%llx lies outside what is loaded",
                              (unsigned long long)entry);
    return ctx_fail_image(c, e->img, ERR_INVAL, ELF_BAD_ENTRY, (unsigned long long)entry,
                          (unsigned long long)where);
}

/* Looks through the notes in [off, off + len) of the file. */
static bool scan_notes(const struct elf *e, u64 off, u64 len, const char *owner, u32 type,
                       u64 *desc, u32 *size)
{
    const u8 *p = e->img->data;
    u64 end = off + len, name_len = strlen(owner) + 1, namesz, descsz, at;

    while (end - off >= 12) {
        namesz = get32(p + off);
        descsz = get32(p + off + 4);
        at = off + 12 + ALIGN_UP(namesz, 4);
        if (at > end || descsz > end - at)
            return false;
        if (get32(p + off + 8) == type && namesz == name_len &&
            !memcmp(p + off + 12, owner, name_len)) {
            *desc = at;
            *size = (u32)descsz;
            return true;
        }
        at += ALIGN_UP(descsz, 4);
        if (at > end)
            return false;
        off = at;
    }
    return false;
}

bool elf_note(const struct elf *e, const char *owner, u32 type, u64 *offset, u32 *size)
{
    struct elf_segment seg;
    struct elf_section sec;

    for (unsigned i = 0; i < e->phnum; i++) {
        elf_segment(e, i, &seg);
        if (seg.type == PT_NOTE && image_has(e->img, seg.offset, seg.filesz) &&
            scan_notes(e, seg.offset, seg.filesz, owner, type, offset, size))
            return true;
    }
    for (unsigned i = 0; i < e->shnum; i++) {
        elf_section(e, i, &sec);
        if (sec.type == SHT_NOTE && elf_section_in_file(e, &sec) &&
            scan_notes(e, sec.offset, sec.size, owner, type, offset, size))
            return true;
    }
    return false;
}
