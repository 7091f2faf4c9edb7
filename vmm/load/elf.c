/* SPDX-License-Identifier: BSD-2-Clause */
/* ELF headers, segments and notes. */
#include "vmm/load/elf.h"

#include "lib/print.h"
#include "lib/string.h"

#define EHDR32_SIZE 52
#define EHDR64_SIZE 64
#define NOTES_MAX   (16 * KIB) /* looked at in one place, of which a file may say many */

bool elf_probe(const struct load_image *img)
{
    return image_has(img, 0, 4) && !memcmp(img->data, "\177ELF", 4);
}

/* A number of an address's width. */
static u64 word(const struct elf *e, const u8 *p)
{
    return e->is64 ? get64(p) : get32(p);
}

static void read_header(struct elf *e)
{
    const u8 *h = e->img->data;
    unsigned w = e->is64 ? 8 : 4;
    const u8 *t = h + 24 + 3 * w + 4; /* e_ehsize: the 16-bit fields at the end */

    e->osabi = h[7];
    e->type = get16(h + 16);
    e->machine = get16(h + 18);
    e->entry = word(e, h + 24);
    e->phoff = word(e, h + 24 + w);
    e->shoff = word(e, h + 24 + 2 * w);
    e->phentsize = get16(t + 2);
    e->phnum = get16(t + 4);
    e->shentsize = get16(t + 6);
    e->shnum = get16(t + 8);
    e->shstrndx = get16(t + 10);
}

COLD static bool check_tables(struct load_ctx *c, struct elf *e)
{
    const struct load_image *img = e->img;

    if (e->phnum && (e->phentsize < (e->is64 ? 56 : 32) ||
                     !image_has(img, e->phoff, (u64)e->phnum * e->phentsize)))
        return ctx_fail_image(c, ERR_INVAL,
                              "its %u program headers of %u bytes at file offset 0x%llx do not lie "
                              "in its 0x%llx bytes",
                              e->phnum, e->phentsize, (unsigned long long)e->phoff,
                              (unsigned long long)img->size);
    /* Sections are not needed to run: a stripped or cut-off table is as none. */
    if (!e->shoff || e->shentsize < elf_section_size(e) ||
        !image_has(img, e->shoff, (u64)e->shnum * e->shentsize))
        e->shnum = 0;
    if (e->shstrndx >= e->shnum)
        e->shstrndx = 0;
    return true;
}

bool elf_open(struct load_ctx *c, struct elf *e)
{
    const struct load_image *img = c->img;

    memset(e, 0, sizeof(*e));
    e->img = img;
    if (!elf_probe(img))
        return ctx_fail_image(c, ERR_INVAL, "it is not ELF: no 0x7f 'ELF' at file offset 0");
    if (!image_has(img, 0, EHDR32_SIZE) || (img->data[4] == 2 && !image_has(img, 0, EHDR64_SIZE)))
        return ctx_fail_image(c, ERR_INVAL,
                              "it is truncated: it ends at file offset 0x%llx, within the ELF "
                              "header",
                              (unsigned long long)img->size);
    if (img->data[4] != 1 && img->data[4] != 2)
        return ctx_fail_image(c, ERR_INVAL, "ELF class %u (file offset 4) is not 1 or 2",
                              img->data[4]);
    if (img->data[5] != 1)
        return ctx_fail_image(c, ERR_INVAL,
                              "ELF data encoding %u (file offset 5) is not little-endian",
                              img->data[5]);
    e->is64 = img->data[4] == 2;
    read_header(e);
    if (e->machine != EM_386 && e->machine != EM_X86_64)
        return ctx_fail_image(c, ERR_INVAL,
                              "ELF machine %u (file offset 18) is neither i386 (3) nor x86-64 (62)",
                              e->machine);
    return check_tables(c, e);
}

void elf_segment(const struct elf *e, unsigned i, struct elf_segment *s)
{
    const u8 *p = e->img->data + e->phoff + (u64)i * e->phentsize;

    if (e->is64)
        memcpy(s, p, sizeof(*s));
    else
        *s = (struct elf_segment){get32(p),      get32(p + 24), get32(p + 4),  get32(p + 8),
                                  get32(p + 12), get32(p + 16), get32(p + 20), get32(p + 28)};
}

void elf_section(const struct elf *e, unsigned i, struct elf_section *s)
{
    const u8 *p = e->img->data + e->shoff + (u64)i * e->shentsize;

    if (e->is64)
        memcpy(s, p, sizeof(*s));
    else
        *s = (struct elf_section){get32(p),      get32(p + 4),  get32(p + 8),  get32(p + 12),
                                  get32(p + 16), get32(p + 20), get32(p + 24), get32(p + 28),
                                  get32(p + 32), get32(p + 36)};
}

bool elf_section_in_file(const struct elf *e, const struct elf_section *s)
{
    return s->type && s->type != SHT_NOBITS && image_has(e->img, s->offset, s->size);
}

bool elf_loads(struct load_ctx *c, const struct elf *e, unsigned i, struct elf_segment *s)
{
    unsigned long long header = e->phoff + (u64)i * e->phentsize;

    elf_segment(e, i, s);
    if (s->type != PT_LOAD || !s->memsz)
        return false;
    if (s->filesz > s->memsz || s->paddr + s->memsz < s->paddr || s->vaddr + s->memsz < s->vaddr)
        return ctx_fail_image(c, ERR_INVAL,
                              "segment %u (header at file offset 0x%llx) wraps around, or has more "
                              "bytes in the file (0x%llx) than in memory (0x%llx)",
                              i, header, (unsigned long long)s->filesz,
                              (unsigned long long)s->memsz);
    if (!image_has(e->img, s->offset, s->filesz))
        return ctx_fail_image(c, ERR_INVAL,
                              "it is truncated: segment %u is 0x%llx bytes at file offset 0x%llx, "
                              "the file ends at 0x%llx",
                              i, (unsigned long long)s->filesz, (unsigned long long)s->offset,
                              (unsigned long long)e->img->size);
    return true;
}

bool elf_extent(struct load_ctx *c, const struct elf *e, bool linked, struct elf_extent *x)
{
    struct elf_segment s;
    u64 bytes = 0;

    *x = (struct elf_extent){UINT64_MAX, 0};
    for (unsigned i = 0; i < e->phnum; i++)
        if (elf_loads(c, e, i, &s)) {
            u64 start = linked ? s.vaddr : s.paddr;

            x->low = MIN(x->low, start);
            x->high = MAX(x->high, start + s.memsz);
            bytes += MIN(s.memsz, PLAT_MEM_MAX);
        }
    if (x->low >= x->high || bytes > x->high - x->low)
        ctx_fail_image(c, ERR_INVAL, "its segments (headers at file offset 0x%llx) %s",
                       (unsigned long long)e->phoff, bytes ? "overlap" : "take no memory");
    return !c->err;
}

bool elf_load(struct load_ctx *c, const struct elf *e, u64 offset, bool claim)
{
    struct elf_segment s;
    char what[48];

    for (unsigned i = 0; i < e->phnum && !c->err; i++) {
        if (!elf_loads(c, e, i, &s))
            continue;
        s.paddr += offset;
        fmt_print(what, sizeof(what), "segment %u (file offset 0x%llx)", i,
                  (unsigned long long)s.offset);
        if (claim)
            ctx_claim(c, s.paddr, s.memsz, what);
        ctx_write(c, s.paddr, e->img->data + s.offset, s.filesz);
        ctx_zero(c, s.paddr + s.filesz, s.memsz - s.filesz);
    }
    return !c->err;
}

bool elf_entry(struct load_ctx *c, const struct elf *e, u64 entry, u64 where, gpa_t *gpa)
{
    struct elf_segment s;

    for (unsigned pass = 0; pass < 2; pass++)
        for (unsigned i = 0; i < e->phnum; i++) {
            elf_segment(e, i, &s);
            if (s.type != PT_LOAD || entry - (pass ? s.paddr : s.vaddr) >= s.memsz)
                continue;
            *gpa = pass ? entry : entry - s.vaddr + s.paddr;
            return true;
        }
    if (!where)
        return ctx_fail_image(c, ERR_INVAL, "entry=0x%llx lies outside what is loaded",
                              (unsigned long long)entry);
    return ctx_fail_image(c, ERR_INVAL, ELF_BAD_ENTRY, (unsigned long long)entry,
                          (unsigned long long)where);
}

/* Looks through the len bytes of notes at p. */
static const u8 *scan_notes(const u8 *p, u64 len, const char *owner, u32 type, u64 *size)
{
    u64 name_len = strlen(owner) + 1;

    len = MIN(len, NOTES_MAX);
    while (len >= 12) {
        u64 namesz = get32(p), desc = 12 + ALIGN_UP(namesz, 4), end;

        *size = get32(p + 4);
        if (desc > len || *size > len - desc)
            break;
        if (get32(p + 8) == type && namesz == name_len && !memcmp(p + 12, owner, name_len))
            return p + desc;
        end = desc + ALIGN_UP(*size, 4);
        if (end > len)
            break;
        p += end;
        len -= end;
    }
    return NULL;
}

const u8 *elf_note(const struct elf *e, const char *owner, u32 type, u64 *size)
{
    const u8 *data = e->img->data, *desc = NULL;
    struct elf_segment seg;
    struct elf_section sec;

    for (unsigned i = 0; i < e->phnum && !desc; i++) {
        elf_segment(e, i, &seg);
        if (seg.type == PT_NOTE && image_has(e->img, seg.offset, seg.filesz))
            desc = scan_notes(data + seg.offset, seg.filesz, owner, type, size);
    }
    for (unsigned i = 0; i < e->shnum && !desc; i++) {
        elf_section(e, i, &sec);
        if (sec.type == SHT_NOTE && elf_section_in_file(e, &sec))
            desc = scan_notes(data + sec.offset, sec.size, owner, type, size);
    }
    return desc;
}
