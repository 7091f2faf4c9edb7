# SPDX-License-Identifier: BSD-2-Clause
"""Flow control of skep's serial line, by wires: QEMU's UART gets modem lines (wire.c)."""
import hashlib
import os
import subprocess
import time

import pytest

import hosts
import image
from machines import PROMPT, guest_elf, skep_iso
from tree import ROOT


class Wired(hosts.Qemu):
    """CTS is the test's to switch, and RTS to see."""

    def command(self, tty_path):
        preload = self.path("wire.so")
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", preload,
                        os.path.join(ROOT, "tests/system/wire.c"), "-ldl"], check=True)
        return ["env", f"LD_PRELOAD={preload}", f"WIRE={self.workdir}", *super().command(tty_path)]

    def clear_to_send(self, on):
        if on:
            os.unlink(self.path("cts-off"))
        else:
            with open(self.path("cts-off"), "wb"):
                pass

    def wants_input(self):
        return not os.path.exists(self.path("rts-off"))


@pytest.mark.parametrize("word", ("com1,115200,rtscts", "pci,rtscts"))
def test_clear_to_send(word, workdir):
    """Without CTS nothing is sent; with it again everything is there, and nothing is lost."""
    guests = [image.Guest("one", guest_elf("hello64"), "mem=16M testdev", "testdev key status=7")]
    iso = skep_iso(workdir, guests, words=f"console={word}")
    serial = "pci-serial" if word.startswith("pci") else None
    with Wired(workdir, iso, serial=serial, limit=120) as m:
        m.clear_to_send(False)
        time.sleep(4)
        m.drain()
        assert "skep: " not in m.console
        m.clear_to_send(True)
        m.expect("skep: version", 60)
        m.expect("press a key", 60)
        m.clear_to_send(False)
        time.sleep(0.5)
        m.send("x")
        m.drain(1)
        assert "key 78" not in m.console
        m.clear_to_send(True)
        m.expect("key 78", 20)
        m.expect("skep: vm one: exited, status 7", 20)
        m.expect(PROMPT, 20)
        m.send_line("poweroff")
        m.wait_end(20)


@pytest.mark.long
def test_request_to_send(workdir):
    """A paste faster than the guest reads is held back by RTS, and arrives whole."""
    kernel, initrd = image.debian()
    text = "".join(f"{i:06d} the quick brown fox jumps over it\n" for i in range(5000)).encode()
    linux = image.Guest("linux", kernel, "mem=192M", "console=ttyS0 quiet", initrd)
    with Wired(workdir, skep_iso(workdir, [linux]), limit=600) as m:
        m.expect("guest: ready", 100)
        m.send_line(f"stty raw -echo; head -c {len(text)} | md5sum; stty sane; echo end-$((6*7))")
        m.expect(r"6\*7\)\)\r\n", 20)
        time.sleep(1)
        held = 0
        for at in range(0, len(text), 512):
            while not m.wants_input():
                held += 1
                time.sleep(0.01)
            hosts.write_all(m.master, text[at:at + 512])
            time.sleep(0.001)
        m.expect(hashlib.md5(text).hexdigest(), 400)
        m.expect(r"end-42\s", 60)
        assert held
        m.send_line("poweroff")
        m.wait_end(60)
