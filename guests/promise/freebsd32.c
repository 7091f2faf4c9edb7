/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * i386: locore.s (recover_bootinfo) has been called with howto, bootdev, three words that are 0,
 * bootinfo; modulep and kernend stand behind, and in bootinfo again.
 */
#include "guests/promise/freebsd.h"

#include "lib/string.h"

#define BOOTINFO_SIZE 84

void check_protocol(void)
{
    const u32 *frame = at(entry_state.sp);
    u64 bi = frame[6];

    check_prot32();
    want("stack-aligned", entry_state.sp & 3, 0);
    want("return-address", frame[0] != 0, 1); /* 0: called by the oldest boot blocks */
    want("arg-howto", frame[1], HOWTO);
    want("arg-bootdev", frame[2], 0);
    want("arg-3", frame[3], 0);
    want("arg-4", frame[4], 0);
    want("arg-5", frame[5], 0); /* else: an old diskless boot */
    want("bootinfo-version", at32(bi), 1);
    want_text("bootinfo-kernelname", at(at32(bi + 4)), KERNEL_NAME);
    want("bootinfo-nfs-diskless", at32(bi + 8), 0);
    want("bootinfo-size", at32(bi + 48), BOOTINFO_SIZE);
    want("bootinfo-memsizes-valid", at32(bi + 52) & 0xff, 1);
    check_metadata(frame[7], frame[8], 0x400000);
    want("bootinfo-basemem", at32(bi + 56), 639);
    want("bootinfo-extmem", at32(bi + 60), (said.ram >> 10) - 1024);
    want("bootinfo-symtab", at32(bi + 64), kernel_records.ssym);
    want("bootinfo-esymtab", at32(bi + 68), kernel_records.esym);
    want("bootinfo-kernend", at32(bi + 72), frame[8]);
    want("bootinfo-envp", at32(bi + 76), kernel_records.envp);
    want("bootinfo-modulep", at32(bi + 80), frame[7]);
}
