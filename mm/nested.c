/* SPDX-License-Identifier: BSD-2-Clause */
/* The algorithms over nested tables; contracts in nested.h, entry formats in nested_format.c. */
#include "mm/nested.h"
#include "lib/assert.h"
#include "lib/string.h"

u64 *nested_lookup(const struct nested *n, gpa_t gpa, unsigned *level, u64 *value)
{
    return nested_lookup_inline(n, gpa, level, value);
}

/* A zeroed page for a table; its address in *hpa, or NULL. */
static u64 *table_new(struct nested *n, hpa_t *hpa)
{
    u64 *table;

    *hpa = n->src->alloc(n->src->arg, FRAME_ORDER_4K);
    if (*hpa == 0)
        return NULL;
    table = frame_hva(n->src, *hpa);
    memset(table, 0, PAGE_SIZE);
    n->tables++;
    return table;
}

static void table_free(struct nested *n, hpa_t hpa)
{
    n->src->free(n->src->arg, hpa, FRAME_ORDER_4K);
    n->tables--;
}

/* What hangs in the entry of the given level has changed: the shortcut to level 2 follows. */
static void near_set(struct nested *n, gpa_t gpa, unsigned level, u64 *table)
{
    if (level == 3 && gpa / GIB < NESTED_NEAR)
        __atomic_store_n(&n->near[gpa / GIB], table, __ATOMIC_RELEASE);
}

u64 *nested_link(const struct nested *n, gpa_t gpa, unsigned level)
{
    u64 *table = n->root_table;

    for (unsigned at = NESTED_LEVELS;; at--) {
        u64 *entry = &table[nested_index(gpa, at)], e = nested_load(entry);

        if ((e & (NESTED_SW_VALID | NESTED_LARGE)) != NESTED_SW_VALID)
            return NULL;
        if (at == level)
            return entry;
        table = nested_table(n, e);
    }
}

/* An entry of `level` at gpa has come into use, or gone: its table's link counts it. */
static void count_entry(struct nested *n, gpa_t gpa, unsigned level, bool used)
{
    u64 *link = level < NESTED_LEVELS ? nested_link(n, gpa, level + 1) : NULL;

    /* Atomically, for the processor may be marking the link accessed. */
    if (link)
        __atomic_fetch_add(link, used ? NESTED_COUNT_ONE : -NESTED_COUNT_ONE, __ATOMIC_RELAXED);
}

enum err nested_init(struct nested *n, const struct nested_caps *caps,
                     const struct frame_source *src)
{
    unsigned bits = caps->phys_bits ? MIN(caps->phys_bits, NESTED_GPA_BITS) : NESTED_GPA_BITS;

    memset(n, 0, sizeof(*n));
    if ((unsigned)caps->format >= ARRAY_SIZE(nested_formats) || bits <= PAGE_SHIFT)
        return ERR_INVAL;
    n->fmt = &nested_formats[caps->format];
    n->src = src;
    n->hva_base = src->hva_base;
    n->limit = BIT(bits);
    n->max_leaf = caps->page_2m ? (caps->page_1g ? 3 : 2) : 1;
    n->exec_only = caps->exec_only && n->fmt->exec_only;
    n->root_table = table_new(n, &n->root);
    return n->root_table ? OK : ERR_NOMEM;
}

void nested_fini(struct nested *n, nested_leaf_fn leaf, void *arg)
{
    u64 *path[NESTED_LEVELS + 1];
    unsigned index[NESTED_LEVELS + 1] = {0}, level = NESTED_LEVELS;
    gpa_t gpa = 0;

    /* A walk in postorder: a table is freed once its last entry has been dealt with. */
    path[level] = n->root_table;
    while (level <= NESTED_LEVELS) {
        u64 e;

        if (index[level] == NESTED_ENTRIES) {
            level++;
            if (level <= NESTED_LEVELS)
                table_free(n, path[level][index[level]++] & NESTED_ADDR);
            continue;
        }
        e = path[level][index[level]];
        gpa &= ~(NESTED_SIZE(level + 1) - 1);
        gpa |= (gpa_t)index[level] << NESTED_SHIFT(level);
        if (!nested_valid(e)) {
            index[level]++;
        } else if (nested_is_leaf(e, level)) {
            if (leaf)
                leaf(arg, &path[level][index[level]], gpa, level);
            index[level]++;
        } else {
            path[--level] = frame_hva(n->src, e & NESTED_ADDR);
            index[level] = 0;
        }
    }
    table_free(n, n->root);
    memset(n->leaves, 0, sizeof(n->leaves));
    memset(n->near, 0, sizeof(n->near));
    n->root_table = NULL;
    n->root = 0;
}

bool nested_perms_ok(const struct nested *n, unsigned perms)
{
    if (perms & ~NESTED_RWX)
        return false;
    if (perms & NESTED_R || perms == 0)
        return true;
    return perms == NESTED_X && n->exec_only;
}

/*
 * The empty slot for gpa at `level` (1 to 3), tables above it made as needed, and the link of the
 * table that it is in.
 */
static enum err slot_make(struct nested *n, gpa_t gpa, unsigned level, u64 **slot, u64 **link)
{
    u64 *table = level == 1 && gpa < NESTED_NEAR * GIB ? n->near[gpa / GIB] : NULL;
    unsigned at = 2;
    hpa_t hpa;

    if (!table) {
        table = n->root_table;
        at = NESTED_LEVELS;
    }
    for (; at > level; at--) {
        u64 *entry = &table[nested_index(gpa, at)], e = nested_load(entry);

        if (e & NESTED_LARGE)
            return ERR_EXISTS;
        if (nested_valid(e)) {
            table = nested_table(n, e);
        } else {
            table = table_new(n, &hpa);
            if (!table)
                return ERR_NOMEM;
            __atomic_store_n(entry, hpa | n->fmt->table | n->fmt->link_used, __ATOMIC_RELEASE);
            near_set(n, gpa, at, table);
            count_entry(n, gpa, at, true);
        }
        *link = entry;
    }
    *slot = &table[nested_index(gpa, level)];
    return nested_valid(nested_load(*slot)) ? ERR_EXISTS : OK;
}

enum err nested_map(struct nested *n, gpa_t gpa, hpa_t hpa, unsigned level, unsigned attr,
                    enum nested_memtype type, bool foreign, struct nested_mapped *out)
{
    struct nested_mapped unused;
    u64 *slot, *link = NULL, size;
    enum err err;

    if (level < 1 || level > n->max_leaf || attr & ~NESTED_ATTR ||
        !nested_perms_ok(n, attr & NESTED_RWX) || (unsigned)type >= ARRAY_SIZE(n->fmt->type))
        return ERR_INVAL;
    size = NESTED_SIZE(level);
    if (!IS_ALIGNED(gpa | hpa, size) || hpa & ~NESTED_ADDR)
        return ERR_INVAL;
    if (gpa >= n->limit || size > n->limit - gpa)
        return ERR_RANGE;
    err = slot_make(n, gpa, level, &slot, &link);
    if (err != OK)
        return err;
    nested_leaf_store(n, slot, link,
                      hpa | n->fmt->type[type] | n->fmt->leaf[attr] |
                          (level > 1 ? NESTED_LARGE : 0) | (foreign ? NESTED_SW_FOREIGN : 0),
                      level, out ? out : &unused);
    return OK;
}

u64 nested_unmap(struct nested *n, gpa_t gpa, unsigned *level)
{
    unsigned at;
    u64 value, *entry;

    if (gpa >= n->limit)
        return 0;
    entry = nested_lookup(n, gpa, &at, &value);
    if (!nested_valid(value) || !IS_ALIGNED(gpa, NESTED_SIZE(at)))
        return 0;
    value = __atomic_exchange_n(entry, 0, __ATOMIC_SEQ_CST);
    count_entry(n, gpa, at, false);
    n->leaves[at]--;
    if (level)
        *level = at;
    return value;
}

enum err nested_split(struct nested *n, gpa_t gpa)
{
    unsigned level;
    u64 value, *entry, *table, link;
    hpa_t hpa;

    if (gpa >= n->limit)
        return ERR_NOENT;
    entry = nested_lookup(n, gpa, &level, &value);
    if (!nested_valid(value) || level == 1)
        return ERR_NOENT;
    table = table_new(n, &hpa);
    if (!table)
        return ERR_NOMEM;
    link = hpa | n->fmt->table | n->fmt->link_used | NESTED_ENTRIES * NESTED_COUNT_ONE;
    /* Accessed and dirty may be set while the table is filled: then it is filled again. */
    do {
        u64 child = value & ~(level == 2 ? NESTED_LARGE : 0);

        for (unsigned i = 0; i < NESTED_ENTRIES; i++)
            table[i] = child + i * NESTED_SIZE(level - 1);
    } while (!__atomic_compare_exchange_n(entry, &value, link, false, __ATOMIC_SEQ_CST,
                                          __ATOMIC_ACQUIRE));
    near_set(n, gpa, level, table);
    n->splits++;
    n->leaves[level]--;
    n->leaves[level - 1] += NESTED_ENTRIES;
    return OK;
}

enum err nested_protect(struct nested *n, gpa_t gpa, u64 size, unsigned perms)
{
    gpa_t end = gpa + size;

    if (!nested_perms_ok(n, perms))
        return ERR_NOSUP;
    if (!IS_ALIGNED(gpa | size, PAGE_SIZE))
        return ERR_INVAL;
    if (gpa >= n->limit || size > n->limit - gpa)
        return ERR_RANGE;
    while (gpa < end) {
        unsigned level;
        u64 value, want, *entry = nested_lookup(n, gpa, &level, &value);
        u64 leaf = NESTED_SIZE(level);

        if (nested_valid(value) && nested_perms(value) != perms) {
            if (!IS_ALIGNED(gpa, leaf) || leaf > end - gpa) {
                if (nested_split(n, gpa) != OK)
                    return ERR_NOMEM;
                continue;
            }
            do {
                want = nested_with_attr(n->fmt, value,
                                        (nested_attr(n->fmt, value) & ~NESTED_RWX) | perms);
            } while (!__atomic_compare_exchange_n(entry, &value, want, false, __ATOMIC_SEQ_CST,
                                                  __ATOMIC_ACQUIRE));
        }
        gpa = ALIGN_DOWN(gpa, leaf) + leaf;
    }
    return OK;
}

/* ---- one leaf ------------------------------------------------------------------------------- */

bool nested_forget_access(const struct nested *n, u64 *entry)
{
    u64 value = nested_load(entry), want;

    do {
        if (!nested_valid(value) || !(value & n->fmt->accessed))
            return false;
        want = nested_with_attr(n->fmt, value, nested_attr(n->fmt, value) & ~NESTED_A);
    } while (!__atomic_compare_exchange_n(entry, &value, want, false, __ATOMIC_SEQ_CST,
                                          __ATOMIC_ACQUIRE));
    return true;
}

/*
 * An isolated entry is the leaf without its valid bit and the hardware's permissions, so not
 * present to any processor; permissions and dirty stay in bits that no processor looks at then.
 */
bool nested_isolate(struct nested *n, u64 *entry)
{
    u64 value = nested_load(entry);

    if (value & n->fmt->accessed)
        return false;
    return __atomic_compare_exchange_n(entry, &value, value & ~(NESTED_SW_VALID | n->fmt->present),
                                       false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

void nested_restore(struct nested *n, u64 *entry)
{
    u64 value = *entry;

    __atomic_store_n(entry, nested_with_attr(n->fmt, value, nested_attr(n->fmt, value)),
                     __ATOMIC_RELEASE);
}

hpa_t nested_release(struct nested *n, gpa_t gpa, u64 *entry, unsigned level)
{
    hpa_t hpa = nested_leaf_hpa(*entry, level);

    __atomic_store_n(entry, 0, __ATOMIC_RELEASE);
    count_entry(n, gpa, level, false);
    n->leaves[level]--;
    return hpa;
}

/* ---- whole tables --------------------------------------------------------------------------- */

u64 nested_detach(struct nested *n, gpa_t gpa, unsigned level)
{
    u64 *link = nested_link(n, gpa, level);

    near_set(n, gpa, level, NULL);
    return __atomic_exchange_n(link, 0, __ATOMIC_SEQ_CST);
}

/* The slot of `level` for gpa, in a table that exists. */
static u64 *slot_of(struct nested *n, gpa_t gpa, unsigned level)
{
    u64 *table =
        level == NESTED_LEVELS ? n->root_table : nested_table(n, *nested_link(n, gpa, level + 1));

    return &table[nested_index(gpa, level)];
}

void nested_attach(struct nested *n, gpa_t gpa, unsigned level, u64 link)
{
    /* A mark made meanwhile may have missed the link: as if it had not. */
    __atomic_store_n(slot_of(n, gpa, level), link | n->fmt->link_used, __ATOMIC_RELEASE);
    near_set(n, gpa, level, nested_table(n, link));
}

void nested_replace(struct nested *n, gpa_t gpa, unsigned level, u64 link, u64 leaf)
{
    __atomic_store_n(slot_of(n, gpa, level), leaf, __ATOMIC_RELEASE);
    n->leaves[level - 1] -= NESTED_ENTRIES;
    n->leaves[level]++;
    if (nested_attr(n->fmt, leaf) & NESTED_D)
        nested_link_mark(n, gpa, level);
    table_free(n, link & NESTED_ADDR);
}

void nested_drop(struct nested *n, gpa_t gpa, unsigned level, u64 link)
{
    count_entry(n, gpa, level, false);
    table_free(n, link & NESTED_ADDR);
}

bool nested_uniform(const struct nested *n, u64 link, unsigned level, struct nested_uniform *out)
{
    const u64 same = n->fmt->keep & ~NESTED_ADDR;
    u64 *table = nested_table(n, link), first = nested_load(&table[0]);
    u64 step = NESTED_SIZE(level - 1);
    hpa_t base = nested_leaf_hpa(first, level - 1);
    unsigned attr = 0;

    if (nested_count(link) != NESTED_ENTRIES || level > n->max_leaf)
        return false;
    out->accessed = 0;
    out->contiguous = IS_ALIGNED(base, NESTED_SIZE(level));
    for (unsigned i = 0; i < NESTED_ENTRIES; i++) {
        u64 e = nested_load(&table[i]);

        if (!nested_is_leaf(e, level - 1) || (e ^ first) & same ||
            nested_perms(e) != nested_perms(first))
            return false;
        out->contiguous &= nested_leaf_hpa(e, level - 1) == base + i * step;
        out->accessed += (e & n->fmt->accessed) != 0;
        attr |= nested_attr(n->fmt, e);
    }
    out->leaf = nested_with_attr(n->fmt, first | NESTED_LARGE, attr);
    return true;
}

void nested_visit(struct nested *n, gpa_t gpa, u64 size, nested_leaf_fn fn, void *arg)
{
    gpa_t end = gpa < n->limit ? gpa + MIN(size, n->limit - gpa) : 0;

    while (gpa < end) {
        unsigned level;
        u64 value, *entry = nested_lookup(n, gpa, &level, &value);

        gpa = ALIGN_DOWN(gpa, NESTED_SIZE(level));
        if (nested_valid(value))
            fn(arg, entry, gpa, level);
        gpa += NESTED_SIZE(level);
    }
}
