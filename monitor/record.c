/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands about what a VM does: exits, what they cost, what it touches, its events in order. */
#include "arch/x86_64/clock.h"
#include "lib/string.h"
#include "monitor/command.h"
#include "monitor/out.h"
#include "vmm/watch.h"

#define EVENTS_SHOWN 40u
#define EVENTS_MOST  160u

/* on, off, clear: takes the word off and does it. False: it was another word, or none. */
static bool switched(struct args *a, u32 what)
{
    const char *w = a->count ? a->word[0] : "";
    bool on = strcmp(w, "on") == 0, off = strcmp(w, "off") == 0;
    struct config_vm *c = &monitor_config()->vms[a->i];
    enum err err = OK;

    if (!on && !off && strcmp(w, "clear") != 0)
        return false;
    if (on)
        c->watch = (u8)(c->watch | what);
    else if (off)
        c->watch = (u8)(c->watch & ~what);
    if (a->vm && off)
        err = watch_end(a->vm, what);
    else if (vm_alive(a->vm) && (on || watch_on(a->vm, what)))
        err = watch_begin(a->vm, what);
    if (err)
        out_error(err == ERR_NOMEM ? "out of memory" : "a vCPU does not answer");
    return true;
}

/* Whether there is something to show; a message if not. */
static const struct watch *recorded(struct args *a, u32 what, const char *command)
{
    if (a->count) {
        out_error("%s on, off or clear", command);
        return NULL;
    }
    if (a->vm && watch_on(a->vm, what))
        return a->vm->watch;
    out_error("nothing is recorded: %s %s on", command, monitor_config()->vms[a->i].name);
    return NULL;
}

/* ---- what it touches ---- */

static void show_learned(const struct learned *l)
{
    static const char *const kinds[] = {"", "port", "page", "msr", "cpuid"};

    out("touched[kind,key,read,written,by", "  %-5s %12llx %10llu %10llu  %s\n", kinds[l->kind],
        (ull)l->key, (ull)l->in, (ull)l->out, l->by ? l->by : "nobody");
}

/* Whether a comes before b: what nobody claimed, then by kind and address. */
COLD static bool before(const struct learned *a, const struct learned *b)
{
    if (!a->by != !b->by)
        return !a->by;
    return a->kind != b->kind ? a->kind < b->kind : a->key < b->key;
}

void cmd_learn(struct args *a)
{
    const struct learned *last = NULL;

    if (switched(a, WATCH_LEARN))
        return;
    const struct watch *w = recorded(a, WATCH_LEARN, "learn");
    if (!w)
        return;
    out("touched[", "  WHAT       ADDRESS       READ    WRITTEN  ANSWERED BY\n");
    for (;;) {
        const struct learned *next = NULL;
        for (const struct learned *l = w->learned; l < w->learned + WATCH_LEARNED; l++)
            if (l->kind && (!last || before(last, l)) && (!next || before(l, next)))
                next = l;
        if (!next)
            break;
        show_learned(next);
        last = next;
    }
    if (w->left_out)
        out("left_out", "  %u accesses to others found no room\n", w->left_out);
}

/* ---- exits ---- */

void cmd_measure(struct args *a)
{
    if (!switched(a, WATCH_MEASURE))
        out_error("measure on, off or clear; exits shows it");
}

void cmd_exits(struct args *a)
{
    const struct vcpu *v = a->v;
    const struct watch *w = watch_on(v->vm, WATCH_MEASURE) ? v->vm->watch : NULL;
    u64 sum = 0;

    if (a->count && (strcmp(a->word[0], "-w") != 0 || out_json())) {
        out_error(out_json() ? "-w is for a person; ask again" : "exits knows -w only");
        return;
    }
    if (a->count)
        monitor_repeat();
    if (w)
        out("", "  REASON                COUNT     MEASURED  CYCLES EACH\n");
    for (unsigned r = 0; r < HVM_EXIT_COUNT; r++) {
        u64 n = w ? w->cost[v->id][r].count : 0;

        sum += v->exits[r];
        if (w && v->exits[r])
            out("reasons[reason,count,measured,cycles_each", "  %-14s %12llu %12llu %12llu\n",
                hvm_exit_name(r), (ull)v->exits[r], (ull)n,
                n ? (ull)(w->cost[v->id][r].cycles / n) : 0);
        else if (v->exits[r])
            out("reasons[reason,count", "  %-14s %12llu\n", hvm_exit_name(r), (ull)v->exits[r]);
    }
    out("-,all", "  %-14s %12llu\n", "all", (ull)sum);
}

/* ---- events in order ---- */

COLD static void show_event(const struct trace_event *e, u64 first)
{
    static const char *const kinds[] = {"exit", "inject", "yield", "on", "off"};
    static const char *const states[] = {"off", "waits", "time over", "halted"};

    out("events[ns,vcpu,cpu,event,what,rip,info,cycles",
        "  %10llu v%u cpu%u %-6s %-13s %016llx %llx %u\n",
        (ull)((e->tsc - first) * 1000000 / clock_tsc_khz()), e->vcpu, e->cpu, kinds[e->kind],
        e->kind == TRACE_EXIT    ? hvm_exit_name(e->code)
        : e->kind == TRACE_YIELD ? states[e->code & 3]
                                 : "",
        (ull)e->rip, (ull)e->info, e->cycles);
}

void cmd_trace(struct args *a)
{
    u64 n = EVENTS_SHOWN;
    bool dump = a->count && strcmp(a->word[0], "dump") == 0;

    if (switched(a, WATCH_TRACE))
        return;
    if (!dump) {
        out_error("trace on, off, clear or dump");
        return;
    }
    args_shift(a);
    if (a->count && !args_number(a, "how many events", &n))
        return;
    const struct watch *w = recorded(a, WATCH_TRACE, "trace");
    if (!w)
        return;
    u64 end = w->events, begin = end - MIN(MIN(n, end), (u64)EVENTS_MOST);
    u64 first = w->trace[begin % WATCH_EVENTS].tsc;
    out("events[", "          NS vCPU CPU EVENT         RIP, INFO, CYCLES\n");
    for (; begin < end; begin++)
        show_event(&w->trace[begin % WATCH_EVENTS], first);
}
