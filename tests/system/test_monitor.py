# SPDX-License-Identifier: BSD-2-Clause
"""The one serial line: consoles and the monitor, as a person uses them."""
import re
import time

import pytest

import image
from machines import ESCAPE, PROMPT, Monitor, guest_elf, machine, on, plain, skep_iso
from tree import work_dir


def once_a_kind(monitor):
    """What is the same code and the same keys wherever it runs: on QEMU, and on one Bochs."""
    if getattr(monitor.host, "model", "") == "zambezi":
        pytest.skip("seen on QEMU and on bochs-skylake_x")


# ---- VMs that come and go ------------------------------------------------------------------------


@pytest.fixture(scope="module", params=on("qemu-2cpu", "bochs-skylake_x", "bochs-zambezi", group="monitor"))
def monitor(request):
    """Two guests that wait for a key, and one that cannot start; the prompt is there."""
    work = work_dir(f"monitor-{request.param}")
    guests = [image.Guest("one", guest_elf("hello64"), "mem=16M start=manual testdev",
                          "testdev key status=7"),
              image.Guest("two", guest_elf("hello32"), "mem=16M start=manual", "key poweroff"),
              image.Guest("bad", guest_elf("hello32"), "mem=16M colour=red", "")]
    with machine(request.param, work, skep_iso(work, guests, words="idle=monitor")) as host:
        host.expect(PROMPT, 60)
        yield Monitor(host)


def test_help(monitor):
    once_a_kind(monitor)
    text = monitor.say("help")
    names = re.findall(r"^  (\w+) ", text, re.M)
    assert {"list", "start", "stop", "pause", "resume", "reset", "destroy", "console", "log", "info",
            "set", "regs", "dis", "bt", "x", "xp", "walk", "mem", "exits", "last", "irq", "devices",
            "cpu", "version", "poweroff", "reboot", "json", "create", "modules"} <= set(names)
    for name in names:
        assert re.search(rf"for example: {name}\b", monitor.say(f"help {name}")), name
    assert "no command" in monitor.say("help nothing")


def test_wrong_words(monitor):
    assert 'no command "frobnicate"' in monitor.say("frobnicate")
    assert 'no VM "nobody"' in monitor.say("regs nobody")
    assert "not running" in monitor.say("regs one")
    assert "too much" in monitor.say("list all")
    assert "colour" in monitor.say("start bad")
    assert "colour" in monitor.say("info bad")
    assert "what can be set" in monitor.say("set log=loud")
    assert "what can be set" in monitor.say("set")
    assert 'no VM "nobody"' in monitor.say("set nobody mem=1M")
    assert "which VM?" in monitor.say("set mem=16M")
    assert "is not understood" in monitor.say("set one colour=red")
    assert "at least" in monitor.say("set one mem=4K")
    assert "from a VM" in monitor.say("create")
    assert "from a VM" in monitor.say("create new like one")
    assert "is there already" in monitor.say("create two from one")
    assert "is no name" in monitor.say("create -x from one")
    assert 'no VM "nobody"' in monitor.say("create new from nobody")
    assert "no module 9" in monitor.say("create new from 9")
    assert "modules are 0 to 2" in monitor.say("create new from one initrd=3")
    assert set(monitor.states()) == {"one", "two", "bad"}
    assert "too many words" in monitor.say("x a b c d e f g")
    assert monitor.say("") == ""


# What each command says to good arguments and to bad ones, while `one` runs and `two` does not.
ANSWERS = (
    ("help bt", "for example: bt"), ("help me now", '"now" is too much'),
    ("list", "NAME"), ("list all", '"all" is too much; list'),
    ("info one", "at home on cpu"), ("info nobody", 'no VM "nobody"'),
    ("console nobody", 'no VM "nobody"'), ("console two", "two is not running"),
    ("log one 1", "press a key"), ("log one many", '"many" is no number'),
    ("start one", "running already"), ("start bad", "colour"),
    ("stop one", "power button"), ("stop one -x", "-f only"), ("stop two", "not running"),
    ("pause one", "is paused"), ("pause one", "paused already"), ("pause one now", "too much"),
    ("resume one", "goes on"), ("resume one", "not paused"),
    ("reset two", "two is not running"), ("destroy two", "two is not running"),
    ("create", "from a VM"), ("modules", "vm=two kernel"), ("modules 1", "too much"),
    ("set one mem=16M", "cannot change while it runs"), ("set one restart=sometimes", "never, crash or"),
    ("regs one v0", "rip"), ("regs one v1", 'no vCPU "v1"'),
    ("dis one", ": "), ("dis one here", '"here" is no number'),
    ("bt one", "rbp"), ("bt one v7", 'no vCPU "v7"'),
    ("x one 0x100000 16", "100000: "), ("x one", "wanted is an address"),
    ("xp one 0x100000 16", "100000: "), ("xp one 1 2 3", "too much"),
    ("walk one 0x100000", "guest-physical 100000"), ("walk one", "wanted is a linear address"),
    ("exits one", "all"), ("exits one -x", "-w only"),
    ("measure one maybe", "on, off"), ("learn one maybe", "on, off"), ("trace one maybe", "on, off"),
    ("last one 3", "newest first"), ("last one many", "no number"),
    ("irq one", "PIC master"), ("irq two", "not running"),
    ("devices one", "uart"), ("devices two", "not running"),
    ("mem one", "touched"), ("mem nobody", 'no VM "nobody"'),
    ("mem one protect 0 0x1000 rwz", "r, w, x"),
    ("cpu", "load"), ("cpu 0", "too much"), ("version", "skep "), ("version 2", "too much"),
    ("json maybe", "json on, or json off"), ("poweroff now", "too much"), ("reboot now", "too much"))


def test_every_command(monitor):
    monitor.say("start one")
    time.sleep(1)
    for line, text in ANSWERS:
        assert text in monitor.say(line), line
    assert {line.split()[0] for line, _ in ANSWERS} == \
        set(re.findall(r"^  (\w+) ", monitor.say("help"), re.M))
    assert monitor.say("reset one").strip().startswith("skep: vm one: ")
    monitor.wait_state("one", "running")
    monitor.say("destroy one")
    monitor.wait_state("one", "stopped")


def test_start_console_end(monitor):
    """Started from the prompt, which stays; then its console, and the prompt again at its end."""
    monitor.say("start two")
    assert monitor.states()["two"] == "running"
    monitor.host.send_line("console two")
    monitor.host.expect(r"\[console of two\]\r\n(.*\n)*hello32: here", 20)
    monitor.host.expect("press a key", 20)
    monitor.host.send("k")
    monitor.host.expect(r"hello32: done\r\n(?:\r\n)?skep: vm two: powered off\r\n" + PROMPT, 20)
    assert monitor.states()["two"] == "powered off"
    text = monitor.say("log two")
    assert "hello32: here\n" in text and text.rstrip().endswith("hello32: done")
    assert monitor.say("log two 2").split("\n")[-1] == "hello32: done"
    assert len(monitor.say("log two 2").split("\n")) == 2


def test_inside_a_guest(monitor):
    """Registers, code, memory, page tables and interrupts of a guest that waits for a key."""
    monitor.say("start one")
    time.sleep(1)
    regs = monitor.say("regs one")
    rip = int(re.search(r"rip ([0-9a-f]{16})", regs).group(1), 16)
    assert re.search(r"cr3 [0-9a-f]{16}", regs) and re.search(r"\bcs +[0-9a-f]{4} base", regs)
    dis = monitor.say(f"dis one {rip:#x} 3")
    assert re.findall(r"^  ([0-9a-f]{16}): ", dis, re.M)[0] == f"{rip:016x}"
    code = re.search(rf"{rip:016x}: ((?:[0-9a-f]{{2}} )+)", dis).group(1).split()
    seen = monitor.say(f"x one {rip:#x} 16")
    assert re.search(r": ((?:[0-9a-f]{2} ?)+)", seen).group(1).split()[:len(code)] == code
    walk = monitor.say(f"walk one {rip:#x}")
    assert "4-level" in walk and re.search(r"level 4: entry at", walk)
    gpa = int(re.search(r"guest-physical ([0-9a-f]+): host", walk).group(1), 16)
    assert monitor.say(f"xp one {gpa:#x} 4").split(":")[1].split()[:4] == \
        monitor.say(f"x one {rip:#x} 4").split(":")[1].split()[:4]
    assert "not mapped" in monitor.say("x one 0xffff900000000000")
    assert "not canonical" in monitor.say("walk one 0x1234000000000000")
    assert "no memory" in monitor.say("xp one 0x40000000")
    assert "no number" in monitor.say("x one rip")
    assert 'no vCPU "v9"' in monitor.say("regs one v9")
    assert re.search(r"\bio +\d+", monitor.say("exits one"))
    assert len(re.findall(r" rip ", monitor.say("last one 5"))) == 5
    assert "PIC master" in monitor.say("irq one") and "local APIC 0" in monitor.say("irq one")
    devices = monitor.say("devices one")
    assert re.search(r"port +3f8- +3ff +uart", devices) and "ioapic" in devices
    monitor.say("cpu")
    assert re.search(r"cpu \d, APIC ID \d, load (?:[5-9]\d|100)%, \d+ timers: one/v0", monitor.say("cpu"))
    assert re.search(r"vm one: \d+ KiB of 16384", monitor.say("mem"))
    assert "skep " in monitor.say("version")
    assert "power button" in monitor.say("stop one")
    monitor.say("destroy one")
    monitor.wait_state("one", "stopped")


def test_pause(monitor):
    """A paused VM takes nothing in and its time stands still; then it goes on where it was."""
    def ran():
        return float(re.search(r"has run ([\d.]+) s", monitor.say("info one")).group(1))
    monitor.say("start one")
    time.sleep(1)
    assert "is paused" in monitor.say("pause one")
    assert "paused already" in monitor.say("pause one")
    assert monitor.states()["one"] == "paused"
    first, exits = ran(), monitor.say("exits one")
    time.sleep(1)
    assert (ran(), monitor.say("exits one")) == (first, exits)
    assert "resume it first" in monitor.say("stop one")
    monitor.host.send_line("console one")
    monitor.host.expect(r"\[console of one\]", 10)
    monitor.host.send("x")
    monitor.host.send(ESCAPE)
    monitor.host.expect(PROMPT, 10)
    assert "press a key" in monitor.say("log one 1")
    assert "goes on" in monitor.say("resume one")
    monitor.wait_state("one", "exited")  # by the key typed while it stood
    assert "not running" in monitor.say("resume one")


def test_nothing_leaks(monitor):
    """Started and ended in every way, again and again: the memory is as it was."""
    monitor.say("start one")  # what is kept of consoles is there from now on
    monitor.say("start two")
    time.sleep(0.5)
    for name in ("one", "two"):
        monitor.say(f"destroy {name}")
        monitor.wait_state(name, "stopped")
    before = monitor.free()
    for turn in range(3):
        monitor.say("start one")
        monitor.say("start two")
        monitor.say("pause two" if turn & 1 else "pause one")
        monitor.say("reset one")
        monitor.wait_state("one", "running")
        monitor.say("stop two -f")
        monitor.say("destroy one")
        monitor.wait_state("one", "stopped")
        monitor.wait_state("two", "stopped")
    assert monitor.free() == before


def test_set(monitor):
    """Words of grub.cfg count from the next start on; while the VM runs only some can change."""
    monitor.say("set two mem=24M -- key status=1")
    assert "memory 24 MiB" in monitor.say("info two")
    assert "command line: key status=1" in monitor.say("info two")
    monitor.say("start two")
    assert "cannot change while it runs" in monitor.say("set two mem=16M")
    assert monitor.say("set two restart=always") == ""
    monitor.say("destroy two")  # an order: no restart
    monitor.wait_state("two", "stopped")
    monitor.say("set two mem=16M restart=never -- key poweroff")
    assert "cannot be started" in monitor.say("start bad")
    monitor.say("set bad mem=16M -- key poweroff")
    assert monitor.states()["bad"] == "not started"
    assert monitor.say("set log=debug") == "" and monitor.say("set log=info") == ""


def wait_gone(monitor, name):
    for _ in range(50):
        if name not in monitor.states():
            return
        time.sleep(0.1)
    raise AssertionError(f"{name} is still there")


def test_create(monitor):
    """VMs of modules that are there; destroyed they are gone, and all they had."""
    assert re.search(r"^ +1 +\d+K  vm=two kernel", monitor.say("modules"), re.M)
    monitor.say("create new from two mem=16M")
    monitor.say("destroy new")
    wait_gone(monitor, "new")
    before = monitor.free()
    for line in ("create new from two mem=32M -- key status=9",
                 "create new from 1 mem=32M initrd=0 testdev -- key status=9"):
        monitor.say(line)
        assert monitor.states()["new"] == "running"
        monitor.host.send_line("console new")
        monitor.host.expect("press a key", 20)
        monitor.host.send(ESCAPE)
        monitor.host.expect(PROMPT, 10)
        monitor.say("destroy new")
        wait_gone(monitor, "new")
        assert "no VM" in monitor.say("info new")
    assert monitor.free() == before
    assert set(monitor.states()) == {"one", "two", "bad"}


def test_restart(monitor):
    """A VM that resets at once starts again: first at once, then later and later."""
    once_a_kind(monitor)
    host = monitor.host
    host.send_line("create loop from two mem=16M restart=crash -- reset")
    host.expect(r"skep: vm loop: reset\r\n(?:.*\r\n)?skep: vm loop: starts again\r\n", 20)
    host.expect(r"skep: vm loop: starts again in 1 s", 20)
    host.expect(r"skep: vm loop: starts again in 2 s", 20)
    host.expect(PROMPT, 10)
    assert monitor.states()["loop"] == "to be restarted"
    monitor.say("destroy loop")
    wait_gone(monitor, "loop")
    time.sleep(3)
    host.send_line("create loop from two mem=16M restart=always testdev -- testdev key status=3")
    host.expect(r"\d vCPU\r\n" + PROMPT, 20)
    host.send_line("console loop")
    for _ in range(2):  # who has the keyboard keeps it
        host.expect("press a key", 20)
        host.send("x")
        host.expect(r"skep: vm loop: exited, status 3\r\n(?:.*\r\n)?skep: vm loop: starts again", 20)
    host.send(ESCAPE)
    host.expect(PROMPT, 10)
    monitor.say("destroy loop")
    wait_gone(monitor, "loop")
    monitor.say("create quiet from two mem=16M restart=crash testdev -- testdev status=3")
    host.expect(r"skep: vm quiet: exited, status 3", 20)  # no crash
    monitor.wait_state("quiet", "exited")
    monitor.say("destroy quiet")
    wait_gone(monitor, "quiet")


def test_mix(monitor):
    """Lines of VMs without the focus, with their names; and no more when it is switched off."""
    once_a_kind(monitor)
    host = monitor.host
    assert "are shown" in monitor.say("console mix")
    host.send_line("start one")
    host.expect(r"\x1b\[31mone\|\x1b\[0m hello64: here\r\n", 20)
    host.expect(r"one\|\x1b\[0m press a key\r\n" + PROMPT, 20)
    host.send_line("start two")
    host.expect(r"\x1b\[32mtwo\|\x1b\[0m press a key\r\n" + PROMPT, 20)
    host.send_line("console one")
    host.expect(r"\[console of one\]\r\n", 10)
    host.send(ESCAPE)
    host.expect(PROMPT, 10)
    assert "are not shown" in monitor.say("console mix")
    assert "too much" in monitor.say("console one two") and "too much" in monitor.say("console 7")
    for name in ("one", "two"):
        monitor.say(f"destroy {name}")
        monitor.wait_state(name, "stopped")


def test_recording(monitor):
    """learn, measure and trace: from the start on or later, and nothing while they are off."""
    for command in ("learn", "trace"):
        assert "nothing is recorded" in monitor.say(f"{command} one" + " dump" * (command == "trace"))
    for line in ("learn one red", "measure one", "measure one dump", "trace one", "trace one red"):
        assert re.search(r"on, off(,| or) clear", monitor.say(line)), line
    assert monitor.say("learn one on") == ""  # it does not run: from its start on
    monitor.say("start one")
    time.sleep(1)
    rows = re.findall(r"^  (\w+) +([0-9a-f]+) +(\d+) +(\d+)  (.*)$", monitor.say("learn one"), re.M)
    assert rows == sorted(rows, key=lambda r: (r[4] != "nobody", ["port", "page", "msr", "cpuid"].index(r[0]),
                                               int(r[1], 16)))
    seen = {(r[0], int(r[1], 16)): r for r in rows}
    assert seen["port", 0x3fd][4] == "uart" and int(seen["port", 0x3fd][2]) > 10
    assert int(seen["port", 0x3f8][3]) > 100  # what it printed
    assert seen["cpuid", 0][4] == "table" and seen["cpuid", 0x40000000][4] == "table"
    monitor.say("learn one clear")
    assert "3f8" not in monitor.say("learn one")
    assert "MEASURED" not in monitor.say("exits one")
    monitor.say("measure one on")
    time.sleep(0.5)
    io = re.search(r"^  io +(\d+) +(\d+) +(\d+)$", monitor.say("exits one"), re.M)
    assert 0 < int(io.group(2)) < int(io.group(1)) and int(io.group(3)) > 0
    monitor.say("trace one on")
    time.sleep(0.5)
    events = monitor.say("trace one dump 20").split("\n")[1:]
    assert len(events) == 20 and any(" exit   io " in e for e in events)
    times = [int(e.split()[0]) for e in events]
    assert times == sorted(times) and times[0] == 0
    assert "no number" in monitor.say("trace one dump all")
    for command in ("trace", "measure", "learn"):
        monitor.say(f"{command} one off")
    assert "nothing is recorded" in monitor.say("learn one")
    assert "MEASURED" not in monitor.say("exits one")
    assert "-w only" in monitor.say("exits one -x")
    monitor.say("pause one")  # a second takes Bochs long while a guest polls
    monitor.host.send_line("exits one -w")
    for _ in range(2):
        monitor.host.expect(r"\x1b\[H\x1b\[J  \w+ +\d+\r\n", 10)
    monitor.host.send("q")
    monitor.host.expect(PROMPT, 10)
    monitor.say("destroy one")
    monitor.wait_state("one", "stopped")


def test_escape_keys(monitor):
    """The escape key from a console and back, by number, to the next, and typed to the guest."""
    once_a_kind(monitor)
    monitor.say("start one")
    monitor.say("start two")
    host = monitor.host
    host.send_line("console one")
    host.expect(r"\[console of one\]", 10)
    host.expect("press a key", 20)
    host.send(ESCAPE)
    host.expect(PROMPT, 10)
    host.send("2")
    host.expect(r"\[console of two\]", 10)
    host.expect("press a key", 20)
    host.send(ESCAPE + "n")
    host.expect(r"\[console of one\]", 10)
    host.send(ESCAPE + "9")
    host.expect("no such VM is running", 10)
    host.send(ESCAPE)  # something was typed since: only back
    host.expect(r"\[console of one\]", 10)
    host.send(ESCAPE)
    host.expect(PROMPT, 10)
    host.send(ESCAPE)  # twice in a row: typed to the guest, which takes it for its key
    host.expect(r"\[console of one\]", 10)
    host.expect(r"key 1d", 10)
    host.expect(r"skep: vm one: exited, status 7", 20)
    host.expect(r"\[console of two\]", 10)
    host.send("k")
    host.expect(r"skep: vm two: powered off\r\n" + PROMPT, 20)


def test_json(monitor):
    """Each line is answered by one object, and log lines are objects too."""
    with monitor.as_program() as ask:
        vms = ask("list")["vms"]
        assert [(v["number"], v["name"]) for v in vms] == [(1, "one"), (2, "two"), (3, "bad")]
        assert ask("info bad")["state"] in ("not started", "not startable")
        assert "colour" in ask("create odd from two colour=red", ok=False)["error"]
        assert "no command" in ask("frobnicate", ok=False)["error"]
        assert 'no VM "nobody"' in ask("regs nobody", ok=False)["error"]
        commands = {c["name"] for c in ask("help")["commands"]}
        assert ask("help list")["example"] == "list"
        ask("start one")
        time.sleep(1)
        regs = ask("regs one")
        assert regs["vm"] == "one" and len(regs["segments"]) == 8
        rip = regs["rip"]
        assert ask(f"dis one {rip} 2")["instructions"][0]["address"] == rip
        assert ask(f"x one {rip} 16")["lines"][0]["bytes"][:5] == regs["code"][:5]
        walk = ask(f"walk one {rip}")
        assert walk["mode"].startswith("4-level") and len(walk["levels"]) >= 3 and walk["x"] is True
        assert "not canonical" in ask("walk one 0x1234000000000000", ok=False)["error"]
        exits = ask("exits one")
        assert sum(r["count"] for r in exits["reasons"]) == exits["all"]
        assert len(ask("last one 5")["last"]) == 5
        assert ask("irq one")["local_apics"][0]["id"] == 0
        assert "uart" in [d.get("name") for d in ask("devices one")["devices"]]
        assert {"vm": "one", "vcpu": 0} in sum((c["vcpus"] for c in ask("cpu")["cpus"]), [])
        assert ask("mem")["vms"][0]["vm"] == "one"
        assert ask("log one 2")["text"].endswith("press a key\r\n")
        ends = {"json", "console", "log", "poweroff", "reboot", "destroy", "stop", "reset"}
        for name in sorted(commands - ends):
            ask(name, ok=None)
        assert ask("modules")["modules"][1]["line"].startswith("vm=two kernel")
        monitor.host.send_line("console one")
        monitor.host.expect(r'\{"command":"console","vm":"one","ok":true\}\r\n', 10)
        monitor.host.send(ESCAPE)
        monitor.host.expect(r'\{"focus":"monitor"\}\r\n', 10)
        monitor.host.send_line("destroy one")
        monitor.host.expect(r'\{"log":"vm one: stopped: destroyed at the monitor"\}\r\n', 10)


def test_line_editor(monitor):
    """Keys as a terminal sends them: history, arrows, completion."""
    once_a_kind(monitor)
    host = monitor.host
    monitor.say("version")
    host.send("\x1b[A")
    host.expect("version", 5)
    host.send("\x15hel\tcon\t\r")
    host.expect(r"give the keyboard to a VM", 5)
    host.expect(PROMPT, 5)
    host.send("lst\x1b[D\x1b[Di\r")
    host.expect(r"NAME +STATE", 5)
    host.expect(PROMPT, 5)
    host.send("nonsense\x03")
    host.expect(r"\n" + PROMPT, 5)


def test_reboot_and_power_off(monitor):
    """Last of this machine's tests. QEMU is started so that a reboot ends it."""
    if getattr(monitor.host, "model", "") != "zambezi":
        monitor.host.send_line("reboot")
        if monitor.host.kind == "bochs":
            monitor.host.expect("skep: version", 100)
            runs_again(monitor)
    if monitor.host.kind == "bochs":
        monitor.host.send_line("poweroff")
    monitor.host.wait_end(20)
    assert not monitor.host.timed_out


def runs_again(monitor):
    """Console and timers work on what a reset has left, and so do VMs."""
    monitor.host.expect(PROMPT, 20)
    monitor.say("start two")
    monitor.host.send_line("console two")
    monitor.host.expect("press a key", 20)
    monitor.host.send("k")
    monitor.host.expect("vm two: powered off\r\n" + PROMPT, 20)


# ---- a line slower than the guest ----------------------------------------------------------------


@pytest.mark.parametrize("host", on("bochs-skylake_x"))
def test_slow_line(host, workdir):
    """At 115200 baud a guest is faster than the line: all it printed comes before its closing line."""
    guests = [image.Guest("hello", guest_elf("hello64"), "mem=16M testdev", "testdev status=3")]
    with machine(host, workdir, skep_iso(workdir, guests)) as m:
        m.wait_end(60)
        text = plain(m.console)
    said = text.index("hello64: done\n")
    assert said < text.index("skep: vm hello: exited, status 3\n") < text.index("skep: no VM is left")
    assert "not shown" not in text
