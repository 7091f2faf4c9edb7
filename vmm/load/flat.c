/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A flat binary: the file as it is at an address of the configuration's choice, started in flat
 * 32-bit protected mode with a PVH start information at EBX. Never guessed: type=flat.
 */
#include "lib/print.h"
#include "vmm/load/kinds.h"
#include "vmm/load/pvh.h"

#define BASE_DEFAULT 0x100000

static bool flat_probe(struct load_ctx *c)
{
    (void)c;
    return true;
}

static void flat_load(struct load_ctx *c)
{
    const struct load_request *r = c->req;
    gpa_t base = r->has_base ? r->base : BASE_DEFAULT, entry = r->has_entry ? r->entry : base;

    if (entry - base >= r->kernel.size)
        ctx_fail_image(c, ERR_INVAL, "entry=0x%llx lies outside the file's 0x%llx bytes at 0x%llx",
                       (unsigned long long)entry, (unsigned long long)r->kernel.size,
                       (unsigned long long)base);
    if (ctx_claim(c, base, r->kernel.size, "the file") && base + r->kernel.size > PLAT_HIGH_BASE)
        ctx_fail_image(c, ERR_NOSUP, "it loads above 4 GiB");
    ctx_write(c, base, r->kernel.data, r->kernel.size);
    pvh_start(c, entry, false);
    fmt_print(c->state->what, sizeof(c->state->what), "flat binary at 0x%llx",
              (unsigned long long)base);
}

const struct load_kind_ops load_flat = {
    .name = "flat",
    .probe = flat_probe,
    .load = flat_load,
    .sign = "content",
};
