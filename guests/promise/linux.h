/* SPDX-License-Identifier: BSD-2-Clause */
/* What the two Linux entries share: boot parameters at RSI. */
#ifndef GUESTS_PROMISE_LINUX_H
#define GUESTS_PROMISE_LINUX_H

#include "guests/promise/promise.h"

/* Documentation/arch/x86/boot.rst and zero-page.rst. version: what the image's header says. */
static inline void check_boot_params(void)
{
    u64 p = entry_state.si, initrd = at32(p + 0x218), size = at32(p + 0x21c), bad = 0;

    read_words(at(at32(p + 0x228)));
    want("params-magic", at32(p + 0x202), 0x53726448);
    want("params-boot-flag", at16(p + 0x1fe), 0xaa55);
    want("params-loader", at16(p + 0x210) & 0xff, 0xff);
    want("params-video-mode", at16(p + 0x1fa), 0xffff);
    want("params-code32", at32(p + 0x214), (ulong)image_start & ~0xffful);
    want("params-ext-mem", at16(p + 2), MIN((said.ram >> 10) - 1024, 0xfc00));
    want("params-alt-mem", at32(p + 0x1e0), (said.ram >> 10) - 1024);
    tell("params-version", at16(p + 0x206));
    want("params-rsdp", at64(p + 0x70), 0xe0000);
    want("params-sentinel", at16(p + 0x1ef) & 0xff, 0);
    for (u64 i = 0; i < (at16(p + 0x1e8) & 0xff); i++) {
        u64 e = p + 0x2d0 + i * 20;

        map_entry(at64(e), at64(e + 8), at32(e + 16));
    }
    map_end();
    /* The initrds in one piece: module n at the next multiple of four behind n - 1. */
    for (u64 n = 0, at_ = initrd; n < said.modules; n++) {
        at_ = ALIGN_UP(at_, 4);
        for (u64 i = 0; i < said.size + n; i++)
            bad += *(const u8 *)at(at_ + i) != (u8)(i * 7 + n);
        at_ += said.size + n;
        if (n == said.modules - 1)
            want("initrd-size", size, at_ - initrd);
    }
    want("initrd-wrong-bytes", bad, 0);
    want("initrd-page", initrd & 0xfff, 0);
    want("initrd-free", !size || (initrd >= (ulong)image_end && initrd + size <= said.ram), 1);
}

#endif
