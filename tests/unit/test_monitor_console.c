/* SPDX-License-Identifier: BSD-2-Clause */
/* The console switch: what stands on the serial line, and in which order, when that is slow. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "arch/x86_64/clock.h"
#include "arch/x86_64/timer.h"
#include "drivers/uart/uart.h"
#include "lib/log.h"
#include "mm/kmem.h"
#include "monitor/console.h"
#include "monitor/keyboard.h"
#include "vmm/sched.h"
#include "vmm/vm.h"
#include "tests/unit/unit.h"

static char shown[8192];
static size_t used, room; /* room: what the line still takes of a guest's */

struct clock_scale clock_scale = {.ns_mult = 1ull << 32, .khz = 1000000};
struct vm *vms[CONFIG_MAX_VMS];
static struct vm vm = {.name = "vm"};

static void append(const char *text, size_t len)
{
    assert_true(used + len < sizeof(shown));
    memcpy(shown + used, text, len);
    used += len;
    shown[used] = '\0';
}

size_t uart_write(const char *buf, size_t len)
{
    len = MIN(len, room);
    append(buf, len);
    room -= len;
    return len;
}

void uart_write_text(const char *text, size_t len)
{
    append(text, len);
}

size_t uart_room(void)
{
    return room;
}

bool uart_busy(void)
{
    return false;
}

void uart_poll(void)
{
}

u32 uart_byte_ns(void)
{
    return 86806;
}

void keyboard_poll(void)
{
}

void keyboard_focus(struct vm *to)
{
    (void)to;
}

void sched_poke(void)
{
}

void timer_arm(struct timer *t, u64 deadline_ns)
{
    (void)t, (void)deadline_ns;
}

void *kmem_alloc(size_t size)
{
    return calloc(1, size);
}

void kmem_free(void *p, size_t size)
{
    (void)size;
    free(p);
}

static int setup(void **state)
{
    (void)state;
    used = 0;
    shown[0] = '\0';
    vms[0] = &vm;
    room = sizeof(shown);
    console_focus(&vm);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    console_focus(NULL);
    console_forget(&vm);
    return 0;
}

static void guest_says(const char *text)
{
    while (*text)
        console_vm_out(&vm, (u8)*text++);
}

/* A line of the log, as lib/log.c makes it. */
static void log_says(const char *text)
{
    char line[LOG_LONGEST];
    int len = snprintf(line, sizeof(line), LOG_HEAD "%s\n", text);

    console_log(line, (size_t)len);
}

static void test_log_line_waits_for_output_before_it(void **state)
{
    (void)state;
    room = 3;
    guest_says("first\n");
    log_says("then this");
    guest_says("last\n");
    assert_string_equal(shown, "fir");
    room = 100;
    console_poll();
    assert_string_equal(shown, "first\nskep: then this\nlast\n");
}

static void test_long_log_line_waits_whole(void **state)
{
    char text[LOG_LONGEST - 16];

    (void)state;
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    room = 0;
    guest_says("a");
    log_says(text);
    log_says("short");
    room = 1;
    console_poll();
    assert_int_equal(used, 1 + 1 + 6 + strlen(text) + 1 + strlen("skep: short\n"));
    assert_memory_equal(shown, "a\nskep: x", 9);
    assert_string_equal(shown + used - 14, "x\nskep: short\n");
}

static void test_log_line_waits_for_an_answer(void **state)
{
    (void)state;
    console_focus(NULL);
    console_hold(true);
    console_print("one ");
    log_says("between");
    console_print("answer\n");
    console_hold(false);
    assert_string_equal(shown, "one answer\nskep: between\n");
}

static void test_what_is_too_much_is_counted(void **state)
{
    (void)state;
    room = 0;
    for (unsigned i = 0; i < CONSOLE_RING + 5; i++)
        console_vm_out(&vm, '.');
    room = 3;
    console_poll();
    assert_string_equal(shown, "[5 bytes not shown]\n...");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_log_line_waits_for_output_before_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_log_line_waits_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log_line_waits_for_an_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_too_much_is_counted, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
