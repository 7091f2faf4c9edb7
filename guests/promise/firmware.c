/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The firmware's tables as a kernel finds them: by scanning. ACPI 6.4, 5.2; MultiProcessor
 * Specification 1.4, 4; SMBIOS 2.8, 5.2.1; IBM PC/AT Technical Reference (BIOS data area).
 */
#include "guests/promise/promise.h"

#include "lib/string.h"

#define PM1_PORT  0x604
#define SCAN_FROM 0xe0000
#define SCAN_END  0x100000
#define MP_CPU    0
#define MP_TYPES  5

static u8 sum(u64 gpa, u64 len)
{
    const u8 *p = at(gpa);
    u8 s = 0;

    while (len--)
        s = (u8)(s + *p++);
    return s;
}

/* The paragraph in [from, end) that begins with the text; 0: none. */
static u64 scan(const char *text, u64 from, u64 end)
{
    for (u64 gpa = from; gpa < end; gpa += 16)
        if (memcmp(at(gpa), text, strlen(text)) == 0)
            return gpa;
    return 0;
}

static void check_bios_data(void)
{
    want("bda-com1", at16(0x400), 0x3f8);
    want("bda-ebda", at16(0x40e) << 4, 0x9fc00);
    want("bda-basemem", at16(0x413), 639);
    want("bda-serial-ports", at16(0x410) >> 9 & 7, 1);
    want("ebda-kib", *(const u8 *)at(0x9fc00), 1);
}

static void check_madt(u64 madt)
{
    u64 end = madt + at32(madt + 4), cpus = 0, ioapics = 0, timer = 0;

    want("madt-lapic", at32(madt + 36), 0xfee00000);
    for (u64 p = madt + 44; p + 2 <= end; p += at16(p) >> 8) {
        u8 type = at16(p) & 0xff;

        if (!(at16(p) >> 8))
            break;
        if (type == 0 && (at32(p + 4) & 1)) {
            want("madt-lapic-id", at16(p + 2) >> 8, cpus);
            cpus++;
        }
        if (type == 1) {
            want("madt-ioapic", at32(p + 4), 0xfec00000);
            want("madt-ioapic-gsi", at32(p + 8), 0);
            ioapics++;
        }
        if (type == 2 && at16(p + 2) == 0)
            timer = at32(p + 4);
    }
    want("madt-cpus", cpus, said.cpus);
    want("madt-ioapics", ioapics, 1);
    want("madt-timer-pin", timer, 2);
}

static void check_fadt(u64 fadt)
{
    u64 dsdt = at64(fadt + 140);

    want("fadt-dsdt-twice", at32(fadt + 40), dsdt);
    want("dsdt-sum", sum(dsdt, at32(dsdt + 4)), 0);
    want("fadt-sci", at16(fadt + 46), 9);
    want("fadt-pm1-event", at32(fadt + 56), 0x600);
    want("fadt-pm1-control", at32(fadt + 64), PM1_PORT);
    want("fadt-pm-timer", at32(fadt + 76), 0x608);
    want("fadt-reset", at64(fadt + 120), 0xcf9);
    want("pm1-sci-enabled", in16(PM1_PORT) & 1, 1);
}

static void check_acpi(void)
{
    u64 rsdp = scan("RSD PTR ", SCAN_FROM, SCAN_END), xsdt, rsdt, count, fadt = 0, madt = 0;

    want("rsdp", rsdp, 0xe0000);
    if (!rsdp)
        return;
    want("rsdp-sum", sum(rsdp, 20), 0);
    want("rsdp-long-sum", sum(rsdp, at32(rsdp + 20)), 0);
    rsdt = at32(rsdp + 16);
    xsdt = at64(rsdp + 24);
    want("xsdt-sum", sum(xsdt, at32(xsdt + 4)), 0);
    want("rsdt-sum", sum(rsdt, at32(rsdt + 4)), 0);
    count = (at32(xsdt + 4) - 36) / 8;
    want("rsdt-count", (at32(rsdt + 4) - 36) / 4, count);
    for (u64 i = 0; i < count; i++) {
        u64 table = at64(xsdt + 36 + i * 8);

        print("is table %.4s %x\n", (const char *)at(table), at32(table + 4));
        want("table-sum", sum(table, at32(table + 4)), 0);
        want("table-twice", at32(rsdt + 36 + i * 4), table);
        if (memcmp(at(table), "FACP", 4) == 0)
            fadt = table;
        if (memcmp(at(table), "APIC", 4) == 0)
            madt = table;
    }
    want("has-fadt-and-madt", fadt && madt, 1);
    if (fadt)
        check_fadt(fadt);
    if (madt)
        check_madt(madt);
}

static void check_mp(void)
{
    static const u8 size[MP_TYPES] = {20, 8, 8, 8, 8};
    u64 floating = scan("_MP_", 0x9fc00, 0xa0000), table, p, entries, cpus = 0;

    if (!floating)
        floating = scan("_MP_", 0xf0000, SCAN_END);
    want("mp-floating", floating != 0, 1);
    if (!floating)
        return;
    want("mp-floating-sum", sum(floating, 16), 0);
    table = at32(floating + 4);
    want("mp-signature", memcmp(at(table), "PCMP", 4) == 0, 1);
    want("mp-sum", sum(table, at16(table + 4)), 0);
    want("mp-lapic", at32(table + 36), 0xfee00000);
    entries = at16(table + 34);
    p = table + 44;
    for (u64 i = 0; i < entries; i++) {
        u8 type = at16(p) & 0xff;

        if (type >= MP_TYPES)
            break;
        cpus += type == MP_CPU && (at16(p + 2) >> 8 & 1);
        p += size[type];
    }
    want("mp-end", p, table + at16(table + 4));
    want("mp-cpus", cpus, said.cpus);
}

static void check_smbios(void)
{
    u64 entry = scan("_SM_", 0xf0000, SCAN_END), p, end, count = 0;

    want("smbios-entry", entry != 0, 1);
    if (!entry)
        return;
    want("smbios-sum", sum(entry, *(const u8 *)at(entry + 5)), 0);
    want("smbios-table-sum", sum(entry + 16, 15), 0);
    p = at32(entry + 24);
    end = p + at16(entry + 22);
    while (p + 4 <= end) {
        count++;
        for (p += at16(p) >> 8; p + 2 <= end && at16(p); p++)
            ;
        p += 2;
    }
    want("smbios-end", p, end);
    want("smbios-structures", count, at16(entry + 28));
}

void check_firmware(void)
{
    check_bios_data();
    check_acpi();
    check_mp();
    check_smbios();
}
