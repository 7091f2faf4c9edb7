/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one serial line, shared: the log, the monitor, and each VM's console. The keyboard belongs to
 * the focus: one VM, or the monitor. What the VM in focus prints appears; what others print is kept
 * (the last CONSOLE_RING bytes) and appears when they get the focus.
 */
#ifndef MONITOR_CONSOLE_H
#define MONITOR_CONSOLE_H

#include "lib/types.h"

struct vm;

#define CONSOLE_RING 65536u /* bytes kept of each VM's output */

/* escape: the byte that moves the keyboard between VM and monitor. Boot CPU, once. */
void console_init(u8 escape, void (*to_monitor)(u8 byte));

/* struct vm_outside's functions. */
void console_vm_out(struct vm *vm, const u8 *bytes, unsigned n);
void console_vm_room(struct vm *vm);

/* Moves the focus to a VM's console, or with NULL to the monitor. Any CPU. */
void console_focus(struct vm *vm);
struct vm *console_focused(void);
/* The VM ends: its output is shown, and the focus leaves it. */
void console_forget(struct vm *vm);

/* Text of the monitor's own. */
void console_print(const char *fmt, ...) PRINTF(1, 2);
void console_write(const char *text, size_t len);

/* Log lines come here; they begin on a fresh line. */
void console_log(const char *line, size_t len);

/* Bytes from the serial line, from the interrupt. */
void console_receive(const u8 *bytes, size_t n);
/* Does what the interrupts left to do. Boot CPU's loop. */
void console_poll(void);

#endif
