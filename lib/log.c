/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Log lines. The only state here is where they go and how much is wanted; both are set while
 * starting.
 */
#include "lib/log.h"
#include "lib/print.h"
#include "lib/string.h"

#define LINE_MAX 256

static log_sink_fn log_sink;
static enum log_level log_max = LOG_INFO;

void log_set_sink(log_sink_fn sink)
{
    log_sink = sink;
}

void log_set_level(enum log_level max)
{
    log_max = max;
}

bool log_enabled(enum log_level level)
{
    return log_sink && level <= log_max;
}

/* Bytes that a terminal would act on must not get there from a guest's or a module's name. */
static void make_printable(char *s)
{
    for (; *s; s++)
        if ((u8)*s < ' ' || *s == 0x7f)
            *s = '.';
}

void log_text(char *line, size_t size, size_t len)
{
    len = MIN(len, size - 2); /* a longer line is cut off */
    line[len] = 0;
    make_printable(line);
    line[len++] = '\n';
    log_sink(line, len);
}

void log_line(enum log_level level, const char *fmt, ...)
{
    char line[LINE_MAX];
    size_t len = sizeof(LOG_HEAD) - 1;
    va_list ap;

    if (!log_enabled(level))
        return;
    memcpy(line, LOG_HEAD, len);
    va_start(ap, fmt);
    len += (size_t)fmt_vprint(line + len, sizeof(line) - 1 - len, fmt, ap);
    va_end(ap);
    log_text(line, sizeof(line), len);
}

bool log_limit_ok(struct log_limit *l, u64 now_ns, u32 burst, u64 period_ns, u32 *dropped)
{
    bool ok = l->used < burst || now_ns >= l->next_ns;

    if (dropped)
        *dropped = ok ? l->dropped : 0;
    if (!ok) {
        l->dropped += l->dropped < UINT32_MAX;
        return false;
    }
    l->used += l->used < UINT32_MAX;
    l->dropped = 0;
    l->next_ns = now_ns + period_ns;
    return true;
}
