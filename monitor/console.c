/* SPDX-License-Identifier: BSD-2-Clause */
/* The console switch: see console.h. */
#include "monitor/console.h"
#include "arch/x86_64/clock.h"
#include "arch/x86_64/timer.h"
#include "drivers/uart/uart.h"
#include "lib/lock.h"
#include "lib/log.h"
#include "lib/print.h"
#include "lib/string.h"
#include "mm/kmem.h"
#include "monitor/json.h"
#include "monitor/keyboard.h"
#include "vmm/sched.h"
#include "vmm/vm.h"

#define RETRY_NS 2000000ull /* when the serial line was full */
#define MIX_LINE 200u       /* a longer line of another VM is shown in parts */
#define LINES    8192u      /* log lines that wait for a VM's output to be shown */

/* A VM's output: the last bytes of [0, head); those before `shown` need no more showing. */
struct output {
    u64 head, shown;
    u32 dropped;
    u8 ring[CONSOLE_RING];
};

/* A log line that belongs behind byte `at` of the focus's output; `len` bytes follow. */
struct waiting_line {
    u64 at;
    u32 len;
};

static struct {
    struct spinlock lock;               /* guards everything but `show_prompt` */
    struct vm *focus;                   /* NULL: the monitor */
    struct output *out[CONFIG_MAX_VMS]; /* made at the first byte, and kept */
    struct output *replay;              /* being shown again, from replay_at to replay_end */
    u64 replay_at, replay_end;
    bool mid_line;  /* the cursor is not at the start of a line */
    bool at_prompt; /* the monitor has the focus, and has shown so */
    bool prompt;    /* something was said over its prompt */
    bool hold;      /* an answer is being written */
    bool json;      /* the monitor speaks to a program */
    bool mix;       /* whole lines of the others are shown too */
    void (*show_prompt)(void);
    struct timer retry; /* boot CPU */
    u32 lines_head, lines_tail;
    u8 lines[LINES]; /* struct waiting_line and text, one after the other */
} console;

/* ---- output; all under the lock ---- */

/* skep's own text: lines end as a terminal wants them. */
static void say(const char *text, size_t len)
{
    if (!len)
        return;
    uart_write_text(text, len);
    console.mid_line = text[len - 1] != '\n';
}

static void say_log_object(const char *line, size_t len)
{
    struct json j = {.put = say};
    size_t head = sizeof(LOG_HEAD) - 1, end = len - (line[len - 1] == '\n');

    json_open(&j, "", '{');
    json_string(&j, "log", line + head, end > head ? end - head : 0);
    json_close_to(&j, 0);
    say("\n", 1);
}

static void say_line(const char *line, size_t len)
{
    if (console.mid_line)
        say("\n", 1);
    if (console.json && !console.focus)
        say_log_object(line, len);
    else
        say(line, len);
    console.prompt = console.at_prompt;
}

static void lines_copy(u32 at, void *buf, u32 len, bool in)
{
    for (u32 i = 0; i < len; i++)
        if (in)
            console.lines[(at + i) % LINES] = ((u8 *)buf)[i];
        else
            ((u8 *)buf)[i] = console.lines[(at + i) % LINES];
}

static bool oldest_line(struct waiting_line *w)
{
    if (console.lines_head == console.lines_tail)
        return false;
    lines_copy(console.lines_tail, w, sizeof(*w), false);
    return true;
}

static void say_oldest(const struct waiting_line *w)
{
    static char text[LOG_LONGEST];

    lines_copy(console.lines_tail + (u32)sizeof(*w), text, w->len, false);
    console.lines_tail += (u32)sizeof(*w) + w->len;
    say_line(text, w->len);
}

static void say_waiting_lines(void)
{
    struct waiting_line w;

    while (oldest_line(&w))
        say_oldest(&w);
}

static void line_waits(u64 at, const char *line, size_t len)
{
    struct waiting_line w = {at, (u32)len}, first;
    u32 size = (u32)(sizeof(w) + len);

    while (LINES - (console.lines_head - console.lines_tail) < size && oldest_line(&first))
        if (console.hold) /* nothing may come into an answer */
            console.lines_tail += (u32)sizeof(first) + first.len;
        else
            say_oldest(&first);
    lines_copy(console.lines_head, &w, sizeof(w), true);
    lines_copy(console.lines_head + (u32)sizeof(w), (void *)line, (u32)len, true);
    console.lines_head += size;
}

static void keep(struct output *o, u8 byte)
{
    o->ring[o->head++ % CONSOLE_RING] = byte;
    if (o->head - o->shown > CONSOLE_RING) {
        o->dropped++;
        o->shown++;
    }
}

/* Shows a VM's output from *at to end, as far as the line takes it; whether that was all. */
static bool show(const struct output *o, u64 *at, u64 end)
{
    while (*at < end) {
        u32 from = *at % CONSOLE_RING;
        size_t n = uart_write((const char *)o->ring + from, MIN(end - *at, CONSOLE_RING - from));
        if (n == 0)
            return false;
        *at += n;
        console.mid_line = o->ring[(*at - 1) % CONSOLE_RING] != '\n';
    }
    return true;
}

/* Once what follows can be shown: a guest that does not wait for its UART loses bytes one by one.
 */
static void say_dropped(struct output *o)
{
    char mark[64];

    if (!o->dropped || !uart_room())
        return;
    say_line(mark, (size_t)fmt_print(mark, sizeof(mark), "[%u bytes not shown]\n", o->dropped));
    o->dropped = 0;
}

/* The focus's output, and the log lines in between. Returns whether all of it is shown. */
static bool pump(struct output *o)
{
    struct waiting_line w;

    say_dropped(o);
    for (;;) {
        bool line = oldest_line(&w);
        if (!show(o, &o->shown, line ? MIN(w.at, o->head) : o->head))
            return false;
        if (!line)
            return true;
        say_oldest(&w);
    }
}

static struct output *focus_output(void)
{
    return console.focus ? console.out[console.focus->index] : NULL;
}

bool console_behind(void)
{
    struct output *o = focus_output();

    return o && (o->shown != o->head || console.lines_head != console.lines_tail);
}

/* A guest in focus that is far ahead of the line prints no faster than the line from there on. */
u32 console_vm_out(struct vm *vm, u8 byte)
{
    bool later = false, full = false;

    spin_lock(&console.lock);
    struct output **o = &console.out[vm->index];
    if (!*o)
        *o = kmem_alloc(sizeof(**o));
    if (*o) {
        bool waiting = (*o)->shown != (*o)->head;
        keep(*o, byte);
        later = vm == console.focus ? !pump(*o) && !waiting : console.mix && byte == '\n';
        full = vm == console.focus && (*o)->head - (*o)->shown > CONSOLE_RING / 2;
    }
    spin_unlock(&console.lock);
    if (later)
        sched_poke();
    return full ? uart_byte_ns() : 0;
}

void console_write(const char *text, size_t len)
{
    spin_lock(&console.lock);
    say(text, len);
    spin_unlock(&console.lock);
}

void console_vprint(const char *fmt, va_list ap)
{
    char line[340];
    int len = fmt_vprint(line, sizeof(line), fmt, ap);

    console_write(line, MIN((size_t)len, sizeof(line) - 1));
}

void console_print(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    console_vprint(fmt, ap);
    va_end(ap);
}

static void release(void)
{
    console.hold = false;
    say_waiting_lines();
}

void console_hold(bool on)
{
    spin_lock(&console.lock);
    if (on)
        console.hold = true;
    else
        release();
    spin_unlock(&console.lock);
}

void console_set_json(bool on)
{
    console.json = on;
}

void console_log(const char *line, size_t len)
{
    spin_lock(&console.lock);
    struct output *o = focus_output();
    if (console.hold || console_behind())
        line_waits(o ? o->head : 0, line, len);
    else
        say_line(line, len);
    bool poke = console.prompt;
    spin_unlock(&console.lock);
    if (poke)
        sched_poke();
}

void console_fresh_line(void)
{
    spin_lock(&console.lock);
    if (console.mid_line)
        say("\n", 1);
    spin_unlock(&console.lock);
}

void console_prompt(void)
{
    spin_lock(&console.lock);
    console.prompt = false;
    if (console.mid_line)
        say("\n", 1);
    spin_unlock(&console.lock);
    console.show_prompt();
}

/* ---- focus ---- */

void console_focus(struct vm *vm)
{
    spin_lock(&console.lock);
    if (vm != console.focus)
        say_waiting_lines();
    console.focus = vm;
    console.at_prompt = !vm;
    console.prompt = false;
    spin_unlock(&console.lock);
    keyboard_focus(vm);
    sched_poke();
}

struct vm *console_focused(void)
{
    return console.focus;
}

void console_renew(struct vm *vm)
{
    spin_lock(&console.lock);
    struct output *o = console.out[vm->index];
    if (o && vm != console.focus) {
        o->shown = o->head;
        o->dropped = 0;
    }
    spin_unlock(&console.lock);
}

void console_forget(struct vm *vm)
{
    spin_lock(&console.lock);
    struct output *o = console.out[vm->index];
    console.out[vm->index] = NULL;
    if (console.replay == o)
        console.replay = NULL;
    spin_unlock(&console.lock);
    kmem_free(o, sizeof(*o));
}

/* ---- the log of a VM ---- */

/* Where the last `lines` lines of what is kept begin. */
static u64 lines_back(const struct output *o, u32 lines)
{
    u64 start = o->head > CONSOLE_RING ? o->head - CONSOLE_RING : 0, at = o->head;

    if (!lines)
        return start;
    for (; at > start; at--)
        if (o->ring[(at - 1) % CONSOLE_RING] == '\n' && at != o->head && --lines == 0)
            break;
    return at;
}

bool console_replay(unsigned i, u32 lines)
{
    spin_lock(&console.lock);
    struct output *o = console.out[i];
    bool any = o && o->head;
    if (any) {
        console.replay = o;
        console.replay_at = lines_back(o, lines);
        console.replay_end = o->head;
    }
    spin_unlock(&console.lock);
    sched_poke();
    return any;
}

bool console_replaying(void)
{
    return console.replay != NULL;
}

/* The same as show(), as the inside of a JSON string; and behind it the end of the answer. */
static bool show_json(const struct output *o, u64 *at, u64 end)
{
    while (*at < end) {
        char c[JSON_CHAR];
        u8 next[4];
        unsigned taken, n = (unsigned)MIN(end - *at, sizeof(next));
        for (unsigned i = 0; i < n; i++)
            next[i] = o->ring[(*at + i) % CONSOLE_RING];
        n = json_char(next, n, c, &taken);
        if (uart_room() < n)
            return false;
        uart_write(c, n);
        *at += taken;
    }
    say("\",\"ok\":true}\n", 13);
    release();
    return true;
}

/* Under the lock. Output that was overwritten meanwhile is passed over. */
COLD static bool pump_replay(void)
{
    struct output *o = console.replay;

    if (o->head > console.replay_at + CONSOLE_RING)
        console.replay_at = o->head - CONSOLE_RING;
    if (!(console.json ? show_json : show)(o, &console.replay_at, console.replay_end))
        return false;
    console.replay = NULL;
    console.prompt = true;
    return true;
}

void console_end_replay(void)
{
    console.replay_at = console.replay_end;
}

/* ---- lines of others ---- */

/* What of [shown, head) makes a line, newline and all; 0: it has not ended yet. */
static u32 whole_line(const struct output *o)
{
    u32 n = 0, most = (u32)MIN(o->head - o->shown, (u64)MIX_LINE);

    while (n < most)
        if (o->ring[(o->shown + n++) % CONSOLE_RING] == '\n')
            return n;
    return most == MIX_LINE ? most : 0;
}

/* Shows a line of a VM that has not the focus, with its name. Returns whether the line took it. */
static bool show_mixed(struct output *o, unsigned i, u32 len)
{
    char text[MIX_LINE + CONFIG_NAME_SIZE + 16];

    if (uart_room() < sizeof(text))
        return false;
    u32 n = (u32)fmt_print(text, sizeof(text), "\x1b[%um%s|\x1b[0m ", 31 + i % 6, vms[i]->name);
    for (; len; len--, o->shown++) {
        char c = (char)o->ring[o->shown % CONSOLE_RING];
        if (c != '\r' && c != '\n')
            text[n++] = c;
    }
    text[n++] = '\n';
    say_line(text, n);
    return true;
}

/* Returns whether all whole lines are shown. */
COLD static bool pump_mixed(void)
{
    if (!console.mix || console.json || console.hold)
        return true;
    for (unsigned i = 0; i < CONFIG_MAX_VMS; i++) {
        struct output *o = console.out[i];
        u32 len;
        if (!o || !vms[i] || vms[i] == console.focus)
            continue;
        say_dropped(o);
        while ((len = whole_line(o)) != 0)
            if (!show_mixed(o, i, len))
                return false;
    }
    return true;
}

bool console_mix(void)
{
    console.mix = !console.mix;
    sched_poke();
    return console.mix;
}

static void retry(struct timer *t)
{
    (void)t;
    uart_poll();
    sched_poke();
}

void console_poll(void)
{
    bool done = true, prompt;
    struct output *o;

    keyboard_poll();
    spin_lock(&console.lock);
    if (console.replay)
        done = pump_replay();
    else if ((o = focus_output()) != NULL)
        done = pump(o);
    done = pump_mixed() && done;
    prompt = console.prompt && !console.focus && !console.replay;
    spin_unlock(&console.lock);
    if (prompt)
        console_prompt();
    if (!done || uart_busy())
        timer_arm(&console.retry, clock_ns() + RETRY_NS);
}

void console_init(void (*show_prompt)(void))
{
    console.show_prompt = show_prompt;
    console.retry.fn = retry;
}
