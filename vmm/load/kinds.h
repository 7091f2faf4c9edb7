/* SPDX-License-Identifier: BSD-2-Clause */
/* The loaders, one a kind, as load_guest dispatches to them. */
#ifndef VMM_LOAD_KINDS_H
#define VMM_LOAD_KINDS_H

#include "vmm/load/ctx.h"

struct load_kind_ops {
    const char *name;
    /* Whether the kernel looks like this kind. May leave an error in c; changes no more. */
    bool (*probe)(struct load_ctx *c);
    /* Loads it all and sets c->state, or c->err. c->state->kind is set by the caller. */
    void (*load)(struct load_ctx *c);
    /* What a file of this kind begins with, for "not a … kernel: it has no …". */
    const char *sign;
};

extern const struct load_kind_ops load_linux, load_multiboot, load_multiboot2, load_pvh, load_elf,
    load_freebsd, load_flat;

#endif
