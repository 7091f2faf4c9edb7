/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hardware vCPU: the one boundary between skep and the processor's virtualisation extension.
 * Two tables of operations implement it, arch/x86_64/vmx/ and arch/x86_64/svm/; nothing above
 * this line names a VMCS field or a VMCB offset, or knows which of the two is in use.
 *
 * Contexts. A vCPU is *loaded* on one CPU at a time, between load() and unload(). run(), inject(),
 * window(), flush(), get and set functions are called on that CPU, loaded, with interrupts off.
 * create() and destroy() are called with the vCPU loaded nowhere.
 *
 * What the hardware does not report is marked absent (insn_len == 0, gla_valid, decoded): the
 * caller finds it out from the guest's memory.
 */
#ifndef ARCH_X86_64_HVM_H
#define ARCH_X86_64_HVM_H

#include "lib/types.h"
#include "lib/x86.h"
#include "mm/nested.h"

/*
 * Where caps.unrestricted is false, unpaged protected-mode code runs through a page directory at
 * this guest-physical address, which the VM provides: one 4 KiB page of 1024 entries, each a 4 MiB
 * page (present, writable, user, PS, accessed, dirty) that maps itself. Such guests are not to be
 * told of the page. Real-mode code gives FAILED_ENTRY there.
 */
#define HVM_IDENTITY_PD 0xfeffc000ull

/* Where the help for local APICs finds their registers. */
#define HVM_APIC_GPA 0xfee00000ull

/* As what a vCPU's local APIC is to be helped. */
enum hvm_apic_mode {
    HVM_APIC_OFF,  /* not at all: accesses at HVM_APIC_GPA are nested faults */
    HVM_APIC_MMIO, /* registers at HVM_APIC_GPA */
    HVM_APIC_MSR,  /* x2APIC; nothing is mapped at HVM_APIC_GPA */
};

/*
 * Where the processor has a timer for it, no run of a guest lasts longer. It ends as if a physical
 * interrupt had come, and is for machines that take none while the guest has interrupts off.
 */
#define HVM_LONGEST_RUN_NS 10000000ull

/* What this processor offers. Filled by probe(); constant afterwards. */
struct hvm_caps {
    enum nested_format_id format; /* entry format of nested tables */
    bool page_2m, page_1g;        /* leaf sizes that nested tables may use */
    bool exec_only;               /* nested entries may be execute-only */
    bool page_log;                /* log_writes and take_log are there */
    bool unrestricted;            /* runs real-mode and unpaged guest code */
    bool pdpte_regs;              /* PAE guests' PDPTEs are registers (HVM_PDPTE0..3) */
    bool tsc_scaling;             /* hvm_vm.tsc_ratio may be other than 1 */
    bool rdtscp, invpcid;         /* guests may be told of these instructions */
    bool apic_access;             /* help knows a local APIC by a page mapped at HVM_APIC_GPA */
    u8 apic;                      /* enum apic_help: the most there is; less if so configured */
    char features[160];           /* for the banner: words separated by spaces */
};

/* An event on its way into the guest, or whose delivery an exit interrupted. */
enum hvm_event_kind {
    HVM_EVENT_NONE,
    HVM_EVENT_INTR, /* external interrupt */
    HVM_EVENT_NMI,
    HVM_EVENT_EXCEPTION,      /* hardware exception */
    HVM_EVENT_SOFT_INTR,      /* INT n: insn_len says how far RIP moves */
    HVM_EVENT_SOFT_EXCEPTION, /* INT3, INTO: likewise */
    HVM_EVENT_ICEBP,          /* INT1: likewise */
};

struct hvm_event {
    u8 kind; /* enum hvm_event_kind */
    u8 vector;
    u8 insn_len; /* soft events only */
    bool has_error;
    u32 error;
};

/* clang-format off */
/* Why the guest stopped running, and what people call that. */
#define HVM_EXITS(X) \
    X(INTR, "intr")                   /* a physical interrupt waits; it is taken once interrupts are on */ \
    X(NMI, "nmi")                     /* a physical NMI came; it has been delivered to the host's handler */ \
    X(INTR_WINDOW, "intr-window")     /* the guest can take an interrupt now */ \
    X(NMI_WINDOW, "nmi-window")       /* the guest can take an NMI now */ \
    X(EXCEPTION, "exception")         /* an intercepted exception: .exception */ \
    X(CPUID, "cpuid") \
    X(HLT, "hlt") \
    X(PAUSE, "pause")                 /* PAUSE, or a loop of them */ \
    X(INVD, "invd") \
    X(WBINVD, "wbinvd") \
    X(RDMSR, "rdmsr")                 /* index in the guest's ECX */ \
    X(WRMSR, "wrmsr") \
    X(RDPMC, "rdpmc") \
    X(RDTSCP, "rdtscp")               /* only where it must be emulated */ \
    X(XSETBV, "xsetbv") \
    X(MONITOR, "monitor") \
    X(MWAIT, "mwait") \
    X(INVLPG, "invlpg") \
    X(CR, "cr")                       /* .cr */ \
    X(DR, "dr")                       /* debug register access: see intercept_dr */ \
    X(DESC_TABLE, "desc-table")       /* LGDT, LIDT, LLDT, LTR or a store; instruction to be decoded */ \
    X(IO, "io")                       /* .io */ \
    X(NESTED_FAULT, "nested-fault")   /* .nested */ \
    X(TASK_SWITCH, "task-switch")     /* .task */ \
    X(UNDEFINED, "undefined")         /* an instruction that guests are not offered: #UD */ \
    X(TRIPLE_FAULT, "triple-fault") \
    X(SHUTDOWN, "shutdown")           /* guest state is lost (SVM SHUTDOWN, INIT signal): .detail */ \
    X(PML_FULL, "pml-full")           /* the page-modification log is full */ \
    X(APIC, "apic")                   /* the local APIC's help has done its part, the rest is due: .apic */ \
    X(FAILED_ENTRY, "failed-entry")   /* the processor refused the guest state: .detail says why */ \
    X(OTHER, "other")                 /* not expected: .detail says what */
/* clang-format on */
#define HVM_EXIT_ENUM(id, name) HVM_EXIT_##id,
enum hvm_exit_reason { HVM_EXITS(HVM_EXIT_ENUM) HVM_EXIT_COUNT };

enum hvm_cr_op { HVM_CR_WRITE, HVM_CR_READ, HVM_CR_CLTS, HVM_CR_LMSW };

struct hvm_exit {
    u8 reason;                  /* enum hvm_exit_reason */
    u8 insn_len;                /* 0: not given */
    bool shadow_lost;           /* INTR: the next entry forgets HVM_INTR_SHADOW (QEMU 7.2) */
    struct hvm_event vectoring; /* an event whose delivery this exit interrupted; must be redone */
    u64 rip;                    /* the guest's RIP, always set */
    union {
        u64 info; /* the first words of what follows: see hvm_exit_info */
        struct {
            u16 port;
            u8 size; /* 1, 2 or 4 */
            bool in;
            bool string; /* INS, OUTS: the instruction must be fetched and executed */
            bool rep;
        } io;
        struct {
            gpa_t gpa;
            gla_t gla; /* if gla_valid */
            bool gla_valid;
            u8 access;       /* what it was: NESTED_R, NESTED_W, NESTED_X */
            bool table_walk; /* it was the guest's own page walk */
        } nested;
        struct {
            bool decoded; /* false: op and gpr are unknown, decode the instruction */
            u8 cr;
            u8 op;   /* enum hvm_cr_op */
            u8 gpr;  /* source or destination of the MOVs */
            u16 msw; /* LMSW's operand */
        } cr;
        struct {
            u8 vector;
            bool has_error;
            u32 error;
            u64 address; /* #PF: the linear address; #DB: bits that DR6 is to gain */
        } exception;
        struct {
            u16 sel;
            u8 source; /* 0 CALL, 1 IRET, 2 JMP, 3 task gate */
        } task;
        struct {
            bool end; /* an interrupt was ended, `what` is its vector; else a register written */
            u16 what; /* the register's offset */
        } apic;
    };
    const char *detail; /* static text; FAILED_ENTRY, SHUTDOWN and OTHER only */
    u64 detail_info[2]; /* raw hardware words that go with it */
};

/* What a back end clears before it fills a record: reason, insn_len, vectoring without its error.
 */
#define HVM_EXIT_HEAD 8
ASSERT_OFFSET(struct hvm_exit, vectoring.error, HVM_EXIT_HEAD);

/* Registers that are not general ones. Values are what the guest sees. */
enum hvm_reg {
    HVM_RIP,
    HVM_RSP,
    HVM_RFLAGS,
    HVM_CR0,
    HVM_CR2,
    HVM_CR3,
    HVM_CR4,
    HVM_EFER,
    HVM_PAT,
    HVM_DR0,
    HVM_DR1,
    HVM_DR2,
    HVM_DR3,
    HVM_DR6,
    HVM_DR7,
    HVM_SYSENTER_CS,
    HVM_SYSENTER_ESP,
    HVM_SYSENTER_EIP,
    HVM_STAR,
    HVM_LSTAR,
    HVM_CSTAR,
    HVM_SFMASK,
    HVM_KERNEL_GS_BASE,
    HVM_TSC_AUX,
    HVM_PDPTE0,
    HVM_PDPTE1,
    HVM_PDPTE2,
    HVM_PDPTE3,
    HVM_DEBUGCTL,
    HVM_INTR_SHADOW, /* bit 0: in the shadow of STI, bit 1: of MOV SS */
    HVM_NMI_BLOCKED, /* 1 between NMI delivery and IRET */
    HVM_ENTRY_EVENT, /* what the next entry injects, in the processor's format; to be read only */
    HVM_REG_COUNT
};

/* What all vCPUs of a VM share in hardware: nested root, MSR and port permission maps. */
#define HVM_TSC_UNSCALED BIT(32)

struct hvm_vm {
    hpa_t nested_root;
    hpa_t apic_access; /* with caps.apic_access: that page, nobody's memory */
    u64 tsc_ratio;     /* guest TSC ticks in a host tick, 32.32; set before create() */
    void *msr_map;
    void *msr_map_x2; /* the same with the x2APIC's MSRs, or NULL */
    void *io_map;
};

/* The common head of a back end's vCPU. What next and arg are, the caller of create() sets. */
struct hvm_vcpu {
    struct hvm_vm *vm;
    u32 *apic_page; /* with apic help: the local APIC's registers; set before the first load() */
    bool apic_help; /* the guest has use for it: apic_mode and apic_update are to be called */
    struct hvm_exit *exit; /* the record for the next exit */
    /*
     * Called by run() after each exit, with what happened in *exit: handles it and gets the next
     * entry ready. Returns the record for the exit after that, or NULL to have run() return.
     */
    struct hvm_exit *(*next)(void *arg, struct hvm_exit *exit);
    void *arg;
    u64 gpr[GPR_COUNT]; /* the guest's, while it is not running; [RSP] is HVM_RSP's instead */
};

struct hvm_ops {
    const char *name; /* "VMX", "SVM" */

    /*
     * Looks whether the boot CPU has the extension and all that skep cannot do without. OK, or
     * ERR_NOSUP with a sentence in why: what is missing and how to turn it on. Changes nothing.
     */
    enum err (*probe)(struct hvm_caps *caps, char *why, size_t why_size);
    /* Turns the extension on, on this CPU; each CPU once. ERR_NOSUP and a sentence likewise. */
    enum err (*cpu_enable)(char *why, size_t why_size);

    /* ERR_NOMEM. At first every MSR and every port is intercepted. */
    enum err (*vm_init)(struct hvm_vm *vm, hpa_t nested_root);
    void (*vm_fini)(struct hvm_vm *vm);
    /* Lets the guest reach an MSR directly, for reading, writing or both. */
    void (*msr_pass)(struct hvm_vm *vm, u32 msr, bool read, bool write);

    /* NULL when out of memory or of TLB tags. All registers are 0 but PAT: before the first run the
     * caller sets what INIT sets (SDM 3, table 9-1). */
    struct hvm_vcpu *(*create)(struct hvm_vm *vm);
    void (*destroy)(struct hvm_vcpu *v);
    void (*load)(struct hvm_vcpu *v);
    void (*unload)(struct hvm_vcpu *v);

    /* Enters the guest, with v->exit set, and again after each exit until v->next returns NULL. */
    void (*run)(struct hvm_vcpu *v);

    u64 (*get)(struct hvm_vcpu *v, enum hvm_reg reg);
    void (*set)(struct hvm_vcpu *v, enum hvm_reg reg, u64 value);
    void (*get_mode)(struct hvm_vcpu *v, struct x86_mode *out);
    void (*get_seg)(struct hvm_vcpu *v, enum seg s, struct x86_seg *out);
    void (*set_seg)(struct hvm_vcpu *v, enum seg s, const struct x86_seg *in);
    void (*get_table)(struct hvm_vcpu *v, bool idt, struct x86_table *out);
    void (*set_table)(struct hvm_vcpu *v, bool idt, const struct x86_table *in);

    /*
     * Completes an instruction: RIP moves by len (truncated to the code segment's width), the
     * interrupt shadow ends, RF clears, and a single-step trap becomes pending if TF was set.
     */
    void (*advance)(struct hvm_vcpu *v, unsigned len);

    /* Delivers an event at the next entry, at most one an entry. HVM_EVENT_NONE takes it back, and
     * a single-step trap that is pending (see advance). */
    void (*inject)(struct hvm_vcpu *v, const struct hvm_event *e);
    bool (*can_take_intr)(struct hvm_vcpu *v); /* IF set and no shadow */
    bool (*can_take_nmi)(struct hvm_vcpu *v);  /* not blocked and no shadow */
    /* Asks for an exit as soon as the guest can take an interrupt, an NMI. Stays until changed. */
    void (*window)(struct hvm_vcpu *v, bool intr, bool nmi);

    /*
     * With apic_help only; OFF at first. Then, once events may have changed and before the next
     * entry: the highest requests and services as the page has them (-1: none), and the class
     * below which the task priority must not go without an exit (0: it may). With APIC_VIRTUAL the
     * processor takes requests from the page by itself; they are not injected.
     */
    void (*apic_mode)(struct hvm_vcpu *v, enum hvm_apic_mode mode);
    void (*apic_update)(struct hvm_vcpu *v, int request, int service, unsigned threshold);

    void (*set_tsc_offset)(struct hvm_vcpu *v, u64 offset);
    u64 (*tsc_offset)(struct hvm_vcpu *v);
    /* Which exceptions leave the guest: a bit a vector. */
    void (*intercept_exceptions)(struct hvm_vcpu *v, u32 mask);
    /* Whether writes of DR7 (on VMX: all accesses to debug registers) leave the guest. At first
     * they do. */
    void (*intercept_dr)(struct hvm_vcpu *v, bool on);
    /* Forgets, before the next entry here, every translation this CPU caches for the guest. */
    void (*flush)(struct hvm_vcpu *v);
    /* Forgets guest-linear translations only, as a guest's own TLB flush does. */
    void (*flush_linear)(struct hvm_vcpu *v);
    /*
     * Where caps.page_log: turns the log of pages that become dirty on or off. False: out of memory
     * for it. Exits by HVM_EXIT_PML_FULL when it is full, before the write that has no room.
     */
    bool (*log_writes)(struct hvm_vcpu *v, bool on);
    /* Empties that log: the guest-physical addresses of *count pages, good until the next entry. */
    const u64 *(*take_log)(struct hvm_vcpu *v, unsigned *count);
    /* Prints what only the back end knows (control fields, the raw exit) through log_error. */
    void (*dump)(struct hvm_vcpu *v);
};

extern const struct hvm_ops vmx_ops, svm_ops;

/* The back end in use, and what it offers. Set by hvm_init; hvm is NULL before. */
extern const struct hvm_ops *hvm;
extern struct hvm_caps hvm_caps;

/* Picks the back end. ERR_NOSUP with a sentence in why if the processor has none that will do. */
enum err hvm_init(char *why, size_t why_size);

/* Gives a vCPU, loaded here, the segments and tables that INIT leaves. */
void hvm_init_segments(struct hvm_vcpu *v);
/* For probe and cpu_enable: says why not, and returns ERR_NOSUP. */
enum err hvm_refuse(char *why, size_t size, const char *fmt, ...) PRINTF(3, 4);
/* The same of a processor or a firmware, in the words of both back ends. */
#define HVM_LACKS "the processor's %s lacks %s, which skep cannot do without"
#define HVM_LOCKED_OFF                                                                             \
    "the firmware has locked %s off: turn on %s in its setup, then switch the machine off and on " \
    "again"
/* For probe: whether there is TSC_AUX, for RDTSCP or RDPID. */
bool hvm_has_tsc_aux(void);
/* For probe: caps->features from n words that stand one behind another, those that are there. */
void hvm_describe(struct hvm_caps *caps, const bool *there, unsigned n, const char *words);

const char *hvm_exit_name(enum hvm_exit_reason reason); /* "cpuid", "io", … */
/* The first words of what the exit reports, for logs; 0 where it reports nothing. */
u64 hvm_exit_info(const struct hvm_exit *e);

/* Guest TSC ticks in as many of the host's: without the vCPU's offset (SDM 3, 25.3; APM
 * 2, 15.30.5). */
static inline u64 hvm_scale_tsc(const struct hvm_vm *vm, u64 ticks)
{
    return (u64)((unsigned __int128)ticks * vm->tsc_ratio >> 32);
}

static inline u64 hvm_gpr(struct hvm_vcpu *v, unsigned r)
{
    return r == RSP ? hvm->get(v, HVM_RSP) : v->gpr[r];
}

static inline void hvm_set_gpr(struct hvm_vcpu *v, unsigned r, u64 value)
{
    if (r == RSP)
        hvm->set(v, HVM_RSP, value);
    else
        v->gpr[r] = value;
}

#endif
