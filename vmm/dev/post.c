/* SPDX-License-Identifier: BSD-2-Clause */
/* Port 0x80; see post.h. */
#include "vmm/dev/post.h"

static void post_access(void *arg, struct bus_access *acc)
{
    struct post *p = arg;

    if (acc->write)
        p->code = (u8)acc->value;
    else
        acc->value = p->code;
}

void post_init(struct post *p)
{
    p->code = 0;
}

enum err post_attach(struct post *p, struct bus *ports)
{
    return bus_add(ports, 0x80, 1, 1, post_access, p, "post");
}
