/* SPDX-License-Identifier: BSD-2-Clause */
/* A load's book-keeping: what of the guest's memory is taken, bounded writes, and sentences. */
#include "vmm/load/ctx.h"

#include <stdarg.h>
#include "lib/print.h"
#include "lib/string.h"

static void take(struct load_ctx *c, gpa_t start, gpa_t end)
{
    c->taken[c->taken_count++] = (struct load_range){start, end};
}

void ctx_init(struct load_ctx *c, const struct load_request *req, const struct load_mem *mem,
              struct load_state *state, char *error)
{
    c->req = req;
    c->mem = mem;
    c->state = state;
    c->error = error;
    c->taken_count = 0;
    take(c, 0, 0x500); /* interrupt vectors, BIOS data area */
    take(c, PLAT_EBDA_BASE, PLAT_HIGH_RAM);
    take(c, plat_low_mem(req->mem_size), PLAT_HIGH_BASE);
    take(c, PLAT_HIGH_BASE + plat_high_mem(req->mem_size), UINT64_MAX);
}

enum err ctx_fail(struct load_ctx *c, enum err e, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fmt_vprint(c->error, LOAD_ERROR_SIZE, fmt, ap);
    va_end(ap);
    return e;
}

enum err ctx_fail_image(struct load_ctx *c, const struct load_image *img, enum err e,
                        const char *fmt, ...)
{
    const char *name = img->name && img->name[0] ? img->name : NULL;
    size_t used;
    va_list ap;

    if (name)
        fmt_print(c->error, LOAD_ERROR_SIZE, "%.64s: ", name);
    else if (img == &c->req->kernel)
        fmt_print(c->error, LOAD_ERROR_SIZE, "kernel: ");
    else
        fmt_print(c->error, LOAD_ERROR_SIZE, "a module: ");
    used = strlen(c->error);
    va_start(ap, fmt);
    fmt_vprint(c->error + used, LOAD_ERROR_SIZE - used, fmt, ap);
    va_end(ap);
    return e;
}

static bool inside(gpa_t gpa, u64 len, gpa_t start, gpa_t end)
{
    return gpa >= start && gpa <= end && len <= end - gpa;
}

static enum err check_ram(struct load_ctx *c, gpa_t gpa, u64 len)
{
    u64 mem = c->req->mem_size;

    if (inside(gpa, len, 0, PLAT_VGA_BASE) ||
        inside(gpa, len, PLAT_SHADOW_BASE, plat_low_mem(mem)) ||
        inside(gpa, len, PLAT_HIGH_BASE, PLAT_HIGH_BASE + plat_high_mem(mem)))
        return OK;
    return ctx_fail(c, ERR_RANGE, "0x%llx bytes at 0x%llx are not in the guest's memory",
                    (unsigned long long)len, (unsigned long long)gpa);
}

static enum err checked(struct load_ctx *c, enum err e, gpa_t gpa, u64 len)
{
    if (e)
        return ctx_fail(c, e, "no memory for 0x%llx bytes at 0x%llx of the guest",
                        (unsigned long long)len, (unsigned long long)gpa);
    return OK;
}

enum err ctx_write(struct load_ctx *c, gpa_t gpa, const void *buf, u64 len)
{
    enum err e = check_ram(c, gpa, len);

    if (e || !len)
        return e;
    return checked(c, c->mem->write(c->mem->arg, gpa, buf, len), gpa, len);
}

enum err ctx_zero(struct load_ctx *c, gpa_t gpa, u64 len)
{
    enum err e = check_ram(c, gpa, len);

    if (e || !len)
        return e;
    return checked(c, c->mem->zero(c->mem->arg, gpa, len), gpa, len);
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

enum err ctx_claim(struct load_ctx *c, const struct load_image *img, gpa_t gpa, u64 len,
                   const char *what)
{
    const struct load_range *r;
    unsigned long long at = gpa, size = len, mem = c->req->mem_size;

    if (!len)
        return OK;
    if (gpa + len < gpa)
        return ctx_fail_image(c, img, ERR_INVAL, "%s is 0x%llx bytes at 0x%llx: the sum wraps",
                              what, size, at);
    r = conflict(c, gpa, len);
    if (r && (r->end == PLAT_HIGH_BASE || r->end == UINT64_MAX))
        return ctx_fail_image(c, img, ERR_RANGE,
                              "%s goes to 0x%llx-0x%llx, outside the guest's memory (mem=%lluK)",
                              what, at, at + size, mem >> 10);
    if (r && r < c->taken + 2)
        return ctx_fail_image(
            c, img, ERR_RANGE, "%s goes to 0x%llx-0x%llx, where firmware has 0x%llx-0x%llx", what,
            at, at + size, (unsigned long long)r->start, (unsigned long long)r->end);
    if (r)
        return ctx_fail_image(c, img, ERR_INVAL,
                              "%s goes to 0x%llx-0x%llx and overlaps 0x%llx-0x%llx", what, at,
                              at + size, (unsigned long long)r->start, (unsigned long long)r->end);
    if (c->taken_count == LOAD_MAX_RANGES)
        return ctx_fail_image(c, img, ERR_INVAL, "it has more than %d separate pieces",
                              LOAD_MAX_RANGES - 8);
    take(c, gpa, gpa + len);
    return OK;
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

const char *image_cmdline(const struct load_image *img)
{
    return img->cmdline ? img->cmdline : "";
}

u64 image_cmdline_size(const struct load_image *img)
{
    return strlen(image_cmdline(img)) + 1;
}
