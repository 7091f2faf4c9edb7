/* SPDX-License-Identifier: BSD-2-Clause */
/* The line editor: see line.h. */
#include "monitor/line.h"
#include "lib/string.h"

#define CTRL(c)   ((c)&0x1f)
#define ESC       0x1b
#define DELETE    0x7f
#define BACKSPACE '\b'

static void put(const struct line *l, const char *text, size_t len)
{
    if (len)
        l->ops->write(text, len);
}

COLD static void repeat(const struct line *l, char c, unsigned n)
{
    while (n--)
        put(l, &c, 1);
}

static void beep(const struct line *l)
{
    put(l, "\a", 1);
}

void line_init(struct line *l, const struct line_ops *ops)
{
    memset(l, 0, sizeof(*l));
    l->ops = ops;
}

void line_clear(struct line *l)
{
    l->text[0] = '\0';
    l->len = l->cursor = l->back = l->escape = 0;
    l->from = l->shown = l->at = 0;
}

/* ---- the screen: text[from, from + shown) stands there, the terminal's cursor behind `at` of it
 */

static void go(struct line *l, unsigned to)
{
    if (to < l->at)
        repeat(l, BACKSPACE, l->at - to);
    else
        put(l, l->text + l->from + l->at, to - l->at);
    l->at = (u8)to;
}

/* Shows the line as it is now, of which the characters from `changed` on are not what they were. */
static void update(struct line *l, unsigned changed)
{
    unsigned from = l->from, n, blanks;

    if (l->cursor < from || l->cursor > from + LINE_COLUMNS) {
        from = l->cursor > LINE_COLUMNS / 2 ? l->cursor - LINE_COLUMNS / 2 : 0;
        changed = 0;
    }
    n = MIN(l->len - from, (unsigned)LINE_COLUMNS);
    changed = changed > from ? changed - from : 0;
    if (changed < MAX(n, (unsigned)l->shown)) {
        go(l, MIN(changed, (unsigned)l->at));
        l->from = (u8)from;
        go(l, n);
        blanks = l->shown > n ? l->shown - n : 0;
        repeat(l, ' ', blanks);
        repeat(l, BACKSPACE, blanks);
        l->shown = (u8)n;
    }
    go(l, l->cursor - from);
}

void line_show(struct line *l)
{
    put(l, LINE_PROMPT, sizeof(LINE_PROMPT) - 1);
    l->shown = l->at = 0;
    update(l, 0);
}

static void move(struct line *l, unsigned to)
{
    l->cursor = (u8)to;
    update(l, LINE_MAX);
}

/* Takes text[from, to) away; the cursor goes to from. */
static void erase(struct line *l, unsigned from, unsigned to)
{
    if (from == to)
        return;
    memmove(l->text + from, l->text + to, l->len - to + 1u);
    l->len = (u8)(l->len - (to - from));
    l->cursor = (u8)from;
    update(l, from);
}

static void insert(struct line *l, const char *text, unsigned n)
{
    unsigned at = l->cursor;

    if (n > LINE_MAX - (unsigned)l->len) {
        beep(l);
        return;
    }
    memmove(l->text + at + n, l->text + at, l->len - at + 1u);
    memcpy(l->text + at, text, n);
    l->len = (u8)(l->len + n);
    l->cursor = (u8)(at + n);
    update(l, at);
}

/* Where the word before the cursor starts, blanks after it included or not. */
static unsigned word_start(const struct line *l, bool skip_blanks)
{
    unsigned at = l->cursor;

    while (skip_blanks && at && l->text[at - 1] == ' ')
        at--;
    while (at && l->text[at - 1] != ' ')
        at--;
    return at;
}

static void replace(struct line *l, const char *text)
{
    erase(l, 0, l->len);
    insert(l, text, (unsigned)strlen(text));
}

/* Shows the line entered `back` lines ago; 0: the new one. */
static void recall(struct line *l, unsigned back)
{
    if (back > l->entered) {
        beep(l);
        return;
    }
    if (!l->back)
        memcpy(l->new_line, l->text, sizeof(l->text));
    l->back = (u8)back;
    replace(l, back ? l->history[back - 1] : l->new_line);
}

static void remember(struct line *l)
{
    if (!l->len || (l->entered && strcmp(l->history[0], l->text) == 0))
        return;
    memmove(l->history[1], l->history[0], sizeof(l->history) - sizeof(l->history[0]));
    memcpy(l->history[0], l->text, sizeof(l->text));
    l->entered = (u8)MIN(l->entered + 1u, (unsigned)LINE_HISTORY);
}

/* ---- completion ---- */

/* The next candidate from number *i on that begins as the word does; *i goes behind it. */
static const char *next_fit(const struct line *l, const char *text, unsigned word, unsigned *i)
{
    const char *c;

    while ((c = l->ops->candidate(text, word, (*i)++)) != NULL)
        if (strncmp(c, text + word, l->cursor - word) == 0)
            return c;
    return NULL;
}

static void show_fits(struct line *l, const char *text, unsigned word)
{
    const char *c;

    put(l, "\n", 1);
    for (unsigned i = 0; (c = next_fit(l, text, word, &i)) != NULL;) {
        put(l, "  ", 2);
        put(l, c, strlen(c));
    }
    put(l, "\n", 1);
    line_show(l);
}

static void complete(struct line *l)
{
    char text[LINE_MAX + 1];
    unsigned word = word_start(l, false), typed = l->cursor - word, i = 0, count = 1;

    memcpy(text, l->text, sizeof(text));
    text[l->cursor] = '\0';
    const char *first = next_fit(l, text, word, &i), *c;
    if (!first) {
        beep(l);
        return;
    }
    size_t common = strlen(first);
    for (; (c = next_fit(l, text, word, &i)) != NULL; count++) {
        size_t same = 0;
        while (same < common && c[same] == first[same])
            same++;
        common = same;
    }
    if (common > typed)
        insert(l, first + typed, (unsigned)common - typed);
    else if (count > 1)
        show_fits(l, text, word);
    if (count == 1 && l->text[l->cursor] != ' ')
        insert(l, " ", 1);
}

/* ---- keys ---- */

/* The byte that ends an escape sequence. */
static u8 key_of_sequence(u8 byte, u8 number)
{
    static const struct {
        u8 final, number, key;
    } map[] = {
        {'A', 0, CTRL('P')}, {'B', 0, CTRL('N')}, {'C', 0, CTRL('F')}, {'D', 0, CTRL('B')},
        {'H', 0, CTRL('A')}, {'F', 0, CTRL('E')}, {'~', 1, CTRL('A')}, {'~', 7, CTRL('A')},
        {'~', 4, CTRL('E')}, {'~', 8, CTRL('E')}, {'~', 3, CTRL('D')},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(map); i++)
        if (map[i].final == byte && (byte != '~' || map[i].number == number))
            return map[i].key;
    return 0;
}

/* Feeds an escape sequence; the key that it stands for, or 0. */
static u8 escape_key(struct line *l, u8 byte)
{
    if (l->escape == 1) {
        l->escape = byte == '[' || byte == 'O' ? 2 : byte == ESC ? 1 : 0;
        l->number = 0;
        return 0;
    }
    if (byte >= '0' && byte <= '9') {
        l->number = (u8)(l->number * 10 + byte - '0');
        return 0;
    }
    if (byte == ';')
        return 0;
    l->escape = byte == ESC ? 1 : 0;
    return key_of_sequence(byte, l->number);
}

/* Where a key takes the cursor, or up to where it deletes. */
enum target { START, END, LEFT, RIGHT, WORD };

static const struct {
    u8 key, target;
    bool erases;
} motions[] = {
    {CTRL('A'), START, false}, {CTRL('E'), END, false}, {CTRL('B'), LEFT, false},
    {CTRL('F'), RIGHT, false}, {CTRL('H'), LEFT, true}, {DELETE, LEFT, true},
    {CTRL('D'), RIGHT, true},  {CTRL('W'), WORD, true}, {CTRL('K'), END, true},
};

static unsigned target_of(const struct line *l, enum target target)
{
    switch (target) {
    case START:
        return 0;
    case END:
        return l->len;
    case LEFT:
        return l->cursor - (l->cursor != 0);
    case RIGHT:
        return l->cursor + (l->cursor != l->len);
    default:
        return word_start(l, true);
    }
}

/* Whether the key moves the cursor, or deletes up to where it would. */
static bool motion(struct line *l, u8 key)
{
    for (unsigned i = 0; i < ARRAY_SIZE(motions); i++) {
        if (motions[i].key != key)
            continue;
        unsigned to = target_of(l, motions[i].target), at = l->cursor;
        if (motions[i].erases)
            erase(l, MIN(at, to), MAX(at, to));
        else
            move(l, to);
        return true;
    }
    return false;
}

static void edit(struct line *l, u8 key)
{
    switch (key) {
    case CTRL('U'):
        erase(l, 0, l->len);
        break;
    case CTRL('P'):
        recall(l, l->back + 1u);
        break;
    case CTRL('N'):
        if (l->back)
            recall(l, l->back - 1u);
        break;
    case CTRL('L'):
        put(l, "\n", 1);
        line_show(l);
        break;
    case '\t':
        complete(l);
        break;
    default:
        if (key >= ' ' && key < DELETE)
            insert(l, (const char *)&key, 1);
        break;
    }
}

enum line_result line_key(struct line *l, u8 byte)
{
    bool after_cr = l->was_cr;

    l->was_cr = byte == '\r';
    if (l->escape && byte >= ' ') {
        byte = escape_key(l, byte);
    } else if (byte == ESC) {
        l->escape = 1;
        byte = 0;
    } else {
        l->escape = 0;
    }
    if (byte == '\n' && after_cr)
        return LINE_EDITED;
    if (byte == '\r' || byte == '\n') {
        put(l, "\n", 1);
        remember(l);
        return LINE_ENTERED;
    }
    if (byte == CTRL('C')) {
        put(l, "\n", 1);
        return LINE_DROPPED;
    }
    if (!motion(l, byte))
        edit(l, byte);
    return LINE_EDITED;
}
