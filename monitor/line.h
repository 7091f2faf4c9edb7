/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The line editor: bytes of a keyboard in, an edited line out. Pure: what it writes and what can be
 * completed goes through the functions it is given. Only printable characters, backspace, carriage
 * return, newline and bell are written, so any terminal will do; a line with its prompt stays
 * within 80 columns, so nothing wraps.
 *
 *   Left Right Home End, ^B ^F ^A ^E   move          Backspace ^H, Del ^D   delete one character
 *   ^W ^K ^U   delete the word before, to the end, the whole line      ^C   give the line up
 *   Up Down, ^P ^N   lines entered before            Tab   complete the word, or show what fits
 *   ^L   write the line again
 */
#ifndef MONITOR_LINE_H
#define MONITOR_LINE_H

#include "lib/types.h"

#define LINE_PROMPT  "skep> "
#define LINE_MAX     240 /* characters */
#define LINE_COLUMNS 72  /* of them shown at once */
#define LINE_HISTORY 16

struct line_ops {
    void (*write)(const char *text, size_t len);
    /*
     * Candidate number i (from 0) for the word that starts at text[word], whatever has been typed
     * of it; NULL: there are no more. text is terminated where the cursor is.
     */
    const char *(*candidate)(const char *text, unsigned word, unsigned i);
};

struct line {
    const struct line_ops *ops;
    char text[LINE_MAX + 1]; /* terminated */
    u8 len, cursor;
    u8 from, shown, at; /* what is on the screen: see line.c */
    u8 escape;          /* bytes of an escape sequence so far: 0, 1: ESC, 2: ESC [ or ESC O */
    u8 number;          /* its number */
    bool was_cr;        /* a newline that follows belongs to it */
    u8 entered;         /* lines in history */
    u8 back;            /* how far back the line shown comes from; 0: it is new */
    char history[LINE_HISTORY][LINE_MAX + 1]; /* newest first */
    char new_line[LINE_MAX + 1];              /* while an old one is shown */
};

enum line_result {
    LINE_EDITED,  /* still being edited */
    LINE_ENTERED, /* text is complete; line_clear before the next byte */
    LINE_DROPPED, /* ^C: likewise, and text does not count */
};

void line_init(struct line *l, const struct line_ops *ops);
/* An empty line; what has been entered before stays. */
void line_clear(struct line *l);
/* Writes prompt and line, the cursor being at the start of a line. */
void line_show(struct line *l);
enum line_result line_key(struct line *l, u8 byte);

#endif
