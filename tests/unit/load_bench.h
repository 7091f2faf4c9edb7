/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of the loaders have: a guest's memory, made anew for each, and what came of it. */
#ifndef TESTS_UNIT_LOAD_BENCH_H
#define TESTS_UNIT_LOAD_BENCH_H

#include "tests/unit/elf_gen.h"
#include "tests/unit/guest_mem.h"

static struct guest_mem mem;
static struct load_state state;

/* A test that begins with so many bytes of memory, all zero. */
#define LOAD_TEST(f, size)                                                                         \
    cmocka_unit_test_prestate_setup_teardown(f, load_setup, load_teardown, (void *)(size))

static inline int load_setup(void **size)
{
    guest_init(&mem, (uintptr_t)*size);
    return 0;
}

static inline int load_teardown(void **size)
{
    (void)size;
    guest_fini(&mem);
    return 0;
}

/* The kernel alone, its kind to be found out, on one processor with 64 MiB. */
static inline struct load_request load_request_of(const struct elf_gen *kernel)
{
    return (struct load_request){.kind = LOAD_AUTO,
                                 .mem_size = 64 * MIB,
                                 .vcpus = 1,
                                 .kernel = {kernel->b, GEN_SIZE, "k.elf", "one  two "}};
}

#endif
