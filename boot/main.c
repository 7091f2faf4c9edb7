/* SPDX-License-Identifier: BSD-2-Clause */
/* From the first C function to the virtual machines: the order of things. */
#include "arch/x86_64/clock.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/devmap.h"
#include "arch/x86_64/fpu.h"
#include "arch/x86_64/ioapic.h"
#include "arch/x86_64/lapic.h"
#include "arch/x86_64/panic.h"
#include "arch/x86_64/percpu.h"
#include "arch/x86_64/power.h"
#include "arch/x86_64/smp.h"
#include "arch/x86_64/timer.h"
#include "arch/x86_64/trap.h"
#include "boot/mbi.h"
#include "boot/memory.h"
#include "boot/serial.h"
#include "drivers/uart/uart.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/frames.h"
#include "monitor/monitor.h"
#include "vmm/vmm.h"

NORETURN void boot_start(u32 kind, u32 info, u64 where); /* from entry.S */

extern const char skep_version[];
extern u64 __stack_chk_guard;

static struct boot_info boot_info;
static struct acpi_info acpi;
static struct config config;
static hpa_t report_at;
static enum boot_kind report_kind;

/* For what makes skep impossible on this machine. */
static NORETURN void give_up(const char *sentence)
{
    log_error("cannot start: %s", sentence);
    uart_flush();
    machine_halt();
}

static void seed_canary(void)
{
    __stack_chk_guard = (__stack_chk_guard ^ cpu_rdtsc()) * 0x9e3779b97f4a7c15;
    __stack_chk_guard &= ~0xffull; /* a zero byte stops runaway strings */
}

static void open_console(void)
{
    config_parse_own(&config, boot_info.cmdline);
    serial_open(&config);
}

/* The brand string (SDM 2, CPUID 80000002h-80000004h) without the blanks around it. */
static const char *brand_name(char buf[49])
{
    struct cpuid_regs r;
    size_t len;

    buf[0] = 0;
    if (cpu_cpuid_max(0x80000000) < 0x80000004)
        return "without a name";
    for (u32 i = 0; i < 3; i++) {
        r = cpu_cpuid(0x80000002 + i, 0);
        memcpy(buf + 16 * i, &r, 16);
    }
    buf[48] = 0;
    len = strlen(buf);
    while (len && buf[len - 1] == ' ')
        buf[--len] = 0;
    while (*buf == ' ')
        buf++;
    return *buf ? buf : "without a name";
}

static void say_hello(void)
{
    char buf[49];

    log_info("version %s, started by %s", skep_version,
             *boot_info.loader ? boot_info.loader : "a loader without a name");
    log_info("processor: %s", brand_name(buf));
}

/* Reads the loader's report: first where the loader left it, then again through our own map. */
static const char *read_report(boot_view_fn view)
{
    return mbi_parse(report_kind, report_at, view, NULL, &boot_info);
}

static bool acpi_read(void *arg, hpa_t hpa, void *buf, size_t len)
{
    (void)arg;
    return devmap_read(hpa, buf, len);
}

static void acpi_complain(void *arg, const char *sentence)
{
    (void)arg;
    log_warn("%s", sentence);
}

static void read_tables(void)
{
    const struct acpi_reader reader = {.read = acpi_read, .complain = acpi_complain};
    u8 rsdp[36];

    if (boot_info.rsdp)
        acpi_parse(&reader, boot_info.rsdp, boot_info.rsdp_len, &acpi);
    else if (boot_info.rsdp_hpa && devmap_read(boot_info.rsdp_hpa, rsdp, sizeof(rsdp)))
        acpi_parse(&reader, rsdp, sizeof(rsdp), &acpi);
    else
        acpi_parse(&reader, NULL, 0, &acpi);
    power_init(&acpi);
    serial_find(&reader, &acpi);
}

/*
 * Bochs 2.7 delivers interrupts to guests that have theirs off, and loses some: docs/interrupts.md.
 * Where its firmware runs without a hypervisor this is Bochs, for QEMU alone has no VMX.
 */
static void choose_apic_help(void)
{
    if (config.apic == CONFIG_APIC_BEST && acpi.bochs && !(cpu_cpuid(1, 0).ecx & BIT(31)))
        config.apic = APIC_SHADOW;
}

/* Stops here if there is a reason to. */
static void must(const char *why)
{
    if (why)
        give_up(why);
}

static const char *setup_lapic(void)
{
    return lapic_setup() ? NULL : "this processor has no local APIC, or it is turned off";
}

static void start_clock(void)
{
    const char *how;

    clock_init(acpi.pm_timer, &how);
    log_info("clock: %u.%03u MHz by %s, local APIC timer %lu kHz%s", clock_tsc_khz() / 1000,
             clock_tsc_khz() % 1000, how, clock_lapic_hz() / 1000,
             lapic_x2apic() ? ", x2APIC" : "");
}

static void start_processors(void)
{
    if (!memory_low_page() && acpi.cpu_count > 1)
        log_warn("no free page below 1 MiB: the other processors cannot be started");
    else
        smp_start(&acpi, memory_low_page(), vmm_cpu_main);
    u64 unused = frames_free_count(&frames_machine) << PAGE_SHIFT;
    log_info("memory: %lu MiB, %lu MiB free, %lu KiB skep's own; CPUs: %u",
             memory_installed() >> 20, unused >> 20, (memory_installed() - unused) >> 10,
             cpu_count());
}

static NORETURN void run_vms(void)
{
    static struct vm_module modules[BOOT_MAX_MODULES];
    static const char *texts[BOOT_MAX_MODULES];
    static struct vmm_input input = {modules, texts, 0};

    for (u32 i = 0; i < boot_info.module_count; i++) {
        const struct boot_module *m = &boot_info.module[i];

        modules[i] = (struct vm_module){memory_view(NULL, m->start, m->size), m->size};
        texts[i] = m->cmdline;
    }
    input.count = boot_info.module_count;
    if (boot_info.modules_left_out)
        log_warn("%u modules too many: skep takes %u", boot_info.modules_left_out,
                 BOOT_MAX_MODULES);
    monitor_init(&config);
    vmm_main(&config, &input);
}

/* The boot CPU on its own stack: everything that needs skep's own memory. */
static NORETURN void start_machine(void)
{
    read_report(memory_view);         /* the report's strings have moved */
    read_tables();                    /* ACPI; where console= is */
    choose_apic_help();               /* without apic= */
    must(memory_give_out(&acpi));     /* frame allocator */
    ioapic_init(&acpi);               /* the board's interrupt controllers: all masked */
    must(setup_lapic());              /* local APIC: mode and mapping */
    lapic_init();                     /* this CPU's, enabled in that mode */
    this_cpu()->apic_id = lapic_id(); /* now that it can be read */
    fpu_init();                       /* extended state, for guests */
    start_clock();                    /* TSC and local APIC timer against a known one */
    timer_init();                     /* this CPU's timers */
    serial_connect();                 /* from polling to interrupts */
    start_processors();               /* all of them; they wait in vmm_cpu_main */
    run_vms();
}

static NORETURN void enter_own_stack(void)
{
    struct percpu *cpu = percpu_make(0, 0);

    if (!cpu)
        give_up("there is too little memory for the boot processor's stacks");
    percpu_enter(cpu);
    percpu_online(0);
    __asm__ volatile("mov %0, %%rsp\n\txor %%ebp, %%ebp\n\tpushq $0\n\tjmp *%1"
                     :
                     : "r"(cpu->stack_top), "r"(start_machine)
                     : "memory");
    __builtin_unreachable();
}

/* Without it no page could be both writable and not executable. */
static const char *lacks_nx(void)
{
    return cpu_cpuid(0x80000001, 0).edx & BIT(20) ? NULL
                                                  : "the processor's execute-disable bit (NX) is "
                                                    "off: turn it on in the firmware's setup";
}

/* The boot CPU on the loader's page tables and the image's stack: only what leads away from them.
 */
void boot_start(u32 kind, u32 info, u64 where)
{
    const char *broken;

    report_kind = kind;
    report_at = info;
    image_delta = where - IMAGE_PADDR;
    seed_canary();                           /* stack protector */
    percpu_early();                          /* GS, GDT, TSS */
    trap_init();                             /* IDT */
    trap_load();                             /* from here on faults are told */
    broken = read_report(memory_view_early); /* memory map, modules, command line */
    open_console();                          /* console= and log= */
    say_hello();                             /* version and processor */
    must(broken);                            /* now that it can be said */
    must(lacks_nx());                        /* which skep's own page tables use */
    must(memory_map_machine(&boot_info));    /* own page tables; nothing is mapped low */
    enter_own_stack();                       /* per-CPU area with guard pages */
}
