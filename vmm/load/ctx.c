/* SPDX-License-Identifier: BSD-2-Clause */
/* A load's book-keeping: what of the guest's memory is taken, bounded writes, and sentences. */
#include "vmm/load/ctx.h"

#include <stdarg.h>
#include "lib/print.h"
#include "lib/string.h"

#define INFO_LOW 0x1000 /* what boot protocols tell goes from here on */

COLD static void take(struct load_ctx *c, gpa_t start, gpa_t end)
{
    c->taken[c->taken_count++] = (struct load_range){start, end};
}

void ctx_init(struct load_ctx *c, const struct load_request *req, const struct load_mem *mem,
              struct load_state *state, char *error)
{
    c->req = req;
    c->mem = mem;
    c->state = state;
    c->img = &req->kernel;
    c->error = error;
    c->err = OK;
    c->taken_count = 0;
    take(c, 0, 0x500); /* interrupt vectors, BIOS data area */
    take(c, PLAT_EBDA_BASE, PLAT_HIGH_RAM);
    take(c, plat_low_mem(req->mem_size), PLAT_HIGH_BASE);
    take(c, PLAT_HIGH_BASE + plat_high_mem(req->mem_size), UINT64_MAX);
}

/* `name` begins the sentence. */
static void fail(struct load_ctx *c, enum err e, const char *name, const char *fmt, va_list ap)
{
    if (c->err)
        return;
    c->err = e;
    fmt_print(c->error, LOAD_ERROR_SIZE, "%.64s%s", name, *name ? ": " : "");
    size_t used = strlen(c->error);
    fmt_vprint(c->error + used, LOAD_ERROR_SIZE - used, fmt, ap);
}

bool ctx_fail(struct load_ctx *c, enum err e, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fail(c, e, "", fmt, ap);
    va_end(ap);
    return false;
}

bool ctx_fail_image(struct load_ctx *c, enum err e, const char *fmt, ...)
{
    const char *name = c->img->name;
    va_list ap;

    if (!name || !*name)
        name = c->img == &c->req->kernel ? "kernel" : "a module";
    va_start(ap, fmt);
    fail(c, e, name, fmt, ap);
    va_end(ap);
    return false;
}

static bool inside(gpa_t gpa, u64 len, gpa_t start, gpa_t end)
{
    return gpa >= start && gpa <= end && len <= end - gpa;
}

/* Whether there is anything to write, and to RAM. */
static bool may_write(struct load_ctx *c, gpa_t gpa, u64 len)
{
    u64 mem = c->req->mem_size;

    if (inside(gpa, len, 0, PLAT_VGA_BASE) ||
        inside(gpa, len, PLAT_SHADOW_BASE, plat_low_mem(mem)) ||
        inside(gpa, len, PLAT_HIGH_BASE, PLAT_HIGH_BASE + plat_high_mem(mem)))
        return len && !c->err;
    return ctx_fail(c, ERR_RANGE, "0x%llx bytes at 0x%llx are not in the guest's memory",
                    (unsigned long long)len, (unsigned long long)gpa);
}

static void written(struct load_ctx *c, enum err e, gpa_t gpa, u64 len)
{
    if (e)
        ctx_fail(c, e, "no memory for 0x%llx bytes at 0x%llx of the guest", (unsigned long long)len,
                 (unsigned long long)gpa);
}

void ctx_write(struct load_ctx *c, gpa_t gpa, const void *buf, u64 len)
{
    if (may_write(c, gpa, len))
        written(c, c->mem->write(c->mem->arg, gpa, buf, len), gpa, len);
}

void ctx_zero(struct load_ctx *c, gpa_t gpa, u64 len)
{
    if (may_write(c, gpa, len))
        written(c, c->mem->zero(c->mem->arg, gpa, len), gpa, len);
}

/* The taken range that [gpa, gpa + len) touches, or NULL. len > 0 and the sum does not wrap. */
static const struct load_range *conflict(const struct load_ctx *c, gpa_t gpa, u64 len)
{
    for (unsigned i = 0; i < c->taken_count; i++)
        if (gpa < c->taken[i].end && c->taken[i].start < gpa + len)
            return &c->taken[i];
    return NULL;
}

bool ctx_is_free(const struct load_ctx *c, gpa_t gpa, u64 len)
{
    return !len || (gpa + len > gpa && !conflict(c, gpa, len));
}

bool ctx_claim(struct load_ctx *c, gpa_t gpa, u64 len, const char *what)
{
    const struct load_range *r;
    unsigned long long at = gpa, size = len, mem = c->req->mem_size;

    if (!len)
        return true;
    if (gpa + len < gpa)
        return ctx_fail_image(c, ERR_INVAL, "%s is 0x%llx bytes at 0x%llx: the sum wraps", what,
                              size, at);
    r = conflict(c, gpa, len);
    if (r && (r->end == PLAT_HIGH_BASE || r->end == UINT64_MAX))
        return ctx_fail_image(c, ERR_RANGE,
                              "%s goes to 0x%llx-0x%llx, outside the guest's memory (mem=%lluK)",
                              what, at, at + size, mem >> 10);
    if (r) {
        bool firmware = r < c->taken + 2;

        return ctx_fail_image(c, firmware ? ERR_RANGE : ERR_INVAL,
                              "%s goes to 0x%llx-0x%llx%s 0x%llx-0x%llx", what, at, at + size,
                              firmware ? ", where firmware has" : " and overlaps",
                              (unsigned long long)r->start, (unsigned long long)r->end);
    }
    if (c->taken_count == LOAD_MAX_RANGES)
        return ctx_fail_image(c, ERR_INVAL, "it has more than %d separate pieces",
                              LOAD_MAX_RANGES - 8);
    take(c, gpa, gpa + len);
    return true;
}

bool ctx_place_low(struct load_ctx *c, u64 len, u64 align, gpa_t lo, gpa_t hi, gpa_t *gpa)
{
    const struct load_range *r;

    while (lo <= UINT64_MAX - align && c->taken_count < LOAD_MAX_RANGES) {
        lo = ALIGN_UP(lo, align);
        if (lo > hi || len > hi - lo)
            break;
        r = len ? conflict(c, lo, len) : NULL;
        if (!r) {
            *gpa = lo;
            if (len)
                take(c, lo, lo + len);
            return true;
        }
        lo = r->end;
    }
    return false;
}

bool ctx_place_high(struct load_ctx *c, u64 len, u64 align, gpa_t lo, gpa_t hi, gpa_t *gpa)
{
    const struct load_range *r;
    gpa_t at;

    while (hi > lo && len <= hi - lo && c->taken_count < LOAD_MAX_RANGES) {
        at = ALIGN_DOWN(hi - len, align);
        if (at < lo)
            break;
        r = len ? conflict(c, at, len) : NULL;
        if (!r) {
            *gpa = at;
            if (len)
                take(c, at, at + len);
            return true;
        }
        hi = r->start;
    }
    return false;
}

bool ctx_place_info(struct load_ctx *c, u64 len, gpa_t *gpa)
{
    return ctx_place_low(c, len, 8, INFO_LOW, PLAT_EBDA_BASE, gpa) ||
           ctx_place_low(c, len, PAGE_SIZE, PLAT_HIGH_RAM, plat_low_mem(c->req->mem_size), gpa) ||
           ctx_fail(c, ERR_RANGE,
                    "no room in the guest's memory for 0x%llx bytes of boot information",
                    (unsigned long long)len);
}

gpa_t ctx_initrds(struct load_ctx *c, gpa_t gpa, bool write)
{
    for (unsigned i = 0; i < c->req->module_count; i++) {
        const struct load_image *img = &c->req->modules[i].image;

        if (!c->req->modules[i].initrd)
            continue;
        gpa = ALIGN_UP(gpa, 4);
        if (write)
            ctx_write(c, gpa, img->data, img->size);
        gpa += img->size;
    }
    return gpa;
}

const char *image_cmdline(const struct load_image *img)
{
    return img->cmdline ? img->cmdline : "";
}

u64 image_cmdline_size(const struct load_image *img)
{
    return strlen(image_cmdline(img)) + 1;
}
