# SPDX-License-Identifier: BSD-2-Clause
"""The machines that the tests boot, by name, and images for them.

Tests that use one machine together bear its name as their group, so that one worker runs them and
boots it once.
"""
import contextlib
import json
import os
import re
import time

import pytest

import hosts
import image

SKEP = image.SKEP

ESCAPE = "\x1d"
PROMPT = r"skep> "
SHELL = r"guest# (?:\x1b\[6n)?"  # with the question where the cursor is, as the shell's editor asks

# name -> (class, arguments)
MACHINES = {
    "qemu": (hosts.Qemu, {}),
    "qemu-2cpu": (hosts.Qemu, {"cpus": 2}),
    "qemu-uefi": (hosts.Qemu, {"firmware": "uefi"}),
    "qemu-uefi-2cpu": (hosts.Qemu, {"firmware": "uefi", "cpus": 2}),
    "bochs-skylake_x": (hosts.Bochs, {"model": "corei7_skylake_x"}),
    "bochs-ivy_bridge": (hosts.Bochs, {"model": "corei7_ivy_bridge_3770k"}),
    "bochs-skylake_x-2cpu": (hosts.Bochs, {"model": "corei7_skylake_x", "cpus": 2}),
    "bochs-ivy_bridge-2cpu": (hosts.Bochs, {"model": "corei7_ivy_bridge_3770k", "cpus": 2}),
    "bochs-zambezi-2cpu": (hosts.Bochs, {"model": "zambezi", "cpus": 2}),
    "bochs-haswell": (hosts.Bochs, {"model": "corei7_haswell_4770"}),
    "bochs-tigerlake": (hosts.Bochs, {"model": "tigerlake"}),
    "bochs-zambezi": (hosts.Bochs, {"model": "zambezi"}),
    "bochs-lynnfield": (hosts.Bochs, {"model": "corei5_lynnfield_750"}),
}


class NoLeaks:
    """A machine on which no VM may end with a page of its memory still held by skep."""

    def __exit__(self, *exc):
        super().__exit__(*exc)
        assert exc[0] or "pages were still held" not in self.console, self.tail()


def machine(name, workdir, iso, **kw):
    """The machine, not started yet."""
    kind, arguments = MACHINES[name]
    return type(kind.__name__, (NoLeaks, kind), {})(
        workdir, iso, **{"limit": 300 if kind is hosts.Bochs else 120, **arguments, **kw})


def on(*names, group=None):
    """Parameters for pytest: these machines, each with its group."""
    return [pytest.param(n, marks=pytest.mark.xdist_group(f"{group}-{n}" if group else n))
            for n in names]


def skep_iso(workdir, guests, words="idle=poweroff", lines=(), files=None, timeout=0):
    """An image that boots skep with these guests; lines: further lines of the entry."""
    title, entry = image.skep_entry("skep", guests, words)
    contents = {"skep.elf": SKEP, **(files or {})}
    for guest in guests:
        contents.update(guest.files())
    return hosts.make_iso(os.path.join(workdir, "boot.iso"), [(title, entry + list(lines))],
                          contents, timeout)


def guest_elf(name):
    return image.path("build/guests", f"{name}.elf")


def plain(text):
    """A console's text without carriage returns and terminal control."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "")


def skep_lines(text):
    """What skep itself said."""
    return [line[6:] for line in plain(text).split("\n") if line.startswith("skep: ")]


class Shell:
    """A booted Linux guest at its shell's prompt."""

    def __init__(self, host):
        self.host, self.lost = host, None

    def run(self, command, timeout=60):
        """Types a command; gives its output lines. The mark is computed by the guest, so that what
        is waited for is never the echo of what was typed."""
        assert not self.lost, f"the shell did not come back from: {self.lost}"
        self.lost = command
        self.host.send_line(f"{command}; echo end-$((40 + 2))")
        self.host.expect(r"end-42\s", timeout)
        text = plain(self.host.child.before)
        self.host.expect(SHELL, timeout)
        self.lost = None
        return text.split("\n")[1:]


class Monitor:
    """A machine at its monitor's prompt."""

    def __init__(self, host):
        self.host = host

    def say(self, line, timeout=20):
        """Types a command; gives what it printed."""
        self.host.send_line(line)
        self.host.expect(re.escape(line) + r"\r\n", timeout)
        self.host.expect(r"(?:^|\n)" + PROMPT, timeout)
        return plain(self.host.child.before)

    @contextlib.contextmanager
    def as_program(self):
        """Answers are objects meanwhile; gives what asks for one."""
        self.host.send_line("json on")
        self.host.expect(r"\{[^\n]*\}\r\n", 10)
        assert json.loads(self.host.child.after) == {"command": "json", "ok": True}

        def ask(line, ok=True):
            self.host.send_line(line)
            while True:
                self.host.expect(r"([^\n]*)\r\n", 20)
                answer = json.loads(self.host.child.match.group(1))
                if "log" not in answer:
                    break
            assert answer["command"] == line.split()[0]
            assert ok is None or answer["ok"] is ok and ("error" in answer) is not ok, answer
            return answer
        yield ask
        ask("json off")
        self.host.expect(PROMPT, 10)

    def states(self):
        return dict(re.findall(r"^\s+\d+ (\S+)\s+(\S.*?)\s+\d+M", self.say("list"), re.M))

    def free(self):
        return int(re.search(r"(\d+) free", self.say("mem")).group(1))

    def wait_state(self, name, state):
        for _ in range(50):
            if self.states()[name] == state:
                return
            time.sleep(0.1)
        raise AssertionError(f"{name} is {self.states()[name]}, not {state}")
