/* SPDX-License-Identifier: BSD-2-Clause */
/* The bus: table, splitting, open bus; and the small devices that are little more than a port. */
#include "tests/unit/dev_board.h"
#include "vmm/dev/apic_msg.h"
#include "vmm/dev/pcihost.h"
#include "vmm/dev/post.h"
#include "vmm/dev/reset.h"
#include "vmm/dev/testdev.h"

/* A region that answers with its tag and offset, and records what it saw. */
struct probe {
    u8 tag;
    unsigned calls;
    struct bus_access last;
};

static void probe_fn(void *arg, struct bus_access *acc)
{
    struct probe *p = arg;

    p->calls++;
    p->last = *acc;
    if (!acc->write) {
        assert_int_equal(acc->value, 0);
        for (unsigned i = 0; i < 8; i++) /* too much: the bus has to cut it */
            acc->value |= (u64)(u8)(p->tag + acc->offset + i) << (8 * i);
    }
}

struct counted_clock {
    struct bus_clock clock;
    unsigned reads;
};

static u64 counted_now(const struct bus_clock *clock)
{
    return 1000 + ++((struct counted_clock *)clock)->reads;
}

/* The clock is read by who wants the time, and by nobody else. */
static void time_of_an_access(void **state)
{
    static struct bus bus;
    struct counted_clock c = {{counted_now}, 0};
    struct bus_access acc = {.addr = 0x10, .size = 1, .now_ns = 5};
    struct probe p = {.tag = 1};

    (void)state;
    assert_int_equal(bus_now(&acc), 5);
    acc.clock = &c.clock;
    bus_init(&bus);
    assert_int_equal(bus_add(&bus, 0x10, 1, 1, probe_fn, &p, "a"), OK);
    assert_true(bus_access(&bus, &acc));
    assert_int_equal(c.reads, 0);
    assert_int_equal(bus_now(&acc), 1001);
    assert_int_equal(bus_now(&p.last), 1002);
}

static void add_find_remove(void **state)
{
    static struct bus bus;
    struct probe p[4] = {{.tag = 0}};

    (void)state;
    bus_init(&bus);
    assert_null(bus_find(&bus, 0));
    assert_int_equal(bus_add(&bus, 0x100, 0x10, 4, probe_fn, &p[0], "a"), OK);
    assert_int_equal(bus_add(&bus, 0x80, 0x10, 4, probe_fn, &p[1], "b"), OK);
    assert_int_equal(bus_add(&bus, 0x200, 0x10, 4, probe_fn, &p[2], "c"), OK);
    assert_int_equal(bus_add(&bus, 0x110, 0xf0, 4, probe_fn, &p[3], "d"), OK);
    assert_string_equal(bus_find(&bus, 0x10f)->name, "a");
    assert_string_equal(bus_find(&bus, 0x110)->name, "d");
    assert_string_equal(bus_find(&bus, 0x1ff)->name, "d");
    assert_string_equal(bus_find(&bus, 0x80)->name, "b");
    assert_null(bus_find(&bus, 0x90));
    assert_null(bus_find(&bus, 0x7f));
    assert_null(bus_find(&bus, 0x210));
    assert_string_equal(bus_find(&bus, 0x8f)->name, "b");
    assert_string_equal(bus_find(&bus, 0x20f)->name, "c");
}

/* As if nothing had failed before. fn is NULL if arg is. */
static enum err anew(struct bus *bus, u64 base, u64 len, u8 width, struct probe *arg)
{
    bus->err = OK;
    return bus_add(bus, base, len, width, arg ? probe_fn : NULL, arg, "");
}

static void add_refuses(void **state)
{
    static struct bus bus;
    struct probe p = {0};

    (void)state;
    bus_init(&bus);
    assert_int_equal(anew(&bus, 0x100, 0, 1, &p), ERR_INVAL);
    assert_int_equal(anew(&bus, UINT64_MAX, 2, 1, &p), ERR_INVAL);
    assert_int_equal(anew(&bus, 0x100, 1, 0, &p), ERR_INVAL);
    assert_int_equal(anew(&bus, 0x100, 1, 3, &p), ERR_INVAL);
    assert_int_equal(anew(&bus, 0x100, 1, 16, &p), ERR_INVAL);
    assert_int_equal(anew(&bus, 0x100, 1, 1, NULL), ERR_INVAL);
    assert_int_equal(anew(&bus, 0x100, 0x10, 1, &p), OK);
    assert_int_equal(anew(&bus, 0xf1, 0x10, 1, &p), ERR_EXISTS);
    assert_int_equal(anew(&bus, 0x10f, 1, 1, &p), ERR_EXISTS);
    assert_int_equal(anew(&bus, 0, 0x1000, 1, &p), ERR_EXISTS);
    assert_int_equal(bus_add(&bus, 0xf0, 0x10, 1, probe_fn, &p, ""), ERR_EXISTS); /* still told */
    assert_non_null(bus_find(&bus, 0xf0));
    assert_int_equal(anew(&bus, UINT64_MAX, 1, 1, &p), OK);
    assert_non_null(bus_find(&bus, UINT64_MAX));
    for (unsigned i = 3; i < BUS_REGIONS; i++)
        assert_int_equal(anew(&bus, 0x1000 + i, 1, 1, &p), OK);
    assert_int_equal(anew(&bus, 0x9000, 1, 1, &p), ERR_NOMEM);
}

static void access_sizes_and_pieces(void **state)
{
    struct board b;
    struct probe p = {.tag = 0x10}, q = {.tag = 0x80};

    (void)state;
    board_init(&b);
    bus_add(&b.ports, 0x100, 8, 2, probe_fn, &p, "p");
    bus_add(&b.ports, 0x108, 4, 1, probe_fn, &q, "q");
    assert_int_equal(in8(&b, 0x103), 0x13);
    assert_int_equal(p.last.offset, 3);
    assert_int_equal(p.last.now_ns, b.now);
    /* Wider than the region takes: two words. */
    p.calls = 0;
    assert_int_equal(in32(&b, 0x100), 0x13121110);
    assert_int_equal(p.calls, 2);
    assert_int_equal(p.last.size, 2);
    /* Across two regions and off the end. */
    assert_int_equal(in32(&b, 0x106), 0x81801716);
    assert_int_equal(in32(&b, 0x10a), 0xffff8382);
    /* An access that begins before the first region. */
    assert_int_equal(in32(&b, 0xfe), 0x1110ffff);
    out32(&b, 0x106, 0xddccbbaa);
    assert_int_equal(p.last.value, 0xbbaa);
    assert_int_equal(p.last.offset, 6);
    assert_int_equal(q.last.value, 0xdd);
    assert_int_equal(q.last.offset, 1);
}

static void access_nobody(void **state)
{
    struct board b;
    struct probe p = {0};
    struct bus_access acc = {.addr = 0x50, .size = 4, .value = 7};

    (void)state;
    board_init(&b);
    assert_false(bus_access(&b.ports, &acc));
    bus_add(&b.ports, 0x100, 8, 8, probe_fn, &p, "p");
    assert_false(bus_access(&b.ports, &acc));
    assert_int_equal(acc.value, 0);
    assert_int_equal(in32(&b, 0x50), 0xffffffff);
    /* Sizes that no processor makes. */
    for (unsigned size = 0; size < 256; size++) {
        acc = (struct bus_access){.addr = 0x100, .size = (u8)size};
        assert_int_equal(bus_access(&b.ports, &acc),
                         size == 1 || size == 2 || size == 4 || size == 8);
    }
    /* At the very end of the address space nothing wraps into the first region. */
    bus_add(&b.mmio, 0, 4, 8, probe_fn, &p, "low");
    bus_add(&b.mmio, UINT64_MAX - 1, 2, 8, probe_fn, &p, "high");
    p.calls = 0;
    board_access(&b, &b.mmio, UINT64_MAX, 1, false, 0);
    assert_int_equal(p.calls, 1);
}

static void post_port(void **state)
{
    struct board b;
    struct post p;

    (void)state;
    board_init(&b);
    post_init(&p);
    assert_int_equal(post_attach(&p, &b.ports), OK);
    out8(&b, 0x80, 0x5a);
    assert_int_equal(p.code, 0x5a);
    assert_int_equal(in8(&b, 0x80), 0x5a);
    assert_int_equal(post_attach(&p, &b.ports), ERR_EXISTS);
}

struct asked {
    unsigned count[3];
};

static void ask(void *arg, enum reset_source source)
{
    ((struct asked *)arg)->count[source]++;
}

static void pci_answers_nothing_there(void **state)
{
    struct board b;
    struct pcihost p;
    struct reset r;
    struct asked asked = {0};

    (void)state;
    board_init(&b);
    pcihost_init(&p);
    reset_init(&r, ask, &asked);
    assert_int_equal(pcihost_attach(&p, &b.ports), OK);
    assert_int_equal(reset_attach(&r, &b.ports), OK);
    /* What an operating system does to find mechanism 1; 0x06 at 0xcf9 would be a reset. */
    out32(&b, 0xcf8, 0x80000600);
    assert_int_equal(in32(&b, 0xcf8), 0x80000600);
    assert_int_equal(asked.count[RESET_CF9], 0);
    assert_int_equal(in32(&b, 0xcfc), 0xffffffff);
    assert_int_equal(in8(&b, 0xcfe), 0xff);
    out32(&b, 0xcfc, 0);
    assert_int_equal(in32(&b, 0xcfc), 0xffffffff);
    out32(&b, 0xcf8, 0xffffffff);
    assert_int_equal(in32(&b, 0xcf8), 0x80fffffc);
    /* Narrow accesses to the address register pass it by. */
    out8(&b, 0xcf8, 0);
    out16(&b, 0xcf8, 0);
    assert_int_equal(in32(&b, 0xcf8), 0x80fffffc);
    assert_int_equal(in8(&b, 0xcf8), 0xff);
}

static void reset_ports(void **state)
{
    struct board b;
    struct reset r;
    struct asked asked = {0};

    (void)state;
    board_init(&b);
    reset_init(&r, ask, &asked);
    reset_attach(&r, &b.ports);
    /* 0xcf9: the CPU bit has to rise. */
    out8(&b, 0xcf9, 0x02);
    assert_int_equal(asked.count[RESET_CF9], 0);
    assert_int_equal(in8(&b, 0xcf9), 0x02);
    out8(&b, 0xcf9, 0x06);
    assert_int_equal(asked.count[RESET_CF9], 1);
    out8(&b, 0xcf9, 0x06);
    assert_int_equal(asked.count[RESET_CF9], 1);
    out8(&b, 0xcf9, 0);
    out8(&b, 0xcf9, 0x0e);
    assert_int_equal(asked.count[RESET_CF9], 2);
    /* Port 0x92: A20 reads on, bit 0 rising resets. */
    assert_int_equal(in8(&b, 0x92) & 3, 2);
    out8(&b, 0x92, 0x02);
    assert_int_equal(asked.count[RESET_PORT92], 0);
    out8(&b, 0x92, 0x03);
    assert_int_equal(asked.count[RESET_PORT92], 1);
    /* Keyboard controller. */
    out8(&b, 0x64, 0xfe);
    assert_int_equal(asked.count[RESET_8042], 1);
    out8(&b, 0x64, 0xff); /* pulses nothing */
    assert_int_equal(asked.count[RESET_8042], 1);
    out8(&b, 0x64, 0xd1);
    out8(&b, 0x60, 0xdf);
    assert_int_equal(asked.count[RESET_8042], 1);
    out8(&b, 0x64, 0xd1);
    out8(&b, 0x60, 0xde);
    assert_int_equal(asked.count[RESET_8042], 2);
}

static void keyboard_controller_answers(void **state)
{
    struct board b;
    struct reset r;

    (void)state;
    board_init(&b);
    reset_init(&r, NULL, NULL);
    reset_attach(&r, &b.ports);
    assert_int_equal(in8(&b, 0x64) & 3, 0); /* ready for a command, nothing to read */
    out8(&b, 0x64, 0xaa);
    assert_int_equal(in8(&b, 0x64) & 1, 1);
    assert_int_equal(in8(&b, 0x60), 0x55);
    assert_int_equal(in8(&b, 0x64) & 1, 0);
    out8(&b, 0x64, 0x60);
    out8(&b, 0x60, 0x47);
    out8(&b, 0x64, 0x20);
    assert_int_equal(in8(&b, 0x60), 0x47);
    out8(&b, 0x64, 0xd0);
    assert_int_equal(in8(&b, 0x60) & 3, 3); /* A20 on, reset not asserted */
    out8(&b, 0x64, 0xab);
    assert_int_not_equal(in8(&b, 0x60), 0); /* no keyboard on the interface */
    out8(&b, 0x60, 0xff);
    assert_int_equal(in8(&b, 0x64) & 1, 0);
    for (unsigned c = 0; c < 256; c++) { /* any command, any data */
        out8(&b, 0x64, (u8)c);
        out8(&b, 0x60, (u8)(c * 7));
        in8(&b, 0x60);
    }
}

struct tested {
    u32 status;
    unsigned exits, bytes, line;
    u8 byte;
    bool level;
};

static void on_exit_status(void *arg, u32 status)
{
    struct tested *t = arg;

    t->exits++;
    t->status = status;
}

static void on_byte(void *arg, u8 byte)
{
    struct tested *t = arg;

    t->bytes++;
    t->byte = byte;
}

static void on_line(void *arg, unsigned line, bool level)
{
    struct tested *t = arg;

    t->line = line;
    t->level = level;
}

static void testdev_interface(void **state)
{
    static const struct testdev_ops ops = {on_exit_status, on_byte, on_line};
    static u8 memory[TESTDEV_SIZE];
    struct board b;
    struct testdev t;
    struct tested seen = {0};

    (void)state;
    board_init(&b);
    testdev_init(&t, memory, &ops, &seen);
    testdev_attach(&t, &b.ports, &b.mmio);
    assert_int_equal(b.ports.err, OK);
    assert_int_equal(b.mmio.err, OK);
    out8(&b, 0xf4, 0x31);
    assert_int_equal(seen.status, 0x31);
    out16(&b, 0xf4, 0x1234);
    assert_int_equal(seen.status, 0x1234);
    out32(&b, 0xf4, 0x12345678);
    assert_int_equal(seen.status, 0x12345678);
    assert_int_equal(seen.exits, 3);
    out8(&b, 0xe9, 'x');
    assert_int_equal(seen.byte, 'x');
    assert_int_equal(in8(&b, 0xe9), 0xe9);
    out32(&b, 0xe0, 0xa1b2c3d4);
    assert_int_equal(in8(&b, 0xe1), 0xc3);
    out8(&b, 0xe3, 0x55);
    assert_int_equal(in32(&b, 0xe0), 0x55b2c3d4);
    out8(&b, 0x2000, 1);
    assert_int_equal(seen.line, 0);
    assert_true(seen.level);
    out32(&b, 0x2004, 1);
    assert_int_equal(seen.line, 4);
    out8(&b, 0x2017, 2);
    assert_int_equal(seen.line, 23);
    assert_false(seen.level);
    seen.line = 99;
    out8(&b, 0x2018, 1);
    assert_int_equal(seen.line, 99);
    /* The memory region, at every size and at its end. */
    board_access(&b, &b.mmio, TESTDEV_GPA + 3, 8, true, 0x1122334455667788);
    assert_int_equal(board_access(&b, &b.mmio, TESTDEV_GPA + 3, 8, false, 0), 0x1122334455667788);
    assert_int_equal(board_access(&b, &b.mmio, TESTDEV_GPA + 4, 2, false, 0), 0x6677);
    board_access(&b, &b.mmio, TESTDEV_GPA + TESTDEV_SIZE - 2, 4, true, 0xaabbccdd);
    assert_int_equal(memory[TESTDEV_SIZE - 1], 0xcc);
    assert_int_equal(board_access(&b, &b.mmio, TESTDEV_GPA + TESTDEV_SIZE - 2, 4, false, 0),
                     0xffffccdd);
}

/* SDM 3, 10.11: address and data of a message-signalled interrupt. */
static void msi_to_message(void **state)
{
    struct apic_msg m;

    (void)state;
    assert_true(apic_msg_from_msi(0xfee01000, 0x0041, &m));
    assert_int_equal(m.dest, 1);
    assert_int_equal(m.vector, 0x41);
    assert_int_equal(m.mode, APIC_FIXED);
    assert_false(m.logical);
    assert_false(m.level);
    assert_true(apic_msg_from_msi(0xfee0300c, 0x0152, &m));
    assert_true(m.logical);
    assert_int_equal(m.mode, APIC_LOWEST);
    assert_int_equal(m.dest, 3);
    assert_true(apic_msg_from_msi(0xfeeff000, 0x0400, &m));
    assert_int_equal(m.dest, APIC_DEST_ALL);
    assert_int_equal(m.mode, APIC_NMI);
    assert_true(apic_msg_from_msi(0xfeeff020, 0x0030, &m)); /* extended: ID 0x1ff */
    assert_int_equal(m.dest, 0x1ff);
    assert_false(apic_msg_from_msi(0xfee00000, 0x8030, &m)); /* level, de-assert: no interrupt */
    assert_true(apic_msg_from_msi(0xfee0300c, 0x0052, &m));  /* redirection hint: to one of a set */
    assert_int_equal(m.mode, APIC_LOWEST);
    assert_true(apic_msg_from_msi(0xfee03004, 0x0052, &m));
    assert_int_equal(m.mode, APIC_FIXED);
    assert_true(apic_msg_from_msi(0xfee0300c, 0x0452, &m)); /* NMI has no priority */
    assert_int_equal(m.mode, APIC_NMI);
    assert_true(apic_msg_from_msi(0xfee00000, 0xc030, &m));
    assert_true(m.level);
    assert_false(apic_msg_from_msi(0xfed00000, 0x30, &m));
    assert_false(apic_msg_from_msi(0x1fee00000, 0x30, &m));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_of_an_access),
        cmocka_unit_test(add_find_remove),
        cmocka_unit_test(add_refuses),
        cmocka_unit_test(access_sizes_and_pieces),
        cmocka_unit_test(access_nobody),
        cmocka_unit_test(post_port),
        cmocka_unit_test(pci_answers_nothing_there),
        cmocka_unit_test(reset_ports),
        cmocka_unit_test(keyboard_controller_answers),
        cmocka_unit_test(testdev_interface),
        cmocka_unit_test(msi_to_message),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
