/* SPDX-License-Identifier: BSD-2-Clause */
/* What all of the programs have in common: reporting, words, the memory map, modules, the end. */
#include "guests/promise/promise.h"

#include "lib/string.h"

#define EXIT_PORT    0xf4
#define PM1_CONTROL  0x604
#define S5_SLP_EN    (5 << 10 | 1 << 13)
#define MAP_RAM      1
#define MAP_RESERVED 2

void promise_main(void);

struct said said;
static unsigned values, wrong;

void want(const char *name, u64 found, u64 expected)
{
    values++;
    if (found == expected) {
        print("ok %s %llx\n", name, (unsigned long long)found);
        return;
    }
    wrong++;
    print("WRONG %s %llx: should be %llx\n", name, (unsigned long long)found,
          (unsigned long long)expected);
}

void want_text(const char *name, const char *found, const char *expected)
{
    values++;
    if (strcmp(found, expected) == 0) {
        print("ok %s \"%s\"\n", name, found);
        return;
    }
    wrong++;
    print("WRONG %s \"%s\": should be \"%s\"\n", name, found, expected);
}

void tell(const char *name, u64 value)
{
    print("is %s %llx\n", name, (unsigned long long)value);
}

static u64 number_after(const char *text, const char *key)
{
    size_t len = strlen(key);
    u64 n = 0;

    for (; *text; text++)
        if (memcmp(text, key, len) == 0) {
            for (text += len; *text >= '0' && *text <= '9'; text++)
                n = n * 10 + (u64)(*text - '0');
            return n;
        }
    return 0;
}

void read_words(const char *cmdline)
{
    said.ram = number_after(cmdline, "ram=") << 20;
    said.cpus = number_after(cmdline, "cpus=");
    said.modules = number_after(cmdline, "modules=");
    said.size = number_after(cmdline, "size=");
    print("is words \"%s\"\n", cmdline);
    want("words-understood", said.ram != 0 && said.cpus != 0, 1);
}

/* ---- memory map ------------------------------------------------------------------------- */

static struct {
    u64 end;           /* of the last entry */
    u64 ram;           /* bytes of type 1 */
    unsigned reserved; /* which of the board's own places were seen as such */
    bool low, high;
} map;

static const struct {
    u64 base, len;
} own[] = {
    {0x9fc00, 0x400},     /* extended BIOS data area */
    {0xe0000, 0x20000},   /* firmware tables */
    {0xfec00000, 0x1000}, /* I/O APIC */
    {0xfee00000, 0x1000}, /* local APIC */
};

void map_entry(u64 base, u64 len, u32 type)
{
    print("is map %llx-%llx %u\n", (unsigned long long)base, (unsigned long long)(base + len),
          type);
    want("map-ascends", base >= map.end && len > 0, 1);
    map.end = base + len;
    if (type == MAP_RAM) {
        map.ram += len;
        map.low |= base == 0 && len == 0x9fc00;
        map.high |= base == 0x100000;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(own); i++)
        if (type == MAP_RESERVED && base <= own[i].base && base + len >= own[i].base + own[i].len)
            map.reserved |= 1u << i;
}

void map_end(void)
{
    want("map-low-memory", map.low, 1);
    want("map-from-1M", map.high, 1);
    /* mem= counts what the VGA window and the shadow area hide. */
    want("map-ram", map.ram, said.ram - 0x100000 + 0x9fc00);
    want("map-reserved", map.reserved, (1u << ARRAY_SIZE(own)) - 1);
}

void check_module(unsigned n, u64 start, u64 len, const char *cmdline, u64 last)
{
    const u8 *p = at(start);
    u64 bad = 0;

    want("module-size", len, said.size + n);
    want("module-page", start & 0xfff, 0);
    want("module-free", start >= last && start + len <= said.ram, 1);
    for (u64 i = 0; i < len; i++)
        bad += p[i] != (u8)(i * 7 + n);
    want("module-wrong-bytes", bad, 0);
    if (cmdline) {
        char expected[] = "module 0 with words";

        expected[7] = (char)('0' + n);
        want_text("module-words", cmdline, expected);
    }
}

void promise_main(void)
{
    console_init();
    check_protocol();
    check_firmware();
    print("promise: %u values, %u wrong\n", values, wrong);
    console_drain();
    out32(EXIT_PORT, wrong);
    out16(PM1_CONTROL, S5_SLP_EN);
    for (;;)
        cpu_hlt();
}
