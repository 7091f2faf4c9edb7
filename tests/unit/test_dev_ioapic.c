/* SPDX-License-Identifier: BSD-2-Clause */
/* The I/O APIC against the 82093AA data sheet, alone and with local APICs behind it. */
#include "tests/unit/lapic_bench.h"
#include "vmm/dev/vioapic.h"
#include "vmm/dev/vlapic.h"

struct bench {
    struct board b;
    struct vioapic io;
    bool refuse;
    unsigned sent;
    struct apic_msg last;
};

static bool on_send(void *arg, const struct apic_msg *msg)
{
    struct bench *t = arg;

    t->sent++;
    t->last = *msg;
    return !t->refuse;
}

static void start(struct bench *t)
{
    memset(t, 0, sizeof(*t));
    board_init(&t->b);
    vioapic_init(&t->io, on_send, t);
    assert_int_equal(vioapic_attach(&t->io, &t->b.mmio), OK);
}

static void mmio_write(struct bench *t, unsigned offset, u32 value)
{
    board_access(&t->b, &t->b.mmio, IOAPIC_GPA + offset, 4, true, value);
}

static u32 mmio_read(struct bench *t, unsigned offset)
{
    return (u32)board_access(&t->b, &t->b.mmio, IOAPIC_GPA + offset, 4, false, 0);
}

static u32 get(struct bench *t, u32 reg)
{
    mmio_write(t, 0, reg);
    return mmio_read(t, 0x10);
}

static void put(struct bench *t, u32 reg, u32 value)
{
    mmio_write(t, 0, reg);
    mmio_write(t, 0x10, value);
}

static void entry(struct bench *t, unsigned pin, u64 value)
{
    put(t, 0x11 + 2 * pin, (u32)(value >> 32));
    put(t, 0x10 + 2 * pin, (u32)value);
}

static void registers(void **state)
{
    struct bench t;

    (void)state;
    start(&t);
    assert_int_equal(get(&t, 0), 0);
    put(&t, 0, 0xffffffff);
    assert_int_equal(get(&t, 0), 0x0f000000);
    assert_int_equal(get(&t, 2), 0x0f000000);
    assert_int_equal(get(&t, 1), 0x00170020);
    put(&t, 1, 0);
    assert_int_equal(get(&t, 1), 0x00170020);
    for (unsigned pin = 0; pin < 24; pin++) {
        assert_int_equal(get(&t, 0x10 + 2 * pin), 0x10000);
        assert_int_equal(get(&t, 0x11 + 2 * pin), 0);
        entry(&t, pin, UINT64_MAX); /* status and remote IRR are read-only */
        assert_int_equal(get(&t, 0x10 + 2 * pin), 0x1afff);
        assert_int_equal(get(&t, 0x11 + 2 * pin), 0xff000000);
    }
    assert_int_equal(t.sent, 0);
}

/* CVE-2013-1798: any index, any offset, any size. */
static void index_out_of_range(void **state)
{
    struct bench t;

    (void)state;
    start(&t);
    for (unsigned index = 0; index < 0x400; index++) {
        mmio_write(&t, 0, index);
        assert_int_equal(mmio_read(&t, 0), index & 0xff);
        if ((index & 0xff) >= 0x40 || ((index & 0xff) >= 3 && (index & 0xff) < 0x10))
            assert_int_equal(mmio_read(&t, 0x10), 0);
        mmio_write(&t, 0x10, 0x10000);
    }
    for (unsigned offset = 0; offset < 0x1000; offset++)
        for (u8 size = 1; size <= 8; size *= 2) {
            board_access(&t.b, &t.b.mmio, IOAPIC_GPA + offset, size, false, 0);
            board_access(&t.b, &t.b.mmio, IOAPIC_GPA + offset, size, true, 0x1ff);
        }
    for (unsigned pin = 24; pin < 300; pin++)
        vioapic_set_line(&t.io, pin, true);
    assert_int_equal(t.io.s.level, 0);
}

static void access_sizes(void **state)
{
    struct bench t;

    (void)state;
    start(&t);
    board_access(&t.b, &t.b.mmio, IOAPIC_GPA, 1, true, 1);
    assert_int_equal(board_access(&t.b, &t.b.mmio, IOAPIC_GPA + 0x12, 2, false, 0), 0x17);
    mmio_write(&t, 0, 0x10);
    board_access(&t.b, &t.b.mmio, IOAPIC_GPA + 0x10, 1, true, 0x41); /* not a doubleword: dropped */
    assert_int_equal(mmio_read(&t, 0x10), 0x10000);
    board_access(&t.b, &t.b.mmio, IOAPIC_GPA + 0x10, 8, true, 0x1111111100010041);
    assert_int_equal(mmio_read(&t, 0x10), 0x10041);
}

static void edge(void **state)
{
    struct bench t;

    (void)state;
    start(&t);
    entry(&t, 5, 0x0300000000000841);
    vioapic_set_line(&t.io, 5, true);
    assert_int_equal(t.sent, 1);
    assert_int_equal(t.last.vector, 0x41);
    assert_int_equal(t.last.dest, 3);
    assert_true(t.last.logical);
    assert_false(t.last.level);
    vioapic_set_line(&t.io, 5, true); /* still up: no edge */
    assert_int_equal(t.sent, 1);
    vioapic_set_line(&t.io, 5, false);
    vioapic_set_line(&t.io, 5, true);
    assert_int_equal(t.sent, 2);
    assert_int_equal(get(&t, 0x1a) & 0x4000, 0);
    /* An edge while masked is lost. */
    entry(&t, 5, 0x10041);
    vioapic_set_line(&t.io, 5, false);
    vioapic_set_line(&t.io, 5, true);
    entry(&t, 5, 0x00041);
    assert_int_equal(t.sent, 2);
    entry(&t, 5, 0xff00000000000041);
    vioapic_set_line(&t.io, 5, false);
    vioapic_set_line(&t.io, 5, true);
    assert_int_equal(t.last.dest, APIC_DEST_ALL);
}

static void level_and_remote_irr(void **state)
{
    struct bench t;

    (void)state;
    start(&t);
    entry(&t, 9, 0x8052);
    vioapic_set_line(&t.io, 9, true);
    assert_int_equal(t.sent, 1);
    assert_true(t.last.level);
    assert_int_equal(get(&t, 0x22), 0xc052);
    vioapic_set_line(&t.io, 9, false);
    vioapic_set_line(&t.io, 9, true); /* busy until EOI */
    assert_int_equal(t.sent, 1);
    vioapic_eoi(&t.io, 0x51);
    assert_int_equal(t.sent, 1);
    vioapic_eoi(&t.io, 0x52); /* still up: again */
    assert_int_equal(t.sent, 2);
    vioapic_set_line(&t.io, 9, false);
    mmio_write(&t, 0x40, 0x52); /* the EOI register does as much */
    assert_int_equal(t.sent, 2);
    assert_int_equal(get(&t, 0x22), 0x8052);
    /* Masked while up: sent when unmasked. */
    entry(&t, 9, 0x18052);
    vioapic_set_line(&t.io, 9, true);
    assert_int_equal(t.sent, 2);
    entry(&t, 9, 0x8052);
    assert_int_equal(t.sent, 3);
    /* Rewriting the entry keeps remote IRR; turning it to edge and back clears it. */
    entry(&t, 9, 0x18052);
    assert_int_equal(get(&t, 0x22), 0x1c052);
    entry(&t, 9, 0x10052);
    entry(&t, 9, 0x18052);
    assert_int_equal(get(&t, 0x22), 0x18052);
    /* Nobody takes it: remote IRR stays clear, and the next chance is taken. */
    t.refuse = true;
    entry(&t, 9, 0x8052);
    assert_int_equal(get(&t, 0x22), 0x8052);
    t.refuse = false;
    vioapic_set_line(&t.io, 9, true);
    assert_int_equal(get(&t, 0x22), 0xc052);
}

static void delivery_modes(void **state)
{
    static const u8 modes[] = {APIC_FIXED, APIC_LOWEST, APIC_SMI, APIC_NMI, APIC_INIT, APIC_EXTINT};
    struct bench t;

    (void)state;
    start(&t);
    for (unsigned i = 0; i < ARRAY_SIZE(modes); i++) {
        entry(&t, 3, 0x8000 | (u64)modes[i] << 8 | 0x40); /* set to level, all of them */
        vioapic_set_line(&t.io, 3, true);
        assert_int_equal(t.sent, i + 1);
        assert_int_equal(t.last.mode, modes[i]);
        assert_int_equal(t.last.level, modes[i] <= APIC_LOWEST); /* the others are edges anyway */
        assert_int_equal(!!(get(&t, 0x16) & 0x4000), modes[i] <= APIC_LOWEST);
        vioapic_set_line(&t.io, 3, false);
        entry(&t, 3, 0x10000);
    }
}

/* ---- with local APICs: the whole way from a pin to a handler and back ----------------------- */

static struct lapic_bench *cpus;
static struct vioapic io;

static bool to_cpus(void *arg, const struct apic_msg *msg)
{
    (void)arg;
    return vlapic_deliver(&cpus->group, NULL, msg) > 0;
}

static void broadcast(void *arg, u8 vector)
{
    (void)arg;
    vioapic_eoi(&io, vector);
}

static const struct vlapic_ops whole_ops = {bench_kick, broadcast};

static void start_whole(void)
{
    cpus = bench_new(2);
    enable_all(cpus);
    for (unsigned i = 0; i < 2; i++)
        cpus->cpu[i].l.c.ops = &whole_ops;
    vioapic_init(&io, to_cpus, NULL);
}

static void level_triggered_eoi_broadcast(void **state)
{
    (void)state;
    start_whole();
    io.s.entry[9] = 0x0100000000008052;
    vioapic_set_line(&io, 9, true);
    assert_int_equal(take(cpus, 0), -1);
    assert_int_equal(take(cpus, 1), 0x52);
    assert_true(io.s.entry[9] & IOAPIC_REMOTE_IRR);
    wr(cpus, 1, APIC_EOI, 0); /* the line is still up: again, at once */
    assert_int_equal(take(cpus, 1), 0x52);
    vioapic_set_line(&io, 9, false);
    wr(cpus, 1, APIC_EOI, 0);
    assert_int_equal(take(cpus, 1), -1);
    assert_false(io.s.entry[9] & IOAPIC_REMOTE_IRR);
    free(cpus);
}

/* CVE-2016-9777: destinations that do not exist, physical and logical. */
static void destination_out_of_range(void **state)
{
    (void)state;
    start_whole();
    for (unsigned dest = 4; dest < 255; dest++)
        for (unsigned logical = 0; logical < 2; logical++) {
            if (logical && (dest & 3)) /* bits 0 and 1 are there */
                continue;
            io.s.entry[4] = (u64)dest << 56 | logical << 11 | 0x61;
            vioapic_set_line(&io, 4, true);
            vioapic_set_line(&io, 4, false);
            assert_int_equal(take(cpus, 0), -1);
            assert_int_equal(take(cpus, 1), -1);
        }
    free(cpus);
}

static void what_is_no_plain_interrupt(void **state)
{
    (void)state;
    start_whole();
    /* Illegal vectors are the receiver's error. */
    io.s.entry[4] = 0x0000000000000009;
    vioapic_set_line(&io, 4, true);
    vlapic_pending(&cpus->cpu[0].l);
    wr(cpus, 0, APIC_ESR, 0);
    assert_int_equal(rd(cpus, 0, APIC_ESR), 0x40);
    /* Only an ICR sends start-up messages: the mode is reserved here (82093AA, 3.2.4). */
    io.s.entry[5] = 0x0000000000000610;
    vioapic_set_line(&io, 5, true);
    assert_int_equal(vlapic_take_events(&cpus->cpu[0].l), 0);
    /* ExtINT as an event. */
    io.s.entry[0] = 0x700;
    vioapic_set_line(&io, 0, true);
    assert_int_equal(vlapic_take_events(&cpus->cpu[0].l), VLAPIC_EV_EXTINT);
    free(cpus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registers),
        cmocka_unit_test(index_out_of_range),
        cmocka_unit_test(access_sizes),
        cmocka_unit_test(edge),
        cmocka_unit_test(level_and_remote_irr),
        cmocka_unit_test(delivery_modes),
        cmocka_unit_test(level_triggered_eoi_broadcast),
        cmocka_unit_test(destination_out_of_range),
        cmocka_unit_test(what_is_no_plain_interrupt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
