/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hello32, hello64: print what the loader and the processor gave them, then end.
 *
 * Words on the command line: key (wait for a byte and echo it), status=N (end with that status, 0
 * unless said), poweroff (end by ACPI soft-off), reset (end by a reset), halt (end in CLI; HLT).
 */
#include "guests/lib/acpi.h"
#include "guests/lib/boot.h"
#include "guests/lib/console.h"
#include "guests/lib/exit.h"
#include "guests/lib/guest.h"
#include "guests/lib/trap.h"
#include "lib/string.h"

/* CRC-32 as in zlib and Ethernet. */
static u32 crc32(const u8 *p, size_t size)
{
    u32 crc = ~0u;

    while (size--) {
        crc ^= *p++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static void show_entry(void)
{
    const struct boot_entry *e = &boot_entry;

    print("entry eax %08x ebx %08x eflags %08x cr0 %08x cr4 %08x\n", e->eax, e->ebx, e->eflags,
          e->cr0, e->cr4);
    print("entry cs %04x ds %04x es %04x fs %04x gs %04x ss %04x esp %08x\n", e->cs, e->ds, e->es,
          e->fs, e->gs, e->ss, e->esp);
}

static void show_memory(const struct mb_info *info)
{
    u64 usable = 0;

    if (info->flags & MB_HAS_MEMORY)
        print("memory lower %u KiB, upper %u KiB\n", info->mem_lower, info->mem_upper);
    for (unsigned i = 0; boot_range(i); i++) {
        const struct mb_range *r = boot_range(i);

        print("range %016jx-%016jx type %u\n", r->base, r->base + r->length - 1, r->type);
        if (r->type == 1)
            usable += r->length;
    }
    print("usable %ju KiB\n", usable >> 10);
}

static void show_modules(void)
{
    for (unsigned i = 0; i < boot_module_count(); i++) {
        const struct mb_module *m = boot_module(i);
        u32 size = m->end - m->start;

        print("module %u at %08x size %u crc32 %08x: %s\n", i, m->start, size,
              crc32((const u8 *)(ulong)m->start, size),
              m->cmdline ? (const char *)(ulong)m->cmdline : "");
    }
}

static void text_of(char *text, const u32 *words, unsigned count)
{
    memcpy(text, words, count * 4);
    text[count * 4] = 0;
}

static void show_cpu(void)
{
    struct cpuid c = cpuid(0, 0);
    char text[13];
    bool long_mode = cpu_has_ext_edx(CPUIDX_EDX_LM);

    text_of(text, (const u32[]){c.ebx, c.edx, c.ecx}, 3);
    print("cpu %s leaves %08x signature %08x, long mode %s\n", text, c.eax, cpuid(1, 0).eax,
          long_mode ? "there" : "absent");
    print("mode %u-bit, cr0 %08lx cr4 %08lx efer %08jx\n", (unsigned)GUEST_BITS, cr0_read(),
          cr4_read(), long_mode ? rdmsr(MSR_EFER) : 0);
    if (cpu_has_1_ecx(CPUID1_ECX_HYPERVISOR)) {
        c = cpuid(0x40000000, 0);
        text_of(text, (const u32[]){c.ebx, c.ecx, c.edx}, 3);
        print("hypervisor '%s' leaves %08x\n", text, c.eax);
    } else {
        print("hypervisor none\n");
    }
}

static void show_acpi(void)
{
    struct acpi_madt madt;
    unsigned total;
    unsigned bad = acpi_bad_tables(&total);

    if (acpi_rsdp() && acpi_read_madt(&madt))
        print("acpi %u tables, %u bad, %u cpus, %u ioapics\n", total, bad, madt.cpu_count,
              madt.ioapic_count);
    else
        print("acpi none\n");
}

static NORETURN void halt(void)
{
    console_drain();
    for (;;) {
        cpu_cli();
        cpu_hlt();
    }
}

u32 guest_main(void)
{
    const struct mb_info *info = boot_info();

    print("hello%u: here\n", (unsigned)GUEST_BITS);
    show_entry();
    if (!info) {
        print("hello%u: not started by Multiboot\n", (unsigned)GUEST_BITS);
        return 1;
    }
    print("loader '%s' flags %08x\n",
          info->flags & MB_HAS_LOADER ? (const char *)(ulong)info->loader_name : "", info->flags);
    print("command line '%s'\n", boot_cmdline());
    show_memory(info);
    show_modules();
    show_cpu();
    show_acpi();
    if (boot_word("key")) {
        print("press a key\n");
        print("key %02x\n", console_getc());
    }
    print("hello%u: done\n", (unsigned)GUEST_BITS);
    if (boot_word("halt"))
        halt();
    if (boot_word("reset"))
        guest_reset();
    if (boot_word("poweroff"))
        guest_poweroff();
    return (u32)boot_number("status=", 0);
}
