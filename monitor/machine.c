/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands about a VM's devices and interrupts, and about the machine's processors. */
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/percpu.h"
#include "drivers/uart/uart.h"
#include "lib/print.h"
#include "monitor/command.h"
#include "monitor/out.h"
#include "vmm/sched.h"

/* ---- interrupts ---- */

#define VECTORS_SIZE 128

/* The set bits of a local APIC's 256-bit register, as vectors; the first ones, if there are many.
 */
static const char *vectors(char *buf, const struct vlapic *l, unsigned reg)
{
    unsigned len = 0;

    buf[0] = '\0';
    for (unsigned vector = 0; vector < 256 && len + 4 < VECTORS_SIZE; vector++)
        if (l->page[4 * (reg + vector / 32)] >> vector % 32 & 1)
            len += (unsigned)fmt_print(buf + len, VECTORS_SIZE - len, " %02x", vector);
    return buf;
}

static void show_lapic(struct vcpu *v, void *arg)
{
    static const char *const modes[] = {"off", "xAPIC", "x2APIC"};
    char irr[VECTORS_SIZE], isr[VECTORS_SIZE];
    struct vlapic *l = &v->apic;
    u64 deadline = vlapic_deadline(l);

    (void)arg;
    vlapic_sync(l);
    out("local_apics[id,mode,tpr,requested,in_service,lvt_timer,lint0,lint1+",
        "  local APIC %u: %s, TPR %02x, requested%s, in service%s, LVT timer %x LINT0 %x LINT1 %x",
        v->id, modes[l->mode % 3], l->page[4 * APIC_TPR], vectors(irr, l, APIC_IRR),
        vectors(isr, l, APIC_ISR), l->page[4 * APIC_LVT_TIMER], l->page[4 * APIC_LVT_LINT0],
        l->page[4 * APIC_LVT_LINT1]);
    if (deadline == DEADLINE_NONE)
        out("", ", no timer\n");
    else
        out("timer_us", ", timer in %lld us\n", (long long)(deadline - vm_now(v->vm)) / 1000);
}

static void show_pic(const struct pic_chip *c, const char *name)
{
    out("pics[name,base,masked,requested,in_service,pins",
        "  PIC %-6s: base %02x, masked %02x, requested %02x, in service %02x, pins %02x\n", name,
        c->base, c->imr, c->irr, c->isr, c->pins);
}

COLD static void show_pin(const struct vioapic_state *io, unsigned pin)
{
    static const char *const kinds[] = {"fixed", "lowest", "SMI", "?",
                                        "NMI",   "INIT",   "?",   "ExtINT"};
    u64 e = io->entry[pin];

    out("io_apic[pin,vector,destination,delivery,trigger,?low,?masked,?waits_for_eoi,?asserted",
        "  I/O APIC pin %2u: vector %02x to %02x, %s, %s%s%s%s%s\n", pin, (u8)e, (u8)(e >> 56),
        kinds[e >> 8 & 7], e & IOAPIC_LEVEL ? "level" : "edge",
        e & IOAPIC_ACTIVE_LOW ? ", low" : "", e & IOAPIC_MASKED ? ", masked" : "",
        e & IOAPIC_REMOTE_IRR ? ", waits for EOI" : "", io->level >> pin & 1 ? ", asserted" : "");
}

void cmd_irq(struct args *a)
{
    struct vm *vm = a->vm;
    struct vioapic_state io;
    struct pic_state pic;

    spin_lock(&vm->board.lock);
    io = vm->board.ioapic.s;
    pic = vm->board.pic.s;
    spin_unlock(&vm->board.lock);
    show_pic(&pic.chip[0], "master");
    show_pic(&pic.chip[1], "slave");
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
        if (!(io.entry[pin] & IOAPIC_MASKED) || (io.level >> pin & 1))
            show_pin(&io, pin);
    for (u32 i = 0; i < vm->vcpu_count; i++)
        on_vcpu(vm->vcpu[i], show_lapic, NULL);
}

/* ---- devices ---- */

static void show_bus(const char *what, const struct bus *bus)
{
    for (u32 i = 0; i < bus->count; i++)
        out("devices[bus,first,last,name", "  %-6s %8llx-%8llx  %s\n", what, (ull)bus->r[i].base,
            (ull)(bus->r[i].base + bus->r[i].len - 1), bus->r[i].name);
}

void cmd_devices(struct args *a)
{
    struct vm *vm = a->vm;

    show_bus("port", &vm->board.ports);
    show_bus("memory", &vm->board.mmio);
    for (u32 i = 0; i < vm->vcpu_count; i++)
        out("devices[first,local_apic", "  memory %8llx           local APIC %u\n",
            (ull)vlapic_gpa(&vm->vcpu[i]->apic), i);
}

/* ---- the machine ---- */

/* What a CPU has worked since this was asked last, in percent. */
static unsigned load(unsigned cpu)
{
    static u64 asked_tsc[MAX_CPUS], halted_tsc[MAX_CPUS];
    u64 now = cpu_rdtsc(), halted = sched_halted_tsc(cpu);
    u64 all = now - asked_tsc[cpu], idle = MIN(halted - halted_tsc[cpu], all);

    asked_tsc[cpu] = now;
    halted_tsc[cpu] = halted;
    return (unsigned)((all - idle) / (all / 100 + 1));
}

void cmd_cpu(struct args *a)
{
    (void)a;
    out("back_end,features", "  %s: %s\n", hvm ? hvm->name : "no back end", hvm_caps.features);
    for (unsigned cpu = 0; cpu < cpu_count(); cpu++) {
        out("cpus[cpu,apic_id,load_percent,timers+", "  cpu %u, APIC ID %u, load %u%%, %u timers",
            cpu, cpu_of(cpu)->apic_id, load(cpu), cpu_of(cpu)->timer_count);
        out("vcpus[", ":");
        for (unsigned i = 0; i < ARRAY_SIZE(vms); i++)
            for (u32 n = 0; vms[i] && n < vms[i]->vcpu_count; n++)
                if (vms[i]->vcpu[n]->cpu == cpu)
                    out("vcpus[vm,vcpu", " %s/v%u", vms[i]->name, n);
        out("", "\n");
    }
    out("line_overruns", "  console: %llu typed bytes lost by the line\n", (ull)uart_overruns());
}
