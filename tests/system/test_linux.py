# SPDX-License-Identifier: BSD-2-Clause
"""An unmodified Debian kernel under skep: to a shell, commands with their output, a clean end.

Each machine boots once; its tests use it in order.
"""
import hashlib
import re
import time

import pytest

import image
from hosts import write_all
from tree import work_dir
from machines import SHELL, Shell, machine, on, skep_iso, skep_lines

# run -> (machine, virtual processors, architecture)
RUNS = {
    "qemu": ("qemu", 1, "amd64"),
    "qemu-2cpu": ("qemu-2cpu", 2, "amd64"),
    "qemu-uefi": ("qemu-uefi", 1, "amd64"),
    "qemu-uefi-2cpu": ("qemu-uefi-2cpu", 2, "amd64"),
    "qemu-i386": ("qemu", 1, "i386"),
    "bochs-skylake_x": ("bochs-skylake_x", 1, "amd64"),
    "bochs-ivy_bridge": ("bochs-ivy_bridge", 1, "amd64"),
    "bochs-tigerlake": ("bochs-tigerlake", 1, "amd64"),
    "bochs-zambezi": ("bochs-zambezi", 1, "amd64"),
}


@pytest.fixture(scope="module", params=on(*RUNS, group="linux"))
def shell(request):
    name = request.param
    where, vcpus, arch = RUNS[name]
    work = work_dir(f"linux-{name}")
    kernel, initrd = image.debian(arch)
    words = f"mem=256M vcpus={vcpus} uart=com1,com2"
    linux = image.Guest("linux", kernel, words, "console=ttyS0 quiet", initrd)
    with machine(where, work, skep_iso(work, [linux]), limit=3600) as host:  # a megabyte takes long
        host.expect(r"guest: ready", 240)
        host.expect(SHELL, 60)
        guest = Shell(host)
        guest.name, guest.vcpus = name, vcpus
        guest.run("stty cols 400")  # or the shell breaks the lines that it echoes
        yield guest


def test_banner(shell):
    """Version, processor, back end and its features, memory, CPUs and VMs, before the guest."""
    said = "\n".join(skep_lines(shell.host.console))
    for what in (r"^version \S+, started by GRUB", r"(VMX|SVM): \S", r"\b\d+ MiB", r"\bvm linux: Linux 6"):
        assert re.search(what, said, re.M), f"{what}\n{said}"


def test_back_end(shell):
    """Intel models run on VMX, AMD's and QEMU's on SVM."""
    said = "\n".join(skep_lines(shell.host.console))
    intel = getattr(shell.host, "model", "").startswith(("core", "tiger"))
    assert ("VMX" in said, "SVM" in said) == (intel, not intel), said
    if shell.host.kind == "bochs":  # which is known by its firmware, and not asked for more
        assert "; local APICs: shadow\n" in said + "\n", said


def test_commands_answer(shell):
    assert shell.run("echo $((6 * 7)) && uname -s") == ["42", "Linux", ""]


def test_processors(shell):
    assert shell.run("nproc")[0] == str(shell.vcpus)
    said = shell.run("grep -c ^processor /proc/cpuinfo")
    assert said[0] == str(shell.vcpus)


def test_knows_its_hypervisor(shell):
    assert "hypervisor" in " ".join(shell.run("grep -m1 ^flags /proc/cpuinfo"))


def test_console_works_by_interrupts(shell):
    def count():
        line = next(ln for ln in shell.run("cat /proc/interrupts") if "ttyS0" in ln)
        return sum(int(n) for n in re.findall(r"\s(\d+)(?=\s)", line.split(":", 1)[1]))
    first = count()
    shell.run("true")
    assert count() > first > 0


def test_uarts_are_probed(shell):
    """The kernel's own driver finds out what they are, and that they work by interrupt."""
    log = "\n".join(shell.run("dmesg | grep ttyS"))
    for name, port, irq in (("ttyS0", "0x3f8", 4), ("ttyS1", "0x2f8", 3)):
        assert re.search(rf"{name} at I/O {port} \(irq = {irq}, base_baud = 115200\) is a 16550A",
                         log), log


def loop_back(shell, size):
    said = shell.run(f"loop /dev/ttyS1 {size}", 1200)
    assert f"loop: {size} bytes came back as they went" in said, said


def paste(shell, size):
    """Typed as fast as the line takes it; the guest's checksum of it has to be the same."""
    text = "".join(f"{i:06d} the quick brown fox jumps over it\n" for i in range(size // 40 + 1))
    shell.host.send_line(f"stty raw -echo; head -c {len(text)} | md5sum; stty sane; echo end-$((6*7))")
    shell.host.expect(r"6\*7\)\)\r\n", 20)
    time.sleep(1)
    write_all(shell.host.master, text.encode())
    shell.host.expect(hashlib.md5(text.encode()).hexdigest(), 1200)
    shell.host.expect(r"end-42\s", 60)
    shell.host.expect(SHELL, 60)


def listing(shell, size):
    """More than skep keeps of a console: the guest is held to the line's speed, and all of it comes."""
    last = size // 7
    assert [ln for ln in shell.run(f"seq -w 1 {last}", 1200) if ln] == \
        [f"{n:0{len(str(last))}d}" for n in range(1, last + 1)]


def test_uart_loopback(shell):
    """The driver's loop-back by interrupts: nothing is lost or changed, on a port opened again too."""
    loop_back(shell, 3000)
    loop_back(shell, 100)


def test_full_speed(shell):
    """Each way at the speed of the line, and within: every day where exits cost least."""
    if shell.name != "bochs-skylake_x":
        pytest.skip("bochs-skylake_x does, and all with make check-long")
    loop_back(shell, 65536)
    paste(shell, 102400)
    listing(shell, 98000)


@pytest.mark.long
def test_a_megabyte_each_way(shell):
    """In QEMU, where an exit takes a fifth of a millisecond, a tenth of that."""
    size = 1 << 20 if shell.host.kind == "bochs" else 102400
    loop_back(shell, size)
    paste(shell, size)
    listing(shell, size)


def test_time_passes(shell):
    """A sleep of a second takes a second of the guest's clock, by the timer's interrupt."""
    before, after = (float(shell.run(f"{wait}cut -d' ' -f1 /proc/uptime")[0])
                     for wait in ("", "sleep 1; "))
    assert 1.0 <= after - before < 8.0


def test_memory(shell):
    """256 MiB less what the kernel keeps, and all of it is good."""
    total = int(re.search(r"\d+", shell.run("grep MemTotal /proc/meminfo")[0]).group())
    assert 190 * 1024 < total <= 256 * 1024
    size = 4 if shell.host.kind == "bochs" else 64
    command = f"dd if=/dev/zero of=/tmp/z bs=1M count={size} 2>/dev/null; md5sum < /tmp/z; rm /tmp/z"
    assert shell.run(command, 120)[0].startswith(hashlib.md5(bytes(size << 20)).hexdigest())


def test_much_output_loses_nothing(shell):
    lines = shell.run("seq 1 400", 120)
    assert [ln for ln in lines if ln] == [str(n) for n in range(1, 401)]


def test_floating_point(shell):
    """The FPU's state survives exits and switches."""
    command = "awk 'BEGIN { s = 0; for (i = 1; i <= 20000; i++) s += 1 / i; printf \"%.9f\\n\", s }'"
    # The same sum in Python's doubles.
    expected, i = 0.0, 1
    while i <= 20000:
        expected, i = expected + 1 / i, i + 1
    assert shell.run(command, 120)[0] == f"{expected:.9f}"


def test_kernel_saw_nothing_odd(shell):
    log = "\n".join(shell.run("dmesg"))
    odd = re.findall(r".*(?:Call Trace|BUG:|WARNING: CPU|nobody cared|unchecked MSR|nable to handle|"
                     r"soft lockup|detected stall|timer doesn't work|[Ss]purious).*", log)
    assert not odd, odd
    assert "Run /init as init process" in log


def test_ends_by_power_off(shell):
    """Last of this machine's tests."""
    assert not shell.lost, f"the shell did not come back from: {shell.lost}"
    shell.host.send_line("poweroff")
    shell.host.expect(r"skep: vm linux: powered off", 60)
    shell.host.wait_end(60)
    assert not shell.host.timed_out
