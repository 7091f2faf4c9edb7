/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the native comparison share: the address space, segments, a case, its outcome.
 */
#ifndef TESTS_EMUL_NATIVE_H
#define TESTS_EMUL_NATIVE_H

#include <sys/ucontext.h>
#include "tests/emul/forms.h"
#include "tests/emul/machine.h"

/* ---- the address space both sides see ---- */

#define DATA       0x20000000ull /* five pages: RW, RW, R, RW, none */
#define DATA_PAGES 4
#define DATA_SIZE  (DATA_PAGES * PAGE_SIZE)
#define CODE       0x20010000ull /* two pages, then none */
#define CODE_PAGES 2
#define GS_BASE    (DATA + 0x800)
#define PHYS_DATA  0x4000ull
#define PHYS_CODE  0xa000ull
#define PHYS_GDT   0x2000ull /* as Linux has it, and behind it the LDT; supervisor's alone */
#define PHYS_LDT   0x2800ull
#define TABLES     0xfffffe0000000000ull /* where the page of both is mapped */
#define READ_ONLY  2                     /* which data page */

/* ---- selectors: an LDT of small segments for 16- and 32-bit code ---- */

#define LDT(n) ((u16)((n) << 3 | 7))
enum {
    LDT_CODE16,
    LDT_DATA64K,
    LDT_DATA_SMALL,
    LDT_DOWN,
    LDT_RO,
    LDT_CODE_READ,
    LDT_GS,
    LDT_CODE_ONLY,
    LDT_ABSENT,
    LDT_COUNT
};

struct ldt_desc {
    u32 base, limit;
    bool code, bits32, down_or_conforming, writable_or_readable, absent;
};
extern const struct ldt_desc ldt[LDT_COUNT];

#define USER32_CS 0x23
#define USER_CS   0x33
#define USER_DS   0x2b

/* ---- cases ---- */

struct state {
    u64 gpr[GPR_COUNT], rip, rflags;
    u8 vec[16][32];
    u16 sel[6]; /* after the case */
};

struct test {
    enum insn_mode mode;
    u8 bytes[20];
    unsigned len;
    u64 ip; /* offset in the code pages */
    u16 sel[6];
    struct state in;
    struct insn insn;
    enum insn_status status;
    unsigned disp_pos, disp_len;
};

struct outcome {
    bool fault;
    u64 vector, error, cr2;
    struct state st;
};

/* One form, and how often it was met. */
struct counted {
    u64 completed, faulted;
};

extern struct form forms[3][MAX_FORMS];
extern struct counted counts[3][MAX_FORMS];
extern unsigned form_count[3];

extern struct machine *machine;
extern u8 *data, *code_alias;
extern u64 case_no, seed, skipped;
extern int mode_choice;

/* ---- native_operands.c ---- */

extern u64 rng_state; /* not 0 */
u64 rnd(void);
u64 below(u64 n);
bool chance(unsigned percent);
u64 interesting(void); /* values that arithmetic cares about */
/* Makes the memory operand hit the data pages, by its registers or its displacement. */
void aim(struct test *c);
/* Small counts mostly; small bit offsets; branch targets that are INT3. */
void tame(struct test *c);
/* Puts into memory what the instruction can use. */
void plant(struct test *c);

/* ---- native_gen.c ---- */

void scramble(void);
void generate(struct test *c); /* the next case that is worth running */
/* Form of a decoded instruction among its mode's, or -1. */
int form_index(const struct insn *in);
void forms_prepare(u64 only);
/* Of the processor that runs this. */
bool is_amd(void);
bool host_has(const struct insn *in);

/* ---- native_run.c ---- */

void machine_setup(void);
bool make_segments(void);
/* Puts a case into the signal's frame, so that returning from the handler runs it. */
void launch(ucontext_t *uc, const struct test *c);
void collect(ucontext_t *uc, struct outcome *o, const struct test *c);
void emulate(const struct test *c, struct outcome *o);
void clean_up(const struct test *c);
/* What differs between the two, or NULL. Memory is compared too. */
const char *differs(const struct test *c, const struct outcome *n, const struct outcome *e);

/* Set where FS was changed; the entry code then keeps its selector and gives FS its base back. */
extern u8 native_fs_dirty;
extern u64 native_fs_base;
extern u16 native_fs_sel;

/* ---- native_shrink.c ---- */

/* Begins to make a case smaller that has differed. Memory before it: snapshot. */
void shrink_begin(const struct test *c, const char *what, const struct outcome *n,
                  const struct outcome *e, const u8 *snapshot);
bool shrinking(void);
/* Takes the result of what shrink_next gave; false when there is nothing left to try. */
void shrink_result(const struct test *c, const char *what, const struct outcome *n,
                   const struct outcome *e);
bool shrink_next(struct test *c);

static inline void set_part(u64 *reg, u64 v, unsigned size)
{
    *reg = (*reg & ~size_mask(size)) | (v & size_mask(size));
}

#endif
