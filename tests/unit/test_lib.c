/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/print against the C library's snprintf, which it follows; lib/log; lib/parse. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/unit/unit.h"

/* Cut-off output is what is tested. */
#pragma GCC diagnostic ignored "-Wformat-truncation"

#include "lib/log.h"
#include "lib/parse.h"
#include "lib/print.h"

#define SAME(...)                                                                                  \
    do {                                                                                           \
        char a[256], b[256];                                                                       \
        int n = fmt_print(a, sizeof(a), __VA_ARGS__), m = snprintf(b, sizeof(b), __VA_ARGS__);     \
        assert_string_equal(a, b);                                                                 \
        assert_int_equal(n, m);                                                                    \
        for (size_t size = 0; size < 8; size++) {                                                  \
            memset(a, 'q', sizeof(a));                                                             \
            memset(b, 'q', sizeof(b));                                                             \
            assert_int_equal(fmt_print(a, size, __VA_ARGS__), n);                                  \
            m = snprintf(b, size, __VA_ARGS__);                                                    \
            assert_memory_equal(a, b, 16);                                                         \
        }                                                                                          \
    } while (0)

static void prints_as_the_c_library(void **st)
{
    (void)st;
    SAME("plain, 100%%");
    SAME("%d %i %d %d", 0, -1, INT32_MAX, INT32_MIN);
    SAME("%u %x", UINT32_MAX, 0xdeadbeefu);
    SAME("%ld %lu %lx", INT64_MIN, UINT64_MAX, UINT64_MAX);
    SAME("%lld %llu %zu %jd", (long long)INT64_MIN, 7ull, (size_t)9, (intmax_t)-3);
    SAME("%hhu %hd %hhx", 0x1ff, 0x18000, 0x1234);
    SAME("[%5d][%-5d][%05d][%5d]", 42, 42, 42, -42);
    SAME("[%05d][%-5d]", -42, -42);
    SAME("%#x %#x %#010lx", 0, 255, 0xabcul);
    SAME("[%.3d][%8.3x][%-8.3u][%.0d]", 7, 0xfu, 1u, 0);
    SAME("[%s][%10s][%-10s][%.2s][%.*s]", "abc", "abc", "abc", "abc", 1, "xyz");
    SAME("[%*d][%-*d][%*d]", 6, 1, 6, 2, -6, 3);
    SAME("%c%c[%3c][%-3c]", 'a', 'b', 'c', 'd');
    SAME("%p", (void *)0x1234);
    SAME("a fairly long line, to see where %s ends: %016lx", "it", 0x123456789abcdeful);
}

static void survives_broken_directives(void **st)
{
    char buf[64];
    const char *volatile nothing = NULL;
    const char *volatile broken[] = {"%", "abc%", "%-", "%5", "%.", "%l", "%q", "%lq"};

    (void)st;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
    for (size_t i = 0; i < ARRAY_SIZE(broken); i++)
        assert_true(fmt_print(buf, sizeof(buf), broken[i]) < 8);
    assert_int_equal(fmt_print(buf, sizeof(buf), broken[6]), 2);
#pragma GCC diagnostic pop
    assert_string_equal(buf, "%q");
    fmt_print(buf, sizeof(buf), "%s", nothing);
    assert_string_equal(buf, "(null)");
}

static char logged[1024];
static size_t logged_len;
static unsigned logged_lines;

static void sink(const char *line, size_t len)
{
    assert_true(len <= sizeof(logged) - 1 && len > 0 && line[len - 1] == '\n');
    memcpy(logged, line, len);
    logged[len] = 0;
    logged_len = len;
    logged_lines++;
}

static void logs_what_is_wanted(void **st)
{
    (void)st;
    log_set_sink(NULL);
    log_error("nobody hears this");
    log_set_sink(sink);
    log_set_level(LOG_WARN);
    logged_lines = 0;
    log_info("no");
    assert_int_equal(logged_lines, 0);
    assert_false(log_enabled(LOG_INFO));
    assert_true(log_enabled(LOG_ERROR));
    log_warn("vm %s: %d", "web", 3);
    assert_string_equal(logged, "skep: vm web: 3\n");
}

static void logs_no_control_characters(void **st)
{
    (void)st;
    log_set_sink(sink);
    log_error("a\x1b[2Jb\nc\x7f%s", "\rd");
    assert_string_equal(logged, "skep: a.[2Jb.c..d\n");
}

static void cuts_long_lines(void **st)
{
    char text[600];

    (void)st;
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = 0;
    log_set_sink(sink);
    for (size_t n = 240; n < 270; n++) {
        logged_lines = 0;
        log_error("%s", text + sizeof(text) - 1 - n);
        assert_int_equal(logged_lines, 1);
        assert_int_equal(logged_len, MIN(n + 7, 255));
    }
}

/* A line of the caller's own may be longer. */
static void passes_long_texts(void **st)
{
    char line[400] = LOG_HEAD;

    (void)st;
    log_set_sink(sink);
    memset(line + 6, 'x', 300);
    line[100] = '\x1b';
    log_text(line, sizeof(line), 306);
    assert_int_equal(logged_len, 307);
    assert_int_equal(logged[306], '\n');
    assert_int_equal(logged[100], '.');
    memset(line + 6, 'y', 394);
    log_text(line, sizeof(line), 5000); /* as long as it would have been: cut off */
    assert_int_equal(logged_len, 399);
}

static void limits_lines(void **st)
{
    struct log_limit l = {0};
    u32 dropped;

    (void)st;
    for (int i = 0; i < 3; i++)
        assert_true(log_limit_ok(&l, 1000, 3, 50, &dropped));
    assert_int_equal(dropped, 0);
    for (int i = 0; i < 7; i++)
        assert_false(log_limit_ok(&l, 1049, 3, 50, NULL));
    assert_true(log_limit_ok(&l, 1050, 3, 50, &dropped));
    assert_int_equal(dropped, 7);
    assert_false(log_limit_ok(&l, 1051, 3, 50, &dropped));
    assert_true(log_limit_ok(&l, 1100, 3, 50, &dropped));
    assert_int_equal(dropped, 1);
}

#define NUMBER(text, want)                                                                         \
    do {                                                                                           \
        u64 v = 77;                                                                                \
        assert_int_equal(parse_u64(text, strlen(text), &v), OK);                                   \
        assert_true(v == (want));                                                                  \
    } while (0)
#define NO_NUMBER(text, err)                                                                       \
    do {                                                                                           \
        u64 v = 77;                                                                                \
        assert_int_equal(parse_u64(text, strlen(text), &v), err);                                  \
        assert_int_equal(v, 77);                                                                   \
    } while (0)

static void parses_numbers(void **st)
{
    u64 in = 0;

    (void)st;
    NUMBER("0", 0);
    NUMBER("007", 7);
    NUMBER("18446744073709551615", UINT64_MAX);
    NUMBER("0xffffFFFFffffFFFF", UINT64_MAX);
    NUMBER("0x0", 0);
    NO_NUMBER("18446744073709551616", ERR_RANGE);
    NO_NUMBER("0x10000000000000000", ERR_RANGE);
    NO_NUMBER("99999999999999999999999", ERR_RANGE);
    NO_NUMBER("", ERR_INVAL);
    NO_NUMBER("0x", ERR_INVAL);
    NO_NUMBER("-1", ERR_INVAL);
    NO_NUMBER(" 1", ERR_INVAL);
    NO_NUMBER("1 ", ERR_INVAL);
    NO_NUMBER("12a", ERR_INVAL);
    NO_NUMBER("0xg", ERR_INVAL);
    NO_NUMBER("99999999999999999999999x", ERR_INVAL);
    assert_int_equal(parse_u64_in("5", 1, 1, 5, &in), OK);
    assert_int_equal(parse_u64_in("6", 1, 1, 5, &in), ERR_RANGE);
    assert_int_equal(parse_u64_in("0", 1, 1, 5, &in), ERR_RANGE);
    assert_int_equal(in, 5);
}

static void parses_sizes(void **st)
{
    static const struct {
        const char *text;
        enum err err;
        u64 value;
    } t[] = {
        {"512M", OK, 512 * MIB},
        {"4k", OK, 4096},
        {"1G", OK, GIB},
        {"2T", OK, 2048 * GIB},
        {"4096", OK, 4096},
        {"0x10M", OK, 16 * MIB},
        {"0", OK, 0},
        {"16777215T", OK, 16777215ull << 40},
        {"16777216T", ERR_RANGE, 0},
        {"M", ERR_INVAL, 0},
        {"", ERR_INVAL, 0},
        {"5MB", ERR_INVAL, 0},
        {"1.5G", ERR_INVAL, 0},
        {"99999999999999999999G", ERR_RANGE, 0},
    };

    (void)st;
    for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
        u64 v = 77;

        assert_int_equal(parse_size(t[i].text, strlen(t[i].text), &v), t[i].err);
        assert_true(v == (t[i].err ? 77 : t[i].value));
    }
}

static void takes_words(void **st)
{
    const char *text = "  one two\tx=\n", *word;

    (void)st;
    assert_int_equal(parse_word(&text, &word), 3);
    assert_true(parse_is(word, 3, "one"));
    assert_int_equal(parse_word(&text, &word), 3);
    assert_true(parse_is(word, 3, "two"));
    assert_false(parse_is(word, 2, "two"));
    assert_false(parse_is(word, 3, "tw"));
    assert_int_equal(parse_word(&text, &word), 2);
    assert_int_equal(parse_word(&text, &word), 0);
    assert_int_equal(parse_word(&text, &word), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_as_the_c_library),
        cmocka_unit_test(survives_broken_directives),
        cmocka_unit_test(logs_what_is_wanted),
        cmocka_unit_test(logs_no_control_characters),
        cmocka_unit_test(cuts_long_lines),
        cmocka_unit_test(passes_long_texts),
        cmocka_unit_test(limits_lines),
        cmocka_unit_test(parses_numbers),
        cmocka_unit_test(parses_sizes),
        cmocka_unit_test(takes_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
