/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest space: the guest-physical memory of one VM, as regions of RAM, ROM, emulated device
 * memory (MMIO) and pass-through memory, backed by nested tables. The only way from a
 * guest-physical address to bytes.
 *
 * Order of use. space_init; space_add_*; then vCPUs run and loaders and devices access, on any
 * CPUs at the same time; space_fini when no view is attached and nothing is held. The regions do
 * not change between the first access and space_fini.
 *
 * Locking. All functions take what lock they need themselves and may be called on any CPU,
 * interrupts off, outside the guest (no view of this CPU between space_enter and space_leave),
 * with holds open. A lock is taken only when something must be filled or changed; touching a page
 * that is there takes none. space_protect, space_promote, space_log_* and space_reclaim wait until
 * the CPUs that are in the guest have left it.
 *
 * Holds. A held page cannot move, vanish or be promoted until it is released. Holds are for the
 * duration of one operation: what waits (a sleeping vCPU) holds nothing. See space_fault.c for why
 * this is safe without a lock.
 */
#ifndef MM_SPACE_H
#define MM_SPACE_H

#include "lib/lock.h"
#include "lib/types.h"
#include "mm/nested.h"

#define SPACE_MAX_REGIONS 32
#define SPACE_MAX_VIEWS   64   /* vCPUs */
#define SPACE_MAX_RIGHTS  32   /* ranges of pages not filled, with permissions of their own */
#define SPACE_HOLD_SLOTS  1024 /* hold counters; a page's is its number modulo this */

enum space_kind { SPACE_RAM, SPACE_ROM, SPACE_DEVICE, SPACE_PASS };

/* Kinds of access, may be combined. */
#define SPACE_READ  NESTED_R
#define SPACE_WRITE NESTED_W
#define SPACE_EXEC  NESTED_X

enum space_result {
    SPACE_RESOLVED, /* filled or allowed now: let the guest try again */
    SPACE_MMIO,     /* no memory there: emulate; a device's business or open bus */
    SPACE_DENIED,   /* memory, but not with this access: ROM written, permission taken away */
    SPACE_NOMEM,    /* the machine has no frame left for it: stop the VM */
};

/* Permissions of a range that a page gets when it is filled, instead of its region's. */
struct space_rights {
    gpa_t base, end;
    unsigned perms;
};

struct space_region {
    gpa_t base;
    u64 size;
    hpa_t hpa;  /* SPACE_PASS only */
    u8 kind;    /* enum space_kind */
    u8 perms;   /* what a new page is allowed: NESTED_* */
    u8 type;    /* enum nested_memtype */
    bool wired; /* filled, and its frames stay where they are; under lock */
    bool log;   /* writes are being logged; under lock */
    u8 *ages;   /* scans since a page's last access, a byte a page; NULL before the first scan */
    u64 *noted; /* a bit a page: space_log_notes; NULL before the first log of that kind */
};

/*
 * One vCPU's view of the space: which generation of the tables its processor has in its TLB, and
 * where it runs. Embedded in the vCPU; zeroed before space_attach.
 */
struct space_view {
    u64 seen; /* generation at the last flush; own CPU writes */
    u64 want; /* generation at the last entry; own CPU writes */
    u32 on;   /* CPU number + 1 while in the guest, else 0 */
    u32 slot; /* in space->views */
};

/* Counters, each a u64. */
struct space_stats {
    u64 resident_pages; /* 4 KiB frames behind the guest's memory */
    u64 leaves[NESTED_MAX_LEAF + 1];
    u64 tables;                     /* nested table pages */
    u64 fills[NESTED_MAX_LEAF + 1]; /* leaves filled so far, by level */
    u64 faults;                     /* calls of space_fault */
    u64 faults_accessed;            /* of these, settled by marking accessed */
    u64 faults_dirty;               /* settled by marking dirty, and accessed if it was not */
    u64 faults_spurious;            /* nothing was to be done: another CPU was faster */
    u64 faults_mmio, faults_denied, faults_nomem;
    u64 splits;          /* large leaves split */
    u64 promotions;      /* large leaves made of small ones, in place */
    u64 moves;           /* ... whose contents had to be moved together */
    u64 promotions_held; /* not made, because a page was held */
    u64 reclaimed;       /* 4 KiB pages taken back from the guest */
    u64 generation;
    u64 kicks; /* CPUs interrupted by invalidations */
    u64 held;  /* holds open now */
};

/*
 * Where cold pages go that are not zero, if a space has such a place. Called with the space's lock
 * held, so quickly and without a call back; gpa is a page's, and so is what the pointer leads to.
 *   put:  keeps a copy; false if it will not, and the page stays where it is.
 *   get:  copies to `page` what it keeps for gpa, and keeps it still; false if that is nothing.
 *   drop: forgets it: the page is the guest's again.
 * What it keeps when the space ends is its own to forget.
 */
struct space_store {
    bool (*put)(void *arg, gpa_t gpa, const void *page);
    bool (*get)(void *arg, gpa_t gpa, void *page);
    void (*drop)(void *arg, gpa_t gpa);
    void *arg;
};

struct space_config {
    struct nested_caps caps;
    const struct frame_source *src; /* must outlive the space */
    /* Makes CPU `cpu` leave the guest soon (an IPI); must not wait. May be NULL with one CPU. */
    void (*kick)(void *arg, unsigned cpu);
    void *kick_arg;
    bool fill_boot; /* space_add_ram fills at once, with the largest pages */
    u8 demand_leaf; /* largest leaf a demand fill makes: 1, 2 or 3; 0 means 2 */
    u64 reserve;    /* no large demand fill that would leave fewer free frames than this */
    const struct space_store *store; /* must outlive the space; NULL: none */
};

struct space {
    struct nested tables;                           /* structure changes under lock */
    struct space_region regions[SPACE_MAX_REGIONS]; /* sorted by base */
    unsigned region_count;
    gpa_t hole, hole_size; /* no memory here, around where the devices are: see region_add */
    bool fill_boot;
    bool noting; /* a log is kept by space_log_notes */
    u8 demand_leaf;
    u8 promote_leaf;      /* largest leaf that small ones are made into */
    gpa_t clock;          /* where reclaim goes on */
    unsigned tidy_region; /* where space_tidy goes on: a region, and how far in it */
    u64 tidy_offset;
    u64 reserve;
    const struct space_store *store;
    void (*kick)(void *arg, unsigned cpu);
    void *kick_arg;
    u64 generation ALIGNED(64); /* of the tables; starts at 1 */
    struct spinlock lock ALIGNED(64);
    struct space_rights rights[SPACE_MAX_RIGHTS]; /* in no order; under lock */
    unsigned rights_count;
    u32 filling; /* fills between allocation and mapping; atomically */
    struct space_view *views[SPACE_MAX_VIEWS]; /* under lock */
    struct space_stats stats;                  /* counters; atomically, relaxed */
    u32 holds[SPACE_HOLD_SLOTS] ALIGNED(64);   /* open holds by page number; atomically */
};

/*
 * OK, ERR_NOMEM, or ERR_INVAL for a configuration that makes no sense. The space is large (two
 * pages): allocate it by kmem_alloc. It need not be zeroed.
 */
enum err space_init(struct space *s, const struct space_config *cfg);

/*
 * Adds a region. gpa and size are multiples of 4 KiB, size not 0. OK; ERR_INVAL for alignment;
 * ERR_RANGE beyond what the processor can address or when it wraps; ERR_EXISTS if it overlaps
 * another; ERR_NOMEM for want of a slot, or of memory with fill_boot (what was filled stays until
 * space_fini).
 *   ram:  read, write, execute; zeroed.
 *   rom:  read, execute; zeroed; written by space_load only.
 *   mmio: never mapped; a fault says SPACE_MMIO, as it does where there is no region.
 *   pass: maps hpa for the space's whole life, at once, with the given permissions and type; the
 *         frames are not the space's own.
 */
enum err space_add_ram(struct space *s, gpa_t gpa, u64 size);
enum err space_add_rom(struct space *s, gpa_t gpa, u64 size);
enum err space_add_mmio(struct space *s, gpa_t gpa, u64 size);
enum err space_add_pass(struct space *s, gpa_t gpa, hpa_t hpa, u64 size, unsigned perms,
                        enum nested_memtype type);

/*
 * Gives every frame back: memory and tables. No view may be attached. Returns how many holds
 * were still open: anything but 0 is a defect of the caller's (and is for it to report).
 */
u64 space_fini(struct space *s);

/*
 * Settles a nested fault: fills the page, sets an emulated accessed or dirty bit. access is a
 * combination of SPACE_*; any gpa is allowed.
 */
enum space_result space_fault(struct space *s, gpa_t gpa, unsigned access);

/*
 * Whether a fault at gpa is certainly a device's business: what space_fault looks at first, for
 * callers that settle such faults quickly. Counted like those that space_fault settles.
 */
static ALWAYS_INLINE bool space_fault_in_hole(struct space *s, gpa_t gpa)
{
    if (gpa - s->hole >= s->hole_size)
        return false;
    __atomic_fetch_add(&s->stats.faults, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&s->stats.faults_mmio, 1, __ATOMIC_RELAXED);
    return true;
}

/*
 * Holds the page of gpa for an access (a combination of SPACE_*) and returns a pointer to the byte
 * at gpa; [gpa, gpa + len) must lie in one 4 KiB page. The page is filled if need be and marked
 * accessed, and dirty for SPACE_WRITE. Each success needs one space_release with any address in
 * that page, on any CPU. NULL, and nothing held, if the range crosses a page, if there is no
 * memory or the guest may not access it so, or if the machine is out of memory: space_fault with
 * the same access tells which. Pass-through memory cannot be held: NULL, though space_fault says
 * SPACE_RESOLVED.
 */
void *space_hold_for(struct space *s, gpa_t gpa, size_t len, unsigned access);

/* To read, or to read and write. */
static inline void *space_hold(struct space *s, gpa_t gpa, size_t len, bool write)
{
    return space_hold_for(s, gpa, len, write ? SPACE_READ | SPACE_WRITE : SPACE_READ);
}

/* The counter of the page of gpa. */
static inline u32 *space_hold_slot(struct space *s, gpa_t gpa)
{
    return &s->holds[gpa >> PAGE_SHIFT & (SPACE_HOLD_SLOTS - 1)];
}

static inline void space_release(struct space *s, gpa_t gpa)
{
    __atomic_fetch_sub(space_hold_slot(s, gpa), 1, __ATOMIC_RELEASE);
}

/*
 * Copies between guest memory and a buffer, or zeroes guest memory; any length, pages may be
 * crossed, memory written counts as dirty. OK; ERR_RANGE where there is no memory or it is not to
 * be accessed so; ERR_NOMEM when the machine is out of frames. On failure the bytes before the
 * offending page have been copied. space_load writes ROM too: for loaders, before the guest runs.
 * Pages that were never filled read as zero, and neither space_read nor space_zero fills them.
 */
enum err space_read(struct space *s, gpa_t gpa, void *buf, size_t len);
enum err space_write(struct space *s, gpa_t gpa, const void *buf, size_t len);
enum err space_zero(struct space *s, gpa_t gpa, u64 len);
enum err space_load(struct space *s, gpa_t gpa, const void *buf, size_t len);

/*
 * Sets what the guest may do with [gpa, gpa + size), multiples of 4 KiB in RAM, ROM or pass
 * regions; a page that is not filled yet gets these permissions when it is. Seen by all vCPUs
 * before it returns or at their next instruction. OK; ERR_INVAL; ERR_RANGE, with nothing changed,
 * outside such regions; ERR_NOSUP where the processor has no such permission; ERR_NOMEM for want of
 * a table, or of a note for pages that are not filled (they are filled if there are
 * SPACE_MAX_RIGHTS already, and memory).
 */
enum err space_protect(struct space *s, gpa_t gpa, u64 size, unsigned perms);

/*
 * Makes large leaves of small ones wherever all 512 are there and alike, in [gpa, gpa + size):
 * in place where their frames are contiguous; else, for 2 MiB leaves and if `move`, by moving the
 * contents into a free block. Happens by itself when a page fill completes 2 MiB and when
 * permissions become uniform again; this is for whoever has split for a time. Returns how many
 * leaves it made. Vcpus that touch the range meanwhile wait.
 */
u64 space_promote(struct space *s, gpa_t gpa, u64 size, bool move);

/*
 * A small part of that for all memory, to be called now and then: looks at the next `chunks` times
 * 2 MiB, and makes one large leaf at most, by moving too if enough of it is in use. Returns whether
 * it made one. One user at a time.
 */
bool space_tidy(struct space *s, unsigned chunks);

/*
 * The dirty log of the RAM region at gpa: which of its 4 KiB pages have been written since the log
 * was started or last harvested, by the guest or through space_hold and the copies. One user at a
 * time a region; vCPUs may run.
 *
 * start: large leaves are split for as long as the log runs. OK; ERR_NOENT if there is no RAM;
 *   ERR_BUSY if it runs already; ERR_NOMEM for the tables. noting: the processors tell which pages
 *   become dirty (page-modification logging), and somebody hands that on by space_log_notes, from
 *   before the start until after the stop. Then a harvest looks at what was noted, and at nothing
 *   else; what a vCPU's processor still has is to be handed on before.
 * harvest: sets a bit for each page written (bit i of the words is page i of the region; other
 *   bits stay), and arms the log again. Returns how many; 0 if no log runs. What a vCPU wrote
 *   before the return to a page that is reported is in memory. A page that is
 *   still held when the harvest is done with it is reported again by the next one.
 * stop: ends the log, and makes large leaves again.
 */
enum err space_log_start(struct space *s, gpa_t gpa, bool noting);
u64 space_log_harvest(struct space *s, gpa_t gpa, u64 *bitmap);
void space_log_stop(struct space *s, gpa_t gpa);

/* The pages of these addresses, any, have become dirty. Any CPU; takes no lock. */
void space_log_notes(struct space *s, const gpa_t *gpa, unsigned count);

/* Ages: scans since the last access, up to SPACE_AGE_MAX; or that the page is not there. */
#define SPACE_AGE_MAX  254
#define SPACE_AGE_NONE 255
/* Up to this age a page is warm, beyond it cold; at age 0 it is hot. */
#define SPACE_AGE_WARM 3

struct space_heat {
    u64 hot, warm, cold; /* 4 KiB pages that are there */
    u64 empty;           /* pages of RAM and ROM that are not */
};

/*
 * One scan for the working set: each page that has been accessed since the last scan becomes hot,
 * the others grow older by one. A large leaf counts whole. Scan at regular intervals. OK, with
 * *out filled in; ERR_NOMEM for the ages (a byte a page, at the first scan). One user at a time.
 */
enum err space_scan(struct space *s, struct space_heat *out);

/* The age of the page of gpa as of the last scan; SPACE_AGE_NONE if it is not filled. */
u8 space_age(struct space *s, gpa_t gpa);

/*
 * A picture of guest-physical memory from gpa on, as of the last scan: n cells of chunk bytes each
 * (a multiple of 4 KiB, not 0), without a terminator. A cell shows the hottest page in it:
 *   '#' hot   '+' warm   '-' cold   '.' memory not filled   ' ' no memory
 */
void space_map(struct space *s, gpa_t gpa, u64 chunk, char *cells, size_t n);

/*
 * Takes back RAM that is not in use: pages that have not been accessed since they were last looked
 * at (by space_scan or by this function, which then gives them a second chance), that are zero
 * from end to end (or that the space's store takes), not held, not dirty in a running log, and with
 * no permissions of their own. The guest finds them as they were when it touches them again. Large
 * leaves that hold enough such pages are split. Goes on where it last ended, once around at most.
 * Returns how many 4 KiB pages came free, about max_pages at most.
 */
u64 space_reclaim(struct space *s, u64 max_pages);

/*
 * Wires the RAM region at gpa: fills what is not filled yet, and keeps all its frames where they
 * are until space_fini, neither moved nor taken back; for memory that a device reaches by
 * host-physical addresses. OK; ERR_NOENT if there is no RAM; ERR_NOMEM, and it is not wired.
 */
enum err space_wire(struct space *s, gpa_t gpa);

/* The region that contains gpa, or NULL. */
const struct space_region *space_region_at(const struct space *s, gpa_t gpa);

/* Physical address of the top table, for the back end. Constant. */
static inline hpa_t space_root(const struct space *s)
{
    return s->tables.root;
}

/* First guest-physical address that can never be mapped. */
static inline gpa_t space_limit(const struct space *s)
{
    return s->tables.limit;
}

void space_get_stats(struct space *s, struct space_stats *out);

/*
 * The generation protocol. Each change of the tables that takes something away raises the
 * generation and kicks the CPUs that are in the guest; each vCPU compares before entry.
 *
 *     space_attach(s, &v->view)                        once, at creation
 *     ...
 *     interrupts off
 *     if (v->cpu_changed) space_moved(&v->view);       its TLB on the new CPU is of unknown age
 *     if (space_enter(s, &v->view, this_cpu()->id)) {
 *         hvm->flush(v);
 *         space_flushed(&v->view);
 *     }
 *     ASSERT(space_current(&v->view));                 checked build
 *     hvm->run(v, &exit);
 *     space_leave(&v->view);                           first thing after the exit
 *
 * space_leave must come before anything that takes a lock or waits. Between space_enter and the
 * guest's first instruction interrupts stay off, so that a kick sent in between ends that entry at
 * once.
 */

/* ERR_NOMEM when SPACE_MAX_VIEWS are attached. */
enum err space_attach(struct space *s, struct space_view *v);
void space_detach(struct space *s, struct space_view *v);

/* About to enter the guest on CPU `cpu`. Returns whether this vCPU's translations must go first. */
static ALWAYS_INLINE bool space_enter(const struct space *s, struct space_view *v, unsigned cpu)
{
    /* A full barrier: `on` is visible before the generation is read; see space_invalidate. */
    __atomic_exchange_n(&v->on, cpu + 1, __ATOMIC_SEQ_CST);
    v->want = __atomic_load_n(&s->generation, __ATOMIC_SEQ_CST);
    return v->want != v->seen;
}

/* The flush that space_enter asked for has been done, or will be by the entry itself. */
static ALWAYS_INLINE void space_flushed(struct space_view *v)
{
    __atomic_store_n(&v->seen, v->want, __ATOMIC_RELEASE);
}

/* Whether the entry may proceed: what checked builds assert right before it. */
static ALWAYS_INLINE bool space_current(const struct space_view *v)
{
    return v->on != 0 && v->seen == v->want;
}

/* Out of the guest. */
static ALWAYS_INLINE void space_leave(struct space_view *v)
{
    __atomic_store_n(&v->on, 0, __ATOMIC_RELEASE);
}

/* The vCPU has been loaded on another CPU, or its TLB tag has changed: the next entry flushes. */
static inline void space_moved(struct space_view *v)
{
    __atomic_store_n(&v->seen, 0, __ATOMIC_RELAXED);
}

/*
 * The one door for changes that must be seen: raises the generation and kicks. On return every
 * vCPU that is in the guest with older translations has been told to leave; space_wait waits until
 * they have.
 */
void space_invalidate(struct space *s);

/*
 * Waits until no vCPU can use a translation older than now: what was unmapped before
 * space_invalidate may be reused. Takes as long as the slowest kicked CPU needs to exit.
 */
void space_wait(struct space *s);

#endif
