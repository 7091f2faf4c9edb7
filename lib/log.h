/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Log lines. The text goes to one sink, set once by whoever owns the console; with no sink set,
 * lines are dropped. Each line is "skep: " + text + "\n"; the caller gives neither.
 */
#ifndef LIB_LOG_H
#define LIB_LOG_H

#include <stdarg.h>
#include "lib/types.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Receives one finished line, newline included; may be called from any CPU with interrupts off. */
typedef void (*log_sink_fn)(const char *line, size_t len);

void log_set_sink(log_sink_fn sink);
void log_set_level(enum log_level max);
bool log_enabled(enum log_level level);

void log_line(enum log_level level, const char *fmt, ...) PRINTF(2, 3);

/*
 * A line that is longer than log_line's 250 bytes and is already there: LOG_HEAD, then len bytes in
 * all, of a buffer of `size`, LOG_LONGEST at most. For levels that are enabled.
 */
#define LOG_HEAD    "skep: "
#define LOG_LONGEST 1024u
void log_text(char *line, size_t size, size_t len);

/* Said at every level: what a person waits for. */
#define log_always(...) log_line(LOG_ERROR, __VA_ARGS__)

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

/*
 * For lines that a guest can cause: lets through `burst` lines, then one per `period_ns`.
 * Returns whether to print; *dropped (may be NULL) is how many were swallowed before this one.
 */
struct log_limit {
    u64 next_ns;
    u32 used, dropped;
};
bool log_limit_ok(struct log_limit *l, u64 now_ns, u32 burst, u64 period_ns, u32 *dropped);

#endif
