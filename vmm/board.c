/* SPDX-License-Identifier: BSD-2-Clause */
/* The board: see board.h. */
#include "vmm/board.h"
#include "lib/string.h"
#include "mm/kmem.h"
#include "vmm/vm.h"

_Static_assert(HPET_GPA == PLAT_HPET_BASE && HPET_ID == PLAT_HPET_ID &&
                   TICKS_APART_NS / (HPET_PERIOD_FS / 1000000) == PLAT_HPET_MIN_TICKS,
               "the HPET's table tells of another one");

/* ---- wires out of the devices; all under the board's lock ---- */

/* Which pin of the I/O APIC: line 0 is pin 2 there, as on every PC. */
static unsigned pin_of(unsigned line)
{
    return line == PLAT_IRQ_PIT ? PLAT_GSI_PIT : line;
}

/* A line drives the PIC pair, if it is an ISA line, and the I/O APIC. */
static void line_set(void *arg, unsigned line, bool level)
{
    struct board *b = arg;

    pic_set_line(&b->pic, line, level);
    vioapic_set_line(&b->ioapic, pin_of(line), level);
}

COLD bool board_asks(const struct board *b, const struct vcpu *v)
{
    return vlapic_takes_extint(&v->apic) || (v->id == 0 && pic_mode(&b->pic));
}

/* How an interrupt waits: one by message, or (NULL) none; and in the PIC pair, if so said. */
COLD static unsigned waits(const struct board *b, const struct apic_msg *msg, bool pic)
{
    unsigned how = 0;

    for (u32 i = 0; i < b->vm->vcpu_count; i++) {
        const struct vcpu *v = b->vm->vcpu[i];

        if ((pic && board_asks(b, v)) || (msg && vlapic_waits(&v->apic, msg)))
            how |= __atomic_load_n(&v->loaded, __ATOMIC_RELAXED) ? TICKS_WAITS : TICKS_LATE;
    }
    return how;
}

static unsigned message_waits(void *arg, const struct apic_msg *msg)
{
    return waits(arg, msg, false);
}

/* How the line's last interrupt waits to be taken: by either of the two. */
COLD static unsigned line_waits(void *arg, unsigned line)
{
    struct board *b = arg;
    struct apic_msg msg;
    bool apic = vioapic_message(&b->ioapic, pin_of(line), &msg);

    return waits(b, apic ? &msg : NULL, line < 16 && pic_requests(&b->pic, line));
}

/* The PIT's and the RTC's lines, which the HPET can take over. */
static COLD void legacy_set(void *arg, unsigned line, bool level)
{
    struct board *b = arg;

    b->legacy_lines = (b->legacy_lines & ~(u32)BIT(line)) | (u32)level << line;
    if (!hpet_legacy(&b->hpet))
        line_set(b, line, level);
}

COLD static void hpet_takes_legacy(void *arg, bool taken)
{
    struct board *b = arg;

    line_set(b, PLAT_IRQ_PIT, !taken && b->legacy_lines & BIT(PLAT_IRQ_PIT));
    line_set(b, PLAT_IRQ_RTC, !taken && b->legacy_lines & BIT(PLAT_IRQ_RTC));
}

static void hpet_send(void *arg, const struct apic_msg *msg)
{
    struct board *b = arg;

    vlapic_deliver(&b->vm->apics, NULL, msg);
}

static const struct hpet_ops hpet_ops = {
    .line = line_set,
    .legacy = hpet_takes_legacy,
    .send = hpet_send,
    .line_waits = line_waits,
    .message_waits = message_waits,
};

/* INTR is wired to LINT0 of all and to pin 0 of the I/O APIC, as the MP table says. */
COLD static void intr_set(void *arg, unsigned line, bool level)
{
    struct board *b = arg;

    vioapic_set_line(&b->ioapic, line, level);
    for (u32 i = 0; i < b->vm->vcpu_count; i++) {
        struct vcpu *v = b->vm->vcpu[i];

        vlapic_set_lint(&v->apic, 0, level);
        if (level && board_asks(b, v))
            vcpu_kick(v);
    }
}

static bool ioapic_send(void *arg, const struct apic_msg *msg)
{
    struct board *b = arg;

    return vlapic_deliver(&b->vm->apics, NULL, msg) != 0;
}

static void deadline_changed(void *arg)
{
    struct board *b = arg;

    b->deadline_moved = true;
}

static void pm_sleep(void *arg, unsigned type)
{
    struct board *b = arg;

    if (type == PLAT_S5_SLP_TYP)
        vm_end(b->vm, VM_END_POWEROFF, 0);
}

static void reset_request(void *arg, enum reset_source source)
{
    struct board *b = arg;

    (void)source;
    vm_end(b->vm, VM_END_RESET, 0);
}

/* COM1 and COM3 share a line, and so do COM2 and COM4. */
static void com_irq(void *arg, unsigned com, bool level)
{
    struct board *b = arg;

    line_set(b, com & 1 ? PLAT_IRQ_COM2 : PLAT_IRQ_COM1, level || b->com[com ^ 2].s.line);
}

static u32 com_tx(void *arg, u8 byte)
{
    struct vuart *u = arg;
    struct board *b = u->irq.arg;

    return u == b->console ? vm_outside->console_out(b->vm, byte) : 0;
}

static void com_room(void *arg, u64 now_ns)
{
    struct vuart *u = arg;
    struct board *b = u->irq.arg;

    (void)now_ns;
    vm_outside->console_room(b->vm);
}

static const struct vuart_ops com_ops = {.tx = com_tx, .room = com_room};

static void testdev_exit(void *arg, u32 status)
{
    struct board *b = arg;

    vm_end(b->vm, VM_END_EXIT, status);
}

static void testdev_putc(void *arg, u8 byte)
{
    struct board *b = arg;

    vm_outside->console_out(b->vm, byte);
}

static const struct testdev_ops testdev_ops = {
    .exit = testdev_exit,
    .putc = testdev_putc,
    .line = line_set,
};

/* ---- time ---- */

static u64 board_now(const struct bus_clock *clock)
{
    return vm_now(container_of(clock, struct board, clock)->vm);
}

static u64 next_deadline(const struct board *b)
{
    u64 d = pit_deadline(&b->pit);

    d = MIN(d, rtc_deadline(&b->rtc));
    d = MIN(d, hpet_deadline(&b->hpet));
    d = MIN(d, acpipm_deadline(&b->pm));
    for (unsigned i = 0; i < BOARD_COMS; i++)
        if (b->com[i].ops)
            d = MIN(d, vuart_deadline(&b->com[i]));
    return d;
}

static void arm_locked(struct board *b)
{
    u64 d = next_deadline(b);

    b->deadline_moved = false;
    if (d == DEADLINE_NONE)
        timer_cancel(&b->timer);
    else
        timer_arm(&b->timer, b->vm->start_ns + d);
}

void board_arm(struct board *b)
{
    spin_lock(&b->lock);
    arm_locked(b);
    spin_unlock(&b->lock);
}

COLD static void timer_fired(struct timer *t)
{
    struct board *b = container_of(t, struct board, timer);

    if (b->vm->vcpu_count == 1 && vcpu_waits(b->vm->vcpu[0])) { /* nobody would take them yet */
        vcpu_request(b->vm->vcpu[0], VCPU_REQ_TIMER);
        return;
    }
    u64 now = vm_now(b->vm);

    spin_lock(&b->lock);
    if (pit_deadline(&b->pit) <= now)
        pit_tick(&b->pit, now);
    if (rtc_deadline(&b->rtc) <= now)
        rtc_tick(&b->rtc, now);
    hpet_tick(&b->hpet, now);
    if (acpipm_deadline(&b->pm) <= now)
        acpipm_tick(&b->pm, now);
    for (unsigned i = 0; i < BOARD_COMS; i++)
        if (b->com[i].ops)
            vuart_tick(&b->com[i], now);
    arm_locked(b);
    spin_unlock(&b->lock);
}

COLD void board_unlock_and_tell(struct board *b)
{
    b->deadline_moved = false;
    spin_unlock(&b->lock);
    vcpu_request(b->vm->vcpu[0], VCPU_REQ_TIMER);
}

/* ---- accesses ---- */

void board_access(struct board *b, struct bus *bus, struct bus_access *acc)
{
    board_access_inline(b, bus, acc);
}

void board_eoi(struct board *b, u8 vector)
{
    spin_lock(&b->lock);
    vioapic_eoi(&b->ioapic, vector);
    board_unlock(b);
}

u8 board_extint_ack(struct board *b)
{
    spin_lock(&b->lock);
    u8 vector = pic_ack(&b->pic);
    board_unlock(b);
    return vector;
}

COLD unsigned board_console_input(struct board *b, const u8 *bytes, unsigned n)
{
    spin_lock(&b->lock);
    unsigned taken = vuart_receive(b->console, bytes, n, vm_now(b->vm));
    board_unlock(b);
    return taken;
}

COLD void board_plug_console(struct board *b, unsigned com)
{
    spin_lock(&b->lock);
    vuart_set_modem(b->console, 0);
    b->console = &b->com[com];
    vuart_set_modem(b->console, VUART_PLUGGED);
    board_unlock(b);
}

COLD bool board_power_button(struct board *b)
{
    spin_lock(&b->lock);
    bool heard = acpipm_button_enabled(&b->pm);
    if (heard)
        acpipm_power_button(&b->pm, vm_now(b->vm));
    board_unlock(b);
    return heard;
}

/* ---- building ---- */

/* The UARTs that the configuration names; the console is in the first. */
static void add_uarts(struct board *b, struct timer_out timer)
{
    static const u16 port[BOARD_COMS] = {PLAT_COM1_PORT, PLAT_COM2_PORT, PLAT_COM3_PORT,
                                         PLAT_COM4_PORT};
    const struct config_vm *c = b->vm->config;

    b->console = &b->com[c->console_uart];
    for (unsigned i = 0; i < BOARD_COMS; i++) {
        if (!(c->uarts & BIT(i)))
            continue;
        vuart_init(&b->com[i], &com_ops, &b->com[i], (struct irq_out){com_irq, b, i}, timer);
        if (&b->com[i] != b->console) {
            vuart_set_modem(&b->com[i], 0);
            vuart_reset(&b->com[i]);
        }
        vuart_attach(&b->com[i], &b->ports, port[i]);
    }
}

static bool add_testdev(struct board *b)
{
    b->testdev_memory = kmem_alloc(TESTDEV_SIZE);
    testdev_init(&b->testdev, b->testdev_memory, &testdev_ops, b);
    testdev_attach(&b->testdev, &b->ports, &b->mmio);
    return b->testdev_memory;
}

COLD static void attach_all(struct board *b)
{
    pic_attach(&b->pic, &b->ports);
    vioapic_attach(&b->ioapic, &b->mmio);
    pit_attach(&b->pit, &b->ports);
    rtc_attach(&b->rtc, &b->ports);
    hpet_attach(&b->hpet, &b->mmio);
    acpipm_attach(&b->pm, &b->ports);
    reset_attach(&b->reset, &b->ports);
    pcihost_attach(&b->pci, &b->ports);
    post_attach(&b->post, &b->ports);
}

COLD enum err board_init(struct vm *vm, s64 wall_s)
{
    struct board *b = &vm->board;
    struct timer_out timer = {deadline_changed, b};
    u64 mem = vm->config->mem;

    memset(b, 0, sizeof(*b));
    b->vm = vm;
    vm->start_ns = clock_ns();
    b->timer.fn = timer_fired;
    b->clock.now = board_now;
    bus_init(&b->ports);
    bus_init(&b->mmio);
    pic_init(&b->pic, (struct irq_out){intr_set, b, 0});
    vioapic_init(&b->ioapic, ioapic_send, b);
    hpet_init(&b->hpet, &hpet_ops, b, timer);
    pit_init(&b->pit, 0, (struct irq_out){legacy_set, b, PLAT_IRQ_PIT}, timer);
    b->pit.waits = line_waits;
    rtc_init(&b->rtc, wall_s, 0, (struct irq_out){legacy_set, b, PLAT_IRQ_RTC}, timer);
    rtc_set_memory(&b->rtc, plat_low_mem(mem), plat_high_mem(mem));
    acpipm_init(&b->pm, true, (struct irq_out){line_set, b, PLAT_IRQ_SCI}, timer, pm_sleep, b);
    reset_init(&b->reset, reset_request, b);
    pcihost_init(&b->pci);
    post_init(&b->post);
    attach_all(b);
    add_uarts(b, timer);
    if (vm->config->testdev && !add_testdev(b))
        return ERR_NOMEM;
    return b->ports.err ? b->ports.err : b->mmio.err;
}

void board_fini(struct board *b)
{
    kmem_free(b->testdev_memory, TESTDEV_SIZE);
    b->testdev_memory = NULL;
}
