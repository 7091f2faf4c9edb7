/* SPDX-License-Identifier: BSD-2-Clause */
/* The bus: regions in a sorted table, found by bisection; see bus.h. */
#include "lib/string.h"
#include "vmm/dev/bus.h"

const u64 bus_ones[9] = {0,
                         0xff,
                         0xffff,
                         0xffffff,
                         0xffffffff,
                         0xffffffffff,
                         0xffffffffffff,
                         0xffffffffffffff,
                         0xffffffffffffffff};

/* Any region will do as a hint: it is checked before use, an empty one never matches. */
COLD void bus_init(struct bus *bus)
{
    memset(bus, 0, sizeof(*bus));
    for (unsigned i = 0; i < BUS_HINTS; i++)
        bus->hint[i] = bus->r;
}

/* Index of the first region that ends above addr. */
static u32 first_above(const struct bus *bus, u64 addr)
{
    u32 low = 0, high = bus->count;

    while (low < high) {
        u32 mid = (low + high) / 2;

        if (bus->r[mid].base + (bus->r[mid].len - 1) < addr)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

COLD enum err bus_add(struct bus *bus, u64 base, u64 len, u8 width, bus_fn fn, void *arg,
                      const char *name)
{
    u32 at = first_above(bus, base);
    u64 last = base + (len - 1);

    if (len == 0 || last < base || width > 8 || !(BUS_SIZES & (1u << width)) || !fn)
        bus->err = ERR_INVAL;
    else if (at < bus->count && bus->r[at].base <= last)
        bus->err = ERR_EXISTS;
    else if (bus->count == BUS_REGIONS)
        bus->err = ERR_NOMEM;
    else {
        for (u32 i = bus->count; i > at; i--)
            bus->r[i] = bus->r[i - 1];
        bus->r[at] = (struct bus_region){base, len, fn, arg, name, width};
        bus->count++;
    }
    return bus->err;
}

const struct bus_region *bus_find(const struct bus *bus, u64 addr)
{
    u32 at = first_above(bus, addr);

    return at < bus->count && bus->r[at].base <= addr ? &bus->r[at] : NULL;
}

/* Hands one piece, which lies whole within r and is not too wide for it, to r's function. */
static void region_access(const struct bus_region *r, struct bus_access *acc)
{
    acc->offset = acc->addr - r->base;
    if (!acc->write)
        acc->value = 0;
    r->fn(r->arg, acc);
    acc->value &= bus_open(acc->size);
}

static bool fits(const struct bus_region *r, const struct bus_access *acc)
{
    return acc->size <= r->width &&
           (acc->addr == r->base || acc->size <= r->len - (acc->addr - r->base));
}

/* The largest piece of `left` bytes at addr that r takes, or that r's absence leaves: a byte. */
static u8 piece_size(const struct bus_region *r, const struct bus_access *piece, u8 left)
{
    struct bus_access p = *piece;

    for (p.size = 8; p.size > 1; p.size /= 2)
        if (p.size <= left && r && IS_ALIGNED(p.addr, (u64)p.size) && fits(r, &p))
            break;
    return p.size;
}

/* An access that no region takes as it is: in pieces, lowest address first. */
static bool access_in_pieces(struct bus *bus, struct bus_access *acc)
{
    bool any = false;
    u64 answer = 0;

    for (u8 done = 0; done < acc->size;) {
        struct bus_access piece = *acc;
        const struct bus_region *r;

        piece.addr = acc->addr + done;
        r = bus_find(bus, piece.addr);
        piece.size = piece_size(r, &piece, (u8)(acc->size - done));
        piece.value = acc->value >> (8 * done);
        if (acc->write)
            piece.value &= bus_open(piece.size);
        if (r) {
            region_access(r, &piece);
            any = true;
        } else {
            piece.value = bus_open(piece.size);
        }
        answer |= piece.value << (8 * done);
        done += piece.size;
    }
    if (!acc->write)
        acc->value = any ? answer : 0;
    return any;
}

COLD bool bus_access_slow(struct bus *bus, struct bus_access *acc)
{
    const struct bus_region *r;

    if (acc->size > 8 || !(BUS_SIZES & (1u << acc->size)))
        return false;
    r = bus_find(bus, acc->addr);
    if (!r || !fits(r, acc))
        return access_in_pieces(bus, acc);
    __atomic_store_n(&bus->hint[bus_hint(acc->addr)], r, __ATOMIC_RELAXED);
    region_access(r, acc);
    return true;
}
