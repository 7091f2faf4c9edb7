/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * I/O APIC: 82093AA with the EOI register of version 0x20 (Intel 82093AA data sheet, 290566;
 * ICH9 data sheet, 13.5). 24 pins, index and data window at 0xfec00000.
 */
#ifndef VMM_DEV_VIOAPIC_H
#define VMM_DEV_VIOAPIC_H

#include "vmm/dev/apic_msg.h"
#include "vmm/dev/bus.h"

#define IOAPIC_PINS 24
#define IOAPIC_GPA  0xfec00000ull
#define IOAPIC_SIZE 0x1000

/* Redirection entry bits. */
#define IOAPIC_LOGICAL    BIT(11)
#define IOAPIC_BUSY       BIT(12) /* delivery status: always idle here */
#define IOAPIC_ACTIVE_LOW BIT(13)
#define IOAPIC_REMOTE_IRR BIT(14)
#define IOAPIC_LEVEL      BIT(15)
#define IOAPIC_MASKED     BIT(16)

struct vioapic_state {
    u8 index;  /* IOREGSEL */
    u8 id;     /* bits 27:24 of register 0 */
    u32 level; /* pins as driven (before polarity) */
    u64 entry[IOAPIC_PINS];
};

struct vioapic {
    struct vioapic_state s;
    /* Sends a message: vlapic_deliver() at the end. Returns whether any local APIC took it. */
    bool (*send)(void *arg, const struct apic_msg *msg);
    void *arg;
};

/* All pins masked and low. `send` is called from inside vioapic_set_line, _eoi and _access. */
void vioapic_init(struct vioapic *io, bool (*send)(void *arg, const struct apic_msg *msg),
                  void *arg);
/* Registers at IOAPIC_GPA of the memory bus. Errors as bus_add(). */
enum err vioapic_attach(struct vioapic *io, struct bus *mmio);

/*
 * Drives pin 0..23 (others are ignored); level is the pin's electrical sense "asserted", and an
 * active-low entry is understood as set up for exactly that: true always means asserted.
 */
void vioapic_set_line(struct vioapic *io, unsigned pin, bool level);
/* What an interrupt of that pin, below IOAPIC_PINS, sends; false if it is masked. */
bool vioapic_message(const struct vioapic *io, unsigned pin, struct apic_msg *msg);

/* A local APIC's broadcast EOI: clears remote IRR of level entries with this vector, and sends
 * again where the line is still asserted. */
void vioapic_eoi(struct vioapic *io, u8 vector);

/* The registers themselves, for the bus. */
void vioapic_access(void *arg, struct bus_access *acc);

#endif
