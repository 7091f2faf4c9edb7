/* SPDX-License-Identifier: BSD-2-Clause */
/* The common half of Multiboot 1 and 2. */
#include "vmm/load/mbcommon.h"
#include "lib/print.h"

#include "lib/string.h"
#include "vmm/load/regs.h"

bool mb_load_addresses(struct load_ctx *c, struct mb_kernel *k, const struct mb_addresses *a,
                       u64 header_off)
{
    const struct load_image *img = c->img;
    u64 skip = (u64)a->header_addr - a->load_addr, file_off, len, bss;

    if (a->header_addr < a->load_addr || skip > header_off)
        return ctx_fail_image(c, ERR_INVAL,
                              "its header at file offset 0x%llx says load_addr 0x%x, header_addr "
                              "0x%x: that begins before the file",
                              (unsigned long long)header_off, a->load_addr, a->header_addr);
    file_off = header_off - skip;
    len = a->load_end_addr ? (u64)a->load_end_addr - a->load_addr : img->size - file_off;
    if ((a->load_end_addr && a->load_end_addr < a->load_addr) || !image_has(img, file_off, len))
        return ctx_fail_image(c, ERR_INVAL,
                              "it is truncated: load_end_addr 0x%x asks for 0x%llx bytes from file "
                              "offset 0x%llx, the file ends at 0x%llx",
                              a->load_end_addr, (unsigned long long)len,
                              (unsigned long long)file_off, (unsigned long long)img->size);
    bss = a->bss_end_addr ? (u64)a->bss_end_addr - a->load_addr : len;
    if ((a->bss_end_addr && a->bss_end_addr < a->load_addr) || bss < len)
        return ctx_fail_image(
            c, ERR_INVAL,
            "bss_end_addr 0x%x (header at file offset 0x%llx) is below the loaded image",
            a->bss_end_addr, (unsigned long long)header_off);
    k->low = a->load_addr + k->offset;
    k->high = k->low + bss;
    if (!k->placed)
        ctx_claim(c, k->low, bss, "its image");
    ctx_write(c, k->low, img->data + file_off, len);
    ctx_zero(c, k->low + len, bss - len);
    return !c->err;
}

/* A section that is in the file but has no place in memory: symbols, strings, debug data. */
static bool is_placed(const struct elf *e, const struct elf_section *s)
{
    return !s->addr && !(s->flags & SHF_ALLOC) && s->size && elf_section_in_file(e, s);
}

/* Where section i begins if those before it end at `at`, from the start of all; *s is read. */
static u64 section_place(const struct elf *e, unsigned i, u64 at, struct elf_section *s)
{
    elf_section(e, i, s);
    if (!is_placed(e, s))
        s->size = 0;
    else if (s->align && !(s->align & (s->align - 1)) && s->align <= PAGE_SIZE)
        at = ALIGN_UP(at, s->align);
    return at;
}

/* Puts the sections that have no address into memory. */
static bool load_sections(struct load_ctx *c, struct mb_kernel *k)
{
    struct elf_section s;
    u64 total = 0;

    for (unsigned i = 0; i < k->elf.shnum; i++)
        total = section_place(&k->elf, i, total, &s) + s.size;
    if (!total)
        return true;
    if (!ctx_place_low(c, total, PAGE_SIZE, MAX(k->high, PLAT_HIGH_RAM),
                       plat_low_mem(c->req->mem_size), &k->sections))
        return ctx_fail_image(c, ERR_RANGE,
                              "its sections of 0x%llx bytes (symbols) do not fit into memory "
                              "behind it (mem=%lluM)",
                              (unsigned long long)total,
                              (unsigned long long)(c->req->mem_size >> 20));
    total = 0;
    for (unsigned i = 0; i < k->elf.shnum; i++) {
        total = section_place(&k->elf, i, total, &s);
        ctx_write(c, k->sections + total, k->elf.img->data + s.offset, s.size);
        total += s.size;
    }
    return !c->err;
}

bool mb_load_elf(struct load_ctx *c, struct mb_kernel *k)
{
    struct elf_extent x;

    if (!elf_extent(c, &k->elf, false, &x))
        return false;
    k->low = x.low + k->offset;
    k->high = x.high + k->offset;
    if (!elf_load(c, &k->elf, k->offset, !k->placed))
        return false;
    if (k->high > PLAT_HIGH_BASE)
        return ctx_fail_image(c, ERR_NOSUP, "it loads above 4 GiB");
    if (!k->entry_at) {
        k->entry_at = ELF_ENTRY_OFFSET;
        if (!elf_entry(c, &k->elf, k->elf.entry, k->entry_at, &k->entry))
            return false;
        k->entry += k->offset;
    }
    return load_sections(c, k);
}

bool mb_load_modules(struct load_ctx *c, const struct mb_kernel *k,
                     struct mb_module m[MB_MAX_MODULES])
{
    gpa_t top = plat_low_mem(c->req->mem_size), from = MAX(k->high, PLAT_HIGH_RAM);

    if (c->req->module_count > MB_MAX_MODULES)
        return ctx_fail(c, ERR_RANGE, "%u modules are too many: %d at most", c->req->module_count,
                        MB_MAX_MODULES);
    for (unsigned i = 0; i < c->req->module_count; i++) {
        const struct load_image *img = ctx_module(c, i);

        if (!ctx_place_low(c, img->size, PAGE_SIZE, from, top, &m[i].start))
            return ctx_fail_image(c, ERR_RANGE,
                                  "0x%llx bytes do not fit into memory behind the kernel, which "
                                  "ends at 0x%llx (mem=%lluM)",
                                  (unsigned long long)img->size, (unsigned long long)k->high,
                                  (unsigned long long)(c->req->mem_size >> 20));
        m[i].end = from = m[i].start + img->size;
        ctx_write(c, m[i].start, img->data, img->size);
    }
    return !c->err;
}

void mb_put_section_headers(struct load_ctx *c, const struct mb_kernel *k, struct mb_cursor *at)
{
    const struct elf *elf = &k->elf;
    struct elf_section s;
    u64 placed = 0, addr;
    u8 raw[sizeof(s)];

    for (unsigned i = 0; i < elf->shnum; i++) {
        placed = section_place(elf, i, placed, &s);
        addr = s.size ? k->sections + placed : s.addr ? s.addr + k->offset : 0;
        placed += s.size;
        memcpy(raw, elf->img->data + elf->shoff + (u64)i * elf->shentsize, elf_section_size(elf));
        if (elf->is64)
            put64(raw + 16, addr);
        else
            put32(raw + 12, (u32)addr);
        mb_put(c, at, raw, elf_section_size(elf));
    }
}

bool mb_place_info(struct load_ctx *c, u64 len, struct mb_cursor *at)
{
    if (!ctx_place_info(c, len, &at->next))
        return false;
    at->end = at->next + len;
    return true;
}

void mb_put(struct load_ctx *c, struct mb_cursor *at, const void *buf, u64 len)
{
    if (len > at->end - at->next)
        ctx_fail(c, ERR_RANGE, "the boot information outgrows its room");
    ctx_write(c, at->next, buf, len);
    at->next += len;
}

void mb_start(struct load_ctx *c, const struct mb_kernel *k, u32 magic, gpa_t info,
              const char *name)
{
    struct load_state *s = c->state;

    c->img = &c->req->kernel;
    if (k->entry - k->low >= k->high - k->low)
        ctx_fail_image(c, ERR_INVAL, ELF_BAD_ENTRY, (unsigned long long)k->entry,
                       (unsigned long long)k->entry_at);
    regs_prot32(c);
    s->rip = k->entry;
    s->gpr[RAX] = magic;
    s->gpr[RBX] = info;
    fmt_print(s->what, sizeof(s->what), "%s kernel, %s", name,
              !k->is_elf    ? "placed by its header"
              : k->elf.is64 ? "ELF64"
                            : "ELF32");
}
