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
 * they are not contiguous and `move` is said. OK; ERR_INVAL if they are not uniform (or not
 * contiguous); ERR_BUSY if one of them is held; ERR_NOMEM.
 */
enum err space_promote_locked(struct space *s, gpa_t gpa, unsigned level, bool move);

/* Small pages have filled the table of gpa: makes a large one of them if it may be. */
void space_table_full(struct space *s, gpa_t gpa);

/*
 * Frees the tables on the way to gpa that have become empty, with the lock held and nobody in the
 * guest with older translations.
 */
void space_prune_locked(struct space *s, gpa_t gpa);

/* Gives back what a scan allocated for the region. */
void space_ages_free(struct space *s, struct space_region *r);

/* Holds open now. */
u64 space_held(const struct space *s);

#endif
