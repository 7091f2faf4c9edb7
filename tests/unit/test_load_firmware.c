/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's firmware areas as a kernel finds them: ACPI from the root pointer on (sums, fields,
 * and iasl's reading of each table), the MP table, SMBIOS, the BIOS data area.
 */
#include "vmm/load/load.h"
#include "vmm/platform.h"
#include "tests/unit/load_bench.h"

static u8 kernel[0x2000];

/* A Multiboot kernel placed by its header: the least that loads. */
static void load(u64 size, unsigned vcpus)
{
    const u32 h[8] = {0x1badb002, 0x10000, 0 - 0x1badb002 - 0x10000, 0x100000, 0x100000, 0x102000,
                      0,          0x100020};
    struct load_request r = {
        .mem_size = size, .vcpus = vcpus, .kernel = {.data = kernel, .size = sizeof(kernel)}};

    memcpy(kernel, h, sizeof(h));
    mem.size = size;
    load_ok(&r, &mem, &state);
}

static u8 sum(gpa_t at, u64 n)
{
    u8 s = 0;

    while (n--)
        s = (u8)(s + guest_8(&mem, at++));
    return s;
}

/* The place of the first text on a 16-byte boundary in [from, to), as kernels scan. */
static gpa_t scan(const char *text, gpa_t from, gpa_t to)
{
    for (gpa_t at = from; at < to; at += 16)
        if (!memcmp(guest_at(&mem, at, 16), text, strlen(text)))
            return at;
    fail_msg("no '%s'", text);
    return 0;
}

static gpa_t table(gpa_t at, const char *signature)
{
    u32 len = guest_32(&mem, at + 4);

    assert_memory_equal(guest_at(&mem, at, 4), signature, 4);
    assert_in_range(len, 36, 0x4000);
    assert_in_range(at, 0xe0000, 0xf0000 - len);
    assert_int_equal(sum(at, len), 0);
    return at;
}

/* By the XSDT, and by the RSDT too, which has to name the same tables. */
static gpa_t find_table(const char *signature)
{
    gpa_t rsdp = scan("RSD PTR ", 0xe0000, 0x100000), rsdt, xsdt, found = 0;
    u32 n;

    assert_int_equal(guest_8(&mem, rsdp + 15), 2);
    assert_int_equal(sum(rsdp, 20), 0);
    assert_int_equal(sum(rsdp, 36), 0);
    assert_int_equal(guest_32(&mem, rsdp + 20), 36);
    rsdt = table(guest_32(&mem, rsdp + 16), "RSDT");
    xsdt = table(guest_64(&mem, rsdp + 24), "XSDT");
    n = (guest_32(&mem, xsdt + 4) - 36) / 8;
    assert_int_equal((guest_32(&mem, rsdt + 4) - 36) / 4, n);
    for (u32 i = 0; i < n; i++) {
        u64 at = guest_64(&mem, xsdt + 36 + i * 8);

        assert_int_equal(guest_32(&mem, rsdt + 36 + i * 4), at);
        if (!memcmp(guest_at(&mem, at, 4), signature, 4))
            found = at;
    }
    assert_true(found != 0);
    return table(found, signature);
}

static void fadt(void **st)
{
    gpa_t f, dsdt, facs;
    u32 flags;

    (void)st;
    load(64 * MIB, 1);
    f = find_table("FACP");
    dsdt = table(guest_32(&mem, f + 40), "DSDT");
    assert_true(guest_64(&mem, f + 140) == dsdt);
    facs = guest_32(&mem, f + 36);
    assert_memory_equal(guest_at(&mem, facs, 4), "FACS", 4);
    assert_int_equal(facs % 64, 0);
    assert_int_equal(guest_32(&mem, facs + 4), 64);
    assert_int_equal(guest_16(&mem, f + 46), 9);
    assert_int_equal(guest_32(&mem, f + 48), 0); /* no SMI port: ACPI mode from the start */
    assert_int_equal(guest_32(&mem, f + 56), 0x600);
    assert_int_equal(guest_32(&mem, f + 64), 0x604);
    assert_int_equal(guest_32(&mem, f + 76), 0x608);
    assert_int_equal(guest_8(&mem, f + 88), 4);
    assert_int_equal(guest_8(&mem, f + 89), 2);
    assert_int_equal(guest_8(&mem, f + 91), 4);
    assert_true(guest_64(&mem, f + 152) == 0x600 && guest_64(&mem, f + 176) == 0x604 &&
                guest_64(&mem, f + 212) == 0x608);
    flags = guest_32(&mem, f + 112);
    assert_true(flags & 1 << 0);   /* WBINVD */
    assert_false(flags & 1 << 4);  /* the power button is a fixed feature */
    assert_true(flags & 1 << 5);   /* the sleep button is not */
    assert_true(flags & 1 << 8);   /* 32-bit timer */
    assert_true(flags & 1 << 10);  /* reset register */
    assert_false(flags & 1 << 20); /* not hardware-reduced */
    assert_int_equal(guest_8(&mem, f + 116), 1);
    assert_true(guest_64(&mem, f + 120) == 0xcf9);
    assert_int_equal(guest_8(&mem, f + 128), 6);
    /* ISA devices, no 8042, no VGA, an RTC. */
    assert_int_equal(guest_16(&mem, f + 109) & 0x27, 0x05);
}

/* IA-PC HPET 1.0a, 3.2.4. */
static void hpet(void **st)
{
    gpa_t h;

    (void)st;
    load(64 * MIB, 1);
    h = find_table("HPET");
    assert_int_equal(guest_32(&mem, h + 4), 56);
    assert_int_equal(guest_32(&mem, h + 36), 0x8086a201);
    assert_int_equal(guest_8(&mem, h + 40), 0); /* in memory */
    assert_true(guest_64(&mem, h + 44) == 0xfed00000);
    assert_int_equal(guest_8(&mem, h + 52), 0);
    assert_int_equal(guest_16(&mem, h + 53), 2000); /* of 10 ns */
}

static void madt(void **st)
{
    static const unsigned counts[] = {1, 2, 5, PLAT_MAX_VCPUS};

    (void)st;
    for (unsigned i = 0; i < ARRAY_SIZE(counts); i++) {
        unsigned cpus = 0, ioapics = 0, nmis = 0;
        bool timer = false, sci = false;
        gpa_t m, end;

        load(64 * MIB, counts[i]);
        m = find_table("APIC");
        end = m + guest_32(&mem, m + 4);
        assert_int_equal(guest_32(&mem, m + 36), 0xfee00000);
        assert_int_equal(guest_32(&mem, m + 40), 1);
        for (m += 44; m < end; m += guest_8(&mem, m + 1)) {
            switch (guest_8(&mem, m)) {
            case 0:
                assert_int_equal(guest_8(&mem, m + 3), cpus++);
                assert_int_equal(guest_32(&mem, m + 4), 1);
                break;
            case 1:
                ioapics++;
                assert_int_equal(guest_32(&mem, m + 4), 0xfec00000);
                assert_int_equal(guest_32(&mem, m + 8), 0);
                break;
            case 2:
                timer |= guest_8(&mem, m + 3) == 0 && guest_32(&mem, m + 4) == 2;
                sci |= guest_8(&mem, m + 3) == 9 && guest_32(&mem, m + 4) == 9 &&
                       guest_16(&mem, m + 8) == 0xd;
                break;
            case 4:
                nmis++;
                assert_int_equal(guest_8(&mem, m + 2), 0xff);
                assert_int_equal(guest_8(&mem, m + 5), 1);
                break;
            default:
                fail();
            }
            assert_true(guest_8(&mem, m + 1) > 0);
        }
        assert_true(m == end);
        assert_int_equal(cpus, counts[i]);
        assert_int_equal(ioapics, 1);
        assert_int_equal(nmis, 1);
        assert_true(timer && sci);
    }
}

/* iasl has to read each table without a word of complaint, and find in them what is meant. */
static void disassemble(const char *signature, gpa_t at, const char *const *has)
{
    char name[64], cmd[256];
    u8 *text;
    u64 len = guest_32(&mem, at + 4), n;
    FILE *f;

    snprintf(name, sizeof(name), "build/host/guest-%s", signature);
    snprintf(cmd, sizeof(cmd), "%s.dat", name);
    f = fopen(cmd, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(guest_at(&mem, at, len), 1, len, f), len);
    fclose(f);
    snprintf(cmd, sizeof(cmd), "iasl -p %s -d %s.dat > %s.log 2>&1", name, name, name);
    assert_int_equal(system(cmd), 0);
    snprintf(cmd, sizeof(cmd), "%s.log", name);
    text = read_file(cmd, &n);
    assert_non_null(text);
    text[n] = 0;
    if (strstr((char *)text, "Error") || strstr((char *)text, "Warning"))
        fail_msg("%s", text);
    free(text);
    snprintf(cmd, sizeof(cmd), "%s.dsl", name);
    text = read_file(cmd, &n);
    assert_non_null(text);
    text[n] = 0;
    for (; *has; has++)
        assert_has((char *)text, *has);
    assert_null(strstr((char *)text, "Incorrect"));
    free(text);
    if (!strcmp(signature, "DSDT")) { /* and it compiles again */
        snprintf(cmd, sizeof(cmd), "iasl -p %s-again %s.dsl > %s.log 2>&1", name, name, name);
        assert_int_equal(system(cmd), 0);
    }
}

static void iasl(void **st)
{
    static const char *const in_dsdt[] = {"PNP0501", "0x03F8",  "PNP0B00", "PNP0100",
                                          "_S5",     "PNP0000", NULL};
    static const char *const in_fadt[] = {"FACP",
                                          "0000000000000608",
                                          "00000CF9",
                                          "32-bit PM Timer (V1) : 1",
                                          "Reset Register Supported (V2) : 1",
                                          "8042 Present on ports 60/64 (V2) : 0",
                                          "VGA Not Present (V4) : 1",
                                          "CMOS RTC Not Present (V5) : 0",
                                          NULL};
    static const char *const in_madt[] = {"Processor Local APIC", "I/O APIC",
                                          "Interrupt Source Override", "Local APIC NMI", NULL};
    gpa_t f;

    (void)st;
    if (system("iasl -v > /dev/null 2>&1")) {
        print_message("iasl is not there\n");
        skip();
    }
    load(64 * MIB, 3);
    f = find_table("FACP");
    disassemble("FACP", f, in_fadt);
    disassemble("APIC", find_table("APIC"), in_madt);
    disassemble("DSDT", guest_32(&mem, f + 40), in_dsdt);
}

static void mp_table(void **st)
{
    gpa_t fp, t, p, end;
    unsigned cpus = 0, buses = 0, ioapics = 0, ints = 0, locals = 0, n = 0;

    (void)st;
    load(64 * MIB, 3);
    fp = scan("_MP_", 0xf0000, 0x100000);
    assert_int_equal(guest_8(&mem, fp + 8), 1);
    assert_int_equal(guest_8(&mem, fp + 12), 0x80); /* an IMCR, as vmm/dev/pic.c has it */
    assert_int_equal(sum(fp, 16), 0);
    t = guest_32(&mem, fp + 4);
    assert_memory_equal(guest_at(&mem, t, 4), "PCMP", 4);
    assert_int_equal(sum(t, guest_16(&mem, t + 4)), 0);
    assert_int_equal(guest_32(&mem, t + 36), 0xfee00000);
    end = t + guest_16(&mem, t + 4);
    for (p = t + 44; p < end; n++) {
        switch (guest_8(&mem, p)) {
        case 0:
            assert_int_equal(guest_8(&mem, p + 1), cpus);
            assert_int_equal(guest_8(&mem, p + 3), cpus ? 1 : 3);
            cpus++;
            p += 20;
            continue;
        case 1:
            assert_memory_equal(guest_at(&mem, p + 2, 6), "ISA   ", 6);
            buses++;
            break;
        case 2:
            assert_int_equal(guest_32(&mem, p + 4), 0xfec00000);
            ioapics++;
            break;
        case 3:
            if (guest_8(&mem, p + 1) == 0) { /* INT */
                u8 irq = guest_8(&mem, p + 5), pin = guest_8(&mem, p + 7);

                assert_int_equal(pin, irq == 0 ? 2 : irq);
                ints++;
            }
            break;
        case 4:
            locals++;
            break;
        default:
            fail();
        }
        p += 8;
    }
    assert_true(p == end);
    assert_int_equal(n, guest_16(&mem, t + 34));
    assert_int_equal(cpus, 3);
    assert_int_equal(buses, 1);
    assert_int_equal(ioapics, 1);
    assert_int_equal(ints, 15);
    assert_int_equal(locals, 2);
}

static void smbios(void **st)
{
    gpa_t e, p, end;
    unsigned n = 0, largest = 0;
    bool ended = false;

    (void)st;
    load(64 * MIB, 1);
    e = scan("_SM_", 0xf0000, 0x100000);
    assert_int_equal(guest_8(&mem, e + 5), 31);
    assert_int_equal(sum(e, 31), 0);
    assert_memory_equal(guest_at(&mem, e + 16, 5), "_DMI_", 5);
    assert_int_equal(sum(e + 16, 15), 0);
    p = guest_32(&mem, e + 24);
    end = p + guest_16(&mem, e + 22);
    while (p < end) {
        gpa_t start = p;
        u8 type = guest_8(&mem, p);

        assert_false(ended);
        if (type == 1) {
            assert_int_equal(guest_8(&mem, p + 1), 27);
            assert_string_equal(guest_text(&mem, p + 27), "skep");
        }
        if (type == 0) {
            assert_int_equal(guest_8(&mem, p + 1), 24);
            assert_string_equal(guest_text(&mem, p + 24), "skep");
        }
        ended = type == 127;
        for (p += guest_8(&mem, p + 1); guest_16(&mem, p); p++)
            ;
        p += 2;
        largest = MAX(largest, (unsigned)(p - start));
        n++;
    }
    assert_true(p == end && ended);
    assert_int_equal(n, guest_16(&mem, e + 28));
    assert_int_equal(largest, guest_16(&mem, e + 8));
}

static void bios_data(void **st)
{
    (void)st;
    load(64 * MIB, 1);
    assert_int_equal(guest_16(&mem, 0x400), 0x3f8);
    assert_int_equal(guest_16(&mem, 0x40e), 0x9fc0);
    assert_int_equal(guest_16(&mem, 0x413), 639);
    assert_int_equal(guest_8(&mem, 0x9fc00), 1);
}

#define T(f) LOAD_TEST(f, 64 * MIB)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(fadt), T(hpet), T(madt), T(iasl), T(mp_table), T(smbios), T(bios_data),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
