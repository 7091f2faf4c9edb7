/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The emulator against the processor itself. Each instruction of native_gen.c is executed natively
 * in this process (as 64-bit code, or as 32- and 16-bit code through compatibility-mode segments)
 * and by vmm/emul on a copy of registers and memory, and everything is compared: registers, flags,
 * selectors, vector registers, memory, and on a fault its vector, error code and address.
 *
 * One case is one signal: the bytes behind the instruction are INT3, its handler compares, prepares
 * the next case in the signal frame, and returns into it. A case that differs is made smaller first
 * and then printed.
 *
 * Usage: native [--cases N] [--seed S] [--mode 64|32|16|all] [--coverage] [--only OPCODE-HEX]
 */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "tests/emul/native.h"

#define MAX_REPORTS 10

u8 *data = (u8 *)DATA, *code_alias;
u64 case_no, seed = 1, skipped;
int mode_choice = -1;

static u64 cases = 500000, failures, completed, faulted[32], only = ~0ull;
static bool show_coverage, started;
static struct test t;
static u8 snapshot[DATA_SIZE];
static char *altstack;

/* ---- coverage ---- */

/* Why a form is never completed here, or NULL if it has to be. */
static const char *excuse(const struct form *f)
{
    if ((f->op >= OP_INS && f->op <= OP_OUT))
        return "ports are not a process's; completed by guests/forms";
    if (f->op >= OP_VMOV && !(f->insn.flags & INSN_HAS_MEM))
        return "register-only vector moves are not executed";
    if (!host_has(&f->insn))
        return "this processor does not have it";
    if (f->op == OP_LOAD_FAR_PTR && f->insn.opsize == 8 && is_amd())
        return "AMD's processors take REX.W for nothing here";
    return NULL;
}

static unsigned print_coverage(void)
{
    unsigned holes = 0;

    for (unsigned mode = 0; mode < 3; mode++) {
        if (mode_choice >= 0 && mode != (unsigned)mode_choice)
            continue;
        for (unsigned i = 0; i < form_count[mode]; i++) {
            const struct form *f = &forms[mode][i];
            const struct counted *n = &counts[mode][i];
            bool hole = !n->completed && !excuse(f);
            char name[80];

            form_name(f, name, sizeof(name));
            if (show_coverage)
                printf("%-48s completed %7llu faulted %7llu%s%s\n", name,
                       (unsigned long long)n->completed, (unsigned long long)n->faulted,
                       n->completed || hole ? "" : "  excused: ",
                       n->completed || hole ? "" : excuse(f));
            if (hole)
                printf("hole: %s was never completed\n", name);
            holes += hole;
        }
    }
    return holes;
}

static void count(const struct test *c, const struct outcome *n)
{
    int i = c->status == INSN_OK ? form_index(&c->insn) : -1;

    if (n->fault)
        faulted[n->vector & 31]++;
    else
        completed++;
    if (i >= 0 && n->fault)
        counts[c->mode][i].faulted++;
    else if (i >= 0)
        counts[c->mode][i].completed++;
}

static void finish(void)
{
    static const char *const names[] = {[0] = "#DE",  [5] = "#BR",  [6] = "#UD",  [11] = "#NP",
                                        [12] = "#SS", [13] = "#GP", [14] = "#PF", [17] = "#AC"};
    unsigned holes = cases >= 100000 || show_coverage ? print_coverage() : 0;

    printf("native: %llu cases (seed %llu): %llu completed", (unsigned long long)case_no,
           (unsigned long long)seed, (unsigned long long)completed);
    for (unsigned v = 0; v < ARRAY_SIZE(names); v++) {
        if (names[v])
            printf(", %llu %s", (unsigned long long)faulted[v], names[v]);
    }
    printf("; %llu disagreements, %u holes\n", (unsigned long long)failures, holes);
    fflush(stdout);
    exit(failures || holes ? 1 : 0);
}

/* ---- one case after the other ---- */

static void check_case(ucontext_t *uc)
{
    static struct outcome n, e;
    const char *what;

    memset(&n, 0, sizeof(n));
    collect(uc, &n, &t);
    emulate(&t, &e);
    clean_up(&t);
    what = differs(&t, &n, &e);
    if (shrinking()) {
        shrink_result(&t, what, &n, &e);
        return;
    }
    count(&t, &n);
    if (what && !e.fault && e.st.rip - t.in.rip < t.len) {
        skipped++; /* a branch into its own bytes: the processor went on executing them */
    } else if (what) {
        failures++;
        if (failures <= MAX_REPORTS)
            shrink_begin(&t, what, &n, &e, snapshot);
    }
    if (what)
        memcpy(machine->ram + PHYS_DATA, data, DATA_SIZE);
}

static void next_case(void)
{
    if (shrinking() && shrink_next(&t))
        return;
    if (case_no == cases)
        finish();
    case_no++;
    if (case_no % 512 == 0)
        scramble();
    generate(&t);
    t.in.rip = t.ip + (t.mode == INSN_16 ? 0 : CODE);
    memcpy(snapshot, data, DATA_SIZE);
}

/*
 * The signal's entry: Linux leaves AC as the case had it, and FS. A case that has written FS has
 * changed its base, which C code here relies on: the selector is kept, the base put back.
 */
void native_entry(int sig, siginfo_t *si, void *context);
__asm__(".text\n"
        "native_entry:\n\t"
        "pushfq\n\tandl $~0x40000, (%rsp)\n\tpopfq\n\t"
        "cmpb $0, native_fs_dirty(%rip)\n\tje on_signal\n\t"
        "mov %fs, %eax\n\tmovw %ax, native_fs_sel(%rip)\n\t"
        "push %rdi\n\tpush %rsi\n\tpush %rdx\n\t"
        "movl $158, %eax\n\tmovl $0x1002, %edi\n\tmov native_fs_base(%rip), %rsi\n\tsyscall\n\t"
        "pop %rdx\n\tpop %rsi\n\tpop %rdi\n\t"
        "jmp on_signal\n");
_Static_assert(SYS_arch_prctl == 158 && ARCH_SET_FS == 0x1002, "as the entry code has them");

__attribute__((used)) static void on_signal(int sig, siginfo_t *si, void *context)
{
    ucontext_t *uc = context;
    static bool inside;

    if (inside) {
        fprintf(stderr, "native: signal %d in the handler itself, rip %llx address %p\n", sig,
                (unsigned long long)uc->uc_mcontext.gregs[REG_RIP], si->si_addr);
        _exit(2);
    }
    inside = true;
    if (started)
        check_case(uc);
    started = true;
    next_case();
    launch(uc, &t);
    inside = false;
}

/* ---- start-up ---- */

static void *must(void *p)
{
    if (p == MAP_FAILED) {
        perror("mmap");
        exit(2);
    }
    return p;
}

static void map_memory(void)
{
    int fd = (int)syscall(SYS_memfd_create, "code", 0u);

    if (fd < 0 || ftruncate(fd, CODE_PAGES * PAGE_SIZE) < 0) {
        perror("memfd");
        exit(2);
    }
    must(mmap(data, DATA_PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_POPULATE, -1, 0));
    must(mmap((void *)CODE, CODE_PAGES * PAGE_SIZE, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED,
              fd, 0));
    code_alias =
        must(mmap(NULL, CODE_PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    memset(code_alias, 0xcc, CODE_PAGES * PAGE_SIZE);
    memset(data, 0x5a, DATA_PAGES * PAGE_SIZE);
    mprotect(data + READ_ONLY * PAGE_SIZE, PAGE_SIZE, PROT_READ);
    altstack = must(
        mmap(NULL, 64 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    for (unsigned i = 0; i < CODE_PAGES; i++)
        (void)*(volatile u8 *)(CODE + i * PAGE_SIZE);
}

static void catch_signals(void)
{
    static const int signals[] = {SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    struct sigaction sa = {.sa_sigaction = native_entry,
                           .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    stack_t ss = {.ss_sp = altstack, .ss_size = 64 * PAGE_SIZE};

    sigaltstack(&ss, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(signals); i++)
        sigaction(signals[i], &sa, NULL);
}

static void parse(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *v = i + 1 < argc ? argv[i + 1] : "";

        if (!strcmp(argv[i], "--coverage")) {
            show_coverage = true;
            continue;
        }
        i++;
        if (!strcmp(argv[i - 1], "--cases"))
            cases = strtoull(v, NULL, 0);
        else if (!strcmp(argv[i - 1], "--seed"))
            seed = strtoull(v, NULL, 0);
        else if (!strcmp(argv[i - 1], "--only"))
            only = strtoull(v, NULL, 16);
        else if (!strcmp(argv[i - 1], "--mode"))
            mode_choice = !strcmp(v, "64")   ? INSN_64
                          : !strcmp(v, "32") ? INSN_32
                          : !strcmp(v, "16") ? INSN_16
                                             : -1;
        else {
            fprintf(stderr, "native: what is %s?\n", argv[i - 1]);
            exit(2);
        }
    }
}

int main(int argc, char **argv)
{
    parse(argc, argv);
    syscall(SYS_arch_prctl, ARCH_GET_FS, &native_fs_base);
    rng_state = seed * 0x9e3779b97f4a7c15ull + 1;
    map_memory();
    if (!make_segments()) {
        perror("modify_ldt: 16- and 32-bit segments are not to be had");
        mode_choice = INSN_64;
    }
    forms_prepare(only);
    machine_setup();
    scramble();
    catch_signals();
    __asm__ volatile("int3");
    return 2;
}
