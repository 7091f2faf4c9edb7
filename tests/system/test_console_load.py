# SPDX-License-Identifier: BSD-2-Clause
"""A busy console: a flood of output and a guest that does not read stop nobody, nor does a pause."""
import pytest

import image
from machines import machine, on, skep_iso
from test_monitor import ESCAPE, PROMPT, Monitor

SHELL = r"guest# (?:\x1b\[6n)?"


@pytest.mark.parametrize("host", on("qemu-2cpu"))
def test_console_load(host, workdir):
    """A flood stops nobody; a pause leaves no trace but time."""
    kernel, initrd = image.debian()
    guests = [image.Guest("linux", kernel, "mem=192M vcpus=2", "console=ttyS0 quiet", initrd)]
    with machine(host, workdir, skep_iso(workdir, guests), limit=280) as m:
        m.expect("guest: ready", 100)
        m.expect(SHELL, 20)
        # The escape key is heeded however much the guest prints and however full its input.
        m.send_line("sleep 1000 & yes 'a line of the flood'")
        m.expect("of the flood", 20)
        m.send("typed to a guest that does not read " * 40)
        monitor = Monitor(m)
        m.send(ESCAPE)
        m.expect(r"\n" + PROMPT, 20)
        assert "is paused" in monitor.say("pause")
        assert "v1 at home" in monitor.say("info")
        assert "rip" in monitor.say("regs v1")
        assert "goes on" in monitor.say("resume")
        m.send_line("console")
        m.expect(r"\[console of linux\]", 20)
        m.send("\x03")
        m.expect(SHELL, 60)
        m.send_line("kill %1; dmesg | grep -ci 'clocksource.*unstable\\|stall\\|lockup'")
        m.expect(r"\n0\r", 30)
        m.send_line("poweroff")
        m.expect("skep: vm linux: powered off", 60)
        m.expect("no VM is left: powering off", 20)
        m.wait_end(20)
