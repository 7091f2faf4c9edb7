/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory and strings. Copies and fills use the string instructions: fast where ERMS is, and small.
 */
#include "lib/string.h"

void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
    void *d = dst;
    size_t words = n / 8;

    __asm__ volatile("rep movsq" : "+D"(d), "+S"(src), "+c"(words) : : "memory");
    words = n % 8;
    __asm__ volatile("rep movsb" : "+D"(d), "+S"(src), "+c"(words) : : "memory");
    return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
    u8 *d = dst;
    const u8 *s = src;

    if ((u64)d - (u64)s >= n)
        return memcpy(dst, src, n);
    while (n--)
        d[n] = s[n];
    return dst;
}

void *memset(void *dst, int c, size_t n)
{
    void *d = dst;
    size_t count = n / 8;

    __asm__ volatile("rep stosq"
                     : "+D"(d), "+c"(count)
                     : "a"(0x0101010101010101ull * (u8)c)
                     : "memory");
    count = n % 8;
    __asm__ volatile("rep stosb" : "+D"(d), "+c"(count) : "a"(c) : "memory");
    return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const u8 *x = a, *y = b;

    for (; n; x++, y++, n--)
        if (*x != *y)
            return *x - *y;
    return 0;
}

size_t strnlen(const char *s, size_t max)
{
    size_t n = 0;

    while (n < max && s[n])
        n++;
    return n;
}

size_t strlen(const char *s)
{
    return strnlen(s, SIZE_MAX);
}

int strncmp(const char *a, const char *b, size_t n)
{
    for (; n; a++, b++, n--)
        if (*a != *b || !*a)
            return (u8)*a - (u8)*b;
    return 0;
}

int strcmp(const char *a, const char *b)
{
    return strncmp(a, b, SIZE_MAX);
}

char *strchr(const char *s, int c)
{
    for (; *s != (char)c; s++)
        if (!*s)
            return NULL;
    return (char *)(u64)s;
}

bool str_copy(char *dst, size_t size, const char *src)
{
    size_t len = strlen(src), n = MIN(len, size - 1);

    if (!size)
        return false;
    memcpy(dst, src, n);
    dst[n] = 0;
    return n == len;
}
