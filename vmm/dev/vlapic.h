/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vCPU's local APIC: xAPIC (a page of registers) and x2APIC (MSRs 0x800-0x83f) over one set of
 * registers (Intel SDM 3, chapter 10). The registers live in the architecture's own page layout,
 * so that the page can serve as a processor's virtual-APIC page.
 *
 * Who may call what. Each local APIC has an owner: the CPU on which its vCPU is loaded, or, while
 * it is loaded nowhere, whoever holds the vCPU. Functions marked [any] may be called on any CPU at
 * any time, without a lock. All others are the owner's, and so is every field but `post`, `events`,
 * `errors`, `lint` and `lint_edges`, which are only ever changed by atomic operations. Fields that
 * [any] functions read of somebody else's local APIC (mode, ID, LDR, DFR, SVR, priority) are single
 * words read as they stand: an interrupt sent while its target changes them goes by one or the
 * other value, as on a real bus.
 *
 * Interrupts from elsewhere are posted: a bit in `post` (laid out as a posted-interrupt
 * descriptor, SDM 3, 29.6), picked up by the owner at the next vlapic_pending().
 *
 * The timer's clock is 1 GHz: one count of the undivided timer is one nanosecond of VM time.
 * A periodic timer's deadlines are start + n periods; missed ones: see ticks.h. A period below
 * TICKS_APART_NS is served by deadlines that far apart; what the guest reads back is exact.
 */
#ifndef VMM_DEV_VLAPIC_H
#define VMM_DEV_VLAPIC_H

#include "lib/x86.h"
#include "vmm/dev/apic_msg.h"
#include "vmm/dev/bus.h"
#include "vmm/dev/irq_out.h"
#include "vmm/dev/ticks.h"

#define VLAPIC_GPA      0xfee00000ull
#define VLAPIC_TIMER_HZ 1000000000u /* for CPUID 0x15, 0x40000010 */
#define VLAPIC_MAX      64          /* in one group */
#define VLAPIC_KEPT     5           /* registers whose old value counts when they are written */
#define VLAPIC_VERSION  0x01050014u /* six LVT entries, EOI-broadcast suppression */

/* Registers, by page offset / 16, which is also MSR - 0x800. */
enum vlapic_reg {
    APIC_ID = 0x02,
    APIC_VERSION = 0x03,
    APIC_TPR = 0x08,
    APIC_APR = 0x09,
    APIC_PPR = 0x0a,
    APIC_EOI = 0x0b,
    APIC_RRD = 0x0c,
    APIC_LDR = 0x0d,
    APIC_DFR = 0x0e,
    APIC_SVR = 0x0f,
    APIC_ISR = 0x10,
    APIC_TMR = 0x18,
    APIC_IRR = 0x20,
    APIC_ESR = 0x28,
    APIC_ICR = 0x30,
    APIC_ICR2 = 0x31,
    APIC_LVT_TIMER = 0x32,
    APIC_LVT_THERMAL = 0x33,
    APIC_LVT_PMC = 0x34,
    APIC_LVT_LINT0 = 0x35,
    APIC_LVT_LINT1 = 0x36,
    APIC_LVT_ERROR = 0x37,
    APIC_TIMER_ICR = 0x38,
    APIC_TIMER_CCR = 0x39,
    APIC_TIMER_DCR = 0x3e,
    APIC_SELF_IPI = 0x3f,
};
#define APIC_REGS 0x40

/* Events that are not vectored interrupts: bits of vlapic_take_events(). */
#define VLAPIC_EV_NMI      BIT(0)
#define VLAPIC_EV_SMI      BIT(1)
#define VLAPIC_EV_INIT     BIT(2)
#define VLAPIC_EV_SIPI     BIT(3) /* start page in bits 15:8 */
#define VLAPIC_EV_EXTINT   BIT(4) /* an I/O APIC's ExtINT message: take pic_ack()'s vector */
#define VLAPIC_EV_PAGE(ev) (((ev) >> 8) & 0xff)

/* The first 64 bytes as SDM 3, 29.6; level[] is skep's own. */
struct vlapic_post {
    u64 vectors[4]; /* requests not yet in IRR */
    u64 control;    /* bit 0: something is there */
    u64 rest[3];
    u64 level[4]; /* trigger mode of each: 1 level */
} ALIGNED(64);

/* What the guest can observe, with the page of registers and the fields marked [any] below. */
struct vlapic_state {
    u64 base;         /* IA32_APIC_BASE */
    u32 id;           /* APIC ID, fixed at creation */
    bool esr_armed;   /* the next error raises the error interrupt */
    bool timer_on;    /* counting, or a TSC deadline armed */
    u64 timer_edge;   /* ns of the next expiry, by the count */
    u64 timer_period; /* ns from full count to zero */
    u64 tsc_deadline; /* IA32_TSC_DEADLINE, 0 disarmed */
    struct ticks_owed owed;
};

struct vlapic_group;

/* Wiring: set by the caller before vlapic_init(), outlives the local APIC. */
struct vlapic_ops {
    /* [any] Something was posted from outside: make the vCPU look (wake it from HLT, or IPI its
     * CPU). Not called for what the owner does to its own local APIC. */
    void (*kick)(void *arg);
    /* The guest ended a level-triggered interrupt: tell the I/O APICs (vioapic_eoi). */
    void (*eoi)(void *arg, u8 vector);
};

struct vlapic_config {
    u32 id;                     /* below VLAPIC_MAX: the index in the group */
    u32 *page;                  /* 4096 zeroed bytes, page aligned, that outlive the local APIC */
    struct vlapic_group *group; /* vlapic_init adds it there */
    const struct vlapic_ops *ops;
    void *arg;
    struct timer_out timer;
    u32 tsc_khz; /* guest TSC frequency; 0: no TSC-deadline mode */
    bool x2apic; /* CPUID offers x2APIC */
    bool bsp;
    u8 phys_bits; /* guest's physical address width, for IA32_APIC_BASE: 36..52 */
};

struct vlapic {
    /* Hot: looked at before every guest entry. */
    s16 irr_top;             /* highest vector in IRR, or -1 */
    s16 isr_top;             /* highest vector in ISR, or -1 */
    u8 irr_words, isr_words; /* which of the eight words of IRR, ISR have a bit set */
    u8 mode;                 /* enum vlapic_mode */
    u8 help;                 /* enum apic_help: what a processor does to the page by itself */
    bool lent;               /* and it may be doing that, since the owner said so */
    u8 lint;                 /* [any] LINT pins as driven: bit 0, bit 1 */
    u8 lint_edges;           /* [any] rising edges not yet seen by the owner */
    u32 events;              /* [any] VLAPIC_EV_* not yet taken */
    u32 errors;              /* [any] ESR bits found and not yet latched */
    u32 *page;
    u64 deadline_ns;
    u32 kept[VLAPIC_KEPT]; /* with APIC_VIRTUAL: registers as they were lent */
    struct vlapic_state s;
    struct vlapic_post post; /* [any] */
    struct vlapic_config c;
};

enum vlapic_mode { VLAPIC_OFF, VLAPIC_XAPIC, VLAPIC_X2APIC };

/* All local APICs of a VM. Filled while the VM is built. */
struct vlapic_group {
    u32 count; /* IDs 0..count-1 may be there */
    u32 next;  /* where lowest-priority arbitration starts among equals; atomic */
    struct vlapic *l[VLAPIC_MAX];
};

/* State after power-up, xAPIC mode; the boot processor's as firmware leaves it in virtual-wire mode
 * (enabled, LINT0 ExtINT, LINT1 NMI). ERR_INVAL, ERR_EXISTS: an ID out of range, or taken. */
enum err vlapic_init(struct vlapic *l, const struct vlapic_config *c);
/* The state of vlapic_init() (init false), or that after INIT: ID, base and mode stay. */
void vlapic_reset(struct vlapic *l, bool init);

/* ---- before each guest entry ---------------------------------------------------------------- */

/* Moves what was posted into IRR, and takes up what the processor has done by itself. */
void vlapic_sync(struct vlapic *l);

/* The same if there is anything; the highest request then, deliverable or not, or -1. */
static inline int vlapic_top_request(struct vlapic *l)
{
    if (unlikely(__atomic_load_n(&l->post.control, __ATOMIC_ACQUIRE) | l->lent))
        vlapic_sync(l);
    return l->irr_top;
}

static inline u8 vlapic_tpr(const struct vlapic *l)
{
    return (u8)l->page[4 * APIC_TPR];
}

/* PPR, of what has been taken up. */
u8 vlapic_ppr(const struct vlapic *l);

/* The vector that the processor would be offered now, or -1. */
static inline int vlapic_pending(struct vlapic *l)
{
    vlapic_top_request(l);
    return l->irr_top > (MAX(vlapic_tpr(l), l->isr_top) | 15) ? l->irr_top : -1;
}

/* The processor takes `vector`, which vlapic_pending() has just returned: IRR to ISR, PPR. */
void vlapic_ack(struct vlapic *l, u8 vector);

/* [any] Whether INTR reaches this processor: local APIC off, or LINT0 unmasked as ExtINT. */
static inline bool vlapic_takes_extint(const struct vlapic *l)
{
    return l->mode == VLAPIC_OFF || (l->page[4 * APIC_LVT_LINT0] & 0x10700) == APIC_EXTINT << 8;
}

/*
 * For a hardware TPR threshold: class (1..15) of the request that only TPR holds back, or 0. `top`
 * as from vlapic_top_request().
 */
static inline unsigned vlapic_tpr_threshold(const struct vlapic *l, int top)
{
    return top > (l->isr_top | 15) && top <= (vlapic_tpr(l) | 15) ? (unsigned)top >> 4 : 0;
}

/* Software-enabled, in either mode. */
static inline bool vlapic_is_enabled(const struct vlapic *l)
{
    return l->mode != VLAPIC_OFF && (l->page[4 * APIC_SVR] & BIT(8));
}

/* [any] Events waiting; cheap. */
static inline bool vlapic_has_events(const struct vlapic *l)
{
    return __atomic_load_n(&l->events, __ATOMIC_ACQUIRE) != 0;
}
/*
 * Takes all events. INIT comes before SIPI when both are set: an INIT sent after a SIPI discards
 * that. NMI pending through an INIT stays. What each does, and whether a SIPI is heeded in the
 * vCPU's present state, is the caller's matter; for INIT it calls vlapic_reset(l, true).
 */
u32 vlapic_take_events(struct vlapic *l);

/* ---- registers ------------------------------------------------------------------------------ */

/* xAPIC page access: offset 0..0xfff. In other modes reads give zeros and writes nothing (the
 * caller does not route here then: vlapic_gpa()). Never fails. */
void vlapic_mmio(struct vlapic *l, struct bus_access *acc);
/* Whether a read of 4 bytes at `offset` is nothing but a look at the page, in xAPIC mode. */
static ALWAYS_INLINE bool vlapic_reads_plainly(unsigned offset)
{
    const u64 plain = BIT(APIC_ID) | BIT(APIC_VERSION) | BIT(APIC_TPR) | BIT(APIC_LDR) |
                      BIT(APIC_DFR) | BIT(APIC_SVR) | BIT(APIC_ICR) | BIT(APIC_ICR2);

    return !(offset & ~0x3f0u) && (plain >> (offset / 16) & 1);
}

/* Where the page answers now, or UINT64_MAX: local APIC off or in x2APIC mode. */
static inline u64 vlapic_gpa(const struct vlapic *l)
{
    return l->mode == VLAPIC_XAPIC ? l->s.base & ~PAGE_MASK : UINT64_MAX;
}

/* RDMSR and WRMSR of 0x800..0x8ff. False: #GP(0), nothing changed. */
bool vlapic_read_msr(struct vlapic *l, u32 msr, u64 now_ns, u64 *value);
bool vlapic_write_msr(struct vlapic *l, u32 msr, u64 now_ns, u64 value);

/* IA32_APIC_BASE. False: #GP(0). A change of address or mode shows in vlapic_gpa() at once; CPUID's
 * APIC and x2APIC-mode answers follow vlapic.mode. */
u64 vlapic_read_base(const struct vlapic *l);
bool vlapic_write_base(struct vlapic *l, u64 value);

/* IA32_TSC_DEADLINE; now_tsc is the guest's TSC at now_ns. Reads give 0 and writes are ignored
 * outside TSC-deadline mode. */
u64 vlapic_read_tsc_deadline(const struct vlapic *l);
void vlapic_write_tsc_deadline(struct vlapic *l, u64 value, u64 now_tsc, u64 now_ns);
/* The guest has set its TSC: an armed deadline moves with it. */
void vlapic_tsc_moved(struct vlapic *l, u64 now_tsc, u64 now_ns);

/*
 * Help (SDM 3, chapter 29): a processor that runs the guest uses the page as its virtual-APIC page.
 * It may change TPR there by itself; with APIC_VIRTUAL, between vlapic_lend() and
 * vlapic_take_back(), also PPR, IRR, ISR, ICR and, before it reports them, registers written.
 * Owner; help is changed while nothing is lent.
 */
void vlapic_set_help(struct vlapic *l, enum apic_help help);
void vlapic_lend_page(struct vlapic *l);
static inline void vlapic_lend(struct vlapic *l)
{
    if (l->help == APIC_VIRTUAL)
        vlapic_lend_page(l);
}
static inline void vlapic_take_back(struct vlapic *l)
{
    if (unlikely(l->lent)) {
        vlapic_sync(l);
        l->lent = false;
    }
}
/* The processor has written a register at `offset` for the guest: the effects. */
void vlapic_written(struct vlapic *l, unsigned offset, u64 now_ns);
/* The processor has ended this interrupt: the effects if it was level-triggered. */
void vlapic_ended(struct vlapic *l, u8 vector);

/* CR8. Values 0..15; the caller has checked for reserved bits. */
static inline u8 vlapic_cr8(const struct vlapic *l)
{
    return vlapic_tpr(l) >> 4;
}

/* The two writes that come often. value: the whole TPR. */
void vlapic_eoi(struct vlapic *l);
static inline void vlapic_set_tpr(struct vlapic *l, u8 value)
{
    l->page[4 * APIC_TPR] = value;
}
static inline void vlapic_set_cr8(struct vlapic *l, u8 value)
{
    vlapic_set_tpr(l, (u8)(value << 4));
}

/* ---- interrupts in -------------------------------------------------------------------------- */

/*
 * [any] Delivers a message to its targets in the group, kicking each. `from` is the sender when the
 * caller owns it (its own local APIC is not kicked), else NULL. Returns how many took it; 0 for
 * an address where nobody is, a vector below 16, or a start-up message, which an ICR alone sends.
 */
unsigned vlapic_deliver(struct vlapic_group *g, struct vlapic *from, const struct apic_msg *msg);
/* [any] Whether l is a target of that destination. */
bool vlapic_match(const struct vlapic *l, u32 dest, bool logical);
/* [any] Whether l, a target of the message, has such an interrupt that it has not taken yet, or,
 * if it is level-triggered, not ended. */
bool vlapic_waits(const struct vlapic *l, const struct apic_msg *msg);
/* [any] Posts one vector (16..255) and kicks. */
void vlapic_post(struct vlapic *l, u8 vector, bool level);
/* [any, calls for one pin serialised] Drives LINT0 or LINT1 (pin 0, 1): PIC's INTR, NMI. */
void vlapic_set_lint(struct vlapic *l, unsigned pin, bool level);

/* ---- time ----------------------------------------------------------------------------------- */

static inline u64 vlapic_deadline(const struct vlapic *l)
{
    return l->deadline_ns;
}
void vlapic_tick(struct vlapic *l, u64 now_ns);

#endif
