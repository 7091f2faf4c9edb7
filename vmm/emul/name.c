/* SPDX-License-Identifier: BSD-2-Clause */
/* Mnemonics, for logs. */
#include "lib/print.h"
#include "vmm/emul/insn.h"

/* clang-format off */
/* In the order of enum insn_op. */
static const char names[] =
    "(known length)\0"
    /* Moves */
    "mov\0" "movzx\0" "movsx\0" "movbe\0" "xchg\0" "lea\0" "cmovcc\0" "setcc\0" "mov sreg,\0"
    "mov ,sreg\0" "lds/les/lss/lfs/lgs\0" "xlat\0"
    /* Arithmetic */
    "add\0" "or\0" "adc\0" "sbb\0" "and\0" "sub\0" "xor\0" "cmp\0" "test\0" "not\0" "neg\0" "inc\0"
    "dec\0" "mul\0" "imul\0" "div\0" "idiv\0" "imul\0" "xadd\0" "cmpxchg\0" "cmpxchg8b\0"
    /* Shifts and rotates in ModRM order (6 is an alias of SHL) */
    "rol\0" "ror\0" "rcl\0" "rcr\0" "shl\0" "shr\0" "sal\0" "sar\0" "shld\0" "shrd\0"
    /* Bits */
    "bsf\0" "bsr\0" "tzcnt\0" "lzcnt\0" "popcnt\0" "bt\0" "bts\0" "btr\0" "btc\0" "andn\0" "bextr\0"
    "blsr\0" "blsmsk\0" "blsi\0" "bzhi\0" "pdep\0" "pext\0" "mulx\0" "rorx\0" "sarx\0" "shlx\0"
    "shrx\0" "adcx\0" "adox\0" "crc32\0"
    /* Stack and control flow through memory */
    "push\0" "pop\0" "call\0" "jmp\0" "ret\0" "bound\0" "arpl\0"
    /* Strings and ports */
    "movs\0" "cmps\0" "scas\0" "lods\0" "stos\0" "ins\0" "outs\0" "in\0" "out\0"
    /* No data moves, the address is checked */
    "clflush\0" "prefetch\0" "nop\0"
    /* Vector moves */
    "vector mov\0" "vector mov low\0" "movlps/movhps\0"
    /* System instructions */
    "mov ,cr\0" "mov cr,\0" "mov ,dr\0" "mov dr,\0" "clts\0" "lmsw\0" "smsw\0" "sgdt\0" "sidt\0"
    "lgdt\0" "lidt\0" "sldt\0" "str\0" "lldt\0" "ltr\0" "invlpg\0" "invpcid\0" "cpuid\0" "rdmsr\0"
    "wrmsr\0" "rdtsc\0" "rdtscp\0" "rdpmc\0" "xsetbv\0" "xgetbv\0" "hlt\0" "invd\0" "wbinvd\0"
    "pause\0" "monitor\0" "mwait\0" "vmcall\0" "vmmcall\0";
/* clang-format on */

const char *insn_name(unsigned op)
{
    return op < OP_COUNT ? text_nth(names, op) : "?";
}
