/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as the firmware's tables. The first 36 are the RSDP; its checksum and those of the
 * tables are made right half the time (first bit of the input), or else hardly any would be read.
 */
#include <stdlib.h>
#include "arch/x86_64/acpi.h"
#include "lib/assert.h"
#include "lib/string.h"
#include "tests/unit/boot_memory.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define RSDP_SIZE 36

static unsigned complaints;

static void complain(void *arg, const char *sentence)
{
    (void)arg;
    ASSERT(strlen(sentence) > 10 && strlen(sentence) < 160);
    complaints++;
}

static void seal(u8 *p, size_t len, size_t at)
{
    u8 sum = 0;

    p[at] = 0;
    for (size_t i = 0; i < len; i++)
        sum = (u8)(sum + p[i]);
    p[at] = (u8)-sum;
}

/* Whatever looks like a table's header gets the checksum it would need. */
static void seal_tables(u8 *mem, size_t size)
{
    static const char *const sigs[] = {"RSDT", "XSDT", "APIC", "FACP", "DSDT", "HPET"};

    for (size_t at = 0; at + 36 <= size; at++)
        for (unsigned i = 0; i < ARRAY_SIZE(sigs); i++) {
            u32 len;

            memcpy(&len, mem + at + 4, 4);
            if (!memcmp(mem + at, sigs[i], 4) && len >= 36 && len <= size - at)
                seal(mem + at, len, 9);
        }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static struct acpi_info info;
    struct boot_memory m;
    struct acpi_reader r = {boot_memory_read, complain, &m};
    u8 rsdp[RSDP_SIZE], *copy;

    if (size < RSDP_SIZE + 1)
        return 0;
    copy = malloc(size);
    memcpy(rsdp, data + 1, RSDP_SIZE);
    m = (struct boot_memory){copy, size - RSDP_SIZE - 1};
    memcpy(copy, data + RSDP_SIZE + 1, m.size);
    if (data[0] & 1) {
        memcpy(rsdp, "RSD PTR ", 8);
        seal(rsdp, 20, 8);
        seal(rsdp, 36, 32);
        seal_tables(copy, m.size);
    }
    complaints = 0;
    acpi_parse(&r, data[0] & 2 ? rsdp : NULL, RSDP_SIZE, &info);
    ASSERT(info.cpu_count <= ACPI_MAX_CPUS && info.ioapic_count <= ACPI_MAX_IOAPICS);
    ASSERT(info.override_count <= ACPI_MAX_OVERRIDES);
    ASSERT(info.range_count <= ARRAY_SIZE(info.range) && complaints < 300);
    free(copy);
    return 0;
}
