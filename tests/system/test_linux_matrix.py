# SPDX-License-Identifier: BSD-2-Clause
"""Debian's kernel with one, two and four processors on one, two and four, by every way it has to
its interrupts and its time: to the shell, with work done there, interrupts counted as they should
be and no complaint of the kernel's.

`make check` runs some of these, `make check-long` all.
"""
import re

import pytest

import hosts
import image
from machines import skep_iso
from test_linux import PROMPT, Shell

COMPLAINTS = (r"\blost\b|[Ss]purious|[Uu]nstable|[Cc]alibration.*(?:fail|differ|could not)|skewed|"
              r"Call Trace|BUG:|WARNING: CPU|nobody cared|soft lockup|stall|timer doesn't work|"
              r"MP-BIOS bug|not responding|[Cc]locksource.*wrong|TSC warp")
# On AMD's processors Linux knows no other way to the TSC's frequency than to measure it. Where QEMU
# runs by the clock of a busy machine that can fail, under skep as on the bare machine. With
# one processor it counts instructions instead, and measures well.
JITTER = r"Fast TSC calibration failed|could not calculate TSC khz"

CLOCKS = {"clocksource=hpet": "hpet", "clocksource=acpi_pm": "acpi_pm", "clocksource=tsc": "tsc"}
# Debian's cloud kernel reads no MP table: without ACPI it finds neither processors nor local APIC.
ALONE = ("noapic acpi=off", "nolapic", "nosmp")
LINES = ("", "nox2apic", "noapic", "nolapic", "noapic acpi=off", "nosmp", *CLOCKS)

QEMU = [("qemu", cpus, vcpus, line) for cpus in (1, 2, 4) for vcpus in (1, 2, 4) for line in LINES]
BOCHS = [("bochs-skylake_x", 2, 2, line) for line in LINES]
SHORT = {("qemu", 1, 1, "noapic acpi=off"), ("qemu", 1, 2, "clocksource=hpet"),
         ("qemu", 2, 2, "nox2apic"), ("qemu", 2, 4, "")}


def runs():
    for run in QEMU + BOCHS:
        host, cpus, vcpus, line = run
        marks = [pytest.mark.xdist_group(f"matrix-{cpus}-{vcpus}")]
        if run not in SHORT:
            marks.append(pytest.mark.long)
        yield pytest.param(*run, marks=marks, id=f"{host}-{vcpus}on{cpus}-{line.replace(' ', '+') or 'plain'}")


def interrupts(shell):
    """/proc/interrupts: name -> (counts by processor, the words behind them)."""
    out = {}
    for ln in shell.run("cat /proc/interrupts"):
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


def check_time(shell):
    """A wake-up loop: each sleep lasts as long as it was told to, by the guest's own clock."""
    loop = "n=0; while [ $n -lt 100 ]; do usleep 2000; n=$((n + 1)); done"
    before, after = (float(shell.run(f"{wait}cut -d' ' -f1 /proc/uptime", 120)[0])
                     for wait in ("", f"{loop}; "))
    assert after - before >= 0.19


def check_load(shell):
    """Many short processes, several at a time."""
    loop = "for i in $(seq 1 40); do (echo $i | md5sum >> /tmp/sums) & (true); done; wait; sort -u /tmp/sums | wc -l"
    assert "40" in shell.run(loop, 120)


@pytest.mark.parametrize("host, cpus, vcpus, line", runs())
def test_linux(host, cpus, vcpus, line, workdir):
    kernel, initrd = image.debian("amd64")
    guest = image.Guest("linux", kernel, f"mem=256M vcpus={vcpus}", f"console=ttyS0 {line}", initrd)
    iso = skep_iso(workdir, [guest])
    counted = host == "qemu" and cpus == vcpus == 1
    kind, arguments = ((hosts.Qemu, {"limit": 240, "icount": counted}) if host == "qemu" else
                       (hosts.Bochs, {"model": "corei7_skylake_x", "limit": 900}))
    with kind(workdir, iso, mem=768, cpus=cpus, **arguments) as m:
        m.expect(r"guest: ready", 220 if host == "qemu" else 800)
        m.expect(PROMPT, 60)
        online = 1 if line in ALONE else vcpus
        shell = Shell(m, online)
        shell.run("stty cols 400; set +m")
        assert shell.run("nproc")[0] == str(online)
        before = interrupts(shell)
        check_time(shell)
        check_load(shell)
        check_interrupts(before, interrupts(shell), online, line)
        check_clock(shell, line)
        log = "\n".join(shell.run("dmesg", 120))
        complaints = [ln for ln in re.findall(f".*(?:{COMPLAINTS}).*", log)
                      if counted or host != "qemu" or not re.search(JITTER, ln)]
        assert not complaints, complaints
        m.send_line("poweroff")
        # A kernel that halts does so with interrupts off, for good.
        m.expect(r"System halted|skep: vm linux: stopped" if "acpi=off" in line else
                 r"skep: vm linux: powered off", 60)
