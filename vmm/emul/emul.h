/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instruction emulation: fetches an instruction through the guest's own paging, decodes it, and
 * executes it on a virtual processor that is seen only through the interface below.
 *
 *     struct emul_cpu c;
 *     emul_begin(&c, &ops, ctx, gpr);      // cheap: nothing is read yet
 *     c.exit = …;                          // what the hardware said, if anything
 *     switch (emul_run(&c)) { … }
 *
 * An instruction either completes, or leaves nothing behind but what the architecture commits
 * (finished iterations of a string instruction, accessed and dirty bits). Reads and writes of
 * devices happen once, in order, with the width that the instruction has.
 *
 * No state outside the structs handed in; no locks; may run on any CPU, one call a vCPU at a time.
 */
#ifndef VMM_EMUL_EMUL_H
#define VMM_EMUL_EMUL_H

#include "lib/types.h"
#include "lib/x86.h"
#include "vmm/emul/insn.h"
#include "vmm/emul/walk.h"

/* Registers besides the general ones. Each is read at most once in an emulation, when needed. */
enum emul_reg {
    EMUL_RIP,    /* read and written (set by branches only; see retire) */
    EMUL_RSP,    /* read and written */
    EMUL_RFLAGS, /* read and written */
    EMUL_CR0,
    EMUL_CR3,
    EMUL_CR4,
    EMUL_EFER,
    EMUL_XCR0,
    EMUL_PKRU,
    EMUL_CPL,
    EMUL_PDPTE0,
    EMUL_PDPTE1,
    EMUL_PDPTE2,
    EMUL_PDPTE3, /* only if emul_ops.pdpte_regs */
    EMUL_REG_COUNT
};

struct emul_ops {
    u64 (*get)(void *ctx, enum emul_reg reg);
    void (*set)(void *ctx, enum emul_reg reg, u64 value);
    void (*get_seg)(void *ctx, enum seg s, struct x86_seg *out);
    /* MOV to a segment register: also starts the MOV SS shadow when s is SEG_SS. */
    void (*set_seg)(void *ctx, enum seg s, const struct x86_seg *in);
    /* GDTR; used only to load segment registers in protected mode. */
    void (*get_gdt)(void *ctx, struct x86_table *out);
    /*
     * Vector register `reg` (0 to 15) as memory: size is 16 (XMM) or 32 (YMM). A set of 16 bytes
     * leaves the upper half alone; the emulator writes 32 where the upper half is to be zeroed.
     */
    void (*get_vec)(void *ctx, unsigned reg, void *buf, unsigned size);
    void (*set_vec)(void *ctx, unsigned reg, const void *buf, unsigned size);

    /* Guest-physical RAM; pointers to within one page. */
    struct emul_mem mem;
    /*
     * Guest-physical addresses at which hold gives NULL: devices, ROM when written, nothing at all.
     * size is 1, 2, 4 or 8; wider accesses come as several of 8, in order of address. Never crosses
     * a page. Of what is read `size` bytes count.
     */
    u64 (*mmio_read)(void *ctx, gpa_t gpa, unsigned size);
    void (*mmio_write)(void *ctx, gpa_t gpa, unsigned size, u64 value);
    /* Ports; size is 1, 2 or 4. The right to use the port has been checked. */
    u32 (*port_in)(void *ctx, u16 port, unsigned size);
    void (*port_out)(void *ctx, u16 port, unsigned size, u32 value);

    /*
     * The instruction (or, with len 0, a branch whose target was set as EMUL_RIP, or one iteration
     * of a string instruction under TF) has completed: RIP moves by len, the interrupt shadow and
     * RF end, a single-step trap becomes pending if TF was set.
     */
    void (*retire)(void *ctx, unsigned len);

    u8 maxphyaddr;   /* the guest's */
    bool pages_1g;   /* the guest's processor has 1 GiB pages */
    bool pdpte_regs; /* PAE walks use EMUL_PDPTE0.. (VMX) */
};

/* What the exit said. The instruction must be able to explain it; if it cannot: EMUL_RETRY. */
enum emul_exit_kind {
    EMUL_EXIT_NONE,   /* nothing to check: execute whatever stands there */
    EMUL_EXIT_MEMORY, /* a nested fault: gpa, read/write, gla if known */
    EMUL_EXIT_PORT,   /* an intercepted IN, OUT, INS or OUTS: port, size, in */
};

struct emul_exit {
    u8 kind; /* enum emul_exit_kind */
    bool gla_valid;
    bool read, write; /* what the access was, as far as known */
    bool device;      /* gpa is known to be no RAM: hold is not tried there */
    bool in;
    u8 size;
    u16 port;
    gpa_t gpa;
    gla_t gla;
};

struct emul_fault {
    u8 vector;
    bool has_error;
    u32 error;
    gla_t cr2; /* #PF only */
};

enum emul_result {
    EMUL_DONE,    /* completed, retired */
    EMUL_PARTIAL, /* string instruction: some iterations done, RIP still at it; let interrupts
                     in, enter the guest (which executes it again) */
    EMUL_FAULT,   /* .fault is to be injected (CR2 first); nothing but finished iterations done */
    EMUL_RETRY,   /* nothing done: the bytes do not explain the exit; enter the guest again */
    EMUL_UNSUPPORTED, /* nothing done: print the capsule, inject #UD or stop the VM */
};

/*
 * Where code was fetched from, and the page-table entries that said so. Used again only if the same
 * entries still have the same values: it is the walk itself, with its addresses known beforehand.
 */
struct emul_code {
    u64 generation; /* emul_mem.generation then; what follows is valid only while it stays */
    u64 page;       /* linear address of the page; bit 0: fetched by user code */
    u32 serial;     /* emul_cpu.serial then; 0: empty */
    struct walk_trace walk;
    const u8 *code;
};
#define EMUL_CODE_PAGES 4

/* An instruction that was executed before, and all that it followed from: see again.h. */
struct emul_again {
    gla_t rip;
    struct x86_mode mode;
    u64 generation;
    const u64 *at[4]; /* page-table entries on the way; the last one fills up */
    u64 value[4];
    const u8 *code;
    u64 bytes[2], mask[2];
    u64 disp, base_mask, index_mask; /* the address: disp + base + (index << scale) */
    u64 imm, source_mask;            /* a write's value: imm + register; one of them is 0 */
    u8 base, index, scale;
    u8 reg;              /* source or destination */
    u8 len;              /* 0: empty */
    u8 size;             /* 4 or 8 */
    u8 access;           /* INSN_READ or INSN_WRITE of a device; or EMUL_AGAIN_CR: */
    u8 op, cr;           /* OP_MOV_TO_CR or OP_MOV_FROM_CR, and which control register */
} ALIGNED(64);           /* one is found quicker if their size is a power of two */
#define EMUL_AGAIN    32 /* a power of two */
#define EMUL_AGAIN_CR 0xff

struct emul_cpu {
    const struct emul_ops *ops;
    void *ctx;
    u64 *gpr; /* 16 registers, written in place; [RSP] is not used */

    /* Private: values read so far, and changed (a bit each); state derived from them. */
    u32 have, have_seg, dirty;
    u8 mode; /* enum insn_mode */
    u8 cpl;
    bool protected_mode; /* neither real nor virtual-8086 mode */
    bool vm86;
    bool have_mode, have_walk;
    bool explained; /* something the instruction does matches the exit */
    bool branched;  /* EMUL_RIP is a target */

    u32 max_iterations;    /* of a string instruction in one call; 0: 1024; kept by emul_begin */
    struct emul_exit exit; /* EMUL_EXIT_NONE after emul_begin */
    struct insn insn;
    /* Up to here 128 bytes: what most of the code touches, addressed shortly. */

    /* Results. */
    struct emul_fault fault;
    const char *why; /* EMUL_UNSUPPORTED, EMUL_RETRY: static text */
    u8 bytes[16];
    u8 fetched; /* bytes fetched so far */

    /* Private. */
    u64 reg[EMUL_REG_COUNT];
    struct x86_seg seg[SEG_COUNT];
    struct walk walk;
    u32 serial; /* of the control registers in walk */
    struct emul_code code[EMUL_CODE_PAGES];
    struct emul_again again[EMUL_AGAIN];
};
ASSERT_OFFSET(struct emul_cpu, fault, 128);

/*
 * Starts an emulation: nothing is read yet. gpr points to the 16 general registers. The struct must
 * be all zero before its first use; one kept from exit to exit (a vCPU's own) remembers what it
 * worked out from control registers, and uses it again where they are the same. A caller that has
 * a register's value at hand stores it with emul_know, which saves a callback.
 */
void emul_begin(struct emul_cpu *c, const struct emul_ops *ops, void *ctx, u64 *gpr);

static inline void emul_know(struct emul_cpu *c, enum emul_reg reg, u64 value)
{
    c->reg[reg] = value;
    c->have |= 1u << reg;
}

/* Likewise the mode, where it is known: no code segment, CR0 or CPL is then asked for. */
static inline void emul_know_64bit(struct emul_cpu *c, unsigned cpl)
{
    c->mode = INSN_64;
    c->cpl = (u8)cpl;
    c->protected_mode = true;
    c->vm86 = false;
    c->have_mode = true;
}

/* Fetches, decodes, checks against the exit, executes. */
enum emul_result emul_run(struct emul_cpu *c);

/*
 * The parts of emul_run, for exit handlers that need less. Each returns EMUL_DONE, or as above.
 * emul_fetch: up to INSN_MAX bytes at CS:RIP into c->bytes; at least `want` of them, or a fault
 * (fewer are fetched if a page ends and `want` are there). emul_decode: fetch and insn_decode into
 * c->insn. emul_execute: executes c->insn.
 */
enum emul_result emul_fetch(struct emul_cpu *c, unsigned want);
enum emul_result emul_decode(struct emul_cpu *c);
enum emul_result emul_execute(struct emul_cpu *c);

/*
 * Length of the intercepted instruction `op` at CS:RIP (see insn_length): EMUL_DONE and *len;
 * EMUL_RETRY if something else stands there, EMUL_FAULT if its bytes cannot be fetched any more.
 */
enum emul_result emul_insn_length(struct emul_cpu *c, enum insn_op op, unsigned *len);

/*
 * Value of the register-or-memory operand of the decoded c->insn, `size` bytes (1 to 8)
 * zero-extended: for LMSW, which an exit handler executes.
 */
enum emul_result emul_operand_read(struct emul_cpu *c, unsigned size, u64 *value);

/* Linear address of the memory operand, segment-checked for `size` bytes of `access` (WALK_WRITE or
 * 0). */
enum emul_result emul_operand_gla(struct emul_cpu *c, unsigned size, u32 access, gla_t *gla);

/*
 * Which of the breakpoints DR0 to DR3 the decoded c->insn meets by its memory operands and ports,
 * if executed now: B0 to B3 of DR6. Not seen: the stack of PUSH and the like, a bit string's
 * distance.
 */
u32 emul_breakpoints(struct emul_cpu *c, const u64 dr[4], u64 dr7);

/*
 * Linear memory with the guest's current rights (WALK_* in access, WALK_USER by the CPL is added).
 * Both pages of a crossing access are checked before either is touched. len at most 32.
 */
enum emul_result emul_read_gla(struct emul_cpu *c, gla_t gla, void *buf, unsigned len, u32 access);
enum emul_result emul_write_gla(struct emul_cpu *c, gla_t gla, const void *buf, unsigned len,
                                u32 access);
/* gla to gpa, for monitor commands and debuggers: no rights checked, no bits set. False: unmapped.
 */
bool emul_peek_gla(struct emul_cpu *c, gla_t gla, gpa_t *gpa);

/*
 * One line of text that build/host/capsule can replay: bytes, mode, CPL, registers, the walk, the
 * exit. Returns its length as snprintf does. 900 bytes hold any.
 */
int emul_capsule(struct emul_cpu *c, char *buf, size_t size);

#endif
