/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes into the line editor: what it holds and what a terminal shows agree after each. */
#include <stdint.h>
#include <stdlib.h>
#include "monitor/line.h"
#include "tests/unit/terminal.h"

static const char *candidate(const char *text, unsigned word, unsigned i)
{
    static const char *const words[] = {"list", "last", "log", "help", "web", "webcam"};

    if (strlen(text) > LINE_MAX || word > strlen(text))
        abort();
    return i < 6 ? words[i] : NULL;
}

static const struct line_ops ops = {terminal_write, candidate};

static void check(const struct line *l)
{
    size_t prompt = strlen(LINE_PROMPT);

    if (l->len > LINE_MAX || l->cursor > l->len || strlen(l->text) != l->len ||
        l->from > l->cursor || l->cursor > l->from + LINE_COLUMNS ||
        terminal.column != prompt + l->cursor - l->from ||
        memcmp(terminal.row + prompt, l->text + l->from,
               MIN((size_t)l->len - l->from, (size_t)LINE_COLUMNS)) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct line l;

    terminal_clear();
    line_init(&l, &ops);
    line_show(&l);
    for (size_t i = 0; i < size; i++) {
        if (line_key(&l, data[i]) != LINE_EDITED) {
            line_clear(&l);
            line_show(&l);
        }
        check(&l);
    }
    return 0;
}
