/* SPDX-License-Identifier: BSD-2-Clause */
/* Copies to and from guest memory, page by page under a hold each. Contracts in space.h. */
#include "mm/space_priv.h"
#include "lib/string.h"

/* Bytes from gpa to the end of its page, at most len. */
static size_t page_part(gpa_t gpa, u64 len)
{
    return MIN(len, PAGE_SIZE - (gpa & PAGE_MASK));
}

/* Whether [gpa, gpa + len) can be guest memory at all: no wrap, below the limit. */
static bool range_ok(const struct space *s, gpa_t gpa, u64 len)
{
    return gpa <= space_limit(s) && len <= space_limit(s) - gpa;
}

/* Why a hold failed. */
static enum err hold_error(struct space *s, gpa_t gpa, unsigned access)
{
    return space_fault(s, gpa, access) == SPACE_NOMEM ? ERR_NOMEM : ERR_RANGE;
}

/* RAM or ROM that was never touched, and so reads as zero. */
static bool reads_zero(struct space *s, gpa_t gpa)
{
    unsigned level;
    const struct space_region *r;

    if (space_is_filled(s, gpa, &level))
        return false;
    r = space_region_at(s, gpa);
    return r && (r->kind == SPACE_RAM || r->kind == SPACE_ROM);
}

enum err space_read(struct space *s, gpa_t gpa, void *buf, size_t len)
{
    if (!range_ok(s, gpa, len))
        return ERR_RANGE;
    while (len > 0) {
        size_t part = page_part(gpa, len);

        if (reads_zero(s, gpa)) {
            memset(buf, 0, part);
        } else {
            void *p = space_hold_page(s, gpa, SPACE_READ, false);

            if (!p)
                return hold_error(s, gpa, SPACE_READ);
            memcpy(buf, p, part);
            space_release(s, gpa);
        }
        buf = (u8 *)buf + part;
        gpa += part;
        len -= part;
    }
    return OK;
}

/* `access` is what the guest must be allowed for this; the pages count as written either way. */
static enum err copy_in(struct space *s, gpa_t gpa, const void *buf, size_t len, unsigned access)
{
    if (!range_ok(s, gpa, len))
        return ERR_RANGE;
    while (len > 0) {
        size_t part = page_part(gpa, len);
        void *p = space_hold_page(s, gpa, access, !(access & SPACE_WRITE));

        if (!p)
            return hold_error(s, gpa, access);
        memcpy(p, buf, part);
        space_release(s, gpa);
        buf = (const u8 *)buf + part;
        gpa += part;
        len -= part;
    }
    return OK;
}

enum err space_write(struct space *s, gpa_t gpa, const void *buf, size_t len)
{
    return copy_in(s, gpa, buf, len, SPACE_WRITE);
}

enum err space_load(struct space *s, gpa_t gpa, const void *buf, size_t len)
{
    return copy_in(s, gpa, buf, len, 0);
}

enum err space_zero(struct space *s, gpa_t gpa, u64 len)
{
    if (!range_ok(s, gpa, len))
        return ERR_RANGE;
    while (len > 0) {
        size_t part = page_part(gpa, len);

        if (!reads_zero(s, gpa)) {
            void *p = space_hold_page(s, gpa, SPACE_WRITE, false);

            if (!p)
                return hold_error(s, gpa, SPACE_WRITE);
            memset(p, 0, part);
            space_release(s, gpa);
        }
        gpa += part;
        len -= part;
    }
    return OK;
}
