/* SPDX-License-Identifier: BSD-2-Clause */
/* The frame allocator: initialisation from odd memory maps, buddies, misuse, random use. */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "mm/frames.h"
#include "tests/unit/mm_arena.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#define MEM_SIZE (64 * MIB)

/* A fresh piece of host memory that stands for physical [0, MEM_SIZE). */
static u8 *memory(void)
{
    void *p = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(p, MAP_FAILED);
    return p;
}

static void init_takes_the_map_as_it_comes(void **state)
{
    (void)state;
    struct frames f;
    u8 *mem = memory();
    /* Unsorted, overlapping, touching, unaligned, empty, with frame 0 in it. */
    struct frame_range ranges[] = {
        {32 * MIB, 1 * MIB}, {0, 640 * KIB}, {33 * MIB, 1 * MIB}, {32 * MIB + 1000, 4 * KIB},
        {5 * MIB + 1, 8190}, {7 * MIB, 0},   {31 * MIB, 2 * MIB}, {40 * MIB, 4 * KIB},
    };

    assert_int_equal(frames_init(&f, (uintptr_t)mem, ranges, ARRAY_SIZE(ranges)), OK);
    frames_check(&f);
    /*
     * [4K, 640K) is 159 frames, one for bookkeeping; [31M, 34M) 768 less one. [5M+1, 5M+8191)
     * holds no whole frame, and a zone of one frame has room for its bookkeeping only.
     */
    assert_int_equal(f.zone_count, 2);
    assert_int_equal(f.total, 158 + 767);
    assert_int_equal(f.free, f.total);
    munmap(mem, MEM_SIZE);
}

static void init_needs_memory_to_give(void **state)
{
    (void)state;
    struct frames f;
    struct frame_range one = {0, 4 * KIB};
    u8 *mem = memory();

    assert_int_equal(frames_init(&f, (uintptr_t)mem, NULL, 0), ERR_NOMEM);
    assert_int_equal(frames_init(&f, (uintptr_t)mem, &one, 1), ERR_NOMEM);
    assert_int_equal(frames_alloc(&f, 0), 0);
    munmap(mem, MEM_SIZE);
}

static void init_keeps_the_largest_of_too_many_ranges(void **state)
{
    (void)state;
    struct frames f;
    struct frame_range ranges[FRAMES_MAX_RANGES + 6];
    u8 *mem = memory();

    for (unsigned i = 0; i < ARRAY_SIZE(ranges); i++)
        ranges[i] = (struct frame_range){(i * 16 + 1) * PAGE_SIZE, (2 + (i >= 6)) * PAGE_SIZE};
    assert_int_equal(frames_init(&f, (uintptr_t)mem, ranges, ARRAY_SIZE(ranges)), ERR_RANGE);
    frames_check(&f);
    assert_int_equal(f.zone_count, FRAMES_MAX_RANGES);
    assert_int_equal(f.total, 2 * FRAMES_MAX_RANGES);
    munmap(mem, MEM_SIZE);
}

static void init_survives_a_range_that_wraps(void **state)
{
    (void)state;
    struct frames f;
    u8 *mem = memory();
    /* Cut off at the top of the address space, the second holds no whole frame. */
    struct frame_range ranges[] = {{MEM_SIZE - 8 * PAGE_SIZE, 8 * PAGE_SIZE}, {~0ull - 10, ~0ull}};

    assert_int_equal(frames_init(&f, (uintptr_t)mem, ranges, ARRAY_SIZE(ranges)), OK);
    assert_int_equal(f.total, 7);
    munmap(mem, MEM_SIZE);
}

static void blocks_are_aligned_and_disjoint(void **state)
{
    (void)state;
    struct arena a;

    arena_init(&a, 48 * MIB);
    for (unsigned order = 0; order <= 12; order++) {
        hpa_t x = frames_alloc(&a.frames, order), y = frames_alloc(&a.frames, order);
        u64 size = PAGE_SIZE << order;

        assert_true(x && y && IS_ALIGNED(x, size) && IS_ALIGNED(y, size));
        assert_true(x + size <= y || y + size <= x);
        assert_true(x >= ARENA_HPA && x + size <= ARENA_HPA + a.size);
        frames_check(&a.frames);
        frames_free(&a.frames, x, order);
        frames_free(&a.frames, y, order);
    }
    arena_fini(&a);
}

static void the_last_frame_is_to_be_had_and_no_more(void **state)
{
    (void)state;
    struct arena a;
    u64 count = 0;
    hpa_t last = 0, hpa;

    arena_init(&a, 1 * MIB);
    while ((hpa = frames_alloc(&a.frames, 0))) {
        *(hpa_t *)frame_hva(&a.source, hpa) = last;
        last = hpa;
        count++;
    }
    assert_int_equal(count, a.free_at_start);
    assert_int_equal(frames_free_count(&a.frames), 0);
    assert_int_equal(a.frames.failed, 1);
    assert_int_equal(a.frames.used_peak, count);
    assert_int_equal(frames_alloc(&a.frames, FRAME_ORDER_MAX + 1), 0);
    while (last) {
        hpa_t next = *(hpa_t *)frame_hva(&a.source, last);

        frames_free(&a.frames, last, 0);
        last = next;
    }
    arena_fini(&a);
}

static void pieces_merge_into_what_they_came_from(void **state)
{
    (void)state;
    struct arena a;
    hpa_t big;
    u64 blocks;

    arena_init(&a, 16 * MIB);
    blocks = a.frames.free_blocks[FRAME_ORDER_2M];
    big = frames_alloc(&a.frames, FRAME_ORDER_2M);
    for (u64 i = 0; i < 512; i++)
        frames_free(&a.frames, big + ((i * 37) % 512) * PAGE_SIZE, 0);
    assert_int_equal(a.frames.free_blocks[FRAME_ORDER_2M], blocks);
    arena_fini(&a);
}

/* Whether fn, run in a child, ends by assert_fail. */
static bool asserts(void (*fn)(struct arena *), struct arena *a)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        fclose(stderr);
        signal(SIGABRT, SIG_DFL);
        fn(a);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void misuse_double(struct arena *a)
{
    hpa_t x = frames_alloc(&a->frames, 1);

    frames_free(&a->frames, x, 0);
    frames_free(&a->frames, x, 0);
}

static void misuse_half_free(struct arena *a)
{
    hpa_t x = frames_alloc(&a->frames, 4);

    frames_free(&a->frames, x + PAGE_SIZE * 15, 0);
    frames_free(&a->frames, x, 4);
}

static void misuse_bookkeeping(struct arena *a)
{
    frames_free(&a->frames, ARENA_HPA, 0);
}

static void misuse_outside(struct arena *a)
{
    frames_free(&a->frames, ARENA_HPA + a->size, 0);
}

static void misuse_unaligned(struct arena *a)
{
    frames_free(&a->frames, frames_alloc(&a->frames, 3) + PAGE_SIZE, 1);
}

static void use_null(struct arena *a)
{
    frames_free(&a->frames, 0, 3);
}

static void misuse_is_noticed(void **state)
{
    (void)state;
    struct arena a;

    arena_init(&a, 1 * MIB);
    assert_true(asserts(misuse_double, &a));
    assert_true(asserts(misuse_half_free, &a));
    assert_true(asserts(misuse_bookkeeping, &a));
    assert_true(asserts(misuse_outside, &a));
    assert_true(asserts(misuse_unaligned, &a));
    assert_false(asserts(use_null, &a));
    arena_fini(&a);
}

/* Against a plain model: one owner a frame. */
static void random_use_matches_the_model(void **state)
{
    (void)state;
    enum { BLOCKS = 200, FRAMES = 8192 };
    struct arena a;
    static u16 owner[FRAMES];
    struct {
        hpa_t hpa;
        unsigned order;
    } block[BLOCKS] = {{0}};
    u64 seed = 0x5eed, used = 0;

    memset(owner, 0, sizeof(owner));
    arena_init(&a, (u64)FRAMES * PAGE_SIZE);
    for (unsigned n = 0; n < 300000; n++) {
        unsigned i = random_u64(&seed) % BLOCKS,
                 order = (unsigned)__builtin_ctzll(random_u64(&seed) | 1024);
        u64 first;

        if (block[i].hpa) {
            first = (block[i].hpa - ARENA_HPA) >> PAGE_SHIFT;
            for (u64 k = 0; k < 1ull << block[i].order; k++) {
                assert_int_equal(owner[first + k], i + 1);
                owner[first + k] = 0;
            }
            used -= 1ull << block[i].order;
            frames_free(&a.frames, block[i].hpa, block[i].order);
            block[i].hpa = 0;
        } else {
            block[i].hpa = frames_alloc(&a.frames, order);
            block[i].order = order;
            if (!block[i].hpa)
                continue;
            first = (block[i].hpa - ARENA_HPA) >> PAGE_SHIFT;
            assert_true(first + (1ull << order) <= FRAMES);
            for (u64 k = 0; k < 1ull << order; k++) {
                assert_int_equal(owner[first + k], 0);
                owner[first + k] = (u16)(i + 1);
            }
            used += 1ull << order;
        }
        assert_int_equal(a.frames.free, a.free_at_start - used);
        if (n % 20000 == 0)
            frames_check(&a.frames);
    }
    for (unsigned i = 0; i < BLOCKS; i++)
        frames_free(&a.frames, block[i].hpa, block[i].order);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(init_takes_the_map_as_it_comes),
        cmocka_unit_test(init_needs_memory_to_give),
        cmocka_unit_test(init_keeps_the_largest_of_too_many_ranges),
        cmocka_unit_test(init_survives_a_range_that_wraps),
        cmocka_unit_test(blocks_are_aligned_and_disjoint),
        cmocka_unit_test(the_last_frame_is_to_be_had_and_no_more),
        cmocka_unit_test(pieces_merge_into_what_they_came_from),
        cmocka_unit_test(misuse_is_noticed),
        cmocka_unit_test(random_use_matches_the_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
