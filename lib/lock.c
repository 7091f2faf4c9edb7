/* SPDX-License-Identifier: BSD-2-Clause */
/* The one copy of spin_lock for code that is compiled small. */
#include "lib/lock.h"

extern inline void spin_lock(struct spinlock *l);
