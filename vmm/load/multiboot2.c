/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Multiboot 2: Multiboot2 Specification 2.0, sections 3.1 (image and header tags), 3.3 (machine
 * state, i386). The boot information is multiboot2_info.c's. There is no framebuffer, so a wish
 * for one is declined, as the specification lets a loader do.
 */
#include "vmm/load/kinds.h"

#include "lib/string.h"
#include "vmm/load/multiboot2.h"

#define HEADER_MAGIC 0xe85250d6
#define BOOT_MAGIC   0x36d76289
#define SEARCH_END   32768
#define HEADER_SIZE  16
#define TAG_OPTIONAL 1

/* Header tags (3.1.4 to 3.1.14). */
enum {
    TAG_END = 0,
    TAG_REQUEST = 1,
    TAG_ADDRESS = 2,
    TAG_ENTRY = 3,
    TAG_CONSOLE = 4,
    TAG_FRAMEBUFFER = 5,
    TAG_ALIGN = 6,
    TAG_EFI_BOOT_SERVICES = 7,
    TAG_ENTRY_EFI32 = 8,
    TAG_ENTRY_EFI64 = 9,
    TAG_RELOCATABLE = 10,
};
#define CONSOLE_REQUIRED 1

/* What the header asks for. */
struct header {
    u64 off, size; /* in the file */
    bool has_addresses, relocatable;
    struct mb_addresses addresses;
    u64 entry_at; /* the entry's place in the file; 0: no tag */
    u32 entry;
    u32 min_addr, max_addr, align, preference;
};

static bool find_header(const struct load_image *k, u64 *at)
{
    for (u64 off = 0; off + HEADER_SIZE <= MIN(k->size, SEARCH_END); off += 8) {
        const u8 *h = k->data + off;

        if (get32(h) == HEADER_MAGIC &&
            get32(h) + get32(h + 4) + get32(h + 8) + get32(h + 12) == 0) {
            *at = off;
            return true;
        }
    }
    return false;
}

static bool multiboot2_probe(struct load_ctx *c)
{
    u64 at;

    return find_header(&c->req->kernel, &at);
}

static bool bad_tag(struct load_ctx *c, u64 off, u32 type, const char *what)
{
    return ctx_fail_image(c, ERR_NOSUP, "its Multiboot2 header tag %u at file offset 0x%llx %s",
                          type, (unsigned long long)off, what);
}

/* The information tags that a kernel says it must have. */
static bool check_request(struct load_ctx *c, u64 off, u32 size, bool optional)
{
    const u8 *p = c->img->data + off;

    for (u32 i = 8; i + 4 <= size && !optional; i += 4)
        if (!mb2_has_info(get32(p + i)))
            return ctx_fail_image(c, ERR_NOSUP,
                                  "it requires boot information of type %u (file offset 0x%llx), "
                                  "which there is not",
                                  get32(p + i), (unsigned long long)off + i);
    return true;
}

/* One tag; size bytes at off are inside the file, and at least 8. */
COLD static bool read_tag(struct load_ctx *c, struct header *h, u64 off, u32 size)
{
    const u8 *p = c->img->data + off;
    u32 type = get16(p);
    bool optional = get16(p + 2) & TAG_OPTIONAL;
    static const u8 least[] = {
        [TAG_ADDRESS] = 24, [TAG_ENTRY] = 12, [TAG_CONSOLE] = 12, [TAG_RELOCATABLE] = 24};

    if (type < sizeof(least) && size < least[type])
        return bad_tag(c, off, type, "is too short");
    switch (type) {
    case TAG_REQUEST:
        return check_request(c, off, size, optional);
    case TAG_ADDRESS:
        h->has_addresses = true;
        memcpy(&h->addresses, p + 8, sizeof(h->addresses));
        if (h->addresses.load_addr == UINT32_MAX) /* from the file's beginning on */
            h->addresses.load_addr = h->addresses.header_addr - (u32)h->off;
        return true;
    case TAG_ENTRY:
        h->entry_at = off + 8;
        h->entry = get32(p + 8);
        return true;
    case TAG_CONSOLE:
        if (!optional && get32(p + 8) & CONSOLE_REQUIRED)
            return bad_tag(c, off, type, "requires a text or graphics screen, and there is none");
        return true;
    case TAG_RELOCATABLE:
        h->relocatable = true;
        h->min_addr = get32(p + 8);
        h->max_addr = get32(p + 12);
        h->align = get32(p + 16);
        h->preference = get32(p + 20);
        if (!h->align || h->align & (h->align - 1))
            return bad_tag(c, off, type, "has an alignment that is no power of two");
        return true;
    case TAG_FRAMEBUFFER:       /* declined */
    case TAG_ALIGN:             /* modules always are */
    case TAG_EFI_BOOT_SERVICES: /* this is no EFI machine */
    case TAG_ENTRY_EFI32:
    case TAG_ENTRY_EFI64:
        return true;
    default:
        return optional || bad_tag(c, off, type, "is required and not known");
    }
}

static bool read_header(struct load_ctx *c, struct header *h)
{
    const struct load_image *k = c->img;
    u64 off, end;

    find_header(k, &h->off); /* the probe has seen one */
    h->size = get32(k->data + h->off + 8);
    if (get32(k->data + h->off + 4))
        return ctx_fail_image(c, ERR_NOSUP,
                              "its Multiboot2 header at file offset 0x%llx is for architecture %u, "
                              "not i386 (0)",
                              (unsigned long long)h->off, get32(k->data + h->off + 4));
    if (h->size < HEADER_SIZE || !image_has(k, h->off, h->size))
        return ctx_fail_image(c, ERR_INVAL,
                              "its Multiboot2 header at file offset 0x%llx has 0x%llx bytes, the "
                              "file ends at 0x%llx",
                              (unsigned long long)h->off, (unsigned long long)h->size,
                              (unsigned long long)k->size);
    end = h->off + h->size;
    for (off = h->off + HEADER_SIZE; off + 8 <= end;) {
        u32 size = get32(k->data + off + 4);

        if (get16(k->data + off) == TAG_END)
            break;
        if (size < 8 || size > end - off)
            return bad_tag(c, off, get16(k->data + off), "runs out of the header");
        if (!read_tag(c, h, off, size))
            return false;
        off += ALIGN_UP((u64)size, 8);
    }
    return true;
}

/* Where the image is linked to lie: [low, low + len). */
static bool link_extent(struct load_ctx *c, const struct header *h, const struct mb_kernel *k,
                        struct elf_extent *x)
{
    u64 end = h->addresses.bss_end_addr ? h->addresses.bss_end_addr : h->addresses.load_end_addr;

    if (!h->has_addresses)
        return elf_extent(c, &k->elf, false, x);
    x->low = h->addresses.load_addr;
    x->high = end ? end : x->low + c->img->size;
    if (x->high <= x->low)
        return ctx_fail_image(
            c, ERR_INVAL,
            "its Multiboot2 header at file offset 0x%llx ends the image at 0x%llx, "
            "below load_addr 0x%llx",
            (unsigned long long)h->off, (unsigned long long)x->high, (unsigned long long)x->low);
    return true;
}

/*
 * A place for a relocatable image: where it is linked if that is allowed, free and the header has
 * no preference, else the lowest or highest there is. Takes it; sets k->offset.
 */
COLD static bool relocate(struct load_ctx *c, const struct header *h, struct mb_kernel *k)
{
    struct elf_extent x;
    gpa_t at, lo = MAX(h->min_addr, PLAT_HIGH_RAM), hi;
    u64 len;
    bool placed;

    if (!link_extent(c, h, k, &x))
        return false;
    len = x.high - x.low;
    hi = MIN((u64)h->max_addr + 1, plat_low_mem(c->req->mem_size));
    if (h->preference == 0 && x.low >= h->min_addr && x.low <= hi && len <= hi - x.low &&
        IS_ALIGNED(x.low, h->align) && ctx_is_free(c, x.low, len))
        return true; /* offset 0: the load itself takes the memory */
    placed = h->preference == 2 ? ctx_place_high(c, len, h->align, lo, hi, &at)
                                : ctx_place_low(c, len, h->align, lo, hi, &at);
    if (!placed)
        return ctx_fail_image(c, ERR_RANGE,
                              "its 0x%llx bytes fit nowhere between 0x%x and 0x%llx (mem=%lluM)",
                              (unsigned long long)len, h->min_addr, (unsigned long long)hi,
                              (unsigned long long)(c->req->mem_size >> 20));
    k->offset = at - x.low;
    k->placed = true;
    return true;
}

static bool load_kernel(struct load_ctx *c, struct mb_kernel *k, struct header *h)
{
    if (!read_header(c, h))
        return false;
    k->is_elf = !h->has_addresses;
    if (k->is_elf && !elf_probe(c->img))
        return ctx_fail_image(c, ERR_INVAL,
                              "it is neither ELF nor has its Multiboot2 header (file offset "
                              "0x%llx) an address tag",
                              (unsigned long long)h->off);
    k->entry_at = h->entry_at;
    if (!k->is_elf && !k->entry_at)
        return ctx_fail_image(c, ERR_INVAL,
                              "its Multiboot2 header (file offset 0x%llx) has an address tag, but "
                              "no entry tag",
                              (unsigned long long)h->off);
    if ((k->is_elf && !elf_open(c, &k->elf)) || (h->relocatable && !relocate(c, h, k)))
        return false;
    if (!(k->is_elf ? mb_load_elf(c, k) : mb_load_addresses(c, k, &h->addresses, h->off)))
        return false;
    if (h->entry_at)
        k->entry = (u32)(h->entry + k->offset);
    return true;
}

static void multiboot2_load(struct load_ctx *c)
{
    struct header h = {0};
    struct mb_kernel k = {0};
    struct mb_module m[MB_MAX_MODULES];

    if (load_kernel(c, &k, &h) && mb_load_modules(c, &k, m))
        mb_start(c, &k, BOOT_MAGIC, mb2_write_info(c, &k, m, h.relocatable), "Multiboot2");
}

const struct load_kind_ops load_multiboot2 = {
    .name = "multiboot2",
    .probe = multiboot2_probe,
    .load = multiboot2_load,
    .sign = "Multiboot2 header (0xe85250d6 and its checksum) in its first 32 KiB",
};
