/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of commands, their arguments, and the commands about the machine as a whole. */
#include "monitor/command.h"
#include "arch/x86_64/percpu.h"
#include "arch/x86_64/power.h"
#include "drivers/uart/uart.h"
#include "lib/parse.h"
#include "lib/string.h"
#include "monitor/console.h"
#include "monitor/line.h"
#include "monitor/out.h"
#include "monitor/vms.h"

extern const char skep_version[];

/* Its arguments (1), and what it does (2). */
static const char *part(const struct command *c, unsigned n)
{
    const char *text = c->text;

    while (n--)
        text += strlen(text) + 1;
    return text;
}

/* ---- arguments ---- */

static const struct command *command_find(const char *name)
{
    for (const struct command *c = commands; c->text; c++)
        if (strcmp(c->text, name) == 0)
            return c;
    out_error("there is no command \"%s\"; help lists them", name);
    return NULL;
}

void args_shift(struct args *a)
{
    a->count--;
    memmove(a->word, a->word + 1, a->count * sizeof(a->word[0]));
}

static int find_vm(const char *name)
{
    const struct config *c = monitor_config();

    for (unsigned i = 0; i < c->vm_count; i++)
        if (strcmp(c->vms[i].name, name) == 0)
            return (int)i;
    return -1;
}

int vm_by_name(const char *name)
{
    int i = find_vm(name);

    if (i < 0)
        out_error("there is no VM \"%s\"; list shows them", name);
    return i;
}

/* Whether the word could be meant as anything but a VM's name. */
static bool is_other(const char *w)
{
    return (*w >= '0' && *w <= '9') || *w == '-' || strchr(w, '=') ||
           (*w == 'v' && w[1] >= '0' && w[1] <= '9');
}

static bool take_vm(struct args *a)
{
    const struct config *c = monitor_config();
    int i;

    if (a->count && (find_vm(a->word[0]) >= 0 || !is_other(a->word[0]))) {
        i = vm_by_name(a->word[0]);
        if (i < 0)
            return false;
        args_shift(a);
    } else {
        i = c->vm_count == 1 ? 0 : monitor_last_vm();
    }
    if (i < 0) {
        out_error(c->vm_count ? "which VM? list shows them" : "there is no VM");
        return false;
    }
    a->i = (unsigned)i;
    a->vm = vms[i];
    out_data("vm", "%s", c->vms[i].name);
    return true;
}

static bool take_vcpu(struct args *a)
{
    u64 n = 0;

    if (a->count && a->word[0][0] == 'v') {
        if (parse_u64_in(a->word[0] + 1, strlen(a->word[0] + 1), 0, a->vm->vcpu_count - 1, &n)) {
            out_error("%s has no vCPU \"%s\"; it has v0 to v%u", a->vm->name, a->word[0],
                      a->vm->vcpu_count - 1);
            return false;
        }
        args_shift(a);
    }
    a->v = a->vm->vcpu[n];
    out_data("vcpu", "%u", a->v->id);
    return true;
}

bool args_is_vm(const struct args *a)
{
    return find_vm(a->word[0]) >= 0;
}

bool args_vm(struct args *a, bool alive)
{
    if (!take_vm(a))
        return false;
    if (!alive || vm_alive(a->vm))
        return true;
    out_error("%s is not running", monitor_config()->vms[a->i].name);
    return false;
}

/* Finds what the command needs, and sees that nothing is left over. */
static bool take(struct args *a, const struct command *c)
{
    if (c->need != NEED_NOTHING && !args_vm(a, c->need >= NEED_RUNNING))
        return false;
    if (c->need == NEED_VCPU && !take_vcpu(a))
        return false;
    if (a->count <= c->words)
        return true;
    out_error("\"%s\" is too much; %s %s is what can be said", a->word[c->words], c->text,
              part(c, 1));
    return false;
}

bool args_number(struct args *a, const char *what, u64 *out)
{
    if (a->count && parse_u64(a->word[0], strlen(a->word[0]), out) == OK) {
        args_shift(a);
        return true;
    }
    if (a->count)
        out_error("\"%s\" is no number; wanted is %s: 4096 or 0x1000", a->word[0], what);
    else
        out_error("wanted is %s", what);
    return false;
}

void on_vcpu(struct vcpu *v, void (*fn)(struct vcpu *v, void *arg), void *arg)
{
    if (!vcpu_call(v, fn, arg))
        out_error("%s/v%u does not answer: cpu %u is busy", v->vm->name, v->id, v->cpu);
}

/* ---- the machine ---- */

static void cmd_version(struct args *a)
{
    (void)a;
    out("version,back_end,cpus", "  skep %s, %s, %u CPU%s\n", skep_version,
        hvm ? hvm->name : "no back end", cpu_count(), cpu_count() > 1 ? "s" : "");
}

static void power(struct vm *vm)
{
    (void)vm;
    uart_flush();
    machine_poweroff();
}

static void again(struct vm *vm)
{
    (void)vm;
    uart_flush();
    machine_reboot();
}

static void cmd_poweroff(struct args *a)
{
    (void)a;
    command_then(power, NULL);
}

static void cmd_reboot(struct args *a)
{
    (void)a;
    command_then(again, NULL);
}

static void cmd_json(struct args *a)
{
    bool on = a->count && strcmp(a->word[0], "on") == 0;

    if (!a->count || (!on && strcmp(a->word[0], "off") != 0))
        out_error("json on, or json off");
    else
        out_set_json(on);
}

/* The length of the first line. */
static unsigned first_line(const char *text)
{
    const char *end = strchr(text, '\n');

    return (unsigned)(end ? (size_t)(end - text) : strlen(text));
}

static void help_all(void)
{
    for (const struct command *c = commands; c->text; c++)
        out("commands[name,args,what", "  %-9s%-21s %.*s\n", c->text, part(c, 1),
            (int)first_line(part(c, 2)), part(c, 2));
    out("", "A VM left out is the one seen last. The escape key (Ctrl-]) leads here from a\n"
            "console; after it 1-9 lead to that VM, n to the next, the key itself back.\n");
}

static void cmd_help(struct args *a)
{
    const struct command *c = a->count ? command_find(a->word[0]) : NULL;

    if (!a->count) {
        help_all();
    } else if (c) {
        unsigned len = first_line(part(c, 2));
        out("name,args,what", "  %s %s: %.*s\n", c->text, part(c, 1), (int)len, part(c, 2));
        out("example", "  for example: %s\n", part(c, 2)[len] ? part(c, 2) + len + 1 : c->text);
    }
}

const struct command commands[] = {
    {"help\0[COMMAND]\0"
     "what can be said here",
     NEED_NOTHING, 1, cmd_help},
    {"list\0\0"
     "the VMs and how they are",
     NEED_NOTHING, 0, cmd_list},
    {"info\0[VM]\0"
     "what a VM was configured to be, and how it is",
     NEED_VM, 0, cmd_info},
    {"console\0[VM|mix]\0"
     "give the keyboard to a VM; mix: show lines of others too, or not",
     NEED_NOTHING, 1, cmd_console},
    {"log\0[VM] [LINES]\0"
     "what a VM printed last, also after its end\nlog web 20",
     NEED_VM, 1, cmd_log},
    {"start\0[VM]\0"
     "start a VM that is not running, from its modules",
     NEED_VM, 0, cmd_start},
    {"stop\0[VM] [-f]\0"
     "press the power button; -f ends the VM at once\nstop web -f",
     NEED_RUNNING, 1, cmd_stop},
    {"pause\0[VM]\0"
     "stop a VM and its time",
     NEED_RUNNING, 0, cmd_pause},
    {"resume\0[VM]\0"
     "let a paused VM go on",
     NEED_RUNNING, 0, cmd_resume},
    {"reset\0[VM]\0"
     "end a VM and start it again",
     NEED_RUNNING, 0, cmd_reset},
    {"destroy\0[VM]\0"
     "end a VM at once; a created one is forgotten",
     NEED_VM, 0, cmd_destroy},
    {"create\0NAME from VM|N …\0"
     "a VM from another's modules or module N, and words\n"
     "create b from web mem=64M initrd=1 -- quiet",
     NEED_NOTHING, WORDS_ANY, cmd_create},
    {"modules\0\0"
     "the files that are at hand",
     NEED_NOTHING, 0, cmd_modules},
    {"set\0VM KEY=VALUE…|log=LEVEL\0"
     "words of grub.cfg; live: restart= weight= cpus= uart=\nset web mem=64M restart=crash",
     NEED_NOTHING, WORDS_ANY, cmd_set},
    {"regs\0[VM] [vN]\0"
     "a vCPU's registers and the bytes at RIP",
     NEED_VCPU, 0, cmd_regs},
    {"dis\0[VM] [vN] [ADDR] [N]\0"
     "instructions at an address of the code, or at RIP\ndis web 0xffffffff81000000 20",
     NEED_VCPU, 2, cmd_dis},
    {"bt\0[VM] [vN]\0"
     "return addresses, by frame pointers",
     NEED_VCPU, 0, cmd_bt},
    {"x\0[VM] [vN] ADDR [BYTES]\0"
     "memory at a linear address\nx web 0x7c00 128",
     NEED_VCPU, 2, cmd_x},
    {"xp\0[VM] ADDR [BYTES]\0"
     "memory at a guest-physical address\nxp web 0x7c00 128",
     NEED_RUNNING, 2, cmd_xp},
    {"walk\0[VM] [vN] ADDR\0"
     "the page walk of a linear address, entry by entry\nwalk web 0xffffffff81000000",
     NEED_VCPU, 1, cmd_walk},
    {"exits\0[VM] [vN] [-w]\0"
     "how often the guest was left; -w: until a key\nexits web v0",
     NEED_VCPU, 1, cmd_exits},
    {"measure\0[VM] on|off|clear\0"
     "what exits cost, for exits to show\nmeasure web on",
     NEED_VM, 1, cmd_measure},
    {"learn\0[VM] [on|off|clear]\0"
     "record ports, pages, MSRs, CPUID leaves touched; and show them\nlearn web on",
     NEED_VM, 1, cmd_learn},
    {"trace\0[VM] on|off|clear|dump [N]\0"
     "record events in order; show the last\ntrace web dump 20",
     NEED_VM, 2, cmd_trace},
    {"last\0[VM] [vN] [N]\0"
     "the last exits, newest first\nlast web 64",
     NEED_VCPU, 1, cmd_last},
    {"irq\0[VM]\0"
     "state of the PICs, the I/O APIC and the local APICs",
     NEED_RUNNING, 0, cmd_irq},
    {"devices\0[VM]\0"
     "ports and memory that devices answer",
     NEED_RUNNING, 0, cmd_devices},
    {"mem\0[VM [WHAT]]\0"
     "memory of the machine or of a VM; WHAT: map [ADDR [SIZE]], scan, reclaim, "
     "dirty start|harvest|stop, protect ADDR BYTES rwx\nmem web map",
     NEED_NOTHING, 5, cmd_mem},
    {"cpu\0\0"
     "the processors and which vCPUs live there",
     NEED_NOTHING, 0, cmd_cpu},
    {"json\0on|off\0"
     "answer with one JSON object a line, for programs\njson on",
     NEED_NOTHING, 1, cmd_json},
    {"version\0\0"
     "what this is and what it runs on",
     NEED_NOTHING, 0, cmd_version},
    {"poweroff\0\0"
     "turn the machine off, VMs and all",
     NEED_NOTHING, 0, cmd_poweroff},
    {"reboot\0\0"
     "start the machine again",
     NEED_NOTHING, 0, cmd_reboot},
    {0},
};

/* ---- lines ---- */

static void (*then)(struct vm *vm);
static struct vm *then_vm;

void command_then(void (*fn)(struct vm *vm), struct vm *vm)
{
    then = fn;
    then_vm = vm;
}

/* Splits the line into words, in place. False: there are too many. */
static bool split(struct args *a, char *p)
{
    for (;;) {
        while (*p == ' ')
            *p++ = '\0';
        if (!*p)
            return true;
        if (a->count == ARGS_MAX)
            return false;
        a->word[a->count++] = p;
        while (*p && *p != ' ')
            p++;
    }
}

static void carry_out(struct args *a, bool all)
{
    const struct command *c = command_find(a->word[0]);

    if (!c)
        return;
    args_shift(a);
    if (!all && c->words != WORDS_ANY)
        out_error("these are too many words");
    else if (take(a, c))
        c->run(a);
}

void command_run(const char *text)
{
    static char line[LINE_MAX + 1];
    struct args a = {0};
    const char *word;

    str_copy(line, sizeof(line), text);
    parse_word(&text, &word);
    a.rest = text;
    bool all = split(&a, line);
    if (!a.count)
        return;
    then = NULL;
    out_begin(a.word[0]);
    carry_out(&a, all);
    out_end();
    if (then)
        then(then_vm);
}

/* Commands for the first word, and for the second of help; else VMs. */
const char *command_candidate(const char *text, unsigned word, unsigned i)
{
    const struct config *c = monitor_config();

    if (word == 0 || strncmp(text, "help ", 5) == 0)
        return commands[i].text;
    for (unsigned k = 0; k < c->vm_count; k++)
        if (c->vms[k].name[0] && i-- == 0)
            return c->vms[k].name;
    return NULL;
}
