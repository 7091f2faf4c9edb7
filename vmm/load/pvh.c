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

/* Where the file says the entry; NULL if it does not. */
static const u8 *find_entry(const struct elf *elf)
{
    u64 size;
    const u8 *desc = elf_note(elf, "Xen", NOTE_PHYS32_ENTRY, &size);

    return desc && (size == 4 || size == 8) ? desc : NULL;
}

static bool pvh_probe(struct load_ctx *c)
{
    struct elf elf;

    return elf_open(c, &elf) && find_entry(&elf);
}

/* where: as for elf_entry. */
static bool load_elf_at(struct load_ctx *c, const struct elf *elf, u64 entry, u64 where, gpa_t *rip)
{
    if (!elf_entry(c, elf, entry, where, rip))
        return false;
    if (*rip >= PLAT_HIGH_BASE)
        return ctx_fail_image(c, ERR_NOSUP, "its entry point 0x%llx lies above 4 GiB",
                              (unsigned long long)*rip);
    return elf_load(c, elf, 0, true);
}

static void pvh_load(struct load_ctx *c)
{
    struct elf elf;
    const u8 *at = elf_open(c, &elf) ? find_entry(&elf) : NULL; /* the probe has seen one */
    gpa_t rip, info;

    if (!at || !load_elf_at(c, &elf, get32(at), (u64)(at - c->img->data), &rip))
        return;
    info = pvh_write_info(c);
    regs_prot32(c);
    c->state->rip = rip;
    c->state->gpr[RBX] = info;
    fmt_print(c->state->what, sizeof(c->state->what), "PVH kernel, %s",
              elf.is64 ? "ELF64" : "ELF32");
}

const struct load_kind_ops load_pvh = {
    .name = "pvh",
    .probe = pvh_probe,
    .load = pvh_load,
    .sign = "Xen note of type 18 (PVH entry)",
};

void pvh_start(struct load_ctx *c, gpa_t rip, bool is64)
{
    struct load_state *s = c->state;
    gpa_t stack = 0, info;

    if (!ctx_place_high(c, STACK_SIZE, 16, STACK_LOW, PLAT_EBDA_BASE, &stack) &&
        !ctx_place_high(c, STACK_SIZE, 16, PLAT_HIGH_RAM, plat_low_mem(c->req->mem_size), &stack))
        ctx_fail(c, ERR_RANGE, "no room in the guest's memory for a stack");
    info = pvh_write_info(c);
    if (is64)
        regs_long64(c);
    else
        regs_prot32(c);
    s->rip = rip;
    s->gpr[RAX] = PVH_MAGIC;
    s->gpr[RBX] = s->gpr[RDI] = info;
    s->gpr[RSP] = stack + STACK_SIZE;
}

static void elf_kernel_load(struct load_ctx *c)
{
    struct elf elf;
    gpa_t rip;

    if (!elf_open(c, &elf))
        return;
    if (elf.type != ET_EXEC)
        ctx_fail_image(c, ERR_NOSUP, "ELF type %u (file offset 16) is not an executable (2)",
                       elf.type);
    if (!(c->req->has_entry ? load_elf_at(c, &elf, c->req->entry, 0, &rip)
                            : load_elf_at(c, &elf, elf.entry, ELF_ENTRY_OFFSET, &rip)))
        return;
    pvh_start(c, rip, elf.is64);
    fmt_print(c->state->what, sizeof(c->state->what), "%s kernel", elf.is64 ? "ELF64" : "ELF32");
}

static bool elf_kernel_probe(struct load_ctx *c)
{
    return elf_probe(c->img);
}

const struct load_kind_ops load_elf = {
    .name = "elf",
    .probe = elf_kernel_probe,
    .load = elf_kernel_load,
    .sign = "0x7f 'ELF' at file offset 0",
};
