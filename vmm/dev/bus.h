/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bus: ranges of addresses and the functions that answer there. A VM has two, one for ports
 * and one for guest-physical addresses; both work alike.
 *
 * Regions are added while the VM is built. Accesses may then come from several CPUs at once as far
 * as the bus is concerned; serialising calls into one device is the caller's matter (irq_out.h).
 */
#ifndef VMM_DEV_BUS_H
#define VMM_DEV_BUS_H

#include "lib/types.h"

#define BUS_REGIONS 64
#define BUS_HINTS   16     /* a power of two */
#define BUS_SIZES   0x116u /* bit n: accesses of n bytes exist */

/* The VM's clock, for the few registers that show time: it costs more than most accesses. */
struct bus_clock {
    u64 (*now)(const struct bus_clock *clock); /* nanoseconds */
};

/* One access. Little-endian, as the processor sees it. */
struct bus_access {
    u64 addr;   /* port or guest-physical address of the first byte */
    u64 offset; /* set by the bus: addr relative to the region's base */
    u64 value;  /* written value, or the answer; zero above `size` bytes */
    u64 now_ns; /* the VM's time of the access, if clock is NULL: bus_now() */
    const struct bus_clock *clock;
    u8 size; /* 1, 2, 4 or 8 bytes (ports: 1, 2 or 4) */
    bool write;
};

/* The VM's time of the access, in nanoseconds. */
static inline u64 bus_now(const struct bus_access *acc)
{
    return acc->clock ? acc->clock->now(acc->clock) : acc->now_ns;
}

/*
 * A region's handler. The bus guarantees that the access lies whole within the region (or starts
 * at its base, see width below) and that size is 1, 2, 4 or 8 and at most the region's width. For
 * a read, value comes in as 0 and goes out as the answer; the bus cuts what lies above size.
 */
typedef void (*bus_fn)(void *arg, struct bus_access *acc);

struct bus_region {
    u64 base, len;
    bus_fn fn;
    void *arg;
    const char *name;
    u8 width;
};

struct bus {
    u32 count;
    enum err err;                             /* of the last bus_add() that failed, or OK */
    const struct bus_region *hint[BUS_HINTS]; /* regions hit before, by bus_hint(); into r[] */
    struct bus_region r[BUS_REGIONS];         /* by ascending base, no overlaps */
};

/* The bus must not be moved or copied afterwards. */
void bus_init(struct bus *bus);

/*
 * Adds [base, base+len). `width` is the widest access that fn takes (1, 2, 4 or 8): a wider one,
 * or one that crosses the region's end, reaches fn in pieces, lowest address first, as on ISA. A
 * width larger than len is for registers that a wide access at base addresses as one, while the
 * ports above base have another owner (PCI's 0xcf8): it then reaches fn whole.
 * `name` must live as long as the bus. Returns bus->err, so that of several calls the last one's
 * result says whether all went well. ERR_INVAL: empty, wrapping or a bad width; ERR_EXISTS:
 * overlaps; ERR_NOMEM: BUS_REGIONS are taken.
 */
enum err bus_add(struct bus *bus, u64 base, u64 len, u8 width, bus_fn fn, void *arg,
                 const char *name);

/* The region that contains addr, or NULL. */
const struct bus_region *bus_find(const struct bus *bus, u64 addr);

/* bus_ones[n]: all ones in the low n bytes. */
extern const u64 bus_ones[9];

/* What an open bus reads as; size 0..8. */
static inline u64 bus_open(u8 size)
{
    return bus_ones[size];
}

/* Where an address has its hint: devices on a PC lie 16 ports apart. */
static inline unsigned bus_hint(u64 addr)
{
    return (unsigned)addr >> 4 & (BUS_HINTS - 1);
}

/* The parts of bus_access that are not the common case. */
bool bus_access_slow(struct bus *bus, struct bus_access *acc);

/*
 * Carries out acc. False: nobody is there, and a read leaves value 0: the caller answers with open
 * bus (all ones of size). When only some bytes of the access have an owner the result is true and
 * the others read as ones. Any size other than 1, 2, 4 and 8 is answered with false.
 */
static inline bool bus_access(struct bus *bus, struct bus_access *acc)
{
    const struct bus_region *r = __atomic_load_n(&bus->hint[bus_hint(acc->addr)], __ATOMIC_RELAXED);
    u64 offset = acc->addr - r->base;

    if (unlikely(offset >= r->len))
        return bus_access_slow(bus, acc);
    if (acc->size != 1 &&
        (acc->size > r->len - offset || acc->size > r->width || !(BUS_SIZES & (1u << acc->size))))
        return bus_access_slow(bus, acc);
    acc->offset = offset;
    if (!acc->write)
        acc->value = 0;
    r->fn(r->arg, acc);
    acc->value &= bus_open(acc->size);
    return true;
}

#endif
