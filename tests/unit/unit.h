/* SPDX-License-Identifier: BSD-2-Clause */
/* cmocka, behind the headers that it leaves to its users. */
#ifndef TESTS_UNIT_UNIT_H
#define TESTS_UNIT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#endif
