/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ways to reset a PC from software: reset control 0xcf9 (ICH9 data sheet, 13.7.5), port 0x92
 * (fast reset and A20), and the keyboard controller at 0x60/0x64 (8042), which is here without a
 * keyboard: its own commands answer, nothing is attached. A20 reads back as set and is always on.
 */
#ifndef VMM_DEV_RESET_H
#define VMM_DEV_RESET_H

#include "vmm/dev/bus.h"

enum reset_source { RESET_CF9, RESET_PORT92, RESET_8042 };

struct reset_state {
    u8 cf9; /* reset control, bits 3:1 */
    u8 port92;
    u8 kbc_status;  /* OBF, system flag, command/data */
    u8 kbc_command; /* command whose data byte is awaited, or 0 */
    u8 kbc_out;     /* output buffer */
    u8 kbc_ram[32]; /* byte 0: the command byte */
    u8 kbc_port;    /* output port P2 */
};

struct reset {
    struct reset_state s;
    /* The guest asked for a reset. The vCPU need not stop before the access has ended. */
    void (*request)(void *arg, enum reset_source source);
    void *arg;
};

void reset_init(struct reset *r, void (*request)(void *arg, enum reset_source source), void *arg);
/* Ports 0xcf9, 0x92, 0x60, 0x64. Errors as bus_add(). */
enum err reset_attach(struct reset *r, struct bus *ports);

#endif
