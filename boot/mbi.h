/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the loader says about the machine: the Multiboot2 boot information (specification 2.0,
 * section 3.6) or the PVH start info (Xen's hvm_start_info), read into one form. Pure; the
 * loader's data is not trusted to be well-formed.
 */
#ifndef BOOT_MBI_H
#define BOOT_MBI_H

#include "lib/types.h"
#include "boot/memmap.h"

#define BOOT_MAX_MODULES 64

enum boot_kind { BOOT_MULTIBOOT2, BOOT_PVH };

struct boot_module {
    hpa_t start;
    u64 size;
    const char *cmdline; /* terminated; "" if there is none */
};

struct boot_info {
    const char *cmdline; /* skep's own; terminated; "" if there is none */
    const char *loader;  /* who started skep; "" if it does not say */
    struct memmap map;   /* as given, unsorted; modules and loader's data added as MEM_BOOT */
    u32 module_count;
    u32 modules_left_out; /* more than fit */
    struct boot_module module[BOOT_MAX_MODULES];
    const void *rsdp; /* a copy by the loader; NULL if none */
    u32 rsdp_len;
    hpa_t rsdp_hpa; /* PVH gives its address instead; 0 if none */
};

/*
 * Returns a readable view of len bytes of physical memory at hpa, or NULL where there is none.
 * Strings and rsdp in the result point into such views.
 */
typedef const void *(*boot_view_fn)(void *arg, hpa_t hpa, u64 len);

/*
 * Reads the structure at info. Returns NULL, or a sentence that says why it cannot be used; what
 * was understood up to there is in *out all the same.
 */
const char *mbi_parse(enum boot_kind kind, hpa_t info, boot_view_fn view, void *arg,
                      struct boot_info *out);

#endif
