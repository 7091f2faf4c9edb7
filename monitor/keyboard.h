/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where typed bytes go: to the VM in focus, or to the monitor. The escape key is heeded at once,
 * however much waits for a VM.
 */
#ifndef MONITOR_KEYBOARD_H
#define MONITOR_KEYBOARD_H

#include "lib/types.h"

struct vm;

#define CONSOLE_PASTE 131072u /* bytes kept of what was typed for a VM that does not read yet */

/* Called from the boot CPU's loop, no lock held. */
struct keyboard_monitor {
    void (*key)(u8 byte); /* typed while the monitor has the focus */
    void (*escape)(void); /* the escape key */
};

/* escape: the byte that takes the keyboard to the monitor. Boot CPU, once. */
void keyboard_init(u8 escape, const struct keyboard_monitor *monitor);
/* Bytes that are typed for a VM are this one's from now on; NULL: whosever they were. */
void keyboard_focus(struct vm *vm);
/* A byte for the VM in focus, as if typed, whatever it is. */
void keyboard_type(u8 byte);
/* What waits for the VM is dropped; gone: the VM will not be referred to any more. */
void keyboard_renew(const struct vm *vm, bool gone);
/* Gives bytes to whom they are for. Boot CPU's loop. */
void keyboard_poll(void);

/* struct vm_outside's function. */
void keyboard_vm_room(struct vm *vm);

#endif
