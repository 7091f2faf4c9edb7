/* SPDX-License-Identifier: BSD-2-Clause */
/* struct hvm_start_info, version 1 (Xen, public/arch-x86/hvm/start_info.h). */
#include "guests/promise/promise.h"

void check_start_info(u64 info)
{
    u64 last = (ulong)image_end, maps;

    want("info-magic", at32(info), 0x336ec578);
    want("info-version", at32(info + 4), 1);
    want("info-flags", at32(info + 8), 0);
    read_words(at(at64(info + 24)));
    want("info-modules", at32(info + 12), said.modules);
    want("info-rsdp", at64(info + 32), 0xe0000);
    want("info-reserved", at32(info + 52), 0);
    maps = at64(info + 40);
    for (u32 i = 0; i < at32(info + 48); i++, maps += 24) {
        want("map-entry-reserved", at32(maps + 20), 0);
        map_entry(at64(maps), at64(maps + 8), at32(maps + 16));
    }
    map_end();
    for (u32 i = 0; i < at32(info + 12); i++) {
        u64 m = at64(info + 16) + i * 32;

        want("module-reserved", at64(m + 24), 0);
        check_module(i, at64(m), at64(m + 8), at(at64(m + 16)), last);
    }
}
