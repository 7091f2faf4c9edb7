/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The power-on self-test code at port 0x80, which guests write for its delay. The last code stays
 * readable here for the monitor; reads answer it too, as a PC's DMA page register does.
 */
#ifndef VMM_DEV_POST_H
#define VMM_DEV_POST_H

#include "vmm/dev/bus.h"

struct post {
    u8 code;
};

void post_init(struct post *p);
/* Port 0x80. Errors as bus_add(). */
enum err post_attach(struct post *p, struct bus *ports);

#endif
