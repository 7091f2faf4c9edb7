/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loaders of ELF files (PVH, plain ELF, FreeBSD with modules, Multiboot 2) and flat ones,
 * against patched images that have a bit of each.
 */
#include "tests/fuzz/load_fuzz.h"
#include "vmm/load/load.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void put(u8 *t, u32 off, u64 v, unsigned len)
{
    memcpy(t + off, &v, len);
}

/* Segments: interpreter, two loads, notes. Sections: text, bss, symbols, strings. */
static void make(u8 *t, bool is64, bool object)
{
    const u32 mb2[10] = {0xe85250d6, 0, 40, 0 - 0xe85250d6 - 40, 6, 8, 1, 8, 0, 8};
    const u64 base = is64 ? 0xffffffff80200000 : 0xc0400000, v[4] = {1, 8, 2, 3};

    memcpy(t, is64 ? "\177ELF\2\1\1\11" : "\177ELF\1\1\1\11", 8);
    t[16] = object ? 1 : 2;
    t[18] = is64 ? 62 : 3;
    put(t, 24, base + 0x40, is64 ? 8 : 4);
    put(t, is64 ? 32 : 28, 0x40, 4);
    put(t, is64 ? 40 : 32, 0x400, 4);
    put(t, is64 ? 54 : 42, is64 ? 56 : 32, 2);
    put(t, is64 ? 56 : 44, 4, 2);
    put(t, is64 ? 58 : 46, is64 ? 64 : 40, 2);
    put(t, is64 ? 60 : 48, 5, 2);
    put(t, is64 ? 62 : 50, 4, 2);
    for (unsigned i = 0; i < 4; i++) {
        const u64 type[4] = {3, 1, 1, 4}, off[4] = {0x300, 0, 0x600, 0x320};
        u32 p = 0x40 + i * (is64 ? 56 : 32);
        unsigned w = is64 ? 8 : 4, at = is64 ? 8 : 4;

        put(t, p, type[i], 4);
        put(t, p + at, off[i], w);
        put(t, p + at + w, base + i * 0x1000, w);
        put(t, p + at + 2 * w, base % GIB + i * 0x1000, w);
        put(t, p + at + 3 * w, i ? 0x200 : 13, w);
        put(t, p + at + 4 * w, i ? 0x300 : 13, w);
    }
    for (unsigned i = 1; i < 5; i++) {
        u32 p = 0x400 + i * (is64 ? 64 : 40);
        unsigned w = is64 ? 8 : 4;

        put(t, p + 4, v[i - 1], 4);
        put(t, p + 8, i < 3 ? 2 : 0, w);
        put(t, p + 8 + 2 * w, 0x600 + i * 16, w);
        put(t, p + 8 + 3 * w, 0x30, w);
        put(t, p + 8 + 4 * w, 4, 4);
        put(t, p + 16 + 4 * w, 8, w);
    }
    memcpy(t + 0x300, "/red/herring", 13);
    memcpy(t + 0x320, "\4\0\0\0\4\0\0\0\22\0\0\0Xen\0\x40\0\x20\0", 20);
    memcpy(t + 0x7c0, mb2, sizeof(mb2));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static const u8 kinds[] = {LOAD_PVH,        LOAD_ELF,  LOAD_FREEBSD, LOAD_FREEBSD,
                               LOAD_MULTIBOOT2, LOAD_FLAT, LOAD_AUTO};
    static u8 t[3][0x800];

    if (!size)
        return 0;
    make(t[0], false, false);
    make(t[1], true, false);
    make(t[2], true, true);
    return fuzz_load(data + 1, size - 1, kinds[data[0] % sizeof(kinds)], t[data[0] >> 6 & 1],
                     sizeof(t[0]), t[data[0] >> 5 & 1 ? 2 : data[0] >> 6 & 1], sizeof(t[0]));
}
