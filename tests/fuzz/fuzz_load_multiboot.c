/* SPDX-License-Identifier: BSD-2-Clause */
/* The Multiboot 1 loader against patched ELF32 and ELF64 images and address headers. */
#include "tests/fuzz/load_fuzz.h"
#include "vmm/load/load.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

/* An ELF header, two segments, four sections, and a Multiboot header at 0x200. */
static void make(u8 *t, bool is64)
{
    const u32 mb[8] = {0x1badb002, 7, 0 - 0x1badb002 - 7, 0x100200, 0x100000, 0, 0, 0x100040};
    u64 v[8] = {0};

    memcpy(t, is64 ? "\177ELF\2\1\1" : "\177ELF\1\1\1", 7);
    t[16] = 2;
    t[18] = is64 ? 62 : 3;
    if (is64) {
        v[0] = 0x100040, v[1] = 0x40, v[2] = 0x400;
        memcpy(t + 24, v, 24);
        memcpy(t + 52, "\x40\0\x38\0\2\0\x40\0\4\0\3\0", 12);
        for (unsigned i = 0; i < 2; i++) {
            u64 ph[7] = {1, 0x200, 0x100000 + i * 0x1000, 0x100000 + i * 0x1000, 0x300, 0x400, 1};

            memcpy(t + 0x40 + i * 56, ph, sizeof(ph));
        }
        for (unsigned i = 1; i < 4; i++) {
            u64 sh[8] = {(u64)i << 32 | 1, 0, 0, 0x600, 0x80, 0, 16, 0};

            memcpy(t + 0x400 + i * 64, sh, sizeof(sh));
        }
    } else {
        const u32 h[3] = {0x100040, 0x34, 0x400};

        memcpy(t + 24, h, 12);
        memcpy(t + 40, "\x34\0\x20\0\2\0\x28\0\4\0\3\0", 12);
        for (unsigned i = 0; i < 2; i++) {
            u32 a = 0x100000 + i * 0x1000, ph[8] = {1, 0x200, a, a, 0x300, 0x400, 7, 1};

            memcpy(t + 0x34 + i * 32, ph, sizeof(ph));
        }
        for (unsigned i = 1; i < 4; i++) {
            u32 sh[10] = {1, i, 0, 0, 0x600, 0x80, 0, 0, 16, 0};

            memcpy(t + 0x400 + i * 40, sh, sizeof(sh));
        }
    }
    memcpy(t + 0x200, mb, sizeof(mb));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static u8 t[2][0x800];

    make(t[0], false);
    make(t[1], true);
    return size ? fuzz_load(data, size, LOAD_MULTIBOOT, t[data[0] >> 7], sizeof(t[0]), NULL, 0) : 0;
}
