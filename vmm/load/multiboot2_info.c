/* SPDX-License-Identifier: BSD-2-Clause */
/* The boot information of Multiboot 2: a list of tags, each at a multiple of eight. */
#include "vmm/load/multiboot2.h"

#include "lib/string.h"
#include "vmm/load/firmware.h"
#include "vmm/load/memmap.h"

enum {
    INFO_END = 0,
    INFO_CMDLINE = 1,
    INFO_LOADER_NAME = 2,
    INFO_MODULE = 3,
    INFO_MEMORY = 4,
    INFO_MMAP = 6,
    INFO_ELF = 9,
    INFO_ACPI_OLD = 14,
    INFO_ACPI_NEW = 15,
    INFO_LOAD_BASE = 21,
};

#define FIXED_SIZE      8 /* total size, reserved */
#define TAG_HEADER      8
#define MMAP_ENTRY_SIZE 24

bool mb2_has_info(u32 type)
{
    switch (type) {
    case INFO_END:
    case INFO_CMDLINE:
    case INFO_LOADER_NAME:
    case INFO_MODULE: /* there may be none of them, as of sections, and that is an answer */
    case INFO_MEMORY:
    case INFO_MMAP:
    case INFO_ELF:
    case INFO_ACPI_OLD:
    case INFO_ACPI_NEW:
    case INFO_LOAD_BASE:
        return true;
    default:
        return false;
    }
}

/* Up to the next multiple of eight. */
static enum err pad(struct load_ctx *c, struct mb_cursor *at)
{
    static const u8 zero[8];

    return mb_put(c, at, zero, -at->next & 7);
}

/* A tag with up to two parts of body. */
static enum err put_tag(struct load_ctx *c, struct mb_cursor *at, u32 type, const void *a,
                        u64 a_len, const void *b, u64 b_len)
{
    u8 head[TAG_HEADER];
    enum err e;

    put32(head, type);
    put32(head + 4, (u32)(TAG_HEADER + a_len + b_len));
    e = mb_put(c, at, head, sizeof(head));
    if (!e)
        e = mb_put(c, at, a, a_len);
    if (!e)
        e = mb_put(c, at, b, b_len);
    return e ? e : pad(c, at);
}

static enum err put_texts(struct load_ctx *c, struct mb_cursor *at)
{
    const struct load_image *k = &c->req->kernel;
    enum err e = put_tag(c, at, INFO_CMDLINE, image_cmdline(k), image_cmdline_size(k), NULL, 0);

    return e ? e
             : put_tag(c, at, INFO_LOADER_NAME, MB_LOADER_NAME, sizeof(MB_LOADER_NAME), NULL, 0);
}

static enum err put_modules(struct load_ctx *c, struct mb_cursor *at, const struct mb_module *m)
{
    enum err e = OK;

    for (unsigned i = 0; i < c->req->module_count && !e; i++) {
        const struct load_image *img = &c->req->modules[i].image;
        u8 place[8];

        put32(place, (u32)m[i].start);
        put32(place + 4, (u32)m[i].end);
        e = put_tag(c, at, INFO_MODULE, place, sizeof(place), image_cmdline(img),
                    image_cmdline_size(img));
    }
    return e;
}

static enum err put_memory(struct load_ctx *c, struct mb_cursor *at)
{
    struct memmap_entry map[MEMMAP_MAX];
    unsigned n = memmap_make(c->req->mem_size, map);
    u8 basic[8], head[8], raw[MEMMAP_MAX * MMAP_ENTRY_SIZE] = {0};
    enum err e;

    put32(basic, memmap_lower_kib());
    put32(basic + 4, memmap_upper_kib(c->req->mem_size));
    e = put_tag(c, at, INFO_MEMORY, basic, sizeof(basic), NULL, 0);
    put32(head, MMAP_ENTRY_SIZE);
    put32(head + 4, 0); /* entry version */
    for (unsigned i = 0; i < n; i++) {
        put64(raw + i * MMAP_ENTRY_SIZE, map[i].gpa);
        put64(raw + i * MMAP_ENTRY_SIZE + 8, map[i].len);
        put32(raw + i * MMAP_ENTRY_SIZE + 16, map[i].type);
    }
    return e ? e : put_tag(c, at, INFO_MMAP, head, sizeof(head), raw, n * MMAP_ENTRY_SIZE);
}

static u32 sections_size(const struct mb_kernel *k)
{
    return k->elf.shnum * (k->elf.is64 ? 64u : 40u);
}

static enum err put_sections(struct load_ctx *c, struct mb_cursor *at, const struct mb_kernel *k)
{
    u8 head[TAG_HEADER + 12];
    enum err e;

    if (!k->sections)
        return OK;
    put32(head, INFO_ELF);
    put32(head + 4, (u32)sizeof(head) + sections_size(k));
    put32(head + 8, k->elf.shnum);
    put32(head + 12, k->elf.is64 ? 64 : 40);
    put32(head + 16, k->elf.shstrndx);
    e = mb_put(c, at, head, sizeof(head));
    if (!e)
        e = mb_put_section_headers(c, k, at);
    return e ? e : pad(c, at);
}

static enum err put_rest(struct load_ctx *c, struct mb_cursor *at, const struct mb_kernel *k,
                         bool relocatable)
{
    u8 rsdp[ACPI_RSDP_SIZE], base[4];
    enum err e;

    acpi_make_rsdp(rsdp);
    put32(base, (u32)k->low);
    e = put_tag(c, at, INFO_ACPI_OLD, rsdp, ACPI_RSDP_OLD_SIZE, NULL, 0);
    if (!e)
        e = put_tag(c, at, INFO_ACPI_NEW, rsdp, sizeof(rsdp), NULL, 0);
    if (!e && relocatable)
        e = put_tag(c, at, INFO_LOAD_BASE, base, sizeof(base), NULL, 0);
    return e ? e : put_tag(c, at, INFO_END, NULL, 0, NULL, 0);
}

/* Room enough for every tag with its padding. */
static u64 info_size(struct load_ctx *c, const struct mb_kernel *k)
{
    u64 n = 512 + MEMMAP_MAX * MMAP_ENTRY_SIZE + image_cmdline_size(&c->req->kernel);

    if (k->sections)
        n += sections_size(k);
    for (unsigned i = 0; i < c->req->module_count; i++)
        n += TAG_HEADER + 8 + 8 + image_cmdline_size(&c->req->modules[i].image);
    return n;
}

enum err mb2_write_info(struct load_ctx *c, const struct mb_kernel *k, const struct mb_module *m,
                        bool relocatable, gpa_t *info)
{
    u8 head[FIXED_SIZE] = {0};
    struct mb_cursor at;
    enum err e = mb_place_info(c, info_size(c, k), &at);

    if (e)
        return e;
    *info = at.next;
    at.next += FIXED_SIZE;
    e = put_texts(c, &at);
    if (!e)
        e = put_modules(c, &at, m);
    if (!e)
        e = put_memory(c, &at);
    if (!e)
        e = put_sections(c, &at, k);
    if (!e)
        e = put_rest(c, &at, k, relocatable);
    put32(head, (u32)(at.next - *info));
    return e ? e : ctx_write(c, *info, head, sizeof(head));
}
