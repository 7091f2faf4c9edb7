# SPDX-License-Identifier: BSD-2-Clause
"""The in-guest suites under skep and bare: guests/check, case by case, and guests/hostile, deed by
deed. What cases there are, and where each makes sense, is read from the guests' sources.

Each machine boots once for all its cases.
"""
import functools
import glob
import os
import re

import pytest

import hosts
import image
from machines import ESCAPE, MACHINES, PROMPT, guest_elf, machine, plain, skep_iso
from tree import ROOT, work_dir

ENDING = r"skep: vm {}: (exited, status \d+|stopped: [^\r\n]*|reset|powered off)\r"

# (machine, bits, under skep): what runs in make check; the rest of the grid is for make check-long.
DAILY = [("qemu", 64, True), ("qemu", 32, True), ("bochs-skylake_x", 64, True),
         ("bochs-ivy_bridge", 32, True), ("bochs-tigerlake", 64, True), ("bochs-zambezi", 64, True),
         ("bochs-lynnfield", 32, True), ("bochs-skylake_x", 32, False)]
SINGLE = ("qemu", "bochs-skylake_x", "bochs-ivy_bridge", "bochs-tigerlake", "bochs-zambezi",
          "bochs-lynnfield")
SMP = {"smp", "smp_state", "smp_lines"}  # groups of guests/check that need a second processor
# QEMU's clocks run on while a busy machine does not run QEMU: what compares them is left to Bochs,
# whose clocks count instructions.
CLOCKS = {"timers", "ticks_group", "cpuid_hypervisor_leaf", "cpuid_frequencies", "rtc_uip",
          "irq_apic_periodic", "irq_apic_divide"}


def sources(guest, bits):
    """The guest's C files, without those of the other flavour."""
    return [f for f in sorted(glob.glob(os.path.join(ROOT, "guests", guest, "*.c")))
            if not f.endswith(f"{96 - bits}.c")]


def text_of(file, bits):
    """A file without what #ifdef and #ifndef __x86_64__ leave out of this flavour."""
    out, skipping = [], []  # of each open condition; None: another one, all of it stays
    with open(file, encoding="utf-8") as f:
        for line in f:
            words = line.split()
            if words[:1] in (["#ifdef"], ["#ifndef"], ["#if"]):
                flavour = words[1:2] == ["__x86_64__"]
                skipping.append((bits == 64) != (words[0] == "#ifdef") if flavour else None)
            elif words[:1] == ["#else"]:
                skipping[-1] = None if skipping[-1] is None else not skipping[-1]
            elif words[:1] == ["#endif"]:
                skipping.pop()
            elif not any(skipping):
                out.append(line)
    return "".join(out)


@functools.cache
def checks(bits):
    """(name, group, where) of each case of guests/check."""
    out = []
    for file in sources("check", bits):
        text = text_of(file, bits)
        group = re.search(r"CHECK_GROUP\((\w+),", text)
        out += [(name, group.group(1), where)
                for name, where in re.findall(r'^\s*\{"(\w+)", \w+, (\w+)\},', text, re.M)]
    return out


def applies(where, name, skep):
    """As applies() in guests/check/main.c."""
    tcg = MACHINES[name][0] is hosts.Qemu
    return {"ANYWHERE": True, "SKEP_ONLY": skep, "BARE_ONLY": not skep, "NOT_TCG": not tcg,
            "NOT_BARE_TCG": skep or not tcg, "NOT_BARE_BOCHS": skep or tcg}[where]


@functools.cache
def skipped(name):
    """Groups and cases of guests/check that this machine leaves out."""
    groups = {group for _, group, _ in checks(64)}
    if MACHINES[name][1].get("cpus", 1) > 1:
        return groups - SMP
    return SMP | (CLOCKS if MACHINES[name][0] is hosts.Qemu else set())


@functools.cache
def deeds(bits):
    """word -> ending of each deed of guests/hostile."""
    out = {}
    for file in sources("hostile", bits):
        out.update(re.findall(r'\{"(\w+)", \w+, (RETURNS|DIES|LOOPS|ANYTHING)\}',
                              text_of(file, bits)))
    return out


def parameters():
    """Each case of each run: (machine, bits, skep, case)."""
    runs = [(name, bits, skep) for name in SINGLE for bits in (64, 32) for skep in (True, False)]
    runs += [("qemu-2cpu", bits, True) for bits in (64, 32)]
    for run in runs:
        name, bits, skep = run
        marks = [pytest.mark.xdist_group("guests-{}-{}-{}".format(*run))]
        if run not in DAILY and name != "qemu-2cpu":
            marks.append(pytest.mark.long)
        for case, group, where in checks(bits):
            if applies(where, name, skep) and not {group, case} & skipped(name):
                yield pytest.param(run, case, marks=marks,
                                   id=f"{name}-{'skep' if skep else 'bare'}-{bits}-{case}")


def run_checks(run):
    """case -> (outcome, why), and the whole console."""
    name, bits, skep = run
    cpus = MACHINES[name][1].get("cpus", 1)
    work = work_dir("guests-{}-{}-{}".format(*run))
    words = "testdev" + "".join(f" skip={g}" for g in sorted(skipped(name)))
    guest = image.Guest("check", guest_elf(f"check{bits}"), f"mem=64M testdev vcpus={cpus}", words)
    arguments = {}
    if MACHINES[name][0] is hosts.Qemu:
        arguments["extra"] = [] if skep else ["-device", "pc-testdev"]
    if skep:
        iso = skep_iso(work, [guest])
    else:
        iso = hosts.make_iso(os.path.join(work, "boot.iso"), [image.bare_entry("bare", guest)],
                             guest.files())
    with machine(name, work, iso, **arguments) as m:
        m.expect(r"\d+ passed, \d+ failed", m.limit - 20)
        if skep:
            m.expect(ENDING.format("check"), 30)
        text = plain(m.console)
    return {case: (how, why) for how, case, why in
            re.findall(r"^(PASS|FAIL|SKIP) (\w+)(?:: (.*))?$", text, re.M)}, m.tail()


@pytest.fixture(scope="module")
def outcomes():
    done = {}

    def of(run):
        if run not in done:
            done[run] = None
            done[run] = run_checks(run)
        return done[run]

    return of


@pytest.mark.parametrize("run,case", parameters())
def test_check(run, case, outcomes):
    of = outcomes(run)
    assert of, "the run came to no end: see the first case of this machine"
    how, why = of[0].get(case, (None, "it was not run"))
    if how == "SKIP":
        assert why != "not for this machine"
        pytest.skip(why)
    assert how == "PASS", why


# ---- guests/hostile ------------------------------------------------------------------------------


class Arena:
    """A machine at its monitor, with a hostile guest and a peaceful one that wait to be started."""

    def __init__(self, host, bits, cpus):
        self.host, self.bits, self.cpus = host, bits, cpus

    def prompt(self):
        self.host.expect(r"(?:^|\n)" + PROMPT, 20)

    def say(self, line):
        self.host.send_line(line)
        self.host.expect(re.escape(line) + r"\r\n", 20)
        self.prompt()

    def run(self, deed, seconds):
        """How the deed's VM ended; None: it had not after so many seconds, and was destroyed."""
        self.say("start hostile")
        self.host.send_line("console hostile")
        self.host.expect(r"deed\? ", 30)
        for key in deed:  # each with its echo: a guest that polls is slow to take them in Bochs
            self.host.send(key)
            self.host.expect(key, 20)
        self.host.send("\r")
        self.host.expect(rf"hostile{self.bits}: {deed}\r", 20)
        try:
            end = self.host.expect(ENDING.format("hostile"), seconds).group(1)
        except hosts.HostError:
            end = None
            self.host.send(ESCAPE)
            self.prompt()
            self.host.send_line("destroy hostile")
            self.host.expect(ENDING.format("hostile"), 20)
        self.prompt()
        return end


def arenas():
    for name in SINGLE[:-1] + ("qemu-2cpu",):
        for bits in (64, 32):
            daily = name in ("qemu", "qemu-2cpu")
            marks = [pytest.mark.xdist_group(f"hostile-{name}-{bits}")]
            marks += [] if daily else [pytest.mark.long]
            yield name, bits, marks


def hostile_parameters():
    for name, bits, marks in arenas():
        bochs_svm = MACHINES[name][1].get("model") in hosts.SVM_MODELS
        for deed, ending in deeds(bits).items():
            # Bochs itself panics at an SVM guest's triple fault, and its exit from virtual-8086 mode.
            if bochs_svm and (ending == "DIES" or deed == "v86"):
                continue
            if name[:5] == "bochs" and ending == "LOOPS" and deed != "halt_deaf":
                continue  # Bochs lets no interrupt end the run of a guest that has them off
            if (name == "qemu-2cpu") != (ending == "LOOPS" or deed == "race") and name[:4] == "qemu":
                continue
            yield pytest.param((name, bits), deed, ending, marks=marks, id=f"{name}-{bits}-{deed}")


@pytest.fixture(scope="module")
def arena():
    """A booted arena at a time, kept for the deeds that follow on the same machine."""
    now = {}

    def close():
        if now:
            now.pop("arena").host.close()
            now.clear()

    def of(key):
        if now.get("key") == key and now["arena"].host.proc.poll() is None:
            return now["arena"]
        close()
        name, bits = key
        cpus = MACHINES[name][1].get("cpus", 1)
        work = work_dir(f"hostile-{name}-{bits}")
        guest = image.Guest("hostile", guest_elf(f"hostile{bits}"),
                            f"mem=16M testdev start=manual vcpus={cpus}", "testdev ask")
        host = machine(name, work, skep_iso(work, [guest], words="idle=monitor"), limit=900).start()
        now.update(key=key, arena=Arena(host, bits, cpus))
        host.expect(PROMPT, 100)
        return now["arena"]

    yield of
    close()


@pytest.mark.parametrize("key,deed,ending", hostile_parameters())
def test_hostile(key, deed, ending, arena):
    """Whatever the guest does, only it may suffer; and it ends as its kind of deed does."""
    a = arena(key)
    watched = ending == "LOOPS" and a.cpus > 1
    end = a.run(deed, 3 if ending == "LOOPS" and not watched else 60)
    if ending == "RETURNS":
        assert end == "exited, status 0"
    elif ending == "DIES":
        assert end and (end.startswith("stopped: ") or end == "reset")
    elif ending == "LOOPS":
        assert end == ("exited, status 42" if watched else None)
