/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as a loader's report, of both kinds, and what becomes of the memory map in it. */
#include <stdlib.h>
#include "boot/mbi.h"
#include "lib/assert.h"
#include "lib/string.h"
#include "tests/unit/boot_memory.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static struct boot_info info;
static struct memmap map;

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct boot_memory m;
    u8 *copy;

    if (size < 1)
        return 0;
    copy = malloc(size);
    memcpy(copy, data + 1, size - 1);
    m = (struct boot_memory){copy, size - 1};
    mbi_parse(data[0] & 1 ? BOOT_PVH : BOOT_MULTIBOOT2, BOOT_MEMORY_BASE, boot_memory_view, &m,
              &info);
    ASSERT(info.module_count <= BOOT_MAX_MODULES && info.map.count <= MEMMAP_MAX);
    ASSERT(strlen(info.cmdline) <= size && strlen(info.loader) <= size);
    for (u32 i = 0; i < info.module_count; i++)
        ASSERT(strlen(info.module[i].cmdline) <= size &&
               info.module[i].start + info.module[i].size >= info.module[i].start);
    for (u32 i = 0; info.rsdp && i < info.rsdp_len; i++)
        ASSERT(((const u8 *)info.rsdp)[i] <= 0xff);
    memmap_normalise(&info.map, &map);
    for (u32 i = 0; i + 1 < map.count; i++)
        ASSERT(map.r[i].base + map.r[i].size <= map.r[i + 1].base);
    free(copy);
    return 0;
}
