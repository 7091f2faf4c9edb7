/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A flat binary: the file as it is at an address of the configuration's choice, started in flat
 * 32-bit protected mode with a PVH start information at EBX. Never guessed: type=flat.
 */
#include "lib/print.h"
#include "vmm/load/kinds.h"
#include "vmm/load/pvh.h"
#include "vmm/load/regs.h"

#define BASE_DEFAULT 0x100000
#define STACK_SIZE   0x4000
#define STACK_LOW    0x1000

static bool flat_probe(struct load_ctx *c)
{
    (void)c;
    return true;
}

static enum err flat_load(struct load_ctx *c)
{
    const struct load_request *r = c->req;
    gpa_t base = r->has_base ? r->base : BASE_DEFAULT, entry = r->has_entry ? r->entry : base;
    gpa_t info = 0, stack = 0;
    enum err e;

    if (entry - base >= r->kernel.size)
        return ctx_fail_image(c, &r->kernel, ERR_INVAL,
                              "entry=0x%llx lies outside the file's 0x%llx bytes at 0x%llx",
                              (unsigned long long)entry, (unsigned long long)r->kernel.size,
                              (unsigned long long)base);
    e = ctx_claim(c, &r->kernel, base, r->kernel.size, "the file");
    if (!e && base + r->kernel.size > PLAT_HIGH_BASE)
        return ctx_fail_image(c, &r->kernel, ERR_NOSUP, "it loads above 4 GiB");
    if (!e)
        e = ctx_write(c, base, r->kernel.data, r->kernel.size);
    if (!e && !ctx_place_high(c, STACK_SIZE, 16, STACK_LOW, PLAT_EBDA_BASE, &stack))
        return ctx_fail(c, ERR_RANGE, "no room below 640 KiB for a stack");
    if (!e)
        e = pvh_write_info(c, &info);
    if (!e)
        e = regs_prot32(c);
    if (e)
        return e;
    c->state->rip = entry;
    c->state->gpr[RAX] = PVH_MAGIC;
    c->state->gpr[RBX] = info;
    c->state->gpr[RSP] = stack + STACK_SIZE;
    fmt_print(c->state->what, sizeof(c->state->what), "flat binary at 0x%llx",
              (unsigned long long)base);
    return OK;
}

const struct load_kind_ops load_flat = {
    .name = "flat",
    .probe = flat_probe,
    .load = flat_load,
    .sign = "content",
};
