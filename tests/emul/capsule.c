/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Replays a capsule: the line that skep prints for an instruction it could not emulate. Shows what
 * the decoder makes of the bytes, where the memory operand is, the guest's page walk, and what
 * executing it does, with a device standing where the exit said.
 *
 * Usage: capsule 'LINE'          any text before the word "capsule" is skipped
 *        capsule --self-test
 */
#include <stdio.h>
#include <stdlib.h>
#include "tests/emul/machine.h"
#include "vmm/emul/internal.h"

struct capsule {
    unsigned mode;
    bool real, vm86;
    u64 cpl, cr0, cr3, cr4, efer, fl, ip, gpr[GPR_COUNT];
    u8 bytes[INSN_MAX];
    unsigned n;
    struct x86_seg seg[SEG_COUNT];
    u32 have_seg;
    struct emul_exit exit;
    u64 walk[8];
    unsigned walk_n;
};

static struct machine m;

/* ---- reading ---- */

static u64 number(const char **p)
{
    char *end;
    u64 v = strtoull(*p, &end, 16);

    *p = end + (*end == ':');
    return v;
}

static void read_bytes(struct capsule *c, const char *v)
{
    unsigned b;

    while (c->n < INSN_MAX && sscanf(v, "%2x", &b) == 1 && v[0] && v[1]) {
        c->bytes[c->n++] = (u8)b;
        v += 2;
    }
}

static void read_seg(struct capsule *c, unsigned s, const char *v)
{
    if (s >= SEG_COUNT)
        return;
    c->seg[s].sel = (u16)number(&v);
    c->seg[s].attr = (u32)number(&v);
    c->seg[s].limit = (u32)number(&v);
    c->seg[s].base = number(&v);
    c->have_seg |= 1u << s;
}

static void read_exit(struct capsule *c, const char *v)
{
    bool port = v[0] == 'p';

    if (v[0] && v[1])
        v += 2;
    if (port) {
        c->exit.kind = EMUL_EXIT_PORT;
        c->exit.in = number(&v);
        c->exit.size = (u8)number(&v);
        c->exit.port = (u16)number(&v);
        return;
    }
    u64 rw = number(&v);

    c->exit = (struct emul_exit){.kind = EMUL_EXIT_MEMORY, .read = rw & 1, .write = rw >> 1 & 1};
    c->exit.gpa = number(&v);
    c->exit.gla_valid = *v && *v != '-';
    if (c->exit.gla_valid)
        c->exit.gla = number(&v);
}

static bool read_word(struct capsule *c, const char *name, const char *v)
{
    const struct {
        const char *name;
        u64 *to;
    } words[] = {{"cpl", &c->cpl},   {"cr0", &c->cr0}, {"cr3", &c->cr3}, {"cr4", &c->cr4},
                 {"efer", &c->efer}, {"fl", &c->fl},   {"ip", &c->ip}};

    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        if (!strcmp(name, words[i].name)) {
            *words[i].to = number(&v);
            return true;
        }
    }
    if (!strcmp(name, "mode"))
        c->mode = (unsigned)number(&v);
    else if (!strcmp(name, "real"))
        c->real = true;
    else if (!strcmp(name, "vm86"))
        c->vm86 = true;
    else if (!strcmp(name, "b"))
        read_bytes(c, v);
    else if (!strcmp(name, "x"))
        read_exit(c, v);
    else if (name[0] == 'r' && atoi(name + 1) < GPR_COUNT)
        c->gpr[atoi(name + 1)] = number(&v);
    else if (name[0] == 's')
        read_seg(c, (unsigned)atoi(name + 1), v);
    else if (!strcmp(name, "w"))
        while (*v && c->walk_n < ARRAY_SIZE(c->walk))
            c->walk[c->walk_n++] = number(&v);
    else
        return false;
    return true;
}

static bool parse(const char *line, struct capsule *c)
{
    const char *start = strstr(line, "capsule 1");
    char copy[2048], *save = NULL;

    memset(c, 0, sizeof(*c));
    if (!start || strlen(start) >= sizeof(copy))
        return false;
    strcpy(copy, start + 9);
    for (char *w = strtok_r(copy, " \n", &save); w; w = strtok_r(NULL, " \n", &save)) {
        char *eq = strchr(w, '=');

        if (!eq)
            return false;
        *eq = '\0';
        if (!read_word(c, w, eq + 1)) {
            fprintf(stderr, "capsule: the word %s is not known\n", w);
            return false;
        }
    }
    /* %x of 16, 32 and 64 */
    c->mode = c->mode == 0x40 ? INSN_64 : c->mode == 0x20 ? INSN_32 : INSN_16;
    return c->n > 0;
}

/* ---- showing ---- */

static void show_insn(const struct insn *in)
{
    static const char *const segs[] = {"ES", "CS", "SS", "DS", "FS", "GS"};

    printf("decoded   %s, %u bytes, operand %u, address %u bits", insn_name(in->op), in->len,
           8 * in->opsize, 8 * in->asize);
    printf("%s%s%s%s%s\n", in->flags & INSN_LOCK ? ", LOCK" : "",
           in->flags & INSN_REP ? ", REP" : "", in->flags & INSN_REPNE ? ", REPNE" : "",
           in->flags & INSN_REX ? ", REX" : "", in->flags & INSN_VEX ? ", VEX" : "");
    if (!(in->flags & INSN_HAS_MEM))
        return;
    printf("memory    %u bytes %s%s at %s:", in->msize, in->access & INSN_READ ? "r" : "",
           in->access & INSN_WRITE ? "w" : "", segs[in->seg % 6]);
    if (in->base != INSN_NO_REG)
        printf("r%u+", in->base);
    if (in->flags & INSN_RIP_REL)
        printf("rip+");
    if (in->index != INSN_NO_REG)
        printf("r%u*%u+", in->index, 1u << in->scale);
    printf("%llx\n", (unsigned long long)in->disp);
}

static void show_exit(const struct emul_exit *e)
{
    static const char *const kinds[] = {"access", "read", "write", "read and write"};

    if (e->kind == EMUL_EXIT_PORT)
        printf("exit      %s port %x, %u bytes\n", e->in ? "in from" : "out to", e->port, e->size);
    if (e->kind != EMUL_EXIT_MEMORY)
        return;
    printf("exit      %s of %llx", kinds[e->read | e->write << 1], (unsigned long long)e->gpa);
    if (e->gla_valid)
        printf(", linear %llx", (unsigned long long)e->gla);
    printf("\n");
}

/* The entries as the guest's walk met them, a line each, and where they lead. */
static void show_walk(const struct capsule *c)
{
    enum walk_mode mode = walk_mode_of(c->cr0, c->cr4, c->efer);
    unsigned width = mode == WALK_32BIT ? 10 : 9;
    unsigned level = mode == WALK_32BIT ? 2 : mode == WALK_PAE ? 3 : mode == WALK_4LEVEL ? 4 : 5;

    if (!c->walk_n)
        return;
    printf("walk      %llx, %s\n", (unsigned long long)c->walk[0], walk_mode_name(mode));
    for (unsigned i = 1; i < c->walk_n && level; i++, level--) {
        u64 e = c->walk[i], size = BIT(12 + width * (level - 1));
        bool leaf = level == 1 || ((e & PTE_PS) && (mode != WALK_32BIT || c->cr4 & CR4_PSE));

        printf("  level %u %016llx%s%s%s%s%s%s", level, (unsigned long long)e,
               e & PTE_P ? " P" : " absent", e & PTE_W ? " W" : "", e & PTE_U ? " U" : "",
               e & PTE_A ? " A" : "", leaf && (e & PTE_D) ? " D" : "", e & PTE_NX ? " NX" : "");
        if (leaf && (e & PTE_P))
            printf(" -> %llx",
                   (unsigned long long)((e & ADDR_MASK & ~(size - 1)) | (c->walk[0] & (size - 1))));
        printf("\n");
        if (leaf || !(e & PTE_P))
            break;
    }
}

static void show_result(const struct capsule *c, enum emul_result r)
{
    static const char *const names[] = {"done",  "partly done",   "fault",
                                        "retry", "not supported", "stopped"};

    printf("executed  %s", names[r]);
    if (r == EMUL_FAULT)
        printf(": vector %u, error %x, CR2 %llx", m.cpu.fault.vector, m.cpu.fault.error,
               (unsigned long long)m.cpu.fault.cr2);
    if (m.cpu.why && r != EMUL_DONE)
        printf(": %s", m.cpu.why);
    printf("\n");
    for (unsigned i = 0; i < m.accesses && i < MACHINE_LOG; i++)
        printf("%s %s %llx, %u bytes: %llx\n", m.log[i].port ? "port     " : "device   ",
               m.log[i].write ? "write" : "read", (unsigned long long)m.log[i].addr, m.log[i].size,
               (unsigned long long)m.log[i].value);
    for (unsigned i = 0; i < GPR_COUNT; i++) {
        if (i != RSP && m.gpr[i] != c->gpr[i])
            printf("register  r%u: %llx -> %llx\n", i, (unsigned long long)c->gpr[i],
                   (unsigned long long)m.gpr[i]);
    }
    printf("rip       %llx, flags %llx\n", (unsigned long long)m.reg[EMUL_RIP],
           (unsigned long long)m.reg[EMUL_RFLAGS]);
}

/* ---- replaying ---- */

/* Registers as they were; paging off, code in RAM at CS:IP modulo the size of RAM. */
static void build(const struct capsule *c)
{
    machine_init(&m, (enum insn_mode)c->mode, (unsigned)c->cpl);
    memcpy(m.gpr, c->gpr, sizeof(m.gpr));
    m.reg[EMUL_RSP] = c->gpr[RSP];
    m.reg[EMUL_RIP] = c->ip;
    m.reg[EMUL_RFLAGS] = c->fl;
    m.reg[EMUL_CR0] = c->cr0 & ~CR0_PG; /* linear addresses stand for themselves */
    m.reg[EMUL_CR4] = c->cr4;
    m.reg[EMUL_EFER] = c->efer;
    for (unsigned s = 0; s < SEG_COUNT; s++) {
        if (c->have_seg >> s & 1)
            m.seg[s] = c->seg[s];
    }
    m.dev_base = c->exit.gpa & ~PAGE_MASK;
}

static enum emul_result replay(const struct capsule *c)
{
    enum emul_result r;

    build(c);
    emul_begin(&m.cpu, &m.ops, &m, m.gpr);
    m.cpu.exit = c->exit;
    m.cpu.exit.device = c->exit.kind == EMUL_EXIT_MEMORY;
    memcpy(m.cpu.bytes, c->bytes, c->n);
    m.cpu.fetched = (u8)c->n;
    emul_find_mode(&m.cpu);
    switch (insn_decode(c->bytes, c->n, (enum insn_mode)c->mode, &m.cpu.insn)) {
    case INSN_OK:
        break;
    case INSN_SHORT:
        printf("decoded   the bytes end before the instruction does\n");
        return EMUL_UNSUPPORTED;
    case INSN_TOO_LONG:
        printf("decoded   longer than 15 bytes\n");
        return EMUL_FAULT;
    case INSN_UNDEFINED:
        printf("decoded   undefined\n");
        return EMUL_FAULT;
    default:
        printf("decoded   not known\n");
        return EMUL_UNSUPPORTED;
    }
    show_insn(&m.cpu.insn);
    if (m.cpu.insn.flags & INSN_HAS_MEM) {
        gla_t gla;

        r = emul_operand_gla(&m.cpu, m.cpu.insn.msize ? m.cpu.insn.msize : 1,
                             m.cpu.insn.access & INSN_WRITE ? WALK_WRITE : 0, &gla);
        if (r == EMUL_DONE)
            printf("linear    %llx\n", (unsigned long long)gla);
    }
    show_exit(&c->exit);
    show_walk(c);
    r = emul_execute(&m.cpu);
    show_result(c, r);
    return r;
}

/* ---- self-test: a capsule written by the emulator itself comes back the same ---- */

static int self_test(void)
{
    static const u8 code[] = {0x41, 0x8b, 0x44, 0x8e, 0x20}; /* mov eax, [r14+rcx*4+0x20] */
    struct capsule c;
    char line[1024];
    u64 gla = 0x7000005ff000ull;

    machine_init(&m, INSN_64, 0);
    machine_paging(&m);
    machine_map(&m, 0x401000, 0x1000, 0x67);
    machine_map(&m, gla, MACHINE_DEV, 0x67);
    machine_code(&m, 0x1ff0, code, sizeof(code));
    m.reg[EMUL_RIP] = 0x401ff0;
    m.gpr[R14] = gla - 0x40;
    m.gpr[RCX] = 0x10;
    m.dev[0x20] = 0x78;
    emul_begin(&m.cpu, &m.ops, &m, m.gpr);
    m.cpu.exit = (struct emul_exit){.kind = EMUL_EXIT_MEMORY,
                                    .gla_valid = true,
                                    .read = true,
                                    .gpa = MACHINE_DEV + 0x20,
                                    .gla = gla + 0x20};
    if (emul_decode(&m.cpu) != EMUL_DONE)
        return 1;
    if (emul_capsule(&m.cpu, line, sizeof(line)) >= (int)sizeof(line))
        return 1;
    printf("%s\n", line);
    if (!parse(line, &c) || c.walk_n != 5 || c.walk[0] != gla + 0x20 ||
        (c.walk[4] & ~PAGE_MASK) != MACHINE_DEV || c.gpr[R14] != gla - 0x40 || c.mode != INSN_64)
        return 1;
    if (replay(&c) != EMUL_DONE || m.accesses != 1 || m.log[0].addr != MACHINE_DEV + 0x20 ||
        m.log[0].size != 4 || m.log[0].write || m.reg[EMUL_RIP] != 0x401ff0 + sizeof(code))
        return 1;
    printf("capsule: self-test passed\n");
    return 0;
}

int main(int argc, char **argv)
{
    struct capsule c;

    if (argc == 2 && !strcmp(argv[1], "--self-test"))
        return self_test();
    if (argc != 2 || !parse(argv[1], &c)) {
        fprintf(stderr, "usage: capsule 'the line that skep printed'\n");
        return 2;
    }
    return replay(&c) == EMUL_DONE ? 0 : 1;
}
