/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Floating-point, vector and other extended state (SDM 1, chapter 13). skep itself never uses it:
 * the registers hold some vCPU's state, which is saved when another one takes the CPU.
 */
#ifndef ARCH_X86_64_FPU_H
#define ARCH_X86_64_FPU_H

#include "lib/types.h"

/* Looks at the processor (first call) and turns the state on, on this CPU. */
void fpu_init(void);

u64 fpu_xcr0_mask(void); /* XCR0 bits a guest may set: known ones that the processor has */

/* Bytes of an area: all of fpu_xcr0_mask(). At most a page or three. */
size_t fpu_area_size(void);

/*
 * An area with the state of a reset processor (x87 control 0x37f, MXCSR 0x1f80, rest zero). The
 * first 512 bytes are the FXSAVE image whatever the format of the rest.
 */
void fpu_reset_area(void *area);

/*
 * Whoever writes registers into an area marks their state components (XCR0 bits), or fpu_restore
 * takes them for being in their initial state (SDM 1, 13.4.2).
 */
void fpu_mark_in_use(void *area, u64 components);

/*
 * Moves all state between the registers and an area (aligned to 64 bytes). XCR0 must be
 * fpu_xcr0_mask(): call fpu_set_xcr0(fpu_xcr0_mask()) first if a guest's value is loaded.
 */
void fpu_save(void *area);
void fpu_restore(const void *area);

/*
 * Loads XCR0; value must have passed fpu_xcr0_valid(). No-op without XSAVE, and cheap when it is
 * there already.
 */
void fpu_set_xcr0(u64 value);
/*
 * What it is now, which is not always what was set last: a guest whose XSETBV does not leave it has
 * changed it. x87 and SSE where there is no XSAVE.
 */
u64 fpu_xcr0(void);

/* Whether XSETBV would take the value (SDM 1, 13.3): x87 set, AVX with SSE, and so on. */
bool fpu_xcr0_valid(u64 value);

#endif
