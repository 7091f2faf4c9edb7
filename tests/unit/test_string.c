/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/string.c against the C library's functions: the same source under other names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/unit/unit.h"

#define memcpy   skep_memcpy
#define memmove  skep_memmove
#define memset   skep_memset
#define memcmp   skep_memcmp
#define strlen   skep_strlen
#define strnlen  skep_strnlen
#define strcmp   skep_strcmp
#define strncmp  skep_strncmp
#define strchr   skep_strchr
#define str_copy skep_str_copy
#include "lib/string.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strchr
#undef str_copy

static int sign(int v)
{
    return (v > 0) - (v < 0);
}

static void fill(u8 *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (u8)rand();
}

static void copies_every_length(void **st)
{
    u8 src[80], a[96], b[96];

    (void)st;
    for (size_t n = 0; n <= 70; n++) {
        fill(src, sizeof(src));
        memset(a, 0xee, sizeof(a));
        memset(b, 0xee, sizeof(b));
        assert_ptr_equal(skep_memcpy(a + 3, src + 5, n), a + 3);
        memcpy(b + 3, src + 5, n);
        assert_memory_equal(a, b, sizeof(a));
        assert_ptr_equal(skep_memset(a + 1, 0x1a5, n), a + 1);
        memset(b + 1, 0xa5, n);
        assert_memory_equal(a, b, sizeof(a));
    }
}

static void moves_over_itself(void **st)
{
    u8 a[64], b[64];

    (void)st;
    for (size_t from = 0; from < 20; from++)
        for (size_t to = 0; to < 20; to++)
            for (size_t n = 0; n < 40; n += 3) {
                fill(a, sizeof(a));
                memcpy(b, a, sizeof(a));
                assert_ptr_equal(skep_memmove(a + to, a + from, n), a + to);
                memmove(b + to, b + from, n);
                assert_memory_equal(a, b, sizeof(a));
            }
}

static void compares(void **st)
{
    static const char *const words[] = {"", "a", "b", "ab", "abc", "abd", "\xff", "a\x80"};

    (void)st;
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        for (size_t j = 0; j < ARRAY_SIZE(words); j++) {
            const char *x = words[i], *y = words[j];

            assert_int_equal(sign(skep_strcmp(x, y)), sign(strcmp(x, y)));
            for (size_t n = 0; n < 5; n++)
                assert_int_equal(sign(skep_strncmp(x, y, n)), sign(strncmp(x, y, n)));
            assert_int_equal(sign(skep_memcmp(x, y, MIN(strlen(x), strlen(y)) + 1)),
                             sign(memcmp(x, y, MIN(strlen(x), strlen(y)) + 1)));
        }
}

static void measures_and_finds(void **st)
{
    const char *s = "a=b=c";

    (void)st;
    assert_int_equal(skep_strlen(s), 5);
    assert_int_equal(skep_strlen(""), 0);
    assert_int_equal(skep_strnlen(s, 3), 3);
    assert_int_equal(skep_strnlen(s, 30), 5);
    assert_ptr_equal(skep_strchr(s, '='), s + 1);
    assert_ptr_equal(skep_strchr(s, 0), s + 5);
    assert_null(skep_strchr(s, 'x'));
}

static void copies_what_fits(void **st)
{
    char buf[4] = "qqq";

    (void)st;
    assert_true(skep_str_copy(buf, sizeof(buf), "abc"));
    assert_string_equal(buf, "abc");
    assert_false(skep_str_copy(buf, sizeof(buf), "wxyz"));
    assert_string_equal(buf, "wxy");
    assert_true(skep_str_copy(buf, 1, ""));
    assert_string_equal(buf, "");
    buf[0] = 'q';
    assert_false(skep_str_copy(buf, 0, "a"));
    assert_int_equal(buf[0], 'q');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_every_length),
        cmocka_unit_test(moves_over_itself),
        cmocka_unit_test(compares),
        cmocka_unit_test(measures_and_finds),
        cmocka_unit_test(copies_what_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
