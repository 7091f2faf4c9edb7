/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI fixed hardware: PM1a event and control registers, and the power-management timer (ACPI 6.4,
 * 4.8.3). Guest ACPI tables take their numbers from here.
 */
#ifndef VMM_DEV_ACPIPM_H
#define VMM_DEV_ACPIPM_H

#include "vmm/dev/bus.h"
#include "vmm/dev/irq_out.h"

#define ACPIPM_BASE   0x600 /* first of ACPIPM_PORTS ports */
#define ACPIPM_PORTS  12
#define ACPIPM_EVT    (ACPIPM_BASE + 0) /* FADT PM1a_EVT_BLK, PM1_EVT_LEN 4 */
#define ACPIPM_CNT    (ACPIPM_BASE + 4) /* FADT PM1a_CNT_BLK, PM1_CNT_LEN 2 */
#define ACPIPM_TMR    (ACPIPM_BASE + 8) /* FADT PM_TMR_BLK, PM_TMR_LEN 4 */
#define ACPIPM_SCI    9                 /* FADT SCI_INT; level, active high in the MADT */
#define ACPIPM_SLP_S5 5                 /* DSDT \_S5 = Package { 5, 5, 0, 0 } */
#define ACPIPM_HZ     3579545           /* exactly 315/88 MHz */

/* PM1 status and enable bits. */
#define PM1_TMR    BIT(0)
#define PM1_GBL    BIT(5)
#define PM1_PWRBTN BIT(8)
#define PM1_SLPBTN BIT(9)
#define PM1_RTC    BIT(10)
#define PM1_WAK    BIT(15)
/* PM1 control bits. */
#define PM1_SCI_EN       BIT(0)
#define PM1_SLP_TYP(cnt) (((cnt) >> 10) & 7)
#define PM1_SLP_EN       BIT(13)

struct acpipm_state {
    u16 status, enable, control;
    bool timer32;    /* FADT TMR_VAL_EXT: 32-bit timer; else 24 bits */
    bool line;       /* SCI as last told */
    u64 carry;       /* PM ticks / half-range already seen for TMR_STS */
    u64 deadline_ns; /* next change of the timer's top bit, while its interrupt is enabled */
};

struct acpipm {
    struct acpipm_state s;
    struct irq_out sci;
    struct timer_out timer;
    /* The guest wrote SLP_EN: sleep type 0..7; ACPIPM_SLP_S5 is power-off. */
    void (*sleep)(void *arg, unsigned type);
    void *arg;
};

/* SCI_EN is always set (FADT SMI_CMD 0: there is no legacy mode). timer32 as in acpipm_state. */
void acpipm_init(struct acpipm *a, bool timer32, struct irq_out sci, struct timer_out timer,
                 void (*sleep)(void *arg, unsigned type), void *arg);
/* ACPIPM_PORTS ports at ACPIPM_BASE. Errors as bus_add(). */
enum err acpipm_attach(struct acpipm *a, struct bus *ports);

/* Somebody pressed the power button: PWRBTN_STS, and SCI if the guest has enabled it. */
void acpipm_power_button(struct acpipm *a, u64 now_ns);
/* Whether the guest has enabled the power button (an OS that heeds ACPI is running). */
bool acpipm_button_enabled(const struct acpipm *a);

static inline u64 acpipm_deadline(const struct acpipm *a)
{
    return a->s.deadline_ns;
}
void acpipm_tick(struct acpipm *a, u64 now_ns);

#endif
