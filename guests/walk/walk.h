/* SPDX-License-Identifier: BSD-2-Clause */
/* Paging modes, and the tables of one address in each. */
#ifndef GUESTS_WALK_WALK_H
#define GUESTS_WALK_WALK_H

#include "guests/lib/paging.h"

#define TARGET 0x1005000ul /* guest-physical page that the test address leads to */
#define LARGE  0x1000000ul /* the large pages that hold it begin here; a 1 GiB page at 0 */

/* A paging mode under test. */
struct walk_mode {
    const char *name;
    unsigned levels; /* of entries that are varied, the leaf's included */
    unsigned width;  /* of an entry: 4 or 8 bytes */
    ulong gla;       /* the address under test */
    void *entry[5];  /* by level, 1 the leaf's */
    u64 table[5];    /* what an entry of that level points to, but level 1 */
};

/*
 * The modes of this flavour, one after the other: turns the next one on and fills *m. False: there
 * is no further one. Code, stack and device are mapped as themselves.
 */
bool walk_next_mode(struct walk_mode *m);

/* Whether code, data and device are user pages in this mode. Reloads CR3. */
void walk_set_user(bool user);

#endif
