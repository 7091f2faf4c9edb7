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
    /* There may be no modules, no sections: that is an answer. */
    const u32 known = BIT(INFO_END) | BIT(INFO_CMDLINE) | BIT(INFO_LOADER_NAME) | BIT(INFO_MODULE) |
                      BIT(INFO_MEMORY) | BIT(INFO_MMAP) | BIT(INFO_ELF) | BIT(INFO_ACPI_OLD) |
                      BIT(INFO_ACPI_NEW) | BIT(INFO_LOAD_BASE);

    return type < 32 && (known & BIT(type));
}

/* A tag's head; `len` bytes follow. */
COLD static void put_head(struct load_ctx *c, struct mb_cursor *at, u32 type, u64 len)
{
    u8 head[TAG_HEADER];

    put32(head, type);
    put32(head + 4, (u32)(TAG_HEADER + len));
    mb_put(c, at, head, sizeof(head));
}

/* Up to the next multiple of eight, where the next tag begins. */
static void pad(struct load_ctx *c, struct mb_cursor *at)
{
    static const u8 zero[8];

    mb_put(c, at, zero, -at->next & 7);
}

static void put_tag(struct load_ctx *c, struct mb_cursor *at, u32 type, const void *body, u64 len)
{
    put_head(c, at, type, len);
    mb_put(c, at, body, len);
    pad(c, at);
}

static void put_modules(struct load_ctx *c, struct mb_cursor *at, const struct mb_module *m)
{
    for (unsigned i = 0; i < c->req->module_count; i++) {
        const struct load_image *img = &c->req->modules[i].image;
        u8 place[8];

        put32(place, (u32)m[i].start);
        put32(place + 4, (u32)m[i].end);
        put_head(c, at, INFO_MODULE, sizeof(place) + image_cmdline_size(img));
        mb_put(c, at, place, sizeof(place));
        mb_put(c, at, image_cmdline(img), image_cmdline_size(img));
        pad(c, at);
    }
}

COLD static void put_memory(struct load_ctx *c, struct mb_cursor *at)
{
    u8 basic[8], map[8 + MEMMAP_MAX * MMAP_ENTRY_SIZE] = {0};
    unsigned n = memmap_make(c->req->mem_size, map + 8, MMAP_ENTRY_SIZE);

    put32(basic, memmap_lower_kib());
    put32(basic + 4, memmap_upper_kib(c->req->mem_size));
    put_tag(c, at, INFO_MEMORY, basic, sizeof(basic));
    put32(map, MMAP_ENTRY_SIZE); /* entry version 0 follows */
    put_tag(c, at, INFO_MMAP, map, 8 + n * MMAP_ENTRY_SIZE);
}

static u32 sections_size(const struct mb_kernel *k)
{
    return k->elf.shnum * elf_section_size(&k->elf);
}

static void put_sections(struct load_ctx *c, struct mb_cursor *at, const struct mb_kernel *k)
{
    u8 head[12];

    put32(head, k->elf.shnum);
    put32(head + 4, elf_section_size(&k->elf));
    put32(head + 8, k->elf.shstrndx);
    put_head(c, at, INFO_ELF, sizeof(head) + sections_size(k));
    mb_put(c, at, head, sizeof(head));
    mb_put_section_headers(c, k, at);
    pad(c, at);
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

gpa_t mb2_write_info(struct load_ctx *c, const struct mb_kernel *k, const struct mb_module *m,
                     bool relocatable)
{
    const struct load_image *kernel = &c->req->kernel;
    u8 head[FIXED_SIZE] = {0}, rsdp[ACPI_RSDP_SIZE], base[4];
    struct mb_cursor at;
    gpa_t info;

    if (!mb_place_info(c, info_size(c, k), &at))
        return 0;
    info = at.next;
    at.next += FIXED_SIZE;
    put_tag(c, &at, INFO_CMDLINE, image_cmdline(kernel), image_cmdline_size(kernel));
    put_tag(c, &at, INFO_LOADER_NAME, MB_LOADER_NAME, sizeof(MB_LOADER_NAME));
    put_modules(c, &at, m);
    put_memory(c, &at);
    if (k->sections)
        put_sections(c, &at, k);
    acpi_make_rsdp(rsdp);
    put_tag(c, &at, INFO_ACPI_OLD, rsdp, ACPI_RSDP_OLD_SIZE);
    put_tag(c, &at, INFO_ACPI_NEW, rsdp, sizeof(rsdp));
    put32(base, (u32)k->low);
    if (relocatable)
        put_tag(c, &at, INFO_LOAD_BASE, base, sizeof(base));
    put_tag(c, &at, INFO_END, NULL, 0);
    put32(head, (u32)(at.next - info));
    ctx_write(c, info, head, sizeof(head));
    return info;
}
