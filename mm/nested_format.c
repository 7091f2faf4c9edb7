/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The three entry formats as data. EPT: SDM 3, 28.3.2, tables 28-1 to 28-7. NPT: APM 2, 15.25.3
 * and 5.4, figure 5-23 and following. docs/memory.md draws them.
 */
#include "mm/nested.h"

/* EPT. Bits 5:3 are the memory type of a leaf, bit 6 makes it override the guest's PAT. */
#define EPT_R        BIT(0)
#define EPT_W        BIT(1)
#define EPT_X        BIT(2)
#define EPT_TYPE(t)  ((t) << 3)
#define EPT_TYPE_UC  0ull
#define EPT_TYPE_WB  6ull
#define EPT_IPAT     BIT(6)
#define EPT_ACCESSED BIT(8)
#define EPT_DIRTY    BIT(9)

/* NPT: an x86 page table whose every access is a user access. PAT index 3 (PWT, PCD) is UC. */
#define NPT_P        BIT(0)
#define NPT_W        BIT(1)
#define NPT_U        BIT(2)
#define NPT_PWT      BIT(3)
#define NPT_PCD      BIT(4)
#define NPT_ACCESSED BIT(5)
#define NPT_DIRTY    BIT(6)
#define NPT_NX       BIT(63)

#define BIT_IF(cond, bit) ((cond) ? (bit) : 0)

/* The software bits of attributes a (NESTED_R|W|X|A|D). */
#define SOFT(a)                                                                                    \
    (NESTED_SW_VALID | BIT_IF((a)&NESTED_R, NESTED_SW_R) | BIT_IF((a)&NESTED_W, NESTED_SW_W) |     \
     BIT_IF((a)&NESTED_X, NESTED_SW_X))

#define EPT_PERMS(a)                                                                               \
    (BIT_IF((a)&NESTED_R, EPT_R) | BIT_IF((a)&NESTED_W, EPT_W) | BIT_IF((a)&NESTED_X, EPT_X))

/* Hardware keeps accessed and dirty: permissions are what they are. */
#define EPT_AD_LEAF(a)                                                                             \
    (SOFT(a) | EPT_PERMS(a) | BIT_IF((a)&NESTED_A, EPT_ACCESSED) | BIT_IF((a)&NESTED_D, EPT_DIRTY))

/*
 * Software keeps them: nothing is permitted until accessed, and writing not until dirty. Dirty
 * is the write permission where it can be, else NESTED_SW_DIRTY.
 */
#define SOFT_AD_SHOWN(a)                                                                           \
    (!((a)&NESTED_A) ? 0u : (a)&NESTED_D ? (a)&NESTED_RWX : (a) & (NESTED_R | NESTED_X))
#define SOFT_AD_LEAF(a)                                                                            \
    (SOFT(a) | EPT_PERMS(SOFT_AD_SHOWN(a)) |                                                       \
     BIT_IF((a)&NESTED_D && !(SOFT_AD_SHOWN(a) & NESTED_W), NESTED_SW_DIRTY))

/* No permission at all is "not present"; reading cannot be withheld from a present page. */
#define NPT_LEAF(a)                                                                                \
    (SOFT(a) | BIT_IF((a)&NESTED_RWX, NPT_P) | BIT_IF((a)&NESTED_W, NPT_W) | NPT_U |               \
     BIT_IF((a)&NESTED_A, NPT_ACCESSED) | BIT_IF((a)&NESTED_D, NPT_DIRTY) |                        \
     BIT_IF(!((a)&NESTED_X), NPT_NX))

/* All of leaf[], indexed by the attributes. */
#define ROW(f, a)                                                                                  \
    f(a), f((a) + 1), f((a) + 2), f((a) + 3), f((a) + 4), f((a) + 5), f((a) + 6), f((a) + 7)
#define LEAVES(f)                                                                                  \
    {                                                                                              \
        ROW(f, 0u), ROW(f, 8u), ROW(f, 16u), ROW(f, 24u)                                           \
    }

/*
 * settled[access]: the bits that are all set when the access needs nothing more. The software bits
 * of the permissions, and the accessed (for a write, dirty) bit; where permissions play those,
 * the permission itself.
 */
#define AD_SETTLED(a, acc, dirt) (SOFT(a) | BIT_IF((a) != 0, (acc)) | BIT_IF((a)&NESTED_W, (dirt)))
#define EPT_AD_SETTLED(a)        AD_SETTLED(a, EPT_ACCESSED, EPT_DIRTY)
#define NPT_SETTLED(a)           AD_SETTLED(a, NPT_ACCESSED, NPT_DIRTY)
#define SOFT_AD_SETTLED(a)       (SOFT(a) | EPT_PERMS(a))
#define SETTLED(f)                                                                                 \
    {                                                                                              \
        ROW(f, 0u)                                                                                 \
    }

const struct nested_format nested_formats[] = {
    [NESTED_EPT_AD] =
        {
            .hw_ad = true,
            .exec_only = true,
            .accessed = EPT_ACCESSED,
            .dirty = EPT_DIRTY,
            .present = EPT_R | EPT_W | EPT_X,
            .table = NESTED_SW_VALID | EPT_R | EPT_W | EPT_X,
            .link_used = EPT_ACCESSED,
            .keep = NESTED_KEEP | EPT_TYPE(7ull) | EPT_IPAT,
            .type = {[NESTED_WB] = EPT_TYPE(EPT_TYPE_WB) | EPT_IPAT,
                     [NESTED_UC] = EPT_TYPE(EPT_TYPE_UC)},
            .settled = SETTLED(EPT_AD_SETTLED),
            .leaf = LEAVES(EPT_AD_LEAF),
        },
    [NESTED_EPT_SOFT_AD] =
        {
            .hw_ad = false,
            .exec_only = true,
            .accessed = EPT_R | EPT_X,
            .dirty = EPT_W | NESTED_SW_DIRTY,
            .present = EPT_R | EPT_W | EPT_X,
            .table = NESTED_SW_VALID | EPT_R | EPT_W | EPT_X,
            .link_used = EPT_ACCESSED,
            .keep = NESTED_KEEP | EPT_TYPE(7ull) | EPT_IPAT,
            .type = {[NESTED_WB] = EPT_TYPE(EPT_TYPE_WB) | EPT_IPAT,
                     [NESTED_UC] = EPT_TYPE(EPT_TYPE_UC)},
            .settled = SETTLED(SOFT_AD_SETTLED),
            .leaf = LEAVES(SOFT_AD_LEAF),
        },
    [NESTED_NPT] =
        {
            .hw_ad = true,
            .exec_only = false,
            .accessed = NPT_ACCESSED,
            .dirty = NPT_DIRTY,
            .present = NPT_P,
            .table = NESTED_SW_VALID | NPT_P | NPT_W | NPT_U,
            .link_used = NPT_ACCESSED,
            .keep = NESTED_KEEP | NPT_PWT | NPT_PCD,
            .type = {[NESTED_WB] = 0, [NESTED_UC] = NPT_PWT | NPT_PCD},
            .settled = SETTLED(NPT_SETTLED),
            .leaf = LEAVES(NPT_LEAF),
        },
};
