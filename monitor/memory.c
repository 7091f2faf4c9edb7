/* SPDX-License-Identifier: BSD-2-Clause */
/* The command `mem`: memory of the machine, of each VM, and what can be done with it. */
#include "lib/parse.h"
#include "lib/string.h"
#include "mm/frames.h"
#include "mm/kmem.h"
#include "monitor/command.h"
#include "monitor/out.h"
#include "vmm/memory.h"

#define MAP_WIDTH   64
#define MAP_ROWS    16
#define MAX_RANGES  512
#define LINE_RANGES 5

static ull kib(u64 frames)
{
    return (ull)frames * (PAGE_SIZE / KIB);
}

/* ---- the machine ---- */

static void show_vm_line(const struct vm *vm, const struct space_stats *st, const char *names)
{
    out(names,
        "  vm %s: %llu KiB of %llu touched, pages of 4K %llu, 2M %llu, 1G %llu, tables %llu KiB\n",
        vm->name, kib(st->resident_pages), (ull)(vm->config->mem / KIB), (ull)st->leaves[1],
        (ull)st->leaves[2], (ull)st->leaves[3], kib(st->tables));
}

static void show_machine(void)
{
    struct frames *f = &frames_machine;
    struct space_stats st;
    u64 left = 0; /* what the VMs may still ask for */

    out("total_kib,free_kib,used_by_skep_kib,used_at_most_kib",
        "  machine: %llu KiB, %llu free, %llu used by skep, %llu used at most\n", kib(f->total),
        kib(frames_free_count(f)), (ull)(kmem_used() / KIB), kib(f->used_peak));
    for (unsigned i = 0; i < ARRAY_SIZE(vms); i++) {
        if (!vms[i] || vms[i]->state != VM_RUNNING)
            continue;
        space_get_stats(vms[i]->space, &st);
        show_vm_line(vms[i], &st,
                     "vms[vm,touched_kib,mem_kib,pages_4k,pages_2m,pages_1g,tables_kib");
        left += (vms[i]->config->mem >> PAGE_SHIFT) - st.resident_pages;
    }
    out("promised_kib,?overcommitted", "  promised to VMs and not touched yet: %llu KiB%s\n",
        kib(left), left > frames_free_count(f) ? ", more than is free" : "");
}

/* ---- one VM ---- */

static const char *perms_text(unsigned perms)
{
    static const char text[][4] = {"---", "r--", "-w-", "rw-", "--x", "r-x", "-wx", "rwx"};

    return text[perms & NESTED_RWX];
}

static void show_heat(const struct vm_memory *m)
{
    const struct space_heat *h = &m->heat;

    if (m->scanned_ns)
        out("hot_kib,warm_kib,cold_kib,not_touched_kib,scanned_ms_ago",
            "  hot %llu KiB, warm %llu, cold %llu, not touched %llu; scanned %llu ms ago\n",
            kib(h->hot), kib(h->warm), kib(h->cold), kib(h->empty),
            (ull)(clock_ns() - m->scanned_ns) / 1000000);
}

static void show_space(struct vm *vm)
{
    static const char *const kinds[] = {"RAM", "ROM", "devices", "passed through"};
    const struct space *s = vm->space;
    struct space_stats st;

    space_get_stats(vm->space, &st);
    for (unsigned i = 0; i < s->region_count; i++) {
        const struct space_region *r = &s->regions[i];
        out("regions[first,last,rights,kind,?wired,?logged", "  %011llx-%011llx %s %s%s%s\n",
            (ull)r->base, (ull)(r->base + r->size - 1), perms_text(r->perms), kinds[r->kind & 3],
            r->wired ? ", wired" : "", r->log ? ", logged" : "");
    }
    show_vm_line(vm, &st, "vm,touched_kib,mem_kib,pages_4k,pages_2m,pages_1g,tables_kib");
    out("filled_4k,filled_2m,filled_1g,split,promoted,moved,held_back,reclaimed_kib",
        "  filled 4K %llu, 2M %llu, 1G %llu; split %llu, promoted in place %llu, by moving %llu, "
        "held back %llu; reclaimed %llu KiB\n",
        (ull)st.fills[1], (ull)st.fills[2], (ull)st.fills[3], (ull)st.splits, (ull)st.promotions,
        (ull)st.moves, (ull)st.promotions_held, kib(st.reclaimed));
    out("faults,accessed,dirty,devices,denied,no_memory,needless",
        "  faults %llu: accessed %llu, dirty %llu, devices %llu, denied %llu, no memory %llu, "
        "needless %llu\n",
        (ull)st.faults, (ull)st.faults_accessed, (ull)st.faults_dirty, (ull)st.faults_mmio,
        (ull)st.faults_denied, (ull)st.faults_nomem, (ull)st.faults_spurious);
    out("generation,kicks,held", "  generation %llu, kicks %llu, pages held %llu\n",
        (ull)st.generation, (ull)st.kicks, (ull)st.held);
}

COLD static void no_memory(void)
{
    out_error("the machine has no memory for that");
}

static void mem_vm(struct args *a)
{
    show_space(a->vm);
    if (memory_watch(a->vm))
        no_memory();
    show_heat(&a->vm->memory);
}

static void mem_scan(struct args *a)
{
    if (memory_scan(a->vm))
        no_memory();
    show_heat(&a->vm->memory);
}

/* Where memory ends. */
static gpa_t memory_end(const struct space *s)
{
    const struct space_region *last = &s->regions[s->region_count - 1];

    return s->region_count ? last->base + last->size : 0;
}

static void mem_map(struct args *a)
{
    gpa_t gpa = 0, end = memory_end(a->vm->space);
    u64 chunk = PAGE_SIZE;

    if (a->count && !args_number(a, "an address", &gpa))
        return;
    gpa &= ~PAGE_MASK;
    if (a->count && (parse_size(a->word[0], strlen(a->word[0]), &chunk) || !chunk ||
                     !IS_ALIGNED(chunk, PAGE_SIZE) || chunk > BIT(40))) {
        out_error("\"%s\" is no multiple of 4K", a->word[0]);
        return;
    }
    if (!gpa && !a->count)
        while (end / chunk > MAP_WIDTH * MAP_ROWS)
            chunk *= 2;
    if (memory_watch(a->vm)) {
        no_memory();
        return;
    }
    out("cell_kib", "  # hot, + warm, - cold, . not touched; a character is %llu KiB\n",
        (ull)(chunk / KIB));
    for (unsigned i = 0; i < MAP_ROWS && gpa < end; i++, gpa += chunk * MAP_WIDTH) {
        char cells[MAP_WIDTH + 1] = {0};
        space_map(a->vm->space, gpa, chunk, cells, MAP_WIDTH);
        out("rows[at,cells", "  %011llx |%s|\n", (ull)gpa, cells);
    }
}

static void mem_reclaim(struct args *a)
{
    out("reclaimed_kib", "  %llu KiB given back\n", kib(memory_reclaim(a->vm)));
}

/* ---- the dirty log ---- */

static void show_range(void *arg, gpa_t gpa, u64 pages)
{
    unsigned n = (*(unsigned *)arg)++;

    if (n < MAX_RANGES)
        out("ranges[-,at,pages", "%s%llx+%llu",
            n % LINE_RANGES ? " "
            : n             ? "\n  "
                            : "  ",
            (ull)gpa, (ull)pages);
}

static void dirty_harvest(struct vm *vm)
{
    unsigned ranges = 0;
    enum err err;
    u64 ns, pages = memory_log_harvest(vm, show_range, &ranges, &ns, &err);

    if (ranges > MAX_RANGES)
        out("", "\n  and %u ranges more", ranges - MAX_RANGES);
    if (err == ERR_NOMEM)
        no_memory();
    else if (err)
        out_error("no log runs: mem %s dirty start", vm->name);
    else
        out("-,written,-,ns", "%s  %llu pages written, in %u ranges; harvested in %llu ns\n",
            ranges ? "\n" : "", (ull)pages, ranges, (ull)ns);
}

static void mem_dirty(struct args *a)
{
    const char *what = a->count ? a->word[0] : "";
    enum err err = OK;

    if (strcmp(what, "start") == 0)
        err = memory_log_start(a->vm);
    else if (strcmp(what, "harvest") == 0)
        dirty_harvest(a->vm);
    else if (strcmp(what, "stop") == 0)
        memory_log_stop(a->vm);
    else
        out_error("dirty start, dirty harvest or dirty stop");
    if (err == ERR_NOMEM)
        no_memory();
    else if (err)
        out_error("the log of %s runs already, or a vCPU does not answer", a->vm->name);
}

/* ---- permissions ---- */

static void mem_protect(struct args *a)
{
    u64 gpa, size;
    unsigned perms = 0;
    enum err err;

    if (!args_number(a, "an address", &gpa) || !args_number(a, "how many bytes", &size))
        return;
    const char *word = a->count ? a->word[0] : "", *p = word;
    for (; *p && strchr("rwx-", *p); p++)
        perms |= *p == 'r' ? NESTED_R : *p == 'w' ? NESTED_W : *p == 'x' ? NESTED_X : 0;
    if (!*word || *p) {
        out_error("wanted is what the guest may do: r, w, x, some of them, or -");
        return;
    }
    err = space_protect(a->vm->space, gpa, size, perms);
    if (err == ERR_NOMEM)
        no_memory();
    else if (err)
        out_error("%s", err == ERR_NOSUP   ? "the processor has no such permission"
                        : err == ERR_INVAL ? "whole pages only: multiples of 0x1000"
                                           : "there is no memory");
}

/* ---- words ---- */

static const struct {
    const char *name;
    command_fn run;
    unsigned words;
} parts[] = {
    {"map", mem_map, 2},     {"scan", mem_scan, 0},       {"reclaim", mem_reclaim, 0},
    {"dirty", mem_dirty, 1}, {"protect", mem_protect, 3},
};

static struct vm *running_vm(const char *name)
{
    for (unsigned i = 0; i < ARRAY_SIZE(vms); i++)
        if (vms[i] && strcmp(vms[i]->name, name) == 0 && vms[i]->state == VM_RUNNING)
            return vms[i];
    out_error("no VM \"%s\" is running", name);
    return NULL;
}

void cmd_mem(struct args *a)
{
    if (!a->count) {
        show_machine();
        return;
    }
    a->vm = running_vm(a->word[0]);
    if (!a->vm)
        return;
    args_shift(a);
    if (!a->count) {
        mem_vm(a);
        return;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
        if (strcmp(parts[i].name, a->word[0]) != 0 || a->count - 1 > parts[i].words)
            continue;
        args_shift(a);
        parts[i].run(a);
        return;
    }
    out_error("\"%s\" is not understood; help mem", a->word[0]);
}
