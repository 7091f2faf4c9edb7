/* SPDX-License-Identifier: BSD-2-Clause */
/* What FreeBSD's i386 and amd64 kernels look at alike: metadata, environment. */
#ifndef GUESTS_PROMISE_FREEBSD_H
#define GUESTS_PROMISE_FREEBSD_H

#include "guests/promise/promise.h"

#define KERNEL_NAME "/boot/kernel/kernel"
#define HOWTO       (0x80000000u | 0x1000u | 0x800u | 0x2u) /* bootinfo, serial, -v, -s */

/* Reads metadata and environment at modulep, and the numbers of the command line from the latter.
 */
void check_metadata(u64 modulep, u64 kernend, u64 kernel_addr);

/* What the kernel's own records said. */
struct kernel_records {
    u64 size, howto, envp, kernend, modulep, ssym, esym, smap, smap_len;
    bool has_name, has_header;
};
extern struct kernel_records kernel_records;

#endif
