# SPDX-License-Identifier: BSD-2-Clause
"""What docs/monitor.md promises a person who knows skep by it alone: two Linux VMs from one
grub.cfg, a third that does not boot, and why, and what helps; a fourth with a wrong word."""
import re
import time

import pytest

import image
from machines import ESCAPE, PROMPT, SHELL, Monitor, guest_elf, machine, on, plain, skep_iso


def at_shell(host, name, first=True):
    """The keyboard is at that VM's shell, which answers."""
    host.expect(rf"\[console of {name}\]", 60)
    if first:
        host.expect("guest: ready", 120)
        host.expect(SHELL, 60)
    host.send_line(f"echo this is $((6 * 7)) {name}")
    host.expect(rf"this is 42 {name}", 60)
    host.expect(SHELL, 60)


def to_monitor(host):
    host.send(ESCAPE)
    host.expect(PROMPT, 20)


@pytest.mark.parametrize("host", on("qemu"))
def test_session(host, workdir):
    kernel, initrd = image.debian()
    line = "console=ttyS0 quiet"
    guests = [image.Guest("web", kernel, "mem=192M", line, initrd),
              image.Guest("db", kernel, "mem=128M start=manual", line, initrd),
              image.Guest("old", kernel, "mem=128M start=manual", line + " panic=0"),
              image.Guest("odd", guest_elf("hello64"), "memory=16M", "key poweroff")]
    with machine(host, workdir, skep_iso(workdir, guests), mem=1024, limit=400) as m:
        m.expect(r"vm odd: .*'memory=16M' is not understood", 60)
        m.expect("guest: ready", 120)
        to_monitor(m)
        monitor = Monitor(m)
        # Two, and the way between them.
        assert "console" in monitor.say("help")
        assert "for example" in monitor.say("help console")
        monitor.say("start db")
        m.send_line("console db")
        at_shell(m, "db")
        m.send(ESCAPE)
        m.send("1")
        at_shell(m, "web", first=False)
        to_monitor(m)
        # The third: docs/monitor.md, "A guest that does not boot".
        monitor.say("start old")
        for _ in range(100):
            if "end Kernel panic" in (said := monitor.say("log old 1")):
                break
            time.sleep(0.3)
        assert "Unable to mount root fs" in said
        assert re.search(r"old +running", monitor.say("list"))
        assert "0 more modules" in monitor.say("info old") and "1 more modules" in monitor.say("info web")
        number = re.search(r"(\d+) +\d+K  vm=web initrd", monitor.say("modules")).group(1)
        monitor.say("destroy old")
        monitor.wait_state("old", "stopped")
        assert monitor.say(f"set old initrd={number}") == ""
        monitor.say("start old")
        m.send_line("console old")
        at_shell(m, "old")
        to_monitor(m)
        # The fourth: grub.cfg said what no VM understands.
        assert "cannot be started" in monitor.say("start odd")
        assert "'memory=16M' is not understood" in monitor.say("info odd")
        monitor.say("destroy db")
        assert monitor.say("set odd mem=16M") == ""
        monitor.say("start odd")
        m.send_line("console odd")
        m.expect("press a key", 60)
        m.send("x")
        m.expect("vm odd: powered off", 60)
        m.send(ESCAPE)
        m.expect(PROMPT, 20)
        m.send_line("poweroff")
        m.wait_end(20)
        assert "not shown" not in plain(m.console)
