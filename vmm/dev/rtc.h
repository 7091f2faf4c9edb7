/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MC146818 real-time clock and 128 bytes of CMOS memory, ports 0x70-0x71 (Motorola MC146818 data
 * sheet; PC layout of the memory bytes). Time of day is what was given at creation plus the VM's
 * elapsed time; setting it moves the guest's clock and nobody else's.
 *
 * The update cycle: UIP is up for the last 244 us of each second. Interrupts: alarm, update-ended
 * and periodic (2 Hz to 8192 Hz) on line 8, each level until register C is read.
 *
 * Missed ticks: each interrupt's flag is one bit; what passes while it is set is lost, as on the
 * chip. Deadlines are armed only while an enabled interrupt is not yet flagged.
 */
#ifndef VMM_DEV_RTC_H
#define VMM_DEV_RTC_H

#include "vmm/dev/bus.h"
#include "vmm/dev/irq_out.h"

#define RTC_CMOS_SIZE 128

struct rtc_state {
    u8 index;        /* port 0x70, bits 6:0 */
    bool nmi_masked; /* port 0x70, bit 7 */
    s64 epoch_s;     /* the clock reads epoch_s + (VM time + phase_ns) / 1 s, since 1970 ... */
    u32 phase_ns;    /* ... so that a clock that is set can begin its second when set */
    u64 seen_s;      /* (VM time + phase) / 1 s as last looked at for update and alarm */
    u64 seen_tick;   /* 32768 Hz ticks as last looked at for the periodic interrupt */
    u8 weekday;      /* days that the day of the week, a counter of its own, is past the date's */
    bool halted;     /* SET is set or the divider is held in reset */
    bool line;
    u64 deadline_ns;
    u8 cmos[RTC_CMOS_SIZE]; /* registers and memory; the time bytes count only while halted */
};

struct rtc {
    struct irq_out irq; /* line 8 */
    struct timer_out timer;
    struct rtc_state s;
};

/* `unix_s`: seconds since 1970 UTC that the guest's clock shows at now_ns. 24 h, BCD, as PCs do. */
void rtc_init(struct rtc *r, s64 unix_s, u64 now_ns, struct irq_out irq, struct timer_out timer);
/* Ports 0x70-0x71. Errors as bus_add(). */
enum err rtc_attach(struct rtc *r, struct bus *ports);

/* Memory sizes in bytes into bytes 0x15-18, 0x30-31, 0x34-35, 0x5b-5d, and the checksum. */
void rtc_set_memory(struct rtc *r, u64 below_4g, u64 above_4g);

/* What the guest's clock shows, in seconds since 1970. */
s64 rtc_time(const struct rtc *r, u64 now_ns);

static inline u64 rtc_deadline(const struct rtc *r)
{
    return r->s.deadline_ns;
}
void rtc_tick(struct rtc *r, u64 now_ns);

#endif
