/* SPDX-License-Identifier: BSD-2-Clause */
/* The PVH start information, its module list and memory map. */
#include "vmm/load/pvh.h"

#include "vmm/load/firmware.h"
#include "vmm/load/memmap.h"

#define INFO_LOW        0x1000
#define INFO_SIZE       56
#define MODULE_SIZE     32
#define MMAP_ENTRY_SIZE 24
#define MAX_MODULES     16

struct module {
    gpa_t gpa;
    u64 size;
    const struct load_image *img; /* whose command line it bears */
};

/* Places len bytes high, page-aligned, and tells where. */
static enum err place(struct load_ctx *c, const struct load_image *img, u64 len, gpa_t *gpa)
{
    gpa_t top = plat_low_mem(c->req->mem_size);

    if (len <= top && ctx_place_high(c, len, PAGE_SIZE, PLAT_HIGH_RAM, top, gpa))
        return OK;
    return ctx_fail_image(c, img, ERR_RANGE,
                          "its 0x%llx bytes do not fit into memory beside the kernel (mem=%lluM)",
                          (unsigned long long)len, (unsigned long long)(c->req->mem_size >> 20));
}

/* The initrds one behind the other, each at a multiple of four, as one module. */
static enum err load_initrds(struct load_ctx *c, struct module *m)
{
    u64 at = 0;
    enum err e;

    m->size = 0;
    for (unsigned i = 0; i < c->req->module_count; i++)
        if (c->req->modules[i].initrd) {
            m->size = ALIGN_UP(m->size, 4) + c->req->modules[i].image.size;
            m->img = m->img ? m->img : &c->req->modules[i].image;
        }
    if (!m->img)
        return OK;
    e = place(c, m->img, m->size, &m->gpa);
    for (unsigned i = 0; i < c->req->module_count && !e; i++) {
        const struct load_image *img = &c->req->modules[i].image;

        if (!c->req->modules[i].initrd)
            continue;
        at = ALIGN_UP(at, 4);
        e = ctx_write(c, m->gpa + at, img->data, img->size);
        at += img->size;
    }
    return e;
}

static enum err load_modules(struct load_ctx *c, struct module m[MAX_MODULES], unsigned *count)
{
    enum err e;

    *count = 0;
    if (c->req->module_count > MAX_MODULES)
        return ctx_fail(c, ERR_RANGE, "%u modules are too many: %d at most", c->req->module_count,
                        MAX_MODULES);
    m[0] = (struct module){0};
    e = load_initrds(c, &m[0]);
    *count = m[0].img != NULL;
    for (unsigned i = 0; i < c->req->module_count && !e; i++) {
        const struct load_image *img = &c->req->modules[i].image;
        struct module *next = &m[*count];

        if (c->req->modules[i].initrd)
            continue;
        *next = (struct module){0, img->size, img};
        e = place(c, img, img->size, &next->gpa);
        if (!e)
            e = ctx_write(c, next->gpa, img->data, img->size);
        (*count)++;
    }
    return e;
}

static enum err put(struct load_ctx *c, gpa_t *at, const void *buf, u64 len)
{
    enum err e = ctx_write(c, *at, buf, len);

    *at += len;
    return e;
}

static enum err put_modules(struct load_ctx *c, gpa_t *at, gpa_t text, const struct module *m,
                            unsigned count)
{
    enum err e = OK;

    for (unsigned i = 0; i < count && !e; i++) {
        u8 raw[MODULE_SIZE] = {0};

        put64(raw, m[i].gpa);
        put64(raw + 8, m[i].size);
        put64(raw + 16, text);
        e = put(c, at, raw, sizeof(raw));
        if (!e)
            e = put(c, &text, image_cmdline(m[i].img), image_cmdline_size(m[i].img));
    }
    return e;
}

static enum err put_memmap(struct load_ctx *c, gpa_t *at, const struct memmap_entry *map,
                           unsigned n)
{
    enum err e = OK;

    for (unsigned i = 0; i < n && !e; i++) {
        u8 raw[MMAP_ENTRY_SIZE] = {0};

        put64(raw, map[i].gpa);
        put64(raw + 8, map[i].len);
        put32(raw + 16, map[i].type);
        e = put(c, at, raw, sizeof(raw));
    }
    return e;
}

/* Fixed part, memory map, module list, modules' command lines, kernel's command line. */
enum err pvh_write_info(struct load_ctx *c, gpa_t *info)
{
    struct module m[MAX_MODULES];
    struct memmap_entry map[MEMMAP_MAX];
    unsigned count = 0, maps = memmap_make(c->req->mem_size, map);
    u8 raw[INFO_SIZE] = {0};
    u64 texts = 0, len;
    gpa_t at, text;
    enum err e = load_modules(c, m, &count);

    for (unsigned i = 0; i < count; i++)
        texts += image_cmdline_size(m[i].img);
    len = ALIGN_UP((u64)INFO_SIZE, 8) + maps * MMAP_ENTRY_SIZE + count * MODULE_SIZE + texts +
          image_cmdline_size(&c->req->kernel);
    if (!e && !ctx_place_low(c, len, 8, INFO_LOW, PLAT_EBDA_BASE, info) &&
        !ctx_place_low(c, len, PAGE_SIZE, PLAT_HIGH_RAM, plat_low_mem(c->req->mem_size), info))
        return ctx_fail(c, ERR_RANGE,
                        "no room in the guest's memory for 0x%llx bytes of boot information",
                        (unsigned long long)len);
    if (e)
        return e;
    put32(raw, PVH_MAGIC);
    put32(raw + 4, 1);
    put32(raw + 12, count);
    at = *info + INFO_SIZE;
    put64(raw + 40, at);
    put32(raw + 48, maps);
    put64(raw + 32, firmware_rsdp());
    e = put_memmap(c, &at, map, maps);
    if (count)
        put64(raw + 16, at);
    text = at + count * MODULE_SIZE;
    if (!e)
        e = put_modules(c, &at, text, m, count);
    text += texts;
    put64(raw + 24, text);
    if (!e)
        e = put(c, &text, image_cmdline(&c->req->kernel), image_cmdline_size(&c->req->kernel));
    return e ? e : ctx_write(c, *info, raw, sizeof(raw));
}
