/* SPDX-License-Identifier: BSD-2-Clause */
/* Where typed bytes go: see keyboard.h. */
#include "monitor/keyboard.h"
#include "arch/x86_64/clock.h"
#include "arch/x86_64/timer.h"
#include "drivers/uart/uart.h"
#include "lib/log.h"
#include "mm/kmem.h"
#include "monitor/console.h"
#include "monitor/out.h"
#include "vmm/sched.h"
#include "vmm/vm.h"

#define CHUNK 256u
/*
 * A guest is not given bytes faster than a line of 115200 baud brings them: Linux's interrupt
 * handler goes round 512 times at most, and misses an edge where there is still more.
 */
#define BYTE_NS 86806u
/*
 * And one that takes long to read what it is given is given more only when it has had as long again
 * to leave its handler.
 */
#define LEAVE_MAX_NS 100000000ull
/*
 * While much waits for a guest that takes it, the line is asked to hold; a guest that has taken
 * nothing for so long holds nobody, for the escape key has to get through.
 */
#define STUCK_NS 1000000000ull
#define KEYS     4096u /* typed to the monitor and not looked at yet */

/* What was typed and not looked at yet; both on the boot CPU only. Free-running indices. */
static struct {
    u32 head, tail;
    u8 escape;
    const struct keyboard_monitor *monitor;
    u8 ring[KEYS];
} keys;
static struct {
    struct vm *to; /* whose the bytes are, and those to come; NULL: the monitor */
    u64 next_ns;   /* when the line could have brought more */
    u64 moved_ns;  /* when the guest took some, or nothing waited */
    u64 room_ns;   /* when it had read all it was given; any CPU */
    bool held;     /* the line is */
    u32 head, tail;
    u32 dropped;
    struct timer pace;
    u8 *ring; /* CONSOLE_PASTE bytes */
} paste;

static bool for_vm(u8 byte)
{
    return paste.to && console_focused() && byte != keys.escape;
}

static void hold_line(void)
{
    u32 waiting = paste.head - paste.tail, much = CONSOLE_PASTE / 4 * (paste.held ? 1 : 3);
    u64 now = clock_ns();

    if (!waiting)
        paste.moved_ns = now;
    bool hold = waiting > much && now - paste.moved_ns < STUCK_NS;
    if (hold != paste.held)
        uart_want_input(!hold);
    paste.held = hold;
    if (hold && now >= paste.next_ns)
        timer_arm(&paste.pace, paste.moved_ns + STUCK_NS);
}

void keyboard_type(u8 byte)
{
    if (paste.head - paste.tail < CONSOLE_PASTE)
        paste.ring[paste.head++ % CONSOLE_PASTE] = byte;
    else
        paste.dropped++;
    hold_line();
}

static void receive_byte(u8 byte)
{
    if (for_vm(byte) && keys.head == keys.tail)
        keyboard_type(byte);
    else if (keys.head - keys.tail < KEYS)
        keys.ring[keys.head++ % KEYS] = byte;
}

static void receive(const u8 *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        receive_byte(bytes[i]);
    sched_poke();
}

void keyboard_vm_room(struct vm *vm)
{
    if (vm != __atomic_load_n(&paste.to, __ATOMIC_RELAXED) || paste.head == paste.tail)
        return;
    __atomic_store_n(&paste.room_ns, clock_ns(), __ATOMIC_RELAXED);
    sched_poke();
}

/* A program that sends the next command does not cut this one's answer short. */
static bool answer_on_its_way(void)
{
    return !console_focused() && (console_replaying() || !uart_room());
}

/* Keys in their order: each goes to whoever has the focus once those before it have been heeded. */
static void deliver_keys(void)
{
    while (keys.tail != keys.head && !(out_json() && answer_on_its_way())) {
        u8 byte = keys.ring[keys.tail++ % KEYS];
        if (for_vm(byte)) {
            keyboard_type(byte);
        } else if (console_replaying()) {
            console_end_replay();
        } else if (byte == keys.escape) {
            keys.monitor->escape();
        } else {
            keys.monitor->key(byte);
        }
    }
}

static void deliver_paste(void)
{
    struct vm *vm = paste.to;

    u64 now = clock_ns(), room = __atomic_load_n(&paste.room_ns, __ATOMIC_RELAXED);

    if (!vm || vm->state != VM_RUNNING || vm->paused || paste.tail == paste.head)
        return;
    if (room > paste.moved_ns)
        paste.next_ns = MAX(paste.next_ns, room + MIN(room - paste.moved_ns, LEAVE_MAX_NS));
    if (now < paste.next_ns) {
        timer_arm(&paste.pace, paste.next_ns);
        return;
    }
    while (paste.tail != paste.head) {
        u32 at = paste.tail % CONSOLE_PASTE;
        u32 n = MIN(MIN(paste.head - paste.tail, CONSOLE_PASTE - at), CHUNK);
        u32 taken = board_console_input(&vm->board, paste.ring + at, n);
        paste.tail += taken;
        paste.next_ns = now + taken * BYTE_NS;
        if (taken)
            paste.moved_ns = now;
        if (taken < n)
            return;
    }
    if (paste.dropped) {
        log_warn("%u typed bytes were too many for vm %s and are lost", paste.dropped, vm->name);
        paste.dropped = 0;
    }
}

void keyboard_poll(void)
{
    deliver_keys();
    deliver_paste();
    hold_line();
}

void keyboard_focus(struct vm *vm)
{
    if (vm && paste.to != vm) {
        paste.tail = paste.head;
        paste.dropped = 0;
    }
    if (vm)
        paste.to = vm;
}

void keyboard_renew(const struct vm *vm, bool gone)
{
    if (paste.to != vm)
        return;
    paste.tail = paste.head;
    if (gone)
        paste.to = NULL;
}

static void paced(struct timer *t)
{
    (void)t;
    sched_poke();
}

void keyboard_init(u8 escape, const struct keyboard_monitor *monitor)
{
    keys.escape = escape;
    keys.monitor = monitor;
    paste.pace.fn = paced;
    paste.ring = kmem_alloc(CONSOLE_PASTE);
    if (paste.ring)
        uart_set_receiver(receive);
    else
        log_warn("no memory for the keyboard");
}
