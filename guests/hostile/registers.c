/* SPDX-License-Identifier: BSD-2-Clause */
/* Random MSRs, ports, control registers; interrupt controllers programmed at random. */
#include "guests/hostile/hostile.h"
#include "guests/lib/acpi.h"

#define ROUNDS 20000

static u32 random_msr(void)
{
    static const u32 bases[] = {0,          0x400,      0x800,      0xc00,
                                0x40000000, 0xc0000000, 0xc0010000, 0x4b564d00};
    u64 r = random_u64();

    return r & 1 ? (u32)(r >> 32) : bases[r >> 1 & 7] + (u32)(r >> 40 & 0x3ff);
}

/* What would only end this guest's own life. */
static bool own_life(u32 msr)
{
    return msr == MSR_EFER || msr == MSR_APIC_BASE;
}

static void msrs(void)
{
    u64 count = boot_number("count=", ROUNDS);

    for (u64 i = 0; i < count; i++) {
        u32 msr = random_msr();
        u64 value;

        rdmsr_try(msr, &value);
        if (!own_life(msr))
            wrmsr_try(msr, random_u64() >> (random_u64() & 63));
    }
}

/* Every number of the architectural ranges, in order. */
static void msrs_all(void)
{
    static const u32 ranges[][2] = {
        {0, 0x2100}, {0xc0000000, 0xc0002100}, {0xc0010000, 0xc0012100}};

    for (unsigned r = 0; r < ARRAY_SIZE(ranges); r++)
        for (u32 msr = ranges[r][0]; msr < ranges[r][1]; msr++) {
            u64 value;

            if (rdmsr_try(msr, &value) < 0 && !own_life(msr))
                wrmsr_try(msr, value);
            if (!own_life(msr))
                wrmsr_try(msr, ~0ull);
        }
}

static struct acpi_soft_off soft_off;

/* Ports that end the guest as they should, and emulators' own. */
static bool ending_port(u16 port)
{
    static const u16 list[] = {0x64, 0x92, 0xcf9, 0x604, 0xb004, 0x8900, 0x8a00};

    if (port >= TESTDEV_EXIT - 3 && port <= TESTDEV_EXIT + 3)
        return true;
    if (port >= soft_off.pm1a_control - 3 && port <= soft_off.pm1a_control + 3)
        return true;
    for (unsigned i = 0; i < ARRAY_SIZE(list); i++)
        if (port >= list[i] - 3 && port <= list[i] + 3)
            return true;
    return false;
}

/* The console stays usable. */
static bool console_port(u16 port)
{
    return port >= COM1 - 3 && port < COM1 + 8;
}

static u16 random_port(void)
{
    static const u16 known[] = {0x20,  0x40,  0x60,   0x70,  0x80,   0xa0,  0xe0,  0xcf8,
                                0xcfc, 0x4d0, 0x2000, 0x600, 0xb000, 0x2f8, 0x1f0, 0x510};
    u64 r = random_u64();

    return (u16)(r & 1 ? r >> 16 : known[r >> 1 & 15] + (r >> 8 & 7));
}

static void one_port(u16 port, u64 r)
{
    switch (r % 6) {
    case 0:
        in8(port);
        break;
    case 1:
        in16(port);
        break;
    case 2:
        in32(port);
        break;
    case 3:
        out8(port, (u8)(r >> 8));
        break;
    case 4:
        out16(port, (u16)(r >> 8));
        break;
    default:
        out32(port, (u32)(r >> 8));
    }
}

static void ports(void)
{
    u64 count = boot_number("count=", ROUNDS);

    acpi_find_soft_off(&soft_off);
    for (u64 i = 0; i < count; i++) {
        u16 port = random_port();

        if (!ending_port(port) && !console_port(port))
            one_port(port, random_u64());
    }
}

/* INS and OUTS on random ports into and from everywhere. */
struct string_args {
    ulong address;
    ulong count;
    u16 port;
};

static void string_in(void *arg)
{
    struct string_args *s = arg;

    asm volatile("rep insl" : "+D"(s->address), "+c"(s->count) : "d"(s->port) : "memory");
}

static void string_out(void *arg)
{
    struct string_args *s = arg;

    asm volatile("rep outsw" : "+S"(s->address), "+c"(s->count) : "d"(s->port) : "memory");
}

static void strings(void)
{
    static const ulong places[] = {0, 0xfee00000, 0xfec00000, 0xff000000, 0xfffffffc, 0xe0000000};

    acpi_find_soft_off(&soft_off);
    for (unsigned i = 0; i < 1000; i++) {
        u64 r = random_u64();
        struct string_args in = {(ulong)scratch, r >> 8 & 0xff, random_port()};
        struct string_args out = {places[r % 6] + (ulong)(r >> 16 & 0xfff), r >> 32 & 0x3f,
                                  random_port()};

        dare(string_in, &in);
        if (!ending_port(out.port) && !console_port(out.port))
            dare(string_out, &out);
    }
}

struct cr_write {
    unsigned which;
    ulong value;
};

static void write_cr(void *arg)
{
    const struct cr_write *w = arg;

    switch (w->which) {
    case 0:
        cr0_write(w->value);
        break;
    case 1:
        cr4_write(w->value);
        break;
    case 2:
        dr7_write(w->value & ~0x2000ul);
        break;
    case 3:
        dr6_write(w->value);
        break;
    default:
        xsetbv_try((u32)(w->value & 1), w->value >> 1);
    }
}

/* Control registers with one or a few bits flipped, then put back. */
static void crs(void)
{
    ulong cr0 = cr0_read();
    ulong cr4 = cr4_read();
    ulong keep = GUEST_BITS == 64 ? 0 : (ulong)CR0_PG;

    for (unsigned i = 0; i < ROUNDS / 10; i++) {
        u64 r = random_u64();
        ulong flip = (ulong)(r & random_u64() & random_u64());
        struct cr_write w = {(unsigned)(r >> 60) % 5, flip};

        if (w.which == 0) /* 32-bit code may turn paging off, but not protection */
            w.value = (cr0 ^ flip) | (ulong)CR0_PE | keep;
        else if (w.which == 1) /* the same for PAE; SMEP and SMAP would end this code */
            w.value =
                ((cr4 ^ flip) | (ulong)CR4_PAE) & ~(ulong)(CR4_SMEP | CR4_SMAP | CR4_CET | CR4_PKE);
        if (boot_word("verbose"))
            print("%u %lx\n", w.which, w.value);
        dare(write_cr, &w);
        cr0_write(cr0);
        cr4_write(cr4);
        dr7_write(0x400);
    }
}

/* Interrupt controllers and timers set up at random, interrupts let in. */
static void swallow(struct trap_frame *f)
{
    if (f->vector >= 0x30)
        apic_eoi();
    out8(0xa0, 0x20);
    out8(0x20, 0x20);
}

static void random_apic_write(u64 r)
{
    static const u16 regs[] = {APIC_TPR,
                               APIC_EOI,
                               APIC_LDR,
                               APIC_DFR,
                               APIC_SVR,
                               APIC_ESR,
                               APIC_LVT_TIMER,
                               0x330,
                               0x340,
                               APIC_LVT_LINT0,
                               APIC_LVT_LINT1,
                               APIC_LVT_ERROR,
                               APIC_TIMER_INITIAL,
                               APIC_TIMER_DIVIDE,
                               APIC_ICR_HIGH,
                               0x2f0};

    mmio_write32(APIC_MMIO + regs[r & 15], (u32)(r >> 32));
}

/* Not INIT or start-up, to nobody: they would end this processor as they should. */
static void random_ipi(u64 r)
{
    u32 low = (u32)(r >> 32) & 0xcc8ff;
    u32 mode = (u32)(r >> 8 & 3) << 8; /* fixed, lowest, (SMI), (reserved) */

    mmio_write32(APIC_MMIO + APIC_ICR_HIGH, (u32)r & 0xff000000);
    mmio_write32(APIC_MMIO + APIC_ICR, low | (mode == 0x200 ? 0 : mode));
}

static void interrupts(void)
{
    for (unsigned v = 0x20; v < 256; v++)
        if (v != VECTOR_USER_EXIT)
            trap_set((u8)v, swallow);
    trap_set(EXC_NMI, swallow);
    for (unsigned i = 0; i < ROUNDS; i++) {
        u64 r = random_u64();

        switch (r >> 4 & 7) {
        case 0:
            random_ipi(r);
            break;
        case 1:
            ioapic_write((u32)(r >> 8 & 0x3f), (u32)(r >> 32));
            break;
        case 2:
            out8((u16)(r & 8 ? 0x20 : 0xa0) + (r >> 9 & 1), (u8)(r >> 32));
            break;
        case 3:
            out8((u16)(0x40 + (r >> 9 & 3)), (u8)(r >> 32));
            break;
        default:
            random_apic_write(r);
        }
        if (i % 16 == 0) {
            cpu_sti();
            cpu_pause();
            cpu_cli();
        }
    }
    apic_enable();
}

static const struct deed list[] = {
    {"msrs", msrs, RETURNS},   {"msrs_all", msrs_all, RETURNS},
    {"ports", ports, RETURNS}, {"strings", strings, RETURNS},
    {"crs", crs, RETURNS},     {"interrupts", interrupts, ANYTHING},
};
const struct deed_list deeds_registers = {list, ARRAY_SIZE(list)};
