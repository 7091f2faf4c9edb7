/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers: see out.h. */
#include "monitor/out.h"
#include "lib/print.h"
#include "lib/string.h"
#include "monitor/console.h"
#include "monitor/json.h"

static struct {
    bool json, later;
    struct json j;
    char error[320];
} answer;

static void open_answer(const char *command)
{
    answer.j.put = console_write;
    json_open(&answer.j, "", '{');
    json_string(&answer.j, "command", command, strlen(command));
}

/* The answer to `json` itself is JSON both ways. */
void out_set_json(bool on)
{
    answer.json = on;
    console_set_json(on);
    if (on && !answer.j.depth)
        open_answer("json");
}

bool out_json(void)
{
    return answer.json;
}

void out_begin(const char *command)
{
    console_hold(true);
    answer.later = false;
    answer.error[0] = '\0';
    if (answer.json)
        open_answer(command);
}

void out_end(void)
{
    if (!answer.j.depth) {
        console_hold(false);
        return;
    }
    if (answer.later) {
        answer.j.depth = 0;
        answer.j.comma = false;
        return;
    }
    json_close_to(&answer.j, 1);
    json_literal(&answer.j, "ok", answer.error[0] ? "false" : "true");
    if (answer.error[0])
        json_string(&answer.j, "error", answer.error, strlen(answer.error));
    json_close_to(&answer.j, 0);
    console_write("\n", 1);
    console_hold(false);
}

void out_replay(const char *name)
{
    if (!answer.json)
        return;
    json_close_to(&answer.j, 1);
    json_literal(&answer.j, name, "\"");
    answer.later = true;
}

void out_v(const char *names, const char *fmt, va_list ap)
{
    if (answer.json)
        json_say(&answer.j, names, fmt, ap);
    else
        console_vprint(fmt, ap);
}

void out(const char *names, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    out_v(names, fmt, ap);
    va_end(ap);
}

void out_data(const char *names, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    if (answer.json)
        json_say(&answer.j, names, fmt, ap);
    va_end(ap);
}

/* One sentence, formatted; a person gets it at once. */
static void sentence(char *text, size_t size, const char *fmt, va_list ap)
{
    fmt_vprint(text, size, fmt, ap);
    if (!answer.json)
        console_print("%s\n", text);
}

void out_error(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    sentence(answer.error, sizeof(answer.error), fmt, ap);
    va_end(ap);
}

void out_say(const char *fmt, ...)
{
    char text[200];
    va_list ap;

    va_start(ap, fmt);
    sentence(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (!answer.json)
        return;
    json_close_to(&answer.j, 1);
    json_string(&answer.j, "message", text, strlen(text));
}
