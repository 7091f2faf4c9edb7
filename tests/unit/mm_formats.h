/* SPDX-License-Identifier: BSD-2-Clause */
/* The three formats of nested-table entries, each with a processor that has all it can have. */
#ifndef TESTS_UNIT_MM_FORMATS_H
#define TESTS_UNIT_MM_FORMATS_H

#include "mm/nested.h"
#include "tests/unit/mm_cpu.h"

static const enum nested_format_id formats[] = {NESTED_EPT_AD, NESTED_EPT_SOFT_AD, NESTED_NPT};
#define FOR_FORMATS(f) for (unsigned f = 0; f < ARRAY_SIZE(formats); f++)

static inline struct nested_caps caps_of(enum nested_format_id format)
{
    return (struct nested_caps){.format = format,
                                .page_2m = true,
                                .page_1g = true,
                                .exec_only = format != NESTED_NPT,
                                .phys_bits = 46};
}

/* The processor of mm_cpu.h that the tables are for, their memory from src. */
static inline struct cpu cpu_of(const struct nested_caps *caps, const struct frame_source *src)
{
    return (struct cpu){.kind = caps->format == NESTED_NPT      ? CPU_NPT
                                : caps->format == NESTED_EPT_AD ? CPU_EPT_AD
                                                                : CPU_EPT,
                        .hva_base = src->hva_base,
                        .phys_bits = caps->phys_bits,
                        .page_2m = caps->page_2m,
                        .page_1g = caps->page_1g,
                        .exec_only = caps->exec_only};
}

/* The leaf at gpa, or the slot where one would be, and its level. */
static inline u64 entry_at(const struct nested *n, gpa_t gpa, unsigned *level)
{
    u64 value;

    nested_lookup(n, gpa, level, &value);
    return value;
}

#endif
