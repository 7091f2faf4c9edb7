/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What commands answer. A command says what it found once; a person gets it as the text that the
 * format makes, a program (`json on`) as fields of one object on one line. From the boot CPU's
 * loop, or from a function that it waits for (on_vcpu).
 */
#ifndef MONITOR_OUT_H
#define MONITOR_OUT_H

#include <stdarg.h>
#include "lib/types.h"

/* From the answer under way on. */
void out_set_json(bool on);
bool out_json(void);

/* An answer begins, ends. */
void out_begin(const char *command);
void out_end(void);
/* The field that is open when this returns is the console's to fill and end (console_replay). */
void out_replay(const char *name);

/*
 * What fmt prints is for a person; a program gets its values under `names`, which also say where
 * they stand: see json_say(). With no names it is for a person only.
 */
void out(const char *names, const char *fmt, ...) PRINTF(2, 3);
void out_v(const char *names, const char *fmt, va_list ap);
/* For a program only. */
void out_data(const char *names, const char *fmt, ...) PRINTF(2, 3);

/* Says in a sentence why the command did nothing: "error"; or what it did: "message". Once. */
void out_error(const char *fmt, ...) PRINTF(1, 2);
void out_say(const char *fmt, ...) PRINTF(1, 2);

#endif
