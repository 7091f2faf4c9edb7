# SPDX-License-Identifier: BSD-2-Clause
"""Eight VMs on two processors, started, paused, reset and destroyed in random order: in the end
everything adds up, and the keyboard was heard all the while."""
import collections
import os
import random
import re
import statistics
import time

import pytest

import image
from machines import guest_elf, machine, on, skep_iso
from skepctl_module import skepctl

ENDINGS = re.compile(r"vm (\S+): (?:powered off|reset|exited, status \d+|stopped: .*)$")
STARTS = re.compile(r"vm (\S+): .*, \d+ MiB, \d+ vCPUs?$")
SECONDS = int(os.environ.get("STRESS_SECONDS", "0"))


def guests():
    amd64, initrd64 = image.debian("amd64")
    i386, initrd32 = image.debian("i386")
    line = "console=ttyS0 quiet"
    return [image.Guest("linux64", amd64, "mem=128M vcpus=2 start=manual", line, initrd64),
            image.Guest("second64", amd64, "mem=128M start=manual", line, initrd64),
            image.Guest("linux32", i386, "mem=128M start=manual", line, initrd32),
            image.Guest("hello64", guest_elf("hello64"), "mem=16M start=manual testdev",
                        "testdev key status=7"),
            image.Guest("hello32", guest_elf("hello32"), "mem=16M start=manual", "poweroff"),
            image.Guest("floods", guest_elf("hostile64"), "mem=16M start=manual testdev",
                        "testdev timer_flood"),
            image.Guest("deaf", guest_elf("hostile32"), "mem=16M start=manual testdev",
                        "testdev spin"),
            image.Guest("dies", guest_elf("hostile64"), "mem=16M start=manual testdev restart=crash",
                        "testdev triple")]


class Machine:
    """skep with eight VMs, spoken to in JSON; what it logs is kept."""

    def __init__(self, path):
        self.log = []
        self.line = skepctl.Line(skepctl.open_line(path))
        self.skep = skepctl.Skep(self.line, timeout=60, log=self.log.append)
        self.skep.enter()

    def ask(self, text):
        answer = self.skep.ask(text)
        assert answer["ok"] or answer["error"], answer
        return answer

    def states(self):
        return {vm["name"]: vm["state"] for vm in self.ask("list")["vms"]}

    def settle(self, names):
        """Everything ended, and given back; nothing is to start again."""
        for name in names:
            self.ask(f"destroy {name}")
        for _ in range(200):
            busy = [n for n, s in self.states().items() if s in ("running", "paused", "ending")]
            if not busy:
                return
            for name in busy:
                self.ask(f"destroy {name}")
            time.sleep(0.1)
        raise AssertionError(f"still there: {self.states()}")

    def left(self):
        """What has to be as it was: free memory, armed timers, vCPUs on the processors."""
        cpus = self.ask("cpu")["cpus"]
        return (self.ask("mem")["free_kib"], [c["timers"] for c in cpus],
                [c.get("vcpus", []) for c in cpus])

    def wait_ready(self, name):
        for _ in range(400):
            text = self.ask(f"log {name} 10").get("text", "")
            if "guest: ready" in text:
                return
            time.sleep(0.5)
        seen = [self.ask(f"{what} {name}") for what in ("info", "regs", "irq", "exits", "last")]
        raise AssertionError(f"{name} is not ready: {text}\n{seen}\n{self.states()}")

    def echo(self, name):
        """Seconds from a key typed at a shell to its echo."""
        assert self.ask(f"console {name}")["ok"]
        self.line.read(0.3)
        self.line.data.clear()
        start = time.monotonic()
        self.line.write(b"#")
        while b"#" not in self.line.data:
            assert self.line.read(60), f"no echo from {name}"
        took = time.monotonic() - start
        self.line.write(b"\x15")
        self.line.read(0.3)
        self.line.write(b"\x1d")
        assert self.skep._until([re.escape(skepctl.FOCUS) + rb"\r?\n"], 60) is not None
        return took


ACTIONS = ("start {}", "start {}", "start {}", "pause {}", "resume {}", "resume {}", "reset {}",
           "destroy {}", "stop {}", "stop {} -f", "exits {}", "regs {}", "last {}", "irq {}", "log {} 3",
           "info {}", "devices {}", "set {} cpus=0", "set {} cpus=1")


def storm(m, chance, names, seconds):
    """Random commands; what each was and how often it was done."""
    done, end = collections.Counter(), time.monotonic() + seconds
    while time.monotonic() < end:
        text = chance.choice(ACTIONS).format(chance.choice(names))
        answer = m.ask(text)
        done[text.split()[0] if answer["ok"] else "refused"] += 1
        if chance.random() < 0.3:
            time.sleep(chance.random() * 0.2)
    return done


def run(workdir, host, seconds):
    seed = int(os.environ.get("STRESS_SEED", "0")) or random.SystemRandom().randrange(1 << 32)
    print(f"STRESS_SEED={seed}")
    chance = random.Random(seed)
    path = os.path.join(workdir, "line")
    extra = ["-chardev", f"socket,id=control,path={path},server=on,wait=off",
             "-device", "isa-serial,chardev=control,iobase=0x2f8,irq=3"]
    vms = guests()
    names = [g.name for g in vms]
    iso = skep_iso(workdir, vms, words="idle=monitor console=com2")
    with machine(host, workdir, iso, extra=extra, mem=1024, limit=seconds * 2 + 400):
        for _ in range(100):
            try:
                m = Machine(path)
                break
            except skepctl.Failure:
                time.sleep(0.5)
        # All at once: the keyboard of the VM in focus is heard while both processors are busy. What is
        # kept of each console for good is there from now on.
        begun = time.monotonic()
        for name in names:
            m.ask(f"start {name}")
        for name in ("linux64", "second64", "linux32"):
            m.wait_ready(name)
            print(f"{name} is ready after {time.monotonic() - begun:.0f} s", flush=True)
        times = [m.echo("linux64") for _ in range(10)]
        print(f"echo: median {statistics.median(times) * 1000:.0f} ms, most {max(times) * 1000:.0f} ms")
        m.settle(names)
        before, m.log[:] = m.left(), []
        done = storm(m, chance, names, seconds)
        print(dict(done), m.states())
        m.settle(names)
        after = m.left()
        starts = collections.Counter(g.group(1) for g in map(STARTS.search, m.log) if g)
        ends = collections.Counter(g.group(1) for g in map(ENDINGS.search, m.log) if g)
        print("runs:", dict(starts))
        assert starts == ends and set(starts) == set(names)
        # Of timers the restarts' and the line's own may be armed still, on the boot processor.
        assert after[0] == before[0] and after[2] == before[2], (before, after)
        assert after[1][1:] == before[1][1:] and after[1][0] <= before[1][0] + 2, (before, after)
        # A guest that crashes is shown, and contained: it was stopped for what it did, or by order.
        assert all(re.search("triple fault|monitor", ln) for ln in m.log
                   if ln.startswith("vm dies: stopped")), m.log
        odd = [ln for ln in m.log if re.search(r"held|canary|lock|assert|panic|does not answer", ln)]
        assert not odd, odd


@pytest.mark.parametrize("host", on("qemu-2cpu"))
def test_stress(host, workdir):
    run(workdir, host, SECONDS or 60)


@pytest.mark.long
@pytest.mark.parametrize("host", on("qemu-2cpu"))
def test_stress_for_long(host, workdir):
    run(workdir, host, SECONDS or 1200)
