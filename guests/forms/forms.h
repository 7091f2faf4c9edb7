/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every form of every instruction that the emulator executes, on memory and on a device that
 * behaves as memory. How one form is run.
 */
#ifndef GUESTS_FORMS_FORMS_H
#define GUESTS_FORMS_FORMS_H

#include "guests/forms/table.h"
#include "guests/lib/trap.h"

#define FORM_VECTORS 8 /* vector registers that are set and compared */

/* Registers before and after a form; assembly knows the order. */
struct form_state {
    ulong gpr[16]; /* RSP too */
    ulong ip, flags;
    ulong cs, ss, ds, es, fs, gs;
    u8 vec[FORM_VECTORS][32];
};

/* How a form ended. */
struct form_end {
    struct form_state st;
    ulong vector, error, cr2;
};

/* Loads everything and leaves for the form at CPL 3. avx: YMM registers are loaded whole. */
NORETURN void form_enter(const struct form_state *s, bool avx);

/* The vector registers as they are now. */
void form_vectors(u8 vec[FORM_VECTORS][32], bool avx);

/* A kind of code to run forms in. */
struct form_mode {
    const char *name;
    const struct form_code *forms;
    unsigned index; /* of form_counts */
    ulong cs, data; /* selectors (segments in virtual-8086 mode) */
    ulong base;     /* what the addresses of AREA begin with */
    ulong flags;    /* beside the form's own */
    void (*prepare)(void);
};

/* By flavour: forms32.c, forms64.c. */
extern const struct form_mode form_modes[3];
/* What the stubs' frame holds, as a form's end. */
void form_collect(const struct trap_frame *f, struct form_end *e);

#endif
