# SPDX-License-Identifier: BSD-2-Clause
"""Guest memory on machines with each kind of nested table: what the guest did, page by page, beside
what skep says it did; and memory that changes under a running guest."""
import os
import re
import time

import pytest

import image
from machines import ESCAPE, PROMPT, Monitor, guest_elf, machine, on, skep_iso
from tree import ROOT

PAGES = 1024
SETS = {"r": range(2, PAGES, 7), "w": range(1, PAGES, 5), "i": range(9, PAGES, 64),
        "o": range(33, PAGES, 64), "f": range(PAGES)}
# Each kind of accessed and dirty bits: nested pages, emulated, EPT's own, EPT's own and PML.
KINDS = ("qemu-2cpu", "bochs-ivy_bridge", "bochs-haswell", "bochs-skylake_x")


class Memory(Monitor):
    """A machine with the guest `memory` as its VM m."""

    def __init__(self, host):
        super().__init__(host)
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
                 "moved": r"by moving (\d+)", "reclaimed": r"reclaimed (\d+) KiB",
                 "2M": r"2M (\d+), 1G \d+, tables", "accessed": r"accessed (\d+)",
                 "dirty": r"dirty (\d+)", "hot": r"hot (\d+) KiB"}
        return {n: int(re.search(p, text).group(1)) for n, p in names.items()}


@pytest.fixture(scope="module", params=on(*KINDS, group="memory"))
def memory(request):
    work = os.path.join(ROOT, "build/system", f"memory-{request.param}")
    os.makedirs(work, exist_ok=True)
    vcpus = 2 if request.param == "qemu-2cpu" else 1
    guests = [image.Guest("m", guest_elf("memory"), f"mem=32M vcpus={vcpus} start=manual testdev",
                          f"pages={PAGES}"),
              image.Guest("small", guest_elf("memory"), "mem=3M start=manual testdev", "pages=256")]
    with machine(request.param, work, skep_iso(work, guests, words="idle=monitor")) as host:
        yield Memory(host)


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
