/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VMs that come and go: starts, ends, and what follows an end (restart=). From the boot CPU's loop,
 * unless said otherwise.
 */
#ifndef MONITOR_LIFE_H
#define MONITOR_LIFE_H

#include "vmm/vm.h"

/* Starts a VM, now or as soon as it has ended. */
void life_start(unsigned i);
void life_start_again(unsigned i);
/* Ends what would start it again. Returns whether there was anything. */
bool life_calm(unsigned i);
/* Whether it waits to be started again. */
bool life_waits(unsigned i);
/* Its slot is to be given free when it has ended. */
void life_drop(unsigned i);

/* struct vm_outside's functions. life_ended: any CPU. */
void life_started(struct vm *vm);
void life_ended(struct vm *vm);

/* Does what has become due. Returns whether a VM has ended. */
bool life_poll(void);
/* Gives slots free. The focus has moved on. */
void life_forget(void);
/* No VM runs, and none will by itself. */
bool life_all_over(void);

/* monitor.c, console.c: nothing of the VM is referred to any more. */
void monitor_forget(struct vm *vm);

#endif
