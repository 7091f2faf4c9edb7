/* SPDX-License-Identifier: BSD-2-Clause */
/* Paging as the guest sees it (SDM 3, chapter 4): flags, large pages, invalidation, protection. */
#include "guests/check/check.h"
#include "guests/lib/paging.h"

SNIPPET(read_it, ARG, "mov (" REG(ax) "), %ecx");
SNIPPET(write_it, ARG, "movl $1, (" REG(ax) ")");
SNIPPET(call_it, ARG, "call *" REG(ax));

static void *at(ulong offset)
{
    return (void *)(TEST_GLA + offset);
}

static u64 entry(ulong gla, unsigned level)
{
    return *(volatile u64 *)paging_entry(gla, level);
}

static void page_accessed_dirty(void)
{
    paging_map(TEST_GLA, (ulong)scratch[0], PTE_P | PTE_W);
    EXPECT_EQ(entry(TEST_GLA, 1) & (PTE_A | PTE_D), 0);
    read_it(at(0));
    EXPECT_EQ(entry(TEST_GLA, 1) & (PTE_A | PTE_D), PTE_A);
    write_it(at(0));
    EXPECT_EQ(entry(TEST_GLA, 1) & (PTE_A | PTE_D), PTE_A | PTE_D);
}

/* An access to a device sets the flags too, when a hypervisor's emulator makes it. */
static void page_accessed_dirty_mmio(void)
{
    paging_map(TEST_GLA, APIC_MMIO, PTE_P | PTE_W | PTE_PCD);
    read_it(at(APIC_ID));
    EXPECT_EQ(entry(TEST_GLA, 1) & (PTE_A | PTE_D), PTE_A);
    mmio_write32(TEST_GLA + APIC_TPR, 0x20);
    EXPECT_EQ(entry(TEST_GLA, 1) & (PTE_A | PTE_D), PTE_A | PTE_D);
    EXPECT_EQ(mmio_read32(APIC_MMIO + APIC_TPR), 0x20);
    mmio_write32(APIC_MMIO + APIC_TPR, 0);
}

/* Protection holds on device pages as on others. */
static void page_mmio_protection(void)
{
    paging_map(TEST_GLA, APIC_MMIO, PTE_P | PTE_PCD);
    EXPECT_TRAP(read_it, at(APIC_ID), -1, 0, NULL);
    EXPECT_TRAP(write_it, at(APIC_TPR), EXC_PF, PF_P | PF_W, write_it_at);
    EXPECT_EQ(mmio_read32(APIC_MMIO + APIC_TPR), 0);
    check_trap_user(read_it, at(APIC_ID), EXC_PF, PF_P | PF_U, read_it_at);
}

static void page_remap(void)
{
    *(u32 *)scratch[0] = 0x11111111;
    *(u32 *)scratch[1] = 0x22222222;
    for (unsigned i = 0; i < 100; i++) {
        paging_map(TEST_GLA, (ulong)scratch[i & 1], PTE_P | PTE_W);
        EXPECT_EQ(mmio_read32(TEST_GLA), i & 1 ? 0x22222222 : 0x11111111);
    }
    paging_map(TEST_GLA, 0, 0);
    EXPECT_TRAP(read_it, at(0), EXC_PF, 0, read_it_at);
}

static void page_cr3_reload(void)
{
    *(u32 *)scratch[0] = 0x33333333;
    *(u32 *)scratch[1] = 0x44444444;
    paging_map(TEST_GLA, (ulong)scratch[0], PTE_P | PTE_W);
    EXPECT_EQ(mmio_read32(TEST_GLA), 0x33333333);
    *(volatile u64 *)paging_entry(TEST_GLA, 1) = (ulong)scratch[1] | PTE_P | PTE_W;
    cr3_write(cr3_read());
    EXPECT_EQ(mmio_read32(TEST_GLA), 0x44444444);
}

/* Global pages outlive a reload of CR3 or not, but never a change of CR4.PGE. */
static void page_global(void)
{
    ulong cr4 = cr4_read();

    *(u32 *)scratch[1] = 0x55555555;
    cr4_write(cr4 | CR4_PGE);
    paging_map(TEST_GLA, (ulong)scratch[0], PTE_P | PTE_W | PTE_G);
    read_it(at(0));
    *(volatile u64 *)paging_entry(TEST_GLA, 1) = (ulong)scratch[1] | PTE_P | PTE_W | PTE_G;
    cr4_write(cr4 & ~(ulong)CR4_PGE);
    EXPECT_EQ(mmio_read32(TEST_GLA), 0x55555555);
}

static void page_large(void)
{
    ulong gla = TEST_GLA + 4 * MIB;
    u64 *pde = paging_entry(gla, 2);

    *pde = ((ulong)scratch & ~(2 * MIB - 1)) | PTE_P | PTE_W | PTE_PS;
    cpu_invlpg((const void *)gla);
    *(u32 *)scratch[2] = 0x66666666;
    EXPECT_EQ(mmio_read32(gla + ((ulong)scratch[2] & (2 * MIB - 1))), 0x66666666);
    EXPECT_EQ(entry(gla, 2) & (PTE_A | PTE_D), PTE_A);
    *pde = 0;
    cpu_invlpg((const void *)gla);
    EXPECT_TRAP(read_it, (void *)gla, EXC_PF, 0, read_it_at);
}

/* Makes user pages of the code that runs here supervisor pages, and back. */
static void code_pages(u64 flag)
{
    for (ulong p = (ulong)guest_image_start; p < (ulong)guest_image_end; p += 4096) {
        u64 *pte = paging_entry(p, 1);

        *pte = (*pte & ~PTE_U) | flag;
        cpu_invlpg((const void *)p);
    }
}

static void page_smep(void)
{
    u8 *page = scratch[3];

    REQUIRE(cpu_has_7_ebx(7), "no SMEP");
    page[0] = 0xc3;
    code_pages(0);
    paging_map(TEST_GLA, (ulong)page, PTE_P | PTE_W | PTE_U);
    trap_try(&check_last, call_it, at(0));
    if (check_last.vector != -1)
        check_fail("without SMEP: vector %d", check_last.vector);
    cr4_write(cr4_read() | CR4_SMEP);
    trap_try(&check_last, call_it, at(0));
    cr4_write(cr4_read() & ~(ulong)CR4_SMEP);
    code_pages(PTE_U);
    EXPECT_EQ(check_last.vector, EXC_PF);
    EXPECT_EQ(check_last.error, PF_P | PF_I);
    EXPECT_EQ(check_last.ip, TEST_GLA);
}

SNIPPET(read_stac, ARG "stac\n", "mov (" REG(ax) "), %ecx\n clac");

static void page_smap(void)
{
    struct trap with_ac;

    REQUIRE(cpu_has_7_ebx(20), "no SMAP");
    code_pages(0);
    paging_map(TEST_GLA, (ulong)scratch[0], PTE_P | PTE_W | PTE_U);
    cr4_write(cr4_read() | CR4_SMAP);
    trap_try(&check_last, read_it, at(0));
    trap_try(&with_ac, read_stac, at(0));
    cr4_write(cr4_read() & ~(ulong)CR4_SMAP);
    code_pages(PTE_U);
    EXPECT_EQ(check_last.vector, EXC_PF);
    EXPECT_EQ(check_last.error, PF_P);
    EXPECT_EQ(with_ac.vector, -1);
}

/* SMAP holds for a device page as well. */
static void page_smap_mmio(void)
{
    struct trap with_ac;

    REQUIRE(cpu_has_7_ebx(20), "no SMAP");
    code_pages(0);
    paging_map(TEST_GLA, APIC_MMIO, PTE_P | PTE_W | PTE_U);
    cr4_write(cr4_read() | CR4_SMAP);
    trap_try(&check_last, read_it, at(APIC_ID));
    trap_try(&with_ac, read_stac, at(APIC_ID));
    cr4_write(cr4_read() & ~(ulong)CR4_SMAP);
    code_pages(PTE_U);
    EXPECT_EQ(check_last.vector, EXC_PF);
    EXPECT_EQ(with_ac.vector, -1);
}

/* The map tells what memory there is: the last usable page keeps what is written. */
static void memory_map(void)
{
    u64 usable = 0;

    for (unsigned i = 0; boot_range(i); i++) {
        const struct mb_range *r = boot_range(i);
        volatile u32 *last;

        if (r->type != 1 || r->base < MIB || r->base + r->length > 3 * GIB)
            continue;
        usable += r->length;
        last = (volatile u32 *)(ulong)((r->base + r->length - 4) & ~3ull);
        *last = 0x600dcafe;
        EXPECT(*last == 0x600dcafe, "no memory at %lx", (ulong)last);
    }
    EXPECT(usable >= MIB, "%ju bytes usable above 1 MiB", usable);
}

/* Where no memory and no device is: reads are all ones, writes go nowhere. */
static void memory_hole(void)
{
    ulong hole = 0xfd800000ul;

    EXPECT_EQ(mmio_read32(hole), 0xffffffff);
    mmio_write32(hole, 0);
    EXPECT_EQ(mmio_read32(hole), 0xffffffff);
    EXPECT_EQ(*(volatile u8 *)hole, 0xff);
}

static const struct check list[] = {
    {"page_accessed_dirty", page_accessed_dirty, ANYWHERE},
    {"page_accessed_dirty_mmio", page_accessed_dirty_mmio, ANYWHERE},
    {"page_mmio_protection", page_mmio_protection, ANYWHERE},
    {"page_remap", page_remap, ANYWHERE},
    {"page_cr3_reload", page_cr3_reload, ANYWHERE},
    {"page_global", page_global, ANYWHERE},
    {"page_large", page_large, ANYWHERE},
    {"page_smep", page_smep, ANYWHERE},
    {"page_smap", page_smap, ANYWHERE},
    {"page_smap_mmio", page_smap_mmio, ANYWHERE},
    {"memory_map", memory_map, ANYWHERE},
    {"memory_hole", memory_hole, SKEP_ONLY},
};
CHECK_GROUP(pages, list);
