/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Four local APICs and an I/O APIC, driven by the fuzzer's bytes: any register by memory or MSR,
 * any message, pins, time that jumps. What must hold whatever the guest does is checked after each
 * step.
 */
#include <stdlib.h>
#include <string.h>
#include "vmm/dev/vioapic.h"
#include "vmm/dev/vlapic.h"

#define CHECK(e) ((e) ? (void)0 : abort())
#define CPUS     4

struct cpu {
    u32 page[1024] ALIGNED(4096);
    struct vlapic l;
    unsigned kicks;
};

static struct cpu cpu[CPUS];
static struct vlapic_group group;
static struct vioapic io;
static u64 now;

static void on_kick(void *arg)
{
    ((struct cpu *)arg)->kicks++;
}

static void on_eoi(void *arg, u8 vector)
{
    (void)arg;
    vioapic_eoi(&io, vector);
}

static const struct vlapic_ops ops = {on_kick, on_eoi};

static bool on_send(void *arg, const struct apic_msg *msg)
{
    (void)arg;
    return vlapic_deliver(&group, NULL, msg) > 0;
}

static void build(void)
{
    memset(cpu, 0, sizeof(cpu));
    memset(&group, 0, sizeof(group));
    now = 1000000000;
    vioapic_init(&io, on_send, NULL);
    for (unsigned i = 0; i < CPUS; i++) {
        struct vlapic_config c = {.id = i,
                                  .page = cpu[i].page,
                                  .group = &group,
                                  .ops = &ops,
                                  .arg = &cpu[i],
                                  .tsc_khz = 2100000,
                                  .x2apic = true,
                                  .bsp = i == 0,
                                  .phys_bits = 39};
        CHECK(!vlapic_init(&cpu[i].l, &c));
    }
}

static int top(const struct vlapic *l, unsigned reg)
{
    for (int v = 255; v >= 0; v--)
        if (l->page[4 * (reg + (unsigned)v / 32)] >> (v % 32) & 1)
            return v;
    return -1;
}

static void check(struct cpu *c)
{
    struct vlapic *l = &c->l;
    int pending = vlapic_pending(l);

    CHECK(l->irr_top == top(l, APIC_IRR) && l->isr_top == top(l, APIC_ISR));
    CHECK(pending == -1 || pending >= 16);
    CHECK(pending == -1 || pending >> 4 > vlapic_ppr(l) >> 4);
    CHECK(!(l->page[4 * APIC_IRR] & 0xffff) && !(l->page[4 * APIC_ISR] & 0xffff));
    CHECK(vlapic_tpr_threshold(l, vlapic_top_request(l)) <= 15);
    CHECK(l->s.timer_on || l->deadline_ns == DEADLINE_NONE);
    CHECK(l->s.owed.count <= TICKS_OWED);
}

static void memory(struct vlapic *l, const u8 *b, u32 value)
{
    struct bus_access acc = {.addr = VLAPIC_GPA + (u64)(b[1] & 0x3f) * 16,
                             .size = 4,
                             .write = b[0] & 8,
                             .value = value,
                             .now_ns = now};

    if (b[1] & 0x40) { /* odd ones */
        acc.addr += b[2] & 15;
        acc.size = (u8)(1 << (b[3] & 3));
    }
    if (b[1] & 0x80)
        acc.addr = VLAPIC_GPA | (value & 0xfff);
    vlapic_mmio(l, &acc);
    CHECK(acc.write || !(acc.value & ~bus_open(acc.size)));
}

static void tick(struct cpu *c)
{
    vlapic_tick(&c->l, now);
    CHECK(c->l.deadline_ns > now);
}

static void step(const u8 *b)
{
    struct cpu *c = &cpu[b[0] & 3];
    u32 value = (u32)(b[2] | b[3] << 8 | b[4] << 16 | (u32)b[5] << 24);
    struct bus_access acc = {.size = 4, .write = true, .now_ns = now};
    u64 out = 0;
    int v;

    switch (b[0] >> 4) {
    case 0 ... 4:
        memory(&c->l, b, value);
        break;
    case 5:
    case 6:
        if (b[0] & 8)
            vlapic_write_msr(&c->l, MSR_X2APIC_BASE + b[1], now, value | (u64)b[4] << 32);
        else if (vlapic_read_msr(&c->l, MSR_X2APIC_BASE + b[1], now, &out))
            CHECK(b[1] < APIC_REGS);
        break;
    case 7:
        vlapic_write_base(&c->l, b[1] & 1 ? VLAPIC_GPA | (u64)(b[2] & 15) << 8 : value);
        break;
    case 8:
        vioapic_set_line(&io, b[1] & 31, b[2] & 1);
        break;
    case 9:
    case 10:
        acc.value = b[1];
        vioapic_access(&io, &acc);
        acc.offset = b[0] & 8 ? 0x10 : (u64)b[2] << 4;
        acc.value = value;
        vioapic_access(&io, &acc);
        break;
    case 11:
        now += (u64)value << (b[1] & 31);
        for (unsigned i = 0; i < CPUS; i++)
            tick(&cpu[i]);
        break;
    case 12:
        vlapic_write_tsc_deadline(&c->l, (u64)value << (b[1] & 63), now * 2, now);
        vlapic_tsc_moved(&c->l, now * 3, now);
        break;
    case 13:
        v = vlapic_pending(&c->l);
        if (v >= 0)
            vlapic_ack(&c->l, (u8)v);
        break;
    case 14:
        vlapic_set_lint(&c->l, b[1] & 3, b[2] & 1);
        vlapic_set_cr8(&c->l, b[3] & 15);
        break;
    default:
        vlapic_take_events(&c->l);
        if (b[1] < 8)
            vlapic_reset(&c->l, b[1] & 1);
        break;
    }
    for (unsigned i = 0; i < CPUS; i++)
        check(&cpu[i]);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    build();
    for (size_t i = 0; i + 6 <= size && i < 3000; i += 6)
        step(data + i);
    return 0;
}
