# SPDX-License-Identifier: BSD-2-Clause
"""The command of the README, as a person types it: `make run`, to the shell and out again."""
import pexpect
import pytest

import guests
import hosts
from machines import SHELL
from tree import ROOT, apart, read



def make_run(*words):
    return pexpect.spawn("make", ["run", "CMDLINE=console=ttyS0 quiet", "MEM=192M", *words],
                         cwd=ROOT, env=apart(), timeout=120, encoding="utf-8", codec_errors="replace")


def arrive(child, timeout):
    child.expect("Leave with Ctrl-A x", timeout=timeout)
    child.expect("guest: ready", timeout=timeout)
    child.expect(SHELL)
    child.send("echo $((6 * 7))\r")
    child.expect(r"\n42\r")
    child.expect(SHELL)


@pytest.mark.xdist_group("run")
def test_run_and_power_off():
    """poweroff in the guest ends the emulator, and make with status 0."""
    child = make_run()
    arrive(child, 100)
    child.send("poweroff\r")
    child.expect("skep: vm linux: powered off")
    child.expect("The machine ended")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


@pytest.mark.xdist_group("run")
def test_run_and_leave():
    """Ctrl-A x leaves at once, and the terminal is as it was."""
    child = pexpect.spawn("/bin/sh", cwd=ROOT, timeout=120, encoding="utf-8",
                          codec_errors="replace", env={**apart(), "PS1": "sh% "})
    child.sendline("before=$(stty -g)")
    child.sendline("make run CMDLINE='console=ttyS0 quiet' MEM=192M")
    child.expect("guest: ready")
    child.expect(SHELL)
    child.send("\x01x")
    child.expect("Left")
    child.sendline('[ "$before" = "$(stty -g)" ] && echo same-$((1 + 1))')
    child.expect("same-2")
    child.close(force=True)


@pytest.mark.xdist_group("run-bochs")
def test_run_in_bochs():
    """HOST=bochs: the same on VMX."""
    child = make_run("HOST=bochs")
    child.timeout = 240
    arrive(child, 240)
    child.send("poweroff\r")
    child.expect("skep: vm linux: powered off")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


@pytest.mark.parametrize("flags, kvm, nested, expected", (
    ("fpu vmx", True, {"kvm_intel": "Y"}, True), ("fpu svm", True, {"kvm_amd": "1"}, True),
    ("fpu vmx", True, {"kvm_intel": "N"}, False), ("fpu svm", True, {"kvm_amd": "0"}, False),
    ("fpu vmx", True, {}, False), ("fpu vmx", False, {"kvm_intel": "Y"}, False),
    ("fpu", True, {"kvm_intel": "Y"}, False)))
def test_kvm_is_taken_where_it_nests(flags, kvm, nested, expected, tmp_path):
    """The host that `make run` picks by itself."""
    for file, text in [("proc/cpuinfo", f"model name : x\nflags\t\t: {flags}\nbugs : vmx_none\n"),
                       *([("dev/kvm", "")] if kvm else []),
                       *((f"sys/module/{m}/parameters/nested", f"{v}\n") for m, v in nested.items())]:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text)
    assert hosts.kvm_nested(str(tmp_path)) == expected
    command = " ".join(hosts.Qemu(str(tmp_path), kvm=expected).command("/dev/null"))
    assert ("-accel kvm -cpu host" if expected else "-accel tcg -cpu max") in command


def test_ctrl_a():
    """What Ctrl-A and the key after it become."""
    assert hosts.leave_filter(b"ab", False) == (b"ab", False, False)
    assert hosts.leave_filter(b"\x01", False) == (b"", True, False)
    assert hosts.leave_filter(b"x", True) == (b"", False, True)
    assert hosts.leave_filter(b"a\x01xb", False) == (b"a", False, True)
    assert hosts.leave_filter(b"\x01\x01b", False) == (b"\x01b", False, False)
    assert hosts.leave_filter(b"q", True) == (b"\x01q", False, False)


@pytest.mark.parametrize("words, message", (
    ("KERNEL=/nowhere", "KERNEL=/nowhere: no such file"), ("HOST=abacus", "HOST=abacus: unknown"),
    ("GUEST=windows", "GUEST=windows: there is none of that name"),
    ("GUEST=flat BARE=1", "BARE=1: GUEST=flat is for skep, GRUB has no way to start it"),
    ("GUEST=elf KERNEL=/bin/sh", "KERNEL=/bin/sh: GUEST=elf brings its own")))
@pytest.mark.xdist_group("run")
def test_mistakes_are_named(words, message):
    child = make_run(*words.split())
    child.expect_exact(message, timeout=60)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus != 0


def run_guest(*words):
    """`make run` to its end; its status and what it said."""
    child = pexpect.spawn("make", ["run", *words], cwd=ROOT, timeout=200, encoding="utf-8",
                          env=apart())
    child.expect(pexpect.EOF)
    child.close()
    return child.exitstatus, child.before.replace("\r", "")


@pytest.mark.xdist_group("run")
def test_guests_by_name():
    """GUEST= starts a guest that is built or downloaded for it; help and the manual list them all."""
    status, said = run_guest("GUEST=help")
    assert status == 0
    manual = read("docs/guests.md")
    for name in guests.GUESTS:
        assert f"\n  {name} " in said and f"`{name}`" in manual, name
    status, said = run_guest("GUEST=multiboot2", "MEM=48M", "VCPUS=2", "CPUS=1")
    assert status == 0 and "skep: vm multiboot2: exited, status 0\n" in said, said[-2000:]
    assert "Leave with Ctrl-A x; Ctrl-] is skep's monitor." in said
    assert "The machine ended" in said
    status, said = run_guest("GUEST=skep")
    assert status == 0 and "the processor offers neither VMX nor SVM" in said, said[-2000:]
