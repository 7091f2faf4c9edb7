/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Nested page tables: guest-physical to host-physical, four levels. One set of algorithms over an
 * entry format: EPT (SDM 3, 28.3), EPT on processors without accessed and dirty bits (both are
 * emulated in software), and NPT (APM 2, 15.25; the layout of x86 tables, 5.4).
 *
 * Software bits, the same in all three formats, in positions that both processors ignore:
 *
 *   52 valid   53 writable   54 executable   55 readable   56 dirty while not accessed   11 foreign
 *
 * They say what the page is allowed; the hardware's permission bits say what the processor lets
 * pass without asking. With real A/D bits the two agree. Without, read permission is withheld
 * until the page is accessed and write permission until it is dirty, so that hardware bit 0 plays
 * accessed and bit 1 plays dirty. docs/memory.md draws the entries.
 *
 * Who may change what. The structure (a table linked or unlinked, a leaf made, replaced or
 * removed, a count) changes under the owner's lock only. Accessed and dirty bits change at any
 * time: by the processor, or by nested_touch without the lock; so entries are loaded atomically and
 * replaced by exchange. nested_lookup is safe without the lock as long as no table is freed
 * meanwhile; mm/space.h says how that is ensured.
 *
 * Nothing here invalidates a TLB: a function that takes rights away says so, and its caller goes
 * through space_invalidate.
 */
#ifndef MM_NESTED_H
#define MM_NESTED_H

#include "lib/types.h"
#include "mm/frames.h"

enum nested_format_id { NESTED_EPT_AD, NESTED_EPT_SOFT_AD, NESTED_NPT };

/* Attributes of a page: what is permitted, and what has been done to it. */
#define NESTED_R    1u
#define NESTED_W    2u
#define NESTED_X    4u
#define NESTED_A    8u  /* accessed */
#define NESTED_D    16u /* dirty */
#define NESTED_RW   (NESTED_R | NESTED_W)
#define NESTED_RX   (NESTED_R | NESTED_X)
#define NESTED_RWX  (NESTED_R | NESTED_W | NESTED_X)
#define NESTED_ATTR (NESTED_RWX | NESTED_A | NESTED_D)

/* Memory type the nested entry asks for; the guest's PAT is combined with it, see memory.md. */
enum nested_memtype {
    NESTED_WB, /* RAM: write-back */
    NESTED_UC, /* device memory */
};

/* Software bits: see above. */
#define NESTED_SW_FOREIGN BIT(11) /* the frame is not the space's own: never freed with it */
#define NESTED_SW_VALID   BIT(52)
#define NESTED_SW_W       BIT(53)
#define NESTED_SW_X       BIT(54)
#define NESTED_SW_R       BIT(55)
#define NESTED_SW_DIRTY   BIT(56)
#define NESTED_LARGE      BIT(7) /* a leaf above level 1; the same bit in all formats */

/*
 * In a link to a lower table, bits 53-62 count the valid entries of that table, and bit 11 says
 * that its dirty bits must be looked at even if the link is not marked accessed (space_log.c).
 */
#define NESTED_COUNT_SHIFT 53
#define NESTED_COUNT_ONE   BIT(NESTED_COUNT_SHIFT)
#define NESTED_LINK_AGAIN  BIT(11)

#define NESTED_ADDR 0x000ffffffffff000ull

/* Levels: 1 holds 4 KiB leaves, 2 may hold 2 MiB ones, 3 1 GiB ones, 4 is the root. */
#define NESTED_LEVELS   4
#define NESTED_MAX_LEAF 3
#define NESTED_ENTRIES  512
#define NESTED_GPA_BITS 48

#define NESTED_SHIFT(level) (PAGE_SHIFT + 9 * ((level)-1))
#define NESTED_SIZE(level)  (1ull << NESTED_SHIFT(level))
#define NESTED_ORDER(level) (9 * ((level)-1)) /* of the frame block behind a leaf */

/* What stays when an entry's attributes change, besides a format's memory type. */
#define NESTED_KEEP (NESTED_ADDR | NESTED_LARGE | NESTED_SW_FOREIGN)

/* An entry format: everything that differs between processors. */
struct nested_format {
    bool hw_ad;     /* the processor sets accessed and dirty */
    bool exec_only; /* can express X without R (where the processor supports it) */
    u64 accessed;   /* any of these bits set: accessed */
    u64 dirty;      /* any of these bits set: dirty */
    u64 present;    /* with none of these a processor sees no entry */
    u64 table;      /* a link to a lower table, besides its address and count */
    u64 link_used;  /* in a link: something below has been accessed, or marked by skep */
    u64 keep;       /* NESTED_KEEP and the memory type */
    u64 type[2];    /* by enum nested_memtype */
    u64 settled[8]; /* by NESTED_RWX: all set when such an access needs nothing more */
    u64 leaf[32];   /* by attributes: hardware and software bits */
};

extern const struct nested_format nested_formats[3]; /* by enum nested_format_id */

/* What the processor allows: from struct hvm_caps. */
struct nested_caps {
    enum nested_format_id format;
    bool page_2m, page_1g, exec_only;
    u8 phys_bits; /* MAXPHYADDR of the host; 0: 48 */
};

/* The shortcut: level-2 tables of the lowest NESTED_NEAR GiB, reached without a walk. */
#define NESTED_NEAR 64

struct nested {
    const struct nested_format *fmt;
    const struct frame_source *src;
    uintptr_t hva_base; /* src's */
    u64 *root_table;
    hpa_t root;
    gpa_t limit; /* first guest-physical address that cannot be mapped */
    u8 max_leaf; /* largest level that may hold a leaf: 1, 2, 3 */
    bool exec_only;
    u64 tables;                      /* table pages now, the root included */
    u64 splits;                      /* large leaves split so far */
    u64 leaves[NESTED_MAX_LEAF + 1]; /* leaves by level, [0] unused */
    u64 *near[NESTED_NEAR];          /* level-2 table of GiB i, or NULL */
};

/* OK, ERR_NOMEM, or ERR_INVAL for an unknown format. src must outlive the tables. */
enum err nested_init(struct nested *n, const struct nested_caps *caps,
                     const struct frame_source *src);

/* Called for each leaf by nested_visit and nested_fini: its entry, address and level. */
typedef void (*nested_leaf_fn)(void *arg, u64 *entry, gpa_t gpa, unsigned level);

/*
 * Frees all tables, calling leaf (may be NULL) for each leaf first, so that its frames can be
 * given back. Nobody may be using the tables any more.
 */
void nested_fini(struct nested *n, nested_leaf_fn leaf, void *arg);

static inline u64 nested_load(const u64 *entry)
{
    return __atomic_load_n(entry, __ATOMIC_ACQUIRE);
}

static inline bool nested_valid(u64 e)
{
    return e & NESTED_SW_VALID;
}

/* Of a valid entry. */
static inline bool nested_is_leaf(u64 e, unsigned level)
{
    return level == 1 || e & NESTED_LARGE;
}

static inline unsigned nested_perms(u64 e)
{
    return (e & NESTED_SW_R ? NESTED_R : 0) | (e & NESTED_SW_W ? NESTED_W : 0) |
           (e & NESTED_SW_X ? NESTED_X : 0);
}

static inline unsigned nested_attr(const struct nested_format *f, u64 e)
{
    return nested_perms(e) | (e & f->accessed ? NESTED_A : 0) | (e & f->dirty ? NESTED_D : 0);
}

/* The same leaf with other attributes. */
static inline u64 nested_with_attr(const struct nested_format *f, u64 e, unsigned attr)
{
    return (e & f->keep) | f->leaf[attr];
}

static inline unsigned nested_index(gpa_t gpa, unsigned level)
{
    return gpa >> NESTED_SHIFT(level) & (NESTED_ENTRIES - 1);
}

/* Where a leaf's frames begin. */
static inline hpa_t nested_leaf_hpa(u64 e, unsigned level)
{
    return e & NESTED_ADDR & ~(NESTED_SIZE(level) - 1);
}

/*
 * The entry that decides about gpa: a leaf if it is valid, else the empty slot where the walk
 * ends; *level says at which level, *value what was read. gpa must be below the limit. No lock
 * needed (see above).
 */
static ALWAYS_INLINE u64 *nested_lookup_inline(const struct nested *n, gpa_t gpa, unsigned *level,
                                               u64 *value)
{
    u64 *table =
        gpa < NESTED_NEAR * GIB ? __atomic_load_n(&n->near[gpa / GIB], __ATOMIC_ACQUIRE) : NULL;
    unsigned at = 2;
    u64 *entry, e;

    if (unlikely(!table)) {
        table = n->root_table;
        at = NESTED_LEVELS;
    }
    for (;; at--) {
        entry = &table[nested_index(gpa, at)];
        e = nested_load(entry);
        if (at == 1 || (e & (NESTED_SW_VALID | NESTED_LARGE)) != NESTED_SW_VALID)
            break;
        table = (u64 *)(uintptr_t)((e & NESTED_ADDR) + n->hva_base);
    }
    *level = at;
    *value = e;
    return entry;
}
u64 *nested_lookup(const struct nested *n, gpa_t gpa, unsigned *level, u64 *value);

/*
 * The entry of `level` that links to the table below it for gpa, or NULL where there is none. With
 * the same protection as nested_lookup.
 */
u64 *nested_link(const struct nested *n, gpa_t gpa, unsigned level);

/*
 * Says in the link above a leaf of `level` that the leaf has been written. After the leaf's own
 * mark, for whoever clears the link's looks at the leaves afterwards.
 */
static inline void nested_link_mark(const struct nested *n, gpa_t gpa, unsigned level)
{
    u64 *near = level == 1 && gpa < NESTED_NEAR * GIB ? n->near[gpa / GIB] : NULL;
    u64 *link = likely(near) ? &near[nested_index(gpa, 2)] : nested_link(n, gpa, level + 1);

    if (link && !(nested_load(link) & n->fmt->link_used))
        __atomic_fetch_or(link, n->fmt->link_used, __ATOMIC_SEQ_CST);
}

/*
 * Marks the leaf that covers gpa accessed, and dirty if asked, atomically; only adds rights in
 * hardware. entry is the leaf's, *value what the caller loaded from it; it becomes what it is now.
 * Returns whether it was done: false means that the entry has changed meanwhile and is to be
 * looked up again.
 */
static inline bool nested_mark(const struct nested *n, gpa_t gpa, u64 *entry, u64 *value,
                               bool dirty)
{
    unsigned attr = nested_attr(n->fmt, *value) | NESTED_A | (dirty ? NESTED_D : 0);
    u64 want = nested_with_attr(n->fmt, *value, attr);

    if (!__atomic_compare_exchange_n(entry, value, want, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        return false;
    if (dirty)
        nested_link_mark(n, gpa, *value & NESTED_LARGE ? 2 : 1);
    *value = want;
    return true;
}

/* Whether these permissions can be expressed on this processor. */
bool nested_perms_ok(const struct nested *n, unsigned perms);

/* What nested_map made. */
struct nested_mapped {
    u64 value;      /* the leaf's entry */
    unsigned count; /* entries in use in its table, this one included */
};

/* How many entries of the table behind a link are in use. */
static inline unsigned nested_count(u64 link)
{
    return link >> NESTED_COUNT_SHIFT & 1023;
}

/* The table behind a link. */
static inline u64 *nested_table(const struct nested *n, u64 link)
{
    return (u64 *)(uintptr_t)((link & NESTED_ADDR) + n->hva_base);
}

/* Puts a new leaf into its empty slot, counted in the link of its table. */
static ALWAYS_INLINE void nested_leaf_store(struct nested *n, u64 *slot, u64 *link, u64 value,
                                            unsigned level, struct nested_mapped *out)
{
    u64 now;

    __atomic_store_n(slot, value, __ATOMIC_RELEASE);
    n->leaves[level]++;
    /* Atomically, for the processor may be marking the link accessed; after the leaf's own mark. */
    now = __atomic_add_fetch(link, NESTED_COUNT_ONE, __ATOMIC_SEQ_CST);
    if (value & n->fmt->dirty && !(now & n->fmt->link_used))
        __atomic_fetch_or(link, n->fmt->link_used, __ATOMIC_SEQ_CST);
    out->value = value;
    out->count = nested_count(now);
}

/*
 * Makes a leaf of the given level at gpa (both addresses aligned to its size) where nothing is
 * mapped, with attributes NESTED_*. foreign: see NESTED_SW_FOREIGN. OK; ERR_EXISTS if something is
 * mapped in the way, or a table of smaller leaves (empty or not) hangs there; ERR_NOMEM for want of
 * a table; ERR_INVAL for a level, an alignment or permissions that the processor cannot have;
 * ERR_RANGE beyond the limit. Needs no invalidation.
 */
enum err nested_map(struct nested *n, gpa_t gpa, hpa_t hpa, unsigned level, unsigned attr,
                    enum nested_memtype type, bool foreign, struct nested_mapped *out);

/*
 * As nested_map, for 4 KiB at the empty slot of level 1 that nested_lookup found for gpa before the
 * lock was taken, with arguments known to be good. OK; ERR_EXISTS; ERR_NOENT if the slot's table is
 * no longer there, or cannot be told to be: then nested_map finds out.
 */
static inline enum err nested_map_slot(struct nested *n, gpa_t gpa, u64 *slot, hpa_t hpa,
                                       unsigned attr, enum nested_memtype type,
                                       struct nested_mapped *out)
{
    u64 *near = gpa < NESTED_NEAR * GIB ? n->near[gpa / GIB] : NULL, *link;

    if (unlikely(!near))
        return ERR_NOENT;
    link = &near[nested_index(gpa, 2)];
    if (unlikely(&nested_table(n, nested_load(link))[nested_index(gpa, 1)] != slot))
        return ERR_NOENT;
    if (unlikely(nested_valid(nested_load(slot))))
        return ERR_EXISTS;
    nested_leaf_store(n, slot, link, hpa | n->fmt->type[type] | n->fmt->leaf[attr], 1, out);
    return OK;
}

/*
 * Removes the leaf that starts at gpa, and returns what its entry was (0 if there is none), the
 * last accessed and dirty included; *level (may be NULL) is its level. An empty table stays, see
 * nested_detach. Takes rights away.
 */
u64 nested_unmap(struct nested *n, gpa_t gpa, unsigned *level);

/*
 * Replaces the leaf that covers gpa by 512 leaves of the level below, same frames, permissions,
 * accessed and dirty. OK; ERR_NOMEM; ERR_NOENT if no leaf above level 1 covers gpa. The
 * translations are the same, but the processor may hold the large one: invalidate before relying
 * on the small ones' dirty bits.
 */
enum err nested_split(struct nested *n, gpa_t gpa);

/*
 * Sets the permissions of all mapped pages in [gpa, gpa + size), multiples of 4 KiB; large leaves
 * that stick out are split. Accessed and dirty stay. OK; ERR_NOMEM (for a split, with the pages
 * before it changed); ERR_NOSUP if nested_perms_ok says no. Unmapped pages are skipped. Takes
 * rights away.
 */
enum err nested_protect(struct nested *n, gpa_t gpa, u64 size, unsigned perms);

/*
 * Takes the table behind nested_link(n, gpa, level) out of reach, and returns the link. Takes
 * rights away. The caller then either puts it back by nested_attach; or, when nobody can be using
 * it any more, replaces it by a leaf (nested_replace) or by nothing (nested_drop).
 */
u64 nested_detach(struct nested *n, gpa_t gpa, unsigned level);
void nested_attach(struct nested *n, gpa_t gpa, unsigned level, u64 link);
void nested_replace(struct nested *n, gpa_t gpa, unsigned level, u64 link, u64 leaf);
void nested_drop(struct nested *n, gpa_t gpa, unsigned level, u64 link);

/*
 * Takes one leaf out of reach while its entry keeps all that is needed to put it back, the address
 * included; for a leaf that is not accessed. Returns false, with nothing changed, if it has been
 * accessed meanwhile. Takes rights away. Then, when nobody can be using it any more, either
 * nested_restore puts it back or nested_release forgets it and returns where its frames are.
 */
bool nested_isolate(struct nested *n, u64 *entry);
void nested_restore(struct nested *n, u64 *entry);
hpa_t nested_release(struct nested *n, gpa_t gpa, u64 *entry, unsigned level);

/*
 * Clears the accessed bit. Returns whether it was set: rights have been taken away, or processors
 * may not set it again until they are flushed.
 */
bool nested_forget_access(const struct nested *n, u64 *entry);

/* What the 512 leaves of a table have in common. */
struct nested_uniform {
    bool contiguous;   /* their frames are one aligned block */
    unsigned accessed; /* how many of them are marked accessed */
    u64 leaf;          /* one large leaf for all: attributes united, the address of the first */
};

/*
 * Whether the table behind a link of `level` holds 512 leaves of the level below that differ in
 * nothing but their frames, accessed and dirty, so that one leaf could stand for them.
 */
bool nested_uniform(const struct nested *n, u64 link, unsigned level, struct nested_uniform *out);

/* Calls fn for each leaf that touches [gpa, gpa + size), in order. fn may replace the entry. */
void nested_visit(struct nested *n, gpa_t gpa, u64 size, nested_leaf_fn fn, void *arg);

#endif
