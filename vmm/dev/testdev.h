/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What test kernels expect (the word `testdev`): the interface of QEMU's isa-debug-exit and
 * pc-testdev. Port 0xf4: a write of any width ends the VM with that value. Port 0xe9: bytes go to
 * the console; reads give 0xe9. Ports 0xe0-0xe3: four bytes of storage. Port 0x2000+n, n < 24:
 * sets line n to the value's low bit. 64 KiB at TESTDEV_GPA: an MMIO region that behaves as RAM.
 */
#ifndef VMM_DEV_TESTDEV_H
#define VMM_DEV_TESTDEV_H

#include "vmm/dev/bus.h"

#define TESTDEV_GPA   0xff000000ull
#define TESTDEV_SIZE  0x10000ull
#define TESTDEV_LINES 24

struct testdev_ops {
    void (*exit)(void *arg, u32 status);
    void (*putc)(void *arg, u8 byte);
    void (*line)(void *arg, unsigned line, bool level);
};

struct testdev {
    u8 storage[4];
    u8 *memory; /* TESTDEV_SIZE bytes */
    const struct testdev_ops *ops;
    void *arg;
};

/* `memory`: TESTDEV_SIZE zeroed bytes that outlive t; ops: all set, outlive t. */
void testdev_init(struct testdev *t, u8 *memory, const struct testdev_ops *ops, void *arg);
/*
 * Claims ports and the memory range, which the caller makes an MMIO region. Errors: the buses' err.
 */
void testdev_attach(struct testdev *t, struct bus *ports, struct bus *mmio);

#endif
