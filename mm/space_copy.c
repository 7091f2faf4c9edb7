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

/*
 * Holds the page of gpa. Why it cannot be: ERR_RANGE, ERR_NOMEM. A lack of memory that is over by
 * the time it is asked about is none.
 */
static enum err hold(struct space *s, gpa_t gpa, unsigned access, bool dirty, void **p)
{
    while (!(*p = space_hold_page(s, gpa, access, dirty))) {
        const struct space_region *r = space_region_at(s, gpa);
        enum space_result why;

        if (!r || (r->kind != SPACE_RAM && r->kind != SPACE_ROM))
            return ERR_RANGE;
        why = space_fault(s, gpa, access);
        if (why != SPACE_RESOLVED)
            return why == SPACE_NOMEM ? ERR_NOMEM : ERR_RANGE;
    }
    return OK;
}

/*
 * RAM or ROM that was never touched, and so reads as zero, if the access is not denied by what was
 * set before it is filled. What seems not to be there may only be
 * out of reach for a moment, while it is promoted: the lock decides.
 */
static bool reads_zero(struct space *s, gpa_t gpa, unsigned access)
{
    const struct space_region *r;
    unsigned level, perms = NESTED_RWX;
    u64 value;

    if (s->store || space_is_filled(s, gpa, &level))
        return false;
    spin_lock(&s->lock);
    nested_lookup(&s->tables, gpa, &level, &value);
    space_rights_over(s, gpa & ~PAGE_MASK, PAGE_SIZE, &perms);
    spin_unlock(&s->lock);
    r = space_region_at(s, gpa);
    return !nested_valid(value) && !(access & ~perms) && r &&
           (r->kind == SPACE_RAM || r->kind == SPACE_ROM);
}

enum err space_read(struct space *s, gpa_t gpa, void *buf, size_t len)
{
    if (!range_ok(s, gpa, len))
        return ERR_RANGE;
    while (len > 0) {
        size_t part = page_part(gpa, len);

        if (reads_zero(s, gpa, SPACE_READ)) {
            memset(buf, 0, part);
        } else {
            void *p;
            enum err err = hold(s, gpa, SPACE_READ, false, &p);

            if (err != OK)
                return err;
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
        void *p;
        enum err err = hold(s, gpa, access, !(access & SPACE_WRITE), &p);

        if (err != OK)
            return err;
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

        if (!reads_zero(s, gpa, SPACE_WRITE)) {
            void *p;
            enum err err = hold(s, gpa, SPACE_WRITE, false, &p);

            if (err != OK)
                return err;
            memset(p, 0, part);
            space_release(s, gpa);
        }
        gpa += part;
        len -= part;
    }
    return OK;
}
