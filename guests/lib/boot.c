/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading the Multiboot information (Multiboot 0.6.96, 3.3). */
#include "guests/lib/boot.h"
#include "lib/string.h"

static u64 taken_from = UINT64_MAX; /* memory from here up has been given away */

const struct mb_info *boot_info(void)
{
    return boot_entry.eax == MB_BOOT_MAGIC ? (const struct mb_info *)(ulong)boot_entry.ebx : NULL;
}

static const struct mb_info *info_with(u64 flag)
{
    const struct mb_info *info = boot_info();

    return info && (info->flags & flag) ? info : NULL;
}

const char *boot_cmdline(void)
{
    const struct mb_info *info = info_with(MB_HAS_CMDLINE);

    return info ? (const char *)(ulong)info->cmdline : "";
}

/* The word at *p, its length in *len; moves *p behind it. NULL at the end. */
static const char *next_word(const char **p, size_t *len)
{
    const char *word;

    while (**p == ' ' || **p == '\t')
        (*p)++;
    word = *p;
    while (**p && **p != ' ' && **p != '\t')
        (*p)++;
    *len = (size_t)(*p - word);
    return *len ? word : NULL;
}

bool boot_word(const char *word)
{
    const char *p = boot_cmdline();
    const char *w;
    size_t len;

    while ((w = next_word(&p, &len)))
        if (len == strlen(word) && memcmp(w, word, len) == 0)
            return true;
    return false;
}

bool boot_nth_word(unsigned n, char *buf, size_t size)
{
    const char *p = boot_cmdline();
    const char *w;
    size_t len;

    while ((w = next_word(&p, &len))) {
        if (n--)
            continue;
        len = MIN(len, size - 1);
        memcpy(buf, w, len);
        buf[len] = 0;
        return true;
    }
    return false;
}

static u64 parse_number(const char *s)
{
    u64 base = 10;
    u64 value = 0;

    if (s[0] == '0' && s[1] == 'x') {
        base = 16;
        s += 2;
    }
    for (;; s++) {
        if (*s >= '0' && *s <= '9')
            value = value * base + (u64)(*s - '0');
        else if (base == 16 && *s >= 'a' && *s <= 'f')
            value = value * base + (u64)(*s - 'a') + 10;
        else
            return value;
    }
}

u64 boot_number(const char *key, u64 fallback)
{
    const char *p = boot_cmdline();
    const char *w;
    size_t len;
    size_t key_len = strlen(key);

    while ((w = next_word(&p, &len)))
        if (len > key_len && memcmp(w, key, key_len) == 0)
            return parse_number(w + key_len);
    return fallback;
}

unsigned boot_module_count(void)
{
    const struct mb_info *info = info_with(MB_HAS_MODULES);

    return info ? info->mods_count : 0;
}

const struct mb_module *boot_module(unsigned n)
{
    return (const struct mb_module *)(ulong)boot_info()->mods_addr + n;
}

const struct mb_range *boot_range(unsigned n)
{
    const struct mb_info *info = info_with(MB_HAS_MMAP);
    ulong at = info ? info->mmap_addr : 0;
    ulong end = info ? at + info->mmap_length : 0;

    while (at < end) {
        const struct mb_range *r = (const struct mb_range *)at;

        if (n-- == 0)
            return r;
        at += r->size + 4ul;
    }
    return NULL;
}

/* The highest address that the image, modules and information reach. */
static u64 used_end(void)
{
    u64 end = (ulong)guest_image_end;
    const struct mb_info *info = boot_info();

    end = MAX(end, (u64)(ulong)info + sizeof(*info));
    end = MAX(end, (u64)(ulong)boot_cmdline() + strlen(boot_cmdline()) + 1);
    if (info->flags & MB_HAS_MMAP)
        end = MAX(end, (u64)info->mmap_addr + info->mmap_length);
    for (unsigned i = 0; i < boot_module_count(); i++)
        end = MAX(end, (u64)boot_module(i)->end);
    return end;
}

ulong boot_take_memory(u64 size, u64 align)
{
    u64 best_base = 0;
    u64 best_end = 0;
    u64 at;

    for (unsigned i = 0; boot_range(i); i++) {
        const struct mb_range *r = boot_range(i);
        u64 base = MAX(r->base, used_end());
        u64 end = MIN(r->base + r->length, MIN(taken_from, 4 * GIB));

        if (r->type == 1 && end > base && end - base > best_end - best_base) {
            best_base = base;
            best_end = end;
        }
    }
    if (best_end - best_base < size)
        return 0;
    at = ALIGN_DOWN(best_end - size, align);
    if (at < best_base)
        return 0;
    taken_from = at;
    return (ulong)at;
}
