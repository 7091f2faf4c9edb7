/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Taking the machine's memory over. Page-table pages come from a pool at the top of usable memory
 * below 4 GiB, which the loader's identity map reaches, until the frame allocator has the rest.
 */
#include "boot/memory.h"
#include "arch/x86_64/devmap.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/paging.h"
#include "lib/log.h"
#include "mm/kmem.h"

#define LOW_END   (1 * MIB) /* kept out of everything: the firmware's data, legacy areas */
#define BASE_END  0xa0000   /* conventional memory ends here */
#define EARLY_END (4 * GIB)

extern const u8 text_start[], text_end[], rodata_start[], rodata_end[], data_start[], data_end[];

u64 image_delta;

static struct memmap map;
static struct frame_range usable[MEMMAP_MAX];
static hpa_t pool_base, pool_next, pool_end; /* handed out from the end downwards */
static hpa_t low_page;
static u64 installed;

const void *memory_view_early(void *arg, hpa_t hpa, u64 len)
{
    (void)arg;
    return len <= EARLY_END && hpa <= EARLY_END - len ? (const void *)hpa : NULL;
}

static bool in_direct_map(hpa_t hpa, u64 len)
{
    hpa_t end = hpa + len;
    u32 flags;

    if (end < hpa || end > DIRECT_SIZE)
        return false;
    for (hpa_t p = ALIGN_DOWN(hpa, PAGE_SIZE), behind; p < end; p += PAGE_SIZE)
        if (!paging_lookup(&host_pt, DIRECT_BASE + p, &behind, &flags))
            return false;
    return true;
}

const void *memory_view(void *arg, hpa_t hpa, u64 len)
{
    (void)arg;
    if (in_direct_map(hpa, len))
        return direct_ptr(hpa);
    return hpa + len <= paging_max_hpa() ? devmap_add(hpa, len, 0) : NULL;
}

static void *early_ptr(hpa_t hpa)
{
    return (void *)hpa;
}

static hpa_t pool_page(void)
{
    if (pool_next == pool_base)
        return 0;
    pool_next -= PAGE_SIZE;
    return pool_next;
}

static hpa_t frame_page(void)
{
    return frame_alloc(0);
}

COLD static hpa_t image_hpa(const void *p)
{
    return direct_hpa(p);
}

/* The map without what is in use and what cannot be used. */
static void make_map(const struct boot_info *bi)
{
    hpa_t limit = MIN((u64)DIRECT_SIZE, paging_max_hpa() + 1);

    memmap_normalise(&bi->map, &map);
    if (map.overflow)
        log_warn("the memory map has too many ranges: some memory is not used");
    installed = memmap_total(&map, MEM_USABLE);
    memmap_mark(&map, limit, 0 - limit, MEM_RESERVED);
    memmap_mark(&map, IMAGE_PADDR + image_delta, (u64)data_end - IMAGE_BASE - IMAGE_PADDR,
                MEM_IMAGE);
    low_page = memmap_find(&map, PAGE_SIZE, PAGE_SIZE, BASE_END);
    memmap_mark(&map, 0, LOW_END, MEM_RESERVED);
}

/*
 * Enough for any map (tables of 4 KiB pages at both ends of each range, one for each GiB), for the
 * boot CPU's area, and for the windows.
 */
static bool make_pool(void)
{
    u64 gib = memmap_end(&map, MEM_USABLE) / GIB + 1;
    u64 size = (40 + 6 * map.count + MIN(memmap_total(&map, MEM_USABLE) / GIB + map.count, gib)) *
               PAGE_SIZE;

    pool_base = memmap_find(&map, size, LOW_END, EARLY_END);
    pool_end = pool_next = pool_base + size;
    return pool_base != 0;
}

static bool map_image(const u8 *from, const u8 *to, u32 flags)
{
    return paging_map(&host_pt, (u64)from, image_hpa(from),
                      ALIGN_UP((u64)to, PAGE_SIZE) - (u64)from, flags) == OK;
}

static bool is_mapped_type(u32 type)
{
    return type == MEM_USABLE || type == MEM_ACPI || type == MEM_BOOT;
}

static bool map_direct(hpa_t base, hpa_t end)
{
    return base >= end || paging_map(&host_pt, DIRECT_BASE + base, base, end - base, MAP_W) == OK;
}

/* RAM in runs as long as possible, so that the largest pages fit; the first MiB whatever it is. */
static bool map_memory(void)
{
    hpa_t start = 0, end = LOW_END;

    for (u32 i = 0; i < map.count; i++) {
        const struct mem_range *r = &map.r[i];
        hpa_t from = MAX(r->base, (u64)LOW_END), to = r->base + r->size;

        if (!is_mapped_type(r->type) || to <= from)
            continue;
        if (from != end) {
            if (!map_direct(start, end))
                return false;
            start = from;
        }
        end = to;
    }
    return map_direct(start, end);
}

static void zero_page(hpa_t hpa)
{
    u64 *p = host_pt.ptr(hpa);

    for (unsigned i = 0; i < PAGE_SIZE / sizeof(*p); i++)
        p[i] = 0;
}

const char *memory_map_machine(const struct boot_info *bi)
{
    make_map(bi);
    if (!make_pool())
        return "there is too little usable memory below 4 GiB for page tables";
    host_pt = (struct page_tables){.alloc = pool_page, .ptr = early_ptr};
    host_pt.root = pool_page();
    zero_page(host_pt.root);
    if (!map_image(text_start, text_end, MAP_X) || !map_image(rodata_start, rodata_end, MAP_R) ||
        !map_image(data_start, data_end, MAP_W) || !map_memory())
        return "the memory map is too fragmented for the first page tables";
    paging_enable(&host_pt);
    host_pt.ptr = direct_ptr;
    return NULL;
}

const char *memory_give_out(const struct acpi_info *acpi)
{
    size_t count = 0;

    for (u32 i = 0; i < acpi->range_count; i++)
        memmap_mark(&map, acpi->range[i].base, acpi->range[i].size, MEM_ACPI);
    memmap_mark(&map, pool_next, pool_end - pool_next, MEM_IMAGE);
    pool_base = pool_next; /* the rest of the pool goes out too */
    for (u32 i = 0; i < map.count; i++)
        if (map.r[i].type == MEM_USABLE)
            usable[count++] = (struct frame_range){map.r[i].base, map.r[i].size};
    host_pt.alloc = frame_page;
    if (kmem_init(DIRECT_BASE, usable, count) == ERR_NOMEM)
        return "there is no usable memory";
    return NULL;
}

u64 memory_installed(void)
{
    return installed;
}

hpa_t memory_low_page(void)
{
    return low_page;
}
