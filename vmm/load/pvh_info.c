/* SPDX-License-Identifier: BSD-2-Clause */
/* The PVH start information, its module list and memory map. */
#include "vmm/load/pvh.h"

#include "vmm/load/firmware.h"
#include "vmm/load/memmap.h"

#define INFO_SIZE       56
#define MODULE_SIZE     32
#define MMAP_ENTRY_SIZE 24
#define MAX_MODULES     16

struct module {
    gpa_t gpa;
    u64 size;
    const struct load_image *img; /* whose command line it bears */
};

/* Places c->img's len bytes high, page-aligned, and tells where. */
static void place(struct load_ctx *c, u64 len, gpa_t *gpa)
{
    gpa_t top = plat_low_mem(c->req->mem_size);

    if (len > top || !ctx_place_high(c, len, PAGE_SIZE, PLAT_HIGH_RAM, top, gpa))
        ctx_fail_image(c, ERR_RANGE,
                       "its 0x%llx bytes do not fit into memory beside the kernel (mem=%lluM)",
                       (unsigned long long)len, (unsigned long long)(c->req->mem_size >> 20));
}

/* The initrds, if there are any, as one module that bears the first one's command line. */
static unsigned load_initrds(struct load_ctx *c, struct module *m)
{
    for (unsigned i = 0; i < c->req->module_count; i++) {
        if (!c->req->modules[i].initrd)
            continue;
        *m = (struct module){0, ctx_initrds(c, 0, false), ctx_module(c, i)};
        place(c, m->size, &m->gpa);
        ctx_initrds(c, m->gpa, true);
        return 1;
    }
    return 0;
}

/* Returns how many there are. */
static unsigned load_modules(struct load_ctx *c, struct module m[MAX_MODULES])
{
    unsigned count;

    if (c->req->module_count > MAX_MODULES) {
        ctx_fail(c, ERR_RANGE, "%u modules are too many: %d at most", c->req->module_count,
                 MAX_MODULES);
        return 0;
    }
    count = load_initrds(c, m);
    for (unsigned i = 0; i < c->req->module_count; i++) {
        const struct load_image *img = ctx_module(c, i);
        struct module *next = &m[count];

        if (c->req->modules[i].initrd)
            continue;
        *next = (struct module){0, img->size, img};
        place(c, img->size, &next->gpa);
        ctx_write(c, next->gpa, img->data, img->size);
        count++;
    }
    return count;
}

static void put(struct load_ctx *c, gpa_t *at, const void *buf, u64 len)
{
    ctx_write(c, *at, buf, len);
    *at += len;
}

static void put_text(struct load_ctx *c, gpa_t *at, const struct load_image *img)
{
    put(c, at, image_cmdline(img), image_cmdline_size(img));
}

/* Fixed part, memory map, module list, modules' command lines, kernel's command line. */
gpa_t pvh_write_info(struct load_ctx *c)
{
    struct module m[MAX_MODULES];
    u8 raw[INFO_SIZE] = {0}, map[MEMMAP_MAX * MMAP_ENTRY_SIZE] = {0};
    unsigned count = load_modules(c, m), maps = memmap_make(c->req->mem_size, map, MMAP_ENTRY_SIZE);
    u64 len = INFO_SIZE + sizeof(map) + count * MODULE_SIZE + image_cmdline_size(&c->req->kernel);
    gpa_t info, at, text;

    for (unsigned i = 0; i < count; i++)
        len += image_cmdline_size(m[i].img);
    if (!ctx_place_info(c, len, &info))
        return 0;
    at = info + INFO_SIZE;
    put32(raw, PVH_MAGIC);
    put32(raw + 4, 1);
    put32(raw + 12, count);
    put64(raw + 32, firmware_rsdp());
    put64(raw + 40, at);
    put32(raw + 48, maps);
    put(c, &at, map, maps * MMAP_ENTRY_SIZE);
    if (count)
        put64(raw + 16, at);
    text = at + count * MODULE_SIZE;
    for (unsigned i = 0; i < count; i++) {
        u8 module[MODULE_SIZE] = {0};

        put64(module, m[i].gpa);
        put64(module + 8, m[i].size);
        put64(module + 16, text);
        put(c, &at, module, sizeof(module));
        put_text(c, &text, m[i].img);
    }
    put64(raw + 24, text);
    put_text(c, &text, &c->req->kernel);
    ctx_write(c, info, raw, sizeof(raw));
    return info;
}
