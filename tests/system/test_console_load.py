# SPDX-License-Identifier: BSD-2-Clause
"""A busy console: a flood of output and a guest that does not read stop nobody, nor does a pause."""
import re
import struct

import pytest

import image
from machines import ESCAPE, PROMPT, SHELL, Monitor, machine, on, skep_iso

RING = 65536


@pytest.mark.parametrize("host", [*on("qemu-2cpu"), pytest.param("bochs-skylake_x", marks=pytest.mark.long)])
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


def printer(text):
    """A flat binary that prints the text by one REP OUTSB, and ends with the key that is typed."""
    wait = bytes.fromhex("66bafd03 ec a801 74fb 66baf803 ec e6f4 f4 ebfd")
    head = bytes.fromhex("66bafb03 b003 ee 66baf803 fc b9") + struct.pack("<I", len(text))
    start = (1 << 20) + len(head) + 5 + 2 + len(wait)
    return head + b"\xbe" + struct.pack("<I", start) + b"\xf3\x6e" + wait + text


@pytest.mark.parametrize("host", on("qemu"))
def test_what_is_kept(host, workdir):
    """Of what a VM prints that nobody looks at the last 64 KiB are kept, a mark tells how much is
    gone, and what is no ASCII passes as it is."""
    text = "".join(f"{n:06d} grüßt 世界 \u2013 \U0001f41d\n" for n in range(3000))
    guest = image.Guest("flood", printer(text.encode()), "mem=8M type=flat testdev start=manual")
    with machine(host, workdir, skep_iso(workdir, [guest], words="idle=monitor")) as m:
        m.expect(PROMPT, 60)
        monitor = Monitor(m)
        monitor.say("start flood")
        for _ in range(100):
            if monitor.say("log flood 1").strip() == text.split("\n")[-2]:
                break
        m.send_line("console flood")
        m.expect(r"\[console of flood\]\r\n\[(\d+) bytes not shown\]\r\n", 20)
        assert int(m.child.match.group(1)) == len(text.encode()) - RING
        kept = text.encode()[-RING:].decode(errors="replace")
        m.expect(re.escape(kept[kept.index("\n"):]), 60)
        m.send("*")
        m.expect(r"skep: vm flood: exited, status 42\r\n" + PROMPT, 20)
        m.send_line("poweroff")
        m.wait_end(20)
