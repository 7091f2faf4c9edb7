/* SPDX-License-Identifier: BSD-2-Clause */
/* The monitor: see monitor.h. Where the keyboard goes, and what follows when a VM starts or ends.
 */
#include "monitor/monitor.h"
#include "arch/x86_64/power.h"
#include "drivers/uart/uart.h"
#include "arch/x86_64/clock.h"
#include "arch/x86_64/timer.h"
#include "lib/log.h"
#include "monitor/command.h"
#include "monitor/console.h"
#include "monitor/life.h"
#include "monitor/keyboard.h"
#include "monitor/line.h"
#include "monitor/out.h"
#include "vmm/sched.h"
#include "vmm/vmm.h"

#define REPEAT_NS 1000000000ull

static struct config *config;
static struct line line;
static struct vm *last_vm; /* had the focus last */
static bool at_prompt;     /* the monitor has the keyboard, and has shown so */
static bool escaped;       /* the escape key was the last one */
static bool repeating;     /* the line is carried out again and again */
static bool due;           /* it is time */
static struct timer again;
static bool settle; /* an end has to be followed up */

struct config *monitor_config(void)
{
    return config;
}

void monitor_forget(struct vm *vm)
{
    if (last_vm == vm)
        last_vm = NULL;
    console_forget(vm);
    keyboard_renew(vm, true);
}

int monitor_last_vm(void)
{
    return last_vm ? (int)last_vm->index : -1;
}

static void focus(struct vm *vm)
{
    last_vm = vm;
    at_prompt = false;
    console_focus(vm);
}

/* ---- starts and ends ---- */

static void vm_started(struct vm *vm)
{
    life_started(vm);
    console_renew(vm);
    keyboard_renew(vm, false);
    if (!console_focused() && !at_prompt)
        focus(vm);
}

static const struct vm_outside outside = {
    .console_out = console_vm_out,
    .console_room = keyboard_vm_room,
    .started = vm_started,
    .ended = life_ended,
};

/* The first VM that runs, in the order of their numbers after `vm`; NULL: none does. */
static struct vm *next_running(const struct vm *vm)
{
    unsigned first = vm ? vm->index + 1 : 0;

    for (unsigned i = 0; i < ARRAY_SIZE(vms); i++) {
        struct vm *next = vms[(first + i) % ARRAY_SIZE(vms)];
        if (next && next->state == VM_RUNNING)
            return next;
    }
    return NULL;
}

void monitor_go_to(struct vm *vm)
{
    escaped = repeating = false;
    line_clear(&line);
    console_fresh_line();
    if (!out_json()) /* a program has its answer, and what comes is the VM's alone */
        console_print("[console of %s]\n", vm->name);
    focus(vm);
}

static void go_to_monitor(void)
{
    at_prompt = true;
    repeating = false;
    console_focus(NULL);
    line_clear(&line);
    console_prompt();
    if (out_json())
        console_print("{\"focus\":\"monitor\"}\n");
}

static void all_over(const char *what, void (*fn)(void))
{
    log_always("no VM is left: %s", what);
    uart_flush();
    fn();
}

/* A VM has ended, and its output is shown: the keyboard goes on, or what idle= says happens. */
static void follow_up(void)
{
    struct vm *at = console_focused(), *next = next_running(at);

    settle = false;
    if (life_all_over() && config->idle == CONFIG_IDLE_POWEROFF)
        all_over("powering off", machine_poweroff);
    if (life_all_over() && config->idle == CONFIG_IDLE_REBOOT)
        all_over("rebooting", machine_reboot);
    if (at && at->state == VM_RUNNING)
        ; /* it was another one */
    else if (at && next && !out_json())
        monitor_go_to(next);
    else if (!at_prompt)
        go_to_monitor();
    life_forget();
}

/* The next line, after a command. */
static void done(void)
{
    line_clear(&line);
    if (!console_focused() && !console_replaying())
        console_prompt();
}

static void poke(struct timer *t)
{
    (void)t;
    due = true;
    sched_poke();
}

void monitor_repeat(void)
{
    repeating = true;
    again.fn = poke;
    timer_arm(&again, clock_ns() + REPEAT_NS);
}

/* Repeats the line if it is time, on a screen that is blank but for it. */
static void repeat(void)
{
    if (!repeating || !due)
        return;
    repeating = due = false;
    console_print("\x1b[H\x1b[J");
    command_run(line.text);
    if (!repeating)
        done();
}

static void hook_fn(void)
{
    repeat();
    settle |= life_poll();
    console_poll();
    if (settle && !console_behind())
        follow_up();
}

/* ---- the keyboard ---- */

static void show_prompt(void)
{
    if (!out_json() && !repeating)
        line_show(&line);
}

static void echo(const char *text, size_t len)
{
    if (!out_json())
        console_write(text, len);
}

/* From a console to the monitor; from the monitor back. Twice in a row: once for the guest. */
static void escape_key(void)
{
    struct vm *vm = console_focused();
    bool twice = escaped;

    if (vm || out_json()) {
        go_to_monitor();
        escaped = !out_json();
        return;
    }
    vm = last_vm && last_vm->state == VM_RUNNING ? last_vm : next_running(last_vm);
    if (!vm) {
        escaped = false;
        return;
    }
    monitor_go_to(vm);
    if (twice)
        keyboard_type(config->escape);
}

static void switch_to(struct vm *vm)
{
    if (vm && vm->state == VM_RUNNING) {
        monitor_go_to(vm);
    } else {
        console_fresh_line();
        console_print("no such VM is running\n");
        console_prompt();
    }
}

/* The key after the escape key; false: it is nothing special. */
static bool escaped_key(u8 byte)
{
    if (byte >= '1' && byte <= '9')
        switch_to(vms[byte - '1']);
    else if (byte == 'n')
        switch_to(next_running(last_vm));
    else if (byte == '?') {
        console_fresh_line();
        console_print(
            "  1-9: to that VM's console, n: to the next, Ctrl-%c: back, and typed there;\n"
            "  or a command: help lists them\n",
            config->escape + '@');
        console_prompt();
    } else {
        return false;
    }
    return true;
}

static void key(u8 byte)
{
    bool after_escape = escaped;

    escaped = false;
    if (repeating) {
        repeating = false;
        done();
        return;
    }
    if (after_escape && escaped_key(byte))
        return;
    switch (line_key(&line, byte)) {
    case LINE_EDITED:
        return;
    case LINE_ENTERED:
        command_run(line.text);
        break;
    case LINE_DROPPED:
        break;
    }
    if (!repeating)
        done();
}

static const struct keyboard_monitor monitor = {key, escape_key};
static const struct line_ops line_ops = {echo, command_candidate};

void monitor_init(struct config *c)
{
    config = c;
    vm_outside = &outside;
    line_init(&line, &line_ops);
    console_init(show_prompt);
    keyboard_init(c->escape, &monitor);
    log_set_sink(console_log);
    sched_set_hook(hook_fn);
}
