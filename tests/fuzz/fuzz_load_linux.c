/* SPDX-License-Identifier: BSD-2-Clause */
/* The Linux loader against patched bzImages. */
#include "tests/fuzz/load_fuzz.h"
#include "vmm/load/load.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static u8 t[0x1000];
    const u32 code = (sizeof(t) - 0x400) / 16, max = 0x7fffffff, align = 0x200000, line = 2047;
    const u64 pref = 0x1000000;
    const u32 init = 0x100000;

    t[0x1f1] = 1;
    memcpy(t + 0x1f4, &code, 4);
    memcpy(t + 0x1fe,
           "\x55\xaa\xeb\x6a"
           "HdrS\x0f\x02",
           10);
    t[0x20f] = 1;
    t[0x211] = 1;
    memcpy(t + 0x22c, &max, 4);
    memcpy(t + 0x230, &align, 4);
    t[0x234] = 1;
    t[0x236] = 1;
    memcpy(t + 0x238, &line, 4);
    memcpy(t + 0x258, &pref, 8);
    memcpy(t + 0x260, &init, 4);
    return fuzz_load(data, size, LOAD_LINUX, t, sizeof(t), NULL, 0);
}
