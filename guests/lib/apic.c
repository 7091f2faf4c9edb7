/* SPDX-License-Identifier: BSD-2-Clause */
/* Local APIC and I/O APIC (SDM 3, 10.4 to 10.12; 82093AA data sheet). */
#include "guests/lib/apic.h"
#include "guests/lib/acpi.h"

#define LVT_COUNT_SHIFT 16

static struct acpi_madt madt;
static ulong ioapic;

bool apic_is_x2(void)
{
    return rdmsr(MSR_APIC_BASE) & APIC_BASE_X2APIC;
}

u32 apic_read(u32 reg)
{
    return apic_is_x2() ? (u32)rdmsr(MSR_X2APIC_BASE + reg / 16) : mmio_read32(APIC_MMIO + reg);
}

void apic_write(u32 reg, u32 value)
{
    if (apic_is_x2())
        wrmsr(MSR_X2APIC_BASE + reg / 16, value);
    else
        mmio_write32(APIC_MMIO + reg, value);
}

void apic_eoi(void)
{
    apic_write(APIC_EOI, 0);
}

u32 apic_id(void)
{
    u32 id = apic_read(APIC_ID);

    return apic_is_x2() ? id : id >> 24;
}

void apic_enable(void)
{
    u64 base = rdmsr(MSR_APIC_BASE);

    if (!(base & APIC_BASE_ENABLE))
        wrmsr(MSR_APIC_BASE, base | APIC_BASE_ENABLE);
    apic_write(APIC_SVR, APIC_SVR_ENABLE | APIC_SPURIOUS_VECTOR);
    apic_write(APIC_TPR, 0);
    apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
    apic_write(APIC_LVT_LINT0, APIC_LVT_MASKED);
    apic_write(APIC_LVT_LINT1, APIC_LVT_MASKED);
    if ((apic_read(APIC_VERSION) >> LVT_COUNT_SHIFT & 0xff) >= 3)
        apic_write(APIC_LVT_ERROR, APIC_LVT_MASKED);
}

void apic_x2_mode_on(void)
{
    wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE | APIC_BASE_X2APIC);
    apic_enable();
}

void apic_icr(u32 dest, u32 low)
{
    if (apic_is_x2()) {
        wrmsr(MSR_X2APIC_BASE + APIC_ICR / 16, (u64)dest << 32 | low);
        return;
    }
    mmio_write32(APIC_MMIO + APIC_ICR_HIGH, dest << 24);
    mmio_write32(APIC_MMIO + APIC_ICR, low);
    while (mmio_read32(APIC_MMIO + APIC_ICR) & ICR_PENDING)
        cpu_pause();
}

bool apic_vector_bit(u32 reg, u8 vector)
{
    return apic_read(reg + vector / 32u * 16) >> vector % 32 & 1;
}

u64 apic_timer_per_mega_tsc(void)
{
    u64 start;
    u64 ticks;
    u32 left;

    apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED | APIC_TIMER_ONE_SHOT);
    apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_1);
    apic_write(APIC_TIMER_INITIAL, ~0u);
    start = rdtsc();
    while (rdtsc() - start < 1000000)
        cpu_pause();
    left = apic_read(APIC_TIMER_CURRENT);
    ticks = rdtsc() - start;
    apic_write(APIC_TIMER_INITIAL, 0);
    return (u64)(~0u - left) * 1000000 / ticks;
}

void ioapic_init(void)
{
    acpi_read_madt(&madt);
    ioapic = madt.ioapic_count ? madt.ioapic[0].address : 0xfec00000;
}

ulong ioapic_address(void)
{
    return ioapic;
}

u32 ioapic_read(u32 reg)
{
    mmio_write32(ioapic, reg);
    return mmio_read32(ioapic + 0x10);
}

void ioapic_write(u32 reg, u32 value)
{
    mmio_write32(ioapic, reg);
    mmio_write32(ioapic + 0x10, value);
}

unsigned ioapic_pins(void)
{
    return (ioapic_read(IOAPIC_VERSION) >> 16 & 0xff) + 1;
}

void ioapic_route(unsigned pin, u32 low, u32 dest)
{
    ioapic_write(IOAPIC_REDIR + 2 * pin, IOAPIC_MASKED);
    ioapic_write(IOAPIC_REDIR + 2 * pin + 1, dest << 24);
    ioapic_write(IOAPIC_REDIR + 2 * pin, low);
}

unsigned ioapic_isa_pin(unsigned irq, u32 *flags)
{
    u16 inti = madt.isa_flags[irq];

    *flags = ((inti & 3) == 3 ? IOAPIC_LOW : 0) | ((inti >> 2 & 3) == 3 ? IOAPIC_LEVEL : 0);
    return madt.isa_gsi[irq];
}
