/* SPDX-License-Identifier: BSD-2-Clause */
/* Panic, backtraces, and the symbols for them. Nothing here takes a lock or allocates. */
#include "arch/x86_64/panic.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/ipi.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/paging.h"
#include "arch/x86_64/percpu.h"
#include "arch/x86_64/power.h"
#include "arch/x86_64/trap.h"
#include "lib/assert.h"
#include "lib/print.h"
#include "lib/string.h"

#define MAX_FRAMES 32
#define NOBODY     UINT32_MAX
#define MAX_CODE   16 /* bits */
#define MAX_WORD   32 /* with its terminator */
#define SAME_FIRST 1u /* the word that stands for another */

extern const char text_start[], text_end[], data_start[], data_end[];
/* Function names, packed by boot/symbols.awk, which describes them. */
extern const struct {
    u16 symbols, words;
    u16 word_codes[MAX_CODE], letter_codes[MAX_CODE];
    char letters[48];
    u8 bits[];
} symbol_table;

static void (*panic_sink)(const char *text, size_t len);
static u32 panic_cpu = NOBODY;

void panic_set_sink(void (*sink)(const char *text, size_t len))
{
    panic_sink = sink;
}

bool panic_begun(void)
{
    return __atomic_load_n(&panic_cpu, __ATOMIC_RELAXED) != NOBODY;
}

static void say(const char *fmt, ...) PRINTF(1, 2);
static void vsay(const char *fmt, va_list ap)
{
    char line[160];
    int n = fmt_vprint(line, sizeof(line), fmt, ap);

    if (panic_sink)
        panic_sink(line, MIN((size_t)n, sizeof(line) - 1));
}

static void say(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsay(fmt, ap);
    va_end(ap);
}

static u32 read_bit(u32 *at)
{
    u32 i = (*at)++;

    return symbol_table.bits[i / 8] >> (7 - i % 8) & 1;
}

/* The number of the next code of an alphabet, which says how many it has of each length. */
static u32 read_code(u32 *at, const u16 *codes)
{
    u32 code = read_bit(at), number = 0;

    for (; code >= *codes; codes++) {
        number += *codes;
        code = (code - *codes) << 1 | read_bit(at);
    }
    return number + code;
}

static u32 read_ones(u32 *at)
{
    u32 n = 0;

    while (read_bit(at))
        n++;
    return n;
}

static u32 read_distance(u32 *at)
{
    u32 d = read_ones(at);

    for (unsigned i = 0; i < 7; i++)
        d = d << 1 | read_bit(at);
    return d;
}

/* The text of word `number`; returns where the next one is. Each begins like the one before it. */
static u32 find_word(u32 number, char text[MAX_WORD])
{
    u32 at = 0, len, letter;

    for (; number > SAME_FIRST; number--) {
        len = read_ones(&at);
        while ((letter = read_code(&at, symbol_table.letter_codes)) != 0)
            if (len + 1 < MAX_WORD)
                text[len++] = symbol_table.letters[letter];
        text[len] = 0;
    }
    return at;
}

void symbol_format(u64 addr, char *buf, size_t size)
{
    char word[MAX_WORD];
    u64 offset = addr - (u64)text_start, start = 0, next;
    u32 at = find_word(symbol_table.words + SAME_FIRST, word), name = 0, prefix = 0, first, number;
    size_t len = 0;

    for (u32 i = 0; i < symbol_table.symbols; i++) {
        next = start + read_distance(&at);
        if (next > offset)
            break;
        start = next;
        name = at;
        first = read_code(&at, symbol_table.word_codes);
        if (!read_code(&at, symbol_table.word_codes))
            continue;
        if (first != SAME_FIRST)
            prefix = first;
        while (read_code(&at, symbol_table.word_codes))
            ;
    }
    if (addr < (u64)text_start || addr >= (u64)text_end || !name) {
        str_copy(buf, size, "?");
        return;
    }
    while ((number = read_code(&name, symbol_table.word_codes)) != 0) {
        find_word(number == SAME_FIRST ? prefix : number, word);
        len += (size_t)fmt_print(buf + len, size - len, len ? "_%s" : "%s", word);
        len = MIN(len, size - 1);
    }
    fmt_print(buf + len, size - len, "+%#lx", offset - start);
}

static void say_address(u64 addr)
{
    char symbol[96];

    symbol_format(addr, symbol, sizeof(symbol));
    say("  %016lx %s\n", addr, symbol);
}

/* Whether two words at p can be read: the chain may be broken. */
static bool readable(u64 p)
{
    u32 flags;
    hpa_t hpa;

    if (p & 7)
        return false;
    if (!host_pt.root)
        return p >= (u64)data_start && p + 16 <= (u64)data_end;
    return p >= IMAGE_BASE && paging_lookup(&host_pt, p, &hpa, &flags) &&
           paging_lookup(&host_pt, p + 8, &hpa, &flags);
}

void backtrace(u64 rip, u64 rbp)
{
    say("backtrace:\n");
    say_address(rip);
    for (unsigned n = 0; n < MAX_FRAMES && readable(rbp); n++) {
        const u64 *frame = (const u64 *)rbp;

        if (!frame[1])
            break;
        /* One less: a call at a function's end returns behind it. */
        say_address(frame[1] - 1);
        if (frame[0] <= rbp && frame[0])
            say("  (on another stack)\n");
        rbp = frame[0];
    }
}

/* The general registers but RSP, which a trap frame has in the opposite order, from R15 up. */
static void say_registers(const struct trap_frame *f)
{
    enum { GENERAL = 15 };
    const u64 *from_r15 = (const u64 *)f;
    static const char names[] = "rax\0rbx\0rcx\0rdx\0rsi\0rdi\0rbp\0r8\0r9\0r10\0r11\0r12\0r13\0"
                                "r14\0r15";

    say("rip %016lx rsp %016lx rflags %08lx\n", f->rip, f->rsp, f->rflags);
    for (unsigned i = 0; i < GENERAL; i++)
        say("%-3s %016lx%c", text_nth(names, i), from_r15[GENERAL - 1 - i],
            i % 4 == 3 || i + 1 == GENERAL ? '\n' : ' ');
}

/* One CPU panics; another that comes here stops, the same one again has broken the panic itself. */
static void begin(void)
{
    u32 nobody = NOBODY, me = this_cpu()->id;

    cpu_cli();
    if (__atomic_compare_exchange_n(&panic_cpu, &nobody, me, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST)) {
        ipi_nmi_others();
        return;
    }
    if (nobody == me)
        say("skep: panic: again, while the first was being printed\n");
    machine_halt();
}

static void say_reason(const char *fmt, va_list ap)
{
    say("\nskep: panic on CPU %u: ", this_cpu()->id);
    vsay(fmt, ap);
    say("\n");
}

static void say_control(void)
{
    say("cr0 %08lx cr2 %016lx cr3 %010lx cr4 %08lx\n", cpu_read_cr0(), cpu_read_cr2(),
        cpu_read_cr3(), cpu_read_cr4());
}

void panic(const char *fmt, ...)
{
    va_list ap;

    begin();
    va_start(ap, fmt);
    say_reason(fmt, ap);
    va_end(ap);
    say_control();
    /* One less: a call at a function's end returns behind it. */
    backtrace((u64)__builtin_return_address(0) - 1, *(u64 *)__builtin_frame_address(0));
    machine_halt();
}

void panic_trap(const struct trap_frame *f, const char *fmt, ...)
{
    va_list ap;

    begin();
    va_start(ap, fmt);
    say_reason(fmt, ap);
    va_end(ap);
    say_registers(f);
    say_control();
    backtrace(f->rip, f->rbp);
    machine_halt();
}

void assert_fail(const char *expr, const char *file, int line)
{
    panic("assertion failed: %s (%s:%d)", expr, file, line);
}

/* Called by functions whose stack canary was overwritten. */
u64 __stack_chk_guard = 0x595e9fbd94fda766;
NORETURN void __stack_chk_fail(void);
void __stack_chk_fail(void)
{
    panic("a stack canary was overwritten");
}
