/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of forms, printed by tests/emul/forms_list.c while building. */
#include "guests/forms/table.h"
#include "forms_list.h"
