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

/* Holds open now. */
u64 space_held(const struct space *s);

#endif
