# SPDX-License-Identifier: BSD-2-Clause
"""tools/skepctl against skep itself, over a UNIX socket."""
import json
import os
import re
import signal
import socket
import subprocess
import time

import pexpect
import pytest

import image
from machines import guest_elf, machine, on, skep_iso
from tree import ROOT, work_dir

SKEPCTL = os.path.join(ROOT, "tools/skepctl")


class Control:
    """A running machine and the program that commands it."""

    def __init__(self, host, device):
        self.host, self.device = host, device

    def run(self, *words, status=0, stdin="", options=()):
        """Runs skepctl; gives what it printed. Its status has to be the one named."""
        command = [SKEPCTL, "-q", "-t", "60", "-d", self.device, *options, *words]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120,
                              check=False)
        assert done.returncode == status, (command, done)
        return done.stderr if status else done.stdout

    def states(self):
        return {vm["name"]: vm["state"]
                for vm in json.loads(self.run("list", options=["--json"]))["vms"]}


@pytest.fixture(scope="module", params=on("qemu", group="skepctl"))
def control(request):
    work = work_dir(f"skepctl-{request.param}")
    guests = [image.Guest("one", guest_elf("hello64"), "mem=16M start=manual testdev",
                          "testdev key status=7"),
              image.Guest("two", guest_elf("hello32"), "mem=16M start=manual uart=com1,com3",
                          "key poweroff")]
    path = os.path.join(work, "line")
    extra = ["-chardev", f"socket,id=control,path={path},server=on,wait=off",
             "-device", "isa-serial,chardev=control,iobase=0x2f8,irq=3"]
    iso = skep_iso(work, guests, words="idle=monitor console=com2")
    with machine(request.param, work, iso, extra=extra, limit=400) as host:
        yield Control(host, path)


def test_first_answer(control):
    """However early it is asked: status 3 until skep is there, then 0."""
    for _ in range(60):
        done = subprocess.run([SKEPCTL, "-t", "3", "-d", control.device, "version"], text=True,
                              capture_output=True, timeout=60, check=False)
        if done.returncode == 0:
            break
        assert done.returncode in (3, 4), done
        time.sleep(0.5)
    assert re.search(r"^back_end +SVM$", done.stdout, re.M), done


def test_tables_and_objects(control):
    assert re.search(r"^ +1  one +not started +16 +1$", control.run("list"), re.M)
    answer = json.loads(control.run("list", options=["--json"]))
    assert [vm["name"] for vm in answer["vms"]] == ["one", "two"] and answer["ok"] is True
    assert "COMMANDS" not in control.run("help", "list")


def test_refusals_and_usage(control):
    assert 'no command "frobnicate"' in control.run("frobnicate", status=1)
    assert "nobody" in control.run("start", "nobody", status=1)
    assert "not running" in control.run("regs", "one", status=1)
    assert "which line" in subprocess.run([SKEPCTL, "list"], capture_output=True, text=True,
                                          env={"PATH": os.environ["PATH"]}, check=False).stderr
    assert "control characters" in control.run("list\rdestroy one", status=2)


def test_a_vm_from_start_to_end(control):
    control.run("start", "one")
    control.run("wait", "one", "running")
    assert "press a key" in control.run("log", "one")
    assert re.search(r"^rip +0x[0-9a-f]+$", control.run("regs", "one"), re.M)
    control.run("pause", "one")
    assert control.states()["one"] == "paused"
    control.run("resume", "one")
    # A script's input is typed, and what the guest says to it is shown until the VM has ended.
    said = control.run("console", "one", stdin="k")
    assert "key 6b" in said and "exited, status 7" in said and '{"focus"' not in said
    control.run("wait", "one", "exited")
    control.run("wait", "one", "running", status=3, options=["-t", "2"])


def test_watch(control):
    """exits --watch shows rates, until it is interrupted."""
    control.run("start", "two")
    with subprocess.Popen([SKEPCTL, "-q", "-d", control.device, "exits", "two", "--watch", "-n", "0.5"],
                          stdout=subprocess.PIPE, text=True,
                          # a test run in the background ignores the signal, and so would this
                          preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)) as p:
        seen = ""
        while seen.count("COUNT") < 3:
            seen += p.stdout.readline()
        p.send_signal(signal.SIGINT)
        p.communicate(timeout=20)
    assert p.returncode == 0 and "A_SECOND" in seen
    assert re.search(r"^all +\d+$", seen, re.M)


def test_terminal_console(control):
    """On a terminal the console is raw, and the escape key leaves."""
    with pexpect.spawn(SKEPCTL, ["-d", control.device, "console", "two"], timeout=30,
                       encoding="utf-8") as p:
        p.expect(r"\[console of two")
        p.expect("press a key")
        p.send("\x1d")
        p.expect(pexpect.EOF)
        p.wait()
        assert p.exitstatus == 0
    assert control.states()["two"] == "running"


def test_the_console_is_moved(control):
    """To another of the VM's ports, where this guest neither prints nor listens; and back."""
    control.run("set", "two", "uart=com3")
    assert "key" not in control.run("console", "two", stdin="x", options=["-t", "2"])
    assert control.states()["two"] == "running"
    assert "cannot change" in control.run("set", "two", "uart=com2", status=1)
    control.run("set", "two", "uart=com1")


def test_found_in_any_state(control):
    """At a prompt, at a console, in the middle of a word: skepctl finds skep and does its work."""
    for typed, shows in (("console two\r", b"[console of two]"), ("half a comm", b"half a comm"),
                         ("\x15", b"")):
        assert '"ok":true' in control.run("json", "off", options=["--json"])
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(control.device)
            s.sendall(b"\x15\r" + typed.encode())
            seen = b""
            while b"skep> " not in seen or shows not in seen:
                seen += s.recv(4096)
        assert control.states()["two"] == "running"


def test_completion(control):
    script = os.path.join(ROOT, "tools/skepctl.bash")
    def complete(*words):
        line = f"""source {script}; COMP_WORDS=({' '.join(words)} ''); COMP_CWORD={len(words)}
                   _skepctl; printf '%s\\n' "${{COMPREPLY[@]}}" """
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True,
                              env={**os.environ, "PATH": f"{ROOT}/tools:{os.environ['PATH']}"})
        return done.stdout.split()
    line = ["skepctl", "-d", control.device]
    assert {"list", "console", "wait", "exits"} <= set(complete(*line))
    assert complete(*line, "console") == ["one", "two"]
    assert "running" in complete(*line, "wait", "two")


def test_power_off(control):
    """Last of this machine's tests: the machine goes, and that is what was asked for."""
    control.run("destroy", "two")
    control.run("poweroff")
    control.host.wait_end(20)
    control.run("list", status=4)
