/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one serial line, shared: the log, the monitor, and each VM's console. The keyboard belongs to
 * the focus: one VM, or the monitor. What the VM in focus prints appears as fast as the line goes,
 * and a log line behind what was printed before it. What others print is kept (the last
 * CONSOLE_RING bytes) and appears when they get the focus. Nobody ever waits for the line.
 */
#ifndef MONITOR_CONSOLE_H
#define MONITOR_CONSOLE_H

#include <stdarg.h>
#include "lib/types.h"

struct vm;

#define CONSOLE_RING 65536u /* bytes kept of each VM's output */

/* show_prompt: the cursor is at the start of a line. Boot CPU, once. */
void console_init(void (*show_prompt)(void));

/* struct vm_outside's function. */
u32 console_vm_out(struct vm *vm, u8 byte);

/* Moves the focus to a VM's console, or with NULL to the monitor. Boot CPU's loop. */
void console_focus(struct vm *vm);
struct vm *console_focused(void);
/* Whether the VM in focus has printed more than the line could show so far. */
bool console_behind(void);
/* The VM starts anew: what its last run printed stays readable, but is not shown any more. */
void console_renew(struct vm *vm);

/* Nothing of the VM is kept; it has not the focus. */
void console_forget(struct vm *vm);

/*
 * Shows the last `lines` lines (0: all) that are kept of VM number i's output, from now on and as
 * fast as the line goes; a key ends it. False if there is nothing to show. In JSON mode it is the
 * inside of a string, behind which the answer is ended; keys wait.
 */
bool console_replay(unsigned i, u32 lines);
bool console_replaying(void);
void console_end_replay(void);
/* Whole lines of VMs that have not the focus are shown, with their names; or no more. */
bool console_mix(void);

/* Text of the monitor's own. */
void console_print(const char *fmt, ...) PRINTF(1, 2);
void console_vprint(const char *fmt, va_list ap);
void console_write(const char *text, size_t len);
/* Ends the line that the cursor is in, if it is in one; and shows the monitor's prompt. */
void console_fresh_line(void);
void console_prompt(void);

/*
 * While an answer is written log lines wait: nothing comes between its parts. In JSON mode they
 * are objects, {"log":"text"}, unless a VM has the focus.
 */
void console_hold(bool on);
void console_set_json(bool on);

/* Log lines come here, from any CPU. */
void console_log(const char *line, size_t len);

/* Does what the interrupts left to do. Boot CPU's loop. */
void console_poll(void);

#endif
