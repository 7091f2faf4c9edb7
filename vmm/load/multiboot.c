/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Multiboot 1: Multiboot Specification 0.6.96, sections 3.1 (image format), 3.2 (machine state),
 * 3.3 (boot information). ELF32, ELF64 (entered in 32-bit mode all the same) and images placed by
 * their header's addresses.
 */
#include "vmm/load/kinds.h"

#include "lib/string.h"
#include "vmm/load/mbcommon.h"
#include "vmm/load/memmap.h"

#define HEADER_MAGIC 0x1badb002
#define BOOT_MAGIC   0x2badb002
#define SEARCH_END   8192
#define HEADER_SIZE  12
#define HEADER_FULL  32 /* with the address fields */

/* Header flags. Bits 0-15 must be understood; bits 0-2 are, and video modes there are none. */
#define HF_KNOWN     0x7u
#define HF_MUST      0xffffu
#define HF_ADDRESSES BIT(16)

/* Boot information: offsets and flags. */
#define MBI_SIZE          116
#define MBI_FLAGS         0
#define MBI_MEM_LOWER     4
#define MBI_MEM_UPPER     8
#define MBI_CMDLINE       16
#define MBI_MODS_COUNT    20
#define MBI_MODS_ADDR     24
#define MBI_ELF_NUM       28
#define MBI_ELF_SIZE      32
#define MBI_ELF_ADDR      36
#define MBI_ELF_SHNDX     40
#define MBI_MMAP_LENGTH   44
#define MBI_MMAP_ADDR     48
#define MBI_LOADER_NAME   64
#define IF_MEMORY         BIT(0)
#define IF_CMDLINE        BIT(2)
#define IF_MODULES        BIT(3)
#define IF_ELF            BIT(5)
#define IF_MMAP           BIT(6)
#define IF_LOADER_NAME    BIT(9)
#define MODULE_ENTRY_SIZE 16
#define MMAP_ENTRY_SIZE   24

/* The header's place in the file: 4-aligned, whole and with a good sum. False: there is none. */
static bool find_header(const struct load_image *k, u64 *at)
{
    for (u64 off = 0; off + HEADER_SIZE <= MIN(k->size, SEARCH_END); off += 4) {
        const u8 *h = k->data + off;

        if (get32(h) == HEADER_MAGIC && get32(h) + get32(h + 4) + get32(h + 8) == 0) {
            *at = off;
            return true;
        }
    }
    return false;
}

static bool multiboot_probe(struct load_ctx *c)
{
    u64 at;

    return find_header(&c->req->kernel, &at);
}

static bool load_by_addresses(struct load_ctx *c, u64 header, struct mb_kernel *k)
{
    const u8 *h = c->img->data + header;

    if (!image_has(c->img, header, HEADER_FULL))
        return ctx_fail_image(c, ERR_INVAL,
                              "it is truncated: its Multiboot header at file offset 0x%llx has no "
                              "address fields",
                              (unsigned long long)header);
    k->entry = get32(h + 28);
    k->entry_at = header + 28;
    return mb_load_addresses(c, k, (const void *)(h + 12), header);
}

static bool load_kernel(struct load_ctx *c, struct mb_kernel *k)
{
    u64 header = 0;
    u32 flags;

    find_header(c->img, &header); /* the probe has seen one */
    flags = get32(c->img->data + header + 4);
    if (flags & HF_MUST & ~HF_KNOWN)
        return ctx_fail_image(c, ERR_NOSUP,
                              "its Multiboot header at file offset 0x%llx requires flags 0x%x; "
                              "only bits 0, 1, 2 and 16 are known",
                              (unsigned long long)header, flags);
    if (flags & HF_ADDRESSES)
        return load_by_addresses(c, header, k);
    if (!elf_probe(c->img))
        return ctx_fail_image(c, ERR_INVAL,
                              "it is neither ELF nor has its Multiboot header (file offset 0x%llx) "
                              "address fields: flag bit 16 is clear",
                              (unsigned long long)header);
    k->is_elf = true;
    return elf_open(c, &k->elf) && mb_load_elf(c, k);
}

/* Everything behind the fixed part, so that it can be placed in one piece. */
static u64 info_size(struct load_ctx *c, const struct mb_kernel *k)
{
    u64 n = ALIGN_UP(MBI_SIZE, 8) + MEMMAP_MAX * MMAP_ENTRY_SIZE +
            (u64)c->req->module_count * MODULE_ENTRY_SIZE + sizeof(MB_LOADER_NAME);

    if (k->sections)
        n += (u64)k->elf.shnum * 64;
    n += image_cmdline_size(&c->req->kernel);
    for (unsigned i = 0; i < c->req->module_count; i++)
        n += image_cmdline_size(&c->req->modules[i].image);
    return n;
}

static void put_memory(struct load_ctx *c, u8 *mbi, struct mb_cursor *at)
{
    u8 raw[MEMMAP_MAX * MMAP_ENTRY_SIZE] = {0};
    unsigned n = memmap_make(c->req->mem_size, raw + 4, MMAP_ENTRY_SIZE);

    put32(mbi + MBI_MEM_LOWER, memmap_lower_kib());
    put32(mbi + MBI_MEM_UPPER, memmap_upper_kib(c->req->mem_size));
    put32(mbi + MBI_MMAP_ADDR, (u32)at->next);
    put32(mbi + MBI_MMAP_LENGTH, n * MMAP_ENTRY_SIZE);
    for (unsigned i = 0; i < n; i++)
        raw[i * MMAP_ENTRY_SIZE] = MMAP_ENTRY_SIZE - 4;
    mb_put(c, at, raw, n * MMAP_ENTRY_SIZE);
}

static void put_text(struct load_ctx *c, struct mb_cursor *at, const char *text, u8 *field)
{
    put32(field, (u32)at->next);
    mb_put(c, at, text, strlen(text) + 1);
}

/* The module list, with the strings it points to behind it. */
static void put_modules(struct load_ctx *c, u8 *mbi, const struct mb_module *m,
                        struct mb_cursor *at)
{
    unsigned n = c->req->module_count;
    gpa_t list = at->next;

    at->next += (u64)n * MODULE_ENTRY_SIZE;
    put32(mbi + MBI_MODS_COUNT, n);
    put32(mbi + MBI_MODS_ADDR, n ? (u32)list : 0);
    for (unsigned i = 0; i < n; i++, list += MODULE_ENTRY_SIZE) {
        u8 raw[MODULE_ENTRY_SIZE] = {0};

        put32(raw, (u32)m[i].start);
        put32(raw + 4, (u32)m[i].end);
        put_text(c, at, image_cmdline(&c->req->modules[i].image), raw + 8);
        ctx_write(c, list, raw, sizeof(raw));
    }
}

static void put_sections(struct load_ctx *c, u8 *mbi, const struct mb_kernel *k,
                         struct mb_cursor *at)
{
    put32(mbi + MBI_ELF_NUM, k->elf.shnum);
    put32(mbi + MBI_ELF_SIZE, elf_section_size(&k->elf));
    put32(mbi + MBI_ELF_ADDR, (u32)at->next);
    put32(mbi + MBI_ELF_SHNDX, k->elf.shstrndx);
    mb_put_section_headers(c, k, at);
}

static gpa_t write_info(struct load_ctx *c, const struct mb_kernel *k, const struct mb_module *m)
{
    u8 mbi[ALIGN_UP(MBI_SIZE, 8)] = {0};
    u32 flags = IF_MEMORY | IF_CMDLINE | IF_MODULES | IF_MMAP | IF_LOADER_NAME;
    struct mb_cursor at;
    gpa_t info;

    if (!mb_place_info(c, info_size(c, k), &at))
        return 0;
    info = at.next;
    at.next += sizeof(mbi);
    put_memory(c, mbi, &at);
    if (k->sections) {
        flags |= IF_ELF;
        put_sections(c, mbi, k, &at);
    }
    put_modules(c, mbi, m, &at);
    put_text(c, &at, image_cmdline(&c->req->kernel), mbi + MBI_CMDLINE);
    put_text(c, &at, MB_LOADER_NAME, mbi + MBI_LOADER_NAME);
    put32(mbi + MBI_FLAGS, flags);
    ctx_write(c, info, mbi, sizeof(mbi));
    return info;
}

static void multiboot_load(struct load_ctx *c)
{
    struct mb_kernel k = {0};
    struct mb_module m[MB_MAX_MODULES];

    if (load_kernel(c, &k) && mb_load_modules(c, &k, m))
        mb_start(c, &k, BOOT_MAGIC, write_info(c, &k, m), "Multiboot");
}

const struct load_kind_ops load_multiboot = {
    .name = "multiboot",
    .probe = multiboot_probe,
    .load = multiboot_load,
    .sign = "Multiboot header (0x1badb002, flags, checksum) in its first 8 KiB",
};
