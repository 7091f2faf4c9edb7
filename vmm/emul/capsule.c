/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/print.h"
#include "vmm/emul/internal.h"

int emul_capsule(struct emul_cpu *c, char *buf, size_t size)
{
    return fmt_print(buf, size, "capsule 1 mode=%u cpl=%u n=%u", c->mode, c->cpl, c->fetched);
}
