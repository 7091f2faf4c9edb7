# SPDX-License-Identifier: BSD-2-Clause
"""Guest memory on machines with each kind of nested table: what the guest did, page by page, beside
what skep says it did; and memory that changes under a running guest."""
import re
import time

import pytest

import image
from machines import ESCAPE, PROMPT, SHELL, Monitor, Shell, guest_elf, machine, on, skep_iso
from tree import work_dir

PAGES = 1024
SETS = {"r": range(2, PAGES, 7), "w": range(1, PAGES, 5), "i": range(9, PAGES, 64),
        "o": range(33, PAGES, 64), "f": range(PAGES)}


def long(params):
    """Not every day."""
    return [pytest.param(*p.values, marks=[*p.marks, pytest.mark.long]) for p in params]


# Each kind of accessed and dirty bits: nested pages, emulated, EPT's own with page-modification
# logging; and, less often, EPT's own without it, and nested pages with next-RIP.
KINDS = on("qemu-2cpu", "bochs-ivy_bridge", "bochs-skylake_x", group="memory")
KINDS += long(on("bochs-haswell", "bochs-zambezi", "bochs-ivy_bridge-2cpu", "bochs-skylake_x-2cpu",
                 "bochs-zambezi-2cpu", group="memory"))


EMPTY = (1 << 64) - 1  # what reading finds where nobody answers


class Memory(Monitor):
    """A machine with the guest `memory` as its VM m."""

    def __init__(self, host, kind):
        super().__init__(host)
        self.kind = kind
        self.two = kind.endswith("2cpu")
        host.expect(PROMPT, 120)
        self.say("start m")
        self.area = int(self.key("", r"memory: area ([0-9a-f]+), \d+ pages, \d+ CPUs").group(1), 16)

    def key(self, key, answer=None, name="m"):
        """Types a key to the guest; gives the match of its answer. The prompt is back then."""
        self.host.send_line(f"console {name}")
        self.host.expect(rf"\[console of {name}\]\r\n", 20)
        if key:
            self.host.send(key)
        found = self.host.expect(answer or rf"memory: {key} (\d+) pages, (\d+) each\r\n", 120)
        self.host.send(ESCAPE)
        self.host.expect(PROMPT, 20)
        return found

    def ticks(self, key, name="m"):
        return int(self.key(key, name=name).group(2))

    def harvest(self):
        """(the area's pages written, all pages counted)."""
        text = self.say("mem m dirty harvest", 60)
        pages, total = set(), 0
        for gpa, count in re.findall(r"\b([0-9a-f]+)\+(\d+)", text):
            first = (int(gpa, 16) - self.area) // 4096
            total += int(count)
            pages.update(p for p in range(first, first + int(count)) if 0 <= p < PAGES)
        assert total == int(re.search(r"(\d+) pages written", text).group(1))
        return pages

    def exits(self, name):
        found = re.search(rf"\b{name} +(\d+)", self.say("exits m"))
        return int(found.group(1)) if found else 0

    def harvest_ns(self):
        return int(re.search(r"harvested in (\d+) ns", self.say("mem m dirty harvest", 60)).group(1))

    def shades(self):
        """The working set's picture of the area, a character a page."""
        cells = ""
        for gpa in range(self.area, self.area + PAGES * 4096, 1024 * 4096):
            cells += "".join(re.findall(r"\|(.{64})\|", self.say(f"mem m map {gpa:#x} 4K")))
        assert len(cells) == PAGES
        return cells

    def counters(self, name="m"):
        text = self.say(f"mem {name}")
        names = {"split": r"split (\d+)", "in place": r"promoted in place (\d+)",
                 "moved": r"by moving (\d+)", "held back": r"held back (\d+)", "reclaimed": r"reclaimed (\d+) KiB",
                 "2M": r"2M (\d+), 1G \d+, tables", "accessed": r"accessed (\d+)",
                 "dirty": r"dirty (\d+)", "hot": r"hot (\d+) KiB"}
        return {n: int(re.search(p, text).group(1)) for n, p in names.items()}


@pytest.fixture(scope="module", params=KINDS)
def memory(request):
    work = work_dir(f"memory-{request.param}")
    vcpus = 2 if request.param.endswith("2cpu") else 1
    guests = [image.Guest("m", guest_elf("memory"), f"mem=32M vcpus={vcpus} start=manual testdev",
                          f"pages={PAGES}"),
              image.Guest("small", guest_elf("memory"), "mem=3M start=manual testdev", "pages=256")]
    with machine(request.param, work, skep_iso(work, guests, words="idle=monitor"),
                 limit=900) as host:
        yield Memory(host, request.param)


def test_log_and_scan_are_exact(memory):
    """What the dirty log and the scan report is what the guest did, and what skep did for it."""
    memory.key("f")
    assert memory.counters()["2M"] >= PAGES // 512
    memory.say("mem m dirty start", 60)
    assert memory.counters()["2M"] == 0
    assert not memory.harvest()
    for keys in ("w", "r", "wio", "f"):
        written, used = set(), set()
        memory.say("mem m scan", 60)
        for key in keys:
            memory.key(key)
            used |= set(SETS[key])
            written |= set(SETS[key]) if key in "wif" else set()
        memory.say("mem m scan", 60)
        hot = {i for i, c in enumerate(memory.shades()) if c == "#"}
        assert hot == used, keys
        assert memory.harvest() == written, keys
        assert not memory.harvest(), keys
    memory.say("mem m dirty stop", 60)
    assert memory.counters()["2M"] >= PAGES // 512
    memory.key("c")
    assert "holds" not in memory.host.console


def test_costs(memory):
    """Faults and first touches in instructions, where a tick is one; the guest's loop included."""
    if memory.two:
        pytest.skip("ticks are time here, or another processor's too")
    memory.say("destroy m")
    memory.wait_state("m", "stopped")
    memory.say("start m")
    memory.key("", r"memory: area ")
    zeroing = 512  # 4 KiB by eight bytes
    assert memory.ticks("f") <= zeroing + 30  # 2 MiB at a time
    memory.say("start small")
    memory.key("", r"memory: area ", name="small")
    memory.say("pause m")  # it waits for keys in a loop: a slice of its own would count
    first, again = memory.ticks("f", "small"), memory.ticks("f", "small")
    assert first - again <= zeroing + 700  # 4 KiB at a time
    memory.say("destroy small")
    memory.say("resume m")
    memory.say("mem m dirty start", 60)
    memory.harvest()
    memory.say("mem m scan", 60)
    memory.key("f")
    if memory.kind == "bochs-skylake_x":  # a log of 512 pages is all that leaves the guest
        faults, full = memory.exits("nested-fault"), memory.exits("pml-full")
        memory.key("f")
        assert (memory.exits("nested-fault"), memory.exits("pml-full")) == (faults, full)
        memory.harvest()
        memory.key("f")
        assert memory.exits("nested-fault") == faults
        assert memory.exits("pml-full") == full + PAGES // 512
    busy, clean = memory.harvest_ns(), memory.harvest_ns()
    instructions = 1 / 10  # a nanosecond is a tenth of an instruction
    assert (busy - clean) * instructions / PAGES <= 25
    assert clean * instructions <= 3 * 5 * 512  # the tables of all that is in use
    memory.key("i")  # 16 pages, and then 205, each with four clean ones beside it
    few = memory.harvest_ns()
    memory.key("w")
    each = (memory.harvest_ns() - few) / (len(SETS["w"]) - len(SETS["i"]))
    assert (each + 5 * clean / (5 * 512)) * instructions <= 25 + 4 * 3
    memory.say("mem m scan", 60)
    assert memory.ticks("r") <= 500  # emulated, or no fault at all
    assert memory.ticks("w") <= 500
    memory.say("mem m dirty stop", 60)


def test_memory_that_changes_under_a_guest(memory):
    """One CPU counts in every page while the pages are split, logged, scanned, protected, taken back
    and made large again: no count is lost."""
    if not memory.two:
        pytest.skip("one CPU")
    memory.key("z")
    memory.key("l", r"memory: l started")
    before = memory.counters()
    for _ in range(3):
        memory.say("mem m dirty start", 60)
        memory.harvest()
        assert memory.harvest() == set(range(PAGES))
        memory.say(f"mem m protect {memory.area:#x} 0x1000 rwx")
        memory.say("mem m dirty stop", 60)
        memory.say("mem m scan")
        memory.say("mem m reclaim")
    after = memory.counters()
    # A page held just then, to emulate on the other CPU, holds one back; which is not split again.
    held = after["held back"] - before["held back"]
    assert after["split"] + held >= before["split"] + 3 * PAGES // 512
    assert after["in place"] + held >= before["in place"] + 3 * PAGES // 512
    rounds, wrong = memory.key("L", r"memory: L (\d+) rounds, (\d+) pages wrong").groups()
    assert int(rounds) > 10 and int(wrong) == 0


def test_reclaim_under_a_guest(memory):
    """Pages that one CPU writes and clears again, one after another, are taken back meanwhile: all
    but those it is at, and it finds in each what it wrote."""
    if not memory.two:
        pytest.skip("one CPU")
    memory.key("z")
    memory.key("t", r"memory: t started")
    before = memory.counters()["reclaimed"]
    for _ in range(6):
        memory.say("mem m reclaim", 60)
    assert memory.counters()["reclaimed"] >= before + PAGES * 4 // 2
    rounds, wrong = memory.key("T", r"memory: T (\d+) rounds, (\d+) pages wrong").groups()
    assert int(wrong) == 0
    memory.key("f")
    memory.key("c")  # a page that is not as written would say so
    assert "holds" not in memory.host.console


def test_permissions_of_a_page(memory):
    """What a page's permissions forbid does not happen: a write goes nowhere, reading finds an empty
    bus; a page that may be executed and nothing else can be called, where there is such a thing."""
    page = f"{memory.area + 3 * 4096:#x} 0x1000"

    def protect(rights):
        return memory.say(f"mem m protect {page} {rights}")

    def check_finds(value):
        memory.key("c", rf"memory: page 3 holds {value}\r\nmemory: c {PAGES} pages")
    memory.key("z")
    protect("r")
    memory.key("f")
    protect("-")
    check_finds(EMPTY)
    protect("rwx")
    check_finds(0)
    memory.key("f")
    memory.key("x", "memory: x called")  # leaves a RET there
    answer = protect("x")
    if "zambezi" in memory.kind or "qemu" in memory.kind:
        assert "no such permission" in answer
    else:
        memory.key("x", "memory: x called")
        check_finds(EMPTY)
        protect("rwx")
    check_finds(0xc3)


def test_permissions_hold_at_once(memory):
    """A page that another CPU writes stands still from the moment its permission is gone."""
    if not memory.two:
        pytest.skip("one CPU")

    def count():
        text = memory.say(f"xp m {memory.area + 5 * 4096 + 24:#x} 8")
        return int.from_bytes(bytes.fromhex(text.split(": ")[1][:24].replace(" ", "")), "little")
    memory.key("z")
    memory.key("l", r"memory: l started")
    for _ in range(3):
        first = count()
        time.sleep(0.3)
        assert count() != first
        memory.say(f"mem m protect {memory.area + 5 * 4096:#x} 0x1000 r")
        first = count()
        time.sleep(0.3)
        assert count() == first
        memory.say(f"mem m protect {memory.area + 5 * 4096:#x} 0x1000 rwx")
    memory.key("L", r"memory: L (\d+) rounds, (\d+) pages wrong")


def test_what_may_not_be_executed(memory):
    """Calling into such a page stops the VM, also on a CPU that has called it all along."""
    if memory.two:
        memory.key("X", r"memory: X started")
    memory.host.send_line(f"mem m protect {memory.area + 3 * 4096:#x} 0x1000 rw")
    if not memory.two:
        memory.host.expect(PROMPT, 20)
        memory.host.send_line("console m")
        memory.host.expect(r"\[console of m\]", 20)
        memory.host.send("x")
    memory.host.expect(rf"vm m: stopped: executes at guest address {memory.area + 3 * 4096:#x}, "
                       "which it is not permitted", 20)


# ---- more promised than there is -----------------------------------------------------------------


@pytest.fixture(scope="module", params=[
    *on("qemu", group="memory"), *long(on("bochs-skylake_x", group="memory-crowded"))])
def crowded(request):
    """128 MiB, and VMs that were promised far more together."""
    work = work_dir(f"memory-crowded-{request.param}")
    guests = [image.Guest("m", guest_elf("memory"), "mem=32M start=manual testdev", f"pages={PAGES}"),
              image.Guest("hog", guest_elf("memory"), "mem=512M start=manual testdev", "pages=120000"),
              image.Guest("late", guest_elf("memory"), "mem=1G start=manual testdev",
                          "pages=200000"),
              image.Guest("wired", guest_elf("hello32"), "mem=8M start=manual fill=wired", "key"),
              image.Guest("tiny", guest_elf("hello32"), "mem=2M start=manual testdev", "testdev")]
    with machine(request.param, work, skep_iso(work, guests, words="idle=monitor"), mem=128,
                 limit=1800) as host:
        yield Memory(host, request.param)


def test_wired_memory(crowded):
    """All there from the start, and none of it is taken back."""
    crowded.say("start wired")
    text = crowded.say("mem wired")
    assert text.count("RAM, wired") == 2
    before = int(re.search(r"vm wired: (\d+) KiB of 8192 touched", text).group(1))
    assert before == 8192 - 128  # the hole for VGA
    for _ in range(2):
        assert "  0 KiB given back" in crowded.say("mem wired reclaim")
    with crowded.as_program() as ask:
        regions = ask("mem wired")["regions"]
        assert [r["wired"] for r in regions if r["kind"] == "RAM"] == [True, True]
        cells = "".join(row["cells"] for row in ask("mem wired map 0x100000 4K")["rows"])
        assert set(cells) <= set("#+-") and len(cells) == 1024
        assert ask("mem wired dirty start") and ask("mem wired dirty harvest")["written"] >= 0
        ask("mem wired dirty start", ok=False)
        ask("mem wired dirty stop")
        ask("mem wired dirty harvest", ok=False)
        ask("mem wired protect 0x100000 0x1000", ok=False)
        ask("mem wired protect 0x100001 0x1000 r", ok=False)
        ask("mem wired protect 0xa0000 0x1000 r", ok=False)
        ask("mem nobody", ok=False)
        assert ask("mem")["overcommitted"] is False
    crowded.say("destroy wired")
    crowded.wait_state("wired", "stopped")


def test_the_machine_runs_out(crowded):
    """The VM that asks for the page that is not there is stopped, whether it touches it itself or has
    skep write it; another one, which had to do with small pages, goes on, and gets large ones when
    there is room again."""
    crowded.say("start hog")
    crowded.say("start late")
    crowded.key("", r"memory: area ", name="late")
    assert "more than is free" in crowded.say("mem")
    crowded.key("", r"memory: area ", name="hog")
    while crowded.free() > 24 << 10:
        crowded.key("G", name="hog")
    while crowded.free() > 9 << 10:
        crowded.key("g", name="hog")
    crowded.key("f")
    assert crowded.counters()["2M"] == 0
    crowded.key("i", r"vm late: stopped: out of memory", name="late")
    crowded.host.send_line("console hog")
    crowded.host.expect(r"\[console of hog\]", 20)
    crowded.host.send("G")
    crowded.host.expect(r"vm hog: stopped: out of memory: the machine has no page left for guest "
                        r"address 0x[0-9a-f]+", 60)
    crowded.host.expect(r"\[console of m\]", 20)
    crowded.host.send("c")
    crowded.host.expect(r"\r\nmemory: c ", 20)
    crowded.host.send(ESCAPE)
    crowded.host.expect(PROMPT, 20)
    for _ in range(100):
        crowded.key("c")  # what is not in use is not moved
        if crowded.counters()["2M"] == PAGES // 512:
            break
    assert crowded.counters()["2M"] == crowded.counters()["moved"] == PAGES // 512
    crowded.key("c")
    assert "holds" not in crowded.host.console


def start_and_end(host, times):
    host.say("start tiny")
    host.wait_state("tiny", "exited")
    before = host.free()
    for _ in range(times):
        host.host.send_line("start tiny")
        host.host.expect(r"vm tiny: exited, status 0", 60)
    host.wait_state("tiny", "exited")
    assert host.free() == before


def test_every_frame_comes_back(crowded):
    start_and_end(crowded, 50)


@pytest.mark.long
def test_every_frame_comes_back_a_thousand_times(crowded):
    start_and_end(crowded, 1000)


@pytest.mark.long
@pytest.mark.parametrize("host", on("qemu", group="memory-1g"))
def test_pages_of_a_gigabyte(host, workdir):
    """Memory that is filled at the start has them, where the processor does; they are split for the
    dirty log, and come together again."""
    guests = [image.Guest("m", guest_elf("memory"), "mem=2G fill=boot start=manual testdev",
                          "pages=400000")]
    with machine(host, workdir, skep_iso(workdir, guests, words="idle=monitor"), mem=4096,
                 limit=900) as h:
        m = Memory(h, host)

        def leaves():
            return re.search(r"touched, pages of 4K (\d+), 2M (\d+), 1G (\d+)", m.say("mem m")).groups()
        before = leaves()
        assert before[2] == "1"
        m.key("G")
        assert leaves() == before and m.counters()["accessed"] == 0
        m.say("mem m dirty start", 120)
        assert leaves()[1:] == ("0", "0")
        m.say("mem m dirty harvest", 60)
        m.key("G")
        written = re.search(r"(\d+) pages written", m.say("mem m dirty harvest", 60)).group(1)
        assert int(written) >= 4096
        m.say("mem m dirty stop", 120)
        assert leaves() == before


@pytest.mark.parametrize("host", [*on("qemu", group="memory-linux"), *long(on(
    "bochs-skylake_x", "bochs-ivy_bridge", "bochs-zambezi", group="memory-linux"))])
def test_linux_with_more_memory_than_the_machine(host, workdir):
    """Linux believes in its 4 GiB on a machine of 1 GiB; it works under the log, scans and reclaim;
    when it takes more than there is it is stopped, and another VM goes on."""
    kernel, initrd = image.debian("amd64")
    guests = [image.Guest("linux", kernel, "mem=4G", "console=ttyS0 quiet", initrd),
              image.Guest("m", guest_elf("memory"), "mem=32M start=manual testdev", f"pages={PAGES}")]
    iso = skep_iso(workdir, guests, words="idle=monitor")
    with machine(host, workdir, iso, mem=1024, limit=1800) as h:
        h.expect(r"guest: ready", 600)
        h.expect(SHELL, 60)
        shell = Shell(h)

        def run(command):
            return "\n".join(shell.run(command, 300))

        def monitor(line):
            h.send(ESCAPE)
            h.expect(PROMPT, 20)
            text = Monitor(h).say(line, 60)
            h.send_line("console linux")
            h.expect(r"\[console of linux\]", 20)
            return text
        assert int(re.search(r"MemTotal: +(\d+) kB", run("cat /proc/meminfo")).group(1)) > 3800000
        monitor("start m")
        assert "more than is free" in monitor("mem")
        make = "dd if=/dev/urandom of=/tmp/a bs=1M count=16 2>/dev/null; md5sum </tmp/a"
        md5 = re.search(r"\b[0-9a-f]{32}\b", run(make)).group(0)
        for _ in range(2):
            monitor("mem linux dirty start")
            run("cp /tmp/a /tmp/b")
            text = monitor("mem linux dirty harvest")
            assert int(re.search(r"(\d+) pages written", text).group(1)) > 16 << 8
            assert md5 in run("md5sum </tmp/b")
            monitor("mem linux dirty stop")
            monitor("mem linux reclaim")
            run("rm /tmp/b")
        text = monitor("mem linux")
        assert int(re.search(r"hot (\d+) KiB", text).group(1)) > 0
        assert int(re.search(r"reclaimed (\d+) KiB", text).group(1)) > 0
        assert int(re.search(r"2M (\d+), 1G \d+, tables", text).group(1)) > 16
        assert "#" in monitor("mem linux map")
        assert md5 in run("md5sum </tmp/a")
        if host != "qemu":  # too slow to use up a gigabyte
            return
        h.send_line("dd if=/dev/zero of=/tmp/c bs=1M count=2000")
        h.expect(r"vm linux: stopped: out of memory", 120)
        h.expect(r"\[console of m\]", 30)
        h.send("f")
        h.expect(rf"memory: f {PAGES} pages", 60)
