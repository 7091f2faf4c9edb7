/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The board of one VM: its devices, the two buses they sit on, and the wires between them. What is
 * where stands in platform.h. One lock serialises everything in here; the local APICs belong to
 * their vCPUs and are not part of it.
 */
#ifndef VMM_BOARD_H
#define VMM_BOARD_H

#include "arch/x86_64/clock.h"
#include "arch/x86_64/timer.h"
#include "lib/lock.h"
#include "lib/types.h"
#include "vmm/dev/acpipm.h"
#include "vmm/dev/bus.h"
#include "vmm/dev/hpet.h"
#include "vmm/dev/vioapic.h"
#include "vmm/dev/pcihost.h"
#include "vmm/dev/pic.h"
#include "vmm/dev/pit.h"
#include "vmm/dev/post.h"
#include "vmm/dev/reset.h"
#include "vmm/dev/rtc.h"
#include "vmm/dev/testdev.h"
#include "vmm/dev/vuart.h"

struct vcpu;
struct vm;

#define BOARD_COMS 4

struct board {
    struct spinlock lock;
    u32 legacy_lines;    /* of lines 0 and 8, as PIT and RTC drive them, a bit each */
    bool deadline_moved; /* a device's deadline changed since the timer was armed */
    struct vm *vm;
    struct bus_clock clock;
    u8 *testdev_memory;    /* NULL without testdev */
    struct vuart *console; /* the one that the VM's console is plugged into */
    struct timer timer;    /* for all devices; on the home CPU of vCPU 0 */
    struct bus ports, mmio;
    struct pic pic;
    struct vioapic ioapic;
    struct pit pit;
    struct rtc rtc;
    struct hpet hpet;
    struct acpipm pm;
    struct vuart com[BOARD_COMS]; /* COM1-COM4; those that the VM has not are all zeroes */
    struct reset reset;
    struct pcihost pci;
    struct post post;
    struct testdev testdev;
};

/* Builds all devices. wall_s: what the clock shows, seconds since 1970. ERR_NOMEM. */
enum err board_init(struct vm *vm, s64 wall_s);
void board_fini(struct board *b);

/* The end of what happens under the lock, when a deadline has moved: whoever owns the timer is
 * told. */
void board_unlock_and_tell(struct board *b);

static inline void board_unlock(struct board *b)
{
    if (unlikely(b->deadline_moved))
        board_unlock_and_tell(b);
    else
        spin_unlock(&b->lock);
}

/* Carries out an access on a bus of b; unclaimed reads answer all ones. Any CPU. */
void board_access(struct board *b, struct bus *bus, struct bus_access *acc);

/* The same in line, for the sake of plain accesses to ports. */
static ALWAYS_INLINE void board_access_inline(struct board *b, struct bus *bus,
                                              struct bus_access *acc)
{
    acc->clock = &b->clock;
    spin_lock(&b->lock);
    bool claimed = bus_access(bus, acc);
    board_unlock(b);
    if (unlikely(!claimed))
        acc->value = bus_open(acc->size);
}

/* A local APIC's EOI of a level-triggered vector, for the I/O APIC. Any CPU. */
void board_eoi(struct board *b, u8 vector);

/*
 * Whether the interrupt controller pair asks for a processor, and whether, if it does, for v's: by
 * LINT0, or in PIC mode straight; its acknowledge cycle. Any CPU.
 */
static inline bool board_extint(const struct board *b)
{
    return __atomic_load_n(&b->pic.s.intr, __ATOMIC_RELAXED);
}
bool board_asks(const struct board *b, const struct vcpu *v);
u8 board_extint_ack(struct board *b);

/* Sets the board's timer for its next deadline. Home CPU of vCPU 0. */
void board_arm(struct board *b);

/* Console bytes for the UART with the console: how many were taken. Any CPU. */
unsigned board_console_input(struct board *b, const u8 *bytes, unsigned n);
/* Plugs the console into another of the VM's UARTs, 0 for COM1. Any CPU. */
void board_plug_console(struct board *b, unsigned com);
/* Presses the power button; false if the guest does not listen to it. Any CPU. */
bool board_power_button(struct board *b);

#endif
