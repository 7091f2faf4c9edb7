/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MC146818 real-time clock and 128 bytes of CMOS memory, ports 0x70-0x71 (Motorola MC146818 data
 * sheet; PC layout of the memory bytes). Time of day is what was given at creation plus the VM's
 * elapsed time; setting it moves the guest's clock and nobody else's.
 *
 * The update cycle: UIP is up for the last 244 us of each second. Interrupts: alarm, update-ended
 * and periodic (2 Hz to 8192 Hz) on line 8, each level until register C is read.
 *
 * Missed periodic ticks: PF is one bit; ticks that pass while it is set are lost, as on the chip.
 * Host deadlines are armed only while some interrupt is enabled.
 */
#ifndef VMM_DEV_RTC_H
#define VMM_DEV_RTC_H

#include "vmm/dev/bus.h"
#include "vmm/dev/irq_out.h"

#define RTC_CMOS_SIZE 128

struct rtc_state {
    u8 index;               /* port 0x70, bits 6:0 */
    bool nmi_masked;        /* port 0x70, bit 7 */
    u8 cmos[RTC_CMOS_SIZE]; /* registers B, C and alarms included; time bytes made when read */
    s64 offset_s;           /* seconds since 1970 at VM time 0 ... */
    u32 offset_ns;          /* ... and the rest, so that a set clock starts its second when set */
    u64 halted_at_ns;       /* VM time at which SET (or a stopped divider) froze the clock */
    u64 seen_s;             /* last whole second looked at for update and alarm */
    u64 seen_tick;          /* last periodic tick looked at */
    bool halted;
    bool line;
    u64 deadline_ns;
};

struct rtc {
    struct rtc_state s;
    struct irq_out irq; /* line 8 */
    struct timer_out timer;
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
