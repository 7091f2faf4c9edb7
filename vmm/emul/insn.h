/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The decoded form of an instruction, the decoder, and a quick length finder for instructions
 * that the processor intercepts without saying where they end. Intel SDM volume 2, chapter 2 and
 * appendix A.
 *
 * Everything here is a function of the bytes it is given: no state, no allocation, bounded time.
 */
#ifndef VMM_EMUL_INSN_H
#define VMM_EMUL_INSN_H

#include "lib/types.h"
#include "lib/x86.h"

#define INSN_MAX 15 /* a longer instruction is #GP (SDM 2, 2.3.11) */

/* The default operand and address size of the code segment: what decoding depends on. */
enum insn_mode { INSN_16, INSN_32, INSN_64 };

/* What an instruction does. Several opcodes share one operation; operand forms are separate. */
enum insn_op {
    OP_NONE, /* length known, not executed here */
    /* Moves. */
    OP_MOV,
    OP_MOVZX,
    OP_MOVSX,
    OP_MOVBE,
    OP_XCHG,
    OP_LEA,
    OP_CMOV,
    OP_SETCC,
    OP_MOV_SREG_LOAD,
    OP_MOV_SREG_STORE,
    OP_LOAD_FAR_PTR,
    OP_XLAT,
    /* Arithmetic; the eight groups in ModRM order. */
    OP_ADD,
    OP_OR,
    OP_ADC,
    OP_SBB,
    OP_AND,
    OP_SUB,
    OP_XOR,
    OP_CMP,
    OP_TEST,
    OP_NOT,
    OP_NEG,
    OP_INC,
    OP_DEC,
    OP_MUL,
    OP_IMUL,
    OP_DIV,
    OP_IDIV,
    OP_IMUL_REG,
    OP_XADD,
    OP_CMPXCHG,
    OP_CMPXCHG8B,
    /* Shifts and rotates in ModRM order (6 is an alias of SHL). */
    OP_ROL,
    OP_ROR,
    OP_RCL,
    OP_RCR,
    OP_SHL,
    OP_SHR,
    OP_SAL,
    OP_SAR,
    OP_SHLD,
    OP_SHRD,
    /* Bits. */
    OP_BSF,
    OP_BSR,
    OP_TZCNT,
    OP_LZCNT,
    OP_POPCNT,
    OP_BT,
    OP_BTS,
    OP_BTR,
    OP_BTC,
    OP_ANDN,
    OP_BEXTR,
    OP_BLSR,
    OP_BLSMSK,
    OP_BLSI,
    OP_BZHI,
    OP_PDEP,
    OP_PEXT,
    OP_MULX,
    OP_RORX,
    OP_SARX,
    OP_SHLX,
    OP_SHRX,
    OP_ADCX,
    OP_ADOX,
    OP_CRC32,
    /* Stack and control flow through memory. */
    OP_PUSH,
    OP_POP,
    OP_CALL,
    OP_JMP,
    OP_RET,
    OP_BOUND,
    OP_ARPL,
    /* Strings and ports. */
    OP_MOVS,
    OP_CMPS,
    OP_SCAS,
    OP_LODS,
    OP_STOS,
    OP_INS,
    OP_OUTS,
    OP_IN,
    OP_OUT,
    /* No data moves, the address is checked. */
    OP_CLFLUSH,
    OP_PREFETCH,
    OP_NOP,
    /* Vector moves. */
    OP_VMOV,      /* all of the operand between register and memory */
    OP_VMOV_LOW,  /* low element: a load zeroes the rest */
    OP_VMOV_HALF, /* MOVLPS, MOVHPS: the other half stays */
    /* System instructions: decoded for the exit handlers, which execute them. */
    OP_MOV_FROM_CR,
    OP_MOV_TO_CR,
    OP_MOV_FROM_DR,
    OP_MOV_TO_DR,
    OP_CLTS,
    OP_LMSW,
    OP_SMSW,
    OP_SGDT,
    OP_SIDT,
    OP_LGDT,
    OP_LIDT,
    OP_SLDT,
    OP_STR,
    OP_LLDT,
    OP_LTR,
    OP_INVLPG,
    OP_INVPCID,
    OP_CPUID,
    OP_RDMSR,
    OP_WRMSR,
    OP_RDTSC,
    OP_RDTSCP,
    OP_RDPMC,
    OP_XSETBV,
    OP_XGETBV,
    OP_HLT,
    OP_INVD,
    OP_WBINVD,
    OP_PAUSE,
    OP_MONITOR,
    OP_MWAIT,
    OP_VMCALL,
    OP_VMMCALL,
    OP_COUNT
};

/* struct insn.access: what happens to the memory operand. */
#define INSN_READ  1u
#define INSN_WRITE 2u

/* struct insn.flags */
#define INSN_HAS_MEM BIT(0) /* ModRM or moffset names memory */
#define INSN_LOCK    BIT(1)
#define INSN_REP     BIT(2) /* F3 */
#define INSN_REPNE   BIT(3) /* F2 */
#define INSN_REX     BIT(4) /* a REX prefix counts: byte registers 4-7 are SPL..DIL */
#define INSN_VEX     BIT(5)
#define INSN_RIP_REL BIT(6)
#define INSN_OPSIZE  BIT(7) /* 66 */

/* struct insn.base and .index when there is none */
#define INSN_NO_REG 0xff

struct insn {
    /* The opcode table's row: its operation and its shape (table.h explains the columns). */
    u8 op;   /* enum insn_op */
    u8 form; /* operand form: enum insn_form */
    u8 size_rule, imm_rule, mem_rule;
    u8 access; /* INSN_READ | INSN_WRITE of the memory operand */
    u16 row_flags;

    u8 len;    /* bytes, 1 to INSN_MAX */
    u8 mode;   /* enum insn_mode it was decoded in */
    u8 opsize; /* operand size in bytes: 1, 2, 4, 8; 16 or 32 for vectors */
    u8 msize;  /* bytes of memory that the memory operand covers; 0 if none is accessed */
    u8 asize;  /* address size in bytes: 2, 4, 8 */
    u8 map;    /* opcode map: 0 one-byte, 1 0F, 2 0F38, 3 0F3A */
    u8 vvvv;   /* VEX: third operand */
    u8 vexl;   /* VEX: 1 for 256 bits */

    u8 seg;                /* enum seg of the memory operand, overrides applied */
    u8 base, index, scale; /* of the memory operand; scale is a shift count */
    u8 reg;                /* ModRM.reg with REX.R */
    u8 rm;                 /* ModRM.rm with REX.B: the register if there is no memory operand */
    u8 modrm;
    u8 opcode; /* last opcode byte */

    u16 flags; /* INSN_* below */
    u8 rexw;
    u64 disp; /* sign-extended; the address itself for moffsets */
    u64 imm;  /* sign-extended to 64 bits where the instruction does so */
};

enum insn_status {
    INSN_OK,
    INSN_SHORT,       /* the bytes end before the instruction does */
    INSN_TOO_LONG,    /* over 15 bytes: #GP(0) */
    INSN_UNDEFINED,   /* the processor raises #UD for this */
    INSN_UNSUPPORTED, /* not known here */
};

/*
 * Decodes the instruction at bytes[0]. n is how many bytes there are (more than INSN_MAX are not
 * looked at). *out is meaningful only after INSN_OK. INSN_SHORT is never returned with n of at
 * least INSN_MAX.
 */
enum insn_status insn_decode(const u8 *bytes, unsigned n, enum insn_mode mode, struct insn *out);

/*
 * The length of an intercepted instruction that has no memory operand, prefixes included: op is
 * what the exit says it was (OP_CPUID, OP_RDMSR, OP_WRMSR, OP_HLT, OP_RDTSC, OP_RDTSCP, OP_RDPMC,
 * OP_INVD, OP_WBINVD, OP_IN, OP_OUT, OP_XSETBV, OP_CLTS, OP_PAUSE, OP_MONITOR, OP_MWAIT, OP_VMCALL,
 * OP_VMMCALL). Returns 0 if the bytes do not hold that instruction: another processor rewrote them,
 * so the guest is entered again. For MOV CR, MOV DR, LMSW, SMSW and INVLPG use insn_decode: .reg is
 * the control or debug register, .rm the general one (or a memory operand).
 */
unsigned insn_length(const u8 *bytes, unsigned n, enum insn_mode mode, enum insn_op op);

/* Lower-case mnemonic, for logs and capsules. Static text; "?" if out of range. */
const char *insn_name(unsigned op);

#endif
