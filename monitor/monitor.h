/* SPDX-License-Identifier: BSD-2-Clause */
/* The monitor: the prompt "skep> " on the serial line, and what happens when no VM is left. */
#ifndef MONITOR_MONITOR_H
#define MONITOR_MONITOR_H

struct config;

/* Takes the console over and sets vm_outside. Boot CPU, before vmm_main. config must stay. */
void monitor_init(struct config *config);

#endif
