/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Moves between a register and a device, or a control register, that were executed before: 64-bit
 * code of privilege 0 to 2 does such by plain MOVs, over and over from the same places. What
 * decoding such an instruction gave is remembered with everything that it followed from: the mode,
 * the page-table entries on the way to the instruction, and its bytes. All of that is read again
 * each time, so that a guest that rewrites its code or its tables gets what a fetch would have
 * given.
 *
 * No state outside emul_cpu. One call a vCPU at a time.
 */
#ifndef VMM_EMUL_AGAIN_H
#define VMM_EMUL_AGAIN_H

#include "vmm/emul/emul.h"

/*
 * Remembers the instruction that c has just decoded in this mode, if it is one of the kind. A
 * memory operand, if it has one, was the exit's, and all of it a device.
 */
void emul_remember(struct emul_cpu *c, const struct x86_mode *mode);

static ALWAYS_INLINE unsigned emul_again_slot(gla_t rip)
{
    return (unsigned)rip & (EMUL_AGAIN - 1);
}

/*
 * Whether the entries on the way to the code, and its bytes, are what they were. Should a page have
 * been taken away meanwhile, what was read of it is not believed: the generation is looked at last.
 */
static ALWAYS_INLINE bool emul_again_same(const struct emul_again *a, const u64 *generation)
{
    u64 first, second;

    if (unlikely(__atomic_load_n(a->at[0], __ATOMIC_ACQUIRE) != a->value[0] ||
                 __atomic_load_n(a->at[1], __ATOMIC_ACQUIRE) != a->value[1] ||
                 __atomic_load_n(a->at[2], __ATOMIC_ACQUIRE) != a->value[2] ||
                 __atomic_load_n(a->at[3], __ATOMIC_ACQUIRE) != a->value[3]))
        return false;
    __builtin_memcpy(&first, a->code, 8);
    __builtin_memcpy(&second, a->code + 8, 8);
    if (unlikely(((first ^ a->bytes[0]) & a->mask[0]) | ((second ^ a->bytes[1]) & a->mask[1])))
        return false;
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return likely(__atomic_load_n(generation, __ATOMIC_RELAXED) == a->generation);
}

/*
 * The remembered instruction at rip, if that is what the processor would fetch there now.
 * generation: emul_mem.generation.
 */
static ALWAYS_INLINE const struct emul_again *
emul_again(const struct emul_cpu *c, gla_t rip, const u64 *generation, const struct x86_mode *mode)
{
    const struct emul_again *a = &c->again[emul_again_slot(rip)];

    __asm__("" : "+r"(a)); /* or its address is computed again for each field */
    if (unlikely(!a->len || a->rip != rip || a->mode.cr3 != mode->cr3 || a->mode.cr4 != mode->cr4 ||
                 a->mode.efer != mode->efer || a->mode.cs != mode->cs))
        return NULL;
    return likely(emul_again_same(a, generation)) ? a : NULL;
}

/* Where its memory operand is: linear. */
static ALWAYS_INLINE gla_t emul_again_gla(const struct emul_again *a, const u64 *gpr)
{
    return a->disp + (gpr[a->base] & a->base_mask) + ((gpr[a->index] & a->index_mask) << a->scale);
}

/* What a write writes. */
static ALWAYS_INLINE u64 emul_again_source(const struct emul_again *a, const u64 *gpr)
{
    return a->imm + (gpr[a->reg] & a->source_mask);
}

#endif
