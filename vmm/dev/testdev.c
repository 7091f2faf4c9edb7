/* SPDX-License-Identifier: BSD-2-Clause */
/* The test kernels' device; see testdev.h. */
#include "lib/string.h"
#include "vmm/dev/testdev.h"

static void exit_access(void *arg, struct bus_access *acc)
{
    struct testdev *t = arg;

    if (acc->write)
        t->ops->exit(t->arg, (u32)acc->value);
}

static void console_access(void *arg, struct bus_access *acc)
{
    struct testdev *t = arg;

    if (acc->write)
        t->ops->putc(t->arg, (u8)acc->value);
    else
        acc->value = 0xe9;
}

static void line_access(void *arg, struct bus_access *acc)
{
    struct testdev *t = arg;

    if (acc->write)
        t->ops->line(t->arg, (unsigned)acc->offset, acc->value & 1);
}

/* The bus keeps offset and size within the region, and so within the buffers. */
static void storage_copy(u8 *at, struct bus_access *acc)
{
    if (acc->write)
        memcpy(at, &acc->value, acc->size);
    else
        memcpy(&acc->value, at, acc->size);
}

static void storage_access(void *arg, struct bus_access *acc)
{
    struct testdev *t = arg;

    storage_copy(&t->storage[acc->offset], acc);
}

static void memory_access(void *arg, struct bus_access *acc)
{
    struct testdev *t = arg;

    storage_copy(&t->memory[acc->offset], acc);
}

void testdev_init(struct testdev *t, u8 *memory, const struct testdev_ops *ops, void *arg)
{
    *t = (struct testdev){.memory = memory, .ops = ops, .arg = arg};
}

void testdev_attach(struct testdev *t, struct bus *ports, struct bus *mmio)
{
    bus_add(ports, 0xf4, 1, 4, exit_access, t, "testdev exit");
    bus_add(ports, 0xe9, 1, 1, console_access, t, "testdev console");
    bus_add(ports, 0xe0, 4, 4, storage_access, t, "testdev storage");
    bus_add(ports, 0x2000, TESTDEV_LINES, 4, line_access, t, "testdev lines");
    bus_add(mmio, TESTDEV_GPA, TESTDEV_SIZE, 8, memory_access, t, "testdev memory");
}
