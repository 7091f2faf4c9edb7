/* SPDX-License-Identifier: BSD-2-Clause */
/* The JSON writer: structure, strings (RFC 8259, section 7), and what formats become. */
#include <stdio.h>
#include <string.h>
#include "monitor/json.h"
#include "tests/unit/unit.h"

static char text[4096];
static size_t used;

static void put(const char *s, size_t len)
{
    assert_true(used + len < sizeof(text));
    memcpy(text + used, s, len);
    used += len;
    text[used] = '\0';
}

static struct json j;

static int setup(void **state)
{
    (void)state;
    used = 0;
    text[0] = '\0';
    j = (struct json){.put = put};
    return 0;
}

static void say(const char *names, const char *fmt, ...) PRINTF(2, 3);
static void say(const char *names, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    json_say(&j, names, fmt, ap);
    va_end(ap);
}

static void expect(const char *wanted)
{
    json_close_to(&j, 0);
    assert_string_equal(text, wanted);
}

static void test_values(void **state)
{
    (void)state;
    json_open(&j, "", '{');
    say("a,b,c,d", "%u and %d then %s(%x)\n", 7u, -3, "x\"y", 0xfeu);
    say("big,neg,hex", "%20llu %-9lld %016llx", ~0ull, -5ll, ~0ull);
    say("long,c", "%lu%c", 123456789012ul, 'z');
    expect(
        "{\"a\":7,\"b\":-3,\"c\":\"x\\\"y\",\"d\":\"0xfe\",\"big\":18446744073709551615,\"neg\":-5,"
        "\"hex\":\"0xffffffffffffffff\",\"long\":123456789012,\"c\":\"z\"}");
}

static void test_names(void **state)
{
    (void)state;
    json_open(&j, "", '{');
    say("-,b,,d", "%u %u %u %u %u", 1u, 2u, 3u, 4u, 5u);
    say("?yes,?no,?one,?none", "%s%s%u%u", "x", "", 1u, 0u);
    say("", "%s", "for a person");
    say("cut,star,hash,percent", "%.3s|%-*.*s|%#x|100%%%5s|", "abcdef", 9, 2, "xyz", 16u, "last");
    expect("{\"b\":2,\"d\":4,\"yes\":true,\"no\":false,\"one\":true,\"none\":false,\"cut\":\"abc\","
           "\"star\":\"xy\",\"hash\":\"0x10\",\"percent\":\"last\"}");
}

static void test_lists(void **state)
{
    (void)state;
    json_open(&j, "", '{');
    say("vms[", "NAME %s", "heading");
    say("vms[name,n", "%s %u\n", "a", 1u);
    say("vms[name,n", "%s %u\n", "b", 2u);
    say("all", "%u", 2u);
    say("none[", "%s", "");
    say("cpus[cpu+", "%u", 0u);
    say("of[vm", "%s", "a");
    say("of[vm", "%s", "b");
    say("load", "%u", 9u);
    say("cpus[cpu+", "%u", 1u);
    say("of[", "%s", ":");
    expect("{\"vms\":[{\"name\":\"a\",\"n\":1},{\"name\":\"b\",\"n\":2}],\"all\":2,\"none\":[],"
           "\"cpus\":[{\"cpu\":0,\"of\":[{\"vm\":\"a\"},{\"vm\":\"b\"}],\"load\":9},"
           "{\"cpu\":1,\"of\":[]}]}");
}

static void test_names_that_begin_alike(void **state)
{
    (void)state;
    json_open(&j, "", '{');
    say("last[a", "%u", 1u);
    say("la[a", "%u", 2u);
    say("lastly[a", "%u", 3u);
    expect("{\"last\":[{\"a\":1}],\"la\":[{\"a\":2}],\"lastly\":[{\"a\":3}]}");
}

/* One string; `wanted` without its quotes. */
static void string(const char *s, size_t len, const char *wanted)
{
    char quoted[256];

    setup(NULL);
    json_string(&j, "", s, len);
    snprintf(quoted, sizeof(quoted), "\"%s\"", wanted);
    assert_string_equal(text, quoted);
}

#define REPLACED "\xef\xbf\xbd"

static void test_strings(void **state)
{
    (void)state;
    string("", 0, "");
    string("plain / text \x7f", 14, "plain / text \x7f");
    string("\"\\\n\r\t\x01\x1b[0m\0x", 12, "\\\"\\\\\\n\\u000d\\u0009\\u0001\\u001b[0m\\u0000x");
    string("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
}

/* Unicode 15, table 3-7: what is no well-formed sequence is replaced, a byte at a time. */
static void test_invalid_utf8(void **state)
{
    (void)state;
    string("a\x80z", 3, "a" REPLACED "z");
    string("\xc0\xaf", 2, REPLACED REPLACED);                           /* overlong */
    string("\xe0\x9f\xbf", 3, REPLACED REPLACED REPLACED);              /* overlong */
    string("\xed\xa0\x80", 3, REPLACED REPLACED REPLACED);              /* a surrogate */
    string("\xf4\x90\x80\x80", 4, REPLACED REPLACED REPLACED REPLACED); /* above U+10FFFF */
    string("\xf5\xff", 2, REPLACED REPLACED);
    string("\xe2\x82", 2, REPLACED REPLACED); /* cut off */
    string("\xe2\x82\"", 3, REPLACED REPLACED "\\\"");
    string("\xf0\x90\x80\x80\xee\x80\x80", 7, "\xf0\x90\x80\x80\xee\x80\x80");
}

static void test_depth(void **state)
{
    (void)state;
    json_open(&j, "", '{');
    for (unsigned i = 0; i < 10; i++)
        json_open(&j, "a", '[');
    json_close_to(&j, 0);
    assert_int_equal(text[used - 1], '}');
    json_close(&j);
    assert_int_equal(j.depth, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_values, setup),
        cmocka_unit_test_setup(test_names, setup),
        cmocka_unit_test_setup(test_lists, setup),
        cmocka_unit_test_setup(test_names_that_begin_alike, setup),
        cmocka_unit_test_setup(test_strings, setup),
        cmocka_unit_test_setup(test_invalid_utf8, setup),
        cmocka_unit_test_setup(test_depth, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
