/* SPDX-License-Identifier: BSD-2-Clause */
/* Parsing of grub.cfg, and complaints looked at. */
#ifndef TESTS_UNIT_CONFIG_BENCH_H
#define TESTS_UNIT_CONFIG_BENCH_H

#include <stdio.h>
#include <string.h>
#include "vmm/config.h"
#include "vmm/platform.h"
#include "tests/unit/unit.h"

static struct config cfg;
static const struct config_limits machine = {.mem = 2 * GIB, .cpus = 4};

static inline void parse(const char *const *text, unsigned n)
{
    config_parse_own(&cfg, "");
    config_parse_modules(&cfg, text, n, &machine);
}

#define PARSE(...)                                                                                 \
    do {                                                                                           \
        static const char *const t[] = {__VA_ARGS__};                                              \
        parse(t, ARRAY_SIZE(t));                                                                   \
    } while (0)

#endif
