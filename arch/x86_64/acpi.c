/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading the firmware's ACPI tables. ACPI 6.5, sections 5.2.5 to 5.2.12; the AML of _S5_: 20.2. */
#include "arch/x86_64/acpi.h"
#include "lib/bytes.h"
#include "lib/print.h"
#include "lib/string.h"

#define RSDP_SIG       "RSD PTR "
#define RSDP_OEM       9
#define RSDP_V1_SIZE   20
#define RSDP_SIZE      36
#define HEADER_SIZE    36
#define MAX_ROOT       128 /* tables that the root may list */
#define MAX_TABLE      (4u * 1024 * 1024)
#define EBDA_POINTER   0x40e /* its segment, in the BIOS data area */
#define BIOS_AREA      0xe0000
#define BIOS_AREA_SIZE 0x20000

/* Offsets in the FADT (table 5.9). */
#define FADT_DSDT        40
#define FADT_SMI_CMD     48
#define FADT_ACPI_ENABLE 52
#define FADT_PM1A_CNT    64
#define FADT_PM1B_CNT    68
#define FADT_PM_TMR      76
#define FADT_PM_TMR_LEN  91
#define FADT_FLAGS       112
#define FADT_RESET_REG   116
#define FADT_RESET_VALUE 128
#define FADT_X_DSDT      140
#define FADT_X_PM1A_CNT  172
#define FADT_X_PM1B_CNT  184
#define FADT_X_PM_TMR    208
#define FADT_FLAG_RESET  BIT(10)
#define FADT_SIZE        244 /* as much of it as matters */

/* MADT (5.2.12). */
#define MADT_FLAGS    40
#define MADT_ENTRIES  44
#define MADT_LAPIC    0
#define MADT_IOAPIC   1
#define MADT_OVERRIDE 2
#define MADT_X2APIC   9
#define CPU_ENABLED   BIT(0)

#define GAS_MEMORY 0
#define GAS_IO     1

struct table {
    char sig[5];
    hpa_t hpa;
    u32 length;
};

struct acpi {
    const struct acpi_reader *r;
    struct acpi_info *out;
    hpa_t dsdt;
};

/* A window on a table, so that none is ever copied whole. */
struct window {
    struct acpi *a;
    const struct table *t;
    u32 start, len;
    u8 buf[256];
};

static void complain(struct acpi *a, const char *fmt, ...) PRINTF(2, 3);
static void complain(struct acpi *a, const char *fmt, ...)
{
    char text[160];
    va_list ap;

    va_start(ap, fmt);
    fmt_vprint(text, sizeof(text), fmt, ap);
    va_end(ap);
    a->r->complain(a->r->arg, text);
}

static bool fetch(struct acpi *a, hpa_t hpa, void *buf, size_t len)
{
    return hpa && hpa + len > hpa && a->r->read(a->r->arg, hpa, buf, len);
}

static bool is_sig(const void *p, const char *sig)
{
    return memcmp(p, sig, strlen(sig)) == 0;
}

static u8 sum_of(const u8 *p, size_t len)
{
    u8 sum = 0;

    while (len--)
        sum = (u8)(sum + *p++);
    return sum;
}

/* The byte at an offset of a table; 0 behind its end or where it cannot be read. */
static u8 window_byte(struct window *w, u32 at)
{
    if (at >= w->t->length)
        return 0;
    if (at < w->start || at - w->start >= w->len) {
        w->start = at;
        w->len = MIN((u32)sizeof(w->buf), w->t->length - at);
        if (!fetch(w->a, w->t->hpa + at, w->buf, w->len))
            memset(w->buf, 0, w->len);
    }
    return w->buf[at - w->start];
}

/* Copies min(len, what is there) bytes and zeroes the rest. */
static void window_copy(struct window *w, u32 at, u8 *to, u32 len)
{
    for (u32 i = 0; i < len; i++)
        to[i] = window_byte(w, at + i);
}

static void keep_range(struct acpi *a, hpa_t base, u64 size)
{
    if (a->out->range_count < ARRAY_SIZE(a->out->range))
        a->out->range[a->out->range_count++] = (struct acpi_range){base, size};
}

static bool checksum_good(struct acpi *a, const struct table *t)
{
    u8 buf[256], sum = 0;

    for (u32 at = 0; at < t->length;) {
        u32 n = MIN((u32)sizeof(buf), t->length - at);

        if (!fetch(a, t->hpa + at, buf, n))
            return false;
        sum = (u8)(sum + sum_of(buf, n));
        at += n;
    }
    return sum == 0;
}

/* Reads a table's header and checks the whole. name: for the complaint, where the signature lies.
 */
static bool open_table(struct acpi *a, hpa_t hpa, const char *name, struct table *t)
{
    u8 h[8];

    if (!fetch(a, hpa, h, sizeof(h))) {
        complain(a, "ACPI: the %s at %#lx cannot be read", name, hpa);
        return false;
    }
    memcpy(t->sig, h, 4);
    t->sig[4] = 0;
    t->hpa = hpa;
    t->length = get32(h + 4);
    if (t->length < HEADER_SIZE || t->length > MAX_TABLE) {
        complain(a, "ACPI: the %s at %#lx says it is %u bytes long", name, hpa, t->length);
        return false;
    }
    keep_range(a, hpa, t->length);
    return true;
}

static bool open_checked(struct acpi *a, hpa_t hpa, const char *sig, struct table *t)
{
    if (!open_table(a, hpa, sig, t))
        return false;
    if (!is_sig(t->sig, sig)) {
        complain(a, "ACPI: there is no %s at %#lx where there should be one", sig, hpa);
        return false;
    }
    if (!checksum_good(a, t)) {
        complain(a, "ACPI: the checksum of the %s is wrong: it is not used", sig);
        return false;
    }
    return true;
}

static void add_cpu(struct acpi *a, u32 apic_id, u32 flags)
{
    struct acpi_info *o = a->out;

    if (!(flags & CPU_ENABLED) || apic_id == UINT32_MAX)
        return;
    for (u32 i = 0; i < o->cpu_count; i++)
        if (o->cpu_apic[i] == apic_id)
            return;
    if (o->cpu_count == ACPI_MAX_CPUS)
        o->cpus_left_out++;
    else
        o->cpu_apic[o->cpu_count++] = apic_id;
}

static void add_ioapic(struct acpi *a, const u8 *e)
{
    struct acpi_info *o = a->out;

    if (o->ioapic_count < ACPI_MAX_IOAPICS)
        o->ioapic[o->ioapic_count++] =
            (struct acpi_ioapic){.id = e[2], .address = get32(e + 4), .gsi_base = get32(e + 8)};
}

static void add_override(struct acpi *a, const u8 *e)
{
    struct acpi_info *o = a->out;
    u16 flags = get16(e + 8);

    if (o->override_count == ACPI_MAX_OVERRIDES || e[2] != 0)
        return;
    o->override[o->override_count++] = (struct acpi_override){
        .irq = e[3],
        .gsi = get32(e + 4),
        .low = (flags & 3) == 3,
        .level = (flags >> 2 & 3) == 3,
    };
}

COLD static void madt_entry(struct acpi *a, const u8 *e, u8 len)
{
    switch (e[0]) {
    case MADT_LAPIC:
        if (len >= 8 && e[3] != 0xff)
            add_cpu(a, e[3], get32(e + 4));
        break;
    case MADT_X2APIC:
        if (len >= 16)
            add_cpu(a, get32(e + 4), get32(e + 8));
        break;
    case MADT_IOAPIC:
        if (len >= 12)
            add_ioapic(a, e);
        break;
    case MADT_OVERRIDE:
        if (len >= 10)
            add_override(a, e);
        break;
    default:
        break;
    }
}

static void parse_madt(struct acpi *a, const struct table *t)
{
    struct window w = {.a = a, .t = t};
    u32 at = MADT_ENTRIES;

    a->out->madt = true;
    a->out->pic = window_byte(&w, MADT_FLAGS) & 1;
    while (at + 2 <= t->length) {
        u8 e[16], len = window_byte(&w, at + 1);

        if (len < 2 || len > t->length - at) {
            complain(a, "ACPI: the MADT has a broken entry at offset %u: the rest is not used", at);
            return;
        }
        memset(e, 0, sizeof(e));
        window_copy(&w, at, e, MIN((u32)len, (u32)sizeof(e)));
        madt_entry(a, e, len);
        at += len;
    }
}

/* A generic address (table 5.1); ports beyond 16 bits and other spaces are of no use here. */
static struct acpi_reg get_gas(const u8 *p)
{
    struct acpi_reg r = {.address = get64(p + 4), .port = p[0] == GAS_IO, .bits = p[1]};

    if ((p[0] != GAS_IO && p[0] != GAS_MEMORY) || (r.port && r.address > 0xffff))
        r.address = 0;
    return r;
}

/* The extended field where it is there and fits, else the old one, which names a port. */
static struct acpi_reg fadt_reg(const u8 *f, unsigned old, unsigned extended)
{
    struct acpi_reg r = get_gas(f + extended);

    if (r.address)
        return r;
    r = (struct acpi_reg){.address = get32(f + old), .port = true, .bits = 16};
    if (r.address > 0xffff)
        r.address = 0;
    return r;
}

static void parse_fadt(struct acpi *a, const struct table *t)
{
    struct window w = {.a = a, .t = t};
    struct acpi_info *o = a->out;
    struct acpi_reg timer;
    u8 f[FADT_SIZE];

    window_copy(&w, 0, f, sizeof(f));
    o->fadt = true;
    o->pm1a_control = fadt_reg(f, FADT_PM1A_CNT, FADT_X_PM1A_CNT);
    o->pm1b_control = fadt_reg(f, FADT_PM1B_CNT, FADT_X_PM1B_CNT);
    timer = fadt_reg(f, FADT_PM_TMR, FADT_X_PM_TMR);
    if (timer.port && (f[FADT_PM_TMR_LEN] == 4 || get64(f + FADT_X_PM_TMR + 4)))
        o->pm_timer = (u16)timer.address;
    if (get32(f + FADT_SMI_CMD) <= 0xffff && f[FADT_ACPI_ENABLE]) {
        o->smi_command = (u16)get32(f + FADT_SMI_CMD);
        o->acpi_enable = f[FADT_ACPI_ENABLE];
    }
    if (get32(f + FADT_FLAGS) & FADT_FLAG_RESET) {
        o->reset = get_gas(f + FADT_RESET_REG);
        o->reset_value = f[FADT_RESET_VALUE];
    }
    a->dsdt = get64(f + FADT_X_DSDT);
    if (!a->dsdt)
        a->dsdt = get32(f + FADT_DSDT);
}

static void parse_hpet(struct acpi *a, const struct table *t)
{
    struct window w = {.a = a, .t = t};
    u8 gas[12];

    window_copy(&w, 40, gas, sizeof(gas));
    if (gas[0] == GAS_MEMORY)
        a->out->hpet = get64(gas + 4);
}

/* A small integer object (20.2.3); *at moves behind it. False: something else. */
static bool aml_integer(struct window *w, u32 *at, u8 *value)
{
    u8 op = window_byte(w, (*at)++);

    switch (op) {
    case 0x00:
    case 0x01:
        *value = op;
        return true;
    case 0x0a:
    case 0x0b:
    case 0x0c:
        *value = window_byte(w, *at);
        *at += op == 0x0a ? 1 : op == 0x0b ? 2 : 4;
        return true;
    default:
        return false;
    }
}

/* Name (_S5_, Package {a, b, ...}) at the name; false if it is not of that form. */
static bool parse_s5(struct acpi *a, struct window *w, u32 at)
{
    u8 count, lead;

    at += 4;
    if (window_byte(w, at++) != 0x12)
        return false;
    lead = window_byte(w, at);
    at += 1 + (lead >> 6); /* PkgLength (20.2.4) */
    count = window_byte(w, at++);
    if (!count || !aml_integer(w, &at, &a->out->s5_a))
        return false;
    if (count < 2 || !aml_integer(w, &at, &a->out->s5_b))
        a->out->s5_b = a->out->s5_a;
    a->out->s5 = true;
    return true;
}

/* No interpreter: skep looks for the one name, which is a constant on every machine that matters.
 */
static void parse_dsdt(struct acpi *a)
{
    struct table t;
    struct window w = {.a = a, .t = &t};
    u32 seen = 0;

    if (!a->dsdt || !open_checked(a, a->dsdt, "DSDT", &t))
        return;
    for (u32 at = HEADER_SIZE; at < t.length; at++) {
        u32 start = at - 3;

        seen = seen << 8 | window_byte(&w, at);
        if (seen == 0x5f53355f && parse_s5(a, &w, start))
            return;
    }
    complain(a, "ACPI: the DSDT has no _S5_: the machine may not turn itself off");
}

static void parse_listed(struct acpi *a, hpa_t hpa)
{
    struct table t;

    if (!open_table(a, hpa, "table", &t))
        return;
    if (!is_sig(t.sig, "APIC") && !is_sig(t.sig, "FACP") && !is_sig(t.sig, "HPET") &&
        !is_sig(t.sig, "SPCR") && !is_sig(t.sig, "DBG2"))
        return;
    if (!checksum_good(a, &t))
        complain(a, "ACPI: the checksum of the %s is wrong: it is not used", t.sig);
    else if (t.sig[0] == 'A' && !a->out->madt)
        parse_madt(a, &t);
    else if (t.sig[0] == 'F' && !a->out->fadt)
        parse_fadt(a, &t);
    else if (t.sig[0] == 'H')
        parse_hpet(a, &t);
    else if (t.sig[0] == 'S')
        a->out->spcr = t.hpa;
    else if (t.sig[0] == 'D')
        a->out->dbg2 = t.hpa;
}

static bool parse_root(struct acpi *a, hpa_t hpa, bool extended)
{
    struct table t;
    struct window w = {.a = a, .t = &t};
    u32 width = extended ? 8 : 4;

    if (!open_checked(a, hpa, extended ? "XSDT" : "RSDT", &t))
        return false;
    for (u32 i = 0; i < MAX_ROOT && HEADER_SIZE + (i + 1) * width <= t.length; i++) {
        u8 e[8] = {0};

        window_copy(&w, HEADER_SIZE + i * width, e, width);
        if (get64(e))
            parse_listed(a, get64(e));
    }
    return true;
}

/* Whether an RSDP is sound: 20 bytes have a checksum, and from revision 2 on 36 bytes another. */
static bool rsdp_sound(const u8 *p, size_t len)
{
    if (len < RSDP_V1_SIZE || !is_sig(p, RSDP_SIG) || sum_of(p, RSDP_V1_SIZE))
        return false;
    return p[15] < 2 || len < RSDP_SIZE || !sum_of(p, RSDP_SIZE);
}

/* On a 16-byte boundary of the area (5.2.5.1). */
static bool search_area(struct acpi *a, hpa_t base, u32 size, u8 *rsdp)
{
    for (u32 at = 0; at + RSDP_SIZE <= size; at += 16) {
        if (!fetch(a, base + at, rsdp, 8) || !is_sig(rsdp, RSDP_SIG))
            continue;
        if (fetch(a, base + at, rsdp, RSDP_SIZE) && rsdp_sound(rsdp, RSDP_SIZE))
            return true;
    }
    return false;
}

static bool find_rsdp(struct acpi *a, u8 *rsdp)
{
    u8 segment[2];
    hpa_t ebda = 0;

    if (fetch(a, EBDA_POINTER, segment, sizeof(segment)))
        ebda = (hpa_t)get16(segment) << 4;
    if (ebda >= 0x400 && ebda < 0xa0000 && search_area(a, ebda, 1024, rsdp))
        return true;
    return search_area(a, BIOS_AREA, BIOS_AREA_SIZE, rsdp);
}

void acpi_parse(const struct acpi_reader *r, const void *rsdp, size_t rsdp_len,
                struct acpi_info *out)
{
    struct acpi a = {.r = r, .out = out};
    u8 p[RSDP_SIZE] = {0};
    bool extended;

    memset(out, 0, sizeof(*out));
    memcpy(p, rsdp ? rsdp : p, MIN(rsdp ? rsdp_len : 0, sizeof(p)));
    if (rsdp && !rsdp_sound(p, MIN(rsdp_len, sizeof(p))))
        complain(&a, "ACPI: the checksum of the RSDP that the loader passed on is wrong");
    if ((!rsdp || !rsdp_sound(p, MIN(rsdp_len, sizeof(p)))) && !find_rsdp(&a, p)) {
        complain(&a, "ACPI: there are no tables: skep runs on one processor and cannot turn the "
                     "machine off");
        return;
    }
    out->bochs = is_sig(p + RSDP_OEM, "BOCHS ");
    extended = p[15] >= 2 && get64(p + 24);
    out->present = extended && parse_root(&a, get64(p + 24), true);
    if (!out->present && get32(p + 16))
        out->present = parse_root(&a, get32(p + 16), false);
    if (!out->madt)
        complain(&a, "ACPI: there is no usable MADT: skep runs on one processor");
    if (out->fadt)
        parse_dsdt(&a);
    else
        complain(&a, "ACPI: there is no usable FADT: skep cannot turn the machine off");
}
