/* SPDX-License-Identifier: BSD-2-Clause */
/* The console switch: see console.h. */
#include "monitor/console.h"
#include "arch/x86_64/clock.h"
#include "arch/x86_64/timer.h"
#include "drivers/uart/uart.h"
#include "lib/lock.h"
#include "lib/print.h"
#include "lib/string.h"
#include "mm/kmem.h"
#include "vmm/sched.h"
#include "vmm/vm.h"

#define INPUT_RING 131072u    /* a paste of 100 KB fits */
#define RETRY_NS   2000000ull /* when the serial line was full */
#define CHUNK      256u

/* A VM's output that has not been shown yet. Free-running indices. */
struct output {
    u32 head, tail;
    u32 dropped;
    u8 ring[CONSOLE_RING];
};

static struct {
    struct spinlock lock; /* guards everything but `input` and `pending` */
    struct vm *focus;     /* NULL: the monitor */
    u8 escape;
    bool mid_line; /* the cursor is not at the start of a line */
    void (*to_monitor)(u8 byte);
    struct timer retry; /* boot CPU */
} console;

/* Keyboard bytes between the interrupt and the loop, both on the boot CPU. */
static struct {
    u32 head, tail;
    u32 dropped;
    u8 *ring; /* INPUT_RING bytes */
} input;

/* ---- output; all under the lock ---- */

static void show(const void *text, size_t len)
{
    if (!len)
        return;
    uart_write(text, len);
    console.mid_line = ((const u8 *)text)[len - 1] != '\n';
}

/* skep's own text: lines end as a terminal wants them, and nothing is lost. */
static void say(const char *text, size_t len)
{
    if (!len)
        return;
    uart_write_text(text, len);
    console.mid_line = text[len - 1] != '\n';
}

static void keep(struct output *o, const u8 *bytes, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (o->head - o->tail == CONSOLE_RING) {
            o->tail++;
            o->dropped++;
        }
        o->ring[o->head++ % CONSOLE_RING] = bytes[i];
    }
}

/* Shows what is kept as far as the serial line takes it. Returns whether that was all. */
static bool pump(struct output *o)
{
    if (o->dropped) {
        char mark[64];
        int len = fmt_print(mark, sizeof(mark), "\n[%u bytes not shown]\n", o->dropped);
        o->dropped = 0;
        say(mark, (size_t)len);
    }
    while (o->head != o->tail) {
        u32 at = o->tail % CONSOLE_RING;
        size_t n = MIN(o->head - o->tail, CONSOLE_RING - at);
        n = MIN(n, uart_room() / 2); /* "\n" may become two bytes */
        if (n == 0)
            return false;
        show(o->ring + at, n);
        o->tail += (u32)n;
    }
    return true;
}

static struct output *output_of(struct vm *vm)
{
    if (!vm->console)
        vm->console = kmem_alloc(sizeof(struct output));
    return vm->console;
}

void console_vm_out(struct vm *vm, const u8 *bytes, unsigned n)
{
    bool later = false;

    spin_lock(&console.lock);
    struct output *o = vm->console;
    bool waiting = o && o->head != o->tail;
    if (vm == console.focus && !waiting && uart_room() >= 2 * (size_t)n) {
        show(bytes, n);
    } else if ((o = output_of(vm)) != NULL) {
        keep(o, bytes, n);
        later = vm == console.focus && !pump(o);
    }
    spin_unlock(&console.lock);
    if (later && !waiting)
        sched_poke();
}

void console_write(const char *text, size_t len)
{
    spin_lock(&console.lock);
    say(text, len);
    spin_unlock(&console.lock);
}

void console_print(const char *fmt, ...)
{
    char line[256];
    va_list ap;

    va_start(ap, fmt);
    int len = fmt_vprint(line, sizeof(line), fmt, ap);
    va_end(ap);
    console_write(line, MIN((size_t)len, sizeof(line) - 1));
}

void console_log(const char *line, size_t len)
{
    spin_lock(&console.lock);
    if (console.mid_line)
        say("\n", 1);
    say(line, len);
    spin_unlock(&console.lock);
}

/* ---- focus ---- */

void console_focus(struct vm *vm)
{
    spin_lock(&console.lock);
    console.focus = vm;
    spin_unlock(&console.lock);
    sched_poke();
}

struct vm *console_focused(void)
{
    return __atomic_load_n(&console.focus, __ATOMIC_RELAXED);
}

void console_forget(struct vm *vm)
{
    spin_lock(&console.lock);
    struct output *o = vm->console;
    vm->console = NULL;
    if (o && console.focus == vm)
        pump(o);
    if (console.focus == vm)
        console.focus = NULL;
    spin_unlock(&console.lock);
    kmem_free(o, sizeof(*o));
}

/* ---- input ---- */

void console_receive(const u8 *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (input.head - input.tail == INPUT_RING)
            input.dropped++;
        else
            input.ring[input.head++ % INPUT_RING] = bytes[i];
    }
    sched_poke();
}

void console_vm_room(struct vm *vm)
{
    if (vm == console_focused() && input.head != input.tail)
        sched_poke();
}

/* Bytes from `at` that lie together in the ring and come before an escape. */
static u32 run_length(u32 at)
{
    u32 n = 0, most = MIN(input.head - at, INPUT_RING - at % INPUT_RING);

    while (n < most && input.ring[(at + n) % INPUT_RING] != console.escape)
        n++;
    return n;
}

static void switch_focus(void)
{
    struct vm *next = NULL;

    if (!console_focused())
        for (unsigned i = 0; i < ARRAY_SIZE(vms) && !next; i++)
            if (vms[i] && vms[i]->state == VM_RUNNING)
                next = vms[i];
    console_focus(next);
    console.to_monitor(0);
}

/* Hands input to whoever has the focus, until it is used up or not wanted for now. */
static void deliver_input(void)
{
    while (input.head != input.tail) {
        u8 first = input.ring[input.tail % INPUT_RING];
        struct vm *vm = console_focused();
        if (first == console.escape) {
            input.tail++;
            switch_focus();
        } else if (!vm) {
            input.tail++;
            console.to_monitor(first);
        } else {
            u32 n = MIN(run_length(input.tail), CHUNK);
            u32 taken = board_console_input(&vm->board, &input.ring[input.tail % INPUT_RING], n);
            input.tail += taken;
            if (taken < n)
                return;
        }
    }
}

static void retry(struct timer *t)
{
    (void)t;
    sched_poke();
}

void console_poll(void)
{
    bool done = true;

    deliver_input();
    spin_lock(&console.lock);
    if (console.focus && console.focus->console)
        done = pump(console.focus->console);
    spin_unlock(&console.lock);
    if (!done)
        timer_arm(&console.retry, clock_ns() + RETRY_NS);
}

void console_init(u8 escape, void (*to_monitor)(u8 byte))
{
    console.escape = escape;
    console.to_monitor = to_monitor;
    console.retry.fn = retry;
    input.ring = kmem_alloc(INPUT_RING);
    if (input.ring)
        uart_set_receiver(console_receive);
    else
        log_warn("no memory for the keyboard");
}
