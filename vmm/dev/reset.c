/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Software reset: 0xcf9, port 0x92, and an 8042 with nothing attached; see reset.h. The keyboard
 * controller's commands are those of the IBM PS/2 technical reference.
 */
#include "vmm/dev/reset.h"

#define CF9_SYSTEM BIT(1) /* hard rather than soft */
#define CF9_CPU    BIT(2) /* 0 to 1: reset */
#define CF9_FULL   BIT(3) /* with a power cycle */

#define FAST_RESET BIT(0)
#define FAST_A20   BIT(1)

/* Status register, port 0x64. */
#define KBC_OBF     BIT(0)
#define KBC_SYSTEM  BIT(2)
#define KBC_COMMAND BIT(3)
#define KBC_UNLOCK  BIT(4)

/* Output port P2. */
#define P2_NOT_RESET BIT(0)
#define P2_A20       BIT(1)
#define P2_IDLE      0xdd /* A20 off, reset and the rest high */

static void request(struct reset *r, enum reset_source source)
{
    if (r->request)
        r->request(r->arg, source);
}

static void cf9_access(void *arg, struct bus_access *acc)
{
    struct reset *r = arg;
    u8 old = r->s.cf9;

    if (!acc->write) {
        acc->value = old;
        return;
    }
    r->s.cf9 = (u8)(acc->value & (CF9_SYSTEM | CF9_CPU | CF9_FULL));
    if ((r->s.cf9 & CF9_CPU) && !(old & CF9_CPU))
        request(r, RESET_CF9);
}

static void port92_access(void *arg, struct bus_access *acc)
{
    struct reset *r = arg;
    u8 old = r->s.port92;

    if (!acc->write) {
        acc->value = old | FAST_A20;
        return;
    }
    r->s.port92 = (u8)acc->value;
    if ((r->s.port92 & FAST_RESET) && !(old & FAST_RESET))
        request(r, RESET_PORT92);
}

static void answer(struct reset *r, u8 byte)
{
    r->s.kbc_out = byte;
    r->s.kbc_status |= KBC_OBF;
}

static void set_output_port(struct reset *r, u8 value)
{
    r->s.kbc_port = value;
    if (!(value & P2_NOT_RESET)) {
        r->s.kbc_port |= P2_NOT_RESET;
        request(r, RESET_8042);
    }
}

/* A command that is complete with its one byte. */
static void kbc_simple(struct reset *r, u8 command)
{
    switch (command) {
    case 0xaa: /* self-test passed */
        r->s.kbc_status |= KBC_SYSTEM;
        answer(r, 0x55);
        break;
    case 0xa9: /* auxiliary interface test: clock line stuck low */
    case 0xab: /* keyboard interface test likewise */
        answer(r, 0x01);
        break;
    case 0xc0: /* input port: keyboard not locked */
        answer(r, 0x80);
        break;
    case 0xd0:
        answer(r, (u8)(r->s.kbc_port | P2_A20));
        break;
    case 0xdd: /* A20 off and on */
    case 0xdf:
        set_output_port(r, command);
        break;
    default: /* enable and disable of what is not there; unknown commands */
        break;
    }
}

static void kbc_command(struct reset *r, u8 command)
{
    r->s.kbc_status |= KBC_COMMAND;
    r->s.kbc_command = 0;
    if (command >= 0x20 && command < 0x40) {
        answer(r, r->s.kbc_ram[command & 31]);
    } else if ((command >= 0x60 && command < 0x80) || (command >= 0xd1 && command <= 0xd4)) {
        r->s.kbc_command = command;
    } else if (command >= 0xf0) {
        if (!(command & 1)) /* pulses P2 bits 3:0 that are zero; bit 0 is reset */
            request(r, RESET_8042);
    } else {
        kbc_simple(r, command);
    }
}

static void kbc_data(struct reset *r, u8 byte)
{
    u8 command = r->s.kbc_command;

    r->s.kbc_status &= (u8)~KBC_COMMAND;
    r->s.kbc_command = 0;
    if (command >= 0x60 && command < 0x80)
        r->s.kbc_ram[command & 31] = byte;
    else if (command == 0xd1)
        set_output_port(r, byte);
    else if (command == 0xd2 || command == 0xd3) /* put back as if a device had sent it */
        answer(r, byte);
}

static void kbc_access(void *arg, struct bus_access *acc)
{
    struct reset *r = arg;
    bool data = acc->addr == 0x60;

    if (acc->write && data) {
        kbc_data(r, (u8)acc->value);
    } else if (acc->write) {
        kbc_command(r, (u8)acc->value);
    } else if (data) {
        acc->value = r->s.kbc_out;
        r->s.kbc_status &= (u8)~KBC_OBF;
    } else {
        acc->value = r->s.kbc_status;
    }
}

void reset_init(struct reset *r, void (*fn)(void *arg, enum reset_source source), void *arg)
{
    *r = (struct reset){.request = fn, .arg = arg};
    r->s.port92 = FAST_A20;
    r->s.kbc_status = KBC_UNLOCK | KBC_SYSTEM;
    r->s.kbc_port = P2_IDLE | P2_A20;
    r->s.kbc_ram[0] = 0x74; /* both ports disabled, system flag, translation */
}

enum err reset_attach(struct reset *r, struct bus *ports)
{
    bus_add(ports, 0xcf9, 1, 1, cf9_access, r, "reset control");
    bus_add(ports, 0x92, 1, 1, port92_access, r, "fast reset");
    bus_add(ports, 0x60, 1, 1, kbc_access, r, "keyboard controller");
    return bus_add(ports, 0x64, 1, 1, kbc_access, r, "keyboard controller");
}
