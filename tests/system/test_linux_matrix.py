# SPDX-License-Identifier: BSD-2-Clause
"""Debian's kernel with one, two and four processors on one, two and four, by every way it has to
its interrupts and its time: to the shell, with work done there, interrupts counted as they should
be and no complaint of the kernel's.

`make check` runs some of these, `make check-long` all. Each machine is booted once, and its VMs are
made at the monitor, one after the other.
"""
import contextlib
import functools
import os
import re
import shutil
import subprocess

import pytest

import image
from machines import ESCAPE, PROMPT, SHELL, Monitor, Shell, machine, skep_iso
from tree import ROOT, tracked, work_dir

# An expression of the guest's grep and of Python's alike.
COMPLAINTS = (r"\blost\b|[Ss]purious|[Uu]nstable|[Cc]alibration.*(fail|differ|could not)|skewed|"
              r"Call Trace|BUG:|WARNING: CPU|nobody cared|soft lockup|stall|timer doesn.t work|"
              r"MP-BIOS bug|not responding|[Cc]locksource.*wrong|TSC warp")
# On AMD's processors Linux knows no other way to the TSC's frequency than to measure it. Where QEMU
# runs by the clock of a busy machine that can fail, under skep as on the bare machine.
JITTER = r"Fast TSC calibration failed|could not calculate TSC khz"

CLOCKS = {"clocksource=hpet": "hpet", "clocksource=acpi_pm": "acpi_pm", "clocksource=tsc": "tsc"}
# Debian's cloud kernel reads no MP table: without ACPI it finds neither processors nor local APIC.
ALONE = ("noapic acpi=off", "nolapic", "nosmp")
# Linux uses x2APIC mode, where there is no interrupt remapping, only below a hypervisor that it knows.
X2APIC = "x2apic"
LINES = ("", "nox2apic", "noapic", "nolapic", "noapic acpi=off", "nosmp", *CLOCKS, X2APIC)


def counted(host, cpus, vcpus, line):
    """Whether QEMU counts instructions, so that no clock runs on while a busy machine does not run it.
    Not where virtual processors take turns: QEMU leaves its loop at each PAUSE, and their spinning
    would take minutes. And not in some runs of several: these are truly parallel."""
    return host == "qemu" and (line in ALONE or vcpus <= cpus and
                               not (vcpus > 1 and line in ("", "nox2apic", X2APIC)))


QEMU = [("qemu", cpus, vcpus, line) for cpus in (1, 2, 4) for vcpus in (1, 2, 4) for line in LINES]
QEMU.sort(key=lambda run: (run[1], counted(*run), run[3] == X2APIC))
BOCHS = [("bochs-skylake_x", 2, 2, line) for line in LINES]
SHORT = {("qemu", 1, 1, "noapic acpi=off"), ("qemu", 1, 2, "clocksource=hpet"),
         ("qemu", 2, 2, "nox2apic"), ("qemu", 2, 4, "")}


def runs():
    for run in QEMU + BOCHS:
        host, cpus, vcpus, line = run
        marks = [pytest.mark.xdist_group(f"matrix-{host}-{cpus}")]
        if run not in SHORT:
            marks.append(pytest.mark.long)
        yield pytest.param(*run, marks=marks, id=f"{host}-{vcpus}on{cpus}-{line.replace(' ', '+') or 'plain'}")


@functools.cache
def skep_by_another_name():
    """A skep that CPUID calls KVM, of which it offers no feature."""
    tree = os.path.join(ROOT, "build/system/matrix-kvm")
    shutil.rmtree(tree, ignore_errors=True)
    for name in tracked():
        target = os.path.join(tree, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy2(os.path.join(ROOT, name), target)
    with open(os.path.join(tree, "vmm/cpuid.c"), "r+", encoding="utf-8") as f:
        text = f.read()
        assert text.count('"SkepSkepSkep"') == 1
        f.seek(0)
        f.write(text.replace('"SkepSkepSkep"', r'"KVMKVMKVM\0\0\0"'))
        f.truncate()
    subprocess.run(["make", "-s", "-j2", "-C", tree, "build/skep.elf"], check=True)
    return os.path.join(tree, "build/skep.elf")


class Booted:
    """The machine at hand, at its monitor's prompt."""

    def __init__(self):
        self.which, self.monitor, self.stack = None, None, contextlib.ExitStack()

    @contextlib.contextmanager
    def use(self, *which):
        """The one that was used before, if it is such a one and was left in order, or another."""
        if self.which != which:
            self.boot(*which)
        self.which = None
        yield self.monitor
        self.which = which

    def boot(self, host, cpus, counts, x2apic):
        self.stack.close()
        name = f"matrix-{host}-{cpus}" + "-counted" * counts + "-x2apic" * x2apic
        work = work_dir(name)
        kernel, initrd = image.debian("amd64")
        guest = image.Guest("base", kernel, "mem=256M start=manual", "", initrd)
        arguments = {"icount": True} if counts else {}
        files = {"skep.elf": skep_by_another_name()} if x2apic else {}
        m = machine(host, work, skep_iso(work, [guest], words="idle=monitor", files=files),
                    mem=768, cpus=cpus, limit=10800, **arguments)
        self.stack.enter_context(m).expect(PROMPT, 240)
        self.monitor = Monitor(m)


@pytest.fixture(scope="module")
def booted():
    it = Booted()
    with it.stack:
        yield it


def interrupts(shell):
    """/proc/interrupts: name -> (counts by processor, the words behind them)."""
    out = {}
    for ln in shell.run("tr -s ' ' < /proc/interrupts"):
        m = re.match(r"\s*(\w+):((?:\s+\d+)+)(.*)", ln)
        if m:
            out[m[1]] = [int(n) for n in m[2].split()], m[3].strip()
    return out


def check_interrupts(before, after, vcpus, line):
    """Each processor's timer ticks, IPIs go where there are several, and nothing is in error."""
    def grown(name):
        old = before.get(name, ([0] * vcpus, ""))[0]
        return [b - a for a, b in zip(old, after[name][0])]
    if line in ALONE:
        assert sum(sum(grown(n)) for n in after if "timer" in after[n][1]) > 0, after
    else:
        assert len(after["LOC"][0]) == vcpus
        assert all(n > 0 for n in grown("LOC")), after["LOC"]
    if vcpus > 1 and "RES" in after:
        assert sum(after["RES"][0]) + sum(after["CAL"][0]) > 0, after
    console = [n for n in after if "ttyS0" in after[n][1]]
    assert console and sum(grown(console[0])) > 0, after
    for name in ("ERR", "MIS", "SPU", "NMI"):
        assert sum(after.get(name, ([0], ""))[0]) == 0, (name, after)


def check_clock(shell, line):
    where = "/sys/devices/system/clocksource/clocksource0"
    current = shell.run(f"cat {where}/current_clocksource")[0]
    if line in CLOCKS:
        assert current == CLOCKS[line]


def check_time(shell, vcpus):
    """A wake-up loop on each processor: nobody wakes before his time, and everybody does."""
    said = "\n".join(shell.run("wake 200 2000", 120))
    assert f"wake: {vcpus} processors woke in time" in said, said


def check_load(shell):
    """Many short processes, several at a time, and the wake-up loop beside them."""
    loop = ("(wake 100 2000) & for i in $(seq 1 40); do (echo $i | md5sum >> /tmp/sums) & (true); done; "
            "wait; sort -u /tmp/sums | wc -l")
    said = shell.run(loop, 240)
    assert "40" in said and "woke in time" in "\n".join(said), said


def check_log(shell, jitter):
    """The kernel complained of nothing; jitter: but of what a busy machine may do to QEMU's clocks."""
    log = shell.run(f"dmesg | grep -E '{COMPLAINTS}'", 120)
    complaints = [ln for ln in log if re.search(COMPLAINTS, ln) and not (jitter and re.search(JITTER, ln))]
    assert not complaints, complaints


def end(monitor, name, line):
    """Powers the VM off, and has it forgotten."""
    host = monitor.host
    host.send_line("poweroff")
    if "acpi=off" in line:  # the kernel halts, with interrupts off, for good
        host.expect("System halted", 120)
        host.send(ESCAPE)
    else:
        host.expect(rf"skep: vm {name}: powered off", 120)
    host.expect(PROMPT, 20)
    monitor.say(f"destroy {name}")


@pytest.mark.parametrize("host, cpus, vcpus, line", runs())
def test_linux(host, cpus, vcpus, line, booted):
    counts = counted(host, cpus, vcpus, line)
    with booted.use(host, cpus, counts, line == X2APIC) as monitor:
        m, name = monitor.host, "run"
        words = "" if line == X2APIC else line
        m.send_line(f"create {name} from base vcpus={vcpus} -- console=ttyS0 quiet {words}")
        m.expect(rf"{vcpus} vCPUs?\r\n", 20)
        m.send_line(f"console {name}")
        m.expect(r"guest: ready", 240 if host == "qemu" else 900)
        m.expect(SHELL, 60)
        online = 1 if line in ALONE else vcpus
        shell = Shell(m)
        shell.run("stty cols 600; set +m")
        assert shell.run("nproc")[0] == str(online)
        before = interrupts(shell)
        check_time(shell, online)
        check_load(shell)
        check_interrupts(before, interrupts(shell), online, line)
        check_clock(shell, line)
        switched = shell.run("dmesg | grep -c 'x2apic enabled'")[0]
        assert (switched != "0") is (line == X2APIC)
        check_log(shell, host == "qemu" and not counts)
        end(monitor, name, line)
