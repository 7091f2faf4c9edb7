/* SPDX-License-Identifier: BSD-2-Clause */
/* I/O APIC registers and pins; see vioapic.h. Sections are those of the 82093AA data sheet. */
#include "vmm/dev/vioapic.h"

/* Memory-mapped registers (3.1). */
#define IOREGSEL 0x00
#define IOWIN    0x10
#define IOEOI    0x40

/* Registers behind the window (3.2). */
#define REG_ID      0
#define REG_VERSION 1
#define REG_ARB     2
#define REG_ENTRIES 0x10

#define VERSION 0x20 /* with the EOI register */

/* Entry bits that can be written: destination, mask, trigger, polarity, mode, vector. */
#define ENTRY_BITS 0xff0000000001afffull

static bool is_vectored(u64 entry)
{
    unsigned mode = (entry >> 8) & 7;

    return mode == APIC_FIXED || mode == APIC_LOWEST;
}

/* NMI, SMI, INIT and ExtINT are edges whatever the trigger bit says (3.2.4, delivery mode). */
static bool is_level(u64 entry)
{
    return (entry & IOAPIC_LEVEL) && is_vectored(entry);
}

COLD bool vioapic_message(const struct vioapic *io, unsigned pin, struct apic_msg *msg)
{
    u64 entry = io->s.entry[pin];
    u8 dest = (u8)(entry >> 56);

    *msg = (struct apic_msg){
        .dest = dest == 0xff ? APIC_DEST_ALL : dest,
        .vector = (u8)entry,
        .mode = (entry >> 8) & 7,
        .logical = entry & IOAPIC_LOGICAL,
        .level = is_level(entry),
    };
    return !(entry & IOAPIC_MASKED);
}

static void send(struct vioapic *io, unsigned pin)
{
    u64 *entry = &io->s.entry[pin];
    struct apic_msg msg;

    vioapic_message(io, pin, &msg);
    bool taken = io->send(io->arg, &msg);

    if (taken && msg.level)
        *entry |= IOAPIC_REMOTE_IRR;
}

/* A level entry asks as long as its line is up and no local APIC is busy with it. */
static void look_at_level(struct vioapic *io, unsigned pin)
{
    u64 entry = io->s.entry[pin];

    if ((io->s.level & BIT(pin)) && is_level(entry) &&
        !(entry & (IOAPIC_MASKED | IOAPIC_REMOTE_IRR)))
        send(io, pin);
}

void vioapic_set_line(struct vioapic *io, unsigned pin, bool level)
{
    bool rising;

    if (pin >= IOAPIC_PINS)
        return;
    rising = level && !(io->s.level & BIT(pin));
    if (!level) {
        io->s.level &= (u32)~BIT(pin);
        return;
    }
    io->s.level |= (u32)BIT(pin);
    if (is_level(io->s.entry[pin]))
        look_at_level(io, pin);
    else if (rising && !(io->s.entry[pin] & IOAPIC_MASKED)) /* masked edges are lost (3.2.4) */
        send(io, pin);
}

void vioapic_eoi(struct vioapic *io, u8 vector)
{
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        u64 *entry = &io->s.entry[pin];

        if ((u8)*entry != vector || !(*entry & IOAPIC_REMOTE_IRR))
            continue;
        *entry &= ~IOAPIC_REMOTE_IRR;
        look_at_level(io, pin);
    }
}

static u32 read_register(const struct vioapic *io)
{
    unsigned n = io->s.index;

    switch (n) {
    case REG_ID:
    case REG_ARB:
        return (u32)io->s.id << 24;
    case REG_VERSION:
        return (IOAPIC_PINS - 1) << 16 | VERSION;
    default:
        if (n < REG_ENTRIES || n >= REG_ENTRIES + 2 * IOAPIC_PINS)
            return 0;
        return (u32)(io->s.entry[(n - REG_ENTRIES) / 2] >> (n & 1 ? 32 : 0));
    }
}

static void write_entry(struct vioapic *io, unsigned pin, bool high, u32 value)
{
    u64 old = io->s.entry[pin], new;

    new = high ? (u64)value << 32 | (u32)old : (old & ~0xffffffffull) | value;
    new = (new &ENTRY_BITS) | (old & IOAPIC_REMOTE_IRR);
    if (!is_level(new)) /* remote IRR belongs to level entries alone */
        new &= ~IOAPIC_REMOTE_IRR;
    io->s.entry[pin] = new;
    look_at_level(io, pin);
}

static void write_register(struct vioapic *io, u32 value)
{
    unsigned n = io->s.index;

    if (n == REG_ID)
        io->s.id = (value >> 24) & 15;
    else if (n >= REG_ENTRIES && n < REG_ENTRIES + 2 * IOAPIC_PINS)
        write_entry(io, (n - REG_ENTRIES) / 2, n & 1, value);
}

void vioapic_access(void *arg, struct bus_access *acc)
{
    struct vioapic *io = arg;
    u64 reg = acc->offset & ~3ull;
    unsigned shift = 8 * (acc->offset & 3);

    if (!acc->write) {
        u32 value = reg == IOREGSEL ? io->s.index : reg == IOWIN ? read_register(io) : 0;

        acc->value = value >> shift;
    } else if (acc->offset == IOREGSEL) {
        io->s.index = (u8)acc->value;
    } else if (acc->offset == IOWIN && acc->size == 4) {
        write_register(io, (u32)acc->value);
    } else if (acc->offset == IOEOI) {
        vioapic_eoi(io, (u8)acc->value);
    }
}

void vioapic_init(struct vioapic *io, bool (*fn)(void *arg, const struct apic_msg *msg), void *arg)
{
    *io = (struct vioapic){.send = fn, .arg = arg};
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
        io->s.entry[pin] = IOAPIC_MASKED;
}

enum err vioapic_attach(struct vioapic *io, struct bus *mmio)
{
    return bus_add(mmio, IOAPIC_GPA, IOAPIC_SIZE, 4, vioapic_access, io, "ioapic");
}
