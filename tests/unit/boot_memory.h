/* SPDX-License-Identifier: BSD-2-Clause */
/* A little physical memory, for parsers that read a machine's: bytes at BASE, nothing elsewhere. */
#ifndef TESTS_UNIT_BOOT_MEMORY_H
#define TESTS_UNIT_BOOT_MEMORY_H

#include <string.h>
#include "lib/types.h"

#define BOOT_MEMORY_BASE 0x10000ull

struct boot_memory {
    u8 *bytes;
    u64 size;
};

/* A boot_view_fn. */
static inline const void *boot_memory_view(void *arg, hpa_t hpa, u64 len)
{
    const struct boot_memory *m = arg;
    u64 at = hpa - BOOT_MEMORY_BASE;

    return at < m->size && len <= m->size - at ? m->bytes + at : NULL;
}

/* struct acpi_reader's read. */
static inline bool boot_memory_read(void *arg, hpa_t hpa, void *buf, size_t len)
{
    const void *p = boot_memory_view(arg, hpa, len);

    if (p)
        memcpy(buf, p, len);
    return p != NULL;
}

#endif
