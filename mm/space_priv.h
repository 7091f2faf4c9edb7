/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of the guest space (mm/space*.c) share among themselves. */
#ifndef MM_SPACE_PRIV_H
#define MM_SPACE_PRIV_H

#include "mm/space.h"

/*
 * As space_hold_for, for a whole page: gpa is below the limit. `dirty` marks the page dirty though
 * the access is no write (ROM being loaded).
 */
void *space_hold_page(struct space *s, gpa_t gpa, unsigned access, bool dirty);

/* Fills the page of gpa (below the limit) without marking it. *level: of its leaf, on success. */
enum space_result space_touch(struct space *s, gpa_t gpa, unsigned *level);

/* Whether gpa (below the limit) is mapped, and the level of the leaf or of the empty slot. */
bool space_is_filled(struct space *s, gpa_t gpa, unsigned *level);

/* Fills what is not filled yet of a region, with the largest pages. OK or ERR_NOMEM. */
enum err space_fill_region(struct space *s, const struct space_region *r);

/* space_invalidate and space_wait, with the lock held. */
void space_invalidate_locked(struct space *s);
void space_wait_locked(struct space *s);

/* Whether a page of [gpa, gpa + size) may be held: after the entry has been taken away. */
bool space_is_held(const struct space *s, gpa_t gpa, u64 size);

/*
 * Replaces the 512 leaves below `level` at gpa by one, with the lock held. Moves the contents if
 * they are not contiguous, and at least `in_use` of them are marked accessed. OK; ERR_INVAL if they
 * are not uniform (or not contiguous); ERR_BUSY if one of them is held; ERR_NOMEM.
 */
enum err space_promote_locked(struct space *s, gpa_t gpa, unsigned level, unsigned in_use);
#define SPACE_NO_MOVE (NESTED_ENTRIES + 1)

/* Small pages have filled the table of gpa: makes a large one of them if it may be. */
void space_table_full(struct space *s, gpa_t gpa);

/*
 * Frees the tables on the way to gpa that have become empty, with the lock held and nobody in the
 * guest with older translations.
 */
void space_prune_locked(struct space *s, gpa_t gpa);

/*
 * Whole pages of the machine's for bookkeeping, zeroed: at least `bytes`; NULL when there are none.
 * Given back with the same number.
 */
void *space_pages_alloc(struct space *s, u64 bytes);
void space_pages_free(struct space *s, void *p, u64 bytes);

/* What a region's ages and notes take. */
static inline u64 space_ages_size(const struct space_region *r)
{
    return r->size >> PAGE_SHIFT;
}

static inline u64 space_notes_size(const struct space_region *r)
{
    return ((r->size >> PAGE_SHIFT) + 63) / 64 * 8;
}

/*
 * Entries [from, to) of a table of small leaves, that of the 2 MiB at base: those that are dirty
 * become clean, and a bit each in bitmap (NULL: none) is set, the region's first page being bit 0.
 * Returns how many. Lock held.
 */
u64 space_harvest_table(struct space *s, const struct space_region *r, gpa_t base, u64 *table,
                        unsigned from, unsigned to, u64 *bitmap);

/* Makes the pages clean that have a bit each, bit 0 gpa's, all in its 2 MiB; how many. Lock held.
 */
u64 space_harvest_noted(struct space *s, gpa_t gpa, u64 bits);

/*
 * What pages of [base, base + size) get when they are filled, in *perms, which is left alone where
 * nothing is noted. False if that differs among them. Lock held, or rights_count is 0.
 */
bool space_rights_over(const struct space *s, gpa_t base, u64 size, unsigned *perms);

/* Holds open now. */
u64 space_held(const struct space *s);

#endif
