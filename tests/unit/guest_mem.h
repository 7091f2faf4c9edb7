/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's memory for tests of the loaders: the board's holes are unmapped, every write is
 * checked against them, and what is read back has to be RAM too.
 */
#ifndef TESTS_UNIT_GUEST_MEM_H
#define TESTS_UNIT_GUEST_MEM_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "vmm/load/load.h"
#include "tests/unit/guest_ram.h"
#include "tests/unit/unit.h"

struct guest_mem {
    u8 *base; /* one reservation for all of the guest-physical space below 8 GiB */
    u64 size;
    u64 written;   /* bytes */
    u64 fail_from; /* writes fail once this many bytes have been written; 0: never */
};

#define GUEST_SPACE (8 * GIB)

static inline bool guest_is_ram(const struct guest_mem *g, gpa_t gpa, u64 len)
{
    return guest_ram_has(g->size, gpa, len);
}

static inline enum err guest_write(void *arg, gpa_t gpa, const void *buf, u64 len)
{
    struct guest_mem *g = arg;

    assert_true(len > 0);
    assert_true(guest_is_ram(g, gpa, len));
    if (g->fail_from && g->written + len > g->fail_from)
        return ERR_NOMEM;
    g->written += len;
    memcpy(g->base + gpa, buf, len);
    return OK;
}

static inline enum err guest_zero(void *arg, gpa_t gpa, u64 len)
{
    struct guest_mem *g = arg;

    assert_true(len > 0);
    assert_true(guest_is_ram(g, gpa, len));
    memset(g->base + gpa, 0, len);
    return OK;
}

static inline void guest_init(struct guest_mem *g, u64 size)
{
    memset(g, 0, sizeof(*g));
    g->size = size;
    g->base = mmap(NULL, GUEST_SPACE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(g->base != MAP_FAILED);
}

static inline void guest_fini(struct guest_mem *g)
{
    munmap(g->base, GUEST_SPACE);
}

static inline struct load_mem guest_ops(struct guest_mem *g)
{
    return (struct load_mem){guest_write, guest_zero, g};
}

static inline const u8 *guest_at(const struct guest_mem *g, gpa_t gpa, u64 len)
{
    assert_true(guest_is_ram(g, gpa, len));
    return g->base + gpa;
}

static inline u8 guest_8(const struct guest_mem *g, gpa_t gpa)
{
    return *guest_at(g, gpa, 1);
}

static inline u16 guest_16(const struct guest_mem *g, gpa_t gpa)
{
    u16 v;

    memcpy(&v, guest_at(g, gpa, 2), 2);
    return v;
}

static inline u32 guest_32(const struct guest_mem *g, gpa_t gpa)
{
    u32 v;

    memcpy(&v, guest_at(g, gpa, 4), 4);
    return v;
}

static inline u64 guest_64(const struct guest_mem *g, gpa_t gpa)
{
    u64 v;

    memcpy(&v, guest_at(g, gpa, 8), 8);
    return v;
}

static inline const char *guest_text(const struct guest_mem *g, gpa_t gpa)
{
    assert_true(guest_is_ram(g, gpa, 1));
    return (const char *)g->base + gpa;
}

/* Loads and expects success; prints the sentence otherwise. */
static inline void load_ok(const struct load_request *r, struct guest_mem *g, struct load_state *s)
{
    struct load_mem ops = guest_ops(g);
    char error[LOAD_ERROR_SIZE];
    enum err e = load_guest(r, &ops, s, error);

    if (e)
        fail_msg("load_guest: %d, %s", e, error);
    assert_string_equal(error, "");
}

/* Loads and expects this error, and part of the sentence. */
static inline void load_fails(const struct load_request *r, struct guest_mem *g, enum err expect,
                              const char *says)
{
    struct load_mem ops = guest_ops(g);
    struct load_state s;
    char error[LOAD_ERROR_SIZE];

    memset(error, 'x', sizeof(error));
    assert_int_equal(load_guest(r, &ops, &s, error), expect);
    assert_non_null(memchr(error, 0, sizeof(error)));
    assert_has(error, says);
}

/* The flat segments and the tables behind them, as every protocol here promises. */
static inline void assert_descriptor(const struct guest_mem *g, const struct load_state *s,
                                     enum seg which)
{
    const struct x86_seg *seg = &s->seg[which];
    const u8 *d;
    u32 limit, base, attr;

    assert_true((seg->sel | 7u) <= s->gdt.limit);
    d = guest_at(g, s->gdt.base + (seg->sel & ~7u), 8);
    limit = d[0] | d[1] << 8 | (d[6] & 0xfu) << 16;
    if (d[6] & 0x80)
        limit = limit << 12 | 0xfff;
    base = d[2] | d[3] << 8 | (u32)d[4] << 16 | (u32)d[7] << 24;
    attr = d[5] | (d[6] & 0xf0u) << 8;
    assert_int_equal(limit, seg->limit);
    assert_int_equal(base, seg->base);
    assert_int_equal(attr, seg->attr);
}

enum load_mode { LOAD_PROT32, LOAD_LONG64 };

static inline void assert_flat(const struct guest_mem *g, const struct load_state *s,
                               enum load_mode mode)
{
    static const u8 data[] = {SEG_DS, SEG_ES, SEG_SS, SEG_FS, SEG_GS};

    for (unsigned i = 0; i < sizeof(data); i++) {
        assert_int_equal(s->seg[data[i]].base, 0);
        assert_int_equal(s->seg[data[i]].limit, 0xffffffff);
        assert_int_equal(s->seg[data[i]].attr & 0x9f, 0x93);
        assert_descriptor(g, s, data[i]);
    }
    assert_int_equal(s->seg[SEG_CS].attr & 0x9f, 0x9b);
    assert_int_equal(s->seg[SEG_CS].attr & (SEG_L | SEG_DB), mode == LOAD_LONG64 ? SEG_L : SEG_DB);
    assert_int_equal(s->seg[SEG_CS].limit, 0xffffffff);
    assert_descriptor(g, s, SEG_CS);
    assert_int_equal(s->seg[SEG_TR].attr, 0x8b);
    assert_true(s->seg[SEG_TR].limit >= 0x67);
    assert_descriptor(g, s, SEG_TR);
    assert_int_equal(s->seg[SEG_LDTR].attr, SEG_UNUSABLE);
    assert_int_equal(s->rflags, 2);
    assert_int_equal(s->cr0 & 0x80000001, mode == LOAD_LONG64 ? 0x80000001 : 1);
    assert_int_equal(s->efer, mode == LOAD_LONG64 ? 0x500 : 0);
    assert_int_equal(s->cr4, mode == LOAD_LONG64 ? 0x20 : 0);
}

/* What the guest's own page tables say; UINT64_MAX: not mapped writable. */
static inline u64 guest_translate(const struct guest_mem *g, u64 cr3, u64 gla)
{
    u64 e, table = cr3 & ~0xfffull;

    for (int level = 3; level >= 0; level--) {
        e = guest_64(g, table + (gla >> (12 + 9 * level) & 511) * 8);
        if ((e & 3) != 3)
            return UINT64_MAX;
        if (level == 0 || e & 0x80) {
            u64 mask = (1ull << (12 + 9 * level)) - 1;

            return (e & 0x000ffffffffff000 & ~mask) | (gla & mask);
        }
        table = e & 0x000ffffffffff000;
    }
    return UINT64_MAX;
}

static inline void assert_identity_4g(const struct guest_mem *g, u64 cr3)
{
    for (u64 gla = 0; gla < 4 * GIB; gla += 2 * MIB)
        assert_true(guest_translate(g, cr3, gla + 0x1234) == gla + 0x1234);
}

/* A whole file, or NULL. */
static inline u8 *read_file(const char *path, u64 *size)
{
    FILE *f = fopen(path, "rb");
    u8 *p;
    long n;

    if (!f)
        return NULL;
    fseek(f, 0, SEEK_END);
    n = ftell(f);
    rewind(f);
    p = malloc((size_t)n + 1);
    assert_int_equal(fread(p, 1, (size_t)n, f), n);
    fclose(f);
    *size = (u64)n;
    return p;
}

#endif
