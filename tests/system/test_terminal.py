# SPDX-License-Identifier: BSD-2-Clause
"""What a person sees: skep's serial line in a real terminal (tmux), 80 columns by 24 rows."""
import os
import subprocess
import sys
import time

import pytest

import image
from machines import MACHINES, guest_elf, on, skep_iso
from tree import ROOT, work_dir

RELAY = """
import sys
sys.path.insert(0, {tools!r})
import hosts
with hosts.{kind}({work!r}, {iso!r}, limit=240, **{arguments!r}) as host:
    host.relay()
"""


class Terminal:
    """A program in a terminal of its own."""

    def __init__(self, work, command):
        self.socket = os.path.join(work, "tmux")
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", *command)
        self.tmux("set", "-g", "escape-time", "0")

    def tmux(self, *words):
        return subprocess.run(["tmux", "-S", self.socket, *words], check=True, timeout=20,
                              stdout=subprocess.PIPE, text=True).stdout

    def rows(self):
        """What is on the screen, without what is blank at the end."""
        return [row.rstrip() for row in self.tmux("capture-pane", "-p").rstrip("\n").split("\n")]

    def cursor(self):
        return int(self.tmux("display", "-p", "#{cursor_x}"))

    def keys(self, *names):
        for name in names:
            self.tmux("send-keys", name)
            time.sleep(0.05)

    def type(self, text):
        for at in range(0, len(text), 8):
            self.tmux("send-keys", "-l", text[at:at + 8])
            time.sleep(0.05)

    def last(self):
        rows = [row for row in self.rows() if row]
        return rows[-1] if rows else ""

    def wait(self, wanted, what=None, seconds=20):
        """Until wanted() is true, or the last row reads so."""
        test = wanted if callable(wanted) else lambda: self.last() == wanted
        end = time.monotonic() + seconds
        while not test():
            if time.monotonic() > end:
                screen = "\n".join(self.rows())
                pytest.fail(f"{what or wanted} is not to be seen:\n{screen}")
            time.sleep(0.1)

    def close(self):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], check=False, timeout=20)


@pytest.fixture(scope="module", params=on("qemu"))
def terminal(request):
    work = work_dir(f"terminal-{request.param}")
    guests = [image.Guest("one", guest_elf("hello64"), "mem=16M start=manual", "key poweroff"),
              image.Guest("two", guest_elf("hello32"), "mem=16M start=manual", "key poweroff")]
    kind, arguments = MACHINES[request.param]
    relay = RELAY.format(tools=os.path.join(ROOT, "tools"), kind=kind.__name__, work=work,
                         iso=skep_iso(work, guests, words="idle=monitor"), arguments=arguments)
    with open(os.path.join(work, "relay.py"), "w", encoding="utf-8") as f:
        f.write(relay)
    screen = Terminal(work, [sys.executable, f.name])
    try:
        screen.wait("skep>", seconds=60)
        yield screen
    finally:
        screen.close()


def test_editing(terminal):
    terminal.type("lst")
    terminal.keys("Left", "Left")
    terminal.type("i")
    terminal.wait("skep> list")
    assert terminal.cursor() == len("skep> li")
    terminal.keys("Enter")
    terminal.wait("skep>")
    rows = terminal.rows()
    at = rows.index("skep> list")
    assert rows[at + 1].split() == ["NAME", "STATE", "MEMORY", "VCPUS"]
    assert rows[at + 2].split() == ["1", "one", "not", "started", "16M", "1"]
    terminal.keys("Up")
    terminal.wait("skep> list")
    terminal.keys("Home", "DC", "End", "BSpace")
    terminal.wait("skep> is")
    terminal.keys("C-u", "C-l")
    terminal.wait("skep>")


def test_completion(terminal):
    terminal.type("hel")
    terminal.keys("Tab")
    terminal.type("con")
    terminal.keys("Tab")
    terminal.wait("skep> help console")
    assert terminal.cursor() == len("skep> help console ")
    terminal.keys("C-u")
    terminal.type("re")
    terminal.keys("Tab")
    terminal.wait(lambda: "  resume  reset  regs  reboot" in terminal.rows(), "what fits")
    terminal.wait("skep> re")
    terminal.keys("C-u")
    terminal.wait("skep>")


def test_wide_line(terminal):
    """A line of more than 80 columns does not wrap: the part around the cursor is to be seen."""
    before = len([row for row in terminal.rows() if row])
    line = "create new from one mem=16M -- " + " ".join(f"word{n}" for n in range(15))
    terminal.type(line)
    terminal.wait(lambda: terminal.last().endswith("word14"), "the line's end")
    assert terminal.last().startswith("skep> ") and terminal.last()[6:] in line
    assert len([row for row in terminal.rows() if row]) == before
    terminal.keys("Home")
    terminal.wait(lambda: terminal.last().startswith("skep> create new"), "the line's beginning")
    assert terminal.cursor() == len("skep> ")
    terminal.keys("C-u")
    terminal.wait("skep>")


def test_consoles(terminal):
    terminal.type("start one")
    terminal.keys("Enter")
    terminal.type("start two")
    terminal.keys("Enter")
    terminal.type("console one")
    terminal.keys("Enter")
    terminal.wait("press a key")
    terminal.keys("C-]")
    terminal.wait("skep>")
    terminal.keys("?")
    terminal.wait(lambda: "  or a command: help lists them" in terminal.rows(), "help for the keys")
    terminal.wait("skep>")
    terminal.keys("C-]")  # back
    terminal.wait(lambda: terminal.last() == "[console of one]", "the console's line")
    terminal.keys("C-]")
    terminal.wait("skep>")
    terminal.keys("2")
    terminal.wait("press a key")
    assert "[console of two]" in terminal.rows()
    terminal.keys("x")
    terminal.wait(lambda: "skep: vm two: powered off" in terminal.rows(), "the closing line")
    terminal.wait("[console of one]")
    terminal.keys("x")
    terminal.wait("skep>")
    rows = terminal.rows()
    assert rows[rows.index("skep: vm one: powered off") - 1] in ("", "hello64: done")
