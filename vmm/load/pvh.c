/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kernels started by their ELF file alone: PVH, which says its 32-bit entry in a Xen note (Linux's
 * vmlinux, FreeBSD, skep itself), and plain ELF, started at its entry point.
 *
 * A plain ELF32 image starts in flat 32-bit protected mode, ELF64 in 64-bit mode with the first
 * 4 GiB mapped to themselves; both with a PVH start information at EBX (RDI), its magic in EAX and
 * 16 KiB of stack.
 */
#include "vmm/load/pvh.h"

#include "lib/print.h"
#include "lib/string.h"
#include "vmm/load/elf.h"
#include "vmm/load/kinds.h"
#include "vmm/load/regs.h"

#define NOTE_PHYS32_ENTRY 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
#define STACK_SIZE        0x4000
#define STACK_LOW         0x1000

/* The place in the file that says the entry. */
static bool find_entry(const struct elf *elf, u64 *at)
{
    u32 size;

    return elf_note(elf, "Xen", NOTE_PHYS32_ENTRY, at, &size) && (size == 4 || size == 8);
}

static bool pvh_probe(struct load_ctx *c)
{
    struct elf elf;
    u64 at;

    return elf_probe(&c->req->kernel) && !elf_open(c, &c->req->kernel, &elf) &&
           find_entry(&elf, &at);
}

static enum err check_entry(struct load_ctx *c, const struct elf *elf, u64 entry, u64 where,
                            gpa_t *gpa)
{
    enum err e = elf_entry(c, elf, entry, where, gpa);

    if (!e && *gpa >= PLAT_HIGH_BASE)
        return ctx_fail_image(c, elf->img, ERR_NOSUP, "its entry point 0x%llx lies above 4 GiB",
                              (unsigned long long)*gpa);
    return e;
}

static enum err pvh_load(struct load_ctx *c)
{
    const struct load_image *k = &c->req->kernel;
    struct elf elf;
    u64 at;
    gpa_t rip = 0, info = 0;
    enum err e = elf_open(c, k, &elf);

    if (!e && !find_entry(&elf, &at))
        return ERR_INVAL; /* the probe has seen one */
    if (!e)
        e = check_entry(c, &elf, get32(k->data + at), at, &rip);
    if (!e)
        e = elf_load(c, &elf, 0, true);
    if (!e)
        e = pvh_write_info(c, &info);
    if (!e)
        e = regs_prot32(c);
    if (e)
        return e;
    c->state->rip = rip;
    c->state->gpr[RBX] = info;
    fmt_print(c->state->what, sizeof(c->state->what), "PVH kernel, %s",
              elf.is64 ? "ELF64" : "ELF32");
    return OK;
}

const struct load_kind_ops load_pvh = {
    .name = "pvh",
    .probe = pvh_probe,
    .load = pvh_load,
    .sign = "Xen note of type 18 (PVH entry)",
};

static enum err elf_kernel_load(struct load_ctx *c)
{
    const struct load_image *k = &c->req->kernel;
    struct elf elf;
    gpa_t rip = 0, info = 0, stack = 0;
    enum err e = elf_open(c, k, &elf);

    if (!e && elf.type != ET_EXEC)
        return ctx_fail_image(c, k, ERR_NOSUP,
                              "ELF type %u (file offset 16) is not an executable (2)", elf.type);
    if (!e)
        e = c->req->has_entry ? check_entry(c, &elf, c->req->entry, 0, &rip)
                              : check_entry(c, &elf, elf.entry, ELF_ENTRY_OFFSET, &rip);
    if (!e)
        e = elf_load(c, &elf, 0, true);
    if (!e && !ctx_place_high(c, STACK_SIZE, 16, STACK_LOW, PLAT_EBDA_BASE, &stack) &&
        !ctx_place_high(c, STACK_SIZE, 16, PLAT_HIGH_RAM, plat_low_mem(c->req->mem_size), &stack))
        return ctx_fail(c, ERR_RANGE, "no room in the guest's memory for a stack");
    if (!e)
        e = pvh_write_info(c, &info);
    if (!e)
        e = elf.is64 ? regs_long64(c) : regs_prot32(c);
    if (e)
        return e;
    c->state->rip = rip;
    c->state->gpr[RAX] = PVH_MAGIC;
    c->state->gpr[RBX] = c->state->gpr[RDI] = info;
    c->state->gpr[RSP] = stack + STACK_SIZE;
    fmt_print(c->state->what, sizeof(c->state->what), "%s kernel", elf.is64 ? "ELF64" : "ELF32");
    return OK;
}

static bool elf_kernel_probe(struct load_ctx *c)
{
    return elf_probe(&c->req->kernel);
}

const struct load_kind_ops load_elf = {
    .name = "elf",
    .probe = elf_kernel_probe,
    .load = elf_kernel_load,
    .sign = "0x7f 'ELF' at file offset 0",
};
