/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI configuration mechanism 1 with no device behind it (PCI Local Bus 3.0, 3.2.2.3.2): the
 * address register at 0xcf8 holds what was written as a doubleword, data reads are all ones.
 * Byte port 0xcf9 belongs to reset.h.
 */
#ifndef VMM_DEV_PCIHOST_H
#define VMM_DEV_PCIHOST_H

#include "vmm/dev/bus.h"

struct pcihost {
    u32 address; /* CONFIG_ADDRESS */
};

void pcihost_init(struct pcihost *p);
/* Ports 0xcf8 and 0xcfc-0xcff; leaves 0xcf9 free. Errors as bus_add(). */
enum err pcihost_attach(struct pcihost *p, struct bus *ports);

#endif
