/* SPDX-License-Identifier: BSD-2-Clause */
/* ACPI PM1 registers and timer; see acpipm.h. Sections are those of ACPI 6.4. */
#include "lib/string.h"
#include "vmm/dev/acpipm.h"
#include "vmm/dev/ticks.h"

#define RATE TICK_RATE_PM

#define ENABLE_BITS (PM1_TMR | PM1_GBL | PM1_PWRBTN | PM1_SLPBTN | PM1_RTC)
#define CNT_KEPT    0x1c02u /* SLP_TYP, BM_RLD */

/* Bytes within the block. */
enum { STS = 0, EN = 2, CNT = 4, TMR = 8 };

/* How often the timer's top bit has changed (4.8.3.3: TMR_STS is set at each change). */
static u64 carries(const struct acpipm *a, u64 now_ns)
{
    return ticks_at(RATE, now_ns) >> (a->s.timer32 ? 31 : 23);
}

static void update(struct acpipm *a, u64 now_ns)
{
    bool line = a->s.status & a->s.enable & ENABLE_BITS;
    u64 deadline = DEADLINE_NONE;

    if ((a->s.enable & PM1_TMR) && !(a->s.status & PM1_TMR))
        deadline = ticks_to_ns(RATE, (carries(a, now_ns) + 1) << (a->s.timer32 ? 31 : 23));
    if (deadline != a->s.deadline_ns) {
        a->s.deadline_ns = deadline;
        timer_out_changed(&a->timer);
    }
    if (line != a->s.line) {
        a->s.line = line;
        irq_out_set(&a->sci, line);
    }
}

static void see_carry(struct acpipm *a, u64 now_ns)
{
    u64 now = carries(a, now_ns);

    if (now != a->s.carry)
        a->s.status |= PM1_TMR;
    a->s.carry = now;
}

void acpipm_tick(struct acpipm *a, u64 now_ns)
{
    if (now_ns < a->s.deadline_ns)
        return;
    see_carry(a, now_ns);
    update(a, now_ns);
}

/* SLP_EN is never stored; the type stays readable (4.8.3.2.1). */
static void write_control(struct acpipm *a, u16 value)
{
    a->s.control = (u16)((value & CNT_KEPT) | PM1_SCI_EN);
    if ((value & PM1_SLP_EN) && a->sleep)
        a->sleep(a->arg, PM1_SLP_TYP(value));
}

static u32 timer_at(const struct acpipm *a, u64 now_ns)
{
    return (u32)ticks_at(RATE, now_ns) & (a->s.timer32 ? 0xffffffff : 0xffffff);
}

/* The block as words: status, enable, control, none, and the timer's two; any bytes of it. */
static void acpipm_access(void *arg, struct bus_access *acc)
{
    struct acpipm *a = arg;
    unsigned at = (unsigned)acc->offset;
    u64 now = bus_now(acc);
    u32 timer = timer_at(a, now);

    if (!acc->write && at == TMR && acc->size == 4) {
        acc->value = timer;
        return;
    }
    see_carry(a, now);
    u16 words[ACPIPM_PORTS / 2] = {a->s.status, a->s.enable, a->s.control,
                                   0,           (u16)timer,  (u16)(timer >> 16)};
    u8 *bytes = (u8 *)words + at;
    if (!acc->write) {
        memcpy(&acc->value, bytes, acc->size);
        return;
    }
    words[STS / 2] = 0;
    memcpy(bytes, &acc->value, acc->size);
    a->s.status &= (u16)~words[STS / 2]; /* ones clear */
    a->s.enable = words[EN / 2] & ENABLE_BITS;
    if (at <= CNT + 1 && at + acc->size > CNT) /* the control register, whole or in part */
        write_control(a, words[CNT / 2]);
    update(a, now);
}

void acpipm_power_button(struct acpipm *a, u64 now_ns)
{
    a->s.status |= PM1_PWRBTN;
    update(a, now_ns);
}

bool acpipm_button_enabled(const struct acpipm *a)
{
    return a->s.enable & PM1_PWRBTN;
}

void acpipm_init(struct acpipm *a, bool timer32, struct irq_out sci, struct timer_out timer,
                 void (*sleep)(void *arg, unsigned type), void *arg)
{
    *a = (struct acpipm){.sci = sci, .timer = timer, .sleep = sleep, .arg = arg};
    a->s.control = PM1_SCI_EN;
    a->s.timer32 = timer32;
    a->s.deadline_ns = DEADLINE_NONE;
}

enum err acpipm_attach(struct acpipm *a, struct bus *ports)
{
    return bus_add(ports, ACPIPM_BASE, ACPIPM_PORTS, 4, acpipm_access, a, "acpi pm");
}
