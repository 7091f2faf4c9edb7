/* SPDX-License-Identifier: BSD-2-Clause */
/* A terminal of one line, as dumb as they come: what a person sees of what the editor writes. */
#ifndef TESTS_UNIT_TERMINAL_H
#define TESTS_UNIT_TERMINAL_H

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#define TERMINAL_COLUMNS 80

static struct {
    char row[TERMINAL_COLUMNS + 1];
    unsigned column;
    unsigned bells;
    char above[4096]; /* the rows that have scrolled up, a newline after each */
} terminal;

static inline void terminal_clear(void)
{
    memset(&terminal, 0, sizeof(terminal));
    memset(terminal.row, ' ', TERMINAL_COLUMNS);
}

/* The row without the blanks at its end. */
static inline const char *terminal_row(void)
{
    static char text[TERMINAL_COLUMNS + 1];
    size_t len = TERMINAL_COLUMNS;

    while (len && terminal.row[len - 1] == ' ')
        len--;
    memcpy(text, terminal.row, len);
    text[len] = '\0';
    return text;
}

static inline void terminal_newline(void)
{
    const char *row = terminal_row();

    if (strlen(terminal.above) + strlen(row) + 2 < sizeof(terminal.above)) {
        strcat(terminal.above, row);
        strcat(terminal.above, "\n");
    }
    memset(terminal.row, ' ', TERMINAL_COLUMNS);
    terminal.column = 0;
}

/* Nothing but what every terminal understands may come, and nothing may wrap. */
static inline void terminal_write(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (c == '\n') {
            terminal_newline();
        } else if (c == '\a') {
            terminal.bells++;
        } else if (c == '\b') {
            assert(terminal.column > 0);
            terminal.column--;
        } else {
            assert(c >= ' ' && c < 0x7f);
            assert(terminal.column < TERMINAL_COLUMNS - 1);
            terminal.row[terminal.column++] = c;
        }
    }
}

#endif
