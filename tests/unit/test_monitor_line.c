/* SPDX-License-Identifier: BSD-2-Clause */
/* The line editor, seen through a dumb terminal, and against a slow model at random. */
#include <stdlib.h>
#include "monitor/line.h"
#include "tests/unit/terminal.h"
#include "tests/unit/unit.h"

static const char *const words[] = {"list", "last", "log", "help", NULL};
static const char *const names[] = {"web", "webcam", NULL};

static const char *candidate(const char *text, unsigned word, unsigned i)
{
    assert_int_equal(text[strlen(text)], 0);
    return word ? names[i] : words[i];
}

static const struct line_ops ops = {terminal_write, candidate};
static struct line l;

static int setup(void **state)
{
    (void)state;
    terminal_clear();
    line_init(&l, &ops);
    line_show(&l);
    return 0;
}

static enum line_result type(const char *keys)
{
    enum line_result r = LINE_EDITED;

    for (; *keys; keys++)
        r = line_key(&l, (unsigned char)*keys);
    return r;
}

/* What is edited is `text`, the cursor before its character `at`, and the terminal shows that. */
static void expect(const char *text, unsigned at)
{
    char row[128] = LINE_PROMPT;

    assert_string_equal(l.text, text);
    assert_int_equal(l.cursor, at);
    assert_true(l.from <= at && at <= l.from + (unsigned)LINE_COLUMNS);
    assert_int_equal(terminal.column, strlen(LINE_PROMPT) + at - l.from);
    strncat(row, text + l.from, LINE_COLUMNS);
    size_t len = strlen(row);
    while (len && row[len - 1] == ' ')
        row[--len] = '\0';
    assert_string_equal(terminal_row(), row);
}

static void enter(const char *text)
{
    type(text);
    assert_int_equal(type("\r"), LINE_ENTERED);
    line_clear(&l);
    line_show(&l);
}

static void test_typing(void **state)
{
    (void)state;
    type("list web");
    expect("list web", 8);
    assert_int_equal(type("\r"), LINE_ENTERED);
    assert_string_equal(l.text, "list web");
    assert_string_equal(terminal.above, "skep> list web\n");
}

static void test_newline_after_return_is_one(void **state)
{
    (void)state;
    enter("a");
    assert_int_equal(type("\n"), LINE_EDITED);
    assert_int_equal(type("b\n"), LINE_ENTERED);
}

static void test_moves(void **state)
{
    (void)state;
    type("abcdef\x02\x02");
    expect("abcdef", 4);
    type("X");
    expect("abcdXef", 5);
    type("\x01Y\x05Z");
    expect("YabcdXefZ", 9);
    type("\x1b[D\x1b[D\x1b[C-");
    expect("YabcdXef-Z", 9);
    type("\x1b[H\x1b[3~");
    expect("abcdXef-Z", 0);
    type("\x1bOF\x1b[1~\x1b[4~");
    expect("abcdXef-Z", 9);
    type("\x06\x06"); /* at the end already */
    expect("abcdXef-Z", 9);
}

static void test_deletes(void **state)
{
    (void)state;
    type("one two  three");
    type("\x7f\b");
    expect("one two  thr", 12);
    type("\x17");
    expect("one two  ", 9);
    type("\x17");
    expect("one ", 4);
    type("two three\x02\x02\x02\x02\x02\x0b");
    expect("one two ", 8);
    type("\x01\x04\x04");
    expect("e two ", 0);
    type("\x15");
    expect("", 0);
    type("\x7f\x04\x17\x0b\x15"); /* nothing is there */
    expect("", 0);
}

static void test_history(void **state)
{
    (void)state;
    enter("first");
    enter("second");
    enter("second"); /* the same again counts once */
    enter("");
    type("new");
    type("\x1b[A");
    expect("second", 6);
    type("\x10");
    expect("first", 5);
    unsigned bells = terminal.bells;
    type("\x10");
    expect("first", 5);
    assert_int_equal(terminal.bells, bells + 1);
    type("\x1b[B\x0e");
    expect("new", 3);
    type("\x0e");
    expect("new", 3);
}

static void test_history_is_bounded(void **state)
{
    (void)state;
    char text[3] = "a0";

    for (unsigned i = 0; i < 40; i++) {
        text[0] = (char)('a' + i % 26);
        text[1] = (char)('0' + i / 26);
        enter(text);
    }
    for (unsigned i = 0; i < LINE_HISTORY; i++)
        type("\x10");
    expect("y0", 2); /* the 16th from the end: number 24 */
    type("\x10");
    expect("y0", 2);
}

static void test_completion(void **state)
{
    (void)state;
    type("h\t");
    expect("help ", 5);
    type("\x15l\t"); /* list, last, log: nothing in common */
    assert_string_equal(terminal.above, "skep> l\n  list  last  log\n");
    expect("l", 1);
    type("a\tw\t"); /* web, webcam */
    expect("last web", 8);
    type("\t");
    expect("last web", 8);
    assert_has(terminal.above, "  web  webcam\n");
    type("c\t");
    expect("last webcam ", 12);
    unsigned bells = terminal.bells;
    type("zz\t");
    assert_int_equal(terminal.bells, bells + 1);
}

static void test_completion_inside(void **state)
{
    (void)state;
    type("h web\x01\x06\t");
    expect("help web", 4);
}

static void test_full_line(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 300; i++)
        type("x");
    assert_int_equal(l.len, LINE_MAX);
    assert_int_equal(terminal.bells, 300 - LINE_MAX);
    type("\x01\x04y");
    assert_int_equal(l.len, LINE_MAX);
    assert_int_equal(l.text[0], 'y');
}

/* A line that is wider than the screen: the part around the cursor is to be seen. */
static void test_wide_line(void **state)
{
    char text[101];

    (void)state;
    for (unsigned i = 0; i < 100; i++)
        text[i] = (char)('!' + i % 90);
    text[100] = '\0';
    type(text);
    expect(text, 100);
    assert_true(l.from > 0);
    type("\x01");
    expect(text, 0);
    assert_int_equal(l.from, 0);
    type("\x05\x7f\x7f");
    text[98] = '\0';
    expect(text, 98);
    type("\x0c");
    expect(text, 98);
    type("\x15");
    expect("", 0);
}

static void test_drop_and_again(void **state)
{
    (void)state;
    type("abc\x0c");
    expect("abc", 3);
    assert_string_equal(terminal.above, "skep> abc\n");
    assert_int_equal(type("\x03"), LINE_DROPPED);
    line_clear(&l);
    type("\x10"); /* it is not remembered */
    assert_int_equal(l.len, 0);
}

static void test_strange_bytes(void **state)
{
    (void)state;
    type("a\x1b[99;99~\x1b[Zb\x1bxc\x1b\x1b[Cd\x80\xff\xc3\xa4\x1c");
    expect("abcd", 4);
    type("\x1b[\re"); /* a sequence that is broken off */
    assert_string_equal(terminal.above, "skep> abcd\n");
}

/* ---- at random: the same edits on a plain string ---- */

static char model[LINE_MAX + 1];
static unsigned at;

static void model_cut(unsigned from, unsigned to)
{
    memmove(model + from, model + to, strlen(model + to) + 1);
    at = from;
}

static void model_key(unsigned char k)
{
    unsigned len = (unsigned)strlen(model), from = at;

    switch (k) {
    case 1:
        at = 0;
        break;
    case 5:
        at = len;
        break;
    case 2:
        at -= at > 0;
        break;
    case 6:
        at += at < len;
        break;
    case 8:
        if (at)
            model_cut(at - 1, at);
        break;
    case 4:
        if (at < len)
            model_cut(at, at + 1);
        break;
    case 11:
        model[at] = '\0';
        break;
    case 21:
        model_cut(0, len);
        break;
    case 23:
        while (from && model[from - 1] == ' ')
            from--;
        while (from && model[from - 1] != ' ')
            from--;
        model_cut(from, at);
        break;
    default:
        if (len == LINE_MAX)
            break;
        memmove(model + at + 1, model + at, len - at + 1);
        model[at++] = (char)k;
    }
}

static void test_at_random(void **state)
{
    static const unsigned char keys[] = {1,   2,   2,   2,   4,   5,   6,   6,   8,
                                         11,  21,  23,  ' ', ' ', 'a', 'b', 'c', 'd',
                                         'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm'};

    (void)state;
    srand(1);
    for (unsigned i = 0; i < 200000; i++) {
        unsigned char k = keys[(unsigned)rand() % sizeof(keys)];
        if ((k == 21 || k == 11 || k == 23) && rand() % 16)
            k = 'x';
        model_key(k);
        line_key(&l, k);
        expect(model, at);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_typing, setup),
        cmocka_unit_test_setup(test_newline_after_return_is_one, setup),
        cmocka_unit_test_setup(test_moves, setup),
        cmocka_unit_test_setup(test_deletes, setup),
        cmocka_unit_test_setup(test_history, setup),
        cmocka_unit_test_setup(test_history_is_bounded, setup),
        cmocka_unit_test_setup(test_completion, setup),
        cmocka_unit_test_setup(test_completion_inside, setup),
        cmocka_unit_test_setup(test_full_line, setup),
        cmocka_unit_test_setup(test_wide_line, setup),
        cmocka_unit_test_setup(test_drop_and_again, setup),
        cmocka_unit_test_setup(test_strange_bytes, setup),
        cmocka_unit_test_setup(test_at_random, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
