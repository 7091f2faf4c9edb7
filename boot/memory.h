/* SPDX-License-Identifier: BSD-2-Clause */
/* Taking the machine's memory over: the map, skep's own page tables, the frame allocator. */
#ifndef BOOT_MEMORY_H
#define BOOT_MEMORY_H

#include "lib/types.h"
#include "arch/x86_64/acpi.h"
#include "boot/mbi.h"

/* Physical memory as the loader left it mapped: below 4 GiB, at its own address. A boot_view_fn. */
const void *memory_view_early(void *arg, hpa_t hpa, u64 len);

/* The same once skep's own tables are in force. */
const void *memory_view(void *arg, hpa_t hpa, u64 len);

/*
 * Goes from the loader's map to skep's own page tables, and onto them. Strings and views made
 * before are gone: read the loader's report again. NULL, or the sentence that says why not.
 */
const char *memory_map_machine(const struct boot_info *bi);

/* Gives what is left over, the firmware's tables left out, to the frame allocator. Likewise. */
const char *memory_give_out(const struct acpi_info *acpi);

u64 memory_installed(void); /* bytes of RAM that the firmware calls usable, skep's own included */
/* A free page below 1 MiB, for starting processors; 0: there is none. */
hpa_t memory_low_page(void);

#endif
