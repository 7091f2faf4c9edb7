/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration mechanism 1 with nothing behind it; see pcihost.h. */
#include "vmm/dev/pcihost.h"

#define ADDRESS_BITS 0x80fffffcu /* enable, bus, device, function, register */

/* Only doublewords reach the address register; narrower accesses pass it by. */
static void address_access(void *arg, struct bus_access *acc)
{
    struct pcihost *p = arg;

    if (acc->size != 4) {
        acc->value |= acc->write ? 0 : bus_open(acc->size);
        return;
    }
    if (acc->write)
        p->address = (u32)acc->value & ADDRESS_BITS;
    else
        acc->value = p->address;
}

static void data_access(void *arg, struct bus_access *acc)
{
    (void)arg;
    if (!acc->write)
        acc->value = bus_open(acc->size);
}

void pcihost_init(struct pcihost *p)
{
    p->address = 0;
}

enum err pcihost_attach(struct pcihost *p, struct bus *ports)
{
    bus_add(ports, 0xcf8, 1, 4, address_access, p, "pci address");
    return bus_add(ports, 0xcfc, 4, 4, data_access, p, "pci data");
}
