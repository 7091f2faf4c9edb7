/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's own page walk: linear address to guest-physical address, with the access rights, the
 * accessed and dirty bits and the error code that the processor would give. Intel SDM volume 3,
 * chapter 4; AMD APM volume 2, chapter 5.
 *
 * Nothing is remembered between walks. Tables are read through a memory interface; accessed and
 * dirty bits are set by compare-exchange in the entry's own width, and if an entry changed
 * underneath, the walk starts again at the root.
 */
#ifndef VMM_EMUL_WALK_H
#define VMM_EMUL_WALK_H

#include "lib/types.h"
#include "lib/x86.h"

/*
 * Guest-physical memory. hold gives a pointer to len bytes at gpa, which never cross a page; it is
 * valid until release. NULL: there is no RAM (or for write: no writable RAM) there. A hold for
 * writing marks the page dirty. release may be NULL if nothing is to be done.
 */
struct emul_mem {
    void *(*hold)(void *ctx, gpa_t gpa, unsigned len, bool write);
    void (*release)(void *ctx, void *p, gpa_t gpa, bool write);
    /*
     * Optional, for speed: a number that changes before memory at a pointer which hold gave is put
     * to any other use, be it released or not. While it stays, such a pointer may be read again.
     */
    const u64 *generation;
};

enum walk_mode { WALK_FLAT, WALK_32BIT, WALK_PAE, WALK_4LEVEL, WALK_5LEVEL };

/* What an access is: bits of `access`. Error-code bits where they coincide. */
#define WALK_WRITE  PF_W
#define WALK_USER   PF_U /* as an access from CPL 3; without it, an explicit supervisor access */
#define WALK_FETCH  PF_I
#define WALK_SYSTEM BIT(8) /* implicit supervisor access (descriptor tables, TSS): AC ignored */
#define WALK_PEEK   BIT(9) /* for debugging: checks no rights, sets no accessed or dirty bits */

/* Registers that a walk depends on. walk_init computes the rest. */
struct walk {
    const struct emul_mem *mem;
    void *ctx;
    u64 cr0, cr3, cr4, efer, rflags;
    u32 pkru;
    u8 maxphyaddr;   /* the guest's, 32 to 52 */
    bool pages_1g;   /* the guest's processor has 1 GiB pages */
    bool pdpte_regs; /* PAE: use pdpte[] (VMX), not the table at CR3 (SVM) */
    u64 pdpte[4];
    /* Derived: */
    u8 mode; /* enum walk_mode */
    u8 levels;
    u64 root;
    u64 reserved; /* bits that must be clear in every entry */
    u64 stop;     /* and those whose setting ends the descent */
};

enum walk_result {
    WALK_OK,
    WALK_FAULT,   /* #PF: out->error; CR2 is the address asked for */
    WALK_NOT_RAM, /* a table lies outside of RAM: out->gpa is the entry's address */
    WALK_RETRY,   /* entries keep changing: enter the guest again */
};

struct walk_out {
    gpa_t gpa;
    u64 page_size; /* of the leaf; 4096 with no paging */
    u32 error;     /* page-fault error code */
};

/* The entries that a walk met, from the root, and where they are. */
struct walk_trace {
    const u64 *at[5];
    u64 value[5];
    unsigned levels;
};

/* Finds mode, root and reserved bits from the registers. Call again when one of them changes. */
void walk_init(struct walk *w);

/*
 * Translates one address. The address is taken as already checked for being canonical in 64-bit
 * modes (emul_canonical), and is truncated to 32 bits in the others.
 */
enum walk_result walk_gla(const struct walk *w, gla_t gla, u32 access, struct walk_out *out);

/* The paging mode that these registers select (SDM 3, 4.1.1). */
enum walk_mode walk_mode_of(u64 cr0, u64 cr4, u64 efer);
const char *walk_mode_name(enum walk_mode mode);

/* Whether an address is canonical with the given number of linear-address bits, 48 or 57. */
static inline bool walk_canonical(gla_t gla, unsigned bits)
{
    return (u64)((s64)(gla << (64 - bits)) >> (64 - bits)) == gla;
}

#endif
